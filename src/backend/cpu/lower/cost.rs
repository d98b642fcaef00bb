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
//! | `STREAMED`, `STORED`, `MOVED` | elements that pass between core and memory |
//!
//! The constants minimise the relative error over the figures in this file's tests: the 1-thread percents of
//! `cargo bench --bench kernels -- 3x3/1` (medians of one to three runs, as the machine was shared) on a Sapphire Rapids
//! core with AVX-512, 2 MiB of L2 and a peak of 150 GFLOP/s. Only `STREAMED` was given: 28 fits them best, but
//! all threads share the way to memory. Only ratios between kernels decide, and these depend on
//! the number of lanes more than on the machine. Nothing is timed at run time: plans, and so bits, depend on
//! shapes and the instruction tier alone.

use crate::backend::cpu::kernels::conv::{ConvGeometry, Depthwise, blocked_winograd_tiles};
use crate::backend::cpu::kernels::winograd::{self, Form};
use crate::backend::cpu::simd::Tier;

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

    /// Of one run, where filters are packed before it if they are `constant`.
    pub fn total(&self, constant: bool) -> f64 {
        if constant { self.run } else { self.pack + self.run }
    }
}

struct Constants {
    product: f64,
    input: f64,
    output: f64,
    filter: f64,
}

/// Fractions of peak of kernels that no other rivals where they fit: wide products 85-90%; images tap by tap 54-94%
/// for convolutions of at most 16 channels, where direct ones reach 8-70%; depthwise 3×3 on 56×56×144 61-74% and 34-41%.
const GEMM: f64 = 0.9;
const BLOCKED: f64 = 0.75;
/// At points: a multiplication and addition, and nine values of a channel to or from columns.
const IMAGES_PRODUCT: f64 = 1.05;
const IMAGES_TRANSFORM: f64 = 300.0;
const DEPTHWISE_ROWS: f64 = 0.65;
const DEPTHWISE: f64 = 0.35;
/// A copy of an element for one of the filters of its channel, or what is added up of it.
const REPEATED: f64 = 48.0;

const DIRECT: Constants = Constants { product: 1.02, input: 0.0, output: 112.0, filter: 98.0 };
const DIRECT_FILTER_GRAD: Constants = Constants { product: 1.33, input: 1.2, output: 1.2, filter: 47.0 };
const WINOGRAD: Constants = Constants { product: 1.04, input: 79.0, output: 79.0, filter: 210.0 };
const WINOGRAD_FILTER_GRAD: Constants = Constants { product: 2.29, input: 29.0, output: 29.0, filter: 143.0 };

/// A filter element, transformed or not, that comes from memory, one that goes there, and a transformed element of
/// an activation that goes there and back.
const STREAMED: f64 = 45.0;
const STORED: f64 = 21.0;
const MOVED: f64 = 68.0;
/// Transformed filters that stay in a core's cache from one block of tiles to the next, and tiles of such a block.
const CACHED: usize = 256 << 10;
const BLOCK: usize = 42;
/// Rows under which register tiles wait for filters.
const LEAST_ROWS: usize = 7;
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

/// Sizes of a Winograd convolution.
struct Tiles {
    /// Tiles of outputs.
    count: usize,
    /// Channels summed over and produced (these in whole vectors), of all parities.
    from: usize,
    to: usize,
    /// The same as transforms hold them: whole vectors of each parity.
    lanes: [usize; 2],
    /// Elements of transformed filters.
    filters: f64,
    /// The part of products and filters that is not left out.
    share: f64,
}

fn tiles(form: Form, g: &ConvGeometry, pass: Pass, tier: Tier) -> Tiles {
    let (from, to) = channels(g, pass);
    // Pixels of all parities count as one.
    let (step, parities) = (g.stride_h, g.stride_h * g.stride_w);
    let covered = |pixels: usize, before: usize| (pixels + before % step).div_ceil(step * form.outputs());
    let (tiles, [of_from, of_to]) = match pass {
        Pass::InputGrad => (covered(g.in_h, g.pad_top) * covered(g.in_w, g.pad_left), [1, parities]),
        _ => (g.out_h.div_ceil(form.outputs()) * g.out_w.div_ceil(form.outputs()), [parities, 1]),
    };
    // Vectors that a parity's few channels leave half empty are loaded by masks: three channels, measured.
    let loaded = in_lanes(from, tier) * if of_from > 1 && 2 * from < tier.lanes() { 2 } else { 1 };
    Tiles {
        count: g.batch * tiles,
        from: of_from * from,
        to: in_lanes(of_to * to, tier),
        lanes: [of_from * loaded, of_to * in_lanes(to, tier)],
        filters: (form.points() * of_from * from * of_to * to) as f64,
        share: winograd::share(form, g),
    }
}

