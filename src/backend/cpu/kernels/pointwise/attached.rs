//! A region attached to a heavy kernel: its program runs over each finished tile, block by block, while
//! the tile is in cache. Sums and moments per channel leave one partial a chunk; a phase of its own
//! combines them in order of chunk.

use super::block::{BoundSlots, Home, Layout, Slot};
use super::chain::{self, Part};
use super::forms;
use super::lanes;
use super::masked::RunFn;
use super::masked_form::MaskedForm;
use super::masked_tile::WIDENED;
use super::moments;
use super::space::Space;
use crate::backend::cpu::kernel::{Operands, Phase};
use crate::backend::cpu::kernels::attach::{Auxiliaries, TileHook};
use crate::backend::cpu::simd::Tier;
use crate::dtype::DType;
use crate::fusion::region::{Arg, Operand, Region};
use crate::ops::pointwise::Function;
use crate::ops::reduce::ReduceKind;
use crate::shape::Shape;
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Channels that a chunk of the combining phase adds up.
const COMBINED: usize = 64;

/// How an operand goes along with the output seen as a matrix [pixels, channels].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// One element.
    Scalar,
    /// One element a channel.
    Channel,
    /// One element an output element.
    Full,
}

/// How `operand` goes along with an output of `shape`; `None` where it repeats along pixels.
pub fn reading(operand: &Operand, shape: &Shape) -> Option<Reading> {
    let straight = shape.strides();
    let last = shape.rank() - 1;
    let steps = |expected: &dyn Fn(usize) -> usize| {
        (0..shape.rank()).all(|a| shape[a] == 1 || operand.strides[a] == expected(a))
    };
    if steps(&|_| 0) {
        Some(Reading::Scalar)
    } else if steps(&|a| straight[a]) {
        Some(Reading::Full)
    } else if steps(&|a| usize::from(a == last)) {
        Some(Reading::Channel)
    } else {
        None
    }
}

/// The type to which `region` rounds the raw output, if it does nothing but store it so and measure what is stored.
fn rounding(region: &Region) -> Option<DType> {
    let &[(Arg::Result(0), dtype)] = region.stores.as_slice() else { return None };
    let mut kept = Arg::Anchor;
    for (i, code) in region.code.iter().enumerate() {
        let converts = code.function == Function::Identity && code.dtype == [dtype, DType::F32][i.min(1)];
        if !converts || code.args.as_slice() != [kept] {
            return None;
        }
        kept = Arg::Result(i as u16);
    }
    let measured = region.moments.iter().all(|&moment| moment == Arg::Result(1));
    (dtype.is_storage() && region.code.len() <= 2 && measured && region.reductions.is_empty()).then_some(dtype)
}

/// The result of `region` that store `primary` takes, if the program can write it over the raw output while it works on a
/// block: no later part, and nothing behind the program, reads either of them elsewhere.
fn in_place(region: &Region, layout: &Layout, primary: usize) -> Option<u16> {
    let (Arg::Result(result), _) = region.stores[primary] else { return None };
    let others = region.stores.iter().enumerate().filter(|(k, _)| *k != primary);
    let elsewhere = |arg: Arg| arg == Arg::Anchor || arg == Arg::Result(result);
    if !region.reductions.is_empty() || !region.moments.is_empty() || others.into_iter().any(|(_, s)| elsewhere(s.0)) {
        return None;
    }
    let at = layout.parts.iter().position(|part| part.result() == usize::from(result))?;
    let reads = |part: &Part| part.args(region).any(|arg| arg == Arg::Anchor);
    let overwritten = match layout.parts[at] {
        // A chain reads its arguments before it writes, block by block.
        Part::Chain(_) => &layout.parts[at + 1..],
        Part::Instruction(_) => &layout.parts[at..],
    };
    (!overwritten.iter().any(reads)).then_some(result)
}

