//! What outlasts a run: the results of a plan's prelude, for one model or function.

use super::profile::Clock;
use super::{Plan, Profile, Slot};
use crate::backend::cpu::pool;
use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Fact;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A plan with the memory that one model or function has of it: folded and packed filters. They are made
/// by the first run, and again by the first run after one of the held inputs that they came from has
/// become another version; they go with the binding. Threads may run a binding at the same time.
pub struct Binding {
    plan: Arc<Plan>,
    prepared: Mutex<Option<Prepared>>,
    preparations: AtomicU64,
}

struct Prepared {
    /// The versions that it came from. As long as the references stand, no other buffer takes their
    /// addresses, and nobody writes to the buffers in place.
    from: Vec<Weak<Buffer>>,
    held: Arc<Buffer>,
}

impl Prepared {
    fn is_of(&self, from: &[&Arc<Buffer>]) -> bool {
        self.from.iter().map(Weak::as_ptr).eq(from.iter().map(|b| Arc::as_ptr(b)))
    }
}

impl Binding {
    /// A binding of `plan` that has made nothing yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        Binding { plan, prepared: Mutex::new(None), preparations: AtomicU64::new(0) }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How often the prelude has run.
    pub fn preparations(&self) -> u64 {
        self.preparations.load(Ordering::Relaxed)
    }

    /// Runs the plan; see [`Plan::run`].
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<Vec<Buffer>> {
        let held = self.held(inputs, poll)?;
        self.plan.execute(inputs, start(held.as_deref()), poll, None)
    }

    /// As [`Binding::run`], and says how long each step took, the prelude's apart. Looking at the clock
    /// costs about 0.1 µs a chunk.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_profiled(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<(Vec<Buffer>, Profile)> {
        let held = self.held(inputs, poll)?;
        let clock = Clock::new(self.plan.code.steps.len());
        let outputs = self.plan.execute(inputs, start(held.as_deref()), poll, Some(&clock))?;
        Ok((outputs, clock.profile(&self.plan, pool::workers()?)))
    }

    /// What the prelude makes of these inputs, made anew if it was made of others.
    fn held(&self, inputs: &[Slot], poll: &dyn Fn() -> bool) -> Result<Option<Arc<Buffer>>> {
        if !self.plan.has_prelude() {
            return Ok(None);
        }
        let version = |&i: &usize| match inputs.get(i) {
            Some(Slot::Shared(buffer)) => Some(buffer),
            _ => None,
        };
        let from: Option<Vec<&Arc<Buffer>>> = self.plan.prelude_inputs.iter().map(version).collect();
        let prepare = |reuse: Option<Buffer>| -> Result<Arc<Buffer>> {
            self.preparations.fetch_add(1, Ordering::Relaxed);
            let mut held = match reuse {
                Some(buffer) => buffer,
                None => Buffer::uninit(Fact::checked([self.plan.held_bytes()], DType::U8)?)?,
            };
            self.plan.prepare(inputs, held.as_mut_ptr(), poll)?;
            Ok(Arc::new(held))
        };
        let Some(from) = from else { return prepare(None).map(Some) };
        let lock = || self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = {
            let mut prepared = lock();
            match &*prepared {
                Some(p) if p.is_of(&from) => return Ok(Some(p.held.clone())),
                _ => prepared.take(),
            }
        };
        // Memory that no other thread is reading serves again.
        let reuse = stale.and_then(|p| Arc::into_inner(p.held));
        let held = prepare(reuse)?;
        let from = from.into_iter().map(Arc::downgrade).collect();
        *lock() = Some(Prepared { from, held: held.clone() });
        Ok(Some(held))
    }
}

fn start(held: Option<&Buffer>) -> *mut u8 {
    held.map_or(std::ptr::null_mut(), |b| b.as_ptr().cast_mut())
}
