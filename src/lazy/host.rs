//! The interpreter that calls the engine: asked whether runs should stop, and kept from waiting for them.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What the engine asks of the interpreter that calls it.
#[derive(Clone, Copy)]
pub struct Host {
    /// Asked by runs, on the calling thread: should they stop (Ctrl-C)? Takes the interpreter's lock.
    pub poll: fn() -> bool,
    /// Does work without the interpreter's lock, which the calling thread may hold.
    pub detached: fn(&mut (dyn FnMut() + Send)),
}

static HOST: OnceLock<Host> = OnceLock::new();

/// Installs the interpreter, for the whole process.
pub fn set_host(host: Host) {
    let _ = HOST.set(host);
}

/// How often a thread asks the interpreter at most: short runs in a row would spend their time waiting for its lock.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Whether the caller wants the run to stop (Ctrl-C), as far as was heard at most 10 ms ago.
pub(super) fn poll() -> bool {
    thread_local! {
        static ASKED: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let Some(host) = HOST.get() else { return false };
    let now = Instant::now();
    if ASKED.get().is_some_and(|asked| now.duration_since(asked) < ASK_EVERY) {
        return false;
    }
    ASKED.set(Some(now));
    (host.poll)()
}

/// Does `work`, which may wait for other threads, without the interpreter's lock.
pub(super) fn detached(work: &mut (dyn FnMut() + Send)) {
    match HOST.get() {
        Some(host) => (host.detached)(work),
        None => work(),
    }
}
