//! Safetensors files: named tensors behind a JSON header, with a string-to-string metadata map.
//!
//! The format: 8 bytes little-endian header length, the JSON header, then the tensors' bytes,
//! little-endian and row-major. Files are deterministic: the same content gives the same bytes.

use super::destination::open_regular;
use super::{FileError, write_atomically};
use crate::dtype::DType;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of the header-length field.
const LENGTH_FIELD: u64 = 8;
/// Longest header that is read or written, as in the reference implementation.
pub const MAX_HEADER: u64 = 100_000_000;
/// The header's key for the metadata map; no tensor can bear this name.
const METADATA_KEY: &str = "__metadata__";
/// The metadata's key for the checksum: CRC-32 of the header, in which the digits of the checksum are zeros, and of
/// the data. Readers of other libraries pass over it, and files without it are read unchecked.
const CHECKSUM_KEY: &str = "checksum";
/// What stands before the digits, and their number.
const CHECKSUM_KIND: &str = "crc32:";
const CHECKSUM_DIGITS: usize = 8;

/// One named tensor: row-major, little-endian bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorData<'a> {
    /// Unique within the file.
    pub name: &'a str,
    /// Element type.
    pub dtype: DType,
    /// Axis lengths; empty for a scalar.
    pub shape: &'a [usize],
    /// `dtype.size()` × the product of `shape` bytes.
    pub bytes: &'a [u8],
}

/// Writes `tensors` and `metadata` to `path`, atomically (see [`write_atomically`]).
///
/// # Errors
/// [`FileError::Content`] for a duplicate or reserved name, a byte count that does not match dtype
/// and shape, or a header over [`MAX_HEADER`]; [`FileError::System`] if the file cannot be written.
///
/// # Examples
/// ```
/// use cnnrs::io::safetensors::{TensorData, read, write};
/// use cnnrs::DType;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("m.safetensors");
/// let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
/// let tensor = TensorData { name: "w", dtype: DType::F32, shape: &[2], bytes: &bytes };
/// write(&path, &[tensor.clone()], &[("format".into(), "cnnrs".into())].into())?;
/// let file = read(&path)?;
/// assert_eq!(file.tensors().next(), Some(tensor));
/// assert_eq!(file.metadata()["format"], "cnnrs");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(path: &Path, tensors: &[TensorData<'_>], metadata: &BTreeMap<String, String>) -> Result<(), FileError> {
    // Wide element types first keeps every tensor aligned to its element size.
    let mut order: Vec<&TensorData<'_>> = tensors.iter().collect();
    order.sort_by_key(|t| (std::cmp::Reverse(t.dtype.size()), t.name));
    let mut header = header(path, &order, metadata)?;
    let digits = digits_at(&header).ok_or_else(|| FileError::content(path, "the header has no checksum"))?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&header);
    order.iter().for_each(|t| sum.update(t.bytes));
    header[digits..digits + CHECKSUM_DIGITS].copy_from_slice(format!("{:08x}", sum.finalize()).as_bytes());
    write_atomically(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        order.iter().try_for_each(|t| file.write_all(t.bytes))
    })
}

/// The JSON header, padded with spaces to a multiple of 8 bytes.
fn header(path: &Path, order: &[&TensorData<'_>], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>, FileError> {
    let mut names = BTreeSet::new();
    let mut infos = Vec::with_capacity(order.len());
    let mut offset = 0;
    for tensor in order {
        let &&TensorData { name, dtype, shape, bytes } = tensor;
        if name == METADATA_KEY {
            return Err(FileError::content(path, format!("a tensor cannot be named \"{name}\"")));
        }
        if !names.insert(name) {
            return Err(FileError::content(path, format!("two tensors are named \"{name}\"")));
        }
        let expected = shape.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d));
        if expected != Some(bytes.len()) {
            let reason =
                format!("tensor \"{name}\" of dtype {dtype} and shape {shape:?} was given {} bytes", bytes.len());
            return Err(FileError::content(path, reason));
        }
        let end = offset + bytes.len();
        let info = TensorInfo { dtype: dtype.file_dtype(), shape: shape.to_vec(), data_offsets: (offset, end) };
        infos.push((name.to_owned(), info));
        offset = end;
    }
    let invalid = |e: &dyn std::fmt::Display| FileError::content(path, e.to_string());
    let tensors = Metadata::new(None, infos).map_err(|e| invalid(&e))?;
    let mut entries = serde_json::to_value(&tensors).map_err(|e| invalid(&e))?;
    if metadata.contains_key(CHECKSUM_KEY) {
        return Err(FileError::content(path, format!("the metadata's {CHECKSUM_KEY:?} is not the caller's to set")));
    }
    let mut metadata = metadata.clone();
    metadata.insert(CHECKSUM_KEY.to_owned(), format!("{CHECKSUM_KIND}{:08x}", 0));
    entries[METADATA_KEY] = serde_json::to_value(metadata).map_err(|e| invalid(&e))?;
    let mut header = serde_json::to_vec(&entries).map_err(|e| invalid(&e))?;
    header.resize(header.len().next_multiple_of(LENGTH_FIELD as usize), b' ');
    if header.len() as u64 > MAX_HEADER {
        let reason =
            format!("names and metadata need a header of {} bytes; at most {MAX_HEADER} are allowed", header.len());
        return Err(FileError::content(path, reason));
    }
    Ok(header)
}

