//! Where the values of a program lie, and the dispatches that work on them.

use super::host::HostStep;
use super::joint::{self, Limits, Member};
use super::outcome::STATUS_BYTES;
use crate::backend::device::{Memory, ProgramFacts, StepFacts, When};
use crate::backend::gpu::device::{ALIGNMENT, Device};
use crate::backend::gpu::lower::candidates::Check;
use crate::backend::gpu::lower::shader::{Dispatch, Operand};
use crate::backend::gpu::lower::{StepKernels, joints};
use crate::buffer;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::schedule::memory::{self, Arenas, Lifetime};
use crate::schedule::prelude::Values;
use crate::schedule::{Constants, Liveness, Prelude, Schedule, Step, liveness};
use std::collections::HashMap;
use std::time::Duration;

/// The memory that a place is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Home {
    /// That of an input's value.
    Input(usize),
    /// That of an output's value.
    Output(usize),
    /// Intermediates of the run, in one of several arenas.
    Arena(usize),
    /// Literals of the program.
    Constants,
    /// What the prelude makes.
    Prepared,
    /// What steps say of bad data.
    Status,
}

impl Home {
    /// Whether several tensors lie in it, each at a multiple of [`ALIGNMENT`].
    pub fn is_shared(self) -> bool {
        !matches!(self, Home::Input(_) | Home::Output(_))
    }
}

/// A range of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub home: Home,
    pub offset: usize,
    pub bytes: usize,
}

/// A dispatch with its pipeline and places.
pub(super) struct Placed {
    pub pipeline: wgpu::ComputePipeline,
    pub bindings: Vec<Place>,
    pub groups: [u32; 2],
    /// Its number in the program.
    pub number: usize,
}

impl Placed {
    /// Its workgroups.
    pub fn workgroups(&self) -> usize {
        self.groups.iter().map(|&n| n as usize).product()
    }
}

/// A step with its places.
pub(super) struct GpuStep {
    pub dispatches: Vec<Placed>,
    pub check: Option<Check>,
    /// What the host computes, instead of dispatches.
    pub host: Option<HostStep>,
    pub facts: StepFacts,
}

/// All steps of a program with their places.
pub(super) struct Placement {
    pub prelude: Vec<GpuStep>,
    pub steps: Vec<GpuStep>,
    pub values: Values,
    pub prepared_bytes: usize,
    /// Bytes of each arena.
    pub arenas: Vec<usize>,
    /// Pairs (input, output) of variables that are read where they are written: there lies what the input is, if the output
    /// does not take its memory.
    pub rewritten: Vec<(usize, usize)>,
    /// What lies in the memory of literals.
    pub literals: Vec<u8>,
    pub facts: ProgramFacts,
}

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

/// Gives numbers to the steps that check integers and to the dispatches of a program.
#[derive(Default)]
struct Numbers {
    checks: usize,
    dispatches: usize,
    /// Bytes of their texts.
    text_bytes: usize,
}

/// Where the values of some steps lie.
struct Places<'a> {
    g: &'a Graph,
    prepared: &'a [usize],
    output_of: &'a HashMap<NodeId, usize>,
    prepared_of: &'a HashMap<NodeId, usize>,
    slot_of: HashMap<NodeId, usize>,
    places: Vec<(usize, usize)>,
    in_place: &'a [Option<usize>],
    rewritten: &'a mut Vec<(usize, usize)>,
    constants: &'a mut Constants,
    numbers: &'a mut Numbers,
}

