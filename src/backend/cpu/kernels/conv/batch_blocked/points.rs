//! F(M, R) along rows over nine points: 0, ±1/2, ±7/8, ±3/2, ±9/4 (Toom and Cook; Winograd 1980).
//!
//! Nine columns d, R taps w and M = 10 - R outputs y of a correlation, as polynomials of which nine values say
//! everything: y = Aᵀ [(G w) ∘ (Bᵀ d)]. The gradients are the same map transposed,
//! dd = B [(G w) ∘ (A dy)] and dw = Gᵀ [(Bᵀ d) ∘ (A dy)], so that all three passes take 9 products instead of M·R.
//!
//! The points come in pairs of opposite sign: even and odd powers are summed once for both. These four pairs lose
//! least in f32 among multiples of 1/8: errors are about five times those of plain sums.

use crate::backend::cpu::kernels::attach::Finish;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};

/// Points, and columns of a window.
pub(super) const POINTS: usize = 9;

/// The positive point of each pair; point 2i + 1 is pair i's, point 2i + 2 its opposite.
const PAIRS: [f64; 4] = [0.5, 0.875, 1.5, 2.25];

/// Coefficients of x⁰, x², .. of the product of x² - q² over the pairs but `without`.
const fn product(without: usize) -> [f64; 5] {
    let mut c = [1.0, 0.0, 0.0, 0.0, 0.0];
    let mut i = 0;
    while i < 4 {
        if i != without {
            let mut j = 4;
            while j > 0 {
                c[j] = c[j - 1] - PAIRS[i] * PAIRS[i] * c[j];
                j -= 1;
            }
            c[0] *= -PAIRS[i] * PAIRS[i];
        }
        i += 1;
    }
    c
}

/// `product` of all pairs, and of the others for each pair: their last coefficients are 1.
const ALL: [f64; 5] = product(4);
const OTHERS: [[f64; 5]; 4] = [product(0), product(1), product(2), product(3)];

/// Powers of each pair's point, as many as there are outputs or taps.
const POWERS: [[f32; 8]; 4] = {
    let mut powers = [[1.0; 8]; 4];
    let mut i = 0;
    while i < 4 {
        let (mut j, mut power) = (1, PAIRS[i]);
        while j < 8 {
            powers[i][j] = power as f32;
            power *= PAIRS[i];
            j += 1;
        }
        i += 1;
    }
    powers
};

/// One over the product of the distances of a point of pair `i` to the others.
const fn scale(i: usize) -> f64 {
    let (p2, c) = (PAIRS[i] * PAIRS[i], OTHERS[i]);
    1.0 / (2.0 * p2 * (((c[3] * p2 + c[2]) * p2 + c[1]) * p2 + c[0]))
}

/// N columns to values at the points.
pub(super) trait Spread<const N: usize> {
    fn spread<S: Simd>(s: S, d: &[S::F; N]) -> [S::F; POINTS];
}

/// Values at the points to N columns.
pub(super) trait Gather<const N: usize> {
    fn gather<S: Simd>(s: S, m: &[S::F; POINTS]) -> [S::F; N];
}

/// Bᵀ and B: between the columns of a window and the points.
pub(super) struct Window;
/// A and Aᵀ: between the columns of a tile of outputs and the points.
pub(super) struct Outputs;
/// G and Gᵀ: between taps and points.
pub(super) struct Taps;

/// Sums and differences of the values at each pair of points.
#[inline(always)]
fn pairs<S: Simd>(s: S, m: &[S::F; POINTS]) -> ([S::F; 4], [S::F; 4]) {
    let (mut sums, mut differences) = ([s.zero(); 4], [s.zero(); 4]);
    for i in 0..4 {
        sums[i] = s.add(m[2 * i + 1], m[2 * i + 2]);
        differences[i] = s.sub(m[2 * i + 1], m[2 * i + 2]);
    }
    (sums, differences)
}

