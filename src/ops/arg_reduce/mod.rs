//! Where the largest or smallest element is.

use super::{Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, RefArray, expect_inputs};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};

/// Index (int32) of the first extreme element along an axis; the first NaN if there is one, as
/// numpy. Without an axis, the index into the flattened tensor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArgReduce {
    /// Whether the largest is sought, or the smallest.
    pub largest: bool,
    /// The axis; negative from the end; `None` for all elements.
    pub axis: Option<i64>,
    /// Whether the reduced axes stay, with extent 1.
    pub keepdims: bool,
}

impl ArgReduce {
    /// Extents before, along and behind what is reduced.
    pub fn extents(&self, shape: &Shape) -> Result<[usize; 3]> {
        let Some(axis) = self.axis else { return Ok([1, shape.len(), 1]) };
        let axis = shape.axis(axis)?;
        Ok([shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()])
    }

    /// Whether `a` displaces `b`, which came before it.
    pub fn displaces<T: PartialOrd>(largest: bool, a: T, b: T) -> bool {
        #[allow(clippy::eq_op, reason = "x != x tells NaN for every element type")]
        let nan = |x: &T| x != x;
        if nan(&a) {
            !nan(&b)
        } else if largest {
            a > b
        } else {
            a < b
        }
    }
}

impl OpDef for ArgReduce {
    fn name(&self) -> &'static str {
        if self.largest { "argmax" } else { "argmin" }
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs(self.name(), inputs, 1)?;
        super::expect_computed("x", &inputs[0])?;
        let shape = &inputs[0].shape;
        let [_, count, _] = self.extents(shape)?;
        if count == 0 || i32::try_from(count).is_err() {
            return Err(Error::value(format!("x: expected 1 to 2^31 - 1 elements to compare, received shape {shape}")));
        }
        let axes = shape.axes(self.axis.as_ref().map(std::slice::from_ref))?;
        let kept = (0..shape.rank()).filter_map(|a| match (axes.contains(&a), self.keepdims) {
            (false, _) => Some(shape[a]),
            (true, true) => Some(1),
            (true, false) => None,
        });
        Fact::checked(kept.collect::<Shape>(), DType::I32)
    }

    fn grad(&self, _: &mut Graph, _: &[NodeId], _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let [outer, count, inner] = self.extents(&facts[0].shape)?;
        let x: Vec<f64> = inputs[0].iter().copied().collect();
        let mut y = Vec::with_capacity(outer * inner);
        for at in 0..outer * inner {
            let (o, i) = (at / inner, at % inner);
            let value = |k: usize| x[(o * count + k) * inner + i];
            let best = (1..count).fold(
                0,
                |best, k| {
                    if Self::displaces(self.largest, value(k), value(best)) { k } else { best }
                },
            );
            y.push(best as f64);
        }
        RefArray::from_shape_vec(&*output.shape, y).map_err(|e| Error::state(e.to_string()))
    }

    fn reads(&self, _: usize, inputs: &[Fact], _: &Fact) -> Reads {
        let shape = &inputs[0].shape;
        let Ok(axes) = shape.axes(self.axis.as_ref().map(std::slice::from_ref)) else { return Reads::All };
        let kept = |axis: usize| (0..axis).filter(|a| self.keepdims || !axes.contains(a)).count();
        let along = |axis| if axes.contains(&axis) { AxisReads::All } else { AxisReads::same(kept(axis)) };
        Reads::Axes((0..shape.rank()).map(along).collect())
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        inputs[0].shape.len() as u64
    }
}

impl FromAttributes for ArgReduce {
    fn names() -> Vec<&'static str> {
        vec!["argmax", "argmin"]
    }

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        let axis = a.int_opt("axis")?;
        Ok(ArgReduce { largest: name == "argmax", axis, keepdims: a.bool_or("keepdims", false)? })
    }
}
