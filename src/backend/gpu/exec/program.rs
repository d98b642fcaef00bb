//! Programs for a GPU: kernels over numbered places in a few buffers, submitted as one.

use crate::backend::device::{Bound, Control, Memory, Program, ProgramFacts, Run, Slot, StepFacts, When};
use crate::backend::gpu::device::{self, ALIGNMENT, Device};
use crate::backend::gpu::lower::StepKernels;
use crate::backend::gpu::lower::candidates::Check;
use crate::backend::gpu::lower::shader::Operand;
use crate::backend::profile::{Profile, StepProfile};
use crate::buffer::{self, Buffer};
use crate::error::{BadData, Error, ErrorKind, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::schedule::memory::{self, Lifetime};
use crate::schedule::prelude::Values;
use crate::schedule::{Constants, Liveness, Schedule, Step, liveness};
use crate::shape::Fact;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

/// How long the calling thread waits for the device before it asks whether to stop.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long it waits for word of what has been done already.
const GLANCE: Duration = Duration::from_millis(1);
/// Bytes in which a step says that it met bad data: a place, and the integer there.
const STATUS_BYTES: usize = 8;

/// The buffers of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Home {
    Inputs,
    Outputs,
    Arena,
    Constants,
    Prepared,
    Status,
}

const HOMES: [Home; 6] = [Home::Inputs, Home::Outputs, Home::Arena, Home::Constants, Home::Prepared, Home::Status];

/// A range of one of them.
#[derive(Clone, Copy, Debug)]
struct Place {
    home: Home,
    offset: usize,
    bytes: usize,
}

/// A dispatch with its pipeline and places.
struct Placed {
    pipeline: wgpu::ComputePipeline,
    bindings: Vec<Place>,
    groups: [u32; 2],
}

/// A step with its places.
struct GpuStep {
    dispatches: Vec<Placed>,
    check: Option<Check>,
    facts: StepFacts,
}

/// Immutable code of a graph for one device.
pub struct GpuProgram {
    device: Arc<Device>,
    prelude: Vec<GpuStep>,
    steps: Vec<GpuStep>,
    commit_from: usize,
    values: Values,
    inputs: Vec<(Fact, usize)>,
    outputs: Vec<(Fact, usize)>,
    /// For each output, the input whose buffer it may take.
    in_place: Vec<Option<usize>>,
    /// Bytes of each buffer.
    sizes: HashMap<Home, usize>,
    /// What lies in the buffer of literals.
    literals: Vec<u8>,
    facts: ProgramFacts,
    checks: bool,
    idle: Idle,
}

/// Memory of runs that none uses now.
type Idle = Mutex<Vec<RunMemory>>;

fn aligned(bytes: usize) -> usize {
    bytes.max(4).next_multiple_of(ALIGNMENT)
}

/// Offsets of things that lie one behind the other, and the bytes of all.
fn in_a_row(bytes: impl Iterator<Item = usize>) -> (Vec<usize>, usize) {
    let mut end = 0;
    let offsets = bytes.map(|bytes| {
        let at = end;
        end += aligned(bytes);
        at
    });
    let offsets = offsets.collect();
    (offsets, end)
}

/// Where the values of some steps lie.
struct Places<'a> {
    g: &'a Graph,
    inputs: &'a [usize],
    outputs: &'a [usize],
    prepared: &'a [usize],
    output_of: &'a HashMap<NodeId, usize>,
    prepared_of: &'a HashMap<NodeId, usize>,
    slot_of: HashMap<NodeId, usize>,
    offsets: Vec<usize>,
    constants: &'a mut Constants,
}

impl Places<'_> {
    fn of(&mut self, id: NodeId) -> Result<Place> {
        let node = self.g.node(id);
        let (home, offset) = match &node.op {
            _ if self.output_of.contains_key(&id) => (Home::Outputs, self.outputs[self.output_of[&id]]),
            _ if self.prepared_of.contains_key(&id) => (Home::Prepared, self.prepared[self.prepared_of[&id]]),
            Op::Input(input) => (Home::Inputs, self.inputs[input.index]),
            Op::Constant(c) => {
                let offset = self.constants.offset(id, c.value(), node.fact.dtype);
                (Home::Constants, offset / buffer::ALIGNMENT * ALIGNMENT)
            }
            op => match self.slot_of.get(&id) {
                Some(&slot) => (Home::Arena, self.offsets[slot]),
                None => return Err(Error::state(format!("%{} ({}) has no place", id.0, op.def().name()))),
            },
        };
        Ok(Place { home, offset, bytes: node.fact.bytes() })
    }
}

