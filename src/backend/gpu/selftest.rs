//! Whether this device's driver computes what kernels say.
//!
//! Drivers translate kernels, and some translate some of them wrongly. So before a device is used for the first time, every
//! kernel runs on small graphs, with work attached on both sides, and is compared with the reference in double precision. The
//! highest tier of which all kernels agree is the one that plans take. The outcome is kept in a file, by adapter, driver and
//! version of this crate: the next process finds it there.

use super::adapter::Kind;
use super::caps::Tier;
use super::device::Device;
use super::found::{self, Found};
use super::lower::{self, candidates};
use crate::backend::device::{Backend, Control, Program, Slot};
use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fusion;
use crate::graph::{Graph, NodeId, interpret};
use crate::ops::channel_stats::ChannelStats;
use crate::ops::conv2d::Conv2d;
use crate::ops::matmul::MatMul;
use crate::ops::pointwise::Function;
use crate::ops::window::Padding;
use crate::ops::{Op, RefArray};
use crate::passes::{self, autodiff::differentiate};
use crate::schedule::{PlanOptions, Target};
use crate::shape::Fact;
use std::fmt::Write;

/// The variable that says when devices are tested: "auto" (each once for a driver, software not at all), "always", "never".
pub const SELFTEST_VARIABLE: &str = "CNNRS_GPU_SELFTEST";

/// What earlier processes found.
const FOUND: Found = Found("gpu-selftest");
/// The name that stands for the kernels of one element an invocation.
const PLAIN: &str = "plain";
/// Relative to the largest number of an output.
const TOLERANCE: f64 = 1e-4;

/// What is known of a device's kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The highest tier that plans may take; none if even the plain kernels are wrong.
    pub tier: Option<Tier>,
    /// How that is known, and what is wrong.
    pub text: String,
}

/// When devices are tested.
#[derive(Clone, Copy, PartialEq)]
enum When {
    Auto,
    Always,
    Never,
}

fn when() -> Result<When> {
    match std::env::var(SELFTEST_VARIABLE).unwrap_or_default().as_str() {
        "" | "auto" => Ok(When::Auto),
        "always" => Ok(When::Always),
        "never" => Ok(When::Never),
        other => Err(Error::value(format!(
            "{SELFTEST_VARIABLE}: expected \"auto\", \"always\" or \"never\", received {other:?}"
        ))),
    }
}

/// What is known of device `number`, tested now if nobody knows.
///
/// # Errors
/// `Value` when [`SELFTEST_VARIABLE`] can't be read; `Lost` when the device is lost meanwhile.
pub fn verdict(device: &Device, number: usize) -> Result<Verdict> {
    let highest = Tier::ALL[Tier::ALL.len() - 1].1;
    match when()? {
        When::Never => return Ok(Verdict { tier: Some(highest), text: "not tested".to_owned() }),
        When::Auto if device.facts.kind == Kind::Software => {
            return Ok(Verdict { tier: Some(highest), text: "not tested: it computes on the processor".to_owned() });
        }
        When::Auto => return known_or_tested(device, number),
        When::Always => {}
    }
    test(number, |_, _| {})
}

/// What an earlier process found of device `number`, or else this one.
///
/// # Errors
/// `Lost` when the device is lost meanwhile.
pub fn known_or_tested(device: &Device, number: usize) -> Result<Verdict> {
    if let Some(known) = read(&key(device)) {
        return Ok(known);
    }
    let verdict = test(number, |_, _| {})?;
    write(&key(device), &verdict);
    Ok(verdict)
}

/// Tests all tiers from the highest down, until all kernels of one agree with the reference. `spoil` may alter what a kernel
/// has made, for tests of this test.
///
/// # Errors
/// `Lost` when the device is lost meanwhile.
pub fn test(number: usize, spoil: impl Fn(&str, &mut [f64])) -> Result<Verdict> {
    let cases = cases()?;
    let mut text = String::new();
    for (name, tier) in Tier::ALL.into_iter().rev() {
        let wrong =
            cases.iter().map(|case| case.wrong(number, tier, &spoil)).find_map(Result::transpose).transpose()?;
        match wrong {
            None => {
                let _ = write!(text, "{name} kernels agree with the reference");
                return Ok(Verdict { tier: Some(tier), text });
            }
            Some(wrong) => {
                let _ = write!(text, "{name} kernels do not: {wrong}; ");
            }
        }
    }
    Ok(Verdict { tier: None, text })
}

