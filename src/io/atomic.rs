//! Atomic replacement of a file.

use super::FileError;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{BufWriter, Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

/// How temporary names begin and end. Whoever writes such a file holds its lock: one that nobody locks is left over
/// from a process that was killed.
const PREFIX: &str = ".cnnrs-";
const SUFFIX: &str = ".tmp";

/// Links that are followed, at most, as by Linux.
const MAX_LINKS: usize = 40;

/// Writes `path` so that a reader, a crash or an error sees the old content or the new, never a part.
///
/// The bytes go to a temporary file in the same folder, which is synced to disk and renamed over `path`. Where the
/// system has files without a name, it is one until it is whole, so that a process that is killed leaves nothing;
/// elsewhere the next call for a file of the folder removes it. As with `open(path, "w")`, a symbolic link is
/// followed, also to a file that is not there yet, and a file that stands there keeps its permissions. On any error
/// the temporary file is removed and `path` is as it was.
///
/// # Errors
/// [`FileError::System`] where the system refuses, or `path` is a folder, a pipe or a device.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> std::result::Result<(), FileError> {
    let refused = |action: &'static str| move |e: Error| FileError::system(path, action, e);
    let target = follow_links(path).map_err(refused("follow the link"))?;
    let permissions = permissions_there(&target).map_err(refused("write"))?;
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    remove_stale(folder);
    let mut temporary = Temporary::new(folder).map_err(refused("create a temporary file in the folder"))?;
    {
        let mut buffered = BufWriter::with_capacity(1 << 20, &mut temporary.file);
        write(&mut buffered).and_then(|()| buffered.flush()).map_err(refused("write"))?;
    }
    if let Some(permissions) = permissions {
        temporary.file.set_permissions(permissions).map_err(refused("keep the permissions of"))?;
    }
    temporary.file.sync_all().map_err(refused("sync"))?;
    temporary.rename(folder, &target).map_err(refused("replace"))?;
    sync_folder(folder).map_err(refused("sync the folder of"))
}

/// Where the bytes end up: `path`, or what it leads to by links, whether that is there or not.
fn follow_links(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if !path.is_symlink() {
            return Ok(path);
        }
        let to = std::fs::read_link(&path)?;
        path = path.parent().unwrap_or(Path::new("")).join(to);
    }
    Err(Error::new(ErrorKind::InvalidInput, format!("more than {MAX_LINKS} links in a row")))
}

/// The permissions of the file that stands at `target`, if there is one.
fn permissions_there(target: &Path) -> Result<Option<Permissions>> {
    match std::fs::symlink_metadata(target) {
        Ok(found) if found.is_dir() => Err(Error::from(ErrorKind::IsADirectory)),
        Ok(found) if !found.is_file() => Err(Error::new(ErrorKind::InvalidInput, "not a regular file")),
        Ok(found) => Ok(Some(found.permissions())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// A file that is no other's, with a name or without.
struct Temporary {
    file: File,
    /// Its name, until it has its last one; it is removed when dropped.
    name: Option<tempfile::TempPath>,
}

impl Temporary {
    fn new(folder: &Path) -> Result<Self> {
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::OpenOptionsExt;
            let unnamed = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).mode(0o666).open(folder);
            // Not every file system has such files; where the folder is at fault, naming one fails as well.
            // Locked, since it has a temporary name in the end, if only for a moment.
            if let Ok(file) = unnamed
                && link_name(&file).exists()
                && file.try_lock().is_ok()
            {
                return Ok(Temporary { file, name: None });
            }
        }
        Temporary::named(folder)
    }

    /// A file with a name, locked as long as it is written.
    fn named(folder: &Path) -> Result<Self> {
        loop {
            let (file, name) = builder().tempfile_in(folder)?.into_parts();
            let locked = match file.try_lock() {
                Ok(()) => true,
                // Somebody takes it for left over, and removes it.
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => true,
                Err(TryLockError::Error(e)) => return Err(e),
            };
            if locked && name.exists() {
                return Ok(Temporary { file, name: Some(name) });
            }
        }
    }

    /// Makes it the file `target`.
    fn rename(self, folder: &Path, target: &Path) -> Result<()> {
        let Temporary { file, name } = self;
        let name = match name {
            Some(name) => name,
            None => {
                let linked = builder().make_in(folder, |name| link(&file, name))?;
                linked.into_temp_path()
            }
        };
        name.persist(target).map_err(|e| e.error)?;
        drop(file);
        Ok(())
    }
}

/// The permissions of an ordinary new file; the default of `tempfile` is owner-only.
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask still applies.
        builder.permissions(Permissions::from_mode(0o666));
    }
    builder
}

