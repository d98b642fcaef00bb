//! Changes of colour that depend on all pixels of a channel.

use super::picture::Planes;
use super::rows::Colors;
use super::step::Range;
use super::wide;

/// Sums of this many floats are kept apart, so that they can be added at once.
const LANES: usize = 16;

wide! {
    /// Adds the sum of a row.
    fn add_sum(row: &[f32], total: &mut f64) {
        let mut lanes = [0.0f32; LANES];
        let blocks = row.chunks_exact(LANES);
        let rest: f64 = blocks.remainder().iter().map(|&x| f64::from(x)).sum();
        for block in blocks {
            for (lane, x) in lanes.iter_mut().zip(block) {
                *lane += x;
            }
        }
        *total += lanes.iter().map(|&x| f64::from(x)).sum::<f64>() + rest;
    }

    /// Widens the ends to those of a row.
    fn add_ends(row: &[f32], ends: &mut (f32, f32)) {
        let (mut low, mut high) = ([ends.0; LANES], [ends.1; LANES]);
        let blocks = row.chunks_exact(LANES);
        for (i, &x) in blocks.remainder().iter().enumerate() {
            low[i] = if x < low[i] { x } else { low[i] };
            high[i] = if x > high[i] { x } else { high[i] };
        }
        for block in blocks {
            for (i, &x) in block.iter().enumerate() {
                low[i] = if x < low[i] { x } else { low[i] };
                high[i] = if x > high[i] { x } else { high[i] };
            }
        }
        *ends = (low.into_iter().fold(ends.0, f32::min), high.into_iter().fold(ends.1, f32::max));
    }

    fn stretch_plane(plane: &mut [f32], low: f32, scale: f32, range: (f32, f32)) {
        let (to, back) = (255.0 / (range.1 - range.0), (range.1 - range.0) / 255.0);
        let plain = range == (0.0, 255.0);
        for x in plane {
            let y = if plain { *x } else { (*x - range.0) * to };
            let y = (y - low) * scale;
            let y = if y < 0.0 { 0.0 } else { y };
            let y = if y > 255.0 { 255.0 } else { y };
            *x = if plain { y } else { y * back + range.0 };
        }
    }
}

/// The mean of each channel.
pub fn means(planes: &Planes) -> Colors {
    let pixels = planes.pixels();
    planes
        .data
        .chunks_exact(pixels)
        .map(|plane| {
            let mut total = 0.0;
            // Sums of rows, lest the float lanes grow large.
            plane.chunks(planes.width).for_each(|row| add_sum(row, &mut total));
            (total / pixels as f64) as f32
        })
        .collect()
}

/// Stretches each channel to the whole range; one of a single value stays.
pub fn stretch(planes: &mut Planes, range: Range) {
    let to = 255.0 / (range.1 - range.0);
    let scaled = |x: f32| if range == (0.0, 255.0) { x } else { (x - range.0) * to };
    for plane in planes.each_plane() {
        let mut ends = (f32::INFINITY, f32::NEG_INFINITY);
        add_ends(plane, &mut ends);
        let (low, high) = (scaled(ends.0), scaled(ends.1));
        if high > low {
            stretch_plane(plane, low, 255.0 / (high - low), range);
        }
    }
}

/// Spreads the values of each channel evenly.
pub fn equalize(planes: &mut Planes, range: Range, bins: usize) {
    let last = (bins - 1) as f32;
    let scale = last / 255.0;
    let to = 255.0 / (range.1 - range.0);
    let back = (range.1 - range.0) / 255.0;
    let plain = range == (0.0, 255.0);
    let bin = |x: f32| {
        let x = if plain { x } else { (x - range.0) * to };
        (x * scale).clamp(0.0, last) as usize
    };
    let pixels = planes.pixels() as f32;
    for plane in planes.each_plane() {
        let mut counts = vec![0u32; bins];
        plane.iter().for_each(|&x| counts[bin(x)] += 1);
        let below = counts.iter().copied().find(|&count| count > 0).unwrap_or(0) as f32;
        let above = pixels - below;
        if above <= 0.0 {
            continue;
        }
        let mut total = 0u32;
        let table: Vec<f32> = counts
            .iter()
            .map(|&count| {
                total += count;
                let y = ((total as f32 - below) * 255.0 / above.max(1.0)).round_ties_even().clamp(0.0, 255.0);
                if plain { y } else { y * back + range.0 }
            })
            .collect();
        plane.iter_mut().for_each(|x| *x = table[bin(*x)]);
    }
}