/// A graph with inputs and what it should give.
struct Case {
    name: &'static str,
    graph: Graph,
    inputs: Vec<RefArray>,
    expected: Vec<RefArray>,
    /// Whether all kernels run on it, and not those alone that plans would choose.
    forces: bool,
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
        let expected = interpret(&graph, &inputs)?;
        Ok(Case { name, graph, inputs, expected, forces: false })
    }

    /// With all kernels, each forced.
    fn forced(self) -> Self {
        Case { forces: true, ..self }
    }

    /// What a tier's kernels give that is wrong, if something is.
    fn wrong(&self, number: usize, tier: Tier, spoil: &impl Fn(&str, &mut [f64])) -> Result<Option<String>> {
        let target = Target { backend: "gpu", number, tier: tier.name(), threads: 1, losses: 0 };
        let names = candidates::NAMES.iter().filter(|_| self.forces);
        for force in std::iter::once(None).chain(names.map(|name| Some(*name))) {
            let force_kernel = force.map(str::to_owned);
            let options = PlanOptions { target: Some(target), force_kernel, ..PlanOptions::default() };
            let graph = passes::run(&self.graph, &mut options.pass_context(&self.graph))?;
            let groups = fusion::fuse(&graph, &super::Gpu.limits(number)?, true, &[])?;
            let program = lower::compile(&graph, &groups, &options)?;
            let ran = |name: &str| program.steps().iter().any(|step| step.kernel == name);
            if force.is_some_and(|name| name != PLAIN && !ran(name)) {
                continue;
            }
            let inputs = self.inputs.iter().map(|x| {
                let values: Vec<f32> = x.iter().map(|&v| v as f32).collect();
                Ok(Slot::shared(Buffer::from_slice(x.shape(), &values)?))
            });
            let mut slots = inputs.collect::<Result<Vec<Slot>>>()?;
            let run = program.run(&mut slots, &Control::new(&|| false))?;
            for (k, (value, expected)) in run.outputs.iter().zip(&self.expected).enumerate() {
                let host = value.host()?;
                let mut got: Vec<f64> = (0..host.fact().shape.len()).map(|at| host.number(at)).collect();
                let kernel = force.unwrap_or("chosen");
                spoil(kernel, &mut got);
                let scale = expected.iter().fold(1e-3f64, |largest, v| largest.max(v.abs()));
                let off = |(a, b): (&f64, &f64)| (a - b).abs() > TOLERANCE * scale || a.is_nan();
                if let Some(at) = got.iter().zip(expected).position(off) {
                    let (a, b) = (got[at], expected.iter().nth(at).copied().unwrap_or_default());
                    return Ok(Some(format!(
                        "{} by {kernel}: element {at} of output {k} is {a}, expected {b}",
                        self.name
                    )));
                }
            }
        }
        Ok(None)
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

fn cases() -> Result<Vec<Case>> {
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

/// What a verdict holds for.
fn key(device: &Device) -> String {
    found::of(device)
}

/// The verdict of `key` that an earlier process has left: a tier and the text.
fn read(key: &str) -> Option<Verdict> {
    let line = FOUND.read(key)?;
    let (tier, text) = line.split_once('\t')?;
    let tier = if tier == "none" { None } else { Some(Tier::parse(tier)?) };
    Some(Verdict { tier, text: text.to_owned() })
}

fn write(key: &str, verdict: &Verdict) {
    let tier = verdict.tier.map_or("none", Tier::name);
    FOUND.write(key, &format!("{tier}\t{}", verdict.text.replace(['\t', '\n'], " ")));
}
