//! Every plain type through every function and op: against the references, which compute in f64, and beyond what f64
//! holds against integers.

use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::graph::Graph;
use crate::ops::Op;
use crate::ops::arg_reduce::ArgReduce;
use crate::ops::argsort::Argsort;
use crate::ops::channel_stats::ChannelStats;
use crate::ops::conv2d::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad};
use crate::ops::gather::{Gather, OneHot};
use crate::ops::matmul::MatMul;
use crate::ops::movement::Iota;
use crate::ops::pointwise::{Cast, Function, Typing};
use crate::ops::pool2d::{MaxPool2dPick, Pool2d, Pool2dGrad, PoolKind};
use crate::ops::reduce::ReduceKind;
use crate::ops::scan::Scan;
use crate::ops::scatter::{Scatter, ScatterKind};
use crate::ops::window::{Padding, Window};
use crate::passes::autodiff::differentiate;
use crate::plan::{Plan, PlanOptions, Slot};
use crate::shape::Fact;
use crate::testing::{Rng, check_gradients, check_plan, check_plan_on, run_plan, to_values};

fn plain() -> impl Iterator<Item = DType> {
    DType::all().filter(|dtype| dtype.is_plain())
}

/// Checks `op` on random inputs of these facts.
fn check(op: impl Into<Op>, inputs: &[Fact], tolerance: f64) {
    let mut g = Graph::new();
    let ids: Vec<_> = inputs.iter().map(|f| g.input(f.clone())).collect();
    let y = g.apply(op, &ids).unwrap_or_else(|e| panic!("{e}"));
    g.set_outputs(vec![y]);
    check_plan(&g, &mut Rng::new(3), tolerance);
}

#[test]
fn every_function_computes_in_every_type_that_it_takes() {
    for dtype in plain() {
        for &f in Function::ALL {
            let row = f.row();
            let floats = matches!(row.typing, Typing::Float | Typing::FloatTest);
            let integers = matches!(row.typing, Typing::Bits | Typing::Integer);
            if row.typing == Typing::Logic || (floats && !dtype.is_float()) || (integers && dtype.is_float()) {
                continue;
            }
            let shapes: [&[usize]; 3] = [&[3, 1, 300], &[4, 1], &[300]];
            let mut g = Graph::new();
            let ids: Vec<_> = (0..row.arity)
                .map(|k| match (row.typing, k) {
                    (Typing::Select, 0) => g.input(Fact::new(shapes[k], DType::Bool)),
                    _ => g.input(Fact::new(shapes[k], dtype)),
                })
                .collect();
            let y = g.apply(f, &ids).unwrap();
            g.set_outputs(vec![y]);
            let mut inputs = Rng::new(1).inputs(&g);
            // Integers have no quotient by 0, and no negative powers.
            if matches!(f, Function::FloorDiv | Function::Mod | Function::Pow) {
                inputs[1].mapv_inplace(|v| v.abs() + if dtype.is_float() { 0.25 } else { 1.0 });
            }
            if !row.typing.eq(&Typing::Compare) && floats || f == Function::Pow {
                inputs[0].mapv_inplace(|v| v.abs() + if dtype.is_float() { 0.25 } else { 0.0 });
            }
            check_plan_on(&g, &inputs, 0.0);
        }
    }
}

#[test]
fn every_type_becomes_every_other() {
    for from in DType::all() {
        for to in DType::all() {
            check(Cast::to(to), &[Fact::new([700], from)], 0.0);
        }
    }
}

