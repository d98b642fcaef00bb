//! Writing.

use super::element::{self, MARK};
use super::{Array, Attribute, Elements, Group, MAX_DEPTH};
use crate::dtype::DType;
use crate::io::{FileError, write_atomically};
use hdf5_pure::{AttrValue, DatasetBuilder, Error, FileBuilder, FinishedGroup, GroupBuilder, LibVer};
use std::collections::BTreeSet;
use std::path::Path;

/// Writes an HDF5 file, atomically (see [`write_atomically`]). The same content gives the same bytes.
///
/// # Errors
/// [`FileError::Content`] if the format has no place for a part of the content; [`FileError::System`] if the file
/// cannot be written.
///
/// # Examples
/// ```
/// use cnnrs::DType;
/// use cnnrs::io::hdf5::{Array, Elements, Group, read, write};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("m.weights.h5");
/// let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
/// let array = Array { shape: vec![2], elements: Elements::Numbers(DType::F32, bytes) };
/// let group = Group { arrays: vec![("w".into(), array)], ..Group::default() };
/// write(&path, group.clone())?;
/// assert_eq!(read(&path)?, group);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(path: &Path, group: Group) -> Result<(), FileError> {
    let builder = build(path, group)?;
    let mut refused = None;
    let written = write_atomically(path, |to| {
        builder.finish_to(to).map_err(|e| match e {
            Error::Io(e) => e,
            e => {
                refused = Some(e.to_string());
                std::io::ErrorKind::InvalidData.into()
            }
        })
    });
    match refused {
        Some(reason) => Err(FileError::content(path, reason)),
        None => written,
    }
}

/// The bytes of an HDF5 file; errors name `path`.
///
/// # Errors
/// [`FileError::Content`] if the format has no place for a part of the content.
pub fn encode(path: &Path, group: Group) -> Result<Vec<u8>, FileError> {
    build(path, group)?.finish().map_err(|e| FileError::content(path, e.to_string()))
}

fn build(path: &Path, group: Group) -> Result<FileBuilder, FileError> {
    let mut builder = FileBuilder::new();
    // Files of HDF5 1.8, which every release of h5py reads.
    builder.with_libver_bounds(LibVer::Earliest, LibVer::V18);
    fill(&mut builder, group, "", 0).map_err(|reason| FileError::content(path, reason))?;
    Ok(builder)
}

/// What the crate has twice: for the root and for groups inside.
trait Builder {
    fn attribute(&mut self, name: &str, value: AttrValue);
    fn dataset(&mut self, name: &str) -> &mut DatasetBuilder;
    fn child(&mut self, name: &str) -> GroupBuilder;
    fn add(&mut self, group: FinishedGroup);
}

macro_rules! builders {
    ($($kind:ty),*) => {$(
        impl Builder for $kind {
            fn attribute(&mut self, name: &str, value: AttrValue) {
                self.set_attr(name, value);
            }

            fn dataset(&mut self, name: &str) -> &mut DatasetBuilder {
                self.create_dataset(name)
            }

            fn child(&mut self, name: &str) -> GroupBuilder {
                self.create_group(name)
            }

            fn add(&mut self, group: FinishedGroup) {
                self.add_group(group);
            }
        }
    )*};
}
builders!(FileBuilder, GroupBuilder);

fn fill(to: &mut impl Builder, group: Group, place: &str, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("{place}: expected at most {MAX_DEPTH} groups inside each other"));
    }
    let names = group.arrays.iter().map(|(name, _)| name).chain(group.groups.iter().map(|(name, _)| name));
    once(place, names)?;
    once(place, group.attributes.iter().map(|(name, _)| name))?;
    for (name, value) in group.attributes {
        check(place, &name)?;
        to.attribute(&name, attribute(value).map_err(|reason| format!("{place}: attribute {name:?}: {reason}"))?);
    }
    for (name, array) in group.arrays {
        check(place, &name)?;
        store(to.dataset(&name), array).map_err(|reason| format!("{place}/{name}: {reason}"))?;
    }
    for (name, inner) in group.groups {
        check(place, &name)?;
        let mut child = to.child(&name);
        fill(&mut child, inner, &format!("{place}/{name}"), depth + 1)?;
        to.add(child.finish());
    }
    Ok(())
}

fn once<'a>(place: &str, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("{place}: {name:?} is the name of two parts"));
        }
    }
    Ok(())
}

fn check(place: &str, text: &str) -> Result<(), String> {
    match text.contains('\0') {
        true => Err(format!("{place}: expected a text without NUL characters, received {text:?}")),
        false => Ok(()),
    }
}

fn store(to: &mut DatasetBuilder, array: Array) -> Result<(), String> {
    let shape: Vec<u64> = array.shape.iter().map(|&d| d as u64).collect();
    let count = shape.iter().product::<u64>();
    match array.elements {
        Elements::Numbers(dtype, bytes) => {
            if bytes.len() as u64 != count * dtype.size() as u64 {
                let found = bytes.len();
                return Err(format!("an array of {dtype} and shape {shape:?} was given {found} bytes"));
            }
            to.with_raw_data(element::datatype(dtype)?, bytes, count);
            if dtype == DType::BF16 {
                to.set_attr(MARK.0, AttrValue::VarLenString(MARK.1.into()));
            }
        }
        Elements::Strings(strings) => {
            strings.iter().try_for_each(|text| check("strings", text))?;
            to.with_vlen_strings(&strings.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
    to.with_shape(&shape);
    Ok(())
}

fn attribute(value: Attribute) -> Result<AttrValue, String> {
    Ok(match value {
        Attribute::Text(text) => {
            check("its value", &text)?;
            AttrValue::VarLenString(text)
        }
        Attribute::Texts(texts) => {
            texts.iter().try_for_each(|text| check("its value", text))?;
            AttrValue::VarLenStringArray(texts)
        }
        Attribute::Integer(value) => AttrValue::I64(value),
        Attribute::Unsigned(value) => AttrValue::U64(value),
        Attribute::Float(value) => AttrValue::F64(value),
        Attribute::Numbers(dtype, bytes) => numbers(dtype, &bytes)?,
    })
}

fn numbers(dtype: DType, bytes: &[u8]) -> Result<AttrValue, String> {
    macro_rules! values {
        ($($dtype:ident $kind:ident $array:ident),*) => {
            match dtype {
                $(DType::$dtype => {
                    let words = bytes.chunks_exact(size_of::<$kind>());
                    AttrValue::$array(words.map(|w| $kind::from_le_bytes(w.try_into().unwrap_or_default())).collect())
                })*
                other => return Err(format!("expected integers, float32 or float64, received {other}")),
            }
        };
    }
    Ok(values!(
        F32 f32 F32Array, F64 f64 F64Array, I8 i8 I8Array, I16 i16 I16Array, I32 i32 I32Array, I64 i64 I64Array,
        U8 u8 U8Array, U16 u16 U16Array, U32 u32 U32Array, U64 u64 U64Array
    ))
}
