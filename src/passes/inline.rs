//! Composites replaced by what they are made of.

use super::{Pass, PassContext};
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId};
use crate::ops::Kind;

/// Inlines composites until none is left.
pub struct Inline;

impl Pass for Inline {
    fn name(&self) -> &'static str {
        "inline"
    }

    fn does(&self) -> &'static str {
        "replaces ops that are made of others by those"
    }

    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
        let is_left = |graph: &Graph| graph.nodes().iter().any(|n| n.op.def().kind() == Kind::Composite);
        if !is_left(graph) {
            return Ok(graph.clone());
        }
        let mut inline = |g: &mut Graph, node: &Node, inputs: &[NodeId]| inline_node(g, node, inputs, context);
        let mut graph = graph.rewrite(&mut inline)?;
        while is_left(&graph) {
            graph = graph.rewrite(&mut inline)?;
        }
        Ok(graph)
    }

    fn is_required(&self) -> bool {
        true
    }
}

fn inline_node(g: &mut Graph, node: &Node, inputs: &[NodeId], context: &mut PassContext) -> Result<NodeId> {
    if node.op.def().kind() == Kind::Composite {
        context.done(node, &None, "replaced by the operations that it is made of");
        node.op.def().inline(g, inputs)
    } else {
        g.apply(node.op.clone(), inputs)
    }
}
