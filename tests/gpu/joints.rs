//! Regions that share a dispatch: the same bits as each alone, whatever their extents, and whole or absent.

use super::*;
use cnnrs::NodeId;
use cnnrs::plan::PlanOptions;

/// A graph of updates, with the pairs of an input and an output that may share memory.
#[derive(Default)]
struct Updates {
    g: Graph,
    outputs: Vec<NodeId>,
    donations: Vec<(usize, usize)>,
}

impl Updates {
    fn input(&mut self, shape: &[usize], dtype: DType) -> NodeId {
        self.g.input(Fact::new(shape, dtype))
    }

    /// Has `value` replace what `variable`, the last input but `behind`, was.
    fn assign(&mut self, behind: usize, value: NodeId) {
        self.donations.push((self.g.inputs().len() - 1 - behind, self.outputs.len()));
        self.outputs.push(value);
    }

    /// An update by Adam of a weight of `shape`, whose moments follow it, with one rate for all.
    fn adam(&mut self, shape: &[usize], rate: NodeId) {
        let dy = self.input(shape, DType::F32);
        self.adam_by(shape, rate, dy);
    }

    /// The same of a gradient that the run makes.
    fn adam_of_sum(&mut self, shape: &[usize], rate: NodeId) {
        let shapes: Vec<usize> = std::iter::once(40).chain(shape.iter().copied()).collect();
        let parts = self.input(&shapes, DType::F32);
        let dy = self.g.sum(parts, &[0], false).unwrap();
        self.adam_by(shape, rate, dy);
    }

    fn adam_by(&mut self, shape: &[usize], rate: NodeId, dy: NodeId) {
        let [w, m, v] = [0; 3].map(|_| self.input(shape, DType::F32));
        let g = &mut self.g;
        let toward = |g: &mut Graph, x: NodeId, target: NodeId, share: f64| {
            let d = g.sub(target, x).unwrap();
            let d = g.scale(d, share).unwrap();
            g.add(x, d).unwrap()
        };
        let squares = g.unary(Function::Square, dy).unwrap();
        let (m, v) = (toward(g, m, dy, 0.1), toward(g, v, squares, 0.001));
        let size = g.unary(Function::Abs, v).unwrap();
        let root = g.unary(Function::Sqrt, size).unwrap();
        let root = g.offset(root, 1e-7).unwrap();
        let step = g.div(m, root).unwrap();
        let step = g.mul(step, rate).unwrap();
        let w = g.sub(w, step).unwrap();
        [(2, w), (1, m), (0, v)].into_iter().for_each(|(behind, value)| self.assign(behind, value));
    }

    /// A moving value, toward one that is broadcast over all axes but the last.
    fn moving(&mut self, shape: &[usize], rate: NodeId) {
        let toward = self.input(&shape[shape.len().saturating_sub(1)..], DType::F32);
        let x = self.input(shape, DType::F32);
        let d = self.g.sub(toward, x).unwrap();
        let d = self.g.mul(d, rate).unwrap();
        let x = self.g.add(x, d).unwrap();
        self.assign(0, x);
    }

    /// A counter of integers, and one of halves.
    fn count(&mut self, shape: &[usize], _rate: NodeId) {
        for dtype in [DType::I32, DType::F16] {
            let x = self.input(shape, dtype);
            let wide = self.g.cast(x, DType::F32).unwrap();
            let more = self.g.offset(wide, 3.0).unwrap();
            let x = self.g.cast(more, dtype).unwrap();
            self.assign(0, x);
        }
    }

    fn compile(mut self) -> (Graph, Plan) {
        self.g.set_outputs(self.outputs);
        let target = Some(Gpu.target(0).unwrap());
        let options = PlanOptions { target, donations: self.donations, ..PlanOptions::default() };
        let plan = Plan::compile_on(&Gpu, &self.g, &options).unwrap_or_else(|e| panic!("{e}\n{}", self.g));
        (self.g, plan)
    }
}

