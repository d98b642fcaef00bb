//! Python's operators, shared by tensors and variables.

use super::tensor::PyTensor;
use super::variable::PyVariable;
use super::{caller, caught, convert};
use crate::dtype::DType;
use crate::lazy::Tensor;
use crate::ops::Attributes;
use numpy::PyUntypedArray;
use pyo3::prelude::*;

/// `left op right`, or Python's `NotImplemented` when `right` is nothing that cnnrs knows.
pub fn binary(name: &str, own: &Tensor, other: &Bound<'_, PyAny>, reflected: bool) -> PyResult<Py<PyAny>> {
    caught(|| recorded(name, own, other, reflected))
}

fn recorded(name: &str, own: &Tensor, other: &Bound<'_, PyAny>, reflected: bool) -> PyResult<Py<PyAny>> {
    let py = other.py();
    let _site = caller::call_site(py);
    let other = match convert::to_tensor(other, Some(own.fact().dtype)) {
        Ok(tensor) => narrowed(tensor, other, own.fact().dtype)?,
        Err(e) if e.is_instance_of::<pyo3::exceptions::PyTypeError>(py) => return Ok(py.NotImplemented()),
        Err(e) => return Err(e),
    };
    let inputs = if reflected { [other, own.clone()] } else { [own.clone(), other] };
    let [a, b] = [&inputs[0], &inputs[1]].map(|t| t.fact().dtype);
    if name.starts_with("bit_") && (a.is_float() || b.is_float()) {
        return Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "& | ^: expected integers or bool, received {a} and {b}"
        )));
    }
    let result = Tensor::apply_named(name, &inputs, Attributes::default())?;
    Ok(Py::new(py, PyTensor::from(result))?.into_any())
}

/// An operand as it is, but an array of float64 in the float type of the tensor beside it: numpy makes float64 of all that
/// has a fraction, and `x - np.array([103.9, 116.8, 123.7])` asks for no more digits than `x` has.
fn narrowed(tensor: Tensor, given: &Bound<'_, PyAny>, beside: DType) -> PyResult<Tensor> {
    if tensor.fact().dtype != DType::F64 || beside == DType::F64 || given.cast::<PyUntypedArray>().is_err() {
        return Ok(tensor);
    }
    Ok(tensor.cast(if beside.is_float() { beside } else { DType::F32 })?)
}

