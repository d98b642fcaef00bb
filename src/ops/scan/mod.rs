//! Running sums, products and extremes along an axis.

mod grad;

use super::reduce::ReduceKind;
use super::{Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, RefArray, expect_inputs};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};

/// For each element, what it makes with all before it along an axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    /// How elements are combined.
    pub kind: ReduceKind,
    /// The axis; negative from the end.
    pub axis: i64,
    /// Whether the axis is read from its end.
    pub reverse: bool,
    /// Whether an element itself is left out: the first result is that of no elements.
    pub exclusive: bool,
}

const NAMES: [(ReduceKind, &str); 4] = [
    (ReduceKind::Sum, "cumulative_sum"),
    (ReduceKind::Prod, "cumulative_prod"),
    (ReduceKind::Max, "cumulative_max"),
    (ReduceKind::Min, "cumulative_min"),
];

impl Scan {
    /// Extents before, along and behind the axis.
    ///
    /// # Errors
    /// When there is no such axis.
    pub fn extents(&self, shape: &Shape) -> Result<[usize; 3]> {
        let axis = shape.axis(self.axis)?;
        Ok([shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()])
    }
}

impl OpDef for Scan {
    fn name(&self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self.kind).map_or("scan", |(_, name)| name)
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs(self.name(), inputs, 1)?;
        super::expect_computed("x", &inputs[0])?;
        inputs[0].shape.axis(self.axis)?;
        if inputs[0].dtype.size() < 4 && !inputs[0].dtype.is_plain() {
            return Err(Error::dtype(format!("x: expected numbers of 32 bits, received {}", inputs[0].dtype)));
        }
        Ok(inputs[0].clone())
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], output: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(grad::gradient(self, g, inputs[0], output, dy)?)])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let [outer, extent, inner] = self.extents(&facts[0].shape)?;
        let x: Vec<f64> = inputs[0].iter().copied().collect();
        let mut y = vec![0.0; x.len()];
        let combine = |a: f64, b: f64| match output.dtype.is_float() {
            true => self.kind.combine(a, b),
            false => output.dtype.wrap(self.kind.combine_wide(a as i128, b as i128)) as f64,
        };
        for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
            let mut total = match self.kind {
                ReduceKind::Sum if output.dtype.is_float() && !self.exclusive => -0.0,
                kind => kind.identity_of(output.dtype),
            };
            for k in 0..extent {
                let k = if self.reverse { extent - 1 - k } else { k };
                let at = (o * extent + k) * inner + i;
                let next = combine(total, x[at]);
                y[at] = if self.exclusive { total } else { next };
                total = next;
            }
        }
        RefArray::from_shape_vec(&*output.shape, y).map_err(|e| Error::state(e.to_string()))
    }

    fn reads(&self, _: usize, inputs: &[Fact], _: &Fact) -> Reads {
        let Ok(axis) = inputs[0].shape.axis(self.axis) else { return Reads::All };
        let along = |a: usize| if a == axis { AxisReads::All } else { AxisReads::same(a) };
        Reads::Axes((0..inputs[0].shape.rank()).map(along).collect())
    }
}

impl FromAttributes for Scan {
    fn names() -> Vec<&'static str> {
        NAMES.iter().map(|(_, name)| *name).collect()
    }

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        let kind = NAMES.iter().find(|row| row.1 == name).map(|row| row.0);
        let kind = kind.ok_or_else(|| Error::value(format!("there is no scan \"{name}\"")))?;
        let (reverse, exclusive) = (a.bool_or("reverse", false)?, a.bool_or("exclusive", false)?);
        Ok(Scan { kind, axis: a.int_or("axis", 0)?, reverse, exclusive })
    }
}