impl Places<'_> {
    /// Where a region that shares a dispatch reads and stores. What it rewrites is one tensor, so that it is bound once;
    /// words of 8 and 16 bits are written in another form than that in which they are read.
    fn of_member<'m>(&mut self, member: &'m joints::Member) -> Result<Member<'m>> {
        let mut places = |ids: &[NodeId]| ids.iter().map(|&id| self.of(id)).collect::<Result<Vec<_>>>();
        let (mut inputs, outputs) = (places(&member.inputs)?, places(&member.outputs)?);
        for output in &outputs {
            let Home::Output(k) = output.home else { continue };
            let Some(i) = self.in_place[k].filter(|_| self.g.fact(self.g.outputs()[k]).dtype.size() == 4) else {
                continue;
            };
            for input in inputs.iter_mut().filter(|input| input.home == Home::Input(i)) {
                input.home = output.home;
                self.rewritten.push((i, k));
            }
        }
        Ok(Member { region: &member.region, inputs, outputs })
    }

    fn of(&mut self, id: NodeId) -> Result<Place> {
        let node = self.g.node(id);
        let (home, offset) = match &node.op {
            _ if self.output_of.contains_key(&id) => (Home::Output(self.output_of[&id]), 0),
            _ if self.prepared_of.contains_key(&id) => (Home::Prepared, self.prepared[self.prepared_of[&id]]),
            Op::Input(input) => (Home::Input(input.index), 0),
            Op::Constant(c) => {
                let offset = self.constants.offset(id, c.value(), node.fact.dtype);
                (Home::Constants, offset / buffer::ALIGNMENT * ALIGNMENT)
            }
            op => match self.slot_of.get(&id) {
                Some(&slot) => {
                    let (arena, offset) = self.places[slot];
                    (Home::Arena(arena), offset)
                }
                None => return Err(Error::state(format!("%{} ({}) has no place", id.0, op.def().name()))),
            },
        };
        Ok(Place { home, offset, bytes: node.fact.bytes() })
    }
}

/// When each step runs: those that share a dispatch do so at the same time.
fn times(steps: &[Step<StepKernels>]) -> Vec<usize> {
    let mut times = Vec::with_capacity(steps.len());
    while times.len() < steps.len() {
        let now = times.last().map_or(0, |last| last + 1);
        let together = steps[times.len()].code.joint.as_ref().map_or(1, |joint| joint.members.len());
        times.extend(std::iter::repeat_n(now, together));
    }
    times
}

/// Steps with their places, bytes of each arena of their intermediates, and the least that all could be.
type PlacedSteps = (Vec<GpuStep>, Vec<usize>, usize);

/// Gives places to the steps of a program.
struct Placer<'a> {
    g: &'a Graph,
    device: &'a Device,
    prepared: Vec<usize>,
    prepared_of: &'a HashMap<NodeId, usize>,
    in_place: Vec<Option<usize>>,
    rewritten: Vec<(usize, usize)>,
    constants: Constants,
    numbers: Numbers,
}

impl Placer<'_> {
    fn place(
        &mut self,
        steps: Vec<Step<StepKernels>>,
        output_of: &HashMap<NodeId, usize>,
        when: impl Fn(usize) -> When,
    ) -> Result<PlacedSteps> {
        let elsewhere = |id| output_of.contains_key(&id) || self.prepared_of.contains_key(&id);
        let times = times(&steps);
        let Liveness { lifetimes, slot_of, workspaces } = liveness(self.g, &steps, &times, elsewhere);
        // The planner aligns to the host's cache lines: it is asked in lines that are as long as the device's.
        let scaled = |v: &Lifetime| Lifetime { bytes: v.bytes.div_ceil(ALIGNMENT) * buffer::ALIGNMENT, ..*v };
        let scaled: Vec<Lifetime> = lifetimes.iter().map(scaled).collect();
        let scale = |bytes: usize| bytes / buffer::ALIGNMENT * ALIGNMENT;
        let limit = usize::try_from(self.device.arena_limit).unwrap_or(usize::MAX) / ALIGNMENT * buffer::ALIGNMENT;
        let Arenas { places, sizes } = memory::plan_within(&scaled, limit);
        let mut places = Places {
            g: self.g,
            prepared: &self.prepared,
            output_of,
            prepared_of: self.prepared_of,
            slot_of,
            places: places.into_iter().map(|(arena, offset)| (arena, scale(offset))).collect(),
            in_place: &self.in_place,
            rewritten: &mut self.rewritten,
            constants: &mut self.constants,
            numbers: &mut self.numbers,
        };
        let placed = steps.into_iter().zip(workspaces).enumerate();
        let placed = placed.map(|(s, (step, workspace))| {
            let in_arena = |places: &Places, slot: usize, bytes: usize| {
                let (arena, offset) = places.places[slot];
                Place { home: Home::Arena(arena), offset, bytes }
            };
            let bytes = step.code.packed.as_ref().map_or(0, |packed| packed.bytes);
            let own = Own {
                workspace: in_arena(&places, workspace, step.code.workspace),
                packed: match step.packed_at.as_deref() {
                    Some(&[value]) => Place { home: Home::Prepared, offset: self.prepared[value], bytes },
                    // What the run packs follows the workspace.
                    _ => in_arena(&places, workspace + usize::from(bytes > 0), bytes),
                },
            };
            step_of(self.device, &mut places, step, own, when(s))
        });
        Ok((placed.collect::<Result<_>>()?, sizes.into_iter().map(scale).collect(), scale(memory::live_bound(&scaled))))
    }
}

