//! What outlasts a run, for one model or function.

use super::held::{self, Holder, Item, Key, Prepared};
use super::profile::Clock;
use super::{Plan, Profile, Slot};
use crate::backend::cpu::pool;
use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Fact;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A plan with what one model or function has of its prelude: folded and packed filters. They are made
/// by the first run, and again by the first run after one of the held inputs that they came from has
/// become another version; they go with the binding. What another binding has already made of the same
/// versions is shared. Threads may run a binding at the same time.
pub struct Binding {
    plan: Arc<Plan>,
    holder: Holder,
    preparations: AtomicU64,
}

impl Binding {
    /// A binding of `plan` that has made nothing yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        Binding { plan, holder: Holder::new(), preparations: AtomicU64::new(0) }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How often the prelude has run, or a part of it.
    pub fn preparations(&self) -> u64 {
        self.preparations.load(Ordering::Relaxed)
    }

    /// Runs the plan; see [`Plan::run`].
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<Vec<Buffer>> {
        let held = self.held(inputs, poll)?;
        let outputs = self.plan.execute(inputs, &places(held.as_ref()), poll, None);
        drop(held);
        held::trim();
        outputs
    }

    /// As [`Binding::run`], and says how long each step took, the prelude's apart. Looking at the clock
    /// costs about 0.1 µs a chunk.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_profiled(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<(Vec<Buffer>, Profile)> {
        let held = self.held(inputs, poll)?;
        let clock = Clock::new(self.plan.code.steps.len());
        let outputs = self.plan.execute(inputs, &places(held.as_ref()), poll, Some(&clock));
        drop(held);
        held::trim();
        Ok((outputs?, clock.profile(&self.plan, pool::workers()?)))
    }

    /// What the prelude makes of these inputs: what is there already, or else made now.
    fn held(&self, inputs: &[Slot], poll: &dyn Fn() -> bool) -> Result<Option<Arc<Vec<Arc<Item>>>>> {
        let plan = &self.plan;
        if !plan.has_prelude() {
            return Ok(None);
        }
        let Some(from) = versions(inputs, &plan.prelude_inputs) else {
            // A buffer that may be written to is no version of anything: what is made of it serves this run alone.
            return self.make(inputs, vec![None; plan.held.len()], Vec::new(), poll).map(Some);
        };
        let stale = match self.holder.items(&from) {
            Ok(items) => return Ok(Some(items)),
            Err(stale) => stale,
        };
        let limit = held::limit()?;
        let key = |value: &held::Value| Some(Key::new(&value.recipe, &versions(inputs, &value.inputs)?));
        let keys: Vec<Key> = plan.held.iter().filter_map(key).collect();
        let spare = stale.map(Prepared::into_buffers).unwrap_or_default();
        let items = self.make(inputs, held::find(&keys), spare, poll)?;
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
        let plan = &self.plan;
        let mut wanted: Vec<bool> = found.iter().map(Option::is_none).collect();
        if wanted.contains(&true) {
            self.preparations.fetch_add(1, Ordering::Relaxed);
        }
        let needed = plan.needed(&mut wanted);
        spare.resize_with(plan.held.len(), || None);
        let mut buffers = Vec::with_capacity(plan.held.len());
        for ((value, spare), &wanted) in plan.held.iter().zip(spare).zip(&wanted) {
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
        plan.prepare(inputs, &places, Some(&needed), poll)?;
        let item = |((buffer, found), value): ((Option<Buffer>, Option<Arc<Item>>), &held::Value)| match buffer {
            Some(buffer) => Some(Arc::new(Item::new(buffer, &versions(inputs, &value.inputs).unwrap_or_default()))),
            None => found,
        };
        Ok(Arc::new(buffers.into_iter().zip(found).zip(&plan.held).filter_map(item).collect()))
    }
}

/// The versions that stand at some inputs; `None` where one may be written to.
fn versions<'a>(inputs: &'a [Slot], which: &[usize]) -> Option<Vec<&'a Arc<Buffer>>> {
    let version = |&i: &usize| match inputs.get(i) {
        Some(Slot::Shared(buffer)) => Some(buffer),
        _ => None,
    };
    which.iter().map(version).collect()
}

fn places(held: Option<&Arc<Vec<Arc<Item>>>>) -> SmallVec<[*mut u8; 16]> {
    held.iter().flat_map(|items| items.iter()).map(|item| item.as_ptr()).collect()
}
