//! `Augmentation`: a chain of `data::augment`, run on arrays of numpy.

use super::convert::{elements, plain};
use crate::backend::cpu::exec::pool;
use crate::data::augment::{Chain, Input, Layout, Output, Spec};
use crate::error::{Error, Result};
use crate::lazy::fork::Section;
use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Adds this file's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Augmentation>()
}

/// A step as Python describes it: name, numbers, and the chains that it is made of.
struct Described(Spec);

impl<'a, 'py> FromPyObject<'a, 'py> for Described {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let (name, numbers, parts): (String, Vec<f64>, Vec<Vec<Described>>) = object.extract()?;
        let parts = parts.into_iter().map(|part| part.into_iter().map(|d| d.0).collect()).collect();
        Ok(Described(Spec { name, numbers, parts }))
    }
}

/// Steps that images of arrays go through, one image after another, in several threads, without the interpreter's lock.
///
/// Args:
///     steps: The steps in their order: name, numbers, and the chains that the step is made of.
///
/// Raises:
///     ValueError: There is no such step, or its numbers do not fit.
#[pyclass(frozen, module = "cnnrs._core")]
struct Augmentation {
    chain: Chain,
}

#[pymethods]
impl Augmentation {
    #[new]
    fn new(steps: Vec<Described>) -> PyResult<Self> {
        let specs: Vec<Spec> = steps.into_iter().map(|d| d.0).collect();
        Ok(Augmentation { chain: Chain::new(&specs)? })
    }

    /// How many parameters an image has.
    #[getter]
    fn params(&self) -> usize {
        self.chain.params()
    }

    /// Shape of the images that come out, for that of those that go in: rows, columns and channels, or channels first.
    #[pyo3(signature = (shape, channels_first = false))]
    fn result_shape(&self, shape: (usize, usize, usize), channels_first: bool) -> PyResult<(usize, usize, usize)> {
        Ok(shape_of(self.chain.result(layout_of(shape, channels_first))?))
    }

    /// Runs the steps.
    ///
    /// Args:
    ///     images: Array of uint8 or float32 of shape (batch, height, width, channels).
    ///     params: Array of float32 of shape (batch, `params`).
    ///     results: Array of uint8 or float32 that is written.
    ///     channels_first: Whether shapes are (batch, channels, height, width).
    ///     threads: Whether the images are shared out among threads.
    #[pyo3(signature = (images, params, results, channels_first = false, threads = true))]
    fn apply(
        &self,
        py: Python<'_>,
        images: &Bound<'_, PyAny>,
        params: &Bound<'_, PyAny>,
        results: &Bound<'_, PyAny>,
        channels_first: bool,
        threads: bool,
    ) -> PyResult<()> {
        let floats = || PyTypeError::new_err("augment: expected plain arrays of uint8 or float32");
        let params = plain::<f32>(params).ok_or_else(floats)?;
        let shape = |of: &[usize]| match *of {
            [batch, a, b, c] => Ok((batch, (a, b, c))),
            _ => Err(PyValueError::new_err(format!("augment: expected images of 4 axes, received shape {of:?}"))),
        };
        let (bytes, given) = (plain::<u8>(images), plain::<f32>(images));
        let (batch, image) = match (&bytes, &given) {
            (Some(array), _) => shape(array.shape())?,
            (_, Some(array)) => shape(array.shape())?,
            _ => return Err(floats()),
        };
        let layout = layout_of(image, channels_first);
        let result = self.chain.result(layout)?;
        let count = self.chain.params();
        if params.shape() != [batch, count] {
            let received = params.shape();
            let message = format!("augment: params: expected shape [{batch}, {count}], received {received:?}");
            return Err(PyValueError::new_err(message));
        }
        let params = elements(&params)?;
        let images = match (&bytes, &given) {
            (Some(array), _) => Input::Bytes(elements(array)?),
            (_, Some(array)) => Input::Floats(elements(array)?),
            _ => return Err(floats()),
        };
        let job = Job { chain: &self.chain, layout, images, params, count };
        let len = result.size();
        if let Ok(array) = results.cast::<PyArrayDyn<f32>>() {
            let mut array = array.try_readwrite().map_err(|e| PyTypeError::new_err(e.to_string()))?;
            let to = array.as_slice_mut().map_err(|e| PyTypeError::new_err(e.to_string()))?;
            return Ok(py.detach(|| job.run(to, batch, len, threads))?);
        }
        let array = results.cast::<PyArrayDyn<u8>>().map_err(|_| floats())?;
        let mut array = array.try_readwrite().map_err(|e| PyTypeError::new_err(e.to_string()))?;
        let to = array.as_slice_mut().map_err(|e| PyTypeError::new_err(e.to_string()))?;
        Ok(py.detach(|| job.run(to, batch, len, threads))?)
    }
}

/// An element type of results.
trait Written: Send + Sized {
    fn output(to: &mut [Self]) -> Output<'_>;
}

impl Written for f32 {
    fn output(to: &mut [f32]) -> Output<'_> {
        Output::Floats(to)
    }
}

impl Written for u8 {
    fn output(to: &mut [u8]) -> Output<'_> {
        Output::Bytes(to)
    }
}

/// Images and their parameters.
struct Job<'a> {
    chain: &'a Chain,
    layout: Layout,
    images: Input<'a>,
    params: &'a [f32],
    count: usize,
}

impl Job<'_> {
    /// Runs the chain on each image, into its part of `to`.
    fn run<T: Written>(&self, to: &mut [T], batch: usize, len: usize, threads: bool) -> Result<()> {
        if to.len() != batch * len {
            return Err(Error::value(format!(
                "augment: results: expected {batch} images of {len} numbers, received {} numbers",
                to.len()
            )));
        }
        let _section = Section::enter();
        if batch == 0 || len == 0 {
            return Ok(());
        }
        let size = self.layout.size();
        let one = |i: usize, to: &mut [T]| {
            let image = match self.images {
                Input::Bytes(all) => Input::Bytes(&all[i * size..][..size]),
                Input::Floats(all) => Input::Floats(&all[i * size..][..size]),
            };
            self.chain.run(image, self.layout, &self.params[i * self.count..][..self.count], T::output(to))
        };
        if !threads || batch == 1 {
            return to.chunks_exact_mut(len).enumerate().try_for_each(|(i, to)| one(i, to));
        }
        let parts: Vec<Mutex<&mut [T]>> = to.chunks_exact_mut(len).map(Mutex::new).collect();
        let failed = Mutex::new(None);
        pool::each(batch, &|i| {
            let mut part = parts[i].lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = one(i, &mut part) {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        })?;
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

fn layout_of((a, b, c): (usize, usize, usize), channels_first: bool) -> Layout {
    let (height, width, channels) = if channels_first { (b, c, a) } else { (a, b, c) };
    Layout { height, width, channels, channels_first }
}

fn shape_of(layout: Layout) -> (usize, usize, usize) {
    let Layout { height, width, channels, channels_first } = layout;
    if channels_first { (channels, height, width) } else { (height, width, channels) }
}
