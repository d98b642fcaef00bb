//! The region engine: pointwise programs with reductions, strip by strip.
//!
//! A chunk walks its part of the iteration space in strips that stay in L1. Each instruction is one
//! loop over the strip; operands that lie as the strip does are read in place. Stores happen after
//! the strip's last instruction, so that a result may take the memory of an operand. Sums gather in
//! f32 within a strip column or row and in f64 across strips and chunks, in an order that depends on
//! the shape alone.

pub mod attached;
mod chain;
mod forms;
mod masked;
pub mod math;
mod moments;
mod space;
mod strip;
#[cfg(test)]
mod tests;

use super::chunked::split;
use super::kernel::{Lowered, Operands, Phase};
use super::simd::Tier;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::reduce::ReduceKind;
use crate::region::{Arg, Region};
use space::{Axis, Space};
use std::ops::Range;
use std::sync::Arc;
use strip::{Home, Layout, Load};

/// Elements that a chunk works on, about.
const CHUNK: usize = 1 << 15;
/// The same where these are few chunks: small enough for all threads to have some.
const SMALL_CHUNK: usize = 1 << 13;
/// Chunks from which on threads have enough of them.
const ENOUGH_CHUNKS: usize = 16;
/// Most chunks whose partial sums are combined.
const PARTIALS: usize = 64;
/// Bytes of partial sums, at most.
const PARTIAL_BYTES: usize = 16 << 20;

/// Lowers a region without anchor. Operands are the region's, outputs its stores, then reductions.
///
/// # Errors
/// When the region refers to an anchor.
pub fn lower_region(region: &Region, tier: Tier) -> Result<Lowered> {
    let args = region.code.iter().flat_map(|c| c.args.iter()).chain(region.stores.iter().map(|s| &s.0));
    if args.chain(region.reductions.iter().map(|r| &r.source)).any(|a| *a == Arg::Anchor) {
        return Err(Error::state("a region with an anchor cannot run alone"));
    }
    if !region.moments.is_empty() {
        return Err(Error::state("a region that measures moments cannot run alone"));
    }
    let space = Space::new(region);
    let layout = Layout::new(region, &space);
    let engine = Engine {
        apply: forms::select(tier),
        chain: chain::select(tier),
        sum: forms::select_sum(tier),
        region: region.clone(),
        space,
        layout,
    };
    let reductions = region.reductions.len();
    let kept = engine.space.kept;
    let len = engine.space.len();
    let (axis, chunks) = engine.cut();
    // A cut along a reduced axis leaves partial sums; along a kept one, each chunk has its own outputs.
    let partial = reductions > 0 && (engine.space.axes[axis].reduced || len == 0);
    let own = if partial { kept } else { kept.div_ceil(chunks.max(1)) + engine.space.axes[axis].kept_step };
    let scratch = engine.layout.strips * engine.layout.lanes * 4
        + if reductions > 0 { engine.layout.lanes * 4 * reductions } else { 0 };
    let accumulators = if reductions > 0 { chunks.max(1) * reductions * own.max(1) * 8 } else { 0 };
    let engine = Arc::new(engine);
    let mut phases = Vec::new();
    let held = engine.clone();
    phases.push(Phase::new(chunks, move |operands, chunk, scratch| {
        let range = split(held.space.axes[axis].extent, chunks, chunk);
        // SAFETY: the plan's contract: operands of the region's facts, scratch and workspace of the
        // sizes asked for; chunks cover disjoint parts of the space.
        unsafe { held.chunk(operands, axis, range, scratch, chunk, own, partial) };
    }));
    if partial {
        phases.push(Phase::new(1, move |operands, _, _| {
            // SAFETY: as above; all chunks have ended.
            unsafe { engine.combine(operands, chunks, own) };
        }));
    }
    Ok(Lowered { name: "region", phases, workspace: accumulators, scratch, packed: None, section: None })
}

