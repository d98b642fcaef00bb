//! Convolution and its two gradients.

use super::{Anchor, Task};
use crate::error::Result;
use crate::ops::Op;
use crate::ops::conv2d::Conv2d;

/// The anchor of a convolution or of one of its gradients.
pub fn anchor(task: &Task) -> Result<Anchor> {
    let ([a, b], y) = ([&task.inputs[0].shape, &task.inputs[1].shape], &task.output.shape);
    let (name, text, conv, x, w, dy) = match task.op {
        Op::Conv2dInputGrad(op) => ("conv2d_input_grad", include_str!("conv2d_input_grad.wgsl"), &op.conv, y, b, a),
        Op::Conv2dFilterGrad(op) => ("conv2d_filter_grad", include_str!("conv2d_filter_grad.wgsl"), &op.conv, a, y, b),
        Op::Conv2d(op) => ("conv2d", include_str!("conv2d.wgsl"), op, a, b, y),
        _ => return Err(task.wrong_op("conv2d")),
    };
    Ok(Anchor::new(name, text).with(&constants(conv, x, w, dy)?))
}

fn constants(conv: &Conv2d, x: &[usize], w: &[usize], y: &[usize]) -> Result<[(&'static str, usize); 17]> {
    let place = conv.place(x, w)?;
    Ok([
        ("BATCH", x[0]),
        ("IN_H", x[1]),
        ("IN_W", x[2]),
        ("IN_C", x[3]),
        ("OUT_H", y[1]),
        ("OUT_W", y[2]),
        ("OUT_C", y[3]),
        ("KERNEL_H", w[0]),
        ("KERNEL_W", w[1]),
        ("GROUP_IN", w[2]),
        ("GROUP_OUT", w[3] / conv.groups),
        ("STRIDE_H", conv.strides[0]),
        ("STRIDE_W", conv.strides[1]),
        ("DILATION_H", conv.dilation[0]),
        ("DILATION_W", conv.dilation[1]),
        ("PAD_TOP", place.before[0]),
        ("PAD_LEFT", place.before[1]),
    ])
}
