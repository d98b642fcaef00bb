//! Changes of colour that need one pixel alone, run on rows.

use super::color;
use super::picture::Planes;
use smallvec::SmallVec;

/// Values, one of each channel.
pub type Colors = SmallVec<[f32; 4]>;

/// A change of the pixels of a row, with all its numbers.
pub enum RowChange {
    /// `x * scale + offset`.
    Scale {
        scale: Colors,
        offset: Colors,
    },
    /// `(x - mean) / deviation`.
    Standardize {
        mean: Colors,
        deviation: Colors,
    },
    /// `x + offset`, within limits.
    Add {
        offset: Colors,
        range: (f32, f32),
    },
    /// `(x - mean) * factor + mean`, within limits.
    Contrast {
        mean: Colors,
        factor: f32,
        range: (f32, f32),
    },
    /// Mixed with grey.
    Degenerate {
        share: f32,
        range: (f32, f32),
    },
    Gray,
    Saturation {
        factor: f32,
        range: (f32, f32),
    },
    Hue {
        turn: f32,
        range: (f32, f32),
    },
    Posterize {
        step: f32,
        range: (f32, f32),
    },
    Solarize {
        addition: f32,
        threshold: f32,
        range: (f32, f32),
    },
    Invert {
        high: f32,
    },
    Clip {
        range: (f32, f32),
    },
    Round,
}

impl RowChange {
    fn apply(&self, rows: &mut [&mut [f32]]) {
        let of = |colors: &Colors, c: usize| colors[c.min(colors.len() - 1)];
        match self {
            RowChange::Scale { scale, offset } => {
                rows.iter_mut().enumerate().for_each(|(c, row)| color::scale(row, of(scale, c), of(offset, c)));
            }
            RowChange::Standardize { mean, deviation } => {
                rows.iter_mut().enumerate().for_each(|(c, row)| color::standardize(row, of(mean, c), of(deviation, c)));
            }
            RowChange::Add { offset, range } => {
                rows.iter_mut().enumerate().for_each(|(c, row)| color::add(row, of(offset, c), *range));
            }
            RowChange::Contrast { mean, factor, range } => {
                rows.iter_mut().enumerate().for_each(|(c, row)| color::contrast(row, of(mean, c), *factor, *range));
            }
            RowChange::Posterize { step, range } => {
                rows.iter_mut().for_each(|row| color::posterize(row, *step, *range));
            }
            RowChange::Solarize { addition, threshold, range } => {
                rows.iter_mut().for_each(|row| color::solarize(row, *addition, *threshold, *range));
            }
            RowChange::Invert { high } => rows.iter_mut().for_each(|row| color::scale(row, -1.0, *high)),
            RowChange::Clip { range } => rows.iter_mut().for_each(|row| color::clip(row, *range)),
            RowChange::Round => rows.iter_mut().for_each(|row| color::round(row)),
            // What needs three colours leaves other images alone.
            _ => {
                let [red, green, blue] = rows else { return };
                match self {
                    RowChange::Degenerate { share, range } => color::degenerate(red, green, blue, *share, *range),
                    RowChange::Gray => color::gray(red, green, blue),
                    RowChange::Saturation { factor, range } => color::saturation(red, green, blue, *factor, *range),
                    RowChange::Hue { turn, range } => color::hue(red, green, blue, *turn, *range),
                    _ => {}
                }
            }
        }
    }
}

/// All changes, row by row.
pub fn apply(changes: &[RowChange], planes: &mut Planes) {
    (0..planes.height).for_each(|y| apply_to(changes, planes, y));
}

/// All changes of one row.
pub fn apply_to(changes: &[RowChange], planes: &mut Planes, y: usize) {
    if changes.is_empty() {
        return;
    }
    let width = planes.width;
    let mut rows: SmallVec<[&mut [f32]; 4]> =
        planes.each_plane().map(|plane| &mut plane[y * width..][..width]).collect();
    for change in changes {
        change.apply(&mut rows);
    }
}
