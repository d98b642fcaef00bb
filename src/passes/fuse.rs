//! Fusion: a partition of the graph into groups, each run by one kernel.
//!
//! Every node starts as a group of its own. Edges are then contracted in topological order where
//! the two sides may run as one: pointwise nodes of one iteration space into clusters, reductions
//! onto the cluster that makes what they reduce, clusters onto the heavy op whose output they
//! consume (its epilogue), statistics of a channel onto the heavy op behind what they measure. A contraction is refused where it would close a cycle. Nothing here
//! knows a device; what a kernel cannot carry is split off again by the lowering.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::pointwise::Function;
use crate::ops::{Kind, Op};
use crate::region::{Arg, Instruction, Operand, Reduction, Region};
use crate::shape::Shape;
use smallvec::SmallVec;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Instructions that one region may have.
const MAX_CODE: usize = 48;
/// Buffers that one region may read.
const MAX_OPERANDS: usize = 24;

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
    while g.node(id).op.def().kind() == Kind::View {
        id = g.node(id).inputs[0];
    }
    id
}

/// Ops whose output tile can carry a region.
fn takes_epilogue(op: &Op) -> bool {
    matches!(op.def().name(), "conv2d" | "conv2d_input_grad" | "matmul" | "max_pool2d_grad" | "avg_pool2d_grad")
}

/// Ops whose input 0 can be worked on while it is packed.
pub(super) fn takes_prologue(op: &Op) -> bool {
    matches!(op.def().name(), "conv2d" | "conv2d_filter_grad")
}

/// Whether `id` measures the channels of one of `members`: a reduction among what is attached to a heavy op.
fn measures(g: &Graph, id: NodeId, members: &[NodeId]) -> bool {
    let node = g.node(id);
    matches!(node.op, Op::ChannelStats(_)) && members.contains(&node.inputs[0])
}

/// For every value, the ops on the longest way to it through which no element passes straight: heavy ones,
/// data movement and reductions. What is deeper than a value comes later than all that can run with it.
pub(super) fn depths(g: &Graph) -> Vec<usize> {
    let mut depths = vec![0; g.nodes().len()];
    for id in g.ids() {
        let node = g.node(id);
        let deepest = node.inputs.iter().map(|i| depths[i.index()]).max().unwrap_or(0);
        let straight = matches!(node.op.def().kind(), Kind::Pointwise | Kind::Leaf | Kind::View);
        depths[id.index()] = deepest + usize::from(!straight);
    }
    depths
}

struct Clusters<'g> {
    g: &'g Graph,
    /// Cluster of each node; views, leaves and dead nodes have none.
    of: Vec<Option<usize>>,
    members: Vec<Vec<NodeId>>,
    /// Nodes of the prologue of each cluster's anchor, and the one full-size value that they read.
    prologues: HashMap<usize, (Vec<NodeId>, NodeId)>,
    /// Values that leave the graph.
    outputs: HashSet<NodeId>,
    /// Those of them that may take the memory of an input.
    donated: HashSet<NodeId>,
    /// Consumers through views.
    readers: Vec<Vec<NodeId>>,
    /// Contractions that were refused.
    refused: Vec<Apart>,
}

/// What a cluster is made of.
struct Shape1 {
    anchor: Option<NodeId>,
    space: Option<Shape>,
    axes: Option<SmallVec<[usize; 6]>>,
    code: usize,
}

