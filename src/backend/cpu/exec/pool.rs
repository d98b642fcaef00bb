//! The pool: cnnrs's own threads, entered once a run.
//!
//! A run is an ordered list of phases, each a number of independent chunks. Every thread walks the
//! phases in order and claims chunks by ticket: first those of its own share, which is the same part of each phase, so
//! that it finds what it wrote in the phase before in its own cache; then what others have left. Whoever
//! finds no ticket waits until the phase's last chunk has ended: it spins for a while, then sleeps. Tickets are
//! claimed one by one, so a run goes on with however many threads have arrived: progress never needs all of them,
//! and several runs can be under way. Between runs workers stay awake for a while before they park (`pool/idle.rs`).

mod idle;

use super::subnormals::flushed;
use super::threads;
use crate::backend::cpu::kernels::chunked::split;
use crate::error::{Error, ErrorKind, Result};
use idle::IdleWorkers;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a waiter looks before it sleeps.
const SPINS: usize = 4_000;

/// How often the calling thread asks whether to stop.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// The threads beside the callers'. rayon starts, parks and wakes them; who runs what is decided here.
struct Workers {
    threads: ThreadPool,
    idle: Arc<IdleWorkers>,
}

impl Workers {
    /// Has `helpers` threads join a run: those that are awake, and for the rest parked ones.
    fn wake(&self, handle: &Arc<RunHandle>, helpers: usize) {
        for _ in 0..self.idle.wake(handle, helpers) {
            let idle = self.idle.clone();
            self.threads.spawn(move || idle.serve());
        }
    }
}

struct Pool {
    process: u32,
    workers: usize,
    threads: Option<Arc<Workers>>,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { process: 0, workers: 0, threads: None });

/// The pool with `workers` threads beside the caller's. A forked child and a changed number of
/// threads get a fresh one.
fn pool(workers: usize) -> Result<Arc<Workers>> {
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
    let threads = Arc::new(Workers { threads, idle: Arc::default() });
    *pool = Pool { process, workers, threads: Some(threads.clone()) };
    Ok(threads)
}

/// The lock of the pool, for a fork.
pub(crate) fn lock() -> Box<dyn std::any::Any> {
    Box::new(POOL.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A run's phases: how many chunks each has, and what a chunk does.
pub trait Work: Sync {
    /// Number of phases.
    fn phases(&self) -> usize;

    /// Number of chunks of a phase.
    fn chunks(&self, phase: usize) -> usize;

    /// Runs one chunk on worker `worker`, one of `0..workers`. Subnormal numbers are zeros there.
    fn run(&self, phase: usize, chunk: usize, worker: usize);
}

/// How far the phases are.
struct Progress {
    /// Threads among which each phase is shared out.
    shares: usize,
    /// Tickets taken of each phase, share after share: a thread takes most from one share, and finds its counters in
    /// lines that others seldom write.
    taken: Vec<AtomicUsize>,
    /// Chunks of each phase that have ended.
    done: Vec<AtomicUsize>,
}

impl Progress {
    fn new(phases: usize, shares: usize) -> Self {
        let zeros = |count| (0..count).map(|_| AtomicUsize::new(0)).collect();
        Progress { shares, taken: zeros(phases * shares), done: zeros(phases) }
    }

    /// A ticket for one of the phase's `chunks`, or none if none is left. The first `passed` shares from `worker`'s
    /// own on are known to have none.
    fn claim(&self, phase: usize, chunks: usize, worker: usize, passed: &mut usize) -> Option<usize> {
        while *passed < self.shares {
            let share = (worker + *passed) % self.shares;
            let (range, taken) = (split(chunks, self.shares, share), &self.taken[share * self.done.len() + phase]);
            // Counted up only where something may be left, or other threads' lines would travel for nothing.
            if taken.load(Ordering::Relaxed) < range.len() {
                let ticket = taken.fetch_add(1, Ordering::Relaxed);
                if ticket < range.len() {
                    return Some(range.start + ticket);
                }
            }
            *passed += 1;
        }
        None
    }
}

/// What the calling thread alone decides during a run.
pub struct Control<'a> {
    /// Asked at most every 50 ms, before the commit, whether to stop.
    pub poll: &'a dyn Fn() -> bool,
    /// The first phase of the commit; the number of phases if there is none.
    pub commit: usize,
    /// Asked once, when all phases before the commit have ended, whether it may begin.
    pub may_commit: &'a dyn Fn() -> Result<()>,
}

struct Run<'a> {
    work: &'a dyn Work,
    progress: Progress,
    commit: usize,
    /// Whether the commit may begin.
    committing: AtomicBool,
    stopped: AtomicBool,
    panicked: AtomicBool,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

/// The calling thread's part in a run.
struct Caller<'a> {
    control: &'a Control<'a>,
    asked: Instant,
    refusal: Option<Error>,
}

