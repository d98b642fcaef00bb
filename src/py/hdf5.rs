//! HDF5 files: a group is a tuple of three dicts, its attributes, groups and arrays.

use super::convert;
use super::files::{MAX_AXES, copy_out};
use crate::dtype::DType;
use crate::io::hdf5::{self, Array, Attribute, Elements, Group};
use numpy::PyUntypedArray;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};
use std::io::Cursor;
use std::path::{Path, PathBuf};

type Parts<'py> = (Bound<'py, PyDict>, Bound<'py, PyDict>, Bound<'py, PyDict>);

/// What errors name where there is no file.
const DATA: &str = "HDF5 data";

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(load_hdf5, module)?)?;
    module.add_function(wrap_pyfunction!(parse_hdf5, module)?)?;
    module.add_function(wrap_pyfunction!(save_hdf5, module)?)?;
    module.add_function(wrap_pyfunction!(encode_hdf5, module)?)
}

/// Reads an HDF5 file.
///
/// Args:
///     path: The file to read.
///
/// Returns:
///     The root group: its attributes, groups (tuples like this) and arrays, in the order of their names.
///
/// Raises:
///     FileNotFoundError: There is no such file.
///     ValueError: It is no sound HDF5 file, holds what no model is stored in, or asks for more work than its size
///         warrants.
///     MemoryError: It does not fit into memory.
#[pyfunction]
#[pyo3(signature = (path))]
fn load_hdf5(py: Python<'_>, path: PathBuf) -> PyResult<Parts<'_>> {
    let group = py.detach(|| hdf5::read(&path))?;
    give(py, &path, group)
}

/// Reads the bytes of an HDF5 file.
///
/// Args:
///     content: The bytes.
///
/// Returns:
///     As `load_hdf5`.
///
/// Raises:
///     ValueError: As `load_hdf5`.
///     MemoryError: They do not fit into memory.
#[pyfunction]
#[pyo3(signature = (content))]
fn parse_hdf5(py: Python<'_>, content: PyBackedBytes) -> PyResult<Parts<'_>> {
    let path = Path::new(DATA);
    let group = py.detach(|| hdf5::parse(path, Cursor::new(content)))?;
    give(py, path, group)
}

/// Writes an HDF5 file, atomically.
///
/// Args:
///     path: The file to write or replace.
///     root: Attributes, groups (tuples like this) and arrays.
///
/// Raises:
///     TypeError: An array or attribute is of a type that is not stored.
///     ValueError: The format has no place for a name or value.
///     OSError: The file cannot be written; whatever stood there is untouched.
///     MemoryError: There is no memory for a copy of an array.
#[pyfunction]
#[pyo3(signature = (path, root))]
fn save_hdf5(py: Python<'_>, path: PathBuf, root: Parts<'_>) -> PyResult<()> {
    let group = take(&path, &root, 0)?;
    py.detach(|| hdf5::write(&path, group))?;
    Ok(())
}

/// The bytes that `save_hdf5` writes.
///
/// Args:
///     root: Attributes, groups (tuples like this) and arrays.
///
/// Raises:
///     TypeError: An array or attribute is of a type that is not stored.
///     ValueError: The format has no place for a name or value.
///     MemoryError: There is no memory for a copy of an array.
#[pyfunction]
#[pyo3(signature = (root))]
fn encode_hdf5<'py>(py: Python<'py>, root: Parts<'py>) -> PyResult<Bound<'py, PyBytes>> {
    let path = Path::new(DATA);
    let group = take(path, &root, 0)?;
    let bytes = py.detach(|| hdf5::encode(path, group))?;
    Ok(PyBytes::new(py, &bytes))
}

/// A group for Python. What was given is dropped piece by piece.
fn give<'py>(py: Python<'py>, path: &Path, group: Group) -> PyResult<Parts<'py>> {
    let (attributes, groups, arrays) = (PyDict::new(py), PyDict::new(py), PyDict::new(py));
    for (name, value) in group.attributes {
        attributes.set_item(name, give_attribute(py, value)?)?;
    }
    for (name, array) in group.arrays {
        if array.shape.len() > MAX_AXES {
            let (axes, shown) = (array.shape.len(), path.display());
            let message =
                format!("{shown}: the array {name:?} has {axes} axes; numpy has arrays of at most {MAX_AXES}");
            return Err(PyValueError::new_err(message));
        }
        let given = match array.elements {
            Elements::Numbers(dtype, bytes) => convert::elements_to_numpy(py, &array.shape, dtype, &bytes)?,
            Elements::Strings(strings) => {
                let empty = py.import("numpy")?.call_method1("empty", (strings.len(), "O"))?;
                for (at, text) in strings.into_iter().enumerate() {
                    empty.set_item(at, text)?;
                }
                empty.call_method1("reshape", (convert::shape_tuple(py, &array.shape)?,))?
            }
        };
        arrays.set_item(name, given)?;
    }
    for (name, inner) in group.groups {
        groups.set_item(name, give(py, path, inner)?)?;
    }
    Ok((attributes, groups, arrays))
}

