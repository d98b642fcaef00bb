//! Cheap values computed again by each of their readers instead of stored for them.
//!
//! The gradient of ReLU asks where its output is positive, long after the forward pass: the comparison
//! is made where it is read, and no mask is kept. Batch normalisation's scale and shift, and ReLU after
//! them, are what one convolution and its filter gradient read: both make them anew, as a prologue, from
//! the output of the convolution before, which the backward pass needs in any case. The same holds for a
//! value one multiplication, addition or bound away from another that is stored anyway: its distance from the
//! mean.

use super::{Pass, PassContext};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, Inputs, NodeId, unite};
use crate::ops::pointwise::Function;
use crate::ops::{Kind, Op};
use std::collections::HashSet;

/// Pointwise functions that a value may be away from a stored one.
const MAX_CHAIN: usize = 5;

/// Elements from which on a value is worth a step at each reader instead of its memory.
const MIN_STEP: usize = 1 << 12;

/// What is known of a graph's values.
struct Values<'g> {
    g: &'g Graph,
    readers: Vec<Vec<NodeId>>,
    /// Values that lie in memory in any case.
    stored: HashSet<NodeId>,
    /// As [`depths`].
    depth: Vec<usize>,
}

impl<'g> Values<'g> {
    fn new(g: &'g Graph) -> Self {
        let live = g.live();
        let mut readers = vec![Vec::new(); g.nodes().len()];
        let mut stored: HashSet<NodeId> = g.outputs().iter().copied().collect();
        for id in g.ids().filter(|i| live[i.index()]) {
            let node = g.node(id);
            for &i in &node.inputs {
                readers[i.index()].push(id);
            }
            match g.kind(id) {
                // What reads these is joined with them.
                Kind::Pointwise | Kind::Reduce | Kind::Leaf => {}
                _ => stored.extend(node.inputs.iter().copied()),
            }
        }
        Values { g, readers, stored, depth: g.depths() }
    }

    /// Whether a reader of `id` waits for a heavy op or reduction that comes after `id`.
    fn is_read_later(&self, id: NodeId) -> bool {
        self.readers[id.index()].iter().any(|&r| self.waits(r, id))
    }

    /// Whether `reader` of `id` needs something besides that comes later.
    fn waits(&self, reader: NodeId, id: NodeId) -> bool {
        self.g.node(reader).inputs.iter().any(|i| self.depth[i.index()] > self.depth[id.index()])
    }

    /// What `id`, which would be stored for a later reader, is one cheap function away from: a value of its
    /// shape, with small ones beside it.
    fn step(&self, id: NodeId) -> Option<NodeId> {
        let node = self.g.node(id);
        let Op::Pointwise(function) = &node.op else { return None };
        let cheap = matches!(
            function,
            Function::Add | Function::Sub | Function::Mul | Function::Maximum | Function::Minimum | Function::Relu
        );
        let large = node.fact.shape.len() >= MIN_STEP && node.fact.dtype == DType::F32;
        if !cheap || !large || self.stored.contains(&id) || !self.is_read_later(id) {
            return None;
        }
        let (full, small): (Vec<NodeId>, Vec<NodeId>) =
            node.inputs.iter().partition(|&&i| self.g.fact(i).shape == node.fact.shape);
        let &[source] = full.as_slice() else { return None };
        let constant = matches!(self.g.node(source).op, Op::Constant(_));
        let small = small.iter().all(|&i| self.g.fact(i).shape.len() * 16 <= node.fact.shape.len());
        (small && !constant).then_some(source)
    }

    /// Whether `id` is one step from a value that is stored anyway.
    fn is_step(&self, id: NodeId) -> bool {
        let Some(source) = self.step(id) else { return false };
        let leaf = self.g.kind(source) == Kind::Leaf;
        let later = |&r: &NodeId| r != id && self.waits(r, source);
        leaf || self.stored.contains(&source) || self.readers[source.index()].iter().any(later)
    }

    fn is_pointwise(&self, id: NodeId) -> bool {
        self.g.kind(id) == Kind::Pointwise
    }

    /// Whether `id` is a comparison of one value with constants.
    fn compares(&self, id: NodeId) -> Option<NodeId> {
        let node = self.g.node(id);
        let mut read = node.inputs.iter().filter(|&&i| !matches!(self.g.node(i).op, Op::Constant(_)));
        let one = *read.next()?;
        let compares = matches!(node.op, Op::Pointwise(_)) && node.fact.dtype == DType::Bool;
        (compares && read.next().is_none()).then_some(one)
    }

    /// The pointwise functions, first to last, that make `id` from one stored value of its shape and small
    /// ones.
    fn chain(&self, id: NodeId) -> Option<Vec<NodeId>> {
        let shape = &self.g.fact(id).shape;
        let mut chain = Vec::new();
        let mut at = id;
        while self.is_pointwise(at) {
            if chain.len() == MAX_CHAIN || self.g.fact(at).dtype != DType::F32 {
                return None;
            }
            chain.push(at);
            let inputs = self.g.node(at).inputs.iter().copied();
            let (full, small): (Vec<NodeId>, Vec<NodeId>) = inputs.partition(|&i| self.g.fact(i).shape == *shape);
            let &[source] = full.as_slice() else { return None };
            if small.iter().any(|&i| self.g.fact(i).shape.len() * 16 > shape.len()) {
                return None;
            }
            at = source;
        }
        let heavy = self.g.kind(at) == Kind::Heavy;
        chain.reverse();
        // Read by another than the chain, so that it is stored.
        (heavy && self.stored.contains(&at)).then_some(chain)
    }

