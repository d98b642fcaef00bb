//! The lobby: where threads look out for the next run before they sleep.
//!
//! Waking a thread costs as much as a small net's layer. Between two runs a thread therefore looks out for the next
//! one for a while: batch after batch of a training finds it awake.

use super::Door;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread looks out for the next run before it sleeps: longer than the way from batch to batch through
/// Python takes.
const LINGER: Duration = Duration::from_micros(300);

/// How often it looks before it lets other threads have the processor.
const SPINS_PER_YIELD: usize = 50;

/// Where threads look out for runs that want them.
#[derive(Default)]
pub(super) struct Lobby {
    /// Invitations that nobody has taken: what the queue holds, for a look without the lock.
    open: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    invitations: VecDeque<Arc<Door>>,
    /// Threads that will look at the queue again before they leave: those in the lobby and those called to it.
    expected: usize,
}

impl Lobby {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts up `helpers` invitations. Returns how many threads must be called to the lobby for them.
    pub(super) fn invite(&self, door: &Arc<Door>, helpers: usize) -> usize {
        let mut queue = self.queue();
        queue.invitations.extend(std::iter::repeat_n(door, helpers).cloned());
        let open = queue.invitations.len();
        self.open.store(open, Ordering::Relaxed);
        let missing = open.saturating_sub(queue.expected);
        queue.expected += missing;
        missing
    }

    /// What a thread called to the lobby does, as the same worker of every run: it follows invitations until none
    /// has come for a while.
    pub(super) fn serve(&self) {
        let worker = 1 + rayon::current_thread_index().unwrap_or_default();
        loop {
            self.linger();
            let mut queue = self.queue();
            let invitation = queue.invitations.pop_front();
            self.open.store(queue.invitations.len(), Ordering::Relaxed);
            queue.expected -= 1;
            drop(queue);
            let Some(door) = invitation else { return };
            door.visit(worker);
            self.queue().expected += 1;
        }
    }

    /// Waits for an invitation, but not for long.
    fn linger(&self) {
        let start = Instant::now();
        while start.elapsed() < LINGER {
            for _ in 0..SPINS_PER_YIELD {
                if self.open.load(Ordering::Relaxed) > 0 {
                    return;
                }
                std::hint::spin_loop();
            }
            // Whoever else wants the processor has something to do.
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_out_for_runs_need_not_be_called() {
        let lobby = Lobby::default();
        let closed = || Arc::new(Door { state: AtomicUsize::new(1), run: std::ptr::null() });
        assert_eq!(lobby.invite(&closed(), 2), 2);
        // Both are on their way, so two invitations more call two others.
        assert_eq!(lobby.invite(&closed(), 2), 2);
        assert_eq!((lobby.queue().expected, lobby.open.load(Ordering::Relaxed)), (4, 4));
        // One of them follows every invitation in turn, and goes when no more come.
        lobby.serve();
        assert_eq!((lobby.queue().expected, lobby.open.load(Ordering::Relaxed)), (3, 0));
        assert_eq!(lobby.invite(&closed(), 2), 0, "three are still expected");
        (0..3).for_each(|_| lobby.serve());
        assert_eq!((lobby.queue().expected, lobby.open.load(Ordering::Relaxed)), (0, 0));
    }
}
