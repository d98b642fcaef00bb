//! One run: what is bound to what, the commands of all steps, and what becomes of donated memory.
//!
//! Everything that can fail on the host happens before anything is submitted.

use super::clock::Clock;
use super::host::HostWork;
use super::outcome::{Reading, RunOutcome};
use super::placement::{GpuStep, Home, Load, Place, Placed};
use super::program::GpuProgram;
use super::stream::{Stream, make_room, stopped, until};
use super::value::{DeviceValue, of};
use crate::backend::device::{Control, Outcome, Run, Slot, StepFacts};
use crate::backend::gpu::device::{ALIGNMENT, Device, locked};
use crate::backend::gpu::memory::{Memory, Piece, TENSOR};
use crate::backend::profile::{Profile, StepProfile};
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::shape::Fact;
use crate::value::{Resident, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// What the runs of a program keep between them. Taken behind the stream.
#[derive(Default)]
pub(super) struct Binding(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    prepared: Option<Memory>,
    /// Of which versions the prelude made it.
    from: Option<Vec<Weak<Value>>>,
    /// The workgroups of the dispatches that commit, where those may be left out.
    workgroups: Option<Piece>,
    /// Whether a run has met bad data: dispatches that commit are left out since.
    failed: Arc<AtomicBool>,
    /// Ends of runs for which nobody waited.
    unheard: Vec<Arc<RunOutcome>>,
}

/// A version of an input: the value that stood there, if it is shared.
fn version(slot: &Slot) -> Weak<Value> {
    match slot {
        Slot::Shared(value) => Arc::downgrade(value),
        Slot::Donated(_) => Weak::new(),
    }
}

/// Gives up the copy on the device of what stands in a slot.
fn forget_copy(slot: &Slot) {
    if let Slot::Shared(value) = slot {
        value.forget_copy();
    }
}

/// Whether both are one value that still lives.
fn same(a: &Weak<Value>, b: &Weak<Value>) -> bool {
    a.strong_count() > 0 && a.ptr_eq(b)
}

/// What keeps the memory of an input alive.
enum Held {
    /// Its value.
    Value,
    /// A copy of a value of the host.
    Copy { _copy: Arc<dyn Resident> },
    /// Memory that was made for this run.
    Fresh(Memory),
}

/// What a run works on.
struct Bases {
    inputs: Vec<(Piece, Held)>,
    /// For each output, memory of its own or the input whose memory it takes.
    outputs: Vec<std::result::Result<Memory, usize>>,
    arenas: Vec<Piece>,
    literals: Option<Piece>,
    prepared: Option<Piece>,
    status: Option<Memory>,
    workgroups: Option<Piece>,
}

impl Bases {
    fn piece(&self, home: Home) -> Result<&Piece> {
        let found = match home {
            Home::Input(i) => Some(&self.inputs[i].0),
            Home::Output(k) => Some(match &self.outputs[k] {
                Ok(memory) => memory.piece(),
                Err(i) => &self.inputs[*i].0,
            }),
            Home::Arena(k) => self.arenas.get(k),
            Home::Constants => self.literals.as_ref(),
            Home::Prepared => self.prepared.as_ref(),
            Home::Status => self.status.as_ref().map(Memory::piece),
        };
        found.ok_or_else(|| Error::state(format!("a run has no memory for {home:?}")))
    }
}

/// A run that was submitted.
struct Underway {
    bases: Bases,
    /// How it ends, if it may fail.
    outcome: Option<Arc<RunOutcome>>,
    profile: Option<Profile>,
    clock: Option<Clock>,
    /// Whether the prelude is part of it.
    prepares: bool,
}

/// How the time of steps is taken.
#[derive(Clone, Copy)]
enum Timing<'a> {
    /// Not at all.
    None,
    /// By the device.
    Clock(&'a Clock),
    /// Each step is submitted and waited for: its time is the device's and that of a submission.
    Apart,
}

/// Commands that are submitted together, and the step that they are if they are one.
struct Part<'a> {
    commands: wgpu::CommandBuffer,
    step: Option<usize>,
    /// What the host does behind them.
    host: Option<HostWork<'a>>,
    /// Whether steps of the commit are among them.
    commits: bool,
}

