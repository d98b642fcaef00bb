//! Look-up by index. An index outside its axis is reported and nothing is read for it.

use super::{DataKernel, GRAIN, fill_phase, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Operands, Phase, Task};
use crate::dtype::Word;
use crate::error::{BadData, Integer, Result};
use crate::ops::Op;
use crate::ops::gather::wrap;
use crate::shape::Shape;

/// Rows copied by index.
pub const GATHER: DataKernel = DataKernel { name: "gather_rows", lower: lower_gather };
/// Zeros, then a 1 a row.
pub const ONE_HOT: DataKernel = DataKernel { name: "one_hot_rows", lower: lower_one_hot };
/// Positions counted up.
pub const IOTA: DataKernel = DataKernel { name: "iota_count", lower: lower_iota };

/// Extents before and behind `axis`.
pub(super) fn around(shape: &Shape, axis: usize) -> (usize, usize) {
    (shape[..axis].iter().product(), shape[axis + 1..].iter().product())
}

/// Index number `at` of operand `input`, reported if it is outside `extent`.
///
/// # Safety
/// The operand holds more than `at` int32.
pub(super) unsafe fn index(ops: &Operands, input: usize, at: usize, extent: usize) -> Option<usize> {
    // SAFETY: the caller's contract.
    let value = unsafe { *ops.input::<i32>(input).add(at) };
    let place = wrap(value, extent);
    if place.is_none() {
        ops.status.report(BadData { what: Integer::Index, element: at, value, extent });
    }
    place
}

fn lower_gather(task: &Task) -> Result<Lowered> {
    let Op::Gather(op) = task.op else { return Err(wrong_op(GATHER.name, task)) };
    let shape = &task.inputs[0].shape;
    let axis = shape.axis(op.axis)?;
    let (outer, inner) = around(shape, axis);
    let (extent, count) = (shape[axis], task.inputs[1].shape.len());
    let bytes = inner * task.output.dtype.size();
    let rows = if bytes == 0 { 0 } else { outer * count };
    let per_chunk = (4 * GRAIN / bytes.max(1)).max(1);
    let phase = Phase::new(rows.div_ceil(per_chunk), move |ops, chunk, _| {
        for row in chunk * per_chunk..((chunk + 1) * per_chunk).min(rows) {
            let (o, at) = (row / count, row % count);
            // SAFETY: row `row` of the output is this chunk's; the source row lies within the input
            // because its index was checked.
            unsafe {
                let to = ops.output::<u8>(0).add(row * bytes);
                match index(ops, 1, at, extent) {
                    Some(i) => to.copy_from_nonoverlapping(ops.input::<u8>(0).add((o * extent + i) * bytes), bytes),
                    None => to.write_bytes(0, bytes),
                }
            }
        }
    });
    Ok(lowered(GATHER.name, vec![phase]))
}

fn lower_one_hot(task: &Task) -> Result<Lowered> {
    let Op::OneHot(op) = task.op else { return Err(wrong_op(ONE_HOT.name, task)) };
    let (depth, dtype, strict) = (op.depth, op.dtype, op.strict);
    let (size, one) = (dtype.size(), dtype.word(1.0));
    let rows = task.inputs[0].shape.len();
    let per_chunk = (GRAIN / depth.max(1)).max(1);
    let phase = Phase::new(rows.div_ceil(per_chunk), move |ops, chunk, _| {
        for row in chunk * per_chunk..((chunk + 1) * per_chunk).min(rows) {
            // SAFETY: row `row` of input and output exists, and is this chunk's.
            unsafe {
                let label = *ops.input::<i32>(0).add(row);
                let to = ops.output::<u8>(0).add(row * depth * size);
                to.write_bytes(0, depth * size);
                match usize::try_from(label).ok().filter(|&l| l < depth) {
                    Some(l) => put(to, l, one),
                    None if strict => {
                        let what = Integer::Label;
                        ops.status.report(BadData { what, element: row, value: label, extent: depth });
                    }
                    None => {}
                }
            }
        }
    });
    Ok(lowered(ONE_HOT.name, vec![phase]))
}

fn lower_iota(task: &Task) -> Result<Lowered> {
    let Op::Iota(op) = task.op else { return Err(wrong_op(IOTA.name, task)) };
    let (_, inner) = around(&op.shape, op.axis);
    let (extent, dtype) = (op.shape[op.axis], op.dtype);
    let phase = fill_phase(op.shape.len(), dtype.size(), move |p, first, n| {
        for i in 0..n {
            let position = (first + i) / inner % extent;
            // SAFETY: element `i` of the chunk's `n`.
            unsafe { put(p, i, dtype.word(dtype.round(position as f64))) };
        }
    });
    Ok(lowered(IOTA.name, vec![phase]))
}

/// Writes element `at`.
///
/// # Safety
/// `to` has such an element, of the word's size.
unsafe fn put(to: *mut u8, at: usize, word: Word) {
    // SAFETY: the caller's contract.
    unsafe {
        match word {
            Word::One(bits) => *to.add(at) = bits,
            Word::Two(bits) => *to.cast::<u16>().add(at) = bits,
            Word::Four(bits) => *to.cast::<u32>().add(at) = bits,
            Word::Eight(bits) => *to.cast::<u64>().add(at) = bits,
        }
    }
}
