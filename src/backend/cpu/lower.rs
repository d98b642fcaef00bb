//! Lowering: a kernel for every group.
//!
//! A heavy op takes the cheapest candidate that supports it with its attachments; where none does,
//! the region runs as a step of its own behind the bare op.

use super::chains;
use super::images;
use super::kernel::{CpuKernel, InImages, Lowered, Task};
use super::pointwise::lower_region;
use super::simd::Tier;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Origin, unite};
use crate::passes::fuse::{Fusion, Group};
use crate::plan::PlanOptions;
use crate::region::{Arg, Operand, Region};
use crate::reserve;
use crate::shape::Fact;
use smallvec::SmallVec;

/// One step of a plan before its buffers have places.
pub struct Step {
    /// The code.
    pub kernel: Lowered,
    /// Values read, in the kernel's numbering.
    pub inputs: Vec<NodeId>,
    /// Values made, in the kernel's numbering.
    pub outputs: Vec<NodeId>,
    /// The graph output that this step copies its input to, if that is all it does.
    pub copies_output: Option<usize>,
    /// Whether the step is a region alone.
    pub is_region: bool,
    /// Who asked for it.
    pub origin: Origin,
    /// What it computes, for `describe()`.
    pub text: String,
    /// Floating-point operations of its nodes.
    pub flops: u64,
    /// Which of the values that the prelude makes the packed operands are; `None` if this step packs them.
    pub packed_at: Option<SmallVec<[usize; 1]>>,
    /// Inputs that are read in more than one way, or not element by element.
    scattered: Vec<NodeId>,
}

impl Step {
    /// Bytes of the packed operands that the run itself must have.
    pub fn packed_in_run(&self) -> impl Iterator<Item = usize> + '_ {
        self.kernel.packed.iter().filter(|_| self.packed_at.is_none()).map(|p| p.bytes)
    }

    /// Takes the packing out: a step of its own, which leaves the packed operands where the values of the prelude
    /// are that `at` names.
    pub fn split_packing(&mut self, at: SmallVec<[usize; 1]>) -> Step {
        self.packed_at = Some(at.clone());
        let packed = self.kernel.packed.clone();
        if let Some(section) = &mut self.kernel.section {
            section.phase -= 1;
        }
        let phases = vec![self.kernel.phases.remove(0)];
        let Lowered { name, scratch, .. } = self.kernel;
        // The phase looks at no others, whose places the first of them fills.
        let is_packed = |k: usize| packed.iter().any(|p| p.operand == k);
        let count = packed.iter().map(|p| p.operand + 1).max().unwrap_or(0);
        let first = packed.iter().map(|p| p.operand).min().unwrap_or(0);
        let inputs = (0..count).map(|k| self.inputs[if is_packed(k) { k } else { first }]).collect();
        Step {
            kernel: Lowered { name, phases, workspace: 0, scratch, packed, section: None },
            inputs,
            outputs: Vec::new(),
            copies_output: None,
            is_region: false,
            origin: self.origin.clone(),
            text: format!("pack for {}", self.text),
            flops: 0,
            packed_at: Some(at),
            scattered: Vec::new(),
        }
    }

    /// Whether `input` is read only at the element that the step writes for outputs of `fact`.
    pub fn reads_in_step(&self, input: NodeId, fact: &Fact) -> bool {
        self.is_region && self.inputs.contains(&input) && !self.scattered.contains(&input) && fact.dtype.size() == 4
    }
}

/// What lowering a group looks at besides the group.
struct Lowering<'a> {
    g: &'a Graph,
    options: &'a PlanOptions,
    /// For each node, whether it stays the same over many runs.
    held: Vec<bool>,
}

