//! Lazy tensors, variables and functions: what a program records, and when it is computed.

pub mod fork;
pub mod function;
pub(crate) mod realise;
pub mod tensor;
pub mod variable;
