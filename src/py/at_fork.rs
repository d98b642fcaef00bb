//! What is done around a fork: see `crate::lazy::fork`.

use crate::lazy::fork;
use pyo3::prelude::*;
use pyo3::types::PyDict;

#[pyfunction]
fn before_fork() {
    fork::before();
}

#[pyfunction]
fn after_fork() {
    fork::after();
}

#[cfg(unix)]
extern "C" fn hold() {
    fork::hold();
}

#[cfg(unix)]
extern "C" fn after() {
    fork::after();
}

/// Has the interpreter and the system call these, where they fork.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let Ok(register) = m.py().import("os")?.getattr("register_at_fork") else { return Ok(()) };
    let hooks = PyDict::new(m.py());
    hooks.set_item("before", wrap_pyfunction!(before_fork, m)?)?;
    let last = wrap_pyfunction!(after_fork, m)?;
    hooks.set_item("after_in_parent", &last)?;
    hooks.set_item("after_in_child", &last)?;
    register.call((), Some(&hooks))?;
    #[cfg(unix)]
    {
        // SAFETY: the functions live as long as this library, which the interpreter never unloads, and do not unwind:
        // what they call takes and drops locks.
        let failed = unsafe { libc::pthread_atfork(Some(hold), Some(after), Some(after)) };
        if failed != 0 {
            return Err(std::io::Error::from_raw_os_error(failed).into());
        }
    }
    Ok(())
}
