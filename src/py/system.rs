//! Threads, devices and registries, as Python sees them.

use crate::backend::cpu::exec::threads;
use crate::backend::cpu::simd::Tier;
use crate::ops::Op;
use crate::precision::Precision;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Names of all ops that `apply` knows.
#[pyfunction]
fn op_names() -> Vec<&'static str> {
    Op::names()
}

/// Names of the ops whose result has, at each place, a number made of the inputs' there.
#[pyfunction]
fn elementwise_op_names() -> Vec<&'static str> {
    Op::elementwise_names()
}

/// Number of plans in the cache of lazily realised expressions.
#[pyfunction]
fn cached_plans() -> usize {
    crate::plan::cache::cached_plans()
}

/// Groups of nodes that had to be taken apart in all plans so far because they could not run as one; 0 unless fusion
/// has a fault, which then costs speed alone.
#[pyfunction]
fn groups_taken_apart() -> usize {
    crate::plan::groups_taken_apart()
}

/// Bytes that outlast runs: folded and packed filters, the most that these may have, and memory for intermediates that
/// no run uses.
#[pyfunction]
fn memory_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("held_bytes", crate::backend::packed::bytes())?;
    info.set_item("held_limit", crate::backend::packed::limit()?)?;
    info.set_item("idle_bytes", crate::backend::idle_bytes())?;
    info.set_item("device_bytes", crate::backend::used_bytes())?;
    info.set_item("plans", crate::plan::cache::cached_plans())?;
    Ok(info)
}

/// Sets the most bytes that folded and packed filters of all models may have together.
#[pyfunction]
fn set_held_limit(bytes: usize) {
    crate::backend::packed::set_limit(bytes);
}

/// Drops cached plans and folded and packed filters, and gives memory for intermediates that no run uses back to the
/// system.
#[pyfunction]
fn release_memory(py: Python<'_>) {
    py.detach(crate::plan::cache::release_memory);
    super::caller::forget_lines();
}

/// Sets the number of threads for runs that start from now on; ValueError unless it is 1 to 1024.
#[pyfunction]
fn set_num_threads(n: &Bound<'_, PyAny>) -> PyResult<()> {
    let named = |e: PyErr| match e.is_instance_of::<PyOverflowError>(n.py()) {
        true => PyValueError::new_err(format!("num_threads: expected 1 to {}, received {n}", threads::MAX_THREADS)),
        false => e,
    };
    let count = n.extract().map_err(named)?;
    Ok(threads::set_num_threads(count)?)
}

/// Number of threads that a run may use.
#[pyfunction]
fn get_num_threads() -> PyResult<usize> {
    Ok(threads::num_threads()?.0)
}

/// What the backend sees of this machine and which settings decided, for `cnnrs doctor`.
#[pyfunction]
fn cpu_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let (count, source) = threads::num_threads()?;
    let tier = Tier::current()?;
    let forced = std::env::var("CNNRS_ISA").is_ok_and(|name| !name.trim().is_empty());
    let info = PyDict::new(py);
    info.set_item("architecture", std::env::consts::ARCH)?;
    info.set_item("features", features())?;
    info.set_item("tier", tier.name())?;
    info.set_item("tier_from", if forced { "CNNRS_ISA" } else { "the best that this machine has" })?;
    info.set_item("tiers", Tier::supported().into_iter().map(Tier::name).collect::<Vec<_>>())?;
    info.set_item("threads", count)?;
    info.set_item("threads_from", source.to_string())?;
    Ok(info)
}

/// Instruction-set extensions of this machine that matter to kernels, present or future.
fn features() -> Vec<&'static str> {
    macro_rules! detect {
        ($macro:ident: $($feature:tt)*) => { [$(($feature, std::arch::$macro!($feature))),*] };
    }
    #[cfg(target_arch = "x86_64")]
    let found = detect!(is_x86_feature_detected: "sse4.2" "avx" "avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512dq"
        "avx512vl" "avx512vnni" "avx512bf16" "avxvnni");
    #[cfg(target_arch = "aarch64")]
    let found = detect!(is_aarch64_feature_detected: "neon" "fp16" "dotprod" "bf16" "i8mm" "sve");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found: [(&str, bool); 0] = [];
    found.into_iter().filter_map(|(name, present)| present.then_some(name)).collect()
}

/// In debug mode every op is computed as it is recorded, and the first NaN names its layer.
#[pyfunction]
fn set_debug(on: bool) {
    crate::lazy::set_debug(on);
}

/// Whether debug mode is on.
#[pyfunction]
fn get_debug() -> bool {
    crate::lazy::debugging()
}

/// Sets what kernels of plans made from now on may do: "strict" or "fast"; ValueError for anything else.
#[pyfunction]
fn set_precision(precision: &str) -> PyResult<()> {
    Precision::set_current(Precision::parse(precision)?);
    Ok(())
}