/// Steps for all groups, in order.
///
/// # Errors
/// When no kernel supports an op.
pub fn lower(g: &Graph, fusion: &Fusion, options: &PlanOptions) -> Result<Vec<Step>> {
    let mut steps = Vec::with_capacity(fusion.groups.len());
    let lowering = Lowering { g, options, held: g.held() };
    let choices: Vec<Option<Choice>> = fusion.groups.iter().map(|group| lowering.choice(group)).collect();
    let takes: Vec<InImages> = fusion
        .groups
        .iter()
        .zip(&choices)
        .map(|(group, choice)| match (group.anchor, choice) {
            (Some(anchor), Some(Ok(kernel))) => {
                let facts = input_facts(g, anchor);
                kernel.takes_images(&lowering.task(group, anchor, &facts, InImages::default()))
            }
            _ => InImages::default(),
        })
        .collect();
    let chosen = images::assign(g, fusion, &takes, Tier::current()?.lanes());
    let kernels: Vec<_> = choices.iter().map(|choice| choice.as_ref()?.as_ref().ok().copied()).collect();
    let chains = chains::find(g, fusion, &kernels, options);
    let mut chain_of = vec![None; fusion.groups.len()];
    for (i, chain) in chains.iter().enumerate() {
        chain.groups().for_each(|k| chain_of[k] = Some(i));
    }
    for (k, (group, choice)) in fusion.groups.iter().zip(choices).enumerate() {
        reserve::check()?;
        match chain_of[k].map(|i| &chains[i]) {
            // All that a chain reads is there where its last group is.
            Some(chain) if chain.groups().last() == Some(k) => steps.push(chain_step(g, fusion, chain)?),
            Some(_) => {}
            None => lowering.group(group, choice, images::of_group(group, &chosen), &mut steps)?,
        }
    }
    Ok(steps)
}

/// The kernel of a group's anchor, or why each candidate refused.
type Choice = std::result::Result<&'static dyn CpuKernel, String>;

fn input_facts(g: &Graph, node: NodeId) -> SmallVec<[Fact; 4]> {
    g.node(node).inputs.iter().map(|&i| g.fact(i).clone()).collect()
}

fn text(g: &Graph, nodes: &[NodeId]) -> String {
    let names: Vec<&str> = nodes.iter().map(|&n| g.node(n).op.def().name()).collect();
    let fact = nodes.last().map(|&n| g.fact(n).to_string()).unwrap_or_default();
    format!("{} → {fact}", names.join("+"))
}

fn flops(g: &Graph, nodes: &[NodeId]) -> u64 {
    nodes.iter().map(|&n| g.flops(n)).sum()
}

/// Where the nodes of a step come from.
fn origin(g: &Graph, nodes: &[NodeId]) -> Origin {
    let mut origin = None;
    for &n in nodes {
        unite(&mut origin, &g.node(n).origin);
    }
    origin
}

/// Where a group comes from: its heavy op, or else all its nodes.
fn group_origin(g: &Graph, group: &Group) -> Origin {
    group.anchor.and_then(|a| g.node(a).origin.clone()).or_else(|| origin(g, &group.nodes))
}

