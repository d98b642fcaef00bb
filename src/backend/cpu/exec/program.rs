//! A compiled graph on the CPU, alone and bound to what is kept between its runs.

use super::clock::Clock;
use super::code::{Bases, Code, CodeStep, Location};
use super::{arena, pool};
use crate::backend::device::{Bound, Control, Memory, Program, ProgramFacts, Run, Slot, StepFacts, When};
use crate::backend::packed::{self, Holder, Item, Key, Prepared};
use crate::backend::profile::Profile;
use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::schedule::Place;
use crate::schedule::prelude::{PreparedValue, Values};
use crate::shape::Fact;
use crate::value::Value;
use smallvec::SmallVec;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Immutable code of a graph: steps over numbered places in one arena. A run is whole or absent: buffers given to it are
/// overwritten by *commit steps* only, which come last, after everything that can fail or be cancelled.
///
/// What depends on constant inputs alone (folded and packed filters) is no part of a run: the *prelude* makes it once.
pub struct CpuProgram {
    /// What every run does.
    pub code: Code,
    /// Makes what lies at `Place::Prepared`.
    pub prelude: Option<Code>,
    /// What the prelude makes.
    pub values: Values,
    /// The first step of the commit.
    pub commit_from: usize,
    /// Facts of the outputs.
    pub outputs: Vec<Fact>,
    /// For each output, the input whose buffer it may take.
    pub in_place: Vec<Option<usize>>,
    /// Literals.
    pub constants: Option<Buffer>,
    /// Floating-point operations of one run.
    pub flops: u64,
}

impl CpuProgram {
    fn constants(&self) -> *const u8 {
        self.constants.as_ref().map_or(std::ptr::null(), Buffer::as_ptr)
    }

    /// Writes what the prelude makes of these inputs to `prepared`, a place for each value; by the steps `needed` alone,
    /// if they are given.
    fn prepare(
        &self,
        inputs: &[Slot],
        prepared: &[*mut u8],
        needed: Option<&[bool]>,
        poll: &dyn Fn() -> bool,
    ) -> Result<()> {
        let Some(prelude) = &self.prelude else { return Ok(()) };
        let inputs = inputs.iter().map(|s| s.buffer_unless(poll).map(Buffer::as_ptr)).collect::<Result<_>>()?;
        let bases = Bases { inputs, outputs: Vec::new(), constants: self.constants(), prepared, needed };
        prelude.run(&bases, poll, None)
    }

    /// Runs the steps behind the prelude, which wrote `prepared`; they only read there.
    fn execute(&self, inputs: &mut [Slot], prepared: &[*mut u8], control: &Control) -> Result<Run> {
        let clock = control.profile.then(|| Clock::new(self.code.steps.len()));
        let outputs = self.compute(inputs, prepared, control.poll, clock.as_ref())?;
        let profile = |clock: Clock| -> Result<Profile> { Ok(clock.profile(&self.code, pool::workers()?)) };
        Ok(Run { outputs, profile: clock.map(profile).transpose()?, pending: None })
    }

