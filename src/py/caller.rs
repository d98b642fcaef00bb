//! Which line of the user's Python runs now, and what it makes the engine compile.

use crate::error::{Result, caught};
use crate::graph::Graph;
use crate::lazy::CallSite;
use crate::lazy::fork::Section;
use crate::plan::cache;
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};

/// Frames that are looked at; from more calls deep inside this package nodes have no line.
const MAX_FRAMES: usize = 32;

/// Names what is recorded outside layers after the line that records it, until dropped.
pub fn call_site(py: Python<'_>) -> CallSite {
    CallSite::enter(|| line(py).map(|(file, line)| Arc::from(format!("{file}:{line}"))))
}

/// File name and line of the innermost frame outside this package.
pub fn line(py: Python<'_>) -> Option<(String, i32)> {
    // SAFETY: the interpreter is attached; the frame is borrowed from it, or null when no Python code runs.
    let mut frame = unsafe {
        let frame = pyo3::ffi::PyEval_GetFrame();
        Bound::from_borrowed_ptr_or_opt(py, frame.cast())?
    };
    let own = package(py)?;
    for _ in 0..MAX_FRAMES {
        let code = frame.getattr(intern!(py, "f_code")).ok()?;
        let path = code.getattr(intern!(py, "co_filename")).ok()?.cast_into::<PyString>().ok()?;
        let path = path.to_str().ok()?;
        if !path.starts_with(own) {
            let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
            return Some((name, frame.getattr(intern!(py, "f_lineno")).ok()?.extract().ok()?));
        }
        frame = frame.getattr(intern!(py, "f_back")).ok().filter(|f| !f.is_none())?;
    }
    None
}

/// The folder of the Python package.
fn package(py: Python<'_>) -> Option<&str> {
    static PACKAGE: PyOnceLock<String> = PyOnceLock::new();
    let find = || -> PyResult<String> {
        let file: String = py.import("cnnrs")?.getattr("__file__")?.extract()?;
        Ok(file.strip_suffix("__init__.py").unwrap_or(&file).to_owned())
    };
    PACKAGE.get_or_try_init(py, find).ok().map(String::as_str)
}

/// Plans of one line, after which it is told that it makes many.
const MANY_PLANS: usize = 8;

/// Lines that are counted.
const MAX_LINES: usize = 1024;

/// For each line, how many plans in a row were compiled for the same ops, and the graph of the last.
type Lines = HashMap<(String, i32), (usize, Arc<Graph>)>;

static LINES: Mutex<Option<Lines>> = Mutex::new(None);

/// Plans count from 0 again: what was compiled so far has been dropped.
pub fn forget_lines() {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Does `work` of the engine without the interpreter's lock, where forks wait for its end; a panic becomes an error.
pub fn section<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let _section = Section::enter();
    caught(work)
}

/// Runs `work` without the interpreter. Warns at the ninth plan in a row that one line made of the same ops
/// with other attributes or shapes: replaying is cheap, compiling is not.
pub fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    cache::take_compiled();
    let result = py.detach(|| section(work))?;
    // To compile what only moves elements takes next to no time: `images[i]` in a loop is no reason to warn.
    let Some(graph) = cache::take_compiled().filter(|graph| !graph.only_moves()) else { return Ok(result) };
    let Some((file, number)) = line(py) else { return Ok(result) };
    let mut message = None;
    {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = lines.get_or_insert_default();
        if lines.len() >= MAX_LINES {
            lines.clear();
        }
        let (count, last) = lines.entry((file.clone(), number)).or_insert_with(|| (0, graph.clone()));
        // A line of a helper may ask for many things: only the same one over and over is a pattern. A plan that had been
        // dropped and is made again is none.
        *count = match (last.same_ops(&graph), last.difference(&graph)) {
            (true, Some(_)) => *count + 1,
            (true, None) => *count,
            (false, _) => 1,
        };
        if *count == MANY_PLANS + 1 {
            let difference = last.difference(&graph).unwrap_or_else(|| "nothing".to_owned());
            message = Some(format!(
                "{file}:{number}: {count} plans have been compiled for what this line asks for; the last two differ in \
                 {difference}. Pad to few shapes, and pass what changes as a tensor."
            ));
        }
        *last = graph;
    }
    if let Some(message) = message {
        let message = CString::new(message).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &message, 1)?;
    }
    Ok(result)
}