    /// Whether `id` is worth its chain at each reader: the input of one convolution and of gradients by
    /// filters, otherwise only compared.
    fn is_prologue(&self, id: NodeId) -> bool {
        let g = self.g;
        let mut forward = 0;
        let mut gradients = 0;
        for &reader in &self.readers[id.index()] {
            let node = g.node(reader);
            if g.takes_prologue(reader) && node.inputs[0] == id && node.inputs[1..].iter().all(|&i| i != id) {
                match &node.op {
                    Op::Conv2dFilterGrad(_) => gradients += 1,
                    _ => forward += 1,
                }
            } else if self.compares(reader) != Some(id) || self.stored.contains(&reader) {
                return false;
            }
        }
        forward == 1 && gradients >= 1 && !g.outputs().contains(&id)
    }

    /// Takes down which values are computed again by each of their readers, and why others that a gradient by
    /// filters reads are kept for it.
    fn log(&self, cheap: &[bool], context: &mut PassContext) {
        let g = self.g;
        let live = g.live();
        // Whether gradients compute a cheap value again, for themselves or for a cheap value that they read.
        let mut for_gradients = vec![false; cheap.len()];
        for id in g.ids().rev().filter(|&i| live[i.index()] && cheap[i.index()]) {
            let serves = |r: &NodeId| g.node(*r).gradient || for_gradients[r.index()];
            for_gradients[id.index()] = self.readers[id.index()].iter().any(serves);
        }
        for id in g.ids().filter(|&i| live[i.index()] && self.is_pointwise(i) && !g.node(i).gradient) {
            let readers = self.readers[id.index()].iter().map(|&r| g.node(r));
            let mut others = None;
            readers.clone().for_each(|r| unite(&mut others, &r.origin));
            let for_filters = readers.clone().any(|r| matches!(r.op, Op::Conv2dFilterGrad(_)) && r.inputs[0] == id);
            let node = g.node(id);
            if for_gradients[id.index()] {
                context.done(node, &others, "computed again where it is read, not kept for the gradients");
            } else if for_filters && !cheap[id.index()] {
                let forward = readers.clone().filter(|r| !r.gradient).count();
                context.left(
                    node,
                    &others,
                    match forward {
                        _ if g.outputs().contains(&id) => "kept for the gradients: it is an output",
                        0 | 1 if self.is_prologue(id) => {
                            "kept for the gradients: it takes more than a few cheap functions"
                        }
                        0 | 1 => "kept for the gradients: it is read other than by one convolution and its gradients",
                        _ => "kept for the gradients: more than one operation reads it",
                    },
                );
            }
        }
    }
}

/// Gives every reader of a cheap value one of its own. The copies are equal nodes: no pass that interns
/// may follow.
pub struct Recompute;

impl Pass for Recompute {
    fn name(&self) -> &'static str {
        "recompute"
    }

    fn does(&self) -> &'static str {
        "computes cheap values again where they are read instead of keeping them"
    }

    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
        recompute(graph, context)
    }
}

fn recompute(graph: &Graph, context: &mut PassContext) -> Result<Graph> {
    let values = Values::new(graph);
    let live = graph.live();
    let mut cheap = vec![false; graph.nodes().len()];
    let mut prologues = HashSet::new();
    for id in graph.ids().filter(|i| live[i.index()] && values.is_pointwise(*i)) {
        if values.is_prologue(id)
            && let Some(chain) = values.chain(id)
        {
            chain.iter().for_each(|c| cheap[c.index()] = true);
            prologues.insert(id);
        }
    }
    for id in graph.ids().filter(|i| live[i.index()]) {
        let in_memory = |v: NodeId| {
            values.stored.contains(&v) || prologues.contains(&v) || graph.node(v).op.def().kind() == Kind::Leaf
        };
        cheap[id.index()] |= values.compares(id).is_some_and(in_memory) && !values.stored.contains(&id);
        let from_cheap = values.step(id).is_some_and(|source| cheap[source.index()]);
        cheap[id.index()] |= !from_cheap && values.is_step(id);
    }
    if context.is_logging() {
        values.log(&cheap, context);
    }
    graph.rewrite(|g, node, inputs| {
        let pairs = node.inputs.iter().zip(inputs);
        let own: Inputs = pairs.map(|(&old, &new)| copy(graph, &cheap, g, old, new)).collect();
        g.apply(node.op.clone(), &own)
    })
}

