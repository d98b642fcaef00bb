//! Plans: immutable code of a graph, over numbered places in one arena.
//!
//! A plan is compiled once from a graph (passes, fusion, kernel choice, memory plan) and run any
//! number of times, by any number of threads. A run is whole or absent: buffers given to it are
//! overwritten by *commit steps* only, which come last, after everything that can fail or be
//! cancelled.

mod profile;

pub use profile::{Profile, StepProfile};

use crate::backend::cpu::kernel::{Lowered, Operands, Status};
use crate::backend::cpu::lower::{self, Step};
use crate::backend::cpu::{arena, pool};
use crate::backend::memory::{self, Lifetime};
use crate::buffer::{ALIGNMENT, Buffer};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Origin};
use crate::ops::Op;
use crate::passes::{self, fuse};
use crate::region::{Arg, Operand, Region};
use crate::shape::Fact;
use profile::Clock;
use smallvec::{SmallVec, smallvec};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

/// How a graph is compiled. Part of the plan's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlanOptions {
    /// Whether nodes are fused; off, every node is a step of its own.
    pub fuse: bool,
    /// Pairs (input, output): the output may take the input's buffer, if the caller donates it.
    pub donations: Vec<(usize, usize)>,
    /// The kernel that heavy ops must use if it supports them, by name.
    pub force_kernel: Option<String>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions { fuse: true, donations: Vec::new(), force_kernel: None }
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
}

/// Inputs and outputs of one step in one run.
type StepPointers = (SmallVec<[*const u8; 8]>, SmallVec<[*mut u8; 4]>);

struct PlannedStep {
    kernel: Lowered,
    inputs: Vec<Place>,
    outputs: Vec<Place>,
    workspace: usize,
    origin: Origin,
    text: String,
    flops: u64,
    bytes: u64,
}

/// Phases of one or more steps with as many chunks, as part of a stage.
struct Part {
    /// (step, phase): a chunk runs all of them in order. More than one are a section, in which chunk i
    /// of a phase reads what chunk i of those before it wrote.
    phases: SmallVec<[(usize, usize); 1]>,
    /// The stage's chunk that is these phases' chunk 0.
    first: usize,
}

/// Phases of independent steps that run together: their chunks may run in any order.
struct Stage {
    /// In order of `first`.
    parts: Vec<Part>,
    chunks: usize,
}

/// Bytes that steps running together may add to the arena over the largest of them, about.
const WAVE_BYTES: usize = 4 << 20;

/// Immutable code of a graph.
pub struct Plan {
    steps: Vec<PlannedStep>,
    /// Steps from here on commit: they alone write donated buffers, and nothing stops them.
    commit_from: usize,
    input_facts: Vec<Fact>,
    output_facts: Vec<Fact>,
    /// For each output, the input whose buffer it may take.
    in_place: Vec<Option<usize>>,
    constants: Option<Buffer>,
    arena_bytes: usize,
    scratch_bytes: usize,
    live_bound: usize,
    flops: u64,
    /// What runs between two barriers, in order.
    stages: Vec<Stage>,
    commit_stage: usize,
    /// For each step, which wave of independent steps it belongs to.
    waves: Vec<usize>,
}

impl Plan {
    /// Compiles `graph`: passes, fusion, kernel choice, memory plan.
    ///
    /// # Errors
    /// When a pass or every kernel of an op refuses, or sizes overflow.
    pub fn compile(graph: &Graph, options: &PlanOptions) -> Result<Plan> {
        let graph = passes::optimise(graph)?;
        let fusion = fuse::fuse(&graph, options.fuse)?;
        let mut steps = lower::lower(&graph, &fusion, options)?;
        Planner { graph: &graph, views: &fusion.views }.copies(&mut steps)?;
        Planner { graph: &graph, views: &fusion.views }.plan(steps, options)
    }

    /// Runs the plan. `poll` is asked on the calling thread, at most every 50 ms, whether to stop.
    ///
    /// # Errors
    /// When an input does not fit, a kernel meets bad data, memory runs out or `poll` says stop;
    /// every donated buffer is then in its slot, untouched.
    pub fn run(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<Vec<Buffer>> {
        self.execute(inputs, poll, None)
    }

    /// As [`Plan::run`], and says how long each step took. Looking at the clock costs about 0.1 µs a chunk.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_profiled(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<(Vec<Buffer>, Profile)> {
        let clock = Clock::new(self.steps.len());
        let outputs = self.execute(inputs, poll, Some(&clock))?;
        Ok((outputs, clock.profile(self, pool::workers()?)))
    }

