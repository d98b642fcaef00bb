//! Calls whose inputs and attributes fit each other, so that graphs become deep.

use crate::attributes::{list, named, real};
use crate::build::Builder;
use arbitrary::{Arbitrary, Result, Unstructured};
use cnnrs::ops::channel_stats::ChannelStats;
use cnnrs::ops::gather::OneHot;
use cnnrs::ops::gradient::Gradient;
use cnnrs::ops::movement::{Concat, Iota, Pad, Slice, Transpose};
use cnnrs::ops::pointwise::{Function, Typing};
use cnnrs::ops::reduce::{Reduce, ReduceKind};
use cnnrs::ops::scatter::{Scatter, ScatterKind};
use cnnrs::ops::{Attribute, Attributes, Op, Real};
use cnnrs::{DType, Fact, NodeId, Shape};

/// Small, or beside the widths of vectors and tiles; seldom 0.
fn extent(u: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match u.int_in_range(0..=15)? {
        0 => 0,
        1..=11 => u.int_in_range(1..=6)?,
        12 => u.int_in_range(7..=9)?,
        13 => u.int_in_range(15..=17)?,
        14 => u.int_in_range(31..=33)?,
        _ => u.int_in_range(63..=65)?,
    })
}

/// Extents of an input.
pub fn shape(u: &mut Unstructured<'_>) -> Result<Shape> {
    let rank = *u.choose(&[4, 4, 2, 1, 3, 0, 5])?;
    (0..rank).map(|_| extent(u)).collect()
}

fn float(f: &Fact) -> bool {
    f.dtype.is_float()
}

fn image(f: &Fact) -> bool {
    f.dtype.is_float() && f.shape.rank() == 4
}

/// One call of an op that fits what is there.
pub fn call(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    match u.int_in_range(0..=17)? {
        0..=2 => unary(b, u),
        3..=5 => binary(b, u),
        6 => select_or_cast(b, u),
        7 => activation_or_loss(b, u),
        8 => reduction(b, u),
        9 => view(b, u),
        10 => movement(b, u),
        11 => joined(b, u),
        12 => matmul(b, u),
        13 | 14 => conv(b, u),
        15 => pool(b, u),
        16 => norm(b, u),
        _ => lookup(b, u),
    }
}

fn unary(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, |_| true)? else { return Ok(()) };
    let dtype = b.g.fact(x).dtype;
    let fits: Vec<Function> =
        Function::ALL.iter().copied().filter(|f| f.row().arity == 1 && f.result_dtype(&[dtype]).is_ok()).collect();
    let f = *u.choose(&fits)?;
    b.apply(Ok(f), &[x]);
    Ok(())
}

/// A shape that broadcasts with `shape`: leading axes left out, others of extent 1.
fn operand(u: &mut Unstructured<'_>, shape: &Shape) -> Result<Shape> {
    let skip = u.int_in_range(0..=shape.rank())?;
    shape.iter().skip(if skip == 1 { 0 } else { skip }).map(|&d| Ok(if u.ratio(1, 4)? { 1 } else { d })).collect()
}

/// Another operand for `x`: itself, a node that broadcasts with it, or a new input.
fn other(b: &mut Builder, u: &mut Unstructured<'_>, x: NodeId, dtype: DType) -> Result<Option<NodeId>> {
    let shape = b.g.fact(x).shape.clone();
    if u.ratio(1, 2)? {
        return b.pick(u, |f| f.dtype == dtype && f.shape.broadcast(&shape).is_ok());
    }
    let shape = operand(u, &shape)?;
    b.like(u, shape, dtype)
}

fn binary(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, |_| true)? else { return Ok(()) };
    let dtype = b.g.fact(x).dtype;
    let Some(y) = other(b, u, x, dtype)? else { return Ok(()) };
    let fits: Vec<Function> = Function::ALL
        .iter()
        .copied()
        .filter(|f| f.row().arity == 2 && f.result_dtype(&[dtype, dtype]).is_ok())
        .collect();
    let f = *u.choose(&fits)?;
    let inputs = if bool::arbitrary(u)? { [x, y] } else { [y, x] };
    b.apply(Ok(f), &inputs);
    Ok(())
}

