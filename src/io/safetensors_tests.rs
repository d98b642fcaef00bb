//! Round trips, and what damaged or foreign files get.

use super::*;
use proptest::prelude::*;
use std::path::PathBuf;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().expect("folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("m.safetensors")
    }

    /// Writes raw bytes and reads them as safetensors.
    fn read_raw(&self, bytes: &[u8]) -> Result<SafetensorsFile, FileError> {
        std::fs::write(self.path(), bytes).expect("raw file");
        read(&self.path())
    }
}

fn raw(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn format_error(result: Result<SafetensorsFile, FileError>) -> String {
    match result {
        Err(FileError::Format { reason, .. }) => reason,
        other => panic!("expected a format error, got {other:?}"),
    }
}

fn scalar(name: &'static str) -> TensorData<'static> {
    TensorData { name, dtype: DType::U8, shape: &[], bytes: &[7] }
}

fn element_type() -> impl Strategy<Value = DType> {
    prop::sample::select(vec![DType::F32, DType::I32, DType::U8, DType::Bool])
}

proptest! {
    #![proptest_config(crate::testing::cases(64))]

    #[test]
    fn what_is_written_is_read(
        content in prop::collection::btree_map(
            "[a-zA-Z0-9/_.é\"\\\\ ]{0,12}",
            (element_type(), prop::collection::vec(0usize..4, 0..4), any::<u8>()),
            0..6,
        ),
        metadata in prop::collection::btree_map("[a-z]{0,5}", any::<String>(), 0..4),
    ) {
        let bytes: Vec<Vec<u8>> = content
            .values()
            .map(|(dtype, shape, fill)| {
                let n = dtype.size() * shape.iter().product::<usize>();
                (0..n).map(|i| fill.wrapping_add(i as u8)).collect()
            })
            .collect();
        let tensors: Vec<TensorData<'_>> = content
            .iter()
            .zip(&bytes)
            .map(|((name, (dtype, shape, _)), bytes)| TensorData { name, dtype: *dtype, shape, bytes })
            .collect();
        let folder = Folder::new();
        write(&folder.path(), &tensors, &metadata).expect("write");
        let file = read(&folder.path()).expect("read");
        let mut found: Vec<TensorData<'_>> = file.tensors().collect();
        found.sort_by_key(|t| t.name);
        prop_assert_eq!(found, tensors.clone());
        prop_assert_eq!(file.metadata(), &metadata);
        // Deterministic, and valid for the reference implementation.
        let first = std::fs::read(folder.path()).expect("bytes");
        write(&folder.path(), &tensors, &metadata).expect("write again");
        prop_assert_eq!(&first, &std::fs::read(folder.path()).expect("bytes"));
        let reference = safetensors::SafeTensors::deserialize(&first).expect("reference reader");
        for tensor in &tensors {
            prop_assert_eq!(reference.tensor(tensor.name).expect(tensor.name).data(), tensor.bytes);
        }
    }

    #[test]
    fn no_prefix_of_a_file_is_accepted(cut in 0usize..1000) {
        let folder = Folder::new();
        write(&folder.path(), &[scalar("a"), scalar("b")], &BTreeMap::new()).expect("write");
        let whole = std::fs::read(folder.path()).expect("bytes");
        format_error(folder.read_raw(&whole[..cut % whole.len()]));
    }

    #[test]
    fn damage_never_panics(position in 0usize..1000, value: u8) {
        let folder = Folder::new();
        write(&folder.path(), &[scalar("a"), scalar("b")], &BTreeMap::new()).expect("write");
        let mut bytes = std::fs::read(folder.path()).expect("bytes");
        let n = bytes.len();
        bytes[position % n] = value;
        if let Ok(file) = folder.read_raw(&bytes) {
            prop_assert!(file.tensors().all(|t| t.bytes.len() == t.shape.iter().product::<usize>()));
        }
    }
}

#[test]
fn wide_elements_come_first_so_that_they_are_aligned() {
    let folder = Folder::new();
    let wide = TensorData { name: "z", dtype: DType::F32, shape: &[1], bytes: &[0; 4] };
    write(&folder.path(), &[scalar("a"), wide], &BTreeMap::new()).expect("write");
    let file = read(&folder.path()).expect("read");
    assert_eq!(file.tensors().map(|t| t.name).collect::<Vec<_>>(), ["z", "a"]);
}

#[test]
fn truncation_and_excess_say_how_many_bytes() {
    let folder = Folder::new();
    let header = r#"{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#;
    let reason = format_error(folder.read_raw(&raw(header, &[0; 5])));
    assert_eq!(reason, "truncated: the header announces 12 bytes of tensors, the file holds 5");
    let reason = format_error(folder.read_raw(&raw(header, &[0; 13])));
    assert!(reason.starts_with("too long"), "{reason}");
    let reason = format_error(folder.read_raw(b"abc"));
    assert!(reason.contains("3 bytes"), "{reason}");
}

#[test]
fn foreign_files_and_huge_headers_are_refused_before_anything_is_allocated() {
    let folder = Folder::new();
    let reason = format_error(folder.read_raw(b"\x89PNG\r\n\x1a\n and so on"));
    assert!(reason.starts_with("not a safetensors file"), "{reason}");
    let reason = format_error(folder.read_raw(&u64::MAX.to_le_bytes()));
    assert!(reason.contains("18446744073709551615"), "{reason}");
    let reason = format_error(folder.read_raw(&raw("this is no JSON", &[])));
    assert!(reason.contains("header"), "{reason}");
}

#[test]
fn inconsistent_headers_are_refused() {
    let folder = Folder::new();
    for header in [
        r#"{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,12]}}"#,
        r#"{"w":{"dtype":"F32","shape":[3],"data_offsets":[4,16]}}"#,
        r#"{"w":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,12]}}"#,
        r#"{"w":{"dtype":"X32","shape":[3],"data_offsets":[0,12]}}"#,
        r#"{"__metadata__":{"n":1}}"#,
    ] {
        format_error(folder.read_raw(&raw(header, &[0; 12])));
    }
}

#[test]
fn an_unsupported_dtype_names_the_tensor() {
    let folder = Folder::new();
    let header = r#"{"w":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#;
    let reason = format_error(folder.read_raw(&raw(header, &[0; 8])));
    assert_eq!(reason, format!("tensor \"w\" has dtype C64; supported are {}", crate::dtype::DType::file_names()));
}

#[test]
fn a_missing_file_keeps_the_system_error() {
    let Err(FileError::System { source, .. }) = read(&Folder::new().path()) else { panic!("the file is not there") };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn content_that_does_not_fit_the_format_writes_nothing() {
    let folder = Folder::new();
    let none = BTreeMap::new();
    let short = TensorData { name: "w", dtype: DType::F32, shape: &[2], bytes: &[0; 7] };
    let overflow = [usize::MAX, 2];
    let vast = TensorData { name: "w", dtype: DType::U8, shape: &overflow, bytes: &[] };
    for tensors in [vec![short], vec![vast], vec![scalar("a"), scalar("a")], vec![scalar(METADATA_KEY)]] {
        let error = write(&folder.path(), &tensors, &none).expect_err("does not fit");
        assert!(matches!(error, FileError::Content { .. }), "{error}");
    }
    assert!(!folder.path().exists());
}

#[test]
fn an_entry_of_another_program_that_is_called_checksum_is_no_checksum_of_ours() {
    let folder = Folder::new();
    let header = r#"{"__metadata__":{"checksum":"sha256:00"},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    let file = folder.read_raw(&raw(header, &[7])).expect("a foreign file");
    assert!(!file.has_checksum());
    assert_eq!(file.metadata()["checksum"], "sha256:00");
    let reason = format_error(folder.read_raw(&raw(&header.replace("sha256:00", "crc32:00000000"), &[7])));
    assert!(reason.contains("checksum"), "{reason}");
}
