//! The one error type: what was received, what was expected, and where.

use std::fmt;

/// What kind of mistake it was; Python sees the exception named beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A value, shape or attribute does not fit (`ValueError`).
    Value,
    /// A dtype or an argument of the wrong type (`TypeError`).
    Type,
    /// Sizes that overflow or exceed memory (`MemoryError`).
    Memory,
    /// A read or call that makes no sense in the current state (`RuntimeError`).
    State,
    /// A value read while its function is being traced, when there is none (`TracedValueError`, a `RuntimeError`).
    Tracing,
    /// A device was lost, and what was in its memory with it (`DeviceLostError`, a `RuntimeError`).
    Lost,
    /// The caller asked for the run to stop (`KeyboardInterrupt`).
    Cancelled,
    /// An index outside its axis (`IndexError`).
    Index,
}

/// An error with its origin: the layer or op at which it was found.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub struct Error {
    /// Decides the Python exception.
    pub kind: ErrorKind,
    message: String,
    origin: Option<String>,
}

/// The crate's result type.
pub type Result<T> = std::result::Result<T, Error>;

/// The result of `work`, or what it panicked with as a `State` error: a defect of the engine costs one call, not the
/// process.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What `work` leaves behind is whole: runs commit last, and locks are taken in spite of poison.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(defect(&*panic)))
}

/// The error of a panic.
pub(crate) fn defect(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    Error::state(format!("the engine has a defect, please report it: {text}"))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), origin: None }
    }

    /// A value, shape or attribute that does not fit.
    pub fn value(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Value, message)
    }

    /// A wrong dtype or argument type.
    pub fn dtype(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Type, message)
    }

    /// A size that overflows or exceeds memory.
    pub fn memory(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Memory, message)
    }

    /// A call that makes no sense in the current state.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::State, message)
    }

    /// A value that does not exist while its function is being traced.
    pub fn tracing(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Tracing, message)
    }

    /// Names the layer or op at which the error was found, unless one is named already.
    pub fn at(mut self, origin: &str) -> Self {
        if self.origin.is_none() && !origin.is_empty() {
            self.origin = Some(origin.to_owned());
        }
        self
    }
}

/// An integer that names no place, or a matrix without the result that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadData {
    /// What the integer is, or what the matrix lacks.
    pub what: Integer,
    /// Its place in its tensor; of matrices, which one.
    pub element: usize,
    /// The integer.
    pub value: i32,
    /// How many classes or places there are.
    pub extent: usize,
}

/// What an integer stands for, or why a matrix has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integer {
    /// A class.
    Label,
    /// A place along an axis; negative ones count from the end.
    Index,
    /// A matrix without an inverse.
    Singular,
    /// A matrix that is not positive definite.
    Indefinite,
    /// A matrix whose eigenvalues are complex.
    Complex,
}

impl From<BadData> for Error {
    fn from(bad: BadData) -> Self {
        let BadData { what, element, value, extent } = bad;
        Error::value(match what {
            Integer::Label => format!("label {value} at position {element}: expected 0 to {}", extent as i64 - 1),
            Integer::Singular => format!("matrix {element} is singular: it has no inverse"),
            Integer::Indefinite => format!("matrix {element} is not positive definite"),
            Integer::Complex => {
                format!("matrix {element} has complex eigenvalues, and there are no complex numbers")
            }
            Integer::Index => {
                format!("index {value} at position {element}: expected -{extent} to {}", extent as i64 - 1)
            }
        })
    }
}
