//! Candidates on the CPU.

use super::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad};
use crate::backend::cpu::chunked_step::{attachments, step};
use crate::backend::cpu::conv::{self, ConvGeometry};
use crate::backend::cpu::kernel::{Cost, CpuKernel, Lowered, Task};
use crate::backend::cpu::simd::Tier;
use crate::error::{Error, Result};
use crate::ops::Op;

/// All candidates, for all three primitives.
pub const KERNELS: &[&dyn CpuKernel] = &[&Direct];

/// The family of direct kernels: by class of shapes depthwise, one GEMM, 16 images a vector, or
/// register tiles over packed rows.
struct Direct;

fn geometry(conv: &Conv2d, x: &[usize], w: &[usize]) -> Result<ConvGeometry> {
    let place = conv.place(x, w)?;
    Ok(ConvGeometry {
        batch: x[0],
        in_h: x[1],
        in_w: x[2],
        in_c: x[3],
        out_h: place.out[0],
        out_w: place.out[1],
        out_c: w[3],
        kernel_h: w[0],
        kernel_w: w[1],
        stride_h: conv.strides[0],
        stride_w: conv.strides[1],
        pad_top: place.before[0],
        pad_left: place.before[1],
        dilation_h: conv.dilation[0],
        dilation_w: conv.dilation[1],
        groups: conv.groups,
    })
}

fn task_geometry(task: &Task) -> Result<ConvGeometry> {
    match task.op {
        Op::Conv2d(c) => geometry(c, &task.inputs[0].shape, &task.inputs[1].shape),
        Op::Conv2dInputGrad(Conv2dInputGrad { conv, .. }) => geometry(conv, &task.output.shape, &task.inputs[1].shape),
        Op::Conv2dFilterGrad(Conv2dFilterGrad { conv, .. }) => {
            geometry(conv, &task.inputs[0].shape, &task.output.shape)
        }
        other => Err(Error::state(format!("{other:?} is no convolution"))),
    }
}

impl CpuKernel for Direct {
    fn name(&self) -> &'static str {
        "conv_direct"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        attachments(task)?;
        let g = task_geometry(task).map_err(|e| e.to_string())?;
        Ok(Cost(g.flops()))
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let g = task_geometry(task)?;
        let tier = Tier::current()?;
        let kernel = match task.op {
            Op::Conv2d(_) => conv::forward(&g, tier)?,
            Op::Conv2dInputGrad(_) => conv::input_grad(&g, tier)?,
            _ => conv::filter_grad(&g, tier)?,
        };
        let epilogue = attachments(task).map_err(Error::state)?;
        Ok(step("conv_direct", kernel, [Some(0), Some(1)], epilogue, 2))
    }
}
