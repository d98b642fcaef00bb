//! Code: steps with places, grouped into stages between barriers, and their run.

use super::clock::Clock;
use super::{arena, pool};
use crate::backend::cpu::kernel::{Lowered, Operands, Status};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{NodeId, Origin};
use crate::schedule::Place;
use smallvec::SmallVec;
use std::fmt::Write;
use std::ops::Range;

/// What checked runs fill memory with that nobody has written: as f32 it is NaN.
const POISON: u8 = 0xff;

/// Where a step finds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// Where all threads find it.
    Shared(Place),
    /// In the thread's own memory, which has room for one share of a section.
    Local(Local),
}

/// Where a value lies that only steps of one section know: a chunk finds its share at `offset` of its thread's
/// memory, and no more of the value is anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Bytes from the begin of what is local.
    pub offset: usize,
    /// Bytes of one image.
    pub image: usize,
}

/// Inputs and outputs of one step in one run.
type StepPointers = (SmallVec<[*const u8; 8]>, SmallVec<[*mut u8; 4]>);

/// One step with places.
pub struct CodeStep {
    /// The kernel.
    pub kernel: Lowered,
    /// Where its inputs lie.
    pub inputs: Vec<Location>,
    /// Where its outputs lie.
    pub outputs: Vec<Location>,
    /// Where its workspace begins in the arena.
    pub workspace: usize,
    /// Where its packed operands lie.
    pub packed: SmallVec<[Place; 1]>,
    /// Who asked for it.
    pub origin: Origin,
    /// What it computes.
    pub text: String,
    /// The nodes that it reads and makes, in the kernel's numbering.
    pub reads: Vec<NodeId>,
    /// See `reads`.
    pub makes: Vec<NodeId>,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes of its inputs and outputs, each counted once.
    pub bytes: u64,
}

impl CodeStep {
    /// Whether anything lies in the thread's own memory.
    fn has_locals(&self) -> bool {
        self.inputs.iter().chain(&self.outputs).any(|at| matches!(at, Location::Local(_)))
    }

    /// Inputs and outputs for chunk `chunk` of phase `phase`, where what is local lies at `own`.
    fn local_pointers(&self, operands: &Operands, phase: usize, chunk: usize, own: *mut u8) -> StepPointers {
        let shares = self.kernel.phases[phase].chunks;
        let section = self.kernel.section.as_ref().filter(|section| section.phase == phase);
        let first = section.map_or(0, |section| section.share(shares, chunk).start);
        // The place that the first image of all would have: kernels count images from there.
        let at = |local: &Local| own.wrapping_add(local.offset).wrapping_sub(first * local.image);
        let pick = |(location, &shared): (&Location, &*mut u8)| match location {
            Location::Local(local) => at(local),
            Location::Shared(_) => shared,
        };
        let inputs = self.inputs.iter().zip(operands.inputs);
        let inputs = inputs.map(|(location, p)| pick((location, &p.cast_mut())).cast_const()).collect();
        (inputs, self.outputs.iter().zip(operands.outputs).map(pick).collect())
    }
}

/// Phases of one or more steps with as many chunks, as part of a stage.
pub struct Part {
    /// (step, phase): a chunk runs all of them in order. More than one are a section, in which chunk i
    /// of a phase reads what chunk i of those before it wrote.
    pub phases: SmallVec<[(usize, usize); 1]>,
    /// The stage's chunk that is these phases' chunk 0.
    pub first: usize,
}

/// What runs between two barriers: phases of independent steps, whose chunks may run in any order.
#[derive(Default)]
pub struct Stage {
    /// In order of `first`.
    pub parts: Vec<Part>,
    /// Of all parts.
    pub chunks: usize,
    /// Bytes of the arena that no value owns any more and the next wave's have not been written to: in checked code a
    /// stage of its own, with one chunk and no parts, makes NaN of them.
    pub poisoned: Vec<Range<usize>>,
    /// Bytes behind the ranges of the wave before, which must be as they were poisoned: such a stage checks them.
    pub guards: Vec<Range<usize>>,
}

