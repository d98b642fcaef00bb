//! Python values in, numpy arrays out: the one conversion.

use super::caught;
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::buffer::{Buffer, Element};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::lazy::{Elements, Rows, Tensor};
use crate::ops::{Attribute, Attributes};
use crate::shape::Fact;
use half::bf16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use numpy::{
    PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyImportError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::ptr::NonNull;

/// A Python number beside a tensor of type `beside` takes a type that changes the tensor's as
/// little as possible.
fn number(obj: &Bound<'_, PyAny>, beside: Option<DType>) -> PyResult<Option<Tensor>> {
    if obj.is_instance_of::<PyBool>() {
        return Ok(Some(Tensor::scalar(f64::from(u8::from(obj.extract::<bool>()?)), DType::Bool)?));
    }
    if obj.is_instance_of::<PyInt>() {
        let fits = |value: i128, dtype: DType| {
            dtype.is_integer() && dtype.range().is_some_and(|(least, greatest)| least <= value && value <= greatest)
        };
        let value: Option<i128> =
            obj.extract::<i64>().map(i128::from).or_else(|_| obj.extract::<u64>().map(i128::from)).ok();
        return match (value, beside) {
            (Some(value), Some(float)) if float.is_float() => Ok(Some(Tensor::scalar(value as f64, float)?)),
            (Some(value), Some(own)) if fits(value, own) => Ok(Some(Tensor::integer(value, own)?)),
            (Some(value), _) if fits(value, DType::I32) => Ok(Some(Tensor::integer(value, DType::I32)?)),
            (_, beside) => {
                let own = beside.filter(|dtype| dtype.is_integer() && dtype.size() >= 4).unwrap_or(DType::I32);
                Err(PyOverflowError::new_err(format!("expected an integer within {own}, received {obj}")))
            }
        };
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

/// The common dtype of the tensors and arrays among `inputs`, for the numbers beside them.
pub fn beside(inputs: &[Bound<'_, PyAny>]) -> Option<DType> {
    inputs
        .iter()
        .filter_map(|i| {
            if let Ok(t) = i.cast::<PyTensor>() {
                return Some(t.get().tensor.fact().dtype);
            }
            if let Ok(v) = i.cast::<PyVariable>() {
                return Some(v.get().read_type());
            }
            let array = i.cast::<PyUntypedArray>().ok()?;
            let name: String = array.dtype().getattr("name").and_then(|name| name.extract()).ok()?;
            DType::all().find(|dtype| dtype.name() == name)
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

/// A copy of an array-like in a buffer. Arrays and tensors of other libraries keep their type. Python's own numbers, in
/// lists, become float32 and int32 with a range check; what is given as `dtype` is converted to it.
pub fn to_buffer(obj: &Bound<'_, PyAny>, dtype: Option<DType>) -> PyResult<Buffer> {
    caught(|| copied(obj, dtype))
}

/// The same for an array of float32, int32 or uint8 that can be read where it lies and is not to be converted: most
/// samples of a model are one, and what numpy is asked of others takes longer than a small network.
fn copied_plain(obj: &Bound<'_, PyAny>, dtype: Option<DType>) -> Option<PyResult<Buffer>> {
    fn copied<T: numpy::Element>(obj: &Bound<'_, PyAny>, held: DType) -> Option<PyResult<Buffer>> {
        plain::<T>(obj).map(|array| copy_array(obj, array.shape(), held))
    }
    let wanted = |held: DType| dtype.is_none_or(|dtype| dtype == held);
    let f32s = || wanted(DType::F32).then(|| copied::<f32>(obj, DType::F32)).flatten();
    let i32s = || wanted(DType::I32).then(|| copied::<i32>(obj, DType::I32)).flatten();
    let u8s = || wanted(DType::U8).then(|| copied::<u8>(obj, DType::U8)).flatten();
    f32s().or_else(i32s).or_else(u8s)
}

/// Bytes from which on an array is read where it lies: below, a copy costs nothing.
const BORROWED: usize = 4 << 10;

/// As [`to_buffer`], for what is read by one run that ends before the caller goes on: an array of float32, int32 or uint8
/// that is not to be converted is read where it lies.
pub fn for_one_run(obj: &Bound<'_, PyAny>, dtype: DType) -> PyResult<Buffer> {
    match borrowed::<f32>(obj, dtype).or_else(|| borrowed::<i32>(obj, dtype)).or_else(|| borrowed::<u8>(obj, dtype)) {
        Some(buffer) => Ok(buffer?),
        None => to_buffer(obj, Some(dtype)),
    }
}

fn borrowed<T: numpy::Element + Element>(obj: &Bound<'_, PyAny>, dtype: DType) -> Option<Result<Buffer>> {
    if dtype != T::DTYPE {
        return None;
    }
    let array = plain::<T>(obj)?;
    let elements = array.as_slice().ok()?;
    if size_of_val(elements) < BORROWED || !elements.as_ptr().is_aligned() {
        return None;
    }
    let (start, owner) = (NonNull::from(elements).cast(), Box::new(obj.clone().unbind()));
    let fact = Fact::checked(array.shape(), dtype);
    // SAFETY: the array has these elements, and keeps them as long as there is a reference to it.
    Some(fact.map(|fact| unsafe { Buffer::borrowed(start, fact, owner) }))
}

fn copied(obj: &Bound<'_, PyAny>, dtype: Option<DType>) -> PyResult<Buffer> {
    if let Some(buffer) = copied_plain(obj, dtype) {
        return buffer;
    }
    let py = obj.py();
    let numpy = py.import("numpy")?;
    let array = numpy.call_method1("asarray", (obj,))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    let name: String = array.getattr("dtype")?.getattr("name")?.extract()?;
    let held = DType::all().find(|dtype| dtype.name() == name);
    // Python's numbers have no type of their own: numpy made them 64 bits wide.
    let natural = match (held, kind.as_str()) {
        (Some(DType::F64), _) if !obj.hasattr("dtype")? => DType::F32,
        (Some(dtype), "i" | "u") if dtype.size() == 8 && !obj.hasattr("dtype")? => DType::I32,
        (Some(dtype), _) => dtype,
        (None, "f") => DType::F64,
        (None, _) => {
            return Err(PyTypeError::new_err(format!(
                "expected numbers or booleans, received {} of dtype {name}",
                obj.get_type().name()?
            )));
        }
    };
    let target = dtype.unwrap_or(natural);
    if let (Some((least, greatest)), Some(from)) = (target.range().filter(|_| target.size() >= 4), held)
        && from.is_integer()
        && !target.holds(from)
    {
        let size: usize = array.getattr("size")?.extract()?;
        if size > 0 {
            let (low, high) = (array.call_method0("min")?, array.call_method0("max")?);
            // numpy's own integers would be compared after a conversion.
            let (low, high) = (low.call_method0("item")?, high.call_method0("item")?);
            if low.lt(least)? || high.gt(greatest)? {
                return Err(PyOverflowError::new_err(format!(
                    "expected values within {target}, received {low} to {high}"
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

/// The bytes of an array in C order whose elements have the size of `dtype`.
fn array_bytes(array: &Bound<'_, PyAny>, dtype: DType) -> PyResult<(*mut u8, usize)> {
    let array = array.cast::<PyUntypedArray>().map_err(PyErr::from)?;
    if !array.is_c_contiguous() || array.dtype().itemsize() != dtype.size() {
        return Err(PyTypeError::new_err(format!(
            "expected a contiguous array of {dtype}, received {}",
            array.dtype()
        )));
    }
    // SAFETY: the pointer is that of a living array.
    let data = unsafe { (*array.as_array_ptr()).fields.data };
    Ok((data.cast(), array.len() * dtype.size()))
}

/// The bytes of an array in C order whose elements are of type `dtype`, in the machine's order, copied to `to`.
///
/// # Errors
/// When the array is another.
pub fn extend_from_array(to: &mut Vec<u8>, array: &Bound<'_, PyAny>, dtype: DType) -> PyResult<()> {
    let (from, len) = array_bytes(array, dtype)?;
    // SAFETY: the array is alive and has these bytes; the interpreter's lock keeps others from them meanwhile.
    to.extend_from_slice(unsafe { std::slice::from_raw_parts(from, len) });
    Ok(())
}

fn copy_array(array: &Bound<'_, PyAny>, shape: &[usize], dtype: DType) -> PyResult<Buffer> {
    let (from, len) = array_bytes(array, dtype)?;
    let mut buffer = Buffer::uninit(Fact::checked(shape, dtype)?)?;
    if len != buffer.fact().bytes() {
        return Err(PyTypeError::new_err("an array changed its shape while it was read"));
    }
    // SAFETY: both have `len` bytes and do not overlap; all of the buffer is written.
    unsafe { buffer.as_mut_ptr().copy_from_nonoverlapping(from, len) };
    Ok(buffer)
}

/// Writes `bytes`, in the machine's order, to a fresh array in C order of elements of `dtype`.
///
/// # Errors
/// When the array is another, or has another number of bytes.
pub fn fill_array(array: &Bound<'_, PyAny>, bytes: &[u8], dtype: DType) -> PyResult<()> {
    let (to, len) = array_bytes(array, dtype)?;
    if len != bytes.len() {
        return Err(PyTypeError::new_err("an array changed its shape while it was written"));
    }
    // SAFETY: both have `len` bytes, and nobody else has the fresh array.
    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), len) };
    Ok(())
}

/// An array as numbers of the same size that numpy has for every dtype.
fn bits<'py>(array: &Bound<'py, PyAny>, dtype: DType) -> PyResult<Bound<'py, PyAny>> {
    array.call_method1("view", (dtype.array_name(),))
}

macro_rules! arrays {
    ($($variant:ident $type:ty),*) => {
        /// A numpy array in C order, aligned and in the machine's byte order, which is read where it lies.
        pub enum Array<'py> {
            $($variant(PyReadonlyArrayDyn<'py, $type>),)*
            /// Booleans, viewed as bytes.
            Bool(PyReadonlyArrayDyn<'py, u8>),
            /// float16, viewed as words.
            F16(PyReadonlyArrayDyn<'py, u16>),
            /// bfloat16, viewed as words.
            BF16(PyReadonlyArrayDyn<'py, u16>),
        }

        impl<'py> Array<'py> {
            fn of_plain(obj: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
                if obj.cast::<PyArrayDyn<bool>>().is_ok() {
                    return Ok(plain(&obj.call_method1("view", ("uint8",))?).map(Array::Bool));
                }
                Ok(None$(.or_else(|| plain(obj).map(Array::$variant)))*)
            }

            /// The array's rows.
            pub fn rows(&self) -> PyResult<Rows<'_>> {
                let (shape, elements) = match self {
                    $(Array::$variant(array) => (array.shape(), Elements::$variant(elements(array)?)),)*
                    Array::Bool(array) => (array.shape(), Elements::Bool(elements(array)?)),
                    Array::F16(array) => (array.shape(), Elements::F16(elements(array)?.reinterpret_cast())),
                    Array::BF16(array) => (array.shape(), Elements::BF16(elements(array)?.reinterpret_cast())),
                };
                Ok(Rows::new(shape, elements)?)
            }
        }
    };
}
arrays!(F32 f32, U8 u8, I32 i32, F64 f64, I64 i64, I8 i8, I16 i16, U16 u16, U32 u32, U64 u64);

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
            held if DType::all().any(|dtype| dtype.name() == held) => Some(held),
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
    let Fact { shape, dtype } = buffer.fact();
    match filled(py, shape, *dtype, buffer.bytes())? {
        Some(array) => Ok(array),
        None => floats_of(py, buffer),
    }
}

/// As [`to_numpy`], of elements that are in no buffer: as many as `shape` says.
pub fn elements_to_numpy<'py>(
    py: Python<'py>,
    shape: &[usize],
    dtype: DType,
    bytes: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    caught(|| match filled(py, shape, dtype, bytes)? {
        Some(array) => Ok(array),
        None => {
            let mut buffer = Buffer::zeroed(Fact::checked(shape, dtype)?)?;
            buffer.bytes_mut().copy_from_slice(bytes);
            floats_of(py, &buffer)
        }
    })
}

/// A numpy array with these elements, or `None` if it would be one of ml_dtypes, which is not installed.
fn filled<'py>(py: Python<'py>, shape: &[usize], dtype: DType, bytes: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    let name = match dtype {
        DType::BF16 => match py.import("ml_dtypes") {
            Ok(module) => module.getattr("bfloat16")?,
            Err(e) if e.is_instance_of::<PyImportError>(py) => return Ok(None),
            Err(e) => return Err(e),
        },
        _ => PyString::new(py, dtype.name()).into_any(),
    };
    // numpy says so where there is no memory.
    let array = py.import("numpy")?.call_method1("empty", (shape_tuple(py, shape)?, name))?;
    fill_array(&array, bytes, dtype)?;
    Ok(Some(array))
}

/// A numpy array of words that has the bits of a float16 or bfloat16 buffer.
pub fn words_of<'py>(py: Python<'py>, buffer: &Buffer) -> PyResult<Bound<'py, PyAny>> {
    let Fact { shape, dtype } = buffer.fact();
    let array = py.import("numpy")?.call_method1("empty", (shape_tuple(py, shape)?, dtype.array_name()))?;
    fill_array(&array, buffer.bytes(), *dtype)?;
    Ok(array)
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
pub fn shape_tuple<'py>(py: Python<'py>, shape: &[usize]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, shape.iter())
}
