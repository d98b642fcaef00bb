//! Attributes as they come from outside (Python, files): a small dynamic value, read with checks.

use crate::dtype::DType;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// A dynamic attribute value.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// Absent, Python's `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Text(String),
    /// A list or tuple.
    List(Vec<Attribute>),
}

/// The attributes of one call. Reading takes; what is left at the end is an error.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    values: BTreeMap<String, Attribute>,
}

/// An f64 attribute with equality and hash by bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Real(u64);

impl Real {
    /// Wraps a value. −0 and 0 are two.
    pub fn new(value: f64) -> Self {
        Real(value.to_bits())
    }

    /// The value.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl std::fmt::Debug for Real {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.get())
    }
}

impl Attributes {
    /// Attributes from name and value pairs.
    pub fn new(values: impl IntoIterator<Item = (String, Attribute)>) -> Self {
        Attributes { values: values.into_iter().collect() }
    }

    /// Takes `name`, `Attribute::None` if it is absent.
    pub fn take(&mut self, name: &str) -> Attribute {
        self.values.remove(name).unwrap_or(Attribute::None)
    }

    fn wrong(name: &str, expected: &str, received: &Attribute) -> Error {
        Error::dtype(format!("{name}: expected {expected}, received {received:?}"))
    }

    /// An integer, `default` if absent.
    pub fn int_or(&mut self, name: &str, default: i64) -> Result<i64> {
        Ok(self.int_opt(name)?.unwrap_or(default))
    }

    /// An integer or nothing.
    pub fn int_opt(&mut self, name: &str) -> Result<Option<i64>> {
        match self.take(name) {
            Attribute::None => Ok(None),
            Attribute::Int(v) => Ok(Some(v)),
            other => Err(Self::wrong(name, "an integer", &other)),
        }
    }

    /// An integer that must be there.
    pub fn int(&mut self, name: &str) -> Result<i64> {
        self.int_opt(name)?.ok_or_else(|| Error::dtype(format!("{name}: expected an integer, received nothing")))
    }

    /// A truth value, `default` if absent.
    pub fn bool_or(&mut self, name: &str, default: bool) -> Result<bool> {
        match self.take(name) {
            Attribute::None => Ok(default),
            Attribute::Bool(v) => Ok(v),
            other => Err(Self::wrong(name, "a bool", &other)),
        }
    }

    /// A number, `default` if absent.
    pub fn real_or(&mut self, name: &str, default: f64) -> Result<Real> {
        Ok(Real::new(match self.take(name) {
            Attribute::None => default,
            Attribute::Float(v) => v,
            Attribute::Int(v) => v as f64,
            other => return Err(Self::wrong(name, "a number", &other)),
        }))
    }

    /// A string or nothing.
    pub fn text_opt(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            Attribute::None => Ok(None),
            Attribute::Text(v) => Ok(Some(v)),
            other => Err(Self::wrong(name, "a string", &other)),
        }
    }

    /// A dtype, `default` if absent.
    pub fn dtype_or(&mut self, name: &str, default: DType) -> Result<DType> {
        self.text_opt(name)?.map_or(Ok(default), |t| DType::parse(&t))
    }

    /// A list of integers or nothing; a lone integer counts as a list of one.
    pub fn ints_opt(&mut self, name: &str) -> Result<Option<Vec<i64>>> {
        match self.take(name) {
            Attribute::None => Ok(None),
            Attribute::Int(v) => Ok(Some(vec![v])),
            Attribute::List(list) => list
                .iter()
                .map(|a| match a {
                    Attribute::Int(v) => Ok(*v),
                    other => Err(Self::wrong(name, "a list of integers", other)),
                })
                .collect::<Result<_>>()
                .map(Some),
            other => Err(Self::wrong(name, "a list of integers", &other)),
        }
    }

    /// A list of integers that must be there.
    pub fn ints(&mut self, name: &str) -> Result<Vec<i64>> {
        self.ints_opt(name)?
            .ok_or_else(|| Error::dtype(format!("{name}: expected a list of integers, received nothing")))
    }

    /// `N` positive integers, `default` if absent; a lone integer stands for all.
    pub fn sizes_or<const N: usize>(&mut self, name: &str, default: [usize; N]) -> Result<[usize; N]> {
        let Some(values) = self.ints_opt(name)? else { return Ok(default) };
        let mut out = [0; N];
        for (i, o) in out.iter_mut().enumerate() {
            let v = match values.len() {
                1 => values[0],
                n if n == N => values[i],
                _ => return Err(Error::value(format!("{name}: expected {N} integers, received {values:?}"))),
            };
            *o = usize::try_from(v)
                .ok()
                .filter(|&v| v > 0)
                .ok_or_else(|| Error::value(format!("{name}: expected integers > 0, received {values:?}")))?;
        }
        Ok(out)
    }

    /// Extents: integers ≥ 0.
    pub fn extents(&mut self, name: &str) -> Result<Vec<usize>> {
        self.ints(name)?
            .iter()
            .map(|&v| {
                usize::try_from(v).map_err(|_| Error::value(format!("{name}: expected extents >= 0, received {v}")))
            })
            .collect()
    }

    /// Refuses attributes that nothing has read.
    pub fn finish(&self, op: &str) -> Result<()> {
        match self.values.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::dtype(format!("{op} has no attribute \"{name}\""))),
        }
    }
}
