//! The loops over rows of outputs.
#![allow(unsafe_op_in_unsafe_fn, reason = "each function is one loop nest under the contract of `Work`")]

use super::PoolGeometry;
use crate::backend::cpu::simd::Simd;
use crate::dispatch;
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
unsafe fn beats<S: Simd>(v: S::F, best: S::F) -> S::M {
    let nan = S::mand(S::mnot(S::eq(v, v)), S::eq(best, best));
    S::mor(S::lt(best, v), nan)
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

#[inline(always)]
unsafe fn max<S: Simd>(t: &Work) {
    let mut out = t.dst;
    for oy in t.outputs.clone() {
        let rows = t.g.window_rows(oy);
        for ox in 0..t.g.out_w {
            let columns = t.g.window_columns(ox);
            let mut c = 0;
            while c < t.g.channels {
                let n = S::LANES.min(t.g.channels - c);
                let mut best = S::load_first(t.src.add(t.at(rows.start, columns.start) + c), n);
                for y in rows.clone() {
                    for x in columns.clone() {
                        let v = S::load_first(t.src.add(t.at(y, x) + c), n);
                        best = S::select(beats::<S>(v, best), v, best);
                    }
                }
                S::store_first(out.add(c), best, n);
                c += n;
            }
            out = out.add(t.g.channels);
        }
    }
}
dispatch! { pub(super) fn select_max[] => max(t: &Work<'_>); }

#[inline(always)]
unsafe fn average<S: Simd>(t: &Work) {
    let mut out = t.dst;
    for oy in t.outputs.clone() {
        let rows = t.g.window_rows(oy);
        for ox in 0..t.g.out_w {
            let columns = t.g.window_columns(ox);
            let scale = S::splat(t.scale(rows.len(), columns.len()));
            let mut c = 0;
            while c < t.g.channels {
                let n = S::LANES.min(t.g.channels - c);
                let mut sum = S::zero();
                for y in rows.clone() {
                    for x in columns.clone() {
                        sum = S::add(sum, S::load_first(t.src.add(t.at(y, x) + c), n));
                    }
                }
                S::store_first(out.add(c), S::mul(sum, scale), n);
                c += n;
            }
            out = out.add(t.g.channels);
        }
    }
}
dispatch! { pub(super) fn select_average[] => average(t: &Work<'_>); }

/// `src` is addressed like `dst`, from row `inputs.start`; rows outside `inputs` are read, never written.
#[inline(always)]
unsafe fn max_grad<S: Simd>(t: &Work) {
    let mut dy = t.dy;
    let (width, channels) = (t.g.in_w, t.g.channels);
    // Rows above `inputs` lie before `src`: offsets wrap.
    let at =
        |y: usize, x: usize| y.wrapping_sub(t.inputs.start).wrapping_mul(width).wrapping_add(x).wrapping_mul(channels);
    for oy in t.outputs.clone() {
        let rows = t.g.window_rows(oy);
        let own = rows.start.max(t.inputs.start)..rows.end.min(t.inputs.end);
        for ox in 0..t.g.out_w {
            let columns = t.g.window_columns(ox);
            let mut c = 0;
            while c < channels {
                let n = S::LANES.min(channels - c);
                let mut best = S::load_first(t.src.wrapping_add(at(rows.start, columns.start)).wrapping_add(c), n);
                let mut place = S::isplat(0);
                let mut number = 0;
                for y in rows.clone() {
                    for x in columns.clone() {
                        let v = S::load_first(t.src.wrapping_add(at(y, x)).wrapping_add(c), n);
                        let m = beats::<S>(v, best);
                        best = S::select(m, v, best);
                        place = S::iselect(m, S::isplat(number), place);
                        number += 1;
                    }
                }
                let d = S::load_first(dy.add(c), n);
                let mut number = ((own.start - rows.start) * columns.len()) as i32;
                for y in own.clone() {
                    for x in columns.clone() {
                        let p = t.dst.add(at(y, x) + c);
                        let here = S::select(S::ieq(place, S::isplat(number)), d, S::zero());
                        S::store_first(p, S::add(S::load_first(p, n), here), n);
                        number += 1;
                    }
                }
                c += n;
            }
            dy = dy.add(channels);
        }
    }
}
dispatch! { pub(super) fn select_max_grad[] => max_grad(t: &Work<'_>); }

#[inline(always)]
unsafe fn average_grad<S: Simd>(t: &Work) {
    let mut dy = t.dy;
    for oy in t.outputs.clone() {
        let rows = t.g.window_rows(oy);
        let own = rows.start.max(t.inputs.start)..rows.end.min(t.inputs.end);
        for ox in 0..t.g.out_w {
            let columns = t.g.window_columns(ox);
            let scale = S::splat(t.scale(rows.len(), columns.len()));
            let mut c = 0;
            while c < t.g.channels {
                let n = S::LANES.min(t.g.channels - c);
                let d = S::mul(S::load_first(dy.add(c), n), scale);
                for y in own.clone() {
                    for x in columns.clone() {
                        let p = t.dst.add(t.at(y, x) + c);
                        S::store_first(p, S::add(S::load_first(p, n), d), n);
                    }
                }
                c += n;
            }
            dy = dy.add(t.g.channels);
        }
    }
}
dispatch! { pub(super) fn select_average_grad[] => average_grad(t: &Work<'_>); }
