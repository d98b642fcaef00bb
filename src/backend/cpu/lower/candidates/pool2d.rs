//! Candidates for pooling.

use super::super::attachments::{epilogue, prologue, step, zeros};
use crate::backend::cpu::kernel::{BatchBlocked, Cost, CpuKernel, Lowered, Phase, Task};
use crate::backend::cpu::kernels::chunked::{ChunkedKernel, split};
use crate::backend::cpu::kernels::pool2d::{self as kernels, Pool, PoolGeometry, PoolGrad};
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::ops::pool2d::{MaxPool2dPick, Pool2d, Pool2dGrad, PoolKind};
use crate::ops::window::{Placement, Window};
use smallvec::SmallVec;

/// All candidates for poolings and their gradients.
pub const KERNELS: &[&dyn CpuKernel] = &[&Rows, &Empty];
/// All candidates for `MaxPool2dPick`.
pub const PICK_KERNELS: &[&dyn CpuKernel] = &[&Scan];

/// Row by row, vectors over channels or images.
struct Rows;

/// No images, or no channels.
struct Empty;

/// Window by window, element by element.
struct Scan;

fn no_attachments(task: &Task) -> std::result::Result<(), String> {
    if task.epilogue.is_some() || task.prologue.is_some() { Err("takes no attachments".into()) } else { Ok(()) }
}

fn geometry(window: &Window, place: &Placement, x: &[usize]) -> PoolGeometry {
    PoolGeometry {
        batch: x[0],
        in_h: x[1],
        in_w: x[2],
        channels: x[3],
        out_h: place.out[0],
        out_w: place.out[1],
        kernel_h: window.size[0],
        kernel_w: window.size[1],
        stride_h: window.strides[0],
        stride_w: window.strides[1],
        pad_top: place.before[0],
        pad_left: place.before[1],
    }
}

impl CpuKernel for Rows {
    fn name(&self) -> &'static str {
        "pool_rows"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        prologue(task)?;
        epilogue(task, false)?;
        if task.inputs[0].shape.is_empty() {
            return Err("images and channels".into());
        }
        Ok(Cost(1.0))
    }

    fn takes_batch_blocked(&self, task: &Task) -> BatchBlocked {
        match task.op {
            _ if task.prologue.is_some() => BatchBlocked::default(),
            Op::Pool2dGrad(_) => BatchBlocked { inputs: 0b11, output: true },
            _ => BatchBlocked { inputs: 0b01, output: true },
        }
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let (pool, grad): (&Pool2d, bool) = match task.op {
            Op::Pool2d(pool) => (pool, false),
            Op::Pool2dGrad(Pool2dGrad { pool }) => (pool, true),
            other => return Err(Error::state(format!("{other:?} is no pooling"))),
        };
        let x = &task.inputs[0].shape;
        let place = pool.place(x)?;
        let geometry = geometry(&pool.window, &place, x);
        let kind = match pool.kind {
            PoolKind::Max => kernels::PoolKind::Max,
            PoolKind::Average { count_include_pad } => kernels::PoolKind::Average { count_include_pad },
        };
        let tier = task.tier;
        let kernel: Box<dyn ChunkedKernel> = if grad {
            Box::new(PoolGrad::new(&geometry, kind, task.blocked, tier)?)
        } else {
            Box::new(Pool::new(&geometry, kind, task.blocked, tier)?)
        };
        let prologue = prologue(task).map_err(Error::state)?;
        let epilogue = epilogue(task, false).map_err(Error::state)?;
        Ok(step("pool_rows", kernel, [Some(0), grad.then_some(1)], task, prologue, epilogue))
    }
}

impl CpuKernel for Empty {
    fn name(&self) -> &'static str {
        "pool_empty"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        no_attachments(task)?;
        if task.inputs[0].shape.is_empty() { Ok(Cost(0.0)) } else { Err("nothing to pool".into()) }
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        Ok(zeros("pool_empty", task.output.shape.len()))
    }
}

/// Rows of windows that a chunk scans.
const SCAN_ROWS: usize = 16;

impl CpuKernel for Scan {
    fn name(&self) -> &'static str {
        "pool_scan"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        no_attachments(task)?;
        Ok(Cost(1.0))
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let Op::MaxPool2dPick(MaxPool2dPick { window }) = task.op else {
            return Err(Error::state(format!("{:?} picks nothing", task.op)));
        };
        let pool = Pool2d { kind: PoolKind::Max, window: *window };
        let x = &task.inputs[0].shape;
        let g = geometry(window, &pool.place(x)?, x);
        let rows = g.batch * g.out_h;
        let chunks = rows.div_ceil(SCAN_ROWS);
        let phase = Phase::new(chunks, move |operands, chunk, _| {
            let (x, u, out) = (operands.input::<f32>(0), operands.input::<f32>(1), operands.output::<f32>(0));
            let inside = |at: usize, extent: usize, pad: usize, size: usize| {
                at.saturating_sub(pad)..(at + size - pad).min(extent)
            };
            for row in split(rows, chunks, chunk) {
                let (n, p) = (row / g.out_h, row % g.out_h);
                for q in 0..g.out_w {
                    for c in 0..g.channels {
                        let (mut best, mut greatest) = (None, 0.0f32);
                        for i in inside(p * g.stride_h, g.in_h, g.pad_top, g.kernel_h) {
                            for j in inside(q * g.stride_w, g.in_w, g.pad_left, g.kernel_w) {
                                let at = ((n * g.in_h + i) * g.in_w + j) * g.channels + c;
                                // SAFETY: row i and column j lie inside image n.
                                let v = unsafe { *x.add(at) };
                                if best.is_none() || (!greatest.is_nan() && (v.is_nan() || v > greatest)) {
                                    (best, greatest) = (Some(at), v);
                                }
                            }
                        }
                        // SAFETY: u has the shape of x; window (p, q) of image n lies inside the output.
                        unsafe {
                            let value = best.map_or(0.0, |at| *u.add(at));
                            *out.add((row * g.out_w + q) * g.channels + c) = value;
                        }
                    }
                }
            }
        });
        Ok(Lowered {
            name: "pool_scan",
            phases: vec![phase],
            workspace: 0,
            scratch: 0,
            packed: SmallVec::new(),
            section: None,
        })
    }
}