/// Transforming filters to as many elements, or sums of that many to filters.
fn transformed(k: &Constants, filters: f64) -> f64 {
    let stored = if filters as usize > CACHED { STORED * filters } else { 0.0 };
    k.filter * filters / 4.0 + stored
}

/// Products over transformed windows.
pub fn winograd(form: Form, g: &ConvGeometry, pass: Pass, tier: Tier) -> Times {
    let Tiles { count, from, to, lanes, filters, share } = tiles(form, g, pass, tier);
    // Those of the outputs of F(4×4, 3×3), by which transforms were measured, for as many points.
    let pixels = (16 * count * form.points()) as f64 / Form::F4x4.points() as f64;
    let sum = |rows: usize, k: &Constants, windows: f64| {
        let products = (2 * form.points() * rows * from * to) as f64 * share;
        let transforms = k.input * windows * lanes[0] as f64 + k.output * lanes[1] as f64;
        k.product * products + pixels * transforms
    };
    if pass == Pass::FilterGrad {
        let k = WINOGRAD_FILTER_GRAD;
        return Times::run(sum(count, &k, 1.0) + transformed(&k, filters));
    }
    // Few tiles are cut into two blocks all the same, and each thread that takes panels transforms windows.
    let blocks = count.div_ceil(BLOCK).max(2.min(count));
    let panel_parts = (8.0 / blocks as f64).max(1.0);
    let passes = if filters as usize > CACHED { blocks as f64 } else { 1.0 };
    let run = sum(count.max(LEAST_ROWS * blocks), &WINOGRAD, panel_parts) + STREAMED * share * filters * passes;
    Times { pack: transformed(&WINOGRAD, filters), run }
}

/// The same, all windows of a part of the batch at a time; forward and for the input gradient.
pub fn winograd_staged(form: Form, g: &ConvGeometry, pass: Pass, tier: Tier) -> Times {
    let Tiles { count, from, to, filters, .. } = tiles(form, g, pass, tier);
    let products = (2 * form.points() * count.max(LEAST_ROWS) * from * to) as f64;
    let moved = (form.points() * count * (in_lanes(from, tier) + to)) as f64;
    let parts = (moved / PART as f64).ceil();
    let run = WINOGRAD.product * products + MOVED * moved + STREAMED * filters * parts;
    Times { pack: transformed(&WINOGRAD, filters), run }
}

/// A product of matrices: windows of one element.
pub fn gemm(g: &ConvGeometry) -> Times {
    Times::run(g.flops() / GEMM)
}

/// Vectors over images. Where images do not fill them, or channels would, it is no choice but by name.
pub fn batch_blocked(g: &ConvGeometry, pass: Pass, tier: Tier) -> Times {
    let (from, to) = channels(g, pass);
    let fits = g.suits_batch_blocked(tier, from, to);
    Times::run(if fits { g.flops() / BLOCKED } else { 8.0 * direct(g, pass, tier).total(false) })
}

/// Vectors over images, with products at nine points for as many output columns as fit.
pub fn blocked_winograd(g: &ConvGeometry, pass: Pass, tier: Tier) -> Times {
    let (from, to) = channels(g, pass);
    if !g.suits_batch_blocked(tier, from, to) {
        return batch_blocked(g, pass, tier);
    }
    let tiles = (g.batch * blocked_winograd_tiles(g)) as f64;
    let products = (2 * 9 * g.out_h * g.kernel_h * g.in_c * g.out_c) as f64;
    let transforms = (g.in_h * g.in_c + g.out_h * g.out_c) as f64;
    Times::run(tiles * (IMAGES_PRODUCT * products + IMAGES_TRANSFORM * transforms))
}

/// One filter per channel, over runs of pixels without a copy of the input.
pub fn depthwise_rows(g: &ConvGeometry, tier: Tier) -> Times {
    let filled = g.out_c as f64 / in_lanes(g.out_c, tier) as f64;
    Times::run(g.flops() / (DEPTHWISE_ROWS * filled))
}

