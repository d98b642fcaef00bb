use super::Simplify;
use crate::dtype::DType;
use crate::graph::{Graph, NodeId, interpret, verify};
use crate::ops::Op;
use crate::ops::pointwise::{Cast, Function};
use crate::ops::reduce::{Reduce, ReduceKind};
use crate::passes::run_alone;
use crate::shape::Fact;
use crate::testing::Rng;

/// Ops left after `build`'s result was simplified, leaves aside, in topological order.
fn left(build: impl Fn(&mut Graph, NodeId) -> NodeId) -> Vec<&'static str> {
    let mut g = Graph::new();
    let x = g.input(Fact::new([2, 3], DType::F32));
    let y = build(&mut g, x);
    g.set_outputs(vec![y]);
    let simple = run_alone(&Simplify, &g);
    verify(&simple).unwrap();
    let inputs = Rng::new(7).inputs(&g);
    let (a, b) = (interpret(&g, &inputs).unwrap(), interpret(&simple, &inputs).unwrap());
    assert!(a[0].iter().zip(&b[0]).all(|(a, b)| (a - b).abs() <= 1e-6 * (1.0 + a.abs())), "{g}\n{simple}");
    let live = simple.live();
    let names = simple.ids().filter(|i| live[i.index()]).map(|i| simple.node(i).op.def().name());
    names.filter(|&n| n != "input" && n != "constant").collect()
}

#[test]
fn what_has_no_effect_is_removed() {
    assert!(left(|g, x| g.unary(Function::Identity, x).unwrap()).is_empty());
    assert!(left(|g, x| g.apply(crate::ops::movement::StopGradient, &[x]).unwrap()).is_empty());
    assert!(left(|g, x| g.apply(Cast::to(DType::F32), &[x]).unwrap()).is_empty());
    assert!(left(|g, x| g.transpose(x, &[0, 1]).unwrap()).is_empty());
    assert!(left(|g, x| g.binary(Function::Maximum, x, x).unwrap()).is_empty());
    let same = |g: &mut Graph, x| {
        let zero = g.constant(0.0, DType::F32).unwrap();
        let on = g.binary(Function::Greater, x, zero).unwrap();
        g.select(on, x, x).unwrap()
    };
    assert!(left(same).is_empty());
}

#[test]
fn neutral_elements_vanish_through_broadcasts() {
    for (f, c) in
        [(Function::Add, -0.0), (Function::Sub, 0.0), (Function::Mul, 1.0), (Function::Div, 1.0), (Function::Pow, 1.0)]
    {
        let with_full = |g: &mut Graph, x| {
            let c = g.full(c, [2, 3].into(), DType::F32).unwrap();
            g.binary(f, x, c).unwrap()
        };
        assert!(left(with_full).is_empty(), "{f:?}");
    }
    // −0 + 0 is 0.
    assert_eq!(left(|g, x| g.offset(x, 0.0).unwrap()), ["add"]);
    assert_eq!(left(|g, x| g.scale(x, -1.0).unwrap()), ["neg"]);
    // The result keeps its shape where the literal was the larger operand.
    let wide = |g: &mut Graph, x| {
        let zeros = g.full(-0.0, [4, 2, 3].into(), DType::F32).unwrap();
        g.add(x, zeros).unwrap()
    };
    assert_eq!(left(wide), ["broadcast_to"]);
    // 0 · x is NaN where x is infinite.
    assert_eq!(left(|g, x| g.scale(x, 0.0).unwrap()), ["mul"]);
}

#[test]
fn literals_are_computed() {
    let folded = |g: &mut Graph, x| {
        let a = g.constant(3.0, DType::F32).unwrap();
        let b = g.full(4.0, [2, 3].into(), DType::F32).unwrap();
        let c = g.binary(Function::Pow, a, b).unwrap();
        let c = g.unary(Function::Sqrt, c).unwrap();
        g.mul(x, c).unwrap()
    };
    assert_eq!(left(folded), ["mul"]);
    let chosen = |g: &mut Graph, x| {
        let no = g.constant(0.0, DType::Bool).unwrap();
        let y = g.neg(x).unwrap();
        g.select(no, y, x).unwrap()
    };
    assert!(left(chosen).is_empty());
}

