//! What a graph computes, as plans and in double precision.

use crate::expected::{Expected, Known};
use arbitrary::{Arbitrary, Unstructured};
use cnnrs::backend::cpu::exec::threads::set_num_threads;
use cnnrs::graph::interpret;
use cnnrs::ops::RefArray;
use cnnrs::plan::{Plan, PlanOptions, Slot};
use cnnrs::precision::Precision;
use cnnrs::testing::{Rng, to_buffer, to_values};
use cnnrs::{Buffer, DType, ErrorKind, Graph};

/// Elements of one graph's values, and operations, up to which it runs.
const MOST_ELEMENTS: u64 = 1 << 15;
const MOST_FLOPS: u64 = 1 << 20;

/// What an input holds where numbers are not ordinary.
const EDGES: [f64; 8] = [0.0, -0.0, 1e30, -1e30, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 65_504.0];

/// How a graph is compiled and run.
pub struct Settings {
    seed: u64,
    edges: bool,
    donate: bool,
    strict: bool,
    two_threads: bool,
}

impl Settings {
    /// From the first bytes.
    pub fn take(u: &mut Unstructured<'_>) -> Settings {
        let [seed, flags] = <[u8; 2]>::arbitrary(u).unwrap_or_default();
        let flag = |bit: u8| flags >> bit & 1 == 1;
        Settings {
            seed: u64::from(seed),
            edges: flag(0) && flag(1),
            donate: flag(2),
            strict: flag(3),
            two_threads: flag(4) && flag(5),
        }
    }

    /// Options for plans of `g`, still without a word on fusion.
    pub fn options(&self, g: &Graph) -> PlanOptions {
        let precision = if self.strict { Precision::Strict } else { Precision::Fast };
        PlanOptions {
            donations: if self.donate { donations(g) } else { Vec::new() },
            precision,
            ..PlanOptions::default()
        }
    }

    fn inputs(&self, g: &Graph) -> Vec<RefArray> {
        let mut rng = Rng::new(self.seed);
        let mut inputs = rng.inputs(g);
        for (array, &id) in inputs.iter_mut().zip(g.inputs()) {
            if self.edges && g.fact(id).dtype == DType::F32 {
                for v in array.iter_mut() {
                    if rng.below(4) == 0 {
                        *v = EDGES[rng.below(EDGES.len())] as f32 as f64;
                    }
                }
            }
        }
        inputs
    }
}

/// Each output with the first input of its fact that no output before it has. Inputs that many runs read stay.
fn donations(g: &Graph) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let constant = g.constant_nodes();
    for (k, &output) in g.outputs().iter().enumerate() {
        let free = |i: &usize| !constant[g.inputs()[*i].index()] && pairs.iter().all(|p| p.0 != *i);
        let fits = |i: &usize| g.fact(g.inputs()[*i]) == g.fact(output);
        pairs.extend((0..g.inputs().len()).filter(free).find(fits).map(|i| (i, k)));
    }
    pairs
}

/// Whether the graph is worth the time of interpreting it.
pub fn is_small(g: &Graph) -> bool {
    let work = g.ids().map(|id| (g.fact(id).shape.len() as u64, g.flops(id)));
    let (elements, flops) = work.fold((0u64, 0u64), |(e, f), (n, m)| (e.saturating_add(n), f.saturating_add(m)));
    elements <= MOST_ELEMENTS && flops <= MOST_FLOPS
}

/// Runs the plans of `g` and compares them with `plain`, the same graph before simplification, in double precision.
pub fn compare(settings: &Settings, g: &Graph, plain: &Graph, optimised: &Graph, plans: &[&Plan]) {
    let inputs = settings.inputs(g);
    let expected = match Expected::new(plain, &inputs, settings.seed) {
        Ok(expected) => expected,
        // Data that an op refuses. What simplification drops refuses nothing.
        Err(e) => {
            assert!(matches!(e.kind, ErrorKind::Value | ErrorKind::Index), "{e} ({:?})\n{g}", e.kind);
            return;
        }
    };
    let simplified = interpret(optimised, &inputs).unwrap_or_else(|e| panic!("{e}\n{g}\n{optimised}"));
    for (k, value) in simplified.iter().enumerate() {
        let values: Vec<f64> = value.iter().copied().collect();
        check(g, "the passes", k, &values, expected.output(k), false);
    }
    let donations = settings.options(g).donations;
    for (plan, name) in plans.iter().zip(["the plan without fusion", "the plan with fusion"]) {
        let outputs = run(g, plan, &inputs, &donations, 1);
        for (k, value) in outputs.iter().enumerate() {
            check(g, name, k, &to_values(value), expected.output(k), true);
        }
        if settings.two_threads {
            for (one, two) in outputs.iter().zip(&run(g, plan, &inputs, &donations, 2)) {
                let bits = |b: &Buffer| to_values(b).into_iter().map(f64::to_bits).collect::<Vec<_>>();
                assert_eq!(bits(one), bits(two), "{name} with 1 and 2 threads\n{g}");
            }
        }
    }
}

fn run(g: &Graph, plan: &Plan, inputs: &[RefArray], donations: &[(usize, usize)], threads: usize) -> Vec<Buffer> {
    set_num_threads(threads).expect("a number of threads");
    let donated = |i: usize| donations.iter().any(|d| d.0 == i);
    let mut slots: Vec<Slot> = inputs
        .iter()
        .zip(g.inputs())
        .enumerate()
        .map(|(i, (array, &id))| {
            let buffer = to_buffer(array, g.fact(id));
            if donated(i) { Slot::donated(buffer) } else { Slot::shared(buffer) }
        })
        .collect();
    plan.run(&mut slots, &|| false).unwrap_or_else(|e| panic!("{e}\n{g}\n{}", plan.describe()))
}

fn check(g: &Graph, what: &str, k: usize, values: &[f64], expected: Known<'_>, rounded: bool) {
    let (array, tolerance) = match expected {
        Known::Not => return,
        Known::Exactly(array) => (array, 0.0),
        Known::Within(array, tolerance) => (array, tolerance),
    };
    assert_eq!(values.len(), array.len(), "{what}, output {k}\n{g}");
    for (e, (&got, &want)) in values.iter().zip(array.iter()).enumerate() {
        // Exact values are f32 already, but for what lies outside its range.
        let want = if rounded && tolerance == 0.0 && g.fact(g.outputs()[k]).dtype.is_float() {
            f64::from(want as f32)
        } else {
            want
        };
        // Subnormal numbers are zeros in kernels.
        let tolerance = if rounded { tolerance.max(f64::from(f32::MIN_POSITIVE)) } else { tolerance };
        let same = got == want || (got.is_nan() && want.is_nan()) || (got - want).abs() <= tolerance;
        assert!(same, "{what}, output {k}[{e}]: {got}, expected {want} within {tolerance}\n{g}");
    }
}
