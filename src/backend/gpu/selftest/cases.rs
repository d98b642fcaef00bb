//! The graphs of the self-test.

use super::super::Gpu;
use super::super::caps::{Halves, Tier};
use super::super::lower;
use crate::backend::device::{Backend, Control, Program, Slot};
use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::error::Result;
use crate::fusion;
use crate::graph::{Graph, NodeId, interpret};
use crate::ops::channel_stats::ChannelStats;
use crate::ops::conv2d::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad};
use crate::ops::matmul::MatMul;
use crate::ops::pointwise::Function;
use crate::ops::window::Padding;
use crate::ops::{Op, RefArray};
use crate::passes::{self, autodiff::differentiate};
use crate::schedule::{PlanOptions, Target};
use crate::shape::Fact;

/// The name that stands for the kernels of one element an invocation.
const PLAIN: &str = "plain";
/// Relative to the largest number of an output.
const TOLERANCE: f64 = 1e-4;
/// The same of kernels that round operands as the reference does: some hundred products in f32. Operands that are cut off
/// instead of rounded differ by more.
const HALF_TOLERANCE: f64 = 2e-5;

/// A graph with inputs and what it should give.
pub struct Case {
    name: &'static str,
    graph: Graph,
    inputs: Vec<RefArray>,
    expected: Vec<RefArray>,
    /// Whether kernels run on it that plans would not choose, each forced.
    forces: bool,
    /// Whether those that plans would choose run.
    chooses: bool,
    /// Runs of each.
    runs: usize,
    /// Relative to the largest finite number of an output.
    tolerance: f64,
}

