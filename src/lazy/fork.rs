//! Forks: a child has one thread, and must find no lock held and no variable lent by one that it lacks.
//!
//! The interpreter forks while it holds its own lock, so that threads inside Rust are elsewhere only in *sections*:
//! stretches that run without that lock. [`before`] lets no further section begin and waits until those of other threads
//! have ended. The system then calls [`hold`], which takes the locks that sections share, forks, and calls [`after`] in the
//! parent and in the child, which lets go of them: while they are held no code of Python runs, which could drop a tensor
//! and wait for them. The child starts a pool of its own.

use super::host::detached;
use super::variable;
use crate::backend;
use crate::plan::cache;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

struct Sections {
    /// Those under way, of all threads.
    open: usize,
    /// Whether a process is about to fork: no thread enters its first section.
    paused: bool,
}

static SECTIONS: Mutex<Sections> = Mutex::new(Sections { open: 0, paused: false });

/// Signalled when a section has ended while a fork waits, and when the fork is over.
static CHANGED: Condvar = Condvar::new();

/// How often a waiting thread looks again by itself.
const LOOK_EVERY: Duration = Duration::from_millis(50);

thread_local! {
    /// Sections of this thread, one within the other.
    static OWN: Cell<usize> = const { Cell::new(0) };
    static HELD: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
    /// The process that this thread is about to fork.
    static PARENT: Cell<Option<u32>> = const { Cell::new(None) };
}

fn sections() -> MutexGuard<'static, Sections> {
    SECTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(sections: MutexGuard<'static, Sections>) -> MutexGuard<'static, Sections> {
    CHANGED.wait_timeout(sections, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0
}

/// Work of the engine without the interpreter's lock; forks of other threads wait for its end. Entered without that
/// lock.
#[must_use = "the section ends when this is dropped"]
pub struct Section(());

impl Section {
    /// Enters, once no other thread forks.
    pub fn enter() -> Section {
        let mut sections = sections();
        while sections.paused && OWN.get() == 0 && PARENT.get().is_none() {
            sections = wait(sections);
        }
        sections.open += 1;
        OWN.set(OWN.get() + 1);
        Section(())
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        let mut sections = sections();
        sections.open -= 1;
        OWN.set(OWN.get() - 1);
        if sections.paused {
            CHANGED.notify_all();
        }
    }
}

/// Called by the interpreter's thread that is about to fork, while it may still wait.
pub fn before() {
    detached(&mut || {
        let mut sections = sections();
        while sections.paused {
            sections = wait(sections);
        }
        sections.paused = true;
        while sections.open > OWN.get() {
            sections = wait(sections);
        }
    });
    PARENT.set(Some(std::process::id()));
}

/// Called by the system in the same thread, right before it forks. Of a fork that [`before`] has not announced, which
/// other libraries make, it takes no notice.
pub fn hold() {
    if PARENT.get().is_some() {
        HELD.with_borrow_mut(|held| {
            held.extend([variable::lock(), cache::lock()]);
            held.extend(backend::locks());
            held.push(Box::new(sections()));
        });
    }
}

/// Called by the system right after the fork, in both processes, and again by the interpreter, which may have given up
/// before it forked.
pub fn after() {
    let Some(parent) = PARENT.take() else { return };
    drop(HELD.take());
    if parent != std::process::id() {
        variable::forget_waiting();
    }
    sections().paused = false;
    CHANGED.notify_all();
}
