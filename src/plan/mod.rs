//! Plans: what a backend makes of a graph, compiled once (passes, fusion, kernel choice, memory plan) and run any number
//! of times, by any number of threads.
//!
//! A run is whole or absent: buffers given to it are overwritten at its end only, after everything that can fail or be
//! cancelled. What depends on constant inputs alone (folded and packed filters) is no part of a run: the plan's *prelude*
//! makes it once, and a [`Binding`] keeps it until one of those inputs changes.

mod binding;
pub mod cache;
mod explain;

pub use crate::backend::device::{Control, Memory, Outcome, Run, Slot, StepFacts, When};
pub use crate::backend::profile::{Profile, StepProfile};
pub use crate::schedule::{PlanOptions, Target};
pub use binding::Binding;
pub use explain::{ApartRow, Explanation, Note, Role, Row, StepRow, Stored, Work, explain};

use crate::backend;
use crate::backend::device::{Backend, Program, ProgramFacts};
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::fusion::{self, Apart};
use crate::graph::Graph;
use crate::passes;
use crate::shape::Fact;
use crate::value::Value;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Immutable code of a graph on one device.
pub struct Plan {
    program: Arc<dyn Program>,
    facts: ProgramFacts,
    inputs: Vec<Fact>,
    /// What fusion left apart, and why.
    apart: Vec<String>,
    taken_apart: usize,
}

/// Of all plans of this process.
static GROUPS_TAKEN_APART: AtomicUsize = AtomicUsize::new(0);

/// Groups that had to be taken apart in all plans compiled so far; see [`Plan::taken_apart`].
pub fn groups_taken_apart() -> usize {
    GROUPS_TAKEN_APART.load(Ordering::Relaxed)
}

/// `options` with a target: their own, or else what the current backend uses now.
///
/// # Errors
/// `Value` when a setting of the process can't be read.
pub fn resolved(options: &PlanOptions) -> Result<PlanOptions> {
    let target = match options.target {
        Some(target) => target,
        None => backend::current()?.target()?,
    };
    Ok(PlanOptions { target: Some(target), ..options.clone() })
}

/// The backend that options with a target name.
fn backend_of(options: &PlanOptions) -> Result<&'static dyn Backend> {
    match options.target {
        Some(target) => backend::named(target.backend),
        None => Ok(backend::current()?.backend()),
    }
}

impl Plan {
    /// Compiles `graph` for the target that `options` name, or else for what the process uses now.
    ///
    /// # Errors
    /// When there is no such backend, a pass or every kernel of an op refuses, or sizes overflow.
    ///
    /// ```
    /// use cnnrs::plan::{Plan, PlanOptions, Slot};
    /// use cnnrs::{Buffer, DType, Fact, Graph};
    /// let mut g = Graph::new();
    /// let x = g.input(Fact::new([2], DType::F32));
    /// let y = g.scale(x, 3.0)?;
    /// g.set_outputs(vec![y]);
    /// let plan = Plan::compile(&g, &PlanOptions::default())?;
    /// let x = Buffer::from_slice(&[2], &[1.0f32, 2.0])?;
    /// assert_eq!(plan.run(&mut [Slot::shared(x)], &|| false)?[0].as_slice::<f32>(), [3.0, 6.0]);
    /// # Ok::<(), cnnrs::Error>(())
    /// ```
    pub fn compile(graph: &Graph, options: &PlanOptions) -> Result<Plan> {
        let options = resolved(options)?;
        Plan::compile_on(backend_of(&options)?, graph, &options)
    }

    /// Compiles `graph` for `backend`. `options` name a target of it.
    ///
    /// # Errors
    /// As [`Plan::compile`].
    pub fn compile_on(backend: &dyn Backend, graph: &Graph, options: &PlanOptions) -> Result<Plan> {
        let graph = passes::run(graph, &mut options.pass_context(graph))?;
        let plan = Plan::of_optimised(backend, &graph, options)?;
        GROUPS_TAKEN_APART.fetch_add(plan.taken_apart, Ordering::Relaxed);
        Ok(plan)
    }

    /// The plan of an optimised graph, in groups if they can run.
    fn of_optimised(backend: &dyn Backend, graph: &Graph, options: &PlanOptions) -> Result<Plan> {
        match Plan::partitioned(backend, graph, options) {
            // What one group cannot do is no fault of the graph: single nodes can.
            Err(e) if options.fuse && e.kind == ErrorKind::State => {
                let single = PlanOptions { fuse: false, ..options.clone() };
                let mut plan = Plan::partitioned(backend, graph, &single)?;
                plan.taken_apart += 1;
                plan.apart.push(format!("all nodes: {e}"));
                Ok(plan)
            }
            plan => plan,
        }
    }

    /// The plan of an optimised graph, cut into groups as `options` say.
    fn partitioned(backend: &dyn Backend, graph: &Graph, options: &PlanOptions) -> Result<Plan> {
        let donated: Vec<usize> = options.donations.iter().map(|&(_, output)| output).collect();
        let limits = backend.limits(options.target.map_or(0, |target| target.number))?;
        let fusion = fusion::fuse(graph, &limits, options.fuse, &donated)?;
        let program = backend.compile(graph, &fusion, options)?;
        Ok(Plan {
            facts: program.facts(),
            program,
            inputs: graph.inputs().iter().map(|&i| graph.fact(i).clone()).collect(),
            apart: fusion.apart.iter().map(|apart| say(graph, apart)).collect(),
            taken_apart: fusion.taken_apart,
        })
    }

