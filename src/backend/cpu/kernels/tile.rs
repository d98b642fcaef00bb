//! The register tile that GEMM and direct convolutions share.
//!
//! A tile of `rows` × (`vectors` × lanes) sums stays in registers while an inner loop adds products
//! of one broadcast element of A per row and `vectors` vectors of B. Rows of A are found through
//! offsets, so that a row may be a matrix row, an output pixel's window, or a filter element.

use super::attach::Finish;
use crate::backend::cpu::simd::{Scalar, Simd, Tier, Token, dispatch};
use std::hint::{black_box, unreachable_unchecked};

/// Greatest number of rows of a tile on any tier.
pub const MAX_ROWS: usize = 14;
/// f32 of a cache line.
const LINE: usize = 16;
/// Greatest number of vectors of a tile on any tier.
pub const MAX_VECTORS: usize = 4;

/// Where the elements of A lie.
#[derive(Clone, Copy)]
pub enum Rows {
    /// Each row one element behind the row before, `step` elements between products.
    Adjacent { step: usize },
    /// Rows at these offsets from the base, `step` elements between products.
    Listed { offsets: *const usize, step: usize },
}

impl Rows {
    /// The rows at `offsets` from `base` with `step` elements between products, and the base that they count from.
    pub fn at(offsets: &[usize], base: *const f32, step: usize) -> (Rows, *const f32) {
        let adjacent = offsets.iter().zip(&offsets[1..]).all(|(a, b)| *b == a + 1);
        if adjacent {
            (Rows::Adjacent { step }, base.wrapping_add(offsets[0]))
        } else {
            (Rows::Listed { offsets: offsets.as_ptr(), step }, base)
        }
    }
}

/// Operands of one tile: `c[row][..] = Σ_segment Σ_k a[row][segment][k] * b[segment][k][..]`.
#[derive(Clone, Copy)]
pub struct Tile {
    /// Rows, `1..=TileSet::rows`.
    pub rows: usize,
    /// Vectors per row, `1..=TileSet::vectors`.
    pub vectors: usize,
    /// Columns to store, at most `vectors * lanes`.
    pub cols: usize,
    /// Base of A.
    pub a: *const f32,
    /// How its rows and products follow one another.
    pub a_rows: Rows,
    /// Offset of each segment from the base.
    pub segments: *const usize,
    /// Number of segments.
    pub segment_count: usize,
    /// Products per segment.
    pub k: usize,
    /// B, read `vectors * lanes` at a time; segments follow one another.
    pub b: *const f32,
    /// Elements between successive k of B.
    pub b_step: usize,
    /// Base of C.
    pub c: *mut f32,
    /// Offset of each row from the base.
    pub c_rows: *const usize,
    /// Whether the sums are added to what C holds.
    pub add_to_c: bool,
    /// What happens to the sums at the end; the residual's rows lie as those of C do.
    pub finish: Finish,
    /// What later tiles will read.
    pub next: PrefetchedLines,
}

/// Memory that is asked for while a tile is computed.
#[derive(Clone, Copy)]
pub struct PrefetchedLines {
    /// The first line.
    start: *const f32,
    /// Lines with each block of [`BLOCK`] products.
    lines: usize,
    /// f32 between lines.
    step: usize,
}

impl PrefetchedLines {
    /// Nothing.
    pub const NONE: PrefetchedLines = PrefetchedLines { start: std::ptr::null(), lines: 0, step: LINE };

    /// The `len` elements from `start`, all of them while one tile of `k` products is computed.
    pub fn all(start: *const f32, len: usize, k: usize) -> PrefetchedLines {
        PrefetchedLines { start, lines: len.div_ceil(LINE).div_ceil(k.div_ceil(BLOCK).max(1)), step: LINE }
    }

    /// The line of `start` and those of further elements that are `step` apart, one with each product.
    pub fn column(start: *const f32, step: usize) -> PrefetchedLines {
        PrefetchedLines { start, lines: BLOCK, step }
    }
}

/// Memory that tiles ask for in turn: as few lines with each block of products as suffice, so that memory has time,
/// and by the last tiles, so that caches keep them until they are met.
#[derive(Clone, Copy)]
pub struct PrefetchSchedule {
    /// What the first tile that asks asks for.
    share: PrefetchedLines,
    /// f32 between the shares of tiles.
    step: usize,
    /// Tiles that ask for nothing, in front of those that do.
    idle: usize,
}

