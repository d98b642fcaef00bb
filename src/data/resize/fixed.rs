//! Resizing in integers, bit for bit as Pillow's `Image.resize` (`src/libImaging/Resample.c`): weights of 22 bits, rows
//! before columns, a rounding to 8 bits after each.

use super::across::Across;
use super::{Placement, Taps, View, widest};
use std::f64::consts::PI;

/// A kernel; all but `Nearest` grow where the image becomes smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Nearest,
    Box,
    Bilinear,
    Hamming,
    Bicubic,
    Lanczos,
}

impl Filter {
    /// Each filter with its name.
    pub const ALL: [(Filter, &str); 6] = [
        (Filter::Nearest, "nearest"),
        (Filter::Box, "box"),
        (Filter::Bilinear, "bilinear"),
        (Filter::Hamming, "hamming"),
        (Filter::Bicubic, "bicubic"),
        (Filter::Lanczos, "lanczos"),
    ];

    /// The distance beyond which the weight is 0.
    fn support(self) -> f64 {
        match self {
            Filter::Nearest | Filter::Box => 0.5,
            Filter::Bilinear | Filter::Hamming => 1.0,
            Filter::Bicubic => 2.0,
            Filter::Lanczos => 3.0,
        }
    }

    /// The weight at a signed distance.
    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
        let distance = x.abs();
        match self {
            Filter::Nearest | Filter::Box => f64::from(x > -0.5 && x <= 0.5),
            Filter::Bilinear => (1.0 - distance).max(0.0),
            Filter::Hamming if distance == 0.0 => 1.0,
            Filter::Hamming if distance >= 1.0 => 0.0,
            Filter::Hamming => sinc(distance) * (0.54 + 0.46 * (distance * PI).cos()),
            // Keys 1981, "Cubic convolution interpolation for digital image processing", with a = -1/2.
            Filter::Bicubic if distance < 1.0 => (1.5 * distance - 2.5) * distance * distance + 1.0,
            Filter::Bicubic if distance < 2.0 => ((distance - 5.0) * distance + 8.0) * distance * -0.5 + 2.0,
            Filter::Bicubic => 0.0,
            Filter::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Filter::Lanczos => 0.0,
        }
    }
}

/// Bits behind the point of a weight.
pub(super) const PRECISION: u32 = 32 - 8 - 2;
pub(super) const HALF: i32 = 1 << (PRECISION - 1);

/// The taps of an axis of `extent` pixels, of which `length` from `first` on fill `target`. Pixels outside of these count
/// where the kernel reaches them, as in `Image.resize(box=...)`.
fn taps(extent: usize, (first, length): (usize, usize), target: usize, filter: Filter) -> Taps<i32> {
    let scale = length as f64 / target as f64;
    let wide = scale.max(1.0);
    let support = filter.support() * wide;
    let most = support.ceil() as usize * 2 + 1;
    let (mut spans, mut weights) = (Vec::with_capacity(target), vec![0; target * most]);
    for output in 0..target {
        let centre = first as f64 + (output as f64 + 0.5) * scale;
        let begin = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(extent);
        let raw: Vec<f64> = (begin..end).map(|x| filter.weight((x as f64 - centre + 0.5) * (1.0 / wide))).collect();
        let total: f64 = raw.iter().sum();
        for (cell, weight) in weights[output * most..].iter_mut().zip(&raw) {
            let weight = if total == 0.0 { *weight } else { weight / total } * f64::from(1 << PRECISION);
            *cell = (if weight < 0.0 { weight - 0.5 } else { weight + 0.5 }) as i32;
        }
        spans.push((begin as u32, (end - begin) as u32));
    }
    Taps { spans, weights, most }
}

pub(super) fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Samples of a row that are summed at a time: their sums stay in registers.
const BLOCK: usize = 64;

/// One row of the output: the weighted sum of rows of `stride` samples.
#[inline(always)]
fn column_body(source: &[u8], stride: usize, weights: &[i32], out: &mut [u8]) {
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let mut first = 0;
    for out in blocks {
        let mut sums = [HALF; BLOCK];
        for (tap, &weight) in weights.iter().enumerate() {
            let (samples, _) = source[tap * stride + first..].as_chunks::<BLOCK>();
            for at in 0..BLOCK {
                sums[at] += i32::from(samples[0][at]) * weight;
            }
        }
        for at in 0..BLOCK {
            out[at] = rounded(sums[at]);
        }
        first += BLOCK;
    }
    for (at, sample) in rest.iter_mut().enumerate() {
        let taps = weights.iter().enumerate();
        *sample = rounded(taps.fold(HALF, |sum, (tap, w)| sum + i32::from(source[tap * stride + first + at]) * w));
    }
}

widest!(column, column_avx2, column_body, (source: &[u8], stride: usize, weights: &[i32], out: &mut [u8]));

