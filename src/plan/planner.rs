//! From steps to code: what runs once, what commits, what runs together, and where everything lies.

use super::held::{self, Recipe};
use super::stage::{self, Part, Stage};
use super::{Code, Local, Place, Plan, PlanOptions, PlannedStep};
use crate::backend::cpu::kernel::{Packed, PackedLayout};
use crate::backend::cpu::lower::{self, Step};
use crate::backend::memory::{self, Lifetime};
use crate::buffer::{ALIGNMENT, Buffer};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::region::{Arg, Operand, Region};
use crate::reserve;
use smallvec::smallvec;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Bytes behind every range of the arena that nobody may write, in debug builds.
const GUARD: usize = if cfg!(debug_assertions) { 64 } else { 0 };
/// Bytes of what is local to a section, at most: beside its inputs and outputs it is to stay in L2.
const LOCAL_BYTES: usize = 1 << 20;
/// Bytes that steps running together may add to the arena over the largest of them, about.
const WAVE_BYTES: usize = 4 << 20;

/// What runs once while held inputs stay.
#[derive(Default)]
struct Prelude {
    steps: Vec<Step>,
    /// The numbers of the values that other steps read.
    places: HashMap<NodeId, usize>,
    /// What it makes for them, packed or not.
    held: Vec<held::Value>,
}

impl Prelude {
    /// The number of the value that step `step` makes of node `id`, packed as `layout`, if it is.
    fn value(
        &mut self,
        g: &Graph,
        id: NodeId,
        bytes: usize,
        layout: Option<PackedLayout>,
        step: usize,
    ) -> Result<usize> {
        let (graph, inputs) = g.part(id)?;
        let recipe = Arc::new(Recipe { graph, layout });
        self.held.push(held::Value { recipe, inputs, bytes: bytes.next_multiple_of(ALIGNMENT), step });
        Ok(self.held.len() - 1)
    }

    /// For each step, the steps whose values it reads, with the numbers of those that are held.
    fn reads(&self) -> Vec<Vec<(usize, Option<usize>)>> {
        let makers = self.steps.iter().enumerate().flat_map(|(s, step)| step.outputs.iter().map(move |&o| (o, s)));
        let makers: HashMap<NodeId, usize> = makers.collect();
        let read = |i: &NodeId| Some((*makers.get(i)?, self.places.get(i).copied()));
        self.steps.iter().map(|step| step.inputs.iter().filter_map(read).collect()).collect()
    }
}

/// Literals that kernels read from memory.
#[derive(Default)]
struct Constants {
    bytes: Vec<u8>,
    offsets: HashMap<NodeId, usize>,
}

impl Constants {
    fn offset(&mut self, id: NodeId, value: f64, dtype: DType) -> usize {
        *self.offsets.entry(id).or_insert_with(|| {
            let offset = self.bytes.len();
            match dtype {
                DType::F32 => self.bytes.extend((value as f32).to_ne_bytes()),
                DType::I32 => self.bytes.extend((value as i32).to_ne_bytes()),
                _ => self.bytes.push(value as u8),
            }
            self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
            offset
        })
    }

    fn buffer(&self) -> Result<Option<Buffer>> {
        match self.bytes.len() {
            0 => Ok(None),
            n => Buffer::from_slice(&[n], &self.bytes).map(Some),
        }
    }
}

/// Values that lie in the memory of the thread that works on a share of them.
#[derive(Default)]
struct Locals {
    places: HashMap<NodeId, Local>,
    /// Bytes of a thread's memory for them.
    bytes: usize,
    /// Bytes from the first image of a value to the last share, at most.
    reach: usize,
}

/// Plans the steps of a graph.
pub(super) struct Planner<'a> {
    pub graph: &'a Graph,
    pub views: &'a HashMap<NodeId, NodeId>,
}

