//! `save_safetensors` and `load_safetensors`: numpy arrays to and from files.

use super::caller;
use super::tensor::PyTensor;
use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::io::FileError;
use crate::io::safetensors::{self, TensorData};
use crate::lazy::Tensor;
use crate::shape::Fact;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use numpy::{Element, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyMemoryError, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(save_safetensors, module)?)?;
    module.add_function(wrap_pyfunction!(load_safetensors, module)?)?;
    module.add_function(wrap_pyfunction!(check_writable, module)?)
}

/// An error becomes the exception that the operating system's error, or the content, calls for.
impl From<FileError> for PyErr {
    fn from(error: FileError) -> PyErr {
        let message = error.to_string();
        match error {
            // Paths with a NUL, which no system call is asked about.
            FileError::System { path, .. } if path.as_os_str().as_encoded_bytes().contains(&0) => {
                PyValueError::new_err(format!("expected a path without NUL characters, received {path:?}"))
            }
            // With errno and file name, as the interpreter's own; it chooses the class by errno.
            FileError::System { path, action, source } => {
                let Some(code) = source.raw_os_error().or_else(|| errno(source.kind())) else {
                    return PyOSError::new_err(message);
                };
                // Libraries add paths of their own to the text.
                let text = match source.kind() {
                    std::io::ErrorKind::InvalidInput => source.to_string(),
                    _ => std::io::Error::from_raw_os_error(code).to_string(),
                };
                let text = text.split(" (os error").next().unwrap_or_default();
                PyOSError::new_err((code, format!("cannot {action}: {text}"), path.into_os_string()))
            }
            FileError::Format { .. } | FileError::Content { .. } => PyValueError::new_err(message),
            FileError::Memory { .. } => PyMemoryError::new_err(message),
        }
    }
}

