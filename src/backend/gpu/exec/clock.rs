//! The device's own clock: when it began and ended each step of a run.

use super::outcome::read_back;
use crate::backend::gpu::device::Device;
use crate::error::Result;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a point in time.
const TICK: usize = 8;

/// Where the device writes its times.
pub(super) struct Clock {
    set: wgpu::QuerySet,
    ticks: wgpu::Buffer,
    /// The steps that are timed.
    steps: Range<usize>,
}

impl Clock {
    /// For some steps of a program, if the device can tell their times.
    ///
    /// # Errors
    /// `Memory` when the device has too little.
    pub fn new(device: &Device, steps: Range<usize>) -> Result<Option<Self>> {
        let count = 2 * steps.len() as u32;
        let can = device.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        if !can || count == 0 || count > wgpu::QUERY_SET_MAX_QUERIES {
            return Ok(None);
        }
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let ticks = device.allocate(count as usize * TICK, usage)?;
        let descriptor = wgpu::QuerySetDescriptor { label: None, ty: wgpu::QueryType::Timestamp, count };
        let set = device.guarded("a clock", || device.device.create_query_set(&descriptor))?;
        Ok(Some(Clock { set, ticks, steps }))
    }

    /// Has the pass of step `step` timed.
    pub fn of(&self, step: usize) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let at = 2 * step.checked_sub(self.steps.start)? as u32;
        Some(wgpu::ComputePassTimestampWrites {
            query_set: &self.set,
            beginning_of_pass_write_index: Some(at),
            end_of_pass_write_index: Some(at + 1),
        })
    }

    /// Has `encoder` write the times to where they are read.
    pub fn stop(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.set, 0..2 * self.steps.len() as u32, &self.ticks, 0);
    }

    /// When each step began and ended, from the begin of the first one.
    ///
    /// # Errors
    /// `Lost` when the device is lost.
    pub fn read(&self, device: &Arc<Device>) -> Result<Vec<Range<Duration>>> {
        let nanoseconds = f64::from(device.queue.get_timestamp_period());
        read_back(device, &self.ticks, 2 * self.steps.len() * TICK, &|| false, |bytes| {
            let ticks: Vec<u64> = bytes.as_chunks::<TICK>().0.iter().map(|tick| u64::from_ne_bytes(*tick)).collect();
            let first = ticks.iter().copied().min().unwrap_or(0);
            let time = |tick: u64| Duration::from_secs_f64((tick - first) as f64 * nanoseconds * 1e-9);
            ticks.as_chunks::<2>().0.iter().map(|&[begin, end]| time(begin)..time(end)).collect()
        })
    }
}