#[test]
fn negations_cancel() {
    assert!(
        left(|g, x| {
            let n = g.neg(x).unwrap();
            g.neg(n).unwrap()
        })
        .is_empty()
    );
    assert_eq!(
        left(|g, x| {
            let s = g.unary(Function::Exp, x).unwrap();
            let n = g.neg(x).unwrap();
            g.add(s, n).unwrap()
        }),
        ["exp", "sub"]
    );
    assert_eq!(
        left(|g, x| {
            let n = g.neg(x).unwrap();
            g.mul(n, n).unwrap()
        }),
        ["mul"]
    );
    assert_eq!(
        left(|g, x| {
            let n = g.neg(x).unwrap();
            g.unary(Function::Abs, n).unwrap()
        }),
        ["abs"]
    );
}

#[test]
fn factors_merge_and_exact_divisions_multiply() {
    assert_eq!(
        left(|g, x| {
            let a = g.scale(x, 3.0).unwrap();
            g.scale(a, 0.25).unwrap()
        }),
        ["mul"]
    );
    let divided = |by: f64| {
        move |g: &mut Graph, x| {
            let c = g.constant(by, DType::F32).unwrap();
            g.div(x, c).unwrap()
        }
    };
    assert_eq!(left(divided(4.0)), ["mul"]);
    assert_eq!(left(divided(3.0)), ["div"]);
    // The product of these would underflow.
    assert_eq!(
        left(|g, x| {
            let a = g.scale(x, 1e-25).unwrap();
            g.scale(a, 1e-25).unwrap()
        }),
        ["mul", "mul"]
    );
}

#[test]
fn casts_merge_only_where_nothing_is_lost() {
    let twice = |inner, outer| {
        let mut g = Graph::new();
        let x = g.input(Fact::new([2], DType::U8));
        let a = g.cast(x, inner).unwrap();
        let b = g.cast(a, outer).unwrap();
        g.set_outputs(vec![b]);
        let s = run_alone(&Simplify, &g);
        s.nodes().iter().filter(|n| matches!(n.op, Op::Cast(_))).count()
    };
    assert_eq!(twice(DType::I32, DType::F32), 1);
    assert_eq!(twice(DType::F32, DType::Bool), 1);
    assert_eq!(twice(DType::Bool, DType::F32), 2);
}

#[test]
fn views_and_transposes_merge() {
    let reshaped = |g: &mut Graph, x| {
        let a = g.reshape(x, [3, 2].into()).unwrap();
        let b = g.reshape(a, [6].into()).unwrap();
        g.reshape(b, [1, 6].into()).unwrap()
    };
    assert_eq!(left(reshaped), ["reshape"]);
    let there_and_back = |g: &mut Graph, x| {
        let t = g.transpose(x, &[1, 0]).unwrap();
        g.transpose(t, &[1, 0]).unwrap()
    };
    assert!(left(there_and_back).is_empty());
    let composed = |g: &mut Graph, x| {
        let y = g.reshape(x, [2, 1, 3].into()).unwrap();
        let t = g.transpose(y, &[2, 0, 1]).unwrap();
        g.transpose(t, &[1, 2, 0]).unwrap()
    };
    assert_eq!(left(composed), ["reshape"]);
    let unit_axes = |g: &mut Graph, x| {
        let y = g.reshape(x, [2, 1, 3].into()).unwrap();
        g.transpose(y, &[1, 0, 2]).unwrap()
    };
    assert_eq!(left(unit_axes), ["reshape"]);
}

#[test]
fn broadcasts_fold_into_functions_and_move_out() {
    let into = |g: &mut Graph, x| {
        let c = g.constant(0.5, DType::F32).unwrap();
        let row = g.unary(Function::Exp, c).unwrap();
        let row = g.broadcast_to(row, [2, 3].into()).unwrap();
        g.mul(x, row).unwrap()
    };
    assert_eq!(left(into), ["mul"]);
    let out = |g: &mut Graph, x| {
        let wide = g.broadcast_to(x, [4, 2, 3].into()).unwrap();
        let wide = g.unary(Function::Exp, wide).unwrap();
        let again = g.broadcast_to(wide, [5, 4, 2, 3].into()).unwrap();
        g.unary(Function::Tanh, again).unwrap()
    };
    assert_eq!(left(out), ["exp", "tanh", "broadcast_to"]);
    let view = |g: &mut Graph, x| {
        let a = g.reshape(x, [1, 2, 3].into()).unwrap();
        g.unary(Function::Exp, a).unwrap()
    };
    assert_eq!(left(view), ["exp", "reshape"]);
}

