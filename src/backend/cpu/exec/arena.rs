//! Arenas: memory for intermediates, lent for one run and kept for the next.

use crate::buffer::{Buffer, HUGE_PAGE};
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Fact;
use std::sync::{Mutex, PoisonError};

/// Arenas kept when no run uses them. There are no more than there were runs at once, since a larger one takes the
/// place of one that is too small.
const KEPT: usize = 4;

static IDLE: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

/// An arena lent for one run; it goes back when dropped.
pub struct Lent(Option<Buffer>);

impl Lent {
    /// First byte, aligned to 64 bytes.
    pub fn as_ptr(&self) -> *mut u8 {
        self.0.as_ref().map_or(std::ptr::null_mut(), |b| b.as_ptr().cast_mut())
    }
}

/// Lends the smallest idle arena of at least `bytes`, or a fresh one: of whole huge pages, if it is large enough for
/// them to spare it TLB misses.
///
/// # Errors
/// `Memory` when the system has no such memory.
pub fn lend(bytes: usize) -> Result<Lent> {
    let bytes = if bytes >= HUGE_PAGE / 2 { bytes.next_multiple_of(HUGE_PAGE) } else { bytes };
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = (0..idle.len()).filter(|&i| idle[i].fact().bytes() >= bytes).min_by_key(|&i| idle[i].fact().bytes());
    if let Some(i) = fits {
        return Ok(Lent(Some(idle.swap_remove(i))));
    }
    let largest = (0..idle.len()).max_by_key(|&i| idle[i].fact().bytes());
    let too_small = largest.map(|i| idle.swap_remove(i));
    drop(idle);
    drop(too_small);
    Ok(Lent(Some(Buffer::uninit(Fact::checked([bytes], DType::U8)?)?)))
}

/// The lock of the idle arenas, for a fork.
pub(crate) fn lock() -> Box<dyn std::any::Any> {
    Box::new(IDLE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Bytes of the arenas that no run uses.
pub fn idle_bytes() -> usize {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|b| b.fact().bytes()).sum()
}

/// Gives idle arenas back to the system.
pub fn release_memory() {
    let idle = std::mem::take(&mut *IDLE.lock().unwrap_or_else(PoisonError::into_inner));
    drop(idle);
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(buffer) = self.0.take() else { return };
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(buffer);
        if idle.len() > KEPT {
            let smallest = (0..idle.len()).min_by_key(|&i| idle[i].fact().bytes());
            let dropped = smallest.map(|i| idle.swap_remove(i));
            drop(idle);
            drop(dropped);
        }
    }
}
