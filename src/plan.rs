//! Plans: immutable code of a graph, over numbered places in one arena.
//!
//! A plan is compiled once from a graph (passes, fusion, kernel choice, memory plan) and run any
//! number of times, by any number of threads. A run is whole or absent: buffers given to it are
//! overwritten by *commit steps* only, which come last, after everything that can fail or be
//! cancelled.
//!
//! What depends on held inputs alone (folded and packed filters) is no part of a run: the plan's
//! *prelude* makes it once, and a [`Binding`] keeps it until one of those inputs changes.

mod binding;
mod explain;
pub(crate) mod held;
mod planner;
mod profile;
mod stage;

pub use binding::Binding;
pub use explain::{ApartRow, Explanation, Memory, Note, Role, Row, StepRow, Stored, When, Work, explain};
pub use held::{held_bytes, limit as held_limit, set_limit as set_held_limit};
pub use profile::{Profile, StepProfile};

use crate::backend::cpu::kernel::{Lowered, Operands, Status};
use crate::backend::cpu::{arena, lower, pool};
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, NodeId, Origin};
use crate::passes::fuse::{self, Apart};
use crate::passes::{self, PassContext, Passes};
use crate::precision::Precision;
use crate::shape::Fact;
use planner::Planner;
use profile::Clock;
use smallvec::SmallVec;
use stage::{Part, Stage};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a graph is compiled. Part of the plan's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlanOptions {
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
}

impl Default for PlanOptions {
    fn default() -> Self {
        let (donations, passes) = (Vec::new(), Passes::ALL);
        PlanOptions { fuse: true, donations, force_kernel: None, precision: Precision::Fast, passes }
    }
}

impl PlanOptions {
    /// The default under the process's settings.
    pub fn current() -> Self {
        PlanOptions { precision: Precision::current(), ..PlanOptions::default() }
    }

    /// What passes over `graph` are told.
    fn pass_context(&self, graph: &Graph) -> PassContext {
        PassContext::new(graph).with_passes(self.passes).with_precision(self.precision)
    }
}

/// What stands at an input of one run.
pub enum Slot {
    /// Read only.
    Shared(Arc<Buffer>),
    /// May be overwritten by the output that it is donated to. After an error the buffer is still
    /// there, untouched.
    Donated(Option<Buffer>),
}

impl Slot {
    fn buffer(&self) -> Result<&Buffer> {
        match self {
            Slot::Shared(b) => Ok(b),
            Slot::Donated(Some(b)) => Ok(b),
            Slot::Donated(None) => Err(Error::state("a donated buffer is missing")),
        }
    }
}

/// Where a value lies during a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Input(usize),
    Output(usize),
    Arena(usize),
    Constant(usize),
    /// One of the values that the prelude made, by its number.
    Held(usize),
    /// In the thread's own memory, which has room for one share of a section: see [`Local`].
    Local(Local),
}

/// Where a value lies that only steps of one section know: a chunk finds its share at `offset` of its thread's
/// memory, and no more of the value is anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Local {
    offset: usize,
    /// Bytes of one image.
    image: usize,
}

/// Inputs and outputs of one step in one run.
type StepPointers = (SmallVec<[*const u8; 8]>, SmallVec<[*mut u8; 4]>);

struct PlannedStep {
    kernel: Lowered,
    inputs: Vec<Place>,
    outputs: Vec<Place>,
    /// The nodes of the optimised graph that it reads and makes, as the kernel numbers them.
    reads: Vec<NodeId>,
    makes: Vec<NodeId>,
    workspace: usize,
    /// Where the kernel's packed operands lie.
    packed: SmallVec<[Place; 1]>,
    origin: Origin,
    text: String,
    flops: u64,
    bytes: u64,
    /// Whether anything lies in the thread's own memory.
    has_locals: bool,
}