/// "strict" or "fast".
#[pyfunction]
fn get_precision() -> &'static str {
    Precision::current().name()
}

/// What plans that are made now depend on besides their graph: precision, device, its tier, what it does with
/// products of 16 bits, and the threads that work is cut for. What keeps a recording keeps it under this.
#[pyfunction]
fn plan_key() -> PyResult<(&'static str, String, &'static str, &'static str, usize, u32)> {
    let options = crate::plan::resolved(&crate::plan::PlanOptions::current())?;
    let target = options.target.ok_or_else(|| crate::Error::state("options without a target"))?;
    let device = format!("{}:{}", target.backend, target.number);
    Ok((options.precision.name(), device, target.tier, target.halves, target.threads, target.losses))
}

/// Names the command, a program with its arguments, that lists devices in a process of its own.
#[pyfunction]
fn set_probe(command: Vec<std::ffi::OsString>) {
    crate::backend::set_probe(&command);
}

/// The devices of this machine, each as (name, kind, description, driver).
#[pyfunction]
fn devices(py: Python<'_>) -> Vec<(String, &'static str, String, String)> {
    let found = py.detach(crate::backend::devices);
    found.into_iter().map(|d| (d.name, d.kind, d.description, d.driver)).collect()
}

/// What is known of a device, as pairs of a name and a text.
#[pyfunction]
fn device_details(py: Python<'_>, name: &str) -> PyResult<Vec<(&'static str, String)>> {
    let details = || {
        let device = crate::backend::on(name)?;
        device.backend().details(device.number)
    };
    Ok(py.detach(details)?)
}

/// The device that this thread uses: "cpu", "gpu", or with a number for a second one.
#[pyfunction]
fn get_device() -> PyResult<String> {
    let device = crate::backend::current()?;
    Ok(if device.number == 0 { device.backend().traits().name.to_owned() } else { device.to_string() })
}

/// Makes all threads that have none of their own use a device.
#[pyfunction]
fn set_device(py: Python<'_>, name: &str) -> PyResult<()> {
    Ok(py.detach(|| crate::backend::set_current(name))?)
}

/// Makes this thread use a device; returns its own before, or None where it used the process's.
#[pyfunction]
fn set_thread_device(py: Python<'_>, name: &str) -> PyResult<Option<String>> {
    Ok(py.detach(|| crate::backend::set_own(name))?.map(|before| before.to_string()))
}

/// Makes this thread use what `set_thread_device` returned.
#[pyfunction]
fn restore_thread_device(name: Option<&str>) -> PyResult<()> {
    Ok(crate::backend::restore_own(name)?)
}

/// Loses the current device as its driver may at any time, for tests.
#[pyfunction]
fn lose_device() -> PyResult<()> {
    let device = crate::backend::current()?;
    device.backend().lose(device.number);
    Ok(())
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    super::at_exit::register();
    super::at_fork::register(m)?;
    m.add_function(wrap_pyfunction!(op_names, m)?)?;
    m.add_function(wrap_pyfunction!(elementwise_op_names, m)?)?;
    m.add_function(wrap_pyfunction!(set_num_threads, m)?)?;
    m.add_function(wrap_pyfunction!(get_num_threads, m)?)?;
    m.add_function(wrap_pyfunction!(cpu_info, m)?)?;
    m.add_function(wrap_pyfunction!(set_debug, m)?)?;
    m.add_function(wrap_pyfunction!(get_debug, m)?)?;
    m.add_function(wrap_pyfunction!(set_precision, m)?)?;
    m.add_function(wrap_pyfunction!(get_precision, m)?)?;
    m.add_function(wrap_pyfunction!(plan_key, m)?)?;
    m.add_function(wrap_pyfunction!(devices, m)?)?;
    m.add_function(wrap_pyfunction!(set_probe, m)?)?;
    m.add_function(wrap_pyfunction!(device_details, m)?)?;
    m.add_function(wrap_pyfunction!(get_device, m)?)?;
    m.add_function(wrap_pyfunction!(set_device, m)?)?;
    m.add_function(wrap_pyfunction!(set_thread_device, m)?)?;
    m.add_function(wrap_pyfunction!(lose_device, m)?)?;
    m.add_function(wrap_pyfunction!(restore_thread_device, m)?)?;
    m.add_function(wrap_pyfunction!(release_memory, m)?)?;
    m.add_function(wrap_pyfunction!(groups_taken_apart, m)?)?;
    m.add_function(wrap_pyfunction!(memory_info, m)?)?;
    m.add_function(wrap_pyfunction!(set_held_limit, m)?)?;
    m.add_function(wrap_pyfunction!(cached_plans, m)?)
}
