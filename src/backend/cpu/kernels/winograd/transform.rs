//! The transforms of F(M×M, T×T) and of its filter gradient F(T×T, M×M): over the points 0, ±3/4, ±3/2, ∞ where
//! M + T = 7, over 0, ±3/4, 3/2, ∞ of F(4×4, 2×2), and over 0, ±1, ∞ of F(2×2, 3×3).
//!
//! All work on vectors of channels, one vector after another; the results for the points lie `plane` elements
//! apart. Arrays of vectors are iterated by reference: the iterator of an array by value is not always inlined, and
//! then runs without the instruction set.

use crate::backend::cpu::kernels::attach::Finish;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};

/// Which outputs a tile has, and for how many taps. The errors against direct summation in f32 are those of random data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// F(2×2, 3×3): 4 multiplications per output, 16/9 of the filters' memory.
    F2x2,
    /// F(4×4, 3×3): 2.25 multiplications per output, four times the filters' memory, 2.0 times the error.
    F4x4,
    /// F(4×4, 2×2): 25 multiplications for 16 outputs instead of 64, 2.8 times the error.
    F4x4Of2x2,
    /// F(3×3, 4×4): 36 multiplications for 9 outputs instead of 144, 1.5 times the error.
    F3x3Of4x4,
    /// F(2×2, 5×5): 36 multiplications for 4 outputs instead of 100, 1.4 times the error.
    F2x2Of5x5,
}

impl Form {
    /// The form for filters of as many taps along each axis.
    pub const fn of(taps: usize) -> Option<Form> {
        match taps {
            2 => Some(Form::F4x4Of2x2),
            3 => Some(Form::F4x4),
            4 => Some(Form::F3x3Of4x4),
            5 => Some(Form::F2x2Of5x5),
            _ => None,
        }
    }

    /// Outputs of a tile along each axis.
    pub const fn outputs(self) -> usize {
        match self {
            Form::F2x2 | Form::F2x2Of5x5 => 2,
            Form::F3x3Of4x4 => 3,
            Form::F4x4 | Form::F4x4Of2x2 => 4,
        }
    }

    /// Taps of a filter along each axis.
    pub const fn taps(self) -> usize {
        match self {
            Form::F2x2 | Form::F4x4 => 3,
            Form::F4x4Of2x2 => 2,
            Form::F3x3Of4x4 => 4,
            Form::F2x2Of5x5 => 5,
        }
    }

    /// Pixels of a tile's window along each axis.
    pub const fn window(self) -> usize {
        self.outputs() + self.taps() - 1
    }

    /// Elements of a transformed window.
    pub const fn points(self) -> usize {
        self.window() * self.window()
    }
}

/// The most pixels of a window, and outputs of a tile.
pub const MAX_POINTS: usize = Form::F4x4.points();
pub const MAX_OUTPUTS: usize = Form::F4x4.outputs() * Form::F4x4.outputs();
/// The most taps of a filter.
pub const MAX_TAPS: usize = Form::F2x2Of5x5.taps() * Form::F2x2Of5x5.taps();

const A: f32 = 0.75;
const B: f32 = 1.5;

/// Transforms of one form and tier.
#[derive(Clone, Copy)]
pub struct Transforms {
    /// `(pixels, channels, destination, plane)`: a window.
    pub window: WindowFn,
    /// `(source, tap stride, filters, destination, plane)`: the taps of filters.
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
            Form::F2x2 => Self::of::<4, 2, 3, ThreePoints>(tier),
            Form::F4x4 => Self::of::<6, 4, 3, FivePoints>(tier),
            Form::F4x4Of2x2 => Self::of::<5, 4, 2, FourPoints>(tier),
            Form::F3x3Of4x4 => Self::of::<6, 3, 4, FivePoints>(tier),
            Form::F2x2Of5x5 => Self::of::<6, 2, 5, FivePoints>(tier),
        }
    }

    fn of<const P: usize, const M: usize, const T: usize, At: Points<P>>(tier: Tier) -> Self {
        Transforms {
            window: select_window::<P, At>(tier),
            filter: select_filter::<P, T, At>(tier),
            output: select_output::<P, M, At>(tier),
        }
    }
}

/// Transforms of the gradient for the filters, F(T×T, M×M), whose windows are those of F(M×M, T×T).
#[derive(Clone, Copy)]
pub struct FilterGradTransforms {
    /// `(pixels, channels, destination, plane)`: a tile of output gradients; null pixels are 0.
    pub output_grad: OutputGradFn,
    /// `(source, plane, taps, channels)`: the taps of a filter gradient, row by row; null ones are left out.
    pub filter_grad: FilterGradFn,
}

