//! `tensor[index]`.

use super::convert;
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::dtype::DType;
use crate::lazy::Tensor;
use crate::ops::{Attribute, Attributes};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyInt, PySlice, PyTuple};

fn ints(values: impl IntoIterator<Item = i64>) -> Attribute {
    Attribute::List(values.into_iter().map(Attribute::Int).collect())
}

fn attributes<const N: usize>(pairs: [(&str, Attribute); N]) -> Attributes {
    Attributes::new(pairs.map(|(k, v)| (k.to_owned(), v)))
}

/// Element `index` along `axis`, which disappears.
pub fn take(tensor: &Tensor, axis: usize, index: i64) -> PyResult<Tensor> {
    let shape = &tensor.fact().shape;
    let extent = shape[axis] as i64;
    if index < -extent || index >= extent {
        return Err(PyIndexError::new_err(format!("index {index} is outside axis {axis} of shape {shape}")));
    }
    let index = if index < 0 { index + extent } else { index };
    let starts = (0..shape.rank()).map(|a| if a == axis { index } else { 0 });
    let stops = (0..shape.rank()).map(|a| if a == axis { index + 1 } else { shape[a] as i64 });
    let steps = (0..shape.rank()).map(|_| 1);
    let part = Tensor::apply_named(
        "slice",
        std::slice::from_ref(tensor),
        attributes([("starts", ints(starts)), ("stops", ints(stops)), ("steps", ints(steps))]),
    )?;
    Ok(Tensor::apply_named("squeeze", &[part], attributes([("axis", Attribute::Int(axis as i64))]))?)
}

/// What one part of an index is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    NewAxis,
    Ellipsis,
    Slice,
    Integer,
    /// A mask of rank 0: a new axis with all, or with nothing.
    Truth(bool),
    Array,
    /// Booleans for the elements of so many axes.
    Mask(usize),
}

impl Part {
    fn of(part: &Bound<'_, PyAny>) -> PyResult<Part> {
        Ok(match part {
            _ if part.is_none() => Part::NewAxis,
            _ if part.is_instance_of::<PyEllipsis>() => Part::Ellipsis,
            _ if part.is_instance_of::<PySlice>() => Part::Slice,
            _ if is_truth(part) => Part::Truth(part.is_truthy()?),
            _ if is_integer(part) => Part::Integer,
            _ => match convert::to_tensor(part, None)?.fact() {
                rows if rows.dtype == DType::Bool => Part::Mask(rows.shape.rank()),
                _ => Part::Array,
            },
        })
    }

    /// How many axes of the tensor it is about.
    fn axes(self) -> usize {
        match self {
            Part::Slice | Part::Integer | Part::Array => 1,
            Part::Mask(rank) => rank,
            Part::NewAxis | Part::Ellipsis | Part::Truth(_) => 0,
        }
    }
}

/// Refuses what numpy reads in a way of its own, and what means nothing.
fn check_index(kinds: &[Part], rank: usize) -> PyResult<()> {
    let used: usize = kinds.iter().map(|k| k.axes()).sum();
    if used > rank {
        return Err(PyIndexError::new_err(format!("expected at most {rank} indices, received {used}")));
    }
    if kinds.iter().filter(|&&k| k == Part::Ellipsis).count() > 1 {
        return Err(PyIndexError::new_err("an index may have one ellipsis ('...')"));
    }
    let count = |what: fn(&Part) -> bool| kinds.iter().filter(|k| what(k)).count();
    let arrays = count(|k| matches!(k, Part::Array | Part::Mask(_)));
    let truths = count(|k| matches!(k, Part::Truth(_)));
    let picks = |k: &Part| matches!(k, Part::Array | Part::Mask(_) | Part::Integer | Part::Truth(_));
    let apart = kinds.iter().skip_while(|k| !picks(k)).skip_while(|k| picks(k)).any(picks);
    if arrays + truths > 1 || (arrays + truths == 1 && apart) {
        return Err(PyIndexError::new_err(
            "numpy joins several index arrays, or an array and an integer apart from it, to points; index one axis \
             after the other, or use ops.take or ops.take_along_axis",
        ));
    }
    Ok(())
}