impl Clusters<'_> {
    fn describe(&self, members: &[NodeId]) -> Option<Shape1> {
        let mut s = Shape1 { anchor: None, space: None, axes: None, code: 0 };
        for &m in members {
            let node = self.g.node(m);
            let space = match node.op.def().kind() {
                Kind::Pointwise => {
                    s.code += 1;
                    node.fact.shape.clone()
                }
                Kind::Reduce => {
                    let Op::Reduce(r) = &node.op else { return None };
                    if s.axes.as_ref().is_some_and(|a| *a != r.axes) {
                        return None;
                    }
                    s.axes = Some(r.axes.clone());
                    self.g.fact(node.inputs[0]).shape.clone()
                }
                _ if measures(self.g, m, members) => self.g.fact(node.inputs[0]).shape.clone(),
                _ => {
                    if s.anchor.replace(m).is_some() {
                        return None;
                    }
                    node.fact.shape.clone()
                }
            };
            // An anchor's raw output and what is attached may differ by a view; extents decide.
            if s.space.as_ref().is_some_and(|x| *x != space) {
                return None;
            }
            s.space = Some(space);
        }
        Some(s)
    }

    /// Why two clusters could not run as one, cycles aside.
    fn compatible(&self, a: &[NodeId], b: &[NodeId]) -> std::result::Result<(), &'static str> {
        let all: Vec<NodeId> = a.iter().chain(b).copied().collect();
        let Some(s) = self.describe(&all) else {
            return Err("they differ in shape or reduced axes, or each has a heavy op");
        };
        if s.code > MAX_CODE {
            return Err("the program would be too long");
        }
        let inside: HashSet<NodeId> = all.iter().copied().collect();
        let mut reads = BTreeSet::new();
        for &m in &all {
            for &i in &self.g.node(m).inputs {
                let i = resolve(self.g, i);
                if !inside.contains(&i) {
                    reads.insert(i);
                }
            }
        }
        if reads.len() > MAX_OPERANDS {
            return Err("the program would read too many buffers");
        }
        // Inside a cluster values pass from element to element: a reduction's result, or a value
        // under another shape, does not.
        let passes = |m: NodeId| {
            self.g.node(m).inputs.iter().all(|&i| {
                let source = resolve(self.g, i);
                if !inside.contains(&source) {
                    return true;
                }
                let reduced = self.g.node(source).op.def().kind() == Kind::Reduce || measures(self.g, source, &all);
                !reduced && Some(&self.g.fact(i).shape) == s.space.as_ref() && source == i
            })
        };
        if !all.iter().all(|&m| passes(m)) {
            return Err("a value passes between them reduced or in another shape");
        }
        let Some(anchor) = s.anchor else { return Ok(()) };
        let node = self.g.node(anchor);
        if !takes_epilogue(&node.op) {
            return Err("the heavy op takes no epilogue");
        }
        if node.fact.dtype != DType::F32 || all.iter().any(|&m| self.g.fact(m).dtype == DType::U8) {
            return Err("an epilogue works on float32");
        }
        if node.inputs.iter().any(|&i| inside.contains(&resolve(self.g, i))) {
            return Err("the heavy op reads what its epilogue would make");
        }
        let rank = node.fact.shape.rank();
        let per_channel = |axes: &[usize]| axes.len() + 1 == rank && axes.iter().enumerate().all(|(i, &a)| i == a);
        if s.axes.as_ref().is_some_and(|axes| !per_channel(axes)) {
            return Err("an epilogue reduces per channel only");
        }
        Ok(())
    }

    /// Whether a path leads from cluster `from` to cluster `to` through at least one other.
    fn path_through_others(&self, from: usize, to: usize) -> bool {
        let last = self.members[to].iter().max().copied();
        let mut seen = HashSet::new();
        let mut stack: Vec<usize> = Vec::new();
        let push = |c: usize, seen: &mut HashSet<usize>, stack: &mut Vec<usize>, direct: bool| {
            for &m in &self.members[c] {
                for &r in &self.readers[m.index()] {
                    let Some(next) = self.of[r.index()] else { continue };
                    if next == c || (direct && next == to) {
                        continue;
                    }
                    // Ids are topological within the graph, so what lies past `to` cannot reach it,
                    // unless its cluster has earlier members.
                    let first = self.members[next].iter().min().copied();
                    if first > last {
                        continue;
                    }
                    if seen.insert(next) {
                        stack.push(next);
                    }
                }
            }
        };
        push(from, &mut seen, &mut stack, true);
        while let Some(c) = stack.pop() {
            if c == to {
                return true;
            }
            push(c, &mut seen, &mut stack, false);
        }
        seen.contains(&to)
    }

    fn merge(&mut self, a: usize, b: usize) {
        let moved = std::mem::take(&mut self.members[b]);
        for &m in &moved {
            self.of[m.index()] = Some(a);
        }
        self.members[a].extend(moved);
        self.members[a].sort_unstable();
    }

    fn try_merge(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        let refusal = match self.compatible(&self.members[a], &self.members[b]) {
            Err(why) => Some(why),
            Ok(()) if self.path_through_others(a, b) || self.path_through_others(b, a) => {
                Some("what lies between them would have to run in the middle")
            }
            Ok(()) => None,
        };
        match refusal {
            Some(why) => {
                let (a, b) = (self.members[a][0], self.members[b][0]);
                self.refused.push(Apart { a, b, why });
            }
            None => self.merge(a, b),
        }
    }

    /// Whether all that leaves a cluster may take the memory of inputs, as new values of parameters do. Alone it
    /// then does; attached to a heavy op, it would need fresh memory, which costs more than the gradient's way
    /// through memory.
    fn updates(&self, cluster: usize) -> bool {
        let members = &self.members[cluster];
        let read = |m: NodeId| self.readers[m.index()].iter().any(|r| self.of[r.index()] != Some(cluster));
        let leaves = members.iter().filter(|&&m| self.outputs.contains(&m) || read(m));
        leaves.clone().next().is_some() && leaves.into_iter().all(|m| self.donated.contains(m) && !read(*m))
    }

    /// The refusals that still stand: one for each pair of clusters, the last.
    fn apart(&self) -> Vec<Apart> {
        let mut apart: Vec<Apart> = Vec::new();
        let mut pairs = HashSet::new();
        for &r in self.refused.iter().rev() {
            let (a, b) = (self.of[r.a.index()], self.of[r.b.index()]);
            if a != b && pairs.insert((a.min(b), a.max(b))) {
                apart.push(r);
            }
        }
        apart.reverse();
        apart
    }
}

