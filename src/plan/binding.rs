//! What outlasts a run, for one model or function.

use super::{Control, Plan, Profile, Run, Slot};
use crate::backend::device::Bound;
use crate::error::{Error, Result};
use crate::value::Value;
use std::sync::Arc;

/// A plan with what one model or function has of its prelude: folded and packed filters. They are made
/// by the first run, and again by the first run after one of the constant inputs that they came from has
/// become another version; they go with the binding. What another binding has already made of the same
/// versions is shared. Threads may run a binding at the same time.
pub struct Binding {
    plan: Arc<Plan>,
    bound: Box<dyn Bound>,
}

impl Binding {
    /// A binding of `plan` that has made nothing yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        Binding { bound: plan.program.clone().bind(), plan }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How often the prelude has run, or a part of it.
    pub fn preparations(&self) -> u64 {
        self.bound.preparations()
    }

    /// Runs the plan; see [`Plan::run`].
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<Vec<Value>> {
        Ok(self.run_by(inputs, &Control::new(poll))?.outputs)
    }

    /// Runs the plan as `control` says.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_by(&self, inputs: &mut [Slot], control: &Control) -> Result<Run> {
        self.plan.check_inputs(inputs)?;
        self.bound.run(inputs, control)
    }

    /// As [`Binding::run_by`], for inputs of which all but the function's arguments were there in a run before, and whose
    /// arguments the caller has compared with what the plan expects.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub(crate) fn run_checked(&self, inputs: &mut [Slot], control: &Control) -> Result<Run> {
        self.bound.run(inputs, control)
    }

    /// As [`Binding::run`], and says how long each step took, the prelude's apart. Looking at the clock
    /// costs about 0.1 µs a chunk.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_profiled(&self, inputs: &mut [Slot], poll: &dyn Fn() -> bool) -> Result<(Vec<Value>, Profile)> {
        let run = self.run_by(inputs, &Control { profile: true, ..Control::new(poll) })?;
        Ok((run.outputs, run.profile.ok_or_else(|| Error::state("a run left no profile"))?))
    }
}
