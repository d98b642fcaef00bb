//! What became of a recorded function, as plain Python data.

use crate::passes::Outcome;
use crate::plan::{Explanation, Note, Row, StepRow, Work};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::sync::Arc;

/// A dictionary of lists of dictionaries, whose keys are the names of the fields in [`crate::plan`].
pub fn to_python<'py>(py: Python<'py>, explanation: &Explanation) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    all.set_item("rows", list(py, &explanation.rows, row)?)?;
    all.set_item("steps", list(py, &explanation.steps, step)?)?;
    all.set_item(
        "apart",
        list(py, &explanation.apart, |py, apart| {
            let item = PyDict::new(py);
            item.set_item("first", names(py, &apart.first)?)?;
            item.set_item("second", names(py, &apart.second)?)?;
            item.set_item("gradient", apart.gradient)?;
            item.set_item("why", &apart.why)?;
            Ok(item)
        })?,
    )?;
    all.set_item(
        "passes",
        list(py, &explanation.passes, |py, pass| {
            let item = PyDict::new(py);
            item.set_item("name", pass.name)?;
            item.set_item("does", pass.does)?;
            item.set_item("nodes", pass.nodes)?;
            Ok(item)
        })?,
    )?;
    all.set_item("arena_bytes", explanation.arena_bytes)?;
    all.set_item("once_bytes", explanation.once_bytes)?;
    all.set_item("flops", explanation.flops)?;
    all.set_item("submissions", explanation.submissions)?;
    Ok(all)
}

fn list<'py, T>(
    py: Python<'py>,
    items: &[T],
    convert: impl Fn(Python<'py>, &T) -> PyResult<Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, items.iter().map(|item| convert(py, item)).collect::<PyResult<Vec<_>>>()?)
}

fn names<'py>(py: Python<'py>, names: &[Arc<str>]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, names.iter().map(|name| &**name))
}

fn row<'py>(py: Python<'py>, row: &Row) -> PyResult<Bound<'py, PyDict>> {
    let item = PyDict::new(py);
    item.set_item("origin", &*row.origin)?;
    item.set_item("recorded", &row.recorded)?;
    item.set_item("work", list(py, &row.work, work)?)?;
    item.set_item("views", &row.views)?;
    item.set_item("notes", list(py, &row.notes, note)?)?;
    item.set_item("flops", row.flops)?;
    Ok(item)
}

fn work<'py>(py: Python<'py>, work: &Work) -> PyResult<Bound<'py, PyDict>> {
    let item = PyDict::new(py);
    item.set_item("step", work.step)?;
    item.set_item("role", work.role.name())?;
    item.set_item("gradient", work.gradient)?;
    item.set_item("ops", &work.ops)?;
    item.set_item("flops", work.flops)?;
    item.set_item(
        "stores",
        list(py, &work.stores, |py, stored| {
            let item = PyDict::new(py);
            item.set_item("shape", PyTuple::new(py, stored.shape.iter())?)?;
            item.set_item("dtype", stored.dtype.name())?;
            item.set_item("bytes", stored.bytes)?;
            item.set_item("memory", stored.memory.name())?;
            Ok(item)
        })?,
    )?;
    Ok(item)
}

fn note<'py>(py: Python<'py>, note: &Note) -> PyResult<Bound<'py, PyDict>> {
    let (done, what) = match note.outcome {
        Outcome::Done(what) => (true, what),
        Outcome::Left(why) => (false, why),
    };
    let item = PyDict::new(py);
    item.set_item("pass", note.pass)?;
    item.set_item("op", note.op)?;
    item.set_item("own", note.own)?;
    item.set_item("with", names(py, &note.with)?)?;
    item.set_item("done", done)?;
    item.set_item("what", what)?;
    item.set_item("count", note.count)?;
    Ok(item)
}

fn step<'py>(py: Python<'py>, step: &StepRow) -> PyResult<Bound<'py, PyDict>> {
    let item = PyDict::new(py);
    item.set_item("kernel", step.kernel)?;
    item.set_item("when", step.when.name())?;
    item.set_item("number", step.number)?;
    item.set_item("origins", names(py, &step.origins)?)?;
    item.set_item("flops", step.flops)?;
    item.set_item("read_bytes", step.read_bytes)?;
    item.set_item("chunks", &step.chunks)?;
    item.set_item("packed_bytes", step.packed_bytes)?;
    Ok(item)
}
