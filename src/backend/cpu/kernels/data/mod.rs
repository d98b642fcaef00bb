//! Kernels of the ops that move, look up or draw data. One candidate an op; none takes attachments.

mod arg_reduce;
mod argsort;
mod copies;
mod lookup;
mod matrices;
mod non_max_suppression;
mod random;
mod scan;
mod scatter;
mod strided;
#[cfg(test)]
mod tests;

use crate::backend::cpu::kernel::{Cost, CpuKernel, Lowered, Phase, Task};
use crate::error::{Error, Result};
use smallvec::SmallVec;

pub use arg_reduce::ARG_REDUCE;
pub use argsort::ARGSORT;
pub use copies::{CONCAT, PAD, SLICE, TRANSPOSE};
pub use lookup::{GATHER, IOTA, ONE_HOT};
pub use matrices::{FFT, LINALG};
pub use non_max_suppression::NON_MAX_SUPPRESSION;
pub use random::RANDOM;
pub use scan::SCAN;
pub use scatter::SCATTER;

/// A kernel without attachments.
pub struct DataKernel {
    name: &'static str,
    lower: fn(&Task) -> Result<Lowered>,
}

impl CpuKernel for DataKernel {
    fn name(&self) -> &'static str {
        self.name
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        if task.prologue.is_some() || task.epilogue.is_some() {
            return Err("takes no attachments".to_owned());
        }
        Ok(Cost(task.output.bytes() as f64))
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        (self.lower)(task)
    }
}

fn lowered(name: &'static str, phases: Vec<Phase>) -> Lowered {
    Lowered { name, phases, workspace: 0, scratch: 0, packed: SmallVec::new(), section: None }
}

fn wrong_op(kernel: &str, task: &Task) -> Error {
    Error::state(format!("{kernel} was asked for {}", task.op.def().name()))
}

/// Elements that one chunk handles, about.
pub(super) const GRAIN: usize = 16 * 1024;

/// A phase that writes `len` elements of `size` bytes to output 0, in pieces: `(pointer, first
/// element, elements)`.
fn fill_phase(len: usize, size: usize, fill: impl Fn(*mut u8, usize, usize) + Send + Sync + 'static) -> Phase {
    Phase::new(len.div_ceil(GRAIN), move |ops, chunk, _| {
        let first = chunk * GRAIN;
        let count = GRAIN.min(len - first);
        // SAFETY: `first` lies within the output, and chunks cover disjoint parts of it.
        fill(unsafe { ops.output::<u8>(0).add(first * size) }, first, count);
    })
}
