//! Fusion: a partition of the graph into groups, each run by one kernel.
//!
//! Every node starts as a cluster of its own. Edges are then contracted in topological order where
//! the two sides may run as one: pointwise nodes of one iteration space into clusters, reductions
//! onto the cluster that makes what they reduce, clusters onto the heavy op whose output they
//! consume (its epilogue), statistics of a channel onto the heavy op behind what they measure. A
//! contraction is refused where it would close a cycle. Of the device it knows its [`Limits`] alone;
//! what a kernel cannot carry is split off again by the lowering.

mod clusters;
mod detach;
mod groups;
mod ranks;
pub mod region;

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::{Kind, Op};
use crate::reserve;
use clusters::Clusters;
use region::Region;
use std::collections::{BTreeSet, HashMap};

/// Nodes that run as one step.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The heavy or data op, if there is one.
    pub anchor: Option<NodeId>,
    /// The pointwise program on the anchor's input 0, which it reads as `Arg::Anchor`.
    pub prologue: Option<Region>,
    /// The pointwise program: all of the group, or what is attached to the anchor's output.
    pub region: Option<Region>,
    /// Values read, numbered as the kernel's operands: the anchor's inputs (the first before its prologue),
    /// then the prologue's, then the region's.
    pub inputs: Vec<NodeId>,
    /// Values made, numbered as the kernel's outputs.
    pub outputs: Vec<NodeId>,
    /// All nodes of the group, in topological order.
    pub nodes: Vec<NodeId>,
    /// Those of the prologue.
    pub before: Vec<NodeId>,
}

/// The groups in an order in which they can run, and which nodes are views of others.
#[derive(Clone, Debug, Default)]
pub struct Fusion {
    /// In execution order.
    pub groups: Vec<Group>,
    /// For each node that is a view, the node whose bytes it shows.
    pub views: HashMap<NodeId, NodeId>,
    /// Neighbours that were tried and run apart all the same.
    pub apart: Vec<Apart>,
    /// Clusters that were taken apart because no group could run in their place. Contraction makes none, so
    /// it is 0: a fault in it costs speed, never a result.
    pub taken_apart: usize,
}

impl Fusion {
    /// The value whose bytes `id` shows.
    pub fn resolve(&self, id: NodeId) -> NodeId {
        self.views.get(&id).copied().unwrap_or(id)
    }
}

/// What one fused kernel of a device can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pointwise functions that it applies.
    pub instructions: usize,
    /// Buffers that it reads.
    pub operands: usize,
}

impl Default for Limits {
    /// Programs as long as fusion pays for on processors.
    fn default() -> Self {
        Limits { instructions: 48, operands: 24 }
    }
}

/// Two nodes that could not run as one.
#[derive(Clone, Copy, Debug)]
pub struct Apart {
    /// The first of one cluster.
    pub a: NodeId,
    /// The first of the other.
    pub b: NodeId,
    /// Why.
    pub why: &'static str,
}

/// The value whose bytes `id` shows.
fn resolve(g: &Graph, mut id: NodeId) -> NodeId {
    while g.kind(id) == Kind::View {
        id = g.node(id).inputs[0];
    }
    id
}

/// Whether `id` measures the channels of one of `members`: a reduction among what is attached to a heavy op.
fn measures(g: &Graph, id: NodeId, members: &[NodeId]) -> bool {
    let node = g.node(id);
    matches!(node.op, Op::ChannelStats(_)) && members.contains(&node.inputs[0])
}

/// Whether `id` converts what another node has just rounded to 16 bits. They run apart: what reads the one memory of 16
/// bits takes the conversion along, and the float32 is in no memory.
fn widens_stored(g: &Graph, id: NodeId) -> bool {
    let cast = |id: NodeId| matches!(g.node(id).op, Op::Cast(_));
    cast(id) && cast(g.node(id).inputs[0]) && g.fact(g.node(id).inputs[0]).dtype.is_storage()
}

/// Partitions `g`, whose composites and gradients are expanded, for kernels that can carry what `limits` say. Without
/// `enabled` every node is a group of its own. `donated` are the numbers of outputs that may take the memory of an input.
///
/// # Errors
/// When the graph has a composite left.
pub fn fuse(g: &Graph, limits: &Limits, enabled: bool, donated: &[usize]) -> Result<Fusion> {
    let live = g.live();
    let mut clusters = Clusters::new(g, limits, &live, donated)?;
    if enabled {
        contract(&mut clusters, &live);
    }
    reserve::check()?;
    let (groups, taken_apart) = clusters.settle()?;
    Ok(Fusion { groups, views: clusters.views(&live), apart: clusters.apart(), taken_apart })
}

