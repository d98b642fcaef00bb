//! Replaying a recorded function: calls, and sessions of many calls.

use super::extract::leaf_value;
use super::host::poll;
use super::tensor::Tensor;
use super::variable::{self, Cell, KeptSlots, Writing};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Origin};
use crate::ops::compose::Call;
use crate::passes::{self, PassContext, Passes};
use crate::plan::{Binding, Control, Explanation, Outcome, Plan, PlanOptions, Profile, Run, Slot};
use crate::shape::Fact;
use crate::value::Value;
use std::collections::VecDeque;
use std::sync::Arc;

/// The backend whose runs rewrite values in the host's memory.
const HOST: &str = "cpu";

/// Runs of a session whose ends may be unknown at a time.
const IN_FLIGHT: usize = 2;

/// What stands in a slot of the plan when it runs.
pub(super) enum Source {
    Argument(usize),
    /// A variable that is read.
    Read(usize),
    /// A variable that is read and written.
    Written(usize),
    Captured(Arc<Value>),
}

/// What stands in an input of what a function recorded.
#[derive(Clone, Copy, Debug)]
pub enum InputSource<'a> {
    /// The argument of this number.
    Argument(usize),
    /// A variable.
    Variable,
    /// A value that was captured while recording.
    Captured(&'a Arc<Value>),
}

/// A traced function: one plan, the variables that it reads and writes, and what it captured.
///
/// Calls are whole or absent: variables change after the last step that can fail, all of them or
/// none.
pub struct CompiledFunction {
    /// What was recorded, and how it is compiled.
    pub(super) graph: Arc<Graph>,
    pub(super) options: PlanOptions,
    pub(super) binding: Binding,
    pub(super) sources: Vec<Source>,
    pub(super) arguments: Vec<(Fact, Origin)>,
    /// Variables that are read only.
    pub(super) reads: Vec<Arc<Cell>>,
    /// Written variables, and the plan's outputs that they take.
    pub(super) writes: Vec<Arc<Cell>>,
    pub(super) write_outputs: Vec<usize>,
    pub(super) outputs: usize,
    pub(super) kept: KeptSlots,
}

impl CompiledFunction {
    /// Facts of the arguments.
    pub fn argument_facts(&self) -> impl ExactSizeIterator<Item = &Fact> {
        self.arguments.iter().map(|(fact, _)| fact)
    }

    /// Whether it assigns no variable.
    pub fn is_pure(&self) -> bool {
        self.writes.is_empty()
    }

    /// Whether runs read the host's memory, and have read their arguments when they return.
    pub fn runs_on_host(&self) -> bool {
        self.options.target.is_none_or(|target| target.backend == HOST)
    }

    /// Leaves out the arguments that the function does not read.
    ///
    /// Returns the places that those it reads had before.
    pub(super) fn drop_unused_arguments(&mut self) -> Vec<usize> {
        let argument = |source: &Source| if let Source::Argument(i) = source { Some(*i) } else { None };
        let mut used: Vec<usize> = self.sources.iter().filter_map(argument).collect();
        used.sort_unstable();
        used.dedup();
        for source in &mut self.sources {
            if let Source::Argument(i) = source {
                *i = used.partition_point(|place| place < i);
            }
        }
        self.arguments = used.iter().map(|&i| self.arguments[i].clone()).collect();
        used
    }

    /// The plan that calls run.
    pub fn plan(&self) -> &Plan {
        self.binding.plan()
    }

    /// What became of what was recorded, layer by layer; see [`explain`](crate::plan::explain).
    ///
    /// # Errors
    /// When memory runs out.
    pub fn explain(&self) -> Result<Explanation> {
        crate::plan::explain(&self.graph, &self.options)
    }

    /// What was recorded, in terms of ops that no other op is made of. Its inputs are those of [`source`](Self::source).
    ///
    /// # Errors
    /// When memory runs out.
    pub fn recorded(&self) -> Result<Graph> {
        let mut context = PassContext::new(&self.graph).with_passes(Passes::only(&[])?);
        passes::run(&self.graph, &mut context)
    }

