//! Memory for the moment when the system has none left.
//!
//! A small allocation cannot fail in Rust: it ends the process. What grows with sizes of the user's is therefore
//! asked for in ways that can fail ([`Buffer`](crate::Buffer), [`room`]). For the many small allocations of recording,
//! passes and lowering there is [`Reserve`]: a global allocator that serves them from a block set aside when the system refuses.
//! [`check`], which stands wherever such work makes another node or step, then ends the work with an error, and
//! what it made goes back to the block. The flag is the process's: of several threads at work, the one that checks
//! next gets the error. The extension module installs it; a Rust program may:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: cnnrs::reserve::Reserve = cnnrs::reserve::Reserve;
//!
//! cnnrs::reserve::set_aside();
//! assert!(cnnrs::reserve::check().is_ok());
//! ```

use crate::error::{Error, Result};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// Bytes of the block: more than work allocates between two checks. Pages of it that were never lent take no memory.
const BYTES: usize = 32 << 20;

/// The alignment of the block; what wants more gets none of it.
const BLOCK_ALIGNMENT: usize = 4096;

/// Bytes of a node with what passes and lowering make of it, roughly.
const BYTES_PER_NODE: usize = 2048;

/// Bytes that the system gives once it has memory again.
const ENOUGH: usize = 4 << 20;

/// Below so many nodes the block has room for all that is made of them.
const FEW_NODES: usize = 4096;

static BLOCK: AtomicPtr<u8> = AtomicPtr::new(null_mut());
/// Where the last range that is out ends, in bytes from the block's beginning (upper half), and how many ranges are out
/// (lower half). Bytes behind that end are free.
static LENT: AtomicU64 = AtomicU64::new(0);
/// Whether something was lent that no [`check`] has reported.
static SHORT: AtomicBool = AtomicBool::new(false);

const LOANS: u64 = u32::MAX as u64;

/// The system's allocator, with a reserve behind it.
pub struct Reserve;

/// Sets the block aside, once for the process, and some stack of the calling thread. Without memory for the block there
/// is no reserve.
pub fn set_aside() {
    touch_stack();
    if BLOCK.load(Ordering::Acquire).is_null() {
        let Ok(layout) = Layout::from_size_align(BYTES, BLOCK_ALIGNMENT) else { return };
        // SAFETY: the layout has a size.
        let block = unsafe { System.alloc(layout) };
        let other = BLOCK.compare_exchange(null_mut(), block, Ordering::AcqRel, Ordering::Acquire).is_err();
        if other && !block.is_null() {
            // SAFETY: made by the same allocator with this layout; another thread was first.
            unsafe { System.dealloc(block, layout) };
        }
    }
}

/// Touches stack of the main thread that later calls need: Linux adds pages of it as they are touched, and ends the
/// process where it has none. Other threads have theirs from the beginning.
#[cfg(target_os = "linux")]
fn touch_stack() {
    #[inline(never)]
    fn touch() {
        std::hint::black_box([0u8; 256 << 10]);
    }

    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: all only ask, and write to the limit alone.
    let (is_main, known) =
        unsafe { (libc::gettid() == libc::getpid(), libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit) == 0) };
    if is_main && known && limit.rlim_cur >= 4 << 20 {
        touch();
    }
}

#[cfg(not(target_os = "linux"))]
fn touch_stack() {}

/// Whether the system still had memory for all that was asked for.
///
/// # Errors
/// `Memory` when something that still lives had to be lent from the reserve.
#[inline]
pub fn check() -> Result<()> {
    if SHORT.load(Ordering::Relaxed) { report() } else { Ok(()) }
}

#[cold]
fn report() -> Result<()> {
    let lent = LENT.load(Ordering::Acquire);
    let error = Error::memory("the process has no memory left");
    // What the message took is no news, nor is what lives on of work that ended.
    SHORT.store(false, Ordering::Relaxed);
    let is_over = lent & LOANS == 0 || ((lent >> 32) as usize <= BYTES / 2 && is_there(ENOUGH));
    if is_over { Ok(()) } else { Err(error) }
}

/// Whether the system gives so many bytes.
fn is_there(bytes: usize) -> bool {
    let Ok(layout) = Layout::from_size_align(bytes.max(1), 1) else { return false };
    // SAFETY: the layout has a size, and what was allocated goes back under the same one.
    unsafe {
        let probe = std::hint::black_box(System.alloc(layout));
        if !probe.is_null() {
            System.dealloc(probe, layout);
        }
        !probe.is_null()
    }
}

