//! Precision: what layers of 16 bits compute is computed in float32, without a rounding after each operation.
//!
//! Between two operations of such layers stand a loose cast to 16 bits and one back. The pass leaves both out: a value
//! that passes on in registers, or in memory that is free again soon, is not rounded. What may be kept in 16 bits is noted
//! on the node ([`Node::storage`](crate::graph::Node::storage)), for [`storage`](super::storage), which sees what is kept.
//! Casts that a program asked for stay. On a product whose operands both came in 16 bits it is noted that a kernel may
//! round them to that type ([`Node::operands`](crate::graph::Node::operands)), which halves what it keeps of them.

use super::{Pass, PassContext};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, Inputs, Node, NodeId};
use crate::ops::constant::Constant;
use crate::ops::pointwise::Cast;
use crate::ops::{Kind, Op};

/// Leaves out pairs of casts to 16 bits and back.
pub struct Precision;

impl Pass for Precision {
    fn name(&self) -> &'static str {
        "precision"
    }

    fn does(&self) -> &'static str {
        "leaves out roundings to 16 bits between operations of layers"
    }

    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
        if !graph.nodes().iter().any(|n| rounds(&n.op)) {
            return Ok(graph.clone());
        }
        let roundable = roundable(graph);
        graph.rewrite(|g, node, inputs| {
            let from = node.inputs.first().filter(|_| matches!(node.op, Op::Cast(Cast { dtype: DType::F32, .. })));
            let Some(&from) = from.filter(|&&from| is_unrounded(graph, from)) else {
                let before = g.nodes().len();
                let made = g.apply(node.op.clone(), inputs)?;
                let operands = operands(graph, node);
                // An equal product that rounds otherwise rounds for neither.
                let same = made.index() >= before || g.node(made).operands == operands;
                g.set_operands(made, operands.filter(|_| same));
                return Ok(made);
            };
            context.done(node, &graph.node(from).origin, "not rounded between two operations");
            widened(graph, &roundable, g, from, inputs[0])
        })
    }
}

/// Whether `op` is a loose cast to 16 bits.
fn rounds(op: &Op) -> bool {
    matches!(op, Op::Cast(cast) if cast.loose && cast.dtype.is_storage())
}

/// The type of 16 bits in which a product of `graph` got both operands, if it is one.
fn operands(graph: &Graph, node: &Node) -> Option<DType> {
    let narrow = |&id: &NodeId| {
        let mut node = graph.node(id);
        loop {
            match (&node.op, node.inputs.as_slice()) {
                (Op::Cast(Cast { dtype: DType::F32, .. }), &[x]) => {
                    return Some(graph.fact(x).dtype).filter(|dtype| dtype.is_storage());
                }
                (Op::Cast(_), _) => return None,
                (op, &[x]) if op.def().moves() => node = graph.node(x),
                _ => return None,
            }
        }
    };
    let [a, b] = node.inputs.as_slice() else { return None };
    narrow(a).filter(|&dtype| node.op.is_product() && narrow(b) == Some(dtype))
}

/// Whether the value of 16 bits `id` of `graph` comes from loose casts alone, and is moved at most.
fn is_unrounded(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match &node.op {
        op if rounds(op) => true,
        Op::Constant(_) => true,
        op if op.def().moves() && node.fact.dtype.is_storage() && op.def().kind() != Kind::Leaf => {
            let mut moved = node.inputs.iter().filter(|i| graph.fact(**i).dtype.is_storage()).peekable();
            moved.peek().is_some() && moved.all(|&i| is_unrounded(graph, i))
        }
        _ => false,
    }
}

