//! `save_safetensors` and `load_safetensors`: numpy arrays to and from files.

use super::tensor::PyTensor;
use super::{caller, convert};
use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::io::safetensors::{self, TensorData};
use crate::io::{FileError, write_atomically};
use crate::lazy::Tensor;
use crate::shape::Fact;
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyMemoryError, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(save_safetensors, module)?)?;
    module.add_function(wrap_pyfunction!(load_safetensors, module)?)?;
    module.add_function(wrap_pyfunction!(write_bytes, module)?)?;
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
pub struct Owned {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
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

pub fn copy_out(path: &Path, name: String, value: &Bound<'_, PyAny>) -> PyResult<Owned> {
    if let Ok(tensor) = value.cast::<PyTensor>() {
        return copy_tensor(path, name, &tensor.get().tensor, value.py());
    }
    let numpy = value.py().import("numpy")?;
    // A scalar is an array without axes.
    let value = &if value.is_instance(&numpy.getattr("generic")?)? {
        numpy.call_method1("asarray", (value,))?
    } else {
        value.clone()
    };
    let Ok(array) = value.cast::<PyUntypedArray>() else {
        let kind = value.get_type().name()?;
        let message = format!("tensor \"{name}\": expected a numpy array, received {kind}");
        return Err(PyTypeError::new_err(message));
    };
    let shape = array.shape().to_vec();
    let held: String = array.dtype().getattr("name")?.extract()?;
    let native = array.dtype().getattr("isnative")?.is_truthy()?;
    let Some(dtype) = DType::all().find(|dtype| native && dtype.name() == held) else {
        let names = DType::names();
        let message = format!("tensor \"{name}\": expected one of dtype {names}, received {}", array.dtype());
        return Err(PyTypeError::new_err(message));
    };
    let contiguous = match array.is_c_contiguous() {
        true => value.clone(),
        false => numpy.call_method1("ascontiguousarray", (value,))?,
    };
    let len = array.len() * dtype.size();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| no_memory(path, &name, len))?;
    convert::extend_from_array(&mut bytes, &contiguous, dtype)?;
    #[cfg(target_endian = "big")]
    bytes.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
    Ok(Owned { name, dtype, shape, bytes })
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

/// Axes that an array of every release of numpy may have.
pub const MAX_AXES: usize = 32;

fn array<'py>(py: Python<'py>, path: &Path, tensor: &TensorData<'_>) -> PyResult<Bound<'py, PyAny>> {
    if tensor.shape.len() > MAX_AXES {
        return Err(no_array(path, tensor, &format_args!("numpy has arrays of at most {MAX_AXES} axes")));
    }
    let fact = Fact::checked(tensor.shape, tensor.dtype).map_err(|e| no_array(path, tensor, &e))?;
    let mut buffer = Buffer::zeroed(fact).map_err(|_| no_memory(path, tensor.name, tensor.bytes.len()))?;
    let to = buffer.bytes_mut();
    match tensor.dtype {
        DType::Bool => to.iter_mut().zip(tensor.bytes).for_each(|(to, &byte)| *to = u8::from(byte != 0)),
        _ => to.copy_from_slice(tensor.bytes),
    }
    #[cfg(target_endian = "big")]
    to.chunks_exact_mut(tensor.dtype.size()).for_each(<[u8]>::reverse);
    convert::to_numpy(py, &buffer)
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

/// Writes a file, atomically.
///
/// Args:
///     path: The file to write or replace.
///     parts: The bytes of the file, in order.
///
/// Raises:
///     OSError: The file cannot be written; whatever stood there is untouched.
#[pyfunction]
#[pyo3(signature = (path, parts))]
fn write_bytes(py: Python<'_>, path: PathBuf, parts: Vec<PyBackedBytes>) -> PyResult<()> {
    py.detach(|| write_atomically(&path, |to| parts.iter().try_for_each(|part| to.write_all(part))))?;
    Ok(())
}

/// Finds out, without a trace, whether a file may be written to a path.
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