/// Whether there is memory for a graph of so many nodes and what is made of it.
///
/// # Errors
/// `Memory` when there is not.
pub fn room(nodes: usize) -> Result<()> {
    check()?;
    if nodes <= FEW_NODES {
        return Ok(());
    }
    let refused = || Error::memory(format!("no memory for a graph of {nodes} nodes"));
    let bytes = nodes.checked_mul(BYTES_PER_NODE).ok_or_else(refused)?;
    if is_there(bytes) { Ok(()) } else { Err(refused()) }
}

/// Whether there is memory for tables of so many bytes that are then made in ways that cannot fail; `what` names them.
///
/// # Errors
/// `Memory` when there is not.
pub fn room_for(bytes: usize, what: impl FnOnce() -> String) -> Result<()> {
    // What is smaller the reserve gives.
    if bytes <= ENOUGH || is_there(bytes) {
        return Ok(());
    }
    Err(Error::memory(format!("no memory for {bytes} bytes of {}", what())))
}

fn is_lent(ptr: *mut u8) -> bool {
    let block = BLOCK.load(Ordering::Relaxed);
    !block.is_null() && ptr.addr().wrapping_sub(block.addr()) < BYTES
}

#[cold]
fn lend(layout: Layout) -> *mut u8 {
    let block = BLOCK.load(Ordering::Acquire);
    if block.is_null() || layout.align() > BLOCK_ALIGNMENT || layout.size() > BYTES {
        return null_mut();
    }
    let mut begin = 0;
    let next = |lent: u64| {
        begin = ((lent >> 32) as usize).next_multiple_of(layout.align());
        let end = begin + layout.size();
        (end <= BYTES).then(|| ((end as u64) << 32) | ((lent & LOANS) + 1))
    };
    if LENT.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_err() {
        return null_mut();
    }
    SHORT.store(true, Ordering::Relaxed);
    block.wrapping_add(begin)
}

/// [`LENT`] after the range `from..to` of the block came back.
fn without(lent: u64, from: usize, to: usize) -> u64 {
    match (lent >> 32, (lent & LOANS) - 1) {
        (_, 0) => 0,
        // The last range can be lent again at once.
        (end, loans) if end == to as u64 => ((from as u64) << 32) | loans,
        (end, loans) => (end << 32) | loans,
    }
}

#[cold]
fn give_back(ptr: *mut u8, bytes: usize) {
    let from = ptr.addr() - BLOCK.load(Ordering::Relaxed).addr();
    let next = |lent: u64| Some(without(lent, from, from + bytes));
    let _ = LENT.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
}

// SAFETY: each allocation is the system's, or a range of the block behind all that are out, so that nobody else has it.
unsafe impl GlobalAlloc for Reserve {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let ptr = unsafe { System.alloc(layout) };
        if ptr.is_null() { lend(layout) } else { ptr }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let ptr = unsafe { System.alloc_zeroed(layout) };
        if !ptr.is_null() {
            return ptr;
        }
        let ptr = lend(layout);
        if !ptr.is_null() {
            // SAFETY: the range is that long.
            unsafe { ptr.write_bytes(0, layout.size()) };
        }
        ptr
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if is_lent(ptr) {
            give_back(ptr, layout.size());
        } else {
            // SAFETY: the caller's promise, of memory that the system gave.
            unsafe { System.dealloc(ptr, layout) };
        }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !is_lent(ptr) {
            // SAFETY: the caller's promise, of memory that the system gave.
            let new = unsafe { System.realloc(ptr, layout, new_size) };
            if !new.is_null() {
                return new;
            }
        }
        // SAFETY: the caller promises a size that fits the alignment; both ranges are as long as what is copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(ptr, layout.size().min(new_size));
                self.dealloc(ptr, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_come_back_are_lent_again() {
        let lent = |end: u64, loans: u64| (end << 32) | loans;
        assert_eq!(without(lent(96, 2), 64, 96), lent(64, 1), "the last range");
        assert_eq!(without(lent(96, 2), 0, 64), lent(96, 1), "a range before others");
        assert_eq!(without(lent(96, 1), 0, 64), 0, "the last loan");
    }
}
