//! What the threads of a run write their times to.

use super::code::Code;
use crate::backend::profile::{Profile, StepProfile};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Nanoseconds of one step: busy, first begin, last end.
struct Times([AtomicU64; 3]);

/// What the threads of a run write their times to.
pub struct Clock {
    start: Instant,
    steps: Vec<Times>,
}

impl Clock {
    pub fn new(steps: usize) -> Self {
        let times = || Times([AtomicU64::new(0), AtomicU64::new(u64::MAX), AtomicU64::new(0)]);
        Clock { start: Instant::now(), steps: (0..steps).map(|_| times()).collect() }
    }

    /// Runs a chunk of step `step`.
    pub fn time(&self, step: usize, chunk: impl FnOnce()) {
        let nanos = || u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let begin = nanos();
        chunk();
        let end = nanos();
        let Times([busy, first, last]) = &self.steps[step];
        busy.fetch_add(end - begin, Ordering::Relaxed);
        first.fetch_min(begin, Ordering::Relaxed);
        last.fetch_max(end, Ordering::Relaxed);
    }

    /// The times of a run of `code` that has ended.
    pub fn profile(&self, code: &Code, workers: usize) -> Profile {
        let wall = self.start.elapsed();
        let steps = code
            .steps
            .iter()
            .zip(&self.steps)
            .map(|(step, Times([busy, first, last]))| {
                let [busy, first, last] = [busy, first, last].map(|t| t.load(Ordering::Relaxed));
                StepProfile {
                    kernel: step.kernel.name,
                    text: step.text.clone(),
                    origin: step.origin.clone(),
                    chunks: step.kernel.phases.iter().map(|p| p.chunks).collect(),
                    flops: step.flops,
                    bytes: step.bytes,
                    busy: Duration::from_nanos(busy),
                    span: Duration::from_nanos(last.saturating_sub(first)),
                }
            })
            .collect();
        Profile { steps, wall, workers }
    }
}
