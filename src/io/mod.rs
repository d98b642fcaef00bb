//! Files: what is read from and written to disk. Knows bytes, shapes and dtypes, never a graph.

mod atomic;
mod destination;
pub mod hdf5;
pub mod image_json;
pub mod safetensors;
mod temporary;

pub use atomic::{check_writable, write_atomically};

use std::path::{Path, PathBuf};

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused: missing file, no permission, full disk.
    #[error("{}: cannot {action}: {source}", path.display())]
    System {
        /// The file that was named by the caller.
        path: PathBuf,
        /// What was attempted, e.g. `"open"`.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file was read, but it is not what it should be: foreign, truncated, or inconsistent.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file that was named by the caller.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// The content cannot be stored in this format; nothing was written.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file that was named by the caller.
        path: PathBuf,
        /// Which part does not fit, and why.
        reason: String,
    },
    /// The file does not fit into memory.
    #[error("{}: cannot allocate {bytes} bytes to read it", path.display())]
    Memory {
        /// The file that was named by the caller.
        path: PathBuf,
        /// How much was asked for.
        bytes: u64,
    },
}

impl FileError {
    fn system(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        FileError::System { path: path.to_owned(), action, source }
    }

    fn format(path: &Path, reason: impl Into<String>) -> Self {
        FileError::Format { path: path.to_owned(), reason: reason.into() }
    }

    fn content(path: &Path, reason: impl Into<String>) -> Self {
        FileError::Content { path: path.to_owned(), reason: reason.into() }
    }
}
