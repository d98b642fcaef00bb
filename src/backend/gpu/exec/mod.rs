//! Runs programs: where values lie on the device, what is sent there and back.

pub mod program;
