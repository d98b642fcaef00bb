//! Values that are at home on the device.

use super::outcome::{RunOutcome, read_back};
use crate::backend::device::Outcome;
use crate::backend::gpu::device::Device;
use crate::backend::gpu::memory::Memory;
use crate::buffer::Buffer;
use crate::error::Result;
use crate::shape::Fact;
use crate::value::{Resident, Value};
use std::any::Any;
use std::sync::Arc;

/// The elements of one tensor in the device's memory.
pub(super) struct DeviceValue {
    pub fact: Fact,
    pub memory: Memory,
    /// How the run ends that makes it, if that may fail.
    pub outcome: Option<Arc<RunOutcome>>,
}

impl Resident for DeviceValue {
    fn fact(&self) -> &Fact {
        &self.fact
    }

    fn device(&self) -> &str {
        &self.memory.device().name
    }

    fn is_lost(&self) -> bool {
        self.memory.device().is_lost()
    }

    fn download(&self, stop: &dyn Fn() -> bool) -> Result<Buffer> {
        self.memory.device().check_value()?;
        if let Some(outcome) = &self.outcome {
            outcome.wait(stop)?;
        }
        let mut buffer = Buffer::uninit(self.fact.clone())?;
        let bytes = self.fact.bytes();
        if bytes > 0 {
            let to = buffer.as_mut_ptr();
            read_back(self.memory.device(), self.memory.buffer(), bytes, stop, |made| {
                // SAFETY: the buffer has as many bytes, and nobody else has it.
                unsafe { to.copy_from_nonoverlapping(made.as_ptr(), bytes) };
            })?;
        }
        Ok(buffer)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The value that `resident` is, if it is one of `device`.
pub(super) fn of<'a>(resident: &'a dyn Resident, device: &Arc<Device>) -> Option<&'a DeviceValue> {
    let value = resident.as_any().downcast_ref::<DeviceValue>()?;
    Arc::ptr_eq(value.memory.device(), device).then_some(value)
}

/// A copy of `host` in the device's memory.
///
/// # Errors
/// `Memory` when the device has too little.
pub(in crate::backend::gpu) fn upload(device: &Arc<Device>, host: &Buffer) -> Result<Value> {
    let memory = Memory::new(device, host.fact().bytes())?;
    device.write(memory.buffer(), host.bytes())?;
    let value = DeviceValue { fact: host.fact().clone(), memory, outcome: None };
    Ok(Value::on_device(Box::new(value)))
}