    /// What stands in input number `input` of what was recorded.
    pub fn source(&self, input: usize) -> InputSource<'_> {
        match &self.sources[input] {
            Source::Argument(i) => InputSource::Argument(*i),
            Source::Read(_) | Source::Written(_) => InputSource::Variable,
            Source::Captured(value) => InputSource::Captured(value),
        }
    }

    /// The plan with what the function keeps of it between calls.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Runs the function once.
    ///
    /// # Errors
    /// When an argument does not fit, a kernel meets bad data, memory runs out, or the caller
    /// interrupts; then no variable has changed.
    pub fn call(&self, arguments: &[Tensor]) -> Result<Vec<Tensor>> {
        let values: Vec<Arc<Value>> = arguments.iter().map(Tensor::value).collect::<Result<_>>()?;
        Ok(self.run(&values)?.into_iter().map(Tensor::from_value).collect())
    }

    /// Records the function as one node for each of its outputs, through which gradients flow. Variables are read now.
    ///
    /// # Errors
    /// When it assigns variables, computes gradients, or an argument does not fit.
    pub fn record(&self, arguments: &[Tensor]) -> Result<Vec<Tensor>> {
        if !self.writes.is_empty() {
            return Err(Error::state("a function that assigns variables runs; it is not recorded as a node"));
        }
        let reads = self.reads.iter().map(|cell| variable::Variable { cell: cell.clone() }.read());
        let reads: Vec<Tensor> = reads.collect::<Result<_>>()?;
        let inputs = self.sources.iter().map(|source| match source {
            Source::Argument(i) => {
                arguments.get(*i).cloned().ok_or_else(|| Error::value("a recorded function lacks an argument"))
            }
            Source::Read(i) | Source::Written(i) => Ok(reads[*i].clone()),
            Source::Captured(value) => Ok(Tensor::from_shared(value.clone())),
        });
        let inputs: Vec<Tensor> = inputs.collect::<Result<_>>()?;
        (0..self.outputs).map(|output| Tensor::apply(Call::new(&self.graph, output)?, &inputs)).collect()
    }

    /// Runs the function once on values.
    ///
    /// # Errors
    /// As [`CompiledFunction::call`].
    pub fn run(&self, arguments: &[Arc<Value>]) -> Result<Vec<Value>> {
        self.begin()?.run_by(arguments, &Control::new(&poll)).map(|(values, _)| values)
    }

    /// Runs the function once, as [`CompiledFunction::run`], and says how long each step took.
    ///
    /// # Errors
    /// As [`CompiledFunction::call`].
    pub fn run_profiled(&self, arguments: &[Arc<Value>]) -> Result<(Vec<Value>, Profile)> {
        let control = Control { profile: true, ..Control::new(&poll) };
        let (values, profile) = self.begin()?.run_by(arguments, &control)?;
        Ok((values, profile.ok_or_else(|| Error::state("a run left no profile"))?))
    }

    /// Takes the variables that the function writes for runs one after the other.
    ///
    /// # Errors
    /// When a pending version cannot be computed, or the caller interrupts the wait for another thread's run.
    pub fn begin(&self) -> Result<Session<'_>> {
        let session = |writing, slots, checked, moment| Session {
            function: self,
            writing,
            slots,
            slot_of: vec![None; self.writes.len()],
            unread: Vec::new(),
            pending: VecDeque::new(),
            runs: 0,
            checked,
            moment,
        };
        if self.is_pure()
            && let Some((slots, moment)) = self.kept.take()
        {
            return Ok(session(Writing::NONE, slots, true, moment));
        }
        let (writing, reads, moment) = Writing::begin(&self.reads, &self.writes)?;
        let mut session = session(writing, Vec::with_capacity(self.sources.len()), false, moment);
        let away = !self.runs_on_host();
        for source in &self.sources {
            let slot = match source {
                Source::Argument(_) => Slot::Donated(None),
                Source::Captured(value) => Slot::Shared(value.clone()),
                Source::Read(r) => Slot::Shared(leaf_value(&reads[*r].node)?),
                Source::Written(w) => {
                    session.slot_of[*w] = Some(session.slots.len());
                    match session.writing.lend(*w, away) {
                        Some(value) => Slot::Donated(Some(value)),
                        None => Slot::Shared(session.writing.value(*w)?),
                    }
                }
            };
            session.slots.push(slot);
        }
        Ok(session)
    }
}

/// Runs of a function one after the other, in which the variables that it writes go from each to the next. They
/// are nobody else's until the session is dropped; then they have what the last run that succeeded left in them.
///
/// On a GPU, runs return while the device is still at work on them, at most two at a time. That one met bad data is said by
/// a later call, or by [`Session::finish`]; it and those behind it have changed no variable then.
///
/// ```
/// use cnnrs::{Buffer, DType, Fact, Tensor, Trace, Variable};
/// use std::sync::Arc;
/// let total = Variable::new(&Tensor::scalar(0.0, DType::F32)?, false, "total")?;
/// let trace = Trace::enter();
/// let x = trace.placeholder(Fact::new([], DType::F32), "x");
/// total.assign(&total.value().apply_binary("add", &x)?)?;
/// let f = trace.compile(&[])?;
/// drop(trace);
/// let mut session = f.begin()?;
/// for x in [1.0f32, 2.0, 3.0] {
///     session.run(&[Arc::new(Buffer::from_slice(&[], &[x])?.into())])?;
/// }
/// session.finish()?;
/// assert_eq!((total.version(), total.value().to_vec::<f32>()?), (3, vec![6.0]));
/// # Ok::<(), cnnrs::Error>(())
/// ```
pub struct Session<'a> {
    function: &'a CompiledFunction,
    writing: Writing<'a>,
    slots: Vec<Slot>,
    /// For each written variable, where it is read.
    slot_of: Vec<Option<usize>>,
    /// Values of variables that are written and not read, once there was a run.
    unread: Vec<(usize, Value)>,
    /// The ends of runs that may still fail, the oldest first.
    pending: VecDeque<Arc<dyn Outcome>>,
    /// Runs that are known to have succeeded.
    runs: u64,
    /// Whether the plan has looked at all slots; arguments are looked at in each run.
    checked: bool,
    /// When variables were read.
    moment: u64,
}