struct Engine {
    apply: forms::Apply,
    chain: chain::RunFn,
    sum: forms::Sum,
    region: Region,
    space: Space,
    layout: Layout,
}

/// A strip's place: first row and column, their numbers, and the linear index of its first element.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    col: usize,
    rows: usize,
    cols: usize,
    linear: usize,
}

impl Engine {
    /// The axis along which the space is cut, and into how many chunks.
    fn cut(&self) -> (usize, usize) {
        let len = self.space.len();
        if len == 0 {
            return (0, usize::from(!self.region.reductions.is_empty()));
        }
        let wanted = len.div_ceil(SMALL_CHUNK).min(ENOUGH_CHUNKS).max(len.div_ceil(CHUNK));
        // The outermost axis that is long enough; the longest of the first ones otherwise.
        let axes = &self.space.axes;
        let usable = axes.len();
        let mut best = 0;
        for a in 0..usable {
            if axes[a].extent >= wanted {
                best = a;
                break;
            }
            if axes[a].extent > axes[best].extent {
                best = a;
            }
        }
        if !self.region.reductions.is_empty() {
            // A cut inside other axes would interleave the outputs of chunks.
            best = (0..=best).find(|&a| axes[a].extent > 1).unwrap_or(best);
            let mut chunks = wanted.min(axes[best].extent);
            if axes[best].reduced {
                let bytes = self.space.kept.max(1) * 8 * self.region.reductions.len();
                chunks = chunks.min(PARTIALS).min((PARTIAL_BYTES / bytes).max(1));
            }
            return (best, chunks.max(1));
        }
        (best, wanted.min(axes[best].extent).max(1))
    }

    /// Runs the part of the space in which axis `cut` is within `range`.
    #[allow(clippy::too_many_arguments, reason = "a chunk's place and memory")]
    unsafe fn chunk(
        &self,
        operands: &Operands,
        cut: usize,
        range: Range<usize>,
        scratch: *mut u8,
        chunk: usize,
        own: usize,
        partial: bool,
    ) {
        let n = self.space.axes.len();
        let lanes = self.layout.lanes;
        let scratch: *mut u32 = scratch.cast();
        for &(bits, dtype, strip) in &self.layout.literals {
            let value = f64::from_bits(bits);
            let word = if dtype.is_float() { (value as f32).to_bits() } else { value as i32 as u32 };
            // SAFETY: the strip lies within the scratch.
            unsafe { std::slice::from_raw_parts_mut(scratch.add(strip * lanes), lanes).fill(word) };
        }
        let reductions = self.region.reductions.len();
        let sums: &mut [f64] = if reductions > 0 {
            // SAFETY: each chunk has its own part of the workspace.
            unsafe {
                let base = operands.workspace.cast::<f64>().add(chunk * reductions * own);
                std::slice::from_raw_parts_mut(base, reductions * own)
            }
        } else {
            &mut []
        };
        for (r, reduction) in self.region.reductions.iter().enumerate() {
            sums[r * own..(r + 1) * own].fill(reduction.kind.identity());
        }
        let first_kept = if partial { 0 } else { range.start * self.space.axes[cut].kept_step };
        let bounds: Vec<Range<usize>> =
            (0..n).map(|a| if a == cut { range.clone() } else { 0..self.space.axes[a].extent }).collect();
        if bounds.iter().all(|b| !b.is_empty()) {
            // SAFETY: as the caller's.
            unsafe { self.walk(operands, &bounds, scratch, sums, own, first_kept) };
        }
        if reductions > 0 && !partial {
            let count = range.len() * self.space.axes[cut].kept_step;
            for (r, reduction) in self.region.reductions.iter().enumerate() {
                let output = operands.outputs[self.region.stores.len() + r];
                let dtype = reduction.kind.result_dtype(reduction.dtype);
                for i in 0..count {
                    // SAFETY: these outputs belong to this chunk.
                    unsafe { put(output, dtype, first_kept + i, sums[r * own + i]) };
                }
            }
        }
    }

