//! Lowering: kernels for every group. Heavy and data ops take their element-by-element form, into which prologues and
//! epilogues are spliced; what such a form cannot carry runs as a step of its own.

pub mod candidates;
mod functions;
mod library;
mod region;
pub mod shader;

use super::exec::program::GpuProgram;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fusion::region::Region;
use crate::fusion::{Fusion, Group};
use crate::graph::Graph;
use crate::reserve;
use crate::schedule::{Packed, PlanOptions, Step, StepCode, copies, origin, schedule};
use crate::shape::Fact;
use candidates::{Anchor, Check, Kernel, Task};
use region::RegionText;
use shader::{Dispatch, Module, Operand, values_struct};
use std::ops::Range;

/// The code of one step.
pub struct StepKernels {
    /// The kernel of its op, or "region".
    pub name: &'static str,
    /// In order.
    pub dispatches: Vec<Dispatch>,
    /// What it checks.
    pub check: Option<Check>,
}

impl StepCode for StepKernels {
    fn workspace(&self) -> usize {
        0
    }

    fn packed(&self) -> &[Packed] {
        &[]
    }

    fn split_packing(&mut self) -> Self {
        // It is never asked, as it packs nothing.
        StepKernels { name: self.name, dispatches: Vec::new(), check: None }
    }
}

/// The program that runs the groups of `fusion`.
///
/// # Errors
/// When an op has no kernel, sizes overflow or memory runs out.
pub fn compile(g: &Graph, fusion: &Fusion, options: &PlanOptions) -> Result<GpuProgram> {
    let mut steps = Vec::with_capacity(fusion.groups.len());
    for group in &fusion.groups {
        reserve::check()?;
        lower(g, group, &mut steps)?;
    }
    for copy in copies(g, fusion, &steps) {
        let code = region_kernels(&copy.region);
        steps.push(copy.step(g, code));
    }
    GpuProgram::new(g, schedule(g, fusion, steps, options)?, options.checks)
}

fn lower(g: &Graph, group: &Group, steps: &mut Vec<Step<StepKernels>>) -> Result<()> {
    let Some(anchor) = group.anchor else {
        let region = group.region.as_ref().ok_or_else(|| Error::state("a group has neither anchor nor region"))?;
        let (inputs, outputs) = (group.inputs.clone(), group.outputs.clone());
        let code = region_kernels(region);
        // Only a single dispatch may write over what it reads.
        steps.push(match code.dispatches.len() {
            0 | 1 => Step::of_region(g, code, region, inputs, outputs, &group.nodes),
            _ => Step::new(g, code, inputs, outputs, &group.nodes),
        });
        return Ok(());
    };
    let node = g.node(anchor);
    let inputs: Vec<Fact> = node.inputs.iter().map(|&i| g.fact(i).clone()).collect();
    let task = Task { op: &node.op, inputs: &inputs, output: &node.fact };
    let named = |e: Error| e.at(node.origin.as_deref().unwrap_or(node.op.def().name()));
    let kernel = candidates::of(&task).map_err(named)?;
    let carried = |region: &Region| region.reductions.is_empty() && region.moments.is_empty();
    let attachable = matches!(kernel, Kernel::Elementwise(_)) && group.region.as_ref().is_none_or(carried);
    if !attachable && group.prologue.is_some() {
        return group.without_prologue(g)?.iter().try_for_each(|group| lower(g, group, steps));
    }
    if !attachable && group.region.is_some() {
        return group.without_region(g)?.iter().try_for_each(|group| lower(g, group, steps));
    }
    let code = match kernel {
        Kernel::Own(name, dispatches) => StepKernels { name, dispatches, check: None },
        Kernel::Elementwise(anchor) => attached(&task, &anchor, group),
    };
    let mut step = Step::new(g, code, group.inputs.clone(), group.outputs.clone(), &group.nodes);
    step.origin = node.origin.clone().or_else(|| origin(g, &group.nodes));
    steps.push(step);
    Ok(())
}

fn region_kernels(region: &Region) -> StepKernels {
    StepKernels { name: "region", dispatches: region::alone(region), check: None }
}

/// An op with its prologue and epilogue.
fn attached(task: &Task, anchor: &Anchor, group: &Group) -> StepKernels {
    let mut module = Module::new();
    let lead = task.inputs.len();
    let raw = |k: usize| if k == 0 && group.prologue.is_some() { "raw0".to_owned() } else { format!("input{k}") };
    for (k, fact) in task.inputs.iter().enumerate() {
        let before = group.prologue.as_ref().filter(|_| k == 0);
        module.loader(&raw(k), Operand::Input(k), before.map_or(fact.dtype, Region::anchor_dtype));
    }
    let mut after = lead;
    if let Some(prologue) = &group.prologue {
        let text = RegionText::new(&mut module, prologue, lead, "before");
        let (store, dtype) = prologue.stores[0];
        text.function(&mut module, "prologue", true, store, dtype);
        module.add("fn input0(at: u32) -> f32 { return prologue(at, raw0(at)); }");
        after += prologue.operands.len();
    }
    define(&mut module, task, anchor);
    let own = Region { stores: vec![(crate::fusion::region::Arg::Anchor, task.output.dtype)], ..Region::default() };
    let region = group.region.as_ref().unwrap_or(&own);
    RegionText::new(&mut module, region, after, "beside").stores(&mut module, Some(task.output.dtype));
    module.add("fn value(at: u32) -> Values { return attached(at, anchor(at)); }");
    let stores: Vec<(Operand, DType)> =
        region.stores.iter().enumerate().map(|(k, s)| (Operand::Output(k), s.1)).collect();
    let count = task.output.shape.len();
    let mut dispatches = Vec::new();
    if count > 0 {
        dispatches.push(module.elementwise(count, &stores));
    }
    if let Some(check) = anchor.check
        && count > 0
    {
        dispatches.push(witness(task, check));
    }
    StepKernels { name: anchor.name, dispatches, check: anchor.check }
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
fn witness(task: &Task, check: Check) -> Dispatch {
    let mut module = Module::new();
    module.loader("integer", Operand::Input(check.input), task.inputs[check.input].dtype);
    let status = module.bind(Operand::Status);
    module.add(&format!(
        "@compute @workgroup_size(1)\nfn main() {{\n  let found = atomicLoad(&{status}[0]);\n  \
         if (found > 0u) {{ atomicStore(&{status}[1], bitcast<u32>(integer(0xffffffffu - found))); }}\n}}"
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