impl GpuProgram {
    /// The program of steps in order.
    ///
    /// # Errors
    /// When there is no device, a kernel does not compile, or a tensor exceeds what the device binds.
    pub fn new(g: &Graph, schedule: Schedule<StepKernels>, checks: bool) -> Result<Self> {
        let device = device::current()?;
        let Schedule { prelude, steps, commit_from, in_place, output_of, flops } = schedule;
        let values = prelude.values(g);
        let input_facts: Vec<Fact> = g.inputs().iter().map(|&i| g.fact(i).clone()).collect();
        let output_facts: Vec<Fact> = g.outputs().iter().map(|&o| g.fact(o).clone()).collect();
        let (inputs, input_bytes) = in_a_row(input_facts.iter().map(Fact::bytes));
        let (outputs, output_bytes) = in_a_row(output_facts.iter().map(Fact::bytes));
        let (prepared, prepared_bytes) = in_a_row(values.values.iter().map(|value| value.bytes));
        let none = HashMap::new();
        let mut constants = Constants::default();
        let mut place =
            |steps: Vec<Step<StepKernels>>, output_of: &HashMap<NodeId, usize>, first: usize, commit_from| {
                let elsewhere = |id| output_of.contains_key(&id) || prelude.places.contains_key(&id);
                let times: Vec<usize> = (0..steps.len()).collect();
                let Liveness { lifetimes, slot_of, workspaces } = liveness(g, &steps, &times, elsewhere);
                // The planner aligns to the host's cache lines: it is asked in lines that are as long as the device's.
                let scaled = |v: &Lifetime| Lifetime { bytes: v.bytes.div_ceil(ALIGNMENT) * buffer::ALIGNMENT, ..*v };
                let scaled: Vec<Lifetime> = lifetimes.iter().map(scaled).collect();
                let scale = |bytes: usize| bytes / buffer::ALIGNMENT * ALIGNMENT;
                let (offsets, arena) = memory::plan(&scaled);
                let offsets: Vec<usize> = offsets.into_iter().map(scale).collect();
                let workspaces: Vec<usize> = workspaces.into_iter().map(|slot| offsets[slot]).collect();
                let mut places = Places {
                    g,
                    inputs: &inputs,
                    outputs: &outputs,
                    prepared: &prepared,
                    output_of,
                    prepared_of: &prelude.places,
                    slot_of,
                    offsets,
                    constants: &mut constants,
                };
                let placed = steps
                    .into_iter()
                    .enumerate()
                    .map(|(s, step)| {
                        let when = match commit_from {
                            None => When::Once,
                            Some(from) if s < from => When::Run,
                            Some(_) => When::Commit,
                        };
                        step_of(&device, &mut places, step, workspaces[s], first + s, when)
                    })
                    .collect::<Result<Vec<_>>>()?;
                Ok::<_, Error>((placed, scale(arena), scale(memory::live_bound(&scaled))))
            };
        let (before, before_arena, _) = place(prelude.steps, &none, 0, None)?;
        let (steps, arena, live_bound) = place(steps, &output_of, before.len(), Some(commit_from))?;
        let literals = match constants.buffer()? {
            None => Vec::new(),
            Some(buffer) => {
                let mut spread = Vec::new();
                for line in buffer.bytes().chunks(buffer::ALIGNMENT) {
                    spread.extend_from_slice(line);
                    spread.resize(spread.len().next_multiple_of(ALIGNMENT), 0);
                }
                spread
            }
        };
        let sizes = HashMap::from([
            (Home::Inputs, input_bytes),
            (Home::Outputs, output_bytes),
            (Home::Arena, arena.max(before_arena)),
            (Home::Constants, literals.len()),
            (Home::Prepared, prepared_bytes),
            (Home::Status, (before.len() + steps.len()) * ALIGNMENT),
        ]);
        let facts = ProgramFacts {
            arena_bytes: sizes[&Home::Arena],
            live_bound,
            prepared_bytes: values.bytes(),
            constant_bytes: literals.len(),
            flops,
        };
        Ok(GpuProgram {
            device,
            prelude: before,
            steps,
            commit_from,
            values,
            inputs: input_facts.into_iter().zip(inputs).collect(),
            outputs: output_facts.into_iter().zip(outputs).collect(),
            in_place,
            sizes,
            literals,
            facts,
            checks,
            idle: Mutex::default(),
        })
    }