type OutputGradFn = unsafe fn(*const *mut f32, usize, *mut f32, usize);
type FilterGradFn = unsafe fn(*const f32, usize, *const *mut f32, usize);

impl FilterGradTransforms {
    /// The functions of `form` on `tier`.
    pub fn new(form: Form, tier: Tier) -> Self {
        match form {
            Form::F2x2 => Self::of::<4, 2, 3, ThreePoints>(tier),
            Form::F4x4 => Self::of::<6, 4, 3, FivePoints>(tier),
            Form::F4x4Of2x2 => Self::of::<5, 4, 2, FourPoints>(tier),
            Form::F3x3Of4x4 => Self::of::<6, 3, 4, FivePoints>(tier),
            Form::F2x2Of5x5 => Self::of::<6, 2, 5, FivePoints>(tier),
        }
    }

    fn of<const P: usize, const M: usize, const T: usize, At: Points<P>>(tier: Tier) -> Self {
        FilterGradTransforms {
            output_grad: select_output_grad::<P, M, At>(tier),
            filter_grad: select_filter_grad::<P, T, At>(tier),
        }
    }
}

/// Points at which polynomials are multiplied, the last of P being ∞, along one axis.
trait Points<const P: usize> {
    /// A window's pixels to what the products at the points are taken with.
    fn samples<S: Simd>(s: S, d: [S::F; P]) -> [S::F; P];

    /// A polynomial's coefficients to its values at the points, each divided by the point's distances to the others:
    /// taps, or output gradients.
    fn values<S: Simd, const N: usize>(s: S, g: [S::F; N]) -> [S::F; P];

    /// The transpose of the values without the division: products at the points to outputs, or tap gradients.
    fn sums<S: Simd, const N: usize>(s: S, m: [S::F; P]) -> [S::F; N];
}

/// Σ g[i] · x^i · f over the even i, and over the odd ones.
#[inline(always)]
fn halves<S: Simd, const N: usize>(s: S, g: &[S::F; N], x: f32, f: f32) -> [S::F; 2] {
    let mut sums = [s.mul(g[0], s.splat(f)), s.mul(g[1], s.splat(x * f))];
    let mut power = x * x * f;
    for i in 2..N {
        sums[i % 2] = s.mul_add(g[i], s.splat(power), sums[i % 2]);
        power *= x;
    }
    sums
}

/// The power of a point that a sum takes.
const fn power(x: f32, n: usize) -> f32 {
    let (mut y, mut i) = (1.0, 0);
    while i < n {
        y *= x;
        i += 1;
    }
    y
}

/// 0, ±1, ∞.
struct ThreePoints;

impl Points<4> for ThreePoints {
    #[inline(always)]
    fn samples<S: Simd>(s: S, d: [S::F; 4]) -> [S::F; 4] {
        [s.sub(d[0], d[2]), s.add(d[1], d[2]), s.sub(d[2], d[1]), s.sub(d[3], d[1])]
    }

    #[inline(always)]
    fn values<S: Simd, const N: usize>(s: S, g: [S::F; N]) -> [S::F; 4] {
        let [even, odd] = halves(s, &g, 1.0, 0.5);
        [g[0], s.add(even, odd), s.sub(even, odd), g[N - 1]]
    }

    #[inline(always)]
    fn sums<S: Simd, const N: usize>(s: S, m: [S::F; 4]) -> [S::F; N] {
        let pair = [s.add(m[1], m[2]), s.sub(m[1], m[2])];
        let mut y = [s.zero(); N];
        for (k, y) in y.iter_mut().enumerate() {
            *y = pair[k % 2];
        }
        y[0] = s.add(m[0], y[0]);
        y[N - 1] = s.add(y[N - 1], m[3]);
        y
    }
}

/// 0, ±3/4, 3/2, ∞.
struct FourPoints;

impl Points<5> for FourPoints {
    #[inline(always)]
    fn samples<S: Simd>(s: S, d: [S::F; 5]) -> [S::F; 5] {
        let (a, b, a2) = (s.splat(A), s.splat(B), s.splat(A * A));
        // x² − a² times the window, from its first, second and third pixel on.
        let near = [s.neg_mul_add(d[0], a2, d[2]), s.neg_mul_add(d[1], a2, d[3]), s.neg_mul_add(d[2], a2, d[4])];
        let (even, odd) = (s.neg_mul_add(d[2], b, d[3]), s.neg_mul_add(d[1], b, d[2]));
        [
            s.neg_mul_add(near[0], b, near[1]),
            s.mul_add(odd, a, even),
            s.neg_mul_add(odd, a, even),
            near[1],
            s.neg_mul_add(near[1], b, near[2]),
        ]
    }