fn select_or_cast(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, |_| true)? else { return Ok(()) };
    if bool::arbitrary(u)? {
        let to = *u.choose(&[DType::F32, DType::I32, DType::U8, DType::Bool])?;
        let made = b.g.cast(x, to);
        b.keep(made);
        return Ok(());
    }
    let dtype = b.g.fact(x).dtype;
    let (Some(condition), Some(y)) = (other(b, u, x, DType::Bool)?, other(b, u, x, dtype)?) else { return Ok(()) };
    debug_assert_eq!(Function::Where.row().typing, Typing::Select);
    b.apply(Ok(Function::Where), &[condition, x, y]);
    Ok(())
}

fn activation_or_loss(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, float)? else { return Ok(()) };
    let shape = b.g.fact(x).shape.clone();
    let axis = Attribute::Int(u.int_in_range(-2..=1)?);
    let plain =
        ["relu6", "selu", "silu", "mish", "hard_sigmoid", "hard_silu", "softsign", "log_sigmoid", "tanh_shrink"];
    let number = |u: &mut Unstructured<'_>| Ok(Attribute::Float(real(u)?));
    let (name, attributes, second) = match u.int_in_range(0..=9)? {
        0 | 1 => (*u.choose(&plain)?, named([]), None),
        2 => ("leaky_relu", named([("negative_slope", number(u)?)]), None),
        3 => (*u.choose(&["elu", "celu"])?, named([("alpha", number(u)?)]), None),
        4 => ("gelu", named([("approximate", Attribute::Bool(bool::arbitrary(u)?))]), None),
        5 => ("clip", named([("min", number(u)?), ("max", number(u)?)]), None),
        6 => (*u.choose(&["softmax", "log_softmax"])?, named([("axis", axis)]), None),
        7 => ("sparse_softmax_cross_entropy", named([]), {
            let leading = shape.iter().copied().take(shape.rank().saturating_sub(1)).collect();
            b.like(u, leading, DType::I32)?
        }),
        8 => ("softmax_cross_entropy", named([]), b.like(u, shape, DType::F32)?),
        _ => ("sigmoid_cross_entropy", named([]), b.like(u, shape, DType::F32)?),
    };
    let inputs: Vec<NodeId> = [x].into_iter().chain(second).collect();
    b.apply(Op::parse(name, attributes), &inputs);
    Ok(())
}

fn some_axes(u: &mut Unstructured<'_>, rank: usize) -> Result<Vec<usize>> {
    let mask: u8 = u.arbitrary()?;
    Ok((0..rank).filter(|a| mask >> a & 1 == 0).collect())
}

fn reduction(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, |_| true)? else { return Ok(()) };
    let axes = some_axes(u, b.g.fact(x).shape.rank())?;
    let keepdims = bool::arbitrary(u)?;
    match u.int_in_range(0..=2)? {
        0 => {
            let kind = *u.choose(&[ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Max, ReduceKind::Min])?;
            b.apply(Ok(Reduce { kind, axes: axes.into(), keepdims }), &[x]);
        }
        1 => {
            let name = *u.choose(&["sum", "mean", "max", "min", "prod", "any", "all", "variance", "logsumexp"])?;
            b.apply(Op::parse(name, named([("axes", list(axes)), ("keepdims", Attribute::Bool(keepdims))])), &[x]);
        }
        _ => {
            let name = *u.choose(&["argmax", "argmin"])?;
            let axis = axes.first().map_or(Attribute::None, |&a| Attribute::Int(a as i64));
            b.apply(Op::parse(name, named([("axis", axis), ("keepdims", Attribute::Bool(keepdims))])), &[x]);
        }
    }
    Ok(())
}