    /// Some of `idle`, or else new memory.
    fn memory(&self, idle: &Idle) -> Result<RunMemory> {
        let found = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        found.map_or_else(|| RunMemory::new(self), Ok)
    }

    /// A run in memory of `idle`, which comes back there afterwards.
    fn run_in(&self, idle: &Idle, slots: &mut [Slot], control: &Control, keep: bool) -> Result<(Run, bool)> {
        let mut memory = self.memory(idle)?;
        let run = memory.run(self, slots, control, keep);
        // Memory whose state is not known is not used again.
        if run.is_ok() {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        }
        run
    }
}

fn step_of(
    device: &Device,
    places: &mut Places,
    step: Step<StepKernels>,
    workspace: usize,
    number: usize,
    when: When,
) -> Result<GpuStep> {
    let (g, kernels) = (places.g, step.code);
    let inputs = step.inputs.iter().map(|&i| places.of(i)).collect::<Result<Vec<_>>>()?;
    let outputs = match step.copies_output {
        Some(k) => {
            let bytes = g.fact(g.outputs()[k]).bytes();
            vec![Place { home: Home::Outputs, offset: places.outputs[k], bytes }]
        }
        None => step.outputs.iter().map(|&o| places.of(o)).collect::<Result<Vec<_>>>()?,
    };
    let workspace = Place { home: Home::Arena, offset: workspace, bytes: kernels.workspace };
    let status = Place { home: Home::Status, offset: number * ALIGNMENT, bytes: STATUS_BYTES };
    let limit = device.facts.tensor_bytes;
    for place in inputs.iter().chain(&outputs).chain([&workspace]) {
        if place.bytes as u64 > limit {
            let error = Error::memory(format!(
                "device \"gpu\": {} binds at most {limit} bytes of one tensor, and one of {} is computed with; smaller \
                 batches need less",
                device.facts.name, place.bytes
            ));
            return Err(match &step.origin {
                Some(origin) => error.at(origin),
                None => error,
            });
        }
    }
    let mut dispatches = Vec::with_capacity(kernels.dispatches.len());
    for dispatch in &kernels.dispatches {
        let place = |operand: &Operand| match *operand {
            Operand::Input(k) => inputs[k],
            Operand::Output(k) => outputs[k],
            Operand::Status => status,
            Operand::Workspace => workspace,
        };
        let bindings: Vec<Place> = dispatch.operands.iter().map(place).collect();
        let pipeline = device.pipeline(kernels.name, &dispatch.text, bindings.len())?;
        dispatches.push(Placed { pipeline, bindings, groups: dispatch.groups });
    }
    let memory = |place: &Place| match place.home {
        Home::Outputs => Memory::Output,
        Home::Prepared => Memory::Once,
        _ => Memory::Arena,
    };
    let bytes = inputs.iter().chain(&outputs).map(|place| place.bytes as u64).sum();
    let facts = StepFacts {
        kernel: kernels.name,
        memory: outputs.iter().map(memory).collect(),
        reads: step.inputs,
        makes: step.outputs,
        text: step.text,
        origin: step.origin,
        when,
        flops: step.flops,
        bytes,
        packed_bytes: 0,
    };
    Ok(GpuStep { dispatches, check: kernels.check, facts })
}