    fn execute(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool, clock: Option<&Clock>) -> Result<Vec<Buffer>> {
        if inputs.len() != self.input_facts.len() {
            return Err(Error::value(format!("expected {} inputs, received {}", self.input_facts.len(), inputs.len())));
        }
        for (i, (slot, fact)) in inputs.iter().zip(&self.input_facts).enumerate() {
            let buffer = slot.buffer()?;
            if buffer.fact() != fact {
                return Err(Error::value(format!("input {i}: expected {fact}, received {}", buffer.fact())));
            }
        }
        let mut taken: Vec<Option<usize>> = Vec::with_capacity(self.output_facts.len());
        let mut fresh: Vec<Option<Buffer>> = Vec::with_capacity(self.output_facts.len());
        for (k, fact) in self.output_facts.iter().enumerate() {
            let donor = self.in_place[k].filter(|&i| matches!(inputs[i], Slot::Donated(Some(_))));
            fresh.push(if donor.is_none() { Some(Buffer::uninit(fact.clone())?) } else { None });
            taken.push(donor);
        }
        let workers = pool::workers()?;
        let arena = arena::lend(self.arena_bytes + workers * self.scratch_bytes)?;
        let base = arena.as_ptr();
        let scratch = base.wrapping_add(self.arena_bytes);
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
        let constants = self.constants.as_ref().map_or(std::ptr::null(), Buffer::as_ptr);
        let read = |p: &Place| -> *const u8 {
            match *p {
                Place::Input(i) => input_pointers[i],
                Place::Output(k) => output_pointers[k],
                Place::Arena(offset) => base.wrapping_add(offset),
                Place::Constant(offset) => constants.wrapping_add(offset),
            }
        };
        let mut pointers: Vec<StepPointers> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            pointers.push((
                step.inputs.iter().map(read).collect(),
                step.outputs.iter().map(|p| read(p).cast_mut()).collect(),
            ));
        }
        let status = Status::default();
        let operands: Vec<Operands> = self
            .steps
            .iter()
            .zip(&pointers)
            .map(|(step, (inputs, outputs))| Operands {
                inputs,
                outputs,
                workspace: base.wrapping_add(step.workspace),
                status: &status,
            })
            .collect();
        let execution = Execution { plan: self, operands: &operands, scratch: scratch as usize, clock };
        let may_commit = || {
            if let Some(step) = status.failed_step() {
                return status.check().map_err(|e| self.name_origin(e, step));
            }
            if poll() { Err(Error::new(crate::error::ErrorKind::Cancelled, "interrupted")) } else { Ok(()) }
        };
        let control = pool::Control { poll, commit: self.commit_stage, may_commit: &may_commit };
        pool::run(&execution, workers, &control)?;
        drop(operands);
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

    fn name_origin(&self, e: Error, step: usize) -> Error {
        match self.steps.get(step).and_then(|s| s.origin.as_deref()) {
            Some(origin) => e.at(origin),
            None => e,
        }
    }

    /// Bytes that a run holds besides inputs, outputs and per-thread scratch.
    pub fn peak_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// The most bytes of intermediates alive at one step: no plan of these steps can hold less.
    pub fn live_bound(&self) -> usize {
        self.live_bound
    }

    /// Floating-point operations of one run (a multiply-add counts 2).
    pub fn flops(&self) -> u64 {
        self.flops
    }

    /// One line a step: wave (steps of one wave run together), step, kernel, chunks of its phases,
    /// nodes, origin.
    pub fn describe(&self) -> String {
        let mut s = String::new();
        for (i, step) in self.steps.iter().enumerate() {
            if i == self.commit_from {
                s.push_str("-- commit --\n");
            }
            let chunks: Vec<usize> = step.kernel.phases.iter().map(|p| p.chunks).collect();
            let _ = write!(s, "{:4} {i:4} {:<18} {chunks:?} {}", self.waves[i], step.kernel.name, step.text);
            if let Some(o) = &step.origin {
                let _ = write!(s, "  # {o}");
            }
            s.push('\n');
        }
        let _ = writeln!(s, "arena {} bytes, {} flops", self.arena_bytes, self.flops);
        s
    }
}

