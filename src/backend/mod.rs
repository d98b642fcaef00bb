//! Backends: how plans are run on a device.

pub mod cpu;
pub mod memory;