impl Planner<'_> {
    fn resolve(&self, id: NodeId) -> NodeId {
        self.views.get(&id).copied().unwrap_or(id)
    }

    /// Outputs that no step makes for themselves alone (inputs, constants, views of what another
    /// output is) are copied by a step of their own.
    pub fn copies(&self, steps: &mut Vec<Step>) -> Result<()> {
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

    pub fn plan(&self, steps: Vec<Step>, options: &PlanOptions) -> Result<Plan> {
        let g = self.graph;
        let (prelude, steps) = self.hoist(steps)?;
        let prelude_reads = prelude.reads();
        let (steps, commit_from, in_place) = self.order_commits(steps, options);

        // Which output each value is; the first output that shows a value owns it.
        let mut output_of: HashMap<NodeId, usize> = HashMap::new();
        for (k, &o) in g.outputs().iter().enumerate() {
            if !steps.iter().any(|s| s.copies_output == Some(k)) {
                output_of.entry(self.resolve(o)).or_insert(k);
            }
        }
        let mut constants = Constants::default();
        let live = g.live();
        let flops: u64 = g.ids().filter(|i| live[i.index()]).map(|i| g.flops(i)).sum();
        let once: u64 = prelude.steps.iter().map(|s| s.flops).sum();
        let mut prelude_inputs: Vec<usize> = Vec::new();
        for &i in prelude.steps.iter().flat_map(|s| &s.inputs) {
            if let Op::Input(input) = &g.node(i).op
                && !prelude_inputs.contains(&input.index)
            {
                prelude_inputs.push(input.index);
            }
        }
        let before = match prelude.steps.len() {
            0 => None,
            n => Some(self.code(prelude.steps, n, &HashMap::new(), &prelude.places, &mut constants)?),
        };
        let code = self.code(steps, commit_from, &output_of, &prelude.places, &mut constants)?;
        let facts = |ids: &[NodeId]| ids.iter().map(|&i| g.fact(i).clone()).collect::<Vec<_>>();
        Ok(Plan {
            apart: Vec::new(),
            taken_apart: 0,
            code,
            prelude: before,
            prelude_inputs,
            prelude_reads,
            held: prelude.held,
            commit_from,
            input_facts: facts(g.inputs()),
            output_facts: facts(g.outputs()),
            in_place,
            constants: constants.buffer()?,
            flops: flops.saturating_sub(once),
        })
    }

    /// Takes out of `steps` what depends on held inputs alone: whole steps, and the packing of operands.
    /// Nothing is taken where no input differs from run to run, for then one run is all there will be.
    fn hoist(&self, steps: Vec<Step>) -> Result<(Prelude, Vec<Step>)> {
        let g = self.graph;
        let mut prelude = Prelude::default();
        let held_input = |i: NodeId| matches!(&g.node(i).op, Op::Input(input) if input.held);
        if g.inputs().iter().all(|&i| held_input(i)) {
            return Ok((prelude, steps));
        }
        let outputs: HashSet<NodeId> = g.outputs().iter().map(|&o| self.resolve(o)).collect();
        let mut made: HashSet<NodeId> = HashSet::new();
        let mut rest = Vec::with_capacity(steps.len());
        for mut step in steps {
            reserve::check()?;
            let literal = |i: NodeId| matches!(g.node(i).op, Op::Constant(_));
            let held = |i: NodeId| held_input(i) || made.contains(&i);
            let whole = step.inputs.iter().all(|&i| held(i) || literal(i))
                && step.inputs.iter().any(|&i| held(i))
                && step.copies_output.is_none()
                && !step.outputs.iter().any(|o| outputs.contains(o));
            if whole {
                made.extend(&step.outputs);
                prelude.steps.push(step);
                continue;
            }
            let packed = &step.kernel.packed;
            if !packed.is_empty() && packed.iter().all(|p| held(step.inputs[p.operand])) {
                let at = prelude.steps.len();
                let mut value =
                    |p: &Packed| prelude.value(g, step.inputs[p.operand], p.bytes, Some(p.layout.clone()), at);
                let numbers = packed.iter().map(&mut value).collect::<Result<_>>()?;
                prelude.steps.push(step.split_packing(numbers));
            }
            rest.push(step);
        }
        let makers = prelude.steps.iter().enumerate().flat_map(|(s, step)| step.outputs.iter().map(move |&o| (o, s)));
        let makers: HashMap<NodeId, usize> = makers.collect();
        for &i in rest.iter().flat_map(|s| &s.inputs).filter(|i| made.contains(i)) {
            if !prelude.places.contains_key(&i) {
                let number = prelude.value(g, i, g.fact(i).bytes(), None, makers[&i])?;
                prelude.places.insert(i, number);
            }
        }
        Ok((prelude, rest))
    }

    /// Code for steps in order, of which those from `commit_from` on commit. Values of `outputs` are
    /// outputs of the plan, those of `held` lie in what the prelude makes.
    fn code(
        &self,
        steps: Vec<Step>,
        commit_from: usize,
        output_of: &HashMap<NodeId, usize>,
        held: &HashMap<NodeId, usize>,
        constants: &mut Constants,
    ) -> Result<Code> {
        let g = self.graph;
        let waves = self.waves(&steps, commit_from);
        let locals = self.locals(&steps, &waves, |id| output_of.contains_key(&id) || held.contains_key(&id));
        let mut lifetimes: Vec<Lifetime> = Vec::new();
        let mut slot_of: HashMap<NodeId, usize> = HashMap::new();
        let mut workspaces = Vec::with_capacity(steps.len());
        // For each value, the wave that reads it last, and the step if it is the only one there.
        let mut last_reads: HashMap<NodeId, (usize, Option<usize>)> = HashMap::new();
        for (s, step) in steps.iter().enumerate() {
            for &i in &step.inputs {
                let last = last_reads.entry(i).or_insert((waves[s], Some(s)));
                let alone = last.0 < waves[s] || last.1 == Some(s);
                *last = (waves[s], alone.then_some(s));
            }
        }
        for (s, step) in steps.iter().enumerate() {
            let index = s;
            let s = waves[s];
            let mut taken: HashSet<NodeId> = HashSet::new();
            for &i in &step.inputs {
                if let Some(&slot) = slot_of.get(&i) {
                    lifetimes[slot].last = s;
                }
            }
            if step.copies_output.is_none() {
                let elsewhere =
                    |o: &NodeId| output_of.contains_key(o) || held.contains_key(o) || locals.places.contains_key(o);
                for &o in step.outputs.iter().filter(|o| !elsewhere(o)) {
                    // What nobody reads afterwards may be written over, element by element.
                    let dies = |i: &&NodeId| {
                        last_reads.get(*i) == Some(&(s, Some(index)))
                            && step.reads_in_step(**i, g.fact(o))
                            && g.fact(**i).bytes() == g.fact(o).bytes()
                            && !taken.contains(*i)
                    };
                    let found = step.inputs.iter().find(dies).and_then(|i| Some((*i, *slot_of.get(i)?)));
                    if let Some((i, slot)) = found {
                        taken.insert(i);
                        slot_of.insert(o, slot);
                        continue;
                    }
                    slot_of.insert(o, lifetimes.len());
                    lifetimes.push(Lifetime { bytes: g.fact(o).bytes(), first: s, last: s });
                }
            }
            workspaces.push(lifetimes.len());
            lifetimes.push(Lifetime { bytes: step.kernel.workspace, first: s, last: s });
            lifetimes.extend(step.packed_in_run().map(|bytes| Lifetime { bytes, first: s, last: s }));
        }
        let guarded: Vec<Lifetime> =
            lifetimes.iter().map(|v| Lifetime { bytes: v.bytes + if v.bytes > 0 { GUARD } else { 0 }, ..*v }).collect();
        let (offsets, arena_bytes) = memory::plan(&guarded);

        let mut place = |id: NodeId| -> Result<Place> {
            let node = g.node(id);
            if let Some(&k) = output_of.get(&id) {
                return Ok(Place::Output(k));
            }
            if let Some(&number) = held.get(&id) {
                return Ok(Place::Held(number));
            }
            if let Some(&local) = locals.places.get(&id) {
                return Ok(Place::Local(local));
            }
            match &node.op {
                Op::Input(input) => Ok(Place::Input(input.index)),
                Op::Constant(c) => Ok(Place::Constant(constants.offset(id, c.value(), node.fact.dtype))),
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
            reserve::check()?;
            if s == 0 || waves[s] != waves[s - 1] {
                if cfg!(debug_assertions) {
                    let fresh = |(v, &offset): (&Lifetime, &usize)| {
                        (v.first == waves[s] && v.bytes > 0).then(|| offset..offset + v.bytes)
                    };
                    let poisoned = guarded.iter().zip(&offsets).filter_map(fresh).collect();
                    let guards = if s == 0 { Vec::new() } else { guards(&lifetimes, &offsets, waves[s - 1]) };
                    stages.push(Stage { chunks: 1, poisoned, guards, ..Stage::default() });
                }
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
                    stages.push(Stage::default());
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
            let inputs: Vec<Place> = step.inputs.iter().map(|&i| place(i)).collect::<Result<_>>()?;
            let outputs: Vec<Place> = match step.copies_output {
                Some(k) => vec![Place::Output(k)],
                None => step.outputs.iter().map(|&o| place(o)).collect::<Result<_>>()?,
            };
            planned.push(PlannedStep {
                has_locals: inputs.iter().chain(&outputs).any(|place| matches!(place, Place::Local(_))),
                inputs,
                outputs,
                reads: step.inputs,
                makes: step.outputs,
                workspace: offsets[workspaces[s]],
                packed: match &step.packed_at {
                    Some(numbers) => numbers.iter().map(|&k| Place::Held(k)).collect(),
                    None => {
                        let first = workspaces[s] + 1;
                        (0..step.kernel.packed.len()).map(|k| Place::Arena(offsets[first + k])).collect()
                    }
                },
                origin: step.origin,
                text: step.text,
                flops: step.flops,
                bytes,
                kernel: step.kernel,
            });
        }
        let commit_stage = commit_stage.unwrap_or(stages.len());
        if cfg!(debug_assertions) {
            let guards = waves.last().map_or(Vec::new(), |&wave| guards(&lifetimes, &offsets, wave));
            stages.push(Stage { chunks: 1, guards, ..Stage::default() });
        }
        let work = |&(s, phase): &(usize, usize)| {
            let (step, phases) = (&planned[s], planned[s].kernel.phases.len());
            step.bytes / phases as u64 + if phase + 1 == phases { step.flops } else { 0 }
        };
        let (stages, commit_stage) = stage::join(stages, commit_stage, work);
        let scratch = planned.iter().map(|s| s.kernel.scratch.next_multiple_of(ALIGNMENT)).max().unwrap_or(0);
        Ok(Code {
            commit_stage,
            scratch_bytes: scratch + locals.bytes,
            local_from: scratch,
            steps: planned,
            // Threads' memory lies behind: where the first image of a share would be, there is arena.
            arena_bytes: arena_bytes.max(locals.reach),
            live_bound: memory::live_bound(&guarded),
            stages,
            waves,
        })
    }

    /// What lies in the memory of threads: made by steps of a section share by share, and read by later ones of the
    /// same section in the same way, and by nobody else. `stays` says of a value that it outlasts the run.
    fn locals(&self, steps: &[Step], waves: &[usize], stays: impl Fn(NodeId) -> bool) -> Locals {
        let mut readers: HashMap<NodeId, Vec<(usize, usize)>> = HashMap::new();
        for (s, step) in steps.iter().enumerate() {
            step.inputs.iter().enumerate().for_each(|(k, &i)| readers.entry(i).or_default().push((s, k)));
        }
        // What two steps of one section have in common.
        let shares = |s: usize| {
            let section = steps[s].kernel.section.as_ref()?;
            Some((section, [waves[s], section.images, section.lanes, steps[s].kernel.phases[section.phase].chunks]))
        };
        let mut found: Vec<(NodeId, Local, Lifetime)> = Vec::new();
        for (s, step) in steps.iter().enumerate() {
            let Some((section, key)) = shares(s).filter(|_| step.copies_output.is_none()) else { continue };
            for (k, &o) in step.outputs.iter().enumerate() {
                let bytes = self.graph.fact(o).bytes();
                let by_share = section.outputs >> k & 1 == 1 && bytes.is_multiple_of(section.images);
                let inside = |&(r, k): &(usize, usize)| {
                    shares(r).is_some_and(|(section, other)| other == key && section.inputs >> k & 1 == 1)
                };
                match readers.get(&o) {
                    Some(readers) if by_share && !stays(o) && readers.iter().all(inside) => {
                        let last = readers.iter().map(|r| r.0).max().unwrap_or(s);
                        let image = bytes / section.images;
                        let largest = section.share(key[3], 0).len() * image;
                        found.push((o, Local { offset: 0, image }, Lifetime { bytes: largest, first: s, last }));
                    }
                    _ => {}
                }
            }
        }
        // The largest stay in the arena where all together would not stay in cache.
        found.sort_by_key(|(_, _, lifetime)| lifetime.bytes);
        loop {
            let lifetimes: Vec<Lifetime> = found.iter().map(|f| f.2).collect();
            let (offsets, bytes) = memory::plan(&lifetimes);
            if bytes <= LOCAL_BYTES {
                let places = found.iter().zip(offsets).map(|(f, offset)| (f.0, Local { offset, ..f.1 })).collect();
                let reach = found.iter().map(|(id, ..)| self.graph.fact(*id).bytes()).max().unwrap_or(0);
                return Locals { places, bytes, reach: reach.next_multiple_of(ALIGNMENT) };
            }
            found.pop();
        }
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
            let bytes = if commits { 0 } else { outputs + step.kernel.workspace + step.packed_in_run().sum::<usize>() };
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

/// The bytes behind what is alive in `wave`.
fn guards(lifetimes: &[Lifetime], offsets: &[usize], wave: usize) -> Vec<Range<usize>> {
    let alive = lifetimes.iter().zip(offsets).filter(|(v, _)| v.bytes > 0 && v.first <= wave && wave <= v.last);
    alive.map(|(v, &offset)| offset + v.bytes..offset + v.bytes + GUARD).collect()
}
