//! Winograd convolutions on NHWC activations and HWIO filters (Lavin and Gray 2015, "Fast Algorithms for Convolutional
//! Neural Networks", arXiv:1509.09308): F(M×M, T×T) forward and for the input gradient, F(T×T, M×M) for the filter
//! gradient.
//!
//! Windows of 6×6 pixels are transformed to 36 points, where a convolution is 36 matrix products
//! over channels: of 3×3 filters, 2.25 multiplications per output and channel instead of 9; of 5×5, 9 instead of 25. Of 4×4
//! pixels: 16 points and 4 multiplications, but transformed filters take less than half the memory.
//!
//! A convolution of stride 2 is one of stride 1 on pixels that are four of the image, one of each parity of row and
//! column, with four times the channels and half the taps along each axis: of 4×4 filters, 6.25
//! multiplications instead of 16; of 3×3, whose odd pixels meet one tap along an axis, 5.06 instead of 9.

mod filter_grad;
mod filters;
mod forward;
mod staged;
mod transform;
mod windows;

#[cfg(test)]
mod tests;

use super::conv::ConvGeometry;
use crate::backend::cpu::simd::Tier;
pub use filter_grad::WinogradFilterGrad;
use filters::Meetings;
pub use forward::WinogradForward;
pub use staged::WinogradStaged;
pub use transform::Form;
use transform::Transforms;
use windows::{Grid, Windows};

/// The part of the products of all parities that filters of `g` meet by `form`.
pub fn share(form: Form, g: &ConvGeometry) -> f64 {
    Meetings::new(form, g, false).share()
}

/// f32 between rows of `cols`, and between planes of `rows` rows, so that neither falls on few cache sets.
fn strides(rows: usize, cols: usize) -> (usize, usize) {
    let ld = cols.next_multiple_of(16);
    let ld = if ld.is_multiple_of(128) { ld + 16 } else { ld };
    (ld, rows * ld + 16)
}

/// The tiles that a convolution, or its input gradient, writes, and the windows that it reads. Panics where
/// [`supports`] is false.
fn sides(form: Form, g: &ConvGeometry, gradient: bool, tier: Tier) -> (Grid, Windows) {
    assert!(self::form(g).is_some_and(|f| f.taps() == form.taps()), "{form:?} does not suit {g:?}");
    let (transform, batch) = (Transforms::new(form, tier).window, g.batch);
    if !gradient {
        return (
            Grid { form, batch, out_h: g.out_h, out_w: g.out_w, step: 1, before: [0; 2] },
            Windows {
                form,
                step: g.stride_h,
                in_h: g.in_h,
                in_w: g.in_w,
                in_c: g.in_c,
                pad_top: g.pad_top as isize,
                pad_left: g.pad_left as isize,
                transform,
            },
        );
    }
    // Pixel step · u + parity − pad of the input takes the output gradient of u, u − 1, .. through the filter's taps of
    // that parity. The first u is that of pixel 0.
    let (step, last) = (g.stride_h, form.taps() as isize - 1);
    let first = [g.pad_top / step, g.pad_left / step];
    (
        Grid { form, batch, out_h: g.in_h, out_w: g.in_w, step, before: [g.pad_top % step, g.pad_left % step] },
        Windows {
            form,
            step: 1,
            in_h: g.out_h,
            in_w: g.out_w,
            in_c: g.out_c,
            pad_top: last - first[0] as isize,
            pad_left: last - first[1] as isize,
            transform,
        },
    )
}

/// The form that computes a convolution: of square filters with 2 to 5 taps, stride 1, dilation 1 and one group; or with
/// stride 2 and 3 to 10 taps.
pub fn form(g: &ConvGeometry) -> Option<Form> {
    let square = g.kernel_h == g.kernel_w && g.stride_h == g.stride_w;
    let strided = g.stride_h == 2 && g.kernel_h >= 3;
    let plain = [g.dilation_h, g.dilation_w, g.groups] == [1; 3];
    if square && plain && (g.stride_h == 1 || strided) { Form::of(g.kernel_h.div_ceil(g.stride_h)) } else { None }
}

/// Whether [`WinogradStaged`] computes a convolution, or its input gradient, by `form`: of 3×3 filters and stride 1; forward,
/// also of stride 2 where all parities meet as many taps and fill vectors.
pub fn works_in_stages(form: Form, g: &ConvGeometry, gradient: bool) -> bool {
    let plain = is_plain_3x3(g) && form.taps() == 3;
    let strided = !gradient && g.stride_h == 2 && self::form(g) == Some(form);
    plain || (strided && g.kernel_h.is_multiple_of(2) && g.in_c.is_multiple_of(16))
}

/// Whether the geometry is 3×3, stride 1, dilation 1 and one group.
pub fn is_plain_3x3(g: &ConvGeometry) -> bool {
    form(g) == Some(Form::F4x4) && g.stride_h == 1
}
