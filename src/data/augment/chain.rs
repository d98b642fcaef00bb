//! Chains of steps, and how they run.

use super::picture::{Elements, Picture, Planes, View, join_colors};
use super::resample::{Taps, resample};
use super::rows::{self, Colors, RowChange};
use super::statistics;
use super::step::{Spec, Step};
use super::{color, neighbours, warp};
use crate::error::{Error, Result};

/// Where the numbers of images lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Whether channels stand in front of rows and columns.
    pub channels_first: bool,
}

impl Layout {
    fn strides(&self) -> (usize, usize, usize) {
        if self.channels_first {
            (self.width, 1, self.height * self.width)
        } else {
            (self.width * self.channels, self.channels, 1)
        }
    }

    /// How many numbers an image has.
    pub fn size(&self) -> usize {
        self.height * self.width * self.channels
    }
}

/// An image that is read.
pub type Input<'a> = Elements<'a>;

/// An image that is written.
pub enum Output<'a> {
    Bytes(&'a mut [u8]),
    Floats(&'a mut [f32]),
}

/// Steps, one after another.
#[derive(Clone, Debug)]
pub struct Chain {
    steps: Vec<Step>,
}

impl Chain {
    /// The chain that `specs` describe.
    ///
    /// # Errors
    /// `Value` when a step is unknown, or its numbers do not fit.
    pub fn new(specs: &[Spec]) -> Result<Self> {
        Ok(Chain { steps: specs.iter().map(Step::new).collect::<Result<_>>()? })
    }

    /// How many parameters an image has.
    pub fn params(&self) -> usize {
        self.steps.iter().map(Step::params).sum()
    }

    /// The layout of results for that of images.
    ///
    /// # Errors
    /// `Value` when a step asks for pixels that are not there.
    pub fn result(&self, layout: Layout) -> Result<Layout> {
        let mut size = (layout.height, layout.width);
        for step in &self.steps {
            let fits = match step {
                Step::Window { rows, columns, place } => {
                    let (top, left) = place.unwrap_or_default();
                    top + rows <= size.0 && left + columns <= size.1
                }
                Step::Pad { top, left, rows, columns, .. } => top + size.0 <= *rows && left + size.1 <= *columns,
                Step::Resize { rows, columns } => rows.fit(size.0) && columns.fit(size.1),
                _ => true,
            };
            if !fits || size.0 == 0 || size.1 == 0 {
                return Err(Error::value(format!(
                    "augment: expected images that a step fits, received {} x {} pixels for {step:?}",
                    size.0, size.1
                )));
            }
            size = step.size(size);
        }
        Ok(Layout { height: size.0, width: size.1, ..layout })
    }

    /// Runs the chain on one image.
    ///
    /// # Errors
    /// `Value` when the numbers are not as many as `layout`, [`Chain::result`] and [`Chain::params`] say.
    pub fn run(&self, image: Input<'_>, layout: Layout, params: &[f32], output: Output<'_>) -> Result<()> {
        let result = self.result(layout)?;
        let given = match image {
            Elements::Bytes(all) => all.len(),
            Elements::Floats(all) => all.len(),
        };
        let wanted = match &output {
            Output::Bytes(all) => all.len(),
            Output::Floats(all) => all.len(),
        };
        if given != layout.size() || wanted != result.size() || params.len() != self.params() {
            return Err(Error::value(format!(
                "augment: expected {} numbers, {} results and {} parameters, received {given}, {wanted} and {}",
                layout.size(),
                result.size(),
                self.params(),
                params.len()
            )));
        }
        let view = View {
            elements: image,
            channels: layout.channels,
            strides: layout.strides(),
            top: 0,
            left: 0,
            rows: layout.height,
            columns: layout.width,
            across: false,
            down: false,
        };
        let mut picture = Picture::View(view);
        let pending = follow(&self.steps, params, &mut picture);
        match output {
            Output::Floats(to) => store(picture, &pending, result, to),
            Output::Bytes(to) => store(picture, &pending, result, to),
        }
        Ok(())
    }
}

/// Runs steps on a picture, but for the changes of rows that come last.
fn follow(steps: &[Step], mut params: &[f32], picture: &mut Picture<'_>) -> Vec<RowChange> {
    let mut pending: Vec<RowChange> = Vec::new();
    for step in steps {
        let (own, rest) = params.split_at(step.params());
        params = rest;
        match of_rows(step, own) {
            Some(change) => pending.push(change),
            // What is not to be done leaves the changes of rows together.
            None if is_idle(step, own) => {}
            None => {
                if let Some(change) = run(step, own, picture, &mut pending) {
                    pending.push(change);
                }
            }
        }
    }
    pending
}

/// Runs steps on a picture.
fn follow_all(steps: &[Step], params: &[f32], picture: &mut Picture<'_>) {
    finish(&mut follow(steps, params, picture), picture);
}

/// Does what rows are waiting for.
fn finish(pending: &mut Vec<RowChange>, picture: &mut Picture<'_>) {
    if !pending.is_empty() {
        rows::apply(pending, picture.planes());
        pending.clear();
    }
}

/// Whether a parameter says that something is to be done. What is no number does not.
fn told(param: f32) -> bool {
    param > 0.0
}

/// Whether the parameters say that nothing is to be done.
fn is_idle(step: &Step, params: &[f32]) -> bool {
    match step {
        Step::Flip { .. } | Step::Gray | Step::Invert { .. } => !told(params[0]),
        Step::Erase { .. } | Step::Grid { .. } => !told(params[4]),
        Step::Warp { .. } => !told(params[8]),
        Step::Choose { parts } => chosen(params[0], parts.len()).is_none(),
        _ => false,
    }
}

/// The index that a parameter is, among `count`.
fn chosen(param: f32, count: usize) -> Option<usize> {
    (param >= 0.0 && (param as usize) < count).then_some(param as usize)
}

/// The step as a change of rows, if it is one.
fn of_rows(step: &Step, params: &[f32]) -> Option<RowChange> {
    Some(match step {
        Step::Add { range } => RowChange::Add { offset: colors(&params[..1]), range: *range },
        Step::AddColor { range, .. } => RowChange::Add { offset: colors(params), range: *range },
        Step::Multiply { zero, range } => {
            RowChange::Contrast { mean: colors(&[*zero]), factor: params[0], range: *range }
        }
        Step::Degenerate { range } => RowChange::Degenerate { share: params[0], range: *range },
        Step::Gray if told(params[0]) => RowChange::Gray,
        Step::Saturation { range } => RowChange::Saturation { factor: params[0], range: *range },
        Step::Hue { range } => RowChange::Hue { turn: params[0], range: *range },
        Step::Posterize { range } => RowChange::Posterize { step: params[0].exp2().round(), range: *range },
        Step::Solarize { range } => RowChange::Solarize { addition: params[0], threshold: params[1], range: *range },
        Step::Invert { high } if told(params[0]) => RowChange::Invert { high: *high },
        Step::Scale { scale, offset } => RowChange::Scale { scale: colors(scale), offset: colors(offset) },
        Step::Standardize { mean, deviation } => {
            RowChange::Standardize { mean: colors(mean), deviation: colors(deviation) }
        }
        Step::Round => RowChange::Round,
        Step::Blur { range, .. } if !told(params[2]) => RowChange::Clip { range: *range },
        _ => return None,
    })
}

fn colors(values: &[f32]) -> Colors {
    Colors::from_slice(values)
}

/// Runs a step that is no change of rows, or gives the one that it is for this image.
fn run(step: &Step, params: &[f32], picture: &mut Picture<'_>, pending: &mut Vec<RowChange>) -> Option<RowChange> {
    match step {
        // Where pixels stand is nothing to their colours.
        Step::Flip { across, down } => {
            match picture {
                Picture::View(view) => {
                    view.across ^= across;
                    view.down ^= down;
                }
                Picture::Planes(planes) => planes.flip(*across, *down),
            }
            return None;
        }
        Step::Window { rows, columns, place } => {
            let (top, left) = place.unwrap_or_else(|| (params[0] as usize, params[1] as usize));
            match picture {
                Picture::View(view) => view.cut(top, left, *rows, *columns),
                Picture::Planes(planes) => *planes = planes.cut(top, left, *rows, *columns),
            }
            return None;
        }
        _ => finish(pending, picture),
    }
    match step {
        Step::Pad { top, left, rows, columns, value } => {
            let padded = picture.planes().padded(*top, *left, *rows, *columns, *value);
            *picture = Picture::Planes(padded);
        }
        Step::Resize { rows, columns } => resized(picture, rows, columns),
        Step::Resample { rows, columns, antialias, nearest } => {
            let (height, width) = picture.size();
            let taps = |first: f32, length: f32, target: usize, extent: usize| {
                if *nearest {
                    Taps::nearest(first, length, target, extent)
                } else {
                    Taps::triangle(first, length, target, extent, *antialias)
                }
            };
            let vertical = taps(params[0], params[2], *rows, height);
            let horizontal = taps(params[1], params[3], *columns, width);
            resized(picture, &vertical, &horizontal);
        }
        Step::Warp { nearest, fill } => {
            let warped = warp::warp(picture.planes(), params, *nearest, *fill);
            *picture = Picture::Planes(warped);
        }
        Step::Contrast { range } => {
            let mean = statistics::means(picture.planes());
            return Some(RowChange::Contrast { mean, factor: params[0], range: *range });
        }
        Step::ContrastOfGray { range } => {
            let means = statistics::means(picture.planes());
            let gray = if let &[red, green, blue] = &*means { color::luma(red, green, blue) } else { means[0] };
            return Some(RowChange::Contrast { mean: colors(&[gray]), factor: params[0], range: *range });
        }
        Step::Stretch { range } => statistics::stretch(picture.planes(), *range),
        Step::Equalize { range, bins } => statistics::equalize(picture.planes(), *range, *bins),
        Step::Sharpness { range } => neighbours::sharpen(picture.planes(), params[0], *range),
        Step::Blur { columns, rows, range } => {
            neighbours::blur(picture.planes(), (*columns, *rows), (params[0], params[1]));
            return Some(RowChange::Clip { range: *range });
        }
        Step::Erase { fill } => neighbours::erase(picture.planes(), fill, params),
        Step::Grid { fill } => neighbours::grid(picture.planes(), fill, params),
        Step::Choose { parts } => {
            if let Some((part, own)) =
                chosen(params[0], parts.len()).and_then(|which| parts_with(parts, &params[1..]).nth(which))
            {
                follow_all(part, own, picture);
            }
        }
        Step::Mix { parts, range } => mix(parts, params, picture.planes(), *range),
        _ => unreachable!("a change of rows, or done above"),
    }
    None
}

/// Chains with their parameters.
fn parts_with<'a>(parts: &'a [Vec<Step>], mut params: &'a [f32]) -> impl Iterator<Item = (&'a [Step], &'a [f32])> {
    parts.iter().map(move |part| {
        let (own, rest) = params.split_at(part.iter().map(Step::params).sum());
        params = rest;
        (part.as_slice(), own)
    })
}

