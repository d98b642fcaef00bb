//! Groups: the order in which clusters run, and the program of each.

use super::clusters::Clusters;
use super::{Group, measures, resolve};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fusion::region::{Arg, Instruction, Operand, Reduction, Region};
use crate::graph::{Graph, NodeId};
use crate::ops::pointwise::Function;
use crate::ops::{Kind, Op};
use crate::shape::Shape;
use smallvec::SmallVec;
use std::collections::{BTreeSet, HashMap, HashSet};

impl Clusters<'_> {
    /// The groups in an order in which they can run, and how many clusters had to be taken apart for it: those
    /// that wait for each other, that swallowed what another one reads, or that have no program. Single nodes in
    /// the graph's own order always run, so this ends.
    ///
    /// # Errors
    /// When a single node cannot run.
    pub fn settle(&mut self) -> Result<(Vec<Group>, usize)> {
        let mut taken_apart = 0;
        loop {
            let (cluster, e) = match self.arrange() {
                Ok(groups) => return Ok((groups, taken_apart)),
                Err(unsettled) => unsettled,
            };
            if !self.take_apart(cluster) {
                return Err(e);
            }
            taken_apart += 1;
        }
    }

    /// The groups in order, or the cluster that cannot run as it is.
    fn arrange(&self) -> std::result::Result<Vec<Group>, (usize, Error)> {
        let g = self.g;
        let order = self.order().map_err(|c| (c, Error::state("fusion closed a cycle")))?;
        let mut groups = Vec::with_capacity(order.len());
        let mut made: HashSet<NodeId> = HashSet::new();
        let unmade = |made: &HashSet<NodeId>, id: NodeId| {
            let leaf = g.node(id).op.def().kind() == Kind::Leaf;
            self.of[id.index()].filter(|_| !leaf && !made.contains(&id))
        };
        let swallowed = |c: usize, id: NodeId| (c, Error::state(format!("{id:?} is read and not stored")));
        for c in order {
            let group = self.group(c).map_err(|e| (c, e))?;
            if let Some((other, id)) = group.inputs.iter().find_map(|&i| Some((unmade(&made, i)?, i))) {
                return Err(swallowed(other, id));
            }
            made.extend(&group.outputs);
            groups.push(group);
        }
        match self.outputs.iter().find_map(|&o| Some((unmade(&made, o)?, o))) {
            Some((c, id)) => Err(swallowed(c, id)),
            None => Ok(groups),
        }
    }

    /// Clusters in topological order; of those that are ready, the one whose last member comes first. If some
    /// wait for each other, one of those.
    fn order(&self) -> std::result::Result<Vec<usize>, usize> {
        let mut waits: Vec<HashSet<usize>> = vec![HashSet::new(); self.members.len()];
        let mut unblocks: Vec<Vec<usize>> = vec![Vec::new(); self.members.len()];
        for (k, waits) in waits.iter_mut().enumerate() {
            for from in self.predecessors(k) {
                if waits.insert(from) {
                    unblocks[from].push(k);
                }
            }
        }
        let key = |k: usize| self.members[k].last().copied();
        let mut ready: BTreeSet<(Option<NodeId>, usize)> = (0..self.members.len())
            .filter(|&k| !self.members[k].is_empty() && waits[k].is_empty())
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
        // What still waits leads back to a cycle. It has a cluster of several nodes, for the graph has none.
        let Some(mut at) = waits.iter().position(|w| !w.is_empty()) else { return Ok(order) };
        let mut seen = HashSet::new();
        while seen.insert(at) || self.nodes(at).count() < 2 {
            let Some(&before) = waits[at].iter().min() else { break };
            at = before;
        }
        Err(at)
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
                let made = writer.args.get(&value).ok_or_else(|| Error::state("a prologue does not make its value"))?;
                writer.region.stores.push((*made, DType::F32));
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
                let arg = *writer.args.get(&m).ok_or_else(|| Error::state("a group stores what it does not make"))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fusion::{Limits, fuse};
    use crate::ops::conv2d::Conv2d;
    use crate::ops::matmul::MatMul;
    use crate::ops::window::Padding;
    use crate::passes::autodiff::differentiate;
    use crate::passes::optimise;
    use crate::plan::{Plan, PlanOptions};
    use crate::shape::Fact;
    use crate::testing::{Rng, check_plan};

    fn input(g: &mut Graph, shape: &[usize]) -> NodeId {
        g.input(Fact::new(shape, DType::F32))
    }

    /// tanh of x, a product of it, and the sum of both.
    fn around_a_product() -> Graph {
        let mut g = Graph::new();
        let (x, w) = (input(&mut g, &[8, 16]), input(&mut g, &[16, 16]));
        let h = g.unary(Function::Tanh, x).unwrap();
        let product = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[h, w]).unwrap();
        let y = g.unary(Function::Exp, product).unwrap();
        let y = g.add(h, y).unwrap();
        g.set_outputs(vec![y]);
        g
    }

    #[test]
    fn what_somebody_holds_is_stored_and_convolved() {
        for held in [0, 1] {
            let mut g = Graph::new();
            let (x, scale) = (input(&mut g, &[2, 8, 8, 16]), input(&mut g, &[16]));
            let w = input(&mut g, &[3, 3, 16, 4]);
            let scaled = g.mul(x, scale).unwrap();
            let h = g.unary(Function::Relu, scaled).unwrap();
            let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
            let y = g.apply(conv, &[h, w]).unwrap();
            g.set_outputs(vec![y]);
            let text = Plan::compile(&g, &PlanOptions::default()).unwrap().describe();
            assert!(text.contains("mul+relu+conv2d"), "nobody holds it: {text}");
            g.set_outputs(vec![y, [scaled, h][held]]);
            let plan = Plan::compile(&g, &PlanOptions::default()).unwrap();
            assert!(plan.describe().contains("read elsewhere") && plan.taken_apart() == 0, "{}", plan.describe());
            check_plan(&g, &mut Rng::new(1), 1e-5);
        }
    }

    #[test]
    fn clusters_with_early_and_late_members_close_no_cycle() {
        for function in [Function::Tanh, Function::Relu, Function::Sigmoid, Function::Exp] {
            let mut g = Graph::new();
            let (x, w) = (input(&mut g, &[32, 16]), input(&mut g, &[32, 16]));
            let s = g.unary(function, x).unwrap();
            let mean = g.mean(s, &[0, 1], true).unwrap();
            let centred = g.sub(s, mean).unwrap();
            let weighted = g.mul(centred, w).unwrap();
            let loss = g.sum(weighted, &[0, 1], false).unwrap();
            let grads = differentiate(&mut g, loss, &[x, w], None).unwrap();
            g.set_outputs(grads.into_iter().flatten().chain([loss]).collect());
            assert_eq!(Plan::compile(&g, &PlanOptions::default()).unwrap().taken_apart(), 0);
            check_plan(&g, &mut Rng::new(2), 1e-4);
        }
    }

    #[test]
    fn what_cannot_run_is_taken_apart() {
        let g = optimise(&around_a_product()).unwrap();
        let live = g.live();
        let pointwise: Vec<NodeId> = g.ids().filter(|&i| g.node(i).op.def().kind() == Kind::Pointwise).collect();
        let limits = Limits::default();
        let mut clusters = Clusters::new(&g, &limits, &live, &[]).unwrap();
        let alone = clusters.settle().unwrap();
        // The first and the last of one cluster: the product would have to run in its middle.
        let (first, last) = (pointwise[0], pointwise[pointwise.len() - 1]);
        let [a, b] = [first, last].map(|n| clusters.of[n.index()].unwrap());
        clusters.try_merge(a, b);
        assert!(clusters.of[first.index()] != clusters.of[last.index()], "a merge closes a cycle");
        clusters.of[last.index()] = Some(a);
        clusters.members[b].clear();
        clusters.members[a].push(last);
        let (groups, taken_apart) = clusters.settle().unwrap();
        assert_eq!((groups.len(), taken_apart), (alone.0.len(), 1));
        // A prologue that swallows what the sum reads as well.
        let limits = Limits::default();
        let mut clusters = Clusters::new(&g, &limits, &live, &[]).unwrap();
        let [h, product] =
            [first, g.ids().find(|&i| matches!(g.node(i).op, Op::MatMul(_))).unwrap()].map(|n| clusters.of[n.index()]);
        clusters.of[first.index()] = product;
        clusters.members[h.unwrap()].clear();
        let source = g.node(first).inputs[0];
        clusters.prologues.insert(product.unwrap(), (vec![first], source));
        let (groups, taken_apart) = clusters.settle().unwrap();
        assert_eq!((groups.len(), taken_apart), (alone.0.len(), 1));
        assert_eq!(fuse(&g, &Limits::default(), true, &[]).unwrap().taken_apart, 0);
    }
}
