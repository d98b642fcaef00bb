//! Pooling and statistics of channels, of float64.

use super::phase;
use crate::backend::cpu::kernel::{Operands, Phase, Task};
use crate::error::Result;
use crate::ops::pool2d::{MaxPool2dPick, Pool2d, Pool2dGrad, PoolKind};
use crate::ops::window::Placement;
use crate::shape::Shape;

/// Where the windows of a pooling lie on float64 images.
struct Windows {
    pool: Pool2d,
    place: Placement,
    x: [usize; 4],
}

impl Windows {
    fn new(pool: &Pool2d, x: &Shape) -> Result<Windows> {
        Ok(Windows { pool: pool.clone(), place: pool.place(x)?, x: std::array::from_fn(|i| x[i]) })
    }

    fn count(&self) -> usize {
        self.x[0] * self.place.out[0] * self.place.out[1] * self.x[3]
    }

    /// The places of the image that window `at` of a channel covers.
    fn inside(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let [_, height, width, channels] = self.x;
        let [rows, columns] = self.place.out;
        let (c, q, p, n) =
            (at % channels, at / channels % columns, at / channels / columns % rows, at / channels / columns / rows);
        let range = move |axis: usize, p: usize, extent: usize| {
            let first = p * self.pool.window.strides[axis];
            let end = (first + self.pool.window.size[axis]).saturating_sub(self.place.before[axis]).min(extent);
            first.saturating_sub(self.place.before[axis])..end
        };
        range(0, p, height).flat_map(move |row| {
            range(1, q, width).map(move |column| ((n * height + row) * width + column) * channels + c)
        })
    }

    /// The place of the first greatest element of window `at`.
    fn greatest(&self, x: &[f64], at: usize) -> Option<usize> {
        self.inside(at).reduce(|best, at| {
            let displaces = !x[best].is_nan() && (x[at].is_nan() || x[at] > x[best]);
            if displaces { at } else { best }
        })
    }

    fn divisor(&self, at: usize) -> f64 {
        match self.pool.kind {
            PoolKind::Average { count_include_pad: true } => {
                (self.pool.window.size[0] * self.pool.window.size[1]) as f64
            }
            _ => self.inside(at).count() as f64,
        }
    }
}

/// # Safety
/// Operand `k` holds `len` float64.
unsafe fn input<'a>(operands: &Operands<'a>, k: usize, len: usize) -> &'a [f64] {
    // SAFETY: the caller's contract.
    unsafe { std::slice::from_raw_parts(operands.input(k), len) }
}

/// # Safety
/// The output has element `at`, which nobody else reads or writes.
unsafe fn put(operands: &Operands, at: usize, value: f64) {
    // SAFETY: the caller's contract.
    unsafe { *operands.output::<f64>(0).add(at) = value };
}

/// A pooling, a unit a window of a channel.
pub fn pool(task: &Task, op: &Pool2d) -> Result<Phase> {
    let windows = Windows::new(op, &task.inputs[0].shape)?;
    let len = task.inputs[0].shape.len();
    let size = op.window.size[0].saturating_mul(op.window.size[1]);
    Ok(phase(windows.count(), size, move |operands, at| {
        // SAFETY: the facts of the task; element `at` is this unit's.
        unsafe {
            let x = input(operands, 0, len);
            let value = match windows.pool.kind {
                PoolKind::Max => windows.greatest(x, at).map_or(f64::NEG_INFINITY, |best| x[best]),
                PoolKind::Average { .. } => windows.inside(at).map(|i| x[i]).sum::<f64>() / windows.divisor(at),
            };
            put(operands, at, value);
        }
    }))
}

/// Its gradient, a unit a channel of an image: windows overlap within it alone.
pub fn pool_grad(task: &Task, op: &Pool2dGrad) -> Result<Phase> {
    let windows = Windows::new(&op.pool, &task.inputs[0].shape)?;
    let [x_len, y_len] = [0, 1].map(|k| task.inputs[k].shape.len());
    let [images, height, width, channels] = windows.x;
    let per_image = windows.place.out[0] * windows.place.out[1];
    let size = op.pool.window.size[0].saturating_mul(op.pool.window.size[1]);
    Ok(phase(images * channels, size.saturating_mul(per_image), move |operands, unit| {
        let (n, c) = (unit / channels, unit % channels);
        // SAFETY: the facts of the task; the elements of this channel of this image are this unit's.
        unsafe {
            let (x, dy) = (input(operands, 0, x_len), input(operands, 1, y_len));
            for pixel in 0..height * width {
                put(operands, (n * height * width + pixel) * channels + c, 0.0);
            }
            let add = |at: usize, value: f64| *operands.output::<f64>(0).add(at) += value;
            for window in 0..per_image {
                let at = (n * per_image + window) * channels + c;
                match windows.pool.kind {
                    PoolKind::Max => {
                        if let Some(best) = windows.greatest(x, at) {
                            add(best, dy[at]);
                        }
                    }
                    PoolKind::Average { .. } => {
                        let share = dy[at] / windows.divisor(at);
                        windows.inside(at).for_each(|i| add(i, share));
                    }
                }
            }
        }
    }))
}

/// What a second tensor holds where the first is greatest, a unit a window of a channel.
pub fn pick(task: &Task, op: &MaxPool2dPick) -> Result<Phase> {
    let windows = Windows::new(&op.pool(), &task.inputs[0].shape)?;
    let len = task.inputs[0].shape.len();
    let size = op.window.size[0].saturating_mul(op.window.size[1]);
    Ok(phase(windows.count(), size, move |operands, at| {
        // SAFETY: the facts of the task; element `at` is this unit's.
        unsafe {
            let (x, u) = (input(operands, 0, len), input(operands, 1, len));
            put(operands, at, windows.greatest(x, at).map_or(0.0, |best| u[best]));
        }
    }))
}

/// Mean and variance of each channel, a unit a channel.
pub fn channel_stats(task: &Task) -> Phase {
    let channels = task.output.shape[1];
    let len = task.inputs[0].shape.len();
    let count = len / channels.max(1);
    phase(channels, count, move |operands, c| {
        // SAFETY: the facts of the task; the two elements of channel `c` are this unit's.
        unsafe {
            let x = input(operands, 0, len);
            let column = || x[c..].iter().step_by(channels);
            let mean = column().sum::<f64>() / count as f64;
            let variance = column().map(|v| (v - mean).powi(2)).sum::<f64>() / count as f64;
            put(operands, c, mean);
            put(operands, channels + c, variance);
        }
    })
}