impl Lowering<'_> {
    fn choice(&self, group: &Group) -> Option<Choice> {
        let anchor = group.anchor?;
        let facts = input_facts(self.g, anchor);
        Some(choose(&self.task(group, anchor, &facts, InImages::default()), self.options))
    }

    fn task<'b>(&'b self, group: &'b Group, anchor: NodeId, inputs: &'b [Fact], images: InImages) -> Task<'b> {
        let node = self.g.node(anchor);
        let (prologue, epilogue) = (group.prologue.as_ref(), group.region.as_ref());
        let held =
            group.inputs[..inputs.len()].iter().enumerate().map(|(k, i)| u64::from(self.held[i.index()]) << k).sum();
        let precision = self.options.precision;
        Task { op: &node.op, inputs, output: &node.fact, prologue, epilogue, images, precision, held }
    }

    fn group(&self, group: &Group, choice: Option<Choice>, images: InImages, steps: &mut Vec<Step>) -> Result<()> {
        let g = self.g;
        let (Some(anchor), Some(choice)) = (group.anchor, choice) else {
            let region = group.region.as_ref().ok_or_else(|| Error::state("a group has neither anchor nor region"))?;
            steps.push(region_step(g, region, group.inputs.clone(), group.outputs.clone(), &group.nodes)?);
            return Ok(());
        };
        let node = g.node(anchor);
        let facts = input_facts(g, anchor);
        let task = self.task(group, anchor, &facts, images);
        match choice {
            Ok(kernel) => {
                let kernel = kernel.lower(&task).map_err(|e| name(e, &node.origin, node.op.def().name()))?;
                steps.push(Step {
                    kernel,
                    inputs: group.inputs.clone(),
                    outputs: group.outputs.clone(),
                    copies_output: None,
                    is_region: false,
                    origin: group_origin(g, group),
                    text: text(g, &group.nodes),
                    flops: flops(g, &group.nodes),
                    packed_at: None,
                    scattered: Vec::new(),
                });
                Ok(())
            }
            Err(_) if group.prologue.is_some() => {
                let bare = detached_prologue(g, group, anchor, steps)?;
                self.group(&bare, self.choice(&bare), InImages::default(), steps)
            }
            Err(why) => {
                let Some(region) = &group.region else {
                    return Err(name(Error::value(why), &node.origin, node.op.def().name()));
                };
                self.bare(anchor, group.inputs[..node.inputs.len()].to_vec(), steps)?;
                self.detached(group, region, anchor, steps)
            }
        }
    }

    /// A heavy op of a group as a step with nothing attached.
    fn bare(&self, anchor: NodeId, inputs: Vec<NodeId>, steps: &mut Vec<Step>) -> Result<()> {
        let (outputs, nodes) = (vec![anchor], vec![anchor]);
        let bare = Group { anchor: Some(anchor), inputs, outputs, nodes, ..Group::default() };
        self.group(&bare, self.choice(&bare), InImages::default(), steps)
    }

    /// The region of a group as a step of its own that reads the anchor's output from memory, and a step for each
    /// moment.
    fn detached(&self, group: &Group, region: &Region, anchor: NodeId, steps: &mut Vec<Step>) -> Result<()> {
        let g = self.g;
        let lead = g.node(anchor).inputs.len();
        let (outputs, moments) = group.outputs.split_at(group.outputs.len() - region.moments.len());
        let mut region = Region { moments: Vec::new(), ..region.clone() };
        let at = Arg::Operand(region.operands.len() as u16);
        region.operands.push(Operand { dtype: g.fact(anchor).dtype, strides: region.shape.strides() });
        let replace = |arg: &mut Arg| {
            if *arg == Arg::Anchor {
                *arg = at;
            }
        };
        region.code.iter_mut().for_each(|i| i.args.iter_mut().for_each(replace));
        region.reductions.iter_mut().for_each(|r| replace(&mut r.source));
        let mut inputs = group.inputs[lead..].to_vec();
        inputs.push(anchor);
        // The anchor's own value is there already.
        let mut made = Vec::new();
        let mut stores = Vec::new();
        let kept = outputs[region.stores.len()..].to_vec();
        for (store, &o) in region.stores.iter().zip(outputs) {
            if store.0 != Arg::Anchor {
                stores.push(*store);
                made.push(o);
            }
        }
        made.extend(kept);
        region.stores = stores;
        if !made.is_empty() {
            let nodes: Vec<NodeId> =
                group.nodes.iter().filter(|n| **n != anchor && !moments.contains(n)).copied().collect();
            steps.push(region_step(g, &region, inputs, made, &nodes)?);
        }
        for &moment in moments {
            // What a moment measures leaves the group, so it is in memory.
            self.bare(moment, g.node(moment).inputs.to_vec(), steps)?;
        }
        Ok(())
    }
}

