//! Chunked kernels as steps of a plan.

use crate::backend::cpu::kernel::{Lowered, Operands, Phase, RowShares, Section, Task};
use crate::backend::cpu::kernels::attach::{Epilogue, Finish, PackHook};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, FEW_THREADS, Shares};
use crate::backend::cpu::kernels::pointwise::attached::{AttachedTile, Reading, RegionTile, reading};
use crate::backend::cpu::kernels::prologue::{Affine, AffineForm};
use crate::dtype::DType;
use crate::fusion::region::{Arg, Region};
use crate::ops::pointwise::Function;
use crate::schedule::Packed;
use smallvec::SmallVec;
use std::sync::Arc;

/// An epilogue that register tiles have compiled in: a bias per channel, a residual and bounds, in this
/// order, of which some may be missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FinishForm {
    /// Operand that holds the bias.
    pub bias: Option<usize>,
    /// Operand that holds the residual.
    pub residual: Option<usize>,
    /// Bounds of the result, infinite where there are none.
    pub bounds: [f32; 2],
}

impl FinishForm {
    /// Reads the form off a region, if it is that and nothing else.
    pub fn of(region: &Region) -> Option<Self> {
        let sums = !region.reductions.is_empty() || !region.moments.is_empty();
        if sums || region.code.is_empty() || region.shape.rank() == 0 {
            return None;
        }
        let last = Arg::Result(region.code.len() as u16 - 1);
        if region.stores != [(last, DType::F32)] {
            return None;
        }
        let mut form = FinishForm { bias: None, residual: None, bounds: [f32::NEG_INFINITY, f32::INFINITY] };
        // Every instruction works on the result of the one before it.
        let mut value = Arg::Anchor;
        for (i, instruction) in region.code.iter().enumerate() {
            let other = match instruction.args.as_slice() {
                [x] if *x == value => None,
                [x, other] | [other, x] if *x == value => Some(*other),
                _ => return None,
            };
            match (instruction.function, other) {
                (Function::Add, Some(Arg::Operand(k))) => form.add(region, k as usize)?,
                (Function::Relu, None) => form.raise(0.0)?,
                (Function::Maximum, Some(Arg::Literal(bits))) => form.raise(f64::from_bits(bits) as f32)?,
                (Function::Minimum, Some(Arg::Literal(bits))) => form.lower(f64::from_bits(bits) as f32)?,
                _ => return None,
            }
            value = Arg::Result(i as u16);
        }
        Some(form)
    }

    fn add(&mut self, region: &Region, k: usize) -> Option<()> {
        let operand = region.operands.get(k)?;
        let unbounded = self.bounds == [f32::NEG_INFINITY, f32::INFINITY];
        let place = match reading(operand, &region.shape)? {
            Reading::Channel => &mut self.bias,
            Reading::Full => &mut self.residual,
            Reading::Scalar => return None,
        };
        (unbounded && operand.dtype == DType::F32 && place.is_none()).then(|| *place = Some(k))
    }

    /// The least result becomes `lo`. Bounds apply in order, so none may follow the upper one.
    fn raise(&mut self, lo: f32) -> Option<()> {
        let [least, greatest] = self.bounds;
        (greatest == f32::INFINITY && !lo.is_nan()).then(|| self.bounds[0] = least.max(lo))
    }

    fn lower(&mut self, hi: f32) -> Option<()> {
        (!hi.is_nan()).then(|| self.bounds[1] = self.bounds[1].min(hi))
    }

    /// The form with its operands of one run, of which the region's begin at `first`.
    pub fn bind(&self, operands: &Operands, first: usize) -> Finish {
        let at = |k: Option<usize>| k.map_or(std::ptr::null(), |k| operands.input(first + k));
        let [lo, hi] = self.bounds;
        Finish { bias: at(self.bias), residual: at(self.residual), lo, hi }
    }
}

/// What is attached to a kernel's output.
pub enum Attached {
    /// Nothing.
    Nothing,
    /// What register tiles have compiled in.
    Finish(FinishForm),
    /// A program over finished tiles.
    Region(Arc<RegionTile>),
}

/// What the kernel's task asks of its prologue; `Err` says what is not supported.
pub fn prologue(task: &Task) -> Result<Option<Affine>, String> {
    let Some(region) = task.prologue else { return Ok(None) };
    let form = AffineForm::of(region).ok_or("takes prologues that scale, shift and bound")?;
    Ok(Some(Affine::new(form, task.tier)))
}

/// What the kernel's task asks of its epilogue; `Err` says what is not supported. `residuals`: whether the
/// kernel adds a residual while it stores; else a program over finished tiles does.
pub fn epilogue(task: &Task, residuals: bool) -> Result<Attached, String> {
    let Some(region) = task.epilogue else { return Ok(Attached::Nothing) };
    if let Some(form) = FinishForm::of(region).filter(|form| residuals || form.residual.is_none()) {
        return Ok(Attached::Finish(form));
    }
    let tier = task.tier;
    let lanes = if task.blocked.output { tier.lanes() } else { 1 };
    Ok(Attached::Region(Arc::new(RegionTile::new(region, lanes, tier)?)))
}

