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
mod rows;
mod sections;
mod stages;

use super::exec::program::CpuProgram;
use super::kernel::{BatchBlocked, CpuKernel, Lowered, RowShares, Task};
use super::kernels::plain;
use super::kernels::pointwise::{lower_region, lower_region_by_rows, region_rows};
use super::simd::Tier;
use crate::error::{Error, Result};
use crate::fusion::{Fusion, Group};
use crate::graph::{Graph, NodeId, Origin};
use crate::reserve;
use crate::schedule::{Constants, PlanOptions, Schedule, copies, origin, schedule};
use crate::shape::Fact;
use placement::Outside;
use rows::Rows;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::HashMap;

/// A step with code for the CPU.
type Step = crate::schedule::Step<Lowered>;

/// What is settled between groups: where their activations lie, and how they are cut.
#[derive(Clone, Copy, Default)]
struct Cut {
    blocked: BatchBlocked,
    by_rows: Option<RowShares>,
}

/// What runs a group.
#[derive(Clone, Copy)]
enum Kernel {
    /// A candidate, on activations that lie so.
    Heavy(&'static dyn CpuKernel, BatchBlocked),
    /// The region engine.
    Region,
    /// With others the inverted residual of this number; the group is its last with the inputs of all.
    Residual(usize),
}

/// A group that one step runs, or that with others does.
struct Part<'a> {
    group: Cow<'a, Group>,
    kernel: Kernel,
}

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
                    kernel.takes_batch_blocked(&self.task(group, anchor, &facts, Cut::default()))
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
        let mut parts = Vec::with_capacity(fusion.groups.len());
        for (k, (group, choice)) in fusion.groups.iter().zip(choices).enumerate() {
            match residual_of[k] {
                // All that an inverted residual reads is there where its last group is.
                Some(i) if residuals[i].groups().last() != Some(k) => {}
                Some(i) => {
                    let inputs = residuals[i].groups().flat_map(|k| &fusion.groups[k].inputs).copied().collect();
                    let group = Cow::Owned(Group { inputs, ..group.clone() });
                    parts.push(Part { group, kernel: Kernel::Residual(i) });
                }
                None => {
                    let blocked = layout::of_group(group, &chosen);
                    self.settle(Cow::Borrowed(group), choice, blocked, &mut parts)?;
                }
            }
        }
        let (order, shares) = self.by_rows(&parts);
        for k in order {
            reserve::check()?;
            steps.push(match parts[k].kernel {
                Kernel::Residual(i) => self.residual_step(fusion, &residuals[i])?,
                Kernel::Region => self.region_step(&parts[k].group, shares[k])?,
                Kernel::Heavy(kernel, blocked) => {
                    self.heavy_step(&parts[k].group, kernel, Cut { blocked, by_rows: shares[k] })?
                }
            });
        }
        Ok(steps)
    }

    /// Which kernel runs a group, or those that it is taken apart into because none supports all of it.
    fn settle<'b>(
        &self,
        group: Cow<'b, Group>,
        choice: Option<Choice>,
        blocked: BatchBlocked,
        parts: &mut Vec<Part<'b>>,
    ) -> Result<()> {
        let g = self.g;
        let apart = match (group.anchor, choice) {
            (Some(_), Some(Ok(kernel))) => {
                parts.push(Part { group, kernel: Kernel::Heavy(kernel, blocked) });
                return Ok(());
            }
            (Some(_), Some(Err(_))) if group.prologue.is_some() => group.without_prologue(g)?.to_vec(),
            (Some(anchor), Some(Err(why))) if group.region.is_none() => {
                let node = g.node(anchor);
                return Err(name(Error::value(why), &node.origin, node.op.def().name()));
            }
            (Some(_), Some(Err(_))) => group.without_region(g)?.to_vec(),
            _ => {
                parts.push(Part { group, kernel: Kernel::Region });
                return Ok(());
            }
        };
        apart.into_iter().try_for_each(|group| {
            let choice = self.choice(&group);
            self.settle(Cow::Owned(group), choice, BatchBlocked::default(), parts)
        })
    }

    /// The order in which groups run, and the shares of those that follow one another by rows.
    fn by_rows(&self, parts: &[Part]) -> (Vec<usize>, Vec<Option<RowShares>>) {
        if !self.options.fuse {
            return ((0..parts.len()).collect(), vec![None; parts.len()]);
        }
        let groups: Vec<&Group> = parts.iter().map(|part| &*part.group).collect();
        let rows: Vec<Option<Rows>> = parts.iter().map(|part| self.rows(part)).collect();
        rows::find(self.g, &groups, &rows, self.threads)
    }

    /// The rows that a group can be cut into.
    fn rows(&self, part: &Part) -> Option<Rows> {
        match (part.kernel, part.group.anchor) {
            (Kernel::Heavy(kernel, blocked), Some(anchor)) if blocked == BatchBlocked::default() => {
                let facts = input_facts(self.g, anchor);
                kernel.rows(&self.task(&part.group, anchor, &facts, Cut::default())).map(Rows::Exactly)
            }
            (Kernel::Region, _) => part.group.region.as_ref().and_then(region_rows).map(Rows::Divisors),
            _ => None,
        }
    }

    fn choice(&self, group: &Group) -> Option<Choice> {
        let anchor = group.anchor?;
        let facts = input_facts(self.g, anchor);
        let kernels = candidates::of(&self.g.node(anchor).op, self.g.is_plain(anchor));
        Some(choose(kernels, &self.task(group, anchor, &facts, Cut::default()), self.options))
    }

    fn task<'b>(&'b self, group: &'b Group, anchor: NodeId, inputs: &'b [Fact], cut: Cut) -> Task<'b> {
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
        let Cut { blocked, by_rows } = cut;
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
            by_rows,
        }
    }

    /// A heavy op with its attachments.
    fn heavy_step(&self, group: &Group, kernel: &'static dyn CpuKernel, cut: Cut) -> Result<Step> {
        let g = self.g;
        let anchor = group.anchor.ok_or_else(|| Error::state("a heavy group has no anchor"))?;
        let (node, facts) = (g.node(anchor), input_facts(g, anchor));
        let code = kernel.lower(&self.task(group, anchor, &facts, cut));
        let code = code.map_err(|e| name(e, &node.origin, node.op.def().name()))?;
        let mut step = Step::new(g, code, group.inputs.clone(), group.outputs.clone(), &group.nodes);
        step.origin = group_origin(g, group);
        Ok(step)
    }

    /// A region as a step of its own.
    fn region_step(&self, group: &Group, by_rows: Option<RowShares>) -> Result<Step> {
        let region = group.region.as_ref().ok_or_else(|| Error::state("a group has neither anchor nor region"))?;
        let lens: Vec<usize> = group.inputs.iter().map(|&i| self.g.fact(i).shape.len()).collect();
        let code = lower_region_by_rows(region, self.tier, by_rows.map(|shares| (shares, lens.as_slice())))?;
        Ok(Step::of_region(self.g, code, region, group.inputs.clone(), group.outputs.clone(), &group.nodes))
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
