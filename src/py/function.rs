//! `_core.Trace` and `_core.CompiledFunction`.

use super::caller::section;
use super::convert;
use super::tensor::PyTensor;
use crate::backend::cpu::chunked::split;
use crate::backend::cpu::pool;
use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::error::{Error, Result, caught};
use crate::function::{CompiledFunction, Trace};
use crate::shape::Fact;
use crate::tensor::Tensor;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a batch that one thread gathers at a time.
const GATHERED: usize = 16 << 10;

/// Context manager in which a function is recorded on placeholders.
#[pyclass(name = "Trace", module = "cnnrs._core", unsendable)]
struct PyTrace {
    trace: RefCell<Option<Trace>>,
}

impl PyTrace {
    fn with<T>(&self, run: impl FnOnce(&Trace) -> Result<T>) -> PyResult<T> {
        match &*self.trace.borrow() {
            Some(trace) => Ok(caught(|| run(trace))?),
            None => Err(PyRuntimeError::new_err("a Trace is used inside its with block only")),
        }
    }
}

#[pymethods]
impl PyTrace {
    #[new]
    fn new() -> Self {
        PyTrace { trace: RefCell::new(None) }
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        if slf.trace.borrow().is_some() {
            return Err(PyRuntimeError::new_err("this Trace is entered already"));
        }
        slf.trace.replace(Some(Trace::enter()));
        Ok(slf)
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, PyTuple>) -> bool {
        let trace = self.trace.take();
        drop(trace);
        false
    }

    /// The next argument of the function.
    #[pyo3(signature = (shape, dtype, name=""))]
    fn placeholder(&self, shape: Vec<usize>, dtype: &str, name: &str) -> PyResult<PyTensor> {
        let fact = Fact::checked(shape.as_slice(), DType::parse(dtype)?)?;
        self.with(|t| Ok(t.placeholder(fact, name).into()))
    }

    /// The function that computes `outputs` and makes the assignments recorded so far. Arguments
    /// are the placeholders in the order in which they were made.
    fn compile(&self, outputs: &Bound<'_, PyAny>) -> PyResult<PyCompiledFunction> {
        let outputs = convert::to_tensors(&convert::items(outputs, Ok)?)?;
        let function = self.with(|t| t.compile(&outputs))?;
        Ok(PyCompiledFunction { function: Arc::new(function) })
    }
}

/// A traced function: one plan, replayed.
#[pyclass(name = "CompiledFunction", module = "cnnrs._core", frozen)]
struct PyCompiledFunction {
    function: Arc<CompiledFunction>,
}

impl PyCompiledFunction {
    /// The arguments of a call as tensors of the recorded element types.
    fn arguments(&self, arguments: &Bound<'_, PyTuple>) -> PyResult<Vec<Tensor>> {
        let facts: Vec<Fact> = self.function.argument_facts().cloned().collect();
        if arguments.len() != facts.len() {
            return Err(PyTypeError::new_err(format!(
                "expected {} arguments, received {}",
                facts.len(),
                arguments.len()
            )));
        }
        arguments
            .iter()
            .zip(&facts)
            .map(|(a, fact)| {
                if a.is_instance_of::<PyTensor>() {
                    convert::to_tensor(&a, Some(fact.dtype))
                } else {
                    Ok(Tensor::from_buffer(convert::to_buffer(&a, Some(fact.dtype))?))
                }
            })
            .collect()
    }
}

#[pymethods]
impl PyCompiledFunction {
    /// Runs the function once: all variables change, or none.
    #[pyo3(signature = (*arguments))]
    fn __call__(&self, py: Python<'_>, arguments: &Bound<'_, PyTuple>) -> PyResult<Vec<PyTensor>> {
        let tensors = self.arguments(arguments)?;
        let function = self.function.clone();
        let values = py.detach(move || section(|| function.call(&tensors)))?;
        Ok(values.into_iter().map(PyTensor::from).collect())
    }

    /// Runs the function `repeats` times and gives a table of its steps, each with its fastest time.
    #[pyo3(signature = (*arguments, repeats=10))]
    fn profile(&self, py: Python<'_>, arguments: &Bound<'_, PyTuple>, repeats: usize) -> PyResult<String> {
        if repeats == 0 {
            return Err(PyValueError::new_err("repeats: expected at least 1, received 0"));
        }
        let tensors = self.arguments(arguments)?;
        let function = self.function.clone();
        let profile = move || -> Result<String> {
            let buffers: Vec<Arc<Buffer>> = tensors.iter().map(Tensor::buffer).collect::<Result<_>>()?;
            let (_, mut fastest) = function.run_profiled(&buffers)?;
            for _ in 1..repeats {
                fastest.keep_fastest(&function.run_profiled(&buffers)?.1);
            }
            Ok(fastest.table())
        };
        Ok(py.detach(|| section(profile))?)
    }