impl Placement {
    /// The places of a schedule's steps.
    ///
    /// # Errors
    /// When a kernel does not compile, or a tensor exceeds what the device binds.
    pub fn new(g: &Graph, device: &Device, schedule: Schedule<StepKernels>) -> Result<Self> {
        let Schedule { prelude, steps, commit_from, in_place, output_of, flops } = schedule;
        let values = prelude.values(g);
        let Prelude { steps: before, places: prepared_of, .. } = prelude;
        let (prepared, prepared_bytes) = in_a_row(values.values.iter().map(|value| value.bytes));
        let (constants, numbers) = (Constants::default(), Numbers::default());
        let (prepared_of, rewritten) = (&prepared_of, Vec::new());
        let mut placer = Placer { g, device, prepared, prepared_of, in_place, rewritten, constants, numbers };
        let (mut before, before_arenas, _) = placer.place(before, &HashMap::new(), |_| When::Once)?;
        for value in values.values.iter().filter(|value| value.recipe.layout.is_some()) {
            before[value.step].facts.packed_bytes += value.bytes;
        }
        let when = |s| if s < commit_from { When::Run } else { When::Commit };
        let (steps, mut arenas, live_bound) = placer.place(steps, &output_of, when)?;
        arenas.resize(arenas.len().max(before_arenas.len()), 0);
        arenas.iter_mut().zip(before_arenas).for_each(|(bytes, before)| *bytes = before.max(*bytes));
        let literals = match placer.constants.buffer()? {
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
        let facts = ProgramFacts {
            code_bytes: placer.numbers.text_bytes,
            submissions: submissions(device, &steps),
            arena_bytes: arenas.iter().sum(),
            live_bound,
            prepared_bytes: values.bytes(),
            constant_bytes: literals.len(),
            flops,
        };
        let rewritten = placer.rewritten;
        Ok(Placement { prelude: before, steps, values, prepared_bytes, arenas, rewritten, literals, facts })
    }
}

/// How many submissions a run of `steps` is cut into.
fn submissions(device: &Device, steps: &[GpuStep]) -> usize {
    let mut load = Load::default();
    let mut count = 1;
    for step in steps {
        count += usize::from(load.begins(device, step));
        if step.host.is_some() {
            count += 1;
            load = Load::default();
        }
    }
    count
}

/// How long the device will be at work on some steps, roughly.
#[derive(Clone, Copy, Default)]
pub(super) struct Load(Option<Duration>);

impl Load {
    /// Adds a step: behind the others, or where that would be too long in a submission of its own, which is then said.
    pub fn begins(&mut self, device: &Device, step: &GpuStep) -> bool {
        let own = device.estimate(step.facts.flops, step.facts.bytes);
        let is_full = self.0.is_some_and(|time| time + own > device.budget);
        self.0 = Some(if is_full { own } else { self.0.unwrap_or_default() + own });
        is_full
    }
}

/// Places that a step has for itself.
struct Own {
    workspace: Place,
    /// Of the input that it reads in a form of its own, if there is one.
    packed: Place,
}

fn step_of(device: &Device, places: &mut Places, step: Step<StepKernels>, own: Own, when: When) -> Result<GpuStep> {
    let (g, kernels) = (places.g, step.code);
    let inputs = step.inputs.iter().map(|&i| places.of(i)).collect::<Result<Vec<_>>>()?;
    let outputs = match step.copies_output {
        Some(k) => vec![Place { home: Home::Output(k), offset: 0, bytes: g.fact(g.outputs()[k]).bytes() }],
        None => step.outputs.iter().map(|&o| places.of(o)).collect::<Result<Vec<_>>>()?,
    };
    let status = Place { home: Home::Status, offset: places.numbers.checks * ALIGNMENT, bytes: STATUS_BYTES };
    places.numbers.checks += usize::from(kernels.check.is_some());
    let mut bound: Vec<(Dispatch, Vec<Place>)> = Vec::with_capacity(kernels.packing.len() + kernels.dispatches.len());
    for dispatch in kernels.packing.into_iter().chain(kernels.dispatches) {
        let place = |operand: &Operand| match *operand {
            Operand::Input(k) => inputs.get(k),
            Operand::Output(k) => outputs.get(k),
            Operand::Status => Some(&status),
            Operand::Workspace | Operand::Sum | Operand::Part => Some(&own.workspace),
            Operand::Packed => Some(&own.packed),
            Operand::Shared(_) => None,
        };
        let bind = |operand: &Operand| {
            let none = || Error::state(format!("{} has no place for {operand:?}", kernels.name));
            let whole = *place(operand).ok_or_else(none)?;
            let window = dispatch.windows.iter().find(|window| window.0 == *operand);
            Ok(window.map_or(whole, |(_, window)| Place {
                offset: whole.offset + window.start,
                bytes: window.len(),
                ..whole
            }))
        };
        let places = dispatch.operands.iter().map(bind).collect::<Result<_>>()?;
        bound.push((dispatch, places));
    }
    if let Some(joint) = &kernels.joint {
        let members = joint.members.iter().map(|member| places.of_member(member)).collect::<Result<Vec<_>>>()?;
        let bytes = usize::try_from(device.facts.tensor_bytes).unwrap_or(usize::MAX);
        bound.extend(joint::dispatches(&members, Limits { bindings: device.shared_bindings, bytes }));
    }
    let mut dispatches = Vec::with_capacity(bound.len());
    for (dispatch, bindings) in bound {
        let limit = device.facts.tensor_bytes;
        if let Some(place) = bindings.iter().find(|place| place.bytes as u64 > limit) {
            let error = Error::memory(format!(
                "device \"{}\": {} binds at most {limit} bytes of one tensor, and {} needs {} at once; smaller batches \
                 need less, and the device \"cpu\" has no such limit",
                device.name, device.facts.name, kernels.name, place.bytes
            ));
            return Err(match &step.origin {
                Some(origin) => error.at(origin),
                None => error,
            });
        }
        let pipeline = device.pipeline(kernels.name, &dispatch.text, bindings.len())?;
        dispatches.push(Placed { pipeline, bindings, groups: dispatch.groups, number: places.numbers.dispatches });
        places.numbers.dispatches += 1;
        places.numbers.text_bytes += dispatch.text.len();
    }
    let memory = |place: &Place| match place.home {
        Home::Output(_) => Memory::Output,
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
        chunks: dispatches.iter().map(Placed::workgroups).collect(),
        packed_bytes: 0,
    };
    let host = kernels.host.map(|op| HostStep { op, inputs, output: outputs[0] });
    Ok(GpuStep { dispatches, check: kernels.check, host, facts })
}
