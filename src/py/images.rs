//! Images of files as arrays, decoded without the GIL.

use crate::data::decode::{self, Mode, Options};
use crate::data::read::{Failure, Pixel, Request, read_into};
use crate::data::resize::{Fit, fixed::Filter, float::Kernel};
use crate::data::threads;
use crate::error::{Error, Result};
use crate::io::{FileError, image_json};
use numpy::{Element, PyArray1, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::path::PathBuf;

/// Files between two looks at whether a signal handler has raised.
const PART: usize = 256;

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(image_info, module)?)?;
    module.add_function(wrap_pyfunction!(decode_image, module)?)?;
    module.add_function(wrap_pyfunction!(decode_words, module)?)?;
    module.add_function(wrap_pyfunction!(gif_frames, module)?)?;
    module.add_function(wrap_pyfunction!(read_images, module)?)?;
    module.add_function(wrap_pyfunction!(parse_image_json, module)?)
}

/// The value of a name in a table, or an error with all names.
fn chosen<T: Copy>(argument: &str, name: &str, table: &[(T, &str)]) -> Result<T> {
    table.iter().find(|(_, known)| *known == name).map(|(value, _)| *value).ok_or_else(|| {
        let names: Vec<_> = table.iter().map(|(_, name)| format!("{name:?}")).collect();
        Error::value(format!("{argument}: expected one of {}, received {name:?}", names.join(", ")))
    })
}

const MODES: [(Mode, &str); 5] = [
    (Mode::Unchanged, "unchanged"),
    (Mode::Grey, "grayscale"),
    (Mode::Rgb, "rgb"),
    (Mode::Rgba, "rgba"),
    (Mode::Indices, "indices"),
];
const FITS: [(Fit, &str); 4] =
    [(Fit::Stretch, "stretch"), (Fit::Crop, "crop"), (Fit::Pad, "pad"), (Fit::PadFirst, "pad_first")];

/// What a caller wants of each image.
#[derive(Clone, FromPyObject)]
#[pyo3(from_item_all)]
struct Wanted {
    mode: String,
    upright: bool,
    size: Option<(usize, usize)>,
    fit: String,
    filter: String,
    draft: bool,
    max_pixels: u64,
    /// Whether the pixels are floats, resized by Keras's kernels, and not bytes, resized by Pillow's filters.
    floats: bool,
}

impl Wanted {
    fn request<F: Copy>(&self, filters: &[(F, &str)]) -> Result<Request<F>> {
        Ok(Request {
            mode: chosen("color_mode", &self.mode, &MODES)?,
            upright: self.upright,
            size: self.size,
            fit: chosen("fit", &self.fit, &FITS)?,
            filter: chosen("interpolation", &self.filter, filters)?,
            draft: self.draft,
            options: Options { max_pixels: self.max_pixels, ..Options::default() },
        })
    }
}

fn array<'py, T: Element>(py: Python<'py>, samples: Vec<T>, shape: &[usize]) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    PyArray1::from_vec(py, samples).reshape(shape)
}

/// What a file is, from its header.
///
/// Args:
///     content: Its bytes.
///
/// Returns:
///     The format, height, width, channels, bits of a sample, and the orientation as EXIF counts.
///
/// Raises:
///     ValueError: It is no image, or its header is damaged.
#[pyfunction]
#[pyo3(signature = (content))]
fn image_info(py: Python<'_>, content: PyBackedBytes) -> PyResult<(&'static str, usize, usize, usize, u8, u8)> {
    let info = py.detach(|| decode::info(&content))?;
    Ok((info.format.name(), info.height, info.width, info.channels, info.bits, info.orientation))
}

/// Decodes an image.
///
/// Args:
///     content: The bytes of a file.
///     wanted: A dict: mode, upright, size, fit, filter, draft, max_pixels, floats.
///
/// Returns:
///     An array of shape (height, width, channels), uint8 or float32.
///
/// Raises:
///     ValueError: It is no image, a damaged one or too large, or a word is unknown.
///     MemoryError: There is no memory for it.
#[pyfunction]
#[pyo3(signature = (content, wanted))]
fn decode_image<'py>(py: Python<'py>, content: PyBackedBytes, wanted: Wanted) -> PyResult<Bound<'py, PyAny>> {
    if wanted.floats {
        let request = wanted.request(&Kernel::ALL)?;
        let (samples, shape) = py.detach(|| request.one::<f32>(&content))?;
        return Ok(array(py, samples, &shape)?.into_any());
    }
    let request = wanted.request(&Filter::ALL)?;
    let (samples, shape) = py.detach(|| request.one::<u8>(&content))?;
    Ok(array(py, samples, &shape)?.into_any())
}

