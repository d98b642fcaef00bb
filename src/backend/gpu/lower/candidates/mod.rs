//! Which kernel runs each op. The compiler asks here for every new op.

mod argsort;
mod conv2d;
mod data;
mod depthwise;
mod matmul;
mod pool2d;
mod product;
mod scan;
mod scatter;
mod winograd;

use super::attach::Attached;
use super::reduce;
use super::shader::Code;
use crate::backend::gpu::caps::{Caps, Halves, Tier};
use crate::dtype::DType;
use crate::error::{Error, Integer, Result};
use crate::ops::Op;
use crate::precision::Precision;
use crate::shape::Fact;

pub use product::{FORMS, Means};

/// The kernels that can be forced by name.
pub const NAMES: [&str; FORMS.len() + 3] = {
    let mut names = ["plain"; FORMS.len() + 3];
    let mut k = 0;
    while k < FORMS.len() {
        names[k] = FORMS[k].0;
        k += 1;
    }
    names[k] = depthwise::NAME;
    names[k + 1] = winograd::NAME;
    names
};

/// What a choice among kernels depends on besides the op.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The number of the device.
    pub number: usize,
    /// The device.
    pub caps: &'a Caps,
    /// The tier of kernels.
    pub tier: Tier,
    /// How products of layers of 16 bits run.
    pub halves: Halves,
    /// What kernels may do to sums of products.
    pub precision: Precision,
    /// The kernel to use where it fits, by name.
    pub forced: Option<&'a str>,
}

/// A kernel that fits an op with what is attached to it.
pub struct Candidate<'a> {
    /// The kernel's name.
    pub name: &'static str,
    /// About how many cycles of the device it takes.
    pub cost: f64,
    /// Makes its dispatches.
    pub build: Box<dyn Fn() -> Result<Code> + 'a>,
}

/// One heavy or data op, to be lowered.
pub struct Task<'a> {
    /// What is computed.
    pub op: &'a Op,
    /// Facts of its inputs.
    pub inputs: &'a [Fact],
    /// Fact of its output.
    pub output: &'a Fact,
    /// The type of 16 bits that a product may round its operands to.
    pub operands: Option<DType>,
}

impl Task<'_> {
    fn wrong_op(&self, kernel: &str) -> Error {
        Error::state(format!("the GPU kernel {kernel} was asked for {}", self.op.def().name()))
    }
}

/// What a step checks of integers that it reads.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What they stand for.
    pub what: Integer,
    /// Which input holds them.
    pub input: usize,
    /// How many classes or places there are.
    pub extent: usize,
}

/// The WGSL of an op: `fn anchor(at: u32)` gives element `at` of its output, and reads element `i` of input `k` by
/// `input<k>(i)`.
pub struct Anchor {
    /// The kernel's name.
    pub name: &'static str,
    /// Its text.
    pub text: String,
    /// Constants that the text reads.
    pub constants: Vec<(&'static str, usize)>,
    /// What it checks. The text says `report(position)` of what is bad.
    pub check: Option<Check>,
}

impl Anchor {
    fn new(name: &'static str, text: impl Into<String>) -> Self {
        Anchor { name, text: text.into(), constants: Vec::new(), check: None }
    }