impl GpuProgram {
    /// Runs the program; says too whether the prelude ran. With `keep`, what the prelude made of versions that still
    /// stand is used again.
    pub(super) fn run_in(
        &self,
        binding: &Binding,
        slots: &mut [Slot],
        control: &Control,
        keep: bool,
    ) -> Result<(Run, bool)> {
        self.device.check()?;
        let started = Instant::now();
        if (control.poll)() {
            return Err(stopped());
        }
        make_room(&self.device, control.poll)?;
        let Underway { bases, outcome, mut profile, clock, prepares } = self.begin(binding, slots, control, keep)?;
        let pending = match outcome {
            Some(outcome) if self.may_defer(&bases, control) => Some(outcome),
            Some(outcome) => {
                self.hear(binding, &bases, outcome, control)?;
                None
            }
            None => None,
        };
        match (&mut profile, &clock) {
            (Some(profile), Some(clock)) => self.read_clock(clock, profile)?,
            (Some(profile), None) => profile.wall = started.elapsed(),
            _ => {}
        }
        let outputs = self.outputs(bases, slots, pending.as_ref())?;
        let pending = pending.map(|outcome| outcome as Arc<dyn Outcome>);
        Ok((Run { outputs, profile, pending }, prepares))
    }

    /// Puts a whole run into the stream.
    fn begin(&self, binding: &Binding, slots: &[Slot], control: &Control, keep: bool) -> Result<Underway> {
        let device = &self.device;
        let mut stream = locked(&device.stream);
        let mut kept = locked(&binding.0);
        self.revive(&mut kept)?;
        let placement = &self.placement;
        let versions: Vec<Weak<Value>> = placement.values.inputs.iter().map(|&i| version(&slots[i])).collect();
        let stands = kept.from.as_ref().is_some_and(|made| made.iter().zip(&versions).all(|(a, b)| same(a, b)));
        let prepares = !(placement.prelude.is_empty() || keep && stands);
        let all = placement.prelude.len()..placement.prelude.len() + placement.steps.len();
        let clock = if control.profile { Clock::new(device, all)? } else { None };
        let mut uploads = device.device.create_command_encoder(&Default::default());
        let recorded = self.record(&mut stream, &mut kept, &mut uploads, slots, control, (prepares, clock.as_ref()));
        // Later runs read the copies of the host's values too, whatever becomes of this one.
        let sent = device.guarded("uploads", || device.queue.submit([uploads.finish()]));
        stream.staging.submitted();
        if sent.is_err() {
            slots.iter().for_each(forget_copy);
        }
        sent?;
        let (bases, reading, parts) = recorded?;
        if prepares {
            kept.from = None;
        }
        let mut profile = control.profile.then(|| Profile { steps: Vec::new(), wall: Duration::ZERO, workers: 1 });
        let submission = self.submit(parts, control, profile.as_mut().filter(|_| clock.is_none()))?;
        stream.submitted(submission.clone());
        if prepares {
            kept.from = Some(versions);
        }
        let outcome = reading.map(|memory| {
            let words = Reading::begin(memory, self.checked.len() * ALIGNMENT, submission);
            RunOutcome::new(self.checked.clone(), kept.failed.clone(), words)
        });
        Ok(Underway { bases, outcome, profile, clock, prepares })
    }

    /// Whether a run may return before it is known that it met no bad data: then all that may be donated is rewritten in
    /// its own memory, which a run that fails leaves alone.
    fn may_defer(&self, bases: &Bases, control: &Control) -> bool {
        let in_place = |&(_, output): &(usize, usize)| bases.outputs.get(output).is_some_and(|memory| memory.is_err());
        control.defer && !control.profile && self.donations.iter().all(in_place)
    }

