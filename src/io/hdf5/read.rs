//! Reading, within limits.

use super::element::{self, MARK};
use super::{Array, Attribute, Elements, Group, MAX_DEPTH};
use crate::dtype::DType;
use crate::io::FileError;
use crate::io::destination::open_regular;
use hdf5_pure::{AttrValue, Dataset, Datatype, Error, File, FormatError, Layout, ReadSeekSource, Source};
use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a file may cost its reader, by its size: a file that asks for more is refused.
///
/// Arrays that are not compressed never reach the limits, for their data may not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all arrays together, and of a chunk.
    pub arrays: u64,
    /// Bytes that are read from the file, those that are read again included. Texts and structure are within these.
    pub reads: u64,
    /// Groups and arrays.
    pub objects: u64,
    /// Strings of an array.
    pub strings: u64,
}

impl Limits {
    /// The limits of a file of so many bytes.
    #[must_use]
    pub fn of(file: u64) -> Self {
        const FLOOR: u64 = 64 << 20;
        Limits {
            arrays: file.saturating_mul(64).saturating_add(FLOOR),
            reads: file.saturating_mul(32).saturating_add(FLOOR),
            // No object takes less than its header.
            objects: file / 32,
            strings: 1 << 16,
        }
    }
}

/// Reads an HDF5 file.
///
/// # Errors
/// [`FileError::System`] if the file is missing, unreadable or no regular file; those of [`parse`] otherwise.
pub fn read(path: &Path) -> Result<Group, FileError> {
    let (file, _) = open_regular(path)?;
    parse(path, file)
}

/// Reads what bytes hold as an HDF5 file; errors name `path`.
///
/// # Errors
/// [`FileError::Format`] if they are no sound HDF5 file, hold what no model is stored in, or pass the [`Limits`];
/// [`FileError::Memory`] if an array does not fit into memory.
pub fn parse(path: &Path, bytes: impl Read + Seek + Send + 'static) -> Result<Group, FileError> {
    let damaged = |e: &dyn std::fmt::Display| FileError::format(path, format!("not a sound HDF5 file: {e}"));
    let source = ReadSeekSource::new(bytes).map_err(|e| damaged(&e))?;
    let limits = Limits::of(source.len());
    let source = Metered { source, left: AtomicU64::new(limits.reads) };
    let length = source.len();
    let file = File::from_source(source).map_err(|e| match e {
        Error::Format(FormatError::SignatureNotFound) => {
            FileError::format(path, format!("not an HDF5 file: {length} bytes without the signature of the format"))
        }
        e => damaged(&e),
    })?;
    let mut walk = Walk { path, length, limits, taken: BTreeMap::new() };
    walk.group(&file.root(), "", 0)
}

/// A source that gives no more than a number of bytes.
struct Metered<S> {
    source: S,
    left: AtomicU64,
}

/// What a read costs besides its bytes.
const READ: u64 = 16;

impl<S: Source> Source for Metered<S> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FormatError> {
        let cost = READ + buf.len() as u64;
        let paid = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost));
        paid.map_err(|_| FormatError::Source("parts of the file overlap or are repeated too often".into()))?;
        self.source.read_at(offset, buf)
    }
}

/// What is left of the limits, and what was seen.
struct Walk<'a> {
    path: &'a Path,
    /// Bytes of the file.
    length: u64,
    limits: Limits,
    /// Begin and end of the data of arrays.
    taken: BTreeMap<u64, u64>,
}