/// The quotient by 255, rounded.
fn share(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

/// Colours times their alpha, which is the last channel: invisible ones have no weight.
fn weighed(samples: &[u8], channels: usize) -> Vec<u8> {
    let mut made = samples.to_vec();
    for pixel in made.chunks_exact_mut(channels) {
        if let Some((&mut alpha, colours)) = pixel.split_last_mut() {
            colours.iter_mut().for_each(|colour| *colour = share(*colour, alpha));
        }
    }
    made
}

fn unweighed(samples: &mut [u8], channels: usize) {
    for pixel in samples.chunks_exact_mut(channels) {
        if let Some((&mut alpha, colours)) = pixel.split_last_mut()
            && alpha != 0
            && alpha != 255
        {
            colours
                .iter_mut()
                .for_each(|colour| *colour = (255 * u32::from(*colour) / u32::from(alpha)).min(255) as u8);
        }
    }
}

/// The pixels that `Filter::Nearest` takes: the coordinates are summed up as Pillow does it.
fn nearest(extent: usize, target: usize) -> Vec<usize> {
    let scale = extent as f64 / target as f64;
    let mut at = scale * 0.5;
    (0..target)
        .map(|_| {
            let taken = (at as usize).min(extent - 1);
            at += scale;
            taken
        })
        .collect()
}

/// Resizes a part of an image into a part of `out`, whose rows have `columns` pixels. The rest of `out` is left.
pub fn resize(view: View<'_>, placement: Placement, filter: Filter, columns: usize, out: &mut [u8]) {
    let channels = view.channels;
    let alpha = matches!(channels, 2 | 4);
    let [top, left, height, width] = placement.source;
    let [out_top, out_left, out_height, out_width] = placement.target;
    let row_of = |index: usize| (out_top + index) * columns * channels + out_left * channels;
    let line = out_width * channels;
    if filter == Filter::Nearest {
        let (rows, taken) = (nearest(height, out_height), nearest(width, out_width));
        for (index, from) in rows.into_iter().enumerate() {
            let source = view.row(top + from, left, width);
            let target = &mut out[row_of(index)..][..line];
            for (pixel, &from) in target.chunks_exact_mut(channels).zip(&taken) {
                pixel.copy_from_slice(&source[from * channels..][..channels]);
            }
        }
        return;
    }
    if (height, width) == (out_height, out_width) {
        for index in 0..height {
            out[row_of(index)..][..line].copy_from_slice(view.row(top + index, left, width));
        }
        return;
    }
    let premultiplied;
    let view = if alpha {
        premultiplied = weighed(view.samples, channels);
        View { samples: &premultiplied, ..view }
    } else {
        view
    };
    let rows = view.samples.len() / (view.width * channels);
    let across =
        (width != out_width).then(|| Across::new(taps(view.width, (left, width), out_width, filter), channels));
    let down = (height != out_height).then(|| taps(rows, (top, height), out_height, filter));
    // Pillow's order (13.0): rows first unless fewer rows save more than the other way round.
    let columns_first = out_height < height && 2 * width < height - out_height + 2 * out_width;
    let source = Source { view, left, width, across, line };
    match (&down, columns_first) {
        (None, _) => {
            for index in 0..out_height {
                source.write(top + index, &mut out[row_of(index)..][..line]);
            }
        }
        (Some(down), true) => {
            let stride = view.width * channels;
            let mut whole = vec![0; stride];
            for index in 0..out_height {
                let (start, weights) = down.of(index);
                column(&view.samples[start * stride..], stride, weights, &mut whole);
                source.narrow(&whole, &mut out[row_of(index)..][..line]);
            }
        }
        (Some(down), false) => {
            let mut kept = Kept::new(source, down.most);
            for index in 0..out_height {
                let (start, weights) = down.of(index);
                let (samples, stride) = kept.rows(start, weights.len());
                column(samples, stride, weights, &mut out[row_of(index)..][..line]);
            }
        }
    }
    if alpha {
        for index in 0..out_height {
            unweighed(&mut out[row_of(index)..][..line], channels);
        }
    }
}

/// The rows of an image, brought to their new width.
struct Source<'a> {
    view: View<'a>,
    left: usize,
    width: usize,
    across: Option<Across>,
    line: usize,
}

impl Source<'_> {
    /// Writes a whole row at its new width.
    fn narrow(&self, samples: &[u8], out: &mut [u8]) {
        match &self.across {
            None => {
                let channels = self.view.channels;
                out.copy_from_slice(&samples[self.left * channels..][..self.width * channels]);
            }
            Some(across) => across.row(samples, out),
        }
    }

    fn rows(&self) -> usize {
        self.view.samples.len() / (self.view.width * self.view.channels)
    }

    /// Row `index` of the image and what lies behind it.
    fn from(&self, index: usize) -> &[u8] {
        &self.view.samples[index * self.view.width * self.view.channels..]
    }

    /// Writes row `index` of the image at its new width.
    fn write(&self, index: usize, out: &mut [u8]) {
        self.narrow(self.from(index), out);
    }

    /// Writes rows `index` and `index + 1` of the image at their new width.
    fn write_two(&self, index: usize, first: &mut [u8], second: &mut [u8]) {
        match &self.across {
            Some(across) => across.two_rows([self.from(index), self.from(index + 1)], first, second),
            None => {
                self.write(index, first);
                self.write(index + 1, second);
            }
        }
    }
}