/// Dispatches of a run, each of which has workgroups.
fn dispatches(plan: &Plan) -> usize {
    let numbers = plan.describe();
    let of = |line: &str| line.split_once(" ×")?.1.split_once(' ')?.0.parse::<usize>().ok();
    let told = numbers.lines().filter_map(of).sum();
    let workgroups: Vec<usize> = plan.steps().into_iter().flat_map(|step| step.chunks).collect();
    assert!(workgroups.len() == told && !workgroups.contains(&0), "{workgroups:?}\n{numbers}");
    told
}

type Make = fn(&mut Updates, &[usize], NodeId);
const KINDS: [Make; 4] = [Updates::adam, Updates::moving, Updates::count, Updates::adam_of_sum];

fn shape(rng: &mut Rng) -> Vec<usize> {
    const EXTENTS: [usize; 8] = [1, 2, 3, 4, 5, 8, 16, 33];
    (0..rng.below(4)).map(|_| EXTENTS[rng.below(8)]).collect()
}

/// Runs updates together and each alone, on the same numbers: inputs of a call are the rate and then those of each.
fn compare(rng: &mut Rng, made: &[(Make, Vec<usize>)]) -> (usize, usize) {
    let mut all = Updates::default();
    let rate = all.input(&[], DType::F32);
    made.iter().for_each(|(make, shape)| make(&mut all, shape, rate));
    let (g, together) = all.compile();
    let inputs = rng.inputs(&g);
    let given = |donated: bool| -> Vec<Slot> {
        let buffers = inputs.iter().zip(g.inputs()).map(|(x, &i)| to_buffer(x, g.fact(i)));
        buffers.map(if donated { Slot::donated } else { Slot::shared }).collect()
    };
    let mut expected = Vec::new();
    let (mut alone, mut first) = (0, 1);
    for (make, shape) in made {
        let mut one = Updates::default();
        let rate = one.input(&[], DType::F32);
        make(&mut one, shape, rate);
        let (g, plan) = one.compile();
        let own = std::iter::once(&inputs[0]).chain(&inputs[first..first + g.inputs().len() - 1]);
        let slots = own.zip(g.inputs()).map(|(x, &i)| Slot::shared(to_buffer(x, g.fact(i))));
        expected.extend(plan.run(&mut slots.collect::<Vec<_>>(), &|| false).unwrap());
        alone += dispatches(&plan);
        first += g.inputs().len() - 1;
    }
    for donated in [false, true] {
        let got = together.run(&mut given(donated), &|| false).unwrap();
        for (k, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert_eq!(got.fact(), expected.fact());
            assert!(got.bytes() == expected.bytes(), "output {k}, donated: {donated}\n{}", together.describe());
        }
    }
    (dispatches(&together), alone)
}

#[test]
fn regions_in_one_dispatch_give_the_bits_of_each_alone() {
    if !is_asked() {
        return;
    }
    let mut rng = Rng::new(22);
    let (mut together, mut alone) = (0, 0);
    for _ in 0..12 {
        let made: Vec<(Make, Vec<usize>)> =
            (0..2 + rng.below(9)).map(|_| (KINDS[rng.below(4)], shape(&mut rng))).collect();
        let counts = compare(&mut rng, &made);
        together += counts.0;
        alone += counts.1;
    }
    assert!(is_apart() || together * 3 < alone * 2, "{together} dispatches instead of {alone}");
}

#[test]
fn as_many_bindings_as_one_update_has_give_the_same_bits() {
    if !is_asked() {
        return;
    }
    let test = "regions_in_one_dispatch_give_the_bits_of_each_alone";
    apart(module_path!(), test, &[("CNNRS_GPU_BINDINGS", "7"), ("CNNRS_GPU_SELFTEST", "never")]);
}