/// A version of an input: the buffer that stood there, if it is shared.
fn version(slot: &Slot) -> Weak<Buffer> {
    match slot {
        Slot::Shared(buffer) => Arc::downgrade(buffer),
        Slot::Donated(_) => Weak::new(),
    }
}

/// Whether both are one buffer that still lives.
fn same(a: &Weak<Buffer>, b: &Weak<Buffer>) -> bool {
    a.strong_count() > 0 && a.ptr_eq(b)
}

/// What one run at a time uses.
struct RunMemory {
    buffers: HashMap<Home, wgpu::Buffer>,
    staging: wgpu::Buffer,
    /// For each step of the prelude and then of the program, those of its dispatches.
    groups: Vec<Vec<wgpu::BindGroup>>,
    /// What the device has of each input.
    sent: Vec<Weak<Buffer>>,
    /// Of what the prelude's values were made.
    prepared: Option<Vec<Weak<Buffer>>>,
}

impl RunMemory {
    fn new(program: &GpuProgram) -> Result<Self> {
        use wgpu::BufferUsages as Usage;
        let device = &program.device;
        let usage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        let buffers: HashMap<Home, wgpu::Buffer> = HOMES
            .iter()
            .map(|home| Ok((*home, device.allocate(program.sizes[home], usage)?)))
            .collect::<Result<_>>()?;
        let back = program.sizes[&Home::Outputs] + program.sizes[&Home::Status];
        let staging = device.allocate(back, Usage::MAP_READ | Usage::COPY_DST)?;
        if !program.literals.is_empty() {
            device.queue.write_buffer(&buffers[&Home::Constants], 0, &program.literals);
        }
        let binding = |place: &Place| wgpu::BufferBinding {
            buffer: &buffers[&place.home],
            offset: place.offset as u64,
            size: std::num::NonZeroU64::new((place.bytes.max(4) as u64).next_multiple_of(4)),
        };
        let bind = |dispatch: &Placed| {
            let bindings: Vec<_> = dispatch.bindings.iter().map(binding).collect();
            device.bind(&bindings)
        };
        let groups = program
            .prelude
            .iter()
            .chain(&program.steps)
            .map(|step| step.dispatches.iter().map(bind).collect::<Result<_>>())
            .collect::<Result<_>>()?;
        let sent = program.inputs.iter().map(|_| Weak::new()).collect();
        Ok(RunMemory { buffers, staging, groups, sent, prepared: None })
    }