/// The rows at their new width that the next rows of the output read, in little memory.
struct Kept<'a> {
    source: Source<'a>,
    /// Rows `first..first + count` of the image, one after the other.
    samples: Vec<u8>,
    first: usize,
    count: usize,
}

impl<'a> Kept<'a> {
    fn new(source: Source<'a>, most: usize) -> Self {
        // Room for twice what is read at once: rows move seldom.
        let samples = if source.across.is_some() { vec![0; 2 * most * source.line] } else { Vec::new() };
        Kept { source, samples, first: 0, count: 0 }
    }

    /// Rows `start..start + count`, and how far they lie apart. `start` never goes back.
    fn rows(&mut self, start: usize, count: usize) -> (&[u8], usize) {
        let Source { view, left, line, .. } = self.source;
        if self.source.across.is_none() {
            let stride = view.width * view.channels;
            return (&view.samples[start * stride + left * view.channels..], stride);
        }
        if (start + count - self.first) * line > self.samples.len() {
            let gone = (start - self.first).min(self.count);
            self.samples.copy_within(gone * line..self.count * line, 0);
            self.count -= gone;
            self.first = if self.count == 0 { start } else { self.first + gone };
        }
        while self.count < start + count - self.first {
            let (next, rest) = self.samples[self.count * line..].split_at_mut(line);
            let row = self.first + self.count;
            // Two rows at once, if the image has them and there is room.
            if row + 1 < self.source.rows() && rest.len() >= line {
                self.source.write_two(row, next, &mut rest[..line]);
                self.count += 2;
            } else {
                self.source.write(row, next);
                self.count += 1;
            }
        }
        (&self.samples[(start - self.first) * line..], line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::resize::Fit;

    fn resized(samples: &[u8], own: (usize, usize), channels: usize, size: (usize, usize), filter: Filter) -> Vec<u8> {
        let mut out = vec![0; size.0 * size.1 * channels];
        let placement = Placement::new(own, size, Fit::Stretch);
        resize(View { samples, width: own.1, channels }, placement, filter, size.1, &mut out);
        out
    }

    #[test]
    fn an_even_image_stays_even_at_every_size_and_filter() {
        for (filter, name) in Filter::ALL {
            for channels in 1..=4 {
                let image = vec![200; 13 * 9 * channels];
                for size in [(1, 1), (5, 4), (13, 9), (40, 17), (13, 2), (2, 9)] {
                    let mut expected = vec![200; size.0 * size.1 * channels];
                    if matches!(channels, 2 | 4) && filter != Filter::Nearest && size != (13, 9) {
                        // Weighed by alpha 200 of 255 and divided by it again, each rounded.
                        for pixel in expected.chunks_exact_mut(channels) {
                            pixel[..channels - 1].fill(200);
                        }
                    }
                    assert_eq!(
                        resized(&image, (13, 9), channels, size, filter),
                        expected,
                        "{name} {channels} {size:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_plain_formula() {
        // A reference without vectors: the weights' definition, rows first.
        let image: Vec<u8> = (0..11 * 23 * 3).map(|i| ((i * 7919) % 256) as u8).collect();
        for (filter, name) in Filter::ALL.into_iter().skip(1) {
            for size in [(5, 9), (30, 41), (11, 7)] {
                let (rows, columns) = (taps(11, (0, 11), size.0, filter), taps(23, (0, 23), size.1, filter));
                let mut between = vec![0u8; 11 * size.1 * 3];
                for (at, sample) in between.iter_mut().enumerate() {
                    let (y, x, c) = (at / (size.1 * 3), at / 3 % size.1, at % 3);
                    *sample = match size.1 {
                        23 => image[at],
                        _ => {
                            let (start, weights) = columns.of(x);
                            let sum = weights.iter().enumerate();
                            let sum = sum.map(|(t, w)| i64::from(image[(y * 23 + start + t) * 3 + c]) * i64::from(*w));
                            ((i64::from(HALF) + sum.sum::<i64>()) >> PRECISION).clamp(0, 255) as u8
                        }
                    };
                }
                let expected: Vec<u8> = (0..size.0 * size.1 * 3)
                    .map(|at| {
                        let (y, rest) = (at / (size.1 * 3), at % (size.1 * 3));
                        if size.0 == 11 {
                            return between[at];
                        }
                        let (start, weights) = rows.of(y);
                        let sum = weights.iter().enumerate();
                        let sum = sum.map(|(t, w)| i64::from(between[(start + t) * size.1 * 3 + rest]) * i64::from(*w));
                        ((i64::from(HALF) + sum.sum::<i64>()) >> PRECISION).clamp(0, 255) as u8
                    })
                    .collect();
                assert_eq!(resized(&image, (11, 23), 3, size, filter), expected, "{name} {size:?}");
            }
        }
    }

    #[test]
    fn invisible_colours_have_no_weight() {
        // A red pixel that is not seen beside a grey one that is.
        assert_eq!(resized(&[255, 0, 0, 0, 90, 90, 90, 255], (1, 2), 4, (1, 1), Filter::Box)[..3], [89, 89, 89]);
    }
}
