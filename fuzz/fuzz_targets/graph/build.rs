//! Bytes as calls of the graph builder.

use crate::{attributes, fitting};
use arbitrary::{Arbitrary, Result, Unstructured};
use cnnrs::ops::conv2d::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad, Conv2dTranspose};
use cnnrs::ops::gather::OneHot;
use cnnrs::ops::gradient::Gradient;
use cnnrs::ops::movement::{BroadcastTo, Concat, Iota, Pad, Reshape, Slice, Transpose};
use cnnrs::ops::pool2d::{MaxPool2dPick, Pool2d, Pool2dGrad, PoolKind};
use cnnrs::ops::reduce::{Reduce, ReduceKind};
use cnnrs::ops::scatter::{Scatter, ScatterKind};
use cnnrs::ops::window::{Padding, Window};
use cnnrs::ops::{Op, Real};
use cnnrs::{DType, Error, Fact, Graph, NodeId, Shape};
use std::sync::LazyLock;

static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(Op::names);

/// Calls of the builder at most.
const MOST_CALLS: usize = 24;

/// A graph that grows, with the nodes that later calls choose from.
pub struct Builder {
    pub g: Graph,
    pub nodes: Vec<NodeId>,
}

impl Builder {
    /// A new input of `fact`, if it fits the address space.
    pub fn input(&mut self, u: &mut Unstructured<'_>, shape: Shape, dtype: DType) -> Result<Option<NodeId>> {
        let Ok(fact) = Fact::checked(shape, dtype) else { return Ok(None) };
        let id = if u.ratio(1, 4)? { self.g.constant_input(fact) } else { self.g.input(fact) };
        self.nodes.push(id);
        Ok(Some(id))
    }

    /// A node that satisfies `want`.
    pub fn pick(&self, u: &mut Unstructured<'_>, want: impl Fn(&Fact) -> bool) -> Result<Option<NodeId>> {
        let found: Vec<NodeId> = self.nodes.iter().copied().filter(|&i| want(self.g.fact(i))).collect();
        // The latest is as likely as all others together, so that graphs become deep.
        match found.last() {
            None => Ok(None),
            Some(&last) if u.ratio(1, 2)? => Ok(Some(last)),
            Some(_) => u.choose(&found).map(|&id| Some(id)),
        }
    }

    /// A node of this shape and dtype: one that is there or a new input.
    pub fn like(&mut self, u: &mut Unstructured<'_>, shape: Shape, dtype: DType) -> Result<Option<NodeId>> {
        let found = self.pick(u, |f| f.dtype == dtype && f.shape == shape)?;
        if found.is_some() && u.ratio(1, 2)? { Ok(found) } else { self.input(u, shape, dtype) }
    }

    /// Keeps what a call made.
    pub fn keep(&mut self, made: std::result::Result<NodeId, Error>) {
        if let Ok(id) = made {
            self.nodes.push(id);
        }
    }

    /// The op applied, if it is one.
    pub fn apply(&mut self, op: std::result::Result<impl Into<Op>, Error>, inputs: &[NodeId]) {
        let made = op.and_then(|op| self.g.apply(op, inputs));
        self.keep(made);
    }
}

/// The graph that `u` describes. Without bytes left it ends.
pub fn graph(u: &mut Unstructured<'_>) -> Graph {
    let mut b = Builder { g: Graph::new(), nodes: Vec::new() };
    let mut calls = 0;
    while calls < MOST_CALLS && !u.is_empty() && call(&mut b, u).is_ok() {
        calls += 1;
    }
    let outputs = outputs(&mut b, u).unwrap_or_default();
    let outputs = if outputs.is_empty() { b.nodes.last().copied().into_iter().collect() } else { outputs };
    b.g.set_outputs(outputs);
    b.g
}

