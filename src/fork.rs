//! Forks: a child has one thread, and must find no lock held and no variable lent by one that it lacks.
//!
//! [`before`] waits until no run writes variables and takes the locks that runs share; [`after`] lets go of
//! them, in the parent and in the child. The child starts a pool of its own.

use crate::backend::cpu::{arena, pool};
use crate::{realise, variable};
use std::any::Any;
use std::cell::RefCell;

thread_local! {
    static HELD: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Called by the thread that is about to fork.
pub fn before() {
    realise::detached(&mut variable::pause_runs);
    HELD.with_borrow_mut(|held| {
        let locks = [realise::lock_plans(), crate::plan::held::lock(), pool::lock(), arena::lock()];
        held.extend(locks as [Box<dyn Any>; 4]);
    });
}

/// Called by the same thread afterwards, in both processes.
pub fn after() {
    drop(HELD.take());
    variable::resume_runs();
}
