//! Images of another size: each pixel of the result is a weighted sum of some of a column, then of some of a row.

use super::neighbours::add_weighted;
use super::picture::{Elements, Planes, View};
use super::wide;

/// What the results along an axis read: each `taps` pixels from `start` on.
#[derive(Clone, Debug)]
pub struct Taps {
    pub taps: usize,
    pub start: Vec<usize>,
    /// Of shape (taps, results).
    pub weights: Vec<f32>,
}

impl Taps {
    /// The triangle kernel on the `length` pixels from `first` on, brought to `target` ones; it grows where they become
    /// fewer, if `antialias` says so. Weights inside are divided by their sum.
    pub fn triangle(first: f32, length: f32, target: usize, extent: usize, antialias: bool) -> Taps {
        let ratio = length / target as f32;
        let support = if antialias { ratio.max(1.0) } else { 1.0 };
        let (low, high) = (first.max(0.0) as usize, ((first + length) as usize).min(extent).max(1));
        let low = low.min(high - 1);
        let taps = ((2.0 * support).ceil() as usize).saturating_add(1).min(high - low);
        let mut made = Taps { taps, start: vec![0; target], weights: vec![0.0; taps * target] };
        for i in 0..target {
            let centre = first + (i as f32 + 0.5) * ratio - 0.5;
            let start = ((centre - support).ceil().max(low as f32) as usize).min(high - taps);
            made.start[i] = start;
            let weight = |j: usize| (1.0 - ((start + j) as f32 - centre).abs() / support).max(0.0);
            let total: f32 = (0..taps).map(weight).sum();
            for j in 0..taps {
                made.weights[j * target + i] = weight(j) / total;
            }
        }
        made
    }

    /// One pixel each: that in whose part of the window the middle of the result lies.
    pub fn nearest(first: f32, length: f32, target: usize, extent: usize) -> Taps {
        let ratio = length / target as f32;
        let last = ((first + length) as usize).clamp(1, extent) - 1;
        let place = |i: usize| ((first + ((i as f32 + 0.5) * ratio).floor()).max(0.0) as usize).min(last);
        Taps { taps: 1, start: (0..target).map(place).collect(), weights: vec![1.0; target] }
    }

    /// The same for an axis of `extent` pixels that is read backwards.
    fn mirrored(&self, extent: usize) -> Taps {
        let target = self.start.len();
        Taps {
            taps: self.taps,
            start: self.start.iter().map(|start| extent - self.taps - start).collect(),
            weights: (0..self.taps).rev().flat_map(|j| self.weights[j * target..][..target].to_vec()).collect(),
        }
    }

    /// Whether all pixels that are read are there.
    pub fn fit(&self, extent: usize) -> bool {
        self.start.iter().all(|start| start + self.taps <= extent)
    }
}

/// Numbers of a row that are summed at a time: their sums stay in registers.
const BLOCK: usize = 64;

wide! {
    /// The sums of rows of bytes, each from a place on and times a weight.
    fn sum_bytes(to: &mut [f32], all: &[u8], rows: &[(usize, f32)]) {
        let (blocks, rest) = to.as_chunks_mut::<BLOCK>();
        let mut first = 0;
        for block in blocks {
            let mut sums = [0.0f32; BLOCK];
            for &(at, weight) in rows {
                let from = &all[at + first..][..BLOCK];
                for i in 0..BLOCK {
                    sums[i] += f32::from(from[i]) * weight;
                }
            }
            *block = sums;
            first += BLOCK;
        }
        for (i, t) in rest.iter_mut().enumerate() {
            *t = rows.iter().fold(0.0, |sum, &(at, weight)| sum + f32::from(all[at + first + i]) * weight);
        }
    }

    /// Sums along a row of pixels of one float.
    fn along_row(row: &[f32], start: &[usize], weights: &[f32], taps: usize, to: &mut [f32]) {
        let target = start.len();
        to.fill(0.0);
        for j in 0..taps {
            let weights = &weights[j * target..][..target];
            for i in 0..target {
                to[i] += row[start[i] + j] * weights[i];
            }
        }
    }
}

/// Sums along a row of pixels of three floats, behind which there is one more, into three rows.
fn along_colors(row: &[f32], columns: &Taps, to: [&mut [f32]; 3]) {
    let target = columns.start.len();
    let end = columns.start.iter().max().map_or(0, |start| start + columns.taps);
    assert!(row.len() > 3 * end && to.iter().all(|to| to.len() >= target), "a row for these taps");
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, and the taps lie in the row: asserted above.
        return unsafe {
            match columns.taps {
                1 => avx2::along_colors::<1>(row, columns, to),
                2 => avx2::along_colors::<2>(row, columns, to),
                3 => avx2::along_colors::<3>(row, columns, to),
                4 => avx2::along_colors::<4>(row, columns, to),
                5 => avx2::along_colors::<5>(row, columns, to),
                6 => avx2::along_colors::<6>(row, columns, to),
                _ => avx2::along_colors::<0>(row, columns, to),
            }
        };
    }
    let [red, green, blue] = to;
    for i in 0..target {
        let total = color_at(row, columns, i);
        (red[i], green[i], blue[i]) = (total[0], total[1], total[2]);
    }
}

