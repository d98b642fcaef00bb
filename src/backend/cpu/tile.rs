//! The register tile that GEMM and direct convolutions share.
//!
//! A tile of `rows` × (`vectors` × lanes) sums stays in registers while an inner loop adds products
//! of one broadcast element of A per row and `vectors` vectors of B. Rows of A are found through
//! offsets, so that a row may be a matrix row, an output pixel's window, or a filter element.

use super::attach::Finish;
use super::simd::{Scalar, Simd, Tier};
use std::hint::{black_box, unreachable_unchecked};

/// Greatest number of rows of a tile on any tier.
pub const MAX_ROWS: usize = 14;
/// f32 of a cache line.
const LINE: usize = 16;
/// Greatest number of vectors of a tile on any tier.
pub const MAX_VECTORS: usize = 3;

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
    /// What the next tile will read: a cache line is asked for with every k, or none from null on.
    pub next: *const f32,
}

/// What tile `t` of `tiles` over the same B of `k` products asks for of the B behind it, at `following`: with a
/// line for every product, the last two ask for a panel of two lines a row, and null is nothing.
pub fn share_of(following: *const f32, k: usize, t: usize, tiles: usize) -> *const f32 {
    match tiles - t {
        1 if tiles > 1 => following.wrapping_add(LINE * k),
        1 | 2 => following,
        _ => std::ptr::null(),
    }
}

/// The offset list of a tile with one segment.
pub static ONE_SEGMENT: [usize; 1] = [0];

/// Products between two looks ahead.
const BLOCK: usize = 4;

type TileFn = unsafe fn(&Tile);
/// By walk, vectors and rows.
type Table = [[[TileFn; MAX_ROWS]; MAX_VECTORS]; 2];

/// The tiles of one tier.
#[derive(Clone, Copy)]
pub struct TileSet {
    /// Rows of the largest tile.
    pub rows: usize,
    /// Vectors per row of the largest tile.
    pub vectors: usize,
    /// f32 per vector.
    pub lanes: usize,
    table: Table,
}

impl TileSet {
    /// The tiles of `tier`. Panics where the machine does not support it.
    pub fn new(tier: Tier) -> TileSet {
        assert!(tier.is_supported(), "this machine does not support the instruction set {tier}");
        match tier {
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512 => x86::avx512_tiles(),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2 => x86::avx2_tiles(),
            #[cfg(target_arch = "aarch64")]
            Tier::Neon => arm::neon_tiles(),
            _ => scalar_tiles(),
        }
    }

    /// The tiles of `tier` for outputs of `cols` columns: of half vectors where they leave fewer lanes empty.
    pub fn for_columns(tier: Tier, cols: usize) -> TileSet {
        #[cfg(target_arch = "x86_64")]
        if tier == Tier::Avx512 && cols <= Tier::Avx2.lanes() {
            return x86::narrow_tiles();
        }
        debug_assert!(cols > 0);
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
            Rows::Listed { .. } => 1,
        };
        // SAFETY: the caller's contract; the set exists only where its tier is supported.
        unsafe { self.table[walk][tile.vectors - 1][tile.rows - 1](tile) }
    }
}

/// How the inner loop finds the elements of A: processors have fewer registers for addresses than a tile has
/// rows, and each address that is fetched from the stack takes the place of an operand.
trait Walk {
    /// Whether the products of a block are written out one after the other.
    const UNROLLS: bool;

    /// From the base of a segment.
    unsafe fn from(base: *const f32, rows: Rows) -> Self;

    /// Element of row `row` at product `product` of the next few.
    unsafe fn at(&self, row: usize, product: usize) -> *const f32;

    /// Steps over `products`.
    unsafe fn advance(&mut self, products: usize);
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
    unsafe fn advance(&mut self, products: usize) {
        self.at = self.at.wrapping_add(products * self.step);
    }
}

/// The walk of [`Rows::Listed`].
struct Listed<const MR: usize> {
    rows: [*const f32; MR],
    at: usize,
    step: usize,
}

#[allow(unsafe_op_in_unsafe_fn, reason = "as above")]
impl<const MR: usize> Walk for Listed<MR> {
    // The compiler would fetch the elements of all four early, and the sums would go to the stack.
    const UNROLLS: bool = false;