impl Caller<'_> {
    fn wants_to_stop(&mut self) -> bool {
        if self.asked.elapsed() < POLL_EVERY {
            return false;
        }
        self.asked = Instant::now();
        (self.control.poll)()
    }
}

impl Run<'_> {
    /// Walks the phases as worker `worker`; 0 is the caller's thread.
    fn walk(&self, worker: usize, mut caller: Option<&mut Caller>) {
        for (phase, done) in self.progress.done.iter().enumerate() {
            if phase == self.commit && !self.gate(&mut caller) {
                return;
            }
            let (chunks, mut passed, mut ended) = (self.work.chunks(phase), 0, 0);
            loop {
                if self.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Some(chunk) = self.progress.claim(phase, chunks, worker, &mut passed) else { break };
                let run = || flushed(&|| self.work.run(phase, chunk, worker));
                if catch_unwind(AssertUnwindSafe(run)).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                    self.stop();
                    return;
                }
                ended += 1;
                self.ask(phase, &mut caller);
            }
            // All at once: threads that wait look at this counter, and each change of it sends its line around.
            if ended > 0 && done.fetch_add(ended, Ordering::SeqCst) + ended == chunks {
                self.wake_all();
            }
            if !self.wait(phase, &mut caller, || done.load(Ordering::SeqCst) >= chunks) {
                return;
            }
        }
        if self.commit == self.progress.done.len() {
            self.gate(&mut caller);
        }
    }

    /// Whether the commit begins: the calling thread decides, the others wait.
    fn gate(&self, caller: &mut Option<&mut Caller>) -> bool {
        let Some(caller) = caller else {
            return self.wait(self.commit, &mut None, || self.committing.load(Ordering::SeqCst));
        };
        match (caller.control.may_commit)() {
            Ok(()) => {
                self.committing.store(true, Ordering::SeqCst);
                self.wake_all();
                true
            }
            Err(e) => {
                caller.refusal = Some(e);
                self.stop();
                false
            }
        }
    }

    /// Waits until `ready`; false if the run stops first.
    fn wait(&self, phase: usize, caller: &mut Option<&mut Caller>, ready: impl Fn() -> bool) -> bool {
        for _ in 0..SPINS {
            if ready() {
                return true;
            }
            if self.stopped.load(Ordering::Relaxed) {
                return false;
            }
            std::hint::spin_loop();
        }
        loop {
            let guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
            self.sleepers.fetch_add(1, Ordering::SeqCst);
            let over = ready() || self.stopped.load(Ordering::SeqCst);
            if !over {
                drop(self.wake.wait_timeout(guard, POLL_EVERY));
            }
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
            if ready() {
                return true;
            }
            self.ask(phase, caller);
            if self.stopped.load(Ordering::SeqCst) {
                return false;
            }
        }
    }

    fn wake_all(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // Taken so that no sleeper is between its look and its sleep.
            drop(self.sleep.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake_all();
    }

    /// Nothing stops a run that commits.
    fn ask(&self, phase: usize, caller: &mut Option<&mut Caller>) {
        if phase < self.commit
            && let Some(caller) = caller
            && caller.wants_to_stop()
        {
            self.stop();
        }
    }
}

