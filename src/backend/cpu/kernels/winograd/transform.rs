//! The transforms of F(4×4, 3×3) and F(3×3, 4×4) over the points 0, ±3/4, ±3/2, ∞, and of F(2×2, 3×3) over 0, ±1, ∞.
//!
//! All work on vectors of channels, one vector after another; the results for the points lie `plane` elements
//! apart. Arrays of vectors are iterated by reference: the iterator of an array by value is not always inlined, and
//! then runs without the instruction set.

use crate::backend::cpu::kernels::attach::Finish;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};

/// Which outputs a tile has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// F(2×2, 3×3): 4 multiplications per output, 16/9 of the filters' memory.
    F2x2,
    /// F(4×4, 3×3): 2.25 multiplications per output, four times the filters' memory.
    F4x4,
}

impl Form {
    /// Outputs of a tile along each axis.
    pub const fn outputs(self) -> usize {
        match self {
            Form::F2x2 => 2,
            Form::F4x4 => 4,
        }
    }

    /// Pixels of a tile's window along each axis.
    pub const fn window(self) -> usize {
        self.outputs() + 2
    }

    /// Elements of a transformed window.
    pub const fn points(self) -> usize {
        self.window() * self.window()
    }
}

/// The most pixels of a window, and outputs of a tile.
pub const MAX_POINTS: usize = Form::F4x4.points();
pub const MAX_OUTPUTS: usize = Form::F4x4.outputs() * Form::F4x4.outputs();

const A: f32 = 0.75;
const B: f32 = 1.5;

/// Transforms of one form and tier.
#[derive(Clone, Copy)]
pub struct Transforms {
    /// `(pixels, channels, destination, plane)`: a window.
    pub window: WindowFn,
    /// `(source, tap stride, filters, destination, plane)`: 3×3 filters.
    pub filter: FilterFn,
    /// `(source, plane, pixels, first, channels, finish)`: a tile of outputs; null pixels are left out.
    /// The residual's elements lie from its first as the output's do from `first`.
    pub output: OutputFn,
}

pub type WindowFn = unsafe fn(*const *const f32, usize, *mut f32, usize);
type FilterFn = unsafe fn(*const f32, usize, usize, *mut f32, usize);
pub type OutputFn = unsafe fn(*const f32, usize, *const *mut f32, *const f32, usize, &Finish);

impl Transforms {
    /// The functions of `form` on `tier`.
    pub fn new(form: Form, tier: Tier) -> Self {
        match form {
            Form::F2x2 => Self::of::<4, 2, F2x2>(tier),
            Form::F4x4 => Self::of::<6, 4, F4x4>(tier),
        }
    }

    fn of<const P: usize, const M: usize, F: Algorithm<P, M>>(tier: Tier) -> Self {
        Transforms {
            window: select_window::<P, M, F>(tier),
            filter: select_filter::<P, M, F>(tier),
            output: select_output::<P, M, F>(tier),
        }
    }
}

/// Transforms of the gradient for the filters, F(3×3, 4×4), whose windows are those of F(4×4, 3×3).
#[derive(Clone, Copy)]
pub struct FilterGradTransforms {
    /// `(16 pixels, channels, destination, plane)`: a 4×4 tile of output gradients; null pixels are 0.
    pub output_grad: OutputGradFn,
    /// `(source, plane, destination, tap stride, channels)`: the 3×3 taps of a filter gradient.
    pub filter_grad: FilterGradFn,
}

type OutputGradFn = unsafe fn(*const *mut f32, usize, *mut f32, usize);
type FilterGradFn = unsafe fn(*const f32, usize, *mut f32, usize, usize);

impl FilterGradTransforms {
    /// The functions of `tier`.
    pub fn new(tier: Tier) -> Self {
        FilterGradTransforms { output_grad: select_output_grad(tier), filter_grad: select_filter_grad(tier) }
    }
}

/// One axis of F(M, 3) over P points.
trait Algorithm<const P: usize, const M: usize> {
    /// The window's pixels to their values at the points.
    fn samples<S: Simd>(s: S, d: [S::F; P]) -> [S::F; P];

    /// Three taps to their values at the points, each divided by its distances to the others.
    fn taps<S: Simd>(s: S, g: [S::F; 3]) -> [S::F; P];

    /// Values at the points to outputs.
    fn outputs<S: Simd>(s: S, m: [S::F; P]) -> [S::F; M];
}

