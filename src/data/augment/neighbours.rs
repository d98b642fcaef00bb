//! Changes that read the pixels around: blur, sharpness, and boxes and grids that are filled.

use super::picture::Planes;
use super::step::Range;
use super::wide;

wide! {
    /// `to += from * weight`.
    pub fn add_weighted(to: &mut [f32], from: &[f32], weight: f32) {
        to.iter_mut().zip(from).for_each(|(t, f)| *t += f * weight);
    }

    /// `x + (1 - factor) * (smooth - x)`, within limits.
    fn blend(row: &mut [f32], smooth: &[f32], factor: f32, range: (f32, f32)) {
        for (x, s) in row.iter_mut().zip(smooth) {
            let y = *x + (1.0 - factor) * (s - *x);
            let y = if y < range.0 { range.0 } else { y };
            *x = if y > range.1 { range.1 } else { y };
        }
    }
}

/// Adds a row that is shifted by `shift` columns, times a weight; what lies outside is 0.
fn add_shifted(to: &mut [f32], from: &[f32], shift: isize, weight: f32) {
    let (width, by) = (to.len(), shift.unsigned_abs().min(to.len()));
    if shift >= 0 {
        add_weighted(&mut to[..width - by], &from[by..], weight);
    } else {
        add_weighted(&mut to[by..], &from[..width - by], weight);
    }
}

/// Moves each pixel away from the mean of its neighbours, which counts itself five times, or towards it.
pub fn sharpen(planes: &mut Planes, factor: f32, range: Range) {
    const SIDE: f32 = 1.0 / 13.0;
    const MIDDLE: f32 = 5.0 / 13.0;
    let (height, width) = (planes.height, planes.width);
    let mut smooth = vec![0.0f32; height * width];
    for plane in planes.each_plane() {
        smooth.fill(0.0);
        for (y, to) in smooth.chunks_exact_mut(width).enumerate() {
            for dy in 0..3 {
                let Some(from) = (y + dy).checked_sub(1).filter(|&from| from < height) else { continue };
                let from = &plane[from * width..][..width];
                for shift in -1..=1 {
                    let weight = if dy == 1 && shift == 0 { MIDDLE } else { SIDE };
                    add_shifted(to, from, shift, weight);
                }
            }
        }
        blend(plane, &smooth, factor, range);
    }
}

/// The weights of a Gaussian of deviation `sigma` on `size` pixels.
fn gaussian(size: usize, sigma: f32) -> Vec<f32> {
    let middle = (size as f32 - 1.0) / 2.0;
    let weights: Vec<f32> = (0..size)
        .map(|i| {
            let x = (i as f32 - middle) / sigma;
            (-0.5 * x * x).exp()
        })
        .collect();
    let total: f32 = weights.iter().sum();
    weights.into_iter().map(|w| w / total).collect()
}

/// Blurs along both axes; what lies outside is 0.
pub fn blur(planes: &mut Planes, (columns, rows): (usize, usize), (across, down): (f32, f32)) {
    let (height, width) = (planes.height, planes.width);
    let (across, down) = (gaussian(columns, across), gaussian(rows, down));
    let mut between = vec![0.0f32; height * width];
    for plane in planes.each_plane() {
        between.fill(0.0);
        for (y, to) in between.chunks_exact_mut(width).enumerate() {
            for (i, &weight) in down.iter().enumerate() {
                if let Some(from) = (y + i).checked_sub(rows / 2).filter(|&from| from < height) {
                    add_weighted(to, &plane[from * width..][..width], weight);
                }
            }
        }
        plane.fill(0.0);
        for (to, from) in plane.chunks_exact_mut(width).zip(between.chunks_exact(width)) {
            for (i, &weight) in across.iter().enumerate() {
                add_shifted(to, from, i as isize - (columns / 2) as isize, weight);
            }
        }
    }
}

/// Fills the pixels of the rows and columns that are asked for.
fn fill(planes: &mut Planes, fill: &[f32], in_row: impl Fn(f32) -> bool, in_column: impl Fn(f32) -> bool) {
    let width = planes.width;
    let columns: Vec<bool> = (0..width).map(|x| in_column(x as f32)).collect();
    for (c, plane) in planes.each_plane().enumerate() {
        let value = fill[c.min(fill.len() - 1)];
        for (_, row) in plane.chunks_exact_mut(width).enumerate().filter(|(y, _)| in_row(*y as f32)) {
            row.iter_mut().zip(&columns).filter(|(_, inside)| **inside).for_each(|(x, _)| *x = value);
        }
    }
}

/// Fills the box of `[left, right, top, bottom]`.
pub fn erase(planes: &mut Planes, values: &[f32], ends: &[f32]) {
    let &[left, right, top, bottom, ..] = ends else { return };
    fill(planes, values, |y| y >= top && y < bottom, |x| x >= left && x < right);
}

/// Fills squares of a grid, of `[period, length, left, top]`.
pub fn grid(planes: &mut Planes, values: &[f32], grid: &[f32]) {
    let &[period, length, left, top, ..] = grid else { return };
    let within = |place: f32, first: f32| {
        let x = place - first;
        x - (x / period).floor() * period < length
    };
    fill(planes, values, |y| within(y, top), |x| within(x, left));
}