/// A copy of `new`, which `old` became in `g`, down to what is not cheap.
fn copy(graph: &Graph, cheap: &[bool], g: &mut Graph, old: NodeId, new: NodeId) -> NodeId {
    if !cheap[old.index()] {
        return new;
    }
    let from = g.node(new).inputs.clone();
    let pairs = graph.node(old).inputs.iter().zip(from);
    let mut own: Inputs = pairs.map(|(&old, new)| copy(graph, cheap, g, old, new)).collect();
    // relu(x) > c is x > c where c >= 0.
    if let (Op::Pointwise(Function::Greater), [x, c]) = (&g.node(new).op, own.as_slice())
        && g.node(*x).op == Op::Pointwise(Function::Relu)
        && cheap[graph.node(old).inputs[0].index()]
        && matches!(&g.node(*c).op, Op::Constant(c) if c.value() >= 0.0)
    {
        own[0] = g.node(*x).inputs[0];
    }
    g.duplicate(new, own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fusion::{Limits, fuse};
    use crate::ops::conv2d::Conv2d;
    use crate::ops::matmul::MatMul;
    use crate::ops::window::Padding;
    use crate::passes::autodiff::differentiate;
    use crate::passes::{optimise, run_alone};
    use crate::plan::{Plan, PlanOptions};
    use crate::shape::Fact;
    use crate::testing::{Rng, check_plan};

    /// relu(x · w) read by a product and, as a mask, by two others.
    fn masks() -> Graph {
        let mut g = Graph::new();
        let x = g.input(Fact::new([8, 16], DType::F32));
        let w = g.input(Fact::new([16, 16], DType::F32));
        let matmul = |g: &mut Graph, a| g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, w]).unwrap();
        let h = matmul(&mut g, x);
        let y = g.unary(Function::Relu, h).unwrap();
        let zero = g.constant_like(0.0, y).unwrap();
        let on = g.binary(Function::Greater, y, zero).unwrap();
        let z = matmul(&mut g, y);
        let a = g.select(on, z, zero).unwrap();
        let b = matmul(&mut g, a);
        let b = g.select(on, b, zero).unwrap();
        g.set_outputs(vec![b]);
        g
    }

    #[test]
    fn masks_are_made_where_they_are_read() {
        let g = masks();
        let again = run_alone(&Recompute, &g);
        let comparisons = |g: &Graph| g.nodes().iter().filter(|n| n.fact.dtype == DType::Bool).count();
        assert_eq!(comparisons(&g), 1);
        // The one that every reader copied is left without readers.
        let live = again.live();
        assert_eq!(again.ids().filter(|i| live[i.index()] && again.fact(*i).dtype == DType::Bool).count(), 2);
        let plan = Plan::compile(&g, &PlanOptions::default()).unwrap().describe();
        assert!(!plan.contains("bool"), "{plan}");
        assert!(plan.contains("matmul+relu →"), "{plan}");
        check_plan(&g, &mut Rng::new(3), 1e-5);
    }

    /// A training step of conv, batch norm, ReLU, conv; `again` is a second reader of what ReLU made.
    fn blocks(again: bool) -> Graph {
        let mut g = Graph::new();
        let conv = |g: &mut Graph, x, w| {
            let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
            g.apply(conv, &[x, w]).unwrap()
        };
        let f32s = |shape: &[usize]| Fact::new(shape, DType::F32);
        let x = g.input(f32s(&[3, 9, 8, 5]));
        let (w1, w2) = (g.input(f32s(&[3, 3, 5, 20])), g.input(f32s(&[3, 3, 20, 7])));
        let (gamma, beta) = (g.input(f32s(&[20])), g.input(f32s(&[20])));
        let y = conv(&mut g, x, w1);
        let norm = Op::parse("batch_norm", Default::default()).unwrap();
        let n = g.apply(norm, &[y, gamma, beta]).unwrap();
        let a = g.unary(Function::Relu, n).unwrap();
        let z = conv(&mut g, a, w2);
        let squares = g.unary(Function::Square, z).unwrap();
        let mut loss = g.sum(squares, &[0, 1, 2, 3], false).unwrap();
        if again {
            let other = g.sum(a, &[0, 1, 2, 3], false).unwrap();
            loss = g.add(loss, other).unwrap();
        }
        let wrt = [w1, w2, gamma, beta];
        let mut outputs = vec![loss];
        outputs.extend(differentiate(&mut g, loss, &wrt, None).unwrap().into_iter().flatten());
        g.set_outputs(outputs);
        g
    }

    #[test]
    fn normalised_activations_are_prologues() {
        let g = blocks(false);
        let fusion = fuse(&optimise(&g).unwrap(), &Limits::default(), true, &[]).unwrap();
        let prologues = fusion.groups.iter().filter(|group| group.prologue.is_some()).count();
        assert_eq!(prologues, 2, "{}", Plan::compile(&g, &PlanOptions::default()).unwrap().describe());
        check_plan(&g, &mut Rng::new(4), 2e-4);
    }

    #[test]
    fn what_others_read_is_stored() {
        let g = blocks(true);
        let fusion = fuse(&optimise(&g).unwrap(), &Limits::default(), true, &[]).unwrap();
        assert!(fusion.groups.iter().all(|group| group.prologue.is_none()));
        check_plan(&g, &mut Rng::new(5), 2e-4);
    }
}