fn resized(picture: &mut Picture<'_>, rows: &Taps, columns: &Taps) {
    *picture = Picture::Planes(match picture {
        Picture::View(view) => resample(view, rows, columns),
        Picture::Planes(planes) => resample(&planes.view(), rows, columns),
    });
}

/// Mixes an image with what chains make of it.
fn mix(parts: &[Vec<Step>], params: &[f32], planes: &mut Planes, range: (f32, f32)) {
    let (share, weights) = (params[0], &params[1..=parts.len()]);
    let mut mixed = vec![0.0f32; planes.data.len()];
    for ((part, own), &weight) in parts_with(parts, &params[1 + parts.len()..]).zip(weights) {
        let mut changed = Picture::Planes(planes.clone());
        follow_all(part, own, &mut changed);
        neighbours::add_weighted(&mut mixed, &changed.planes().data, weight);
    }
    for (x, m) in planes.data.iter_mut().zip(&mixed) {
        *x = (share * *x + (1.0 - share) * m).max(range.0).min(range.1);
    }
}

/// An element type of results.
trait Written: Copy {
    fn of_byte(x: u8) -> Self;
    fn of_float(x: f32) -> Self;

    /// Three rows, side by side.
    fn join(red: &[f32], green: &[f32], blue: &[f32], to: &mut [Self]) {
        for (((to, &r), &g), &b) in to.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
            (to[0], to[1], to[2]) = (Self::of_float(r), Self::of_float(g), Self::of_float(b));
        }
    }
}