impl PlannedStep {
    /// Inputs and outputs for chunk `chunk` of phase `phase`, where what is local lies at `own`.
    fn local_pointers(&self, operands: &Operands, phase: usize, chunk: usize, own: *mut u8) -> StepPointers {
        let shares = self.kernel.phases[phase].chunks;
        let section = self.kernel.section.as_ref().filter(|section| section.phase == phase);
        let first = section.map_or(0, |section| section.share(shares, chunk).start);
        // The place that the first image of all would have: kernels count images from there.
        let at = |local: &Local| own.wrapping_add(local.offset).wrapping_sub(first * local.image);
        let pick = |(place, &shared): (&Place, &*mut u8)| match place {
            Place::Local(local) => at(local),
            _ => shared,
        };
        let inputs = self.inputs.iter().zip(operands.inputs);
        let inputs = inputs.map(|(place, p)| pick((place, &p.cast_mut())).cast_const()).collect();
        (inputs, self.outputs.iter().zip(operands.outputs).map(pick).collect())
    }
}

/// What debug builds fill memory with that nobody has written: as f32 it is NaN.
const POISON: u8 = 0xff;

/// Steps in the order in which they run, with the memory that they need.
struct Code {
    steps: Vec<PlannedStep>,
    arena_bytes: usize,
    /// Bytes of a thread's own memory: kernels' scratch, then what is local to a section.
    scratch_bytes: usize,
    /// Where in it the second begins.
    local_from: usize,
    live_bound: usize,
    /// What runs between two barriers, in order.
    stages: Vec<Stage>,
    /// The first stage of the commit; the number of stages if there is none.
    commit_stage: usize,
    /// For each step, which wave of independent steps it belongs to.
    waves: Vec<usize>,
}

/// Immutable code of a graph.
pub struct Plan {
    code: Code,
    /// Makes what lies at `Place::Held`.
    prelude: Option<Code>,
    /// The inputs that the prelude reads, which are held.
    prelude_inputs: Vec<usize>,
    /// For each step of the prelude, the steps whose values it reads, with the numbers of those that are held.
    prelude_reads: Vec<Vec<(usize, Option<usize>)>>,
    /// What the prelude makes.
    held: Vec<held::Value>,
    /// Steps from here on commit: they alone write donated buffers, and nothing stops them.
    commit_from: usize,
    input_facts: Vec<Fact>,
    output_facts: Vec<Fact>,
    /// For each output, the input whose buffer it may take.
    in_place: Vec<Option<usize>>,
    constants: Option<Buffer>,
    flops: u64,
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

impl Plan {
    /// Compiles `graph`: passes, fusion, kernel choice, memory plan.
    ///
    /// # Errors
    /// When a pass or every kernel of an op refuses, or sizes overflow.
    pub fn compile(graph: &Graph, options: &PlanOptions) -> Result<Plan> {
        let graph = passes::run(graph, &mut options.pass_context(graph))?;
        let plan = Plan::of_optimised(&graph, options)?;
        GROUPS_TAKEN_APART.fetch_add(plan.taken_apart, Ordering::Relaxed);
        Ok(plan)
    }

    /// The plan of an optimised graph, in groups if they can run.
    fn of_optimised(graph: &Graph, options: &PlanOptions) -> Result<Plan> {
        match Plan::partitioned(graph, options) {
            // What one group cannot do is no fault of the graph: single nodes can.
            Err(e) if options.fuse && e.kind == ErrorKind::State => {
                let mut plan = Plan::partitioned(graph, &PlanOptions { fuse: false, ..options.clone() })?;
                plan.taken_apart += 1;
                plan.apart.push(format!("all nodes: {e}"));
                Ok(plan)
            }
            plan => plan,
        }
    }

    /// The plan of an optimised graph, cut into groups as `options` say.
    fn partitioned(graph: &Graph, options: &PlanOptions) -> Result<Plan> {
        let donated: Vec<usize> = options.donations.iter().map(|&(_, output)| output).collect();
        let fusion = fuse::fuse(graph, options.fuse, &donated)?;
        let mut steps = lower::lower(graph, &fusion, options)?;
        Planner { graph, views: &fusion.views }.copies(&mut steps)?;
        let mut plan = Planner { graph, views: &fusion.views }.plan(steps, options)?;
        plan.apart = fusion.apart.iter().map(|apart| say(graph, apart)).collect();
        plan.taken_apart = fusion.taken_apart;
        Ok(plan)
    }

