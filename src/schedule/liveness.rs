//! How long each value lives that lies in the memory of a run.

use super::memory::Lifetime;
use super::{Step, StepCode};
use crate::graph::{Graph, NodeId};
use std::collections::{HashMap, HashSet};

/// Ranges of memory that steps need, and for how long.
pub struct Liveness {
    /// Of values, workspaces and packed operands. Values that lie one over the other have one lifetime.
    pub lifetimes: Vec<Lifetime>,
    /// For each value, its lifetime.
    pub slot_of: HashMap<NodeId, usize>,
    /// For each step, the lifetime of its workspace; those of the operands that it packs follow.
    pub workspaces: Vec<usize>,
}

/// The lifetimes of what steps make and need, where step s runs at `times[s]`, and of values for which `elsewhere` is
/// false. Steps that run at the same time share nothing.
pub fn liveness<C: StepCode>(
    g: &Graph,
    steps: &[Step<C>],
    times: &[usize],
    elsewhere: impl Fn(NodeId) -> bool,
) -> Liveness {
    let mut lifetimes: Vec<Lifetime> = Vec::new();
    let mut slot_of: HashMap<NodeId, usize> = HashMap::new();
    let mut workspaces = Vec::with_capacity(steps.len());
    // For each value, when it is read last, and by which step if it is the only one then.
    let mut last_reads: HashMap<NodeId, (usize, Option<usize>)> = HashMap::new();
    for (s, step) in steps.iter().enumerate() {
        for &i in &step.inputs {
            let last = last_reads.entry(i).or_insert((times[s], Some(s)));
            let alone = last.0 < times[s] || last.1 == Some(s);
            *last = (times[s], alone.then_some(s));
        }
    }
    for (s, step) in steps.iter().enumerate() {
        let now = times[s];
        let mut taken: HashSet<NodeId> = HashSet::new();
        for i in &step.inputs {
            if let Some(&slot) = slot_of.get(i) {
                lifetimes[slot].last = now;
            }
        }
        let outputs = step.outputs.iter().filter(|o| step.copies_output.is_none() && !elsewhere(**o));
        for &o in outputs {
            // What nobody reads afterwards may be written over, element by element.
            let dies = |i: &&NodeId| {
                last_reads.get(*i) == Some(&(now, Some(s)))
                    && step.reads_in_step(**i, g.fact(o))
                    && g.fact(**i).bytes() == g.fact(o).bytes()
                    && !taken.contains(*i)
            };
            let found = step.inputs.iter().find(dies).and_then(|i| Some((*i, *slot_of.get(i)?)));
            if let Some((i, slot)) = found {
                taken.insert(i);
                slot_of.insert(o, slot);
                continue;
            }
            slot_of.insert(o, lifetimes.len());
            lifetimes.push(Lifetime { bytes: g.fact(o).bytes(), first: now, last: now });
        }
        workspaces.push(lifetimes.len());
        lifetimes.push(Lifetime { bytes: step.code.workspace(), first: now, last: now });
        lifetimes.extend(step.packed_in_run().map(|bytes| Lifetime { bytes, first: now, last: now }));
    }
    Liveness { lifetimes, slot_of, workspaces }
}