/// What `&`, `|` and `^` are.
pub trait Logic {
    /// Their ops.
    const AND_OR_XOR: [&'static str; 3];
}

/// Of tensors they combine bits, as numpy's do: those of booleans are their truth.
impl Logic for PyTensor {
    const AND_OR_XOR: [&'static str; 3] = ["bit_and", "bit_or", "bit_xor"];
}

/// Of variables they ask whether elements differ from 0, as Keras's do.
impl Logic for PyVariable {
    const AND_OR_XOR: [&'static str; 3] = ["logical_and", "logical_or", "logical_xor"];
}

/// `~own`: the other truth, or all bits of integers.
pub fn invert(py: Python<'_>, own: &Tensor) -> PyResult<PyTensor> {
    let dtype = own.fact().dtype;
    match dtype.is_integer() {
        true => caught(|| Ok(own.apply_binary("bit_xor", &Tensor::integer(-1, dtype)?)?.into())),
        false => unary(py, "logical_not", own),
    }
}

/// `op own`.
pub fn unary(py: Python<'_>, name: &str, own: &Tensor) -> PyResult<PyTensor> {
    caught(|| {
        let _site = caller::call_site(py);
        Ok(Tensor::apply_named(name, std::slice::from_ref(own), Attributes::default())?.into())
    })
}

/// One `#[pymethods]` block: Python's operators on `$tensor(self)`, then the methods given.
macro_rules! with_operators {
    ($ty:ty, $tensor:expr, { $($methods:tt)* }) => {
        #[pyo3::pymethods]
        impl $ty {
            /// `array + x` asks `x` first; `np.add(array, x)` and functions of one argument read its value.
            #[classattr]
            #[pyo3(name = "__array_priority__")]
            fn array_priority() -> f64 {
                1000.0
            }
            fn __add__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("add", &$tensor(self)?, other, false)
            }
            fn __radd__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("add", &$tensor(self)?, other, true)
            }
            fn __sub__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("sub", &$tensor(self)?, other, false)
            }
            fn __rsub__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("sub", &$tensor(self)?, other, true)
            }
            fn __mul__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("mul", &$tensor(self)?, other, false)
            }
            fn __rmul__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("mul", &$tensor(self)?, other, true)
            }
            fn __truediv__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("div", &$tensor(self)?, other, false)
            }
            fn __rtruediv__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("div", &$tensor(self)?, other, true)
            }
            fn __floordiv__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("floor_div", &$tensor(self)?, other, false)
            }
            fn __rfloordiv__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("floor_div", &$tensor(self)?, other, true)
            }
            fn __mod__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("mod", &$tensor(self)?, other, false)
            }
            fn __rmod__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("mod", &$tensor(self)?, other, true)
            }
            fn __pow__(&self, other: &Bound<'_, PyAny>, _modulo: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
                operators::binary("pow", &$tensor(self)?, other, false)
            }
            fn __rpow__(&self, other: &Bound<'_, PyAny>, _modulo: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
                operators::binary("pow", &$tensor(self)?, other, true)
            }
            fn __matmul__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("matmul", &$tensor(self)?, other, false)
            }
            fn __rmatmul__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("matmul", &$tensor(self)?, other, true)
            }
            fn __and__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary(<$ty as operators::Logic>::AND_OR_XOR[0], &$tensor(self)?, other, false)
            }
            fn __or__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary(<$ty as operators::Logic>::AND_OR_XOR[1], &$tensor(self)?, other, false)
            }
            fn __xor__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary(<$ty as operators::Logic>::AND_OR_XOR[2], &$tensor(self)?, other, false)
            }
            fn __neg__(&self, py: Python<'_>) -> PyResult<PyTensor> {
                operators::unary(py, "neg", &$tensor(self)?)
            }
            fn __pos__(&self) -> PyResult<PyTensor> {
                Ok($tensor(self)?.into())
            }
            fn __abs__(&self, py: Python<'_>) -> PyResult<PyTensor> {
                operators::unary(py, "abs", &$tensor(self)?)
            }
            fn __invert__(&self, py: Python<'_>) -> PyResult<PyTensor> {
                operators::invert(py, &$tensor(self)?)
            }
            fn __lt__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("less", &$tensor(self)?, other, false)
            }
            fn __le__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("less_equal", &$tensor(self)?, other, false)
            }
            fn __gt__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("greater", &$tensor(self)?, other, false)
            }
            fn __ge__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                operators::binary("greater_equal", &$tensor(self)?, other, false)
            }
            /// Elements, a sub-tensor, or rows picked by an integer tensor.
            fn __getitem__(&self, index: &Bound<'_, PyAny>) -> PyResult<PyTensor> {
                super::indexing::get_item(&$tensor(self)?, index).map(PyTensor::from)
            }
            fn __len__(&self) -> PyResult<usize> {
                super::tensor::length(&$tensor(self)?)
            }
            #[pyo3(signature = (dtype=None, copy=None))]
            fn __array__<'py>(&self, py: Python<'py>, dtype: Option<&Bound<'py, PyAny>>, copy: Option<bool>) -> PyResult<Bound<'py, PyAny>> {
                super::tensor::array(py, &$tensor(self)?, dtype, copy)
            }
            /// A copy for other libraries, in the host's memory.
            #[pyo3(signature = (**options))]
            fn __dlpack__<'py>(&self, py: Python<'py>, options: Option<&Bound<'py, pyo3::types::PyDict>>) -> PyResult<Bound<'py, PyAny>> {
                super::tensor::dlpack(py, &$tensor(self)?, options)
            }
            /// `(1, 0)`: the CPU; `(7, 0)`: a GPU, whose memory is not exported.
            fn __dlpack_device__(&self) -> PyResult<(i32, i32)> {
                super::tensor::dlpack_device(&$tensor(self)?)
            }
            /// The device where the value is at home: "cpu:0", "gpu:0".
            #[getter]
            fn device(&self) -> PyResult<String> {
                Ok($tensor(self)?.device()?)
            }
            fn __float__(&self, py: Python<'_>) -> PyResult<f64> {
                super::tensor::item(py, &$tensor(self)?)
            }
            fn __int__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                super::tensor::whole(py, &$tensor(self)?)
            }
            fn __index__(&self, py: Python<'_>) -> PyResult<i64> {
                super::tensor::integer(py, &$tensor(self)?)
            }
            fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
                Ok(super::tensor::item(py, &$tensor(self)?)? != 0.0)
            }
            fn __format__<'py>(&self, py: Python<'py>, spec: &str) -> PyResult<Bound<'py, PyAny>> {
                super::tensor::format(py, &$tensor(self)?, spec)
            }
            /// Extents, as a tuple.
            #[getter]
            fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
                super::convert::shape_tuple(py, &self.fact().shape)
            }
            /// Name of the element type.
            #[getter]
            fn dtype(&self) -> &'static str {
                self.read_type().name()
            }
            /// Number of axes.
            #[getter]
            fn ndim(&self) -> usize {
                self.fact().shape.rank()
            }
            /// Number of elements.
            #[getter]
            fn size(&self) -> usize {
                self.fact().shape.len()
            }
            /// A numpy array holding a copy of the value, computed if need be; of one number without axes numpy's
            /// scalar, which can be the key of a dict.
            fn numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                super::tensor::to_array_or_scalar(py, &$tensor(self)?)
            }
            $($methods)*
        }
    };
}
pub(super) use with_operators;