#[test]
fn sums_of_broadcasts_are_multiples() {
    let all = |g: &mut Graph, x| {
        let wide = g.broadcast_to(x, [4, 2, 3].into()).unwrap();
        g.sum(wide, &[0], false).unwrap()
    };
    assert_eq!(left(all), ["mul"]);
    let some = |g: &mut Graph, x| {
        let wide = g.broadcast_to(x, [4, 2, 3].into()).unwrap();
        g.sum(wide, &[0, 1], true).unwrap()
    };
    assert_eq!(left(some), ["sum", "mul", "reshape"]);
    let largest = |g: &mut Graph, x| {
        let wide = g.broadcast_to(x, [4, 2, 3].into()).unwrap();
        g.reduce(ReduceKind::Max, wide, &[0], false).unwrap()
    };
    assert!(left(largest).is_empty());
    let unit = |g: &mut Graph, x| {
        let y = g.reshape(x, [2, 1, 3].into()).unwrap();
        g.reduce(ReduceKind::Prod, y, &[1], false).unwrap()
    };
    assert!(left(unit).is_empty());
    assert!(
        left(|g, x| g
            .apply(Reduce { kind: ReduceKind::Sum, axes: [].into_iter().collect(), keepdims: false }, &[x])
            .unwrap())
        .is_empty()
    );
}

#[test]
fn reductions_merge_and_let_factors_out() {
    let twice = |g: &mut Graph, x| {
        let a = g.sum(x, &[1], false).unwrap();
        g.sum(a, &[0], false).unwrap()
    };
    assert_eq!(left(twice), ["sum"]);
    let scaled = |g: &mut Graph, x| {
        let m = g.reduce(ReduceKind::Max, x, &[0], true).unwrap();
        let y = g.mul(x, m).unwrap();
        g.sum(y, &[0], false).unwrap()
    };
    let names = left(scaled);
    assert_eq!(names.iter().filter(|&&n| n == "mul").count(), 1);
    assert_eq!(
        names.iter().position(|&n| n == "sum").cmp(&names.iter().position(|&n| n == "mul")),
        std::cmp::Ordering::Less
    );
    // A factor that varies along the sum stays.
    let inner = |g: &mut Graph, x| {
        let m = g.reduce(ReduceKind::Max, x, &[0], true).unwrap();
        let y = g.mul(x, m).unwrap();
        g.sum(y, &[1], false).unwrap()
    };
    assert_eq!(left(inner), ["max", "mul", "sum"]);
}

#[test]
fn equal_sums_in_either_order_merge() {
    let both = |g: &mut Graph, x| {
        let e = g.unary(Function::Exp, x).unwrap();
        let (a, b) = (g.add(x, e).unwrap(), g.add(e, x).unwrap());
        g.mul(a, b).unwrap()
    };
    assert_eq!(left(both), ["exp", "add", "mul"]);
}

fn extents(rng: &mut Rng) -> [usize; 3] {
    std::array::from_fn(|axis| if rng.below(3) == 0 { 1 } else { [2, 3, 4][axis] })
}

/// Values of many broadcastable shapes with literals, views, casts and reductions among them.
fn random_graph(rng: &mut Rng) -> Graph {
    let mut g = Graph::new();
    let mut values: Vec<NodeId> = (0..3).map(|_| g.input(Fact::new(extents(rng), DType::F32))).collect();
    for _ in 0..4 + rng.below(16) {
        let x = values[rng.below(values.len())];
        let y = values[rng.below(values.len())];
        let shape = g.fact(x).shape.clone();
        let next = match rng.below(14) {
            0 => g.add(x, y),
            1 => g.mul(x, y),
            2 => g.sub(x, y),
            3 => g.neg(x),
            4 => g.scale(x, [0.0, 1.0, -1.0, 2.0, 0.25][rng.below(5)]),
            5 => g.full([0.0, 1.0, 0.5][rng.below(3)], extents(rng).into(), DType::F32),
            6 | 7 => {
                let axes: Vec<usize> = (0..3).filter(|_| rng.below(2) == 0).collect();
                let kind = [ReduceKind::Sum, ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min][rng.below(4)];
                g.reduce(kind, x, &axes, true)
            }
            8 => {
                let wide = shape.broadcast(&[2, 3, 4].into()).unwrap();
                g.broadcast_to(x, wide)
            }
            9 => {
                let flat = g.reshape(x, [shape.len()].into()).unwrap();
                g.reshape(flat, shape)
            }
            10 => {
                let t = g.transpose(x, &[2, 0, 1]).unwrap();
                let t = g.unary(Function::Tanh, t).unwrap();
                g.transpose(t, &[1, 2, 0])
            }
            11 => {
                let on = g.binary(Function::Greater, x, y).unwrap();
                g.select(on, x, y)
            }
            12 => {
                let on = g.binary(Function::Less, x, y).unwrap();
                let i = g.cast(on, DType::I32).unwrap();
                g.cast(i, DType::F32)
            }
            _ => g.unary(Function::Tanh, x),
        };
        values.push(next.unwrap());
    }
    let last = values[values.len() - 1];
    g.set_outputs(vec![last, values[rng.below(values.len())]]);
    g
}

