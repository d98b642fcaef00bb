//! Resizing in f32, as `ops.image.resize` without antialiasing: columns before rows, the kernels of one size.

use super::{Placement, Taps, View, widest};
use std::f64::consts::PI;

/// A kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    Nearest,
    Bilinear,
    Bicubic,
    Lanczos3,
    Lanczos5,
    /// The mean of what an output pixel covers.
    Area,
    Gaussian,
    MitchellCubic,
}

impl Kernel {
    /// Each kernel with Keras's name.
    pub const ALL: [(Kernel, &str); 8] = [
        (Kernel::Nearest, "nearest"),
        (Kernel::Bilinear, "bilinear"),
        (Kernel::Bicubic, "bicubic"),
        (Kernel::Lanczos3, "lanczos3"),
        (Kernel::Lanczos5, "lanczos5"),
        (Kernel::Area, "area"),
        (Kernel::Gaussian, "gaussian"),
        (Kernel::MitchellCubic, "mitchellcubic"),
    ];

    /// The weight at a distance `x` >= 0; the formulas and their sources stand in `ops/image/sizes.py`.
    fn weight(self, x: f64) -> f64 {
        let lanczos = |radius: f64| {
            if x > radius {
                0.0
            } else if x > 1e-3 {
                radius * (PI * x).sin() * (PI * x / radius).sin() / (PI * PI * x * x)
            } else {
                1.0
            }
        };
        match self {
            Kernel::Nearest | Kernel::Area => f64::from(x <= 0.5),
            Kernel::Bilinear => (1.0 - x).max(0.0),
            Kernel::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Kernel::Bicubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Kernel::Lanczos3 => lanczos(3.0),
            Kernel::Lanczos5 => lanczos(5.0),
            Kernel::Gaussian if x < 1.5 => (-2.0 * x * x).exp(),
            Kernel::MitchellCubic if x < 1.0 => ((7.0 * x - 12.0) * x * x + 16.0 / 3.0) / 6.0,
            Kernel::MitchellCubic if x < 2.0 => (((-7.0 / 3.0 * x + 12.0) * x - 20.0) * x + 32.0 / 3.0) / 6.0,
            _ => 0.0,
        }
    }

    /// The distance beyond which the weight is 0.
    fn radius(self) -> f64 {
        match self {
            Kernel::Nearest | Kernel::Area => 0.5,
            Kernel::Bilinear => 1.0,
            Kernel::Gaussian => 1.5,
            Kernel::Bicubic | Kernel::MitchellCubic => 2.0,
            Kernel::Lanczos3 => 3.0,
            Kernel::Lanczos5 => 5.0,
        }
    }
}

/// Weights that f32 holds and whose sum is 1, if that of the given ones is nearly so: even areas keep their value, and white
/// stays 255. `ops/image/sizes.py` has the same.
fn even(mut weights: Vec<f64>) -> Vec<f64> {
    const STEPS: f64 = (1 << 24) as f64;
    weights.iter_mut().for_each(|weight| *weight = (*weight * STEPS).round_ties_even() / STEPS);
    let missing = 1.0 - weights.iter().sum::<f64>();
    if missing.abs() < 1e-3
        && let Some(most) = weights.iter_mut().max_by(|a, b| a.total_cmp(b))
    {
        *most += missing;
    }
    weights
}

fn taps(extent: usize, target: usize, kernel: Kernel) -> Taps<f32> {
    let mut all: Vec<(usize, Vec<f64>)> = Vec::with_capacity(target);
    for output in 0..target {
        if kernel == Kernel::Area {
            let edge = |at: usize| at as f64 * extent as f64 / target as f64;
            let (begin, end) = (edge(output), edge(output + 1));
            let pixels = begin as usize..(end.ceil() as usize).min(extent);
            let part = |pixel: usize| {
                let covered = end.min(pixel as f64 + 1.0) - begin.max(pixel as f64);
                covered.max(0.0) * target as f64 / extent as f64
            };
            all.push((pixels.start, pixels.map(part).collect()));
            continue;
        }
        let shrink = 1.0 / (target as f64 / extent as f64);
        let centre = (output as f64 + 0.5) * shrink - 0.5;
        let radius = kernel.radius();
        let begin = (centre - radius).ceil().max(0.0) as usize;
        let end = ((centre + radius).floor() as usize + 1).min(extent);
        let raw: Vec<f64> = (begin..end).map(|pixel| kernel.weight((centre - pixel as f64).abs())).collect();
        let total: f64 = raw.iter().sum();
        let some = total.abs() > 1000.0 * f64::from(f32::EPSILON);
        all.push((begin, even(raw.iter().map(|weight| if some { weight / total } else { 0.0 }).collect())));
    }
    let most = all.iter().map(|(_, weights)| weights.len()).max().unwrap_or(0).max(1);
    let mut weights = vec![0.0; target * most];
    let mut spans = Vec::with_capacity(target);
    for (output, (begin, own)) in all.into_iter().enumerate() {
        for (cell, weight) in weights[output * most..].iter_mut().zip(&own) {
            *cell = *weight as f32;
        }
        spans.push((begin.min(extent - 1) as u32, own.len().max(1) as u32));
    }
    Taps { spans, weights, most }
}

/// The pixels nearest to the centres of output pixels.
fn nearest(extent: usize, target: usize) -> Vec<usize> {
    let centre = |output: usize| (output as f64 + 0.5) * extent as f64 / target as f64;
    (0..target).map(|output| (centre(output) as usize).min(extent - 1)).collect()
}

