//! The commit: what writes to buffers that are not the run's own, behind all that can fail.

use super::{Step, StepCode};
use crate::fusion::Fusion;
use crate::graph::{Graph, NodeId};
use std::collections::{HashMap, HashSet};

pub(super) struct Commits<C> {
    pub steps: Vec<Step<C>>,
    /// Where the commit begins.
    pub commit_from: usize,
    /// For each output, the input whose buffer it may take.
    pub in_place: Vec<Option<usize>>,
}

/// Puts the steps that may write donated buffers last. Such a step is a region whose outputs are all graph outputs that
/// no step reads, and that reads each donated input at the very element that it writes. `donations` are pairs of an
/// input and an output.
pub(super) fn order<C: StepCode>(
    g: &Graph,
    fusion: &Fusion,
    steps: Vec<Step<C>>,
    donations: &[(usize, usize)],
) -> Commits<C> {
    let mut in_place = vec![None; g.outputs().len()];
    let read: HashSet<NodeId> = steps.iter().flat_map(|s| s.inputs.iter().copied()).collect();
    let pair = |&(i, o): &(usize, usize)| Some((fusion.resolve(*g.outputs().get(o)?), (i, o)));
    let pairs: HashMap<NodeId, (usize, usize)> = donations.iter().filter_map(pair).collect();
    let commits = |s: &Step<C>| {
        s.is_region && s.copies_output.is_none() && s.outputs.iter().all(|o| pairs.contains_key(o) && !read.contains(o))
    };
    let (commit, mut steps): (Vec<Step<C>>, Vec<Step<C>>) = steps.into_iter().partition(commits);
    let commit_from = steps.len();
    for (at, step) in commit.iter().enumerate() {
        for o in &step.outputs {
            let (i, k) = pairs[o];
            let input = g.inputs()[i];
            let others_read = commit.iter().enumerate().any(|(b, s)| b != at && s.inputs.contains(&input));
            let once = g.outputs().iter().filter(|&&x| fusion.resolve(x) == *o).count() == 1;
            if !others_read && once && step.reads_in_step(input, g.fact(*o)) {
                in_place[k] = Some(i);
            }
        }
    }
    steps.extend(commit);
    Commits { steps, commit_from, in_place }
}
