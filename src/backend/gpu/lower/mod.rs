//! Lowering: kernels for every group. Heavy and data ops take their element-by-element form, into which prologues and
//! epilogues are spliced; what such a form cannot carry runs as a step of its own.

mod attach;
pub mod candidates;
mod contraction;
mod cut;
mod functions;
pub mod joints;
mod library;
mod matrices;
mod reduce;
mod region;
pub mod segments;
pub mod shader;
mod staging;
#[cfg(test)]
mod tests;
mod tune;
mod vector;

use super::caps::{Halves, Tier};
use super::device;
use super::exec::program::GpuProgram;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fusion::region::Region;
use crate::fusion::{Fusion, Group};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::reserve;
use crate::schedule::{Packed, PlanOptions, Step, StepCode, copies, origin, schedule};
use crate::shape::Fact;
use attach::Attached;
use candidates::{Anchor, Candidate, Check, Context, Kernel, Task};
use cut::Windows;
use joints::Joint;
use shader::{Code, Dispatch, Module, Operand, Packing, values_struct};
use std::ops::Range;

/// The code of one step.
pub struct StepKernels {
    /// The kernel of its op, or "region".
    pub name: &'static str,
    /// In order.
    pub dispatches: Vec<Dispatch>,
    /// What it checks.
    pub check: Option<Check>,
    /// Bytes that the dispatches share.
    pub workspace: usize,
    /// The input that the step reads in a form of its own.
    pub packed: Option<Packed>,
    /// What brings it into that form, in each run: none where the prelude has done so.
    pub packing: Vec<Dispatch>,
    /// What the host computes, instead of dispatches.
    pub host: Option<HostOp>,
    /// What the step computes, if that is a region and its one dispatch could be shared with others.
    region: Option<Region>,
    /// What its dispatches compute, if they are also those of steps behind this one.
    pub joint: Option<Joint>,
}

impl StepKernels {
    /// `code`, with nothing to check.
    fn new(name: &'static str, code: Code) -> Self {
        let Code { dispatches, workspace, packing } = code;
        let (packing, packed) = packing.map_or((Vec::new(), None), |p| (p.dispatches, Some(p.packed)));
        let (check, host, region, joint) = (None, None, None, None);
        StepKernels { name, dispatches, check, workspace, packed, packing, host, region, joint }
    }
}

/// An op that the host computes.
pub struct HostOp {
    /// The op.
    pub op: Op,
    /// Facts of its inputs.
    pub inputs: Vec<Fact>,
    /// Fact of its output.
    pub output: Fact,
}

impl StepCode for StepKernels {
    fn workspace(&self) -> usize {
        self.workspace
    }

    fn packed(&self) -> &[Packed] {
        self.packed.as_slice()
    }

    fn split_packing(&mut self) -> Self {
        let code = Code::new(std::mem::take(&mut self.packing), 0);
        StepKernels { packed: self.packed.clone(), ..StepKernels::new(self.name, code) }
    }
}

/// The program that runs the groups of `fusion`.
///
/// # Errors
/// When an op has no kernel, sizes overflow or memory runs out.
pub fn compile(g: &Graph, fusion: &Fusion, options: &PlanOptions) -> Result<GpuProgram> {
    let number = options.target.map_or(0, |target| target.number);
    let device = device::get(number)?;
    let caps = device.facts.caps;
    let tier = options.target.and_then(|target| Tier::parse(target.tier)).unwrap_or(Tier::Auto);
    let halves = options.target.and_then(|target| Halves::parse(target.halves)).unwrap_or(Halves::Auto);
    let forced = options.force_kernel.as_deref();
    let context = Context { number, caps: &caps, tier, halves, precision: options.precision, forced };
    refuse_plain(g, number)?;
    let mut steps = Vec::with_capacity(fusion.groups.len());
    for group in &fusion.groups {
        reserve::check()?;
        lower(g, group, &context, &mut steps)?;
    }
    for copy in copies(g, fusion, &steps) {
        let code = region_kernels(&copy.region, &context);
        steps.push(copy.step(g, code));
    }
    let mut schedule = schedule(g, fusion, steps, options)?;
    joints::join(&mut schedule);
    GpuProgram::new(g, schedule, options)
}

