//! Random graphs with fan-out, residuals, reductions and reused inputs: every pass and every plan
//! against the f64 interpreter, and gradients against central differences.
//!
//! `CNNRS_RANDOM_GRAPHS=2000 cargo test --release --test random_graphs` runs the long set.

use cnnrs::graph::interpret;
use cnnrs::ops::pointwise::Function;
use cnnrs::ops::reduce::ReduceKind;
use cnnrs::ops::{Attribute, Attributes, Op, RefArray};
use cnnrs::passes::{autodiff::differentiate, optimise};
use cnnrs::plan::{Plan, PlanOptions, Slot};
use cnnrs::{Buffer, DType, Fact, Graph, NodeId};

/// Numbers from a counter (SplitMix64), so that a failing seed can be run again.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Uniform in −1..1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

fn count(default: u64) -> u64 {
    std::env::var("CNNRS_RANDOM_GRAPHS").ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn op<const N: usize>(name: &str, attributes: [(&str, Attribute); N]) -> Op {
    Op::parse(name, Attributes::new(attributes.map(|(k, v)| (k.to_owned(), v)))).unwrap()
}

fn list(values: &[i64]) -> Attribute {
    Attribute::List(values.iter().map(|&v| Attribute::Int(v)).collect())
}

/// Images of a graph, and its channels. Under a limit on what a GPU binds there are so many images that work has to be cut,
/// and few of them begin where bindings may.
fn extents() -> (usize, [usize; 4]) {
    match std::env::var_os("CNNRS_GPU_BINDING_BYTES") {
        Some(_) => (40, [1, 3, 8, 16]),
        None => (2, [1, 3, 8, 17]),
    }
}

const H: usize = 5;
const W: usize = 4;

/// A graph of float values, bounded so that f32 and f64 stay comparable. `smooth` leaves out what
/// has kinks, for numeric differentiation.
fn random_graph(rng: &mut Rng, smooth: bool) -> (Graph, Vec<NodeId>) {
    let mut g = Graph::new();
    let (batch, channels) = extents();
    let channels = channels[rng.below(4)];
    let mut maps = vec![g.input(Fact::new([batch, H, W, channels], DType::F32))];
    let vector = g.input(Fact::new([channels], DType::F32));
    let filter = g.input(Fact::new([3, 3, channels, channels], DType::F32));
    let square = g.input(Fact::new([channels, channels], DType::F32));
    for _ in 0..3 + rng.below(10) {
        let x = maps[rng.below(maps.len())];
        let y = maps[rng.below(maps.len())];
        let next = match rng.below(if smooth { 12 } else { 16 }) {
            0 => g.add(x, y),
            1 => g.unary(Function::Tanh, x),
            2 => g.unary(Function::Sigmoid, x),
            3 => {
                let a = g.mul(x, vector).unwrap();
                g.add(a, y)
            }
            4 => {
                let a = g.mul(x, y).unwrap();
                g.unary(Function::Tanh, a)
            }
            5 => {
                let conv = g.apply(op("conv2d", [("padding", Attribute::Text("same".into()))]), &[x, filter]).unwrap();
                let scaled = g.scale(conv, 0.3).unwrap();
                let biased = g.add(scaled, vector).unwrap();
                if smooth { Ok(biased) } else { g.unary(Function::Relu, biased) }
            }
            6 => {
                let mean = g.mean(x, &[0, 1, 2], true).unwrap();
                let d = g.sub(x, mean).unwrap();
                let sq = g.unary(Function::Square, d).unwrap();
                let var = g.mean(sq, &[0, 1, 2], true).unwrap();
                let var = g.offset(var, 0.1).unwrap();
                let r = g.unary(Function::Rsqrt, var).unwrap();
                g.mul(d, r)
            }
            7 => {
                let rows = g.reshape(x, [batch * H * W, channels].into()).unwrap();
                let product = g.apply(op("matmul", []), &[rows, square]).unwrap();
                let product = g.unary(Function::Tanh, product).unwrap();
                g.reshape(product, [batch, H, W, channels].into())
            }
            8 => {
                let norm =
                    g.apply(op("batch_norm", [("epsilon", Attribute::Float(0.1))]), &[x, vector, vector]).unwrap();
                if smooth { Ok(norm) } else { g.unary(Function::Relu, norm) }
            }
            9 => {
                // Bare, so that what makes `x` may become its prologue.
                let conv = g.apply(op("conv2d", [("padding", Attribute::Text("same".into()))]), &[x, filter]).unwrap();
                g.scale(conv, 0.3)
            }
            10 => {
                // A value and its mean over everything, both on the way to the same place.
                let mean = g.mean(x, &[0, 1, 2, 3], true).unwrap();
                let d = g.sub(x, mean).unwrap();
                g.mul(d, y)
            }
            11 => {
                let e = g.unary(Function::Tanh, x).unwrap();
                let e = g.unary(Function::Exp, e).unwrap();
                let total = g.sum(e, &[1, 2], true).unwrap();
                g.div(e, total)
            }
            12 => g.unary(Function::Relu, x),
            13 => g.binary(Function::Maximum, x, y),
            14 => {
                let zero = g.constant(0.0, DType::F32).unwrap();
                let on = g.binary(Function::Greater, y, zero).unwrap();
                g.select(on, x, y)
            }
            _ => g.apply(
                op(
                    "max_pool2d",
                    [
                        ("pool_size", list(&[3, 3])),
                        ("strides", list(&[1, 1])),
                        ("padding", Attribute::Text("same".into())),
                    ],
                ),
                &[x],
            ),
        }
        .unwrap();
        maps.push(next);
    }
    let last = *maps.last().unwrap();
    let total = g.reduce(ReduceKind::Sum, last, &[0, 1, 2, 3], false).unwrap();
    let loss = g.scale(total, 0.01).unwrap();
    let mut outputs = vec![loss, maps[rng.below(maps.len())]];
    // Handles that somebody holds.
    outputs.extend((0..rng.below(4)).map(|_| maps[rng.below(maps.len())]));
    outputs.push(g.sum(last, &[0, 1, 2], false).unwrap());
    g.set_outputs(outputs);
    (g, vec![maps[0], vector, filter, square])
}

fn random_inputs(rng: &mut Rng, g: &Graph) -> Vec<RefArray> {
    g.inputs()
        .iter()
        .map(|&i| {
            let shape: Vec<usize> = g.fact(i).shape.to_vec();
            // f32 values, so that both engines start from the same numbers.
            RefArray::from_shape_simple_fn(shape, || f64::from(rng.unit() as f32))
        })
        .collect()
}

/// The largest difference, relative to the largest value.
fn error(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    // Not `max`, which would pass over NaN.
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / scale).fold(0.0, |m, e| if e <= m { m } else { e })
}

