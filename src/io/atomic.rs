//! Atomic replacement of a file.

use super::FileError;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes `path` so that a reader, a crash or an error sees the old content or the new, never a part.
///
/// The bytes go to a temporary file in the same folder, which is synced to disk and renamed over
/// `path`; if `path` is a symbolic link, the file that it points to is replaced. On any error the
/// temporary file is removed and `path` is as it was.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), FileError> {
    let target = resolve_links(path);
    if target.is_dir() {
        let source = std::io::Error::from(std::io::ErrorKind::IsADirectory);
        return Err(FileError::system(path, "write", source));
    }
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temporary =
        new_temporary(folder).map_err(|e| FileError::system(path, "create a temporary file in the folder", e))?;
    {
        let mut buffered = BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
        write(&mut buffered).and_then(|()| buffered.flush()).map_err(|e| FileError::system(path, "write", e))?;
    }
    temporary.as_file().sync_all().map_err(|e| FileError::system(path, "sync", e))?;
    temporary.persist(&target).map_err(|e| FileError::system(path, "replace", e.error))?;
    sync_folder(folder).map_err(|e| FileError::system(path, "sync the folder of", e))
}

/// Where the bytes end up: a link's destination if `path` is a link to something that exists.
fn resolve_links(path: &Path) -> PathBuf {
    if path.is_symlink() { std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() }
}

/// A file with the permissions of an ordinary new file; the default of `tempfile` is owner-only.
fn new_temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".cnnrs-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask still applies.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Makes the rename itself durable. Only Unix has a handle on a folder that can be synced.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
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
        assert_eq!(mode(&real), mode(&plain));
    }
}
