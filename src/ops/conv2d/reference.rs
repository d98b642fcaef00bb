//! The three primitives in f64, by their sums.

use super::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad};
use crate::error::Result;
use crate::ops::RefArray;
use crate::shape::Fact;

/// Calls `visit(x index, w index, y index)` for every product of the convolution.
fn products(
    conv: &Conv2d,
    x: &[usize],
    w: &[usize],
    mut visit: impl FnMut([usize; 4], [usize; 4], [usize; 4]),
) -> Result<()> {
    let place = conv.place(x, w)?;
    let (channels, filters) = (w[2], w[3] / conv.groups);
    for n in 0..x[0] {
        for p in 0..place.out[0] {
            for q in 0..place.out[1] {
                for i in 0..w[0] {
                    for j in 0..w[1] {
                        let row = (p * conv.strides[0] + i * conv.dilation[0]).checked_sub(place.before[0]);
                        let col = (q * conv.strides[1] + j * conv.dilation[1]).checked_sub(place.before[1]);
                        let (Some(row), Some(col)) = (row, col) else { continue };
                        if row >= x[1] || col >= x[2] {
                            continue;
                        }
                        for k in 0..w[3] {
                            for c in 0..channels {
                                let from = k / filters * channels + c;
                                visit([n, row, col, from], [i, j, c, k], [n, p, q, k]);
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

pub fn forward(op: &Conv2d, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
    let mut y = RefArray::zeros(&*output.shape);
    products(op, &facts[0].shape, &facts[1].shape, |x, w, at| {
        y[at.as_slice()] += inputs[0][x.as_slice()] * inputs[1][w.as_slice()]
    })?;
    Ok(y)
}

pub fn input_grad(op: &Conv2dInputGrad, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
    let mut dx = RefArray::zeros(&*output.shape);
    products(&op.conv, &output.shape, &facts[1].shape, |x, w, y| {
        dx[x.as_slice()] += inputs[0][y.as_slice()] * inputs[1][w.as_slice()];
    })?;
    Ok(dx)
}

pub fn filter_grad(op: &Conv2dFilterGrad, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
    let mut dw = RefArray::zeros(&*output.shape);
    products(&op.conv, &facts[0].shape, &output.shape, |x, w, y| {
        dw[w.as_slice()] += inputs[0][x.as_slice()] * inputs[1][y.as_slice()];
    })?;
    Ok(dw)
}