    /// How often a group had to be taken apart because it could not run as one: 0 unless fusion has a fault,
    /// which then costs speed alone.
    pub fn taken_apart(&self) -> usize {
        self.taken_apart
    }

    /// Runs the plan, its prelude included, and gives its outputs in the host's memory; a [`Binding`] runs the prelude only
    /// when it must. `poll` is asked on the calling thread, at most every 50 ms, whether to stop.
    ///
    /// # Errors
    /// When an input does not fit, a kernel meets bad data, memory runs out or `poll` says stop;
    /// every donated buffer is then in its slot, untouched.
    pub fn run(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<Vec<Buffer>> {
        self.run_values(inputs, poll)?.into_iter().map(Value::into_host).collect()
    }

    /// As [`Plan::run`]; outputs stay where they were made.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_values(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<Vec<Value>> {
        self.check_inputs(inputs)?;
        Ok(self.program.run(inputs, &Control::new(poll))?.outputs)
    }

    /// Whether anything is made once for many runs.
    pub fn has_prelude(&self) -> bool {
        self.facts.prepared_bytes > 0
    }

    /// Bytes of what the prelude makes.
    pub fn prepared_bytes(&self) -> usize {
        self.facts.prepared_bytes
    }

    fn check_inputs(&self, inputs: &[Slot]) -> Result<()> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::value(format!("expected {} inputs, received {}", self.inputs.len(), inputs.len())));
        }
        for (i, (slot, fact)) in inputs.iter().zip(&self.inputs).enumerate() {
            let value = slot.value()?;
            if value.fact() != fact {
                return Err(Error::value(format!("input {i}: expected {fact}, received {}", value.fact())));
            }
        }
        Ok(())
    }

    /// Bytes that a run holds besides inputs, outputs and per-thread scratch: intermediates, and what the
    /// prelude made.
    pub fn peak_bytes(&self) -> usize {
        self.facts.arena_bytes + self.facts.prepared_bytes
    }

    /// The most bytes of intermediates alive at one step: no plan of these steps can hold less.
    pub fn live_bound(&self) -> usize {
        self.facts.live_bound
    }

    /// Bytes of the constants that the plan holds.
    pub fn constant_bytes(&self) -> usize {
        self.facts.constant_bytes
    }

    /// Bytes that the plan holds as long as it lives: its constants, and its code as far as that is its own.
    pub(super) fn held_bytes(&self) -> usize {
        self.facts.constant_bytes + self.facts.code_bytes
    }

    /// How many times a run hands work to a device that has a queue; none on the CPU.
    pub fn submissions(&self) -> usize {
        self.facts.submissions
    }

    /// Floating-point operations of one run (a multiply-add counts 2).
    pub fn flops(&self) -> u64 {
        self.facts.flops
    }

    /// The steps in the order in which they run, the prelude's first.
    pub fn steps(&self) -> Vec<StepFacts> {
        self.program.steps()
    }

    /// One line a step: wave (steps of one wave run together), step, kernel, chunks of its phases,
    /// nodes, origin. The prelude's steps come first. Last, neighbours that were not fused, and why.
    pub fn describe(&self) -> String {
        let mut s = self.program.describe();
        for line in &self.apart {
            let _ = writeln!(s, "apart: {line}");
        }
        let _ = writeln!(s, "arena {} bytes, {} flops", self.facts.arena_bytes, self.facts.flops);
        s
    }
}

/// Which two nodes were not fused, and why.
fn say(g: &Graph, apart: &Apart) -> String {
    let [a, b] = [apart.a, apart.b].map(|n| {
        let node = g.node(n);
        let origin = node.origin.as_deref().map(|o| format!(" of {o}")).unwrap_or_default();
        format!("{}{origin}", node.op.def().name())
    });
    format!("{a} and {b}: {}", apart.why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::testing::{Rng, to_buffer};

    #[test]
    fn updates_in_place_are_steps_of_their_own_behind_the_heavy_op() {
        let mut g = Graph::new();
        let [x, dy, w] = [[8, 5], [8, 3], [5, 3]].map(|shape| g.input(Fact::new(shape, DType::F32)));
        let gradient = g.apply(crate::ops::matmul::MatMul { transpose_a: true, transpose_b: false }, &[x, dy]).unwrap();
        let step = g.scale(gradient, 0.5).unwrap();
        let next = g.sub(w, step).unwrap();
        g.set_outputs(vec![next]);
        let inputs = Rng::new(3).inputs(&g);
        let run = |donations: Vec<(usize, usize)>| {
            let plan = Plan::compile(&g, &PlanOptions { donations, ..PlanOptions::default() }).unwrap();
            let buffers = inputs.iter().zip(g.inputs()).map(|(x, &i)| to_buffer(x, g.fact(i)));
            let mut slots: Vec<Slot> = buffers.map(Slot::donated).collect();
            let memory = slots[2].buffer().unwrap().as_ptr();
            let output = plan.run(&mut slots, &|| false).unwrap().remove(0);
            (plan.describe(), output.as_ptr() == memory, output.as_slice::<f32>().to_vec())
        };
        let (fused, apart) = (run(Vec::new()), run(vec![(2, 0)]));
        assert!(fused.0.contains("matmul+mul+sub") && !fused.1, "{}", fused.0);
        let (before, commit) = apart.0.split_once("-- commit --").unwrap();
        assert!(before.contains("matmul →") && commit.contains("mul+sub") && apart.1, "{}", apart.0);
        assert!(apart.0.contains("what is rewritten in place"), "{}", apart.0);
        assert_eq!(fused.2, apart.2);
    }
}
