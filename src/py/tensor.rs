//! `_core.Tensor` and the functions that make tensors.

use super::held::Held;
use super::operators::{self, with_operators};
use super::variable::PyVariable;
use super::{caller, caught, convert, indexing};
use crate::dtype::DType;
use crate::error::Error;
use crate::lazy::{LayerScope, NoGrad, Tensor};
use crate::shape::Fact;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyBufferError, PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::cell::RefCell;

/// A lazy tensor: recorded when made, computed when read.
#[pyclass(name = "Tensor", module = "cnnrs._core", frozen, weakref, dict, subclass)]
pub struct PyTensor {
    pub tensor: Held<Tensor>,
}

impl From<Tensor> for PyTensor {
    fn from(tensor: Tensor) -> Self {
        PyTensor { tensor: tensor.into() }
    }
}

impl PyTensor {
    fn fact(&self) -> &Fact {
        self.tensor.fact()
    }

    /// The element type that ops find.
    fn read_type(&self) -> DType {
        self.fact().dtype
    }
}

#[allow(clippy::unnecessary_wraps, reason = "variables' own tensors may be missing")]
fn own(t: &PyTensor) -> PyResult<Tensor> {
    Ok(t.tensor.clone())
}

with_operators!(PyTensor, own, {
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if other.is_none() {
            return Ok(other.py().NotImplemented());
        }
        operators::binary("equal", &self.tensor, other, false)
    }

    fn __ne__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if other.is_none() {
            return Ok(other.py().NotImplemented());
        }
        operators::binary("not_equal", &self.tensor, other, false)
    }

    fn __hash__(&self) -> usize {
        std::sync::Arc::as_ptr(&self.tensor.node) as usize
    }

    /// Shape, dtype and numbers, which are computed if need be; in a function that is being traced there are none.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fact = self.fact();
        Ok(format!("<Tensor shape={} dtype={}{}>", fact.shape, fact.dtype, numbers(py, &self.tensor)?))
    }

    /// The same value at home on another device; gradients flow through.
    fn to(&self, py: Python<'_>, device: &str) -> PyResult<PyTensor> {
        let (tensor, device) = (self.tensor.clone(), device.to_owned());
        Ok(caller::run(py, move || tensor.to(&device))?.into())
    }

    /// Whether the value has been computed.
    #[getter]
    fn is_realised(&self) -> bool {
        self.tensor.is_realised()
    }

    /// Whether gradients are taken with respect to the tensor or flow through it.
    #[getter]
    fn requires_grad(&self) -> bool {
        self.tensor.requires_grad()
    }

    #[setter]
    fn set_requires_grad(&self, on: bool) -> PyResult<()> {
        Ok(self.tensor.set_requires_grad(on)?)
    }

    /// The gradient that backward() left here, or None.
    #[getter]
    fn grad(&self) -> Option<PyTensor> {
        self.tensor.grad().map(PyTensor::from)
    }

    #[setter]
    fn set_grad(&self, grad: Option<&Bound<'_, PyTensor>>) {
        self.tensor.set_grad(grad.map(|g| g.get().tensor.clone()));
    }

    /// Adds the gradients of this scalar to `grad` of all that it depends on and that asks for them.
    #[pyo3(signature = (gradient=None))]
    fn backward(&self, gradient: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let seed = gradient.map(|g| convert::to_tensor(g, Some(self.fact().dtype))).transpose()?;
        Ok(self.tensor.backward(seed.as_ref())?)
    }

    /// The same value, through which no gradient flows.
    fn detach(&self) -> PyResult<PyTensor> {
        Ok(self.tensor.detach()?.into())
    }

    /// Computes the value; returns the tensor.
    fn realise<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let tensor = slf.get().tensor.clone();
        caller::run(slf.py(), move || tensor.realise())?;
        Ok(slf)
    }

    /// The same values under another dtype.
    fn astype(&self, dtype: &Bound<'_, PyAny>) -> PyResult<PyTensor> {
        let name: String = match dtype.extract() {
            Ok(name) => name,
            Err(_) => dtype.py().import("numpy")?.call_method1("dtype", (dtype,))?.getattr("name")?.extract()?,
        };
        Ok(self.tensor.cast(DType::parse(&name)?)?.into())
    }

    /// The only element, as a Python number.
    fn item<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_plain_array(py, &self.tensor)?.call_method0("item")
    }

    /// The elements as nested lists.
    fn tolist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_plain_array(py, &self.tensor)?.call_method0("tolist")
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let rows = (0..length(&self.tensor)?)
            .map(|i| indexing::take(&self.tensor, 0, i as i64))
            .collect::<PyResult<Vec<_>>>()?;
        let rows: Vec<PyTensor> = rows.into_iter().map(PyTensor::from).collect();
        pyo3::types::PyList::new(py, rows.into_iter().map(|r| Py::new(py, r)).collect::<PyResult<Vec<_>>>()?)?
            .call_method0("__iter__")
    }
});

