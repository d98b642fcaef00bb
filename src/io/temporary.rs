//! Temporary files that a killed process leaves nothing of, or nothing for long.
//!
//! Where the system has unnamed files (Linux, on most file systems), the bytes go to one: it is gone with
//! its process. It gets a name only when it is complete: at once the final one if nothing stands there,
//! else a short-lived one, because only a rename replaces a file. Elsewhere the file has a name from the
//! start. Named files are locked by the process that writes them, so that [`sweep`] knows those that
//! nobody owns any more.

use super::destination::Destination;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use tempfile::NamedTempFile;

const PREFIX: &str = ".cnnrs-";
const SUFFIX: &str = ".tmp";
/// A name is taken away only by a sweep that begins between its creation and its lock.
const ATTEMPTS: usize = 8;

/// A file in the folder of a destination that is not yet at its place.
pub enum Temporary {
    #[cfg(target_os = "linux")]
    Unnamed(File),
    Named(NamedTempFile),
}

impl Temporary {
    /// An unnamed file, if the folder's file system has such files.
    #[cfg(target_os = "linux")]
    pub fn unnamed(at: &Destination) -> Option<Self> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&at.folder, flags, Mode::from_raw_mode(new_mode(at))).ok()?);
        // Its name can be given through /proc alone.
        descriptor(&file).exists().then_some(Temporary::Unnamed(file))
    }

    #[cfg(not(target_os = "linux"))]
    pub fn unnamed(_at: &Destination) -> Option<Self> {
        None
    }

    /// A file with a name, locked if the file system has locks.
    pub fn named(at: &Destination) -> io::Result<Self> {
        let mut builder = names();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(new_mode(at)));
        }
        for _ in 0..ATTEMPTS {
            let file = builder.tempfile_in(&at.folder)?;
            match file.as_file().try_lock() {
                Ok(()) if is_at(file.as_file(), file.path()) => return Ok(Temporary::Named(file)),
                Err(fs::TryLockError::Error(_)) => return Ok(Temporary::Named(file)),
                Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "temporary files are removed as soon as they are made"))
    }

    pub fn file(&self) -> &File {
        match self {
            #[cfg(target_os = "linux")]
            Temporary::Unnamed(file) => file,
            Temporary::Named(file) => file.as_file(),
        }
    }

    /// Puts the file at its destination, in place of what stands there.
    ///
    /// # Errors
    /// What the system said, and the file itself where its content is not lost: an unnamed one that got no name.
    pub fn place(self, at: &Destination) -> Result<(), (io::Error, Option<File>)> {
        match self {
            #[cfg(target_os = "linux")]
            Temporary::Unnamed(file) => name(&file, at).map_err(|e| (e, Some(file))),
            Temporary::Named(file) => file.persist(&at.target).map(drop).map_err(|e| (e.error, None)),
        }
    }
}

/// Gives an unnamed file the name of its destination.
#[cfg(target_os = "linux")]
fn name(file: &File, at: &Destination) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    let source = descriptor(file);
    let link = |to: &Path| linkat(CWD, &source, CWD, to, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from);
    if at.replaced.is_none() {
        match link(&at.target) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done,
        }
    }
    // Locked before it has a name, so that no sweep takes it. Without locks none would.
    let _ = file.try_lock();
    names().make_in(&at.folder, link)?.persist(&at.target).map_err(|e| e.error)
}

fn names() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    builder
}

/// Permissions before umask: an ordinary new file's, or the owner's alone until those of the old file are set.
#[cfg(unix)]
fn new_mode(at: &Destination) -> u32 {
    if at.replaced.is_none() { 0o666 } else { 0o600 }
}

#[cfg(target_os = "linux")]
fn descriptor(file: &File) -> std::path::PathBuf {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Removes temporary files from `folder` whose process has died, because it may lack the space that they take.
///
/// What cannot be opened, locked or removed stays.
#[cfg(unix)]
pub fn sweep(folder: &Path) {
    use std::os::unix::fs::OpenOptionsExt;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let abandoned = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        name.starts_with(PREFIX.as_bytes())
            && name.ends_with(SUFFIX.as_bytes())
            && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    for entry in abandoned {
        let path = entry.path();
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        let opened = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path);
        if let Ok(file) = opened
            && file.try_lock().is_ok()
            && is_at(&file, &path)
        {
            // Another sweep may have been faster.
            let _ = fs::remove_file(&path);
        }
    }
}

/// Elsewhere temporary files are not locked in a way that a sweep could see.
#[cfg(not(unix))]
pub fn sweep(_folder: &Path) {}

/// Is the file still the one that has this name?
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata().is_ok_and(|a| fs::symlink_metadata(path).is_ok_and(|b| same(a, b)))
}

#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}
