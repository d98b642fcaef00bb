//! Running sums, products and extremes.

use super::{DataKernel, GRAIN, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Phase, Task};
use crate::backend::cpu::kernels::pointwise::math;
use crate::buffer::{Element, with_element};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::Op;
use crate::ops::reduce::ReduceKind;
use crate::ops::scan::Scan;

/// Blocks of lines that lie side by side, element by element.
pub const SCAN: DataKernel = DataKernel { name: "scan_lines", lower };

/// Lines that one pass takes.
const SIDE_BY_SIDE: usize = 64;

fn lower(task: &Task) -> Result<Lowered> {
    let Op::Scan(op) = task.op else { return Err(wrong_op(SCAN.name, task)) };
    let extents = op.extents(&task.inputs[0].shape)?;
    let nothing = op.kind.identity();
    let phase = match (task.output.dtype, op.kind) {
        // Sums of many numbers of f32 are kept in f64, and begin with −0, which changes no number, nor −0.
        (DType::F32, ReduceKind::Sum) => {
            let nothing = if op.exclusive { 0.0f64 } else { -0.0 };
            run(op, extents, nothing, |a, x: f32| a + f64::from(x), |a| a as f32)
        }
        (DType::F32, ReduceKind::Prod) => run(op, extents, 1.0f64, |a, x: f32| a * f64::from(x), |a| a as f32),
        (DType::F32, ReduceKind::Max) => run(op, extents, nothing as f32, math::maximum, |a| a),
        (DType::F32, ReduceKind::Min) => run(op, extents, nothing as f32, math::minimum, |a| a),
        (DType::I32, kind) => {
            run(op, extents, nothing as i32, move |a, x: i32| kind.combine_integers(a, x), |a: i32| a)
        }
        (DType::F64, kind) => run(op, extents, nothing, move |a, x: f64| kind.combine(a, x), |a| a),
        (dtype, kind) if dtype.is_integer() && dtype.is_plain() => {
            let nothing = dtype.truncate(kind.identity_of(dtype));
            with_element!(dtype, T => run(op, extents, nothing, move |a, x: T| kind.combine_wide(a, x.integer()), T::of_integer))
        }
        _ => return Err(wrong_op(SCAN.name, task)),
    };
    Ok(lowered(SCAN.name, vec![phase]))
}

/// Totals of type `A`, begun with `nothing`, of elements of type `T`.
fn run<A: Copy + Send + Sync + 'static, T: Copy + 'static>(
    op: &Scan,
    [outer, extent, inner]: [usize; 3],
    nothing: A,
    combine: impl Fn(A, T) -> A + Send + Sync + 'static,
    rounded: impl Fn(A) -> T + Send + Sync + 'static,
) -> Phase {
    let (reverse, exclusive) = (op.reverse, op.exclusive);
    let blocks = inner.div_ceil(SIDE_BY_SIDE);
    let tasks = if extent == 0 { 0 } else { outer * blocks };
    let per_chunk = (GRAIN / (extent * inner.min(SIDE_BY_SIDE)).max(1)).max(1);
    Phase::new(tasks.div_ceil(per_chunk), move |ops, chunk, _| {
        for task in chunk * per_chunk..((chunk + 1) * per_chunk).min(tasks) {
            let (o, first) = (task / blocks, task % blocks * SIDE_BY_SIDE);
            let width = SIDE_BY_SIDE.min(inner - first);
            let mut totals = [nothing; SIDE_BY_SIDE];
            for k in 0..extent {
                let k = if reverse { extent - 1 - k } else { k };
                let at = (o * extent + k) * inner + first;
                // SAFETY: `width` elements of row `k` of block `o` exist in input and output, and are this chunk's.
                unsafe {
                    let (x, y) = (ops.input::<T>(0).add(at), ops.output::<T>(0).add(at));
                    for (i, total) in totals[..width].iter_mut().enumerate() {
                        let before = *total;
                        *total = combine(before, *x.add(i));
                        *y.add(i) = rounded(if exclusive { before } else { *total });
                    }
                }
            }
        }
    })
}