fn flat(a: &RefArray) -> Vec<f64> {
    a.iter().copied().collect()
}

fn run(g: &Graph, options: &PlanOptions, inputs: &[RefArray]) -> Vec<Vec<f32>> {
    let plan = Plan::compile(g, options).unwrap();
    assert_eq!(plan.taken_apart(), 0, "{}\n{g}", plan.describe());
    let mut slots: Vec<Slot> = inputs
        .iter()
        .map(|a| {
            let values: Vec<f32> = a.iter().map(|&v| v as f32).collect();
            Slot::shared(Buffer::from_slice(a.shape(), &values).unwrap())
        })
        .collect();
    plan.run(&mut slots, &|| false).unwrap().iter().map(|b| b.as_slice::<f32>().to_vec()).collect()
}

/// Adds the gradients of output 0 by all inputs to the outputs.
fn with_gradients(mut g: Graph, leaves: &[NodeId]) -> Graph {
    let mut outputs = g.outputs().to_vec();
    let grads = differentiate(&mut g, outputs[0], leaves, None).unwrap();
    outputs.extend(grads.into_iter().flatten());
    g.set_outputs(outputs);
    g
}

#[test]
fn passes_keep_what_graphs_mean() {
    for seed in 0..count(60) {
        let mut rng = Rng(seed);
        let (g, leaves) = random_graph(&mut rng, false);
        let inputs = random_inputs(&mut rng, &g);
        let g = with_gradients(g, &leaves);
        let composed = {
            let inlined = optimise(&g).unwrap();
            interpret(&inlined, &inputs).unwrap()
        };
        for (k, (a, b)) in composed.iter().zip(&interpret(&g, &inputs).unwrap()).enumerate() {
            let error = error(&flat(a), &flat(b));
            // Literals that simplification multiplies are rounded to float32 anew.
            assert!(error <= 2e-7, "seed {seed}, output {k}: {error:e}\n{g}");
        }
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    for seed in 0..count(25) {
        let mut rng = Rng(seed);
        let (g, leaves) = random_graph(&mut rng, true);
        let inputs = random_inputs(&mut rng, &g);
        let forward = g.clone();
        let mut g = g;
        let loss = g.outputs()[0];
        let grads = differentiate(&mut g, loss, &leaves, None).unwrap();
        for (k, grad) in grads.into_iter().enumerate() {
            let Some(grad) = grad else { continue };
            g.set_outputs(vec![grad]);
            let grad = flat(&interpret(&g, &inputs).unwrap()[0]);
            for _ in 0..3 {
                let at = rng.below(grad.len());
                let value = |delta: f64| {
                    let mut moved = inputs.clone();
                    *moved[k].iter_mut().nth(at).unwrap() += delta;
                    interpret(&forward, &moved).unwrap()[0].sum()
                };
                let expected = (value(1e-5) - value(-1e-5)) / 2e-5;
                let error = (grad[at] - expected).abs();
                assert!(
                    error <= 1e-6 * (1.0 + expected.abs()),
                    "seed {seed}, input {k}[{at}]: {} {expected}",
                    grad[at]
                );
            }
        }
    }
}

#[test]
fn plans_agree_with_the_interpreter_fused_and_unfused() {
    for seed in 0..count(60) {
        let mut rng = Rng(1000 + seed);
        let (g, leaves) = random_graph(&mut rng, false);
        let inputs = random_inputs(&mut rng, &g);
        let g = with_gradients(g, &leaves);
        let expected = interpret(&g, &inputs).unwrap();
        for options in [PlanOptions::default(), PlanOptions { fuse: false, ..PlanOptions::default() }] {
            for (k, (a, b)) in run(&g, &options, &inputs).iter().zip(&expected).enumerate() {
                let a: Vec<f64> = a.iter().map(|&v| f64::from(v)).collect();
                let error = error(&a, &flat(b));
                assert!(error <= 2e-4, "seed {seed}, output {k}, fuse {}: {error:e}\n{g}", options.fuse);
            }
        }
    }
}
