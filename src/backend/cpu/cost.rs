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
//! | [`STREAMED`], [`STORED`], [`MOVED`] | elements that pass between core and memory |
//!
//! The constants minimise the relative error over the figures in this file's tests: the 1-thread percents of
//! `cargo bench --bench kernels -- 3x3/1` (each chunk's least time, as the machine was shared) on a Sapphire Rapids
//! core with AVX-512, 2 MiB of L2 and a peak of 160 GFLOP/s. Only ratios between kernels decide, and these depend on
//! the number of lanes more than on the machine. Nothing is timed at run time: plans, and so bits, depend on
//! shapes and the instruction tier alone.

use super::conv::ConvGeometry;
use super::simd::Tier;

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

/// What a kernel costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// Packing or transforming filters: once, where they stay the same over many runs.
    pub pack: f64,
    /// Everything else.
    pub run: f64,
}

impl Times {
    /// Of a kernel that packs no filters, or filters so small that it is not seen.
    fn run(run: f64) -> Times {
        Times { pack: 0.0, run }
    }

    /// Of one run, where filters are packed before it if they are `held`.
    pub fn total(&self, held: bool) -> f64 {
        if held { self.run } else { self.pack + self.run }
    }
}

struct Constants {
    product: f64,
    input: f64,
    output: f64,
    filter: f64,
}

/// Fractions of peak of kernels that no other rivals where they fit: wide products 85-90%; images 65-98% for
/// LeNet's convolutions, where direct ones reach 8-94%; depthwise 3×3 on 56×56×144 61-74% and 34-41%.
const GEMM: f64 = 0.9;
const IMAGES: f64 = 0.85;
const DEPTHWISE_ROWS: f64 = 0.65;
const DEPTHWISE: f64 = 0.35;

const DIRECT: Constants = Constants { product: 1.15, input: 0.0, output: 45.0, filter: 40.0 };
const DIRECT_FILTER_GRAD: Constants = Constants { product: 1.27, input: 30.3, output: 30.3, filter: 43.6 };
const WINOGRAD: Constants = Constants { product: 1.3, input: 80.0, output: 80.0, filter: 80.0 };
const WINOGRAD_FILTER_GRAD: Constants = Constants { product: 2.25, input: 30.0, output: 30.0, filter: 80.0 };

/// A filter element, transformed or not, that comes from memory, one that goes there, and a transformed element of
/// an activation that goes there and back.
const STREAMED: f64 = 12.0;
const STORED: f64 = 30.0;
const MOVED: f64 = 55.0;
/// Transformed filters that stay in a core's cache from one block of tiles to the next, and tiles of such a block.
const CACHED: usize = 256 << 10;
const BLOCK: usize = 42;
/// Rows under which register tiles wait for filters.
const LEAST_ROWS: usize = 8;
/// Tiles of a part of a staged convolution times the channels on both sides.
const PART: usize = 5 << 20;

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
pub fn direct(g: &ConvGeometry, pass: Pass, tier: Tier) -> Times {
    let (from, to) = channels(g, pass);
    let taps = g.batch * g.out_h * g.out_w * g.kernel_h * g.kernel_w * g.groups;
    let products = 2.0 * (taps * from * in_lanes(to, tier)) as f64;
    let (x, y, filters) = (g.input_len() as f64, g.output_len() as f64, g.filter_len() as f64);
    let widened = in_lanes(to, tier) as f64 / to as f64;
    let k = DIRECT;
    match pass {
        Pass::FilterGrad => {
            let k = DIRECT_FILTER_GRAD;
            Times::run(k.product * products + k.input * x + k.output * y + k.filter * filters)
        }
        Pass::Forward | Pass::InputGrad => {
            let outputs = widened * if pass == Pass::Forward { y } else { x };
            Times { pack: k.filter * filters, run: k.product * products + k.output * outputs + STREAMED * filters }
        }
    }
}

/// Sizes of a Winograd convolution: tiles of outputs, channels summed over and produced (these in whole vectors),
/// and transformed filters.
fn tiles(g: &ConvGeometry, pass: Pass, tier: Tier) -> (usize, [usize; 2], f64) {
    let (from, to) = channels(g, pass);
    let (height, width) = if pass == Pass::InputGrad { (g.in_h, g.in_w) } else { (g.out_h, g.out_w) };
    (g.batch * height.div_ceil(4) * width.div_ceil(4), [from, in_lanes(to, tier)], (36 * from * to) as f64)
}

