//! The extension module `cnnrs._core`: tensors, variables, traced functions, numpy in and out.

mod at_exit;
mod at_fork;
mod augment;
mod caller;
mod convert;
mod dlpack;
mod explain;
mod files;
mod function;
mod hdf5;
mod held;
mod images;
mod indexing;
mod operators;
mod recorded;
mod system;
mod tensor;
mod variable;

use crate::error::{Error, ErrorKind, defect};
use crate::lazy::fork::Section;
use crate::reserve::{self, Reserve};
use pyo3::exceptions::{PyIndexError, PyKeyboardInterrupt, PyMemoryError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use std::cell::RefCell;

pyo3::create_exception!(
    cnnrs._core,
    TracedValueError,
    PyRuntimeError,
    "A value is read while its function is being traced; it exists only when the function runs."
);

pyo3::create_exception!(
    cnnrs._core,
    DeviceLostError,
    PyRuntimeError,
    "A device was lost, and what was in its memory with it. The next use opens the device again."
);

thread_local! {
    /// What a signal handler raised while a run was under way.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

impl From<Error> for PyErr {
    fn from(e: Error) -> Self {
        let message = e.to_string();
        match e.kind {
            ErrorKind::Value => PyValueError::new_err(message),
            ErrorKind::Type => PyTypeError::new_err(message),
            ErrorKind::Memory => PyMemoryError::new_err(message),
            ErrorKind::State => PyRuntimeError::new_err(message),
            ErrorKind::Lost => DeviceLostError::new_err(message),
            ErrorKind::Tracing => TracedValueError::new_err(message),
            ErrorKind::Index => PyIndexError::new_err(message),
            ErrorKind::Cancelled => RAISED.take().unwrap_or_else(|| PyKeyboardInterrupt::new_err(message)),
        }
    }
}

/// The result of `work`, or what it panicked with as an exception of Python's. pyo3 panics where Python has no memory
/// for an object; nothing but the text of that panic says so, and other texts stay exceptions too.
fn caught<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let error = defect(&*panic);
        let no_memory = error.to_string().contains("PyObject pointer is null");
        Err(if no_memory { PyMemoryError::new_err(()) } else { error.into() })
    })
}

/// Asked by runs on the calling thread: has a signal handler raised?
fn poll_signals() -> bool {
    Python::attach(|py| match py.check_signals() {
        Ok(()) => false,
        Err(e) => {
            RAISED.set(Some(e));
            true
        }
    })
}

/// Does `work` without the interpreter's lock, where this thread holds it.
fn detached(work: &mut (dyn FnMut() + Send)) {
    let mut work = || {
        let _section = Section::enter();
        work();
    };
    // While the interpreter shuts down there is no lock to let go of.
    if Python::try_attach(|py| py.detach(&mut work)).is_none() {
        work();
    }
}

/// Small allocations that the system refuses cost one call a `MemoryError`, not the process.
#[global_allocator]
static ALLOCATOR: Reserve = Reserve;

/// The Rust core of cnnrs.
#[pymodule]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    reserve::set_aside();
    crate::lazy::set_host(crate::lazy::Host { poll: poll_signals, detached });
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add("DeviceLostError", m.py().get_type::<DeviceLostError>())?;
    m.add("TracedValueError", m.py().get_type::<TracedValueError>())?;
    tensor::register(m)?;
    variable::register(m)?;
    function::register(m)?;
    augment::register(m)?;
    hdf5::register(m)?;
    files::register(m)?;
    images::register(m)?;
    system::register(m)
}