/// The number of an error that did not come from the system.
#[cfg(target_os = "linux")]
fn errno(kind: std::io::ErrorKind) -> Option<i32> {
    match kind {
        std::io::ErrorKind::NotFound => Some(libc::ENOENT),
        std::io::ErrorKind::PermissionDenied => Some(libc::EACCES),
        std::io::ErrorKind::ReadOnlyFilesystem => Some(libc::EROFS),
        std::io::ErrorKind::IsADirectory => Some(libc::EISDIR),
        std::io::ErrorKind::InvalidInput => Some(libc::EINVAL),
        std::io::ErrorKind::UnexpectedEof => Some(libc::EIO),
        std::io::ErrorKind::StorageFull => Some(libc::ENOSPC),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn errno(_: std::io::ErrorKind) -> Option<i32> {
    None
}

/// An array's content, copied out of Python so that the file is written without the GIL.
struct Owned {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Writes a safetensors file, atomically.
///
/// Args:
///     path: The file to write or replace.
///     tensors: By name, arrays of a dtype that tensors have, in any memory order, or tensors.
///     metadata: Strings to keep in the header.
///
/// Raises:
///     TypeError: An array has another dtype, or a value is no array.
///     ValueError: A name is reserved, or the header would be too long.
///     OSError: The file cannot be written; whatever stood there is untouched.
///     MemoryError: There is no memory for a copy of an array.
#[pyfunction]
#[pyo3(signature = (path, tensors, metadata))]
fn save_safetensors(
    py: Python<'_>,
    path: PathBuf,
    tensors: &Bound<'_, PyDict>,
    metadata: BTreeMap<String, String>,
) -> PyResult<()> {
    let owned: Vec<Owned> =
        tensors.iter().map(|(name, value)| copy_out(&path, name.extract()?, &value)).collect::<PyResult<_>>()?;
    py.detach(|| {
        let views: Vec<TensorData<'_>> = owned
            .iter()
            .map(|t| TensorData { name: &t.name, dtype: t.dtype, shape: &t.shape, bytes: &t.bytes })
            .collect();
        safetensors::write(&path, &views, &metadata)
    })?;
    Ok(())
}

/// Reads a safetensors file.
///
/// Args:
///     path: The file to read.
///
/// Returns:
///     The arrays by name, in file order (bfloat16 as `Tensor.numpy()` gives it), the header's strings, and whether the file has a checksum, which fits.
///
/// Raises:
///     FileNotFoundError: There is no such file.
///     ValueError: It is no safetensors file, is truncated, differs from its checksum, or holds a dtype that no tensor
///         has, or a shape that no array of numpy has.
///     MemoryError: It does not fit into memory.
#[pyfunction]
#[pyo3(signature = (path))]
fn load_safetensors(py: Python<'_>, path: PathBuf) -> PyResult<(Bound<'_, PyDict>, BTreeMap<String, String>, bool)> {
    let file = py.detach(|| safetensors::read(&path))?;
    let arrays = PyDict::new(py);
    for tensor in file.tensors() {
        arrays.set_item(tensor.name, array(py, &path, &tensor)?)?;
    }
    Ok((arrays, file.metadata().clone(), file.has_checksum()))
}

fn copy_out(path: &Path, name: String, value: &Bound<'_, PyAny>) -> PyResult<Owned> {
    if let Ok(tensor) = value.cast::<PyTensor>() {
        return copy_tensor(path, name, &tensor.get().tensor, value.py());
    }
    let Ok(array) = value.cast::<PyUntypedArray>() else {
        let kind = value.get_type().name()?;
        let message = format!("tensor \"{name}\": expected a numpy array, received {kind}");
        return Err(PyTypeError::new_err(message));
    };
    let shape = array.shape().to_vec();
    let refuse = |bytes| no_memory(path, &name, bytes);
    let (dtype, bytes) = if let Ok(a) = value.cast::<PyArrayDyn<f32>>() {
        (DType::F32, words(a, f32::to_le_bytes, &refuse)?)
    } else if let Ok(a) = value.cast::<PyArrayDyn<i32>>() {
        (DType::I32, words(a, i32::to_le_bytes, &refuse)?)
    } else if let Ok(a) = value.cast::<PyArrayDyn<u8>>() {
        (DType::U8, words(a, u8::to_le_bytes, &refuse)?)
    } else if let Ok(a) = value.cast::<PyArrayDyn<bool>>() {
        (DType::Bool, words(a, |v| [u8::from(v)], &refuse)?)
    } else if let Some(dtype) = half(array)? {
        let bits = value.call_method1("view", (dtype.array_name(),))?;
        (dtype, words(bits.cast::<PyArrayDyn<u16>>()?, u16::to_le_bytes, &refuse)?)
    } else {
        let names = DType::names();
        let message = format!("tensor \"{name}\": expected one of dtype {names}, received {}", array.dtype());
        return Err(PyTypeError::new_err(message));
    };
    Ok(Owned { name, dtype, shape, bytes })
}

/// The dtype of an array of float16 or bfloat16 in the machine's byte order.
fn half(array: &Bound<'_, PyUntypedArray>) -> PyResult<Option<DType>> {
    let dtype = array.dtype();
    let name: String = dtype.getattr("name")?.extract()?;
    let found = [DType::F16, DType::BF16].into_iter().find(|half| half.name() == name);
    Ok(if dtype.getattr("isnative")?.is_truthy()? { found } else { None })
}

/// The content of a tensor, computed if need be.
fn copy_tensor(path: &Path, name: String, tensor: &Tensor, py: Python<'_>) -> PyResult<Owned> {
    let held = tensor.clone();
    let buffer = caller::run(py, move || held.buffer())?;
    let Fact { shape, dtype } = buffer.fact();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(buffer.bytes().len()).map_err(|_| no_memory(path, &name, buffer.bytes().len()))?;
    bytes.extend_from_slice(buffer.bytes());
    #[cfg(target_endian = "big")]
    bytes.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
    Ok(Owned { name, dtype: *dtype, shape: shape.to_vec(), bytes })
}

/// The elements in row-major order as little-endian bytes, whatever the array's strides.
fn words<T: Element + Copy, const N: usize>(
    array: &Bound<'_, PyArrayDyn<T>>,
    encode: impl Fn(T) -> [u8; N],
    refuse: &dyn Fn(usize) -> PyErr,
) -> PyResult<Vec<u8>> {
    let array = array.try_readonly()?;
    let view = array.as_array();
    let mut words: Vec<[u8; N]> = Vec::new();
    words.try_reserve_exact(view.len()).map_err(|_| refuse(N * view.len()))?;
    match view.as_slice() {
        Some(values) => words.extend(values.iter().map(|&value| encode(value))),
        None => words.extend(view.iter().map(|&value| encode(value))),
    }
    Ok(words.into_flattened())
}

/// Axes that an array of every release of numpy may have.
const MAX_AXES: usize = 32;

fn array<'py>(py: Python<'py>, path: &Path, tensor: &TensorData<'_>) -> PyResult<Bound<'py, PyAny>> {
    fn build<'py, T: Element, const N: usize>(
        py: Python<'py>,
        path: &Path,
        tensor: &TensorData<'_>,
        decode: impl Fn([u8; N]) -> T,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (words, _) = tensor.bytes.as_chunks::<N>();
        let mut values = Vec::new();
        let reserved = values.try_reserve_exact(words.len());
        reserved.map_err(|_| no_memory(path, tensor.name, tensor.bytes.len()))?;
        values.extend(words.iter().map(|&word| decode(word)));
        let array = ndarray::ArrayD::from_shape_vec(tensor.shape, values).map_err(|e| no_array(path, tensor, &e))?;
        Ok(PyArrayDyn::from_owned_array(py, array).into_any())
    }
    if tensor.shape.len() > MAX_AXES {
        return Err(no_array(path, tensor, &format_args!("numpy has arrays of at most {MAX_AXES} axes")));
    }
    match tensor.dtype {
        DType::F32 => build(py, path, tensor, f32::from_le_bytes),
        DType::I32 => build(py, path, tensor, i32::from_le_bytes),
        DType::U8 => build(py, path, tensor, u8::from_le_bytes),
        DType::Bool => build(py, path, tensor, |[byte]| byte != 0),
        DType::F16 | DType::BF16 => halves(py, path, tensor),
    }
}

fn halves<'py>(py: Python<'py>, path: &Path, tensor: &TensorData<'_>) -> PyResult<Bound<'py, PyAny>> {
    let fact = Fact::checked(tensor.shape, tensor.dtype).map_err(|e| no_array(path, tensor, &e))?;
    let mut buffer = Buffer::zeroed(fact).map_err(|_| no_memory(path, tensor.name, tensor.bytes.len()))?;
    let (words, _) = tensor.bytes.as_chunks::<2>();
    let bits: &mut [u16] = match tensor.dtype {
        DType::F16 => buffer.as_mut_slice::<f16>().reinterpret_cast_mut(),
        _ => buffer.as_mut_slice::<bf16>().reinterpret_cast_mut(),
    };
    bits.iter_mut().zip(words).for_each(|(to, word)| *to = u16::from_le_bytes(*word));
    super::convert::to_numpy(py, &buffer)
}

fn no_array(path: &Path, tensor: &TensorData<'_>, why: &dyn std::fmt::Display) -> PyErr {
    let shown = &tensor.shape[..tensor.shape.len().min(MAX_AXES)];
    let message = format!("{}: tensor \"{}\" cannot have the shape {shown:?}: {why}", path.display(), tensor.name);
    PyValueError::new_err(message)
}

fn no_memory(path: &Path, name: &str, bytes: usize) -> PyErr {
    let message = format!("{}: tensor \"{name}\": cannot allocate {bytes} bytes", path.display());
    PyMemoryError::new_err(message)
}

/// Finds out, without a trace, whether `save_safetensors` may write to a path.
///
/// Args:
///     path: The file to write or replace.
///
/// Raises:
///     OSError: It may not: a folder, a device or a file without permission to write stands there, or the
///         folder takes no files.
#[pyfunction]
#[pyo3(signature = (path))]
fn check_writable(path: PathBuf) -> PyResult<()> {
    Ok(crate::io::check_writable(&path)?)
}
