//! Rows of arrays, gathered into batches and converted on the way.

use crate::backend::cpu::exec::pool;
use crate::backend::cpu::kernels::chunked::split;
use crate::buffer::{Buffer, Element};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Fact;
use crate::value::Value;
use half::{bf16, f16};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a batch that one thread gathers at a time.
const GATHERED: usize = 16 << 10;

/// The elements of an array, row-major.
#[derive(Clone, Copy)]
pub enum Elements<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    F16(&'a [f16]),
    BF16(&'a [bf16]),
    /// A byte each; any but 0 is true.
    Bool(&'a [u8]),
}

impl Elements<'_> {
    fn len(&self) -> usize {
        match self {
            Elements::F32(all) => all.len(),
            Elements::F64(all) => all.len(),
            Elements::I32(all) => all.len(),
            Elements::I64(all) => all.len(),
            Elements::F16(all) => all.len(),
            Elements::BF16(all) => all.len(),
            Elements::U8(all) | Elements::Bool(all) => all.len(),
        }
    }
}

/// Keeps [`RowElement`] to the types that [`Elements`] lists.
pub trait Sealed: Sized {
    /// `slice` with its type as a value.
    fn elements(slice: &[Self]) -> Elements<'_>;
}

/// Types that arrays may have: those of buffers, and `f64`, `i64` and `bool`, which become the dtype of the batch.
pub trait RowElement: Sealed {}

macro_rules! row_elements {
    ($($type:ty => $variant:ident),*) => {$(
        impl Sealed for $type {
            fn elements(slice: &[Self]) -> Elements<'_> {
                Elements::$variant(slice)
            }
        }
        impl RowElement for $type {}
    )*};
}

row_elements!(f32 => F32, f64 => F64, i32 => I32, i64 => I64, u8 => U8, f16 => F16, bf16 => BF16);

impl Sealed for bool {
    fn elements(slice: &[Self]) -> Elements<'_> {
        // SAFETY: a bool is one byte that holds 0 or 1, and may be read as such.
        Elements::Bool(unsafe { std::slice::from_raw_parts(slice.as_ptr().cast(), slice.len()) })
    }
}

impl RowElement for bool {}

/// An array that [`CompiledFunction::run_batches`](super::CompiledFunction::run_batches) takes rows from. It
/// borrows the elements.
///
/// ```
/// use cnnrs::Rows;
/// let pixels = [0u8, 1, 2, 3, 4, 5];
/// assert_eq!(Rows::from_slice(&[3, 2], &pixels)?.count(), 3);
/// assert!(Rows::from_slice(&[4, 2], &pixels).is_err());
/// # Ok::<(), cnnrs::Error>(())
/// ```
#[derive(Clone)]
pub struct Rows<'a> {
    elements: Elements<'a>,
    shape: SmallVec<[usize; 4]>,
    /// Elements of one row.
    len: usize,
}

impl<'a> Rows<'a> {
    /// The rows of an array of `shape`, whose first axis counts them and whose elements lie row-major.
    ///
    /// # Errors
    /// When the number of elements does not fit the shape, or the shape has no axis.
    pub fn from_slice<T: RowElement>(shape: &[usize], elements: &'a [T]) -> Result<Self> {
        Self::new(shape, T::elements(elements))
    }

    /// As [`Rows::from_slice`].
    pub(crate) fn new(shape: &[usize], elements: Elements<'a>) -> Result<Self> {
        let size = |axes: &[usize]| axes.iter().try_fold(1usize, |size, &extent| size.checked_mul(extent));
        let row = shape.get(1..).and_then(size);
        match row {
            Some(len) if size(shape) == Some(elements.len()) => Ok(Rows { elements, shape: shape.into(), len }),
            _ => Err(Error::value(format!(
                "rows: expected an axis of rows, and as many elements as shape {shape:?} has, received {}",
                elements.len()
            ))),
        }
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.shape[0]
    }

    /// Checks that `batch_size` rows make a batch of `fact`. Axes of extent 1 are the batch's own affair.
    pub(super) fn check(&self, fact: &Fact, batch_size: usize) -> Result<()> {
        if fact.shape.first() != Some(&batch_size) || self.len * batch_size != fact.shape.len() {
            return Err(Error::value(format!(
                "array: expected rows for {fact} of {batch_size}, received shape {:?}",
                self.shape
            )));
        }
        Ok(())
    }