struct F2x2;

impl Algorithm<4, 2> for F2x2 {
    #[inline(always)]
    fn samples<S: Simd>(s: S, d: [S::F; 4]) -> [S::F; 4] {
        [s.sub(d[0], d[2]), s.add(d[1], d[2]), s.sub(d[2], d[1]), s.sub(d[3], d[1])]
    }

    #[inline(always)]
    fn taps<S: Simd>(s: S, g: [S::F; 3]) -> [S::F; 4] {
        let half = s.splat(0.5);
        let (even, odd) = (s.mul(s.add(g[0], g[2]), half), s.mul(g[1], half));
        [g[0], s.add(even, odd), s.sub(even, odd), g[2]]
    }

    #[inline(always)]
    fn outputs<S: Simd>(s: S, m: [S::F; 4]) -> [S::F; 2] {
        [s.add(m[0], s.add(m[1], m[2])), s.add(s.sub(m[1], m[2]), m[3])]
    }
}

struct F4x4;

impl Algorithm<6, 4> for F4x4 {
    #[inline(always)]
    fn samples<S: Simd>(s: S, d: [S::F; 6]) -> [S::F; 6] {
        let (a, b, a2, b2) = (s.splat(A), s.splat(B), s.splat(A * A), s.splat(B * B));
        let (product, sum) = (s.splat(A * A * B * B), s.splat(A * A + B * B));
        let first = s.neg_mul_add(d[2], sum, s.mul_add(d[0], product, d[4]));
        let last = s.neg_mul_add(d[3], sum, s.mul_add(d[1], product, d[5]));
        let (e1, o1) = (s.neg_mul_add(d[2], b2, d[4]), s.neg_mul_add(d[1], b2, d[3]));
        let (e2, o2) = (s.neg_mul_add(d[2], a2, d[4]), s.neg_mul_add(d[1], a2, d[3]));
        [first, s.mul_add(o1, a, e1), s.neg_mul_add(o1, a, e1), s.mul_add(o2, b, e2), s.neg_mul_add(o2, b, e2), last]
    }

    #[inline(always)]
    fn taps<S: Simd>(s: S, g: [S::F; 3]) -> [S::F; 6] {
        let at = |p: f32, q: f32| 1.0 / (2.0 * p * p * (p * p - q * q));
        let (fa, fb) = (at(A, B), at(B, A));
        let even_a = s.mul(s.mul_add(g[2], s.splat(A * A), g[0]), s.splat(fa));
        let even_b = s.mul(s.mul_add(g[2], s.splat(B * B), g[0]), s.splat(fb));
        let (odd_a, odd_b) = (s.splat(A * fa), s.splat(B * fb));
        [
            s.mul(g[0], s.splat(1.0 / (A * A * B * B))),
            s.mul_add(g[1], odd_a, even_a),
            s.neg_mul_add(g[1], odd_a, even_a),
            s.mul_add(g[1], odd_b, even_b),
            s.neg_mul_add(g[1], odd_b, even_b),
            g[2],
        ]
    }

    #[inline(always)]
    fn outputs<S: Simd>(s: S, m: [S::F; 6]) -> [S::F; 4] {
        let (pa, qa) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
        let (pb, qb) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
        [
            s.add(m[0], s.add(pa, pb)),
            s.mul_add(qa, s.splat(A), s.mul(qb, s.splat(B))),
            s.mul_add(pa, s.splat(A * A), s.mul(pb, s.splat(B * B))),
            s.mul_add(qa, s.splat(A * A * A), s.mul_add(qb, s.splat(B * B * B), m[5])),
        ]
    }
}

/// Four output gradients to their values at the points, each divided by its distances to the others.
#[inline(always)]
fn output_grads<S: Simd>(s: S, g: [S::F; 4]) -> [S::F; 6] {
    let at = |p: f32, q: f32| 1.0 / (2.0 * p * p * (p * p - q * q));
    let (fa, fb) = (at(A, B), at(B, A));
    let even_a = s.mul_add(g[2], s.splat(A * A * fa), s.mul(g[0], s.splat(fa)));
    let even_b = s.mul_add(g[2], s.splat(B * B * fb), s.mul(g[0], s.splat(fb)));
    let odd_a = s.mul_add(g[3], s.splat(A * A * A * fa), s.mul(g[1], s.splat(A * fa)));
    let odd_b = s.mul_add(g[3], s.splat(B * B * B * fb), s.mul(g[1], s.splat(B * fb)));
    [
        s.mul(g[0], s.splat(1.0 / (A * A * B * B))),
        s.add(even_a, odd_a),
        s.sub(even_a, odd_a),
        s.add(even_b, odd_b),
        s.sub(even_b, odd_b),
        g[3],
    ]
}

