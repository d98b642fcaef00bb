//! The reader and the writer of safetensors files. The first byte says what the others are: a file; a header and
//! data, which get the length that belongs before them; or content to write and read.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use cnnrs::DType;
use cnnrs::io::FileError;
use cnnrs::io::safetensors::{SafetensorsFile, TensorData, read, write};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A folder in memory where the system has one.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a temporary folder")
});

fn path() -> PathBuf {
    FOLDER.path().join("m.safetensors")
}

fn sorted(file: &SafetensorsFile) -> Vec<TensorData<'_>> {
    let mut tensors: Vec<TensorData<'_>> = file.tensors().collect();
    tensors.sort_by_key(|t| t.name);
    tensors
}

/// Reads `bytes` as a file. What is accepted is what the reference implementation reads, and is written and read
/// again without a difference.
fn read_file(bytes: &[u8]) {
    std::fs::write(path(), bytes).expect("a raw file");
    let file = match read(&path()) {
        Ok(file) => file,
        Err(FileError::Format { .. }) => return,
        Err(other) => panic!("{other:?}"),
    };
    let tensors = sorted(&file);
    let reference = safetensors::SafeTensors::deserialize(bytes).expect("the reference reader takes it too");
    assert_eq!(reference.len(), tensors.len());
    for t in &tensors {
        let theirs = reference.tensor(t.name).expect("a tensor of this name");
        assert_eq!((theirs.shape(), theirs.data()), (t.shape, t.bytes));
    }
    // A checksum is the writer's own: one of another kind, which the reader passes on, it refuses.
    if file.metadata().contains_key("checksum") {
        assert!(matches!(write(&path(), &tensors, file.metadata()), Err(FileError::Content { .. })));
        return;
    }
    write(&path(), &tensors, file.metadata()).expect("what was read can be written");
    let again = read(&path()).expect("what was written can be read");
    assert_eq!((sorted(&again), again.metadata()), (tensors, file.metadata()));
}

struct Content {
    dtype: DType,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn content(u: &mut Unstructured<'_>) -> Result<Content> {
    let dtype = *u.choose(&[DType::F32, DType::I32, DType::U8, DType::Bool])?;
    let rank = u.int_in_range(0..=4)?;
    let mut shape = (0..rank).map(|_| u.int_in_range(0..=4)).collect::<Result<Vec<usize>>>()?;
    let mut count = shape.iter().product::<usize>() * dtype.size();
    if u.ratio(1, 16)? {
        // A shape that has nothing to do with the bytes.
        shape.push(usize::arbitrary(u)?);
        count = u.int_in_range(0..=16)?;
    }
    let bytes = (0..count).map(|_| u8::arbitrary(u)).collect::<Result<_>>()?;
    Ok(Content { dtype, shape, bytes })
}

/// Writes names, shapes, bytes and metadata that `u` makes up, and reads them.
fn write_content(u: &mut Unstructured<'_>) -> Result<()> {
    let mut entries = Vec::new();
    for _ in 0..u.int_in_range(0..=5)? {
        entries.push((String::arbitrary(u)?, content(u)?));
    }
    let metadata = BTreeMap::<String, String>::arbitrary(u)?;
    let mut tensors: Vec<TensorData<'_>> =
        entries.iter().map(|(name, c)| TensorData { name, dtype: c.dtype, shape: &c.shape, bytes: &c.bytes }).collect();
    let file = match write(&path(), &tensors, &metadata) {
        Ok(()) => read(&path()).expect("what was written can be read"),
        Err(FileError::Content { .. }) => return Ok(()),
        Err(other) => panic!("{other:?}"),
    };
    tensors.sort_by_key(|t| t.name);
    assert_eq!((sorted(&file), file.metadata()), (tensors, &metadata));
    let bytes = std::fs::read(path()).expect("the file");
    safetensors::SafeTensors::deserialize(&bytes).expect("the reference reader takes it too");
    Ok(())
}

fuzz_target!(|input: &[u8]| {
    let Some((&kind, rest)) = input.split_first() else { return };
    match kind % 3 {
        0 => read_file(rest),
        1 => {
            // The header ends at the first NUL, which no header holds.
            let end = rest.iter().position(|&b| b == 0).unwrap_or(rest.len());
            let data = &rest[(end + 1).min(rest.len())..];
            read_file(&[&(end as u64).to_le_bytes(), &rest[..end], data].concat());
        }
        // Without bytes left, `Unstructured` goes on with zeros.
        _ => write_content(&mut Unstructured::new(rest)).unwrap_or_default(),
    }
});
