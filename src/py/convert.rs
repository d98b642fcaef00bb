//! Python values in, numpy arrays out: the one conversion.

use super::caught;
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::buffer::{Buffer, Element};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::lazy::{Elements, Rows, Tensor};
use crate::ops::{Attribute, Attributes};
use crate::shape::{Fact, Shape};
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use numpy::{PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyImportError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// A Python number beside a tensor of type `beside` takes a type that changes the tensor's as
/// little as possible.
fn number(obj: &Bound<'_, PyAny>, beside: Option<DType>) -> PyResult<Option<Tensor>> {
    if obj.is_instance_of::<PyBool>() {
        return Ok(Some(Tensor::scalar(f64::from(u8::from(obj.extract::<bool>()?)), DType::Bool)?));
    }
    if obj.is_instance_of::<PyInt>() {
        let value: i64 = obj
            .extract()
            .map_err(|_| PyOverflowError::new_err(format!("expected an integer within int32, received {obj}")))?;
        let dtype = match beside {
            Some(float) if float.is_float() => float,
            Some(DType::U8) if (0..256).contains(&value) => DType::U8,
            _ => DType::I32,
        };
        if dtype == DType::I32 && i32::try_from(value).is_err() {
            return Err(PyOverflowError::new_err(format!("expected an integer within int32, received {value}")));
        }
        return Ok(Some(Tensor::scalar(value as f64, dtype)?));
    }
    if obj.is_instance_of::<PyFloat>() {
        let dtype = beside.filter(|dtype| dtype.is_float()).unwrap_or(DType::F32);
        return Ok(Some(Tensor::scalar(obj.extract()?, dtype)?));
    }
    Ok(None)
}

/// A tensor from a Tensor, a Variable, a number or anything numpy makes an array of. Numbers take
/// the type of `beside` where it can hold them.
pub fn to_tensor(obj: &Bound<'_, PyAny>, beside: Option<DType>) -> PyResult<Tensor> {
    if let Ok(t) = obj.cast::<PyTensor>() {
        return Ok(t.get().tensor.clone());
    }
    if let Ok(v) = obj.cast::<PyVariable>() {
        return v.get().read();
    }
    if let Some(t) = number(obj, beside)? {
        return Ok(t);
    }
    Ok(Tensor::from_buffer(to_buffer(obj, None)?))
}

/// The common dtype of the tensors among `inputs`, for the numbers beside them.
pub fn beside(inputs: &[Bound<'_, PyAny>]) -> Option<DType> {
    inputs
        .iter()
        .filter_map(|i| {
            if let Ok(t) = i.cast::<PyTensor>() {
                return Some(t.get().tensor.fact().dtype);
            }
            i.cast::<PyVariable>().ok().map(|v| v.get().read_type())
        })
        .reduce(DType::promote)
}

/// What `each` makes of the items of a list or array. pyo3 would end the process where there is no memory for them.
pub fn items<'py, T>(list: &Bound<'py, PyAny>, each: impl Fn(Bound<'py, PyAny>) -> PyResult<T>) -> PyResult<Vec<T>> {
    let mut items = Vec::new();
    reserve(&mut items, list.len()?)?;
    for item in list.try_iter()? {
        reserve(&mut items, 1)?;
        items.push(each(item?)?);
    }
    Ok(items)
}

fn reserve<T>(items: &mut Vec<T>, more: usize) -> Result<()> {
    let count = items.len() + more;
    items.try_reserve(more).map_err(|_| Error::memory(format!("no memory for a list of {count} items")))
}

/// Tensors from a list of inputs.
pub fn to_tensors(inputs: &[Bound<'_, PyAny>]) -> PyResult<Vec<Tensor>> {
    let dtype = beside(inputs);
    let mut tensors = Vec::new();
    reserve(&mut tensors, inputs.len())?;
    for input in inputs {
        tensors.push(to_tensor(input, dtype)?);
    }
    Ok(tensors)
}

/// A copy of an array-like in a buffer. float64 becomes float32, integers that no tensor holds int32 with a range
/// check; what is given as `dtype` is converted to it.
pub fn to_buffer(obj: &Bound<'_, PyAny>, dtype: Option<DType>) -> PyResult<Buffer> {
    caught(|| copied(obj, dtype))
}

fn copied(obj: &Bound<'_, PyAny>, dtype: Option<DType>) -> PyResult<Buffer> {
    let py = obj.py();
    let numpy = py.import("numpy")?;
    let array = numpy.call_method1("asarray", (obj,))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    let name: String = array.getattr("dtype")?.getattr("name")?.extract()?;
    let held = DType::all().find(|dtype| dtype.name() == name);
    let natural = match (held, kind.as_str()) {
        (Some(dtype), _) => dtype,
        (None, "f") => DType::F32,
        (None, "i" | "u") => DType::I32,
        (None, _) => {
            return Err(PyTypeError::new_err(format!(
                "expected numbers or booleans, received {} of dtype {name}",
                obj.get_type().name()?
            )));
        }
    };
    let target = dtype.unwrap_or(natural);
    if target == DType::I32 && matches!(name.as_str(), "int64" | "uint32" | "uint64") {
        let size: usize = array.getattr("size")?.extract()?;
        if size > 0 {
            let (low, high) = (array.call_method0("min")?, array.call_method0("max")?);
            if low.lt(i32::MIN)? || high.gt(i32::MAX)? {
                return Err(PyOverflowError::new_err(format!(
                    "expected values within int32, received {low} to {high}"
                )));
            }
        }
    }
    // In C order, aligned, in the machine's byte order. numpy knows bfloat16 only from arrays.
    let bfloat16 = target == DType::BF16;
    let required = match (bfloat16, natural) {
        (false, _) => Some(target.name()),
        (true, DType::BF16) => None,
        (true, _) => Some(DType::F32.name()),
    };
    let array = numpy.call_method1("require", (&array, required, "CA"))?;
    let shape: Vec<usize> = array.getattr("shape")?.extract()?;
    if bfloat16 && required.is_some() {
        let floats = copy_array(&array, &shape, DType::F32)?;
        let mut rounded = Buffer::zeroed(Fact::new(shape.as_slice(), DType::BF16))?;
        rounded.as_mut_slice::<bf16>().convert_from_f32_slice(floats.as_slice());
        return Ok(rounded);
    }
    copy_array(&array, &shape, target)
}

fn copy_array(array: &Bound<'_, PyAny>, shape: &[usize], dtype: DType) -> PyResult<Buffer> {
    fn copy<T: Element + numpy::Element>(array: &Bound<'_, PyAny>, shape: &[usize]) -> PyResult<Buffer> {
        let array = array.cast::<PyArrayDyn<T>>().map_err(PyErr::from)?;
        let view = array.readonly();
        let slice = view.as_slice().map_err(|e| PyTypeError::new_err(e.to_string()))?;
        Ok(Buffer::from_slice(shape, slice)?)
    }
    match dtype {
        DType::F32 => copy::<f32>(array, shape),
        DType::I32 => copy::<i32>(array, shape),
        DType::U8 => copy::<u8>(array, shape),
        DType::Bool => {
            let bytes = bits(array, dtype)?;
            let buffer = copy::<u8>(&bytes, shape)?;
            let fact = Fact::new(shape, DType::Bool);
            Ok(buffer.with_fact(fact))
        }
        DType::F16 | DType::BF16 => {
            let bits = bits(array, dtype)?;
            let array = bits.cast::<PyArrayDyn<u16>>().map_err(PyErr::from)?.readonly();
            let words = array.as_slice().map_err(|e| PyTypeError::new_err(e.to_string()))?;
            Ok(match dtype {
                DType::F16 => Buffer::from_slice::<f16>(shape, words.reinterpret_cast())?,
                _ => Buffer::from_slice::<bf16>(shape, words.reinterpret_cast())?,
            })
        }
    }
}

/// An array as numbers of the same size that numpy has for every dtype.
fn bits<'py>(array: &Bound<'py, PyAny>, dtype: DType) -> PyResult<Bound<'py, PyAny>> {
    array.call_method1("view", (dtype.array_name(),))
}

/// A numpy array in C order, aligned and in the machine's byte order, which is read where it lies.
pub enum Array<'py> {
    F32(PyReadonlyArrayDyn<'py, f32>),
    F64(PyReadonlyArrayDyn<'py, f64>),
    I32(PyReadonlyArrayDyn<'py, i32>),
    I64(PyReadonlyArrayDyn<'py, i64>),
    U8(PyReadonlyArrayDyn<'py, u8>),
    /// Booleans, viewed as bytes.
    Bool(PyReadonlyArrayDyn<'py, u8>),
    /// float16, viewed as words.
    F16(PyReadonlyArrayDyn<'py, u16>),
    /// bfloat16, viewed as words.
    BF16(PyReadonlyArrayDyn<'py, u16>),
}

impl<'py> Array<'py> {
    /// The array itself where it is plain, otherwise a copy that is; floats that no tensor holds become float64, other
    /// types int64.
    pub fn borrow(obj: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Some(array) = Self::of_plain(obj)? {
            return Ok(array);
        }
        let numpy = obj.py().import("numpy")?;
        let array = numpy.call_method1("asarray", (obj,))?;
        let name: String = array.getattr("dtype")?.getattr("name")?.extract()?;
        let dtype = match name.as_str() {
            // numpy knows it only from arrays, all of which are in the machine's byte order.
            "bfloat16" => None,
            "float32" | "float16" | "int32" | "uint8" | "bool" => Some(name.as_str()),
            _ if name.starts_with("float") => Some("float64"),
            _ => Some("int64"),
        };
        let array = numpy.call_method1("require", (&array, dtype, "CA"))?;
        let words = |dtype| bits(&array, dtype).map(|words| plain(&words));
        let array = match name.as_str() {
            "float16" => words(DType::F16)?.map(Array::F16),
            "bfloat16" => words(DType::BF16)?.map(Array::BF16),
            _ => Self::of_plain(&array)?,
        };
        array.ok_or_else(|| PyTypeError::new_err(format!("array: cannot read elements of {name}")))
    }

    fn of_plain(obj: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        if obj.cast::<PyArrayDyn<bool>>().is_ok() {
            return Ok(plain(&obj.call_method1("view", ("uint8",))?).map(Array::Bool));
        }
        Ok(plain(obj)
            .map(Array::F32)
            .or_else(|| plain(obj).map(Array::U8))
            .or_else(|| plain(obj).map(Array::I32))
            .or_else(|| plain(obj).map(Array::F64))
            .or_else(|| plain(obj).map(Array::I64)))
    }

    /// The array's rows.
    pub fn rows(&self) -> PyResult<Rows<'_>> {
        let (shape, elements) = match self {
            Array::F32(array) => (array.shape(), Elements::F32(elements(array)?)),
            Array::F64(array) => (array.shape(), Elements::F64(elements(array)?)),
            Array::I32(array) => (array.shape(), Elements::I32(elements(array)?)),
            Array::I64(array) => (array.shape(), Elements::I64(elements(array)?)),
            Array::U8(array) => (array.shape(), Elements::U8(elements(array)?)),
            Array::Bool(array) => (array.shape(), Elements::Bool(elements(array)?)),
            Array::F16(array) => (array.shape(), Elements::F16(elements(array)?.reinterpret_cast())),
            Array::BF16(array) => (array.shape(), Elements::BF16(elements(array)?.reinterpret_cast())),
        };
        Ok(Rows::new(shape, elements)?)
    }
}

/// `obj` if it is an array of `T` whose elements can be read where they lie, row-major.
pub fn plain<'py, T: numpy::Element>(obj: &Bound<'py, PyAny>) -> Option<PyReadonlyArrayDyn<'py, T>> {
    let array = obj.cast::<PyArrayDyn<T>>().ok()?;
    let array = array.is_c_contiguous().then(|| array.try_readonly().ok())??;
    array.as_slice().is_ok().then_some(array)
}

/// The elements of a [`plain`] array.
pub fn elements<'a, T: numpy::Element>(array: &'a PyReadonlyArrayDyn<'_, T>) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|e| PyTypeError::new_err(e.to_string()))
}

/// A numpy array holding a copy of `buffer`. numpy itself has no bfloat16: it is one of ml_dtypes where that is installed,
/// and else float32 of the same values.
pub fn to_numpy<'py>(py: Python<'py>, buffer: &Buffer) -> PyResult<Bound<'py, PyAny>> {
    caught(|| array_of(py, buffer))
}

fn array_of<'py>(py: Python<'py>, buffer: &Buffer) -> PyResult<Bound<'py, PyAny>> {
    fn fill<'py, T: Element + numpy::Element>(array: &Bound<'py, PyAny>, buffer: &Buffer) -> PyResult<()> {
        let array = array.cast::<PyArrayDyn<T>>().map_err(PyErr::from)?;
        let mut array = array.try_readwrite().map_err(PyErr::from)?;
        let to = array.as_slice_mut().map_err(|e| PyTypeError::new_err(e.to_string()))?;
        to.copy_from_slice(buffer.as_slice::<T>());
        Ok(())
    }
    let Fact { shape, dtype } = buffer.fact();
    let name = match dtype {
        DType::BF16 => match py.import("ml_dtypes") {
            Ok(module) => module.getattr("bfloat16")?,
            Err(e) if e.is_instance_of::<PyImportError>(py) => return floats_of(py, buffer),
            Err(e) => return Err(e),
        },
        _ => PyString::new(py, dtype.name()).into_any(),
    };
    // numpy says so where there is no memory.
    let array = py.import("numpy")?.call_method1("empty", (shape_tuple(py, shape)?, name))?;
    match dtype {
        DType::F32 => fill::<f32>(&array, buffer)?,
        DType::I32 => fill::<i32>(&array, buffer)?,
        DType::U8 => fill::<u8>(&array, buffer)?,
        DType::Bool => fill::<u8>(&bits(&array, *dtype)?, buffer)?,
        DType::F16 | DType::BF16 => fill_words(&bits(&array, *dtype)?, buffer)?,
    }
    Ok(array)
}

