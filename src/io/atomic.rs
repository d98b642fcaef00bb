//! Atomic replacement of a file.

use super::FileError;
use super::destination::Destination;
use super::temporary::{Temporary, sweep};
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// Writes `path` so that a reader, a crash or an error sees the old content or the new, never a part.
///
/// The bytes go to a temporary file in the same folder, which is synced to disk and then put in the
/// place of what `path` names. Links and permissions are treated as by `open(path, "w")`: a link stays
/// and what it names is written, also if that is not there yet; a file that is replaced passes on its
/// permissions, and its owner where the process may; a file without permission to write is an error.
///
/// On any error `path` is as it was. A process that is killed leaves no temporary file behind where the
/// system has unnamed files; else the next call for the same folder removes it.
///
/// # Errors
/// [`FileError::System`] if the system refuses, or `path` is a folder, a FIFO, a socket or a device.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), FileError> {
    let at = Destination::of(path)?;
    sweep(&at.folder);
    let temporary = match Temporary::unnamed(&at) {
        Some(temporary) => temporary,
        None => named(path, &at)?,
    };
    fill(path, &at, &temporary, write)?;
    match temporary.place(&at) {
        Ok(()) => {}
        // Some file systems have unnamed files that cannot be named.
        Err((_, Some(unnamed))) => place_copy(path, &at, unnamed)?,
        Err((e, None)) => return Err(FileError::system(path, "replace", e)),
    }
    sync_folder(&at.folder).map_err(|e| FileError::system(path, "sync the folder of", e))
}

/// Puts a copy of a complete file without a name at the destination.
fn place_copy(path: &Path, at: &Destination, mut unnamed: File) -> Result<(), FileError> {
    let temporary = named(path, at)?;
    fill(path, at, &temporary, |to| {
        unnamed.seek(SeekFrom::Start(0))?;
        std::io::copy(&mut unnamed, to).map(drop)
    })?;
    temporary.place(at).map_err(|(e, _)| FileError::system(path, "replace", e))
}

/// Fills a temporary file and puts it on the disk, with the permissions of the file that it replaces.
fn fill(
    path: &Path,
    at: &Destination,
    temporary: &Temporary,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), FileError> {
    let mut buffered = BufWriter::with_capacity(1 << 20, temporary.file());
    write(&mut buffered).and_then(|()| buffered.flush()).map_err(|e| FileError::system(path, "write", e))?;
    at.pass_on_permissions(temporary.file()).map_err(|e| FileError::system(path, "set the mode of", e))?;
    temporary.file().sync_all().map_err(|e| FileError::system(path, "sync", e))
}

/// Finds out, without a trace, whether [`write_atomically`] may write to `path`.
///
/// # Errors
/// Those of [`write_atomically`]. A disk that is full is not found out.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    let at = Destination::of(path)?;
    if Temporary::unnamed(&at).is_none() {
        named(path, &at)?;
    }
    Ok(())
}

fn named(path: &Path, at: &Destination) -> Result<Temporary, FileError> {
    Temporary::named(at).map_err(|e| FileError::system(path, "create a temporary file in the folder", e))
}

/// Makes the rename itself durable. Only Unix has a handle on a folder that can be synced.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
#[path = "atomic_tests.rs"]
mod tests;
