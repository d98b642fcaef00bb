//! One kernel moves elements for all of these ops: copies between strided places.

use super::{Concat, Iota, Pad, Slice, Transpose};
use crate::backend::cpu::chunked::split;
use crate::backend::cpu::kernel::{Cost, CpuKernel, Lowered, Operands, Phase, Task};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::shape::{Fact, Shape};

/// All candidates.
pub const KERNELS: &[&dyn CpuKernel] = &[&Move];

/// Strided copies.
struct Move;

/// Elements that a chunk moves, about.
const CHUNK: usize = 1 << 15;

/// One copy: element (i₀, i₁, …) goes from `from + Σ iₐ·from_steps[a]` to `to + Σ iₐ·to_steps[a]`.
#[derive(Clone, Debug)]
struct Copy {
    input: usize,
    size: usize,
    extents: Vec<usize>,
    from: isize,
    from_steps: Vec<isize>,
    to: isize,
    to_steps: Vec<isize>,
}

impl Copy {
    fn new(
        input: usize,
        fact: &Fact,
        extents: &[usize],
        from: isize,
        from_steps: Vec<isize>,
        to: isize,
        to_steps: Vec<isize>,
    ) -> Self {
        let mut c = Copy { input, size: fact.dtype.size(), extents: extents.to_vec(), from, from_steps, to, to_steps };
        c.merge_axes();
        c
    }

    /// Joins neighbouring axes that both sides step through as one, and drops axes of extent 1.
    fn merge_axes(&mut self) {
        let mut a = 0;
        while a < self.extents.len() {
            if self.extents[a] == 1 {
                self.extents.remove(a);
                self.from_steps.remove(a);
                self.to_steps.remove(a);
                continue;
            }
            if a > 0 {
                let n = self.extents[a] as isize;
                let joined =
                    self.from_steps[a - 1] == self.from_steps[a] * n && self.to_steps[a - 1] == self.to_steps[a] * n;
                if joined {
                    self.extents[a - 1] *= self.extents[a];
                    self.from_steps[a - 1] = self.from_steps[a];
                    self.to_steps[a - 1] = self.to_steps[a];
                    self.extents.remove(a);
                    self.from_steps.remove(a);
                    self.to_steps.remove(a);
                    continue;
                }
            }
            a += 1;
        }
        if self.extents.is_empty() {
            self.extents.push(1);
            self.from_steps.push(1);
            self.to_steps.push(1);
        }
    }

    /// Rows: all axes but the last.
    fn rows(&self) -> usize {
        self.extents[..self.extents.len() - 1].iter().product()
    }

    fn chunks(&self) -> usize {
        let total: usize = self.extents.iter().product();
        if total == 0 { 0 } else { total.div_ceil(CHUNK).min(self.rows()).max(1) }
    }

    fn phase(self) -> Phase {
        let chunks = self.chunks();
        Phase::new(chunks, move |operands, chunk, _| {
            let rows = split(self.rows(), chunks, chunk);
            // SAFETY: every index lies within the facts for which the copy was made, and chunks write
            // different rows.
            unsafe {
                match self.size {
                    4 => self.run::<u32>(operands, rows),
                    _ => self.run::<u8>(operands, rows),
                }
            }
        })
    }

    unsafe fn run<T: std::marker::Copy>(&self, operands: &Operands, rows: std::ops::Range<usize>) {
        let last = self.extents.len() - 1;
        let (n, from_step, to_step) = (self.extents[last], self.from_steps[last], self.to_steps[last]);
        let (source, target) = (operands.input::<T>(self.input), operands.output::<T>(0));
        for row in rows {
            let (mut from, mut to, mut rest) = (self.from, self.to, row);
            for a in (0..last).rev() {
                let i = (rest % self.extents[a]) as isize;
                rest /= self.extents[a];
                from += i * self.from_steps[a];
                to += i * self.to_steps[a];
            }
            // SAFETY: as the caller's.
            unsafe {
                let (source, target) = (source.offset(from), target.offset(to));
                if from_step == 1 && to_step == 1 {
                    target.copy_from_nonoverlapping(source, n);
                } else {
                    for i in 0..n as isize {
                        *target.offset(i * to_step) = *source.offset(i * from_step);
                    }
                }
            }
        }
    }
}

