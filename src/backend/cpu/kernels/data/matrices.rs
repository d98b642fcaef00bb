//! Linear algebra and Fourier transforms, in double precision, a few matrices or rows a chunk.

use super::{DataKernel, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Phase, Task};
use crate::buffer::{Element, with_element};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::Op;
use crate::ops::fft;

/// Matrices one by one.
pub const LINALG: DataKernel = DataKernel { name: "linalg_matrices", lower: lower_linalg };
/// Rows one by one.
pub const FFT: DataKernel = DataKernel { name: "fft_rows", lower: lower_fft };

/// Operations that one chunk handles, about.
const WORK: u64 = 64 * 1024;

/// How many of `count` equal pieces of work, of `flops` in all, are a chunk.
fn in_chunk(count: usize, flops: u64) -> usize {
    let each = (flops / count.max(1) as u64).max(1);
    usize::try_from(WORK / each).unwrap_or(usize::MAX).clamp(1, count.max(1))
}

/// Elements `start..start + len` of an operand.
///
/// # Safety
/// It has them, of type `dtype`.
unsafe fn read(from: *const u8, dtype: DType, start: usize, len: usize) -> Vec<f64> {
    with_element!(dtype, T => {
        // SAFETY: the caller's contract.
        let elements = unsafe { std::slice::from_raw_parts(from.cast::<T>().add(start), len) };
        elements.iter().map(|x| x.number()).collect()
    })
}

/// Writes elements from `start` of an output.
///
/// # Safety
/// It has them, of type `dtype`, and they are this chunk's.
unsafe fn write(to: *mut u8, dtype: DType, start: usize, values: &[f64]) {
    with_element!(dtype, T => {
        // SAFETY: the caller's contract.
        let to = unsafe { std::slice::from_raw_parts_mut(to.cast::<T>().add(start), values.len()) };
        to.iter_mut().zip(values).for_each(|(to, &x)| *to = T::of_number(x));
    });
}

fn lower_linalg(task: &Task) -> Result<Lowered> {
    let Op::Linalg(op) = task.op else { return Err(wrong_op(LINALG.name, task)) };
    let (op, sizes, two) = (op.clone(), op.sizes(task.inputs)?, task.inputs.len() > 1);
    let count = sizes.count;
    let (a, b, y) = (sizes.m * sizes.n, sizes.n * sizes.k, task.output.shape.len() / count.max(1));
    let dtype = task.output.dtype;
    let many = in_chunk(count, task.op.def().flops(task.inputs, task.output));
    let phase = Phase::new(count.div_ceil(many), move |ops, chunk, _| {
        for i in chunk * many..((chunk + 1) * many).min(count) {
            // SAFETY: inputs and output have `count` matrices of these sizes; matrix `i` is this chunk's.
            unsafe {
                let x = read(ops.input(0), dtype, i * a, a);
                let right = if two { read(ops.input(1), dtype, i * b, b) } else { Vec::new() };
                let mut made = vec![0.0; y];
                if let Err(trouble) = op.one(sizes, &x, &right, &mut made) {
                    ops.status.report(trouble.of(i));
                }
                write(ops.output(0), dtype, i * y, &made);
            }
        }
    });
    Ok(lowered(LINALG.name, vec![phase]))
}

fn lower_fft(task: &Task) -> Result<Lowered> {
    let Op::Fft(op) = task.op else { return Err(wrong_op(FFT.name, task)) };
    let shape = &task.output.shape;
    let row = 2 * shape[shape.rank() - 2];
    let count = shape.len().checked_div(row).unwrap_or(0);
    let plan = op.plan(row / 2);
    let dtype = task.output.dtype;
    let many = in_chunk(count, task.op.def().flops(task.inputs, task.output));
    let phase = Phase::new(count.div_ceil(many), move |ops, chunk, _| {
        for i in chunk * many..((chunk + 1) * many).min(count) {
            // SAFETY: input and output have `count` rows; row `i` is this chunk's.
            unsafe {
                let x = read(ops.input(0), dtype, i * row, row);
                let mut made = vec![0.0; row];
                fft::transform(&*plan, &x, &mut made);
                write(ops.output(0), dtype, i * row, &made);
            }
        }
    });
    Ok(lowered(FFT.name, vec![phase]))
}