/// The prologue of a group as a step of its own, and the group that reads what it stores.
fn detached_prologue(g: &Graph, group: &Group, anchor: NodeId, steps: &mut Vec<Step>) -> Result<Group> {
    let Some(prologue) = &group.prologue else { return Err(Error::state("a group has no prologue")) };
    let value = g.node(anchor).inputs[0];
    let lead = g.node(anchor).inputs.len();
    let after = lead + prologue.operands.len();
    let mut region = prologue.clone();
    let at = Arg::Operand(region.operands.len() as u16);
    region.operands.push(Operand { dtype: g.fact(group.inputs[0]).dtype, strides: region.shape.strides() });
    let args = region.code.iter_mut().flat_map(|i| &mut i.args);
    args.filter(|arg| **arg == Arg::Anchor).for_each(|arg| *arg = at);
    let mut inputs = group.inputs[lead..after].to_vec();
    inputs.push(group.inputs[0]);
    let (nodes, rest): (Vec<NodeId>, Vec<NodeId>) = group.nodes.iter().partition(|n| group.before.contains(n));
    steps.push(region_step(g, &region, inputs, vec![value], &nodes)?);
    let mut bare = Group { prologue: None, before: Vec::new(), nodes: rest, ..group.clone() };
    bare.inputs =
        std::iter::once(value).chain(group.inputs[1..lead].iter().chain(&group.inputs[after..]).copied()).collect();
    Ok(bare)
}

fn name(e: Error, origin: &Origin, op: &str) -> Error {
    e.at(origin.as_deref().unwrap_or(op))
}

/// The cheapest kernel for a task, or why each candidate refused.
fn choose(task: &Task, options: &PlanOptions) -> std::result::Result<&'static dyn CpuKernel, String> {
    let mut best: Option<(&'static dyn CpuKernel, f64)> = None;
    let mut refusals = Vec::new();
    for &kernel in task.op.def().cpu_kernels() {
        match kernel.supports(task) {
            Ok(cost) => {
                let forced = options.force_kernel.as_deref() == Some(kernel.name());
                let cost = if forced { f64::NEG_INFINITY } else { cost.0 };
                if best.is_none_or(|(_, least)| cost < least) {
                    best = Some((kernel, cost));
                }
            }
            Err(why) => refusals.push(format!("{}: {why}", kernel.name())),
        }
    }
    best.map(|(kernel, _)| kernel).ok_or_else(|| format!("no CPU kernel supports this ({})", refusals.join("; ")))
}

fn region_step(
    g: &Graph,
    region: &Region,
    inputs: Vec<NodeId>,
    outputs: Vec<NodeId>,
    nodes: &[NodeId],
) -> Result<Step> {
    let straight = region.shape.strides();
    let is_straight =
        |strides: &[usize]| strides.iter().zip(&straight).zip(&*region.shape).all(|((a, b), &n)| n == 1 || a == b);
    let scattered = inputs
        .iter()
        .zip(&region.operands)
        .filter(|(i, o)| !is_straight(&o.strides) || inputs.iter().filter(|x| x == i).count() > 1)
        .map(|(&i, _)| i)
        .collect();
    Ok(Step {
        kernel: lower_region(region, Tier::current()?)?,
        inputs,
        outputs,
        copies_output: None,
        is_region: true,
        origin: origin(g, nodes),
        text: text(g, nodes),
        flops: flops(g, nodes),
        packed_at: None,
        scattered,
    })
}

/// Several groups as one step.
fn chain_step(g: &Graph, fusion: &Fusion, chain: &chains::Chain) -> Result<Step> {
    let nodes: Vec<NodeId> = chain.groups().flat_map(|k| &fusion.groups[k].nodes).copied().collect();
    let anchors: Vec<NodeId> = chain.groups().filter_map(|k| fusion.groups[k].anchor).collect();
    let (kernel, inputs, output) = chains::lower(g, fusion, chain)?;
    Ok(Step {
        kernel,
        inputs,
        outputs: vec![output],
        copies_output: None,
        is_region: false,
        origin: origin(g, &anchors),
        text: text(g, &nodes),
        flops: flops(g, &nodes),
        packed_at: None,
        scattered: Vec::new(),
    })
}

/// A step that copies a value to graph output `output`.
pub fn copy_step(g: &Graph, region: Region, inputs: Vec<NodeId>, output: usize) -> Result<Step> {
    let mut step = region_step(g, &region, inputs, Vec::new(), &[])?;
    step.copies_output = Some(output);
    step.text = format!("copy to output {output}");
    Ok(step)
}