/// Partitions `g`, whose composites and gradients are expanded. Without `enabled` every node is a
/// group of its own. `donated` are the numbers of outputs that may take the memory of an input.
///
/// # Errors
/// When the graph has a composite left.
pub fn fuse(g: &Graph, enabled: bool, donated: &[usize]) -> Result<Fusion> {
    let live = g.live();
    let output = |k: &usize| g.outputs().get(*k).map(|&o| resolve(g, o));
    let mut clusters = Clusters {
        g,
        of: vec![None; g.nodes().len()],
        members: Vec::new(),
        prologues: HashMap::new(),
        outputs: g.outputs().iter().map(|&o| resolve(g, o)).collect(),
        donated: donated.iter().filter_map(output).collect(),
        readers: vec![Vec::new(); g.nodes().len()],
        refused: Vec::new(),
    };
    let mut views = HashMap::new();
    for id in g.ids().filter(|i| live[i.index()]) {
        let node = g.node(id);
        match node.op.def().kind() {
            Kind::Composite => return Err(Error::state(format!("{} is left to be fused", node.op.def().name()))),
            Kind::View => {
                views.insert(id, resolve(g, id));
                continue;
            }
            Kind::Leaf => {}
            _ => {
                clusters.of[id.index()] = Some(clusters.members.len());
                clusters.members.push(vec![id]);
            }
        }
        for &i in &node.inputs {
            clusters.readers[resolve(g, i).index()].push(id);
        }
    }
    if enabled {
        contract(&mut clusters, &live);
    }
    let mut groups = Vec::new();
    for c in order(&clusters)? {
        groups.push(clusters.group(c)?);
    }
    Ok(Fusion { groups, views, apart: clusters.apart() })
}

