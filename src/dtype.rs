//! Element types of tensors.

use crate::error::{Error, Result};

/// Element type. `f64` exists only in references, never in a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// Two's complement, 32 bits.
    I32,
    /// Unsigned, 8 bits.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            DType::F32 | DType::I32 => 4,
            DType::U8 | DType::Bool => 1,
        }
    }

    /// The name that numpy and Keras use.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "float32",
            DType::I32 => "int32",
            DType::U8 => "uint8",
            DType::Bool => "bool",
        }
    }

    /// Parses a numpy name.
    pub fn parse(name: &str) -> Result<Self> {
        [DType::F32, DType::I32, DType::U8, DType::Bool].into_iter().find(|d| d.name() == name).ok_or_else(|| {
            Error::dtype(format!(
                "dtype: expected one of \"float32\", \"int32\", \"uint8\", \"bool\", received \"{name}\""
            ))
        })
    }

    /// True for `F32`.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32)
    }

    /// What a value becomes when stored in this type: rounded to f32, truncated and held within the range of
    /// i32, wrapped to that of u8, or 0/1. NaN becomes the least i32, as in numpy: a label of NaN is outside all
    /// classes.
    pub fn round(self, value: f64) -> f64 {
        match self {
            DType::F32 => f64::from(value as f32),
            DType::I32 if value.is_nan() => f64::from(i32::MIN),
            DType::I32 => f64::from(value as i32),
            DType::U8 => f64::from(value as i64 as u8),
            DType::Bool => f64::from(u8::from(value != 0.0)),
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