/// Where the digits of the checksum begin in a header as [`write`] makes it.
fn digits_at(header: &[u8]) -> Option<usize> {
    let before = format!("\"{CHECKSUM_KEY}\":\"{CHECKSUM_KIND}");
    let found = header.windows(before.len()).position(|window| window == before.as_bytes())?;
    let start = found + before.len();
    (header.len() >= start + CHECKSUM_DIGITS).then_some(start)
}

/// A file that was read whole and checked.
#[derive(Debug)]
pub struct SafetensorsFile {
    has_checksum: bool,
    entries: Vec<(String, DType, TensorInfo)>,
    metadata: BTreeMap<String, String>,
    data: Vec<u8>,
}

impl SafetensorsFile {
    /// The tensors, in the order in which they lie in the file.
    pub fn tensors(&self) -> impl Iterator<Item = TensorData<'_>> {
        self.entries.iter().map(|(name, dtype, info)| TensorData {
            name,
            dtype: *dtype,
            shape: &info.shape,
            bytes: &self.data[info.data_offsets.0..info.data_offsets.1],
        })
    }

    /// The metadata map without the checksum; empty if the file has none.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Whether the file has a checksum, which fits then.
    pub fn has_checksum(&self) -> bool {
        self.has_checksum
    }
}

/// Reads a safetensors file into memory and checks it.
///
/// # Errors
/// [`FileError::System`] if the file is missing, unreadable or no regular file; [`FileError::Format`] if it is
/// foreign, truncated, longer than its header says, inconsistent, differs from its checksum, or holds a dtype
/// that no tensor has; [`FileError::Memory`] if it does not fit into memory.
pub fn read(path: &Path) -> Result<SafetensorsFile, FileError> {
    let fail = |e| FileError::system(path, "read", e);
    let (mut file, found) = open_regular(path)?;
    let found = found.len();
    if found < LENGTH_FIELD {
        let reason = format!("not a safetensors file: {found} bytes, expected at least 8");
        return Err(FileError::format(path, reason));
    }
    let mut length = [0; LENGTH_FIELD as usize];
    file.read_exact(&mut length).map_err(fail)?;
    let header_len = u64::from_le_bytes(length);
    if header_len > MAX_HEADER {
        let reason = format!(
            "not a safetensors file: its first 8 bytes announce a header of {header_len} bytes, \
             at most {MAX_HEADER} are allowed"
        );
        return Err(FileError::format(path, reason));
    }
    let data_start = LENGTH_FIELD + header_len;
    if data_start > found {
        let reason = format!(
            "truncated or not a safetensors file: a header of {header_len} bytes is announced, \
             the file has {found} bytes"
        );
        return Err(FileError::format(path, reason));
    }
    let mut header = read_bytes(&mut file, path, header_len, &mut |_| {})?;
    let invalid = |e| FileError::format(path, format!("not a valid safetensors header: {e}"));
    serde_json::from_slice::<UniqueKeys>(&header).map_err(invalid)?;
    let parsed: Metadata = serde_json::from_slice(&header).map_err(invalid)?;
    let expected = parsed.data_len() as u64;
    let available = found - data_start;
    if expected != available {
        let what = if available < expected { "truncated" } else { "too long" };
        let reason = format!("{what}: the header announces {expected} bytes of tensors, the file holds {available}");
        return Err(FileError::format(path, reason));
    }
    let entries = entries(path, &parsed)?;
    let mut sum = crc32fast::Hasher::new();
    let data = read_bytes(&mut file, path, available, &mut |piece| sum.update(piece))?;
    let metadata = parsed.metadata().iter().flatten();
    let mut metadata: BTreeMap<String, String> = metadata.map(|(key, value)| (key.clone(), value.clone())).collect();
    // Other programs may have an entry of this name for something else.
    let has_checksum = metadata.get(CHECKSUM_KEY).is_some_and(|entry| entry.starts_with(CHECKSUM_KIND));
    if has_checksum && let Some(expected) = metadata.remove(CHECKSUM_KEY) {
        check(path, &expected, &mut header, &sum)?;
    }
    Ok(SafetensorsFile { has_checksum, entries, metadata, data })
}