fn view(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, |_| true)? else { return Ok(()) };
    let shape = b.g.fact(x).shape.clone();
    let rank = shape.rank();
    let at = u.int_in_range(0..=rank)?;
    let (name, attributes) = match u.int_in_range(0..=5)? {
        0 => ("expand_dims", named([("axis", Attribute::Int(at as i64))])),
        1 => ("squeeze", named([])),
        2 => ("stop_gradient", named([])),
        3 => {
            // Leading axes as one.
            let rest = shape.iter().skip(at).map(|&d| Attribute::Int(d as i64));
            ("reshape", named([("shape", Attribute::List([Attribute::Int(-1)].into_iter().chain(rest).collect()))]))
        }
        4 => {
            // An axis as two.
            let Some(&d) = shape.get(at) else { return Ok(()) };
            let factor = u.int_in_range(1..=4)?;
            let parts = if d % factor == 0 { vec![d / factor, factor] } else { vec![1, d] };
            let dims = shape[..at].iter().copied().chain(parts).chain(shape[at + 1..].iter().copied());
            ("reshape", named([("shape", list(dims))]))
        }
        _ => {
            let front = (0..u.int_in_range(0..=1)?).map(|_| extent(u)).collect::<Result<Vec<_>>>()?;
            let dims = shape.iter().map(|&d| if d == 1 { extent(u) } else { Ok(d) }).collect::<Result<Vec<_>>>()?;
            ("broadcast_to", named([("shape", list(front.into_iter().chain(dims)))]))
        }
    };
    b.apply(Op::parse(name, attributes), &[x]);
    Ok(())
}

fn movement(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, |_| true)? else { return Ok(()) };
    let shape = b.g.fact(x).shape.clone();
    let rank = shape.rank();
    match u.int_in_range(0..=4)? {
        0 => {
            let mut perm: Vec<usize> = (0..rank).collect();
            for last in (1..rank).rev() {
                perm.swap(last, u.int_in_range(0..=last)?);
            }
            b.apply(Ok(Transpose { perm: perm.into() }), &[x]);
        }
        1 => {
            let mut slice = Slice::new(&[], &[], &[]);
            for &d in shape.iter() {
                let count = u.int_in_range(0..=d)?;
                let step = if count > 1 { u.int_in_range(1..=(d - 1) / (count - 1))? } else { 1 };
                let span = if count == 0 { 0 } else { (count - 1) * step };
                let first = u.int_in_range(0..=d.saturating_sub(span + 1))?;
                let turned = u.ratio(1, 3)?;
                slice.starts.push(if turned { first + span } else { first });
                slice.counts.push(count);
                slice.steps.push(if turned { -(step as i64) } else { step as i64 });
            }
            b.apply(Ok(slice), &[x]);
        }
        2 => {
            let mut ends = || (0..rank).map(|_| u.int_in_range(0..=3)).collect::<Result<Vec<usize>>>();
            let (before, after, inner) = (ends()?, ends()?, ends()?);
            let inner = if u.ratio(1, 3)? { inner } else { vec![0; rank] };
            let value = Real::new(real(u)?);
            b.apply(Ok(Pad { before: before.into(), after: after.into(), inner: inner.into(), value }), &[x]);
        }
        3 => b.apply(Op::parse("flip", named([("axes", list(some_axes(u, rank)?))])), &[x]),
        _ => {
            let repeats = (0..rank).map(|_| u.int_in_range(0..=3)).collect::<Result<Vec<usize>>>()?;
            b.apply(Op::parse("tile", named([("repeats", list(repeats))])), &[x]);
        }
    }
    Ok(())
}

fn joined(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, |f| f.shape.rank() > 0)? else { return Ok(()) };
    let Fact { shape, dtype } = b.g.fact(x).clone();
    let axis = u.int_in_range(0..=shape.rank() - 1)?;
    let mut parts = vec![x];
    for _ in 0..u.int_in_range(0..=3)? {
        let fits = |f: &Fact| {
            let others = f.shape.iter().zip(shape.iter()).enumerate().all(|(a, (p, q))| a == axis || p == q);
            f.dtype == dtype && f.shape.rank() == shape.rank() && others
        };
        parts.extend(b.pick(u, fits)?);
    }
    if u.ratio(1, 4)? {
        b.apply(Op::parse("stack", named([("axis", Attribute::Int(axis as i64))])), &parts);
    } else {
        b.apply(Ok(Concat { axis: axis as i64 }), &parts);
    }
    Ok(())
}

