//! Workers between two runs: they stay awake for a while before they park.
//!
//! Waking a parked thread costs as much as a small net's layer. A worker that has no run therefore spins for some time:
//! batch after batch of a training finds it awake.

use super::RunHandle;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a worker without a run spins before it parks: longer than the way from batch to batch through Python
/// takes.
const STAY_AWAKE: Duration = Duration::from_micros(300);

/// How often it looks before it lets other threads have the processor.
const SPINS_PER_YIELD: usize = 50;

/// Workers without a run, and the runs that want some.
#[derive(Default)]
pub(super) struct IdleWorkers {
    /// Requests that no worker has taken: what the queue holds, for a look without the lock.
    open: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    requests: VecDeque<Arc<RunHandle>>,
    /// Workers that will look at the queue again before they park: those that spin and those being woken.
    expected: usize,
}

impl IdleWorkers {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for `helpers` workers. Returns how many parked ones must be woken for them.
    pub(super) fn wake(&self, handle: &Arc<RunHandle>, helpers: usize) -> usize {
        let mut queue = self.queue();
        queue.requests.extend(std::iter::repeat_n(handle, helpers).cloned());
        let open = queue.requests.len();
        self.open.store(open, Ordering::Relaxed);
        let missing = open.saturating_sub(queue.expected);
        queue.expected += missing;
        missing
    }

    /// What a woken thread does, as the same worker of every run: it serves requests until none has come for a while.
    pub(super) fn serve(&self) {
        let worker = 1 + rayon::current_thread_index().unwrap_or_default();
        loop {
            self.stay_awake();
            let mut queue = self.queue();
            let request = queue.requests.pop_front();
            self.open.store(queue.requests.len(), Ordering::Relaxed);
            queue.expected -= 1;
            drop(queue);
            let Some(handle) = request else { return };
            handle.join(worker);
            self.queue().expected += 1;
        }
    }

    /// Spins until there is a request, but not for long.
    fn stay_awake(&self) {
        let start = Instant::now();
        while start.elapsed() < STAY_AWAKE {
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
    fn workers_that_are_awake_need_not_be_woken() {
        let idle = IdleWorkers::default();
        let closed = || Arc::new(RunHandle { state: AtomicUsize::new(1), run: std::ptr::null() });
        assert_eq!(idle.wake(&closed(), 2), 2);
        // Both are being woken, so two requests more wake two others.
        assert_eq!(idle.wake(&closed(), 2), 2);
        assert_eq!((idle.queue().expected, idle.open.load(Ordering::Relaxed)), (4, 4));
        // One of them serves every request in turn, and parks when no more come.
        idle.serve();
        assert_eq!((idle.queue().expected, idle.open.load(Ordering::Relaxed)), (3, 0));
        assert_eq!(idle.wake(&closed(), 2), 0, "three are still expected");
        (0..3).for_each(|_| idle.serve());
        assert_eq!((idle.queue().expected, idle.open.load(Ordering::Relaxed)), (0, 0));
    }
}
