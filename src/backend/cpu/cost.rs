//! What the kernels of convolutions cost, fitted to measurements and compiled into the crate.
//!
//! The unit is the time of one floating-point operation at the FMA peak, so that a cost divided by
//! [`ConvGeometry::flops`] is the reciprocal of the fraction of peak that a kernel reaches. A kernel's time
//! is a sum of terms, each a count that follows from the sizes times a constant:
//!
//! | constant | of |
//! |---|---|
//! | `product` | multiplications and additions in register tiles, empty lanes and tiles included |
//! | `input`, `output` | elements packed or transformed on their way in and out |
//! | `filter` | filter elements packed, transformed or summed |
//! | `streamed` | pairs of channels, where transformed filters are too large for caches |
//!
//! The constants minimise the relative error over the figures in this file's tests: the 1-thread percents of
//! `cargo bench --bench kernels -- 3x3/1` (packing of filters included; chunks timed by the thread's CPU clock,
//! as the machine was shared) on a Zen 4 core with AVX-512, 1 MiB of L2 and a peak of 117 GFLOP/s. Only ratios
//! between kernels decide, and these depend on the number of lanes more than on the machine. Nothing is timed at run time: plans, and so bits, depend on
//! shapes and the instruction tier alone.

use super::conv::ConvGeometry;
use super::simd::Tier;
use super::winograd::TRANSFORMED_FILTERS_CACHED;

/// Which of the primitives a convolution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// Activations and filters to outputs.
    Forward,
    /// Output gradient and filters to the gradient for the input.
    InputGrad,
    /// Activations and output gradient to the gradient for the filters.
    FilterGrad,
}

struct Constants {
    product: f64,
    input: f64,
    output: f64,
    filter: f64,
    streamed: f64,
}

/// Fractions of peak of kernels that no other rivals where they fit: wide products 85-90%; images 65-98% for
/// LeNet's convolutions, where direct ones reach 8-94%; depthwise 3×3 on 56×56×144 61-74% and 34-41%.
const GEMM: f64 = 0.9;
const IMAGES: f64 = 0.85;
const DEPTHWISE_ROWS: f64 = 0.65;
const DEPTHWISE: f64 = 0.35;

const DIRECT: Constants = Constants { product: 1.13, input: 0.0, output: 44.6, filter: 38.4, streamed: 0.0 };
const DIRECT_FILTER_GRAD: Constants =
    Constants { product: 1.27, input: 30.3, output: 30.3, filter: 43.6, streamed: 0.0 };
const WINOGRAD: Constants = Constants { product: 1.45, input: 0.0, output: 71.3, filter: 58.4, streamed: 2970.0 };
const WINOGRAD_FILTER_GRAD: Constants =
    Constants { product: 1.75, input: 42.6, output: 42.6, filter: 79.4, streamed: 0.0 };

/// Channels as vectors hold them.
fn in_lanes(channels: usize, tier: Tier) -> usize {
    channels.next_multiple_of(tier.lanes())
}

/// Channels of the tensors read and written, per group: summed over and produced, or rows and columns of filters.
fn channels(g: &ConvGeometry, pass: Pass) -> (usize, usize) {
    let (c, k) = (g.in_c / g.groups, g.out_c / g.groups);
    if pass == Pass::InputGrad { (k, c) } else { (c, k) }
}

/// Register tiles tap by tap.
pub fn direct(g: &ConvGeometry, pass: Pass, tier: Tier) -> f64 {
    let (from, to) = channels(g, pass);
    let taps = g.batch * g.out_h * g.out_w * g.kernel_h * g.kernel_w * g.groups;
    let products = 2.0 * (taps * from * in_lanes(to, tier)) as f64;
    let (x, y) = (g.input_len() as f64, g.output_len() as f64);
    let (k, inputs, outputs) = match pass {
        Pass::Forward => (DIRECT, x, y * in_lanes(to, tier) as f64 / to as f64),
        Pass::InputGrad => (DIRECT, y, x * in_lanes(to, tier) as f64 / to as f64),
        Pass::FilterGrad => (DIRECT_FILTER_GRAD, x, y),
    };
    k.product * products + k.input * inputs + k.output * outputs + k.filter * g.filter_len() as f64
}

/// Products over transformed windows of a 3×3 convolution of stride 1.
pub fn winograd(g: &ConvGeometry, pass: Pass, tier: Tier) -> f64 {
    let (from, to) = channels(g, pass);
    let (height, width) = if pass == Pass::InputGrad { (g.in_h, g.in_w) } else { (g.out_h, g.out_w) };
    let tiles = g.batch * height.div_ceil(4) * width.div_ceil(4);
    let products = (72 * tiles * from * in_lanes(to, tier)) as f64;
    // Transforms work on vectors of channels, of the 16 pixels of each tile.
    let pixels = (16 * tiles) as f64;
    let k = if pass == Pass::FilterGrad { WINOGRAD_FILTER_GRAD } else { WINOGRAD };
    let transforms = k.input * in_lanes(from, tier) as f64 + k.output * in_lanes(to, tier) as f64;
    let pairs = (from * to) as f64;
    let streamed = if 36 * from * to > TRANSFORMED_FILTERS_CACHED { k.streamed * pairs } else { 0.0 };
    k.product * products + pixels * transforms + k.filter * 9.0 * pairs + streamed
}

/// A product of matrices: windows of one element.
pub fn gemm(g: &ConvGeometry) -> f64 {
    g.flops() / GEMM
}