fn matmul(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, |f| float(f) && f.shape.rank() > 0)? else { return Ok(()) };
    let shape = b.g.fact(x).shape.clone();
    let [transpose_a, transpose_b] = [bool::arbitrary(u)?, bool::arbitrary(u)?];
    let rank = shape.rank();
    let inner = shape[if transpose_a && rank > 1 { rank - 2 } else { rank - 1 }];
    let n = extent(u)?;
    let mut dims = if transpose_b { vec![n, inner] } else { vec![inner, n] };
    if u.ratio(1, 4)? {
        dims = shape.iter().copied().take(rank.saturating_sub(2)).chain(dims).collect();
    } else if u.ratio(1, 8)? {
        dims = vec![inner];
    }
    let Some(y) = b.like(u, Shape::from(&dims[..]), DType::F32)? else { return Ok(()) };
    let attributes =
        named([("transpose_a", Attribute::Bool(transpose_a)), ("transpose_b", Attribute::Bool(transpose_b))]);
    b.apply(Op::parse("matmul", attributes), &[x, y]);
    Ok(())
}

fn padding(u: &mut Unstructured<'_>) -> Result<Attribute> {
    Ok(match u.int_in_range(0..=4)? {
        0 | 1 => Attribute::Text("same".to_owned()),
        2 | 3 => Attribute::Text("valid".to_owned()),
        _ => {
            let mut ends = || Ok(list([u.int_in_range(0..=3)?, u.int_in_range(0..=3)?]));
            Attribute::List(vec![ends()?, ends()?])
        }
    })
}

/// 1 or near it in most cases; now and then far beyond the image.
fn step(u: &mut Unstructured<'_>) -> Result<Attribute> {
    let one = |u: &mut Unstructured<'_>| match u.int_in_range(0..=15)? {
        0..=9 => Ok(1),
        10..=13 => u.int_in_range(2..=3),
        14 => u.int_in_range(4..=40),
        _ => Ok(1 << u.int_in_range(6..=34)?),
    };
    Ok(list([one(u)?, one(u)?]))
}

fn conv(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, image)? else { return Ok(()) };
    let shape = b.g.fact(x).shape.clone();
    let channels = shape[3];
    let groups = match u.int_in_range(0..=5)? {
        0 => channels.max(1),
        1 => (1..=4).rev().find(|g| channels.is_multiple_of(*g)).unwrap_or(1),
        _ => 1,
    };
    let kernel = [*u.choose(&[3, 1, 2, 5, 3, 4, 7])?, *u.choose(&[3, 1, 2, 5, 3, 4, 7])?];
    let filters = extent(u)?;
    let mut attributes = vec![("padding", padding(u)?), ("strides", step(u)?), ("dilation", step(u)?)];
    let transposed = u.ratio(1, 5)?;
    let w = if transposed {
        // (height, width, out, in)
        if u.ratio(1, 3)? {
            attributes.push(("output_padding", list([u.int_in_range(0..=2)?, u.int_in_range(0..=2)?])));
        }
        [kernel[0], kernel[1], filters, channels]
    } else {
        attributes.push(("groups", Attribute::Int(groups as i64)));
        [kernel[0], kernel[1], channels / groups, filters * groups]
    };
    let Some(w) = b.like(u, Shape::from(w), DType::F32)? else { return Ok(()) };
    let attributes = Attributes::new(attributes.into_iter().map(|(k, v)| (k.to_owned(), v)));
    b.apply(Op::parse(if transposed { "conv2d_transpose" } else { "conv2d" }, attributes), &[x, w]);
    Ok(())
}

