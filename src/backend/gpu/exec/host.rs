//! Steps that the host computes: what they read comes down between two submissions, and what they make goes up.

use super::outcome::Reading;
use super::placement::Place;
use crate::backend::gpu::device::Device;
use crate::backend::gpu::lower::HostOp;
use crate::backend::gpu::memory::{Memory, Piece};
use crate::buffer::Buffer;
use crate::dtype::Word;
use crate::error::Result;
use crate::graph::Origin;
use crate::ops::RefArray;
use crate::shape::Fact;
use std::sync::Arc;

/// A step of the host and the places of its operands.
pub(super) struct HostStep {
    pub op: HostOp,
    pub inputs: Vec<Place>,
    pub output: Place,
}

/// What the host does once the commands before have been given to the device.
pub(super) struct HostWork<'a> {
    step: &'a HostStep,
    origin: &'a Origin,
    inputs: Vec<Memory>,
    /// What earlier steps say of bad data, where the step commits: then it writes nothing.
    status: Option<(Memory, usize)>,
    target: Piece,
}

impl<'a> HostWork<'a> {
    /// Has `encoder` copy what the step reads, from `pieces`, and the `status` of so many bytes.
    ///
    /// # Errors
    /// `Memory` when there is none to copy to.
    pub fn record(
        device: &Arc<Device>,
        encoder: &mut wgpu::CommandEncoder,
        (step, origin): (&'a HostStep, &'a Origin),
        pieces: &[&Piece],
        target: &Piece,
        status: Option<(&Memory, usize)>,
    ) -> Result<Self> {
        let mut copy = |from: &wgpu::Buffer, offset: usize, bytes: usize| -> Result<Memory> {
            let memory = Memory::for_reading(device, bytes)?;
            let words = (bytes as u64).next_multiple_of(4);
            encoder.copy_buffer_to_buffer(from, offset as u64, memory.buffer(), 0, words);
            Ok(memory)
        };
        let inputs =
            step.inputs.iter().zip(pieces).map(|(place, piece)| copy(&piece.buffer, place.offset, place.bytes));
        let inputs = inputs.collect::<Result<_>>()?;
        let status = match status {
            Some((memory, bytes)) => Some((copy(memory.buffer(), 0, bytes)?, bytes)),
            None => None,
        };
        Ok(HostWork { step, origin, inputs, status, target: target.clone() })
    }

    /// Computes the step behind `submission`.
    ///
    /// # Errors
    /// Those of the op; `Lost` when the device is lost.
    pub fn run(self, device: &Device, submission: &wgpu::SubmissionIndex) -> Result<()> {
        let HostOp { op, inputs: facts, output } = &self.step.op;
        let read = |memory: Memory, bytes: usize| -> Result<Vec<u8>> {
            Reading::begin(memory, bytes, submission.clone()).finish(&|| false, |all| all[..bytes].to_vec())
        };
        if let Some((memory, bytes)) = self.status
            && read(memory, bytes)?.iter().any(|&byte| byte != 0)
        {
            return Ok(());
        }
        let arrays = self.inputs.into_iter().zip(facts).map(|(memory, fact)| array(&read(memory, fact.bytes())?, fact));
        let arrays = arrays.collect::<Result<Vec<RefArray>>>()?;
        let made = op.def().reference(&arrays.iter().collect::<Vec<_>>(), facts, output);
        let made = made.map_err(|e| e.at(self.origin.as_deref().unwrap_or(op.def().name())))?;
        let mut bytes = Vec::with_capacity(output.bytes().next_multiple_of(4));
        for &value in &made {
            match output.dtype.word(output.dtype.round(value)) {
                Word::One(word) => bytes.push(word),
                Word::Two(word) => bytes.extend(word.to_ne_bytes()),
                Word::Four(word) => bytes.extend(word.to_ne_bytes()),
                Word::Eight(word) => bytes.extend(word.to_ne_bytes()),
            }
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        if bytes.is_empty() {
            return Ok(());
        }
        let offset = self.step.output.offset as u64;
        device.guarded("a copy", || device.queue.write_buffer(&self.target.buffer, offset, &bytes))
    }
}

fn array(bytes: &[u8], fact: &Fact) -> Result<RefArray> {
    let mut buffer = Buffer::zeroed(fact.clone())?;
    // SAFETY: the buffer has as many bytes, and nobody else has it.
    unsafe { buffer.as_mut_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    let values = (0..fact.shape.len()).map(|at| buffer.number(at)).collect();
    RefArray::from_shape_vec(&*fact.shape, values).map_err(|e| crate::error::Error::state(e.to_string()))
}
