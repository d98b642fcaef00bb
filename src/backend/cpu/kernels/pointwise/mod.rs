//! The region engine: pointwise programs with reductions, block by block.
//!
//! A chunk walks its part of the iteration space in blocks that stay in L1. Each instruction is one
//! loop over the block; operands that lie as the block does are read in place. Stores happen after
//! the block's last instruction, so that a result may take the memory of an operand. Sums gather in
//! f32 within a block column or row and in f64 across blocks and chunks, in an order that depends on
//! the shape alone.

pub mod attached;
mod block;
mod chain;
mod forms;
mod halves;
pub mod lanes;
mod masked;
mod masked_form;
mod masked_tile;
pub mod math;
mod moments;
mod space;
#[cfg(test)]
mod tests;
mod vector_math;

use super::chunked::split;
use crate::backend::cpu::kernel::{Lowered, Operands, Phase, RowShares, Section};
use crate::backend::cpu::simd::Tier;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fusion::region::{Arg, Region};
use crate::ops::reduce::ReduceKind;
use block::{BoundSlots, Home, Layout, Load, Slot};
use lanes::lane;
use smallvec::SmallVec;
use space::{Axis, Space};
use std::ops::Range;
use std::sync::Arc;

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

/// How many rows the space of `region` has: its outermost positions of which each makes outputs of its own. Rows of which
/// it is a multiple are rows of the region, too.
pub fn region_rows(region: &Region) -> Option<usize> {
    let space = Space::new(region);
    let (_, outermost) = space.outermost()?;
    (!outermost.reduced && region.moments.is_empty()).then_some(outermost.extent)
}

/// Lowers a region without anchor. Operands are the region's, outputs its stores, then reductions.
///
/// # Errors
/// When the region refers to an anchor.
pub fn lower_region(region: &Region, tier: Tier) -> Result<Lowered> {
    lower_region_by_rows(region, tier, None)
}

/// The same with the shares of rows that are its chunks, a divisor of [`region_rows`], and the elements of each operand.
///
/// # Errors
/// As [`lower_region`].
pub fn lower_region_by_rows(region: &Region, tier: Tier, by_rows: Option<(RowShares, &[usize])>) -> Result<Lowered> {
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
        extreme: forms::select_extreme(tier),
        region: region.clone(),
        space,
        layout,
    };
    let reductions = region.reductions.len();
    let kept = engine.space.kept;
    let len = engine.space.len();
    let rows = by_rows.and_then(|(shares, lens)| engine.rows(shares, lens));
    let (axis, chunks) = rows.as_ref().map_or_else(|| engine.cut(), |rows| (rows.axis, rows.shares.shares));
    // A cut along a reduced axis leaves partial sums; along a kept one, each chunk has its own outputs.
    let partial = reductions > 0 && (engine.space.axes[axis].reduced || len == 0);
    let own = match &rows {
        Some(rows) => rows.shares.rows.div_ceil(chunks) * rows.each * engine.space.axes[axis].kept_step,
        None if partial => kept,
        None => kept.div_ceil(chunks.max(1)) + engine.space.axes[axis].kept_step,
    };
    let section = rows.as_ref().map(|rows| rows.section(region));
    let scratch = engine.layout.blocks * engine.layout.lanes * 4
        + if reductions > 0 { engine.layout.lanes * 4 * reductions } else { 0 };
    let accumulators = if reductions > 0 { chunks.max(1) * reductions * own.max(1) * 8 } else { 0 };
    let engine = Arc::new(engine);
    let mut phases = Vec::new();
    let held = engine.clone();
    phases.push(Phase::new(chunks, move |operands, chunk, scratch| {
        let range = match &rows {
            Some(rows) => rows.positions(chunk),
            None => split(held.space.axes[axis].extent, chunks, chunk),
        };
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
    Ok(Lowered { name: "region", phases, workspace: accumulators, scratch, packed: SmallVec::new(), section })
}

/// A cut into shares of rows.
struct Rows {
    shares: RowShares,
    /// The axis that is cut.
    axis: usize,
    /// Its positions in a row.
    each: usize,
    /// Bit k: of operand k, a row reads what is a row of it alone.
    inputs: u64,
}

impl Rows {
    /// The positions of share `index`.
    fn positions(&self, index: usize) -> Range<usize> {
        let rows = self.shares.share(index);
        rows.start * self.each..rows.end * self.each
    }

    fn section(&self, region: &Region) -> Section {
        let outputs = (1 << (region.stores.len() + region.reductions.len())) - 1;
        Section { phase: 0, images: self.shares.rows, lanes: 1, inputs: self.inputs, outputs }
    }
}

struct Engine {
    apply: forms::Apply,
    chain: chain::RunFn,
    sum: forms::Sum,
    extreme: forms::Extreme,
    region: Region,
    space: Space,
    layout: Layout,
}

/// A block's place: first row and column, and their numbers.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    col: usize,
    rows: usize,
    cols: usize,
}

/// What the blocks of operands that are not read in place hold.
#[derive(Clone, Copy, Default)]
struct Filled {
    /// Lanes that repeat a value.
    values: usize,
    /// Lanes that repeat a row, and its first column.
    rows: usize,
    col: usize,
}

/// The plane of rows and columns at one position of the axes before.
struct Plane<'a> {
    operands: &'a Operands<'a>,
    /// Its first element of each operand.
    bases: SmallVec<[usize; 16]>,
    /// Its first element of the outputs.
    first: usize,
    scratch: *mut u32,
    program: BoundSlots,
    /// Outputs that the program does not write, and where their lanes lie.
    copies: SmallVec<[(usize, Slot); 4]>,
    /// Where the lanes lie that reductions take.
    sources: SmallVec<[Slot; 4]>,
}