#[test]
fn updates_of_many_weights_take_as_few_dispatches_as_bindings_allow() {
    if !is_asked() {
        return;
    }
    let mut rng = Rng::new(23);
    let shapes: [&[usize]; 10] =
        [&[5, 5, 1, 6], &[6], &[5, 5, 6, 16], &[16], &[400, 120], &[120], &[120, 84], &[84], &[84, 10], &[10]];
    let made: Vec<(Make, Vec<usize>)> = shapes.iter().map(|shape| (KINDS[0], shape.to_vec())).collect();
    let (together, alone) = compare(&mut rng, &made);
    // Each reads a gradient and rewrites three tensors, which are bound once; one number is read by all.
    let of_one = (device::get(0).unwrap().facts.bindings.min(64 * 4) - 1) / 4;
    assert_eq!((together, alone), (10usize.div_ceil(of_one), 10));
}

#[test]
fn a_run_that_meets_bad_data_leaves_out_all_that_shares_the_commit_s_dispatches() {
    if !is_asked() {
        return;
    }
    let mut updates = Updates::default();
    let rate = updates.input(&[], DType::F32);
    let table = updates.input(&[4, 3], DType::F32);
    let at = updates.input(&[2], DType::I32);
    let rows = updates.g.apply(Gather { axis: 0 }, &[table, at]).unwrap();
    updates.outputs.push(rows);
    for shape in [&[7usize, 9][..], &[64], &[3]] {
        updates.adam(shape, rate);
        updates.moving(shape, rate);
    }
    let donations = updates.donations.clone();
    let (g, plan) = updates.compile();
    assert!(plan.describe().matches("in the dispatch above").count() >= 4, "{}", plan.describe());
    let mut inputs = Rng::new(24).inputs(&g);
    let value = |inputs: &[RefArray], i: usize| Value::from(to_buffer(&inputs[i], g.fact(g.inputs()[i])));
    let run = |inputs: &[RefArray], variables: Vec<Value>| -> (Vec<Slot>, cnnrs::Result<Vec<Value>>) {
        let mut slots: Vec<Slot> = (0..inputs.len()).map(|i| Slot::Shared(Arc::new(value(inputs, i)))).collect();
        for (&(i, _), variable) in donations.iter().zip(variables) {
            slots[i] = Slot::Donated(Some(variable));
        }
        let outputs = plan.run_values(&mut slots, &|| false);
        (slots, outputs)
    };
    let host = |values: &[Value]| -> Vec<Vec<u8>> {
        values.iter().map(|value| value.host().unwrap().bytes().to_vec()).collect()
    };
    let set = |inputs: &mut Vec<RefArray>, at: [f64; 2]| inputs[2] = array(&at);
    // The first run moves the variables to the device.
    set(&mut inputs, [0.0, 3.0]);
    let first = donations.iter().map(|&(i, _)| value(&inputs, i)).collect();
    let variables: Vec<Value> = run(&inputs, first).1.unwrap().into_iter().skip(1).collect();
    let before = host(&variables);
    set(&mut inputs, [0.0, 4.0]);
    let (slots, outcome) = run(&inputs, variables);
    assert!(outcome.map(drop).unwrap_err().to_string().contains("index 4 at position 1"));
    let kept = slots.into_iter().filter_map(|slot| match slot {
        Slot::Donated(value) => value,
        Slot::Shared(_) => None,
    });
    // Slots are in the order of inputs, donations in that of outputs.
    let mut order: Vec<usize> = (0..donations.len()).collect();
    order.sort_by_key(|&k| donations[k].0);
    let mut variables: Vec<(usize, Value)> = order.into_iter().zip(kept).collect();
    variables.sort_by_key(|variable| variable.0);
    let variables: Vec<Value> = variables.into_iter().map(|variable| variable.1).collect();
    assert_eq!(variables.len(), donations.len());
    let on_device: Vec<Vec<u8>> = host(&variables);
    assert!(on_device == before, "a run that failed has changed variables");
    set(&mut inputs, [1.0, 2.0]);
    let after: Vec<Value> = run(&inputs, variables).1.unwrap().into_iter().skip(1).collect();
    assert!(host(&after) != before);
}
