//! Ops that move elements without computing: reshape, broadcast, transpose, slice, pad, concatenate.

mod parts;

pub use parts::{Concat, Iota, Pad, Slice, StopGradient};

use super::{Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, RefArray, expect_inputs};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};
use smallvec::SmallVec;

/// The same elements in row-major order under another shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reshape {
    /// Shape of the result.
    pub shape: Shape,
}

impl OpDef for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn kind(&self) -> Kind {
        Kind::View
    }

    fn moves(&self) -> bool {
        true
    }

    fn reads(&self, _: usize, _: &[Fact], _: &Fact) -> Reads {
        Reads::Order
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("reshape", inputs, 1)?;
        let to = Fact::checked(self.shape.clone(), inputs[0].dtype)?;
        if to.shape.len() != inputs[0].shape.len() {
            return Err(Error::value(format!(
                "shape: expected {} elements for input {}, received {}",
                inputs[0].shape.len(),
                inputs[0].shape,
                self.shape
            )));
        }
        Ok(to)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let shape = g.fact(inputs[0]).shape.clone();
        Ok(vec![Some(g.reshape(dy, shape)?)])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], _: &Fact) -> Result<RefArray> {
        inputs[0]
            .as_standard_layout()
            .into_owned()
            .into_shape_with_order(&*self.shape)
            .map_err(|e| Error::state(e.to_string()))
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Reshape {}

/// Repetition along axes of extent 1 and new leading axes, as numpy broadcasts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BroadcastTo {
    /// Shape of the result.
    pub shape: Shape,
}

impl OpDef for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }

    fn kind(&self) -> Kind {
        Kind::Pointwise
    }

    fn moves(&self) -> bool {
        true
    }

    fn reads(&self, _: usize, _: &[Fact], _: &Fact) -> Reads {
        Reads::Same
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("broadcast_to", inputs, 1)?;
        let from = &inputs[0].shape;
        if from.rank() > self.shape.rank() || from.broadcast(&self.shape)? != self.shape {
            return Err(Error::value(format!("shape: {from} does not broadcast to {}", self.shape)));
        }
        Fact::checked(self.shape.clone(), inputs[0].dtype)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let shape = g.fact(inputs[0]).shape.clone();
        Ok(vec![Some(g.sum_to(dy, &shape)?)])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], _: &Fact) -> Result<RefArray> {
        let view = inputs[0].broadcast(&*self.shape).ok_or_else(|| Error::state("does not broadcast"))?;
        Ok(view.as_standard_layout().into_owned())
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for BroadcastTo {
    fn names() -> Vec<&'static str> {
        vec!["broadcast_to"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        Ok(BroadcastTo { shape: Shape::from(a.extents("shape")?.as_slice()) })
    }
}

/// Axes permuted: axis `i` of the result is axis `perm[i]` of the input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transpose {
    /// The permutation.
    pub perm: SmallVec<[usize; 6]>,
}

impl OpDef for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn moves(&self) -> bool {
        true
    }

    fn reads(&self, _: usize, _: &[Fact], _: &Fact) -> Reads {
        let axis = |from: usize| self.perm.iter().position(|&p| p == from).map_or(AxisReads::All, AxisReads::same);
        Reads::Axes((0..self.perm.len()).map(axis).collect())
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("transpose", inputs, 1)?;
        let shape = &inputs[0].shape;
        let mut seen: SmallVec<[usize; 6]> = self.perm.clone();
        seen.sort_unstable();
        if !seen.iter().copied().eq(0..shape.rank()) {
            return Err(Error::value(format!(
                "perm: expected a permutation of the axes of {shape}, received {:?}",
                self.perm
            )));
        }
        Fact::checked(self.perm.iter().map(|&p| shape[p]).collect::<Shape>(), inputs[0].dtype)
    }

    fn grad(&self, g: &mut Graph, _: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let mut inverse: SmallVec<[usize; 6]> = smallvec::smallvec![0; self.perm.len()];
        for (i, &p) in self.perm.iter().enumerate() {
            inverse[p] = i;
        }
        Ok(vec![Some(g.transpose(dy, &inverse)?)])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], _: &Fact) -> Result<RefArray> {
        Ok(inputs[0].view().permuted_axes(self.perm.as_slice()).as_standard_layout().into_owned())
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Transpose {}
