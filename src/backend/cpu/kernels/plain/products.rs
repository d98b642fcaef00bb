//! Matrix products of integers and float64, and convolutions of float64.

use super::{BLOCK, Load, Store, Wide, by_width, loader, one, phase, storer};
use crate::backend::cpu::kernel::{Operands, Phase, Task};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::conv2d::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad};
use crate::ops::matmul::MatMul;
use crate::ops::window::Placement;
use crate::shape::Shape;

/// Products, a unit a row of the result.
pub fn matmul(task: &Task, op: &MatMul) -> Result<Phase> {
    let dtype = task.output.dtype;
    by_width!(dtype, rows_of_products(task, op, dtype))
}

fn rows_of_products<W: Wide>(task: &Task, op: &MatMul, dtype: DType) -> Result<Phase> {
    let (load, store): (Load<W>, Store<W>) = (loader(dtype), storer(dtype));
    let e = op.extents(&task.inputs[0].shape, &task.inputs[1].shape)?;
    let (shape_a, shape_b) = op.matrices(&task.inputs[0].shape, &task.inputs[1].shape);
    let lead = |shape: &Shape| Shape::from(&shape[..shape.rank() - 2]).broadcast_strides(&e.batch);
    let (lead_a, lead_b, lead_y) = (lead(&shape_a), lead(&shape_b), e.batch.strides());
    let (m, n, k) = (e.m, e.n, e.k);
    let [a_row, a_step] = if op.transpose_a { [1, m] } else { [k, 1] };
    let [b_row, b_step] = if op.transpose_b { [1, k] } else { [n, 1] };
    let batch = e.batch;
    Ok(phase(batch.len() * m, n * k, move |operands: &Operands, unit| {
        let (matrix, i) = (unit / m, unit % m);
        let place = |lead: &[usize], size: usize| -> usize {
            (0..batch.rank()).map(|x| matrix / lead_y[x] % batch[x] * lead[x] * size).sum()
        };
        let (a, b) = (place(&lead_a, m * k) + i * a_row, place(&lead_b, k * n));
        let mut values = [W::ZERO; BLOCK];
        for first in (0..n).step_by(BLOCK) {
            let count = BLOCK.min(n - first);
            let mut sums = [W::ZERO; BLOCK];
            // SAFETY: the places lie within the inputs; this part of row `unit` is this unit's.
            unsafe {
                for j in 0..k {
                    let x = one(load, operands.input(0), a + j * a_step);
                    load(operands.input(1), b + j * b_row + first * b_step, b_step, &mut values[..count]);
                    let sums = sums[..count].iter_mut().zip(&values);
                    sums.for_each(|(sum, &value)| *sum = sum.add_product(x, value));
                }
                store(&sums[..count], operands.output(0), unit * n + first);
            }
        }
    }))
}

/// Extents and places of a convolution of float64.
struct Geometry {
    conv: Conv2d,
    place: Placement,
    x: [usize; 4],
    w: [usize; 4],
}

impl Geometry {
    fn new(conv: &Conv2d, x: &[usize], w: &[usize]) -> Result<Geometry> {
        let four = |s: &[usize]| std::array::from_fn(|i| s[i]);
        Ok(Geometry { conv: conv.clone(), place: conv.place(x, w)?, x: four(x), w: four(w) })
    }

    /// Filters of one group.
    fn filters(&self) -> usize {
        self.w[3] / self.conv.groups
    }

    /// Row or column of the image, which element `i` of window `p` is, unless it is padding.
    fn pixel(&self, axis: usize, p: usize, i: usize) -> Option<usize> {
        let at = (p * self.conv.strides[axis] + i * self.conv.dilation[axis]).checked_sub(self.place.before[axis])?;
        (at < self.x[axis + 1]).then_some(at)
    }

    /// The window whose element `i` is row or column `at` of the image.
    fn window(&self, axis: usize, at: usize, i: usize) -> Option<usize> {
        let offset = (at + self.place.before[axis]).checked_sub(i * self.conv.dilation[axis])?;
        let p = offset / self.conv.strides[axis];
        (offset.is_multiple_of(self.conv.strides[axis]) && p < self.place.out[axis]).then_some(p)
    }

    /// Where the channels of a pixel of the image begin.
    fn image(&self, n: usize, row: usize, column: usize) -> usize {
        ((n * self.x[1] + row) * self.x[2] + column) * self.x[3]
    }

    /// Where the channels of a pixel of the result begin.
    fn result(&self, n: usize, p: usize, q: usize) -> usize {
        ((n * self.place.out[0] + p) * self.place.out[1] + q) * self.w[3]
    }

    /// Where the filters of an element of the window begin, for a channel of the group.
    fn weights(&self, i: usize, j: usize, c: usize) -> usize {
        ((i * self.w[1] + j) * self.w[2] + c) * self.w[3]
    }
}