    /// How often a group had to be taken apart because it could not run as one: 0 unless fusion has a fault,
    /// which then costs speed alone.
    pub fn taken_apart(&self) -> usize {
        self.taken_apart
    }

    /// Runs the plan, its prelude included; a [`Binding`] runs that only when it must. `poll` is asked on
    /// the calling thread, at most every 50 ms, whether to stop.
    ///
    /// # Errors
    /// When an input does not fit, a kernel meets bad data, memory runs out or `poll` says stop;
    /// every donated buffer is then in its slot, untouched.
    pub fn run(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<Vec<Buffer>> {
        if self.prelude.is_none() {
            return self.execute(inputs, &[], poll, None);
        }
        let memory = arena::lend(self.held_bytes())?;
        let places = self.held.iter().scan(0, |offset, value| {
            let place = memory.as_ptr().wrapping_add(*offset);
            *offset += value.bytes;
            Some(place)
        });
        let places: Vec<*mut u8> = places.collect();
        self.prepare(inputs, &places, None, poll)?;
        self.execute(inputs, &places, poll, None)
    }

    /// Whether anything is made once for many runs.
    pub fn has_prelude(&self) -> bool {
        self.prelude.is_some()
    }

    /// Bytes of what the prelude makes.
    pub fn held_bytes(&self) -> usize {
        self.held.iter().map(|value| value.bytes).sum()
    }

    fn check_inputs(&self, inputs: &[Slot]) -> Result<()> {
        if inputs.len() != self.input_facts.len() {
            return Err(Error::value(format!("expected {} inputs, received {}", self.input_facts.len(), inputs.len())));
        }
        for (i, (slot, fact)) in inputs.iter().zip(&self.input_facts).enumerate() {
            let buffer = slot.buffer()?;
            if buffer.fact() != fact {
                return Err(Error::value(format!("input {i}: expected {fact}, received {}", buffer.fact())));
            }
        }
        Ok(())
    }

    /// The steps of the prelude that the values `wanted` need, and with them all values that those steps write.
    fn needed(&self, wanted: &mut [bool]) -> Vec<bool> {
        let mut needed = vec![false; self.prelude_reads.len()];
        loop {
            for (value, _) in self.held.iter().zip(&*wanted).filter(|(_, wanted)| **wanted) {
                needed[value.step] = true;
            }
            for step in (0..needed.len()).rev() {
                if needed[step] {
                    let reads = &self.prelude_reads[step];
                    reads.iter().for_each(|&(maker, number)| needed[maker] |= number.is_none_or(|k| wanted[k]));
                }
            }
            let written = self.held.iter().map(|value| needed[value.step]);
            if written.clone().eq(wanted.iter().copied()) {
                return needed;
            }
            written.zip(&mut *wanted).for_each(|(written, wanted)| *wanted = written);
        }
    }

    /// Writes what the prelude makes of these inputs to `held`, a place for each value; by the steps `needed` alone, if
    /// they are given.
    fn prepare(
        &self,
        inputs: &[Slot],
        held: &[*mut u8],
        needed: Option<&[bool]>,
        poll: &dyn Fn() -> bool,
    ) -> Result<()> {
        let Some(prelude) = &self.prelude else { return Ok(()) };
        self.check_inputs(inputs)?;
        let inputs: Vec<*const u8> = inputs.iter().map(|s| s.buffer().map(Buffer::as_ptr)).collect::<Result<_>>()?;
        let places = Places { inputs, outputs: Vec::new(), constants: self.constants(), held, needed };
        prelude.run(&places, poll, None)
    }

    fn constants(&self) -> *const u8 {
        self.constants.as_ref().map_or(std::ptr::null(), Buffer::as_ptr)
    }

    /// Runs the steps behind the prelude, which wrote `held`; they only read there.
    fn execute(
        &self,
        inputs: &mut [Slot],
        held: &[*mut u8],
        poll: &dyn Fn() -> bool,
        clock: Option<&Clock>,
    ) -> Result<Vec<Buffer>> {
        self.check_inputs(inputs)?;
        let mut taken: Vec<Option<usize>> = Vec::with_capacity(self.output_facts.len());
        let mut fresh: Vec<Option<Buffer>> = Vec::with_capacity(self.output_facts.len());
        for (k, fact) in self.output_facts.iter().enumerate() {
            let donor = self.in_place[k].filter(|&i| matches!(inputs[i], Slot::Donated(Some(_))));
            fresh.push(if donor.is_none() { Some(Buffer::uninit(fact.clone())?) } else { None });
            taken.push(donor);
        }
        let input_pointers: Vec<*const u8> =
            inputs.iter().map(|s| s.buffer().map(Buffer::as_ptr)).collect::<Result<_>>()?;
        let output_pointers: Vec<*mut u8> = fresh
            .iter_mut()
            .zip(&taken)
            .map(|(buffer, donor)| match (buffer, donor) {
                (Some(b), _) => Ok(b.as_mut_ptr()),
                (None, Some(i)) => match &mut inputs[*i] {
                    Slot::Donated(Some(b)) => Ok(b.as_mut_ptr()),
                    _ => Err(Error::state("a donated buffer is missing")),
                },
                (None, None) => Err(Error::state("an output has no buffer")),
            })
            .collect::<Result<_>>()?;
        let constants = self.constants();
        let places = Places { inputs: input_pointers, outputs: output_pointers, constants, held, needed: None };
        self.code.run(&places, poll, clock)?;
        fresh
            .into_iter()
            .zip(&taken)
            .map(|(buffer, donor)| match (buffer, donor) {
                (Some(buffer), _) => Ok(buffer),
                (None, Some(i)) => match &mut inputs[*i] {
                    Slot::Donated(b) => b.take().ok_or_else(|| Error::state("a donated buffer is taken twice")),
                    Slot::Shared(_) => Err(Error::state("a shared buffer was donated")),
                },
                (None, None) => Err(Error::state("an output has no buffer")),
            })
            .collect()
    }

    /// Bytes that a run holds besides inputs, outputs and per-thread scratch: intermediates, and what the
    /// prelude made.
    pub fn peak_bytes(&self) -> usize {
        self.code.arena_bytes + self.held_bytes()
    }

    /// The most bytes of intermediates alive at one step: no plan of these steps can hold less.
    pub fn live_bound(&self) -> usize {
        self.code.live_bound
    }

    /// Bytes of the constants that the plan holds.
    pub fn constant_bytes(&self) -> usize {
        self.constants.as_ref().map_or(0, |b| b.fact().bytes())
    }

    /// Floating-point operations of one run (a multiply-add counts 2).
    pub fn flops(&self) -> u64 {
        self.flops
    }

    /// One line a step: wave (steps of one wave run together), step, kernel, chunks of its phases,
    /// nodes, origin. The prelude's steps come first. Last, neighbours that were not fused, and why.
    pub fn describe(&self) -> String {
        let mut s = String::new();
        if let Some(prelude) = &self.prelude {
            prelude.describe(None, &mut s);
            let _ = writeln!(s, "-- above: once while held inputs stay, {} bytes --", self.held_bytes());
        }
        self.code.describe(Some(self.commit_from), &mut s);
        for line in &self.apart {
            let _ = writeln!(s, "apart: {line}");
        }
        let _ = writeln!(s, "arena {} bytes, {} flops", self.code.arena_bytes, self.flops);
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

/// Where inputs, outputs and what outlasts a run begin.
struct Places<'a> {
    inputs: Vec<*const u8>,
    outputs: Vec<*mut u8>,
    constants: *const u8,
    held: &'a [*mut u8],
    /// Which steps run, if not all do.
    needed: Option<&'a [bool]>,
}

impl Code {
    /// Runs all stages.
    fn run(&self, places: &Places, poll: &dyn Fn() -> bool, clock: Option<&Clock>) -> Result<()> {
        let workers = pool::workers()?;
        let arena = arena::lend(self.arena_bytes + workers * self.scratch_bytes)?;
        let base = arena.as_ptr();
        let at = |p: &Place| -> *mut u8 {
            match *p {
                Place::Input(i) => places.inputs[i].cast_mut(),
                Place::Output(k) => places.outputs[k],
                Place::Arena(offset) => base.wrapping_add(offset),
                Place::Constant(offset) => places.constants.cast_mut().wrapping_add(offset),
                Place::Held(k) => places.held[k],
                // Each chunk has its own.
                Place::Local(_) => std::ptr::null_mut(),
            }
        };
        let mut pointers: Vec<StepPointers> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let inputs = step.inputs.iter().map(|p| at(p).cast_const()).collect();
            pointers.push((inputs, step.outputs.iter().map(at).collect()));
        }
        let status = Status::default();
        let packed: Vec<SmallVec<[*mut u8; 1]>> =
            self.steps.iter().map(|step| step.packed.iter().map(at).collect()).collect();
        let operands: Vec<Operands> = self
            .steps
            .iter()
            .zip(&pointers)
            .zip(&packed)
            .map(|((step, (inputs, outputs)), packed)| Operands {
                inputs,
                outputs,
                workspace: base.wrapping_add(step.workspace),
                packed,
                status: &status,
            })
            .collect();
        let scratch = base.wrapping_add(self.arena_bytes) as usize;
        let needed = places.needed;
        let execution = Execution { code: self, operands: &operands, needed, arena: base as usize, scratch, clock };
        let may_commit = || {
            if let Some(step) = status.failed_step() {
                return status.check().map_err(|e| self.name_origin(e, step));
            }
            if poll() { Err(Error::new(ErrorKind::Cancelled, "interrupted")) } else { Ok(()) }
        };
        let control = pool::Control { poll, commit: self.commit_stage, may_commit: &may_commit };
        pool::run(&execution, workers, &control)
    }

    fn name_origin(&self, e: Error, step: usize) -> Error {
        match self.steps.get(step) {
            Some(s) => e.at(s.origin.as_deref().unwrap_or(s.kernel.name)),
            None => e,
        }
    }

    fn describe(&self, commit_from: Option<usize>, s: &mut String) {
        for (i, step) in self.steps.iter().enumerate() {
            if Some(i) == commit_from {
                s.push_str("-- commit --\n");
            }
            let chunks: Vec<usize> = step.kernel.phases.iter().map(|p| p.chunks).collect();
            let _ = write!(s, "{:4} {i:4} {:<18} {chunks:?} {}", self.waves[i], step.kernel.name, step.text);
            if let Some(o) = &step.origin {
                let _ = write!(s, "  # {o}");
            }
            s.push('\n');
        }
    }
}

struct Execution<'a> {
    code: &'a Code,
    operands: &'a [Operands<'a>],
    /// Which steps run, if not all do.
    needed: Option<&'a [bool]>,
    arena: usize,
    scratch: usize,
    clock: Option<&'a Clock>,
}

