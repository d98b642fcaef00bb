//! Where values lie during a run.

use crate::buffer::{ALIGNMENT, Buffer};
use crate::dtype::{DType, Word};
use crate::error::Result;
use crate::graph::NodeId;
use std::collections::HashMap;

/// Where a value lies during a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An input of the plan, by number.
    Input(usize),
    /// An output of the plan, by number.
    Output(usize),
    /// Bytes from the begin of the run's own memory.
    Arena(usize),
    /// Bytes from the begin of the plan's literals.
    Constant(usize),
    /// A value that the prelude made, by number.
    Prepared(usize),
}

/// Literals that kernels read from memory.
#[derive(Default)]
pub struct Constants {
    bytes: Vec<u8>,
    offsets: HashMap<NodeId, usize>,
}

impl Constants {
    /// Where the literal of node `id` lies.
    pub fn offset(&mut self, id: NodeId, value: f64, dtype: DType) -> usize {
        *self.offsets.entry(id).or_insert_with(|| {
            let offset = self.bytes.len();
            match dtype.word(value) {
                Word::One(bits) => self.bytes.push(bits),
                Word::Two(bits) => self.bytes.extend(bits.to_ne_bytes()),
                Word::Four(bits) => self.bytes.extend(bits.to_ne_bytes()),
                Word::Eight(bits) => self.bytes.extend(bits.to_ne_bytes()),
            }
            self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
            offset
        })
    }

    /// All of them, if there are any.
    ///
    /// # Errors
    /// `Memory` when none is left.
    pub fn buffer(&self) -> Result<Option<Buffer>> {
        match self.bytes.len() {
            0 => Ok(None),
            n => Buffer::from_slice(&[n], &self.bytes).map(Some),
        }
    }
}
