//! The loops over rows of outputs.
#![allow(unsafe_op_in_unsafe_fn, reason = "each function is one loop nest under the contract of `Work`")]

use super::PoolGeometry;
use crate::backend::cpu::simd::{Simd, dispatch};
use std::ops::Range;

/// Some rows of one image.
pub(super) struct Work<'a> {
    pub g: &'a PoolGeometry,
    pub include_pad: bool,
    /// Output rows to visit.
    pub outputs: Range<usize>,
    /// Input rows that `src` begins with; for gradients the rows that `dst` holds.
    pub inputs: Range<usize>,
    /// Activations, from row `inputs.start`.
    pub src: *const f32,
    /// Output gradient, from row `outputs.start`.
    pub dy: *const f32,
    /// Output from row `outputs.start`, or input gradient from row `inputs.start`.
    pub dst: *mut f32,
}

/// Processes one [`Work`].
pub(super) type RowsFn = unsafe fn(&Work<'_>);

/// Whether `v` takes the place of `best`: greater, or the first NaN.
#[inline(always)]
fn beats<S: Simd>(s: S, v: S::F, best: S::F) -> S::M {
    s.mand(s.mnot(s.le(v, best)), s.eq(best, best))
}

impl Work<'_> {
    /// 1 / the number of elements that a window counts.
    #[inline(always)]
    fn scale(&self, rows: usize, columns: usize) -> f32 {
        let count = if self.include_pad { self.g.kernel_h * self.g.kernel_w } else { rows * columns };
        1.0 / count as f32
    }

    /// Offset of an input pixel in `src`.
    #[inline(always)]
    fn at(&self, y: usize, x: usize) -> usize {
        ((y - self.inputs.start) * self.g.in_w + x) * self.g.channels
    }
}

/// `n` elements: whole vectors need no mask.
#[inline(always)]
unsafe fn load<S: Simd>(s: S, p: *const f32, n: usize) -> S::F {
    if n == S::LANES { s.load(p) } else { s.load_first(p, n) }
}

/// `n` elements.
#[inline(always)]
unsafe fn store<S: Simd>(s: S, p: *mut f32, v: S::F, n: usize) {
    if n == S::LANES { s.store(p, v) } else { s.store_first(p, v, n) }
}

/// One window: rows and columns inside the image, and the channels c..c + n.
#[derive(Clone, Copy)]
struct Window {
    y0: usize,
    y1: usize,
    x0: usize,
    x1: usize,
}

/// Calls a window's code with its number of rows and columns: as constants for the most common size, whose
/// loops are then unrolled.
macro_rules! by_size {
    ($w:ident, $code:ident::<$($g:tt),*>($($arg:expr),*)) => {
        match ($w.y1 - $w.y0, $w.x1 - $w.x0) {
            (2, 2) => $code::<$($g),*>($($arg),*, 2, 2),
            (rows, columns) => $code::<$($g),*>($($arg),*, rows, columns),
        }
    };
}

#[inline(always)]
unsafe fn max_window<S: Simd>(s: S, t: &Work, w: Window, at: usize, c: usize, n: usize) {
    by_size!(w, max_of::<S>(s, t, w, at, c, n))
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "a window, its place and its size")]
unsafe fn max_of<S: Simd>(s: S, t: &Work, w: Window, at: usize, c: usize, n: usize, rows: usize, columns: usize) {
    let first = t.src.add(t.at(w.y0, w.x0) + c);
    let mut best = load(s, first, n);
    for y in 0..rows {
        for x in 0..columns {
            let v = load(s, first.add((y * t.g.in_w + x) * t.g.channels), n);
            best = s.select(beats(s, v, best), v, best);
        }
    }
    store(s, t.dst.add(at + c), best, n);
}

#[inline(always)]
unsafe fn average_window<S: Simd>(s: S, t: &Work, w: Window, at: usize, c: usize, n: usize) {
    let scale = s.splat(t.scale(w.y1 - w.y0, w.x1 - w.x0));
    let mut sum = s.zero();
    for y in w.y0..w.y1 {
        let mut p = t.src.add(t.at(y, w.x0) + c);
        for _ in w.x0..w.x1 {
            sum = s.add(sum, load(s, p, n));
            p = p.wrapping_add(t.g.channels);
        }
    }
    store(s, t.dst.add(at + c), s.mul(sum, scale), n);
}