/// # Safety
/// The operand holds `len` float64.
unsafe fn input<'a>(operands: &Operands<'a>, k: usize, len: usize) -> &'a [f64] {
    // SAFETY: the caller's contract.
    unsafe { std::slice::from_raw_parts(operands.input(k), len) }
}

/// # Safety
/// The output holds `len` float64 from `first` on, which nobody else reads or writes.
unsafe fn output<'a>(operands: &Operands<'a>, first: usize, len: usize) -> &'a mut [f64] {
    // SAFETY: the caller's contract.
    let part = unsafe { std::slice::from_raw_parts_mut(operands.output::<f64>(0).add(first), len) };
    part.fill(0.0);
    part
}

/// A convolution, a unit a pixel of the result.
pub fn conv(task: &Task, op: &Conv2d) -> Result<Phase> {
    let g = Geometry::new(op, &task.inputs[0].shape, &task.inputs[1].shape)?;
    let [x_len, w_len] = [0, 1].map(|k| task.inputs[k].shape.len());
    let [rows, columns] = g.place.out;
    Ok(phase(g.x[0] * rows * columns, g.w.iter().product(), move |operands, unit| {
        let (n, p, q) = (unit / columns / rows, unit / columns % rows, unit % columns);
        // SAFETY: the facts of the task; the pixel is this unit's.
        let (x, w, y) = unsafe {
            (input(operands, 0, x_len), input(operands, 1, w_len), output(operands, g.result(n, p, q), g.w[3]))
        };
        for (i, j) in (0..g.w[0]).flat_map(|i| (0..g.w[1]).map(move |j| (i, j))) {
            let (Some(row), Some(column)) = (g.pixel(0, p, i), g.pixel(1, q, j)) else { continue };
            let pixel = g.image(n, row, column);
            for (group, y) in y.chunks_exact_mut(g.filters().max(1)).enumerate() {
                for c in 0..g.w[2] {
                    let value = x[pixel + group * g.w[2] + c];
                    let w = &w[g.weights(i, j, c) + group * g.filters()..][..y.len()];
                    y.iter_mut().zip(w).for_each(|(y, w)| *y += value * w);
                }
            }
        }
    }))
}

/// Its gradient by the image, a unit a pixel of that.
pub fn conv_input_grad(task: &Task, op: &Conv2dInputGrad) -> Result<Phase> {
    let g = Geometry::new(&op.conv, &task.output.shape, &task.inputs[1].shape)?;
    let [y_len, w_len] = [0, 1].map(|k| task.inputs[k].shape.len());
    let [_, rows, columns, channels] = g.x;
    Ok(phase(g.x[0] * rows * columns, g.w.iter().product(), move |operands, unit| {
        let (n, row, column) = (unit / columns / rows, unit / columns % rows, unit % columns);
        // SAFETY: the facts of the task; the pixel is this unit's.
        let (dy, w, dx) = unsafe {
            (input(operands, 0, y_len), input(operands, 1, w_len), output(operands, unit * channels, channels))
        };
        for (i, j) in (0..g.w[0]).flat_map(|i| (0..g.w[1]).map(move |j| (i, j))) {
            let (Some(p), Some(q)) = (g.window(0, row, i), g.window(1, column, j)) else { continue };
            let dy = &dy[g.result(n, p, q)..][..g.w[3]];
            for (at, dx) in dx.iter_mut().enumerate() {
                let own = at / g.w[2] * g.filters()..(at / g.w[2] + 1) * g.filters();
                let w = &w[g.weights(i, j, at % g.w[2])..][own.clone()];
                *dx += dy[own].iter().zip(w).map(|(dy, w)| dy * w).sum::<f64>();
            }
        }
    }))
}

/// Its gradient by the filters, a unit a channel of an element of the window.
pub fn conv_filter_grad(task: &Task, op: &Conv2dFilterGrad) -> Result<Phase> {
    let g = Geometry::new(&op.conv, &task.inputs[0].shape, &task.output.shape)?;
    let [x_len, y_len] = [0, 1].map(|k| task.inputs[k].shape.len());
    Ok(phase(g.w[..3].iter().product(), y_len, move |operands, unit| {
        let (i, j, c) = (unit / g.w[2] / g.w[1], unit / g.w[2] % g.w[1], unit % g.w[2]);
        // SAFETY: the facts of the task; the row of filters is this unit's.
        let (x, dy, dw) =
            unsafe { (input(operands, 0, x_len), input(operands, 1, y_len), output(operands, unit * g.w[3], g.w[3])) };
        for n in 0..g.x[0] {
            for (p, q) in (0..g.place.out[0]).flat_map(|p| (0..g.place.out[1]).map(move |q| (p, q))) {
                let (Some(row), Some(column)) = (g.pixel(0, p, i), g.pixel(1, q, j)) else { continue };
                let (pixel, dy) = (g.image(n, row, column), &dy[g.result(n, p, q)..]);
                for (k, (dw, dy)) in dw.iter_mut().zip(dy).enumerate() {
                    *dw += x[pixel + k / g.filters() * g.w[2] + c] * dy;
                }
            }
        }
    }))
}
