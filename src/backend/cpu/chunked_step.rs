//! Chunked kernels as steps of a plan.

use super::attach::Epilogue;
use super::chunked::{Args, ChunkedKernel, Shares};
use super::kernel::{Lowered, Phase, Section, Task};
use super::pointwise::attached::{AttachedTile, RegionTile};
use super::simd::Tier;
use crate::dtype::DType;
use crate::ops::pointwise::Function;
use crate::region::{Arg, Region};
use std::sync::Arc;

/// An epilogue that register tiles have compiled in: a bias per channel, then perhaps ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BiasRelu {
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
            [a] if a.function == Function::Add && adds_bias(&a.args) => Some(BiasRelu { relu: false }),
            [a, r]
                if a.function == Function::Add
                    && adds_bias(&a.args)
                    && r.function == Function::Relu
                    && r.args.as_slice() == [Arg::Result(0)] =>
            {
                Some(BiasRelu { relu: true })
            }
            _ => None,
        }
    }
}

/// What is attached to a kernel's output.
pub enum Attached {
    /// Nothing.
    Nothing,
    /// What register tiles have compiled in.
    BiasRelu(BiasRelu),
    /// A program over finished tiles.
    Region(Arc<RegionTile>),
}

/// What the kernel's task asks of its epilogue; `Err` says what is not supported.
pub fn attachments(task: &Task) -> Result<Attached, String> {
    if task.prologue.is_some() {
        return Err("takes no prologue".into());
    }
    let Some(region) = task.epilogue else { return Ok(Attached::Nothing) };
    if let Some(form) = BiasRelu::of(region) {
        return Ok(Attached::BiasRelu(form));
    }
    let tier = Tier::current().map_err(|e| e.to_string())?;
    let lanes = if task.images.output { tier.lanes() } else { 1 };
    Ok(Attached::Region(Arc::new(RegionTile::new(region, lanes, tier)?)))
}

/// A step that runs `kernel` on the operands numbered `inputs`; those of the epilogue begin at
/// `first_attachment`.
pub fn step(
    name: &'static str,
    kernel: Box<dyn ChunkedKernel>,
    inputs: [Option<usize>; 2],
    epilogue: Attached,
    first_attachment: usize,
) -> Lowered {
    let kernel: Arc<dyn ChunkedKernel> = Arc::from(kernel);
    let epilogue = Arc::new(epilogue);
    let last = kernel.phases() - 1;
    // The kernel's part of workspace and scratch comes first, the region's after it.
    let (mut workspace, mut scratch) = (kernel.workspace_len() * 4, kernel.scratch_len() * 4);
    let (partials, blocks) = (workspace.next_multiple_of(64), scratch.next_multiple_of(64));
    let mut combine = None;
    let section = kernel.shares().map(|shares| section(&shares, inputs, &epilogue, first_attachment));
    if let Attached::Region(region) = &*epilogue {
        let chunks = kernel.chunks(last);
        workspace = partials + region.partials(chunks);
        scratch = blocks + region.scratch();
        combine = region.combine(chunks, partials);
    }
    let mut phases: Vec<Phase> = (0..=last)
        .map(|phase| {
            let (held, epilogue) = (kernel.clone(), epilogue.clone());
            Phase::new(kernel.chunks(phase), move |operands, chunk, scratch| {
                let at = |i: Option<usize>| i.map_or(std::ptr::null(), |i| operands.input::<f32>(i));
                let run = |output: usize, epilogue: Epilogue| {
                    let args = Args {
                        inputs: [at(inputs[0]), at(inputs[1])],
                        output: operands.output(output),
                        workspace: operands.workspace.cast(),
                        prologue: None,
                        epilogue,
                    };
                    // SAFETY: the plan gives every step operands of its facts' sizes, workspace and scratch
                    // as large as asked for and aligned, and runs phases in order.
                    unsafe { held.run_chunk(phase, chunk, &args, scratch.cast()) };
                };
                match &*epilogue {
                    Attached::BiasRelu(BiasRelu { relu }) => {
                        run(0, Epilogue::Bias { bias: operands.input(first_attachment), relu: *relu });
                    }
                    Attached::Region(region) if phase == last => {
                        let partials = operands.workspace.wrapping_add(partials).cast();
                        let blocks = scratch.wrapping_add(blocks).cast();
                        // SAFETY: as above; this chunk's scratch is its own.
                        let hook = unsafe { AttachedTile::new(region, operands, first_attachment, partials, blocks) };
                        run(region.output(), Epilogue::Hook(&hook));
                    }
                    Attached::Region(region) => run(region.output(), Epilogue::None),
                    Attached::Nothing => run(0, Epilogue::None),
                }
            })
        })
        .collect();
    phases.extend(combine);
    Lowered { name, phases, workspace, scratch, section }
}

/// The section phase of a kernel with its epilogue, in the numbering of the task.
fn section(shares: &Shares, inputs: [Option<usize>; 2], epilogue: &Attached, first_attachment: usize) -> Section {
    let own = inputs.iter().zip(shares.inputs).filter_map(|(&i, by_share)| i.filter(|_| by_share));
    let (full, stores) = match epilogue {
        // The epilogue runs in the last phase, which is the section's where it writes the output.
        Attached::Region(region) if shares.output => (region.full_operands(first_attachment), region.stores()),
        _ => (0, u64::from(shares.output)),
    };
    Section {
        phase: shares.phase,
        images: shares.images,
        inputs: own.map(|i| 1 << i).sum::<u64>() | full,
        outputs: stores,
    }
}

/// A step that writes `len` zeros to its output: sums over nothing.
pub fn zeros(name: &'static str, len: usize) -> Lowered {
    let phase = Phase::new(1, move |operands, _, _| {
        // SAFETY: the output holds `len` floats; all bits 0 are 0.0.
        unsafe { operands.output::<f32>(0).write_bytes(0, len) };
    });
    Lowered { name, phases: vec![phase], workspace: 0, scratch: 0, section: None }
}
