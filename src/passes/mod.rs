//! Passes: `Graph → Graph`, device-free, in one ordered list.

pub mod autodiff;
mod fold_bn;
mod inline;
mod recompute;
mod sampling;
pub mod simplify;

use crate::error::Result;
use crate::graph::Graph;

/// A rewrite of the whole graph.
pub struct Pass {
    /// Its name in dumps and errors.
    pub name: &'static str,
    /// The rewrite.
    pub run: fn(&Graph) -> Result<Graph>,
}

/// The passes, in the order in which they run. Autodiff comes first, while composites that own
/// their gradient are whole; what they are made of is inlined next.
/// Simplification sees gradients and composites in one graph. Batch normalisation is
/// folded in the form that simplification leaves. Images are sampled behind it, where additions and ReLU
/// alone stand between convolutions. Recomputation makes equal nodes, which the passes
/// before it would merge.
pub const PIPELINE: &[Pass] = &[
    Pass { name: "autodiff", run: autodiff::expand_gradients },
    Pass { name: "inline", run: inline::inline_composites },
    Pass { name: "simplify", run: simplify::simplify },
    Pass { name: "fold_bn", run: fold_bn::fold_bn },
    Pass { name: "sampling", run: sampling::sampling },
    Pass { name: "recompute", run: recompute::recompute },
];

/// Runs all passes; in debug builds each result is verified.
pub fn optimise(graph: &Graph) -> Result<Graph> {
    let mut graph = graph.clone();
    for pass in PIPELINE {
        graph = (pass.run)(&graph)?;
        crate::reserve::check()?;
        if cfg!(debug_assertions) {
            crate::graph::verify(&graph).map_err(|e| e.at(pass.name))?;
        }
    }
    Ok(graph)
}
