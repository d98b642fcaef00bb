//! Rows combined by index. Every chunk owns some target rows.

use super::lookup::{around, index};
use super::{DataKernel, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Phase, Task};
use crate::backend::cpu::kernels::chunked::split;
use crate::backend::cpu::kernels::pointwise::math;
use crate::buffer::{Element, with_element};
use crate::dtype::{DType, Word};
use crate::error::Result;
use crate::ops::Op;
use crate::ops::scatter::{Scatter, ScatterKind};

/// Rows in the order of their indices.
pub const SCATTER: DataKernel = DataKernel { name: "scatter_rows", lower };

/// Most chunks into which the target rows are cut; each reads all indices.
const PARTS: usize = 16;

fn lower(task: &Task) -> Result<Lowered> {
    let Op::Scatter(op) = task.op else { return Err(wrong_op(SCATTER.name, task)) };
    let dtype = task.output.dtype;
    let phase = match (dtype, dtype.word(op.kind.nothing(dtype))) {
        (DType::F32, Word::Four(bits)) => combine(op, task, f32::from_bits(bits), |kind, old: f32, new| match kind {
            ScatterKind::Set => new,
            ScatterKind::Add => old + new,
            ScatterKind::Multiply => old * new,
            ScatterKind::Max => math::maximum(old, new),
            ScatterKind::Min => math::minimum(old, new),
        }),
        (DType::I32, Word::Four(bits)) => combine(op, task, bits as i32, |kind, old: i32, new| match kind {
            ScatterKind::Set => new,
            ScatterKind::Add => old.wrapping_add(new),
            ScatterKind::Multiply => old.wrapping_mul(new),
            ScatterKind::Max => old.max(new),
            ScatterKind::Min => old.min(new),
        }),
        (plain, _) if plain.is_plain() => with_element!(plain, T => {
            combine(op, task, T::of_number(op.kind.nothing(plain)), |kind, old: T, new| {
                match (kind.reduction(), T::DTYPE.is_float()) {
                    (None, _) => new,
                    (Some(kind), true) => T::of_number(kind.combine(old.number(), new.number())),
                    (Some(kind), false) => T::of_integer(kind.combine_wide(old.integer(), new.integer())),
                }
            })
        }),
        (_, Word::One(bits)) => combine(op, task, bits, |kind, old: u8, new| match kind {
            ScatterKind::Set => new,
            ScatterKind::Add => old.wrapping_add(new),
            ScatterKind::Multiply => old.wrapping_mul(new),
            ScatterKind::Max => old.max(new),
            ScatterKind::Min => old.min(new),
        }),
        (_, Word::Two(bits)) if op.kind == ScatterKind::Set => combine(op, task, bits, |_, _: u16, new| new),
        _ => return Err(wrong_op(SCATTER.name, task)),
    };
    Ok(lowered(SCATTER.name, vec![phase]))
}

fn combine<T: Copy + Send + Sync + 'static>(
    op: &Scatter,
    task: &Task,
    nothing: T,
    f: impl Fn(ScatterKind, T, T) -> T + Copy + Send + Sync + 'static,
) -> Phase {
    // One loop a kind.
    match op.kind {
        ScatterKind::Set => rows(op, task, nothing, move |a, b| f(ScatterKind::Set, a, b)),
        ScatterKind::Add => rows(op, task, nothing, move |a, b| f(ScatterKind::Add, a, b)),
        ScatterKind::Multiply => rows(op, task, nothing, move |a, b| f(ScatterKind::Multiply, a, b)),
        ScatterKind::Max => rows(op, task, nothing, move |a, b| f(ScatterKind::Max, a, b)),
        ScatterKind::Min => rows(op, task, nothing, move |a, b| f(ScatterKind::Min, a, b)),
    }
}

fn rows<T: Copy + Send + Sync + 'static>(
    op: &Scatter,
    task: &Task,
    nothing: T,
    f: impl Fn(T, T) -> T + Send + Sync + 'static,
) -> Phase {
    let onto = op.onto;
    let (outer, inner) = around(&op.shape, op.axis);
    let (extent, count) = (op.shape[op.axis], task.inputs[1].shape.len());
    let parts = PARTS.min(extent).max(1);
    Phase::new(if op.shape.is_empty() { 0 } else { outer * parts }, move |ops, chunk, _| {
        let o = chunk / parts;
        let own = split(extent, parts, chunk % parts);
        // SAFETY: the target rows `own` of block `o` are this chunk's; every row lies within its tensor.
        unsafe {
            let target = ops.output::<T>(0).add(o * extent * inner);
            let first = own.start * inner;
            let mine = std::slice::from_raw_parts_mut(target.add(first), own.len() * inner);
            match onto {
                true => mine.copy_from_slice(std::slice::from_raw_parts(
                    ops.input::<T>(2).add(o * extent * inner + first),
                    mine.len(),
                )),
                false => mine.fill(nothing),
            }
            for at in 0..count {
                let Some(row) = index(ops, 1, at, extent).filter(|r| own.contains(r)) else { continue };
                let from = std::slice::from_raw_parts(ops.input::<T>(0).add((o * count + at) * inner), inner);
                let to = std::slice::from_raw_parts_mut(target.add(row * inner), inner);
                to.iter_mut().zip(from).for_each(|(t, u)| *t = f(*t, *u));
            }
        }
    })
}
