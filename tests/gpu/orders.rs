//! Sorting, running sums and rows combined by index, from one element to several blocks and passes.

use super::*;
use cnnrs::ops::argsort::Argsort;
use cnnrs::ops::reduce::ReduceKind;
use cnnrs::ops::scan::Scan;
use cnnrs::ops::scatter::{Scatter, ScatterKind};

const SHAPES: [[usize; 3]; 6] = [[1, 1, 1], [3, 64, 2], [2, 65, 3], [1, 700, 1], [2, 300, 5], [1, 5000, 1]];

fn compare(g: &Graph, inputs: &[RefArray], tolerance: f64) {
    let expected = interpret(g, inputs).unwrap();
    let got = run(&Gpu, g, inputs);
    for (got, expected) in got.iter().zip(&expected) {
        let scale = expected.iter().filter(|v| v.is_finite()).fold(1.0f64, |m, v| m.max(v.abs()));
        for (k, (a, b)) in to_values(got).iter().zip(expected).enumerate() {
            let near = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * scale;
            assert!(near, "[{k}]: {a}, expected {b}\n{g}");
        }
    }
}

#[test]
fn orders_of_any_length_are_those_of_the_definition() {
    if !is_asked() {
        return;
    }
    for shape in SHAPES {
        for dtype in [DType::F32, DType::I32, DType::U8] {
            for (descending, count) in [(false, None), (true, Some(1 + shape[1] / 3))] {
                let mut g = Graph::new();
                let x = g.input(Fact::new(shape, dtype));
                let y = g.apply(Argsort { axis: 1, descending, count }, &[x]).unwrap();
                g.set_outputs(vec![y]);
                let mut inputs = Rng::new(7).inputs(&g);
                if dtype == DType::F32 {
                    // Some equal ones, zeros of both signs and NaN.
                    let odd = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5];
                    inputs[0].iter_mut().step_by(3).enumerate().for_each(|(k, v)| *v = odd[k % odd.len()]);
                }
                compare(&g, &inputs, 0.0);
            }
        }
    }
}

#[test]
fn running_sums_of_any_length() {
    if !is_asked() {
        return;
    }
    for shape in SHAPES {
        for kind in [ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Max, ReduceKind::Min] {
            for (reverse, exclusive, dtype) in [
                (false, false, DType::F32),
                (true, false, DType::I32),
                (false, true, DType::I32),
                (true, true, DType::F32),
            ] {
                let mut g = Graph::new();
                let x = g.input(Fact::new(shape, dtype));
                let y = g.apply(Scan { kind, axis: 1, reverse, exclusive }, &[x]).unwrap();
                g.set_outputs(vec![y]);
                compare(&g, &Rng::new(8).inputs(&g), 1e-5);
            }
        }
    }
}

#[test]
fn rows_are_combined_in_order() {
    if !is_asked() {
        return;
    }
    for kind in [ScatterKind::Set, ScatterKind::Add, ScatterKind::Multiply, ScatterKind::Max, ScatterKind::Min] {
        for (onto, dtype, count) in
            [(true, DType::F32, 7), (false, DType::F32, 300), (true, DType::U8, 40), (false, DType::I32, 0)]
        {
            let mut g = Graph::new();
            let mut inputs = vec![g.input(Fact::new([2, count, 3], dtype)), g.input(Fact::new([count], DType::I32))];
            if onto {
                inputs.push(g.input(Fact::new([2, 9, 3], dtype)));
            }
            let y = g.apply(Scatter { axis: 1, shape: [2, 9, 3].into(), kind, onto }, &inputs).unwrap();
            g.set_outputs(vec![y]);
            compare(&g, &Rng::new(9).inputs(&g), 1e-6);
        }
    }
}
