//! Checks that tests of all ops share: plans against the interpreter, gradients against central
//! differences.

use crate::backend::cpu::Cpu;
use crate::backend::cpu::lower::candidates;
use crate::backend::device::Backend;
use crate::buffer::{Buffer, Element, with_element};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, NodeId, interpret};
use crate::ops::RefArray;
use crate::ops::channel_stats::ChannelStats;
use crate::ops::pointwise::Function;
use crate::passes::autodiff::differentiate;
use crate::plan::{Plan, PlanOptions, Slot};
use crate::shape::Fact;

/// A property test of `count` cases, the same in every run. `PROPTEST_CASES` and `PROPTEST_RNG_SEED` ask for others, as
/// `make test-long` does.
#[cfg(test)]
pub(crate) fn cases(count: u32) -> proptest::test_runner::Config {
    use proptest::test_runner::{Config, RngSeed};

    let config = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { count };
    let rng_seed = if config.rng_seed == RngSeed::Random { RngSeed::Fixed(0) } else { config.rng_seed };
    Config { cases, rng_seed, failure_persistence: None, ..config }
}

/// Numbers from a counter (SplitMix64), so that a failing seed can be run again.
pub struct Rng(u64);

impl Rng {
    /// Numbers that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Uniform in −1..1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Values for an input of `fact`: floats in −1..1 that f32 holds exactly, small integers.
    pub fn array(&mut self, fact: &Fact) -> RefArray {
        RefArray::from_shape_simple_fn(&*fact.shape, || match fact.dtype {
            DType::Bool => self.below(2) as f64,
            DType::U8 => self.below(256) as f64,
            float if float.is_float() => float.round(self.unit()),
            integer => match integer.range() {
                Some((0, _)) => self.below(7) as f64,
                _ => self.below(7) as f64 - 3.0,
            },
        })
    }

    /// Values for all inputs of `g`.
    pub fn inputs(&mut self, g: &Graph) -> Vec<RefArray> {
        g.inputs().iter().map(|&i| self.array(g.fact(i))).collect()
    }
}

/// A buffer of `fact` holding the values of `array`.
pub fn to_buffer(array: &RefArray, fact: &Fact) -> Buffer {
    let shape = &*fact.shape;
    with_element!(fact.dtype, T => {
        let elements: Vec<T> = array.iter().map(|&v| T::of_number(v)).collect();
        Buffer::from_slice(shape, &elements)
    })
    .map(|buffer| buffer.with_fact(fact.clone()))
    .expect("test arrays fit their facts")
}

/// The values of a buffer.
pub fn to_values(buffer: &Buffer) -> Vec<f64> {
    (0..buffer.fact().shape.len()).map(|at| buffer.number(at)).collect()
}

/// The values of a buffer, in its shape.
pub fn to_array(buffer: &Buffer) -> RefArray {
    RefArray::from_shape_vec(&*buffer.fact().shape, to_values(buffer)).expect("a buffer has its shape's elements")
}

/// Outputs of `g` run as a plan.
pub fn run_plan(g: &Graph, options: &PlanOptions, inputs: &[RefArray]) -> Vec<Buffer> {
    let plan = Plan::compile(g, options).unwrap_or_else(|e| panic!("{e}\n{g}"));
    run(&plan, g, inputs)
}

fn run(plan: &Plan, g: &Graph, inputs: &[RefArray]) -> Vec<Buffer> {
    let mut slots: Vec<Slot> =
        inputs.iter().zip(g.inputs()).map(|(a, &i)| Slot::shared(to_buffer(a, g.fact(i)))).collect();
    plan.run(&mut slots, &|| false).unwrap_or_else(|e| panic!("{e}\n{g}"))
}

/// Checks `g` as a plan, fused and unfused, against the interpreter on random inputs. Tolerance is
/// relative to the largest value of each output.
pub fn check_plan(g: &Graph, rng: &mut Rng, tolerance: f64) {
    let inputs = rng.inputs(g);
    check_plan_on(g, &inputs, tolerance);
}

/// Like [`check_plan`], on given inputs.
pub fn check_plan_on(g: &Graph, inputs: &[RefArray], tolerance: f64) {
    let expected = interpret(g, inputs).unwrap_or_else(|e| panic!("{e}\n{g}"));
    for fuse in [true, false] {
        let options = PlanOptions { fuse, ..PlanOptions::default() };
        compare(g, &options, &run_plan(g, &options, inputs), &expected, tolerance);
    }
}

fn compare(g: &Graph, options: &PlanOptions, outputs: &[Buffer], expected: &[RefArray], tolerance: f64) {
    for (k, (got, expected)) in outputs.iter().zip(expected).enumerate() {
        let scale = expected.iter().fold(1.0f64, |m, v| if v.is_finite() { m.max(v.abs()) } else { m });
        for (e, (a, b)) in to_values(got).iter().zip(expected.iter()).enumerate() {
            let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * scale;
            assert!(same, "output {k}[{e}], {options:?}: plan {a}, reference {b}\n{g}");
        }
    }
}