    /// Visits all strips within `bounds`.
    unsafe fn walk(
        &self,
        operands: &Operands,
        bounds: &[Range<usize>],
        scratch: *mut u32,
        sums: &mut [f64],
        own: usize,
        first_kept: usize,
    ) {
        let n = bounds.len();
        let axes = &self.space.axes;
        let (row_bounds, col_bounds) = (bounds[n - 2].clone(), bounds[n - 1].clone());
        let cols_all = axes[n - 1].extent;
        let whole_rows = col_bounds.len() == cols_all;
        let rows_at_once = if whole_rows && cols_all <= self.layout.lanes { self.layout.lanes / cols_all } else { 1 };
        let mut index: Vec<usize> = bounds[..n - 2].iter().map(|b| b.start).collect();
        loop {
            let base = |k: usize| index.iter().zip(axes).map(|(i, a)| i * a.steps[k]).sum::<usize>();
            let bases: smallvec::SmallVec<[usize; 16]> = (0..self.region.operands.len()).map(base).collect();
            let linear_outer = index.iter().zip(axes).fold(0, |l, (i, a)| l * a.extent + i);
            let kept_outer: usize = index.iter().zip(axes).map(|(i, a)| i * a.kept_step).sum();
            let mut filled: [usize; 2] = [0, 0];
            let mut row = row_bounds.start;
            while row < row_bounds.end {
                let rows = rows_at_once.min(row_bounds.end - row);
                let mut col = col_bounds.start;
                while col < col_bounds.end {
                    let cols = if rows_at_once > 1 || whole_rows && cols_all <= self.layout.lanes {
                        cols_all
                    } else {
                        self.layout.lanes.min(col_bounds.end - col)
                    };
                    let linear = (linear_outer * axes[n - 2].extent + row) * cols_all + col;
                    let place = Place { row, col, rows, cols, linear };
                    // SAFETY: as the caller's; the strip has at most `lanes` elements.
                    unsafe {
                        self.load(operands, &bases, place, scratch, &mut filled);
                        self.compute(operands, &bases, place, scratch);
                        self.reduce(operands, &bases, place, scratch, sums, own, kept_outer, first_kept);
                        self.store(operands, &bases, place, scratch);
                    }
                    col += cols;
                }
                row += rows;
            }
            let mut a = n - 2;
            loop {
                if a == 0 {
                    return;
                }
                a -= 1;
                index[a] += 1;
                if index[a] < bounds[a].end {
                    break;
                }
                index[a] = bounds[a].start;
            }
        }
    }