/// The value as a numpy array.
pub fn to_array<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let held = tensor.clone();
    let buffer = caller::run(py, move || held.buffer())?;
    convert::to_numpy(py, &buffer)
}

/// The value as numpy's own functions give it: an array, or a scalar where there are no axes.
pub fn to_array_or_scalar<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let array = to_array(py, tensor)?;
    if tensor.fact().shape.rank() == 0 { array.get_item(PyTuple::empty(py)) } else { Ok(array) }
}

/// The value as an array of Python's own numbers.
fn to_plain_array<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let held = tensor.clone();
    let buffer = caller::run(py, move || held.buffer())?;
    convert::to_plain_numpy(py, &buffer)
}

/// The numbers on lines of their own; nothing where the tensor has none yet, for its function is being traced.
pub fn numbers(py: Python<'_>, tensor: &Tensor) -> PyResult<String> {
    let array = match to_plain_array(py, tensor) {
        Err(e) if e.is_instance_of::<super::TracedValueError>(py) => return Ok(String::new()),
        array => array?,
    };
    let text: String = py.import("numpy")?.call_method1("array2string", (array,))?.extract()?;
    Ok(format!("\n{text}"))
}

/// `__array__`.
pub fn array<'py>(
    py: Python<'py>,
    tensor: &Tensor,
    dtype: Option<&Bound<'py, PyAny>>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    if copy == Some(false) {
        return Err(pyo3::exceptions::PyValueError::new_err("a tensor is always copied into a numpy array"));
    }
    let array = to_array(py, tensor)?;
    match dtype {
        Some(dtype) if !dtype.is_none() => array.call_method1("astype", (dtype,)),
        _ => Ok(array),
    }
}

/// The host's memory.
const HOST: &str = "cpu:0";

/// `__dlpack_device__`: the kind of device and its number, as DLPack counts them (1 the host's memory, 7 Vulkan's).
pub fn dlpack_device(tensor: &Tensor) -> PyResult<(i32, i32)> {
    Ok(if tensor.device()? == HOST { (1, 0) } else { (7, 0) })
}

/// `__dlpack__`: the capsule of a numpy array that holds a copy, with numpy's options.
pub fn dlpack<'py>(
    py: Python<'py>,
    tensor: &Tensor,
    options: Option<&Bound<'py, pyo3::types::PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let device = tensor.device()?;
    if device != HOST {
        return Err(PyBufferError::new_err(format!(
            "the tensor is on device \"{device}\", whose memory other libraries can't read: export a copy by \
             .to(\"cpu\"), or use .numpy()"
        )));
    }
    if tensor.fact().dtype != DType::BF16 {
        return to_array(py, tensor)?.call_method("__dlpack__", (), options);
    }
    let held = tensor.clone();
    let buffer = caller::run(py, move || held.buffer())?;
    // numpy exports no bfloat16: it exports words, which are then called what they are.
    let capsule = convert::words_of(py, &buffer)?.call_method("__dlpack__", (), options)?;
    super::dlpack::call_bfloat16(&capsule)?;
    Ok(capsule)
}

