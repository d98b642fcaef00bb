//! HDF5 files as groups of arrays and attributes: the form in which Keras stores weights.
//!
//! The crate `hdf5-pure` knows the format. Here stand what a model's file may hold, and the limits that keep the
//! work for a hostile file in proportion to its size ([`Limits`]). Links to other objects, virtual data sets and
//! data in other files are refused or left out, never followed.

mod element;
mod read;
mod write;

pub use read::{Limits, parse, read};
pub use write::{encode, write};

use crate::dtype::DType;

/// Groups inside groups that are read and written.
pub const MAX_DEPTH: usize = 64;

/// What a group holds, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// Attributes of the group.
    pub attributes: Vec<(String, Attribute)>,
    /// Groups inside.
    pub groups: Vec<(String, Group)>,
    /// Arrays inside.
    pub arrays: Vec<(String, Array)>,
}

/// An array: row-major elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Axis lengths; empty for a scalar.
    pub shape: Vec<usize>,
    /// As many as `shape` says.
    pub elements: Elements,
}

/// The elements of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Numbers, little-endian; the bytes of `Bool` are 0 or 1.
    Numbers(DType, Vec<u8>),
    /// Strings; what is no UTF-8 in the file is replaced by U+FFFD.
    Strings(Vec<String>),
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// One string.
    Text(String),
    /// A list of strings.
    Texts(Vec<String>),
    /// A signed integer, or a bool.
    Integer(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A float.
    Float(f64),
    /// Numbers, little-endian and without their shape.
    Numbers(DType, Vec<u8>),
}

#[cfg(test)]
mod tests;