struct Execution<'a> {
    plan: &'a Plan,
    operands: &'a [Operands<'a>],
    scratch: usize,
    clock: Option<&'a Clock>,
}

impl pool::Work for Execution<'_> {
    fn phases(&self) -> usize {
        self.plan.stages.len()
    }

    fn chunks(&self, stage: usize) -> usize {
        self.plan.stages[stage].chunks
    }

    fn run(&self, stage: usize, chunk: usize, worker: usize) {
        let parts = &self.plan.stages[stage].parts;
        let Part { phases, first } = &parts[parts.partition_point(|p| p.first <= chunk) - 1];
        let chunk = chunk - first;
        let scratch = (self.scratch + worker * self.plan.scratch_bytes) as *mut u8;
        for &(step, phase) in phases {
            let operands = &self.operands[step];
            let run = || (self.plan.steps[step].kernel.phases[phase].run)(operands, chunk, scratch);
            match self.clock {
                None => run(),
                Some(clock) => clock.time(step, run),
            }
            operands.status.note_step(step);
        }
    }
}

struct Planner<'a> {
    graph: &'a Graph,
    views: &'a HashMap<NodeId, NodeId>,
}

impl Planner<'_> {
    fn resolve(&self, id: NodeId) -> NodeId {
        self.views.get(&id).copied().unwrap_or(id)
    }

    /// Outputs that no step makes for themselves alone (inputs, constants, views of what another
    /// output is) are copied by a step of their own.
    fn copies(&self, steps: &mut Vec<Step>) -> Result<()> {
        let mut made: HashSet<NodeId> = steps.iter().flat_map(|s| s.outputs.iter().copied()).collect();
        for (k, &o) in self.graph.outputs().iter().enumerate() {
            let source = self.resolve(o);
            if made.remove(&source) {
                continue;
            }
            let fact = self.graph.fact(source);
            let arg = match &self.graph.node(source).op {
                Op::Constant(c) => Arg::literal(c.value()),
                _ => Arg::Operand(0),
            };
            let reads = matches!(arg, Arg::Operand(_));
            let region = Region {
                shape: fact.shape.clone(),
                operands: if reads {
                    vec![Operand { dtype: fact.dtype, strides: fact.shape.strides() }]
                } else {
                    Vec::new()
                },
                stores: vec![(arg, fact.dtype)],
                ..Region::default()
            };
            let inputs = if reads { vec![source] } else { Vec::new() };
            steps.push(lower::copy_step(self.graph, region, inputs, k)?);
        }
        Ok(())
    }

    fn plan(&self, steps: Vec<Step>, options: &PlanOptions) -> Result<Plan> {
        let g = self.graph;
        let (steps, commit_from, in_place) = self.order_commits(steps, options);
        let waves = self.waves(&steps, commit_from);

        // Which output each value is; the first output that shows a value owns it.
        let mut output_of: HashMap<NodeId, usize> = HashMap::new();
        for (k, &o) in g.outputs().iter().enumerate() {
            if !steps.iter().any(|s| s.copies_output == Some(k)) {
                output_of.entry(self.resolve(o)).or_insert(k);
            }
        }
        let mut lifetimes: Vec<Lifetime> = Vec::new();
        let mut slot_of: HashMap<NodeId, usize> = HashMap::new();
        let mut workspaces = Vec::with_capacity(steps.len());
        for (s, step) in steps.iter().enumerate() {
            let s = waves[s];
            for &i in &step.inputs {
                if let Some(&slot) = slot_of.get(&i) {
                    lifetimes[slot].last = s;
                }
            }
            if step.copies_output.is_none() {
                for &o in step.outputs.iter().filter(|o| !output_of.contains_key(o)) {
                    slot_of.insert(o, lifetimes.len());
                    lifetimes.push(Lifetime { bytes: g.fact(o).bytes(), first: s, last: s });
                }
            }
            workspaces.push(lifetimes.len());
            lifetimes.push(Lifetime { bytes: step.kernel.workspace, first: s, last: s });
        }
        let (offsets, arena_bytes) = memory::plan(&lifetimes);

        let mut constants: Vec<u8> = Vec::new();
        let mut constant_of: HashMap<NodeId, usize> = HashMap::new();
        let mut place = |id: NodeId| -> Result<Place> {
            let node = g.node(id);
            if let Some(&k) = output_of.get(&id) {
                return Ok(Place::Output(k));
            }
            match &node.op {
                Op::Input(input) => Ok(Place::Input(input.index)),
                Op::Constant(c) => {
                    let offset = *constant_of.entry(id).or_insert_with(|| {
                        let offset = constants.len();
                        let v = c.value();
                        match node.fact.dtype {
                            crate::dtype::DType::F32 => constants.extend((v as f32).to_ne_bytes()),
                            crate::dtype::DType::I32 => constants.extend((v as i32).to_ne_bytes()),
                            _ => constants.push(v as u8),
                        }
                        constants.resize(constants.len().next_multiple_of(ALIGNMENT), 0);
                        offset
                    });
                    Ok(Place::Constant(offset))
                }
                _ => match slot_of.get(&id) {
                    Some(&slot) => Ok(Place::Arena(offsets[slot])),
                    None => Err(Error::state(format!("%{} ({}) has no place", id.0, node.op.def().name()))),
                },
            }
        };
        let mut planned = Vec::with_capacity(steps.len());
        let mut stages: Vec<Stage> = Vec::new();
        let mut commit_stage = None;
        // The stage in which the current wave begins.
        let mut base = 0;
        // For each wave, the stage (from its first) in which its sections run.
        let mut section_stage: HashMap<usize, usize> = HashMap::new();
        for (step, &wave) in steps.iter().zip(&waves) {
            if let Some(section) = &step.kernel.section {
                let stage = section_stage.entry(wave).or_default();
                *stage = section.phase.max(*stage);
            }
        }
        // Sections of the current wave: images, chunks, stage and part.
        let mut sections: Vec<([usize; 3], usize)> = Vec::new();
        for (s, step) in steps.into_iter().enumerate() {
            if s > 0 && waves[s] != waves[s - 1] {
                base = stages.len();
                sections.clear();
            }
            if s == commit_from {
                commit_stage = Some(base);
            }
            for (phase, code) in step.kernel.phases.iter().enumerate() {
                let section = step.kernel.section.as_ref();
                let at = match section {
                    Some(section) if phase >= section.phase => {
                        base + section_stage[&waves[s]] + (phase - section.phase)
                    }
                    _ => base + phase,
                };
                while at >= stages.len() {
                    stages.push(Stage { parts: Vec::new(), chunks: 0 });
                }
                let stage = &mut stages[at];
                let shares = section.filter(|section| section.phase == phase).map(|x| [x.images, code.chunks, at]);
                if let Some(&(_, part)) = sections.iter().find(|(key, _)| Some(*key) == shares) {
                    stage.parts[part].phases.push((s, phase));
                    continue;
                }
                // A part without chunks would hide the one that begins where it does.
                if code.chunks > 0 {
                    sections.extend(shares.map(|key| (key, stage.parts.len())));
                    stage.parts.push(Part { phases: smallvec![(s, phase)], first: stage.chunks });
                    stage.chunks += code.chunks;
                }
            }
            let read: HashSet<NodeId> = step.inputs.iter().copied().collect();
            let bytes = read.iter().chain(&step.outputs).map(|&i| g.fact(i).bytes() as u64).sum();
            let inputs = step.inputs.iter().map(|&i| place(i)).collect::<Result<_>>()?;
            let outputs = match step.copies_output {
                Some(k) => vec![Place::Output(k)],
                None => step.outputs.iter().map(|&o| place(o)).collect::<Result<_>>()?,
            };
            planned.push(PlannedStep {
                inputs,
                outputs,
                workspace: offsets[workspaces[s]],
                origin: step.origin,
                text: step.text,
                flops: step.flops,
                bytes,
                kernel: step.kernel,
            });
        }
        let constants =
            if constants.is_empty() { None } else { Some(Buffer::from_slice(&[constants.len()], &constants)?) };
        let facts = |ids: &[NodeId]| ids.iter().map(|&i| g.fact(i).clone()).collect::<Vec<_>>();
        let live = g.live();
        let flops = g.ids().filter(|i| live[i.index()]).map(|i| g.flops(i)).sum();
        Ok(Plan {
            commit_stage: commit_stage.unwrap_or(stages.len()),
            commit_from,
            scratch_bytes: planned.iter().map(|s| s.kernel.scratch.next_multiple_of(ALIGNMENT)).max().unwrap_or(0),
            steps: planned,
            input_facts: facts(g.inputs()),
            output_facts: facts(g.outputs()),
            in_place,
            constants,
            arena_bytes,
            live_bound: memory::live_bound(&lifetimes),
            flops,
            stages,
            waves,
        })
    }

    /// The wave of each step. Consecutive steps that read nothing of each other form a wave and run
    /// together, so that the many small ones (updates of parameters, gradients of one layer) share
    /// barriers. So do steps of one section, which read of each other only what the same chunk wrote.
    /// Commit steps have waves of their own.
    fn waves(&self, steps: &[Step], commit_from: usize) -> Vec<usize> {
        let mut waves = Vec::with_capacity(steps.len());
        let mut wave = 0;
        let mut made: HashSet<NodeId> = HashSet::new();
        // The shares (images, chunks) of the wave's section, and what it made share by share.
        let mut open: Option<[usize; 2]> = None;
        let mut shared: HashSet<NodeId> = HashSet::new();
        let mut held = 0;
        for (s, step) in steps.iter().enumerate() {
            let commits = s >= commit_from;
            let outputs: usize = step.outputs.iter().map(|&o| self.graph.fact(o).bytes()).sum();
            let bytes = if commits { 0 } else { outputs + step.kernel.workspace };
            let section = step.kernel.section.as_ref();
            let shares = section.map(|x| [x.images, step.kernel.phases[x.phase].chunks]);
            let continues = shares.is_some() && shares == open;
            let by_share = |k: usize| section.is_some_and(|x| x.inputs >> k & 1 == 1);
            let waits =
                |(k, id): (usize, &NodeId)| made.contains(id) && !(continues && by_share(k) && shared.contains(id));
            let depends = step.inputs.iter().enumerate().any(waits);
            if s > 0 && (s == commit_from || depends || (!continues && held + bytes > WAVE_BYTES)) {
                wave += 1;
                made.clear();
                shared.clear();
                open = None;
                held = 0;
            }
            if let Some(section) = section
                && open.is_none_or(|shares_open| Some(shares_open) == shares)
            {
                open = shares;
                let own = step.outputs.iter().enumerate().filter(|(k, _)| section.outputs >> k & 1 == 1);
                shared.extend(own.map(|(_, &o)| o));
            }
            made.extend(&step.outputs);
            held += bytes;
            waves.push(wave);
        }
        waves
    }

    /// Puts the steps that may write donated buffers last. Such a step is a region whose outputs
    /// are all graph outputs that no step reads, and that reads each donated input at the very
    /// element that it writes. Returns the steps, where the commit begins, and for each output the
    /// input whose buffer it may take.
    fn order_commits(&self, steps: Vec<Step>, options: &PlanOptions) -> (Vec<Step>, usize, Vec<Option<usize>>) {
        let g = self.graph;
        let mut in_place = vec![None; g.outputs().len()];
        let read: HashSet<NodeId> = steps.iter().flat_map(|s| s.inputs.iter().copied()).collect();
        let pairs: HashMap<NodeId, (usize, usize)> = options
            .donations
            .iter()
            .filter_map(|&(i, o)| {
                let out = *g.outputs().get(o)?;
                Some((self.resolve(out), (i, o)))
            })
            .collect();
        let commits = |s: &Step| {
            s.is_region
                && s.copies_output.is_none()
                && s.outputs.iter().all(|o| pairs.contains_key(o) && !read.contains(o))
        };
        let (commit, compute): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(commits);
        let commit_from = compute.len();
        for (at, step) in commit.iter().enumerate() {
            for o in &step.outputs {
                let (i, k) = pairs[o];
                let input = g.inputs()[i];
                let others_read = commit.iter().enumerate().any(|(b, s)| b != at && s.inputs.contains(&input));
                let once = g.outputs().iter().filter(|&&x| self.resolve(x) == *o).count() == 1;
                if !others_read && once && step.reads_in_step(input, g.fact(*o)) {
                    in_place[k] = Some(i);
                }
            }
        }
        let mut steps = compute;
        steps.extend(commit);
        (steps, commit_from, in_place)
    }
}