/// Code of a region for tiles of a heavy kernel's output.
pub struct RegionTile {
    apply: forms::Apply,
    chain: chain::RunFn,
    sum: forms::Sum,
    measure: moments::RunFn,
    /// The program; its space is one block, along which all operands but scalars lie as the anchor does.
    block: Region,
    layout: Layout,
    /// The whole program as one loop, if it is of that form.
    pub(super) masked: Option<(MaskedForm, RunFn)>,
    pub(super) readings: Vec<(Reading, DType)>,
    /// The store whose buffer the kernel writes its raw output to; without one it writes to the workspace.
    pub(super) primary: Option<usize>,
    /// The result that the program writes over the raw output, reading it where it lies, if it can.
    in_place: Option<u16>,
    /// The program as a rounding of the raw output, if it is that.
    rounding: Option<DType>,
    channels: usize,
    /// Images of a vector where the output lies in the batch-blocked layout, else 1: every channel is as many
    /// columns.
    lanes: usize,
}

impl RegionTile {
    /// Compiles `region`, whose space is the kernel's output: rows of channels, or with `lanes` above 1
    /// vectors of as many images, where a row holds `lanes` columns a channel.
    ///
    /// # Errors
    /// What about it no tile can carry.
    pub fn new(region: &Region, lanes: usize, tier: Tier) -> Result<Self, String> {
        let rank = region.shape.rank();
        if rank == 0 || region.shape.is_empty() {
            return Err("takes attachments to an output with channels".into());
        }
        let per_channel = region.reduce_axes.iter().copied().eq(0..rank - 1);
        let sums = region.reductions.iter().all(|r| r.kind == ReduceKind::Sum && r.dtype == DType::F32);
        let reduces = !region.reductions.is_empty();
        if reduces && !(per_channel && sums) {
            return Err("takes sums of float32 per channel only".into());
        }
        // The kernel computes in f32, so an f32 store lends its place to the raw output.
        let primary = region.stores.iter().position(|s| s.1 == DType::F32);
        if primary.is_none() && !region.stores.iter().any(|s| s.1.is_storage()) {
            return Err("takes epilogues that store floats only".into());
        }
        let mut readings = Vec::new();
        let mut operands = Vec::new();
        for o in &region.operands {
            let reading = reading(o, &region.shape).ok_or("takes no operand that repeats along pixels")?;
            readings.push((reading, o.dtype));
            // A block holds 32 bits an element.
            let (dtype, step) = match reading {
                Reading::Scalar => (o.dtype, 0),
                _ if o.dtype.is_float() => (DType::F32, 1),
                _ => (DType::I32, 1),
            };
            operands.push(Operand { dtype, strides: smallvec![step] });
        }
        let shape = Shape::from([super::block::LONGEST]);
        let block = Region { shape, operands, ..region.clone() };
        let flat = Region { reductions: Vec::new(), reduce_axes: SmallVec::new(), ..block.clone() };
        // Sums are read after the last instruction, as stores are.
        let moments = region.moments.iter().map(|&m| (m, DType::F32));
        let sources = region.reductions.iter().map(|r| (r.source, r.dtype)).chain(moments);
        let lasting = Region { stores: region.stores.iter().copied().chain(sources).collect(), ..flat.clone() };
        let masked = MaskedForm::of(region, &readings).filter(|form| lanes == 1 || !form.has_channels());
        let layout = Layout::new(&lasting, &Space::new(&flat));
        Ok(RegionTile {
            in_place: primary.and_then(|k| in_place(region, &layout, k)),
            masked: masked.map(|form| (form.clone(), form.select(tier))),
            apply: forms::select(tier),
            chain: chain::select(tier),
            sum: forms::select_sum(tier),
            measure: moments::select(tier),
            layout,
            block,
            readings,
            primary,
            rounding: rounding(region),
            channels: region.shape[rank - 1],
            lanes,
        })
    }

    /// The output that the kernel writes to, if there is one of float32.
    pub fn output(&self) -> Option<usize> {
        self.primary
    }

    /// Bytes of scratch: the program's blocks, then one for each operand and one for the anchor.
    pub fn scratch(&self) -> usize {
        match self.masked {
            Some(_) => self.widened().count() * WIDENED * 4,
            None => (self.layout.blocks + self.readings.len() + 1) * self.layout.lanes * 4,
        }
    }

