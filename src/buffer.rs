//! Owned, 64-byte aligned memory of one tensor.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Fact;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;

/// Alignment of every buffer and arena slot: one cache line, one AVX-512 vector.
pub const ALIGNMENT: usize = 64;
/// A huge page of x86-64 and of AArch64 with 4 KiB pages. Memory of one or more begins on one, and the
/// system is asked for such pages: kernels that walk many planes at once miss the TLB less.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Owned memory for the elements of one tensor, row-major, aligned to 64 bytes.
pub struct Buffer {
    ptr: NonNull<u8>,
    layout: Layout,
    fact: Fact,
}

// SAFETY: the memory is owned and has no interior mutability.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Buffer {}

/// Element types that buffers hold.
pub trait Element: Copy + Send + Sync + 'static {
    /// The dtype of this type.
    const DTYPE: DType;
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
}
impl Element for i32 {
    const DTYPE: DType = DType::I32;
}
impl Element for u8 {
    const DTYPE: DType = DType::U8;
}
impl Element for half::f16 {
    const DTYPE: DType = DType::F16;
}
impl Element for half::bf16 {
    const DTYPE: DType = DType::BF16;
}

impl Buffer {
    fn layout(fact: &Fact) -> Result<Layout> {
        let checked = Fact::checked(fact.shape.clone(), fact.dtype)?;
        let bytes = checked.bytes().max(1);
        let alignment = if bytes >= HUGE_PAGE { HUGE_PAGE } else { ALIGNMENT };
        Layout::from_size_align(bytes, alignment)
            .map_err(|_| Error::memory(format!("a tensor {fact} exceeds the address space")))
    }

    fn from_raw(ptr: *mut u8, layout: Layout, fact: Fact) -> Result<Self> {
        match NonNull::new(ptr) {
            Some(ptr) => {
                #[cfg(target_os = "linux")]
                if layout.align() == HUGE_PAGE {
                    // Advice only: where it is refused, ordinary pages do.
                    // SAFETY: the range is owned, begins on a page, and keeps its contents.
                    unsafe { libc::madvise(ptr.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE) };
                }
                Ok(Buffer { ptr, layout, fact })
            }
            None => Err(Error::memory(format!("no memory for a tensor {fact} of {} bytes", layout.size()))),
        }
    }

    /// A buffer of zeros.
    ///
    /// # Errors
    /// `ErrorKind::Memory` when the system has no such memory.
    pub fn zeroed(fact: Fact) -> Result<Self> {
        let layout = Self::layout(&fact)?;
        // SAFETY: the layout has a size of at least 1.
        Self::from_raw(unsafe { System.alloc_zeroed(layout) }, layout, fact)
    }

    /// A buffer whose contents are arbitrary bytes; only kernels that write all of it take it.
    pub(crate) fn uninit(fact: Fact) -> Result<Self> {
        let layout = Self::layout(&fact)?;
        // SAFETY: the layout has a size of at least 1.
        Self::from_raw(unsafe { System.alloc(layout) }, layout, fact)
    }

    /// A copy of `elements` under `shape`.
    ///
    /// # Errors
    /// When the number of elements does not fit the shape.
    pub fn from_slice<T: Element>(shape: &[usize], elements: &[T]) -> Result<Self> {
        let fact = Fact::checked(shape, T::DTYPE)?;
        if fact.shape.len() != elements.len() {
            return Err(Error::value(format!(
                "elements: expected {} for shape {}, received {}",
                fact.shape.len(),
                fact.shape,
                elements.len()
            )));
        }
        let buffer = Self::uninit(fact)?;
        // SAFETY: both regions hold `elements.len()` elements and do not overlap.
        unsafe { buffer.ptr.as_ptr().cast::<T>().copy_from_nonoverlapping(elements.as_ptr(), elements.len()) };
        Ok(buffer)
    }

    /// Shape and dtype.
    pub fn fact(&self) -> &Fact {
        &self.fact
    }

    /// The same memory under another fact of the same size in bytes.
    pub(crate) fn with_fact(mut self, fact: Fact) -> Self {
        debug_assert_eq!(self.fact.bytes(), fact.bytes());
        self.fact = fact;
        self
    }

    /// First byte.
    pub fn as_ptr(&self) -> *const u8 {
        self.ptr.as_ptr()
    }

    /// First byte, for writing.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the memory is owned and `fact.bytes()` long.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.fact.bytes()) }
    }

    /// The elements.
    ///
    /// # Panics
    /// When `T` is not the buffer's element type (bool reads as u8).
    pub fn as_slice<T: Element>(&self) -> &[T] {
        let bool_as_u8 = self.fact.dtype == DType::Bool && T::DTYPE == DType::U8;
        assert!(self.fact.dtype == T::DTYPE || bool_as_u8, "a {} buffer read as {}", self.fact.dtype, T::DTYPE);
        // SAFETY: aligned, owned, and that many elements of this type long.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), self.fact.shape.len()) }
    }

    /// The elements, for writing.
    ///
    /// # Panics
    /// When `T` is not the buffer's element type.
    pub fn as_mut_slice<T: Element>(&mut self) -> &mut [T] {
        assert!(self.fact.dtype == T::DTYPE, "a {} buffer written as {}", self.fact.dtype, T::DTYPE);
        // SAFETY: aligned, owned, and that many elements of this type long.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), self.fact.shape.len()) }
    }

    /// Element `at` as a number.
    ///
    /// # Panics
    /// When there is no such element.
    pub fn number(&self, at: usize) -> f64 {
        match self.fact.dtype {
            DType::F32 => f64::from(self.as_slice::<f32>()[at]),
            DType::I32 => f64::from(self.as_slice::<i32>()[at]),
            DType::U8 | DType::Bool => f64::from(self.as_slice::<u8>()[at]),
            DType::F16 => f64::from(self.as_slice::<half::f16>()[at]),
            DType::BF16 => f64::from(self.as_slice::<half::bf16>()[at]),
        }
    }

    /// Whether an element is NaN.
    pub fn has_nan(&self) -> bool {
        match self.fact.dtype {
            DType::F32 => self.as_slice::<f32>().iter().any(|x| x.is_nan()),
            _ => self.fact.dtype.is_float() && (0..self.fact.shape.len()).any(|at| self.number(at).is_nan()),
        }
    }

    /// A copy in fresh memory.
    pub fn try_clone(&self) -> Result<Self> {
        let copy = Self::uninit(self.fact.clone())?;
        // SAFETY: both hold `fact.bytes()` bytes and do not overlap.
        unsafe { copy.ptr.as_ptr().copy_from_nonoverlapping(self.as_ptr(), self.fact.bytes()) };
        Ok(copy)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { System.dealloc(self.ptr.as_ptr(), self.layout) }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({})", self.fact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_hold_their_elements() {
        let b = Buffer::from_slice(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(b.as_ptr() as usize % ALIGNMENT, 0);
        assert_eq!(b.as_slice::<f32>(), &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(b.try_clone().unwrap().as_slice::<f32>(), b.as_slice::<f32>());
        assert!(Buffer::from_slice(&[3], &[1i32]).is_err());
    }

    #[test]
    fn memory_that_does_not_exist_is_an_error() {
        let e = Buffer::zeroed(Fact::new([1 << 30, 1 << 20], DType::F32)).unwrap_err();
        assert_eq!(e.kind, crate::error::ErrorKind::Memory);
    }
}