impl Engine {
    /// The cut into these shares, if rows are positions of the outermost axis; `lens` are the elements of each operand.
    fn rows(&self, shares: RowShares, lens: &[usize]) -> Option<Rows> {
        let (axis, outermost) = self.space.outermost()?;
        if outermost.reduced || !outermost.extent.is_multiple_of(shares.rows) || lens.len() > u64::BITS as usize {
            return None;
        }
        let each = outermost.extent / shares.rows;
        let inner = &self.space.axes[axis + 1..];
        let own = |&(k, len): &(usize, &usize)| {
            let row = each * outermost.steps[k];
            let last: usize =
                inner.iter().map(|a| (a.extent - 1) * a.steps[k]).sum::<usize>() + row - outermost.steps[k];
            row > 0 && row * shares.rows == *len && last < row
        };
        let inputs = lens.iter().enumerate().filter(own).map(|(k, _)| 1 << k).sum();
        Some(Rows { shares, axis, each, inputs })
    }

    /// The axis along which the space is cut, and into how many chunks.
    fn cut(&self) -> (usize, usize) {
        let len = self.space.len();
        if len == 0 {
            return (0, usize::from(!self.region.reductions.is_empty()));
        }
        let wanted = len.div_ceil(SMALL_CHUNK).min(ENOUGH_CHUNKS).max(len.div_ceil(CHUNK));
        // The outermost axis that is long enough; the longest of the first ones otherwise. Far inside, chunks would work
        // on few elements at a time.
        let axes = &self.space.axes;
        let usable = axes.len();
        let mut best = 0;
        for a in 0..usable {
            if axes[a].extent >= wanted.min(2 * ENOUGH_CHUNKS) {
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
        for &(bits, dtype, block) in &self.layout.literals {
            let word = lanes::literal(f64::from_bits(bits), dtype);
            // SAFETY: the block lies within the scratch.
            unsafe { std::slice::from_raw_parts_mut(scratch.add(block * lanes), lanes).fill(word) };
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
                // SAFETY: these outputs belong to this chunk.
                unsafe { lanes::put_all(output, dtype, first_kept, &sums[r * own..][..count]) };
            }
        }
    }

    /// Visits all blocks within `bounds`.
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
        let run = (self.apply, self.chain);
        let mut index: Vec<usize> = bounds[..n - 2].iter().map(|b| b.start).collect();
        loop {
            let plane = self.plane(operands, &index, scratch);
            let kept_outer: usize = index.iter().zip(axes).map(|(i, a)| i * a.kept_step).sum();
            let mut filled = Filled::default();
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
                    let place = Place { row, col, rows, cols };
                    // SAFETY: as the caller's; the block has at most `lanes` elements. Arguments and results have
                    // `rows · cols` lanes; the layout keeps them apart, and says which results outputs may hold.
                    unsafe {
                        self.load(&plane, place, &mut filled);
                        self.layout.run(&self.region, run, &plane.program, row * cols_all + col, rows * cols);
                        self.reduce(&plane, place, sums, own, kept_outer, first_kept);
                        self.store(&plane, place);
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

    /// Fills the blocks of operands that are not read in place, where they do not hold the same already.
    unsafe fn load(&self, plane: &Plane, p: Place, filled: &mut Filled) {
        let Plane { operands, bases, scratch, .. } = plane;
        let [.., rows, cols] = self.space.axes.as_slice() else { return };
        let count = p.rows * p.cols;
        let fresh_values = filled.values < count;
        let fresh_rows = filled.rows < count || filled.col != p.col;
        for (k, load) in self.layout.loads.iter().enumerate() {
            let Home::Block(block) = self.layout.operands[k] else { continue };
            let dtype = self.region.operands[k].dtype;
            let source = operands.inputs[k];
            // SAFETY: all elements lie within the operand and the block.
            unsafe {
                let to = scratch.add(block * self.layout.lanes);
                match load {
                    Load::InPlace => {}
                    Load::Value if !fresh_values => {}
                    Load::Rows if !fresh_rows => {}
                    Load::Value => {
                        let word = lane(source, dtype, bases[k]);
                        std::slice::from_raw_parts_mut(to, count).fill(word);
                    }
                    Load::Rows => {
                        lanes::load(source.add((bases[k] + p.col) * dtype.size()), dtype, to, p.cols);
                        for i in 1..p.rows {
                            to.add(i * p.cols).copy_from_nonoverlapping(to, p.cols);
                        }
                    }
                    Load::Gather => {
                        let (row_step, col_step) = (rows.steps[k], cols.steps[k]);
                        for i in 0..p.rows {
                            let from = bases[k] + (p.row + i) * row_step + p.col * col_step;
                            let to = to.add(i * p.cols);
                            match col_step {
                                1 => lanes::load(source.add(from * dtype.size()), dtype, to, p.cols),
                                0 => std::slice::from_raw_parts_mut(to, p.cols).fill(lane(source, dtype, from)),
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
        filled.values = filled.values.max(count);
        if fresh_rows {
            (filled.rows, filled.col) = (count, p.col);
        }
    }

    /// The plane at position `index` of the axes before rows and columns.
    fn plane<'a>(&self, operands: &'a Operands<'a>, index: &[usize], scratch: *mut u32) -> Plane<'a> {
        let axes = &self.space.axes;
        let base = |k: usize| index.iter().zip(axes).map(|(i, a)| i * a.steps[k]).sum::<usize>();
        let bases: SmallVec<[usize; 16]> = (0..self.region.operands.len()).map(base).collect();
        let before = index.iter().zip(axes).fold(0, |l, (i, a)| l * a.extent + i);
        let first = axes[index.len()..].iter().fold(before, |l, a| l * a.extent);
        // A donated output may be the memory of an operand.
        let shared = |output: usize, input: usize| std::ptr::eq(operands.outputs[output], operands.inputs[input]);
        let output = |r: u16| self.layout.output(r, shared);
        let block = |s: usize| Slot::fixed(scratch.wrapping_add(s * self.layout.lanes));
        let slot = |arg: Arg, dtype: DType| {
            let home = match arg {
                Arg::Operand(k) => self.layout.operands[k as usize],
                Arg::Result(r) => match output(r) {
                    Some(k) => return Slot::moving(operands.output::<u32>(k).wrapping_add(first)),
                    None => self.layout.result(r),
                },
                Arg::Literal(bits) => return block(self.layout.literal(bits, dtype)),
                Arg::Anchor => unreachable!("anchors were refused"),
            };
            match home {
                Home::Block(s) => block(s),
                Home::Direct(k) => Slot::moving(operands.input::<u32>(k).wrapping_add(bases[k]).cast_mut()),
            }
        };
        let program = self.layout.bind(&self.region, slot);
        let written = |k: usize, arg: Arg| matches!(arg, Arg::Result(r) if output(r) == Some(k));
        let stores = self.region.stores.iter().enumerate().filter(|&(k, store)| !written(k, store.0));
        let copies = stores.map(|(k, &(arg, dtype))| (k, slot(arg, dtype))).collect();
        let sources = self.region.reductions.iter().map(|r| slot(r.source, r.dtype)).collect();
        Plane { operands, bases, first, scratch, program, copies, sources }
    }

    /// Copies what the program did not write to the outputs.
    unsafe fn store(&self, plane: &Plane, p: Place) {
        let (at, count) = (self.lane(p), p.rows * p.cols);
        for &(k, from) in &plane.copies {
            let (from, dtype) = (from.lanes(at).cast_const(), self.region.stores[k].1);
            let to = plane.operands.outputs[k].wrapping_add((plane.first + at) * dtype.size());
            // SAFETY: the output has the region's size; this block's part belongs to this chunk. A donated output
            // may be the very memory that was read.
            unsafe { lanes::store(from, dtype, to, count) };
        }
    }

    /// The lane of a plane at which a block begins.
    fn lane(&self, p: Place) -> usize {
        self.space.axes.last().map_or(0, |cols| p.row * cols.extent + p.col)
    }

    unsafe fn reduce(
        &self,
        plane: &Plane,
        p: Place,
        sums: &mut [f64],
        own: usize,
        kept_outer: usize,
        first_kept: usize,
    ) {
        let [.., rows, cols] = self.space.axes.as_slice() else { return };
        for (r, reduction) in self.region.reductions.iter().enumerate() {
            let sums = &mut sums[r * own..(r + 1) * own];
            let at = kept_outer + p.row * rows.kept_step + p.col * cols.kept_step - first_kept;
            // SAFETY: the block has `rows · cols` lanes.
            unsafe {
                let from = plane.sources[r].lanes(self.lane(p)).cast_const();
                let kind = reduction.kind;
                if !reduction.dtype.is_float() {
                    let values = std::slice::from_raw_parts(from.cast::<i32>(), p.rows * p.cols);
                    let each = |s: f64, v: i32| f64::from(kind.combine_integers(s as i32, v));
                    let all =
                        |s: f64, row: &[i32]| f64::from(row.iter().fold(s as i32, |s, &v| kind.combine_integers(s, v)));
                    fold(values, p, rows, cols, &mut sums[at..], each, all);
                    continue;
                }
                let values = std::slice::from_raw_parts(from.cast::<f32>(), p.rows * p.cols);
                match (kind, rows.reduced, cols.reduced) {
                    (ReduceKind::Sum, true, true) => (self.sum)(values, values.len(), Some(0), &mut sums[at..]),
                    (ReduceKind::Sum, false, true) => (self.sum)(values, p.cols, Some(rows.kept_step), &mut sums[at..]),
                    (ReduceKind::Sum, true, false) => (self.sum)(values, p.cols, None, &mut sums[at..at + p.cols]),
                    (ReduceKind::Max | ReduceKind::Min, true, true) => {
                        (self.extreme)(kind, values, values.len(), Some(0), &mut sums[at..]);
                    }
                    (ReduceKind::Max | ReduceKind::Min, false, true) => {
                        (self.extreme)(kind, values, p.cols, Some(rows.kept_step), &mut sums[at..]);
                    }
                    (ReduceKind::Max | ReduceKind::Min, true, false) => {
                        (self.extreme)(kind, values, p.cols, None, &mut sums[at..at + p.cols]);
                    }
                    _ => {
                        let each = |s: f64, v: f32| kind.combine(s, f64::from(v));
                        let all = |s: f64, row: &[f32]| row.iter().fold(s, |s, &v| each(s, v));
                        fold(values, p, rows, cols, &mut sums[at..], each, all);
                    }
                }
            }
        }
    }

    /// Combines the partial sums of all chunks, in order of chunk.
    unsafe fn combine(&self, operands: &Operands, chunks: usize, own: usize) {
        let (reductions, kept) = (self.region.reductions.len(), self.space.kept);
        let part = |chunk: usize, r: usize| {
            let first = operands.workspace.cast::<f64>().wrapping_add((chunk * reductions + r) * own);
            // SAFETY: every chunk has written its part, and nobody else is at work on them.
            unsafe { std::slice::from_raw_parts_mut(first, kept) }
        };
        for (r, reduction) in self.region.reductions.iter().enumerate() {
            let (kind, dtype) = (reduction.kind, reduction.kind.result_dtype(reduction.dtype));
            let totals = part(0, r);
            for chunk in 1..chunks {
                let pairs = totals.iter_mut().zip(part(chunk, r).iter());
                match kind {
                    _ if !dtype.is_float() => {
                        pairs.for_each(|(t, &v)| *t = f64::from(kind.combine_integers(*t as i32, v as i32)));
                    }
                    ReduceKind::Sum => pairs.for_each(|(t, &v)| *t += v),
                    _ => pairs.for_each(|(t, &v)| *t = kind.combine(*t, v)),
                }
            }
            // SAFETY: the output has `kept` elements.
            unsafe { lanes::put_all(operands.outputs[self.region.stores.len() + r], dtype, 0, totals) };
        }
    }
}

/// Combines a block with what a reduction holds, by which of the block's two axes are reduced: `each` value, or `all`
/// of a row.
fn fold<T: Copy>(
    values: &[T],
    p: Place,
    rows: &Axis,
    cols: &Axis,
    sums: &mut [f64],
    each: impl Fn(f64, T) -> f64,
    all: impl Fn(f64, &[T]) -> f64,
) {
    for (i, row) in values.chunks_exact(p.cols).enumerate() {
        let at = if rows.reduced { 0 } else { i * rows.kept_step };
        if cols.reduced {
            sums[at] = all(sums[at], row);
        } else {
            sums[at..at + p.cols].iter_mut().zip(row).for_each(|(s, &v)| *s = each(*s, v));
        }
    }
}
