//! Memory of the device: taken from a pool of what was used before, and given back to it.

use super::device::{ALIGNMENT, Device, locked};
use super::settings::MEMORY_VARIABLE;
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Idle bytes that the pool keeps even where no more are in use.
const KEPT: u64 = 256 << 20;

/// A piece of the device's memory.
pub struct Memory {
    device: Arc<Device>,
    piece: Piece,
}

/// A buffer with what it is known by.
#[derive(Clone)]
pub(super) struct Piece {
    /// Unlike all others of this process.
    pub id: u64,
    pub bytes: u64,
    pub buffer: wgpu::Buffer,
    /// Counted as long as one copy of this lives.
    _counted: Arc<Counted>,
}

/// Bytes that are allocated.
struct Counted {
    bytes: u64,
    all: Arc<AtomicU64>,
}

impl Counted {
    /// Counts `bytes` more, if all then do not exceed what `device` may use.
    fn new(device: &Device, bytes: u64) -> Result<Self> {
        let (all, limit) = (device.allocated.clone(), device.memory_limit.load(Ordering::Relaxed));
        let before = all.fetch_add(bytes, Ordering::Relaxed);
        let counted = Counted { bytes, all };
        if before.saturating_add(bytes) <= limit {
            return Ok(counted);
        }
        Err(Error::memory(format!(
            "device \"{}\": {bytes} bytes are asked for beside {before} that are in use, and {MEMORY_VARIABLE} allows \
             {limit}; smaller batches need less",
            device.name
        )))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Piece {
    /// # Errors
    /// `Memory` when the device has too little.
    pub fn new(device: &Device, bytes: u64, usage: wgpu::BufferUsages) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let counted = Arc::new(Counted::new(device, bytes)?);
        let buffer = device.allocate(bytes as usize, usage)?;
        Ok(Piece { id: NEXT.fetch_add(1, Ordering::Relaxed), bytes, buffer, _counted: counted })
    }
}

/// What all memory of tensors may be used for.
pub(super) const TENSOR: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);
/// What memory may be used for that results are read through.
const READ: wgpu::BufferUsages = wgpu::BufferUsages::MAP_READ.union(wgpu::BufferUsages::COPY_DST);

/// The bytes that are allocated for `bytes`: alike for sizes that differ little, so that pieces fit again.
fn size_class(bytes: usize) -> u64 {
    let bytes = bytes.max(4) as u64;
    bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(ALIGNMENT as u64))
}

impl Memory {
    /// At least `bytes` bytes with arbitrary contents.
    ///
    /// # Errors
    /// `Memory` when the device has too little.
    pub fn new(device: &Arc<Device>, bytes: usize) -> Result<Self> {
        Self::with_usage(device, bytes, TENSOR)
    }

    /// As [`Memory::new`]; the host can read it once it is mapped.
    pub(super) fn for_reading(device: &Arc<Device>, bytes: usize) -> Result<Self> {
        Self::with_usage(device, bytes, READ)
    }

    fn with_usage(device: &Arc<Device>, bytes: usize, usage: wgpu::BufferUsages) -> Result<Self> {
        let class = size_class(bytes);
        let idle = locked(&device.pool).take(class, usage);
        let piece = match idle {
            Some(piece) => piece,
            None => Piece::new(device, class, usage).or_else(|error| {
                // What others have given back may make room.
                if locked(&device.pool).clear() == 0 { Err(error) } else { Piece::new(device, class, usage) }
            })?,
        };
        locked(&device.pool).used += class;
        Ok(Memory { device: device.clone(), piece })
    }

    pub(super) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    pub(super) fn buffer(&self) -> &wgpu::Buffer {
        &self.piece.buffer
    }

    pub(super) fn piece(&self) -> &Piece {
        &self.piece
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.device.is_foreign() {
            // In a forked child another thread's lock may stay locked for ever.
            std::mem::forget(self.piece.clone());
            return;
        }
        let mut pool = locked(&self.device.pool);
        pool.used -= self.piece.bytes;
        // Work that is under way on it comes first on the device, whatever it is used for next.
        let dropped = if self.device.is_lost() { None } else { Some(pool.give(self.piece.clone())) };
        drop(pool);
        drop(dropped);
    }
}

/// Memory that nobody uses now.
#[derive(Default)]
pub(super) struct Pool {
    idle: VecDeque<Piece>,
    bytes: u64,
    /// Bytes that are in use.
    used: u64,
}

impl Pool {
    fn take(&mut self, bytes: u64, usage: wgpu::BufferUsages) -> Option<Piece> {
        // The one that was used last: what is bound to it is likely to stand still.
        let at = self.idle.iter().rposition(|piece| piece.bytes == bytes && piece.buffer.usage() == usage)?;
        self.bytes -= bytes;
        self.idle.remove(at)
    }

    /// Returns what exceeds the bound, longest idle first.
    fn give(&mut self, piece: Piece) -> Vec<Piece> {
        self.bytes += piece.bytes;
        self.idle.push_back(piece);
        let mut exceeding = Vec::new();
        while self.bytes > KEPT.max(self.used) {
            let Some(oldest) = self.idle.pop_front() else { break };
            self.bytes -= oldest.bytes;
            exceeding.push(oldest);
        }
        exceeding
    }

    /// Lets go of everything; returns how many bytes that was.
    pub fn clear(&mut self) -> u64 {
        self.idle.clear();
        std::mem::take(&mut self.bytes)
    }

    /// Bytes that nobody uses.
    pub fn idle_bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of tensors in use.
    pub fn used_bytes(&self) -> u64 {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_waste_little() {
        for bytes in [1usize, 4, 255, 256, 257, 4097, 1 << 20, (1 << 20) + 1, 9_437_184, 150_000_001] {
            let class = size_class(bytes);
            assert!(class >= bytes as u64 && class.is_multiple_of(ALIGNMENT as u64), "{bytes}: {class}");
            assert!(class - bytes as u64 <= (bytes as u64 / 8).max(ALIGNMENT as u64), "{bytes}: {class}");
        }
    }
}