/// Six values at the points to three taps.
#[inline(always)]
fn tap_grads<S: Simd>(s: S, m: [S::F; 6]) -> [S::F; 3] {
    let (pa, qa) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (pb, qb) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.add(m[0], s.add(pa, pb)),
        s.mul_add(qa, s.splat(A), s.mul(qb, s.splat(B))),
        s.mul_add(pa, s.splat(A * A), s.mul_add(pb, s.splat(B * B), m[5])),
    ]
}

/// # Safety
/// `pixels` are P·P rows of `channels` elements; the planes of `dst` hold whole vectors.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
#[allow(clippy::needless_range_loop, reason = "columns of a matrix")]
unsafe fn window<S: Simd, const P: usize, const M: usize, F: Algorithm<P, M>>(
    s: S,
    pixels: *const *const f32,
    channels: usize,
    dst: *mut f32,
    plane: usize,
) {
    let mut c = 0;
    while c < channels {
        let n = S::LANES.min(channels - c);
        let mut t = [[s.zero(); P]; P];
        for j in 0..P {
            let mut d = [s.zero(); P];
            for (i, d) in d.iter_mut().enumerate() {
                let p = (*pixels.add(i * P + j)).add(c);
                *d = if n == S::LANES { s.load(p) } else { s.load_first(p, n) };
            }
            let d = F::samples(s, d);
            for i in 0..P {
                t[i][j] = d[i];
            }
        }
        for (i, row) in t.iter().enumerate() {
            for (j, &v) in F::samples(s, *row).iter().enumerate() {
                s.store(dst.add((i * P + j) * plane + c), v);
            }
        }
        c += S::LANES;
    }
}
dispatch! {
    fn select_window[const P: usize, const M: usize; type F: Algorithm<P, M>] =>
        unsafe window(pixels: *const *const f32, channels: usize, dst: *mut f32, plane: usize);
}

/// # Safety
/// Nine rows of `filters` elements, `stride` apart; the planes of `dst` hold as many.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
unsafe fn filter<S: Simd, const P: usize, const M: usize, F: Algorithm<P, M>>(
    s: S,
    src: *const f32,
    stride: usize,
    filters: usize,
    dst: *mut f32,
    plane: usize,
) {
    let mut k = 0;
    while k + S::LANES <= filters {
        let load = |row: usize| s.load(src.add(row * stride + k));
        transform_taps::<S, P, M, F>(s, load, |point, v| s.store(dst.add(point * plane + k), v));
        k += S::LANES;
    }
    // Panels for tiles of half vectors may end within a vector.
    let n = filters - k;
    if n > 0 {
        let load = |row: usize| s.load_first(src.add(row * stride + k), n);
        transform_taps::<S, P, M, F>(s, load, |point, v| s.store_first(dst.add(point * plane + k), v, n));
    }
}

/// One vector of filters: `load` gives a tap of each, `store` takes a point of their transforms.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "columns of a matrix")]
fn transform_taps<S: Simd, const P: usize, const M: usize, F: Algorithm<P, M>>(
    s: S,
    load: impl Fn(usize) -> S::F,
    mut store: impl FnMut(usize, S::F),
) {
    let mut t = [[s.zero(); 3]; P];
    for j in 0..3 {
        let g = F::taps(s, [load(j), load(3 + j), load(6 + j)]);
        for i in 0..P {
            t[i][j] = g[i];
        }
    }
    for (i, row) in t.iter().enumerate() {
        for (j, &v) in F::taps(s, *row).iter().enumerate() {
            store(i * P + j, v);
        }
    }
}
dispatch! {
    fn select_filter[const P: usize, const M: usize; type F: Algorithm<P, M>] =>
        unsafe filter(src: *const f32, stride: usize, filters: usize, dst: *mut f32, plane: usize);
}