impl Walk<'_> {
    fn refuse<T>(&self, place: &str, reason: impl std::fmt::Display) -> Result<T, FileError> {
        const SHOWN: usize = 160;
        let place = match place.char_indices().nth(SHOWN) {
            None if place.is_empty() => "/".to_owned(),
            None => place.to_owned(),
            Some((end, _)) => format!("{}…", &place[..end]),
        };
        Err(FileError::format(self.path, format!("{place}: {reason}")))
    }

    fn sound<T>(&self, place: &str, result: Result<T, Error>) -> Result<T, FileError> {
        match result {
            Ok(value) => Ok(value),
            // The address of an object that a link by name or none at all stands for.
            Err(Error::Format(FormatError::OffsetOverflow { offset: u64::MAX, .. })) => {
                self.refuse(place, "expected groups and arrays, received a link to another object")
            }
            Err(e) => self.refuse(place, e),
        }
    }

    fn spend_object(&mut self, place: &str) -> Result<(), FileError> {
        match self.limits.objects.checked_sub(1) {
            Some(left) => self.limits.objects = left,
            None => return self.refuse(place, "more objects than the file has room for: a group is inside itself"),
        }
        Ok(())
    }

    fn group(&mut self, at: &hdf5_pure::Group, place: &str, depth: usize) -> Result<Group, FileError> {
        if depth > MAX_DEPTH {
            return self.refuse(place, format!("expected at most {MAX_DEPTH} groups inside each other"));
        }
        self.spend_object(place)?;
        let mut found = Group { attributes: self.attributes(at, place)?, ..Group::default() };
        for (name, dataset) in self.sound(place, at.iter_datasets())? {
            let inner = format!("{place}/{name}");
            self.spend_object(&inner)?;
            found.arrays.push((name, self.array(&dataset, &inner)?));
        }
        for (name, group) in self.sound(place, at.iter_groups())? {
            let inner = format!("{place}/{name}");
            let group = self.group(&group, &inner, depth + 1)?;
            found.groups.push((name, group));
        }
        found.arrays.sort_by(|(a, _), (b, _)| a.cmp(b));
        found.groups.sort_by(|(a, _), (b, _)| a.cmp(b));
        let twice = |names: &mut dyn Iterator<Item = &String>| {
            let names: Vec<&String> = names.collect();
            names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
        };
        let name = twice(&mut found.arrays.iter().map(|(name, _)| name));
        match name.or_else(|| twice(&mut found.groups.iter().map(|(name, _)| name))) {
            Some(name) => self.refuse(place, format!("{name:?} is the name of two objects")),
            None => Ok(found),
        }
    }

    fn attributes(&self, at: &hdf5_pure::Group, place: &str) -> Result<Vec<(String, Attribute)>, FileError> {
        let mut values = self.sound(place, at.attrs())?;
        let mut names: Vec<(String, Datatype)> = self.sound(place, at.attr_datatypes())?.into_iter().collect();
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut found = Vec::with_capacity(names.len());
        for (name, datatype) in names {
            match values.remove(&name).map(attribute) {
                Some(Some(value)) => found.push((name, value)),
                // References and records, which no model is stored in, have no value.
                Some(None) => {}
                None if is_text(&datatype) => {
                    return self.refuse(place, format!("the attribute {name:?} is damaged: its text is not there"));
                }
                None => {}
            }
        }
        Ok(found)
    }

    fn array(&mut self, at: &Dataset, place: &str) -> Result<Array, FileError> {
        let datatype = self.sound(place, at.datatype())?;
        let shape = self.sound(place, at.shape())?;
        let size = self.sound(place, at.element_size())?;
        let bytes = |shape: &[u64]| shape.iter().try_fold(size, |n, &d| n.checked_mul(d)).unwrap_or(u64::MAX);
        let held = bytes(&shape);
        let chunk = self.sound(place, at.chunk_shape())?.map_or(0, |chunk| bytes(&chunk));
        if held.max(chunk) > self.limits.arrays {
            let (held, left) = (held.max(chunk), self.limits.arrays);
            return self.refuse(place, format!("an array or chunk of {held} bytes where the file may hold {left}"));
        }
        self.limits.arrays -= held;
        self.take(at, place)?;
        let len = usize::try_from(held.max(chunk)).unwrap_or(usize::MAX);
        // The crate allocates as if there always were memory.
        if Vec::<u8>::new().try_reserve_exact(len).is_err() {
            return Err(FileError::Memory { path: self.path.to_owned(), bytes: len as u64 });
        }
        let dims = shape.iter().map(|&d| usize::try_from(d)).collect::<Result<Vec<usize>, _>>();
        let Ok(dims) = dims else { return self.refuse(place, format!("the shape {shape:?} is too large")) };
        let count = shape.iter().product::<u64>();
        let elements = match self.number_type(at, &datatype, place)? {
            Some((dtype, big)) => {
                let mut bytes = self.sound(place, at.read_raw())?;
                if bytes.len() as u64 != held {
                    let found = bytes.len();
                    return self
                        .refuse(place, format!("expected {held} bytes for the shape {shape:?}, received {found}"));
                }
                if big {
                    bytes.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
                }
                if dtype == DType::Bool {
                    bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
                }
                Elements::Numbers(dtype, bytes)
            }
            None if is_text(&datatype) => {
                if count > self.limits.strings {
                    let most = self.limits.strings;
                    return self.refuse(place, format!("expected at most {most} strings, received {count}"));
                }
                let strings = self.sound(place, at.read_string())?;
                if strings.len() as u64 != count {
                    let found = strings.len();
                    return self.refuse(place, format!("expected {count} strings, received {found}"));
                }
                Elements::Strings(strings)
            }
            None => {
                let kind = element::kind(&datatype);
                return self.refuse(place, format!("expected numbers or strings, received {kind}"));
            }
        };
        Ok(Array { shape: dims, elements })
    }

    fn number_type(&self, at: &Dataset, datatype: &Datatype, place: &str) -> Result<Option<(DType, bool)>, FileError> {
        let marked = match datatype {
            Datatype::Opaque { .. } => {
                let marks = self.sound(place, at.attrs())?;
                marks.get(MARK.0).and_then(AttrValue::as_str) == Some(MARK.1)
            }
            _ => false,
        };
        Ok(element::dtype(datatype, marked))
    }

    /// Notes where the data of an array lie, which are no other's.
    fn take(&mut self, at: &Dataset, place: &str) -> Result<(), FileError> {
        match self.sound(place, at.layout())? {
            Layout::Contiguous { address: Some(address), size } => self.take_range(address, size, place),
            Layout::Chunked { .. } => {
                for chunk in self.sound(place, at.chunks())? {
                    self.take_range(chunk.address, chunk.storage_size, place)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_range(&mut self, start: u64, size: u64, place: &str) -> Result<(), FileError> {
        if size == 0 {
            return Ok(());
        }
        // Before the crate allocates what they take.
        let Some(end) = start.checked_add(size).filter(|&end| end <= self.length) else {
            return self.refuse(place, format!("the {size} bytes at {start} are not in the file"));
        };
        let before = self.taken.range(..end).next_back();
        if before.is_some_and(|(_, &before)| before > start) {
            return self.refuse(place, format!("the {size} bytes at {start} belong to two arrays or chunks"));
        }
        self.taken.insert(start, end);
        Ok(())
    }
}

fn is_text(datatype: &Datatype) -> bool {
    matches!(datatype, Datatype::String { .. } | Datatype::VariableLength { is_string: true, .. })
}

fn attribute(value: AttrValue) -> Option<Attribute> {
    macro_rules! numbers {
        ($dtype:ident, $values:expr) => {
            Attribute::Numbers(DType::$dtype, $values.iter().flat_map(|v| v.to_le_bytes()).collect())
        };
    }
    Some(match value {
        AttrValue::F32(v) => Attribute::Float(v.into()),
        AttrValue::F64(v) => Attribute::Float(v),
        AttrValue::I8(v) => Attribute::Integer(v.into()),
        AttrValue::I16(v) => Attribute::Integer(v.into()),
        AttrValue::I32(v) => Attribute::Integer(v.into()),
        AttrValue::I64(v) => Attribute::Integer(v),
        AttrValue::U8(v) => Attribute::Unsigned(v.into()),
        AttrValue::U16(v) => Attribute::Unsigned(v.into()),
        AttrValue::U32(v) => Attribute::Unsigned(v.into()),
        AttrValue::U64(v) => Attribute::Unsigned(v),
        AttrValue::F32Array(v) => numbers!(F32, v),
        AttrValue::F64Array(v) => numbers!(F64, v),
        AttrValue::I8Array(v) => numbers!(I8, v),
        AttrValue::I16Array(v) => numbers!(I16, v),
        AttrValue::I32Array(v) => numbers!(I32, v),
        AttrValue::I64Array(v) => numbers!(I64, v),
        AttrValue::U8Array(v) => numbers!(U8, v),
        AttrValue::U16Array(v) => numbers!(U16, v),
        AttrValue::U32Array(v) => numbers!(U32, v),
        AttrValue::U64Array(v) => numbers!(U64, v),
        AttrValue::String(v)
        | AttrValue::AsciiString(v)
        | AttrValue::StringSized { value: v, .. }
        | AttrValue::AsciiStringSized { value: v, .. }
        | AttrValue::VarLenString(v)
        | AttrValue::VarLenAsciiString(v) => Attribute::Text(v),
        other => Attribute::Texts(other.as_strings()?.to_vec()),
    })
}