/// The sums of result `i`.
fn color_at(row: &[f32], columns: &Taps, i: usize) -> [f32; 3] {
    let mut total = [0.0f32; 3];
    for j in 0..columns.taps {
        let pixel = &row[(columns.start[i] + j) * 3..][..3];
        let weight = columns.weights[j * columns.start.len() + i];
        for k in 0..3 {
            total[k] += pixel[k] * weight;
        }
    }
    total
}

/// Four results at a time, with the additions and multiplications of [`color_at`]: the same bits.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Taps, color_at};
    use std::arch::x86_64::*;

    /// `TAPS` is how many there are, or 0 for any number.
    ///
    /// # Safety
    /// The pixels of all taps lie in `row`, with one float behind them, and the rows of `to` have room for the results.
    #[target_feature(enable = "avx2")]
    pub unsafe fn along_colors<const TAPS: usize>(row: &[f32], columns: &Taps, to: [&mut [f32]; 3]) {
        let taps = if TAPS == 0 { columns.taps } else { TAPS };
        let target = columns.start.len();
        let [red, green, blue] = to;
        let (fours, rest) = columns.start.as_chunks::<4>();
        for (four, starts) in fours.iter().enumerate() {
            let mut sums = [_mm_setzero_ps(); 4];
            for j in 0..taps {
                let weights = &columns.weights[j * target + 4 * four..][..4];
                for k in 0..4 {
                    // SAFETY: the caller says that the pixel and one float more lie in the row.
                    let pixel = unsafe { _mm_loadu_ps(row.as_ptr().add((starts[k] + j) * 3)) };
                    sums[k] = _mm_add_ps(sums[k], _mm_mul_ps(pixel, _mm_set1_ps(weights[k])));
                }
            }
            let [a, b, c, d] = sums;
            let (red_green, red_green_2) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
            let (blues, blues_2) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
            // SAFETY: the caller says that the rows have room.
            unsafe {
                _mm_storeu_ps(red.as_mut_ptr().add(4 * four), _mm_movelh_ps(red_green, red_green_2));
                _mm_storeu_ps(green.as_mut_ptr().add(4 * four), _mm_movehl_ps(red_green_2, red_green));
                _mm_storeu_ps(blue.as_mut_ptr().add(4 * four), _mm_movelh_ps(blues, blues_2));
            }
        }
        for i in target - rest.len()..target {
            [red[i], green[i], blue[i]] = color_at(row, columns, i);
        }
    }
}

/// The view in another size.
pub fn resample(view: &View<'_>, rows: &Taps, columns: &Taps) -> Planes {
    let mirrored;
    let columns = if view.across {
        mirrored = columns.mirrored(view.columns);
        &mirrored
    } else {
        columns
    };
    let (height, width) = (rows.start.len(), columns.start.len());
    let mut result = Planes::new(height, width, view.channels);
    // The channels of a pixel lie side by side, or each is an image of its own.
    let beside = view.strides.2 == 1 && view.channels > 1;
    let (bands, depth) = if beside { (1, view.channels) } else { (view.channels, 1) };
    // What no result reads needs no sum.
    let first = columns.start.iter().min().map_or(0, |start| start * depth);
    let end = columns.start.iter().max().map_or(0, |start| (start + columns.taps) * depth);
    let mut sums = vec![0.0f32; view.columns * depth + 1];
    let mut single = vec![0.0f32; view.columns];
    let mut read = Vec::with_capacity(rows.taps);
    for band in 0..bands {
        for y in 0..height {
            read.clear();
            read.extend((0..rows.taps).map(|j| {
                let at = view.row(rows.start[y] + j) + band * view.strides.2 + first;
                (at, rows.weights[j * height + y])
            }));
            // Taps of no weight need no sum.
            read.retain(|&(_, weight)| weight != 0.0);
            let to = &mut sums[first..end];
            match view.elements {
                Elements::Bytes(all) => sum_bytes(to, all, &read),
                Elements::Floats(all) => {
                    to.fill(0.0);
                    read.iter().for_each(|&(at, weight)| add_weighted(to, &all[at..at + end - first], weight));
                }
            }
            if beside && depth == 3 {
                let (red, rest) = result.data.split_at_mut(height * width);
                let (green, blue) = rest.split_at_mut(height * width);
                let to = [red, green, blue].map(|plane| &mut plane[y * width..][..width]);
                along_colors(&sums, columns, to);
                continue;
            }
            for c in 0..depth {
                let to = &mut result.data[((band + c) * height + y) * width..][..width];
                let row = if depth == 1 {
                    &sums[..view.columns]
                } else {
                    single.iter_mut().zip(sums[c..].iter().step_by(depth)).for_each(|(s, &x)| *s = x);
                    &single[..]
                };
                along_row(row, &columns.start, &columns.weights, columns.taps, to);
            }
        }
    }
    result
}
