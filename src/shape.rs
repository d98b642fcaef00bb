//! Shapes, strides and broadcasting, with checked arithmetic.

use crate::dtype::DType;
use crate::error::{Error, Result};
use smallvec::SmallVec;
use std::fmt;

/// Extents or strides of one tensor.
pub type Dims = SmallVec<[usize; 6]>;

/// Extents of a row-major tensor.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Dims);

impl Shape {
    /// A shape from its extents.
    pub fn new(dims: &[usize]) -> Self {
        Shape(Dims::from_slice(dims))
    }

    /// The shape of a scalar.
    pub fn scalar() -> Self {
        Shape(Dims::new())
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Number of elements. Shapes are checked when facts are made, so this cannot overflow there.
    pub fn len(&self) -> usize {
        self.0.iter().product()
    }

    /// True if some extent is 0.
    pub fn is_empty(&self) -> bool {
        self.0.contains(&0)
    }

    /// Element strides of the row-major layout.
    pub fn strides(&self) -> Dims {
        let mut strides: Dims = smallvec::smallvec![1; self.rank()];
        for i in (0..self.rank().saturating_sub(1)).rev() {
            strides[i] = strides[i + 1] * self.0[i + 1];
        }
        strides
    }

    /// numpy's broadcasting of two shapes.
    pub fn broadcast(&self, other: &Shape) -> Result<Shape> {
        let rank = self.rank().max(other.rank());
        let at = |s: &Shape, i: usize| if i + s.rank() < rank { 1 } else { s.0[i + s.rank() - rank] };
        let mut dims = Dims::new();
        for i in 0..rank {
            let (a, b) = (at(self, i), at(other, i));
            if a != b && a != 1 && b != 1 {
                return Err(Error::value(format!(
                    "shapes {self} and {other} do not broadcast: axis {i} has {a} and {b}"
                )));
            }
            dims.push(if a == 1 { b } else { a });
        }
        Ok(Shape(dims))
    }

    /// Strides, in elements, at which a tensor of this shape is read when it is broadcast to
    /// `target`; 0 along broadcast axes.
    pub fn broadcast_strides(&self, target: &Shape) -> Dims {
        let own = self.strides();
        let offset = target.rank() - self.rank();
        (0..target.rank()).map(|i| if i < offset || self.0[i - offset] == 1 { 0 } else { own[i - offset] }).collect()
    }

    /// Axis counted from the end if negative.
    pub fn axis(&self, axis: i64) -> Result<usize> {
        let rank = self.rank() as i64;
        if axis < -rank || axis >= rank {
            return Err(Error::value(format!("axis: expected {}..{} for shape {self}, received {axis}", -rank, rank)));
        }
        Ok((if axis < 0 { axis + rank } else { axis }) as usize)
    }

    /// Axes counted from the end if negative, sorted; all of them for `None`.
    ///
    /// # Errors
    /// When an axis is outside the shape or named twice.
    pub fn axes(&self, axes: Option<&[i64]>) -> Result<Dims> {
        let Some(axes) = axes else { return Ok((0..self.rank()).collect()) };
        let mut out = axes.iter().map(|&a| self.axis(a)).collect::<Result<Dims>>()?;
        out.sort_unstable();
        match out.windows(2).find(|w| w[0] == w[1]) {
            None => Ok(out),
            Some(w) => Err(Error::value(format!("axes: axis {} of shape {self} is named twice in {axes:?}", w[0]))),
        }
    }
}

impl std::ops::Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape::new(dims)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape::new(&dims)
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(iter: I) -> Self {
        Shape(iter.into_iter().collect())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str(if self.rank() == 1 { ",)" } else { ")" })
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is known of a value before it is computed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fact {
    /// Extents.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

impl Fact {
    /// A fact whose size in bytes is known to fit `isize`.
    pub fn new(shape: impl Into<Shape>, dtype: DType) -> Self {
        Fact { shape: shape.into(), dtype }
    }

    /// Like [`Fact::new`], but refuses sizes that overflow (`MemoryError`).
    pub fn checked(shape: impl Into<Shape>, dtype: DType) -> Result<Self> {
        let shape = shape.into();
        let bytes = shape.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d));
        // An extent of 0 must not hide an overflow of the others.
        let extents = shape.iter().filter(|&&d| d > 0).try_fold(dtype.size(), |n, &d| n.checked_mul(d));
        match (bytes, extents) {
            (Some(_), Some(n)) if n <= isize::MAX as usize => Ok(Fact { shape, dtype }),
            _ => Err(Error::memory(format!("a {dtype} tensor of shape {shape} exceeds the address space"))),
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.shape.len() * self.dtype.size()
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let a = Shape::from([4, 1, 3]);
        let b = Shape::from([2, 1]);
        let c = a.broadcast(&b).unwrap();
        assert_eq!(&*c, &[4, 2, 3]);
        assert_eq!(a.broadcast_strides(&c).as_slice(), &[3, 0, 1]);
        assert_eq!(b.broadcast_strides(&c).as_slice(), &[0, 1, 0]);
        assert!(Shape::from([2]).broadcast(&Shape::from([3])).is_err());
    }

    #[test]
    fn overflowing_sizes_are_memory_errors() {
        let e = Fact::checked([usize::MAX, 2], DType::F32).unwrap_err();
        assert_eq!(e.kind, crate::error::ErrorKind::Memory);
        assert!(Fact::checked([0, usize::MAX, 8], DType::F32).is_err());
    }
}