    /// Waits until it is known how a run ended.
    fn hear(&self, binding: &Binding, bases: &Bases, outcome: Arc<RunOutcome>, control: &Control) -> Result<()> {
        // What overwrites donated memory can't be stopped any more.
        let taken = bases.outputs.iter().any(|output| output.is_err());
        let heard = outcome.wait(&|| !taken && (control.poll)());
        if heard.as_ref().is_err_and(|e| e.kind == ErrorKind::Cancelled) {
            locked(&binding.0).unheard.push(outcome);
        }
        heard
    }

    /// Has dispatches commit again, once it was heard why they did not.
    fn revive(&self, kept: &mut Kept) -> Result<()> {
        for outcome in kept.unheard.drain(..) {
            // Whoever began that run wanted to hear no more of it.
            let _ = outcome.wait(&|| false);
        }
        if kept.failed.swap(false, Ordering::AcqRel) {
            kept.from = None;
            if let Some(workgroups) = &kept.workgroups {
                self.device.write(&workgroups.buffer, &self.workgroups)?;
            }
        }
        Ok(())
    }

    /// Finds memory for a run and records its commands. Returns what it works on, the memory through which the words of
    /// steps that check integers are read, and the commands.
    fn record(
        &self,
        stream: &mut Stream,
        kept: &mut Kept,
        uploads: &mut wgpu::CommandEncoder,
        slots: &[Slot],
        control: &Control,
        (prepares, clock): (bool, Option<&Clock>),
    ) -> Result<(Bases, Option<Memory>, Vec<Part<'_>>)> {
        let (device, placement) = (&self.device, &self.placement);
        let outputs = self.outputs_of(slots)?;
        let arenas = stream.arenas(device, &placement.arenas)?;
        if kept.prepared.is_none() && placement.prepared_bytes > 0 {
            kept.prepared = Some(Memory::new(device, placement.prepared_bytes)?);
        }
        let has_checks = !self.checked.is_empty();
        let status_bytes = self.checked.len() * ALIGNMENT;
        let status = has_checks.then(|| Memory::new(device, status_bytes)).transpose()?;
        let reading = has_checks.then(|| Memory::for_reading(device, status_bytes)).transpose()?;
        if has_checks && !self.workgroups.is_empty() {
            self.arm(kept, control.defer)?;
        }
        let inputs = slots.iter().map(|slot| self.input(slot, stream, uploads, control)).collect::<Result<_>>()?;
        if self.checks {
            // What nobody has written is NaN.
            let mut filled = arenas.iter().zip(&placement.arenas);
            filled.try_for_each(|(arena, &bytes)| device.write(&arena.buffer, &vec![0xff; bytes]))?;
        }
        let bases = Bases {
            inputs,
            outputs,
            arenas,
            literals: self.literals.as_ref().map(|memory| memory.piece().clone()),
            prepared: kept.prepared.as_ref().map(|memory| memory.piece().clone()),
            status,
            workgroups: kept.workgroups.clone(),
        };
        let timing = match clock {
            Some(clock) => Timing::Clock(clock),
            None if control.profile => Timing::Apart,
            None => Timing::None,
        };
        let parts = self.commands(stream, &bases, reading.as_ref(), prepares, timing)?;
        Ok((bases, reading, parts))
    }

    /// Memory for each output, or the donated input whose memory it takes.
    fn outputs_of(&self, slots: &[Slot]) -> Result<Vec<std::result::Result<Memory, usize>>> {
        let memory = |(fact, donor): (&Fact, &Option<usize>)| match donor {
            Some(i) if matches!(slots[*i], Slot::Donated(Some(_))) => Ok(Err(*i)),
            _ => Ok(Ok(Memory::new(&self.device, fact.bytes())?)),
        };
        self.outputs.iter().zip(&self.in_place).map(memory).collect()
    }

