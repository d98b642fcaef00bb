//! `_core.Trace` and `_core.CompiledFunction`.

use super::caller::section;
use super::convert::{self, Array};
use super::tensor::PyTensor;
use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::error::{Result, caught};
use crate::lazy::{CompiledFunction, Rows, Tensor, Trace};
use crate::shape::Fact;
use crate::value::Value;
use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

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

    /// The place of a tensor among the placeholders; `None` for one that is computed.
    fn place_of(&self, tensor: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let tensor = convert::to_tensor(tensor, None)?;
        self.with(|t| Ok(t.place_of(&tensor)))
    }

    /// The function that computes `outputs` and makes the assignments recorded so far. Arguments
    /// are the placeholders in the order in which they were made.
    fn compile(&self, outputs: &Bound<'_, PyAny>) -> PyResult<PyCompiledFunction> {
        let outputs = convert::to_tensors(&convert::items(outputs, Ok)?)?;
        let function = self.with(|t| t.compile(&outputs))?;
        Ok(PyCompiledFunction { function: Arc::new(function) })
    }

    /// As `compile`, with those placeholders alone as arguments that are read; the second result says which.
    fn compile_part(&self, outputs: &Bound<'_, PyAny>) -> PyResult<(PyCompiledFunction, Vec<usize>)> {
        let outputs = convert::to_tensors(&convert::items(outputs, Ok)?)?;
        let (function, used) = self.with(|t| t.compile_part(&outputs))?;
        Ok((PyCompiledFunction { function: Arc::new(function) }, used))
    }
}

/// A traced function: one plan, replayed.
#[pyclass(name = "CompiledFunction", module = "cnnrs._core", frozen)]
struct PyCompiledFunction {
    function: Arc<CompiledFunction>,
}

impl PyCompiledFunction {
    /// The arguments as tensors of the recorded element types.
    fn arguments(&self, arguments: &Bound<'_, PyTuple>) -> PyResult<Vec<Tensor>> {
        self.arguments_by(arguments, |array, dtype| convert::to_buffer(array, Some(dtype)))
    }

    /// The same, with `buffer` for what is no tensor.
    fn arguments_by(
        &self,
        arguments: &Bound<'_, PyTuple>,
        buffer: impl Fn(&Bound<'_, PyAny>, DType) -> PyResult<Buffer>,
    ) -> PyResult<Vec<Tensor>> {
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
                    Ok(Tensor::from_buffer(buffer(&a, fact.dtype)?))
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
        let tensors = match self.function.runs_on_host() {
            true => self.arguments_by(arguments, convert::for_one_run)?,
            false => self.arguments(arguments)?,
        };
        let function = self.function.clone();
        let values = py.detach(|| section(|| function.call(&tensors)))?;
        // Arrays are given back under the interpreter's lock.
        drop(tensors);
        Ok(values.into_iter().map(PyTensor::from).collect())
    }

    /// Records the function as a node for each output, as if its Python ran; gradients flow through.
    #[pyo3(signature = (*arguments))]
    fn record(&self, arguments: &Bound<'_, PyTuple>) -> PyResult<Vec<PyTensor>> {
        let tensors = self.arguments(arguments)?;
        let outputs = caught(|| self.function.record(&tensors))?;
        Ok(outputs.into_iter().map(PyTensor::from).collect())
    }

    /// Whether the function assigns no variable, so that it can be recorded.
    #[getter]
    fn is_pure(&self) -> bool {
        self.function.is_pure()
    }

    /// Runs the function `repeats` times and gives its steps, each with its fastest time, as a table and as JSON.
    #[pyo3(signature = (*arguments, repeats=10))]
    fn profile(&self, py: Python<'_>, arguments: &Bound<'_, PyTuple>, repeats: usize) -> PyResult<(String, String)> {
        if repeats == 0 {
            return Err(PyValueError::new_err("repeats: expected at least 1, received 0"));
        }
        let tensors = self.arguments(arguments)?;
        let function = self.function.clone();
        let profile = move || -> Result<(String, String)> {
            let values: Vec<Arc<Value>> = tensors.iter().map(Tensor::value).collect::<Result<_>>()?;
            let (_, mut fastest) = function.run_profiled(&values)?;
            for _ in 1..repeats {
                fastest.keep_fastest(&function.run_profiled(&values)?.1);
            }
            Ok((fastest.table(), fastest.json()))
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
        let listed;
        let array = convert::plain::<i64>(indices).filter(|array| array.ndim() == 1);
        let indices = match &array {
            Some(array) => convert::elements(array)?,
            None => {
                listed = convert::items(indices, |index| index.extract())?;
                &listed[..]
            }
        };
        let arrays: Vec<Array> = arrays.iter().map(Array::borrow).collect::<PyResult<_>>()?;
        let rows: Vec<Rows> = arrays.iter().map(Array::rows).collect::<PyResult<_>>()?;
        let function = &*self.function;
        let limit = Duration::try_from_secs_f64(max_seconds).unwrap_or(Duration::MAX);
        let run = || function.run_batches(&rows, indices, batch_size, first_batch..last_batch, limit);
        let (next, values) = py.detach(|| section(run))?;
        Ok((next, values.into_iter().map(|v| Tensor::from_value(v).into()).collect()))
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

    /// The operations that were recorded: a list of dictionaries, in the order in which they can run, and the numbers
    /// of those that make the outputs.
    fn recorded<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, Vec<usize>)> {
        super::recorded::to_python(py, &self.function)
    }

    /// The plan's steps as text.
    fn describe(&self) -> String {
        self.function.plan().describe()
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyTrace>()?;
    m.add_class::<PyCompiledFunction>()
}
