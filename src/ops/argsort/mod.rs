//! The order of elements along an axis.

use super::{Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, RefArray, expect_inputs};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};
use std::cmp::Ordering;

/// Indices (int32) that sort an axis. Equal elements keep their order, and NaN counts as the greatest number. With
/// `count`, only the first so many indices.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Argsort {
    /// The axis; negative from the end.
    pub axis: i64,
    /// Whether the greatest element comes first, or the smallest.
    pub descending: bool,
    /// How many indices there are; `None` for all.
    pub count: Option<usize>,
}

impl Argsort {
    /// Extents before, along and behind the axis.
    ///
    /// # Errors
    /// When there is no such axis.
    pub fn extents(&self, shape: &Shape) -> Result<[usize; 3]> {
        let axis = shape.axis(self.axis)?;
        Ok([shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()])
    }
}

/// The order of numbers with NaN as the greatest; 0 and −0 are equal.
fn order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

impl OpDef for Argsort {
    fn name(&self) -> &'static str {
        "argsort"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("argsort", inputs, 1)?;
        super::expect_computed("x", &inputs[0])?;
        let mut shape = inputs[0].shape.clone();
        let axis = shape.axis(self.axis)?;
        let extent = shape[axis];
        if i32::try_from(extent).is_err() {
            return Err(Error::value(format!("x: expected at most 2^31 - 1 elements to sort, received shape {shape}")));
        }
        let count = self.count.unwrap_or(extent);
        if count > extent {
            return Err(Error::value(format!(
                "k: expected at most {extent}, the extent of the axis, received {count}"
            )));
        }
        shape = shape.iter().enumerate().map(|(a, &n)| if a == axis { count } else { n }).collect();
        Fact::checked(shape, DType::I32)
    }

    fn grad(&self, _: &mut Graph, _: &[NodeId], _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let [outer, extent, inner] = self.extents(&facts[0].shape)?;
        let count = self.count.unwrap_or(extent);
        let x: Vec<f64> = inputs[0].iter().copied().collect();
        let mut y = vec![0.0; outer * count * inner];
        for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
            let value = |k: usize| x[(o * extent + k) * inner + i];
            let mut places: Vec<usize> = (0..extent).collect();
            places.sort_by(|&a, &b| match self.descending {
                true => order(value(b), value(a)),
                false => order(value(a), value(b)),
            });
            for (k, &place) in places[..count].iter().enumerate() {
                y[(o * count + k) * inner + i] = place as f64;
            }
        }
        RefArray::from_shape_vec(&*output.shape, y).map_err(|e| Error::state(e.to_string()))
    }

    fn reads(&self, _: usize, inputs: &[Fact], _: &Fact) -> Reads {
        let Ok(axis) = inputs[0].shape.axis(self.axis) else { return Reads::All };
        let along = |a: usize| if a == axis { AxisReads::All } else { AxisReads::same(a) };
        Reads::Axes((0..inputs[0].shape.rank()).map(along).collect())
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        inputs[0].shape.len() as u64
    }
}

impl FromAttributes for Argsort {
    fn names() -> Vec<&'static str> {
        vec!["argsort"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        let count = a.int_opt("count")?;
        let count = count
            .map(|k| usize::try_from(k).map_err(|_| Error::value(format!("k: expected an integer >= 0, received {k}"))))
            .transpose()?;
        Ok(Argsort { axis: a.int_or("axis", -1)?, descending: a.bool_or("descending", false)?, count })
    }
}