    /// The memory of an input. A value of the host goes up, once if it is shared.
    fn input(
        &self,
        slot: &Slot,
        stream: &mut Stream,
        uploads: &mut wgpu::CommandEncoder,
        control: &Control,
    ) -> Result<(Piece, Held)> {
        let (device, value) = (&self.device, slot.value()?);
        if let Some(own) = value.resident().and_then(|resident| of(resident, device)) {
            return Ok((own.memory.piece().clone(), Held::Value));
        }
        let mut upload = |host: &Buffer| -> Result<Memory> {
            let memory = Memory::new(device, host.fact().bytes())?;
            stream.staging.write(device, uploads, memory.buffer(), host.bytes())?;
            Ok(memory)
        };
        if let Slot::Shared(shared) = slot {
            let fits = |copy: &dyn Resident| of(copy, device).is_some();
            let copy = shared.copy_on_device(fits, |host| {
                let memory = upload(host)?;
                Ok(Arc::new(DeviceValue { fact: host.fact().clone(), memory, outcome: None }))
            })?;
            if let Some(copy) = copy
                && let Some(made) = of(&*copy, device)
            {
                return Ok((made.memory.piece().clone(), Held::Copy { _copy: copy.clone() }));
            }
        }
        let memory = upload(value.host_unless(control.poll)?)?;
        Ok((memory.piece().clone(), Held::Fresh(memory)))
    }

    /// Writes the workgroups of all dispatches that commit, which the device reads. In runs that are not waited for they
    /// stay as the run before has left them: what one has halted stays so for those behind it.
    fn arm(&self, kept: &mut Kept, defer: bool) -> Result<()> {
        let is_new = kept.workgroups.is_none();
        let piece = match kept.workgroups.take() {
            Some(piece) => piece,
            None => Piece::new(&self.device, self.workgroups.len() as u64, TENSOR | wgpu::BufferUsages::INDIRECT)?,
        };
        if is_new || !defer {
            self.device.write(&piece.buffer, &self.workgroups)?;
        }
        kept.workgroups = Some(piece);
        Ok(())
    }

