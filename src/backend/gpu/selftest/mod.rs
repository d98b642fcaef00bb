//! Whether this device's driver computes what kernels say.
//!
//! Drivers translate kernels, and some translate some of them wrongly. So before a device is used for the first time, every
//! kernel runs on small graphs, with work attached on both sides, and is compared with the reference in double precision. The
//! highest tier of which all kernels agree is the one that plans take. Tiles of halves and cooperative matrices are tested
//! apart, against operands that are rounded as they round them, and are left alone where they differ. The outcome is kept in
//! a file, by adapter, driver and version of this crate: the next process finds it there.

mod cases;

use super::adapter::Kind;
use super::caps::{Halves, Tier};
use super::device::Device;
use super::found::{self, Found};
use super::lower::candidates::{self, Means};
use crate::error::{Error, Result};
use cases::Case;
use std::fmt::Write;

/// The variable that says when devices are tested: "auto" (each once for a driver, software not at all), "always", "never".
pub const SELFTEST_VARIABLE: &str = "CNNRS_GPU_SELFTEST";

/// What earlier processes found.
const FOUND: Found = Found("gpu-selftest");
/// What is known of a device's kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The highest tier that plans may take; none if even the plain kernels are wrong.
    pub tier: Option<Tier>,
    /// What plans may do with products of layers of 16 bits.
    pub halves: Halves,
    /// How that is known, and what is wrong.
    pub text: String,
}

/// When devices are tested.
#[derive(Clone, Copy, PartialEq)]
enum When {
    Auto,
    Always,
    Never,
}

fn when() -> Result<When> {
    match std::env::var(SELFTEST_VARIABLE).unwrap_or_default().as_str() {
        "" | "auto" => Ok(When::Auto),
        "always" => Ok(When::Always),
        "never" => Ok(When::Never),
        other => Err(Error::value(format!(
            "{SELFTEST_VARIABLE}: expected \"auto\", \"always\" or \"never\", received {other:?}"
        ))),
    }
}

/// What is known of device `number`, tested now if nobody knows.
///
/// # Errors
/// `Value` when [`SELFTEST_VARIABLE`] can't be read; `Lost` when the device is lost meanwhile.
pub fn verdict(device: &Device, number: usize) -> Result<Verdict> {
    let untested = |text: &str| {
        let highest = Tier::ALL[Tier::ALL.len() - 1].1;
        // Cooperative matrices are trusted after a test alone.
        Ok(Verdict { tier: Some(highest), halves: Halves::AutoTiles, text: text.to_owned() })
    };
    match when()? {
        When::Never => untested("not tested"),
        When::Auto if device.facts.kind == Kind::Software => untested("not tested: it computes on the processor"),
        When::Auto => known_or_tested(device, number),
        When::Always => test(number, |_, _| {}, |_| {}),
    }
}

/// What an earlier process found of device `number`, or else this one.
///
/// # Errors
/// `Lost` when the device is lost meanwhile.
pub fn known_or_tested(device: &Device, number: usize) -> Result<Verdict> {
    if let Some(known) = read(&key(device)) {
        return Ok(known);
    }
    let verdict = test(number, |_, _| {}, |so_far| write(&key(device), so_far))?;
    write(&key(device), &verdict);
    Ok(verdict)
}

/// Tests all tiers from the highest down, until all kernels of one agree with the reference, and then what rounds operands
/// to 16 bits. `spoil` may alter what a kernel has made, for tests of this test. `keep` gets what is known before cooperative
/// matrices are tested, which a driver may not survive: the next process then does without them.
///
/// # Errors
/// `Lost` when the device is lost meanwhile.
pub fn test(number: usize, spoil: impl Fn(&str, &mut [f64]), keep: impl FnOnce(&Verdict)) -> Result<Verdict> {
    let words: Vec<&str> = names(|means| means.is_none_or(|means| matches!(means, Means::Rows | Means::Tile(_))));
    let mut verdict = Verdict { tier: None, halves: Halves::Never, text: String::new() };
    let all = cases::all()?;
    for (name, tier) in Tier::ALL.into_iter().rev() {
        let wrong = all.iter().map(|case| case.wrong(number, tier, Halves::Never, &words, &spoil));
        match wrong.into_iter().find_map(Result::transpose).transpose()? {
            None => {
                let _ = write!(verdict.text, "{name} kernels agree with the reference");
                verdict.tier = Some(tier);
                break;
            }
            Some(wrong) => {
                let _ = write!(verdict.text, "{name} kernels do not: {wrong}; ");
            }
        }
    }
    if verdict.tier.is_none_or(|tier| tier < Tier::Tiled) {
        return Ok(verdict);
    }
    let caps = super::device::get(number)?.facts.caps;
    let halves = cases::of_halves(caps.float16)?;
    let tiles = names(|means| matches!(means, Some(Means::Halves(_))));
    verdict.test_halves("tiles of halves", &halves, &tiles, (number, Halves::Tiles), Halves::AutoTiles, &spoil)?;
    if verdict.halves == Halves::Never || caps.fragment.is_none() {
        return Ok(verdict);
    }
    let text = format!("{}; cooperative matrices were being tested when a process ended", verdict.text);
    keep(&Verdict { text, ..verdict.clone() });
    let matrices = names(|means| matches!(means, Some(Means::Matrices(_))));
    let cases: Vec<Case> = halves.into_iter().chain(cases::of_matrices()?).collect();
    verdict.test_halves("cooperative matrices", &cases, &matrices, (number, Halves::Matrices), Halves::Auto, &spoil)?;
    Ok(verdict)
}

/// The names that can be forced, of the kernels whose means of multiplication pass `test`.
fn names(test: impl Fn(Option<Means>) -> bool) -> Vec<&'static str> {
    let means = |name: &str| candidates::FORMS.iter().find(|form| form.0 == name).map(|form| form.1.means);
    candidates::NAMES.into_iter().filter(|name| test(means(name))).collect()
}

impl Verdict {
    /// Tests the kernels `names`, under `forced` on a device, and trusts them as `trusted` says if all are right.
    fn test_halves(
        &mut self,
        what: &str,
        cases: &[Case],
        names: &[&str],
        (number, forced): (usize, Halves),
        trusted: Halves,
        spoil: &impl Fn(&str, &mut [f64]),
    ) -> Result<()> {
        let tier = self.tier.unwrap_or(Tier::Plain);
        let wrong = cases.iter().map(|case| case.wrong(number, tier, forced, names, spoil));
        match wrong.into_iter().find_map(Result::transpose).transpose()? {
            None => {
                let _ = write!(self.text, "; {what} agree");
                self.halves = trusted;
            }
            Some(wrong) => {
                let _ = write!(self.text, "; {what} do not: {wrong}");
            }
        }
        Ok(())
    }
}

/// What a verdict holds for.
fn key(device: &Device) -> String {
    found::of(device)
}

/// The verdict of `key` that an earlier process has left: a tier, what is done with halves, and the text.
fn read(key: &str) -> Option<Verdict> {
    let line = FOUND.read(key)?;
    let (tier, rest) = line.split_once('\t')?;
    let (halves, text) = rest.split_once('\t')?;
    let tier = if tier == "none" { None } else { Some(Tier::parse(tier)?) };
    Some(Verdict { tier, halves: Halves::parse(halves)?, text: text.to_owned() })
}

fn write(key: &str, verdict: &Verdict) {
    let tier = verdict.tier.map_or("none", Tier::name);
    FOUND.write(key, &format!("{tier}\t{}\t{}", verdict.halves.name(), verdict.text.replace(['\t', '\n'], " ")));
}