/// # Safety
/// The planes hold whole vectors; `pixels` are M·M rows of `channels` elements, or null; and
/// the residual's elements lie from its first as theirs do from `first`.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
#[allow(clippy::needless_range_loop, reason = "columns of a matrix")]
unsafe fn output<S: Simd, const P: usize, const M: usize, F: Algorithm<P, M>>(
    s: S,
    src: *const f32,
    plane: usize,
    pixels: *const *mut f32,
    first: *const f32,
    channels: usize,
    finish: &Finish,
) {
    let mut k = 0;
    while k < channels {
        let n = S::LANES.min(channels - k);
        let mut t = [[s.zero(); P]; M];
        for j in 0..P {
            let mut m = [s.zero(); P];
            for (i, m) in m.iter_mut().enumerate() {
                *m = s.load(src.add((i * P + j) * plane + k));
            }
            let m = F::outputs(s, m);
            for i in 0..M {
                t[i][j] = m[i];
            }
        }
        let bias = if finish.bias.is_null() { s.zero() } else { s.load_first(finish.bias.add(k), n) };
        for (i, row) in t.iter().enumerate() {
            for (j, &v) in F::outputs(s, *row).iter().enumerate() {
                let mut v = v;
                let p = *pixels.add(i * M + j);
                if p.is_null() {
                    continue;
                }
                if !finish.bias.is_null() {
                    v = s.add(v, bias);
                }
                if !finish.residual.is_null() {
                    let at = p.cast_const().offset_from(first) as usize + k;
                    v = s.add(v, s.load_first(finish.residual.add(at), n));
                }
                if finish.clamps() {
                    v = finish.clamp(s, v);
                }
                if n == S::LANES { s.store(p.add(k), v) } else { s.store_first(p.add(k), v, n) }
            }
        }
        k += S::LANES;
    }
}
dispatch! {
    fn select_output[const P: usize, const M: usize; type F: Algorithm<P, M>] =>
        unsafe output(src: *const f32, plane: usize, pixels: *const *mut f32, first: *const f32, channels: usize, finish: &Finish);
}

/// # Safety
/// `pixels` are 16 rows of `channels` elements, or null; the planes of `dst` hold whole vectors.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
#[allow(clippy::needless_range_loop, reason = "columns of a matrix")]
unsafe fn output_grad<S: Simd>(s: S, pixels: *const *mut f32, channels: usize, dst: *mut f32, plane: usize) {
    let mut k = 0;
    while k < channels {
        let n = S::LANES.min(channels - k);
        let mut t = [[s.zero(); 4]; 6];
        for j in 0..4 {
            let mut d = [s.zero(); 4];
            for (i, d) in d.iter_mut().enumerate() {
                let p = *pixels.add(i * 4 + j);
                if !p.is_null() {
                    *d = if n == S::LANES { s.load(p.add(k)) } else { s.load_first(p.add(k), n) };
                }
            }
            let d = output_grads(s, d);
            for i in 0..6 {
                t[i][j] = d[i];
            }
        }
        for (i, row) in t.iter().enumerate() {
            for (j, &v) in output_grads(s, *row).iter().enumerate() {
                s.store(dst.add((i * 6 + j) * plane + k), v);
            }
        }
        k += S::LANES;
    }
}
dispatch! {
    fn select_output_grad[] => unsafe output_grad(pixels: *const *mut f32, channels: usize, dst: *mut f32, plane: usize);
}

/// # Safety
/// The planes of `src` hold whole vectors, each of the nine taps of `dst` `channels` elements.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
#[allow(clippy::needless_range_loop, reason = "columns of a matrix")]
unsafe fn filter_grad<S: Simd>(s: S, src: *const f32, plane: usize, dst: *mut f32, stride: usize, channels: usize) {
    let mut k = 0;
    while k < channels {
        let n = S::LANES.min(channels - k);
        let mut t = [[s.zero(); 6]; 3];
        for j in 0..6 {
            let mut m = [s.zero(); 6];
            for (i, m) in m.iter_mut().enumerate() {
                *m = s.load(src.add((i * 6 + j) * plane + k));
            }
            let m = tap_grads(s, m);
            for i in 0..3 {
                t[i][j] = m[i];
            }
        }
        for (i, row) in t.iter().enumerate() {
            for (j, &v) in tap_grads(s, *row).iter().enumerate() {
                let p = dst.add((i * 3 + j) * stride + k);
                if n == S::LANES { s.store(p, v) } else { s.store_first(p, v, n) }
            }
        }
        k += S::LANES;
    }
}
dispatch! {
    fn select_filter_grad[] => unsafe filter_grad(src: *const f32, plane: usize, dst: *mut f32, stride: usize, channels: usize);
}