    /// Bytes of the partial sums of `chunks` chunks.
    pub fn partials(&self, chunks: usize) -> usize {
        chunks * self.kept() * 8
    }

    /// f64 that a chunk keeps: sums, then moments.
    fn kept(&self) -> usize {
        (self.block.reductions.len() + self.block.moments.len() * moments::PLANES) * self.columns()
    }

    /// Whether the program does nothing but measure the raw output.
    fn only_measures(&self) -> bool {
        let raw = |stores: &[(Arg, DType)]| stores == [(Arg::Anchor, DType::F32)];
        self.block.code.is_empty() && self.block.reductions.is_empty() && raw(&self.block.stores)
    }

    /// Columns of the output seen as a matrix.
    pub(super) fn columns(&self) -> usize {
        self.channels * self.lanes
    }

    /// Bit k: operand `first + k` has an element for every output element.
    pub fn full_operands(&self, first: usize) -> u64 {
        let full = self.readings.iter().enumerate().filter(|(_, r)| r.0 == Reading::Full);
        full.map(|(k, _)| 1 << (first + k)).sum()
    }

    /// Bit k: output k is a store.
    pub fn stores(&self) -> u64 {
        (1 << self.block.stores.len()) - 1
    }

    /// The phase that combines what chunks kept, from byte `offset` of the workspace on; `None` where they
    /// keep nothing.
    pub fn combine(self: &Arc<Self>, chunks: usize, offset: usize) -> Option<Phase> {
        let (sums, moments) = (self.block.reductions.len(), self.block.moments.len());
        if sums + moments == 0 {
            return None;
        }
        let groups = self.channels.div_ceil(COMBINED);
        let tile = self.clone();
        Some(Phase::new((sums + moments) * groups, move |operands, at, _| {
            let (k, first) = (at / groups, at % groups * COMBINED);
            let count = COMBINED.min(tile.channels - first);
            let (columns, kept) = (tile.columns(), tile.kept());
            let output = tile.block.stores.len() + k;
            let mut all = [0.0f64; COMBINED];
            if k >= sums {
                let own = (sums + (k - sums) * moments::PLANES) * columns + first * tile.lanes;
                let mut squares = [0.0f64; COMBINED];
                // SAFETY: the workspace holds what all chunks kept, the output two values a channel.
                unsafe {
                    let partials = operands.workspace.add(offset).cast::<f64>().cast_const();
                    let chunks = (0..chunks).map(|chunk| partials.add(chunk * kept + own));
                    moments::combine(chunks, columns, tile.lanes, &mut all[..count], &mut squares[..count]);
                    let out = operands.output::<f32>(output).add(first);
                    for i in 0..count {
                        *out.add(i) = all[i] as f32;
                        *out.add(tile.channels + i) = squares[i] as f32;
                    }
                }
                return;
            }
            // SAFETY: the workspace holds the partials of all chunks, the output one sum a channel.
            unsafe {
                let partials = operands.workspace.add(offset).cast::<f64>();
                for chunk in 0..chunks {
                    let part = partials.add(chunk * kept + k * columns + first * tile.lanes);
                    let part = std::slice::from_raw_parts(part, count * tile.lanes);
                    let parts = part.chunks_exact(tile.lanes);
                    all.iter_mut().zip(parts).for_each(|(a, p)| *a += p.iter().sum::<f64>());
                }
                let out = operands.output::<f32>(output).add(first);
                for (i, v) in all[..count].iter().enumerate() {
                    *out.add(i) = *v as f32;
                }
            }
        }))
    }
}

/// A region attached to one chunk of a kernel.
pub struct AttachedTile<'a> {
    pub(super) tile: &'a RegionTile,
    pub(super) operands: &'a Operands<'a>,
    pub(super) first_operand: usize,
    partials: *mut f64,
    pub(super) scratch: *mut u32,
    /// The program on the scratch.
    bound: BoundSlots,
    /// The program on the raw output, counted from there, where it lies row by row in the output.
    in_place: Option<(BoundSlots, *mut u32)>,
}

// SAFETY: kernels take hooks as `Sync`, but a chunk stays on one thread, and scratch and partials
// belong to the chunk.
unsafe impl Sync for AttachedTile<'_> {}