    fn with(mut self, constants: &[(&'static str, usize)]) -> Self {
        self.constants.extend_from_slice(constants);
        self
    }

    fn checking(mut self, what: Integer, input: usize, extent: usize) -> Self {
        self.check = Some(Check { what, input, extent });
        self
    }
}

/// How an op becomes kernels.
pub enum Kernel {
    /// Element by element, so that regions can be attached.
    Elementwise(Anchor),
    /// By dispatches of its own.
    Own(&'static str, Code),
    /// By the host, in double precision: its inputs are copied there, and its output back.
    Host,
}

/// Inputs of a concatenation that one dispatch reads.
const CONCATENATED: usize = 6;

/// The kernel of an op. Pointwise ops, reductions and views have none: regions and aliases serve them. Composites and
/// gradients are expanded before lowering. A dispatch binds `room` bytes of one tensor at most.
///
/// # Errors
/// When the op has no kernel, or sizes do not fit.
pub fn of(task: &Task, room: usize) -> Result<Kernel> {
    Ok(Kernel::Elementwise(match task.op {
        Op::Input(_)
        | Op::Constant(_)
        | Op::Pointwise(_)
        | Op::Cast(_)
        | Op::Reduce(_)
        | Op::Reshape(_)
        | Op::BroadcastTo(_)
        | Op::StopGradient(_)
        | Op::Conv2dTranspose(_)
        | Op::Composite(_)
        | Op::Gradient(_) => data::none(task)?,
        Op::Transpose(_) => data::transpose(task)?,
        Op::Slice(_) => data::slice(task)?,
        Op::Pad(_) => data::pad(task)?,
        Op::Concat(_) if task.inputs.len() > CONCATENATED => return concat(task),
        Op::Concat(_) => data::concat(task, 0..task.inputs.len())?,
        Op::Iota(_) => data::iota(task)?,
        Op::MatMul(_) => matmul::anchor(task)?,
        Op::Conv2d(_) | Op::Conv2dInputGrad(_) | Op::Conv2dFilterGrad(_) => conv2d::anchor(task)?,
        Op::Pool2d(_) | Op::Pool2dGrad(_) | Op::MaxPool2dPick(_) => pool2d::anchor(task)?,
        Op::ChannelStats(_) => return Ok(channel_stats(task, room)),
        Op::Gather(_) => data::gather(task)?,
        Op::Scatter(_) => scatter::anchor(task)?,
        Op::Argsort(_) => return argsort::kernel(task),
        Op::Scan(_) => return scan::kernel(task),
        Op::OneHot(_) => data::one_hot(task)?,
        Op::ArgReduce(_) => data::arg_reduce(task)?,
        Op::Linalg(_) | Op::Fft(_) | Op::NonMaxSuppression(_) => return Ok(Kernel::Host),
        Op::Random(_) => data::random(task)?,
    }))
}

/// A concatenation of more inputs than one dispatch binds.
fn concat(task: &Task) -> Result<Kernel> {
    let mut dispatches = Vec::new();
    for first in (0..task.inputs.len()).step_by(CONCATENATED) {
        let inputs = first..(first + CONCATENATED).min(task.inputs.len());
        let anchor = data::concat(task, inputs.clone())?;
        dispatches.extend(super::elementwise(task, &anchor, inputs));
    }
    Ok(Kernel::Own("concat", Code::new(dispatches, 0)))
}

fn channel_stats(task: &Task, room: usize) -> Kernel {
    let shape = &task.inputs[0].shape;
    let channels = shape.last().copied().unwrap_or(0);
    let rows = shape.len() / channels.max(1);
    Kernel::Own("channel_stats", reduce::channel_stats(rows, channels, task.inputs[0].dtype, room))
}

/// Whether tiles would compute the op, were it not for the elements of 8 or 16 bits that are attached to be stored: those
/// need columns in fours.
///
/// # Errors
/// When sizes do not fit.
pub fn stores_hold_back(attached: &Attached, context: &Context) -> Result<bool> {
    if context.tier < Tier::Tiled || attached.stores_words() {
        return Ok(false);
    }
    let products = match attached.task.op {
        Op::MatMul(_) => matmul::products(attached)?,
        Op::Conv2d(_) | Op::Conv2dInputGrad(_) | Op::Conv2dFilterGrad(_) => conv2d::products(attached)?,
        _ => return Ok(false),
    };
    Ok(!products.iter().all(|product| product.stores_quads))
}

/// The kernel that runs a heavy op faster than element by element, if there is one: the one that is forced, or else the one
/// that `timed` names (which may be "plain"), or else the cheapest of those that a device or a user lets run.
///
/// # Errors
/// When sizes do not fit; those of `timed`.
pub fn fastest(
    attached: &Attached,
    context: &Context,
    timed: impl FnOnce(&[Candidate]) -> Result<Option<String>>,
) -> Result<Option<(&'static str, Code)>> {
    if context.forced == Some("plain") {
        return Ok(None);
    }
    let mut found = match attached.task.op {
        Op::MatMul(_) => product::candidates(attached, context, || matmul::products(attached))?,
        Op::Conv2d(_) | Op::Conv2dInputGrad(_) | Op::Conv2dFilterGrad(_) => {
            let mut found = product::candidates(attached, context, || conv2d::products(attached))?;
            found.extend(depthwise::candidate(attached, context)?);
            found.extend(winograd::candidate(attached, context)?);
            found
        }
        _ => Vec::new(),
    };
    let is_forced = context.forced.is_none() && product::keep_forced(&mut found, context.halves);
    let timed = if context.forced.is_none() && !found.is_empty() { timed(&found)? } else { None };
    if timed.as_deref() == Some("plain") {
        return Ok(None);
    }
    let named = |name: Option<&str>| found.iter().find(|c| Some(c.name) == name);
    let cheapest = || found.iter().min_by(|a, b| a.cost.total_cmp(&b.cost));
    let chosen = named(context.forced.or(timed.as_deref())).or_else(|| match context.tier {
        Tier::Plain => None,
        _ if is_forced => cheapest(),
        Tier::Tiled => cheapest(),
        Tier::Winograd => named(Some(winograd::NAME)).or_else(cheapest),
        Tier::Auto => cheapest().filter(|c| c.cost < plain_cost(attached, context)),
    });
    chosen.map(|c| Ok((c.name, (c.build)()?))).transpose()
}

/// About how many cycles of the device an op takes element by element.
fn plain_cost(attached: &Attached, context: &Context) -> f64 {
    let task = &attached.task;
    let elements = task.output.shape.len();
    let summands = task.op.def().flops(task.inputs, task.output) / 2 / elements.max(1) as u64;
    product::plain_cost(elements, summands as usize, &context.caps.speed())
}