/// Adds to the gradients of earlier windows. `src` is addressed like `dst`, from row `inputs.start`; rows
/// outside `inputs` are read, never written.
#[inline(always)]
unsafe fn max_grad_window<S: Simd>(s: S, t: &Work, w: Window, at: usize, c: usize, n: usize) {
    by_size!(w, max_grad_of::<S, true>(s, t, w, at, c, n))
}

/// Where no other window has the elements of this one.
#[inline(always)]
unsafe fn max_grad_disjoint_window<S: Simd>(s: S, t: &Work, w: Window, at: usize, c: usize, n: usize) {
    by_size!(w, max_grad_of::<S, false>(s, t, w, at, c, n))
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "a window, its place and its size")]
unsafe fn max_grad_of<S: Simd, const ADD: bool>(
    s: S,
    t: &Work,
    w: Window,
    at: usize,
    c: usize,
    n: usize,
    rows: usize,
    columns: usize,
) {
    // Rows above `inputs` lie before `src`: offsets wrap.
    let offset = |y: usize, x: usize| {
        let pixel = (w.y0 + y).wrapping_sub(t.inputs.start).wrapping_mul(t.g.in_w).wrapping_add(w.x0 + x);
        pixel.wrapping_mul(t.g.channels).wrapping_add(c)
    };
    let mut best = load(s, t.src.wrapping_add(offset(0, 0)), n);
    let mut place = s.isplat(0);
    for y in 0..rows {
        for x in 0..columns {
            let v = load(s, t.src.wrapping_add(offset(y, x)), n);
            let m = beats(s, v, best);
            best = s.select(m, v, best);
            place = s.iselect(m, s.isplat((y * columns + x) as i32), place);
        }
    }
    let d = load(s, t.dy.add(at + c), n);
    for y in 0..rows {
        if !t.inputs.contains(&(w.y0 + y)) {
            continue;
        }
        for x in 0..columns {
            let p = t.dst.wrapping_add(offset(y, x));
            let here = s.select(s.ieq(place, s.isplat((y * columns + x) as i32)), d, s.zero());
            store(s, p, if ADD { s.add(load(s, p, n), here) } else { here }, n);
        }
    }
}

#[inline(always)]
unsafe fn average_grad_window<S: Simd>(s: S, t: &Work, w: Window, at: usize, c: usize, n: usize) {
    let scale = s.splat(t.scale(w.y1 - w.y0, w.x1 - w.x0));
    let d = s.mul(load(s, t.dy.add(at + c), n), scale);
    for y in w.y0.max(t.inputs.start)..w.y1.min(t.inputs.end) {
        let mut p = t.dst.add(t.at(y, w.x0) + c);
        for _ in w.x0..w.x1 {
            store(s, p, s.add(load(s, p, n), d), n);
            p = p.wrapping_add(t.g.channels);
        }
    }
}

/// A kernel that calls `$window` for each window and its place among the outputs, by whole vectors of
/// channels and then for the rest: the number of elements is a constant in the first call, which
/// needs no masks.
macro_rules! rows_kernel {
    ($kernel:ident, $window:ident, $select:ident) => {
        #[inline(always)]
        unsafe fn $kernel<S: Simd>(s: S, t: &Work) {
            let channels = t.g.channels;
            let mut at = 0;
            for oy in t.outputs.clone() {
                let rows = t.g.window_rows(oy);
                for ox in 0..t.g.out_w {
                    let columns = t.g.window_columns(ox);
                    let w = Window { y0: rows.start, y1: rows.end, x0: columns.start, x1: columns.end };
                    let mut c = 0;
                    while c + S::LANES <= channels {
                        $window::<S>(s, t, w, at, c, S::LANES);
                        c += S::LANES;
                    }
                    if c < channels {
                        $window::<S>(s, t, w, at, c, channels - c);
                    }
                    at += channels;
                }
            }
        }
        dispatch! { pub(super) fn $select[] => unsafe $kernel(t: &Work<'_>); }
    };
}

rows_kernel!(max, max_window, select_max);
rows_kernel!(average, average_window, select_average);
rows_kernel!(max_grad, max_grad_window, select_max_grad);
rows_kernel!(max_grad_disjoint, max_grad_disjoint_window, select_max_grad_disjoint);
rows_kernel!(average_grad, average_grad_window, select_average_grad);