impl Spread<POINTS> for Window {
    #[inline(always)]
    fn spread<S: Simd>(s: S, d: &[S::F; POINTS]) -> [S::F; POINTS] {
        let mut v = [s.zero(); POINTS];
        v[0] = s.mul_add(d[0], s.splat(ALL[0] as f32), d[8]);
        for j in 1..4 {
            v[0] = s.mul_add(d[2 * j], s.splat(ALL[j] as f32), v[0]);
        }
        for (i, c) in OTHERS.iter().enumerate() {
            let (mut even, mut odd) = (d[8], d[7]);
            for j in 0..3 {
                let c = s.splat(c[j] as f32);
                even = s.mul_add(d[2 * j + 2], c, even);
                odd = s.mul_add(d[2 * j + 1], c, odd);
            }
            let p = s.splat(PAIRS[i] as f32);
            v[2 * i + 1] = s.mul_add(odd, p, even);
            v[2 * i + 2] = s.neg_mul_add(odd, p, even);
        }
        v
    }
}

impl Gather<POINTS> for Window {
    #[inline(always)]
    fn gather<S: Simd>(s: S, m: &[S::F; POINTS]) -> [S::F; POINTS] {
        let (even, mut odd) = pairs(s, m);
        for (i, odd) in odd.iter_mut().enumerate() {
            *odd = s.mul(*odd, s.splat(PAIRS[i] as f32));
        }
        let mut d = [s.zero(); POINTS];
        d[0] = s.mul(m[0], s.splat(ALL[0] as f32));
        for j in 1..4 {
            d[2 * j] = s.mul(m[0], s.splat(ALL[j] as f32));
        }
        d[7] = s.add(s.add(odd[0], odd[1]), s.add(odd[2], odd[3]));
        d[8] = s.add(m[0], s.add(s.add(even[0], even[1]), s.add(even[2], even[3])));
        for j in 0..3 {
            for (i, c) in OTHERS.iter().enumerate() {
                let c = s.splat(c[j] as f32);
                d[2 * j + 2] = s.mul_add(even[i], c, d[2 * j + 2]);
                d[2 * j + 1] = if i == 0 { s.mul(odd[0], c) } else { s.mul_add(odd[i], c, d[2 * j + 1]) };
            }
        }
        d
    }
}

impl<const N: usize> Spread<N> for Outputs {
    #[inline(always)]
    fn spread<S: Simd>(s: S, d: &[S::F; N]) -> [S::F; POINTS] {
        let mut v = [d[0]; POINTS];
        for (i, powers) in POWERS.iter().enumerate() {
            let (mut even, mut odd) = (d[0], s.mul(d[1], s.splat(powers[1])));
            for (j, &d) in d.iter().enumerate().skip(2) {
                let power = s.splat(powers[j]);
                if j % 2 == 0 {
                    even = s.mul_add(d, power, even);
                } else {
                    odd = s.mul_add(d, power, odd);
                }
            }
            v[2 * i + 1] = s.add(even, odd);
            v[2 * i + 2] = s.sub(even, odd);
        }
        v
    }
}

impl<const N: usize> Gather<N> for Outputs {
    #[inline(always)]
    fn gather<S: Simd>(s: S, m: &[S::F; POINTS]) -> [S::F; N] {
        let (even, odd) = pairs(s, m);
        let mut y = [s.zero(); N];
        for (j, y) in y.iter_mut().enumerate() {
            let terms = if j % 2 == 0 { &even } else { &odd };
            *y = match j {
                0 => s.add(m[0], s.add(s.add(terms[0], terms[1]), s.add(terms[2], terms[3]))),
                _ => {
                    let mut sum = s.mul(terms[0], s.splat(POWERS[0][j]));
                    for i in 1..4 {
                        sum = s.mul_add(terms[i], s.splat(POWERS[i][j]), sum);
                    }
                    sum
                }
            };
        }
        y
    }
}

/// The distances of a point to the others, which taps are divided by.
#[inline(always)]
fn scale_of(point: usize) -> f32 {
    const SCALES: [f64; 4] = [scale(0), scale(1), scale(2), scale(3)];
    (if point == 0 { 1.0 / ALL[0] } else { SCALES[(point - 1) / 2] }) as f32
}