impl PrefetchSchedule {
    /// Tiles that ask for nothing.
    pub const NONE: PrefetchSchedule = PrefetchSchedule { share: PrefetchedLines::NONE, step: 0, idle: usize::MAX };

    /// The `len` elements from `start`, while `tiles` of `k` products each are computed.
    pub fn new(start: *const f32, len: usize, k: usize, tiles: usize) -> PrefetchSchedule {
        let (total, blocks) = (len.div_ceil(LINE), k.div_ceil(BLOCK).max(1));
        let lines = total.div_ceil((tiles * blocks).max(1));
        let needed = total.div_ceil((lines * blocks).max(1));
        PrefetchSchedule {
            share: PrefetchedLines { start, lines, step: LINE },
            step: lines * blocks * LINE,
            idle: tiles.saturating_sub(needed),
        }
    }

    /// What tile `t` asks for.
    pub fn of(&self, t: usize) -> PrefetchedLines {
        match t.checked_sub(self.idle) {
            None => PrefetchedLines::NONE,
            Some(turn) => PrefetchedLines { start: self.share.start.wrapping_add(turn * self.step), ..self.share },
        }
    }
}

/// The offset list of a tile with one segment.
pub static ONE_SEGMENT: [usize; 1] = [0];

/// Products between two looks ahead.
const BLOCK: usize = 4;
/// Ways of finding the operands of a product; see [`Walk`].
const WALKS: usize = 3;

type TileFn = unsafe fn(&Tile);
/// By walk, vectors and rows.
type Table = [[[TileFn; MAX_ROWS]; MAX_VECTORS]; WALKS];

/// The tiles of one tier.
#[derive(Clone, Copy)]
pub struct TileSet {
    /// Rows of the largest tile.
    pub rows: usize,
    /// Vectors per row of the largest tile.
    pub vectors: usize,
    /// f32 per vector.
    pub lanes: usize,
    table: &'static Table,
}

impl TileSet {
    /// The tiles of `tier`. Panics where the machine does not support it.
    pub fn new(tier: Tier) -> TileSet {
        match Token::of(tier) {
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(token) => x86::avx512_tiles(token, 2),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(token) => x86::avx2_tiles(token),
            #[cfg(target_arch = "aarch64")]
            Token::Neon(token) => arm::neon_tiles(token),
            Token::Scalar(token) => scalar_tiles(token),
        }
    }

    /// The tiles of `tier` for outputs of `cols` columns: of half vectors where they leave fewer lanes empty, else as
    /// wide as fills them all, because the wider a tile is, the fewer elements of A and addresses are fetched
    /// per multiply-add.
    pub fn for_columns(tier: Tier, cols: usize) -> TileSet {
        let high = Self::for_adjacent_rows(tier, cols);
        #[cfg(target_arch = "x86_64")]
        if let Token::Avx512(token) = Token::of(tier)
            && high.lanes == tier.lanes()
        {
            let vectors = high.vectors_for(cols);
            let widest = [4, 3].into_iter().find(|&wide| vectors.is_multiple_of(wide));
            return widest.map_or(high, |wide| x86::avx512_tiles(token, wide));
        }
        high
    }

    /// The same for matrix products: as wide as there are where only the last of several panels is not full.
    pub fn for_product(tier: Tier, cols: usize) -> TileSet {
        let full = Self::for_columns(tier, cols);
        #[cfg(target_arch = "x86_64")]
        if let Token::Avx512(token) = Token::of(tier)
            && full.vectors == 2
            && full.vectors_for(cols) > MAX_VECTORS
        {
            return x86::avx512_tiles(token, MAX_VECTORS);
        }
        full
    }

    /// The same for rows of A that lie side by side: high ones, as such rows cost nothing to find.
    pub fn for_adjacent_rows(tier: Tier, cols: usize) -> TileSet {
        debug_assert!(cols > 0);
        #[cfg(target_arch = "x86_64")]
        if let Token::Avx512(token) = Token::of(tier)
            && cols <= Tier::Avx2.lanes()
        {
            return x86::narrow_tiles(token.into());
        }
        Self::new(tier)
    }

    /// Columns of the largest tile.
    pub fn cols(&self) -> usize {
        self.vectors * self.lanes
    }

    /// Vectors that `cols` columns need.
    pub fn vectors_for(&self, cols: usize) -> usize {
        cols.div_ceil(self.lanes)
    }

