//! The one thing that numpy's DLPack export lacks: bfloat16.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};
use std::ffi::{CStr, c_void};

/// `DLDataType` of DLPack: an element type.
#[repr(C)]
struct DataType {
    code: u8,
    bits: u8,
    lanes: u16,
}

/// The begin of `DLTensor`.
#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: [i32; 2],
    axes: i32,
    dtype: DataType,
}

/// What stands before the tensor in `DLManagedTensorVersioned`; in `DLManagedTensor` nothing does.
#[repr(C)]
struct Versioned {
    version: [u32; 2],
    manager: *mut c_void,
    deleter: *mut c_void,
    flags: u64,
    tensor: Tensor,
}

/// `kDLUInt` and `kDLBfloat`.
const UNSIGNED: u8 = 1;
const BFLOAT: u8 = 4;

/// Says of a fresh capsule with words of 16 bits that they are bfloat16.
pub fn call_bfloat16(capsule: &Bound<'_, PyAny>) -> PyResult<()> {
    const OLD: &CStr = c"dltensor";
    const NEW: &CStr = c"dltensor_versioned";
    let capsule = capsule.cast::<PyCapsule>().map_err(PyErr::from)?;
    let versioned = capsule.is_valid_checked(Some(NEW));
    let start = capsule.pointer_checked(Some(if versioned { NEW } else { OLD }))?.as_ptr();
    // SAFETY: a capsule of this name holds this struct, and nobody else has the fresh one.
    let dtype = unsafe {
        match versioned {
            true => &mut (*start.cast::<Versioned>()).tensor.dtype,
            false => &mut (*start.cast::<Tensor>()).dtype,
        }
    };
    if (dtype.code, dtype.bits, dtype.lanes) != (UNSIGNED, 16, 1) {
        return Err(PyTypeError::new_err("numpy exported other words than it was given"));
    }
    dtype.code = BFLOAT;
    Ok(())
}
