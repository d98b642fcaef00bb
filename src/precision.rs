//! How far kernels may depart from plain f32 sums of products.

use crate::error::{Error, Result};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// What kernels may do to sums of products in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Sum the products themselves, in some fixed order.
    Strict,
    /// Transform the operands to need fewer multiplications (Winograd convolutions), at about twice the
    /// rounding error.
    Fast,
}

static STRICT: AtomicBool = AtomicBool::new(false);

impl Precision {
    /// Every choice.
    pub const ALL: [Precision; 2] = [Precision::Strict, Precision::Fast];

    /// "strict" or "fast".
    pub fn name(self) -> &'static str {
        match self {
            Precision::Strict => "strict",
            Precision::Fast => "fast",
        }
    }

    /// The choice of that name.
    ///
    /// # Errors
    /// When there is none; the message names all.
    ///
    /// ```
    /// use cnnrs::precision::Precision;
    /// assert_eq!(Precision::parse("strict")?, Precision::Strict);
    /// assert!(Precision::parse("exact").unwrap_err().to_string().contains("\"strict\" or \"fast\""));
    /// # Ok::<(), cnnrs::Error>(())
    /// ```
    pub fn parse(name: &str) -> Result<Precision> {
        let choices = Precision::ALL.map(|p| format!("{:?}", p.name())).join(" or ");
        Precision::ALL
            .into_iter()
            .find(|p| p.name() == name)
            .ok_or_else(|| Error::value(format!("precision: expected {choices}, received {name:?}")))
    }

    /// The process's setting: what plans compiled from now on use. [`Precision::Fast`] at first.
    pub fn current() -> Precision {
        if STRICT.load(Ordering::Relaxed) { Precision::Strict } else { Precision::Fast }
    }

    /// Changes the process's setting. Functions compiled before keep the plans that they have.
    pub fn set_current(precision: Precision) {
        STRICT.store(precision == Precision::Strict, Ordering::Relaxed);
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
