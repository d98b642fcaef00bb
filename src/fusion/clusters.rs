//! Clusters: which nodes run as one, contracted edge by edge.

use super::ranks::Ranks;
use super::{Apart, Limits, measures, resolve};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::{Kind, Op};
use crate::shape::Shape;
use smallvec::SmallVec;
use std::collections::{BTreeSet, HashMap, HashSet};

/// A partition of a graph's nodes, contracted step by step.
pub(super) struct Clusters<'g> {
    /// The graph.
    pub g: &'g Graph,
    /// What one cluster may be.
    limits: &'g Limits,
    /// Cluster of each node; views, leaves and dead nodes have none.
    pub of: Vec<Option<usize>>,
    pub members: Vec<Vec<NodeId>>,
    /// Nodes of the prologue of each cluster's anchor, and the one full-size value that they read.
    pub prologues: HashMap<usize, (Vec<NodeId>, NodeId)>,
    /// Values that leave the graph.
    pub outputs: HashSet<NodeId>,
    /// Those of them that may take the memory of an input.
    pub donated: HashSet<NodeId>,
    /// Consumers through views.
    pub readers: Vec<Vec<NodeId>>,
    /// Contractions that were refused.
    pub refused: Vec<Apart>,
    /// The order in which clusters can run, kept while they are contracted.
    ranks: Ranks,
}

/// What a cluster is made of.
pub(super) struct Description {
    pub anchor: Option<NodeId>,
    pub space: Option<Shape>,
    pub axes: Option<SmallVec<[usize; 6]>>,
    pub code: usize,
}