/// The only element as f64.
pub fn item(py: Python<'_>, tensor: &Tensor) -> PyResult<f64> {
    Ok(only(py, tensor)?.number(0))
}

/// The only element as a whole number, floats truncated.
pub fn whole<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    match tensor.fact().dtype.is_integer() {
        true => only(py, tensor)?.integer(0).into_bound_py_any(py),
        false => item(py, tensor)?.into_pyobject(py)?.call_method0("__int__"),
    }
}

/// The value of a tensor of one element.
fn only(py: Python<'_>, tensor: &Tensor) -> PyResult<crate::value::HostValue> {
    let shape = &tensor.fact().shape;
    if shape.len() != 1 {
        return Err(PyTypeError::new_err(format!("expected a tensor of one element, received shape {shape}")));
    }
    let held = tensor.clone();
    caller::run(py, move || held.buffer())
}

/// The only element of an integer tensor.
pub fn integer(py: Python<'_>, tensor: &Tensor) -> PyResult<i64> {
    if tensor.fact().dtype.is_float() {
        return Err(PyTypeError::new_err(format!("expected an integer tensor, received {}", tensor.fact())));
    }
    let value = only(py, tensor)?.integer(0);
    i64::try_from(value)
        .map_err(|_| PyOverflowError::new_err(format!("expected a number within int64, received {value}")))
}

/// `format(tensor, spec)`: of the element if there is one, else of the text.
pub fn format<'py>(py: Python<'py>, tensor: &Tensor, spec: &str) -> PyResult<Bound<'py, PyAny>> {
    let array = to_plain_array(py, tensor)?;
    let value = if tensor.fact().shape.len() == 1 { array.call_method0("item")? } else { array };
    py.import("builtins")?.call_method1("format", (value, spec))
}

/// Extent of axis 0.
pub fn length(tensor: &Tensor) -> PyResult<usize> {
    tensor.fact().shape.first().copied().ok_or_else(|| PyTypeError::new_err("len() of a scalar tensor"))
}

/// Records op `op` on `inputs` with `attributes`.
#[pyfunction]
#[pyo3(signature = (op, inputs, attributes=None, name=None))]
fn apply(
    op: &str,
    inputs: &Bound<'_, PyAny>,
    attributes: Option<&Bound<'_, PyDict>>,
    name: Option<&str>,
) -> PyResult<PyTensor> {
    caught(|| {
        let inputs = convert::items(inputs, Ok)?;
        let _scope = name.map(LayerScope::enter);
        let _site = inputs.first().map(|i| caller::call_site(i.py()));
        let inputs = convert::to_tensors(&inputs)?;
        let attributes = convert::to_attributes(attributes)?;
        Ok(Tensor::apply_named(op, &inputs, attributes)?.into())
    })
}

/// A tensor holding a copy of `data`.
#[pyfunction]
#[pyo3(signature = (data, dtype=None))]
fn tensor(data: &Bound<'_, PyAny>, dtype: Option<&str>) -> PyResult<PyTensor> {
    let dtype = dtype.map(DType::parse).transpose()?;
    if data.is_instance_of::<PyTensor>() || data.is_instance_of::<PyVariable>() {
        let tensor = convert::to_tensor(data, None)?;
        return Ok(dtype.map_or(Ok(tensor.clone()), |d| tensor.cast(d))?.into());
    }
    Ok(Tensor::from_buffer(convert::to_buffer(data, dtype)?).into())
}

/// A float tensor as a layer that computes in `dtype` takes it or gives it: what rounds it may be left out where the value
/// passes on to another op.
#[pyfunction]
fn autocast(x: &Bound<'_, PyAny>, dtype: &str) -> PyResult<PyTensor> {
    let dtype = DType::parse(dtype)?;
    caught(|| Ok(convert::to_tensor(x, None)?.cast_loosely(dtype)?.into()))
}

