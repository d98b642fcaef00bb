//! The GPU backend against references, on whatever adapter `CNNRS_ADAPTER` names.
#![cfg(feature = "gpu")]

use cnnrs::backend::device::Backend;
use cnnrs::backend::gpu::{Gpu, device};
use cnnrs::graph::interpret;
use cnnrs::ops::pointwise::{Function, Typing};
use cnnrs::plan::{Plan, PlanOptions};
use cnnrs::testing::{to_buffer, to_values};
use cnnrs::{DType, Fact, Graph};
use std::sync::Arc;

fn options(fuse: bool) -> PlanOptions {
    PlanOptions { target: Some(Gpu.target().unwrap()), fuse, ..PlanOptions::default() }
}

fn run(g: &Graph, inputs: &[cnnrs::ops::RefArray], fuse: bool) -> Vec<Vec<f64>> {
    let plan = Plan::compile_on(&Gpu, g, &options(fuse)).unwrap_or_else(|e| panic!("{e}\n{g}"));
    let mut slots: Vec<cnnrs::plan::Slot> = inputs
        .iter()
        .zip(g.inputs())
        .map(|(x, &i)| cnnrs::plan::Slot::Shared(Arc::new(to_buffer(x, g.fact(i)))))
        .collect();
    plan.run(&mut slots, &|| false).unwrap_or_else(|e| panic!("{e}\n{g}")).iter().map(to_values).collect()
}

fn on_cpu(g: &Graph, inputs: &[cnnrs::ops::RefArray]) -> Vec<cnnrs::ops::RefArray> {
    let buffers = cnnrs::testing::run_plan(g, &PlanOptions::default(), inputs);
    buffers.iter().map(cnnrs::testing::to_array).collect()
}

#[test]
fn all_pointwise_functions_at_ordinary_and_odd_numbers() {
    println!("{:?}", device::current().unwrap().facts);
    let odd = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        3.0,
        1e-3,
        -1e-3,
        1e-40,
        1e-30,
        -1e-30,
        7.7,
        -7.7,
        88.0,
        -88.0,
        100.0,
        -104.0,
        1e3,
        -1e3,
        12345.678,
        1e6,
        3.1e8,
        -1e10,
        1e30,
        -1e30,
        3e38,
        -3e38,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    for &function in Function::ALL {
        let row = function.row();
        let dtypes: &[DType] = match row.typing {
            Typing::Float | Typing::FloatTest => &[DType::F32],
            Typing::Logic => &[DType::Bool],
            _ => &[DType::F32, DType::I32, DType::U8],
        };
        for &dtype in dtypes {
            let values: Vec<f64> = match dtype {
                DType::F32 => odd.iter().map(|&v| f64::from(v as f32)).collect(),
                DType::I32 => [0, 1, -1, 2, 3, -3, 7, -7, 100, -100, 65536, i32::MAX, i32::MIN, i32::MIN + 1]
                    .iter()
                    .map(|&v| f64::from(v))
                    .collect(),
                DType::U8 => [0, 1, 2, 3, 7, 100, 127, 128, 200, 255].iter().map(|&v| f64::from(v)).collect(),
                _ => vec![0.0, 1.0],
            };
            let n = values.len();
            let grid = |k: usize| cnnrs::ops::RefArray::from_shape_fn(&[n, n][..], |at| values[at[k % 2]]);
            let mut g = Graph::new();
            let (mut nodes, mut inputs) = (Vec::new(), Vec::new());
            for k in 0..row.arity {
                let condition = row.typing == Typing::Select && k == 0;
                let fact = Fact::new([n, n], if condition { DType::Bool } else { dtype });
                nodes.push(g.input(fact));
                inputs.push(if condition {
                    grid(0).mapv(|v| f64::from(u8::from(v > 0.0)))
                } else {
                    grid(k + usize::from(row.typing == Typing::Select))
                });
            }
            let y = g.apply(function, &nodes).unwrap();
            g.set_outputs(vec![y]);
            let expected = if dtype.is_float() { interpret(&g, &inputs).unwrap() } else { on_cpu(&g, &inputs) };
            let got = run(&g, &inputs, true);
            for (i, (a, b)) in got[0].iter().zip(expected[0].iter()).enumerate() {
                let single = f64::from(*b as f32);
                let tiny = |v: f64| v.abs() < 1.2e-38;
                let near = (a - b).abs() <= 4e-6 * b.abs().max(1e-30)
                    || (a - b).abs() <= 2e-7 && matches!(function, Function::Sin | Function::Cos);
                let same = *a == *b || *a == single || near || (a.is_nan() && b.is_nan()) || (tiny(*a) && tiny(*b));
                let args: Vec<f64> = inputs.iter().map(|x| *x.iter().nth(i).unwrap()).collect();
                let subnormal = args.iter().any(|&v| v != 0.0 && tiny(v));
                if !(same || subnormal) {
                    println!("{} of {args:?} as {dtype}: {a}, reference {b}", row.name);
                }
            }
        }
    }
}
