//! Choice by timing, for those who ask for it: kernels that the cost model takes to be near the best run on the device, and
//! the fastest that agrees with the plain one is kept.
//!
//! What was found is kept in a file, by device and step, so that it is found once; plans that are made by it have other bits
//! than plans that are not.

use super::StepKernels;
use super::candidates::Candidate;
use super::shader::Code;
use crate::backend::gpu::device::{Device, locked};
use crate::backend::gpu::exec::trial::Trial;
use crate::backend::gpu::found::{self, Found};
use crate::backend::gpu::settings::tuning_time;
use crate::dtype::DType;
use crate::error::Result;
use crate::shape::Fact;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What earlier processes found.
const FOUND: Found = Found("gpu-tuned");
/// Candidates that may be so many times as dear as the cheapest.
const NEAR: f64 = 4.0;
/// Candidates that are timed.
const MOST: usize = 6;
/// Runs of each; the fastest counts.
const RUNS: usize = 3;
/// Relative to the largest number of an output.
const TOLERANCE: f32 = 2e-3;

/// The same where operands may be rounded to 16 bits, which the plain kernel never does.
fn tolerance(operands: Option<DType>) -> f32 {
    match operands {
        Some(DType::BF16) => 2e-2,
        Some(_) => 4e-3,
        None => TOLERANCE,
    }
}

/// What this process has found, and how long that has taken.
static KNOWN: Mutex<Option<(HashMap<String, String>, Duration)>> = Mutex::new(None);

/// A step of which the fastest kernel is sought.
pub struct Question<'a> {
    /// The device.
    pub device: &'a Arc<Device>,
    /// What the step computes, in full: one text for one question.
    pub what: String,
    /// Facts of its inputs.
    pub inputs: Vec<Fact>,
    /// Facts of its outputs.
    pub outputs: Vec<Fact>,
    /// The type of 16 bits that a product may round its operands to.
    pub operands: Option<DType>,
    /// Makes the plain kernel, with which the others have to agree.
    pub plain: &'a dyn Fn() -> StepKernels,
}

/// Whether this process times kernels, or takes what others have found by it.
///
/// # Errors
/// `Value` when the variable can't be read.
pub fn is_asked() -> Result<bool> {
    Ok(!tuning_time()?.is_zero())
}

/// The name of the fastest of `candidates` ("plain" for none of them), if there is time to find out or an earlier process has.
///
/// # Errors
/// `Value` when the variable can't be read; when a kernel does not compile, memory runs out or the device is lost.
pub fn fastest(question: &Question, candidates: &[Candidate]) -> Result<Option<String>> {
    let limit = tuning_time()?;
    let key = format!("{}\t{:016x}", found::of(question.device), hash(&question.what));
    let spent = {
        let mut known = locked(&KNOWN);
        let (names, spent) = known.get_or_insert_default();
        if let Some(name) = names.get(&key) {
            return Ok(Some(name.clone()));
        }
        *spent
    };
    let name = match FOUND.read(&key) {
        Some(name) => name,
        None if spent >= limit => return Ok(None),
        None => {
            let begun = Instant::now();
            let name = timed(question, candidates)?.to_owned();
            FOUND.write(&key, &name);
            locked(&KNOWN).get_or_insert_default().1 += begun.elapsed();
            name
        }
    };
    locked(&KNOWN).get_or_insert_default().0.insert(key, name.clone());
    Ok(Some(name))
}

/// The fastest, timed now.
fn timed<'a>(question: &Question, candidates: &'a [Candidate]) -> Result<&'a str> {
    let trial = Trial::new(question.device, &question.inputs, &question.outputs)?;
    let plain = (question.plain)();
    if plain.check.is_some() {
        return Ok("plain");
    }
    let plain = Code::new(plain.dispatches, plain.workspace);
    let mut best = (trial.time("plain", &plain, 1)?, "plain");
    let expected = trial.outputs()?;
    let cheapest = candidates.iter().map(|c| c.cost).fold(f64::INFINITY, f64::min);
    let mut near: Vec<&Candidate> = candidates.iter().filter(|c| c.cost <= NEAR * cheapest).collect();
    near.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    for candidate in near.into_iter().take(MOST) {
        let code = (candidate.build)()?;
        let time = trial.time(candidate.name, &code, RUNS)?;
        if time < best.0 && agree(&trial.outputs()?, &expected, tolerance(question.operands)) {
            best = (time, candidate.name);
        }
    }
    Ok(best.1)
}

fn agree(got: &[Vec<f32>], expected: &[Vec<f32>], tolerance: f32) -> bool {
    got.iter().zip(expected).all(|(got, expected)| {
        let scale =
            expected.iter().fold(1e-6f32, |largest, v| if v.is_finite() { largest.max(v.abs()) } else { largest });
        let near = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * scale;
        got.len() == expected.len() && got.iter().zip(expected).all(near)
    })
}

/// FNV-1a: the same in every process and build.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_hashes_that_stay() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn outputs_agree_within_the_tolerance_alone() {
        let of = |values: &[f32]| vec![values.to_vec()];
        assert!(agree(&of(&[1.0, f32::NAN, 1000.0]), &of(&[2.0, f32::NAN, 1000.0]), TOLERANCE));
        assert!(!agree(&of(&[5.0, 0.0, 1000.0]), &of(&[2.0, 0.0, 1000.0]), TOLERANCE));
        assert!(!agree(&of(&[f32::NAN]), &of(&[2.0]), TOLERANCE));
        assert!(!agree(&of(&[2.0]), &of(&[2.0, 3.0]), TOLERANCE));
    }
}
