//! Numbers and attributes without regard to what an op takes.

use arbitrary::{Arbitrary, Result, Unstructured};
use cnnrs::ops::{Attribute, Attributes};
use cnnrs::{DType, Shape};

/// The names of all attributes that ops read.
const NAMES: &[&str] = &[
    "alpha",
    "approximate",
    "axes",
    "axis",
    "ceil_mode",
    "count_include_pad",
    "depth",
    "dilation",
    "dtype",
    "epsilon",
    "groups",
    "keepdims",
    "kernel_size",
    "max",
    "min",
    "negative_slope",
    "output_padding",
    "p",
    "padding",
    "paddings",
    "perm",
    "pool_size",
    "rate",
    "repeats",
    "shape",
    "size",
    "starts",
    "steps",
    "stops",
    "strides",
    "transpose_a",
    "transpose_b",
    "value",
    "none has this name",
];

/// Mostly small, now and then at the edges of what is counted in.
pub fn number(u: &mut Unstructured<'_>) -> Result<i64> {
    Ok(match u.int_in_range(0..=9)? {
        0..=6 => u.int_in_range(-2..=5)?,
        7 => u.int_in_range(6..=70)?,
        8 => (1i64 << u.int_in_range(0..=63)?).wrapping_add(u.int_in_range(-1..=1)?),
        _ => i64::arbitrary(u)?,
    })
}

/// A [`number`] that is not negative.
pub fn extent(u: &mut Unstructured<'_>) -> Result<usize> {
    Ok(number(u)?.unsigned_abs() as usize)
}

/// Up to five extents.
pub fn shape(u: &mut Unstructured<'_>) -> Result<Shape> {
    (0..u.int_in_range(0..=5)?).map(|_| extent(u)).collect()
}

/// Any element type.
pub fn dtype(u: &mut Unstructured<'_>) -> Result<DType> {
    Ok(*u.choose(&[DType::F32, DType::F32, DType::I32, DType::U8, DType::Bool])?)
}

/// Numbers of any size, with those that arithmetic treats apart.
pub fn real(u: &mut Unstructured<'_>) -> Result<f64> {
    Ok(match u.int_in_range(0..=9)? {
        0..=4 => f64::from(u.int_in_range(-16..=16)?) / 8.0,
        5 => *u.choose(&[0.0, -0.0, 1.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY])?,
        6 => *u.choose(&[1e30, -1e30, 1e-30, 16_777_217.0, 2_147_483_648.0, 1e300, f64::MIN_POSITIVE])?,
        7 => f64::from(f32::arbitrary(u)?),
        _ => f64::arbitrary(u)?,
    })
}

fn attribute(u: &mut Unstructured<'_>, depth: usize) -> Result<Attribute> {
    Ok(match u.int_in_range(0..=9)? {
        0 => Attribute::None,
        1 => Attribute::Bool(bool::arbitrary(u)?),
        2..=4 => Attribute::Int(number(u)?),
        5 => Attribute::Float(real(u)?),
        6 => {
            let texts = ["same", "valid", "float32", "int32", "uint8", "bool", "float64", ""];
            Attribute::Text((*u.choose(&texts)?).to_owned())
        }
        _ if depth == 0 => Attribute::Int(number(u)?),
        _ => Attribute::List((0..u.int_in_range(0..=5)?).map(|_| attribute(u, depth - 1)).collect::<Result<_>>()?),
    })
}

/// Up to four attributes.
pub fn attributes(u: &mut Unstructured<'_>) -> Result<Attributes> {
    let pairs = (0..u.int_in_range(0..=4)?).map(|_| Ok(((*u.choose(NAMES)?).to_owned(), attribute(u, 2)?)));
    Ok(Attributes::new(pairs.collect::<Result<Vec<_>>>()?))
}

/// Attributes from names and values.
pub fn named<const N: usize>(pairs: [(&str, Attribute); N]) -> Attributes {
    Attributes::new(pairs.map(|(name, value)| (name.to_owned(), value)))
}

/// A list of integers.
pub fn list(values: impl IntoIterator<Item = usize>) -> Attribute {
    Attribute::List(values.into_iter().map(|v| Attribute::Int(v as i64)).collect())
}
