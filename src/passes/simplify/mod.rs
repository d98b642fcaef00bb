//! Simplification: rules that replace a node by something cheaper of the same value.
//!
//! Each rule looks at one node whose inputs are already translated. Rounds repeat until nothing
//! changes; every rule makes the graph smaller, moves a broadcast or a reshape towards the outputs or a factor
//! out of a sum, so they end. Equal nodes merge and dead ones fall away in each round.
//!
//! What a rule may change: the order of a sum's terms, and the sign of a zero. What none changes:
//! which results are NaN, except where a factor is pulled out of a sum that then overflows less, a division by the sum
//! of a softmax comes after a product that overflows earlier, and where zeros around an image met infinite filters.

mod algebra;
mod broadcast;
mod movement;
mod padding;
mod pooling;
mod reduction;
mod softmax;
mod strides;
#[cfg(test)]
mod tests;

use super::{Pass, PassContext};
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, Origin, unite};
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

/// All rules, in the order in which they are tried, each with what the log says where it applied.
const RULES: &[(&str, Rule)] = &[
    ("it has no effect", algebra::no_effect),
    ("computed from literals once and for all", algebra::fold_constants),
    ("two conversions became one", algebra::cast_chain),
    ("a negation became part of what reads it", algebra::negation),
    ("a neutral element left out", algebra::neutral_element),
    ("constant factors became one", algebra::constant_factors),
    ("the condition is known", algebra::select_known),
    ("two choices of literals became one", algebra::select_literals),
    ("it moves nothing", movement::no_effect),
    ("shapes in a row became one", movement::merge_views),
    ("transposes in a row became one", movement::merge_transposes),
    ("now padding of {}", padding::into_windows),
    ("windows with gaps became windows side by side", strides::spread),
    ("computed before its shape changes, where it is made", movement::reshape_last),
    ("broadcasts in a row became one", broadcast::merge_broadcasts),
    ("computed before it is broadcast", broadcast::push_down),
    ("a reduction of equal elements became a multiple", reduction::of_broadcast),
    ("reductions in a row became one", reduction::merge),
    ("a factor pulled out of a sum", reduction::pull_factor),
    ("divided after the product with fewer columns", softmax::divide_after_product),
    ("the mask moved to the fewer elements before pooling's gradient", pooling::mask_before_grad),
    ("summed before pooling's gradient spreads it", pooling::sum_of_grad),
    ("operands put in order", algebra::order_operands),
];

/// Simplifies until no rule applies.
pub struct Simplify;

impl Pass for Simplify {
    fn name(&self) -> &'static str {
        "simplify"
    }

    fn does(&self) -> &'static str {
        "replaces operations by cheaper ones of the same value"
    }

    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
        simplify(graph, context)
    }
}

/// # Errors
/// When a rule builds a node that inference refuses, which is a defect of the rule.
fn simplify(graph: &Graph, context: &mut PassContext) -> Result<Graph> {
    let mut graph = round(graph, context)?.0;
    for _ in 1..MAX_ROUNDS {
        let (next, changed) = round(&graph, context)?;
        graph = next;
        if !changed {
            break;
        }
    }
    Ok(graph)
}

/// Where the inputs of `node` come from, as far as somebody asked for it.
fn beside(graph: &Graph, node: &Node, context: &PassContext) -> Origin {
    let mut with = None;
    if context.is_logging() {
        node.inputs.iter().for_each(|&i| unite(&mut with, &graph.node(i).origin));
    }
    with
}

fn round(graph: &Graph, context: &mut PassContext) -> Result<(Graph, bool)> {
    let readers = graph.reader_counts();
    let mut changed = false;
    let next = graph.rewrite(|g, node, inputs| {
        let sole_reader = |k: usize| readers[node.inputs[k].index()] == 1;
        let site = Site { node, inputs, sole_reader: &sole_reader };
        for (what, rule) in RULES {
            if let Some(id) = rule(g, &site)? {
                changed = true;
                context.done(node, &beside(graph, node, context), what);
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