/// Decodes an image, its orientation left as it is stored.
///
/// Args:
///     content: The bytes of a file.
///     mode: Its channels.
///     jpeg_scale: By what the size of a JPEG is divided: 1, 2, 4 or 8.
///     wide: Whether the samples have 16 bits.
///
/// Returns:
///     An array of shape (height, width, channels), uint8 or uint16.
///
/// Raises:
///     ValueError: It is no image, a damaged one or too large.
///     MemoryError: There is no memory for it.
#[pyfunction]
#[pyo3(signature = (content, mode, jpeg_scale, wide))]
fn decode_words<'py>(
    py: Python<'py>,
    content: PyBackedBytes,
    mode: &str,
    jpeg_scale: usize,
    wide: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let mode = chosen("mode", mode, &MODES)?;
    let options = Options { jpeg_scale, indices: mode == Mode::Indices, ..Options::default() };
    let image = py.detach(|| decode::decode(&content, &options).map(|image| image.in_mode(mode)))?;
    let shape = [image.height, image.width, image.channels];
    Ok(match wide {
        true => array(py, image.into_words(), &shape)?.into_any(),
        false => array(py, image.into_bytes(), &shape)?.into_any(),
    })
}

/// The frames of a GIF as they are seen.
///
/// Args:
///     content: The bytes of a file.
///
/// Returns:
///     An array of shape (frames, height, width, 3), uint8.
///
/// Raises:
///     ValueError: It is no GIF, a damaged one or too large.
#[pyfunction]
#[pyo3(signature = (content))]
fn gif_frames(py: Python<'_>, content: PyBackedBytes) -> PyResult<Bound<'_, PyArrayDyn<u8>>> {
    let (samples, [count, height, width]) = py.detach(|| decode::frames(&content))?;
    array(py, samples, &[count, height, width, 3])
}

/// Reads image files of one size, in threads.
///
/// Args:
///     paths: The files.
///     out: Where the pixels go: an array of shape (files, height, width, channels), uint8 or float32 as is wanted. What
///         it holds of files that give none is undefined.
///     wanted: As for `decode_image`, with a mode that says how many channels there are.
///     threads: How many threads read and decode; None for one a processor.
///
/// Returns:
///     The index and the exception of each file that was not read.
///
/// Raises:
///     TypeError: The array is of another type.
///     ValueError: It has another shape or has gaps, or a word is unknown.
#[pyfunction]
#[pyo3(signature = (paths, out, wanted, threads))]
fn read_images(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    out: &Bound<'_, PyAny>,
    wanted: Wanted,
    threads: Option<usize>,
) -> PyResult<Vec<(usize, PyErr)>> {
    let threads = threads.unwrap_or_else(threads::available);
    if wanted.floats {
        let request = wanted.request(&Kernel::ALL)?;
        return batch::<f32>(py, &paths, out.cast()?, request, threads);
    }
    let request = wanted.request(&Filter::ALL)?;
    batch::<u8>(py, &paths, out.cast()?, request, threads)
}

fn batch<T: Pixel + Element>(
    py: Python<'_>,
    paths: &[PathBuf],
    out: &Bound<'_, PyArrayDyn<T>>,
    mut request: Request<T::Filter>,
    threads: usize,
) -> PyResult<Vec<(usize, PyErr)>> {
    let mut out = out.try_readwrite().map_err(|e| PyValueError::new_err(format!("out: {e}")))?;
    let shape = match *out.shape() {
        [count, height, width, channels] => [count, height, width, channels],
        _ => return Err(Error::value("out: expected 4 axes").into()),
    };
    let [count, height, width, channels] = shape;
    if count != paths.len() || height * width == 0 || channels != request.mode.channels(0) {
        let (files, channels) = (paths.len(), request.mode.channels(0));
        let message = format!("out: expected {files} images of {channels} channels, received shape {shape:?}");
        return Err(Error::value(message).into());
    }
    request.size = Some((height, width));
    let samples = out.as_slice_mut().map_err(|e| PyValueError::new_err(format!("out: {e}")))?;
    let each = height * width * channels;
    let mut failures = Vec::new();
    for first in (0..paths.len()).step_by(PART) {
        let part = &paths[first..paths.len().min(first + PART)];
        let out = &mut samples[first * each..][..part.len() * each];
        let failed = py.detach(|| read_into(part, &request, (height, width), channels, threads, out));
        failures.extend(failed.into_iter().map(|(index, failure)| (first + index, failure)));
        py.check_signals()?;
    }
    Ok(failures.into_iter().map(|(index, failure)| (index, exception(&paths[index], failure))).collect())
}

fn exception(path: &std::path::Path, failure: Failure) -> PyErr {
    match failure {
        Failure::System(source) => FileError::System { path: path.to_owned(), action: "read", source }.into(),
        Failure::Content(error) => error.into(),
    }
}

/// The images of a request as JSON, texts as they are and numbers as arrays, and its `top` as JSON; parsed without the
/// GIL. The last one says whether the document is an object.
#[pyfunction]
#[allow(clippy::type_complexity, reason = "what Python unpacks at once")]
fn parse_image_json<'py>(
    py: Python<'py>,
    content: PyBackedBytes,
) -> PyResult<(Option<Vec<Bound<'py, PyAny>>>, Option<String>, bool)> {
    let request = py.detach(|| image_json::parse(&content)).map_err(PyValueError::new_err)?;
    let object = |image| match image {
        image_json::Image::Text(text) => Ok(text.into_pyobject(py)?.into_any()),
        image_json::Image::Pixels { shape, values } => Ok(PyArray1::from_vec(py, values).reshape(shape)?.into_any()),
    };
    let images = request.images.map(|images| images.into_iter().map(object).collect::<PyResult<_>>());
    Ok((images.transpose()?, request.top, request.is_object))
}
