//! Where a file that is to be written ends up, and what stands there: as `open(path, "w")` sees it.

use super::FileError;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// More links in a row than any system follows.
const MAX_LINKS: usize = 64;

/// A place that can be written to: nothing stands there, or a regular file that may be written.
#[derive(Debug)]
pub struct Destination {
    /// The path with its links followed; a link to nothing leads to what it names.
    pub target: PathBuf,
    /// The folder of `target`.
    pub folder: PathBuf,
    /// What stands at `target`.
    pub replaced: Option<Metadata>,
}

impl Destination {
    /// # Errors
    /// [`FileError::System`] if a folder, a FIFO, a socket, a device, or a file without permission to write
    /// stands at `path`.
    pub fn of(path: &Path) -> Result<Self, FileError> {
        let system = |e| FileError::system(path, "write", e);
        let replaced = match fs::metadata(path) {
            Ok(found) => {
                check_regular(&found).map_err(system)?;
                // Renaming needs no permission on the file that it replaces.
                OpenOptions::new().write(true).open(path).map_err(system)?;
                Some(found)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(system(e)),
        };
        let target = follow_links(path);
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Destination { target, folder, replaced })
    }

    /// Gives a new file the permissions, and as far as the process may the owner, of the one that it replaces.
    #[cfg(unix)]
    pub fn pass_on_permissions(&self, file: &File) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
        let Some(old) = &self.replaced else { return Ok(()) };
        let own = file.metadata()?;
        let mut mode = old.mode() & 0o7777;
        if (own.uid(), own.gid()) != (old.uid(), old.gid())
            && fchown(file, Some(old.uid()), Some(old.gid())).is_err()
            && fchown(file, None, Some(old.gid())).is_err()
        {
            // What the file's group was allowed is not for another group.
            mode &= !0o070;
        }
        if own.mode() & 0o7777 == mode { Ok(()) } else { file.set_permissions(fs::Permissions::from_mode(mode)) }
    }

    #[cfg(not(unix))]
    pub fn pass_on_permissions(&self, _file: &File) -> io::Result<()> {
        Ok(())
    }
}

/// The path behind links, of which the last may lead to nothing. The system has followed them without a loop.
fn follow_links(path: &Path) -> PathBuf {
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(next) = fs::read_link(&target) else { break };
        target = target.parent().map_or_else(|| next.clone(), |folder| folder.join(&next));
    }
    target
}

/// Opens a regular file for reading, without waiting for the other end of a FIFO.
pub fn open_regular(path: &Path) -> Result<(File, Metadata), FileError> {
    let system = |e| FileError::system(path, "open", e);
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Before it is opened, for that alone can act on a device; and after, for the name may lead elsewhere.
        fs::metadata(path).and_then(|found| check_regular(&found)).map_err(system)?;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path).map_err(system)?;
    let found = file.metadata().map_err(system)?;
    check_regular(&found).map_err(system)?;
    Ok((file, found))
}

fn check_regular(found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{}, not a regular file", kind(found))))
}

fn kind(found: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = found.file_type();
        for (is, name) in [
            (kind.is_fifo(), "a FIFO"),
            (kind.is_socket(), "a socket"),
            (kind.is_char_device(), "a character device"),
            (kind.is_block_device(), "a block device"),
        ] {
            if is {
                return name;
            }
        }
    }
    let _ = found;
    "something else"
}
