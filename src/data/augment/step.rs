//! The steps of a chain, and how they are described.

use super::resample::Taps;
use super::warp::Fill;
use crate::error::{Error, Result};

/// A step as the caller describes it: its name, its numbers, and for some the chains that it is made of.
pub struct Spec {
    pub name: String,
    pub numbers: Vec<f64>,
    pub parts: Vec<Vec<Spec>>,
}

/// Limits of values.
pub type Range = (f32, f32);

/// One step. What it reads from the row of parameters stands in brackets.
#[derive(Clone, Debug)]
pub enum Step {
    /// Mirrors along the axes that are asked for, `[if > 0]`.
    Flip { across: bool, down: bool },
    /// Cuts out a window, `[top, left]` unless its place is fixed.
    Window { rows: usize, columns: usize, place: Option<(usize, usize)> },
    /// Adds margins.
    Pad { top: usize, left: usize, rows: usize, columns: usize, value: f32 },
    /// Resizes by given weights.
    Resize { rows: Taps, columns: Taps },
    /// Resizes a window, `[top, left, height, width]`, by the triangle kernel, or takes the nearest pixels.
    Resample { rows: usize, columns: usize, antialias: bool, nearest: bool },
    /// Reads each pixel from elsewhere: `[eight numbers of a projection, if > 0]`.
    Warp { nearest: bool, fill: Fill },
    /// `x + [a number]`, within limits.
    Add { range: Range },
    /// `x + [a number of each channel]`, within limits.
    AddColor { channels: usize, range: Range },
    /// The distance from the mean of the channel, times `[a factor]`.
    Contrast { range: Range },
    /// The distance from the mean grey value of the image, times `[a factor]`.
    ContrastOfGray { range: Range },
    /// The distance from a value, times `[a factor]`, within limits.
    Multiply { zero: f32, range: Range },
    /// Mixed with grey, `[whose share]`.
    Degenerate { range: Range },
    /// Grey, `[if > 0]`.
    Gray,
    /// The saturation times `[a factor]`, within limits.
    Saturation { range: Range },
    /// The hue turned by `[a part of the circle]`, of values in a range.
    Hue { range: Range },
    /// Without the `[number]` lowest of 8 bits.
    Posterize { range: Range },
    /// `[what is added; from which value on it is inverted]`.
    Solarize { range: Range },
    /// The largest value minus the pixels, `[if > 0]`.
    Invert { high: f32 },
    /// Times a scale plus an offset, one for all or of each channel.
    Scale { scale: Vec<f32>, offset: Vec<f32> },
    /// Less a mean, divided by a deviation, likewise.
    Standardize { mean: Vec<f32>, deviation: Vec<f32> },
    /// Rounded to bytes.
    Round,
    /// Each channel stretched to the whole range.
    Stretch { range: Range },
    /// Each channel with a flat histogram.
    Equalize { range: Range, bins: usize },
    /// Moved away from the smoothed image by `[a factor]`.
    Sharpness { range: Range },
    /// Blurred by Gaussians of deviations `[horizontal, vertical, if > 0]`.
    Blur { columns: usize, rows: usize, range: Range },
    /// A box that is filled: `[left, right, top, bottom, if > 0]`.
    Erase { fill: Vec<f32> },
    /// Squares of a grid that are filled: `[period, length, left, top, if > 0]`.
    Grid { fill: Vec<f32> },
    /// One of some chains: `[which, and the parameters of all]`; none of them where there is no such.
    Choose { parts: Vec<Vec<Step>> },
    /// The image mixed with what chains make of it: `[its share, the weights of the chains, the parameters of all]`.
    Mix { parts: Vec<Vec<Step>>, range: Range },
}

/// The numbers of a description, read one after another.
struct Numbers<'a> {
    step: &'a str,
    rest: std::slice::Iter<'a, f64>,
}

impl Numbers<'_> {
    fn next(&mut self) -> Result<f64> {
        let missing = || Error::value(format!("augment: step {:?} lacks a number", self.step));
        self.rest.next().copied().ok_or_else(missing)
    }

    fn float(&mut self) -> Result<f32> {
        Ok(self.next()? as f32)
    }

    fn flag(&mut self) -> Result<bool> {
        Ok(self.next()? != 0.0)
    }

    fn size(&mut self) -> Result<usize> {
        let number = self.next()?;
        if number >= 0.0 && number.fract() == 0.0 && number < 1e9 {
            return Ok(number as usize);
        }
        Err(Error::value(format!("augment: step {:?}: expected a size, received {number}", self.step)))
    }

    fn extent(&mut self) -> Result<usize> {
        self.size()?.checked_sub(1).map(|n| n + 1).ok_or_else(|| {
            Error::value(format!("augment: step {:?}: expected an extent of at least 1, received 0", self.step))
        })
    }

    fn range(&mut self) -> Result<Range> {
        let range = (self.float()?, self.float()?);
        if range.0 <= range.1 {
            return Ok(range);
        }
        Err(Error::value(format!("augment: step {:?}: expected a range, received {range:?}", self.step)))
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>> {
        (0..count).map(|_| self.float()).collect()
    }

    /// A list behind its length.
    fn list(&mut self) -> Result<Vec<f32>> {
        let count = self.extent()?;
        self.floats(count)
    }

    /// Weights of an axis: how many pixels each result reads, how many results, the first pixels, and the weights.
    fn taps(&mut self) -> Result<Taps> {
        let (taps, target) = (self.extent()?, self.extent()?);
        let start = (0..target).map(|_| self.size()).collect::<Result<Vec<_>>>()?;
        let weights = self.floats(taps.saturating_mul(target))?;
        Ok(Taps { taps, start, weights })
    }
}