/// The value `old` of `graph`, which [`is_unrounded`], in float32; `new` is what it became in `g`.
fn widened(graph: &Graph, roundable: &[bool], g: &mut Graph, old: NodeId, new: NodeId) -> Result<NodeId> {
    let (node, dtype) = (graph.node(old), graph.fact(old).dtype);
    match &node.op {
        Op::Constant(c) => g.apply(Constant::new(c.value(), DType::F32), &[]),
        op if rounds(op) => {
            let x = g.node(new).inputs[0];
            let storable = roundable[node.inputs[0].index()] && g.node(x).op.def().kind() != Kind::Leaf;
            if g.fact(x).dtype != DType::F32 {
                return g.cast(x, DType::F32);
            }
            if storable {
                g.set_storage(x, Some(dtype));
            }
            Ok(x)
        }
        op => {
            let pairs: Vec<(NodeId, NodeId)> =
                node.inputs.iter().copied().zip(g.node(new).inputs.iter().copied()).collect();
            let inputs: Inputs = pairs
                .into_iter()
                .map(|(old, new)| match graph.fact(old).dtype.is_storage() {
                    true => widened(graph, roundable, g, old, new),
                    false => Ok(new),
                })
                .collect::<Result<_>>()?;
            let moved = g.apply(op.clone(), &inputs)?;
            g.set_storage(moved, Some(dtype));
            Ok(moved)
        }
    }
}

