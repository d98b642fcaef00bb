//! The order of elements along an axis.

use super::{DataKernel, GRAIN, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Phase, Task};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::Op;

/// Lines of keys with their places, sorted one by one.
pub const ARGSORT: DataKernel = DataKernel { name: "argsort_lines", lower };

/// Elements that are sorted by an unsigned key with the same order: NaN has the greatest, 0 and −0 have one.
trait Keyed: Copy + 'static {
    /// A key with a place behind it: equal keys keep their order, with a sort that needs no memory.
    type Word: Copy + Ord + Send + Sync + 'static;

    /// The word of an element at a place, with all bits of the key flipped where the greatest comes first.
    fn word(self, flip: bool, place: u32) -> Self::Word;
    /// The place in a word.
    fn place(word: Self::Word) -> i32;
}

macro_rules! keyed {
    ($word:ty, $key:ty: $($type:ty => $of:expr),*) => {$(
        impl Keyed for $type {
            type Word = $word;
            fn word(self, flip: bool, place: u32) -> $word {
                let key: $key = ($of)(self);
                <$word>::from(if flip { !key } else { key }) << <$key>::BITS | <$word>::from(place)
            }
            fn place(word: $word) -> i32 {
                word as u32 as i32
            }
        }
    )*};
}

/// The key of a float by its bits, of which the first is the sign.
macro_rules! float_key {
    ($bits:ty, $infinity:expr) => {
        |value| {
            const SIGN: $bits = 1 << (<$bits>::BITS - 1);
            match value {
                bits if bits & !SIGN > $infinity => <$bits>::MAX,
                SIGN => SIGN,
                bits if bits & SIGN != 0 => !bits,
                bits => bits | SIGN,
            }
        }
    };
}

keyed!(u64, u32:
    f32 => |x: f32| (float_key!(u32, f32::INFINITY.to_bits()))(x.to_bits()),
    i32 => |x: i32| x as u32 ^ 0x8000_0000,
    i16 => |x: i16| i32::from(x) as u32 ^ 0x8000_0000,
    i8 => |x: i8| i32::from(x) as u32 ^ 0x8000_0000,
    u8 => u32::from, u16 => u32::from, u32 => |x: u32| x);
keyed!(u128, u64:
    f64 => |x: f64| (float_key!(u64, f64::INFINITY.to_bits()))(x.to_bits()),
    i64 => |x: i64| x as u64 ^ (1 << 63),
    u64 => |x: u64| x);

fn lower(task: &Task) -> Result<Lowered> {
    let Op::Argsort(op) = task.op else { return Err(wrong_op(ARGSORT.name, task)) };
    let extents = op.extents(&task.inputs[0].shape)?;
    let count = op.count.unwrap_or(extents[1]);
    let flip = op.descending;
    let (size, phase) = match task.inputs[0].dtype {
        DType::F32 => sort::<f32>(extents, count, flip),
        DType::F64 => sort::<f64>(extents, count, flip),
        DType::I8 => sort::<i8>(extents, count, flip),
        DType::I16 => sort::<i16>(extents, count, flip),
        DType::I32 => sort::<i32>(extents, count, flip),
        DType::I64 => sort::<i64>(extents, count, flip),
        DType::U8 | DType::Bool => sort::<u8>(extents, count, flip),
        DType::U16 => sort::<u16>(extents, count, flip),
        DType::U32 => sort::<u32>(extents, count, flip),
        DType::U64 => sort::<u64>(extents, count, flip),
        DType::F16 | DType::BF16 => return Err(wrong_op(ARGSORT.name, task)),
    };
    Ok(Lowered { scratch: extents[1] * size, ..lowered(ARGSORT.name, vec![phase]) })
}

/// Keys are sorted with their places behind them in one word. Gives the size of a word too.
fn sort<T: Keyed>([outer, extent, inner]: [usize; 3], count: usize, flip: bool) -> (usize, Phase) {
    let lines = if extent == 0 { 0 } else { outer * inner };
    let per_chunk = (GRAIN / extent.max(1)).max(1);
    let phase = Phase::new(lines.div_ceil(per_chunk), move |ops, chunk, scratch| {
        for line in chunk * per_chunk..((chunk + 1) * per_chunk).min(lines) {
            let (o, i) = (line / inner, line % inner);
            // SAFETY: the scratch holds a word an element of a line, aligned; line `line` of input and output exists,
            // and is this chunk's.
            unsafe {
                let words = std::slice::from_raw_parts_mut(scratch.cast::<T::Word>(), extent);
                let x = ops.input::<T>(0).add(o * extent * inner + i);
                for (k, word) in words.iter_mut().enumerate() {
                    *word = (*x.add(k * inner)).word(flip, k as u32);
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
                    *y.add(k * inner) = T::place(*word);
                }
            }
        }
    });
    (size_of::<T::Word>(), phase)
}