/// A numpy array of words that has the bits of a float16 or bfloat16 buffer.
pub fn words_of<'py>(py: Python<'py>, buffer: &Buffer) -> PyResult<Bound<'py, PyAny>> {
    let shape = shape_tuple(py, &buffer.fact().shape)?;
    let array = py.import("numpy")?.call_method1("empty", (shape, buffer.fact().dtype.array_name()))?;
    fill_words(&array, buffer)?;
    Ok(array)
}

fn fill_words(words: &Bound<'_, PyAny>, buffer: &Buffer) -> PyResult<()> {
    let words = words.cast::<PyArrayDyn<u16>>().map_err(PyErr::from)?;
    let mut words = words.try_readwrite().map_err(PyErr::from)?;
    let to = words.as_slice_mut().map_err(|e| PyTypeError::new_err(e.to_string()))?;
    to.copy_from_slice(match buffer.fact().dtype {
        DType::F16 => buffer.as_slice::<f16>().reinterpret_cast(),
        _ => buffer.as_slice::<bf16>().reinterpret_cast(),
    });
    Ok(())
}

/// The values of a float buffer as a float32 array.
fn floats_of<'py>(py: Python<'py>, buffer: &Buffer) -> PyResult<Bound<'py, PyAny>> {
    let shape = shape_tuple(py, &buffer.fact().shape)?;
    let array = py.import("numpy")?.call_method1("empty", (shape, DType::F32.name()))?;
    {
        let floats = array.cast::<PyArrayDyn<f32>>().map_err(PyErr::from)?;
        let mut floats = floats.try_readwrite().map_err(PyErr::from)?;
        let to = floats.as_slice_mut().map_err(|e| PyTypeError::new_err(e.to_string()))?;
        to.iter_mut().enumerate().for_each(|(at, to)| *to = buffer.number(at) as f32);
    }
    Ok(array)
}