/// For each node, whether all that reads it, gradients aside, takes it rounded to one type of 16 bits.
fn roundable(graph: &Graph) -> Vec<bool> {
    let live = graph.live();
    let mut types: Vec<Option<DType>> = vec![None; graph.nodes().len()];
    let mut roundable = vec![true; graph.nodes().len()];
    for id in graph.ids().filter(|i| live[i.index()] && !graph.node(*i).gradient) {
        let node = graph.node(id);
        for i in &node.inputs {
            let same = rounds(&node.op) && types[i.index()].is_none_or(|dtype| dtype == node.fact.dtype);
            roundable[i.index()] &= same;
            types[i.index()] = Some(node.fact.dtype);
        }
    }
    graph.outputs().iter().for_each(|o| roundable[o.index()] = false);
    roundable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::gather::Gather;
    use crate::ops::movement::Concat;
    use crate::ops::pointwise::Function;
    use crate::passes::run_alone;
    use crate::shape::Fact;
    use crate::testing::{Rng, check_plan};

    const HALF: DType = DType::BF16;

    /// `x` rounded and widened, as between two layers.
    fn between(g: &mut Graph, x: NodeId) -> NodeId {
        let half = g.cast_loosely(x, HALF).unwrap();
        g.cast(half, DType::F32).unwrap()
    }

    fn casts(g: &Graph) -> usize {
        let live = g.live();
        g.ids().filter(|i| live[i.index()] && matches!(g.node(*i).op, Op::Cast(_))).count()
    }

    fn input(g: &mut Graph, shape: &[usize]) -> NodeId {
        g.input(Fact::new(shape, DType::F32))
    }

    #[test]
    fn values_between_layers_are_not_rounded_and_may_be_kept_in_16_bits() {
        let mut g = Graph::new();
        let x = input(&mut g, &[3, 4]);
        let weights = between(&mut g, x);
        let y = g.unary(Function::Exp, weights).unwrap();
        let y = between(&mut g, y);
        let z = g.unary(Function::Relu, y).unwrap();
        let out = g.cast_loosely(z, HALF).unwrap();
        g.set_outputs(vec![out]);
        let made = run_alone(&Precision, &g);
        // What leaves the graph has the type that was asked for.
        assert_eq!(casts(&made), 1);
        let storage = |f: Function| made.nodes().iter().find(|n| n.op == Op::Pointwise(f)).unwrap().storage;
        assert_eq!((storage(Function::Exp), storage(Function::Relu)), (Some(HALF), None));
        assert_eq!(made.node(made.inputs()[0]).storage, None, "inputs stay what they are");
        check_plan(&g, &mut Rng::new(1), 2f64.powi(-6));
    }

    #[test]
    fn products_of_layers_may_round_their_operands() {
        use crate::ops::matmul::MatMul;
        use crate::passes::autodiff::differentiate;
        let matmul = MatMul { transpose_a: false, transpose_b: false };
        let mut g = Graph::new();
        let [x, w, v] = [[3, 4], [4, 4], [4, 4]].map(|shape| input(&mut g, &shape));
        let (a, b) = (between(&mut g, x), between(&mut g, w));
        let y = g.apply(matmul.clone(), &[a, b]).unwrap();
        let y = between(&mut g, y);
        let loss = g.sum(y, &[0, 1], false).unwrap();
        let gradients = differentiate(&mut g, loss, &[x, w], None).unwrap();
        // The same product for a layer of float32, and one of operands of two types.
        let exact = g.apply(matmul.clone(), &[x, w]).unwrap();
        let mixed = g.apply(matmul.clone(), &[a, v]).unwrap();
        g.set_outputs(gradients.into_iter().flatten().chain([loss, mixed]).collect());
        let marks = |g: &Graph| -> Vec<Option<DType>> {
            let live = g.live();
            let products = g.ids().filter(|id| live[id.index()] && g.node(*id).op.is_product());
            products.map(|id| g.node(id).operands).collect()
        };
        let made = run_alone(&Precision, &g);
        assert_eq!(marks(&made), [Some(HALF), Some(HALF), Some(HALF), None]);
        let again = made.rewrite(|g, node, inputs| g.apply(node.op.clone(), inputs)).unwrap();
        assert_eq!(marks(&again), marks(&made));
        g.set_outputs(g.outputs().iter().copied().chain([exact]).collect());
        assert_eq!(marks(&run_alone(&Precision, &g))[0], None, "another reads the product of unrounded operands");
    }

    #[test]
    fn what_a_program_rounds_stays_rounded() {
        let mut g = Graph::new();
        let x = input(&mut g, &[3, 4]);
        let half = g.cast(x, HALF).unwrap();
        let y = g.cast(half, DType::F32).unwrap();
        g.set_outputs(vec![y]);
        assert_eq!(casts(&run_alone(&Precision, &g)), 2);
        check_plan(&g, &mut Rng::new(1), 0.0);
    }

    #[test]
    fn what_a_layer_of_float32_reads_too_is_not_kept_in_16_bits() {
        let mut g = Graph::new();
        let x = input(&mut g, &[3, 4]);
        let y = g.unary(Function::Exp, x).unwrap();
        let a = between(&mut g, y);
        let b = g.unary(Function::Log, y).unwrap();
        let sum = g.add(a, b).unwrap();
        g.set_outputs(vec![sum]);
        let made = run_alone(&Precision, &g);
        assert_eq!((casts(&made), made.nodes().iter().filter(|n| n.storage.is_some()).count()), (0, 0));
    }

    #[test]
    fn what_is_moved_between_layers_is_moved_unrounded() {
        let mut g = Graph::new();
        let (x, y) = (input(&mut g, &[3, 4]), input(&mut g, &[2, 4]));
        let [a, b] = [x, y].map(|v| g.unary(Function::Exp, v).unwrap());
        let [a, b] = [a, b].map(|v| g.cast_loosely(v, HALF).unwrap());
        let joined = g.apply(Concat { axis: 0 }, &[a, b]).unwrap();
        let flat = g.reshape(joined, [20].into()).unwrap();
        let wide = g.cast(flat, DType::F32).unwrap();
        g.set_outputs(vec![wide]);
        let made = run_alone(&Precision, &g);
        assert_eq!(casts(&made), 0);
        assert_eq!(made.nodes().iter().filter(|n| n.storage == Some(HALF)).count(), 4);
        check_plan(&g, &mut Rng::new(2), 2f64.powi(-8));
    }

    #[test]
    fn rows_of_stored_halves_are_widened_once_they_are_picked() {
        let mut g = Graph::new();
        let table = g.input(Fact::new([50, 4], HALF));
        let rows = g.input(Fact::new([2], DType::I32));
        let picked = g.apply(Gather { axis: 0 }, &[table, rows]).unwrap();
        let wide = g.cast(picked, DType::F32).unwrap();
        g.set_outputs(vec![wide]);
        assert_eq!(run_alone(&Precision, &g), g);
    }
}