impl<'g> Clusters<'g> {
    /// A cluster for every live node but leaves and views.
    ///
    /// # Errors
    /// When the graph has a composite left.
    pub fn new(g: &'g Graph, limits: &'g Limits, live: &[bool], donated: &[usize]) -> Result<Self> {
        let output = |k: &usize| g.outputs().get(*k).map(|&o| resolve(g, o));
        let mut clusters = Clusters {
            g,
            limits,
            of: vec![None; g.nodes().len()],
            members: Vec::new(),
            prologues: HashMap::new(),
            outputs: g.outputs().iter().map(|&o| resolve(g, o)).collect(),
            donated: donated.iter().filter_map(output).collect(),
            readers: vec![Vec::new(); g.nodes().len()],
            refused: Vec::new(),
            ranks: Ranks::default(),
        };
        for id in g.ids().filter(|i| live[i.index()]) {
            let node = g.node(id);
            match g.kind(id) {
                Kind::Composite => return Err(Error::state(format!("{} is left to be fused", node.op.def().name()))),
                Kind::View => continue,
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
        clusters.ranks = Ranks::new(clusters.members.len());
        Ok(clusters)
    }

    /// For each live view, the value whose bytes it shows.
    pub fn views(&self, live: &[bool]) -> HashMap<NodeId, NodeId> {
        let g = self.g;
        let views = g.ids().filter(|&i| live[i.index()] && g.kind(i) == Kind::View);
        views.map(|i| (i, resolve(g, i))).collect()
    }

    /// What `members` are made of; `None` if they cannot be one cluster.
    pub fn describe(&self, members: &[NodeId]) -> Option<Description> {
        let mut s = Description { anchor: None, space: None, axes: None, code: 0 };
        for &m in members {
            let node = self.g.node(m);
            let space = match self.g.kind(m) {
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
        if s.code > self.limits.instructions {
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
        if reads.len() > self.limits.operands {
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
                let reduced = self.g.kind(source) == Kind::Reduce || measures(self.g, source, &all);
                !reduced && Some(&self.g.fact(i).shape) == s.space.as_ref() && source == i
            })
        };
        if !all.iter().all(|&m| passes(m)) {
            return Err("a value passes between them reduced or in another shape");
        }
        let Some(anchor) = s.anchor else { return Ok(()) };
        let node = self.g.node(anchor);
        if !self.g.takes_epilogue(anchor) {
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

    /// All nodes of cluster `c`, those of its prologue first.
    pub fn nodes(&self, c: usize) -> impl Iterator<Item = NodeId> + '_ {
        let before = self.prologues.get(&c).map_or(&[][..], |(before, _)| before);
        before.iter().chain(&self.members[c]).copied()
    }

    /// Whether `id` is part of a prologue.
    pub fn is_prologue(&self, id: NodeId) -> bool {
        let of = self.of[id.index()].and_then(|c| self.prologues.get(&c));
        of.is_some_and(|(before, _)| before.contains(&id))
    }

    /// The clusters that read what cluster `c` makes, some of them several times.
    pub fn successors(&self, c: usize) -> impl Iterator<Item = usize> + '_ {
        let readers = self.members[c].iter().flat_map(|m| &self.readers[m.index()]);
        readers.filter_map(|r| self.of[r.index()]).filter(move |&next| next != c)
    }

    /// The clusters whose values cluster `c` reads, some of them several times.
    pub fn predecessors(&self, c: usize) -> impl Iterator<Item = usize> + '_ {
        let inputs = self.nodes(c).flat_map(|m| &self.g.node(m).inputs);
        inputs.filter_map(|&i| self.of[resolve(self.g, i).index()]).filter(move |&before| before != c)
    }

    /// Makes clusters `a` and `b` one, `a`, if they can run as one.
    pub fn try_merge(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        let refusal = match self.compatible(&self.members[a], &self.members[b]) {
            Err(why) => Some(why),
            Ok(()) => match self.ranks.between(self, a, b) {
                None => Some("what lies between them would have to run in the middle"),
                Some(between) => {
                    self.ranks.join(a, b, between);
                    None
                }
            },
        };
        if let Some(why) = refusal {
            let (a, b) = (self.members[a][0], self.members[b][0]);
            self.refused.push(Apart { a, b, why });
            return;
        }
        for m in self.nodes(b).collect::<Vec<_>>() {
            self.of[m.index()] = Some(a);
        }
        let moved = std::mem::take(&mut self.members[b]);
        self.members[a].extend(moved);
        self.members[a].sort_unstable();
        if let Some(prologue) = self.prologues.remove(&b) {
            self.prologues.insert(a, prologue);
        }
    }

    /// Takes cluster `c` apart: every node of it becomes a cluster of its own, and the order is no longer kept.
    /// False where it is a single node.
    pub fn take_apart(&mut self, c: usize) -> bool {
        let nodes: Vec<NodeId> = self.nodes(c).collect();
        if nodes.len() < 2 {
            return false;
        }
        self.prologues.remove(&c);
        self.members[c].clear();
        for node in nodes {
            self.of[node.index()] = Some(self.members.len());
            self.members.push(vec![node]);
        }
        true
    }

    /// Whether all that leaves a cluster may take the memory of inputs, as new values of parameters do. Alone it
    /// then does; attached to a heavy op, it would need fresh memory, which costs more than the gradient's way
    /// through memory.
    pub fn updates(&self, cluster: usize) -> bool {
        let members = &self.members[cluster];
        let read = |m: NodeId| self.readers[m.index()].iter().any(|r| self.of[r.index()] != Some(cluster));
        let leaves = members.iter().filter(|&&m| self.outputs.contains(&m) || read(m));
        leaves.clone().next().is_some() && leaves.into_iter().all(|m| self.donated.contains(m) && !read(*m))
    }

    /// The refusals that still stand: one for each pair of clusters, the last.
    pub fn apart(&self) -> Vec<Apart> {
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

    /// Makes the pointwise cluster that makes input 0 of `anchor` its prologue, if the anchor alone reads it.
    pub fn try_prologue(&mut self, anchor: NodeId) {
        let g = self.g;
        let value = g.node(anchor).inputs[0];
        let (Some(a), Some(b)) = (self.of[anchor.index()], self.of[value.index()]) else { return };
        let members = self.members[b].clone();
        let shape = &g.fact(value).shape;
        let pointwise = |m: &NodeId| g.kind(*m) == Kind::Pointwise && g.fact(*m).dtype == DType::F32;
        if a == b || !members.iter().all(pointwise) {
            return;
        }
        // A prologue stores nothing: only the anchor may read of it, and only as its input 0.
        let read_elsewhere = |m: &NodeId| {
            let readers = &self.readers[m.index()];
            *m != value && readers.iter().any(|r| !members.contains(r))
        };
        let own = self.readers[value.index()] == [anchor] && g.node(anchor).inputs[1..].iter().all(|&i| i != value);
        let leaves = members.iter().any(|m| self.outputs.contains(m) || read_elsewhere(m));
        if !own || leaves {
            self.refused.push(Apart {
                a: members[0],
                b: anchor,
                why: "what the prologue would make is read elsewhere",
            });
            return;
        }
        // One value of the full shape is read; all others are small.
        let outside = members.iter().flat_map(|&m| &g.node(m).inputs).filter(|i| !members.contains(i)).copied();
        let (full, small): (Vec<NodeId>, Vec<NodeId>) = outside.partition(|&i| g.fact(i).shape == *shape);
        let is_small = |&i: &NodeId| g.fact(i).shape.len() * 16 <= shape.len() || g.fact(i).shape.len() == 1;
        // What one heavy op makes for another is better worked on where it is made.
        let from_epilogue = |source: NodeId| {
            let alone = self.readers[resolve(g, source).index()].iter().all(|r| members.contains(r));
            alone && g.takes_epilogue(source) && !self.outputs.contains(&source)
        };
        if let &[source] = full.as_slice()
            && !from_epilogue(source)
            && small.iter().all(is_small)
            && g.fact(source).dtype.computed() == DType::F32
            && !matches!(g.node(source).op, Op::Constant(_) | Op::BroadcastTo(_))
        {
            // The one reader keeps its rank, which is behind all that the prologue reads.
            for &m in &members {
                self.of[m.index()] = Some(a);
            }
            self.members[b].clear();
            self.prologues.insert(a, (members, source));
        }
    }
}