/// Compares what was read, of the data its checksum, with the checksum that it came with.
fn check(path: &Path, expected: &str, header: &mut [u8], data: &crc32fast::Hasher) -> Result<(), FileError> {
    let damaged = |found: &str| {
        FileError::format(path, format!("damaged, or changed by another program: its checksum is {expected}, {found}"))
    };
    let Some(digits) = digits_at(header) else { return Err(damaged("which is none of this format")) };
    header[digits..digits + CHECKSUM_DIGITS].fill(b'0');
    let mut sum = crc32fast::Hasher::new();
    sum.update(header);
    sum.combine(data);
    let found = format!("{CHECKSUM_KIND}{:08x}", sum.finalize());
    if found == *expected { Ok(()) } else { Err(damaged(&format!("that of its content {found}"))) }
}

/// Any JSON in which no object has a key twice: of two entries, readers would take one or the other.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = UniqueKeys;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueKeys, A::Error> {
                let mut seen = BTreeSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    if let Some(key) = seen.replace(key) {
                        return Err(serde::de::Error::custom(format!("the key {key:?} stands there twice")));
                    }
                    map.next_value::<UniqueKeys>()?;
                }
                Ok(UniqueKeys)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<UniqueKeys, A::Error> {
                while items.next_element::<UniqueKeys>()?.is_some() {}
                Ok(UniqueKeys)
            }

            fn visit_str<E>(self, _: &str) -> Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }

            fn visit_bool<E>(self, _: bool) -> Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }

            fn visit_u64<E>(self, _: u64) -> Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }

            fn visit_i64<E>(self, _: i64) -> Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }

            fn visit_f64<E>(self, _: f64) -> Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }

            fn visit_unit<E>(self) -> Result<UniqueKeys, E> {
                Ok(UniqueKeys)
            }
        }
        deserializer.deserialize_any(Walk)
    }
}

fn entries(path: &Path, parsed: &Metadata) -> Result<Vec<(String, DType, TensorInfo)>, FileError> {
    let named = parsed.offset_keys().into_iter();
    named
        .filter_map(|name| parsed.info(&name).cloned().map(|info| (name, info)))
        .map(|(name, info)| match DType::from_file(info.dtype) {
            Some(dtype) => Ok((name, dtype, info)),
            None => {
                let supported = DType::file_names();
                let reason = format!("tensor \"{name}\" has dtype {}; supported are {supported}", info.dtype);
                Err(FileError::format(path, reason))
            }
        })
        .collect()
}

/// Reads exactly `count` bytes, in pieces that are still in the cache when `look` sees them. A size that memory
/// cannot hold is an error, not an abort.
fn read_bytes(file: &mut File, path: &Path, count: u64, look: &mut dyn FnMut(&[u8])) -> Result<Vec<u8>, FileError> {
    const PIECE: usize = 1 << 18;
    let memory = || FileError::Memory { path: path.to_owned(), bytes: count };
    let len = usize::try_from(count).map_err(|_| memory())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| memory())?;
    while bytes.len() < len {
        let (begin, wanted) = (bytes.len(), PIECE.min(len - bytes.len()));
        let read = file.take(wanted as u64).read_to_end(&mut bytes).map_err(|e| FileError::system(path, "read", e))?;
        if read < wanted {
            return Err(FileError::format(path, "truncated while it was read"));
        }
        look(&bytes[begin..]);
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "safetensors_tests.rs"]
mod tests;