fn contract(c: &mut Clusters, live: &[bool]) {
    let g = c.g;
    let pointwise = |id: NodeId| g.node(id).op.def().kind() == Kind::Pointwise;
    let reduce = |id: NodeId| g.node(id).op.def().kind() == Kind::Reduce;
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
        if !pointwise(id) {
            continue;
        }
        for &i in &g.node(id).inputs.clone() {
            if pointwise(i) && g.fact(i).shape == g.fact(id).shape {
                let (Some(a), Some(b)) = (c.of[i.index()], c.of[id.index()]) else { continue };
                c.try_merge(a, b);
            }
        }
    }
    for id in g.ids().filter(|i| live[i.index()] && takes_prologue(&g.node(*i).op)) {
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
            let like = |r: NodeId| pointwise(r) || reduce(r);
            if size >= 64 && like(pair[0]) && like(pair[1]) {
                let (Some(a), Some(b)) = (c.of[pair[0].index()], c.of[pair[1].index()]) else { continue };
                c.try_merge(a, b);
            }
        }
    }
    for id in g.ids().filter(|i| live[i.index()]) {
        if !takes_epilogue(&g.node(id).op) {
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
    for id in g.ids().filter(|i| live[i.index()] && matches!(g.node(*i).op, Op::ChannelStats(_))) {
        let source = g.node(id).inputs[0];
        let (Some(a), Some(b)) = (c.of[source.index()], c.of[id.index()]) else { continue };
        let heavy = c.members[a].iter().any(|&m| takes_epilogue(&g.node(m).op));
        // What is measured is stored all the same, so that it can be measured later where no kernel does it.
        let stored = c.outputs.contains(&source)
            || c.readers[source.index()].iter().any(|r| c.of[r.index()] != Some(a) && *r != id);
        if heavy && stored {
            c.try_merge(a, b);
        }
    }
}

/// Clusters in topological order; the earliest first member goes first among those that are ready.
fn order(c: &Clusters) -> Result<Vec<usize>> {
    let mut waits: Vec<HashSet<usize>> = vec![HashSet::new(); c.members.len()];
    let mut unblocks: Vec<Vec<usize>> = vec![Vec::new(); c.members.len()];
    for (k, members) in c.members.iter().enumerate() {
        let before = c.prologues.get(&k).map_or(&[][..], |(before, _)| before);
        for &m in members.iter().chain(before) {
            for &i in &c.g.node(m).inputs {
                if let Some(from) = c.of[resolve(c.g, i).index()]
                    && from != k
                    && waits[k].insert(from)
                {
                    unblocks[from].push(k);
                }
            }
        }
    }
    let key = |k: usize| c.members[k].last().copied();
    let mut ready: BTreeSet<(Option<NodeId>, usize)> = (0..c.members.len())
        .filter(|&k| !c.members[k].is_empty() && waits[k].is_empty())
        .map(|k| (key(k), k))
        .collect();
    let mut order = Vec::new();
    while let Some((_, k)) = ready.pop_first() {
        order.push(k);
        for &next in &unblocks[k] {
            waits[next].remove(&k);
            if waits[next].is_empty() {
                ready.insert((key(next), next));
            }
        }
    }
    let expected = c.members.iter().filter(|m| !m.is_empty()).count();
    if order.len() != expected {
        return Err(Error::state("fusion closed a cycle"));
    }
    Ok(order)
}

impl Clusters<'_> {
    /// Makes the pointwise cluster that makes input 0 of `anchor`, and nothing else, its prologue.
    fn try_prologue(&mut self, anchor: NodeId) {
        let g = self.g;
        let value = g.node(anchor).inputs[0];
        let (Some(a), Some(b)) = (self.of[anchor.index()], self.of[value.index()]) else { return };
        let members = self.members[b].clone();
        let shape = &g.fact(value).shape;
        let pointwise = |m: &NodeId| g.node(*m).op.def().kind() == Kind::Pointwise && g.fact(*m).dtype == DType::F32;
        let leaves =
            |m: &NodeId| self.outputs.contains(m) || self.readers[m.index()].iter().any(|r| !members.contains(r));
        // Read by the anchor alone, as its input 0 alone.
        let own = self.readers[value.index()] == [anchor] && g.node(anchor).inputs[1..].iter().all(|&i| i != value);
        if a == b || !own || !members.iter().all(pointwise) || members.iter().filter(|m| leaves(m)).count() != 1 {
            return;
        }
        // One value of the full shape is read; all others are small.
        let outside = members.iter().flat_map(|&m| &g.node(m).inputs).filter(|i| !members.contains(i)).copied();
        let (full, small): (Vec<NodeId>, Vec<NodeId>) = outside.partition(|&i| g.fact(i).shape == *shape);
        let is_small = |&i: &NodeId| g.fact(i).shape.len() * 16 <= shape.len() || g.fact(i).shape.len() == 1;
        // What one heavy op makes for another is better worked on where it is made.
        let from_epilogue = |source: NodeId| {
            let alone = self.readers[resolve(g, source).index()].iter().all(|r| members.contains(r));
            alone && takes_epilogue(&g.node(source).op) && !self.outputs.contains(&source)
        };
        if let &[source] = full.as_slice()
            && !from_epilogue(source)
            && small.iter().all(is_small)
            && g.fact(source).dtype == DType::F32
            && !matches!(g.node(source).op, Op::Constant(_) | Op::BroadcastTo(_))
        {
            for &m in &members {
                self.of[m.index()] = Some(a);
            }
            self.members[b].clear();
            self.prologues.insert(a, (members, source));
        }
    }

    /// The group of cluster `c`, with its region written out.
    fn group(&self, c: usize) -> Result<Group> {
        let g = self.g;
        let members = &self.members[c];
        let s = self.describe(members).ok_or_else(|| Error::state("a cluster is not of one shape"))?;
        let mut group = Group { anchor: s.anchor, nodes: members.clone(), ..Group::default() };
        if let Some(anchor) = s.anchor {
            group.inputs = g.node(anchor).inputs.iter().map(|&i| resolve(g, i)).collect();
            if let Some((before, source)) = self.prologues.get(&c) {
                let value = g.node(anchor).inputs[0];
                let mut writer = Writer::new(g, g.fact(value).shape.clone());
                writer.args.insert(*source, Arg::Anchor);
                for &m in before {
                    writer.instruction(m)?;
                }
                writer.region.stores.push((writer.args[&value], DType::F32));
                group.inputs[0] = resolve(g, *source);
                group.inputs.extend(writer.inputs);
                group.prologue = Some(writer.region);
                group.nodes.splice(0..0, before.iter().copied());
                group.before = before.clone();
            }
            if members.len() == 1 {
                group.outputs = vec![anchor];
                return Ok(group);
            }
        }
        let space = s.space.ok_or_else(|| Error::state("a cluster is empty"))?;
        let mut writer = Writer::new(g, space);
        if let Some(anchor) = s.anchor {
            writer.args.insert(anchor, Arg::Anchor);
        }
        let inside: HashSet<NodeId> = members.iter().copied().collect();
        let (mut reductions, mut moments) = (Vec::new(), Vec::new());
        for &m in members {
            let node = g.node(m);
            match &node.op {
                Op::Reduce(r) => {
                    let source = writer.arg(node.inputs[0])?;
                    writer.region.reduce_axes = r.axes.clone();
                    let dtype = g.fact(node.inputs[0]).dtype;
                    writer.region.reductions.push(Reduction { source, dtype, kind: r.kind });
                    reductions.push(m);
                }
                _ if Some(m) == s.anchor => {}
                _ if measures(g, m, members) => {
                    let source = writer.arg(node.inputs[0])?;
                    writer.region.moments.push(source);
                    moments.push(m);
                }
                _ => writer.instruction(m)?,
            }
        }
        for &m in members {
            let read_outside = self.readers[m.index()].iter().any(|r| !inside.contains(r));
            let leaves = self.outputs.contains(&m) || read_outside;
            if leaves && !reductions.contains(&m) && !moments.contains(&m) {
                let arg = writer.args[&m];
                writer.region.stores.push((arg, g.fact(m).dtype));
                group.outputs.push(m);
            }
        }
        group.outputs.extend(reductions);
        group.outputs.extend(moments);
        group.inputs.extend(writer.inputs);
        group.region = Some(writer.region);
        Ok(group)
    }
}