impl<'a> AttachedTile<'a> {
    /// The region on the operands from `first_operand` on.
    ///
    /// # Safety
    /// The operands have the region's facts, `partials` and `scratch` the sizes that the region asks
    /// for, and `scratch` is the chunk's own.
    pub unsafe fn new(
        tile: &'a RegionTile,
        operands: &'a Operands<'a>,
        first_operand: usize,
        partials: *mut f64,
        scratch: *mut u32,
    ) -> Self {
        let bound = BoundSlots::default();
        let mut attached = AttachedTile { tile, operands, first_operand, partials, scratch, bound, in_place: None };
        if tile.masked.is_some() {
            return attached;
        }
        let place = |arg, dtype| Slot::fixed(attached.place(arg, dtype));
        attached.bound = tile.layout.bind(&tile.block, place);
        if let (Some(result), Some(k)) = (tile.in_place, tile.primary) {
            let output = operands.output::<u32>(k);
            let place = |arg, dtype| match arg {
                Arg::Anchor => Slot::moving(output),
                Arg::Result(r) if r == result => Slot::moving(output),
                _ => Slot::fixed(attached.place(arg, dtype)),
            };
            attached.in_place = Some((tile.layout.bind(&tile.block, place), output));
        }
        let fill = |block: usize, word: u32| {
            // SAFETY: the block lies within the scratch.
            unsafe { std::slice::from_raw_parts_mut(attached.block(block), tile.layout.lanes) }.fill(word);
        };
        for &(bits, dtype, block) in &tile.layout.literals {
            let value = f64::from_bits(bits);
            fill(block, lanes::literal(value, dtype));
        }
        for (k, &(reading, dtype)) in tile.readings.iter().enumerate() {
            if let (Reading::Scalar, Home::Block(block)) = (reading, tile.layout.operands[k]) {
                // SAFETY: the operand has one element.
                fill(block, unsafe { super::lane(operands.inputs[first_operand + k], dtype, 0) });
            }
        }
        attached
    }

    fn block(&self, index: usize) -> *mut u32 {
        self.scratch.wrapping_add(index * self.tile.layout.lanes)
    }

    /// The block that operand `k` is gathered into; that behind the last operand's is the anchor's.
    fn gathered(&self, k: usize) -> *mut u32 {
        self.block(self.tile.layout.blocks + k)
    }

    /// Where a value of the program lies. It is the same for all tiles, so that the program is bound once: what tiles
    /// lend is copied to scratch.
    fn place(&self, arg: Arg, dtype: DType) -> *mut u32 {
        let layout = &self.tile.layout;
        let home = match arg {
            Arg::Anchor => return self.gathered(self.tile.readings.len()),
            Arg::Literal(bits) => return self.block(layout.literal(bits, dtype)),
            Arg::Operand(k) => layout.operands[k as usize],
            Arg::Result(r) => layout.result(r),
        };
        match home {
            Home::Direct(k) => self.gathered(k),
            Home::Block(s) => self.block(s),
        }
    }

    /// The sums of a chunk.
    pub(super) fn sums(&self, chunk: usize, reduction: usize) -> *mut f64 {
        self.partials.wrapping_add(chunk * self.tile.kept() + reduction * self.tile.columns())
    }

    /// Takes `rows` × `cols` values from column `col0` of the output on into what the chunk keeps for a
    /// moment.
    ///
    /// # Safety
    /// `values` has these elements, with row stride `ld`.
    #[allow(clippy::too_many_arguments, reason = "a tile and its place")]
    unsafe fn measure(
        &self,
        chunk: usize,
        moment: usize,
        values: *const f32,
        ld: usize,
        rows: usize,
        col0: usize,
        cols: usize,
    ) {
        let t = self.tile;
        let kept = self.sums(chunk, t.block.reductions.len() + moment * moments::PLANES).wrapping_add(col0);
        // SAFETY: the caller's contract; chunks keep their planes for all columns.
        unsafe { (t.measure)(&moments::Work { values, ld, rows, cols, kept, plane: t.columns() }) };
    }

