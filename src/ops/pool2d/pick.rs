//! The derivative of max pooling's gradient: what a tensor holds where another is greatest.

use super::{Pool2d, Pool2dGrad, PoolKind, first_greatest};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::window::Window;
use crate::ops::{Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, RefArray, expect_float, expect_inputs};
use crate::shape::Fact;

/// From (x, u) of one shape: for each window the element of u at which x is greatest, the first in
/// row-major order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MaxPool2dPick {
    /// The window.
    pub window: Window,
}

impl MaxPool2dPick {
    pub(crate) fn pool(&self) -> Pool2d {
        Pool2d { kind: PoolKind::Max, window: self.window }
    }
}

impl OpDef for MaxPool2dPick {
    fn name(&self) -> &'static str {
        "max_pool2d_pick"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_float("u", &inputs[1])?;
        if inputs[0] != inputs[1] {
            return Err(Error::value(format!("u: expected {}, received {}", inputs[0], inputs[1])));
        }
        self.pool().infer(&inputs[..1])
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None, Some(g.apply(Pool2dGrad { pool: self.pool() }, &[inputs[0], dy])?)])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let mut y = RefArray::zeros(&*output.shape);
        self.pool().windows(&facts[0].shape, |at, inside| {
            y[at.as_slice()] = first_greatest(inputs[0], inside).map_or(0.0, |b| inputs[1][b.as_slice()]);
        })?;
        Ok(y)
    }

    fn reads(&self, _: usize, _: &[Fact], _: &Fact) -> Reads {
        Reads::Axes(vec![AxisReads::same(0), AxisReads::All, AxisReads::All, AxisReads::same(3)])
    }

    fn flops(&self, _: &[Fact], output: &Fact) -> u64 {
        (output.shape.len() * self.window.size[0] * self.window.size[1]) as u64
    }
}

impl FromAttributes for MaxPool2dPick {
    fn names() -> Vec<&'static str> {
        Vec::new()
    }

    fn from_attributes(_: &str, _: &mut Attributes) -> Result<Self> {
        Err(Error::state("the second derivative of max pooling is made by autodiff"))
    }
}
