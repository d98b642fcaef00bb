//! What is done between the end of the interpreter and that of the process.
//!
//! `exit` runs the destructors of all libraries while their threads go on. lavapipe's own thread compiles a
//! kernel by LLVM when it first runs it. LLVM's tables are destroyed by `exit`: the thread then reads freed
//! memory, and a signal ends the process. An interrupt leaves such work under way, and so do values that nobody
//! looks at and daemon threads.

use crate::backend;
use pyo3::ffi;

/// Asks nothing of the interpreter. Signals have the system's own handlers again, so that Ctrl-C ends the wait
/// and the process at once, without destructors.
extern "C" fn settle() {
    backend::settle();
}

/// Has the interpreter call this last: behind all functions of `atexit`, which may use a device, and when no
/// thread can run Python any more.
pub fn register() {
    // SAFETY: the function lives as long as this library, which the interpreter never unloads.
    let status = unsafe { ffi::Py_AtExit(Some(settle)) };
    // The interpreter has room for 32 such functions. Without it, all is as before but for the wait.
    debug_assert_eq!(status, 0);
}