fn give_attribute(py: Python<'_>, value: Attribute) -> PyResult<Bound<'_, PyAny>> {
    Ok(match value {
        Attribute::Text(text) => PyString::new(py, &text).into_any(),
        Attribute::Texts(texts) => PyList::new(py, texts)?.into_any(),
        Attribute::Integer(value) => value.into_pyobject(py)?.into_any(),
        Attribute::Unsigned(value) => value.into_pyobject(py)?.into_any(),
        Attribute::Float(value) => PyFloat::new(py, value).into_any(),
        Attribute::Numbers(dtype, bytes) => {
            convert::elements_to_numpy(py, &[bytes.len() / dtype.size()], dtype, &bytes)?
        }
    })
}

/// A group from Python.
fn take(path: &Path, parts: &Parts<'_>, depth: usize) -> PyResult<Group> {
    if depth > hdf5::MAX_DEPTH {
        let (shown, most) = (path.display(), hdf5::MAX_DEPTH);
        return Err(PyValueError::new_err(format!("{shown}: expected at most {most} groups inside each other")));
    }
    let (attributes, groups, arrays) = parts;
    let mut group = Group::default();
    for (name, value) in attributes {
        let name: String = name.extract()?;
        let value = take_attribute(path, &name, &value)?;
        group.attributes.push((name, value));
    }
    for (name, value) in arrays {
        let name: String = name.extract()?;
        let array = take_array(path, &name, &value)?;
        group.arrays.push((name, array));
    }
    for (name, inner) in groups {
        let name: String = name.extract()?;
        let inner = take(path, &inner.extract()?, depth + 1)?;
        group.groups.push((name, inner));
    }
    Ok(group)
}

fn take_array(path: &Path, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Array> {
    let kind = value.getattr("dtype").and_then(|dtype| dtype.getattr("kind")).and_then(|kind| kind.extract::<String>());
    if value.cast::<PyUntypedArray>().is_ok() && kind.is_ok_and(|kind| kind == "O") {
        let strings = value.call_method0("ravel")?.call_method0("tolist")?.extract()?;
        return Ok(Array { shape: value.getattr("shape")?.extract()?, elements: Elements::Strings(strings) });
    }
    let owned = copy_out(path, name.to_owned(), value)?;
    Ok(Array { shape: owned.shape, elements: Elements::Numbers(owned.dtype, owned.bytes) })
}

fn take_attribute(path: &Path, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Attribute> {
    if value.is_instance_of::<PyString>() {
        return Ok(Attribute::Text(value.extract()?));
    }
    if value.is_instance_of::<PyList>() {
        return Ok(Attribute::Texts(value.extract()?));
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(match value.extract::<i64>() {
            Ok(value) => Attribute::Integer(value),
            Err(_) => Attribute::Unsigned(value.extract()?),
        });
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(Attribute::Float(value.extract()?));
    }
    match take_array(path, name, value)?.elements {
        Elements::Numbers(dtype, _) if matches!(dtype, DType::Bool | DType::F16 | DType::BF16) => {
            let message = format!("attribute {name:?}: expected integers, float32 or float64, received {dtype}");
            Err(PyTypeError::new_err(message))
        }
        Elements::Numbers(dtype, bytes) => Ok(Attribute::Numbers(dtype, bytes)),
        Elements::Strings(texts) => Ok(Attribute::Texts(texts)),
    }
}
