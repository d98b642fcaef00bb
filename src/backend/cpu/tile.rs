//! The register tile that GEMM and direct convolutions share.
//!
//! A tile of `rows` × (`vectors` × lanes) sums stays in registers while an inner loop adds products
//! of one broadcast element of A per row and `vectors` vectors of B. Rows of A are found through
//! offsets, so that a row may be a matrix row, an output pixel's window, or a filter element.

use super::attach::Finish;
use super::simd::{Scalar, Simd, Tier};

/// Greatest number of rows of a tile on any tier.
pub const MAX_ROWS: usize = 14;
/// f32 of a cache line.
const LINE: usize = 16;
/// Greatest number of vectors of a tile on any tier.
pub const MAX_VECTORS: usize = 3;

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
    /// Offset of each row from the base.
    pub a_rows: *const usize,
    /// Elements between successive k.
    pub a_step: usize,
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

type TileFn = unsafe fn(&Tile);

/// The tiles of one tier.
#[derive(Clone, Copy)]
pub struct TileSet {
    /// Rows of the largest tile.
    pub rows: usize,
    /// Vectors per row of the largest tile.
    pub vectors: usize,
    /// f32 per vector.
    pub lanes: usize,
    table: [[TileFn; MAX_ROWS]; MAX_VECTORS],
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
        // SAFETY: the caller's contract; the set exists only where its tier is supported.
        unsafe { self.table[tile.vectors - 1][tile.rows - 1](tile) }
    }
}

/// # Safety
/// As [`TileSet::run`], for a tile of `MR` rows and `NV` vectors.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "the body is one hot loop under the function's contract")]
unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(t: &Tile) {
    let mut acc = [[S::zero(); NV]; MR];
    let full = t.cols == NV * S::LANES;
    // Residual and C arrive while the sums are computed; their rows are too far apart for hardware to foresee.
    // One row at a time is asked for: all at once would fill the queue of misses, and loads would wait.
    let arriving = [t.finish.residual, t.c.cast_const()];
    let mut arrived = if t.finish.residual.is_null() { MR } else { 0 };
    // Lines of what is next; without it the same line over and over, which costs less than a branch.
    let (mut next, next_step) = if t.next.is_null() { (t.b, 0) } else { (t.next, LINE) };
    let mut b = t.b;
    let (a_step, b_step) = (t.a_step, t.b_step);
    for segment in 0..t.segment_count {
        let base = t.a.add(*t.segments.add(segment));
        let mut a = [base; MR];
        for (i, a) in a.iter_mut().enumerate() {
            *a = base.add(*t.a_rows.add(i));
        }
        let mut at = 0;
        for _ in 0..t.k {
            if arrived < 2 * MR {
                let row = arriving[arrived / MR].wrapping_add(*t.c_rows.add(arrived % MR));
                for j in 0..NV {
                    S::prefetch(row.wrapping_add(j * S::LANES));
                }
                arrived += 1;
            }
            S::prefetch(next);
            next = next.wrapping_add(next_step);
            let mut bv = [S::zero(); NV];
            for (j, v) in bv.iter_mut().enumerate() {
                *v = S::load(b.add(j * S::LANES));
            }
            for i in 0..MR {
                let x = S::splat(*a[i].add(at));
                for j in 0..NV {
                    acc[i][j] = S::mul_add(x, bv[j], acc[i][j]);
                }
            }
            at += a_step;
            b = b.add(b_step);
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

/// Fills a [`TileSet`]: a row of functions per number of vectors.
macro_rules! tile_set {
    ($f:ident, $set:ty, $vectors:literal, [$($v:literal),*], [$($r:literal),*]) => {{
        let mut table: [[TileFn; MAX_ROWS]; MAX_VECTORS] = [[$f::<1, 1>; MAX_ROWS]; MAX_VECTORS];
        tile_set!(@vectors table $f [$($v),*] [$($r),*]);
        let rows = [$($r),*].len();
        TileSet { rows, vectors: $vectors, lanes: <$set>::LANES, table }
    }};
    (@vectors $table:ident $f:ident [$($v:literal),*] $rows:tt) => { $(tile_set!(@rows $table $f $v $rows);)* };
    (@rows $table:ident $f:ident $v:literal [$($r:literal),*]) => { $($table[$v - 1][$r - 1] = $f::<$r, $v>;)* };
}

unsafe fn scalar<const MR: usize, const NV: usize>(t: &Tile) {
    // SAFETY: the caller's contract.
    unsafe { tile::<Scalar, MR, NV>(t) }
}

fn scalar_tiles() -> TileSet {
    tile_set!(scalar, Scalar, 2, [1, 2], [1, 2, 3, 4])
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::backend::cpu::simd::{Avx2, Avx512};

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    unsafe fn avx512<const MR: usize, const NV: usize>(t: &Tile) {
        // SAFETY: the caller's contract; the features are enabled here.
        unsafe { tile::<Avx512, MR, NV>(t) }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<const MR: usize, const NV: usize>(t: &Tile) {
        // SAFETY: as above.
        unsafe { tile::<Avx2, MR, NV>(t) }
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

    unsafe fn neon<const MR: usize, const NV: usize>(t: &Tile) {
        // SAFETY: the caller's contract; NEON is part of AArch64.
        unsafe { tile::<Neon, MR, NV>(t) }
    }

    pub(super) fn neon_tiles() -> TileSet {
        tile_set!(neon, Neon, 3, [1, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8])
    }
}