impl Written for u8 {
    fn of_byte(x: u8) -> u8 {
        x
    }

    fn of_float(x: f32) -> u8 {
        x as u8
    }
}

impl Written for f32 {
    fn of_byte(x: u8) -> f32 {
        f32::from(x)
    }

    fn of_float(x: f32) -> f32 {
        x
    }

    fn join(red: &[f32], green: &[f32], blue: &[f32], to: &mut [f32]) {
        join_colors(red, green, blue, to);
    }
}

/// Writes a picture where it belongs, with the last changes of its rows.
fn store<T: Written>(picture: Picture<'_>, changes: &[RowChange], layout: Layout, to: &mut [T]) {
    match picture {
        Picture::View(view) if changes.is_empty() && !view.across => store_view(&view, layout, to),
        Picture::View(view) => {
            let mut row = Planes::new(1, layout.width, layout.channels);
            for y in 0..layout.height {
                view.read_row(y, &mut row);
                rows::apply(changes, &mut row);
                store_row(&row, 0, y, layout, to);
            }
        }
        Picture::Planes(mut planes) => {
            for y in 0..layout.height {
                rows::apply_to(changes, &mut planes, y);
                store_row(&planes, y, y, layout, to);
            }
        }
    }
}

/// Writes row `y` of planes as row `to_y` of an image.
fn store_row<T: Written>(planes: &Planes, y: usize, to_y: usize, layout: Layout, to: &mut [T]) {
    let (columns, channels) = (layout.width, layout.channels);
    let row = |c: usize| &planes.data[(c * planes.height + y) * columns..][..columns];
    if layout.channels_first {
        for c in 0..channels {
            let to = &mut to[(c * layout.height + to_y) * columns..][..columns];
            to.iter_mut().zip(row(c)).for_each(|(t, &x)| *t = T::of_float(x));
        }
        return;
    }
    let to = &mut to[to_y * columns * channels..][..columns * channels];
    if channels == 3 {
        return T::join(row(0), row(1), row(2), to);
    }
    for c in 0..channels {
        to.iter_mut().skip(c).step_by(channels).zip(row(c)).for_each(|(t, &x)| *t = T::of_float(x));
    }
}

/// Writes a view that nothing changes, and that is not mirrored across.
fn store_view<T: Written>(view: &View<'_>, layout: Layout, to: &mut [T]) {
    let (columns, channels) = (layout.width, layout.channels);
    // Rows of pixels whose channels lie side by side, or rows of each channel.
    let (bands, depth) = if layout.channels_first { (channels, 1) } else { (1, channels) };
    for band in 0..bands {
        for y in 0..layout.height {
            let start = view.row(y) + band * view.strides.2;
            let row = &mut to[(band * layout.height + y) * columns * depth..][..columns * depth];
            match view.elements {
                Elements::Bytes(all) => row.iter_mut().zip(&all[start..]).for_each(|(t, &x)| *t = T::of_byte(x)),
                Elements::Floats(all) => row.iter_mut().zip(&all[start..]).for_each(|(t, &x)| *t = T::of_float(x)),
            }
        }
    }
}
