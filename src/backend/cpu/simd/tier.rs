//! Which instruction set runs.

use super::Token;
use crate::error::{Error, Result};
use std::fmt;
use std::sync::OnceLock;

/// A level of instructions that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Portable code, four lanes, no fused multiply-add.
    Scalar,
    /// AArch64 Advanced SIMD, four lanes.
    Neon,
    /// AVX2 with FMA, eight lanes.
    Avx2,
    /// AVX-512 F, BW, DQ, VL, sixteen lanes.
    Avx512,
}

impl Tier {
    /// Every tier, the slowest first.
    pub const ALL: [Tier; 4] = [Tier::Scalar, Tier::Neon, Tier::Avx2, Tier::Avx512];

    /// The best tier of this machine.
    pub fn detect() -> Tier {
        let best = Tier::ALL.into_iter().rev().find(|t| t.is_supported());
        best.unwrap_or(Tier::Scalar)
    }

    /// Whether this machine can run it.
    pub fn is_supported(self) -> bool {
        Token::new(self).is_some()
    }

    /// The tiers that this machine can run, the slowest first.
    pub fn supported() -> Vec<Tier> {
        Tier::ALL.into_iter().filter(|t| t.is_supported()).collect()
    }

    /// The tier called `name` (`scalar`, `neon`, `avx2`, `avx512`, in any case).
    ///
    /// # Errors
    /// `Value` for an unknown name, and for a tier that this machine lacks.
    pub fn parse(name: &str) -> Result<Tier> {
        let expected = || Tier::supported().iter().map(Tier::to_string).collect::<Vec<_>>().join(", ");
        let tier = Tier::ALL.into_iter().find(|t| t.name().eq_ignore_ascii_case(name.trim()));
        match tier {
            Some(tier) if tier.is_supported() => Ok(tier),
            Some(tier) => Err(Error::value(format!(
                "instruction set {tier} is not supported here; expected one of {}",
                expected()
            ))),
            None => Err(Error::value(format!("unknown instruction set {name:?}; expected one of {}", expected()))),
        }
    }

    /// The tier that kernels are built for: the one that `CNNRS_ISA` names, else the best. Read once.
    ///
    /// # Errors
    /// As [`Tier::parse`], where `CNNRS_ISA` is set.
    pub fn current() -> Result<Tier> {
        static CURRENT: OnceLock<Result<Tier>> = OnceLock::new();
        CURRENT
            .get_or_init(|| match std::env::var("CNNRS_ISA") {
                Ok(name) if !name.trim().is_empty() => Tier::parse(&name).map_err(|e| e.at("CNNRS_ISA")),
                _ => Ok(Tier::detect()),
            })
            .clone()
    }

    /// Vector registers.
    pub const fn registers(self) -> usize {
        match self {
            Tier::Avx512 | Tier::Neon => 32,
            Tier::Avx2 | Tier::Scalar => 16,
        }
    }

    /// f32 elements per vector.
    pub fn lanes(self) -> usize {
        match self {
            Tier::Scalar | Tier::Neon => 4,
            Tier::Avx2 => 8,
            Tier::Avx512 => 16,
        }
    }

    /// Its name, as [`Tier::parse`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Scalar => "scalar",
            Tier::Neon => "neon",
            Tier::Avx2 => "avx2",
            Tier::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