    /// Stores the raw output as `dtype`, and measures what that leaves of it.
    ///
    /// # Safety
    /// As [`TileHook::tile`].
    #[allow(clippy::too_many_arguments, reason = "a tile and its place")]
    unsafe fn round(
        &self,
        dtype: DType,
        chunk: usize,
        tile: *mut f32,
        ld: usize,
        row0: usize,
        rows: usize,
        col0: usize,
        cols: usize,
    ) {
        let (columns, moments) = (self.tile.columns(), self.tile.block.moments.len());
        for r in 0..rows {
            // SAFETY: the tile and the output hold the row.
            unsafe {
                let row = tile.add(r * ld).cast::<u32>();
                let to = self.operands.outputs[0].add(((row0 + r) * columns + col0) * dtype.size());
                lanes::store(row, dtype, to, cols);
                if moments > 0 {
                    lanes::load(to, dtype, row, cols);
                }
            }
        }
        for moment in 0..moments {
            // SAFETY: the caller's contract.
            unsafe { self.measure(chunk, moment, tile, ld, rows, col0, cols) };
        }
    }

    /// Runs the program on `rows` × `width` elements, a block at most, at `tile`: rows `row0..` and
    /// columns `col0..` of the output.
    ///
    /// # Safety
    /// As [`TileHook::tile`]; operands per channel are gathered.
    #[allow(clippy::too_many_arguments, reason = "a block and its place")]
    unsafe fn run(&self, chunk: usize, tile: *mut u32, ld: usize, row0: usize, rows: usize, col0: usize, width: usize) {
        let t = self.tile;
        let n = rows * width;
        let columns = t.columns();
        let at = row0 * columns + col0;
        // SAFETY: the block lies within the output and within operands of its shape.
        unsafe {
            for (k, &(reading, dtype)) in t.readings.iter().enumerate() {
                if reading == Reading::Full {
                    let source = self.operands.inputs[self.first_operand + k];
                    gather(source.add(at * dtype.size()), dtype, columns, rows, width, self.gathered(k));
                }
            }
            let in_place = self.in_place.as_ref().filter(|_| rows == 1 || ld == width);
            match in_place {
                Some((bound, output)) => {
                    let lanes = tile.addr().wrapping_sub(output.addr()) / size_of::<u32>();
                    t.layout.run(&t.block, (t.apply, t.chain), bound, lanes, n);
                }
                None => {
                    gather(tile.cast(), DType::F32, ld, rows, width, self.gathered(t.readings.len()));
                    t.layout.run(&t.block, (t.apply, t.chain), &self.bound, 0, n);
                }
            }
            let place = |arg, dtype| self.place(arg, dtype).cast_const();
            for (k, reduction) in t.block.reductions.iter().enumerate() {
                let values = std::slice::from_raw_parts(place(reduction.source, reduction.dtype).cast(), n);
                let sums = std::slice::from_raw_parts_mut(self.sums(chunk, k).add(col0), width);
                (t.sum)(values, width, None, sums);
            }
            for (k, &source) in t.block.moments.iter().enumerate() {
                self.measure(chunk, k, place(source, DType::F32).cast(), width, rows, col0, width);
            }
            // The raw output is read for the last time by what is stored in its place.
            let order = (0..t.block.stores.len()).filter(|&k| Some(k) != t.primary).chain(t.primary);
            for k in order {
                let (arg, dtype) = t.block.stores[k];
                let from = place(arg, dtype);
                if Some(k) == t.primary && (arg == Arg::Anchor || in_place.is_some()) {
                    continue;
                }
                let (to, to_ld) = match Some(k) == t.primary {
                    true => (tile.cast::<u8>(), ld),
                    false => (self.operands.outputs[k].add(at * dtype.size()), columns),
                };
                scatter(from, dtype, to, to_ld, rows, width);
            }
        }
    }
}

/// `rows` × `width` elements with row stride `ld` as the fewest rows: one, where they follow one another. A call for each
/// row of one or two channels takes longer than the program.
fn adjacent(ld: usize, rows: usize, width: usize) -> (usize, usize) {
    if ld == width { (1, rows * width) } else { (rows, width) }
}