/// Transforming filters to as many elements, or sums of that many to filters.
fn transformed(filters: f64) -> f64 {
    let stored = if filters as usize > CACHED { STORED * filters } else { 0.0 };
    WINOGRAD.filter * filters / 4.0 + stored
}

/// Products over transformed windows of a 3×3 convolution of stride 1.
pub fn winograd(g: &ConvGeometry, pass: Pass, tier: Tier) -> Times {
    let (tiles, [from, to], filters) = tiles(g, pass, tier);
    let pixels = (16 * tiles) as f64;
    let sum = |rows: usize, k: &Constants, windows: f64| {
        let products = (72 * rows * from * to) as f64;
        let transforms = k.input * windows * in_lanes(from, tier) as f64 + k.output * to as f64;
        k.product * products + pixels * transforms
    };
    if pass == Pass::FilterGrad {
        let k = WINOGRAD_FILTER_GRAD;
        return Times::run(sum(tiles, &k, 1.0) + transformed(filters));
    }
    // Few tiles are cut into two blocks all the same, and each thread that takes panels transforms windows.
    let blocks = tiles.div_ceil(BLOCK).max(2.min(tiles));
    let panel_parts = (8.0 / blocks as f64).max(1.0);
    let passes = if filters as usize > CACHED { blocks as f64 } else { 1.0 };
    let run = sum(tiles.max(LEAST_ROWS * blocks), &WINOGRAD, panel_parts) + STREAMED * filters * passes;
    Times { pack: transformed(filters), run }
}

/// The same, all windows of a part of the batch at a time; forward and for the input gradient.
pub fn winograd_staged(g: &ConvGeometry, pass: Pass, tier: Tier) -> Times {
    let (tiles, [from, to], filters) = tiles(g, pass, tier);
    let products = (72 * tiles.max(LEAST_ROWS) * from * to) as f64;
    let moved = (36 * tiles * (in_lanes(from, tier) + to)) as f64;
    let parts = (moved / PART as f64).ceil();
    let run = WINOGRAD.product * products + MOVED * moved + STREAMED * filters * parts;
    Times { pack: transformed(filters), run }
}

/// A product of matrices: windows of one element.
pub fn gemm(g: &ConvGeometry) -> Times {
    Times::run(g.flops() / GEMM)
}

/// Vectors over images. Where images do not fill them, or channels would, it is no choice but by name.
pub fn images(g: &ConvGeometry, pass: Pass, tier: Tier) -> Times {
    let (from, to) = channels(g, pass);
    let fits = g.suits_images(tier, from, to);
    Times::run(if fits { g.flops() / IMAGES } else { 8.0 * direct(g, pass, tier).total(false) })
}

/// One filter per channel, over runs of pixels without a copy of the input.
pub fn depthwise_rows(g: &ConvGeometry) -> Times {
    Times::run(g.flops() / DEPTHWISE_ROWS)
}

