//! Simplification: rules that replace a node by something cheaper of the same value.
//!
//! Each rule looks at one node whose inputs are already translated. Rounds repeat until nothing
//! changes; every rule makes the graph smaller, moves a broadcast towards the outputs or a factor
//! out of a sum, so they end. Equal nodes merge and dead ones fall away in each round.
//!
//! What a rule may change: the order of a sum's terms, and the sign of a zero. What none changes:
//! which results are NaN, except where a factor is pulled out of a sum that then overflows less, and
//! where zeros around an image met infinite filters.

mod algebra;
mod broadcast;
mod movement;
mod padding;
mod pooling;
mod reduction;
mod strides;
#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::graph::{Graph, Node, NodeId};
use crate::ops::Op;

/// Rounds after which a graph is left as it is.
const MAX_ROUNDS: usize = 32;

/// What a rule knows of the node that it may replace.
pub(super) struct Site<'a> {
    /// The node before the rewrite.
    pub node: &'a Node,
    /// Its inputs in the new graph.
    pub inputs: &'a [NodeId],
    /// For each input, whether nothing else reads it.
    pub sole_reader: &'a dyn Fn(usize) -> bool,
}

/// Replaces a node, or leaves it.
type Rule = fn(&mut Graph, &Site) -> Result<Option<NodeId>>;

/// All rules, in the order in which they are tried.
const RULES: &[Rule] = &[
    algebra::no_effect,
    algebra::fold_constants,
    algebra::cast_chain,
    algebra::negation,
    algebra::neutral_element,
    algebra::constant_factors,
    algebra::select_known,
    movement::no_effect,
    movement::merge_views,
    movement::merge_transposes,
    padding::into_windows,
    strides::spread,
    broadcast::merge_broadcasts,
    broadcast::push_down,
    reduction::of_broadcast,
    reduction::merge,
    reduction::pull_factor,
    pooling::mask_before_grad,
    pooling::sum_of_grad,
    algebra::order_operands,
];

/// Simplifies until no rule applies.
///
/// # Errors
/// When a rule builds a node that inference refuses, which is a defect of the rule.
pub fn simplify(graph: &Graph) -> Result<Graph> {
    let mut graph = round(graph)?.0;
    for _ in 1..MAX_ROUNDS {
        let (next, changed) = round(&graph)?;
        graph = next;
        if !changed {
            break;
        }
    }
    Ok(graph)
}

fn round(graph: &Graph) -> Result<(Graph, bool)> {
    let readers = graph.reader_counts();
    let mut changed = false;
    let next = graph.rewrite(|g, node, inputs| {
        let sole_reader = |k: usize| readers[node.inputs[k].index()] == 1;
        let site = Site { node, inputs, sole_reader: &sole_reader };
        for rule in RULES {
            if let Some(id) = rule(g, &site)? {
                changed = true;
                return Ok(id);
            }
        }
        g.apply(node.op.clone(), inputs)
    })?;
    Ok((next, changed))
}

/// The literal that `id` holds in every element, if it is one, seen through broadcasts and views.
fn literal(g: &Graph, mut id: NodeId) -> Option<f64> {
    loop {
        match &g.node(id).op {
            Op::Constant(c) => return Some(c.value()),
            Op::BroadcastTo(_) | Op::Reshape(_) | Op::StopGradient(_) => id = g.node(id).inputs[0],
            _ => return None,
        }
    }
}

/// `id` under the shape of `site`'s node; `None` if it has another dtype.
fn fitted(g: &mut Graph, site: &Site, id: NodeId) -> Result<Option<NodeId>> {
    if g.fact(id).dtype != site.node.fact.dtype {
        return Ok(None);
    }
    g.broadcast_to(id, site.node.fact.shape.clone()).map(Some)
}