    #[inline(always)]
    unsafe fn from(base: *const f32, rows: Rows) -> Self {
        let Rows::Listed { offsets, step } = rows else { unreachable_unchecked() };
        let mut rows = [base; MR];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = base.add(*offsets.add(i));
        }
        Listed { rows, at: 0, step }
    }

    #[inline(always)]
    unsafe fn at(&self, row: usize, product: usize) -> *const f32 {
        self.rows[row].add(self.at + product * self.step)
    }

    #[inline(always)]
    unsafe fn advance(&mut self, products: usize) {
        self.at += products * self.step;
    }
}

/// What the inner loop asks memory for besides its operands.
struct Ahead {
    /// Lines of what is next; without it the same lines over and over, which costs less than a branch.
    next: *const f32,
    next_step: usize,
    /// Residual and C arrive while the sums are computed; their rows are too far apart for hardware to foresee.
    /// Few rows at a time are asked for: all at once would fill the queue of misses, and loads would wait.
    arriving: [*const f32; 2],
    rows: *const usize,
    arrived: usize,
}

impl Ahead {
    #[inline(always)]
    fn of<const MR: usize>(t: &Tile) -> Self {
        let (next, next_step) = if t.next.is_null() { (t.b, 0) } else { (t.next, LINE) };
        let arriving = [t.finish.residual, t.c.cast_const()];
        let arrived = if t.finish.residual.is_null() { MR } else { 0 };
        Ahead { next, next_step, arriving, rows: t.c_rows, arrived }
    }

    /// Before the next block of products.
    ///
    /// # Safety
    /// As [`TileSet::run`].
    #[inline(always)]
    unsafe fn ask<S: Simd, const MR: usize, const NV: usize>(&mut self) {
        // SAFETY: the list has an offset for each row; what is asked for need not be accessible.
        unsafe {
            for line in 0..BLOCK {
                S::prefetch(self.next.wrapping_add(line * self.next_step));
            }
            self.next = self.next.wrapping_add(BLOCK * self.next_step);
            for _ in 0..BLOCK / 2 {
                if self.arrived < 2 * MR {
                    let row = self.arriving[self.arrived / MR].wrapping_add(*self.rows.add(self.arrived % MR));
                    for j in 0..NV {
                        S::prefetch(row.wrapping_add(j * S::LANES));
                    }
                    self.arrived += 1;
                }
            }
        }
    }
}

/// # Safety
/// As [`TileSet::run`], for a tile of `MR` rows, walked as `W` does, and `NV` vectors.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "the body is one hot loop under the function's contract")]
unsafe fn tile<S: Simd, W: Walk, const MR: usize, const NV: usize>(t: &Tile) {
    let mut acc = [[S::zero(); NV]; MR];
    let full = t.cols == NV * S::LANES;
    let mut ahead = Ahead::of::<MR>(t);
    let (mut b, b_step) = (t.b, t.b_step);
    // Not known to the compiler, which would unroll what is not to be.
    let block = black_box(BLOCK);
    for segment in 0..t.segment_count {
        let mut a = W::from(t.a.add(*t.segments.add(segment)), t.a_rows);
        macro_rules! product {
            ($product:literal) => {
                let mut bv = [S::zero(); NV];
                for (j, v) in bv.iter_mut().enumerate() {
                    *v = S::load(b.add($product * b_step + j * S::LANES));
                }
                for i in 0..MR {
                    let x = S::splat(*a.at(i, $product));
                    for j in 0..NV {
                        acc[i][j] = S::mul_add(x, bv[j], acc[i][j]);
                    }
                }
            };
        }
        let mut left = t.k;
        while left > 0 {
            ahead.ask::<S, MR, NV>();
            if W::UNROLLS && left >= BLOCK {
                product!(0);
                product!(1);
                product!(2);
                product!(3);
                a.advance(BLOCK);
                b = b.add(BLOCK * b_step);
                left -= BLOCK;
                continue;
            }
            let some = left.min(block);
            for _ in 0..some {
                product!(0);
                a.advance(1);
                b = b.add(b_step);
            }
            left -= some;
        }
    }
    if t.add_to_c {
        for (i, row) in acc.iter_mut().enumerate() {
            let c = t.c.add(*t.c_rows.add(i));
            for (j, sum) in row.iter_mut().enumerate() {
                let c = c.add(j * S::LANES);
                let v = if full { S::load(c) } else { S::load_first(c, S::LANES.min(t.cols - j * S::LANES)) };
                *sum = S::add(v, *sum);
            }
        }
    }
    let finish = &t.finish;
    if !finish.bias.is_null() {
        for j in 0..NV {
            let bias = finish.bias.add(j * S::LANES);
            let v = if full { S::load(bias) } else { S::load_first(bias, S::LANES.min(t.cols - j * S::LANES)) };
            for row in &mut acc {
                row[j] = S::add(row[j], v);
            }
        }
    }
    if !finish.residual.is_null() {
        for (i, row) in acc.iter_mut().enumerate() {
            let residual = finish.residual.add(*t.c_rows.add(i));
            for (j, sum) in row.iter_mut().enumerate() {
                let r = residual.add(j * S::LANES);
                let v = if full { S::load(r) } else { S::load_first(r, S::LANES.min(t.cols - j * S::LANES)) };
                *sum = S::add(*sum, v);
            }
        }
    }
    if finish.clamps() {
        for row in &mut acc {
            for sum in row {
                *sum = finish.clamp::<S>(*sum);
            }
        }
    }
    for (i, row) in acc.iter().enumerate() {
        let c = t.c.add(*t.c_rows.add(i));
        for (j, sum) in row.iter().enumerate() {
            let c = c.add(j * S::LANES);
            if full { S::store(c, *sum) } else { S::store_first(c, *sum, S::LANES.min(t.cols - j * S::LANES)) }
        }
    }
}

