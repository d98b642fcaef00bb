//! Calls of recorded graphs: one node for all that a recorded function computes.

use super::{Attributes, Compose};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::shape::Fact;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// One output of a recorded graph, of the inputs of that graph.
///
/// Passes see the nodes of the graph; a call is replaced by them. Graphs are the same if they are one object.
#[derive(Clone)]
pub struct Call {
    graph: Arc<Graph>,
    output: usize,
}

impl Call {
    /// The output of that number of `graph`.
    ///
    /// # Errors
    /// When the graph holds gradients, which are expanded before calls are.
    pub fn new(graph: &Arc<Graph>, output: usize) -> Result<Self> {
        if graph.nodes().iter().any(|n| matches!(n.op, Op::Gradient(_))) {
            return Err(Error::state("a graph with gradients cannot be called as one node"));
        }
        Ok(Call { graph: graph.clone(), output })
    }

    /// What the call gives.
    ///
    /// # Errors
    /// When inputs are not those of the graph.
    pub(super) fn fact(&self, inputs: &[Fact]) -> Result<Fact> {
        let wanted = self.graph.inputs();
        if wanted.len() != inputs.len() || wanted.iter().zip(inputs).any(|(&id, fact)| self.graph.fact(id) != fact) {
            return Err(Error::value("the inputs of a recorded graph are others than it was recorded for"));
        }
        Ok(self.graph.fact(self.graph.outputs()[self.output]).clone())
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({} nodes)", self.graph.nodes().len())
    }
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.graph, &other.graph) && self.output == other.output
    }
}

impl Eq for Call {}

impl Hash for Call {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.graph) as usize, self.output).hash(state);
    }
}

impl Compose for Call {
    const NAMES: &'static [&'static str] = &[];

    fn from_attributes(_: &str, _: &mut Attributes) -> Result<Self> {
        Err(Error::value("calls of graphs are made of recorded functions"))
    }

    fn name(&self) -> &'static str {
        "call"
    }

    fn arity(&self) -> Option<usize> {
        Some(self.graph.inputs().len())
    }

    fn inline(&self, g: &mut Graph, inputs: &[NodeId]) -> Result<NodeId> {
        let mut copies: Vec<Option<NodeId>> = vec![None; self.graph.nodes().len()];
        for (&id, &input) in self.graph.inputs().iter().zip(inputs) {
            copies[id.index()] = Some(input);
        }
        let output = self.graph.outputs()[self.output];
        let mut wanted = vec![false; output.index() + 1];
        wanted[output.index()] = true;
        for id in (0..=output.0).rev().map(NodeId) {
            if wanted[id.index()] {
                for input in &self.graph.node(id).inputs {
                    wanted[input.index()] = true;
                }
            }
        }
        let outside = g.set_origin(None);
        for id in (0..=output.0).map(NodeId) {
            if !wanted[id.index()] || copies[id.index()].is_some() {
                continue;
            }
            let node = self.graph.node(id);
            let inputs: Vec<NodeId> = node.inputs.iter().filter_map(|i| copies[i.index()]).collect();
            g.set_origin(node.origin.clone());
            copies[id.index()] = Some(g.apply(node.op.clone(), &inputs)?);
        }
        g.set_origin(outside);
        copies[output.index()].ok_or_else(|| Error::state("a recorded graph has no output"))
    }
}
