//! The order of elements along an axis.

use super::{DataKernel, GRAIN, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Phase, Task};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::Op;

/// Lines of keys with their places, sorted one by one.
pub const ARGSORT: DataKernel = DataKernel { name: "argsort_lines", lower };

/// Elements that are sorted by an unsigned key with the same order.
trait Keyed: Copy + 'static {
    /// The key: NaN has the greatest, 0 and −0 have one.
    fn key(self) -> u32;
}

impl Keyed for f32 {
    fn key(self) -> u32 {
        match self.to_bits() {
            bits if bits & 0x7fff_ffff > 0x7f80_0000 => u32::MAX,
            0x8000_0000 => 0x8000_0000,
            bits if bits >> 31 == 1 => !bits,
            bits => bits | 0x8000_0000,
        }
    }
}

impl Keyed for i32 {
    fn key(self) -> u32 {
        self as u32 ^ 0x8000_0000
    }
}

impl Keyed for u8 {
    fn key(self) -> u32 {
        u32::from(self)
    }
}

fn lower(task: &Task) -> Result<Lowered> {
    let Op::Argsort(op) = task.op else { return Err(wrong_op(ARGSORT.name, task)) };
    let extents = op.extents(&task.inputs[0].shape)?;
    let count = op.count.unwrap_or(extents[1]);
    let flip = if op.descending { u32::MAX } else { 0 };
    let phase = match task.inputs[0].dtype {
        DType::F32 => sort::<f32>(extents, count, flip),
        DType::I32 => sort::<i32>(extents, count, flip),
        DType::U8 | DType::Bool => sort::<u8>(extents, count, flip),
        DType::F16 | DType::BF16 => return Err(wrong_op(ARGSORT.name, task)),
    };
    Ok(Lowered { scratch: extents[1] * size_of::<u64>(), ..lowered(ARGSORT.name, vec![phase]) })
}

/// Keys are sorted with their places behind them in one word: equal ones keep their order, with a sort that needs no
/// memory.
fn sort<T: Keyed>([outer, extent, inner]: [usize; 3], count: usize, flip: u32) -> Phase {
    let lines = if extent == 0 { 0 } else { outer * inner };
    let per_chunk = (GRAIN / extent.max(1)).max(1);
    Phase::new(lines.div_ceil(per_chunk), move |ops, chunk, scratch| {
        for line in chunk * per_chunk..((chunk + 1) * per_chunk).min(lines) {
            let (o, i) = (line / inner, line % inner);
            // SAFETY: the scratch holds a word an element of a line, aligned; line `line` of input and output exists,
            // and is this chunk's.
            unsafe {
                let words = std::slice::from_raw_parts_mut(scratch.cast::<u64>(), extent);
                let x = ops.input::<T>(0).add(o * extent * inner + i);
                for (k, word) in words.iter_mut().enumerate() {
                    *word = u64::from((*x.add(k * inner)).key() ^ flip) << 32 | k as u64;
                }
                // The first few of many are parted from the rest before they are sorted.
                let first = if count < extent / 2 && count > 0 {
                    words.select_nth_unstable(count - 1);
                    &mut words[..count]
                } else {
                    words
                };
                first.sort_unstable();
                let y = ops.output::<i32>(0).add(o * count * inner + i);
                for (k, word) in first[..count].iter().enumerate() {
                    *y.add(k * inner) = *word as u32 as i32;
                }
            }
        }
    })
}
