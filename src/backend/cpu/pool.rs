//! The pool: cnnrs's own threads, entered once a run.
//!
//! A run is an ordered list of phases, each a number of independent chunks. Every thread walks the
//! phases in order and claims chunks by ticket; whoever finds no ticket left waits until the
//! phase's last chunk has ended. Tickets are claimed one by one, so a run goes on with however many
//! threads have arrived: progress never needs all of them, and several runs can be under way.

use super::threads;
use crate::error::{Error, ErrorKind, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a waiter spins before it gives its time slice away.
const SPINS: usize = 4_000;

/// How often the calling thread asks whether to stop.
const POLL_EVERY: Duration = Duration::from_millis(50);

struct Pool {
    process: u32,
    workers: usize,
    threads: Option<Arc<ThreadPool>>,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { process: 0, workers: 0, threads: None });

/// The pool with `workers` threads beside the caller's. A forked child and a changed number of
/// threads get a fresh one.
fn pool(workers: usize) -> Result<Arc<ThreadPool>> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if pool.process != process {
        // The parent's threads do not exist here; joining them would wait for ever.
        std::mem::forget(pool.threads.take());
    }
    if let Some(threads) = &pool.threads
        && pool.workers == workers
    {
        return Ok(threads.clone());
    }
    let threads = ThreadPoolBuilder::new()
        .num_threads(workers)
        .thread_name(|i| format!("cnnrs-{i}"))
        .build()
        .map_err(|e| Error::state(format!("cannot start {workers} threads: {e}")))?;
    let threads = Arc::new(threads);
    *pool = Pool { process, workers, threads: Some(threads.clone()) };
    Ok(threads)
}

/// A run's phases: how many chunks each has, and what a chunk does.
pub trait Work: Sync {
    /// Number of phases.
    fn phases(&self) -> usize;

    /// Number of chunks of a phase.
    fn chunks(&self, phase: usize) -> usize;

    /// Runs one chunk on worker `worker`, one of `0..workers`.
    fn run(&self, phase: usize, chunk: usize, worker: usize);
}

struct Progress {
    next: AtomicUsize,
    done: AtomicUsize,
}

struct Run<'a> {
    work: &'a dyn Work,
    first: usize,
    progress: Vec<Progress>,
    workers: AtomicUsize,
    stopped: AtomicBool,
    panicked: AtomicBool,
}

impl Run<'_> {
    /// Walks the phases. `poll` is there on the calling thread only.
    fn walk(&self, mut poll: Option<&mut dyn FnMut() -> bool>) {
        let worker = self.workers.fetch_add(1, Ordering::Relaxed);
        for (i, progress) in self.progress.iter().enumerate() {
            let phase = self.first + i;
            let chunks = self.work.chunks(phase);
            loop {
                if self.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let chunk = progress.next.fetch_add(1, Ordering::Relaxed);
                if chunk >= chunks {
                    break;
                }
                if catch_unwind(AssertUnwindSafe(|| self.work.run(phase, chunk, worker))).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                    self.stopped.store(true, Ordering::Release);
                    return;
                }
                progress.done.fetch_add(1, Ordering::Release);
                self.ask(&mut poll);
            }
            let mut spins = 0;
            while progress.done.load(Ordering::Acquire) < chunks {
                if self.stopped.load(Ordering::Relaxed) {
                    return;
                }
                if spins < SPINS {
                    spins += 1;
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                    self.ask(&mut poll);
                }
            }
        }
    }

    fn ask(&self, poll: &mut Option<&mut dyn FnMut() -> bool>) {
        if let Some(poll) = poll
            && poll()
        {
            self.stopped.store(true, Ordering::Release);
        }
    }
}

/// Number of workers that a run may have now: the size of its scratch.
pub fn workers() -> Result<usize> {
    Ok(threads::num_threads()?.0)
}

/// Runs phases `range` of `work` on at most `workers` threads, the caller's among them. `poll` is
/// asked on the calling thread, at most every 50 ms, whether to stop.
///
/// # Errors
/// `Cancelled` when `poll` said so; `State` when a chunk panicked.
pub fn run(
    work: &dyn Work,
    range: std::ops::Range<usize>,
    workers: usize,
    poll: Option<&dyn Fn() -> bool>,
) -> Result<()> {
    let most = range.clone().map(|p| work.chunks(p)).max().unwrap_or(0);
    let run = Run {
        work,
        first: range.start,
        progress: range.map(|_| Progress { next: AtomicUsize::new(0), done: AtomicUsize::new(0) }).collect(),
        workers: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
        panicked: AtomicBool::new(false),
    };
    let mut asked = Instant::now();
    let mut every = || {
        let due = asked.elapsed() >= POLL_EVERY;
        if due {
            asked = Instant::now();
        }
        due && poll.is_some_and(|p| p())
    };
    let helpers = workers.min(most).saturating_sub(1);
    if helpers == 0 {
        run.walk(Some(&mut every));
    } else {
        pool(workers - 1)?.in_place_scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(|_| run.walk(None));
            }
            run.walk(Some(&mut every));
        });
    }
    if run.panicked.load(Ordering::Relaxed) {
        return Err(Error::state("a kernel panicked; please report this with the model that did it"));
    }
    if run.stopped.load(Ordering::Relaxed) {
        return Err(Error::new(ErrorKind::Cancelled, "interrupted"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    struct Sums {
        chunks: Vec<usize>,
        seen: Vec<AtomicU64>,
    }

    impl Work for Sums {
        fn phases(&self) -> usize {
            self.chunks.len()
        }

        fn chunks(&self, phase: usize) -> usize {
            self.chunks[phase]
        }

        fn run(&self, phase: usize, chunk: usize, _: usize) {
            if phase > 0 {
                let before = self.seen[phase - 1].load(Ordering::Relaxed);
                assert_eq!(before, (0..self.chunks[phase - 1] as u64).sum::<u64>(), "phase {phase} ran early");
            }
            self.seen[phase].fetch_add(chunk as u64, Ordering::Relaxed);
        }
    }

    fn sums(chunks: &[usize]) -> Sums {
        Sums { chunks: chunks.to_vec(), seen: chunks.iter().map(|_| AtomicU64::new(0)).collect() }
    }

    #[test]
    fn every_chunk_runs_once_and_phases_in_order() {
        for workers in [1, 2, 7] {
            let work = sums(&[1, 100, 0, 3, 257]);
            run(&work, 0..1, workers, None).unwrap();
            run(&sums(&[50, 60, 1]), 0..3, workers, None).unwrap();
        }
    }

    #[test]
    fn runs_from_several_threads_do_not_wait_for_each_other() {
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..50 {
                        run(&sums(&[20, 30, 40]), 0..3, 3, None).unwrap();
                    }
                });
            }
        });
    }

    struct Panics;

    impl Work for Panics {
        fn phases(&self) -> usize {
            2
        }

        fn chunks(&self, _: usize) -> usize {
            8
        }

        fn run(&self, phase: usize, chunk: usize, _: usize) {
            assert!(phase == 0 && chunk != 3, "on purpose");
        }
    }

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(run(&Panics, 0..2, 2, None).unwrap_err().kind, ErrorKind::State);
    }

    struct Slow;

    impl Work for Slow {
        fn phases(&self) -> usize {
            1
        }

        fn chunks(&self, _: usize) -> usize {
            100
        }

        fn run(&self, _: usize, _: usize, _: usize) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_caller_that_wants_to_stop_is_heard() {
        let start = Instant::now();
        assert_eq!(run(&Slow, 0..1, 1, Some(&|| true)).unwrap_err().kind, ErrorKind::Cancelled);
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