/// Fills a [`TileSet`]: for each walk a row of functions per number of vectors.
macro_rules! tile_set {
    ($f:ident, $set:ty, $vectors:literal, [$($v:literal),*], [$($r:literal),*]) => {{
        let mut table: Table = [[[$f::<Adjacent, 1, 1>; MAX_ROWS]; MAX_VECTORS]; 2];
        tile_set!(@vectors table $f [$($v),*] [$($r),*]);
        let rows = [$($r),*].len();
        TileSet { rows, vectors: $vectors, lanes: <$set>::LANES, table }
    }};
    (@vectors $table:ident $f:ident [$($v:literal),*] $rows:tt) => { $(tile_set!(@rows $table $f $v $rows);)* };
    (@rows $table:ident $f:ident $v:literal [$($r:literal),*]) => { $(
        $table[0][$v - 1][$r - 1] = $f::<Adjacent, $r, $v>;
        $table[1][$v - 1][$r - 1] = $f::<Listed<$r>, $r, $v>;
    )* };
}

unsafe fn scalar<W: Walk, const MR: usize, const NV: usize>(t: &Tile) {
    // SAFETY: the caller's contract.
    unsafe { tile::<Scalar, W, MR, NV>(t) }
}

fn scalar_tiles() -> TileSet {
    tile_set!(scalar, Scalar, 2, [1, 2], [1, 2, 3, 4])
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::backend::cpu::simd::{Avx2, Avx512};

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    unsafe fn avx512<W: Walk, const MR: usize, const NV: usize>(t: &Tile) {
        // SAFETY: the caller's contract; the features are enabled here.
        unsafe { tile::<Avx512, W, MR, NV>(t) }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<W: Walk, const MR: usize, const NV: usize>(t: &Tile) {
        // SAFETY: as above.
        unsafe { tile::<Avx2, W, MR, NV>(t) }
    }

    pub(super) fn avx512_tiles() -> TileSet {
        tile_set!(avx512, Avx512, 2, [1, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
    }

    /// For at most eight columns: AVX-512 machines run two 256-bit multiply-adds at a time.
    pub(super) fn narrow_tiles() -> TileSet {
        assert!(Tier::Avx2.is_supported(), "AVX-512 machines support AVX2");
        tile_set!(avx2, Avx2, 1, [1], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    }

    pub(super) fn avx2_tiles() -> TileSet {
        tile_set!(avx2, Avx2, 2, [1, 2], [1, 2, 3, 4, 5, 6])
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::*;
    use crate::backend::cpu::simd::Neon;

    unsafe fn neon<W: Walk, const MR: usize, const NV: usize>(t: &Tile) {
        // SAFETY: the caller's contract; NEON is part of AArch64.
        unsafe { tile::<Neon, W, MR, NV>(t) }
    }

    pub(super) fn neon_tiles() -> TileSet {
        tile_set!(neon, Neon, 3, [1, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8])
    }
}
