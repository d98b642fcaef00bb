//! Rows of arrays, gathered into batches and converted on the way.

use crate::backend::cpu::exec::pool;
use crate::backend::cpu::kernels::chunked::split;
use crate::buffer::{Buffer, Element, with_element};
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

macro_rules! row_elements {
    ($($type:ty => $variant:ident),*) => {
        /// The elements of an array, row-major.
        #[derive(Clone, Copy)]
        pub enum Elements<'a> {
            $($variant(&'a [$type]),)*
            /// A byte each; any but 0 is true.
            Bool(&'a [u8]),
        }

        $(impl Sealed for $type {
            fn elements(slice: &[Self]) -> Elements<'_> {
                Elements::$variant(slice)
            }
        }

        impl RowElement for $type {})*

        /// Evaluates an expression in which the given name is the elements, as a slice of their type.
        macro_rules! with_elements {
            ($elements:expr, $from:ident => $body:expr) => {
                match $elements {
                    $(Elements::$variant($from) => $body,)*
                    Elements::Bool($from) => $body,
                }
            };
        }
    };
}

/// Keeps [`RowElement`] to the types that [`Elements`] lists.
pub trait Sealed: Sized {
    /// `slice` with its type as a value.
    fn elements(slice: &[Self]) -> Elements<'_>;
}

/// Types that arrays may have: those of buffers, and `bool`. They become the dtype of the batch.
pub trait RowElement: Sealed {}

row_elements!(f32 => F32, f64 => F64, f16 => F16, bf16 => BF16, i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64);

impl Elements<'_> {
    fn len(&self) -> usize {
        with_elements!(self, all => all.len())
    }
}

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
        // SAFETY: the caller's contract.
        unsafe { with_elements!(self.elements, from => batch.write(i, &from[at], row)) }
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

    /// Writes `from`, the array's row `row`, to row `i`, converted if need be.
    ///
    /// # Errors
    /// When an integer of 32 bits or more cannot hold a number; smaller ones wrap around.
    ///
    /// # Safety
    /// The batch has a row `i` of as many elements, and nobody else reads or writes it.
    unsafe fn write<A: Element>(self, i: usize, from: &[A], row: usize) -> Result<()> {
        let own = self.dtype;
        let bounds = own.range().filter(|_| own.is_integer() && own.size() >= 4 && !own.holds(A::DTYPE));
        let outside = |value: f64| Error::value(format!("row {row}: expected a value within {own}, received {value}"));
        with_element!(own, T => {
            // SAFETY: the caller's contract, and the batch's own element type.
            let to = unsafe { self.row::<T>(i, from.len()) };
            let pairs = to.iter_mut().zip(from);
            if own == DType::Bool {
                pairs.for_each(|(to, &value)| *to = T::of_integer((value.number() != 0.0).into()));
            } else if own == A::DTYPE {
                // SAFETY: both are the type of `own`, and rows of arrays lie outside of batches.
                unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from.as_ptr().cast(), from.len()) };
            } else if A::DTYPE.is_integer() && own.is_integer() {
                for (to, &value) in pairs {
                    let value = value.integer();
                    if bounds.is_some_and(|(least, greatest)| value < least || value > greatest) {
                        return Err(outside(value as f64));
                    }
                    *to = T::of_integer(value);
                }
            } else {
                let bounds = bounds.map(|(least, greatest)| (least as f64, greatest as f64));
                for (to, &value) in pairs {
                    let value = value.number();
                    if bounds.is_some_and(|(least, greatest)| value < least || value > greatest) {
                        return Err(outside(value));
                    }
                    *to = T::of_number(value);
                }
            }
        });
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
