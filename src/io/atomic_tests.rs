//! What is replaced, what is left behind, and what is refused.

use super::*;
use std::fs;
#[cfg(target_os = "linux")]
use std::os::unix::fs::FileExt;

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
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("permissions");
    write_atomically(&secret, |w| w.write_all(b"new")).expect("write");
    assert_eq!(fs::metadata(&secret).expect("metadata").permissions().mode() & 0o777, 0o600);
    std::os::unix::fs::symlink("target", &link).expect("link");
    write_atomically(&link, |w| w.write_all(b"new")).expect("write");
    assert!(link.is_symlink());
    assert_eq!(fs::read(folder.path().join("target")).expect("read"), b"new");
    let circle = folder.path().join("circle");
    std::os::unix::fs::symlink("circle", &circle).expect("link");
    let error = write_atomically(&circle, |_| Ok(())).expect_err("a circle");
    assert!(error.to_string().contains("circle"), "{error}");
    assert_eq!(entries(folder.path()), ["circle", "link", "secret", "target"]);
}

#[cfg(unix)]
#[test]
fn what_a_killed_process_left_is_removed_and_what_another_writes_is_not() {
    let folder = tempfile::tempdir().expect("folder");
    let left = folder.path().join(".cnnrs-left.tmp");
    fs::write(&left, b"half").expect("left over");
    let at = Destination::of(&folder.path().join("n.bin")).expect("free");
    let other = Temporary::named(&at).expect("another writer");
    let Temporary::Named(file) = &other else { panic!("it has a name") };
    let kept = file.path().file_name().expect("a name").to_string_lossy().into_owned();
    write_atomically(&folder.path().join("m.bin"), |w| w.write_all(b"new")).expect("write");
    assert_eq!(entries(folder.path()), [kept, "m.bin".to_owned()]);
    other.place(&at).expect("rename");
    assert_eq!(entries(folder.path()), ["m.bin", "n.bin"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_gets_no_name_is_copied_into_one_that_has_one() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("m.bin");
    fs::write(&path, "old").expect("old file");
    let at = Destination::of(&path).expect("writable");
    let Some(Temporary::Unnamed(file)) = Temporary::unnamed(&at) else { return };
    file.write_all_at(b"content", 0).expect("write");
    place_copy(&path, &at, file).expect("place");
    assert_eq!(fs::read(&path).expect("read"), b"content");
    assert_eq!(entries(folder.path()), ["m.bin"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_without_a_name_replaces_what_came_meanwhile() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("m.bin");
    let at = Destination::of(&path).expect("free");
    let Some(first) = Temporary::unnamed(&at) else { return };
    let second = Temporary::unnamed(&at).expect("as the first");
    first.file().write_all_at(b"first", 0).expect("write");
    second.file().write_all_at(b"second", 0).expect("write");
    assert_eq!(entries(folder.path()), [""; 0]);
    first.place(&at).expect("place");
    second.place(&at).expect("place");
    assert_eq!(fs::read(&path).expect("read"), b"second");
    assert_eq!(entries(folder.path()), ["m.bin"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_being_replaced_is_never_readable_by_more_than_before() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("m.bin");
    fs::write(&path, b"old").expect("old file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("permissions");
    let at = Destination::of(&path).expect("a file");
    let temporary = Temporary::named(&at).expect("temporary");
    let mode = || temporary.file().metadata().expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    at.pass_on_permissions(temporary.file()).expect("permissions");
    assert_eq!(mode(), 0o640);
}

#[test]
fn a_check_leaves_no_trace_and_tells_what_writing_would() {
    let folder = tempfile::tempdir().expect("folder");
    check_writable(&folder.path().join("m.bin")).expect("free");
    assert_eq!(entries(folder.path()), [""; 0]);
    check_writable(folder.path()).expect_err("a folder");
    check_writable(&folder.path().join("none").join("m.bin")).expect_err("no such folder");
}
