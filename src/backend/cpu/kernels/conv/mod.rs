//! Convolutions on NHWC activations and HWIO filters: forward, input gradient, filter gradient.
//!
//! 1×1 convolutions are matrix products; depthwise ones have kernels of their own; all
//! others run the direct kernel over a list of taps. None builds the matrix of all windows.

mod axis;
mod batch_blocked;
mod depthwise;
mod depthwise_filter_grad;
mod depthwise_in_place;
mod depthwise_rows;
mod direct;
mod filter_grad;
mod inverted_residual;
#[cfg(test)]
mod layout_tests;
mod patch;
#[cfg(test)]
mod tests;

use super::gemm::{Gemm, Pixels};
use crate::backend::cpu::simd::Tier;
use crate::error::{Error, Result};
use crate::reserve;
pub use batch_blocked::{
    BlockedConv, BlockedFilterGrad, BlockedWinograd, blocked_winograd_supports, blocked_winograd_tiles,
};
pub use depthwise::Depthwise;
pub use depthwise_filter_grad::DepthwiseFilterGrad;
pub use depthwise_rows::{DepthwiseRows, DepthwiseRowsFilterGrad};
pub use direct::Direct;
pub use filter_grad::FilterGrad;
pub(in crate::backend::cpu) use filter_grad::{Combine, image_groups};
pub use inverted_residual::{InvertedResidual, ResidualArgs, ResidualGeometry};

/// Bytes of a kernel's tables for each tap of a window, with what vectors hold while they grow.
const TAP_BYTES: usize = 64;

/// Sizes of a 2-D convolution. Input `[batch, in_h, in_w, in_c]`, filters
/// `[kernel_h, kernel_w, in_c / groups, out_c]`, output `[batch, out_h, out_w, out_c]`.
///
/// Window element (i, j) of output (y, x) is input `(y * stride_h + i * dilation_h - pad_top,
/// x * stride_w + j * dilation_w - pad_left)`; elements outside the image are 0. Padding at the
/// bottom and right is what `out_h` and `out_w` imply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the field's")]
pub struct ConvGeometry {
    pub batch: usize,
    pub in_h: usize,
    pub in_w: usize,
    pub in_c: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub out_c: usize,
    pub kernel_h: usize,
    pub kernel_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub pad_top: usize,
    pub pad_left: usize,
    pub dilation_h: usize,
    pub dilation_w: usize,
    pub groups: usize,
}

impl ConvGeometry {
    /// Multiply-adds count as two.
    pub fn flops(&self) -> f64 {
        let window = self.kernel_h * self.kernel_w * self.in_c / self.groups;
        2.0 * (self.batch * self.out_h * self.out_w * self.out_c) as f64 * window as f64
    }

    /// Elements of the filters.
    pub fn filter_len(&self) -> usize {
        self.kernel_h * self.kernel_w * (self.in_c / self.groups) * self.out_c
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_h * self.in_w * self.in_c
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_h * self.out_w * self.out_c
    }

    /// Whether each input channel has filters of its own.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.in_c
    }

    /// Whether it is a matrix product over pixels.
    pub fn is_pointwise(&self) -> bool {
        let ones = [self.kernel_h, self.kernel_w, self.stride_h, self.stride_w, self.groups];
        ones == [1; 5] && self.pad_top + self.pad_left == 0 && (self.in_h, self.in_w) == (self.out_h, self.out_w)
    }

    /// Whether it is a matrix product over every `stride`th pixel.
    pub fn is_strided_pointwise(&self) -> bool {
        let inside = |inputs: usize, outputs: usize, stride: usize| (outputs - 1) * stride < inputs;
        [self.kernel_h, self.kernel_w, self.groups] == [1; 3]
            && self.pad_top + self.pad_left == 0
            && inside(self.in_h, self.out_h, self.stride_h)
            && inside(self.in_w, self.out_w, self.stride_w)
    }

    /// Forward, for a geometry that [`ConvGeometry::is_strided_pointwise`] holds for.
    pub(crate) fn product(&self, tier: Tier) -> Gemm {
        let (input, output) = ([self.in_h, self.in_w], [self.out_h, self.out_w]);
        let pixels = Pixels { input, output, stride: [self.stride_h, self.stride_w] };
        let pixels = (!self.is_pointwise()).then_some(pixels);
        Gemm::convolution(self.pixels(), self.out_c, self.in_c, pixels, tier)
    }

    /// Whether vectors of images may pay: there are few channels, and images fill the lanes.
    pub(crate) fn suits_batch_blocked(&self, tier: Tier, summed: usize, produced: usize) -> bool {
        let filled = 4 * self.batch >= 3 * self.batch.next_multiple_of(tier.lanes());
        let few = produced <= 16 && (summed <= 16 || (produced <= 8 && summed <= 64));
        self.groups == 1 && filled && few
    }

    pub(crate) fn pixels(&self) -> usize {
        self.batch * self.out_h * self.out_w
    }

    /// Whether windows reach far beyond the image, by dilation or padding: kernels that keep what a window spans in
    /// memory, or count on every tap meeting a pixel, do not take these.
    pub fn is_sprawling(&self) -> bool {
        let far = |input: usize, kernel: usize, dilation: usize, pad: usize| {
            let limit = 2 * input + 64;
            (kernel - 1) * dilation > limit || pad > limit
        };
        far(self.in_h, self.kernel_h, self.dilation_h, self.pad_top)
            || far(self.in_w, self.kernel_w, self.dilation_w, self.pad_left)
    }

    /// Elements of the padded image, so far as windows span it, with all channels of both sides: what kernels keep is
    /// a small multiple at most.
    fn reach(&self) -> u128 {
        let axis = |input: usize, output: usize, kernel: usize, stride: usize, dilation: usize| {
            (input + (output - 1) * stride + (kernel - 1) * dilation + 64) as u128
        };
        let rows = axis(self.in_h, self.out_h, self.kernel_h, self.stride_h, self.dilation_h);
        let columns = axis(self.in_w, self.out_w, self.kernel_w, self.stride_w, self.dilation_w);
        let taps = (self.kernel_h * self.kernel_w) as u128;
        (rows * columns + taps).saturating_mul((self.batch * (self.in_c + self.out_c)) as u128)
    }

    /// # Errors
    /// `Value` where a size is 0 or channels do not divide into the groups, `Memory` where there is none for what
    /// kernels keep of the window.
    pub fn check(&self) -> Result<()> {
        let g = self;
        let sizes = [
            g.batch,
            g.in_h,
            g.in_w,
            g.in_c,
            g.out_h,
            g.out_w,
            g.out_c,
            g.kernel_h,
            g.kernel_w,
            g.stride_h,
            g.stride_w,
            g.dilation_h,
            g.dilation_w,
            g.groups,
        ];
        if sizes.contains(&0) {
            return Err(Error::value(format!("convolution sizes must be positive, received {g:?}")));
        }
        if g.reach() > 1 << 56 {
            return Err(Error::memory(format!("the windows of a convolution exceed the address space: {g:?}")));
        }
        if !g.in_c.is_multiple_of(g.groups) || !g.out_c.is_multiple_of(g.groups) {
            return Err(Error::value(format!(
                "channels must divide into {} groups, received {} in and {} out",
                g.groups, g.in_c, g.out_c
            )));
        }
        // Kernels keep tables of the taps: an index and an offset of each along an axis, and of each in the window.
        let taps = (g.kernel_h * g.kernel_w).saturating_mul(TAP_BYTES);
        reserve::room_for(taps, || format!("tables of a {} x {} window", g.kernel_h, g.kernel_w))
    }
}