/// # Errors
/// `Type` when `g` computes on elements that the device's kernels have no lanes for.
fn refuse_plain(g: &Graph, number: usize) -> Result<()> {
    let live = g.live();
    let plain = |id: &NodeId| live[id.index()] && (g.is_plain(*id) || g.fact(*id).dtype.is_plain());
    let Some(id) = g.ids().find(plain) else { return Ok(()) };
    let node = g.node(id);
    let mut dtypes = node.inputs.iter().map(|&i| g.fact(i).dtype).chain([node.fact.dtype]);
    let dtype = dtypes.find(|dtype| dtype.is_plain()).unwrap_or(node.fact.dtype);
    let instead = if dtype.is_float() || !dtype.is_plain() { DType::F32 } else { DType::I32 };
    let what = node.op.def().name();
    let device = format!("device \"gpu:{number}\" does not compute {what} of {dtype}");
    let e = format!("{device}; cast to {instead}, or compute on the device \"cpu\"");
    Err(Error::dtype(e).at(node.origin.as_deref().unwrap_or(what)))
}

/// Adds the steps of a group.
fn lower(g: &Graph, group: &Group, context: &Context, steps: &mut Vec<Step<StepKernels>>) -> Result<()> {
    let Some(anchor) = group.anchor else {
        let region = group.region.as_ref().ok_or_else(|| Error::state("a group has neither anchor nor region"))?;
        let (inputs, outputs) = (group.inputs.clone(), group.outputs.clone());
        let code = region_kernels(region, context);
        // Of several dispatches none may write over what it reads, unless they are parts that read each its own.
        let in_place = region.reductions.is_empty() || code.dispatches.len() < 2;
        steps.push(match in_place {
            true => Step::of_region(g, code, region, inputs, outputs, &group.nodes),
            false => Step::new(g, code, inputs, outputs, &group.nodes),
        });
        return Ok(());
    };
    let node = g.node(anchor);
    let inputs: Vec<Fact> = node.inputs.iter().map(|&i| g.fact(i).clone()).collect();
    let task = Task { op: &node.op, inputs: &inputs, output: &node.fact, operands: node.operands };
    let named = |e: Error| e.at(node.origin.as_deref().unwrap_or(node.op.def().name()));
    let limit = context.caps.binding_bytes();
    let kernel = candidates::of(&task, limit).map_err(named)?;
    let attached = Attached::new(task, group);
    let mut in_turn = |groups: &[Group]| groups.iter().try_for_each(|group| lower(g, group, context, steps));
    match (&kernel, &group.region) {
        (Kernel::Own(..) | Kernel::Host, _) if group.prologue.is_some() => return in_turn(&group.without_prologue(g)?),
        (Kernel::Own(..) | Kernel::Host, Some(_)) => return in_turn(&group.without_region(g)?),
        (_, Some(region)) if !region.reductions.is_empty() => return in_turn(&group.without_region(g)?),
        (_, Some(region)) if !region.moments.is_empty() => return in_turn(&group.without_moments(g)?),
        (_, Some(_)) if candidates::stores_hold_back(&attached, context).map_err(named)? => {
            return in_turn(&group.without_region(g)?);
        }
        _ => {}
    }
    let task = &attached.task;
    let code = match kernel {
        Kernel::Own(name, code) => match cut::of_group(g, group, task, limit) {
            Some(parts) => in_parts(&parts, task, context),
            None => Ok(StepKernels::new(name, code)),
        },
        Kernel::Host => {
            let host = HostOp { op: node.op.clone(), inputs: inputs.clone(), output: node.fact.clone() };
            Ok(StepKernels { host: Some(host), ..StepKernels::new("host", Code::default()) })
        }
        Kernel::Elementwise(anchor) => {
            // A check tells the position of what is bad in the whole, and pieces alone know it.
            let rows = || cut::of_group(g, group, task, limit).filter(|_| anchor.check.is_none());
            let sums = || cut::of_sum(g, group, task, limit).filter(|_| anchor.check.is_none());
            if let Some(parts) = rows() {
                in_parts(&parts, task, context)
            } else if let Some(parts) = sums() {
                summed(&parts, &attached, context)
            } else if let Some(pieces) = cut::of_elements(g, group, task, limit) {
                Ok(in_pieces(&pieces, task, &anchor))
            } else {
                heavy(&attached, &anchor, context, |found| timed(g, group, &attached, &anchor, context, found))
            }
        }
    };
    let code = code.map_err(named)?;
    let mut step = Step::new(g, code, group.inputs.clone(), group.outputs.clone(), &group.nodes);
    step.origin = node.origin.clone().or_else(|| origin(g, &group.nodes));
    steps.push(step);
    Ok(())
}