    /// Runs batches `first_batch..last_batch`, each on the rows that `indices` names, until
    /// `max_seconds` have passed. Returns the next batch and the outputs of the last one.
    #[allow(clippy::too_many_arguments, reason = "the arguments of a Python method")]
    fn run_batches(
        &self,
        py: Python<'_>,
        arrays: Vec<Bound<'_, PyAny>>,
        indices: &Bound<'_, PyAny>,
        batch_size: usize,
        first_batch: usize,
        last_batch: usize,
        max_seconds: f64,
    ) -> PyResult<(usize, Vec<PyTensor>)> {
        let indices: Vec<i64> = convert::items(indices, |index| index.extract())?;
        let facts: Vec<Fact> = self.function.argument_facts().cloned().collect();
        if arrays.len() != facts.len() {
            return Err(PyTypeError::new_err(format!("expected {} arrays, received {}", facts.len(), arrays.len())));
        }
        if last_batch.checked_mul(batch_size).is_none_or(|n| n > indices.len()) {
            return Err(PyValueError::new_err(format!(
                "indices: expected {last_batch} batches of {batch_size}, received {}",
                indices.len()
            )));
        }
        let rows: Vec<Rows> =
            arrays.iter().zip(&facts).map(|(a, fact)| Rows::new(a, fact, batch_size)).collect::<PyResult<_>>()?;
        let function = self.function.clone();
        let limit = Duration::try_from_secs_f64(max_seconds).unwrap_or(Duration::MAX);
        let run = move || -> Result<(usize, Vec<Buffer>)> {
            let start = Instant::now();
            let mut staging: Vec<Arc<Buffer>> =
                facts.iter().map(|f| Buffer::zeroed(f.clone()).map(Arc::new)).collect::<Result<_>>()?;
            let mut values = Vec::new();
            let mut batch = first_batch;
            let mut session = function.begin()?;
            while batch < last_batch {
                gather(&rows, &indices[batch * batch_size..(batch + 1) * batch_size], &mut staging)?;
                values = session.run(&staging)?;
                batch += 1;
                if start.elapsed() >= limit {
                    break;
                }
                if session.is_awaited() {
                    session = session.give_way()?;
                }
            }
            Ok((batch, values))
        };
        let (next, values) = py.detach(|| section(run))?;
        Ok((next, values.into_iter().map(|v| Tensor::from_buffer(v).into()).collect()))
    }

    /// Bytes that one run holds besides arguments, outputs and variables.
    #[getter]
    fn peak_bytes(&self) -> usize {
        self.function.plan().peak_bytes()
    }

    /// Floating-point operations of one run.
    #[getter]
    fn flops(&self) -> u64 {
        self.function.plan().flops()
    }

    /// What became of what was recorded, layer by layer.
    fn explain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let function = self.function.clone();
        let explanation = py.detach(move || section(|| function.explain()))?;
        super::explain::to_python(py, &explanation)
    }

    /// The plan's steps as text.
    fn describe(&self) -> String {
        self.function.plan().describe()
    }
}

/// A contiguous array whose rows are gathered into batches, converted on the way.
struct Rows {
    // Keeps the memory alive that `data` points to.
    _array: Py<PyAny>,
    data: *const u8,
    kind: Source,
    count: usize,
    /// Elements of one row.
    len: usize,
}

// SAFETY: the array is only read, and kept alive by the reference beside the pointer.
unsafe impl Send for Rows {}
// SAFETY: as above.
unsafe impl Sync for Rows {}

#[derive(Clone, Copy, PartialEq)]
enum Source {
    F32,
    F64,
    I32,
    I64,
    U8,
    Bool,
}

impl Rows {
    fn new(array: &Bound<'_, PyAny>, fact: &Fact, batch_size: usize) -> PyResult<Self> {
        let numpy = array.py().import("numpy")?;
        let mut array = numpy.call_method1("ascontiguousarray", (array,))?;
        let name: String = array.getattr("dtype")?.getattr("name")?.extract()?;
        let kind = match name.as_str() {
            "float32" => Source::F32,
            "float64" => Source::F64,
            "int32" => Source::I32,
            "int64" => Source::I64,
            "uint8" => Source::U8,
            "bool" => Source::Bool,
            _ => {
                array = array.call_method1("astype", (if name.starts_with("float") { "float64" } else { "int64" },))?;
                if name.starts_with("float") { Source::F64 } else { Source::I64 }
            }
        };
        let shape: Vec<usize> = array.getattr("shape")?.extract()?;
        let row_len: usize = shape.iter().skip(1).product();
        if fact.shape.first() != Some(&batch_size) || row_len * batch_size != fact.shape.len() || shape.is_empty() {
            return Err(PyValueError::new_err(format!(
                "array: expected rows for {} of {batch_size}, received shape {shape:?}",
                fact
            )));
        }
        let data: usize = array.getattr("ctypes")?.getattr("data")?.extract()?;
        Ok(Rows { _array: array.unbind(), data: data as *const u8, kind, count: shape[0], len: row_len })
    }

