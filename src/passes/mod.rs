//! Passes: `Graph → Graph`, device-free, in one ordered list.

pub mod autodiff;
mod context;
mod fold_bn;
mod inline;
mod precision;
mod recompute;
mod sampling;
mod simplify;
mod storage;

pub use context::{Entry, Log, Outcome, PassContext, PassRun, Passes};

use crate::error::Result;
use crate::graph::Graph;

/// A rewrite of the whole graph. Its parameters are its fields; what all passes over a graph are told stands in the
/// [`PassContext`], which also takes down what the pass did and what it left alone.
pub trait Pass: Sync {
    /// Its name in options, logs, dumps and errors.
    fn name(&self) -> &'static str;

    /// What it does, in one sentence.
    fn does(&self) -> &'static str;

    /// The rewritten graph: inputs and outputs keep their numbers and facts.
    ///
    /// # Errors
    /// When the graph holds what the pass cannot rewrite.
    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph>;

    /// Whether no graph can do without it: it expands what no kernel computes.
    fn is_required(&self) -> bool {
        false
    }
}

/// The passes, in the order in which they run. Autodiff comes first, while composites that own
/// their gradient are whole; what they are made of is inlined next. Roundings between operations are left out before
/// the passes that look for patterns, and put where values are kept behind those that decide about that.
/// Simplification sees gradients and composites in one graph. Batch normalisation is
/// folded in the form that simplification leaves. Images are sampled behind it, where additions and ReLU
/// alone stand between convolutions. Recomputation and storage make equal nodes, which the
/// passes before them would merge.
pub const PIPELINE: &[&dyn Pass] = &[
    &autodiff::Autodiff,
    &inline::Inline,
    &precision::Precision,
    &simplify::Simplify,
    &fold_bn::FoldBn,
    &sampling::Sampling,
    &recompute::Recompute,
    &storage::Storage::PAYING,
];

/// The names of all passes, in the order in which they run.
///
/// ```
/// let names: Vec<_> = cnnrs::passes::names().collect();
/// assert!(names.starts_with(&["autodiff", "inline", "precision"]));
/// ```
pub fn names() -> impl Iterator<Item = &'static str> {
    PIPELINE.iter().map(|pass| pass.name())
}

/// Runs all passes over `graph`; see [`run`].
///
/// # Errors
/// As [`run`].
pub fn optimise(graph: &Graph) -> Result<Graph> {
    run(graph, &mut PassContext::new(graph))
}

/// Runs the passes that `context`, which was made for `graph`, has chosen; in debug builds each result is verified.
///
/// # Errors
/// When a pass refuses the graph.
pub fn run(graph: &Graph, context: &mut PassContext) -> Result<Graph> {
    let chosen = context.passes();
    let mut optimised = None;
    for pass in PIPELINE.iter().filter(|pass| chosen.contains(pass.name())) {
        optimised = Some(context.run(*pass, optimised.as_ref().unwrap_or(graph))?);
    }
    Ok(optimised.unwrap_or_else(|| graph.clone()))
}

/// What `pass` alone makes of `graph`.
#[cfg(test)]
fn run_alone(pass: &dyn Pass, graph: &Graph) -> Graph {
    PassContext::new(graph).run(pass, graph).unwrap()
}