fn pool(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, image)? else { return Ok(()) };
    let size = [u.int_in_range(1..=4)?, u.int_in_range(1..=4)?];
    let mut attributes = vec![("pool_size", list(size)), ("padding", padding(u)?), ("strides", step(u)?)];
    attributes.push(("ceil_mode", Attribute::Bool(bool::arbitrary(u)?)));
    let name = *u.choose(&["max_pool2d", "avg_pool2d"])?;
    if name == "avg_pool2d" {
        attributes.push(("count_include_pad", Attribute::Bool(bool::arbitrary(u)?)));
    }
    let attributes = Attributes::new(attributes.into_iter().map(|(k, v)| (k.to_owned(), v)));
    b.apply(Op::parse(name, attributes), &[x]);
    Ok(())
}

fn norm(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(x) = b.pick(u, |f| float(f) && f.shape.rank() > 0)? else { return Ok(()) };
    let channels = b.g.fact(x).shape.last().copied().unwrap_or(1);
    let epsilon = || named([("epsilon", Attribute::Float(1e-2))]);
    let (name, attributes, vectors) = match u.int_in_range(0..=4)? {
        0 => ("batch_norm", epsilon(), 2),
        1 => ("batch_norm_inference", epsilon(), 4),
        2 => ("layer_norm", epsilon(), 2),
        3 => {
            b.apply(Ok(ChannelStats), &[x]);
            return Ok(());
        }
        _ => {
            let Some(state) = b.like(u, Shape::from([2]), DType::I32)? else { return Ok(()) };
            b.apply(Op::parse("dropout", named([("rate", Attribute::Float(real(u)?))])), &[x, state]);
            return Ok(());
        }
    };
    let mut inputs = vec![x];
    for _ in 0..vectors {
        inputs.extend(b.like(u, Shape::from([channels]), DType::F32)?);
    }
    b.apply(Op::parse(name, attributes), &inputs);
    Ok(())
}

fn lookup(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    match u.int_in_range(0..=5)? {
        0 => {
            let (dims, dtype) = (shape(u)?, *u.choose(&[DType::I32, DType::F32, DType::U8])?);
            if dims.rank() > 0 {
                let axis = u.int_in_range(0..=dims.rank() - 1)?;
                b.apply(Ok(Iota { shape: dims, axis, dtype }), &[]);
            }
        }
        1 => {
            let Some(x) = b.pick(u, |f| f.dtype == DType::I32)? else { return Ok(()) };
            b.apply(Ok(OneHot { depth: extent(u)?, dtype: DType::F32, strict: bool::arbitrary(u)? }), &[x]);
        }
        2 => {
            let Some(state) = b.like(u, Shape::from([2]), DType::I32)? else { return Ok(()) };
            let name = *u.choose(&["random_bits", "random_uniform", "random_normal", "random_bernoulli"])?;
            b.apply(Op::parse(name, named([("shape", list(shape(u)?.iter().copied()))])), &[state]);
        }
        3 => {
            let Some(root) = b.pick(u, float)? else { return Ok(()) };
            let Some(wrt) = b.pick(u, float)? else { return Ok(()) };
            b.apply(Ok(Gradient { index: 0, seeded: false }), &[root, wrt]);
        }
        kind => {
            let Some(x) = b.pick(u, |f| f.shape.rank() > 0)? else { return Ok(()) };
            let from = b.g.fact(x).shape.clone();
            let axis = u.int_in_range(0..=from.rank() - 1)?;
            if kind == 4 {
                let dims = [extent(u)?];
                let Some(indices) = b.like(u, Shape::from(dims), DType::I32)? else { return Ok(()) };
                b.apply(Op::parse("gather", named([("axis", Attribute::Int(axis as i64))])), &[x, indices]);
            } else {
                let Some(indices) = b.like(u, Shape::from([from[axis]]), DType::I32)? else { return Ok(()) };
                let to = extent(u)?.max(4);
                let shape = from.iter().enumerate().map(|(a, &d)| if a == axis { to } else { d }).collect();
                b.apply(Ok(Scatter { axis, shape, kind: ScatterKind::Add, onto: false }), &[x, indices]);
            }
        }
    }
    Ok(())
}