    fn compute(
        &self,
        inputs: &mut [Slot],
        prepared: &[*mut u8],
        poll: &dyn Fn() -> bool,
        clock: Option<&Clock>,
    ) -> Result<Vec<Value>> {
        let mut taken: Vec<Option<usize>> = Vec::with_capacity(self.outputs.len());
        let mut fresh: Vec<Option<Buffer>> = Vec::with_capacity(self.outputs.len());
        for (k, fact) in self.outputs.iter().enumerate() {
            let donor = self.in_place[k].filter(|&i| matches!(&inputs[i], Slot::Donated(Some(own)) if own.is_host()));
            fresh.push(if donor.is_none() { Some(Buffer::uninit(fact.clone())?) } else { None });
            taken.push(donor);
        }
        let input_pointers = inputs.iter().map(|s| s.buffer_unless(poll).map(Buffer::as_ptr)).collect::<Result<_>>()?;
        let output_pointers: Vec<*mut u8> = fresh
            .iter_mut()
            .zip(&taken)
            .map(|(buffer, donor)| match (buffer, donor) {
                (Some(b), _) => Ok(b.as_mut_ptr()),
                (None, Some(i)) => match &mut inputs[*i] {
                    Slot::Donated(Some(own)) => match own.host_mut() {
                        Some(buffer) => Ok(buffer.as_mut_ptr()),
                        None => Err(Error::state("a donated buffer is another device's")),
                    },
                    _ => Err(Error::state("a donated buffer is missing")),
                },
                (None, None) => Err(Error::state("an output has no buffer")),
            })
            .collect::<Result<_>>()?;
        let constants = self.constants();
        let bases = Bases { inputs: input_pointers, outputs: output_pointers, constants, prepared, needed: None };
        self.code.run(&bases, poll, clock)?;
        fresh
            .into_iter()
            .zip(&taken)
            .map(|(buffer, donor)| match (buffer, donor) {
                (Some(buffer), _) => Ok(buffer.into()),
                (None, Some(i)) => match &mut inputs[*i] {
                    Slot::Donated(own) => own.take().ok_or_else(|| Error::state("a donated buffer is taken twice")),
                    Slot::Shared(_) => Err(Error::state("a shared buffer was donated")),
                },
                (None, None) => Err(Error::state("an output has no buffer")),
            })
            .collect()
    }
}

impl Program for CpuProgram {
    fn facts(&self) -> ProgramFacts {
        ProgramFacts {
            arena_bytes: self.code.arena_bytes,
            live_bound: self.code.live_bound,
            prepared_bytes: self.values.bytes(),
            constant_bytes: self.constants.as_ref().map_or(0, |b| b.fact().bytes()),
            code_bytes: 0,
            submissions: 0,
            flops: self.flops,
        }
    }

    fn steps(&self) -> Vec<StepFacts> {
        let mut steps: Vec<StepFacts> = Vec::new();
        if let Some(prelude) = &self.prelude {
            steps.extend(prelude.steps.iter().map(|step| facts(step, When::Once)));
        }
        for value in &self.values.values {
            if steps[value.step].makes.is_empty() {
                steps[value.step].packed_bytes += value.bytes;
            }
        }
        let when = |s| if s < self.commit_from { When::Run } else { When::Commit };
        steps.extend(self.code.steps.iter().enumerate().map(|(s, step)| facts(step, when(s))));
        steps
    }

    fn describe(&self) -> String {
        let mut s = String::new();
        if let Some(prelude) = &self.prelude {
            prelude.describe(None, &mut s);
            let bytes = self.values.bytes();
            let _ = writeln!(s, "-- above: once while constant inputs stay, {bytes} bytes --");
        }
        self.code.describe(Some(self.commit_from), &mut s);
        s
    }

    fn run(&self, slots: &mut [Slot], control: &Control) -> Result<Run> {
        if self.prelude.is_none() {
            return self.execute(slots, &[], control);
        }
        let memory = arena::lend(self.values.bytes())?;
        let places = self.values.values.iter().scan(0, |offset, value| {
            let place = memory.as_ptr().wrapping_add(*offset);
            *offset += value.bytes;
            Some(place)
        });
        let places: Vec<*mut u8> = places.collect();
        self.prepare(slots, &places, None, control.poll)?;
        self.execute(slots, &places, control)
    }

    fn bind(self: Arc<Self>) -> Box<dyn Bound> {
        Box::new(CpuBound { program: self, holder: Holder::new(), preparations: AtomicU64::new(0) })
    }
}