impl<const N: usize> Spread<N> for Taps {
    #[inline(always)]
    fn spread<S: Simd>(s: S, d: &[S::F; N]) -> [S::F; POINTS] {
        let mut v = Outputs::spread(s, d);
        for (point, v) in v.iter_mut().enumerate() {
            *v = s.mul(*v, s.splat(scale_of(point)));
        }
        v
    }
}

impl<const N: usize> Gather<N> for Taps {
    #[inline(always)]
    fn gather<S: Simd>(s: S, m: &[S::F; POINTS]) -> [S::F; N] {
        let mut m = *m;
        for (point, m) in m.iter_mut().enumerate() {
            *m = s.mul(*m, s.splat(scale_of(point)));
        }
        <Outputs as Gather<N>>::gather(s, &m)
    }
}

/// One row of vectors of images, `[column][channel]`, to `[point][tile][..][channel]`: tile t is columns
/// `t * step + first ..`, zeros outside the row.
pub(super) struct SpreadRow {
    pub src: *const f32,
    pub columns: usize,
    pub channels: usize,
    pub first: isize,
    pub step: usize,
    pub tiles: usize,
    pub dst: *mut f32,
    /// f32 between points, and between tiles.
    pub plane: usize,
    pub tile: usize,
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
unsafe fn spread_row<S: Simd, const N: usize, F: Spread<N>>(s: S, t: &SpreadRow) {
    let pixel = t.channels * S::LANES;
    for tile in 0..t.tiles {
        let x = (tile * t.step) as isize + t.first;
        let inside = |j: usize| (0..t.columns as isize).contains(&(x + j as isize));
        let whole = inside(0) && inside(N - 1);
        let src = t.src.wrapping_offset(x * pixel as isize);
        let dst = t.dst.add(tile * t.tile);
        for c in 0..t.channels {
            let mut d = [s.zero(); N];
            if whole {
                for (j, d) in d.iter_mut().enumerate() {
                    *d = s.load(src.add(j * pixel + c * S::LANES));
                }
            } else {
                for (j, d) in d.iter_mut().enumerate() {
                    if inside(j) {
                        *d = s.load(src.wrapping_add(j * pixel + c * S::LANES));
                    }
                }
            }
            for (p, &v) in F::spread(s, &d).iter().enumerate() {
                s.store(dst.add(p * t.plane + c * S::LANES), v);
            }
        }
    }
}
dispatch! { fn select_spread_row[const N: usize; type F: Spread<N>] => unsafe spread_row(t: &SpreadRow); }

/// `[point][tile][..][channel]` to one row `[column][channel]`: tile t is columns `t * M + first ..`, of which
/// those outside the row are left out and those of several tiles are summed.
pub(super) struct GatherRow {
    pub src: *const f32,
    /// f32 between points, and between tiles.
    pub plane: usize,
    pub tile: usize,
    pub tiles: usize,
    pub channels: usize,
    pub dst: *mut f32,
    pub columns: usize,
    pub first: isize,
    pub finish: Finish,
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
unsafe fn gather_row<S: Simd, const N: usize, const M: usize, F: Gather<N>>(s: S, t: &GatherRow) {
    let pixel = t.channels * S::LANES;
    for c in 0..t.channels {
        let bias = if t.finish.bias.is_null() { s.zero() } else { s.splat(*t.finish.bias.add(c)) };
        let put = |x: isize, v: S::F| {
            if (0..t.columns as isize).contains(&x) {
                let v = s.add(v, bias);
                let v = if t.finish.clamps() { t.finish.clamp(s, v) } else { v };
                s.store(t.dst.add(x as usize * pixel + c * S::LANES), v);
            }
        };
        // Columns that the next tile reaches too.
        let mut carry = [s.zero(); N];
        let mut x = t.first;
        for tile in 0..t.tiles {
            let src = t.src.add(tile * t.tile + c * S::LANES);
            let mut m = [s.zero(); POINTS];
            for (p, m) in m.iter_mut().enumerate() {
                *m = s.load(src.add(p * t.plane));
            }
            let mut d = F::gather(s, &m);
            for j in 0..N - M {
                d[j] = s.add(d[j], carry[j]);
            }
            for (j, &v) in d.iter().enumerate().take(M) {
                put(x + j as isize, v);
            }
            #[allow(clippy::manual_memcpy, reason = "a copy by call would take them out of registers")]
            for j in M..N {
                carry[j - M] = d[j];
            }
            x += M as isize;
        }
        for (j, &v) in carry.iter().enumerate().take(N - M) {
            put(x + j as isize, v);
        }
    }
}
dispatch! { fn select_gather_row[const N: usize, const M: usize; type F: Gather<N>] => unsafe gather_row(t: &GatherRow); }

/// R rows of `len` elements, `stride` apart, to nine that are `plane` apart.
type SpreadTapsFn = unsafe fn(*const f32, usize, usize, *mut f32, usize);

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
unsafe fn spread_taps<S: Simd, const R: usize>(
    s: S,
    src: *const f32,
    stride: usize,
    len: usize,
    dst: *mut f32,
    plane: usize,
) {
    for i in (0..len).step_by(S::LANES) {
        let n = S::LANES.min(len - i);
        let mut w = [s.zero(); R];
        for (j, w) in w.iter_mut().enumerate() {
            *w = s.load_first(src.add(j * stride + i), n);
        }
        for (p, &v) in Taps::spread(s, &w).iter().enumerate() {
            s.store_first(dst.add(p * plane + i), v, n);
        }
    }
}
dispatch! {
    fn select_spread_taps[const R: usize] =>
        unsafe spread_taps(src: *const f32, stride: usize, len: usize, dst: *mut f32, plane: usize);
}

/// Nine rows of `len` elements, `plane` apart, to R that are `stride` apart.
type GatherTapsFn = unsafe fn(*const f32, usize, usize, *mut f32, usize);

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
unsafe fn gather_taps<S: Simd, const R: usize>(
    s: S,
    src: *const f32,
    plane: usize,
    len: usize,
    dst: *mut f32,
    stride: usize,
) {
    for i in (0..len).step_by(S::LANES) {
        let n = S::LANES.min(len - i);
        let mut m = [s.zero(); POINTS];
        for (p, m) in m.iter_mut().enumerate() {
            *m = s.load_first(src.add(p * plane + i), n);
        }
        let w: [S::F; R] = Taps::gather(s, &m);
        for (j, &v) in w.iter().enumerate() {
            s.store_first(dst.add(j * stride + i), v, n);
        }
    }
}
dispatch! {
    fn select_gather_taps[const R: usize] =>
        unsafe gather_taps(src: *const f32, plane: usize, len: usize, dst: *mut f32, stride: usize);
}

/// The transforms for filters of R columns, on one tier.
#[derive(Clone, Copy)]
pub(super) struct Transforms {
    /// Output columns of a tile.
    pub outputs: usize,
    /// Bᵀ, A, Aᵀ, B, G, Gᵀ.
    pub window: unsafe fn(&SpreadRow),
    pub output_grad: unsafe fn(&SpreadRow),
    pub output: unsafe fn(&GatherRow),
    pub window_grad: unsafe fn(&GatherRow),
    pub taps: SpreadTapsFn,
    pub taps_grad: GatherTapsFn,
}

impl Transforms {
    /// Widths of filters that have them.
    pub const WIDTHS: [usize; 3] = [3, 5, 7];

    /// The functions of `tier` for filters of `width` columns.
    pub fn new(width: usize, tier: Tier) -> Option<Self> {
        match width {
            3 => Some(Self::of::<3, 7>(tier)),
            5 => Some(Self::of::<5, 5>(tier)),
            7 => Some(Self::of::<7, 3>(tier)),
            _ => None,
        }
    }

    fn of<const R: usize, const M: usize>(tier: Tier) -> Self {
        Transforms {
            outputs: M,
            window: select_spread_row::<POINTS, Window>(tier),
            output_grad: select_spread_row::<M, Outputs>(tier),
            output: select_gather_row::<M, M, Outputs>(tier),
            window_grad: select_gather_row::<POINTS, M, Window>(tier),
            taps: select_spread_taps::<R>(tier),
            taps_grad: select_gather_taps::<R>(tier),
        }
    }
}