/// Records the gradients of `root` with respect to tensors and variables.
#[pyfunction]
#[pyo3(signature = (root, wrt, seed=None))]
fn gradients(
    root: &Bound<'_, PyAny>,
    wrt: &Bound<'_, PyAny>,
    seed: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<Option<PyTensor>>> {
    let wrt: Vec<Bound<'_, PyAny>> = convert::items(wrt, Ok)?;
    let root = convert::to_tensor(root, None)?;
    let seed = seed.map(|s| convert::to_tensor(s, Some(root.fact().dtype))).transpose()?;
    let mut nodes: Vec<Tensor> = Vec::new();
    let mut counts = Vec::with_capacity(wrt.len());
    for w in &wrt {
        let before = nodes.len();
        match w.cast::<PyVariable>() {
            Ok(v) => nodes.extend(v.get().variable.gradient_nodes(&root)?),
            Err(_) => nodes.push(convert::to_tensor(w, None)?),
        }
        counts.push(nodes.len() - before);
    }
    let mut grads = caught(|| Ok(root.gradients(&nodes, seed.as_ref())?))?.into_iter();
    counts
        .into_iter()
        .map(|count| {
            let parts: Vec<Tensor> = grads.by_ref().take(count).flatten().collect();
            let sum = parts.into_iter().map(Ok).reduce(|a, b| a?.apply_binary("add", &b?));
            Ok(sum.transpose().map_err(|e: Error| PyErr::from(e))?.map(PyTensor::from))
        })
        .collect()
}

/// Computes tensors in one run.
#[pyfunction]
fn realise(py: Python<'_>, tensors: &Bound<'_, PyAny>) -> PyResult<()> {
    let tensors = convert::to_tensors(&convert::items(tensors, Ok)?)?;
    caller::run(py, move || crate::lazy::realise(&tensors))
}

/// Context manager under which no gradient is tracked.
#[pyclass(name = "no_grad", module = "cnnrs._core", unsendable)]
struct PyNoGrad {
    entered: RefCell<Vec<NoGrad>>,
}

#[pymethods]
impl PyNoGrad {
    #[new]
    fn new() -> Self {
        PyNoGrad { entered: RefCell::default() }
    }

    fn __enter__(&self) {
        self.entered.borrow_mut().push(NoGrad::enter());
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, PyTuple>) -> bool {
        self.entered.borrow_mut().pop();
        false
    }
}

/// Context manager that names the layer under which ops are recorded, and says in which type it reads float variables.
#[pyclass(name = "layer_scope", module = "cnnrs._core", unsendable)]
struct PyLayerScope {
    name: String,
    autocast: Option<DType>,
    entered: RefCell<Vec<LayerScope>>,
}

#[pymethods]
impl PyLayerScope {
    #[new]
    #[pyo3(signature = (name, autocast=None))]
    fn new(name: String, autocast: Option<&str>) -> PyResult<Self> {
        let autocast = autocast.map(DType::parse).transpose()?;
        Ok(PyLayerScope { name, autocast, entered: RefCell::default() })
    }

    fn __enter__(&self) {
        self.entered.borrow_mut().push(LayerScope::enter_as(&self.name, self.autocast));
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, PyTuple>) -> bool {
        self.entered.borrow_mut().pop();
        false
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyTensor>()?;
    m.add_class::<PyNoGrad>()?;
    m.add_class::<PyLayerScope>()?;
    m.add_function(wrap_pyfunction!(apply, m)?)?;
    m.add_function(wrap_pyfunction!(autocast, m)?)?;
    m.add_function(wrap_pyfunction!(tensor, m)?)?;
    m.add_function(wrap_pyfunction!(gradients, m)?)?;
    m.add_function(wrap_pyfunction!(realise, m)?)
}
