//! Scheduling: in which order steps run, what of them runs once for many runs, what commits, and how long each value
//! lives. No device: a backend brings its code of each step and gets it back in order.

mod commits;
mod copies;
mod liveness;
pub mod memory;
pub mod options;
mod places;
pub mod prelude;
mod step;

pub use copies::{Copy, copies};
pub use liveness::{Liveness, liveness};
pub use options::{PlanOptions, Target};
pub use places::{Constants, Place};
pub use prelude::Prelude;
pub use step::{Packed, PackedLayout, Step, StepCode, origin};

use crate::error::Result;
use crate::fusion::Fusion;
use crate::graph::{Graph, NodeId};
use std::collections::HashMap;

/// The steps of a plan in the order in which they run.
pub struct Schedule<C> {
    /// What runs once while constant inputs stay.
    pub prelude: Prelude<C>,
    /// What every run does.
    pub steps: Vec<Step<C>>,
    /// Steps from here on commit: they alone write donated buffers, and nothing stops them.
    pub commit_from: usize,
    /// For each output, the input whose buffer it may take.
    pub in_place: Vec<Option<usize>>,
    /// Which output each value is that a step makes as one.
    pub output_of: HashMap<NodeId, usize>,
    /// Floating-point operations of one run, without the prelude's.
    pub flops: u64,
}

/// Orders the steps that make the groups of `fusion`.
///
/// # Errors
/// `Memory` when none is left.
pub fn schedule<C: StepCode>(
    g: &Graph,
    fusion: &Fusion,
    steps: Vec<Step<C>>,
    options: &PlanOptions,
) -> Result<Schedule<C>> {
    let (prelude, steps) = prelude::hoist(g, fusion, steps)?;
    let commits::Commits { steps, commit_from, in_place } = commits::order(g, fusion, steps, &options.donations);
    // The first output that shows a value owns it.
    let mut output_of: HashMap<NodeId, usize> = HashMap::new();
    for (k, &o) in g.outputs().iter().enumerate() {
        if !steps.iter().any(|s| s.copies_output == Some(k)) {
            output_of.entry(fusion.resolve(o)).or_insert(k);
        }
    }
    let live = g.live();
    let flops: u64 = g.ids().filter(|i| live[i.index()]).map(|i| g.flops(i)).sum();
    let once: u64 = prelude.steps.iter().map(|s| s.flops).sum();
    Ok(Schedule { prelude, steps, commit_from, in_place, output_of, flops: flops.saturating_sub(once) })
}