    /// Runs the program; says too whether the prelude ran. With `keep`, what the prelude made of versions that still
    /// stand is used again.
    fn run(&mut self, program: &GpuProgram, slots: &mut [Slot], control: &Control, keep: bool) -> Result<(Run, bool)> {
        let device = &program.device;
        device.check()?;
        let started = Instant::now();
        self.send(program, slots)?;
        let versions: Vec<Weak<Buffer>> = program.values.inputs.iter().map(|&i| version(&slots[i])).collect();
        let stands = self.prepared.as_ref().is_some_and(|made| made.iter().zip(&versions).all(|(a, b)| same(a, b)));
        let has_prepared = program.prelude.is_empty() || (keep && stands);
        let stop = || Err(Error::new(ErrorKind::Cancelled, "interrupted"));
        if (control.poll)() {
            return stop();
        }
        let mut encoder = device.device.create_command_encoder(&Default::default());
        encoder.clear_buffer(&self.buffers[&Home::Status], 0, None);
        let mut profile = control.profile.then(|| Profile { steps: Vec::new(), wall: Duration::ZERO, workers: 1 });
        let steps = program.prelude.iter().chain(&program.steps).zip(&self.groups).enumerate();
        let first = if has_prepared { program.prelude.len() } else { 0 };
        match &mut profile {
            None => {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for (_, (step, groups)) in steps.skip(first) {
                    encode(&mut pass, step, groups);
                }
            }
            // A submission for each step: its time is the device's and that of a submission.
            Some(profile) => {
                for (s, (step, groups)) in steps.skip(first) {
                    encode(&mut encoder.begin_compute_pass(&Default::default()), step, groups);
                    let commands =
                        std::mem::replace(&mut encoder, device.device.create_command_encoder(&Default::default()));
                    let begun = Instant::now();
                    let submission = device.queue.submit([commands.finish()]);
                    while !device.wait(&submission, PATIENCE)? {}
                    if s >= program.prelude.len() {
                        profile.steps.push(timed(step, begun.elapsed()));
                    }
                }
            }
        }
        let output_bytes = program.sizes[&Home::Outputs] as u64;
        let status_bytes = program.sizes[&Home::Status] as u64;
        if output_bytes > 0 {
            encoder.copy_buffer_to_buffer(&self.buffers[&Home::Outputs], 0, &self.staging, 0, output_bytes);
        }
        if status_bytes > 0 {
            encoder.copy_buffer_to_buffer(&self.buffers[&Home::Status], 0, &self.staging, output_bytes, status_bytes);
        }
        // What stops a run later stops the wait for it alone: it has nothing to undo.
        let commands = device.guarded("a run", || encoder.finish())?;
        let submission = device.guarded("a run", || device.queue.submit([commands]))?;
        let (say, hear) = mpsc::channel();
        self.staging.slice(..).map_async(wgpu::MapMode::Read, move |mapped| {
            // Nobody hears it where the run was stopped.
            let _ = say.send(mapped);
        });
        let mapped = loop {
            device.wait(&submission, PATIENCE)?;
            match hear.recv_timeout(GLANCE) {
                Ok(mapped) => break mapped,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(e) => return Err(Error::state(format!("device \"gpu\": results can't be read: {e}"))),
            }
            if (control.poll)() {
                return stop();
            }
        };
        mapped.map_err(|e| Error::state(format!("device \"gpu\": results can't be read: {e}")))?;
        if !has_prepared {
            self.prepared = Some(versions);
        }
        let taken = self.take(program, slots);
        self.staging.unmap();
        if let Some(profile) = &mut profile {
            profile.wall = started.elapsed();
        }
        Ok((Run { outputs: taken?, profile }, !has_prepared))
    }

    /// Sends inputs of which the device has another version.
    fn send(&mut self, program: &GpuProgram, slots: &[Slot]) -> Result<()> {
        let memory = &self.buffers[&Home::Inputs];
        for (i, (slot, (_, offset))) in slots.iter().zip(&program.inputs).enumerate() {
            let now = version(slot);
            if same(&self.sent[i], &now) {
                continue;
            }
            let bytes = slot.buffer()?.bytes();
            let (whole, rest) = bytes.split_at(bytes.len() / 4 * 4);
            let queue = &program.device.queue;
            if !whole.is_empty() {
                queue.write_buffer(memory, *offset as u64, whole);
            }
            if !rest.is_empty() {
                let mut word = [0; 4];
                word[..rest.len()].copy_from_slice(rest);
                queue.write_buffer(memory, (offset + whole.len()) as u64, &word);
            }
            self.sent[i] = now;
        }
        if program.checks {
            // What nobody has written is NaN.
            let arena = &self.buffers[&Home::Arena];
            program.device.queue.write_buffer(arena, 0, &vec![0xff; arena.size() as usize]);
        }
        Ok(())
    }