fn signed(strides: &[usize]) -> Vec<isize> {
    strides.iter().map(|&s| s as isize).collect()
}

fn fill(fact: &Fact, value: f64) -> Phase {
    let (dtype, len) = (fact.dtype, fact.shape.len());
    let chunks = len.div_ceil(CHUNK);
    Phase::new(chunks, move |operands, chunk, _| {
        let range = split(len, chunks, chunk);
        // SAFETY: the range lies within the output.
        unsafe {
            match dtype {
                DType::F32 => slice_mut::<f32>(operands, range).fill(value as f32),
                DType::I32 => slice_mut::<i32>(operands, range).fill(value as i32),
                DType::U8 | DType::Bool => slice_mut::<u8>(operands, range).fill(value as u8),
            }
        }
    })
}

unsafe fn slice_mut<'a, T>(operands: &'a Operands, range: std::ops::Range<usize>) -> &'a mut [T] {
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts_mut(operands.output::<T>(0).add(range.start), range.len()) }
}

fn offset(at: &[usize], strides: &[usize]) -> isize {
    at.iter().zip(strides).map(|(a, s)| a * s).sum::<usize>() as isize
}

fn phases(task: &Task) -> Result<Vec<Phase>> {
    let out = task.output;
    let to = out.shape.strides();
    Ok(match task.op {
        Op::Transpose(Transpose { perm }) => {
            let from = task.inputs[0].shape.strides();
            let steps = perm.iter().map(|&p| from[p] as isize).collect();
            vec![Copy::new(0, out, &out.shape, 0, steps, 0, signed(&to)).phase()]
        }
        Op::Slice(Slice { starts, steps, .. }) => {
            let from = task.inputs[0].shape.strides();
            let steps = from.iter().zip(steps).map(|(&f, &s)| f as isize * s as isize).collect();
            vec![Copy::new(0, out, &out.shape, offset(starts, &from), steps, 0, signed(&to)).phase()]
        }
        Op::Pad(Pad { before, inner, value, .. }) => {
            let x = &task.inputs[0].shape;
            let steps = to.iter().zip(inner).map(|(&t, &i)| (t * (i + 1)) as isize).collect();
            let copy = Copy::new(0, out, x, 0, signed(&x.strides()), offset(before, &to), steps);
            vec![fill(out, value.get()), copy.phase()]
        }
        Op::Concat(Concat { axis }) => {
            let axis = out.shape.axis(*axis)?;
            let mut start = 0;
            let mut list = Vec::new();
            for (i, f) in task.inputs.iter().enumerate() {
                let at = (start * to[axis]) as isize;
                list.push(Copy::new(i, out, &f.shape, 0, signed(&f.shape.strides()), at, signed(&to)).phase());
                start += f.shape[axis];
            }
            list
        }
        Op::Iota(iota) => vec![count(iota, out)],
        other => return Err(Error::state(format!("{other:?} moves nothing"))),
    })
}

fn count(iota: &Iota, out: &Fact) -> Phase {
    let step: usize = out.shape[iota.axis + 1..].iter().product();
    let (extent, len, dtype) = (out.shape[iota.axis].max(1), out.shape.len(), out.dtype);
    Phase::new(1, move |operands, _, _| {
        for i in 0..len {
            let v = i / step.max(1) % extent;
            // SAFETY: `i` is an element of the output.
            unsafe {
                match dtype {
                    DType::F32 => *operands.output::<f32>(0).add(i) = v as f32,
                    DType::I32 => *operands.output::<i32>(0).add(i) = v as i32,
                    DType::U8 => *operands.output::<u8>(0).add(i) = v as u8,
                    DType::Bool => *operands.output::<u8>(0).add(i) = u8::from(v != 0),
                }
            }
        }
    })
}

impl CpuKernel for Move {
    fn name(&self) -> &'static str {
        "move"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        if task.epilogue.is_some() || task.prologue.is_some() {
            return Err("takes no attachments".into());
        }
        Ok(Cost(task.output.shape.len() as f64))
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let phases = if Shape::is_empty(&task.output.shape) { Vec::new() } else { phases(task)? };
        Ok(Lowered { name: "move", phases, workspace: 0, scratch: 0 })
    }
}