fn region_kernels(region: &Region, context: &Context) -> StepKernels {
    let limit = context.caps.binding_bytes();
    let code = |parts: &[(Region, Windows)]| {
        let mut code = reduce::of_region(parts, limit);
        let stores = |(part, windows): &(Region, Windows)| {
            region::stores(part).map(|dispatch| Dispatch { windows: windows.clone(), ..dispatch })
        };
        code.dispatches.splice(0..0, parts.iter().filter_map(stores));
        code
    };
    let whole = match cut::of_region(region, limit) {
        None => code(&[(region.clone(), Windows::new())]),
        Some(parts) if parts.iter().any(|(part, _)| cut::sums_rows(part)) => code(&parts),
        Some(parts) => cut::joined(parts.into_iter().map(|part| (code(std::slice::from_ref(&part)), part.1))),
    };
    StepKernels { region: Some(region.clone()), ..StepKernels::new("region", whole) }
}

/// A heavy op by its fastest kernel; `timed` is asked as in [`candidates::fastest`].
fn heavy(
    attached: &Attached,
    anchor: &Anchor,
    context: &Context,
    timed: impl FnOnce(&[Candidate]) -> Result<Option<String>>,
) -> Result<StepKernels> {
    Ok(match candidates::fastest(attached, context, timed)? {
        Some((name, code)) => StepKernels::new(name, code),
        None => by_elements(attached, anchor),
    })
}

/// The code of parts of an op, none of which is timed, with what each binds, and the kernel's name.
fn parts(parts: &[cut::Part], whole: &Task, context: &Context) -> Result<(&'static str, Vec<(Code, Windows)>)> {
    let mut name = None;
    let code = |part: &cut::Part| {
        let task = Task { op: whole.op, inputs: &part.inputs, output: &part.output, operands: whole.operands };
        let kernels = match candidates::of(&task, context.caps.binding_bytes())? {
            Kernel::Elementwise(anchor) => heavy(&Attached::new(task, &part.group), &anchor, context, |_| Ok(None))?,
            Kernel::Own(name, code) => StepKernels::new(name, code),
            Kernel::Host => return Err(Error::state("a part of an op has no kernel of the op's kind")),
        };
        name.get_or_insert(kernels.name);
        let packing = kernels.packed.map(|packed| Packing { dispatches: kernels.packing, packed });
        let code = Code { packing, ..Code::new(kernels.dispatches, kernels.workspace) };
        Ok((code, part.windows.clone()))
    };
    let codes = parts.iter().map(code).collect::<Result<Vec<_>>>()?;
    Ok((name.unwrap_or("region"), codes))
}

/// An op whose parts make parts of the output.
fn in_parts(parts: &[cut::Part], whole: &Task, context: &Context) -> Result<StepKernels> {
    let (name, codes) = self::parts(parts, whole, context)?;
    Ok(StepKernels::new(name, cut::joined(codes.into_iter())))
}

/// An op whose parts make sums that are added up.
fn summed(parts: &[cut::Part], whole: &Attached, context: &Context) -> Result<StepKernels> {
    let (name, codes) = self::parts(parts, &whole.task, context)?;
    let mut module = Module::new();
    module.loader("sum", Operand::Sum, DType::F32);
    module.loader("part", Operand::Part, DType::F32);
    module.add("fn anchor(at: u32) -> f32 { return sum(at) + part(at); }");
    let last = whole.elementwise(module, false);
    Ok(StepKernels::new(name, cut::added_up(codes, whole.task.output.shape.len(), last)))
}

