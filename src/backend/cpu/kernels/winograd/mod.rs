//! Winograd convolutions on NHWC activations and HWIO filters: F(4×4, 3×3) and F(2×2, 3×3) forward and for
//! the input gradient, F(3×3, 4×4) for the filter gradient.
//!
//! Windows of 6×6 pixels are transformed to 36 points, where a convolution is 36 matrix products
//! over channels: 2.25 multiplications per output and channel instead of 9. Of 4×4 pixels: 16 points and 4
//! multiplications, but transformed filters take less than half the memory.

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
pub use forward::WinogradForward;
pub use staged::WinogradStaged;
pub use transform::Form;
use transform::Transforms;
use windows::{Grid, Windows};

/// f32 between rows of `cols`, and between planes of `rows` rows, so that neither falls on few cache sets.
fn strides(rows: usize, cols: usize) -> (usize, usize) {
    let ld = cols.next_multiple_of(16);
    let ld = if ld.is_multiple_of(128) { ld + 16 } else { ld };
    (ld, rows * ld + 16)
}

/// The tiles that a convolution, or its input gradient, writes, and the windows that it reads. Panics where
/// [`supports`] is false.
fn sides(form: Form, g: &ConvGeometry, gradient: bool, tier: Tier) -> (Grid, Windows) {
    assert!(supports(g), "Winograd needs 3x3 filters, stride 1, dilation 1 and one group, received {g:?}");
    let transform = Transforms::new(form, tier).window;
    let (x, y) = ([g.in_h, g.in_w, g.in_c], [g.out_h, g.out_w, g.out_c]);
    let (top, left) = (g.pad_top as isize, g.pad_left as isize);
    let ([in_h, in_w, in_c], [out_h, out_w, _], pad_top, pad_left) =
        if gradient { (y, x, 2 - top, 2 - left) } else { (x, y, top, left) };
    (Grid { form, batch: g.batch, out_h, out_w }, Windows { form, in_h, in_w, in_c, pad_top, pad_left, transform })
}

/// Whether the geometry is 3×3, stride 1, dilation 1 and one group.
pub fn supports(g: &ConvGeometry) -> bool {
    [g.kernel_h, g.kernel_w] == [3; 2] && [g.stride_h, g.stride_w, g.dilation_h, g.dilation_w, g.groups] == [1; 5]
}