struct Writer<'g> {
    g: &'g Graph,
    region: Region,
    args: HashMap<NodeId, Arg>,
    operands: HashMap<(NodeId, SmallVec<[usize; 6]>), Arg>,
    inputs: Vec<NodeId>,
}

impl<'g> Writer<'g> {
    fn new(g: &'g Graph, shape: Shape) -> Self {
        let region = Region { shape, ..Region::default() };
        Writer { g, region, args: HashMap::new(), operands: HashMap::new(), inputs: Vec::new() }
    }

    /// The argument for value `id`, read from memory if the region does not make it.
    fn arg(&mut self, id: NodeId) -> Result<Arg> {
        if let Some(&arg) = self.args.get(&id) {
            return Ok(arg);
        }
        let node = self.g.node(id);
        if let Op::Constant(c) = &node.op {
            return Ok(Arg::literal(c.value()));
        }
        let source = resolve(self.g, id);
        if let Op::Constant(c) = &self.g.node(source).op {
            return Ok(Arg::literal(c.value()));
        }
        let strides = node.fact.shape.broadcast_strides(&self.region.shape);
        if let Some(&arg) = self.operands.get(&(source, strides.clone())) {
            return Ok(arg);
        }
        let arg = Arg::Operand(self.region.operands.len() as u16);
        self.region.operands.push(Operand { dtype: node.fact.dtype, strides: strides.clone() });
        self.inputs.push(source);
        self.operands.insert((source, strides), arg);
        Ok(arg)
    }

    fn instruction(&mut self, id: NodeId) -> Result<()> {
        let node = self.g.node(id);
        let function = match &node.op {
            Op::Pointwise(f) => *f,
            Op::Cast(_) | Op::BroadcastTo(_) => Function::Identity,
            other => return Err(Error::state(format!("{other:?} is no pointwise function"))),
        };
        let args = node.inputs.iter().map(|&i| self.arg(i)).collect::<Result<_>>()?;
        let input_dtype = node.inputs.last().map_or(node.fact.dtype, |&i| self.g.fact(i).dtype);
        let arg = Arg::Result(self.region.code.len() as u16);
        self.region.code.push(Instruction { function, args, input_dtype, dtype: node.fact.dtype });
        self.args.insert(id, arg);
        Ok(())
    }
}