/// An op element by element, in pieces.
fn in_pieces(pieces: &[cut::Piece], whole: &Task, anchor: &Anchor) -> StepKernels {
    let code = |piece: &cut::Piece| {
        let task = Task { output: &piece.output, ..*whole };
        let kernels = by_elements(&Attached::of_piece(task, piece), anchor);
        (Code::new(kernels.dispatches, kernels.workspace), piece.windows.clone())
    };
    StepKernels { check: anchor.check, ..StepKernels::new(anchor.name, cut::joined(pieces.iter().map(code))) }
}

/// The name of the fastest of `found`, if a user asks that kernels are timed.
fn timed(
    g: &Graph,
    group: &Group,
    attached: &Attached,
    anchor: &Anchor,
    context: &Context,
    found: &[Candidate],
) -> Result<Option<String>> {
    if !tune::is_asked()? {
        return Ok(None);
    }
    let device = device::get(context.number)?;
    let plain = || by_elements(attached, anchor);
    let facts = |nodes: &[NodeId]| nodes.iter().map(|&n| g.fact(n).clone()).collect();
    let (inputs, outputs) = (facts(&group.inputs), facts(&group.outputs));
    let Task { op, operands, .. } = attached.task;
    let what = format!(
        "{op:?} {operands:?} {inputs:?} {outputs:?} {:?} {:?} {:?} {} {}",
        group.prologue,
        group.region,
        context.precision,
        context.tier.name(),
        context.halves.name()
    );
    tune::fastest(&tune::Question { device: &device, what, inputs, outputs, operands, plain: &plain }, found)
}

/// An op with what is attached to it, an element of its output an invocation.
fn by_elements(attached: &Attached, anchor: &Anchor) -> StepKernels {
    let mut dispatches = Vec::new();
    if !attached.task.output.shape.is_empty() {
        let mut module = Module::new();
        attached.inputs(&mut module, &[]);
        define(&mut module, &attached.task, anchor);
        dispatches.push(attached.elementwise(module, false));
        dispatches.extend(anchor.check.map(|check| witness(attached, check)));
    }
    let code = Code::new(dispatches, 0);
    StepKernels { check: anchor.check, ..StepKernels::new(anchor.name, code) }
}

/// Adds an anchor's text, with what it calls besides its inputs.
fn define(module: &mut Module, task: &Task, anchor: &Anchor) {
    module.constants(&anchor.constants);
    if anchor.check.is_some() {
        let status = module.bind(Operand::Status);
        // The least position wins, whatever the order of invocations.
        module.add(&format!("fn report(position: u32) {{ atomicMax(&{status}[0], 0xffffffffu - position); }}"));
    }
    if anchor.text.contains("output0(") {
        module.loader("output0", Operand::Output(0), task.output.dtype);
    }
    module.add(&anchor.text);
}

/// Says which integer was bad, behind the step that found where.
fn witness(attached: &Attached, check: Check) -> Dispatch {
    let mut module = Module::new();
    let (dtype, from) = (attached.task.inputs[check.input].dtype, attached.from(check.input));
    module.loader_by("integer", Operand::Input(check.input), dtype, -(from as i64));
    let (status, integers) = (module.bind(Operand::Status), module.bind(Operand::Input(check.input)));
    // What another piece has found is not among the integers of this one.
    module.add(&format!(
        "@compute @workgroup_size(1)\nfn main() {{\n  let found = atomicLoad(&{status}[0]);\n  \
         let position = 0xffffffffu - found;\n  \
         let is_own = position - {from}u < arrayLength(&{integers}) * {}u;\n  \
         if (found > 0u && is_own) {{ atomicStore(&{status}[1], bitcast<u32>(integer(position))); }}\n}}",
        4 / dtype.size()
    ));
    module.finish(1)
}

/// An op with nothing attached, of which a dispatch reads some inputs alone.
fn elementwise(task: &Task, anchor: &Anchor, inputs: Range<usize>) -> Option<Dispatch> {
    let count = task.output.shape.len();
    let mut module = Module::new();
    for k in inputs {
        module.loader(&format!("input{k}"), Operand::Input(k), task.inputs[k].dtype);
    }
    define(&mut module, task, anchor);
    module.add(&values_struct(&[task.output.dtype]));
    module.add("fn value(at: u32) -> Values { return Values(anchor(at)); }");
    (count > 0).then(|| module.elementwise(count, &[(Operand::Output(0), task.output.dtype)]))
}
