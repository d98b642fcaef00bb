//! Backends: how plans run on a device. One folder and one line in [`ALL`] for each.

pub mod cpu;
pub mod device;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod packed;
pub mod profile;

use crate::error::{Error, Result};
use device::{Backend, DeviceInfo};
use std::any::Any;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// The number in [`ALL`] of the backend that the process uses; one more than any while nobody has said.
static CURRENT: AtomicUsize = AtomicUsize::new(usize::MAX);

thread_local! {
    /// The one that the thread uses, if it differs.
    static OWN: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The number in [`ALL`] of the backend of device `name`: "gpu" or "gpu:0", in any case.
fn number(name: &str) -> Result<usize> {
    let lower = name.to_lowercase();
    let (kind, at) = lower.split_once(':').unwrap_or((&lower, "0"));
    let number = ALL.iter().position(|b| b.traits().name == kind);
    match number {
        Some(number) if at == "0" => Ok(number),
        Some(_) if at.parse::<u32>().is_ok() => Err(Error::value(format!(
            "device: programs use {kind}:0, received {name:?}; CNNRS_ADAPTER names another GPU"
        ))),
        _ => {
            let names = ALL.iter().map(|b| format!("\"{}\"", b.traits().name)).collect::<Vec<_>>().join(", ");
            Err(Error::value(format!("device: expected one of {names}, received {name:?}")))
        }
    }
}

/// The backend of device `name`, such as "gpu:0".
///
/// # Errors
/// `Value` when there is none of this name.
pub fn on(name: &str) -> Result<&'static dyn Backend> {
    Ok(ALL[number(name)?])
}

/// The devices of this machine, those of the first backend first.
pub fn devices() -> Vec<DeviceInfo> {
    ALL.iter().flat_map(|backend| backend.devices()).collect()
}

/// The backend that is used where nobody asks for another: the thread's, or else the process's.
///
/// # Errors
/// `Value` when `CNNRS_DEVICE` names none.
pub fn current() -> Result<&'static dyn Backend> {
    if let Some(own) = OWN.get() {
        return Ok(ALL[own]);
    }
    if let Some(backend) = ALL.get(CURRENT.load(Ordering::Relaxed)) {
        return Ok(*backend);
    }
    let named = std::env::var(DEVICE_VARIABLE).ok().filter(|name| !name.is_empty());
    let at = named.map_or(Ok(0), |name| number(&name).map_err(|e| Error::value(format!("{DEVICE_VARIABLE}: {e}"))))?;
    CURRENT.store(at, Ordering::Relaxed);
    Ok(ALL[at])
}

/// Makes the backend called `name` the one that the process uses.
///
/// # Errors
/// `Value` when there is none of this name, or no device for it.
pub fn set_current(name: &str) -> Result<()> {
    let at = number(name)?;
    ALL[at].target()?;
    CURRENT.store(at, Ordering::Relaxed);
    Ok(())
}

/// Makes the backend called `name` the one that this thread uses; returns its own before, if it had one.
///
/// # Errors
/// As [`set_current`].
pub fn set_own(name: &str) -> Result<Option<&'static str>> {
    let at = number(name)?;
    ALL[at].target()?;
    Ok(OWN.replace(Some(at)).map(|before| ALL[before].traits().name))
}

/// Gives the thread the backend back that [`set_own`] returned. Nothing is asked of its device: a block may end where that
/// is gone.
///
/// # Errors
/// `Value` when there is none of this name.
pub fn restore_own(name: Option<&str>) -> Result<()> {
    OWN.set(name.map(number).transpose()?);
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
