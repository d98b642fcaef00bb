//! Chunked kernels as steps of a plan.

use super::attach::Epilogue;
use super::chunked::{Args, ChunkedKernel};
use super::kernel::{Lowered, Phase, Task};
use crate::dtype::DType;
use crate::ops::pointwise::Function;
use crate::region::{Arg, Region};
use std::sync::Arc;

/// An epilogue that register tiles have compiled in: a bias per channel, then perhaps ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BiasRelu {
    /// Whether a bias is added (the epilogue's only operand).
    pub bias: bool,
    /// Whether ReLU follows.
    pub relu: bool,
}

impl BiasRelu {
    /// Reads the form off a region, if it is that and nothing else.
    pub fn of(region: &Region) -> Option<Self> {
        let rank = region.shape.rank();
        if !region.reductions.is_empty() || region.stores.len() != 1 || region.code.is_empty() {
            return None;
        }
        let per_channel = |k: u16| {
            let o = region.operands.get(k as usize)?;
            let straight = o.strides.iter().enumerate().all(|(i, &s)| s == usize::from(i + 1 == rank));
            (o.dtype == DType::F32 && straight).then_some(())
        };
        let last = Arg::Result(region.code.len() as u16 - 1);
        if region.stores[0] != (last, DType::F32) || region.operands.len() > 1 {
            return None;
        }
        let adds_bias = |args: &[Arg]| match args {
            [Arg::Anchor, Arg::Operand(k)] | [Arg::Operand(k), Arg::Anchor] => per_channel(*k).is_some(),
            _ => false,
        };
        match region.code.as_slice() {
            [a] if a.function == Function::Add && adds_bias(&a.args) => Some(BiasRelu { bias: true, relu: false }),
            [a, r]
                if a.function == Function::Add
                    && adds_bias(&a.args)
                    && r.function == Function::Relu
                    && r.args.as_slice() == [Arg::Result(0)] =>
            {
                Some(BiasRelu { bias: true, relu: true })
            }
            _ => None,
        }
    }
}

/// What the kernel's task asks of its epilogue; `Err` says what is not supported.
pub fn attachments(task: &Task) -> Result<Option<BiasRelu>, String> {
    if task.prologue.is_some() {
        return Err("takes no prologue".into());
    }
    match task.epilogue {
        None => Ok(None),
        Some(region) => BiasRelu::of(region).map(Some).ok_or_else(|| "takes bias and ReLU only".into()),
    }
}

/// A step that runs `kernel` on the operands numbered `inputs`.
pub fn step(
    name: &'static str,
    kernel: Box<dyn ChunkedKernel>,
    inputs: [Option<usize>; 2],
    epilogue: Option<BiasRelu>,
    first_attachment: usize,
) -> Lowered {
    let kernel: Arc<dyn ChunkedKernel> = Arc::from(kernel);
    let phases = (0..kernel.phases())
        .map(|phase| {
            let held = kernel.clone();
            Phase::new(kernel.chunks(phase), move |operands, chunk, scratch| {
                let at = |i: Option<usize>| i.map_or(std::ptr::null(), |i| operands.input::<f32>(i));
                let epilogue = match epilogue {
                    Some(BiasRelu { bias: true, relu }) => {
                        Epilogue::Bias { bias: operands.input(first_attachment), relu }
                    }
                    _ => Epilogue::None,
                };
                let args = Args {
                    inputs: [at(inputs[0]), at(inputs[1])],
                    output: operands.output(0),
                    workspace: operands.workspace.cast(),
                    prologue: None,
                    epilogue,
                };
                // SAFETY: the plan gives every step operands of its facts' sizes, workspace and scratch
                // as large as asked for and aligned, and runs phases in order.
                unsafe { held.run_chunk(phase, chunk, &args, scratch.cast()) };
            })
        })
        .collect();
    Lowered { name, phases, workspace: kernel.workspace_len() * 4, scratch: kernel.scratch_len() * 4 }
}

/// A step that writes `len` zeros to its output: sums over nothing.
pub fn zeros(name: &'static str, len: usize) -> Lowered {
    let phase = Phase::new(1, move |operands, _, _| {
        // SAFETY: the output holds `len` floats; all bits 0 are 0.0.
        unsafe { operands.output::<f32>(0).write_bytes(0, len) };
    });
    Lowered { name, phases: vec![phase], workspace: 0, scratch: 0 }
}