impl pool::Work for Execution<'_> {
    fn phases(&self) -> usize {
        self.code.stages.len()
    }

    fn chunks(&self, stage: usize) -> usize {
        self.code.stages[stage].chunks
    }

    fn run(&self, stage: usize, chunk: usize, worker: usize) {
        let Stage { parts, poisoned, guards, .. } = &self.code.stages[stage];
        for range in guards {
            // SAFETY: as below.
            let bytes = unsafe { std::slice::from_raw_parts((self.arena as *const u8).add(range.start), range.len()) };
            let written = bytes.iter().position(|&b| b != POISON);
            assert!(written.is_none(), "a step before stage {stage} wrote past its range, at {range:?}");
        }
        for range in poisoned {
            // SAFETY: the range lies within the arena, and nothing else runs in this stage.
            unsafe { (self.arena as *mut u8).add(range.start).write_bytes(POISON, range.len()) };
        }
        if parts.is_empty() {
            return;
        }
        let Part { phases, first } = &parts[parts.partition_point(|p| p.first <= chunk) - 1];
        let chunk = chunk - first;
        let scratch = (self.scratch + worker * self.code.scratch_bytes) as *mut u8;
        let own = scratch.wrapping_add(self.code.local_from);
        if cfg!(debug_assertions) {
            // SAFETY: the worker's own memory, in which nothing outlasts a chunk.
            unsafe { own.write_bytes(POISON, self.code.scratch_bytes - self.code.local_from) };
        }
        for &(step, phase) in phases {
            if self.needed.is_some_and(|needed| !needed[step]) {
                continue;
            }
            let (planned, operands) = (&self.code.steps[step], &self.operands[step]);
            let run = || {
                let run = &planned.kernel.phases[phase].run;
                if !planned.has_locals {
                    return run(operands, chunk, scratch);
                }
                let (inputs, outputs) = planned.local_pointers(operands, phase, chunk, own);
                run(&Operands { inputs: &inputs, outputs: &outputs, ..*operands }, chunk, scratch);
            };
            match self.clock {
                None => run(),
                Some(clock) => clock.time(step, run),
            }
            operands.status.note_step(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::ops::pointwise::Function;
    use crate::testing::{Rng, to_buffer};

    /// exp, negation and square of x, each as a step of its own.
    fn chain() -> (Graph, Plan) {
        let mut g = Graph::new();
        let mut x = g.input(Fact::new([40], DType::F32));
        for f in [Function::Exp, Function::Neg, Function::Square] {
            x = g.unary(f, x).unwrap();
        }
        g.set_outputs(vec![x]);
        let plan = Plan::compile(&g, &PlanOptions { fuse: false, ..PlanOptions::default() }).unwrap();
        (g, plan)
    }

    #[test]
    fn what_no_step_has_written_is_nan_in_debug_builds() {
        let (g, mut plan) = chain();
        let x = Rng::new(1).inputs(&g).remove(0);
        let run = |plan: &Plan| {
            let mut slots = [Slot::Shared(Arc::new(to_buffer(&x, g.fact(g.inputs()[0]))))];
            plan.run(&mut slots, &|| false).unwrap()[0].as_slice::<f32>().to_vec()
        };
        assert!(run(&plan).iter().all(|v| v.is_finite()));
        // The first step writes past the memory that the second one reads, where the run before left numbers.
        plan.code.steps[0].outputs[0] = Place::Arena(plan.code.arena_bytes);
        plan.code.arena_bytes += 160;
        assert_eq!(run(&plan).iter().all(|v| v.is_nan()), cfg!(debug_assertions));
    }

    #[test]
    #[cfg(debug_assertions)]
    fn writing_past_a_range_is_noticed_in_debug_builds() {
        let (g, mut plan) = chain();
        let x = Rng::new(1).inputs(&g).remove(0);
        // The first step's output begins 40 bytes late and so ends behind its range.
        let Place::Arena(offset) = plan.code.steps[0].outputs[0] else { panic!("not in the arena") };
        plan.code.steps[0].outputs[0] = Place::Arena(offset + 40);
        let mut slots = [Slot::Shared(Arc::new(to_buffer(&x, g.fact(g.inputs()[0]))))];
        assert!(plan.run(&mut slots, &|| false).unwrap_err().to_string().contains("a kernel panicked"));
    }

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
            let mut slots: Vec<Slot> = buffers.map(|b| Slot::Donated(Some(b))).collect();
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

    #[test]
    fn a_step_writes_over_what_it_reads_last() {
        let (_, plan) = chain();
        // Two ranges would need 384; a guard lies behind the one in debug builds.
        let expected = if cfg!(debug_assertions) { 256 } else { 192 };
        assert_eq!(plan.peak_bytes(), expected, "{}", plan.describe());
    }
}