/// An array of Python's own numbers: bfloat16 as float32, for numpy makes no float of it.
pub fn to_plain_numpy<'py>(py: Python<'py>, buffer: &Buffer) -> PyResult<Bound<'py, PyAny>> {
    match buffer.fact().dtype {
        DType::BF16 => caught(|| floats_of(py, buffer)),
        _ => to_numpy(py, buffer),
    }
}

/// Whether `obj` is a numpy boolean, or an array of rank 0 with one.
pub fn is_numpy_bool(obj: &Bound<'_, PyAny>) -> bool {
    let is =
        |name: &str, expected: &str| obj.getattr(name).and_then(|value| value.str()).is_ok_and(|text| text == expected);
    is("ndim", "0") && is("dtype", "bool")
}

/// Whether `obj` is a numpy array.
pub fn is_array(obj: &Bound<'_, PyAny>) -> bool {
    obj.cast::<PyUntypedArray>().is_ok_and(|a| a.ndim() > 0)
}

fn attribute(obj: &Bound<'_, PyAny>) -> PyResult<Attribute> {
    if obj.is_none() {
        return Ok(Attribute::None);
    }
    if obj.is_instance_of::<PyBool>() {
        return Ok(Attribute::Bool(obj.extract()?));
    }
    if obj.is_instance_of::<PyString>() {
        return Ok(Attribute::Text(obj.extract()?));
    }
    if obj.is_instance_of::<PyList>() || obj.is_instance_of::<PyTuple>() {
        return obj.try_iter()?.map(|item| attribute(&item?)).collect::<PyResult<_>>().map(Attribute::List);
    }
    if obj.is_instance_of::<PyFloat>() {
        return Ok(Attribute::Float(obj.extract()?));
    }
    // numpy integers and whatever else counts.
    if let Ok(index) = obj.call_method0("__index__") {
        let received = |_| PyValueError::new_err(format!("expected a number of at most 64 bits, received {index}"));
        return index.extract().map(Attribute::Int).map_err(received);
    }
    if let Ok(float) = obj.call_method0("__float__") {
        return Ok(Attribute::Float(float.extract()?));
    }
    Err(PyTypeError::new_err(format!("an attribute cannot be a {}", obj.get_type().name()?)))
}

/// Attributes from a dict.
pub fn to_attributes(dict: Option<&Bound<'_, PyDict>>) -> PyResult<Attributes> {
    let Some(dict) = dict else { return Ok(Attributes::default()) };
    let pairs: Vec<(String, Attribute)> = dict.iter().map(|(k, v)| named(k.extract()?, &v)).collect::<PyResult<_>>()?;
    Ok(Attributes::new(pairs))
}

/// An attribute under its name, which errors say.
fn named(name: String, value: &Bound<'_, PyAny>) -> PyResult<(String, Attribute)> {
    match attribute(value) {
        Ok(attribute) => Ok((name, attribute)),
        Err(e) if e.is_instance_of::<PyValueError>(value.py()) => {
            Err(PyValueError::new_err(format!("{name}: {}", e.value(value.py()))))
        }
        Err(e) => Err(e),
    }
}

/// A shape as a tuple.
pub fn shape_tuple<'py>(py: Python<'py>, shape: &Shape) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, shape.iter())
}