    /// Writes row `picked` to row `i` of the batch.
    ///
    /// # Safety
    /// The batch has a row `i` of as many elements as rows here, and nobody else reads or writes it.
    unsafe fn copy_row(&self, picked: i64, i: usize, batch: Batch) -> Result<()> {
        let row = usize::try_from(picked)
            .ok()
            .filter(|&row| row < self.count())
            .ok_or_else(|| Error::value(format!("indices: expected rows of 0..{}, received {picked}", self.count())))?;
        let at = row * self.len..(row + 1) * self.len;
        // SAFETY: the caller's contract; each arm asks for the batch's own element type.
        unsafe {
            match (self.elements, batch.dtype) {
                (Elements::F32(from), DType::F32) => batch.row(i, self.len).copy_from_slice(&from[at]),
                (Elements::I32(from), DType::I32) => batch.row(i, self.len).copy_from_slice(&from[at]),
                (Elements::U8(from) | Elements::Bool(from), DType::U8) | (Elements::Bool(from), DType::Bool) => {
                    batch.row(i, self.len).copy_from_slice(&from[at]);
                }
                (Elements::F16(from), DType::F16) => batch.row(i, self.len).copy_from_slice(&from[at]),
                (Elements::BF16(from), DType::BF16) => batch.row(i, self.len).copy_from_slice(&from[at]),
                (Elements::F16(from), _) => batch.convert(i, &from[at], row, f64::from)?,
                (Elements::BF16(from), _) => batch.convert(i, &from[at], row, f64::from)?,
                (Elements::F32(from), _) => batch.convert(i, &from[at], row, f64::from)?,
                (Elements::F64(from), _) => batch.convert(i, &from[at], row, |value| value)?,
                (Elements::I32(from), _) => batch.convert(i, &from[at], row, f64::from)?,
                (Elements::I64(from), _) => batch.convert(i, &from[at], row, |value| value as f64)?,
                (Elements::U8(from) | Elements::Bool(from), _) => batch.convert(i, &from[at], row, f64::from)?,
            }
        }
        Ok(())
    }
}

/// A batch that threads write row by row.
#[derive(Clone, Copy)]
struct Batch {
    data: *mut u8,
    dtype: DType,
}

// SAFETY: threads write different rows.
unsafe impl Send for Batch {}
// SAFETY: as above.
unsafe impl Sync for Batch {}

impl Batch {
    /// Row `i` of `len` elements.
    ///
    /// # Safety
    /// The batch is of this element type (of bytes, if it is of booleans) and has that row, which nobody else reads
    /// or writes while it is borrowed.
    unsafe fn row<'b, T: Element>(self, i: usize, len: usize) -> &'b mut [T] {
        // SAFETY: the caller's contract; buffers are aligned for every element type.
        unsafe { std::slice::from_raw_parts_mut(self.data.cast::<T>().add(i * len), len) }
    }

    /// Converts `from`, the array's row `row`, to row `i`.
    ///
    /// # Safety
    /// The batch has a row `i` of as many elements, and nobody else reads or writes it.
    unsafe fn convert<T: Copy>(self, i: usize, from: &[T], row: usize, number: impl Fn(T) -> f64) -> Result<()> {
        // SAFETY: the caller's contract; each arm asks for the batch's own element type.
        unsafe {
            match self.dtype {
                DType::F32 => {
                    for (to, &value) in self.row::<f32>(i, from.len()).iter_mut().zip(from) {
                        *to = number(value) as f32;
                    }
                }
                DType::I32 => {
                    for (to, &value) in self.row::<i32>(i, from.len()).iter_mut().zip(from) {
                        let value = number(value);
                        if value < f64::from(i32::MIN) || value > f64::from(i32::MAX) {
                            return Err(Error::value(format!(
                                "row {row}: expected a value within int32, received {value}"
                            )));
                        }
                        *to = DType::I32.round(value) as i32;
                    }
                }
                DType::U8 => {
                    for (to, &value) in self.row::<u8>(i, from.len()).iter_mut().zip(from) {
                        *to = DType::U8.round(number(value)) as u8;
                    }
                }
                DType::F16 => {
                    for (to, &value) in self.row::<f16>(i, from.len()).iter_mut().zip(from) {
                        *to = f16::from_f64(number(value));
                    }
                }
                DType::BF16 => {
                    for (to, &value) in self.row::<bf16>(i, from.len()).iter_mut().zip(from) {
                        *to = bf16::from_f64(number(value));
                    }
                }
                DType::Bool => {
                    for (to, &value) in self.row::<u8>(i, from.len()).iter_mut().zip(from) {
                        *to = u8::from(number(value) != 0.0);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Writes the rows `picked` of each array to its batch, several threads at once: each then has in its cache what
/// it works on first. The arrays have been [checked](Rows::check) against the batches.
///
/// # Errors
/// The first in the order of `picked`: a row that an array lacks, or a number that the batch cannot hold.
pub(super) fn gather(arrays: &[Rows<'_>], picked: &[i64], batches: &mut [Arc<Value>]) -> Result<()> {
    let mut bytes = 1;
    let mut targets = Vec::with_capacity(batches.len());
    for value in batches {
        if Arc::get_mut(value).is_none() {
            *value = Arc::new(Buffer::zeroed(value.fact().clone())?.into());
        }
        let buffer = Arc::get_mut(value).and_then(Value::host_mut);
        let buffer = buffer.ok_or_else(|| Error::state("a fresh buffer is shared"))?;
        bytes += buffer.fact().bytes();
        targets.push(Batch { data: buffer.as_mut_ptr(), dtype: buffer.fact().dtype });
    }
    let failed = Mutex::new(None);
    let chunks = bytes.div_ceil(GATHERED).clamp(1, picked.len().max(1));
    let gather_chunk = |rows: Range<usize>| {
        for i in rows {
            for (array, &batch) in arrays.iter().zip(&targets) {
                // SAFETY: the batches' facts were checked against the arrays; each row is one chunk's.
                if let Err(e) = unsafe { array.copy_row(picked[i], i, batch) } {
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    if failed.as_ref().is_none_or(|(first, _)| i < *first) {
                        *failed = Some((i, e));
                    }
                    return;
                }
            }
        }
    };
    pool::each(chunks, &|chunk| gather_chunk(split(picked.len(), chunks, chunk)))?;
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, e)) => Err(e),
        None => Ok(()),
    }
}