impl Step {
    /// The step that `spec` describes.
    ///
    /// # Errors
    /// There is none of its name, or its numbers do not fit.
    pub fn new(spec: &Spec) -> Result<Self> {
        let mut n = Numbers { step: &spec.name, rest: spec.numbers.iter() };
        let step = match spec.name.as_str() {
            "flip" => Step::Flip { across: n.flag()?, down: n.flag()? },
            "window" => Step::Window { rows: n.extent()?, columns: n.extent()?, place: None },
            "cut" => {
                let (rows, columns) = (n.extent()?, n.extent()?);
                Step::Window { rows, columns, place: Some((n.size()?, n.size()?)) }
            }
            "pad" => Step::Pad {
                top: n.size()?,
                left: n.size()?,
                rows: n.extent()?,
                columns: n.extent()?,
                value: n.float()?,
            },
            "resize" => Step::Resize { rows: n.taps()?, columns: n.taps()? },
            "resample" => {
                Step::Resample { rows: n.extent()?, columns: n.extent()?, antialias: n.flag()?, nearest: n.flag()? }
            }
            "warp" => {
                let (nearest, mode, value) = (n.flag()?, n.size()?, n.float()?);
                Step::Warp { nearest, fill: Fill::new(mode, value)? }
            }
            "add" => Step::Add { range: n.range()? },
            "add_color" => Step::AddColor { channels: n.extent()?, range: n.range()? },
            "contrast" => Step::Contrast { range: n.range()? },
            "contrast_of_gray" => Step::ContrastOfGray { range: n.range()? },
            "multiply" => Step::Multiply { zero: n.float()?, range: n.range()? },
            "degenerate" => Step::Degenerate { range: n.range()? },
            "gray" => Step::Gray,
            "saturation" => Step::Saturation { range: n.range()? },
            "hue" => Step::Hue { range: n.range()? },
            "posterize" => Step::Posterize { range: n.range()? },
            "solarize" => Step::Solarize { range: n.range()? },
            "invert" => Step::Invert { high: n.float()? },
            "scale" => Step::Scale { scale: n.list()?, offset: n.list()? },
            "standardize" => Step::Standardize { mean: n.list()?, deviation: n.list()? },
            "round" => Step::Round,
            "stretch" => Step::Stretch { range: n.range()? },
            "equalize" => Step::Equalize { range: n.range()?, bins: n.extent()? },
            "sharpness" => Step::Sharpness { range: n.range()? },
            "blur" => Step::Blur { columns: n.extent()?, rows: n.extent()?, range: n.range()? },
            "erase" => Step::Erase { fill: n.list()? },
            "grid" => Step::Grid { fill: n.list()? },
            "choose" => Step::Choose { parts: chains(&spec.parts)? },
            "mix" => Step::Mix { parts: chains(&spec.parts)?, range: n.range()? },
            other => return Err(Error::value(format!("augment: there is no step {other:?}"))),
        };
        if n.rest.next().is_some() {
            return Err(Error::value(format!("augment: step {:?} has too many numbers", spec.name)));
        }
        Ok(step)
    }

    /// How many numbers it reads from a row of parameters.
    pub fn params(&self) -> usize {
        let of_parts = |parts: &[Vec<Step>]| parts.iter().flatten().map(Step::params).sum::<usize>();
        match self {
            Step::Flip { .. }
            | Step::Add { .. }
            | Step::Contrast { .. }
            | Step::ContrastOfGray { .. }
            | Step::Multiply { .. }
            | Step::Degenerate { .. }
            | Step::Gray
            | Step::Saturation { .. }
            | Step::Hue { .. }
            | Step::Posterize { .. }
            | Step::Invert { .. }
            | Step::Sharpness { .. } => 1,
            Step::Window { place: None, .. } | Step::Solarize { .. } => 2,
            Step::Window { .. }
            | Step::Pad { .. }
            | Step::Resize { .. }
            | Step::Scale { .. }
            | Step::Standardize { .. }
            | Step::Round
            | Step::Stretch { .. }
            | Step::Equalize { .. } => 0,
            Step::AddColor { channels, .. } => *channels,
            Step::Blur { .. } => 3,
            Step::Resample { .. } => 4,
            Step::Erase { .. } | Step::Grid { .. } => 5,
            Step::Warp { .. } => 9,
            Step::Choose { parts } => 1 + of_parts(parts),
            Step::Mix { parts, .. } => 1 + parts.len() + of_parts(parts),
        }
    }

    /// Height and width of the result for those of the image.
    pub fn size(&self, (height, width): (usize, usize)) -> (usize, usize) {
        match self {
            Step::Window { rows, columns, .. }
            | Step::Pad { rows, columns, .. }
            | Step::Resample { rows, columns, .. } => (*rows, *columns),
            Step::Resize { rows, columns } => (rows.start.len(), columns.start.len()),
            _ => (height, width),
        }
    }

    fn keeps_size(&self) -> bool {
        // Two sizes that no step gives.
        [(usize::MAX, 0), (0, usize::MAX)].iter().all(|&size| self.size(size) == size)
    }
}

fn chains(parts: &[Vec<Spec>]) -> Result<Vec<Vec<Step>>> {
    let parts: Vec<Vec<Step>> = parts.iter().map(|part| part.iter().map(Step::new).collect()).collect::<Result<_>>()?;
    if parts.iter().flatten().all(Step::keeps_size) {
        return Ok(parts);
    }
    Err(Error::value("augment: expected parts that keep the size of the image"))
}
