//! Backends: how plans run on a device. One folder and one line in [`ALL`] for each.

pub mod cpu;
pub mod device;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod packed;
pub mod profile;

use crate::error::{Error, Result};
use device::Backend;
use std::any::Any;

/// All backends. The first is the one that is used where nobody asks for another.
pub const ALL: &[&dyn Backend] = &[
    &cpu::Cpu,
    #[cfg(feature = "gpu")]
    &gpu::Gpu,
];

/// The backend called `name`.
///
/// # Errors
/// `Value` when there is none; the message names all.
pub fn named(name: &str) -> Result<&'static dyn Backend> {
    ALL.iter().copied().find(|backend| backend.traits().name == name).ok_or_else(|| {
        let names = ALL.iter().map(|backend| backend.traits().name).collect::<Vec<_>>().join(", ");
        Error::value(format!("device: expected one of {names}, received {name:?}"))
    })
}

/// The backend that is used where nobody asks for another.
pub fn default() -> &'static dyn Backend {
    ALL[0]
}

/// Bytes of the memory that runs borrow and that no run uses now, on all devices.
pub fn idle_bytes() -> usize {
    ALL.iter().map(|backend| backend.idle_bytes()).sum()
}

/// Drops what is made once for many runs, and gives the memory that runs borrow back to the system.
pub fn release_memory() {
    packed::release();
    ALL.iter().for_each(|backend| backend.release_memory());
}

/// The locks that runs share, for a fork.
pub(crate) fn locks() -> Vec<Box<dyn Any>> {
    let mut locks = vec![packed::lock()];
    locks.extend(ALL.iter().flat_map(|backend| backend.lock()));
    locks
}