    #[inline(always)]
    fn values<S: Simd, const N: usize>(s: S, g: [S::F; N]) -> [S::F; 5] {
        let plus = halves(s, &g, A, 1.0 / (2.0 * A * A * (A - B)));
        let minus = halves(s, &g, -A, -1.0 / (2.0 * A * A * (A + B)));
        let third = halves(s, &g, B, 1.0 / (B * (B * B - A * A)));
        [
            s.mul(g[0], s.splat(1.0 / (A * A * B))),
            s.add(plus[0], plus[1]),
            s.add(minus[0], minus[1]),
            s.add(third[0], third[1]),
            g[N - 1],
        ]
    }

    #[inline(always)]
    fn sums<S: Simd, const N: usize>(s: S, m: [S::F; 5]) -> [S::F; N] {
        let pair = [s.add(m[1], m[2]), s.sub(m[1], m[2])];
        let mut y = [s.zero(); N];
        for (k, y) in y.iter_mut().enumerate() {
            let third = s.mul(m[3], s.splat(power(B, k)));
            *y = s.mul_add(pair[k % 2], s.splat(power(A, k)), third);
        }
        y[0] = s.add(m[0], y[0]);
        y[N - 1] = s.add(y[N - 1], m[4]);
        y
    }
}

/// 0, ±3/4, ±3/2, ∞.
struct FivePoints;

impl Points<6> for FivePoints {
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
    fn values<S: Simd, const N: usize>(s: S, g: [S::F; N]) -> [S::F; 6] {
        let [even_a, odd_a] = halves(s, &g, A, 1.0 / (2.0 * A * A * (A * A - B * B)));
        let [even_b, odd_b] = halves(s, &g, B, 1.0 / (2.0 * B * B * (B * B - A * A)));
        [
            s.mul(g[0], s.splat(1.0 / (A * A * B * B))),
            s.add(even_a, odd_a),
            s.sub(even_a, odd_a),
            s.add(even_b, odd_b),
            s.sub(even_b, odd_b),
            g[N - 1],
        ]
    }

    #[inline(always)]
    fn sums<S: Simd, const N: usize>(s: S, m: [S::F; 6]) -> [S::F; N] {
        let near = [s.add(m[1], m[2]), s.sub(m[1], m[2])];
        let far = [s.add(m[3], m[4]), s.sub(m[3], m[4])];
        let mut y = [s.zero(); N];
        for (k, y) in y.iter_mut().enumerate() {
            *y = match k {
                0 => s.add(m[0], s.add(near[0], far[0])),
                _ => {
                    let beyond = s.splat(power(B, k));
                    let sum = match k + 1 == N {
                        true => s.mul_add(far[k % 2], beyond, m[5]),
                        false => s.mul(far[k % 2], beyond),
                    };
                    s.mul_add(near[k % 2], s.splat(power(A, k)), sum)
                }
            };
        }
        y
    }
}

/// # Safety
/// `pixels` are P·P rows of `channels` elements; the planes of `dst` hold whole vectors.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
#[allow(clippy::needless_range_loop, reason = "columns of a matrix")]
unsafe fn window<S: Simd, const P: usize, At: Points<P>>(
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
            let d = At::samples(s, d);
            for i in 0..P {
                t[i][j] = d[i];
            }
        }
        for (i, row) in t.iter().enumerate() {
            for (j, &v) in At::samples(s, *row).iter().enumerate() {
                s.store(dst.add((i * P + j) * plane + c), v);
            }
        }
        c += S::LANES;
    }
}
dispatch! {
    fn select_window[const P: usize; type At: Points<P>] =>
        unsafe window(pixels: *const *const f32, channels: usize, dst: *mut f32, plane: usize);
}

/// # Safety
/// T·T rows of `filters` elements, `stride` apart; the planes of `dst` hold as many.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
unsafe fn filter<S: Simd, const P: usize, const T: usize, At: Points<P>>(
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
        transform_taps::<S, P, T, At>(s, load, |point, v| s.store(dst.add(point * plane + k), v));
        k += S::LANES;
    }
    // Panels for tiles of half vectors may end within a vector.
    let n = filters - k;
    if n > 0 {
        let load = |row: usize| s.load_first(src.add(row * stride + k), n);
        transform_taps::<S, P, T, At>(s, load, |point, v| s.store_first(dst.add(point * plane + k), v, n));
    }
}