impl Case {
    fn new(name: &'static str, build: impl FnOnce(&mut Graph) -> Result<Vec<NodeId>>) -> Result<Self> {
        let mut graph = Graph::new();
        let outputs = build(&mut graph)?;
        graph.set_outputs(outputs);
        let mut state = 12345u32;
        let mut number = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        };
        let array = |&i: &NodeId| RefArray::from_shape_simple_fn(&*graph.fact(i).shape, &mut number);
        let inputs: Vec<RefArray> = graph.inputs().iter().map(array).collect();
        Self::of(name, graph, inputs)
    }

    /// The graph on some inputs.
    fn of(name: &'static str, graph: Graph, inputs: Vec<RefArray>) -> Result<Self> {
        let expected = interpret(&graph, &inputs)?;
        let (chooses, tolerance) = (true, TOLERANCE);
        Ok(Case { name, graph, inputs, expected, forces: false, chooses, runs: 1, tolerance })
    }

    /// On kernels of halves alone: the reference rounds operands as they do, so that sums agree as those of float32.
    fn of_halves(self) -> Self {
        Case { forces: true, chooses: false, tolerance: HALF_TOLERANCE, ..self }
    }

    /// With all kernels, each forced.
    fn forced(self) -> Self {
        Case { forces: true, ..self }
    }

    /// What a tier's kernels give that is wrong, if something is: `names` are those that can be forced.
    pub fn wrong(
        &self,
        number: usize,
        tier: Tier,
        halves: Halves,
        names: &[&str],
        spoil: &impl Fn(&str, &mut [f64]),
    ) -> Result<Option<String>> {
        let (tier, halves) = (tier.name(), halves.name());
        let target = Target { backend: "gpu", number, tier, halves, threads: 1, losses: 0 };
        let names = names.iter().filter(|_| self.forces);
        let chosen = self.chooses.then_some(None);
        for force in chosen.into_iter().chain(names.map(|name| Some(*name))) {
            let force_kernel = force.map(str::to_owned);
            let options = PlanOptions { target: Some(target), force_kernel, ..PlanOptions::default() };
            let graph = passes::run(&self.graph, &mut options.pass_context(&self.graph))?;
            let groups = fusion::fuse(&graph, &Gpu.limits(number)?, true, &[])?;
            let program = lower::compile(&graph, &groups, &options)?;
            let ran = |name: &str| program.steps().iter().any(|step| step.kernel == name);
            if force.is_some_and(|name| name != PLAIN && !ran(name)) {
                continue;
            }
            let slots = || {
                let slot = |x: &RefArray| {
                    let values: Vec<f32> = x.iter().map(|&v| v as f32).collect();
                    Ok(Slot::shared(Buffer::from_slice(x.shape(), &values)?))
                };
                self.inputs.iter().map(slot).collect::<Result<Vec<Slot>>>()
            };
            let kernel = force.unwrap_or("chosen");
            for _ in 0..self.runs {
                let run = program.run(&mut slots()?, &Control::new(&|| false))?;
                for (k, (value, expected)) in run.outputs.iter().zip(&self.expected).enumerate() {
                    let host = value.host()?;
                    let mut got: Vec<f64> = (0..host.fact().shape.len()).map(|at| host.number(at)).collect();
                    spoil(kernel, &mut got);
                    if let Some((at, a, b)) = self.off(&got, expected) {
                        return Ok(Some(format!(
                            "{} by {kernel}: element {at} of output {k} is {a}, expected {b}",
                            self.name
                        )));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The first number of an output that is wrong, with what it should be.
    fn off(&self, got: &[f64], expected: &RefArray) -> Option<(usize, f64, f64)> {
        let finite = expected.iter().filter(|v| v.is_finite());
        let scale = finite.fold(1e-3f64, |largest, v| largest.max(v.abs()));
        let same = |a: f64, b: f64| match b.is_finite() {
            true => (a - b).abs() <= self.tolerance * scale,
            false => a == b || (a.is_nan() && b.is_nan()),
        };
        let mut pairs = got.iter().zip(expected).enumerate();
        pairs.find(|&(_, (&a, &b))| !same(a, b)).map(|(at, (&a, &b))| (at, a, b))
    }
}

fn f32s(shape: &[usize]) -> Fact {
    Fact::new(shape, DType::F32)
}

/// A convolution between a prologue and an epilogue, with both gradients.
fn convolution(name: &'static str, conv: &Conv2d, x: [usize; 4], w: [usize; 4]) -> Result<Case> {
    Case::new(name, |g| {
        let [x, w, bias] = [&x[..], &w[..], &w[3..]].map(|shape| g.input(f32s(shape)));
        let before = g.unary(Function::Relu, x)?;
        let y = g.apply(conv.clone(), &[before, w])?;
        let biased = g.add(y, bias)?;
        let after = g.unary(Function::Tanh, biased)?;
        let loss = g.sum(after, &[0, 1, 2, 3], false)?;
        let gradients = differentiate(g, loss, &[x, w, bias], None)?;
        Ok(std::iter::once(after).chain(gradients.into_iter().flatten()).collect())
    })
}

/// All kernels but those of halves.
pub fn all() -> Result<Vec<Case>> {
    let conv = |strides: usize, groups: usize| Conv2d {
        strides: [strides; 2],
        dilation: [1, 1],
        padding: Padding::Same,
        groups,
    };
    let product = |name, transpose_a: bool, transpose_b: bool, [m, n, k]: [usize; 3]| {
        Case::new(name, move |g| {
            let a = g.input(f32s(&if transpose_a { [k, m] } else { [m, k] }));
            let b = g.input(f32s(&if transpose_b { [n, k] } else { [k, n] }));
            let bias = g.input(f32s(&[n]));
            let before = g.unary(Function::Relu, a)?;
            let y = g.apply(MatMul { transpose_a, transpose_b }, &[before, b])?;
            Ok(vec![g.add(y, bias)?])
        })
    };
    Ok(vec![
        product("matmul", false, false, [37, 52, 45])?.forced(),
        product("matmul of transposed matrices", true, true, [33, 20, 68])?.forced(),
        product("matmul of one row", false, false, [1, 70, 130])?.forced(),
        convolution("conv2d", &conv(1, 1), [2, 9, 7, 8], [3, 3, 8, 20])?.forced(),
        convolution("conv2d with strides", &conv(2, 1), [2, 9, 8, 5], [3, 3, 5, 7])?,
        convolution("depthwise conv2d", &conv(1, 12), [2, 8, 7, 12], [3, 3, 1, 12])?,
        Case::new("pooling", |g| {
            let x = g.input(f32s(&[2, 9, 8, 6]));
            let op = Op::parse("max_pool2d", crate::ops::Attributes::default())?;
            let y = g.apply(op, &[x])?;
            let loss = g.sum(y, &[0, 1, 2, 3], false)?;
            let gradients = differentiate(g, loss, &[x], None)?;
            Ok(std::iter::once(y).chain(gradients.into_iter().flatten()).collect())
        })?,
        Case::new("sums", |g| {
            let x = g.input(f32s(&[4, 33, 31, 9]));
            let stats = g.apply(ChannelStats, &[x])?;
            Ok(vec![stats, g.sum(x, &[0, 1, 2, 3], false)?, g.sum(x, &[3], false)?, g.sum(x, &[0], true)?])
        })?,
        Case::new("functions", |g| {
            let x = g.input(f32s(&[515]));
            let functions = [Function::Exp, Function::Tanh, Function::Sigmoid, Function::Erf, Function::Sin];
            functions.into_iter().map(|f| g.unary(f, x)).collect()
        })?,
    ])
}

/// `op` of operands that come from a layer of 16 bits, the first behind a ReLU, with a bias behind it.
fn narrow(name: &'static str, dtype: DType, op: impl Into<Op>, [a, b]: [&[usize]; 2], columns: usize) -> Result<Case> {
    let op = op.into();
    let case = Case::new(name, |g| {
        let [a, b, bias] = [a, b, &[columns]].map(|shape| g.input(f32s(shape)));
        let a = g.unary(Function::Relu, a)?;
        let [a, b] = [narrowed(g, a, dtype)?, narrowed(g, b, dtype)?];
        let y = g.apply(op, &[a, b])?;
        Ok(vec![g.add(y, bias)?])
    });
    Ok(case?.of_halves())
}

/// `x` as a layer of 16 bits gets it.
fn narrowed(g: &mut Graph, x: NodeId, dtype: DType) -> Result<NodeId> {
    let half = g.cast_loosely(x, dtype)?;
    g.cast(half, DType::F32)
}

/// Kernels that round operands to 16 bits: whether they round to the nearest, sum in float32, and say of what float16 does
/// not hold that it is infinite.
pub fn of_halves(float16: bool) -> Result<Vec<Case>> {
    let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
    let mut cases = Vec::new();
    for dtype in [DType::F16, DType::BF16].into_iter().filter(|&dtype| float16 || dtype == DType::BF16) {
        let product = |name, transpose_a, transpose_b, a: [usize; 2], b: [usize; 2], columns| {
            narrow(name, dtype, MatMul { transpose_a, transpose_b }, [&a, &b], columns)
        };
        let (x, w, y) = ([2usize, 9, 7, 8], [3usize, 3, 8, 20], [2usize, 9, 7, 20]);
        cases.extend([product("matmul", false, false, [37, 45], [45, 52], 52)?, extremes(dtype)?]);
        if dtype == DType::BF16 && float16 {
            // What reads operands and stores sums is the same for both.
            continue;
        }
        let input_grad = Conv2dInputGrad { conv: conv.clone(), size: [9, 7] };
        let filter_grad = Conv2dFilterGrad { conv: conv.clone(), kernel_size: [3, 3] };
        cases.extend([
            product("matmul of transposed matrices", true, true, [100, 33], [21, 100], 21)?,
            narrow("conv2d", dtype, conv.clone(), [&x, &w], w[3])?,
            narrow("gradient of images", dtype, input_grad, [&y, &w], x[3])?,
            narrow("gradient of filters", dtype, filter_grad, [&x, &y], w[3])?,
        ]);
    }
    Ok(cases)
}

/// Products of 6e4 and sums of thousands of 32, which float16 does not hold and float32 does; and operands of 1e5, which
/// float16 takes for infinite.
fn extremes(dtype: DType) -> Result<Case> {
    const INNER: usize = 4100;
    const ROWS: [f64; 4] = [32.0, 6e4, 1e5, -1e5];
    const COLS: [f64; 4] = [1.0, 6e4, 1.0, 0.0];
    let mut g = Graph::new();
    let [a, b] = [g.input(f32s(&[ROWS.len(), INNER])), g.input(f32s(&[INNER, COLS.len()]))];
    let [x, y] = [narrowed(&mut g, a, dtype)?, narrowed(&mut g, b, dtype)?];
    let product = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[x, y])?;
    g.set_outputs(vec![product]);
    // The first row and the first column are long sums, all others of two products: all of them exact in float32.
    let value = |value: f64, line: usize, k: usize| if line == 0 || k < 2 { value } else { 0.0 };
    let a = RefArray::from_shape_fn(vec![ROWS.len(), INNER], |at| value(ROWS[at[0]], at[0], at[1]));
    let b = RefArray::from_shape_fn(vec![INNER, COLS.len()], |at| value(COLS[at[1]], at[1], at[0]));
    Ok(Case::of("numbers beyond float16", g, vec![a, b])?.of_halves())
}

/// Products of several tiles and many blocks, again and again: one driver doubled sums, at random, that cooperative matrices
/// carry from block to block.
pub fn of_matrices() -> Result<Vec<Case>> {
    const RUNS: usize = 10;
    let matmul = MatMul { transpose_a: false, transpose_b: false };
    let case = narrow("matmul of many tiles", DType::F16, matmul, [&[290, 333], &[333, 264]], 264)?;
    Ok(vec![Case { runs: RUNS, ..case }])
}
