//! Backends: how plans run on a device. One folder and one line in [`ALL`] for each.

pub mod cpu;
pub mod device;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod packed;
pub mod profile;

use crate::error::{Error, Result};
use crate::schedule::Target;
use device::{Backend, DeviceInfo};
use std::any::Any;
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

/// All backends. The first is the one that is used where neither a program nor `CNNRS_DEVICE` asks for another.
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

/// The variable that names the backend to use where a program says nothing.
pub const DEVICE_VARIABLE: &str = "CNNRS_DEVICE";

/// A device: a backend, and which of its devices.
#[derive(Clone, Copy)]
pub struct Device {
    /// The number of its backend in [`ALL`].
    at: usize,
    /// Which of the backend's devices it is, in the order of [`Backend::devices`].
    pub number: usize,
}

impl Device {
    /// Its backend.
    pub fn backend(self) -> &'static dyn Backend {
        ALL[self.at]
    }

    /// What plans are compiled for on it; see [`Backend::target`].
    ///
    /// # Errors
    /// As [`Backend::target`].
    pub fn target(self) -> Result<Target> {
        self.backend().target(self.number)
    }

    /// Reads "gpu" or "gpu:0", in any case.
    fn parse(name: &str) -> Result<Device> {
        let lower = name.to_lowercase();
        let (kind, number) = lower.split_once(':').unwrap_or((&lower, "0"));
        let at = ALL.iter().position(|backend| backend.traits().name == kind);
        match (at, number.parse()) {
            (Some(at), Ok(number)) => Ok(Device { at, number }),
            _ => {
                let names = ALL.iter().map(|b| format!("\"{}\"", b.traits().name)).collect::<Vec<_>>().join(", ");
                Err(Error::value(format!(
                    "device: expected one of {names}, or with a number such as \"gpu:0\", received {name:?}"
                )))
            }
        }
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.backend().traits().name, self.number)
    }
}

/// The device that the process uses, once somebody has said.
static CURRENT: Mutex<Option<Device>> = Mutex::new(None);

thread_local! {
    /// The one that the thread uses, if it differs.
    static OWN: Cell<Option<Device>> = const { Cell::new(None) };
}

/// The device called `name`, such as "gpu:0". Whether the machine has it is not asked.
///
/// # Errors
/// `Value` when no backend is called so.
pub fn on(name: &str) -> Result<Device> {
    Device::parse(name)
}

/// The devices of this machine, those of the first backend first.
pub fn devices() -> Vec<DeviceInfo> {
    ALL.iter().flat_map(|backend| backend.devices()).collect()
}

/// The device that is used where nobody asks for another: the thread's, or else the process's.
///
/// # Errors
/// `Value` when `CNNRS_DEVICE` names none.
pub fn current() -> Result<Device> {
    if let Some(own) = OWN.get() {
        return Ok(own);
    }
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = *current {
        return Ok(device);
    }
    let named = std::env::var(DEVICE_VARIABLE).ok().filter(|name| !name.is_empty());
    let wrong = |e: Error| Error::value(format!("{DEVICE_VARIABLE}: {e}"));
    let device = named.map_or(Ok(Device { at: 0, number: 0 }), |name| Device::parse(&name).map_err(wrong))?;
    Ok(*current.insert(device))
}

/// Makes the device called `name` the one that the process uses.
///
/// # Errors
/// `Value` when there is none of this name.
pub fn set_current(name: &str) -> Result<()> {
    let device = Device::parse(name)?;
    device.target()?;
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(device);
    Ok(())
}

/// Makes the device called `name` the one that this thread uses; returns its own before, if it had one.
///
/// # Errors
/// As [`set_current`].
pub fn set_own(name: &str) -> Result<Option<Device>> {
    let device = Device::parse(name)?;
    device.target()?;
    Ok(OWN.replace(Some(device)))
}

/// Gives the thread the device back that [`set_own`] returned. Nothing is asked of it: a block may end where it is gone.
///
/// # Errors
/// `Value` when there is none of this name.
pub fn restore_own(name: Option<&str>) -> Result<()> {
    OWN.set(name.map(Device::parse).transpose()?);
    Ok(())
}

/// Bytes of tensors in the memory of devices other than the host.
pub fn used_bytes() -> usize {
    ALL.iter().map(|backend| backend.used_bytes()).sum()
}

/// Bytes of the memory that runs borrow and that no run uses now, on all devices.
pub fn idle_bytes() -> usize {
    ALL.iter().map(|backend| backend.idle_bytes()).sum()
}

/// Names the command that lists devices in a process of its own, which may crash in their drivers.
pub fn set_probe(command: &[std::ffi::OsString]) {
    ALL.iter().for_each(|backend| backend.set_probe(command));
}

/// Drops what is made once for many runs, and gives the memory that runs borrow back to the system.
pub fn release_memory() {
    packed::release();
    ALL.iter().for_each(|backend| backend.release_memory());
}

/// Waits until no device is at work, for a minute at most: the process is about to end. Threads that would give
/// a device more wait from then on. Python's module does this by itself; a program in Rust that leaves work under
/// way calls it last.
pub fn settle() {
    ALL.iter().for_each(|backend| backend.settle());
}

/// The locks that runs share, for a fork.
pub(crate) fn locks() -> Vec<Box<dyn Any>> {
    let mut locks = vec![packed::lock()];
    locks.extend(ALL.iter().flat_map(|backend| backend.lock()));
    locks
}