    /// The commands of a run, cut where the device would be at work on them for too long.
    fn commands(
        &self,
        stream: &mut Stream,
        bases: &Bases,
        reading: Option<&Memory>,
        prepares: bool,
        timing: Timing,
    ) -> Result<Vec<Part<'_>>> {
        let device = &self.device;
        let before = self.placement.prelude.len();
        let commits_from = before + self.commit_from;
        let mut parts = Vec::new();
        let (mut recorder, mut load) = (Recorder::new(device), Load::default());
        if let Some(status) = &bases.status {
            recorder.encoder.clear_buffer(status.buffer(), 0, None);
        }
        for &(i, k) in &self.placement.rewritten {
            if let Ok(memory) = &bases.outputs[k] {
                let bytes = (self.outputs[k].bytes() as u64).next_multiple_of(4);
                recorder.encoder.copy_buffer_to_buffer(&bases.inputs[i].0.buffer, 0, memory.buffer(), 0, bytes);
            }
        }
        let mut committed = 0;
        for (s, step) in self.all_steps().enumerate().skip(if prepares { 0 } else { before }) {
            if load.begins(device, step) || (matches!(timing, Timing::Apart) && recorder.step.is_some()) {
                parts.push(std::mem::replace(&mut recorder, Recorder::new(device)).finish()?);
            }
            let commits = s >= commits_from && bases.workgroups.is_some();
            if commits && committed == 0 {
                self.halt(&mut recorder, bases)?;
            }
            if let Timing::Clock(clock) = timing {
                recorder.begin_pass(clock.of(s));
            }
            for dispatch in &step.dispatches {
                let group = self.group(stream, dispatch, bases)?;
                let pass = recorder.pass();
                pass.set_pipeline(&dispatch.pipeline);
                pass.set_bind_group(0, &group, &[]);
                match &bases.workgroups {
                    Some(workgroups) if commits => {
                        pass.dispatch_workgroups_indirect(&workgroups.buffer, committed * 12);
                        committed += 1;
                    }
                    _ => pass.dispatch_workgroups(dispatch.groups[0], dispatch.groups[1], 1),
                }
            }
            recorder.step = Some(s);
            recorder.commits |= s >= commits_from;
            if let Some(host) = &step.host {
                let pieces = host.inputs.iter().map(|place| bases.piece(place.home)).collect::<Result<Vec<_>>>()?;
                let status = bases.status.as_ref().filter(|_| s >= commits_from);
                let status = status.map(|status| (status, self.checked.len() * ALIGNMENT));
                recorder.end_pass();
                let encoder = &mut recorder.encoder;
                let target = bases.piece(host.output.home)?;
                let named = (host, &step.facts.origin);
                let work = HostWork::record(device, encoder, named, &pieces, target, status)?;
                let done = std::mem::replace(&mut recorder, Recorder::new(device)).finish()?;
                load = Load::default();
                parts.push(Part { host: Some(work), ..done });
            }
        }
        if let Timing::Clock(clock) = timing {
            recorder.end_pass();
            clock.stop(&mut recorder.encoder);
        }
        if let (Some(status), Some(reading)) = (&bases.status, reading) {
            let bytes = (self.checked.len() * ALIGNMENT) as u64;
            recorder.end_pass();
            recorder.encoder.copy_buffer_to_buffer(status.buffer(), 0, reading.buffer(), 0, bytes);
        }
        parts.push(recorder.finish()?);
        Ok(parts)
    }

    /// Leaves out what commits where a step before has met bad data.
    fn halt(&self, recorder: &mut Recorder, bases: &Bases) -> Result<()> {
        let (Some(status), Some(workgroups)) = (&bases.status, &bases.workgroups) else { return Ok(()) };
        let device = &self.device;
        let pipeline = device.pipeline("halt", include_str!("halt.wgsl"), 2)?;
        let whole =
            |buffer, bytes: u64| wgpu::BufferBinding { buffer, offset: 0, size: std::num::NonZeroU64::new(bytes) };
        let words = (self.checked.len() * ALIGNMENT) as u64;
        let group = device.bind(&[whole(status.buffer(), words), whole(&workgroups.buffer, workgroups.bytes)])?;
        let pass = recorder.pass();
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
        Ok(())
    }

    fn group(&self, stream: &mut Stream, dispatch: &Placed, bases: &Bases) -> Result<wgpu::BindGroup> {
        let pieces = dispatch.bindings.iter().map(|place| bases.piece(place.home)).collect::<Result<Vec<&Piece>>>()?;
        let ids = pieces.iter().map(|piece| piece.id).collect();
        stream.group((self.number, dispatch.number), ids, || {
            let binding = |(place, piece)| bound(place, piece);
            let bindings: Vec<_> = dispatch.bindings.iter().zip(pieces).map(binding).collect();
            self.device.bind(&bindings)
        })
    }

    /// Submits all parts; with a profile, waits for each, which is a step.
    fn submit(
        &self,
        parts: Vec<Part<'_>>,
        control: &Control,
        mut profile: Option<&mut Profile>,
    ) -> Result<wgpu::SubmissionIndex> {
        let (device, before) = (&self.device, self.placement.prelude.len());
        let mut last = None;
        let (mut begun_some, mut commits_some) = (false, false);
        for Part { commands, step, host, commits } in parts {
            // Until the commit begins, what was submitted has changed nothing that is not the run's own.
            if begun_some && !commits_some && (control.poll)() {
                return Err(stopped());
            }
            (begun_some, commits_some) = (true, commits_some || commits);
            let begun = Instant::now();
            let submission = device.guarded("a run", || device.queue.submit([commands]))?;
            if let Some(work) = host {
                work.run(device, &submission)?;
            }
            if let (Some(profile), Some(step)) = (&mut profile, step) {
                while !until(device, &submission, &|| false)? {}
                if step >= before {
                    profile.steps.push(timed(&self.placement.steps[step - before], begun.elapsed()));
                }
            }
            last = Some(submission);
        }
        last.ok_or_else(|| Error::state("a run has no commands"))
    }

    /// The device's own times of all steps and of the run.
    fn read_clock(&self, clock: &Clock, profile: &mut Profile) -> Result<()> {
        let times = clock.read(&self.device)?;
        profile.wall = times.iter().map(|time| time.end).max().unwrap_or_default();
        let steps = self.placement.steps.iter().zip(times);
        profile.steps = steps.map(|(step, time)| timed(step, time.end.saturating_sub(time.start))).collect();
        Ok(())
    }

    /// Values of what was made; donated ones leave their slots.
    fn outputs(&self, bases: Bases, slots: &mut [Slot], outcome: Option<&Arc<RunOutcome>>) -> Result<Vec<Value>> {
        let mut held: Vec<Option<Held>> = bases.inputs.into_iter().map(|(_, held)| Some(held)).collect();
        let mut outputs = Vec::with_capacity(bases.outputs.len());
        for (output, fact) in bases.outputs.into_iter().zip(&self.outputs) {
            let (memory, outcome) = match output {
                Ok(memory) => (memory, outcome.cloned()),
                // A run that fails leaves there what was there before.
                Err(i) => {
                    let own = match &mut slots[i] {
                        Slot::Donated(own) => own.take(),
                        Slot::Shared(_) => None,
                    };
                    let memory = taken(own, held[i].take());
                    (memory.ok_or_else(|| Error::state("a donated buffer is taken twice"))?, None)
                }
            };
            let value = DeviceValue { fact: fact.clone(), memory, outcome };
            outputs.push(Value::on_device(Box::new(value)));
        }
        Ok(outputs)
    }
}