/// One filter per channel, over a padded copy of the input, or of each channel for as many filters.
pub fn depthwise(g: &ConvGeometry, pass: Pass, tier: Tier) -> Times {
    let filled = match pass {
        Pass::FilterGrad => g.out_c as f64 / in_lanes(g.out_c, tier) as f64,
        _ => Depthwise::filled(g, pass == Pass::InputGrad, tier),
    };
    let repeated = if g.out_c > g.in_c { g.input_len() / g.in_c * g.out_c } else { 0 };
    Times::run(g.flops() / (DEPTHWISE * filled) + REPEATED * repeated as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[batch, size, in_c, out_c]` of 3×3 convolutions of stride 1 that keep the size, and the percents of peak
    /// that kernels reached. Direct, Winograd: forward, input gradient, filter gradient; staged Winograd of 4×4 and of
    /// 2×2 outputs: forward and input gradient; and the four of them forward, with filters packed before.
    #[cfg(target_arch = "x86_64")]
    type Figure = ([usize; 4], [f64; 3], [f64; 3], [f64; 2], [f64; 2], [f64; 4]);
    #[cfg(target_arch = "x86_64")]
    const FIGURES: [Figure; 14] = [
        (
            [128, 32, 64, 64],
            [89.2, 90.8, 81.8],
            [238.6, 238.1, 156.4],
            [145.1, 146.3],
            [115.3, 105.3],
            [89.2, 239.1, 145.3, 115.5],
        ),
        (
            [128, 16, 128, 128],
            [95.0, 86.0, 81.9],
            [234.2, 228.6, 173.6],
            [215.5, 203.7],
            [144.9, 146.3],
            [95.1, 236.0, 217.6, 145.4],
        ),
        (
            [128, 8, 256, 256],
            [86.4, 87.4, 79.8],
            [218.6, 212.1, 151.1],
            [241.3, 241.2],
            [150.5, 148.4],
            [86.8, 227.0, 251.2, 154.7],
        ),
        (
            [128, 4, 512, 512],
            [111.5, 89.0, 52.8],
            [220.5, 234.0, 160.4],
            [267.5, 244.8],
            [166.0, 183.8],
            [114.8, 284.1, 324.4, 178.4],
        ),
        (
            [1, 56, 64, 64],
            [87.0, 84.2, 81.2],
            [194.3, 148.0, 111.7],
            [139.4, 138.8],
            [118.0, 107.6],
            [88.1, 219.5, 148.8, 122.7],
        ),
        (
            [1, 28, 128, 128],
            [82.5, 77.2, 57.9],
            [98.5, 97.5, 132.5],
            [126.1, 115.4],
            [127.5, 125.1],
            [87.3, 136.6, 163.8, 145.6],
        ),
        (
            [1, 14, 256, 256],
            [67.6, 64.4, 83.7],
            [51.4, 51.2, 109.4],
            [56.0, 52.8],
            [78.2, 80.7],
            [86.8, 84.4, 115.9, 130.0],
        ),
        (
            [1, 7, 512, 512],
            [41.7, 40.2, 55.0],
            [15.3, 15.1, 29.9],
            [21.0, 19.3],
            [26.5, 26.8],
            [83.6, 30.3, 58.3, 76.5],
        ),
        (
            [32, 14, 256, 256],
            [97.1, 95.9, 77.9],
            [197.1, 201.1, 139.1],
            [194.3, 203.0],
            [136.0, 151.9],
            [98.0, 210.6, 209.1, 139.6],
        ),
        (
            [16, 7, 512, 512],
            [99.2, 96.6, 80.9],
            [139.5, 141.1, 102.6],
            [161.0, 164.9],
            [125.9, 128.8],
            [107.7, 215.1, 286.7, 157.6],
        ),
        (
            [32, 16, 32, 32],
            [85.4, 83.5, 76.6],
            [158.0, 157.7, 140.4],
            [91.5, 93.5],
            [57.8, 58.4],
            [85.9, 162.6, 94.0, 58.3],
        ),
        ([16, 9, 24, 48], [75.2, 56.8, 57.6], [76.0, 71.1, 80.2], [75.0, 64.2], [73.2, 56.1], [76.7, 80.7, 83.8, 77.9]),
        (
            [8, 28, 64, 128],
            [85.6, 85.6, 68.1],
            [214.5, 203.2, 160.8],
            [199.5, 190.5],
            [130.1, 119.5],
            [86.3, 223.6, 207.7, 132.6],
        ),
        (
            [1, 112, 32, 64],
            [87.1, 82.9, 78.1],
            [204.0, 199.3, 174.7],
            [128.0, 135.8],
            [90.8, 94.0],
            [87.5, 208.9, 130.6, 91.7],
        ),
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

    type Cost = fn(&ConvGeometry, Pass, Tier) -> Times;
    const KERNELS: [Cost; 4] = [
        direct,
        |g, pass, tier| winograd(Form::F4x4, g, pass, tier),
        |g, pass, tier| winograd_staged(Form::F4x4, g, pass, tier),
        |g, pass, tier| winograd_staged(Form::F2x2, g, pass, tier),
    ];
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
        for (sizes, of_direct, of_winograd, of_staged, of_2x2, packed) in FIGURES {
            let g = geometry(sizes);
            for (i, pass) in PASSES.into_iter().enumerate() {
                let costs = KERNELS.map(|times| times(&g, pass, tier).total(false));
                let mut kernels = vec![(costs[0], of_direct[i]), (costs[1], of_winograd[i])];
                kernels.extend(of_staged.get(i).map(|&percent| (costs[2], percent)));
                kernels.extend(of_2x2.get(i).map(|&percent| (costs[3], percent)));
                check(&format!("{sizes:?} {pass:?}"), g.flops(), &kernels);
            }
            let constant = KERNELS.map(|times| times(&g, Pass::Forward, tier).total(true));
            let kernels: Vec<(f64, f64)> = constant.into_iter().zip(packed).collect();
            check(&format!("{sizes:?}, packed before"), g.flops(), &kernels);
        }
    }

    /// `[batch, size, in_c, out_c, kernel, padding]` of convolutions of stride 1 over vectors of images, and the percents
    /// of peak that tap by tap and at points they reached: forward, input gradient, filter gradient. On AVX-512
    /// medians, on AVX2 (Zen 3, whose minutes differed more than its kernels) by the least of three runs' least times.
    type ImagesFigure = ([usize; 6], [f64; 3], [f64; 3]);
    /// With the tier by how many times a kernel must have been faster to have to cost less, and the least part of what
    /// was measured that costs may predict: constants are fitted to AVX-512.
    const IMAGES_FIGURES: [(Tier, [f64; 2], [ImagesFigure; 6]); 2] = [
        (
            Tier::Avx512,
            [1.0, 0.65],
            [
                ([64, 28, 1, 6, 5, 2], [52.1, 36.2, 78.0], [49.7, 33.8, 51.1]),
                ([64, 14, 6, 16, 5, 0], [94.3, 67.0, 68.3], [154.6, 138.4, 154.6]),
                ([64, 28, 8, 8, 3, 1], [54.2, 59.2, 64.7], [87.9, 87.3, 95.9]),
                ([64, 13, 8, 16, 3, 0], [73.7, 56.2, 62.2], [82.7, 75.9, 88.3]),
                ([64, 28, 3, 8, 7, 3], [81.2, 72.1, 69.4], [99.0, 82.3, 98.3]),
                ([32, 28, 16, 16, 3, 1], [68.5, 70.5, 54.7], [114.7, 117.3, 106.3]),
            ],
        ),
        (
            Tier::Avx2,
            [1.25, 0.55],
            [
                ([64, 28, 1, 6, 5, 2], [56.4, 40.2, 86.0], [59.6, 49.1, 90.7]),
                ([64, 14, 6, 16, 5, 0], [92.0, 80.3, 88.7], [181.4, 169.5, 161.9]),
                ([64, 28, 8, 8, 3, 1], [76.3, 75.8, 59.0], [110.1, 104.9, 111.6]),
                ([64, 13, 8, 16, 3, 0], [82.2, 72.3, 76.7], [103.2, 94.9, 99.1]),
                ([64, 28, 3, 8, 7, 3], [90.9, 88.8, 77.2], [121.1, 118.3, 123.9]),
                ([32, 28, 16, 16, 3, 1], [85.9, 85.9, 48.7], [152.8, 145.1, 113.7]),
            ],
        ),
    ];

    #[test]
    fn images_meet_points_where_these_were_faster() {
        let figures = IMAGES_FIGURES.into_iter().flat_map(|(tier, bounds, rows)| rows.map(|row| (tier, bounds, row)));
        for (tier, [clear, least], ([batch, size, in_c, out_c, kernel, pad], of_taps, of_points)) in figures {
            let out = size + 2 * pad + 1 - kernel;
            let g = ConvGeometry {
                out_h: out,
                out_w: out,
                kernel_h: kernel,
                kernel_w: kernel,
                pad_top: pad,
                pad_left: pad,
                ..geometry([batch, size, in_c, out_c])
            };
            for (i, pass) in PASSES.into_iter().enumerate() {
                let costs = [batch_blocked, blocked_winograd].map(|times| times(&g, pass, tier).run);
                let label = format!("{tier} {g:?} {pass:?}: {costs:?}");
                assert!(of_points[i] <= clear * of_taps[i] || costs[1] < costs[0], "{label}");
                assert!(of_taps[i] <= clear * of_points[i] || costs[0] < costs[1], "{label}");
                let predicted = 100.0 * g.flops() / costs[1] / of_points[i];
                assert!((least..1.6).contains(&predicted), "{label}: {predicted:.2} of {}%", of_points[i]);
            }
        }
    }

    /// Costs do not read the machine: where no kernel is built, no tier needs support.
    #[test]
    fn larger_work_costs_more() {
        for tier in [Tier::Scalar, Tier::Avx2, Tier::Avx512, Tier::Neon] {
            for pass in PASSES {
                for costs in KERNELS.into_iter().chain([batch_blocked as Cost, blocked_winograd]) {
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