    /// Fills the strips of operands that are not read in place. `filled` remembers for how many
    /// elements, and for which column, repeated operands are filled already.
    unsafe fn load(&self, operands: &Operands, bases: &[usize], p: Place, scratch: *mut u32, filled: &mut [usize; 2]) {
        let [.., rows, cols] = self.space.axes.as_slice() else { return };
        let count = p.rows * p.cols;
        let fresh = filled[0] < count || filled[1] != p.col + 1;
        for (k, load) in self.layout.loads.iter().enumerate() {
            let Home::Strip(strip) = self.layout.operands[k] else { continue };
            let dtype = self.region.operands[k].dtype;
            let source = operands.inputs[k];
            // SAFETY: all elements lie within the operand and the strip.
            unsafe {
                let to = scratch.add(strip * self.layout.lanes);
                match load {
                    Load::InPlace => {}
                    Load::Value | Load::Rows if !fresh => {}
                    Load::Value => {
                        let word = lane(source, dtype, bases[k]);
                        std::slice::from_raw_parts_mut(to, count).fill(word);
                    }
                    Load::Rows => {
                        for j in 0..p.cols {
                            *to.add(j) = lane(source, dtype, bases[k] + p.col + j);
                        }
                        for i in 1..p.rows {
                            to.add(i * p.cols).copy_from_nonoverlapping(to, p.cols);
                        }
                    }
                    Load::Gather => {
                        let (row_step, col_step) = (rows.steps[k], cols.steps[k]);
                        for i in 0..p.rows {
                            let from = bases[k] + (p.row + i) * row_step + p.col * col_step;
                            let to = to.add(i * p.cols);
                            match (col_step, dtype) {
                                (1, DType::U8 | DType::Bool) => {
                                    let bytes = std::slice::from_raw_parts(source.add(from), p.cols);
                                    let to = std::slice::from_raw_parts_mut(to, p.cols);
                                    to.iter_mut().zip(bytes).for_each(|(t, &b)| *t = u32::from(b));
                                }
                                (0, _) => std::slice::from_raw_parts_mut(to, p.cols).fill(lane(source, dtype, from)),
                                _ => {
                                    for j in 0..p.cols {
                                        *to.add(j) = lane(source, dtype, from + j * col_step);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        if fresh {
            *filled = [count, p.col + 1];
        }
    }

    /// Where the lanes of an argument lie for a strip.
    unsafe fn lanes_of(
        &self,
        operands: &Operands,
        bases: &[usize],
        p: Place,
        scratch: *mut u32,
        arg: Arg,
        dtype: DType,
    ) -> *const u32 {
        let strip = |s: usize| scratch.wrapping_add(s * self.layout.lanes).cast_const();
        let home = match arg {
            Arg::Operand(k) => self.layout.operands[k as usize],
            Arg::Result(r) => self.layout.result(r),
            Arg::Literal(bits) => return strip(self.layout.literal(bits, dtype)),
            Arg::Anchor => unreachable!("anchors were refused"),
        };
        match home {
            Home::Strip(s) => strip(s),
            Home::Direct(k) => {
                let [.., rows, cols] = self.space.axes.as_slice() else { unreachable!("a space has two axes") };
                let at = bases[k] + p.row * rows.steps[k] + p.col * cols.steps[k];
                operands.input::<u32>(k).wrapping_add(at)
            }
        }
    }

    unsafe fn compute(&self, operands: &Operands, bases: &[usize], p: Place, scratch: *mut u32) {
        // SAFETY: the caller's.
        let place = |arg, dtype| unsafe { self.lanes_of(operands, bases, p, scratch, arg, dtype) };
        let strip = |s: usize| scratch.wrapping_add(s * self.layout.lanes);
        let run = (self.apply, self.chain);
        // SAFETY: arguments and results have `rows · cols` lanes; the layout keeps them apart.
        unsafe { self.layout.run(&self.region, run, place, strip, p.rows * p.cols) };
    }

    unsafe fn store(&self, operands: &Operands, bases: &[usize], p: Place, scratch: *mut u32) {
        let count = p.rows * p.cols;
        for (k, &(arg, dtype)) in self.region.stores.iter().enumerate() {
            // SAFETY: the output has the region's size; this strip's part belongs to this chunk. A
            // donated output may be the very memory that was read.
            unsafe {
                let from = self.lanes_of(operands, bases, p, scratch, arg, dtype);
                match dtype {
                    DType::F32 | DType::I32 => operands.output::<u32>(k).add(p.linear).copy_from(from, count),
                    DType::U8 | DType::Bool => {
                        let to = std::slice::from_raw_parts_mut(operands.output::<u8>(k).add(p.linear), count);
                        let from = std::slice::from_raw_parts(from, count);
                        to.iter_mut().zip(from).for_each(|(t, &w)| *t = w as u8);
                    }
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a strip and the sums that it goes into")]
    unsafe fn reduce(
        &self,
        operands: &Operands,
        bases: &[usize],
        p: Place,
        scratch: *mut u32,
        sums: &mut [f64],
        own: usize,
        kept_outer: usize,
        first_kept: usize,
    ) {
        let [.., rows, cols] = self.space.axes.as_slice() else { return };
        for (r, reduction) in self.region.reductions.iter().enumerate() {
            let sums = &mut sums[r * own..(r + 1) * own];
            let at = kept_outer + p.row * rows.kept_step + p.col * cols.kept_step - first_kept;
            // SAFETY: the strip has `rows · cols` lanes.
            unsafe {
                let from = self.lanes_of(operands, bases, p, scratch, reduction.source, reduction.dtype);
                let kind = reduction.kind;
                if !reduction.dtype.is_float() {
                    let values = std::slice::from_raw_parts(from.cast::<i32>(), p.rows * p.cols);
                    fold(values, p, rows, cols, sums, at, kind);
                    continue;
                }
                let values = std::slice::from_raw_parts(from.cast::<f32>(), p.rows * p.cols);
                match (kind, rows.reduced, cols.reduced) {
                    (ReduceKind::Sum, true, true) => (self.sum)(values, values.len(), Some(0), &mut sums[at..]),
                    (ReduceKind::Sum, false, true) => (self.sum)(values, p.cols, Some(rows.kept_step), &mut sums[at..]),
                    (ReduceKind::Sum, true, false) => (self.sum)(values, p.cols, None, &mut sums[at..at + p.cols]),
                    _ => fold(values, p, rows, cols, sums, at, kind),
                }
            }
        }
    }

    /// Combines the partial sums of all chunks, in order of chunk.
    unsafe fn combine(&self, operands: &Operands, chunks: usize, own: usize) {
        let reductions = self.region.reductions.len();
        let parts = operands.workspace.cast::<f64>();
        for (r, reduction) in self.region.reductions.iter().enumerate() {
            let dtype = reduction.kind.result_dtype(reduction.dtype);
            let output = operands.outputs[self.region.stores.len() + r];
            for i in 0..self.space.kept {
                let mut value = reduction.kind.identity();
                for chunk in 0..chunks {
                    // SAFETY: every chunk has written its part.
                    value = reduction.kind.combine(value, unsafe { *parts.add((chunk * reductions + r) * own + i) });
                }
                // SAFETY: the output has `kept` elements.
                unsafe { put(output, dtype, i, value) };
            }
        }
    }
}

/// Values that a lane may hold.
trait Value: Copy {
    fn wide(self) -> f64;
}

impl Value for f32 {
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Value for i32 {
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

/// Combines a strip with what its reductions hold, by which of its two axes are reduced.
fn fold<T: Value>(values: &[T], p: Place, rows: &Axis, cols: &Axis, sums: &mut [f64], at: usize, kind: ReduceKind) {
    for (i, row) in values.chunks_exact(p.cols).enumerate() {
        let at = if rows.reduced { at } else { at + i * rows.kept_step };
        if cols.reduced {
            sums[at] = row.iter().fold(sums[at], |s, v| kind.combine(s, v.wide()));
        } else {
            let sums = &mut sums[at..at + p.cols];
            sums.iter_mut().zip(row).for_each(|(s, v)| *s = kind.combine(*s, v.wide()));
        }
    }
}

/// Element `at` as a lane.
#[inline(always)]
unsafe fn lane(source: *const u8, dtype: DType, at: usize) -> u32 {
    // SAFETY: the caller's: `at` is an element.
    unsafe {
        match dtype {
            DType::F32 | DType::I32 => *source.cast::<u32>().add(at),
            DType::U8 | DType::Bool => u32::from(*source.add(at)),
        }
    }
}

/// Writes a reduced value; integers wrap.
unsafe fn put(output: *mut u8, dtype: DType, at: usize, value: f64) {
    // SAFETY: the caller's: `at` is an element of the output.
    unsafe {
        match dtype {
            DType::F32 => *output.cast::<f32>().add(at) = value as f32,
            DType::I32 => *output.cast::<i32>().add(at) = value as i64 as i32,
            DType::U8 | DType::Bool => *output.add(at) = value as i64 as u8,
        }
    }
}