/// Number of workers that a run may have now: the size of its scratch.
pub fn workers() -> Result<usize> {
    Ok(threads::num_threads()?.0)
}

/// A run as the pool's threads see it. It may be over, and its memory gone, when a thread arrives;
/// then the handle is closed.
struct RunHandle {
    /// Twice the number of threads inside, plus 1 once the handle is closed.
    state: AtomicUsize,
    run: *const Run<'static>,
}

// SAFETY: `run` is only followed by threads that got in, which keeps it alive; `Run` is `Sync`.
unsafe impl Send for RunHandle {}
// SAFETY: as above.
unsafe impl Sync for RunHandle {}

impl RunHandle {
    /// Joins the run as worker `worker`, if it is not over.
    fn join(&self, worker: usize) {
        let enter = |s: usize| (s & 1 == 0).then_some(s + 2);
        if self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter).is_err() {
            return;
        }
        // SAFETY: the caller of the run waits until everybody who got in has left.
        unsafe { &*self.run }.walk(worker, None);
        self.state.fetch_sub(2, Ordering::Release);
    }

    fn close(&self) {
        self.state.fetch_or(1, Ordering::Acquire);
        let mut spins = 0;
        // Who is inside has no work left and is on its way out.
        while self.state.load(Ordering::Acquire) != 1 {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// Closes the handle even if the calling thread unwinds.
struct Closing<'a>(&'a RunHandle);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Runs all phases of `work` on at most `workers` threads, the caller's among them.
///
/// # Errors
/// `Cancelled` when `poll` said so before the commit; what `may_commit` says; `State` when a chunk
/// panicked.
pub fn run(work: &dyn Work, workers: usize, control: &Control) -> Result<()> {
    let most = (0..work.phases()).map(|p| work.chunks(p)).max().unwrap_or(0);
    let helpers = workers.min(most).saturating_sub(1);
    let run = Run {
        work,
        progress: Progress::new(work.phases(), helpers + 1),
        commit: control.commit,
        committing: AtomicBool::new(false),
        stopped: AtomicBool::new(false),
        panicked: AtomicBool::new(false),
        sleepers: AtomicUsize::new(0),
        sleep: Mutex::new(()),
        wake: Condvar::new(),
    };
    let mut caller = Caller { control, asked: Instant::now(), refusal: None };
    if helpers == 0 {
        run.walk(0, Some(&mut caller));
    } else {
        let threads = pool(workers - 1)?;
        let handle = Arc::new(RunHandle { state: AtomicUsize::new(0), run: std::ptr::from_ref(&run).cast() });
        let closing = Closing(&handle);
        threads.wake(&handle, helpers);
        run.walk(0, Some(&mut caller));
        drop(closing);
    }
    if run.panicked.load(Ordering::Relaxed) {
        return Err(Error::state("a kernel panicked; please report this with the model that did it"));
    }
    if let Some(refusal) = caller.refusal {
        return Err(refusal);
    }
    if run.stopped.load(Ordering::Relaxed) {
        return Err(Error::new(ErrorKind::Cancelled, "interrupted"));
    }
    Ok(())
}

/// Independent chunks outside of any plan.
struct Each<'a> {
    chunks: usize,
    work: &'a (dyn Fn(usize) + Sync),
}

impl Work for Each<'_> {
    fn phases(&self) -> usize {
        1
    }

    fn chunks(&self, _: usize) -> usize {
        self.chunks
    }

    fn run(&self, _: usize, chunk: usize, _: usize) {
        (self.work)(chunk);
    }
}