/// What is told of a step.
fn facts(step: &CodeStep, when: When) -> StepFacts {
    let memory = |location: &Location| match location {
        Location::Local(_) => Memory::Thread,
        Location::Shared(Place::Output(_)) => Memory::Output,
        Location::Shared(Place::Prepared(_)) => Memory::Once,
        Location::Shared(Place::Arena(_) | Place::Input(_) | Place::Constant(_)) => Memory::Arena,
    };
    StepFacts {
        kernel: step.kernel.name,
        reads: step.reads.clone(),
        makes: step.makes.clone(),
        memory: step.outputs.iter().map(memory).collect(),
        text: step.text.clone(),
        origin: step.origin.clone(),
        when,
        flops: step.flops,
        bytes: step.bytes,
        chunks: step.kernel.phases.iter().map(|phase| phase.chunks).collect(),
        packed_bytes: 0,
    }
}

/// A program with what one model or function has of its prelude. What another one has already made of the same versions
/// is shared.
struct CpuBound {
    program: Arc<CpuProgram>,
    holder: Holder,
    preparations: AtomicU64,
}

impl Bound for CpuBound {
    fn run(&self, slots: &mut [Slot], control: &Control) -> Result<Run> {
        let prepared = self.prepared(slots, control.poll)?;
        let run = self.program.execute(slots, &places(prepared.as_ref()), control);
        drop(prepared);
        packed::trim();
        run
    }

    fn preparations(&self) -> u64 {
        self.preparations.load(Ordering::Relaxed)
    }
}

impl CpuBound {
    /// What the prelude makes of these inputs: what is there already, or else made now.
    fn prepared(&self, inputs: &[Slot], poll: &dyn Fn() -> bool) -> Result<Option<Arc<Vec<Arc<Item>>>>> {
        let values = &self.program.values;
        if self.program.prelude.is_none() {
            return Ok(None);
        }
        let Some(from) = versions(inputs, &values.inputs) else {
            // A buffer that may be written to is no version of anything: what is made of it serves this run alone.
            return self.make(inputs, vec![None; values.len()], Vec::new(), poll).map(Some);
        };
        let stale = match self.holder.items(&from) {
            Ok(items) => return Ok(Some(items)),
            Err(stale) => stale,
        };
        let limit = packed::limit()?;
        let key = |value: &PreparedValue| Some(Key::new(&value.recipe, &versions(inputs, &value.inputs)?));
        let keys: Vec<Key> = values.values.iter().filter_map(key).collect();
        let spare = stale.map(Prepared::into_buffers).unwrap_or_default();
        let items = self.make(inputs, packed::find(&keys), spare, poll)?;
        let from = from.into_iter().map(Arc::downgrade).collect();
        self.holder.keep(Prepared { from, items: items.clone() }, keys, limit);
        Ok(Some(items))
    }

    /// Makes the values that were not `found`, in the memory of old ones where that is `spare`.
    fn make(
        &self,
        inputs: &[Slot],
        found: Vec<Option<Arc<Item>>>,
        mut spare: Vec<Option<Buffer>>,
        poll: &dyn Fn() -> bool,
    ) -> Result<Arc<Vec<Arc<Item>>>> {
        let values = &self.program.values;
        let mut wanted: Vec<bool> = found.iter().map(Option::is_none).collect();
        if wanted.contains(&true) {
            self.preparations.fetch_add(1, Ordering::Relaxed);
        }
        let needed = values.needed(&mut wanted);
        spare.resize_with(values.len(), || None);
        let mut buffers = Vec::with_capacity(values.len());
        for ((value, spare), &wanted) in values.values.iter().zip(spare).zip(&wanted) {
            buffers.push(match (wanted, spare) {
                (false, _) => None,
                (true, Some(buffer)) => Some(buffer),
                (true, None) => Some(Buffer::uninit(Fact::checked([value.bytes], DType::U8)?)?),
            });
        }
        let places = buffers.iter_mut().zip(&found).map(|(buffer, found)| match (buffer, found) {
            (Some(buffer), _) => buffer.as_mut_ptr(),
            (None, Some(item)) => item.as_ptr(),
            (None, None) => std::ptr::null_mut(),
        });
        let places: Vec<*mut u8> = places.collect();
        self.program.prepare(inputs, &places, Some(&needed), poll)?;
        let item = |((buffer, found), value): ((Option<Buffer>, Option<Arc<Item>>), &PreparedValue)| match buffer {
            Some(buffer) => Some(Arc::new(Item::new(buffer, &versions(inputs, &value.inputs).unwrap_or_default()))),
            None => found,
        };
        Ok(Arc::new(buffers.into_iter().zip(found).zip(&values.values).filter_map(item).collect()))
    }
}