/// Whether what is attached to the output of `task` works on any rows of it alone: it keeps no sums, which would show how
/// the rows are cut.
pub fn attaches_by_rows(task: &Task) -> bool {
    task.epilogue.is_none_or(|region| region.reductions.is_empty() && region.moments.is_empty())
}

/// A step that runs `kernel` on the operands numbered `inputs`, with the attachments of `task`.
pub fn step(
    name: &'static str,
    mut kernel: Box<dyn ChunkedKernel>,
    inputs: [Option<usize>; 2],
    task: &Task,
    prologue: Option<Affine>,
    epilogue: Attached,
) -> Lowered {
    // Sums that chunks keep are combined chunk by chunk: there the cut would show.
    let sums = matches!(&epilogue, Attached::Region(region) if region.partials(1) > 0);
    match task.by_rows {
        Some(RowShares { shares, .. }) => kernel.cut_by_rows(shares),
        None if !sums && task.threads > FEW_THREADS => kernel.recut(task.threads),
        None => {}
    }
    let first_prologue = task.inputs.len();
    let first_attachment = first_prologue + task.prologue.map_or(0, |region| region.operands.len());
    let kernel: Arc<dyn ChunkedKernel> = Arc::from(kernel);
    let epilogue = Arc::new(epilogue);
    let last = kernel.phases() - 1;
    let packed: SmallVec<[Packed; 1]> = inputs[1]
        .filter(|_| kernel.packed_len() > 0)
        .map(|operand| Packed { operand, bytes: kernel.packed_len() * 4, layout: kernel.packed_layout() })
        .into_iter()
        .collect();
    let packs = !packed.is_empty();
    // The kernel's part of workspace and scratch comes first, the region's after it.
    let (mut workspace, mut scratch) = (kernel.workspace_len() * 4, kernel.scratch_len() * 4);
    let (partials, blocks) = (workspace.next_multiple_of(64), scratch.next_multiple_of(64));
    let (mut combine, mut raw) = (None, 0);
    let section = kernel.shares().map(|shares| section(&shares, inputs, &epilogue, first_attachment));
    if let Attached::Region(region) = &*epilogue {
        let chunks = kernel.finishing_chunks();
        workspace = partials + region.partials(chunks);
        if region.output().is_none() {
            raw = workspace.next_multiple_of(64);
            workspace = raw + task.output.shape.len() * 4;
        }
        scratch = blocks + region.scratch();
        combine = region.combine(chunks, partials);
    }
    let mut phases: Vec<Phase> = (0..=last)
        .map(|phase| {
            let (held, epilogue) = (kernel.clone(), epilogue.clone());
            Phase::new(kernel.chunks(phase), move |operands, chunk, scratch| {
                let at = |i: Option<usize>| i.map_or(std::ptr::null(), |i| operands.input::<f32>(i));
                if packs && phase == 0 {
                    let args = Args {
                        inputs: [std::ptr::null(), at(inputs[1])],
                        output: std::ptr::null_mut(),
                        packed: operands.packed.first().map_or(std::ptr::null_mut(), |p| p.cast()),
                        workspace: std::ptr::null_mut(),
                        prologue: None,
                        epilogue: Epilogue::None,
                    };
                    // SAFETY: phase 0 of a kernel that packs reads input 1 and fills `packed`, which the plan
                    // gives it as large as asked for and aligned.
                    return unsafe { held.run_chunk(phase, chunk, &args, scratch.cast()) };
                }
                let prologue = prologue.map(|affine| affine.bind(operands, inputs[0].unwrap_or(0), first_prologue));
                let run = |output: Option<usize>, epilogue: Epilogue| {
                    let in_workspace = || operands.workspace.wrapping_add(raw).cast();
                    let args = Args {
                        inputs: [at(inputs[0]), at(inputs[1])],
                        output: output.map_or_else(in_workspace, |k| operands.output(k)),
                        packed: operands.packed.first().map_or(std::ptr::null_mut(), |p| p.cast()),
                        workspace: operands.workspace.cast(),
                        prologue: prologue.as_ref().map(|p| p as &dyn PackHook),
                        epilogue,
                    };
                    // SAFETY: the plan gives every step operands of its facts' sizes, workspace and scratch
                    // as large as asked for and aligned, and runs phases in order.
                    unsafe { held.run_chunk(phase, chunk, &args, scratch.cast()) };
                };
                match &*epilogue {
                    Attached::Finish(form) => run(Some(0), Epilogue::Finish(form.bind(operands, first_attachment))),
                    Attached::Region(region) if held.finishes(phase) => {
                        let partials = operands.workspace.wrapping_add(partials).cast();
                        let blocks = scratch.wrapping_add(blocks).cast();
                        // SAFETY: as above; this chunk's scratch is its own.
                        let hook = unsafe { AttachedTile::new(region, operands, first_attachment, partials, blocks) };
                        run(region.output(), Epilogue::Hook(&hook));
                    }
                    Attached::Region(region) => run(region.output(), Epilogue::None),
                    Attached::Nothing => run(Some(0), Epilogue::None),
                }
            })
        })
        .collect();
    phases.extend(combine);
    Lowered { name, phases, workspace, scratch, packed, section }
}

