//! What is done before the interpreter ends.

use crate::backend;
use pyo3::prelude::*;

/// An interrupt may have left a device at work, whose driver the system takes down when the process ends.
#[pyfunction]
fn settle(py: Python<'_>) {
    py.detach(backend::settle);
}

/// Has the interpreter call this.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.py().import("atexit")?.call_method1("register", (wrap_pyfunction!(settle, m)?,)).map(drop)
}