#[test]
fn random_graphs_keep_their_values_and_are_simple_after_one_call() {
    // Literals are folded in f32, hence the tolerance.
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let g = random_graph(&mut rng);
        let simple = run_alone(&Simplify, &g);
        verify(&simple).unwrap();
        let inputs = rng.inputs(&g);
        let (expected, got) = (interpret(&g, &inputs).unwrap(), interpret(&simple, &inputs).unwrap());
        for (a, b) in expected.iter().zip(&got) {
            let scale = a.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            let same = a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * scale);
            assert!(a.shape() == b.shape() && same, "seed {seed}\n{g}\n{simple}");
        }
        let count = |g: &Graph| g.live().iter().filter(|&&l| l).count();
        assert_eq!(count(&simple), count(&run_alone(&Simplify, &simple)), "seed {seed}\n{simple}");
    }
}

#[test]
fn masks_and_sums_of_pooling_gradients_move_to_the_pooled_side() {
    use crate::ops::pool2d::{Pool2d, Pool2dGrad, PoolKind};
    use crate::ops::window::{Padding, Window};
    let names = |kind: PoolKind, size: [usize; 2], swapped: bool, sums: bool| {
        let window = Window { size, strides: [2, 2], dilation: [1, 1], padding: Padding::Same, ceil_mode: false };
        let pool = Pool2d { kind, window };
        let mut g = Graph::new();
        let x = g.input(Fact::new([2, 5, 6, 3], DType::F32));
        let y = g.apply(pool.clone(), &[x]).unwrap();
        let dy = g.input(g.fact(y).clone());
        let dx = g.apply(Pool2dGrad { pool }, &[x, dy]).unwrap();
        let limit = g.constant_like(0.1, x).unwrap();
        let zero = g.constant_like(0.0, x).unwrap();
        let on = match swapped {
            true => g.binary(Function::LessEqual, limit, x).unwrap(),
            false => g.binary(Function::Greater, x, limit).unwrap(),
        };
        let masked = if sums { dx } else { g.select(on, dx, zero).unwrap() };
        let out = if sums { g.sum(masked, &[0, 1, 2], false).unwrap() } else { masked };
        g.set_outputs(vec![out]);
        let simple = run_alone(&Simplify, &g);
        verify(&simple).unwrap();
        let inputs = Rng::new(7).inputs(&g);
        let (a, b) = (interpret(&g, &inputs).unwrap(), interpret(&simple, &inputs).unwrap());
        assert!(a[0].iter().zip(&b[0]).all(|(a, b)| (a - b).abs() <= 1e-12 * (1.0 + a.abs())), "{g}\n{simple}");
        let live = simple.live();
        let last = simple.ids().rfind(|i| live[i.index()]).unwrap();
        let has_grad = simple.ids().any(|i| live[i.index()] && matches!(simple.node(i).op, Op::Pool2dGrad(_)));
        (simple.node(last).op.def().name(), has_grad)
    };
    for size in [[2, 2], [3, 3]] {
        for swapped in [false, true] {
            assert_eq!(names(PoolKind::Max, size, swapped, false).0, "max_pool2d_grad");
        }
        assert_eq!(names(PoolKind::Max, size, false, true), ("sum", false));
    }
    let average = |count_include_pad| PoolKind::Average { count_include_pad };
    assert_eq!(names(average(false), [3, 3], false, true), ("sum", false));
    assert_eq!(names(average(true), [3, 3], false, true), ("sum", true));
    assert_eq!(names(average(false), [3, 3], false, false).0, "where");
}

