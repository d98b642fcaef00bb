//! Transpose, slice, padding and concatenation as strided copies.

use super::strided::{StridedCopy, signed};
use super::{DataKernel, fill_phase, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Phase, Task};
use crate::dtype::Word;
use crate::error::Result;
use crate::ops::Op;
use smallvec::SmallVec;

/// Permutation of axes, by blocks where that keeps both sides in cache.
pub const TRANSPOSE: DataKernel = DataKernel { name: "transpose_blocks", lower: lower_transpose };
/// Slices.
pub const SLICE: DataKernel = DataKernel { name: "slice_rows", lower: lower_slice };
/// A fill, then a copy into it.
pub const PAD: DataKernel = DataKernel { name: "pad_rows", lower: lower_pad };
/// One copy an input.
pub const CONCAT: DataKernel = DataKernel { name: "concat_rows", lower: lower_concat };

/// A phase of several copies, each of an input to output 0; they write disjoint elements.
fn copy_phase(copies: Vec<(usize, StridedCopy)>) -> Phase {
    let chunks = copies.iter().map(|(_, c)| c.chunks()).sum();
    Phase::new(chunks, move |ops, mut chunk, _| {
        for (input, copy) in &copies {
            if chunk < copy.chunks() {
                // SAFETY: the layouts were made from the facts of input and output.
                unsafe { copy.run(ops.input(*input), ops.output(0), chunk) };
                return;
            }
            chunk -= copy.chunks();
        }
    })
}

fn lower_transpose(task: &Task) -> Result<Lowered> {
    let Op::Transpose(op) = task.op else { return Err(wrong_op(TRANSPOSE.name, task)) };
    let strides = task.inputs[0].shape.strides();
    let src: SmallVec<[isize; 6]> = op.perm.iter().map(|&p| strides[p] as isize).collect();
    let dst = signed(&task.output.shape.strides());
    let copy = StridedCopy::new(task.output.dtype.size(), &task.output.shape, (&src, 0), (&dst, 0), task.tier)?;
    Ok(lowered(TRANSPOSE.name, vec![copy_phase(vec![(0, copy)])]))
}

fn offset(at: &[usize], strides: &[usize]) -> usize {
    at.iter().zip(strides).map(|(a, s)| a * s).sum()
}

fn lower_slice(task: &Task) -> Result<Lowered> {
    let Op::Slice(op) = task.op else { return Err(wrong_op(SLICE.name, task)) };
    let strides = task.inputs[0].shape.strides();
    // A step beyond its axis is never made.
    let src: SmallVec<[isize; 6]> =
        op.steps.iter().zip(&strides).map(|(&n, &s)| (n as isize).wrapping_mul(s as isize)).collect();
    let base = offset(&op.starts, &strides);
    let shape = &task.output.shape;
    let copy =
        StridedCopy::new(task.output.dtype.size(), shape, (&src, base), (&signed(&shape.strides()), 0), task.tier)?;
    Ok(lowered(SLICE.name, vec![copy_phase(vec![(0, copy)])]))
}

fn lower_pad(task: &Task) -> Result<Lowered> {
    let Op::Pad(op) = task.op else { return Err(wrong_op(PAD.name, task)) };
    let dtype = task.output.dtype;
    let value = dtype.word(dtype.round(op.value.get()));
    let from = &task.inputs[0].shape;
    let strides = task.output.shape.strides();
    let dst: SmallVec<[isize; 6]> =
        op.inner.iter().zip(&strides).map(|(&n, &s)| (n as isize + 1) * s as isize).collect();
    let base = offset(&op.before, &strides);
    let copy = StridedCopy::new(dtype.size(), from, (&signed(&from.strides()), 0), (&dst, base), task.tier)?;
    let fill = fill_phase(task.output.shape.len(), dtype.size(), move |p, _, n| {
        // SAFETY: `n` elements of this type are the chunk's own.
        unsafe {
            match value {
                Word::One(bits) => std::slice::from_raw_parts_mut(p, n).fill(bits),
                Word::Two(bits) => std::slice::from_raw_parts_mut(p.cast::<u16>(), n).fill(bits),
                Word::Four(bits) => std::slice::from_raw_parts_mut(p.cast::<u32>(), n).fill(bits),
                Word::Eight(bits) => std::slice::from_raw_parts_mut(p.cast::<u64>(), n).fill(bits),
            }
        }
    });
    Ok(lowered(PAD.name, vec![fill, copy_phase(vec![(0, copy)])]))
}

fn lower_concat(task: &Task) -> Result<Lowered> {
    let Op::Concat(op) = task.op else { return Err(wrong_op(CONCAT.name, task)) };
    let axis = task.output.shape.axis(op.axis)?;
    let strides = task.output.shape.strides();
    let dst = signed(&strides);
    let mut first = 0;
    let mut copies = Vec::with_capacity(task.inputs.len());
    for (i, x) in task.inputs.iter().enumerate() {
        let src = signed(&x.shape.strides());
        copies.push((
            i,
            StridedCopy::new(x.dtype.size(), &x.shape, (&src, 0), (&dst, first * strides[axis]), task.tier)?,
        ));
        first += x.shape[axis];
    }
    Ok(lowered(CONCAT.name, vec![copy_phase(copies)]))
}
