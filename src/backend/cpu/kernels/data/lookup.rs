//! Look-up by index. An index outside its axis is reported and nothing is read for it.

use super::{DataKernel, GRAIN, fill_phase, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Operands, Phase, Task};
use crate::backend::cpu::kernels::chunked::split;
use crate::buffer::{Element, with_element};
use crate::dtype::Word;
use crate::error::{BadData, Integer, Result};
use crate::ops::Op;
use crate::ops::gather::wrap;
use crate::shape::Shape;

/// Rows copied by index.
pub const GATHER: DataKernel = DataKernel { name: "gather_rows", lower: lower_gather };
/// Rows added up by index; every chunk owns some target rows.
pub const SCATTER_ADD: DataKernel = DataKernel { name: "scatter_add_rows", lower: lower_scatter_add };
/// Zeros, then a 1 a row.
pub const ONE_HOT: DataKernel = DataKernel { name: "one_hot_rows", lower: lower_one_hot };
/// Positions counted up.
pub const IOTA: DataKernel = DataKernel { name: "iota_count", lower: lower_iota };

/// Most chunks into which the target rows of a scatter are cut; each reads all indices.
const SCATTER_PARTS: usize = 16;

/// Extents before and behind `axis`.
fn around(shape: &Shape, axis: usize) -> (usize, usize) {
    (shape[..axis].iter().product(), shape[axis + 1..].iter().product())
}

/// Index number `at` of operand `input`, reported if it is outside `extent`.
///
/// # Safety
/// The operand holds more than `at` int32.
unsafe fn index(ops: &Operands, input: usize, at: usize, extent: usize) -> Option<usize> {
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

fn lower_scatter_add(task: &Task) -> Result<Lowered> {
    let Op::ScatterAdd(op) = task.op else { return Err(wrong_op(SCATTER_ADD.name, task)) };
    let (outer, inner) = around(&op.shape, op.axis);
    let (extent, count) = (op.shape[op.axis], task.inputs[1].shape.len());
    let parts = SCATTER_PARTS.min(extent).max(1);
    let chunks = if op.shape.is_empty() { 0 } else { outer * parts };
    let extents = [extent, inner, count, parts];
    let phase = with_element!(task.output.dtype, T => scatter::<T>(chunks, extents, |a, b| match T::DTYPE.is_float() {
        true => T::of_number(a.number() + b.number()),
        false => T::of_integer(a.integer() + b.integer()),
    }));
    Ok(lowered(SCATTER_ADD.name, vec![phase]))
}

/// A phase of `chunks` chunks, each of which adds rows to its part of the rows of one block of the target.
fn scatter<T: Element>(
    chunks: usize,
    [extent, inner, count, parts]: [usize; 4],
    sum: impl Fn(T, T) -> T + Send + Sync + 'static,
) -> Phase {
    Phase::new(chunks, move |ops, chunk, _| {
        let o = chunk / parts;
        let own = split(extent, parts, chunk % parts);
        // SAFETY: the target rows `own` of block `o` are this chunk's; every row lies within its tensor.
        unsafe {
            let target = ops.output::<T>(0).add(o * extent * inner);
            std::slice::from_raw_parts_mut(target.add(own.start * inner), own.len() * inner).fill(T::of_integer(0));
            for at in 0..count {
                let Some(row) = index(ops, 1, at, extent).filter(|r| own.contains(r)) else { continue };
                let from = std::slice::from_raw_parts(ops.input::<T>(0).add((o * count + at) * inner), inner);
                let to = std::slice::from_raw_parts_mut(target.add(row * inner), inner);
                to.iter_mut().zip(from).for_each(|(t, &f)| *t = sum(*t, f));
            }
        }
    })
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
