//! What becomes known of the device's work later: results that are read back, and bad data that runs have met.

use super::stream::{stopped, until};
use crate::backend::device::Outcome;
use crate::backend::gpu::device::{ALIGNMENT, Device, locked};
use crate::backend::gpu::lower::candidates::Check;
use crate::backend::gpu::memory::Memory;
use crate::error::{BadData, Error, ErrorKind, Result};
use crate::graph::Origin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

/// Bytes in which a step says that it met bad data: a place, and the integer there.
pub(super) const STATUS_BYTES: usize = 8;

/// A copy on its way to the host.
pub(super) struct Reading {
    memory: Memory,
    bytes: u64,
    submission: wgpu::SubmissionIndex,
    hear: mpsc::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

impl Drop for Reading {
    /// Also where nobody waited for the copy: the memory is used for others.
    fn drop(&mut self) {
        self.memory.buffer().unmap();
    }
}

impl Reading {
    /// Of the first `bytes` bytes of `memory`, which `submission` writes.
    pub fn begin(memory: Memory, bytes: usize, submission: wgpu::SubmissionIndex) -> Self {
        let (say, hear) = mpsc::channel();
        let bytes = (bytes as u64).next_multiple_of(4);
        memory.buffer().map_async(wgpu::MapMode::Read, ..bytes, move |mapped| {
            // Nobody hears it where nobody waits any more.
            let _ = say.send(mapped);
        });
        Reading { memory, bytes, submission, hear }
    }

    /// What `read` makes of the bytes, once they are there.
    ///
    /// # Errors
    /// `Cancelled` when `stop` says so; `Lost` when the device is lost.
    pub fn finish<T>(&self, stop: &dyn Fn() -> bool, read: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let device = self.memory.device();
        let failed =
            |e: &dyn std::fmt::Display| device.failure(ErrorKind::State, format_args!("results can't be read: {e}"));
        loop {
            let done = until(device, &self.submission, stop)?;
            match self.hear.try_recv() {
                Ok(mapped) => {
                    mapped.map_err(|e| failed(&e))?;
                    break;
                }
                Err(mpsc::TryRecvError::Disconnected) => return Err(failed(&"no word of them")),
                // Who waits for the device tells all others: the word may be under way.
                Err(mpsc::TryRecvError::Empty) if done && stop() => return Err(stopped()),
                Err(mpsc::TryRecvError::Empty) => {}
            }
        }
        let view = self.memory.buffer().get_mapped_range(..self.bytes);
        view.map(|view| read(&view)).map_err(|e| failed(&e))
    }
}

/// Copies `bytes` bytes at the begin of `from` to the host and has `read` look at them.
///
/// # Errors
/// As [`Reading::finish`]; `Memory` when there is none to read through.
pub(super) fn read_back<T>(
    device: &Arc<Device>,
    from: &wgpu::Buffer,
    bytes: usize,
    stop: &dyn Fn() -> bool,
    read: impl FnOnce(&[u8]) -> T,
) -> Result<T> {
    let memory = Memory::for_reading(device, bytes)?;
    let words = (bytes as u64).next_multiple_of(4);
    let mut encoder = device.device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(from, 0, memory.buffer(), 0, words);
    let commands = device.guarded("a copy", || encoder.finish())?;
    let submission = device.guarded("a copy", || device.queue.submit([commands]))?;
    Reading::begin(memory, bytes, submission).finish(stop, |all| read(&all[..bytes]))
}

/// A step that reads integers which may be bad.
pub(super) struct CheckedStep {
    pub check: Check,
    pub origin: Origin,
    pub kernel: &'static str,
}

/// How a run that checks integers ends.
pub(super) struct RunOutcome {
    checks: Arc<[CheckedStep]>,
    /// Set where the run met bad data: runs behind it have committed nothing until somebody hears of it.
    failed: Arc<AtomicBool>,
    state: Mutex<State>,
}

enum State {
    Running(Reading),
    Done(Result<()>),
}

impl RunOutcome {
    /// Of a run whose steps' words are on their way.
    pub fn new(checks: Arc<[CheckedStep]>, failed: Arc<AtomicBool>, words: Reading) -> Arc<Self> {
        Arc::new(RunOutcome { checks, failed, state: Mutex::new(State::Running(words)) })
    }

    /// The first step in order that met bad data.
    fn judge(&self, bytes: &[u8]) -> Result<()> {
        for (s, step) in self.checks.iter().enumerate() {
            let word = |at: usize| {
                let at = s * ALIGNMENT + 4 * at;
                u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            };
            let (found, value) = (word(0), word(1));
            if found > 0 {
                let Check { what, extent, .. } = step.check;
                let bad = BadData { what, element: (u32::MAX - found) as usize, value: value as i32, extent };
                return Err(Error::from(bad).at(step.origin.as_deref().unwrap_or(step.kernel)));
            }
        }
        Ok(())
    }
}

impl Outcome for RunOutcome {
    fn wait(&self, stop: &dyn Fn() -> bool) -> Result<()> {
        let mut state = locked(&self.state);
        let words = match &*state {
            State::Done(done) => return done.clone(),
            State::Running(words) => words,
        };
        let done = match words.finish(stop, |bytes| self.judge(bytes)) {
            Err(e) if e.kind == ErrorKind::Cancelled => return Err(e),
            done => done.and_then(|judged| judged),
        };
        if done.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        *state = State::Done(done.clone());
        done
    }
}
