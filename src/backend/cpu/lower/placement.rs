//! Placement: where everything lies, in steps that have their order.

use super::sections::{self, Locals};
use super::stages::{self, Checked, GUARD};
use crate::backend::cpu::exec::code::{Code, CodeStep, Location, Memory};
use crate::backend::cpu::kernel::Lowered;
use crate::buffer::ALIGNMENT;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::schedule::memory::{self, Lifetime};
use crate::schedule::{Constants, Liveness, Place, Step, liveness};
use std::collections::{HashMap, HashSet};

/// Values of a plan that lie outside of the code's own memory.
pub(super) struct Outside<'a> {
    /// Which output each of them is.
    pub outputs: &'a HashMap<NodeId, usize>,
    /// Which value of the prelude each of them is.
    pub prepared: &'a HashMap<NodeId, usize>,
}

/// Where the values of some code lie.
struct Places<'a> {
    g: &'a Graph,
    outside: &'a Outside<'a>,
    locals: &'a Locals,
    slot_of: &'a HashMap<NodeId, usize>,
    offsets: &'a [usize],
    constants: &'a mut Constants,
}

impl Places<'_> {
    fn of(&mut self, id: NodeId) -> Result<Location> {
        if let Some(&local) = self.locals.places.get(&id) {
            return Ok(Location::Local(local));
        }
        let node = self.g.node(id);
        let place = match &node.op {
            _ if self.outside.outputs.contains_key(&id) => Place::Output(self.outside.outputs[&id]),
            _ if self.outside.prepared.contains_key(&id) => Place::Prepared(self.outside.prepared[&id]),
            Op::Input(input) => Place::Input(input.index),
            Op::Constant(c) => Place::Constant(self.constants.offset(id, c.value(), node.fact.dtype)),
            op => match self.slot_of.get(&id) {
                Some(&slot) => Place::Arena(self.offsets[slot]),
                None => return Err(Error::state(format!("%{} ({}) has no place", id.0, op.def().name()))),
            },
        };
        Ok(Location::Shared(place))
    }
}

/// Code for steps in order, of which those from `commit_from` on commit.
///
/// # Errors
/// `Memory` when none is left.
pub(super) fn code(
    g: &Graph,
    steps: Vec<Step<Lowered>>,
    commit_from: usize,
    outside: &Outside,
    constants: &mut Constants,
    checks: bool,
) -> Result<Code> {
    let waves = sections::waves(g, &steps, commit_from);
    let stays = |id: NodeId| outside.outputs.contains_key(&id) || outside.prepared.contains_key(&id);
    let locals = sections::locals(g, &steps, &waves, stays);
    let elsewhere = |id: NodeId| stays(id) || locals.places.contains_key(&id);
    let Liveness { lifetimes, slot_of, workspaces } = liveness(g, &steps, &waves, elsewhere);
    let guarded =
        |v: &Lifetime| Lifetime { bytes: if checks && v.bytes > 0 { v.bytes + GUARD } else { v.bytes }, ..*v };
    let guarded: Vec<Lifetime> = lifetimes.iter().map(guarded).collect();
    let (offsets, arena_bytes) = memory::plan(&guarded);

    let checked = Checked { lifetimes: &lifetimes, offsets: &offsets };
    let (stages, commit_stage) = stages::stages(&steps, &waves, commit_from, checks.then_some(&checked))?;
    let mut places = Places { g, outside, locals: &locals, slot_of: &slot_of, offsets: &offsets, constants };
    let mut placed: Vec<CodeStep> = Vec::with_capacity(steps.len());
    for (step, &workspace) in steps.into_iter().zip(&workspaces) {
        let read: HashSet<NodeId> = step.inputs.iter().copied().collect();
        let bytes = read.iter().chain(&step.outputs).map(|&i| g.fact(i).bytes() as u64).sum();
        let outputs = match step.copies_output {
            Some(k) => vec![Location::Shared(Place::Output(k))],
            None => step.outputs.iter().map(|&o| places.of(o)).collect::<Result<_>>()?,
        };
        let packed = match &step.packed_at {
            Some(numbers) => numbers.iter().map(|&k| Place::Prepared(k)).collect(),
            None => (0..step.code.packed.len()).map(|k| Place::Arena(offsets[workspace + 1 + k])).collect(),
        };
        let inputs = step.inputs.iter().map(|&i| places.of(i)).collect::<Result<_>>()?;
        placed.push(CodeStep {
            inputs,
            outputs,
            workspace: offsets[workspace],
            packed,
            origin: step.origin,
            text: step.text,
            reads: step.inputs,
            makes: step.outputs,
            flops: step.flops,
            bytes,
            kernel: step.code,
        });
    }
    let work = |&(s, phase): &(usize, usize)| {
        let (step, phases) = (&placed[s], placed[s].kernel.phases.len());
        step.bytes / phases as u64 + if phase + 1 == phases { step.flops } else { 0 }
    };
    let (stages, commit_stage) = stages::join(stages, commit_stage, work);
    let scratch = placed.iter().map(|s| s.kernel.scratch.next_multiple_of(ALIGNMENT)).max().unwrap_or(0);
    let memory = Memory {
        // Threads' memory lies behind: where the first image of a share would be, there is arena.
        arena_bytes: arena_bytes.max(locals.reach),
        scratch_bytes: scratch + locals.bytes,
        local_from: scratch,
        live_bound: memory::live_bound(&guarded),
    };
    Ok(Code::new(placed, waves, stages, commit_stage, memory, checks))
}