/// One vector of filters: `load` gives a tap of each, `store` takes a point of their transforms.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "columns of a matrix")]
fn transform_taps<S: Simd, const P: usize, const T: usize, At: Points<P>>(
    s: S,
    load: impl Fn(usize) -> S::F,
    mut store: impl FnMut(usize, S::F),
) {
    let mut t = [[s.zero(); T]; P];
    for j in 0..T {
        let mut g = [s.zero(); T];
        for (i, g) in g.iter_mut().enumerate() {
            *g = load(i * T + j);
        }
        let g = At::values(s, g);
        for i in 0..P {
            t[i][j] = g[i];
        }
    }
    for (i, row) in t.iter().enumerate() {
        for (j, &v) in At::values(s, *row).iter().enumerate() {
            store(i * P + j, v);
        }
    }
}
dispatch! {
    fn select_filter[const P: usize, const T: usize; type At: Points<P>] =>
        unsafe filter(src: *const f32, stride: usize, filters: usize, dst: *mut f32, plane: usize);
}

/// # Safety
/// The planes hold whole vectors; `pixels` are M·M rows of `channels` elements, or null; and
/// the residual's elements lie from its first as theirs do from `first`.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
#[allow(clippy::needless_range_loop, reason = "columns of a matrix")]
unsafe fn output<S: Simd, const P: usize, const M: usize, At: Points<P>>(
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
            let m: [S::F; M] = At::sums(s, m);
            for i in 0..M {
                t[i][j] = m[i];
            }
        }
        let bias = if finish.bias.is_null() { s.zero() } else { s.load_first(finish.bias.add(k), n) };
        for (i, row) in t.iter().enumerate() {
            let row: [S::F; M] = At::sums(s, *row);
            for (j, &v) in row.iter().enumerate() {
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
    fn select_output[const P: usize, const M: usize; type At: Points<P>] =>
        unsafe output(src: *const f32, plane: usize, pixels: *const *mut f32, first: *const f32, channels: usize, finish: &Finish);
}

/// # Safety
/// `pixels` are M·M rows of `channels` elements, or null; the planes of `dst` hold whole vectors.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
#[allow(clippy::needless_range_loop, reason = "columns of a matrix")]
unsafe fn output_grad<S: Simd, const P: usize, const M: usize, At: Points<P>>(
    s: S,
    pixels: *const *mut f32,
    channels: usize,
    dst: *mut f32,
    plane: usize,
) {
    let mut k = 0;
    while k < channels {
        let n = S::LANES.min(channels - k);
        let mut t = [[s.zero(); M]; P];
        for j in 0..M {
            let mut d = [s.zero(); M];
            for (i, d) in d.iter_mut().enumerate() {
                let p = *pixels.add(i * M + j);
                if !p.is_null() {
                    *d = if n == S::LANES { s.load(p.add(k)) } else { s.load_first(p.add(k), n) };
                }
            }
            let d = At::values(s, d);
            for i in 0..P {
                t[i][j] = d[i];
            }
        }
        for (i, row) in t.iter().enumerate() {
            for (j, &v) in At::values(s, *row).iter().enumerate() {
                s.store(dst.add((i * P + j) * plane + k), v);
            }
        }
        k += S::LANES;
    }
}
dispatch! {
    fn select_output_grad[const P: usize, const M: usize; type At: Points<P>] =>
        unsafe output_grad(pixels: *const *mut f32, channels: usize, dst: *mut f32, plane: usize);
}

/// # Safety
/// The planes of `src` hold whole vectors; `taps` are T·T rows of `channels` elements, or null.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
#[allow(clippy::needless_range_loop, reason = "columns of a matrix")]
unsafe fn filter_grad<S: Simd, const P: usize, const T: usize, At: Points<P>>(
    s: S,
    src: *const f32,
    plane: usize,
    taps: *const *mut f32,
    channels: usize,
) {
    let mut k = 0;
    while k < channels {
        let n = S::LANES.min(channels - k);
        let mut t = [[s.zero(); P]; T];
        for j in 0..P {
            let mut m = [s.zero(); P];
            for (i, m) in m.iter_mut().enumerate() {
                *m = s.load(src.add((i * P + j) * plane + k));
            }
            let m: [S::F; T] = At::sums(s, m);
            for i in 0..T {
                t[i][j] = m[i];
            }
        }
        for (i, row) in t.iter().enumerate() {
            let row: [S::F; T] = At::sums(s, *row);
            for (j, &v) in row.iter().enumerate() {
                let p = *taps.add(i * T + j);
                if p.is_null() {
                    continue;
                }
                let p = p.add(k);
                if n == S::LANES { s.store(p, v) } else { s.store_first(p, v, n) }
            }
        }
        k += S::LANES;
    }
}
dispatch! {
    fn select_filter_grad[const P: usize, const T: usize; type At: Points<P>] =>
        unsafe filter_grad(src: *const f32, plane: usize, taps: *const *mut f32, channels: usize);
}
