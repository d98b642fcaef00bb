//! Which kernel runs each op. The compiler asks here for every new op.

mod conv2d;
mod data;
mod matmul;
mod pool2d;

use super::shader::{Dispatch, Module, Operand, WORKGROUP};
use crate::error::{Error, Integer, Result};
use crate::ops::Op;
use crate::shape::Fact;

/// One heavy or data op, to be lowered.
pub struct Task<'a> {
    /// What is computed.
    pub op: &'a Op,
    /// Facts of its inputs.
    pub inputs: &'a [Fact],
    /// Fact of its output.
    pub output: &'a Fact,
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
    Own(&'static str, Vec<Dispatch>),
}

/// Inputs of a concatenation that one dispatch reads.
const CONCATENATED: usize = 6;

/// The kernel of an op. Pointwise ops, reductions and views have none: regions and aliases serve them. Composites and
/// gradients are expanded before lowering.
///
/// # Errors
/// When the op has no kernel, or sizes do not fit.
pub fn of(task: &Task) -> Result<Kernel> {
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
        Op::ChannelStats(_) => return Ok(channel_stats(task)),
        Op::Gather(_) => data::gather(task)?,
        Op::ScatterAdd(_) => data::scatter_add(task)?,
        Op::OneHot(_) => data::one_hot(task)?,
        Op::ArgReduce(_) => data::arg_reduce(task)?,
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
    Ok(Kernel::Own("concat", dispatches))
}

fn channel_stats(task: &Task) -> Kernel {
    let shape = &task.inputs[0].shape;
    let channels = shape.last().copied().unwrap_or(0);
    let mut module = Module::new();
    module.constants(&[
        ("CHANNELS", channels),
        ("ROWS", shape.len() / channels.max(1)),
        ("WORKGROUP", WORKGROUP as usize),
    ]);
    module.loader("input0", Operand::Input(0), task.inputs[0].dtype);
    let output = module.bind(Operand::Output(0));
    module.add(&include_str!("channel_stats.wgsl").replace("OUTPUT", &output));
    let dispatches = if channels == 0 { Vec::new() } else { vec![module.finish(channels)] };
    Kernel::Own("channel_stats", dispatches)
}
