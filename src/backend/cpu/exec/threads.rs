//! How many threads run, and which setting decided it. Reading it starts no thread.

use crate::error::{Error, Result};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Environment variables that set the number of threads; the first that is set wins.
pub const VARIABLES: [&str; 3] = ["CNNRS_NUM_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS"];
/// The most threads that can be asked for: enough for any machine, and a guard against typing errors.
pub const MAX_THREADS: usize = 1024;

/// Where the number of threads comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadSource {
    /// [`set_num_threads`].
    Call,
    /// The environment variable of this name.
    Variable(&'static str),
    /// The processors that this process may use: all, its affinity mask, or its container's quota.
    Available,
}

impl std::fmt::Display for ThreadSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ThreadSource::Call => "set_num_threads",
            ThreadSource::Variable(name) => name,
            ThreadSource::Available => "available processors (affinity and container quota counted)",
        })
    }
}

/// What [`set_num_threads`] asked for; 0 before the first call.
static CALLED: AtomicUsize = AtomicUsize::new(0);

/// Number of threads that a run may use, and what decided it.
///
/// In this order: [`set_num_threads`], `CNNRS_NUM_THREADS`, `RAYON_NUM_THREADS`, `OMP_NUM_THREADS`
/// (its first level), the processors available to the process. Variables are read once.
///
/// # Errors
/// `Value` if a variable that would decide holds no number from 1 to [`MAX_THREADS`].
pub fn num_threads() -> Result<(usize, ThreadSource)> {
    static ENVIRONMENT: OnceLock<Result<(usize, ThreadSource)>> = OnceLock::new();
    match CALLED.load(Ordering::Relaxed) {
        0 => ENVIRONMENT.get_or_init(|| resolve(|name| std::env::var(name).ok(), available())).clone(),
        count => Ok((count, ThreadSource::Call)),
    }
}

/// Sets the number of threads for runs that start from now on.
///
/// # Errors
/// `Value` unless `count` is from 1 to [`MAX_THREADS`].
pub fn set_num_threads(count: usize) -> Result<()> {
    if !(1..=MAX_THREADS).contains(&count) {
        return Err(Error::value(format!("num_threads: expected 1 to {MAX_THREADS}, received {count}")));
    }
    CALLED.store(count, Ordering::Relaxed);
    Ok(())
}

/// Processors that this process may use; affinity masks and cgroup quotas are counted in.
fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS)
}

fn resolve(variable: impl Fn(&str) -> Option<String>, available: usize) -> Result<(usize, ThreadSource)> {
    for name in VARIABLES {
        let Some(text) = variable(name).filter(|text| !text.trim().is_empty()) else { continue };
        // OpenMP allows a list, one number per nesting level; rayon takes 0 for "not set".
        let first = text.split(',').next().unwrap_or_default().trim();
        match first.parse() {
            Ok(0) if name == "RAYON_NUM_THREADS" => {}
            Ok(count) if (1..=MAX_THREADS).contains(&count) => return Ok((count, ThreadSource::Variable(name))),
            _ => {
                let message = format!("expected a number of threads from 1 to {MAX_THREADS}, received {text:?}");
                return Err(Error::value(message).at(name));
            }
        }
    }
    Ok((available, ThreadSource::Available))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(settings: &[(&str, &str)]) -> Result<(usize, ThreadSource)> {
        let find = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        resolve(find, 6)
    }

    #[test]
    fn the_first_variable_that_is_set_wins() {
        let [own, rayon, openmp] = VARIABLES;
        assert_eq!(from(&[(openmp, "4"), (rayon, "3"), (own, "2")]), Ok((2, ThreadSource::Variable(own))));
        assert_eq!(from(&[(openmp, "4"), (rayon, " 3 ")]), Ok((3, ThreadSource::Variable(rayon))));
        assert_eq!(from(&[(openmp, "4,2"), (rayon, "0"), (own, "")]), Ok((4, ThreadSource::Variable(openmp))));
        assert_eq!(from(&[]), Ok((6, ThreadSource::Available)));
    }

    #[test]
    fn a_variable_that_is_no_count_is_an_error_that_names_it() {
        for text in ["many", "0", "-1", "1.5", "1025", "99999999999999999999999"] {
            let error = from(&[("CNNRS_NUM_THREADS", text), ("OMP_NUM_THREADS", "2")]).expect_err(text);
            let message = error.to_string();
            assert!(message.starts_with("CNNRS_NUM_THREADS: ") && message.contains(text), "{message}");
        }
    }

    #[test]
    fn a_call_beats_the_environment_and_rejects_what_is_no_count() {
        assert!(set_num_threads(0).is_err());
        assert!(set_num_threads(MAX_THREADS + 1).is_err());
        let before = num_threads().expect("valid environment").0;
        set_num_threads(before).expect("valid count");
        assert_eq!(num_threads(), Ok((before, ThreadSource::Call)));
    }
}
