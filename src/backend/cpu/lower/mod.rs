//! Lowering: a kernel for every group.
//!
//! A heavy op takes the cheapest candidate that supports it with its attachments; where none does,
//! the region runs as a step of its own behind the bare op.

pub mod attachments;
pub mod candidates;
pub mod cost;
mod inverted_residual;
mod layout;
mod placement;
mod sections;
mod stages;

use super::exec::program::CpuProgram;
use super::kernel::{BatchBlocked, CpuKernel, Lowered, Task};
use super::kernels::plain;
use super::kernels::pointwise::lower_region;
use super::simd::Tier;
use crate::error::{Error, Result};
use crate::fusion::region::Region;
use crate::fusion::{Fusion, Group};
use crate::graph::{Graph, NodeId, Origin};
use crate::reserve;
use crate::schedule::{Constants, PlanOptions, Schedule, copies, origin, schedule};
use crate::shape::Fact;
use placement::Outside;
use smallvec::SmallVec;
use std::collections::HashMap;

/// A step with code for the CPU.
type Step = crate::schedule::Step<Lowered>;

/// What lowering a group looks at besides the group.
struct Lowering<'a> {
    g: &'a Graph,
    options: &'a PlanOptions,
    tier: Tier,
    threads: usize,
    /// For each node, whether it stays the same over many runs.
    constant: Vec<bool>,
}

/// The program that runs the groups of `fusion`.
///
/// # Errors
/// When no kernel supports an op, sizes overflow, memory runs out, or `options` name no target of the CPU.
pub fn compile(g: &Graph, fusion: &Fusion, options: &PlanOptions) -> Result<CpuProgram> {
    let target = options.target.ok_or_else(|| Error::state("lowering needs options that name a target"))?;
    let tier = Tier::parse(target.tier)?;
    let lowering = Lowering { g, options, tier, threads: target.threads, constant: g.constant_nodes() };
    let mut steps = lowering.steps(fusion)?;
    for copy in copies(g, fusion, &steps) {
        let is_plain = copy.region.stores.iter().any(|(_, dtype)| dtype.is_plain());
        let code = if is_plain { plain::lower_copy(&copy.region)? } else { lower_region(&copy.region, tier)? };
        steps.push(copy.step(g, code));
    }
    let Schedule { prelude, steps, commit_from, in_place, output_of, flops } = schedule(g, fusion, steps, options)?;
    let values = prelude.values(g);
    let mut constants = Constants::default();
    let none = HashMap::new();
    let before = match prelude.steps.len() {
        0 => None,
        n => {
            let outside = Outside { outputs: &none, prepared: &prelude.places };
            Some(placement::code(g, prelude.steps, n, &outside, &mut constants, options.checks)?)
        }
    };
    let outside = Outside { outputs: &output_of, prepared: &prelude.places };
    let code = placement::code(g, steps, commit_from, &outside, &mut constants, options.checks)?;
    Ok(CpuProgram {
        code,
        prelude: before,
        values,
        commit_from,
        outputs: g.outputs().iter().map(|&o| g.fact(o).clone()).collect(),
        in_place,
        constants: constants.buffer()?,
        flops,
    })
}

/// The kernel of a group's anchor, or why each candidate refused.
type Choice = std::result::Result<&'static dyn CpuKernel, String>;

fn input_facts(g: &Graph, node: NodeId) -> SmallVec<[Fact; 4]> {
    g.node(node).inputs.iter().map(|&i| g.fact(i).clone()).collect()
}

/// Where a group comes from: its heavy op, or else all its nodes.
fn group_origin(g: &Graph, group: &Group) -> Origin {
    group.anchor.and_then(|a| g.node(a).origin.clone()).or_else(|| origin(g, &group.nodes))
}

