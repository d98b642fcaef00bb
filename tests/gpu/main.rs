//! What only the GPU backend has to keep: bits that it shares with the CPU, conversions, limits, bad data, and runs side by
//! side. `make test-gpu` runs this, and what holds of all backends, on the adapter that `CNNRS_ADAPTER` names; elsewhere
//! these tests do nothing.
#![cfg(feature = "gpu")]

mod choice;
mod cut;
mod faults;
mod host;
mod joints;
mod numbers;
mod once;
mod orders;
mod runs;

use cnnrs::backend::cpu::Cpu;
use cnnrs::backend::device::Backend;
use cnnrs::backend::gpu::caps::{Halves, Tier};
use cnnrs::backend::gpu::{Gpu, device, selftest};
use cnnrs::graph::interpret;
use cnnrs::ops::channel_stats::ChannelStats;
use cnnrs::ops::conv2d::Conv2d;
use cnnrs::ops::gather::{Gather, OneHot};
use cnnrs::ops::pointwise::{Cast, Function, Typing};
use cnnrs::ops::random::{Distribution, Random};
use cnnrs::ops::window::Padding;
use cnnrs::ops::{Attribute, Attributes, Op, Real, RefArray};
use cnnrs::plan::{Binding, Control, Plan, PlanOptions, Slot};
use cnnrs::testing::{Rng, to_buffer, to_values};
use cnnrs::{Buffer, CompiledFunction, DType, ErrorKind, Fact, Graph, Tensor, Trace, Value, Variable};
use half::{bf16, f16};
use std::sync::Arc;
use std::time::Duration;

/// Whether this run is one of the GPU.
fn is_asked() -> bool {
    let asked = cnnrs::backend::current().unwrap().backend().traits().name == "gpu";
    if !asked {
        println!("did not run: CNNRS_DEVICE is not gpu");
    }
    asked
}

fn plan(backend: &dyn Backend, g: &Graph, fuse: bool) -> Plan {
    let options = PlanOptions { target: Some(backend.target(0).unwrap()), fuse, ..PlanOptions::default() };
    Plan::compile_on(backend, g, &options).unwrap_or_else(|e| panic!("{e}\n{g}"))
}

fn slots(g: &Graph, inputs: &[RefArray]) -> Vec<Slot> {
    let buffers = inputs.iter().zip(g.inputs()).map(|(x, &i)| to_buffer(x, g.fact(i)));
    buffers.map(Slot::shared).collect()
}

fn run(backend: &dyn Backend, g: &Graph, inputs: &[RefArray]) -> Vec<Buffer> {
    let outputs = plan(backend, g, true).run(&mut slots(g, inputs), &|| false);
    outputs.unwrap_or_else(|e| panic!("{e}\n{g}"))
}

fn array(values: &[f64]) -> RefArray {
    RefArray::from_shape_vec(&[values.len()][..], values.to_vec()).unwrap()
}

/// A small network's step: a convolution with a bias, pooling, a product, softmax and all gradients.
fn step() -> (Graph, Vec<RefArray>) {
    let mut g = Graph::new();
    let x = g.input(Fact::new([4, 9, 9, 3], DType::F32));
    let w = g.input(Fact::new([3, 3, 3, 8], DType::F32));
    let b = g.input(Fact::new([8], DType::F32));
    let conv = g.apply(Op::parse("conv2d", Attributes::new([])).unwrap(), &[x, w]).unwrap();
    let biased = g.add(conv, b).unwrap();
    let on = g.unary(Function::Relu, biased).unwrap();
    let pooled = g.apply(Op::parse("max_pool2d", Attributes::new([])).unwrap(), &[on]).unwrap();
    let squares = g.unary(Function::Square, pooled).unwrap();
    let loss = g.mean(squares, &[0, 1, 2, 3], false).unwrap();
    let grads = cnnrs::passes::autodiff::differentiate(&mut g, loss, &[x, w, b], None).unwrap();
    let outputs = std::iter::once(loss).chain(grads.into_iter().flatten()).collect();
    g.set_outputs(outputs);
    let inputs = Rng::new(8).inputs(&g);
    (g, inputs)
}

fn bytes(outputs: Vec<Buffer>) -> Vec<u8> {
    outputs.iter().flat_map(|b| b.bytes().to_vec()).collect()
}

/// What `test` of `module`, which is a `module_path!()`, prints when it runs in a process of its own under `variables`.
fn apart(module: &str, test: &str, variables: &[(&str, &str)]) -> String {
    let (_, module) = module.split_once("::").unwrap();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("{module}::{test}"), "--nocapture"]).env("CNNRS_TEST_APART", "1");
    let done = command.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let failed = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}{failed}");
    said.lines().filter(|line| line.starts_with("bits ")).collect()
}

/// Whether this process runs one test for another one.
fn is_apart() -> bool {
    std::env::var_os("CNNRS_TEST_APART").is_some()
}