/// Steps in the order in which they run, with the memory that they need.
pub struct Code {
    /// In order.
    pub steps: Vec<CodeStep>,
    /// Whether each of them has something in the thread's own memory.
    has_locals: Vec<bool>,
    /// Bytes of intermediates.
    pub arena_bytes: usize,
    /// Bytes of a thread's own memory: kernels' scratch, then what is local to a section.
    pub scratch_bytes: usize,
    /// Where in it the second begins.
    pub local_from: usize,
    /// The most bytes alive at one time.
    pub live_bound: usize,
    /// What runs between two barriers, in order.
    pub stages: Vec<Stage>,
    /// The first stage of the commit; the number of stages if there is none.
    pub commit_stage: usize,
    /// For each step, which wave of independent steps it belongs to.
    pub waves: Vec<usize>,
    /// Whether runs check what kernels write; see [`PlanOptions::checks`](crate::schedule::PlanOptions::checks).
    pub checks: bool,
}

/// What code knows of its memory.
pub struct Memory {
    /// Bytes of intermediates.
    pub arena_bytes: usize,
    /// Bytes of a thread's own memory: kernels' scratch, then what is local to a section.
    pub scratch_bytes: usize,
    /// Where in it the second begins.
    pub local_from: usize,
    /// The most bytes alive at one time.
    pub live_bound: usize,
}

/// Where inputs, outputs and what outlasts a run begin.
pub struct Bases<'a> {
    /// Of the plan's inputs.
    pub inputs: Vec<*const u8>,
    /// Of the plan's outputs.
    pub outputs: Vec<*mut u8>,
    /// Of the literals.
    pub constants: *const u8,
    /// Of each value of the prelude.
    pub prepared: &'a [*mut u8],
    /// Which steps run, if not all do.
    pub needed: Option<&'a [bool]>,
}

impl Code {
    /// Code of `steps`, which run by `stages`.
    pub fn new(
        steps: Vec<CodeStep>,
        waves: Vec<usize>,
        stages: Vec<Stage>,
        commit_stage: usize,
        memory: Memory,
        checks: bool,
    ) -> Self {
        let Memory { arena_bytes, scratch_bytes, local_from, live_bound } = memory;
        let has_locals = steps.iter().map(CodeStep::has_locals).collect();
        Code {
            steps,
            has_locals,
            arena_bytes,
            scratch_bytes,
            local_from,
            live_bound,
            stages,
            commit_stage,
            waves,
            checks,
        }
    }

    /// Runs all stages.
    pub fn run(&self, bases: &Bases, poll: &dyn Fn() -> bool, clock: Option<&Clock>) -> Result<()> {
        let workers = pool::workers()?;
        let arena = arena::lend(self.arena_bytes + workers * self.scratch_bytes)?;
        let base = arena.as_ptr();
        let place = |place: &Place| -> *mut u8 {
            match *place {
                Place::Input(i) => bases.inputs[i].cast_mut(),
                Place::Output(k) => bases.outputs[k],
                Place::Arena(offset) => base.wrapping_add(offset),
                Place::Constant(offset) => bases.constants.cast_mut().wrapping_add(offset),
                Place::Prepared(k) => bases.prepared[k],
            }
        };
        let at = |location: &Location| match location {
            Location::Shared(shared) => place(shared),
            // Each chunk has its own.
            Location::Local(_) => std::ptr::null_mut(),
        };
        let mut pointers: Vec<StepPointers> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let inputs = step.inputs.iter().map(|p| at(p).cast_const()).collect();
            pointers.push((inputs, step.outputs.iter().map(at).collect()));
        }
        let status = Status::default();
        let packed: Vec<SmallVec<[*mut u8; 1]>> =
            self.steps.iter().map(|step| step.packed.iter().map(place).collect()).collect();
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
        let needed = bases.needed;
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

    /// One line a step: wave (steps of one wave run together), step, kernel, chunks of its phases, nodes, origin.
    pub fn describe(&self, commit_from: Option<usize>, s: &mut String) {
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
        if self.code.checks {
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
                if !self.code.has_locals[step] {
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