fn contract(c: &mut Clusters, live: &[bool]) {
    let g = c.g;
    let pointwise = |id: NodeId| g.kind(id) == Kind::Pointwise;
    let reduce = |id: NodeId| g.kind(id) == Kind::Reduce;
    // What a comparison is made for is its reader: `recompute` gives each one of its own.
    for id in g.ids().filter(|i| live[i.index()] && pointwise(*i) && g.fact(*i).dtype == DType::Bool) {
        if let [reader] = c.readers[id.index()][..]
            && pointwise(reader)
            && let (Some(a), Some(b)) = (c.of[id.index()], c.of[reader.index()])
        {
            c.try_merge(a, b);
        }
    }
    // Pointwise chains first, then those that one heavy op reads, then reductions onto what makes their
    // operand, then reductions of one value beside each other, then clusters onto heavy ops.
    for id in g.ids().filter(|i| live[i.index()]) {
        if !pointwise(id) || widens_stored(g, id) {
            continue;
        }
        for &i in &g.node(id).inputs.clone() {
            if pointwise(i) && g.fact(i).shape == g.fact(id).shape {
                let (Some(a), Some(b)) = (c.of[i.index()], c.of[id.index()]) else { continue };
                c.try_merge(a, b);
            }
        }
    }
    for id in g.ids().filter(|i| live[i.index()] && g.takes_prologue(*i)) {
        c.try_prologue(id);
    }
    for id in g.ids().filter(|i| live[i.index()]) {
        if reduce(id) {
            let source = resolve(g, g.node(id).inputs[0]);
            if pointwise(source)
                && let (Some(a), Some(b)) = (c.of[source.index()], c.of[id.index()])
            {
                c.try_merge(a, b);
            }
        }
    }
    for id in g.ids().filter(|i| live[i.index()]) {
        // Siblings: clusters of one iteration space that read the same large value.
        let readers = c.readers[id.index()].clone();
        let size = g.fact(id).shape.len();
        for pair in readers.windows(2) {
            // A prologue reads where its heavy op packs, beside nothing else.
            let like = |r: NodeId| (pointwise(r) || reduce(r)) && !c.is_prologue(r);
            if size >= 64 && like(pair[0]) && like(pair[1]) {
                let (Some(a), Some(b)) = (c.of[pair[0].index()], c.of[pair[1].index()]) else { continue };
                c.try_merge(a, b);
            }
        }
    }
    for id in g.ids().filter(|i| live[i.index()]) {
        if !g.takes_epilogue(id) {
            continue;
        }
        // The raw output leaves at most once: as what the attached region stores.
        let readers: BTreeSet<usize> = c.readers[id.index()].iter().filter_map(|r| c.of[r.index()]).collect();
        let Some(a) = c.of[id.index()] else { continue };
        for &b in &readers {
            if !c.members[b].iter().all(|&m| pointwise(m) || reduce(m)) {
                continue;
            }
            let why = match readers.len() {
                1 if c.updates(b) => "what is rewritten in place is read before the heavy op has ended",
                1 => {
                    c.try_merge(a, b);
                    continue;
                }
                _ => "the heavy op's output has other readers",
            };
            c.refused.push(Apart { a: id, b: c.members[b][0], why });
        }
    }
    for id in g.ids().filter(|i| live[i.index()] && matches!(g.node(*i).op, Op::ChannelStats(_)) && !g.is_plain(*i)) {
        let source = g.node(id).inputs[0];
        // What is rounded for storage is measured as it is stored.
        let kept = if widens_stored(g, source) { g.node(source).inputs[0] } else { source };
        let (Some(a), Some(b)) = (c.of[kept.index()], c.of[id.index()]) else { continue };
        let heavy = c.members[a].iter().any(|&m| g.takes_epilogue(m));
        // What is measured is stored all the same, so that it can be measured later where no kernel does it.
        let read = |r: &&NodeId| c.of[r.index()] != Some(a) && **r != id && **r != source;
        let stored = c.outputs.contains(&kept) || c.readers[kept.index()].iter().find(read).is_some();
        if heavy && stored {
            if kept != source
                && let Some(widened) = c.of[source.index()]
            {
                c.try_merge(a, widened);
            }
            if c.of[source.index()] == Some(a) {
                c.try_merge(a, b);
            }
        }
    }
}
