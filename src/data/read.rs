//! Files to pixels of one size and one kind: decoded, turned upright, brought to channels, resized.

use super::decode::{Image, Mode, Options, decode};
use super::resize::{Fit, Placement, View, fixed, float, margins};
use super::threads::for_each;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What pixels a caller wants.
#[derive(Clone, Copy, Debug)]
pub struct Request<F> {
    pub mode: Mode,
    /// Whether an orientation that the file notes is applied.
    pub upright: bool,
    /// The height and width; none leaves the image's own. Of indices, filters but the nearest make mixtures.
    pub size: Option<(usize, usize)>,
    pub fit: Fit,
    pub filter: F,
    /// Whether JPEGs of at least four times the size are decoded at a part of theirs. As in Pillow's `thumbnail`, twice
    /// the size is left to the filter, which then sees no difference worth a pixel.
    pub draft: bool,
    pub options: Options,
}

/// A type of pixels, with its filters.
pub trait Pixel: Copy + Default + Send {
    /// The filters.
    type Filter: Copy + Send + Sync;

    /// Brings a view to `placement` in an output with rows of `columns` pixels.
    fn place(view: View<'_>, placement: Placement, filter: Self::Filter, columns: usize, out: &mut [Self]);

    /// The samples as they are.
    fn of(samples: Vec<u8>) -> Vec<Self>;
}

impl Pixel for u8 {
    type Filter = fixed::Filter;

    fn place(view: View<'_>, placement: Placement, filter: fixed::Filter, columns: usize, out: &mut [u8]) {
        fixed::resize(view, placement, filter, columns, out);
    }

    fn of(samples: Vec<u8>) -> Vec<u8> {
        samples
    }
}

impl Pixel for f32 {
    type Filter = float::Kernel;

    fn place(view: View<'_>, placement: Placement, kernel: float::Kernel, columns: usize, out: &mut [f32]) {
        float::resize(view, placement, kernel, columns, out);
    }

    fn of(samples: Vec<u8>) -> Vec<f32> {
        samples.into_iter().map(f32::from).collect()
    }
}

/// An image with zeros around it.
fn padded(image: Image, (vertical, horizontal): (usize, usize)) -> Image {
    let Image { width, height, channels, orientation, .. } = image;
    let (wide, high) = (width + 2 * horizontal, height + 2 * vertical);
    let mut samples = vec![0; wide * high * channels];
    for (row, source) in image.into_bytes().chunks_exact(width * channels).enumerate() {
        samples[((vertical + row) * wide + horizontal) * channels..][..source.len()].copy_from_slice(source);
    }
    let samples = super::decode::Samples::Bytes(samples);
    Image { width: wide, height: high, channels, samples, orientation }
}

impl<F: Copy> Request<F> {
    /// The decoded image with the channels that are wanted, not yet resized.
    fn decoded(&self, bytes: &[u8]) -> Result<Image> {
        let mut options = Options { indices: self.mode == Mode::Indices, ..self.options };
        // Parts of indices are no indices.
        if let (true, Some((height, width))) = (self.draft && !options.indices, self.size) {
            options.at_least = Some((height.saturating_mul(2), width.saturating_mul(2)));
        }
        let mut image = decode(bytes, &options)?;
        if !self.upright {
            image.orientation = 1;
        }
        Ok(image.upright().in_mode(self.mode))
    }

    /// Fills `out`, of the size that is wanted, with the image.
    fn fill<T: Pixel<Filter = F>>(&self, image: Image, size: (usize, usize), out: &mut [T]) {
        let own = (image.height, image.width);
        let image = if self.fit == Fit::PadFirst { padded(image, margins(own, size)) } else { image };
        let (own, channels) = ((image.height, image.width), image.channels);
        let placement = Placement::new(own, size, self.fit);
        if placement.target != [0, 0, size.0, size.1] {
            out.fill(T::default());
        }
        let samples = image.into_bytes();
        T::place(View { samples: &samples, width: own.1, channels }, placement, self.filter, size.1, out);
    }

    /// The pixels of one file, and their height, width and channels.
    ///
    /// # Errors
    ///
    /// `Value` as for [`decode`]; `Memory` if there is none for the result.
    pub fn one<T: Pixel<Filter = F>>(&self, bytes: &[u8]) -> Result<(Vec<T>, [usize; 3])> {
        let image = self.decoded(bytes)?;
        let Some(size) = self.size else {
            let shape = [image.height, image.width, image.channels];
            return Ok((T::of(image.into_bytes()), shape));
        };
        let shape = [size.0, size.1, image.channels];
        let mut out = super::decode::zeros(shape.iter().product())?;
        self.fill(image, size, &mut out);
        Ok((out, shape))
    }
}

/// Why a file gave no pixels.
#[derive(Debug)]
pub enum Failure {
    /// It cannot be read.
    System(std::io::Error),
    /// It holds no image, a damaged one or one that is too large.
    Content(Error),
}

/// Reads files into `out`, which holds an image of `size` and `channels` for each of them, in `threads` threads.
///
/// Returns the files that gave none, by their place: what `out` holds of them is undefined.
pub fn read_into<T: Pixel>(
    paths: &[PathBuf],
    request: &Request<T::Filter>,
    size: (usize, usize),
    channels: usize,
    threads: usize,
    out: &mut [T],
) -> Vec<(usize, Failure)>
where
    T::Filter: Copy,
{
    let failures = Mutex::new(Vec::new());
    let each = size.0 * size.1 * channels;
    for_each(out.chunks_exact_mut(each.max(1)).collect(), threads, |index, out: &mut [T]| {
        if let Err(failure) = read_one(&paths[index], request, size, out) {
            failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, failure));
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failures.sort_by_key(|(index, _)| *index);
    failures
}

fn read_one<T: Pixel>(
    path: &Path,
    request: &Request<T::Filter>,
    size: (usize, usize),
    out: &mut [T],
) -> std::result::Result<(), Failure> {
    let bytes = std::fs::read(path).map_err(Failure::System)?;
    let image = request.decoded(&bytes).map_err(Failure::Content)?;
    drop(bytes);
    request.fill(image, size, out);
    Ok(())
}
