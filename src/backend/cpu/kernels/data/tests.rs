//! Sizes beyond one vector, one block and one chunk; empty tensors.

use crate::dtype::DType;
use crate::graph::Graph;
use crate::ops::arg_reduce::ArgReduce;
use crate::ops::gather::{Gather, OneHot};
use crate::ops::movement::{Concat, Iota, Pad, Slice};
use crate::ops::scatter::Scatter;
use crate::ops::{Op, Real};
use crate::shape::Fact;
use crate::testing::{Rng, check_plan, check_plan_on};
use smallvec::smallvec;

const DTYPES: [DType; 3] = [DType::F32, DType::I32, DType::U8];

/// Checks `op` on random inputs of `shapes` against the reference, bit for bit.
fn check(op: impl Into<Op>, shapes: &[&[usize]], dtype: DType) {
    let mut g = Graph::new();
    let inputs: Vec<_> = shapes.iter().map(|&s| g.input(Fact::new(s, dtype))).collect();
    let y = g.apply(op, &inputs).unwrap_or_else(|e| panic!("{e}"));
    g.set_outputs(vec![y]);
    check_plan(&g, &mut Rng::new(1), 0.0);
}

#[test]
fn transposes_across_blocks() {
    for dtype in DType::all() {
        let transpose = |shape: &[usize], perm: &[usize]| {
            check(crate::ops::movement::Transpose { perm: perm.into() }, &[shape], dtype);
        };
        transpose(&[37, 70], &[1, 0]);
        transpose(&[2500, 3], &[1, 0]);
        transpose(&[3, 2500], &[1, 0]);
        transpose(&[64, 32], &[1, 0]);
        transpose(&[3, 17, 5, 33], &[0, 3, 1, 2]);
        transpose(&[3, 33, 17, 5], &[0, 2, 3, 1]);
        transpose(&[4, 5, 6, 7], &[3, 1, 2, 0]);
        transpose(&[4, 5, 6, 7], &[1, 0, 2, 3]);
        transpose(&[40, 6, 30], &[2, 1, 0]);
        transpose(&[0, 4], &[1, 0]);
        transpose(&[1, 4, 1], &[2, 1, 0]);
    }
}

#[test]
fn copies_across_chunks() {
    for dtype in DType::all() {
        check(Slice::new(&[3], &[70_000], &[1]), &[&[70_001]], dtype);
        check(Slice::new(&[1, 0], &[41, 1000], &[2, 3]), &[&[41, 1000]], dtype);
        check(Slice::new(&[0, 1], &[41, 2], &[2, usize::MAX / 4]), &[&[41, 1000]], dtype);
        check(Slice::new(&[1, 0], &[2, 1000], &[usize::MAX / 4, 3]), &[&[41, 1000]], dtype);
        check(Slice::flip(&[3, 20_000].into(), &[1]), &[&[3, 20_000]], dtype);
        check(Slice::flip(&[300, 101].into(), &[0]), &[&[300, 101]], dtype);
        let value = Real::new(300.5);
        let (before, after) = (smallvec![1, 2, 0], smallvec![0, 3, 4]);
        check(Pad { before, after, inner: smallvec![0, 1, 0], value }, &[&[2, 50, 401]], dtype);
        check(Concat { axis: 1 }, &[&[3, 5000, 2], &[3, 0, 2], &[3, 7001, 2]], dtype);
        check(Concat { axis: 0 }, &[&[0], &[0]], dtype);
    }
    for dtype in DTYPES {
        check(ArgReduce { largest: true, axis: Some(0), keepdims: false }, &[&[700, 40]], dtype);
        check(ArgReduce { largest: false, axis: Some(1), keepdims: false }, &[&[700, 40]], dtype);
    }
}

#[test]
fn positions_and_unit_vectors_across_chunks() {
    for dtype in DTYPES {
        check(Iota { shape: [30, 70, 20].into(), axis: 1, dtype }, &[], dtype);
        check(Iota { shape: [0, 7].into(), axis: 0, dtype }, &[], dtype);
        check(OneHot { depth: 9, dtype, strict: false }, &[&[5000]], DType::I32);
        check(OneHot { depth: 0, dtype, strict: false }, &[&[3]], DType::I32);
    }
}

#[test]
fn rows_across_chunks() {
    for (rows, picked, inner) in [(40usize, 9000usize, 3usize), (5, 3, 40_000), (4, 0, 2), (7, 11, 0)] {
        let index = Fact::new([picked], DType::I32);
        for scatter in [false, true] {
            let mut g = Graph::new();
            let (x, op): (_, Op) = if scatter {
                (Fact::new([2, picked, inner], DType::F32), Scatter::add(1, [2, rows, inner].into()).into())
            } else {
                (Fact::new([2, rows, inner], DType::F32), Gather { axis: 1 }.into())
            };
            let (x, i) = (g.input(x), g.input(index.clone()));
            let y = g.apply(op, &[x, i]).unwrap();
            g.set_outputs(vec![y]);
            // Sums over hundreds of rows are rounded in f32.
            check_plan_on(&g, &Rng::new(4).inputs(&g), if scatter { 1e-5 } else { 0.0 });
        }
    }
}

#[test]
fn many_axes_that_cannot_be_joined_are_refused_when_the_plan_is_made() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([2; 19], DType::U8));
    let perm: Vec<usize> = (0..19).rev().collect();
    let y = g.transpose(x, &perm).unwrap();
    g.set_outputs(vec![y]);
    let e = crate::plan::Plan::compile(&g, &Default::default()).err().unwrap();
    assert!(e.to_string().contains("axes is not supported"), "{e}");
}