fn outputs(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<Vec<NodeId>> {
    let mut outputs = Vec::new();
    if u.ratio(1, 2)? {
        gradients(b, u, &mut outputs)?;
    }
    for _ in 0..u.int_in_range(0..=3)? {
        outputs.extend(b.pick(u, |_| true)?);
    }
    Ok(outputs)
}

/// The gradients of a sum over one node by all inputs that have one.
fn gradients(b: &mut Builder, u: &mut Unstructured<'_>, outputs: &mut Vec<NodeId>) -> Result<()> {
    let Some(x) = b.pick(u, |f| f.dtype.is_float())? else { return Ok(()) };
    let axes: Vec<usize> = (0..b.g.fact(x).shape.rank()).collect();
    let Ok(root) = b.g.sum(x, &axes, false) else { return Ok(()) };
    let wrt: Vec<NodeId> = b.g.inputs().iter().copied().filter(|&i| b.g.fact(i).dtype.is_float()).collect();
    let inputs: Vec<NodeId> = [root].into_iter().chain(wrt.iter().copied()).collect();
    for index in 0..wrt.len() {
        outputs.extend(b.g.apply(Gradient { index, seeded: false }, &inputs));
    }
    Ok(())
}

fn call(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    match u.int_in_range(0..=19)? {
        0 => {
            let (shape, dtype) = (fitting::shape(u)?, attributes::dtype(u)?);
            b.input(u, shape, dtype).map(drop)
        }
        1 => by_name(b, u),
        2 => by_fields(b, u),
        3 => short_form(b, u),
        _ => fitting::call(b, u),
    }
}

fn some_inputs(b: &Builder, u: &mut Unstructured<'_>) -> Result<Vec<NodeId>> {
    let mut inputs = Vec::new();
    for _ in 0..u.int_in_range(0..=5)? {
        inputs.extend(b.pick(u, |_| true)?);
    }
    Ok(inputs)
}

/// Any op by name with any attributes of any inputs.
fn by_name(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let (name, attributes) = (*u.choose(&NAMES)?, attributes::attributes(u)?);
    let inputs = some_inputs(b, u)?;
    b.apply(Op::parse(name, attributes), &inputs);
    Ok(())
}

fn dims<T>(u: &mut Unstructured<'_>, mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>) -> Result<Vec<T>> {
    (0..u.int_in_range(0..=5)?).map(|_| one(u)).collect()
}

fn pair(u: &mut Unstructured<'_>) -> Result<[usize; 2]> {
    Ok([attributes::extent(u)?, attributes::extent(u)?])
}

fn padding(u: &mut Unstructured<'_>) -> Result<Padding> {
    Ok(match u.int_in_range(0..=2)? {
        0 => Padding::Valid,
        1 => Padding::Same,
        _ => Padding::Explicit([pair(u)?.into(), pair(u)?.into()]),
    })
}

fn conv(u: &mut Unstructured<'_>) -> Result<Conv2d> {
    Ok(Conv2d { strides: pair(u)?, dilation: pair(u)?, padding: padding(u)?, groups: attributes::extent(u)? })
}

fn window(u: &mut Unstructured<'_>) -> Result<Window> {
    Ok(Window {
        size: pair(u)?,
        strides: pair(u)?,
        dilation: pair(u)?,
        padding: padding(u)?,
        ceil_mode: bool::arbitrary(u)?,
    })
}

const SCATTERS: [ScatterKind; 5] =
    [ScatterKind::Set, ScatterKind::Add, ScatterKind::Multiply, ScatterKind::Max, ScatterKind::Min];

/// Any numbers in the fields of an op, also of those that have no name outside.
fn by_fields(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    use attributes::{dtype, extent, number, shape};
    let kind = *u.choose(&[PoolKind::Max, PoolKind::Average { count_include_pad: true }])?;
    let op: Op = match u.int_in_range(0..=16)? {
        0 => Reshape { shape: shape(u)? }.into(),
        1 => BroadcastTo { shape: shape(u)? }.into(),
        2 => Transpose { perm: dims(u, extent)?.into() }.into(),
        3 => Slice { starts: dims(u, extent)?.into(), counts: dims(u, extent)?.into(), steps: dims(u, number)?.into() }
            .into(),
        4 => {
            let value = Real::new(attributes::real(u)?);
            let (before, after, inner) = (dims(u, extent)?, dims(u, extent)?, dims(u, extent)?);
            Pad { before: before.into(), after: after.into(), inner: inner.into(), value }.into()
        }
        5 => Concat { axis: number(u)? }.into(),
        6 => Iota { shape: shape(u)?, axis: extent(u)?, dtype: dtype(u)? }.into(),
        7 => {
            let kind = *u.choose(&[ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Max, ReduceKind::Min])?;
            Reduce { kind, axes: dims(u, extent)?.into(), keepdims: bool::arbitrary(u)? }.into()
        }
        8 => conv(u)?.into(),
        9 => Conv2dInputGrad { conv: conv(u)?, size: pair(u)? }.into(),
        10 => Conv2dFilterGrad { conv: conv(u)?, kernel_size: pair(u)? }.into(),
        11 => Conv2dTranspose { conv: conv(u)?, output_padding: Some(pair(u)?) }.into(),
        12 => Pool2d { kind, window: window(u)? }.into(),
        13 => Pool2dGrad { pool: Pool2d { kind, window: window(u)? } }.into(),
        14 => MaxPool2dPick { window: window(u)? }.into(),
        15 => Scatter { axis: extent(u)?, shape: shape(u)?, kind: *u.choose(&SCATTERS)?, onto: bool::arbitrary(u)? }
            .into(),
        _ => OneHot { depth: extent(u)?, dtype: dtype(u)?, strict: bool::arbitrary(u)? }.into(),
    };
    let inputs = some_inputs(b, u)?;
    b.apply(Ok(op), &inputs);
    Ok(())
}

/// The builder's own short forms, which gradients and rewrites use.
fn short_form(b: &mut Builder, u: &mut Unstructured<'_>) -> Result<()> {
    let value = attributes::real(u)?;
    let dtype = attributes::dtype(u)?;
    let made = match (u.int_in_range(0..=6)?, b.pick(u, |_| true)?) {
        (0, _) | (_, None) => b.g.constant(value, dtype),
        (1, _) => {
            let shape = fitting::shape(u)?;
            b.g.full(value, shape, dtype)
        }
        (2, Some(x)) => b.g.scale(x, value),
        (3, Some(x)) => b.g.offset(x, value),
        (4, Some(x)) => b.g.cast(x, dtype),
        (5, Some(x)) => {
            let axes = b.g.all_but_last(x);
            b.g.mean(x, &axes, bool::arbitrary(u)?)
        }
        (_, Some(x)) => {
            let shape: Shape = b.g.fact(x).shape.iter().copied().skip(u.int_in_range(0..=2)?).collect();
            let mut ones = shape.to_vec();
            if let Some(one) = ones.first_mut() {
                *one = 1;
            }
            b.g.sum_to(x, &Shape::from(&ones[..]))
        }
    };
    b.keep(made);
    Ok(())
}
