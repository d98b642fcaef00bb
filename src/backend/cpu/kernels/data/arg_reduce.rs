//! Positions of extremes.

use super::{DataKernel, GRAIN, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Phase, Task};
use crate::buffer::with_element;
use crate::error::Result;
use crate::ops::Op;
use crate::ops::arg_reduce::ArgReduce;

/// A scan of every line, or of rows side by side where the axis is not the last.
pub const ARG_REDUCE: DataKernel = DataKernel { name: "arg_reduce_scan", lower };

fn lower(task: &Task) -> Result<Lowered> {
    let Op::ArgReduce(op) = task.op else { return Err(wrong_op(ARG_REDUCE.name, task)) };
    let extents = op.extents(&task.inputs[0].shape)?;
    let phase = with_element!(task.inputs[0].dtype, T => scan::<T>(extents, op.largest));
    Ok(lowered(ARG_REDUCE.name, vec![phase]))
}

fn scan<T: PartialOrd + Copy + 'static>([outer, count, inner]: [usize; 3], largest: bool) -> Phase {
    let blocks = if inner == 0 { 0 } else { outer };
    let per_chunk = (GRAIN / (count * inner).max(1)).max(1);
    Phase::new(blocks.div_ceil(per_chunk), move |ops, chunk, _| {
        for o in chunk * per_chunk..((chunk + 1) * per_chunk).min(blocks) {
            // SAFETY: block `o` of input and output exists, and is this chunk's; the positions
            // written are below `count`.
            unsafe {
                let x = std::slice::from_raw_parts(ops.input::<T>(0).add(o * count * inner), count * inner);
                let best = std::slice::from_raw_parts_mut(ops.output::<i32>(0).add(o * inner), inner);
                best.fill(0);
                if inner == 1 {
                    // A line: one position, in a register.
                    let first =
                        |b: usize, (k, &v): (usize, &T)| if ArgReduce::displaces(largest, v, x[b]) { k } else { b };
                    best[0] = x.iter().enumerate().fold(0, first) as i32;
                    continue;
                }
                for (k, row) in x.chunks_exact(inner).enumerate().skip(1) {
                    for (i, (b, &v)) in best.iter_mut().zip(row).enumerate() {
                        if ArgReduce::displaces(largest, v, x[*b as usize * inner + i]) {
                            *b = k as i32;
                        }
                    }
                }
            }
        }
    })
}
