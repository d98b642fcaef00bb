//! The verifier: what must hold of every graph. Runs after each pass in debug builds.

use super::Graph;
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::shape::Fact;
use smallvec::SmallVec;

/// Checks topological order, facts against inference, input numbering and outputs.
///
/// # Errors
/// The first violation, naming the node.
pub fn verify(graph: &Graph) -> Result<()> {
    let mut inputs = 0;
    for id in graph.ids() {
        let node = graph.node(id);
        let name = node.op.def().name();
        if let Some(i) = node.inputs.iter().find(|i| **i >= id) {
            return Err(Error::state(format!("%{} ({name}) reads %{} which comes later", id.0, i.0)));
        }
        if let Op::Input(input) = &node.op {
            if input.index != inputs || graph.inputs().get(inputs) != Some(&id) {
                return Err(Error::state(format!("%{}: input {} is not number {inputs}", id.0, input.index)));
            }
            inputs += 1;
            continue;
        }
        let facts: SmallVec<[Fact; 4]> = node.inputs.iter().map(|&i| graph.fact(i).clone()).collect();
        let fact = node.op.def().infer(&facts)?;
        if fact != node.fact {
            return Err(Error::state(format!("%{} ({name}) has fact {}, inference says {fact}", id.0, node.fact)));
        }
    }
    if let Some(o) = graph.outputs().iter().find(|o| o.index() >= graph.nodes().len()) {
        return Err(Error::state(format!("output %{} is not in the graph", o.0)));
    }
    Ok(())
}