/// The section phase of a kernel with its epilogue, in the numbering of the task.
fn section(shares: &Shares, inputs: [Option<usize>; 2], epilogue: &Attached, first_attachment: usize) -> Section {
    let own = inputs.iter().zip(shares.inputs).filter_map(|(&i, by_share)| i.filter(|_| by_share));
    let (full, stores) = match epilogue {
        // The epilogue runs in the last phase, which is the section's where it writes the output.
        Attached::Region(region) if shares.output => (region.full_operands(first_attachment), region.stores()),
        Attached::Finish(FinishForm { residual: Some(k), .. }) if shares.output => (1 << (first_attachment + k), 1),
        _ => (0, u64::from(shares.output)),
    };
    Section {
        phase: shares.phase,
        images: shares.images,
        lanes: shares.lanes,
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
    Lowered { name, phases: vec![phase], workspace: 0, scratch: 0, packed: SmallVec::new(), section: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fusion::{Limits, fuse};
    use crate::graph::{Graph, NodeId};
    use crate::ops::compose::Activation;
    use crate::ops::conv2d::Conv2d;
    use crate::ops::window::Padding;
    use crate::passes::optimise;
    use crate::shape::Fact;

    /// The form of what `epilogue` puts behind a convolution; its arguments: graph, y, bias, residual.
    fn form(epilogue: impl Fn(&mut Graph, NodeId, NodeId, NodeId) -> NodeId) -> Option<FinishForm> {
        let mut g = Graph::new();
        let fact = |shape: &[usize]| Fact::new(shape, DType::F32);
        let (x, w) = (g.input(fact(&[2, 5, 5, 3])), g.input(fact(&[3, 3, 3, 8])));
        let (bias, residual) = (g.input(fact(&[8])), g.input(fact(&[2, 5, 5, 8])));
        let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
        let y = g.apply(conv, &[x, w]).unwrap();
        let y = epilogue(&mut g, y, bias, residual);
        g.set_outputs(vec![y]);
        let fusion = fuse(&optimise(&g).unwrap(), &Limits::default(), true, &[]).unwrap();
        let group = fusion.groups.iter().find(|group| group.anchor.is_some()).unwrap();
        FinishForm::of(group.region.as_ref().unwrap())
    }

    #[test]
    fn biases_residuals_and_bounds_are_recognised() {
        let infinite = f32::INFINITY;
        let relu = |g: &mut Graph, y| g.unary(Function::Relu, y).unwrap();
        let found = form(|g, y, bias, _| g.add(y, bias).unwrap()).unwrap();
        assert_eq!(found.bounds, [-infinite, infinite]);
        assert!(found.bias.is_some() && found.residual.is_none());
        let found = form(|g, y, bias, residual| {
            let y = g.add(y, bias).unwrap();
            let y = g.add(residual, y).unwrap();
            relu(g, y)
        });
        let found = found.unwrap();
        assert_eq!(found.bounds, [0.0, infinite]);
        assert!(found.bias.is_some() && found.residual.is_some() && found.bias != found.residual);
        let found = form(|g, y, bias, _| {
            let y = g.add(y, bias).unwrap();
            g.apply(Activation::Relu6, &[y]).unwrap()
        });
        assert_eq!(found.unwrap().bounds, [0.0, 6.0]);
        assert_eq!(form(|g, y, _, _| relu(g, y)).unwrap().bounds, [0.0, infinite]);
    }

    #[test]
    fn other_programs_are_not() {
        let relu = |g: &mut Graph, y| g.unary(Function::Relu, y).unwrap();
        // Bounds come last, and each operand once.
        assert_eq!(
            form(|g, y, bias, _| {
                let y = relu(g, y);
                g.add(y, bias).unwrap()
            }),
            None
        );
        assert_eq!(form(|g, y, bias, _| g.mul(y, bias).unwrap()), None);
        assert_eq!(
            form(|g, y, _, residual| {
                let z = g.add(y, residual).unwrap();
                g.add(z, residual).unwrap()
            }),
            None
        );
        assert_eq!(form(|g, y, _, _| g.offset(y, 3.0).unwrap()), None);
    }
}
