//! What a plan depends on besides its graph.

use crate::graph::Graph;
use crate::passes::{PassContext, Passes};
use crate::precision::Precision;

/// How a graph is compiled: the part of a plan's key that is not the graph. Compiling reads no setting of the process,
/// so that equal graphs under equal options make equal plans.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlanOptions {
    /// What the plan is made for; `None` for what the process uses when the plan is compiled.
    pub target: Option<Target>,
    /// Whether nodes are fused; off, every node is a step of its own.
    pub fuse: bool,
    /// Pairs (input, output): the output may take the input's buffer, if the caller donates it.
    pub donations: Vec<(usize, usize)>,
    /// The kernel that heavy ops must use if it supports them, by name.
    pub force_kernel: Option<String>,
    /// What kernels may do to sums of products.
    pub precision: Precision,
    /// Which passes rewrite the graph.
    pub passes: Passes,
    /// Whether runs fill memory that nobody has written with NaN and check that no step writes past its range.
    pub checks: bool,
}

impl Default for PlanOptions {
    /// Everything on, and checks in debug builds.
    fn default() -> Self {
        PlanOptions {
            target: None,
            fuse: true,
            donations: Vec::new(),
            force_kernel: None,
            precision: Precision::Fast,
            passes: Passes::ALL,
            checks: cfg!(debug_assertions),
        }
    }
}

impl PlanOptions {
    /// The default under the process's settings.
    pub fn current() -> Self {
        PlanOptions { precision: Precision::current(), ..PlanOptions::default() }
    }

    /// What passes over `graph` are told.
    pub fn pass_context(&self, graph: &Graph) -> PassContext {
        PassContext::new(graph).with_passes(self.passes).with_precision(self.precision)
    }
}

/// A device with what its kernels and their cut depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The backend, by name.
    pub backend: &'static str,
    /// Which of the backend's devices.
    pub number: usize,
    /// The level of the device's abilities for which kernels are chosen, by the backend's own name for it: an
    /// instruction set such as "avx2".
    pub tier: &'static str,
    /// How products whose layers compute in 16 bits run, by the backend's own name for it.
    pub halves: &'static str,
    /// Threads for which work is cut. It alters no result.
    pub threads: usize,
    /// How often the device was lost before: what was made for it then is of no use.
    pub losses: u32,
}
