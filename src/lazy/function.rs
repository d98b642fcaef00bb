//! Replaying a recorded function: calls, and sessions of many calls.

use super::extract::leaf_value;
use super::host::poll;
use super::tensor::Tensor;
use super::variable::{self, Cell, Writing};
use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::graph::Origin;
use crate::plan::{Binding, Plan, Profile, Slot};
use crate::shape::Fact;
use std::sync::Arc;

/// What stands in a slot of the plan when it runs.
pub(super) enum Source {
    Argument(usize),
    /// A variable that is read.
    Read(usize),
    /// A variable that is read and written.
    Written(usize),
    Captured(Arc<Buffer>),
}

/// A traced function: one plan, the variables that it reads and writes, and what it captured.
///
/// Calls are whole or absent: variables change after the last step that can fail, all of them or
/// none.
pub struct CompiledFunction {
    pub(super) binding: Binding,
    pub(super) sources: Vec<Source>,
    pub(super) arguments: Vec<(Fact, Origin)>,
    /// Variables that are read only.
    pub(super) reads: Vec<Arc<Cell>>,
    /// Written variables, and the plan's outputs that they take.
    pub(super) writes: Vec<Arc<Cell>>,
    pub(super) write_outputs: Vec<usize>,
    pub(super) outputs: usize,
}

impl CompiledFunction {
    /// Facts of the arguments.
    pub fn argument_facts(&self) -> impl ExactSizeIterator<Item = &Fact> {
        self.arguments.iter().map(|(fact, _)| fact)
    }

    /// The plan that calls run.
    pub fn plan(&self) -> &Plan {
        self.binding.plan()
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
        let buffers: Vec<Arc<Buffer>> = arguments.iter().map(Tensor::buffer).collect::<Result<_>>()?;
        Ok(self.run(&buffers)?.into_iter().map(Tensor::from_buffer).collect())
    }

    /// Runs the function once on buffers.
    ///
    /// # Errors
    /// As [`CompiledFunction::call`].
    pub fn run(&self, arguments: &[Arc<Buffer>]) -> Result<Vec<Buffer>> {
        self.begin()?.run(arguments)
    }

    /// Runs the function once, as [`CompiledFunction::run`], and says how long each step took.
    ///
    /// # Errors
    /// As [`CompiledFunction::call`].
    pub fn run_profiled(&self, arguments: &[Arc<Buffer>]) -> Result<(Vec<Buffer>, Profile)> {
        let mut profile = None;
        let values = self.begin()?.run_by(arguments, |binding, slots| {
            let (values, times) = binding.run_profiled(slots, &poll)?;
            profile = Some(times);
            Ok(values)
        })?;
        Ok((values, profile.ok_or_else(|| Error::state("a run left no profile"))?))
    }

    /// Takes the variables that the function writes for runs one after the other.
    ///
    /// # Errors
    /// When a pending version cannot be computed, or the caller interrupts the wait for another thread's run.
    pub fn begin(&self) -> Result<Session<'_>> {
        let (writing, reads) = Writing::begin(&self.reads, &self.writes)?;
        let mut session = Session {
            function: self,
            writing,
            slots: Vec::with_capacity(self.sources.len()),
            slot_of: vec![None; self.writes.len()],
            unread: Vec::new(),
            runs: 0,
        };
        for source in &self.sources {
            let slot = match source {
                Source::Argument(_) => Slot::Donated(None),
                Source::Captured(buffer) => Slot::Shared(buffer.clone()),
                Source::Read(r) => Slot::Shared(leaf_value(&reads[*r].node)?),
                Source::Written(w) => {
                    session.slot_of[*w] = Some(session.slots.len());
                    match session.writing.lend(*w) {
                        Some(buffer) => Slot::Donated(Some(buffer)),
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
///     session.run(&[Arc::new(Buffer::from_slice(&[], &[x])?)])?;
/// }
/// drop(session);
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
    unread: Vec<(usize, Buffer)>,
    /// Runs that succeeded.
    runs: u64,
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
        drop(self);
        variable::give_way();
        function.begin()
    }

    /// Runs the function once.
    ///
    /// # Errors
    /// As [`CompiledFunction::call`]; the session can go on.
    pub fn run(&mut self, arguments: &[Arc<Buffer>]) -> Result<Vec<Buffer>> {
        self.run_by(arguments, |binding, slots| binding.run(slots, &poll))
    }

    fn run_by(
        &mut self,
        arguments: &[Arc<Buffer>],
        run: impl FnOnce(&Binding, &mut [Slot]) -> Result<Vec<Buffer>>,
    ) -> Result<Vec<Buffer>> {
        let function = self.function;
        if arguments.len() != function.arguments.len() {
            return Err(Error::dtype(format!(
                "expected {} arguments, received {}",
                function.arguments.len(),
                arguments.len()
            )));
        }
        for (i, (buffer, (fact, origin))) in arguments.iter().zip(&function.arguments).enumerate() {
            if buffer.fact() != fact {
                let name = origin.as_deref().map_or_else(|| format!("argument {i}"), str::to_owned);
                return Err(Error::value(format!("{name}: expected {fact}, received {}", buffer.fact())));
            }
        }
        self.place(|i| Slot::Shared(arguments[i].clone()));
        let result = run(&function.binding, &mut self.slots);
        // The caller may write to them before the next run.
        self.place(|_| Slot::Donated(None));
        let mut values: Vec<Option<Buffer>> = result?.into_iter().map(Some).collect();
        self.unread.clear();
        for (w, &output) in function.write_outputs.iter().enumerate() {
            let value = values[output].take().ok_or_else(|| Error::state("a plan's output is taken twice"))?;
            match self.slot_of[w] {
                None => self.unread.push((w, value)),
                Some(slot) => self.slots[slot] = Slot::Donated(Some(value)),
            }
        }
        self.runs += 1;
        values.truncate(function.outputs);
        Ok(values.into_iter().flatten().collect())
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
        let mut values = std::mem::take(&mut self.unread);
        for (w, &slot) in self.slot_of.iter().enumerate() {
            let slot = slot.and_then(|slot| self.slots.get_mut(slot));
            let donated = slot.map(|slot| std::mem::replace(slot, Slot::Donated(None)));
            if let Some(Slot::Donated(Some(buffer))) = donated {
                values.push((w, buffer));
            }
        }
        self.writing.commit(values, self.runs);
    }
}