/// The versions that stand at some inputs; `None` where one may be written to.
fn versions<'a>(inputs: &'a [Slot], which: &[usize]) -> Option<Vec<&'a Arc<Value>>> {
    let version = |&i: &usize| match inputs.get(i) {
        Some(Slot::Shared(value)) => Some(value),
        _ => None,
    };
    which.iter().map(version).collect()
}

fn places(prepared: Option<&Arc<Vec<Arc<Item>>>>) -> SmallVec<[*mut u8; 16]> {
    prepared.iter().flat_map(|items| items.iter()).map(|item| item.as_ptr()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::{Cpu, lower};
    use crate::backend::device::Backend;
    use crate::fusion::{Limits, fuse};
    use crate::graph::Graph;
    use crate::ops::pointwise::Function;
    use crate::schedule::PlanOptions;
    use crate::testing::{Rng, to_buffer};

    const ONCE: Control = Control { poll: &|| false, profile: false, defer: false };

    /// exp, negation and square of x, each as a step of its own.
    fn chain(checks: bool) -> (Graph, CpuProgram) {
        let mut g = Graph::new();
        let mut x = g.input(Fact::new([40], DType::F32));
        for f in [Function::Exp, Function::Neg, Function::Square] {
            x = g.unary(f, x).unwrap();
        }
        g.set_outputs(vec![x]);
        let options =
            PlanOptions { target: Some(Cpu.target(0).unwrap()), fuse: false, checks, ..PlanOptions::default() };
        let fusion = fuse(&g, &Limits::default(), false, &[]).unwrap();
        let program = lower::compile(&g, &fusion, &options).unwrap();
        (g, program)
    }

    #[test]
    fn what_no_step_has_written_is_nan_in_checked_code() {
        let (g, mut program) = chain(true);
        let x = Rng::new(1).inputs(&g).remove(0);
        let run = |program: &CpuProgram| {
            let mut slots = [Slot::shared(to_buffer(&x, g.fact(g.inputs()[0])))];
            program.run(&mut slots, &ONCE).unwrap().outputs[0].host().unwrap().as_slice::<f32>().to_vec()
        };
        assert!(run(&program).iter().all(|v| v.is_finite()));
        // The first step writes past the memory that the second one reads, where the run before left numbers.
        program.code.steps[0].outputs[0] = Location::Shared(Place::Arena(program.code.arena_bytes));
        program.code.arena_bytes += 160;
        assert!(run(&program).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn writing_past_a_range_is_noticed_in_checked_code() {
        let (g, mut program) = chain(true);
        let x = Rng::new(1).inputs(&g).remove(0);
        // The first step's output begins 40 bytes late and so ends behind its range.
        let Location::Shared(Place::Arena(offset)) = program.code.steps[0].outputs[0] else {
            panic!("not in the arena")
        };
        program.code.steps[0].outputs[0] = Location::Shared(Place::Arena(offset + 40));
        let mut slots = [Slot::shared(to_buffer(&x, g.fact(g.inputs()[0])))];
        let error = program.run(&mut slots, &ONCE).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("a kernel panicked"), "{error}");
    }

    #[test]
    fn a_step_writes_over_what_it_reads_last() {
        // Two ranges would need 384; a guard lies behind the one in checked code.
        for (checks, expected) in [(true, 256), (false, 192)] {
            let (_, program) = chain(checks);
            assert_eq!(program.facts().arena_bytes, expected, "{}", program.describe());
        }
    }
}
