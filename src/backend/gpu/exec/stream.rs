//! The order of the device's work. One queue runs everything; who holds the stream puts a whole run into it.

use super::staging::Staging;
use crate::backend::gpu::device::{Device, locked};
use crate::backend::gpu::memory::{Piece, TENSOR};
use crate::error::{Error, ErrorKind, Result};
use smallvec::SmallVec;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How long a thread waits for the device before it asks whether to stop.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);
/// How long it sleeps where another thread waits for the device.
const GLANCE: Duration = Duration::from_micros(200);
/// Runs that are under way at most.
const IN_FLIGHT: usize = 2;
/// Groups of bindings that are kept of one dispatch.
const GROUPS: usize = 4;

/// A dispatch of a program, by numbers.
pub(super) type DispatchId = (u64, usize);

/// The memory that a dispatch is bound to.
type Bindings = SmallVec<[u64; 8]>;

/// What runs share one after the other.
#[derive(Default)]
pub struct Stream {
    /// Intermediates of whichever run is at work: the device runs one after the other.
    arenas: Vec<Piece>,
    /// Groups of bindings that were made.
    groups: HashMap<DispatchId, VecDeque<(Bindings, wgpu::BindGroup)>>,
    pub(super) staging: Staging,
    /// The last submissions of runs, the oldest first, with their numbers.
    in_flight: VecDeque<(u64, wgpu::SubmissionIndex)>,
    runs: u64,
}

impl Stream {
    /// Memory of at least these sizes for intermediates.
    ///
    /// # Errors
    /// `Memory` when the device has too little.
    pub(super) fn arenas(&mut self, device: &Device, sizes: &[usize]) -> Result<Vec<Piece>> {
        for (k, &bytes) in sizes.iter().enumerate() {
            match self.arenas.get(k) {
                Some(arena) if arena.bytes >= bytes as u64 => {}
                _ => {
                    // The old one goes first: both together may be too much. Groups are bound to it.
                    self.groups.clear();
                    let behind = self.arenas.split_off(k.min(self.arenas.len()));
                    let kept = behind.into_iter().skip(1).collect::<Vec<_>>();
                    self.arenas.push(Piece::new(device, bytes as u64, TENSOR)?);
                    self.arenas.extend(kept);
                }
            }
        }
        Ok(self.arenas[..sizes.len()].to_vec())
    }

    /// The group that binds dispatch `id` to the memory `ids`, made by `make` unless it is there.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn group(
        &mut self,
        id: DispatchId,
        ids: Bindings,
        make: impl FnOnce() -> Result<wgpu::BindGroup>,
    ) -> Result<wgpu::BindGroup> {
        let made = self.groups.entry(id).or_default();
        if let Some((_, group)) = made.iter().find(|(bound, _)| *bound == ids) {
            return Ok(group.clone());
        }
        let group = make()?;
        if made.len() == GROUPS {
            made.pop_front();
        }
        made.push_back((ids, group.clone()));
        Ok(group)
    }

    /// Forgets what program `number` was bound to.
    pub(super) fn forget(&mut self, number: u64) {
        self.groups.retain(|(program, _), _| *program != number);
    }

    /// Lets go of everything that later runs can make again.
    pub(in crate::backend::gpu) fn release(&mut self) {
        self.arenas.clear();
        self.groups.clear();
        self.staging = Staging::default();
    }

    /// Bytes that runs borrow.
    pub(in crate::backend::gpu) fn idle_bytes(&self) -> u64 {
        self.arenas.iter().map(|arena| arena.bytes).sum()
    }

    /// Counts a run whose last submission this is.
    pub(super) fn submitted(&mut self, submission: wgpu::SubmissionIndex) {
        self.runs += 1;
        self.in_flight.push_back((self.runs, submission));
    }
}

/// What a caller who wants no more is told.
pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "interrupted")
}

/// Waits until there is room for one more run.
///
/// # Errors
/// `Cancelled` when `stop` says so; `Lost` when the device is lost.
pub(super) fn make_room(device: &Device, stop: &dyn Fn() -> bool) -> Result<()> {
    loop {
        let oldest = {
            let stream = locked(&device.stream);
            match stream.in_flight.front() {
                Some(oldest) if stream.in_flight.len() >= IN_FLIGHT => oldest.clone(),
                _ => return Ok(()),
            }
        };
        if until(device, &oldest.1, stop)? {
            let mut stream = locked(&device.stream);
            if stream.in_flight.front().is_some_and(|(run, _)| *run == oldest.0) {
                stream.in_flight.pop_front();
            }
        }
    }
}

/// Waits for a submission for some time; says whether it is done.
///
/// # Errors
/// `Cancelled` when `stop` says so; `Lost` when the device is lost.
pub(super) fn until(device: &Device, submission: &wgpu::SubmissionIndex, stop: &dyn Fn() -> bool) -> Result<bool> {
    let done = match device.wait(submission, PATIENCE)? {
        Some(done) => done,
        None => {
            std::thread::sleep(GLANCE);
            false
        }
    };
    if !done && stop() { Err(stopped()) } else { Ok(done) }
}