    /// Runs a tile.
    ///
    /// # Safety
    /// `rows` and `vectors` are within the set's limits, and all elements that the tile describes
    /// are accessible.
    #[inline]
    pub unsafe fn run(&self, tile: &Tile) {
        debug_assert!((1..=self.rows).contains(&tile.rows) && (1..=self.vectors).contains(&tile.vectors));
        debug_assert!(tile.cols <= tile.vectors * self.lanes);
        let walk = match tile.a_rows {
            Rows::Adjacent { .. } => 0,
            Rows::Listed { step: 1, .. } if tile.b_step == tile.vectors * self.lanes => 1,
            Rows::Listed { .. } => 2,
        };
        // SAFETY: the caller's contract; the set exists only where its tier is supported.
        unsafe { self.table[walk][tile.vectors - 1][tile.rows - 1](tile) }
    }
}

/// How the inner loop finds its operands: processors have fewer registers for addresses than a tile has rows, and
/// each address that is fetched from the stack takes the place of an operand.
trait Walk {
    /// Whether the products of a block are written out one after the other. Where steps are not known, the
    /// compiler would fetch the elements of all of them early, and the sums would go to the stack.
    const UNROLLS: bool;

    /// From the base of a segment.
    unsafe fn from(base: *const f32, rows: Rows) -> Self;

    /// Element of row `row` at product `product` of the next few.
    unsafe fn at(&self, row: usize, product: usize) -> *const f32;

    /// Steps over `products`.
    fn advance(&mut self, products: usize);

    /// Elements between rows of B, which are `packed` where a panel holds nothing else.
    #[inline(always)]
    fn b_step(t: &Tile, _packed: usize) -> usize {
        t.b_step
    }
}

/// The walk of [`Rows::Adjacent`].
struct Adjacent {
    at: *const f32,
    step: usize,
}

#[allow(unsafe_op_in_unsafe_fn, reason = "addresses in a hot loop, under the tile's contract")]
impl Walk for Adjacent {
    const UNROLLS: bool = true;

    #[inline(always)]
    unsafe fn from(at: *const f32, rows: Rows) -> Self {
        let Rows::Adjacent { step } = rows else { unreachable_unchecked() };
        Adjacent { at, step }
    }

    #[inline(always)]
    unsafe fn at(&self, row: usize, product: usize) -> *const f32 {
        self.at.add(product * self.step + row)
    }

    #[inline(always)]
    fn advance(&mut self, products: usize) {
        self.at = self.at.wrapping_add(products * self.step);
    }
}

/// The walk of [`Rows::Listed`]. `PACKED`: without a distance between products, over panels of B that hold nothing else;
/// only there are all steps known.
struct Listed<const MR: usize, const PACKED: bool> {
    rows: [*const f32; MR],
    at: usize,
    step: usize,
}

#[allow(unsafe_op_in_unsafe_fn, reason = "addresses in a hot loop, under the tile's contract")]
impl<const MR: usize, const PACKED: bool> Walk for Listed<MR, PACKED> {
    const UNROLLS: bool = PACKED;

    #[inline(always)]
    unsafe fn from(base: *const f32, rows: Rows) -> Self {
        let Rows::Listed { offsets, step } = rows else { unreachable_unchecked() };
        let mut rows = [base; MR];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = base.add(*offsets.add(i));
        }
        Listed { rows, at: 0, step: if PACKED { 1 } else { step } }
    }

    #[inline(always)]
    unsafe fn at(&self, row: usize, product: usize) -> *const f32 {
        self.rows[row].add(self.at + product * self.step)
    }

    #[inline(always)]
    fn advance(&mut self, products: usize) {
        self.at += products * self.step;
    }

    #[inline(always)]
    fn b_step(t: &Tile, packed: usize) -> usize {
        if PACKED { packed } else { t.b_step }
    }
}

/// What the inner loop asks memory for besides its operands.
struct Ahead {
    /// Lines of what is next.
    next: PrefetchedLines,
    /// Residual and C arrive while the sums are computed; their rows are too far apart for hardware to foresee.
    /// Few rows at a time are asked for: all at once would fill the queue of misses, and loads would wait.
    arriving: [*const f32; 2],
    rows: *const usize,
    arrived: usize,
}

