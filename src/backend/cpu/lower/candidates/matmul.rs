//! Candidates for matrix products.

use super::super::attachments::{attaches_by_rows, epilogue, prologue, step, zeros};
use crate::backend::cpu::kernel::{Cost, CpuKernel, Lowered, Operands, Phase, RowShares, Section, Task};
use crate::backend::cpu::kernels::attach::Epilogue;
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel};
use crate::backend::cpu::kernels::gemm::{Gemm, row_product};
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::ops::matmul::{Extents, MatMul};
use crate::shape::Shape;
use smallvec::SmallVec;
use std::ops::Range;
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

    fn rows(&self, task: &Task) -> Option<usize> {
        let (op, e) = extents(task).ok()?;
        let gemm = Gemm::new(e.batch.len() * e.m, e.n, e.k, op.transpose_a, op.transpose_b, task.tier);
        (attaches_by_rows(task) && gemm.works_by_rows()).then(|| gemm.shape()[0])
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

/// Many products, one behind the other in the output.
struct Products {
    gemm: Gemm,
    /// For each product, where its A and B begin.
    offsets: [Vec<usize>; 2],
}

impl Products {
    fn of(task: &Task) -> Result<Self> {
        let (op, e) = extents(task)?;
        let offsets = |shape: &Shape| -> Vec<usize> {
            let (lead, inner) = shape.split_at(shape.rank() - 2);
            let size = inner[0] * inner[1];
            let strides = Shape::from(lead).broadcast_strides(&e.batch);
            let steps = e.batch.strides();
            (0..e.batch.len())
                .map(|i| (0..e.batch.rank()).map(|a| i / steps[a] % e.batch[a] * strides[a]).sum::<usize>() * size)
                .collect()
        };
        let (a, b) = op.matrices(&task.inputs[0].shape, &task.inputs[1].shape);
        let gemm = Gemm::new(e.m, e.n, e.k, op.transpose_a, op.transpose_b, task.tier);
        Ok(Products { gemm, offsets: [offsets(&a), offsets(&b)] })
    }

    fn len(&self) -> usize {
        self.offsets[0].len()
    }

    /// f32 of the packed B of one product, on 64-byte boundaries.
    fn packed(&self) -> usize {
        self.gemm.packed_len().next_multiple_of(16)
    }

    /// The operands of product `i`, whose packed B, then its workspace, lie at `memory`.
    ///
    /// # Safety
    /// The operands are those of the task.
    unsafe fn args(&self, operands: &Operands, i: usize, memory: *mut f32) -> Args<'static> {
        let ([m, n, _], [a, b]) = (self.gemm.shape(), &self.offsets);
        // SAFETY: the offsets are those of product `i`, within the operands.
        unsafe {
            Args {
                inputs: [operands.input::<f32>(0).add(a[i]), operands.input::<f32>(1).add(b[i])],
                output: operands.output::<f32>(0).wrapping_add(i * m * n),
                packed: memory,
                workspace: memory.wrapping_add(self.packed()),
                prologue: None,
                epilogue: Epilogue::None,
            }
        }
    }

    /// The rows of all products, if they are the rows of as many A's and all packed B's are there at once.
    fn rows(&self) -> Option<usize> {
        let [m, _, k] = self.gemm.shape();
        let own_a = self.offsets[0].iter().enumerate().all(|(i, &a)| a == i * m * k);
        let at_once = self.packed() * self.len() <= PACKED;
        (self.gemm.works_by_rows() && own_a && at_once).then_some(m * self.len())
    }

    /// Some rows of all products. A row alone would be summed in another order than with others: it is made twice, in `scratch`
    /// behind that of the product.
    ///
    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn run_rows(&self, rows: Range<usize>, operands: &Operands, scratch: *mut f32) {
        let [m, n, k] = self.gemm.shape();
        let mut first = rows.start;
        while first < rows.end {
            let (i, from) = (first / m, first % m);
            let to = (from + rows.end - first).min(m);
            // SAFETY: the caller's contract.
            unsafe {
                let memory = operands.workspace.cast::<f32>().wrapping_add(i * self.packed());
                let args = self.args(operands, i, memory);
                if to - from > 1 {
                    self.gemm.run_rows(from..to, &args, scratch);
                } else {
                    // The same row twice: its neighbour in A may be another thread's.
                    let (twice, made) = (self.twice(scratch), self.twice(scratch).add(2 * k));
                    let row = args.inputs[0].wrapping_add(from * k);
                    twice.copy_from_nonoverlapping(row, k);
                    twice.add(k).copy_from_nonoverlapping(row, k);
                    let alone = Args { inputs: [twice.cast_const(), args.inputs[1]], output: made, ..args };
                    self.gemm.run_rows(0..2, &alone, scratch);
                    args.output.wrapping_add(from * n).copy_from_nonoverlapping(made, n);
                }
            }
            first += to - from;
        }
    }

    fn twice(&self, scratch: *mut f32) -> *mut f32 {
        scratch.wrapping_add(self.gemm.scratch_len().next_multiple_of(16))
    }

    /// f32 of scratch for rows.
    fn rows_scratch(&self) -> usize {
        let [_, n, k] = self.gemm.shape();
        self.gemm.scratch_len().next_multiple_of(16) + 2 * (n + k)
    }

    /// The products as a step of a section.
    fn lower_by_rows(self, by_rows: RowShares) -> Lowered {
        let (scratch, workspace) = (self.rows_scratch() * 4, self.packed() * self.len() * 4);
        let products = Arc::new(self);
        let mut phases = Vec::new();
        let chunks = products.gemm.pack_chunks();
        if chunks > 0 {
            let products = products.clone();
            phases.push(Phase::new(products.len() * chunks, move |operands, chunk, _| {
                let (i, chunk) = (chunk / chunks, chunk % chunks);
                let packed = operands.workspace.cast::<f32>().wrapping_add(i * products.packed());
                // SAFETY: B has product `i`, and the workspace memory for each product's panels.
                unsafe {
                    let b = operands.input::<f32>(1).add(products.offsets[1][i]);
                    products.gemm.run_pack_chunk(chunk, b, packed);
                }
            }));
        }
        let section = Section { phase: phases.len(), images: by_rows.rows, lanes: 1, inputs: 1, outputs: 1 };
        phases.push(Phase::new(by_rows.shares, move |operands, chunk, scratch| {
            // SAFETY: the plan gives every step operands of its facts' sizes, workspace and scratch as large as asked for.
            unsafe { products.run_rows(by_rows.share(chunk), operands, scratch.cast()) };
        }));
        Lowered { name: "gemm_batched", phases, workspace, scratch, packed: SmallVec::new(), section: Some(section) }
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

    fn rows(&self, task: &Task) -> Option<usize> {
        if is_empty(task) { None } else { Products::of(task).ok()?.rows() }
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        if is_empty(task) {
            return Ok(zeros("gemm_batched", task.output.shape.len()));
        }
        let products = Products::of(task)?;
        if let Some(by_rows) = task.by_rows {
            return Ok(products.lower_by_rows(by_rows));
        }
        let (batch, products) = (products.len(), Arc::new(products));
        let gemm = &products.gemm;
        // Each product that runs at the same time has memory of its own.
        let own = products.packed() + gemm.workspace_len().next_multiple_of(16);
        let at_once = (PACKED / own.max(1)).clamp(1, batch);
        let mut phases = Vec::new();
        for first in (0..batch).step_by(at_once) {
            let slots = at_once.min(batch - first);
            for phase in 0..gemm.phases() {
                let (products, chunks) = (products.clone(), gemm.chunks(phase));
                phases.push(Phase::new(slots * chunks, move |operands, chunk, scratch| {
                    let (slot, chunk) = (chunk / chunks, chunk % chunks);
                    // SAFETY: the operands are those of the task; the workspace holds `own` floats for each slot.
                    unsafe {
                        let memory = operands.workspace.cast::<f32>().add(slot * own);
                        let args = products.args(operands, first + slot, memory);
                        products.gemm.run_chunk(phase, chunk, &args, scratch.cast());
                    }
                }));
            }
        }
        let (workspace, scratch) = (own * at_once * 4, gemm.scratch_len() * 4);
        Ok(Lowered { name: "gemm_batched", phases, workspace, scratch, packed: SmallVec::new(), section: None })
    }
}
