//! Storage: what layers of 16 bits make and gradients read much later is kept in 16 bits.
//!
//! A value that is kept is rounded once, where it is made, and all that reads it widens it for itself, so that the forward
//! and the backward pass see the same numbers. Values that are free again soon stay float32: a rounding would save
//! no memory.

use super::{Pass, PassContext};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, Inputs, NodeId, Origin, unite};
use crate::ops::Kind;
use crate::ops::pointwise::Cast;
use std::collections::HashMap;

/// Elements from which on a value is worth a conversion at each reader.
const MIN_STORED: usize = 1 << 10;

/// Stores in 16 bits what is kept for gradients. Like the nodes that [`recompute`](super::recompute) makes, the
/// conversions are equal nodes: no pass that interns may follow.
pub struct Storage {
    /// Bytes in float32 from which on the values that are kept are stored so, all together: less lies in caches in any
    /// case, and conversions would be all that is gained.
    pub least: usize,
}

impl Storage {
    /// As much as caches of processors hold.
    pub const PAYING: Storage = Storage { least: 16 << 20 };
}

impl Pass for Storage {
    fn name(&self) -> &'static str {
        "storage"
    }

    fn does(&self) -> &'static str {
        "keeps values of layers of 16 bits for gradients in 16 bits"
    }

    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
        if graph.nodes().iter().all(|n| n.storage.is_none()) {
            return Ok(graph.clone());
        }
        let stored = self.stored(graph, context);
        // What each stored value became in 16 bits.
        let mut rounded: HashMap<NodeId, NodeId> = HashMap::new();
        graph.rewrite(|g, node, inputs| {
            let mut own: Inputs = inputs.into();
            for (k, old) in node.inputs.iter().enumerate().filter(|(_, old)| stored[old.index()].is_some()) {
                if let Some(before) = node.inputs[..k].iter().position(|i| i == old) {
                    own[k] = own[before];
                    continue;
                }
                let (x, dtype) = (inputs[k], stored[old.index()].unwrap_or(DType::F32));
                let half = match rounded.get(&x) {
                    Some(&half) => half,
                    None => {
                        let origin = g.set_origin(graph.node(*old).origin.clone());
                        let gradient = g.set_gradient(false);
                        let half = g.apply_anew(Cast::to(dtype), &[x])?;
                        g.set_origin(origin);
                        g.set_gradient(gradient);
                        rounded.insert(x, half);
                        half
                    }
                };
                own[k] = g.apply_anew(Cast::to(DType::F32), &[half])?;
            }
            g.apply_anew(node.op.clone(), &own)
        })
    }
}

impl Storage {
    /// For each node, the type in which it is stored, if that is one of 16 bits.
    fn stored(&self, graph: &Graph, context: &mut PassContext) -> Vec<Option<DType>> {
        let live = graph.live();
        let mut kept_for: Vec<Option<Origin>> = vec![None; graph.nodes().len()];
        for id in graph.ids().filter(|i| live[i.index()] && graph.node(*i).gradient) {
            let node = graph.node(id);
            for i in &node.inputs {
                unite(kept_for[i.index()].get_or_insert_default(), &node.origin);
            }
        }
        let kept = |id: NodeId| {
            let node = graph.node(id);
            let kept = node.storage.is_some() && node.fact.dtype == DType::F32 && !node.gradient;
            kept && live[id.index()] && kept_for[id.index()].is_some()
        };
        let fits = |id: NodeId| {
            let node = graph.node(id);
            let leaves = graph.outputs().contains(&id) || node.op.def().kind() == Kind::Leaf;
            !leaves && node.fact.shape.len() >= MIN_STORED
        };
        let bytes: usize =
            graph.ids().filter(|&id| kept(id) && fits(id)).map(|id| graph.fact(id).shape.len() * 4).sum();
        let mut stored = vec![None; graph.nodes().len()];
        for id in graph.ids().filter(|&id| kept(id)) {
            let (node, none) = (graph.node(id), None);
            let with = kept_for[id.index()].as_ref().unwrap_or(&none);
            if bytes < self.least {
                context.left(node, with, "kept in float32 for gradients: all that is kept fits into caches");
            } else if !fits(id) {
                context.left(node, with, "kept in float32 for gradients: it is small, or an output");
            } else {
                context.done(node, with, "kept in 16 bits for gradients");
                stored[id.index()] = node.storage;
            }
        }
        stored
    }
}