impl Lowering<'_> {
    /// Steps for all groups, in order.
    fn steps(&self, fusion: &Fusion) -> Result<Vec<Step>> {
        let mut steps = Vec::with_capacity(fusion.groups.len());
        let choices: Vec<Option<Choice>> = fusion.groups.iter().map(|group| self.choice(group)).collect();
        let takes: Vec<BatchBlocked> = fusion
            .groups
            .iter()
            .zip(&choices)
            .map(|(group, choice)| match (group.anchor, choice) {
                (Some(anchor), Some(Ok(kernel))) => {
                    let facts = input_facts(self.g, anchor);
                    kernel.takes_batch_blocked(&self.task(group, anchor, &facts, BatchBlocked::default()))
                }
                _ => BatchBlocked::default(),
            })
            .collect();
        let chosen = layout::assign(self.g, fusion, &takes, self.tier.lanes());
        let kernels: Vec<_> = choices.iter().map(|choice| choice.as_ref()?.as_ref().ok().copied()).collect();
        let residuals = inverted_residual::find(self.g, fusion, &kernels, self.options);
        let mut residual_of = vec![None; fusion.groups.len()];
        for (i, residual) in residuals.iter().enumerate() {
            residual.groups().for_each(|k| residual_of[k] = Some(i));
        }
        for (k, (group, choice)) in fusion.groups.iter().zip(choices).enumerate() {
            reserve::check()?;
            match residual_of[k].map(|i| &residuals[i]) {
                // All that an inverted residual reads is there where its last group is.
                Some(residual) if residual.groups().last() == Some(k) => {
                    steps.push(self.residual_step(fusion, residual)?)
                }
                Some(_) => {}
                None => self.group(group, choice, layout::of_group(group, &chosen), &mut steps)?,
            }
        }
        Ok(steps)
    }

    fn choice(&self, group: &Group) -> Option<Choice> {
        let anchor = group.anchor?;
        let facts = input_facts(self.g, anchor);
        let kernels = candidates::of(&self.g.node(anchor).op, self.g.is_plain(anchor));
        Some(choose(kernels, &self.task(group, anchor, &facts, BatchBlocked::default()), self.options))
    }

    fn task<'b>(&'b self, group: &'b Group, anchor: NodeId, inputs: &'b [Fact], blocked: BatchBlocked) -> Task<'b> {
        let node = self.g.node(anchor);
        let (prologue, epilogue) = (group.prologue.as_ref(), group.region.as_ref());
        let constant = group.inputs[..inputs.len()]
            .iter()
            .take(u64::BITS as usize)
            .enumerate()
            .map(|(k, i)| u64::from(self.constant[i.index()]) << k)
            .sum();
        let precision = self.options.precision;
        let (tier, threads) = (self.tier, self.threads);
        Task {
            op: &node.op,
            inputs,
            output: &node.fact,
            prologue,
            epilogue,
            blocked,
            precision,
            tier,
            threads,
            constant,
        }
    }

    fn group(&self, group: &Group, choice: Option<Choice>, images: BatchBlocked, steps: &mut Vec<Step>) -> Result<()> {
        let g = self.g;
        let (Some(anchor), Some(choice)) = (group.anchor, choice) else {
            let region = group.region.as_ref().ok_or_else(|| Error::state("a group has neither anchor nor region"))?;
            steps.push(self.region_step(region, group.inputs.clone(), group.outputs.clone(), &group.nodes)?);
            return Ok(());
        };
        let node = g.node(anchor);
        let facts = input_facts(g, anchor);
        let task = self.task(group, anchor, &facts, images);
        match choice {
            Ok(kernel) => {
                let code = kernel.lower(&task).map_err(|e| name(e, &node.origin, node.op.def().name()))?;
                let mut step = Step::new(g, code, group.inputs.clone(), group.outputs.clone(), &group.nodes);
                step.origin = group_origin(g, group);
                steps.push(step);
                Ok(())
            }
            Err(_) if group.prologue.is_some() => self.groups(&group.without_prologue(g)?, steps),
            Err(why) if group.region.is_none() => Err(name(Error::value(why), &node.origin, node.op.def().name())),
            Err(_) => self.groups(&group.without_region(g)?, steps),
        }
    }

    /// What a group was taken apart into.
    fn groups(&self, groups: &[Group], steps: &mut Vec<Step>) -> Result<()> {
        groups.iter().try_for_each(|group| self.group(group, self.choice(group), BatchBlocked::default(), steps))
    }

    /// A region as a step of its own.
    fn region_step(
        &self,
        region: &Region,
        inputs: Vec<NodeId>,
        outputs: Vec<NodeId>,
        nodes: &[NodeId],
    ) -> Result<Step> {
        let code = lower_region(region, self.tier)?;
        Ok(Step::of_region(self.g, code, region, inputs, outputs, nodes))
    }

    /// Several groups as one step.
    fn residual_step(&self, fusion: &Fusion, residual: &inverted_residual::ResidualGroups) -> Result<Step> {
        let nodes: Vec<NodeId> = residual.groups().flat_map(|k| &fusion.groups[k].nodes).copied().collect();
        let anchors: Vec<NodeId> = residual.groups().filter_map(|k| fusion.groups[k].anchor).collect();
        let (code, inputs, output) = inverted_residual::lower(self.g, fusion, residual, self.tier, self.threads)?;
        let mut step = Step::new(self.g, code, inputs, vec![output], &nodes);
        step.origin = origin(self.g, &anchors);
        Ok(step)
    }
}

fn name(e: Error, origin: &Origin, op: &str) -> Error {
    e.at(origin.as_deref().unwrap_or(op))
}

/// The cheapest of `kernels` for a task, or why each candidate refused.
fn choose(kernels: &[&'static dyn CpuKernel], task: &Task, options: &PlanOptions) -> Choice {
    let mut best: Option<(&'static dyn CpuKernel, f64)> = None;
    let mut refusals = Vec::new();
    for &kernel in kernels {
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