/// Vectors over images. Where images do not fill them, or channels would, it is no choice but by name.
pub fn images(g: &ConvGeometry, pass: Pass, tier: Tier) -> f64 {
    let (from, to) = channels(g, pass);
    if g.suits_images(tier, from, to) { g.flops() / IMAGES } else { 8.0 * direct(g, pass, tier) }
}

/// One filter per channel, over runs of pixels without a copy of the input.
pub fn depthwise_rows(g: &ConvGeometry) -> f64 {
    g.flops() / DEPTHWISE_ROWS
}

/// One filter per channel, over a padded copy of the input.
pub fn depthwise(g: &ConvGeometry) -> f64 {
    g.flops() / DEPTHWISE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[batch, size, in_c, out_c]` of 3×3 convolutions of stride 1 that keep the size, and the percents of peak
    /// that direct and Winograd kernels reached: forward, input gradient, filter gradient.
    #[cfg(target_arch = "x86_64")]
    type Figure = ([usize; 4], [f64; 3], [f64; 3]);
    #[cfg(target_arch = "x86_64")]
    const FIGURES: [Figure; 17] = [
        ([128, 32, 64, 64], [85.0, 85.0, 81.0], [232.0, 232.0, 218.0]),
        ([128, 16, 128, 128], [90.0, 91.0, 76.0], [282.0, 269.0, 195.0]),
        ([128, 8, 256, 256], [86.0, 84.0, 74.0], [220.0, 238.0, 202.0]),
        ([128, 4, 512, 512], [81.0, 84.0, 66.0], [199.0, 162.0, 175.0]),
        ([1, 56, 64, 64], [88.0, 89.0, 80.0], [280.0, 288.0, 187.0]),
        ([1, 28, 128, 128], [88.0, 90.0, 85.0], [241.0, 247.0, 199.0]),
        ([1, 14, 256, 256], [80.0, 80.0, 75.0], [134.0, 133.0, 154.0]),
        ([1, 7, 512, 512], [52.0, 58.0, 65.0], [24.0, 24.0, 60.0]),
        ([32, 14, 256, 256], [90.0, 87.0, 73.0], [151.0, 154.0, 160.0]),
        ([16, 7, 512, 512], [75.0, 77.0, 66.0], [122.0, 121.0, 131.0]),
        ([32, 28, 16, 16], [64.0, 65.0, 63.0], [155.0, 152.0, 141.0]),
        ([32, 16, 32, 32], [77.0, 79.0, 72.0], [193.0, 231.0, 154.0]),
        ([64, 28, 3, 32], [51.0, 19.0, 53.0], [50.0, 39.0, 51.0]),
        ([16, 9, 24, 48], [86.0, 67.0, 78.0], [101.0, 105.0, 119.0]),
        ([4, 4, 64, 64], [78.0, 79.0, 46.0], [119.0, 116.0, 91.0]),
        ([8, 28, 64, 128], [90.0, 86.0, 78.0], [277.0, 256.0, 185.0]),
        ([1, 112, 32, 64], [82.0, 80.0, 78.0], [213.0, 232.0, 182.0]),
    ];

    fn geometry([batch, size, in_c, out_c]: [usize; 4]) -> ConvGeometry {
        ConvGeometry {
            batch,
            in_h: size,
            in_w: size,
            in_c,
            out_h: size,
            out_w: size,
            out_c,
            kernel_h: 3,
            kernel_w: 3,
            stride_h: 1,
            stride_w: 1,
            pad_top: 1,
            pad_left: 1,
            dilation_h: 1,
            dilation_w: 1,
            groups: 1,
        }
    }

    const PASSES: [Pass; 3] = [Pass::Forward, Pass::InputGrad, Pass::FilterGrad];

    /// Costs are those of the tier that was measured, wherever the test runs.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn costs_follow_the_measurements() {
        for (sizes, direct_percent, winograd_percent) in FIGURES {
            let g = geometry(sizes);
            for (i, pass) in PASSES.into_iter().enumerate() {
                let costs = [direct(&g, pass, Tier::Avx512), winograd(&g, pass, Tier::Avx512)];
                for (cost, measured) in costs.into_iter().zip([direct_percent[i], winograd_percent[i]]) {
                    let ratio = 100.0 * g.flops() / cost / measured;
                    assert!((0.7..1.4).contains(&ratio), "{sizes:?} {pass:?}: {ratio:.2} of {measured}%");
                }
                let faster = winograd_percent[i] / direct_percent[i];
                if !(0.8..1.25).contains(&faster) {
                    assert_eq!(
                        costs[1] < costs[0],
                        faster > 1.0,
                        "{sizes:?} {pass:?}: Winograd is {faster:.2} as fast"
                    );
                }
            }
        }
    }

    /// Costs do not read the machine: where no kernel is built, no tier needs support.
    #[test]
    fn larger_work_costs_more() {
        for tier in [Tier::Scalar, Tier::Avx2, Tier::Avx512, Tier::Neon] {
            for pass in PASSES {
                for costs in [direct, winograd, images] {
                    let cost = |sizes| costs(&geometry(sizes), pass, tier);
                    assert!(cost([1, 8, 8, 8]) > 0.0);
                    assert!(cost([32, 8, 64, 64]) < cost([64, 8, 64, 64]));
                    assert!(cost([32, 8, 64, 64]) < cost([32, 12, 64, 64]));
                    assert!(cost([32, 8, 64, 64]) < cost([32, 8, 80, 64]));
                    assert!(cost([32, 8, 64, 64]) < cost([32, 8, 64, 80]));
                }
            }
        }
    }
}
