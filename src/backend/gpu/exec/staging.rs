//! The way up: mapped memory that the host writes and the device copies from, used in turns.

use crate::backend::gpu::device::Device;
use crate::error::{ErrorKind, Result};
use std::sync::mpsc;

/// Bytes that are kept for the next uploads.
const KEPT: u64 = 256 << 20;
/// The least bytes of a buffer.
const LEAST: u64 = 4 << 10;

struct Chunk {
    buffer: wgpu::Buffer,
    bytes: u64,
    /// Whether it is one of those that are kept.
    kept: bool,
}

/// Buffers for uploads. A run writes to some, which come back when the device has copied from them.
pub(super) struct Staging {
    free: Vec<Chunk>,
    used: Vec<Chunk>,
    /// Bytes of all that are kept.
    bytes: u64,
    say: mpsc::Sender<Option<Chunk>>,
    hear: mpsc::Receiver<Option<Chunk>>,
}

impl Default for Staging {
    fn default() -> Self {
        let (say, hear) = mpsc::channel();
        Staging { free: Vec::new(), used: Vec::new(), bytes: 0, say, hear }
    }
}

impl Staging {
    /// Has `encoder` copy `bytes` to the begin of `target`, whose last word is whole.
    ///
    /// # Errors
    /// `Memory` when there is none to copy from.
    pub fn write(
        &mut self,
        device: &Device,
        encoder: &mut wgpu::CommandEncoder,
        target: &wgpu::Buffer,
        bytes: &[u8],
    ) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let words = (bytes.len() as u64).next_multiple_of(4);
        let chunk = self.take(device, words)?;
        {
            let mapped = chunk.buffer.get_mapped_range_mut(..words);
            let mut mapped = mapped
                .map_err(|e| device.failure(ErrorKind::State, format_args!("staging memory can't be written: {e}")))?;
            mapped.slice(..bytes.len()).copy_from_slice(bytes);
            mapped.slice(bytes.len()..).copy_from_slice(&[0; 4][..words as usize - bytes.len()]);
        }
        chunk.buffer.unmap();
        encoder.copy_buffer_to_buffer(&chunk.buffer, 0, target, 0, words);
        self.used.push(chunk);
        Ok(())
    }

    fn take(&mut self, device: &Device, words: u64) -> Result<Chunk> {
        while let Ok(back) = self.hear.try_recv() {
            self.free.extend(back);
        }
        let class = words.next_power_of_two().max(LEAST);
        if let Some(at) = self.free.iter().position(|chunk| chunk.bytes == class) {
            return Ok(self.free.swap_remove(at));
        }
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let buffer = device.allocate_mapped(class as usize, usage)?;
        Ok(Chunk { buffer, bytes: class, kept: false })
    }

    /// Asks for what was written back as soon as the device, which has been given the encoder's work, has copied from it.
    pub fn submitted(&mut self) {
        for mut chunk in self.used.drain(..) {
            if !chunk.kept {
                if self.bytes + chunk.bytes > KEPT {
                    // wgpu keeps it until the copy is done.
                    continue;
                }
                chunk.kept = true;
                self.bytes += chunk.bytes;
            }
            let say = self.say.clone();
            let buffer = chunk.buffer.clone();
            buffer.map_async(wgpu::MapMode::Write, .., move |mapped| {
                // Nobody hears it once memory was released.
                let _ = say.send(mapped.is_ok().then_some(chunk));
            });
        }
    }
}
