//! Mean and variance per channel of finished tiles.
//!
//! Squares of values far from 0 drown their deviations in f32, so every chunk of a kernel measures its
//! columns from a shift: the first value that it meets there. Sums of a few rows are f32, their totals
//! f64.

use crate::backend::cpu::simd::{Simd, dispatch};

/// Values that a chunk keeps for each column: how many elements, the shift, Σ(x − shift), Σ(x − shift)².
pub const PLANES: usize = 4;
/// Rows whose f32 sums are added up in f64.
const RUN: usize = 64;
/// Rows that are summed side by side: an addition takes four cycles, and two begin in one.
const ABREAST: usize = 4;
/// f32 of the longest vector.
const MAX_LANES: usize = 16;

/// One tile and where its chunk's sums are.
pub struct Work {
    /// First element.
    pub values: *const f32,
    /// Elements from row to row.
    pub ld: usize,
    /// Rows of the tile.
    pub rows: usize,
    /// Its columns.
    pub cols: usize,
    /// What the chunk keeps for the tile's first column.
    pub kept: *mut f64,
    /// Distance of the `PLANES`.
    pub plane: usize,
}

/// Takes a tile in.
pub type RunFn = unsafe fn(&Work);

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn moments<S: Simd>(s: S, w: &Work) {
    let whole = w.cols / S::LANES * S::LANES;
    let mut col = 0;
    while col < whole {
        columns::<S, false>(s, w, col, S::LANES);
        col += S::LANES;
    }
    if col < w.cols {
        columns::<S, true>(s, w, col, w.cols - col);
    }
}
dispatch! {
    /// The loop of a tier.
    pub fn select[] => unsafe moments(w: &Work);
}

/// The `n` columns from `col` on, which fill a vector unless `PART`.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn columns<S: Simd, const PART: bool>(s: S, w: &Work, col: usize, n: usize) {
    let kept = |plane: usize| std::slice::from_raw_parts_mut(w.kept.add(plane * w.plane + col), n);
    let (counts, shifts) = (kept(0), kept(1));
    let mut lanes = [0.0f32; MAX_LANES];
    for (i, lane) in lanes[..n].iter_mut().enumerate() {
        if counts[i] == 0.0 {
            shifts[i] = f64::from(*w.values.add(col + i));
        }
        *lane = shifts[i] as f32;
        counts[i] += w.rows as f64;
    }
    let shift = s.load_array(&lanes);
    let load = |row: usize| {
        let p = w.values.add(row * w.ld + col);
        if PART { s.load_first(p, n) } else { s.load(p) }
    };
    let mut first = 0;
    while first < w.rows {
        let end = w.rows.min(first + RUN);
        let mut sums = [s.zero(); ABREAST];
        let mut squares = [s.zero(); ABREAST];
        let mut row = first;
        while row + ABREAST <= end {
            for k in 0..ABREAST {
                let d = s.sub(load(row + k), shift);
                sums[k] = s.add(sums[k], d);
                squares[k] = s.mul_add(d, d, squares[k]);
            }
            row += ABREAST;
        }
        while row < end {
            let d = s.sub(load(row), shift);
            sums[0] = s.add(sums[0], d);
            squares[0] = s.mul_add(d, d, squares[0]);
            row += 1;
        }
        for (plane, v) in [(2, sums), (3, squares)] {
            s.store_array(&mut lanes, s.add(s.add(v[0], v[1]), s.add(v[2], v[3])));
            kept(plane).iter_mut().zip(lanes).for_each(|(total, lane)| *total += f64::from(lane));
        }
        first = end;
    }
}

/// Mean and biased variance of `means.len()` channels, of what each chunk kept for `lanes` columns a
/// channel; no chunk's count need be above 0.
///
/// # Safety
/// Every pointer of `chunks` is to `PLANES` planes of as many values, at distance `plane`.
pub unsafe fn combine(
    chunks: impl Iterator<Item = *const f64> + Clone,
    plane: usize,
    lanes: usize,
    means: &mut [f64],
    variances: &mut [f64],
) {
    // SAFETY: the caller's contract.
    let kept = |chunk: *const f64, k: usize, len: usize| unsafe {
        std::slice::from_raw_parts(chunk.add(k * plane), len * lanes)
    };
    // Σx, then counts, where variances will be.
    means.fill(0.0);
    variances.fill(0.0);
    for chunk in chunks.clone() {
        let [counts, shifts, sums] = [0, 1, 2].map(|k| kept(chunk, k, means.len()));
        for (i, (total, count)) in means.iter_mut().zip(variances.iter_mut()).enumerate() {
            for at in i * lanes..(i + 1) * lanes {
                *total += counts[at] * shifts[at] + sums[at];
                *count += counts[at];
            }
        }
    }
    means.iter_mut().zip(variances.iter()).for_each(|(m, n)| *m /= n);
    let counts: smallvec::SmallVec<[f64; 64]> = variances.iter().copied().collect();
    // Σ(x − mean)², measured from each chunk's shift.
    variances.fill(0.0);
    for chunk in chunks {
        let [counts, shifts, sums, squares] = [0, 1, 2, 3].map(|k| kept(chunk, k, means.len()));
        for (i, (mean, square)) in means.iter().zip(variances.iter_mut()).enumerate() {
            for at in i * lanes..(i + 1) * lanes {
                let off = shifts[at] - mean;
                *square += squares[at] + off * (2.0 * sums[at] + counts[at] * off);
            }
        }
    }
    // Rounding may leave less than 0; NaN stays, which `max` would make 0.
    variances.iter_mut().zip(counts).for_each(|(v, n)| *v = if *v < 0.0 { 0.0 } else { *v / n });
}