    /// Writes the array's row `picked` to row `i` of the batch at `into`.
    ///
    /// # Safety
    /// `into` is a batch of the fact that was checked against the array's rows, and has a row `i`, which nobody else
    /// writes.
    unsafe fn copy_row(&self, picked: i64, i: usize, into: Batch) -> Result<()> {
        let row = usize::try_from(picked)
            .ok()
            .filter(|&r| r < self.count)
            .ok_or_else(|| Error::value(format!("indices: expected rows of 0..{}, received {picked}", self.count)))?;
        // SAFETY: `row` is one of the array's rows; the caller's contract.
        unsafe {
            match (self.kind, into.dtype) {
                (Source::F32, DType::F32) | (Source::I32, DType::I32) => {
                    let from = self.data.cast::<u32>().add(row * self.len);
                    into.data.cast::<u32>().add(i * self.len).copy_from_nonoverlapping(from, self.len);
                }
                (Source::U8 | Source::Bool, DType::U8) | (Source::Bool, DType::Bool) => {
                    let from = self.data.add(row * self.len);
                    into.data.add(i * self.len).copy_from_nonoverlapping(from, self.len);
                }
                _ => self.convert_row(row, i, into)?,
            }
        }
        Ok(())
    }

    /// # Safety
    /// As the caller's: `row` and `i` lie within the array and the batch.
    unsafe fn convert_row(&self, row: usize, i: usize, into: Batch) -> Result<()> {
        for k in 0..self.len {
            let at = row * self.len + k;
            // SAFETY: `at` is an element of the array.
            let value: f64 = unsafe {
                match self.kind {
                    Source::F32 => f64::from(*self.data.cast::<f32>().add(at)),
                    Source::F64 => *self.data.cast::<f64>().add(at),
                    Source::I32 => f64::from(*self.data.cast::<i32>().add(at)),
                    Source::I64 => *self.data.cast::<i64>().add(at) as f64,
                    Source::U8 | Source::Bool => f64::from(*self.data.add(at)),
                }
            };
            let to = i * self.len + k;
            // SAFETY: `to` is an element of the batch.
            unsafe {
                match into.dtype {
                    DType::F32 => *into.data.cast::<f32>().add(to) = value as f32,
                    DType::I32 => {
                        if value < f64::from(i32::MIN) || value > f64::from(i32::MAX) {
                            return Err(Error::value(format!(
                                "row {row}: expected a value within int32, received {value}"
                            )));
                        }
                        *into.data.cast::<i32>().add(to) = value as i32;
                    }
                    DType::U8 => *into.data.add(to) = value as u8,
                    DType::Bool => *into.data.add(to) = u8::from(value != 0.0),
                }
            }
        }
        Ok(())
    }
}

/// A batch that threads write row by row.
#[derive(Clone, Copy)]
struct Batch {
    data: *mut u8,
    dtype: DType,
}

// SAFETY: threads write different rows.
unsafe impl Send for Batch {}
// SAFETY: as above.
unsafe impl Sync for Batch {}

/// Writes the rows `picked` of each array to its batch, several threads at once: each then has in its cache what
/// it works on first.
fn gather(arrays: &[Rows], picked: &[i64], batches: &mut [Arc<Buffer>]) -> Result<()> {
    let mut bytes = 1;
    let mut targets = Vec::with_capacity(batches.len());
    for buffer in batches {
        if Arc::get_mut(buffer).is_none() {
            *buffer = Arc::new(Buffer::zeroed(buffer.fact().clone())?);
        }
        let buffer = Arc::get_mut(buffer).ok_or_else(|| Error::state("a fresh buffer is shared"))?;
        bytes += buffer.fact().bytes();
        targets.push(Batch { data: buffer.as_mut_ptr(), dtype: buffer.fact().dtype });
    }
    let failed = Mutex::new(None);
    let chunks = bytes.div_ceil(GATHERED).clamp(1, picked.len().max(1));
    pool::each(chunks, &|chunk| {
        for i in split(picked.len(), chunks, chunk) {
            for (rows, &batch) in arrays.iter().zip(&targets) {
                // SAFETY: the batches' facts were checked against the arrays; each row is one chunk's.
                if let Err(e) = unsafe { rows.copy_row(picked[i], i, batch) } {
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    if failed.as_ref().is_none_or(|(first, _)| i < *first) {
                        *failed = Some((i, e));
                    }
                    return;
                }
            }
        }
    })?;
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, e)) => Err(e),
        None => Ok(()),
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyTrace>()?;
    m.add_class::<PyCompiledFunction>()
}