/// Runs `work` on each of `0..chunks`, shared out among the threads as the phases of a run are.
///
/// # Errors
/// `State` when a chunk panicked.
pub fn each(chunks: usize, work: &(dyn Fn(usize) + Sync)) -> Result<()> {
    run(&Each { chunks, work }, workers()?, &Control { poll: &|| false, commit: 1, may_commit: &|| Ok(()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn plain(work: &dyn Work, workers: usize) -> Result<()> {
        run(work, workers, &Control { poll: &|| false, commit: work.phases(), may_commit: &|| Ok(()) })
    }

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
            plain(&work, workers).unwrap();
            for (seen, &chunks) in work.seen.iter().zip(&work.chunks) {
                assert_eq!(seen.load(Ordering::Relaxed), (0..chunks as u64).sum::<u64>());
            }
        }
    }

    #[test]
    fn threads_take_their_own_share_first_and_then_what_others_left() {
        let progress = Progress::new(2, 3);
        let claim = |worker, passed: &mut usize| progress.claim(1, 7, worker, passed);
        // Shares of 3, 2 and 2 chunks; the first worker has taken one of its own.
        assert_eq!(claim(0, &mut 0), Some(0));
        let mut passed = 0;
        let rest: Vec<usize> = std::iter::from_fn(|| claim(1, &mut passed)).collect();
        assert_eq!(rest, [3, 4, 5, 6, 1, 2]);
        assert_eq!(claim(0, &mut 0), None);
        assert_eq!(progress.claim(0, 1, 2, &mut 0), Some(0), "phases have tickets of their own");
    }

    #[test]
    fn runs_from_several_threads_do_not_wait_for_each_other() {
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..50 {
                        plain(&sums(&[20, 30, 40]), 3).unwrap();
                    }
                });
            }
        });
    }

    #[test]
    fn each_chunk_of_loose_work_runs_once() {
        let seen: Vec<AtomicU64> = (0..100).map(|_| AtomicU64::new(0)).collect();
        each(100, &|i| {
            seen[i].fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
        assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 1));
        each(0, &|_| panic!("no chunk")).unwrap();
        assert_eq!(each(3, &|_| panic!("on purpose")).unwrap_err().kind, ErrorKind::State);
    }

    struct Halves {
        least: [AtomicU64; 64],
    }

    impl Work for Halves {
        fn phases(&self) -> usize {
            1
        }

        fn chunks(&self, _: usize) -> usize {
            self.least.len()
        }

        fn run(&self, _: usize, chunk: usize, _: usize) {
            // Long enough for every thread to get some.
            std::thread::sleep(Duration::from_micros(200));
            let half = std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5);
            self.least[chunk].store(u64::from(half.to_bits()), Ordering::Relaxed);
        }
    }

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn subnormal_numbers_are_zeros_on_every_thread() {
        for workers in [1, 4] {
            let work = Halves { least: std::array::from_fn(|_| AtomicU64::new(1)) };
            plain(&work, workers).unwrap();
            assert!(work.least.iter().all(|half| half.load(Ordering::Relaxed) == 0));
        }
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
        assert_eq!(plain(&Panics, 2).unwrap_err().kind, ErrorKind::State);
    }

    struct Slow;

    impl Work for Slow {
        fn phases(&self) -> usize {
            1
        }

        fn chunks(&self, _: usize) -> usize {
            20
        }

        fn run(&self, _: usize, _: usize, _: usize) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_caller_that_wants_to_stop_is_heard() {
        let start = Instant::now();
        for workers in [1, 3] {
            let control = Control { poll: &|| true, commit: 1, may_commit: &|| Ok(()) };
            assert_eq!(run(&Slow, workers, &control).unwrap_err().kind, ErrorKind::Cancelled);
        }
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn a_commit_begins_after_everything_else_and_only_if_it_may() {
        for workers in [1, 3] {
            let work = sums(&[40, 30, 20]);
            let control = Control {
                poll: &|| true,
                commit: 2,
                may_commit: &|| {
                    assert_eq!(work.seen[1].load(Ordering::Relaxed), (0..30).sum::<u64>());
                    Err(Error::state("refused"))
                },
            };
            assert_eq!(run(&work, workers, &control).unwrap_err().kind, ErrorKind::State);
            assert_eq!(work.seen[2].load(Ordering::Relaxed), 0);
            // Nothing asks whether to stop once the commit has begun.
            let control = Control { poll: &|| true, commit: 0, may_commit: &|| Ok(()) };
            run(&Slow, workers, &control).unwrap();
        }
    }
}