/// One filter per channel, over a padded copy of the input.
pub fn depthwise(g: &ConvGeometry) -> Times {
    Times::run(g.flops() / DEPTHWISE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[batch, size, in_c, out_c]` of 3×3 convolutions of stride 1 that keep the size, and the percents of peak
    /// that kernels reached. Direct, Winograd: forward, input gradient, filter gradient; staged Winograd: forward
    /// and input gradient; and the three of them forward, with filters packed before.
    #[cfg(target_arch = "x86_64")]
    type Figure = ([usize; 4], [f64; 3], [f64; 3], [f64; 2], [f64; 3]);
    #[cfg(target_arch = "x86_64")]
    const FIGURES: [Figure; 14] = [
        ([128, 32, 64, 64], [78.5, 78.5, 72.8], [209.0, 209.6, 195.3], [180.3, 178.1], [78.6, 209.3, 180.5]),
        ([128, 16, 128, 128], [82.4, 82.5, 76.1], [210.3, 208.5, 170.9], [214.7, 214.5], [82.5, 211.7, 216.2]),
        ([128, 8, 256, 256], [82.9, 83.6, 71.6], [236.7, 236.5, 150.9], [237.9, 248.0], [83.3, 244.6, 247.0]),
        ([128, 4, 512, 512], [77.7, 73.0, 70.5], [199.3, 203.8, 140.7], [235.7, 239.2], [79.6, 230.3, 281.3]),
        ([1, 56, 64, 64], [82.1, 82.0, 77.5], [209.2, 208.8, 140.0], [199.6, 196.6], [82.4, 218.2, 208.5]),
        ([1, 28, 128, 128], [80.6, 80.4, 78.6], [148.6, 149.1, 151.7], [193.6, 193.1], [81.8, 175.9, 243.8]),
        ([1, 14, 256, 256], [73.0, 72.2, 78.6], [81.4, 83.5, 110.2], [102.0, 104.0], [82.2, 126.6, 185.2]),
        ([1, 7, 512, 512], [54.2, 49.8, 72.1], [19.6, 21.9, 39.3], [24.7, 27.2], [80.1, 37.5, 64.3]),
        ([32, 14, 256, 256], [83.6, 83.5, 71.2], [186.8, 189.4, 128.5], [151.1, 193.9], [84.1, 193.2, 156.7]),
        ([16, 7, 512, 512], [78.1, 79.2, 75.0], [135.2, 133.7, 80.6], [157.2, 159.3], [82.4, 175.7, 217.4]),
        ([32, 16, 32, 32], [78.1, 78.2, 73.5], [153.4, 154.2, 147.6], [144.4, 141.5], [78.3, 155.1, 146.4]),
        ([16, 9, 24, 48], [72.6, 59.4, 62.0], [71.4, 74.2, 80.8], [82.3, 75.9], [73.0, 73.1, 85.9]),
        ([8, 28, 64, 128], [82.3, 81.7, 75.0], [220.0, 219.8, 162.6], [206.4, 223.7], [82.6, 225.1, 211.4]),
        ([1, 112, 32, 64], [79.2, 75.5, 71.9], [179.1, 182.4, 164.4], [141.2, 176.0], [79.3, 180.7, 142.6]),
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

    /// Checks costs of kernels against measured percents of peak: each within a factor, and a kernel that was
    /// clearly faster than another costs less.
    #[cfg(target_arch = "x86_64")]
    fn check(label: &str, flops: f64, kernels: &[(f64, f64)]) {
        for &(cost, measured) in kernels {
            let ratio = 100.0 * flops / cost / measured;
            assert!((0.65..1.5).contains(&ratio), "{label}: {ratio:.2} of {measured}%");
            for &(other, slower) in kernels {
                assert!(measured < 1.3 * slower || cost < other, "{label}: {measured}% costs more than {slower}%");
            }
        }
    }

    /// Costs are those of the tier that was measured, wherever the test runs.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn costs_follow_the_measurements() {
        let tier = Tier::Avx512;
        for (sizes, of_direct, of_winograd, of_staged, packed) in FIGURES {
            let g = geometry(sizes);
            for (i, pass) in PASSES.into_iter().enumerate() {
                let costs = [direct(&g, pass, tier), winograd(&g, pass, tier), winograd_staged(&g, pass, tier)];
                let costs = costs.map(|times| times.total(false));
                let mut kernels = vec![(costs[0], of_direct[i]), (costs[1], of_winograd[i])];
                kernels.extend(of_staged.get(i).map(|&percent| (costs[2], percent)));
                check(&format!("{sizes:?} {pass:?}"), g.flops(), &kernels);
            }
            let held = [direct, winograd, winograd_staged].map(|times| times(&g, Pass::Forward, tier).total(true));
            let kernels: Vec<(f64, f64)> = held.into_iter().zip(packed).collect();
            check(&format!("{sizes:?}, packed before"), g.flops(), &kernels);
        }
    }

    /// Costs do not read the machine: where no kernel is built, no tier needs support.
    #[test]
    fn larger_work_costs_more() {
        for tier in [Tier::Scalar, Tier::Avx2, Tier::Avx512, Tier::Neon] {
            for pass in PASSES {
                for costs in [direct, winograd, winograd_staged, images] {
                    let cost = |sizes| costs(&geometry(sizes), pass, tier).total(false);
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
