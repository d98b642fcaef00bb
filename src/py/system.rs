//! Threads, devices and registries, as Python sees them.

use crate::ops::Op;
use pyo3::prelude::*;

/// Names of all ops that `apply` knows.
#[pyfunction]
fn op_names() -> Vec<&'static str> {
    Op::names()
}

/// Number of plans in the cache of lazily realised expressions.
#[pyfunction]
fn cached_plans() -> usize {
    crate::realise::cached_plans()
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(op_names, m)?)?;
    m.add_function(wrap_pyfunction!(cached_plans, m)?)
}
