//! Composites replaced by what they are made of.

use crate::error::Result;
use crate::graph::Graph;
use crate::ops::Kind;

/// Inlines composites until none is left.
pub fn inline_composites(graph: &Graph) -> Result<Graph> {
    let mut graph = graph.rewrite(inline_node)?;
    while graph.nodes().iter().any(|n| n.op.def().kind() == Kind::Composite) {
        graph = graph.rewrite(inline_node)?;
    }
    Ok(graph)
}

fn inline_node(
    g: &mut Graph,
    node: &crate::graph::Node,
    inputs: &[crate::graph::NodeId],
) -> Result<crate::graph::NodeId> {
    if node.op.def().kind() == Kind::Composite {
        node.op.def().inline(g, inputs)
    } else {
        g.apply(node.op.clone(), inputs)
    }
}