/// Copies `rows` × `width` elements with row stride `ld` to a block.
///
/// # Safety
/// All elements are accessible, and the block holds them.
pub(super) unsafe fn gather(from: *const u8, dtype: DType, ld: usize, rows: usize, width: usize, to: *mut u32) {
    let (rows, width) = adjacent(ld, rows, width);
    for r in 0..rows {
        // SAFETY: the caller's.
        unsafe {
            let to = to.add(r * width);
            lanes::load(from.add(r * ld * dtype.size()), dtype, to, width);
        }
    }
}

/// Writes `rows` times the elements of the columns `col..col + width` to a block, of an operand with one
/// element for every `lanes` columns.
///
/// # Safety
/// As [`gather`].
unsafe fn spread(from: *const u8, dtype: DType, col: usize, lanes: usize, rows: usize, width: usize, to: *mut u32) {
    // SAFETY: the caller's.
    unsafe {
        if lanes == 1 {
            gather(from.add(col * dtype.size()), dtype, width, 1, width, to);
        } else {
            for i in 0..width {
                *to.add(i) = lanes::lane(from, dtype, (col + i) / lanes);
            }
        }
        // Twice as much each time: rows may be short.
        let (mut done, all) = (width, rows * width);
        while done < all {
            let more = done.min(all - done);
            to.add(done).copy_from_nonoverlapping(to, more);
            done += more;
        }
    }
}

/// Copies a block to `rows` × `width` elements with row stride `ld`.
///
/// # Safety
/// As [`gather`].
unsafe fn scatter(from: *const u32, dtype: DType, to: *mut u8, ld: usize, rows: usize, width: usize) {
    let (rows, width) = adjacent(ld, rows, width);
    for r in 0..rows {
        // SAFETY: the caller's.
        unsafe {
            let from = from.add(r * width);
            lanes::store(from, dtype, to.add(r * ld * dtype.size()), width);
        }
    }
}

impl TileHook for AttachedTile<'_> {
    fn auxiliaries(&self) -> Auxiliaries {
        let inputs = &self.operands.inputs[self.first_operand..];
        let full = self.tile.readings.iter().zip(inputs).filter(|(r, _)| r.0 == Reading::Full && r.1.size() == 4);
        full.map(|(_, &input)| input.cast()).collect()
    }

    fn begin(&self, chunk: usize) {
        // SAFETY: the partials hold as much for every chunk.
        unsafe { std::slice::from_raw_parts_mut(self.sums(chunk, 0), self.tile.kept()) }.fill(0.0);
    }

    unsafe fn tile(&self, chunk: usize, tile: *mut f32, ld: usize, row0: usize, rows: usize, col0: usize, cols: usize) {
        if let Some(masked) = &self.tile.masked {
            // SAFETY: the caller's contract.
            return unsafe { self.run_parts(masked, chunk, tile, ld, row0, rows, col0, cols) };
        }
        if self.tile.only_measures() {
            for moment in 0..self.tile.block.moments.len() {
                // SAFETY: the caller's contract.
                unsafe { self.measure(chunk, moment, tile, ld, rows, col0, cols) };
            }
            return;
        }
        if let Some(dtype) = self.tile.rounding {
            // SAFETY: the caller's contract.
            return unsafe { self.round(dtype, chunk, tile, ld, row0, rows, col0, cols) };
        }
        let lanes = self.tile.layout.lanes;
        for col in (0..cols).step_by(lanes) {
            let width = lanes.min(cols - col);
            let step = lanes / width;
            // SAFETY: the blocks lie within the tile; operands per channel hold all channels.
            unsafe {
                for (k, &(reading, dtype)) in self.tile.readings.iter().enumerate() {
                    if reading == Reading::Channel {
                        let source = self.operands.inputs[self.first_operand + k];
                        spread(source, dtype, col0 + col, self.tile.lanes, step.min(rows), width, self.gathered(k));
                    }
                }
                for row in (0..rows).step_by(step) {
                    let at = tile.add(row * ld + col).cast();
                    self.run(chunk, at, ld, row0 + row, step.min(rows - row), col0 + col, width);
                }
            }
        }
    }
}