/// Checks every CPU candidate of the op of `anchor` that supports its task against the interpreter, each
/// forced by name, fused and unfused; returns the names of those that ran.
pub fn check_candidates(g: &Graph, anchor: NodeId, rng: &mut Rng, tolerance: f64) -> Vec<&'static str> {
    let inputs = rng.inputs(g);
    let expected = interpret(g, &inputs).unwrap_or_else(|e| panic!("{e}\n{g}"));
    let mut ran = Vec::new();
    for kernel in candidates::of(&g.node(anchor).op, g.is_plain(anchor)) {
        for fuse in [true, false] {
            let target = Some(Cpu.target(0).unwrap_or_else(|e| panic!("{e}")));
            let force_kernel = Some(kernel.name().to_owned());
            let options = PlanOptions { fuse, force_kernel, target, ..PlanOptions::default() };
            let plan = Plan::compile(g, &options).unwrap_or_else(|e| panic!("{e}\n{g}"));
            // Another candidate runs where the forced one refuses.
            if plan.describe().split_whitespace().any(|word| word == kernel.name()) {
                ran.push(kernel.name());
                compare(g, &options, &run(&plan, g, &inputs), &expected, tolerance);
            }
        }
    }
    ran.dedup();
    ran
}

/// Work on input `x` of a heavy op that no kernel can leave out unseen: max(2x + 3, 0), which is not 0
/// where x is 0.
pub fn adversarial_prologue(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    let x = g.scale(x, 2.0)?;
    let x = g.offset(x, 3.0)?;
    g.unary(Function::Relu, x)
}

/// Work on output `y` of a heavy op: y · a + bias with an auxiliary tensor of y's shape, then per channel
/// the sums of the result and of its product with another, and the result's mean and variance. All four
/// become outputs.
pub fn adversarial_epilogue(g: &mut Graph, y: NodeId) -> Result<()> {
    let fact = g.fact(y).clone();
    let channels = fact.shape.last().copied().unwrap_or(1);
    let aux = g.input(fact.clone());
    let other = g.input(fact);
    let bias = g.input(Fact::new([channels], DType::F32));
    let z = g.mul(y, aux)?;
    let z = g.add(z, bias)?;
    let axes = g.all_but_last(z);
    let sum = g.sum(z, &axes, false)?;
    let product = g.mul(z, other)?;
    let product = g.sum(product, &axes, false)?;
    // Where channels are empty there is nothing to measure.
    let stats = (!g.fact(z).shape.is_empty()).then(|| g.apply(ChannelStats, &[z])).transpose()?;
    g.set_outputs([z, sum, product].into_iter().chain(stats).collect());
    Ok(())
}

/// Checks the gradients of `y` by `wrt` against central differences in f64, with a random weight on
/// each element of `y` so that `y` stands in mid-graph. Leaves the gradients as the graph's outputs.
pub fn check_gradients(g: &mut Graph, y: NodeId, wrt: &[NodeId], rng: &mut Rng) {
    let seed = g.input(g.fact(y).clone());
    let inputs = rng.inputs(g);
    let forward = {
        let mut f = g.clone();
        f.set_outputs(vec![y]);
        f
    };
    let grads = differentiate(g, y, wrt, Some(seed)).unwrap_or_else(|e| panic!("{e}\n{g}"));
    let weights = inputs[inputs.len() - 1].clone();
    let mut outputs = Vec::new();
    for (&w, grad) in wrt.iter().zip(grads) {
        let Some(grad) = grad else { continue };
        outputs.push(grad);
        g.set_outputs(vec![grad]);
        let got = interpret(g, &inputs).unwrap_or_else(|e| panic!("{e}\n{g}")).remove(0);
        let index = g.inputs().iter().position(|&i| i == w).expect("wrt are inputs");
        for _ in 0..4 {
            let at = rng.below(got.len().max(1));
            let Some(&got) = got.iter().nth(at) else { break };
            let value = |delta: f64| {
                let mut moved = inputs.clone();
                if let Some(v) = moved[index].iter_mut().nth(at) {
                    *v += delta;
                }
                let y = interpret(&forward, &moved).unwrap_or_else(|e| panic!("{e}")).remove(0);
                (&y * &weights).sum()
            };
            let expected = (value(1e-5) - value(-1e-5)) / 2e-5;
            let error = (got - expected).abs();
            assert!(
                error <= 1e-6 * (1.0 + expected.abs()),
                "input {index}[{at}]: gradient {got}, differences {expected}\n{g}"
            );
        }
    }
    g.set_outputs(outputs);
}
