//! Look-up by index: gather, one-hot vectors.

mod one_hot;

pub use one_hot::OneHot;

use super::{Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, RefArray, expect_inputs};
use crate::dtype::DType;
use crate::error::{BadData, Error, Integer, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::scatter::Scatter;
use crate::shape::{Fact, Shape};
use ndarray::Axis;

/// Index into an axis of `extent`, negative from the end; `None` outside.
pub fn wrap(index: i32, extent: usize) -> Option<usize> {
    let (i, n) = (i64::from(index), extent as i64);
    (-n <= i && i < n).then_some(if i < 0 { i + n } else { i } as usize)
}

fn expect_index(argument: &str, fact: &Fact) -> Result<()> {
    if fact.dtype == DType::I32 {
        Ok(())
    } else {
        Err(Error::dtype(format!("{argument}: expected int32, received {}", fact.dtype)))
    }
}

/// Reads an index of a reference array.
pub(super) fn index_at(v: f64, position: usize, extent: usize) -> Result<usize> {
    let value = v as i32;
    wrap(value, extent).ok_or_else(|| BadData { what: Integer::Index, element: position, value, extent }.into())
}

/// (x, indices): the slices of `x` at `indices` along `axis`, as numpy's `take`: the axis is
/// replaced by the axes of the indices. Negative indices count from the end; one outside the axis
/// fails the run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gather {
    /// The axis; negative from the end.
    pub axis: i64,
}

impl OpDef for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn indices(&self) -> Option<usize> {
        Some(1)
    }

    fn moves(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("gather", inputs, 2)?;
        let (x, indices) = (&inputs[0], &inputs[1]);
        expect_index("indices", indices)?;
        let axis = x.shape.axis(self.axis)?;
        let shape: Shape =
            x.shape[..axis].iter().chain(indices.shape.iter()).chain(&x.shape[axis + 1..]).copied().collect();
        Fact::checked(shape, x.dtype)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let shape = g.fact(inputs[0]).shape.clone();
        let axis = shape.axis(self.axis)?;
        let dtype = g.fact(dy).dtype;
        let dy = g.cast(dy, dtype.computed())?;
        let dx = g.apply(Scatter::add(axis, shape), &[dy, inputs[1]])?;
        Ok(vec![Some(g.cast(dx, dtype)?), None])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let axis = facts[0].shape.axis(self.axis)?;
        let extent = facts[0].shape[axis];
        let rows = inputs[1].iter().enumerate().map(|(p, &v)| index_at(v, p, extent)).collect::<Result<Vec<_>>>()?;
        let y = inputs[0].select(Axis(axis), &rows);
        y.as_standard_layout()
            .into_owned()
            .into_shape_with_order(&*output.shape)
            .map_err(|e| Error::state(e.to_string()))
    }

    fn reads(&self, input: usize, inputs: &[Fact], _: &Fact) -> Reads {
        let x = &inputs[0].shape;
        let (0, Ok(axis)) = (input, x.axis(self.axis)) else { return Reads::All };
        let looked = inputs[1].shape.rank();
        let along = |a: usize| match a {
            a if a == axis && looked > 0 => AxisReads::Looked { of: axis, by: 1 },
            a if a == axis => AxisReads::All,
            a if a < axis => AxisReads::same(a),
            a => AxisReads::same(a + looked - 1),
        };
        Reads::Axes((0..x.rank()).map(along).collect())
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Gather {
    fn names() -> Vec<&'static str> {
        vec!["gather"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        Ok(Gather { axis: a.int_or("axis", 0)? })
    }
}
