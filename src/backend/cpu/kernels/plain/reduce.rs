//! Reductions over axes.

use super::{BLOCK, Load, Store, Wide, by_width, loader, phase, storer};
use crate::backend::cpu::kernel::{Phase, Task};
use crate::dtype::DType;
use crate::ops::reduce::{Reduce, ReduceKind};
use crate::shape::{Dims, Shape};

/// One unit an element of the result, which walks over all that is reduced to it.
pub fn reduce(task: &Task, op: &Reduce) -> Phase {
    let (from, to) = (task.inputs[0].dtype, task.output.dtype);
    by_width!(from, of_width(op.kind, &task.inputs[0].shape, &op.axes, from, to))
}

/// Extents of some axes, and the step along each.
struct Walk {
    extents: Dims,
    steps: Dims,
}

impl Walk {
    fn new(shape: &Shape, axes: impl Fn(usize) -> bool) -> Walk {
        let strides = shape.strides();
        let taken = || (0..shape.rank()).filter(|&a| axes(a) && shape[a] != 1);
        Walk { extents: taken().map(|a| shape[a]).collect(), steps: taken().map(|a| strides[a]).collect() }
    }

    fn len(&self) -> usize {
        self.extents.iter().product()
    }

    /// Where place number `at` lies.
    fn offset(&self, mut at: usize) -> usize {
        let mut offset = 0;
        for (&extent, &step) in self.extents.iter().zip(&self.steps).rev() {
            offset += at % extent * step;
            at /= extent;
        }
        offset
    }
}

fn of_width<W: Wide>(kind: ReduceKind, shape: &Shape, axes: &[usize], from: DType, to: DType) -> Phase {
    let (load, store): (Load<W>, Store<W>) = (loader(from), storer(to));
    let kept = Walk::new(shape, |a| !axes.contains(&a));
    let mut lines = Walk::new(shape, |a| axes.contains(&a));
    let (line, step) = (lines.extents.pop().unwrap_or(1), lines.steps.pop().unwrap_or(1));
    let count = lines.len();
    phase(kept.len(), count * line, move |operands, at| {
        let start = kept.offset(at);
        let mut total = W::identity(kind);
        let mut values = [W::ZERO; BLOCK];
        // SAFETY: the places lie within the input; element `at` of the output is this unit's.
        unsafe {
            for l in 0..count {
                let first = start + lines.offset(l);
                for i in (0..line).step_by(BLOCK) {
                    let n = BLOCK.min(line - i);
                    load(operands.input(0), first + i * step, step, &mut values[..n]);
                    total = W::fold(kind, total, &values[..n]);
                }
            }
            store(&[total], operands.output(0), at);
        }
    })
}
