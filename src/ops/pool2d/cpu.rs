//! Candidates on the CPU.

use super::{Pool2d, Pool2dGrad, PoolKind};
use crate::backend::cpu::chunked::ChunkedKernel;
use crate::backend::cpu::chunked_step::step;
use crate::backend::cpu::kernel::{Cost, CpuKernel, Lowered, Task};
use crate::backend::cpu::pool2d::{self as kernels, Pool, PoolGeometry, PoolGrad};
use crate::backend::cpu::simd::Tier;
use crate::error::{Error, Result};
use crate::ops::Op;

/// All candidates.
pub const KERNELS: &[&dyn CpuKernel] = &[&Rows];

/// Row by row, vectors over channels or images.
struct Rows;

impl CpuKernel for Rows {
    fn name(&self) -> &'static str {
        "pool_rows"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        if task.epilogue.is_some() || task.prologue.is_some() {
            return Err("takes no attachments".into());
        }
        Ok(Cost(1.0))
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let (pool, grad): (&Pool2d, bool) = match task.op {
            Op::Pool2d(pool) => (pool, false),
            Op::Pool2dGrad(Pool2dGrad { pool }) => (pool, true),
            other => return Err(Error::state(format!("{other:?} is no pooling"))),
        };
        let x = &task.inputs[0].shape;
        let place = pool.place(x)?;
        let geometry = PoolGeometry {
            batch: x[0],
            in_h: x[1],
            in_w: x[2],
            channels: x[3],
            out_h: place.out[0],
            out_w: place.out[1],
            kernel_h: pool.window.size[0],
            kernel_w: pool.window.size[1],
            stride_h: pool.window.strides[0],
            stride_w: pool.window.strides[1],
            pad_top: place.before[0],
            pad_left: place.before[1],
        };
        let kind = match pool.kind {
            PoolKind::Max => kernels::PoolKind::Max,
            PoolKind::Average { count_include_pad } => kernels::PoolKind::Average { count_include_pad },
        };
        let tier = Tier::current()?;
        let kernel: Box<dyn ChunkedKernel> = if grad {
            Box::new(PoolGrad::new(&geometry, kind, tier)?)
        } else {
            Box::new(Pool::new(&geometry, kind, tier)?)
        };
        Ok(step("pool_rows", kernel, [Some(0), grad.then_some(1)], None, 0))
    }
}