    /// Outputs from the memory that is mapped, if no step met bad data.
    fn take(&self, program: &GpuProgram, slots: &mut [Slot]) -> Result<Vec<Buffer>> {
        let view = self.staging.slice(..).get_mapped_range();
        let view = view.map_err(|e| Error::state(format!("device \"gpu\": results can't be read: {e}")))?;
        let bytes: &[u8] = &view;
        let status = &bytes[program.sizes[&Home::Outputs]..];
        let word = |at: usize| u32::from_ne_bytes([status[at], status[at + 1], status[at + 2], status[at + 3]]);
        for (s, step) in program.prelude.iter().chain(&program.steps).enumerate() {
            let (found, value) = (word(s * ALIGNMENT), word(s * ALIGNMENT + 4));
            if let Some(Check { what, extent, .. }) = step.check
                && found > 0
            {
                let bad = BadData { what, element: (u32::MAX - found) as usize, value: value as i32, extent };
                return Err(Error::from(bad).at(step.facts.origin.as_deref().unwrap_or(step.facts.kernel)));
            }
        }
        // What may fail comes before the first donated buffer is taken.
        let donors = program.in_place.iter().map(|donor| donor.filter(|&i| matches!(slots[i], Slot::Donated(Some(_)))));
        let donors: Vec<Option<usize>> = donors.collect();
        let fresh = program.outputs.iter().zip(&donors).map(|((fact, _), donor)| match donor {
            Some(_) => Ok(None),
            None => Buffer::uninit(fact.clone()).map(Some),
        });
        let fresh = fresh.collect::<Result<Vec<Option<Buffer>>>>()?;
        let mut outputs = Vec::with_capacity(fresh.len());
        for (((fact, offset), donor), fresh) in program.outputs.iter().zip(donors).zip(fresh) {
            let taken = donor.and_then(|i| match &mut slots[i] {
                Slot::Donated(own) => own.take(),
                Slot::Shared(_) => None,
            });
            let output = fresh.or(taken);
            let mut output = output.ok_or_else(|| Error::state("a donated buffer is taken twice"))?;
            let made = &bytes[*offset..offset + fact.bytes()];
            // SAFETY: the buffer has the output's fact, and nobody else has it.
            unsafe { output.as_mut_ptr().copy_from_nonoverlapping(made.as_ptr(), made.len()) };
            outputs.push(output);
        }
        Ok(outputs)
    }
}

fn encode(pass: &mut wgpu::ComputePass, step: &GpuStep, groups: &[wgpu::BindGroup]) {
    for (dispatch, group) in step.dispatches.iter().zip(groups) {
        pass.set_pipeline(&dispatch.pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(dispatch.groups[0], dispatch.groups[1], 1);
    }
}

fn timed(step: &GpuStep, time: Duration) -> StepProfile {
    let StepFacts { kernel, text, origin, flops, bytes, .. } = step.facts.clone();
    let chunks = step.dispatches.iter().map(|d| d.groups.iter().map(|&n| n as usize).product()).collect();
    StepProfile { kernel, text, origin, chunks, flops, bytes, busy: time, span: time }
}

impl Program for GpuProgram {
    fn facts(&self) -> ProgramFacts {
        self.facts
    }

    fn steps(&self) -> Vec<StepFacts> {
        self.prelude.iter().chain(&self.steps).map(|step| step.facts.clone()).collect()
    }

    fn describe(&self) -> String {
        let line = |step: &GpuStep| {
            let origin = step.facts.origin.as_deref().map(|o| format!("  # {o}")).unwrap_or_default();
            format!("{} ×{}  {}{origin}\n", step.facts.kernel, step.dispatches.len(), step.facts.text)
        };
        let mut s: String = self.prelude.iter().map(line).collect();
        if !self.prelude.is_empty() {
            let _ = writeln!(s, "-- above: once while constant inputs stay, {} bytes --", self.values.bytes());
        }
        for (k, step) in self.steps.iter().enumerate() {
            if k == self.commit_from {
                let _ = writeln!(s, "-- commit --");
            }
            s.push_str(&line(step));
        }
        s
    }

    fn run(&self, slots: &mut [Slot], control: &Control) -> Result<Run> {
        Ok(self.run_in(&self.idle, slots, control, false)?.0)
    }

    fn bind(self: Arc<Self>) -> Box<dyn Bound> {
        Box::new(GpuBound { program: self, idle: Mutex::default(), preparations: AtomicU64::new(0) })
    }
}

/// A program with the memory that one model or function has for it.
struct GpuBound {
    program: Arc<GpuProgram>,
    idle: Idle,
    preparations: AtomicU64,
}

impl Bound for GpuBound {
    fn run(&self, slots: &mut [Slot], control: &Control) -> Result<Run> {
        let (run, prepared) = self.program.run_in(&self.idle, slots, control, true)?;
        self.preparations.fetch_add(u64::from(prepared), Ordering::Relaxed);
        Ok(run)
    }

    fn preparations(&self) -> u64 {
        self.preparations.load(Ordering::Relaxed)
    }
}