fn bound<'a>(place: &Place, piece: &'a Piece) -> wgpu::BufferBinding<'a> {
    let size = std::num::NonZeroU64::new((place.bytes.max(4) as u64).next_multiple_of(4));
    wgpu::BufferBinding { buffer: &piece.buffer, offset: place.offset as u64, size }
}

/// The memory of a donated value, or that to which it went up.
fn taken(own: Option<Value>, held: Option<Held>) -> Option<Memory> {
    if let Some(Held::Fresh(memory)) = held {
        return Some(memory);
    }
    let resident = own?.into_resident().ok()?;
    resident.into_any().downcast::<DeviceValue>().ok().map(|value| value.memory)
}

fn timed(step: &GpuStep, time: Duration) -> StepProfile {
    let StepFacts { kernel, text, origin, flops, bytes, chunks, .. } = step.facts.clone();
    StepProfile { kernel, text, origin, chunks, flops, bytes, busy: time, span: time }
}

/// Commands under way to be submitted together.
struct Recorder<'a> {
    device: &'a Device,
    encoder: wgpu::CommandEncoder,
    pass: Option<wgpu::ComputePass<'static>>,
    /// The last step.
    step: Option<usize>,
    /// Whether one of them belongs to the commit.
    commits: bool,
}

impl<'a> Recorder<'a> {
    fn new(device: &'a Device) -> Self {
        let encoder = device.device.create_command_encoder(&Default::default());
        Recorder { device, encoder, pass: None, step: None, commits: false }
    }

    fn pass(&mut self) -> &mut wgpu::ComputePass<'static> {
        let encoder = &mut self.encoder;
        self.pass.get_or_insert_with(|| encoder.begin_compute_pass(&Default::default()).forget_lifetime())
    }

    /// Begins a pass whose time is told.
    fn begin_pass(&mut self, timestamp_writes: Option<wgpu::ComputePassTimestampWrites>) {
        self.end_pass();
        let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
        self.pass = Some(self.encoder.begin_compute_pass(&descriptor).forget_lifetime());
    }

    fn end_pass(&mut self) {
        self.pass = None;
    }

    fn finish(mut self) -> Result<Part<'static>> {
        self.end_pass();
        let encoder = self.encoder;
        let commands = self.device.guarded("a run", || encoder.finish())?;
        Ok(Part { commands, step: self.step, host: None, commits: self.commits })
    }
}