/// The path under which the system shows an open file.
#[cfg(target_os = "linux")]
fn link_name(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Gives a file without a name one.
#[cfg(target_os = "linux")]
fn link(file: &File, name: &Path) -> Result<()> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    let paths = [link_name(file).as_os_str().as_bytes(), name.as_os_str().as_bytes()].map(CString::new);
    let [from, to] = paths;
    let (from, to) = (from?, to?);
    let (here, follow) = (libc::AT_FDCWD, libc::AT_SYMLINK_FOLLOW);
    // SAFETY: both are strings that end with a zero byte.
    match unsafe { libc::linkat(here, from.as_ptr(), here, to.as_ptr(), follow) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

#[cfg(not(target_os = "linux"))]
fn link(_: &File, _: &Path) -> Result<()> {
    Err(Error::from(ErrorKind::Unsupported))
}

/// Removes temporary files of processes that are gone, as far as it can.
fn remove_stale(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        let stale = ours
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && OpenOptions::new().write(true).open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
        if stale {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Makes the rename itself durable. Only Unix has a handle on a folder that can be synced.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn entries(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("folder")
            .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_the_content_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("m.bin");
        for content in [&b"first, longer"[..], &b"second"[..]] {
            write_atomically(&path, |w| w.write_all(content)).expect("write");
            assert_eq!(fs::read(&path).expect("read"), content);
        }
        assert_eq!(entries(folder.path()), ["m.bin"]);
    }

    #[test]
    fn a_failing_writer_leaves_the_old_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("m.bin");
        fs::write(&path, b"old").expect("old file");
        let error = write_atomically(&path, |w| {
            w.write_all(&[7; 3 << 20])?;
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        })
        .expect_err("the writer failed");
        assert!(matches!(error, FileError::System { action: "write", .. }), "{error}");
        assert_eq!(fs::read(&path).expect("read"), b"old");
        assert_eq!(entries(folder.path()), ["m.bin"]);
    }

    #[test]
    fn a_missing_folder_and_a_folder_as_target_are_errors_that_name_the_path() {
        let folder = tempfile::tempdir().expect("folder");
        let missing = folder.path().join("none").join("m.bin");
        let error = write_atomically(&missing, |_| Ok(())).expect_err("no such folder");
        assert!(error.to_string().contains("m.bin"), "{error}");
        let FileError::System { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
        let error = write_atomically(folder.path(), |_| Ok(())).expect_err("a folder");
        let FileError::System { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(source.kind(), std::io::ErrorKind::IsADirectory);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_new_files_follow_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("folder");
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, b"old").expect("old file");
        std::os::unix::fs::symlink(&real, &link).expect("link");
        write_atomically(&link, |w| w.write_all(b"new")).expect("write");
        assert!(link.is_symlink());
        assert_eq!(fs::read(&real).expect("read"), b"new");
        let plain = folder.path().join("plain");
        File::create(&plain).expect("plain file");
        let mode = |p: &Path| fs::metadata(p).expect("metadata").permissions().mode();
        let fresh = folder.path().join("fresh");
        write_atomically(&fresh, |w| w.write_all(b"new")).expect("write");
        assert_eq!(mode(&fresh), mode(&plain));
    }

    #[cfg(unix)]
    #[test]
    fn permissions_stay_and_a_link_to_nothing_makes_its_target() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("folder");
        let (secret, link) = (folder.path().join("secret"), folder.path().join("link"));
        fs::write(&secret, b"old").expect("old file");
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("permissions");
        write_atomically(&secret, |w| w.write_all(b"new")).expect("write");
        assert_eq!(fs::metadata(&secret).expect("metadata").permissions().mode() & 0o777, 0o600);
        std::os::unix::fs::symlink("target", &link).expect("link");
        write_atomically(&link, |w| w.write_all(b"new")).expect("write");
        assert!(link.is_symlink());
        assert_eq!(fs::read(folder.path().join("target")).expect("read"), b"new");
        let circle = folder.path().join("circle");
        std::os::unix::fs::symlink("circle", &circle).expect("link");
        let error = write_atomically(&circle, |_| Ok(())).expect_err("a circle");
        assert!(error.to_string().contains("circle") && error.to_string().contains("links"), "{error}");
        assert_eq!(entries(folder.path()), ["circle", "link", "secret", "target"]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_another_writes_is_not() {
        let folder = tempfile::tempdir().expect("folder");
        let left = folder.path().join(".cnnrs-left.tmp");
        fs::write(&left, b"half").expect("left over");
        let other = Temporary::named(folder.path()).expect("another writer");
        let kept = other.name.as_ref().expect("a name").file_name().expect("a name").to_string_lossy().into_owned();
        write_atomically(&folder.path().join("m.bin"), |w| w.write_all(b"new")).expect("write");
        assert_eq!(entries(folder.path()), [kept, "m.bin".to_owned()]);
        other.rename(folder.path(), &folder.path().join("n.bin")).expect("rename");
        assert_eq!(entries(folder.path()), ["m.bin", "n.bin"]);
    }
}