/// One row: the weighted sum of rows of `stride` samples, from the first tap on.
#[inline(always)]
fn column_body(source: &[u8], stride: usize, weights: &[f32], out: &mut [f32]) {
    for (tap, &weight) in weights.iter().enumerate() {
        let samples = &source[tap * stride..];
        if tap == 0 {
            out.iter_mut().zip(samples).for_each(|(sum, &sample)| *sum = f32::from(sample) * weight);
        } else {
            out.iter_mut().zip(samples).for_each(|(sum, &sample)| *sum += f32::from(sample) * weight);
        }
    }
}

widest!(column, column_avx2, column_body, (source: &[u8], stride: usize, weights: &[f32], out: &mut [f32]));

/// A row to fewer or more pixels. `source` has 4 samples more than its pixels.
#[inline(always)]
fn along_row<const CHANNELS: usize>(source: &[f32], taps: &Taps<f32>, out: &mut [f32]) {
    let four = |place: usize| source[place * CHANNELS..].first_chunk::<4>().copied().unwrap_or_default();
    for (output, pixel) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
        let (start, weights) = taps.of(output);
        let mut sums = match weights {
            // Bilinear, the most common one, without a loop.
            [first, second] => {
                let (left, right) = (four(start), four(start + 1));
                std::array::from_fn(|at| left[at] * first + right[at] * second)
            }
            [first, ..] => four(start).map(|sample| sample * first),
            [] => [0.0; 4],
        };
        for (tap, &weight) in weights.iter().enumerate().skip(1).filter(|_| weights.len() > 2) {
            let samples = four(start + tap);
            sums = std::array::from_fn(|at| sums[at] + samples[at] * weight);
        }
        *pixel = std::array::from_fn(|at| sums[at]);
    }
}

#[inline(always)]
fn row_body(source: &[f32], channels: usize, taps: &Taps<f32>, out: &mut [f32]) {
    match channels {
        1 => along_row::<1>(source, taps, out),
        2 => along_row::<2>(source, taps, out),
        3 => along_row::<3>(source, taps, out),
        _ => along_row::<4>(source, taps, out),
    }
}

widest!(row, row_avx2, row_body, (source: &[f32], channels: usize, taps: &Taps<f32>, out: &mut [f32]));

/// Resizes a part of an image into a part of `out`, whose rows have `columns` pixels. The rest of `out` is left.
pub fn resize(view: View<'_>, placement: Placement, kernel: Kernel, columns: usize, out: &mut [f32]) {
    let channels = view.channels;
    let [top, left, height, width] = placement.source;
    let [out_top, out_left, out_height, out_width] = placement.target;
    let row_of = |index: usize| (out_top + index) * columns * channels + out_left * channels;
    let line = out_width * channels;
    if kernel == Kernel::Nearest {
        let (rows, taken) = (nearest(height, out_height), nearest(width, out_width));
        for (index, from) in rows.into_iter().enumerate() {
            let source = view.row(top + from, left, width);
            let target = &mut out[row_of(index)..][..line];
            for (pixel, &from) in target.chunks_exact_mut(channels).zip(&taken) {
                let samples = &source[from * channels..][..channels];
                pixel.iter_mut().zip(samples).for_each(|(value, &sample)| *value = f32::from(sample));
            }
        }
        return;
    }
    let rows = (height != out_height).then(|| taps(height, out_height, kernel));
    let across = (width != out_width).then(|| taps(width, out_width, kernel));
    let count = width * channels;
    let mut between = vec![0.0; count + 4];
    let stride = view.width * channels;
    for index in 0..out_height {
        let sums = &mut between[..count];
        match &rows {
            None => {
                let source = view.row(top + index, left, width);
                sums.iter_mut().zip(source).for_each(|(value, &sample)| *value = f32::from(sample));
            }
            Some(rows) => {
                let (start, weights) = rows.of(index);
                column(&view.samples[(top + start) * stride + left * channels..], stride, weights, sums);
            }
        }
        let target = &mut out[row_of(index)..][..line];
        match &across {
            None => target.copy_from_slice(&between[..count]),
            Some(taps) => row(&between, channels, taps, target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::resize::Fit;

    #[test]
    fn weights_sum_to_one_and_an_even_image_stays_even() {
        for (kernel, name) in Kernel::ALL {
            for size in [(1, 1), (5, 4), (13, 9), (40, 17), (13, 2), (2, 9)] {
                for channels in 1..=4 {
                    let image = vec![200; 13 * 9 * channels];
                    let mut out = vec![0.0; size.0 * size.1 * channels];
                    let placement = Placement::new((13, 9), size, Fit::Stretch);
                    resize(View { samples: &image, width: 9, channels }, placement, kernel, size.1, &mut out);
                    assert!(out.iter().all(|v| (v - 200.0).abs() < 1e-3), "{name} {size:?}");
                }
            }
        }
    }

    #[test]
    fn white_stays_white_between_two_pixels() {
        let image = [255; 31 * 17 * 3];
        for size in [(20, 20), (27, 30), (34, 37), (64, 64), (224, 224), (300, 299)] {
            let mut out = vec![0.0; size.0 * size.1 * 3];
            let placement = Placement::new((31, 17), size, Fit::Stretch);
            resize(View { samples: &image, width: 17, channels: 3 }, placement, Kernel::Bilinear, size.1, &mut out);
            assert!(out.iter().all(|&v| v == 255.0), "{size:?}");
        }
    }

    #[test]
    fn two_pixels_become_four_as_in_keras() {
        let view = View { samples: &[0, 4], width: 2, channels: 1 };
        let mut out = [0.0; 4];
        resize(view, Placement::new((1, 2), (1, 4), Fit::Stretch), Kernel::Bilinear, 4, &mut out);
        assert_eq!(out, [0.0, 1.0, 3.0, 4.0]);
    }
}
