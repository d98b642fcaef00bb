//! Winograd convolutions on NHWC activations and HWIO filters: F(4×4, 3×3) forward and for the input
//! gradient, F(3×3, 4×4) for the filter gradient.
//!
//! Windows of 6×6 pixels are transformed to 36 points, where a convolution is 36 matrix products
//! over channels: 2.25 multiplications per output and channel instead of 9.

mod filter_grad;
mod forward;
mod prefetch;
mod transform;
mod windows;

#[cfg(test)]
mod tests;

use super::conv::ConvGeometry;
pub use filter_grad::WinogradFilterGrad;
pub(super) use forward::TRANSFORMED_FILTERS_CACHED;
pub use forward::WinogradForward;

/// f32 between rows of `cols`, and between planes of `rows` rows, so that neither falls on few cache sets.
fn strides(rows: usize, cols: usize) -> (usize, usize) {
    let ld = cols.next_multiple_of(16);
    let ld = if ld.is_multiple_of(128) { ld + 16 } else { ld };
    (ld, rows * ld + 16)
}

/// Whether the geometry is 3×3, stride 1, dilation 1 and one group.
pub fn supports(g: &ConvGeometry) -> bool {
    [g.kernel_h, g.kernel_w] == [3; 2] && [g.stride_h, g.stride_w, g.dilation_h, g.dilation_w, g.groups] == [1; 5]
}
