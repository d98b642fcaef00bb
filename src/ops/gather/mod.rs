//! Look-up by index: gather and its gradient, one-hot vectors.

mod one_hot;

pub use one_hot::OneHot;

use super::{Attributes, FromAttributes, Kind, OpDef, RefArray, expect_inputs};
use crate::dtype::DType;
use crate::error::{BadData, Error, Integer, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};
use ndarray::{Axis, IxDyn};

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
fn index_at(v: f64, position: usize, extent: usize) -> Result<usize> {
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
        let dx = g.apply(ScatterAdd { axis, shape }, &[dy, inputs[1]])?;
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

/// (dy, indices): the gradient of [`Gather`]: zeros of `shape`, to which the slices of `dy` are
/// added at `indices` along `axis`, in the order of the indices.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScatterAdd {
    /// The axis.
    pub axis: usize,
    /// Shape of the result.
    pub shape: Shape,
}

impl OpDef for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("scatter_add", inputs, 2)?;
        super::expect_computed("dy", &inputs[0])?;
        let to = Fact::checked(self.shape.clone(), inputs[0].dtype)?;
        let gather = Gather { axis: self.axis as i64 };
        let expected = gather.infer(&[to.clone(), inputs[1].clone()])?;
        if expected != inputs[0] {
            return Err(Error::value(format!("dy: expected {expected}, received {}", inputs[0])));
        }
        Ok(to)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(g.apply(Gather { axis: self.axis as i64 }, &[dy, inputs[1]])?), None])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], _: &Fact) -> Result<RefArray> {
        let mut y = RefArray::zeros(&*self.shape);
        let rank = facts[1].shape.rank();
        for (p, (at, &v)) in inputs[1].indexed_iter().enumerate() {
            let row = index_at(v, p, self.shape[self.axis])?;
            let at: IxDyn = at;
            let mut slice = inputs[0].view();
            for a in 0..rank {
                slice = slice.index_axis_move(Axis(self.axis), at[a]);
            }
            let mut target = y.index_axis_mut(Axis(self.axis), row);
            target += &slice;
        }
        Ok(y)
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        inputs[0].shape.len() as u64
    }
}

impl FromAttributes for ScatterAdd {}