/// `tensor[index]` with integers, slices, None, Ellipsis; an integer tensor or array picks rows, a boolean one the elements
/// where it is true.
pub fn get_item(tensor: &Tensor, index: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let parts: Vec<Bound<'_, PyAny>> = match index.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter().collect(),
        Err(_) => vec![index.clone()],
    };
    let kinds: Vec<Part> = parts.iter().map(Part::of).collect::<PyResult<_>>()?;
    let rank = tensor.fact().shape.rank();
    check_index(&kinds, rank)?;
    let used: usize = kinds.iter().map(|k| k.axes()).sum();
    let mut tensor = tensor.clone();
    let mut axis = 0;
    for (part, &kind) in parts.iter().zip(&kinds) {
        if let Part::NewAxis | Part::Truth(_) = kind {
            let a = attributes([("axis", Attribute::Int(axis as i64))]);
            tensor = Tensor::apply_named("expand_dims", &[tensor], a)?;
            if kind == Part::Truth(false) {
                tensor = slice_axis(tensor, axis, 0, 1, 0)?;
            }
            axis += 1;
        } else if kind == Part::Ellipsis {
            axis += rank - used;
        } else if let Ok(slice) = part.cast::<PySlice>() {
            let shape = tensor.fact().shape.clone();
            let i = slice.indices(shape[axis] as isize)?;
            if (i.start, i.step, i.slicelength) != (0, 1, shape[axis]) {
                tensor = slice_axis(tensor, axis, i.start as i64, i.step as i64, i.slicelength as i64)?;
            }
            axis += 1;
        } else if kind == Part::Integer {
            let index = part.call_method0("__index__")?;
            let outside = |_| {
                let shape = &tensor.fact().shape;
                PyIndexError::new_err(format!("index {index} is outside axis {axis} of shape {shape}"))
            };
            let index = index.extract().map_err(outside)?;
            tensor = take(&tensor, axis, index)?;
        } else if let Part::Mask(_) = kind {
            tensor = masked(tensor, axis, &convert::to_tensor(part, None)?)?;
            axis += 1;
        } else {
            let rows = convert::to_tensor(part, None)?;
            let picked = rows.fact().shape.rank();
            let a = attributes([("axis", Attribute::Int(axis as i64))]);
            tensor = Tensor::apply_named("gather", &[tensor, rows], a)?;
            axis += picked;
        }
    }
    Ok(tensor)
}

/// The elements of the axes from `axis` where `mask`, whose values are read, is true: one axis in their place.
fn masked(tensor: Tensor, axis: usize, mask: &Tensor) -> PyResult<Tensor> {
    let (shape, extents) = (tensor.fact().shape.clone(), mask.fact().shape.clone());
    let behind = axis + extents.rank();
    if shape[axis..behind] != extents[..] {
        let e = format!("a boolean mask of shape {extents} does not fit axes {axis} to {behind} of shape {shape}");
        return Err(PyIndexError::new_err(e));
    }
    let values = mask.buffer()?;
    let places: Vec<i64> =
        (0..extents.len()).filter(|&place| values.number(place) != 0.0).map(|place| place as i64).collect();
    let count = extents.len();
    let joined = shape[..axis].iter().chain([&count]).chain(&shape[behind..]).map(|&n| n as i64);
    let flat = attributes([("shape", ints(joined.collect::<Vec<_>>()))]);
    let tensor = Tensor::apply_named("reshape", &[tensor], flat)?;
    let places = Tensor::from_slice(&[places.len()], &places)?;
    Ok(Tensor::apply_named("gather", &[tensor, places], attributes([("axis", Attribute::Int(axis as i64))]))?)
}

/// Whether `obj` is one boolean: Python's, numpy's, or a tensor of rank 0.
fn is_truth(obj: &Bound<'_, PyAny>) -> bool {
    let fact = match (obj.cast::<PyTensor>(), obj.cast::<PyVariable>()) {
        (Ok(t), _) => t.get().tensor.fact(),
        (_, Ok(v)) => v.get().variable.fact(),
        _ if obj.is_exact_instance_of::<PyInt>() => return false,
        _ if obj.is_instance_of::<PyBool>() => return true,
        _ => return convert::is_numpy_bool(obj),
    };
    fact.dtype == DType::Bool && fact.shape.rank() == 0
}

fn is_integer(obj: &Bound<'_, PyAny>) -> bool {
    let scalar = |t: &Tensor| t.fact().shape.rank() == 0;
    if let Ok(t) = obj.cast::<PyTensor>() {
        return scalar(&t.get().tensor) && t.get().tensor.is_realised();
    }
    !convert::is_array(obj) && obj.cast::<PyVariable>().is_err() && obj.call_method0("__index__").is_ok()
}

/// `count` elements of `axis` from `start` by `step`, which may be negative.
fn slice_axis(tensor: Tensor, axis: usize, start: i64, step: i64, count: i64) -> PyResult<Tensor> {
    let shape = tensor.fact().shape.clone();
    // A negative step takes the same elements forwards, then turns them round.
    let (first, stride) = if step < 0 { (start + (count - 1).max(0) * step, -step) } else { (start, step) };
    let stop = if count == 0 { first } else { first + (count - 1) * stride + 1 };
    let pick = |own: i64, other: fn(usize) -> i64| {
        ints((0..shape.rank()).map(|a| if a == axis { own } else { other(shape[a]) }).collect::<Vec<_>>())
    };
    let part = Tensor::apply_named(
        "slice",
        &[tensor],
        attributes([
            ("starts", pick(first, |_| 0)),
            ("stops", pick(stop, |n| n as i64)),
            ("steps", pick(stride, |_| 1)),
        ]),
    )?;
    if step < 0 {
        return Ok(Tensor::apply_named("flip", &[part], attributes([("axes", ints([axis as i64]))]))?);
    }
    Ok(part)
}
