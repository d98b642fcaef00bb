//! Candidates on the CPU.

use crate::backend::cpu::attach::Epilogue;
use crate::backend::cpu::chunked::{Args, ChunkedKernel};
use crate::backend::cpu::chunked_step::{attachments, step};
use crate::backend::cpu::gemm::Gemm;
use crate::backend::cpu::kernel::{Cost, CpuKernel, Lowered, Phase, Task};
use crate::backend::cpu::simd::Tier;
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::shape::Shape;
use std::sync::Arc;

/// All candidates.
pub const KERNELS: &[&dyn CpuKernel] = &[&Product, &Batched];

/// One product with packed operands.
struct Product;

/// Many products, one after the other.
struct Batched;

fn gemm(task: &Task) -> Result<(Gemm, Shape)> {
    let Op::MatMul(op) = task.op else { return Err(Error::state("no matrix product")) };
    let e = op.extents(&task.inputs[0].shape, &task.inputs[1].shape)?;
    Ok((Gemm::new(e.m, e.n, e.k, op.transpose_a, op.transpose_b, Tier::current()?), e.batch))
}

fn empty(task: &Task) -> bool {
    task.output.shape.is_empty() || task.inputs.iter().any(|f| f.shape.is_empty())
}

impl CpuKernel for Product {
    fn name(&self) -> &'static str {
        "gemm"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        attachments(task)?;
        if task.output.shape.rank() != 2 || empty(task) {
            return Err("one product of full size".into());
        }
        Ok(Cost(1.0))
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let epilogue = attachments(task).map_err(Error::state)?;
        Ok(step("gemm", Box::new(gemm(task)?.0), [Some(0), Some(1)], epilogue, 2))
    }
}

impl CpuKernel for Batched {
    fn name(&self) -> &'static str {
        "gemm_batched"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        match task.epilogue.or(task.prologue) {
            Some(_) => Err("takes no attachments".into()),
            None => Ok(Cost(2.0)),
        }
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        if empty(task) {
            let len = task.output.shape.len();
            let zero = Phase::new(1, move |operands, _, _| {
                // SAFETY: the output holds `len` floats; an empty sum is 0.
                unsafe { operands.output::<f32>(0).write_bytes(0, len) };
            });
            return Ok(Lowered { name: "gemm_batched", phases: vec![zero], workspace: 0, scratch: 0 });
        }
        let (gemm, batch) = gemm(task)?;
        let [m, n, _] = gemm.shape();
        let gemm = Arc::new(gemm);
        let offsets = |shape: &Shape| -> Vec<usize> {
            let (lead, inner) = shape.split_at(shape.rank() - 2);
            let size = inner[0] * inner[1];
            let strides = Shape::from(lead).broadcast_strides(&batch);
            let steps = batch.strides();
            (0..batch.len())
                .map(|i| (0..batch.rank()).map(|a| i / steps[a] % batch[a] * strides[a]).sum::<usize>() * size)
                .collect()
        };
        let (a, b) = (offsets(&task.inputs[0].shape), offsets(&task.inputs[1].shape));
        let mut phases = Vec::new();
        for i in 0..batch.len() {
            for phase in 0..gemm.phases() {
                let (gemm, a, b) = (gemm.clone(), a[i], b[i]);
                phases.push(Phase::new(gemm.chunks(phase), move |operands, chunk, scratch| {
                    // SAFETY: the offsets are those of product `i`, within the operands.
                    unsafe {
                        let args = Args {
                            inputs: [operands.input::<f32>(0).add(a), operands.input::<f32>(1).add(b)],
                            output: operands.output::<f32>(0).add(i * m * n),
                            workspace: operands.workspace.cast(),
                            prologue: None,
                            epilogue: Epilogue::None,
                        };
                        gemm.run_chunk(phase, chunk, &args, scratch.cast());
                    }
                }));
            }
        }
        let (workspace, scratch) = (gemm.workspace_len() * 4, gemm.scratch_len() * 4);
        Ok(Lowered { name: "gemm_batched", phases, workspace, scratch })
    }
}