#[test]
fn integers_of_64_bits_are_exact() {
    // The last is rounded up to float32, but not by way of float64.
    let big = [i64::MAX, i64::MIN, i64::MAX - 1, (1 << 53) + 1, -(1 << 53) - 1, (1 << 60) + (1 << 36) + 1];
    let run = |build: &dyn Fn(&mut Graph, crate::graph::NodeId) -> crate::graph::NodeId| -> Buffer {
        let mut g = Graph::new();
        let x = g.input(Fact::new([6], DType::I64));
        let y = build(&mut g, x);
        g.set_outputs(vec![y]);
        let plan = Plan::compile(&g, &PlanOptions::default()).unwrap();
        let x = Buffer::from_slice(&[6], &big).unwrap();
        plan.run(&mut [Slot::shared(x)], &|| false).unwrap().remove(0)
    };
    let doubled = run(&|g, x| g.add(x, x).unwrap());
    assert_eq!(doubled.as_slice::<i64>(), big.map(|v| v.wrapping_add(v)));
    let squared = run(&|g, x| g.unary(Function::Square, x).unwrap());
    assert_eq!(squared.as_slice::<i64>(), big.map(|v| v.wrapping_mul(v)));
    let total = run(&|g, x| g.sum(x, &[0], false).unwrap());
    assert_eq!(total.as_slice::<i64>(), [big.iter().fold(0i64, |a, &b| a.wrapping_add(b))]);
    let top = run(&|g, x| g.reduce(ReduceKind::Max, x, &[0], false).unwrap());
    assert_eq!(top.as_slice::<i64>(), [i64::MAX]);
    let unsigned = run(&|g, x| g.cast(x, DType::U64).unwrap());
    assert_eq!(unsigned.as_slice::<u64>(), big.map(|v| v as u64));
    let narrow = run(&|g, x| g.cast(x, DType::F32).unwrap());
    assert_eq!(narrow.as_slice::<f32>(), big.map(|v| v as f32));
    let back = run(&|g, x| {
        let u = g.cast(x, DType::U64).unwrap();
        g.cast(u, DType::I64).unwrap()
    });
    assert_eq!(back.as_slice::<i64>(), big);
    let product = run(&|g, x| {
        let rows = g.reshape(x, [2, 3].into()).unwrap();
        g.apply(MatMul { transpose_a: true, transpose_b: false }, &[rows, rows]).unwrap()
    });
    assert_eq!(product.as_slice::<i64>()[0], big[0].wrapping_mul(big[0]).wrapping_add(big[3].wrapping_mul(big[3])));
    let greatest = run(&|g, x| g.apply(ArgReduce { largest: true, axis: Some(0), keepdims: false }, &[x]).unwrap());
    assert_eq!(greatest.as_slice::<i32>(), [0]);
}

#[test]
fn ops_that_move_reduce_and_look_up_take_every_type() {
    for dtype in plain() {
        let fact = |shape: &[usize]| Fact::new(shape, dtype);
        let tolerance = if dtype.is_float() { 1e-14 } else { 0.0 };
        for kind in [ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Max, ReduceKind::Min] {
            for axes in [&[0][..], &[1], &[0, 2], &[0, 1, 2]] {
                let reduce = crate::ops::reduce::Reduce { kind, axes: axes.into(), keepdims: false };
                check(reduce, &[fact(&[5, 300, 3])], tolerance);
            }
        }
        check(ArgReduce { largest: false, axis: Some(1), keepdims: true }, &[fact(&[5, 300, 3])], 0.0);
        for descending in [false, true] {
            check(Argsort { axis: 1, descending, count: Some(9) }, &[fact(&[3, 40, 2])], 0.0);
        }
        for kind in [ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Max, ReduceKind::Min] {
            check(Scan { kind, axis: 1, reverse: true, exclusive: false }, &[fact(&[3, 9, 70])], tolerance);
        }
        check(OneHot { depth: 7, dtype, strict: false }, &[Fact::new([300], DType::I32)], 0.0);
        check(Iota { axis: 1, dtype, shape: [3, 100].into() }, &[], 0.0);
        let mut g = Graph::new();
        let (x, rows) = (g.input(fact(&[7, 5])), g.input(Fact::new([4], DType::I32)));
        let picked = g.apply(Gather { axis: 0 }, &[x, rows]).unwrap();
        let mut outputs = vec![picked, x];
        for kind in [ScatterKind::Set, ScatterKind::Add, ScatterKind::Multiply, ScatterKind::Max, ScatterKind::Min] {
            let scatter = Scatter { axis: 0, shape: [7, 5].into(), kind, onto: false };
            outputs.push(g.apply(scatter, &[picked, rows]).unwrap());
        }
        g.set_outputs(outputs);
        check_plan(&g, &mut Rng::new(2), 0.0);
    }
}

fn conv(strides: [usize; 2], dilation: [usize; 2], padding: Padding, groups: usize) -> Conv2d {
    Conv2d { strides, dilation, padding, groups }
}