/// Integers wrap around, floats are held within the range of integers, and numbers without a sign have no negative ones.
#[test]
fn rules_keep_what_integers_become() {
    let keeps = |from: DType, value: f64, build: &dyn Fn(&mut Graph, NodeId) -> NodeId| {
        let mut g = Graph::new();
        let x = g.input(Fact::new([1], from));
        let y = build(&mut g, x);
        g.set_outputs(vec![y]);
        let simple = run_alone(&Simplify, &g);
        verify(&simple).unwrap();
        let inputs = [ndarray::arr1(&[value]).into_dyn()];
        let (a, b) = (interpret(&g, &inputs).unwrap(), interpret(&simple, &inputs).unwrap());
        assert_eq!(a, b, "{g}\n{simple}");
        a[0][[0]]
    };
    // The interpreter's f64 has no number near 2^64, to which u64 would wrap.
    for dtype in [DType::U8, DType::U16, DType::U32] {
        let size = |g: &mut Graph, x| {
            let negative = g.neg(x).unwrap();
            g.unary(Function::Abs, negative).unwrap()
        };
        assert_eq!(keeps(dtype, 5.0, &size), dtype.wrap(-5) as f64);
        let of_literal = |g: &mut Graph, x| {
            let literal = g.constant(-1.0, DType::I32).unwrap();
            let literal = g.cast(literal, dtype).unwrap();
            g.mul(x, literal).unwrap()
        };
        assert_eq!(keeps(dtype, 1.0, &of_literal), dtype.wrap(-1) as f64);
    }
    for (from, inner, outer, value, expected) in [
        (DType::I32, DType::F64, DType::U32, -1.0, 0.0),
        (DType::I8, DType::F32, DType::U32, -1.0, 0.0),
        (DType::U32, DType::F64, DType::I32, 4e9, f64::from(i32::MAX)),
        (DType::I32, DType::I64, DType::U32, -1.0, f64::from(u32::MAX)),
    ] {
        let casts = |g: &mut Graph, x| {
            let inside = g.cast(x, inner).unwrap();
            g.cast(inside, outer).unwrap()
        };
        assert_eq!(keeps(from, value, &casts), expected, "{from} {inner} {outer}");
    }
    // A quotient by 0 is left to the kernels.
    let mut g = Graph::new();
    let (two, zero) = (g.constant(2.0, DType::I32).unwrap(), g.constant(0.0, DType::I32).unwrap());
    let quotient = g.binary(Function::FloorDiv, two, zero).unwrap();
    g.set_outputs(vec![quotient]);
    let simple = run_alone(&Simplify, &g);
    assert_eq!(simple.node(simple.outputs()[0]).op, Op::Pointwise(Function::FloorDiv));
}

#[test]
fn attention_divides_what_it_has_summed() {
    let attention = |columns: usize, shift: bool, read_twice: bool| {
        left(move |g, x| {
            let most = g.reduce(ReduceKind::Max, x, &[1], true).unwrap();
            let x = if shift { g.binary(Function::Sub, x, most).unwrap() } else { x };
            let e = g.unary(Function::Exp, x).unwrap();
            let sum = g.sum(e, &[1], true).unwrap();
            let softmax = g.binary(Function::Div, e, sum).unwrap();
            let v = g.input(Fact::new([3, columns], DType::F32));
            let y =
                g.apply(crate::ops::matmul::MatMul { transpose_a: false, transpose_b: false }, &[softmax, v]).unwrap();
            let total = g.sum(y, &[1], true).unwrap();
            let y = if read_twice { g.binary(Function::Mul, softmax, total).unwrap() } else { y };
            g.sum(y, &[0, 1], true).unwrap()
        })
    };
    let at = |ops: &[&str], op: &str| ops.iter().position(|&o| o == op).unwrap();
    let after = attention(2, true, false);
    assert!(at(&after, "matmul") < at(&after, "div"), "{after:?}");
    // More columns than keys, terms without a bound, and a softmax that somebody else reads.
    for other in [attention(3, true, false), attention(2, false, false), attention(2, true, true)] {
        assert!(at(&other, "matmul") > at(&other, "div"), "{other:?}");
    }
}

#[test]
fn reshapes_come_after_what_is_attached() {
    let projected = |bias: [usize; 2], read_twice: bool| {
        left(move |g, x| {
            let w = g.input(Fact::new([3, 8], DType::F32));
            let y = g.apply(crate::ops::matmul::MatMul { transpose_a: false, transpose_b: false }, &[x, w]).unwrap();
            let heads = g.reshape(y, [2, 2, 4].into()).unwrap();
            let b = g.input(Fact::new(bias, DType::F32));
            let sum = g.add(heads, b).unwrap();
            let sum = g.scale(sum, 0.5).unwrap();
            if read_twice { g.binary(Function::Mul, sum, heads).unwrap() } else { sum }
        })
    };
    let after = projected([2, 4], false);
    assert_eq!(after.last(), Some(&"reshape"), "{after:?}");
    assert_eq!(after.iter().filter(|&&op| op == "reshape").count(), 2, "of the bias and of the result: {after:?}");
    // A bias of depths alone, and a product that somebody else reads as heads.
    for other in [projected([1, 4], false), projected([2, 4], true)] {
        assert_ne!(other.last(), Some(&"reshape"), "{other:?}");
    }
}
