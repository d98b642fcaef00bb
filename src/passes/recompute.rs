//! Cheap values computed again by each of their readers instead of stored for them.
//!
//! The gradient of ReLU asks where its output is positive, long after the forward pass. The output
//! is there: others read it from memory. So the comparison is made where it is read, and no mask is
//! kept.

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, Inputs, NodeId};
use crate::ops::{Kind, Op};
use std::collections::HashSet;

/// Gives every reader of a comparison a comparison of its own, where what is compared lies in memory in
/// any case. The copies are equal nodes: no pass that interns may follow.
pub fn recompute(graph: &Graph) -> Result<Graph> {
    let live = graph.live();
    let mut stored: HashSet<NodeId> = graph.outputs().iter().copied().collect();
    for id in graph.ids().filter(|i| live[i.index()]) {
        let node = graph.node(id);
        match node.op.def().kind() {
            // What reads these is joined with them.
            Kind::Pointwise | Kind::Reduce | Kind::Leaf => {}
            _ => stored.extend(node.inputs.iter().copied()),
        }
    }
    let leaf = |id: NodeId| graph.node(id).op.def().kind() == Kind::Leaf;
    let cheap = |id: NodeId| {
        let node = graph.node(id);
        let compares = matches!(node.op, Op::Pointwise(_)) && node.fact.dtype == DType::Bool;
        let mut read = node.inputs.iter().filter(|&&i| !matches!(graph.node(i).op, Op::Constant(_)));
        compares && read.clone().count() == 1 && read.all(|&i| stored.contains(&i) || leaf(i)) && !stored.contains(&id)
    };
    let cheap: Vec<bool> = graph.ids().map(|id| live[id.index()] && cheap(id)).collect();
    graph.rewrite(|g, node, inputs| {
        let mut own: Inputs = inputs.into();
        for (to, from) in own.iter_mut().zip(&node.inputs) {
            if cheap[from.index()] {
                *to = g.duplicate(*to);
            }
        }
        g.apply(node.op.clone(), &own)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::matmul::MatMul;
    use crate::ops::pointwise::Function;
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
        let again = recompute(&g).unwrap();
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
}