impl Ahead {
    #[inline(always)]
    fn of<const MR: usize>(t: &Tile) -> Self {
        let arriving = [t.finish.residual, t.c.cast_const()];
        let arrived = if t.finish.residual.is_null() { MR } else { 0 };
        Ahead { next: t.next, arriving, rows: t.c_rows, arrived }
    }

    /// Whether there are rows left to ask for.
    #[inline(always)]
    fn has_rows<const MR: usize>(&self) -> bool {
        self.arrived < 2 * MR
    }

    /// Asks for what is next, before a block of products.
    #[inline(always)]
    fn prefetch_next<S: Simd>(&mut self, s: S) {
        for _ in 0..self.next.lines {
            s.prefetch(self.next.start);
            self.next.start = self.next.start.wrapping_add(self.next.step);
        }
    }

    /// Asks for some of the rows that are left, before a block of products.
    ///
    /// # Safety
    /// As [`TileSet::run`].
    #[inline(always)]
    unsafe fn prefetch_rows<S: Simd, const MR: usize, const NV: usize>(&mut self, s: S) {
        for _ in 0..BLOCK / 2 {
            if self.has_rows::<MR>() {
                // SAFETY: the list has an offset for each row; what is asked for need not be accessible.
                unsafe {
                    let row = self.arriving[self.arrived / MR].wrapping_add(*self.rows.add(self.arrived % MR));
                    for j in 0..NV {
                        s.prefetch(row.wrapping_add(j * S::LANES));
                    }
                }
                self.arrived += 1;
            }
        }
    }
}

/// # Safety
/// As [`TileSet::run`], for a tile of `MR` rows, walked as `W` does, and `NV` vectors.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "the body is one hot loop under the function's contract")]
unsafe fn tile<S: Simd, const MR: usize, const NV: usize, W: Walk>(s: S, t: &Tile) {
    let mut acc = [[s.zero(); NV]; MR];
    // The sums of one row wait for each other: products that follow one another have sums of their own.
    let mut further = [[s.zero(); NV]; BLOCK - 1];
    let full = t.cols == NV * S::LANES;
    let mut ahead = Ahead::of::<MR>(t);
    let (mut b, b_step) = (t.b, W::b_step(t, NV * S::LANES));
    // Not known to the compiler, which would unroll what is not to be.
    let block = black_box(BLOCK);
    for segment in 0..t.segment_count {
        let mut a = W::from(t.a.add(*t.segments.add(segment)), t.a_rows);
        macro_rules! product {
            ($product:literal) => {
                let mut bv = [s.zero(); NV];
                for (j, v) in bv.iter_mut().enumerate() {
                    *v = s.load(b.add($product * b_step + j * S::LANES));
                }
                for i in 0..MR {
                    let x = s.splat(*a.at(i, $product));
                    let sums = if MR == 1 && $product > 0 { &mut further[$product - 1] } else { &mut acc[i] };
                    for j in 0..NV {
                        sums[j] = s.mul_add(x, bv[j], sums[j]);
                    }
                }
            };
        }
        macro_rules! block {
            () => {
                ahead.prefetch_next(s);
                product!(0);
                product!(1);
                product!(2);
                product!(3);
                a.advance(BLOCK);
                b = b.add(BLOCK * b_step);
            };
        }
        let mut left = t.k;
        if W::UNROLLS {
            while left >= BLOCK && ahead.has_rows::<MR>() {
                ahead.prefetch_rows::<S, MR, NV>(s);
                block!();
                left -= BLOCK;
            }
            // The same again without what the loop before is done with: two threads that share a core decode hardly
            // more than the products.
            while left >= BLOCK {
                block!();
                left -= BLOCK;
            }
        }
        while left > 0 {
            ahead.prefetch_next(s);
            ahead.prefetch_rows::<S, MR, NV>(s);
            let some = left.min(block);
            for _ in 0..some {
                product!(0);
                a.advance(1);
                b = b.add(b_step);
            }
            left -= some;
        }
    }
    if MR == 1 {
        for sums in &further {
            for (sum, v) in acc[0].iter_mut().zip(sums) {
                *sum = s.add(*sum, *v);
            }
        }
    }
    if t.add_to_c {
        for (i, row) in acc.iter_mut().enumerate() {
            let c = t.c.add(*t.c_rows.add(i));
            for (j, sum) in row.iter_mut().enumerate() {
                let c = c.add(j * S::LANES);
                let v = if full { s.load(c) } else { s.load_first(c, S::LANES.min(t.cols - j * S::LANES)) };
                *sum = s.add(v, *sum);
            }
        }
    }
    let finish = &t.finish;
    if !finish.bias.is_null() {
        for j in 0..NV {
            let bias = finish.bias.add(j * S::LANES);
            let v = if full { s.load(bias) } else { s.load_first(bias, S::LANES.min(t.cols - j * S::LANES)) };
            for row in &mut acc {
                row[j] = s.add(row[j], v);
            }
        }
    }
    if !finish.residual.is_null() {
        for (i, row) in acc.iter_mut().enumerate() {
            let residual = finish.residual.add(*t.c_rows.add(i));
            for (j, sum) in row.iter_mut().enumerate() {
                let r = residual.add(j * S::LANES);
                let v = if full { s.load(r) } else { s.load_first(r, S::LANES.min(t.cols - j * S::LANES)) };
                *sum = s.add(*sum, v);
            }
        }
    }
    if finish.clamps() {
        for row in &mut acc {
            for sum in row {
                *sum = finish.clamp(s, *sum);
            }
        }
    }
    for (i, row) in acc.iter().enumerate() {
        let c = t.c.add(*t.c_rows.add(i));
        for (j, sum) in row.iter().enumerate() {
            let c = c.add(j * S::LANES);
            if full { s.store(c, *sum) } else { s.store_first(c, *sum, S::LANES.min(t.cols - j * S::LANES)) }
        }
    }
}

