//! Owned, 64-byte aligned memory of one tensor.

use crate::dtype::{DType, nearest_bf16, nearest_f16};
use crate::error::{Error, Result};
use crate::shape::Fact;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;

/// Alignment of every buffer and arena slot: one cache line, one AVX-512 vector.
pub const ALIGNMENT: usize = 64;
/// A huge page of x86-64 and of AArch64 with 4 KiB pages. Memory of one or more begins on one, and the
/// system is asked for such pages: kernels that walk many planes at once miss the TLB less.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Owned memory for the elements of one tensor, row-major, aligned to 64 bytes; or memory of somebody else that is read
/// for one run, aligned as its elements.
pub struct Buffer {
    ptr: NonNull<u8>,
    memory: Memory,
    fact: Fact,
}

/// Whose memory it is.
enum Memory {
    /// The buffer's own, allocated by this layout.
    Own(Layout),
    /// Somebody else's. Boxed twice: values are moved about, and stay as small as they are without.
    #[cfg(feature = "python")]
    Borrowed { _owner: Box<Owner> },
}

/// What keeps memory alive that somebody else owns.
#[cfg(feature = "python")]
pub(crate) type Owner = Box<dyn Send + Sync>;

// SAFETY: the memory is owned, or kept alive and only read, and has no interior mutability.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Buffer {}

/// Element types that buffers hold.
pub trait Element: Copy + PartialOrd + Send + Sync + 'static {
    /// The dtype of this type.
    const DTYPE: DType;

    /// The element as a number; integers beyond 2^53 are rounded.
    fn number(self) -> f64;

    /// The element of an integer type as an integer; floats are truncated.
    fn integer(self) -> i128;

    /// A number as [`DType::round`] says.
    fn of_number(value: f64) -> Self;

    /// An integer as [`DType::wrap`] says; floats round it.
    fn of_integer(value: i128) -> Self;
}

macro_rules! elements {
    (integers $($type:ty => $dtype:ident),*) => {$(
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;
            #[inline(always)]
            fn number(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn integer(self) -> i128 {
                i128::from(self)
            }
            #[inline(always)]
            fn of_number(value: f64) -> Self {
                DType::$dtype.truncate(value) as $type
            }
            #[inline(always)]
            fn of_integer(value: i128) -> Self {
                value as $type
            }
        }
    )*};
    (floats $($type:ty => $dtype:ident, $of:expr, $of_integer:expr);*) => {$(
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;
            #[inline(always)]
            fn number(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn integer(self) -> i128 {
                f64::from(self) as i128
            }
            #[inline(always)]
            fn of_number(value: f64) -> Self {
                ($of)(value)
            }
            #[inline(always)]
            fn of_integer(value: i128) -> Self {
                ($of_integer)(value)
            }
        }
    )*};
}

elements!(integers i8 => I8, i16 => I16, i32 => I32, i64 => I64, u8 => U8, u16 => U16, u32 => U32, u64 => U64);
elements!(floats f32 => F32, |v| v as f32, |v| v as f32; f64 => F64, |v| v, |v| v as f64;
    half::f16 => F16, nearest_f16, |v| nearest_f16(v as f64);
    half::bf16 => BF16, nearest_bf16, |v| nearest_bf16(v as f64));

/// Evaluates an expression in which the given name is the element type of a dtype. Booleans are bytes.
macro_rules! with_element {
    ($dtype:expr, $element:ident => $body:expr) => {
        $crate::buffer::with_element!(@ $dtype, $element, $body, F32 f32, F64 f64, F16 half::f16, BF16 half::bf16,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, Bool u8)
    };
    (@ $dtype:expr, $element:ident, $body:expr, $($row:ident $type:ty),*) => {
        match $dtype {
            $($crate::dtype::DType::$row => {
                type $element = $type;
                $body
            })*
        }
    };
}
pub(crate) use with_element;

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
                Ok(Buffer { ptr, memory: Memory::Own(layout), fact })
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

    /// Elements that lie in somebody else's memory, which `owner` keeps alive. Nobody writes to them through the buffer.
    ///
    /// # Safety
    /// `elements` has the fact's elements, aligned as their type, until `owner` is dropped.
    #[cfg(feature = "python")]
    pub(crate) unsafe fn borrowed(elements: NonNull<u8>, fact: Fact, owner: Owner) -> Self {
        Buffer { ptr: elements, memory: Memory::Borrowed { _owner: Box::new(owner) }, fact }
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
        assert!(matches!(self.memory, Memory::Own(_)), "memory of somebody else is not written to");
        self.ptr.as_ptr()
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the memory is owned and `fact.bytes()` long.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.fact.bytes()) }
    }

    /// All bytes, for writing elements of the buffer's type.
    #[cfg(feature = "python")]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.fact.bytes()) }
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
        with_element!(self.fact.dtype, T => self.as_slice::<T>()[at].number())
    }

    /// Element `at` of integers, exactly.
    ///
    /// # Panics
    /// When there is no such element.
    pub fn integer(&self, at: usize) -> i128 {
        with_element!(self.fact.dtype, T => self.as_slice::<T>()[at].integer())
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
        match self.memory {
            // SAFETY: allocated with this layout.
            Memory::Own(layout) => unsafe { System.dealloc(self.ptr.as_ptr(), layout) },
            #[cfg(feature = "python")]
            Memory::Borrowed { .. } => {}
        }
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