#[test]
fn convolutions_and_products_compute_in_float64() {
    let fact = |shape: &[usize]| Fact::new(shape, DType::F64);
    for (conv, w) in [
        (conv([1, 1], [1, 1], Padding::Same, 1), [3, 2, 4, 6]),
        (conv([2, 1], [1, 2], Padding::Valid, 2), [2, 3, 2, 6]),
        (conv([2, 3], [1, 1], Padding::Explicit([(1, 2), (0, 3)]), 4), [3, 3, 1, 4]),
    ] {
        let x = [2, 7, 8, 4];
        let y = conv.place(&x, &w).unwrap().out;
        let y = [2, y[0], y[1], w[3]];
        check(conv.clone(), &[fact(&x), fact(&w)], 1e-14);
        check(Conv2dInputGrad { conv: conv.clone(), size: [7, 8] }, &[fact(&y), fact(&w)], 1e-14);
        check(Conv2dFilterGrad { conv, kernel_size: [w[0], w[1]] }, &[fact(&x), fact(&y)], 1e-14);
    }
    for [a, b] in [[false, false], [true, false], [false, true], [true, true]] {
        let product = MatMul { transpose_a: a, transpose_b: b };
        let left: &[usize] = if a { &[2, 1, 5, 300] } else { &[2, 1, 300, 5] };
        let right: &[usize] = if b { &[3, 270, 5] } else { &[3, 5, 270] };
        for dtype in [DType::F64, DType::I32, DType::U8, DType::I16] {
            check(product.clone(), &[Fact::new(left, dtype), Fact::new(right, dtype)], 1e-14);
        }
    }
    check(ChannelStats, &[fact(&[3, 5, 4])], 1e-14);
}

#[test]
fn pooling_computes_in_float64() {
    let fact = |shape: &[usize]| Fact::new(shape, DType::F64);
    for padding in [Padding::Valid, Padding::Same, Padding::Explicit([(1, 1), (0, 1)])] {
        let window = Window { size: [3, 2], strides: [2, 1], dilation: [1, 1], padding, ceil_mode: false };
        let kinds = [
            PoolKind::Max,
            PoolKind::Average { count_include_pad: false },
            PoolKind::Average { count_include_pad: true },
        ];
        for kind in kinds {
            let pool = Pool2d { kind, window };
            let x = fact(&[2, 7, 6, 3]);
            let y = pool.place(&x.shape).unwrap().out;
            check(pool.clone(), std::slice::from_ref(&x), 1e-14);
            check(Pool2dGrad { pool }, &[x.clone(), fact(&[2, y[0], y[1], 3])], 1e-14);
            check(MaxPool2dPick { window }, &[x.clone(), x], 0.0);
        }
    }
}

#[test]
fn gradients_flow_through_float64_and_between_floats() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([2, 6, 6, 3], DType::F64));
    let w = g.input(Fact::new([3, 3, 3, 4], DType::F32));
    let wide = g.cast(w, DType::F64).unwrap();
    let y = g.apply(conv([1, 1], [1, 1], Padding::Same, 1), &[x, wide]).unwrap();
    let y = g.unary(Function::Tanh, y).unwrap();
    let pool = Pool2d {
        kind: PoolKind::Max,
        window: Window { size: [2, 2], strides: [2, 2], dilation: [1, 1], padding: Padding::Valid, ceil_mode: false },
    };
    let y = g.apply(pool, &[y]).unwrap();
    let y = g.reduce(ReduceKind::Max, y, &[1], false).unwrap();
    let y = g.mean(y, &[0, 1], false).unwrap();
    let grads = differentiate(&mut g.clone(), y, &[x, w], None).unwrap();
    assert!(grads.iter().all(Option::is_some));
    check_gradients(&mut g, y, &[x, w], &mut Rng::new(4));
    check_plan(&g, &mut Rng::new(5), 1e-6);
}

#[test]
fn outputs_that_nothing_computes_are_copied() {
    for dtype in plain() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([3], dtype));
        let c = g.constant(2.0, dtype).unwrap();
        let view = g.reshape(x, [3, 1].into()).unwrap();
        g.set_outputs(vec![x, c, view]);
        let inputs = Rng::new(1).inputs(&g);
        let out = run_plan(&g, &PlanOptions::default(), &inputs);
        assert_eq!(to_values(&out[0]), inputs[0].iter().copied().collect::<Vec<_>>());
        assert_eq!((to_values(&out[1]), to_values(&out[2])), (vec![2.0], to_values(&out[0])));
    }
}