impl Session<'_> {
    /// Whether another thread waits for the variables.
    pub fn is_awaited(&self) -> bool {
        variable::are_runs_awaited()
    }

    /// Ends the session, lets threads that wait have the variables, and takes them anew. A session that only ended
    /// and began would have them back before anybody is awake.
    ///
    /// # Errors
    /// As [`CompiledFunction::begin`].
    pub fn give_way(self) -> Result<Self> {
        let function = self.function;
        self.finish()?;
        variable::give_way();
        function.begin()
    }

    /// Runs the function once.
    ///
    /// # Errors
    /// As [`CompiledFunction::call`]; the session can go on.
    pub fn run(&mut self, arguments: &[Arc<Value>]) -> Result<Vec<Value>> {
        self.settle(IN_FLIGHT - 1)?;
        // A variable that is written and not read has no memory of its own that a run which fails would leave alone.
        let defer = self.slot_of.iter().all(Option::is_some);
        self.run_by(arguments, &Control { defer, ..Control::new(&poll) }).map(|(values, _)| values)
    }

    /// Waits until it is known how all runs ended, and ends the session.
    ///
    /// # Errors
    /// When a run met bad data: it and those behind it have changed no variable.
    pub fn finish(mut self) -> Result<()> {
        self.settle(0)
    }

    /// Waits until the ends of at most `most` runs are unknown.
    fn settle(&mut self, most: usize) -> Result<()> {
        while self.pending.len() > most {
            match self.pending[0].wait(&poll) {
                Ok(()) => {
                    self.pending.pop_front();
                    self.runs += 1;
                }
                Err(e) if e.kind == ErrorKind::Cancelled => return Err(e),
                Err(e) => {
                    // What came behind it has committed nothing either.
                    self.pending.drain(..).for_each(|outcome| drop(outcome.wait(&|| false)));
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    fn run_by(&mut self, arguments: &[Arc<Value>], control: &Control) -> Result<(Vec<Value>, Option<Profile>)> {
        let function = self.function;
        if arguments.len() != function.arguments.len() {
            return Err(Error::dtype(format!(
                "expected {} arguments, received {}",
                function.arguments.len(),
                arguments.len()
            )));
        }
        for (i, (value, (fact, origin))) in arguments.iter().zip(&function.arguments).enumerate() {
            if value.fact() != fact {
                let name = origin.as_deref().map_or_else(|| format!("argument {i}"), str::to_owned);
                return Err(Error::value(format!("{name}: expected {fact}, received {}", value.fact())));
            }
        }
        self.place(|i| Slot::Shared(arguments[i].clone()));
        let result = match self.checked {
            true => function.binding.run_checked(&mut self.slots, control),
            false => function.binding.run_by(&mut self.slots, control),
        };
        self.checked |= result.is_ok();
        // The caller may write to them before the next run.
        self.place(|_| Slot::Donated(None));
        let Run { outputs, profile, pending } = result?;
        let mut values: Vec<Option<Value>> = outputs.into_iter().map(Some).collect();
        self.unread.clear();
        for (w, &output) in function.write_outputs.iter().enumerate() {
            let value = values[output].take().ok_or_else(|| Error::state("a plan's output is taken twice"))?;
            match self.slot_of[w] {
                None => self.unread.push((w, value)),
                Some(slot) => self.slots[slot] = Slot::Donated(Some(value)),
            }
        }
        match pending {
            Some(outcome) => self.pending.push_back(outcome),
            None => self.runs += 1,
        }
        values.truncate(function.outputs);
        Ok((values.into_iter().flatten().collect(), profile))
    }

    /// Puts something in the slots of the arguments.
    fn place(&mut self, what: impl Fn(usize) -> Slot) {
        for (slot, source) in self.slots.iter_mut().zip(&self.function.sources) {
            if let Source::Argument(i) = source {
                *slot = what(*i);
            }
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let ends: Vec<bool> = pending.iter().map(|outcome| outcome.wait(&|| false).is_ok()).collect();
        // What comes behind a run that failed has committed nothing.
        self.runs += ends.iter().take_while(|ended| **ended).count() as u64;
        if self.checked && self.function.is_pure() {
            self.function.kept.keep(std::mem::take(&mut self.slots), self.moment);
            return;
        }
        let mut values = std::mem::take(&mut self.unread);
        for (w, &slot) in self.slot_of.iter().enumerate() {
            let slot = slot.and_then(|slot| self.slots.get_mut(slot));
            let donated = slot.map(|slot| std::mem::replace(slot, Slot::Donated(None)));
            if let Some(Slot::Donated(Some(value))) = donated {
                values.push((w, value));
            }
        }
        self.writing.commit(values, self.runs);
    }
}