dispatch! { mod sets[const MR: usize, const NV: usize; type W: Walk] => unsafe tile(t: &Tile); }

/// The tiles of a set: for each number of vectors the numbers of rows.
macro_rules! table {
    ($set:ident, { $($v:literal: [$($r:literal),*]),* }) => {{
        static TABLE: Table = {
            let mut table: Table = [[[sets::$set::<1, 1, Adjacent>; MAX_ROWS]; MAX_VECTORS]; WALKS];
            $($(
                table[0][$v - 1][$r - 1] = sets::$set::<$r, $v, Adjacent>;
                table[1][$v - 1][$r - 1] = sets::$set::<$r, $v, Listed<$r, true>>;
                table[2][$v - 1][$r - 1] = sets::$set::<$r, $v, Listed<$r, false>>;
            )*)*
            table
        };
        &TABLE
    }};
}

fn scalar_tiles(_: Scalar) -> TileSet {
    let table = table!(scalar, { 1: [1, 2, 3, 4], 2: [1, 2, 3, 4] });
    TileSet { rows: 4, vectors: 2, lanes: Scalar::LANES, table }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::backend::cpu::simd::{Avx2, Avx512};

    /// Tiles of at most `vectors` vectors a row, 2, 3 or 4: as many rows as registers hold.
    pub(super) fn avx512_tiles(_: Avx512, vectors: usize) -> TileSet {
        let table = table!(avx512, {
            1: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
            2: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
            3: [1, 2, 3, 4, 5, 6, 7, 8, 9],
            4: [1, 2, 3, 4, 5, 6]
        });
        TileSet { rows: [14, 9, 6][vectors - 2], vectors, lanes: Avx512::LANES, table }
    }

    /// For at most eight columns: AVX-512 machines run two 256-bit multiply-adds at a time.
    pub(super) fn narrow_tiles(_: Avx2) -> TileSet {
        let table = table!(avx2, { 1: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] });
        TileSet { rows: 12, vectors: 1, lanes: Avx2::LANES, table }
    }

    pub(super) fn avx2_tiles(_: Avx2) -> TileSet {
        let table = table!(avx2, { 1: [1, 2, 3, 4, 5, 6], 2: [1, 2, 3, 4, 5, 6] });
        TileSet { rows: 6, vectors: 2, lanes: Avx2::LANES, table }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::*;
    use crate::backend::cpu::simd::Neon;

    pub(super) fn neon_tiles(_: Neon) -> TileSet {
        let table = table!(neon, {
            1: [1, 2, 3, 4, 5, 6, 7, 8],
            2: [1, 2, 3, 4, 5, 6, 7, 8],
            3: [1, 2, 3, 4, 5, 6, 7, 8]
        });
        TileSet { rows: 8, vectors: 3, lanes: Neon::LANES, table }
    }
}

#[cfg(test)]
#[path = "tile_tests.rs"]
mod tests;
