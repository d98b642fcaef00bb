//! Candidates for matrix products.

use super::super::attachments::{epilogue, prologue, step, zeros};
use crate::backend::cpu::kernel::{Cost, CpuKernel, Lowered, Phase, Task};
use crate::backend::cpu::kernels::attach::Epilogue;
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel};
use crate::backend::cpu::kernels::gemm::{Gemm, row_product};
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::ops::matmul::{Extents, MatMul};
use crate::shape::Shape;
use smallvec::SmallVec;
use std::sync::Arc;

/// All candidates.
pub const KERNELS: &[&dyn CpuKernel] = &[&Row, &Product, &Batched];

/// One product: of matrices, or with the leading axes of the left one as rows.
struct Product;

/// One row times a matrix.
struct Row;

/// Many products of one size.
struct Batched;

/// f32 of packed operands that products which run at once may have.
const PACKED: usize = 1 << 22;

fn extents<'a>(task: &Task<'a>) -> Result<(&'a MatMul, Extents)> {
    let Op::MatMul(op) = task.op else { return Err(Error::state("no matrix product")) };
    Ok((op, op.extents(&task.inputs[0].shape, &task.inputs[1].shape)?))
}

fn is_empty(task: &Task) -> bool {
    task.output.shape.is_empty() || task.inputs.iter().any(|f| f.shape.is_empty())
}

impl CpuKernel for Product {
    fn name(&self) -> &'static str {
        "gemm"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        prologue(task)?;
        epilogue(task, true)?;
        let (op, e) = extents(task).map_err(|e| e.to_string())?;
        let (a, b) = op.matrices(&task.inputs[0].shape, &task.inputs[1].shape);
        let rows = !op.transpose_a && b.rank() == 2;
        if is_empty(task) || !(rows || (a.rank() == 2 && b.rank() == 2)) {
            return Err("one product of full size".into());
        }
        if task.epilogue.is_some() && task.inputs[1].shape.rank() == 1 {
            return Err("attachments need columns".into());
        }
        Ok(Cost(2.0 * (e.batch.len() * e.m * e.n * e.k) as f64))
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let prologue = prologue(task).map_err(Error::state)?;
        let epilogue = epilogue(task, true).map_err(Error::state)?;
        let (op, e) = extents(task)?;
        let gemm = Gemm::new(e.batch.len() * e.m, e.n, e.k, op.transpose_a, op.transpose_b, task.tier);
        Ok(step("gemm", Box::new(gemm), [Some(0), Some(1)], task, prologue, epilogue))
    }
}

impl CpuKernel for Row {
    fn name(&self) -> &'static str {
        "gemm_row"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        let Cost(product) = Product.supports(task)?;
        let (op, e) = extents(task).map_err(|e| e.to_string())?;
        match e.batch.len() * e.m == 1 && !op.transpose_a && !op.transpose_b {
            true => Ok(Cost(0.5 * product)),
            false => Err("one row, and no transposed operand".into()),
        }
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let prologue = prologue(task).map_err(Error::state)?;
        let epilogue = epilogue(task, true).map_err(Error::state)?;
        let (_, e) = extents(task)?;
        let product = row_product(e.n, e.k, task.is_constant(1), task.tier);
        Ok(step("gemm_row", product, [Some(0), Some(1)], task, prologue, epilogue))
    }
}

impl CpuKernel for Batched {
    fn name(&self) -> &'static str {
        "gemm_batched"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        match task.epilogue.or(task.prologue) {
            Some(_) => Err("takes no attachments".into()),
            None => extents(task)
                .map(|(_, e)| Cost(4.0 * (e.batch.len() * e.m * e.n * e.k) as f64))
                .map_err(|e| e.to_string()),
        }
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        if is_empty(task) {
            return Ok(zeros("gemm_batched", task.output.shape.len()));
        }
        let (op, e) = extents(task)?;
        let (batch, m, n) = (e.batch.len(), e.m, e.n);
        let gemm = Arc::new(Gemm::new(m, n, e.k, op.transpose_a, op.transpose_b, task.tier));
        let offsets = |shape: &Shape| -> Vec<usize> {
            let (lead, inner) = shape.split_at(shape.rank() - 2);
            let size = inner[0] * inner[1];
            let strides = Shape::from(lead).broadcast_strides(&e.batch);
            let steps = e.batch.strides();
            (0..batch)
                .map(|i| (0..e.batch.rank()).map(|a| i / steps[a] % e.batch[a] * strides[a]).sum::<usize>() * size)
                .collect()
        };
        let (shape_a, shape_b) = op.matrices(&task.inputs[0].shape, &task.inputs[1].shape);
        let (a, b): (Arc<[usize]>, Arc<[usize]>) = (offsets(&shape_a).into(), offsets(&shape_b).into());
        // Each product that runs at the same time has memory of its own, on 64-byte boundaries.
        let packed = gemm.packed_len().next_multiple_of(16);
        let own = packed + gemm.workspace_len().next_multiple_of(16);
        let at_once = (PACKED / own.max(1)).clamp(1, batch);
        let mut phases = Vec::new();
        for first in (0..batch).step_by(at_once) {
            let products = at_once.min(batch - first);
            for phase in 0..gemm.phases() {
                let (gemm, a, b) = (gemm.clone(), a.clone(), b.clone());
                let chunks = gemm.chunks(phase);
                phases.push(Phase::new(products * chunks, move |operands, chunk, scratch| {
                    let (slot, chunk) = (chunk / chunks, chunk % chunks);
                    let i = first + slot;
                    // SAFETY: the offsets are those of product `i`, within the operands; the workspace
                    // holds `own` floats for each slot.
                    unsafe {
                        let memory = operands.workspace.cast::<f32>().add(slot * own);
                        let args = Args {
                            inputs: [operands.input::<f32>(0).add(a[i]), operands.input::<f32>(1).add(b[i])],
                            output: operands.output::<f32>(0).add(i * m * n),
                            packed: memory,
                            workspace: memory.add(packed),
                            prologue: None,
                            epilogue: Epilogue::None,
                        };
                        gemm.run_chunk(phase, chunk, &args, scratch.cast());
                    }
                }));
            }
        }
        let (workspace, scratch) = (own * at_once * 4, gemm.scratch_len() * 4);
        Ok(Lowered { name: "gemm_batched", phases, workspace, scratch, packed: SmallVec::new(), section: None })
    }
}
