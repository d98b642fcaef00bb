//! Bounds that the environment sets.

use crate::error::{Error, Result};
use std::str::FromStr;
use std::time::Duration;

/// The variable that bounds the bytes that tensors may have in a device's memory.
pub const MEMORY_VARIABLE: &str = "CNNRS_GPU_MEMORY_BYTES";
/// The variable that bounds the bytes of one arena of intermediates, as a device's own limit does.
pub const ARENA_VARIABLE: &str = "CNNRS_GPU_ARENA_BYTES";
/// The variable that bounds the bytes of one tensor that a dispatch binds, as a device's own limit does.
pub const BINDING_VARIABLE: &str = "CNNRS_GPU_BINDING_BYTES";
/// The variable that bounds how many tensors a dispatch binds that several steps share, as a device's own limit does.
pub const BINDINGS_VARIABLE: &str = "CNNRS_GPU_BINDINGS";
/// The variable that bounds how long one submission may take, in milliseconds.
pub const SUBMISSION_VARIABLE: &str = "CNNRS_GPU_SUBMIT_MS";
/// The variable that opens every adapter as so many devices, to try programs for several GPUs on a machine with one.
pub const COPIES_VARIABLE: &str = "CNNRS_ADAPTER_COPIES";

/// The variable that says how many seconds a process may spend on timing kernels. Without it none is timed.
pub const TUNING_VARIABLE: &str = "CNNRS_GPU_TUNE_SECONDS";

/// What a variable says, if it says something.
fn number<T: FromStr>(variable: &str, expected: &str) -> Result<Option<T>> {
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::value(format!("{variable}: expected {expected}, received {text:?}"))),
        },
        _ => Ok(None),
    }
}

/// The most bytes that tensors on a device may have.
pub(super) fn memory_limit() -> Result<u64> {
    Ok(number(MEMORY_VARIABLE, "a number of bytes")?.unwrap_or(u64::MAX))
}

/// How long a process may time kernels.
pub(super) fn tuning_time() -> Result<Duration> {
    let expected = "a number of seconds";
    let seconds = number(TUNING_VARIABLE, expected)?.unwrap_or(0.0);
    let time = Duration::try_from_secs_f64(seconds);
    time.map_err(|_| Error::value(format!("{TUNING_VARIABLE}: expected {expected}, received {seconds}")))
}

/// As how many devices every adapter is opened.
pub(super) fn copies() -> Result<usize> {
    let expected = "a number of devices, 1 or more";
    match number(COPIES_VARIABLE, expected)?.unwrap_or(1) {
        0 => Err(Error::value(format!("{COPIES_VARIABLE}: expected {expected}, received 0"))),
        copies => Ok(copies),
    }
}

/// The most bytes of one arena, where a buffer of the device has at most `largest`.
pub(super) fn arena_limit(largest: u64) -> Result<u64> {
    Ok(number(ARENA_VARIABLE, "a number of bytes")?.unwrap_or(largest).min(largest))
}

/// The most bytes of one tensor that a dispatch binds, where the device binds at most `largest`.
pub(super) fn binding_limit(largest: u64) -> Result<u64> {
    Ok(number(BINDING_VARIABLE, "a number of bytes")?.unwrap_or(largest).min(largest))
}

/// How many tensors a dispatch binds that several steps share, where the device binds at most `most`.
pub(super) fn bindings_limit(most: usize) -> Result<usize> {
    Ok(number(BINDINGS_VARIABLE, "a number of tensors")?.unwrap_or(most).min(most))
}

/// How long the device may be at work on one submission.
pub(super) fn submission_time() -> Result<Duration> {
    let expected = "a number of milliseconds";
    let milliseconds = number(SUBMISSION_VARIABLE, expected)?.unwrap_or(200.0);
    let time = Duration::try_from_secs_f64(milliseconds / 1e3);
    time.map_err(|_| Error::value(format!("{SUBMISSION_VARIABLE}: expected {expected}, received {milliseconds}")))
}
