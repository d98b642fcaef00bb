//! The gradient of a scalar as a node of the graph, expanded by the autodiff pass.

use super::{Attributes, FromAttributes, Kind, OpDef, RefArray};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::Fact;

/// d(root)/d(wrt\[index\]). Inputs: the root, its seed if `seeded`, then all values of `wrt`.
///
/// The gradients of one root are nodes with the same inputs; the pass expands them together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gradient {
    /// Which of the values.
    pub index: usize,
    /// Whether a gradient of the root is given; otherwise it is 1 everywhere.
    pub seeded: bool,
}

impl Gradient {
    /// Inputs before the values of `wrt`.
    pub fn leading_inputs(&self) -> usize {
        1 + usize::from(self.seeded)
    }
}

impl OpDef for Gradient {
    fn name(&self) -> &'static str {
        "gradient"
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn moves(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        let wrt = inputs
            .get(self.leading_inputs() + self.index)
            .ok_or_else(|| Error::state(format!("gradient: there is no value {} to differentiate by", self.index)))?;
        if !inputs[0].dtype.is_float() || !wrt.dtype.is_float() {
            return Err(Error::dtype(format!("gradient: expected floats, received {} by {}", inputs[0], wrt)));
        }
        if self.seeded && inputs[1] != inputs[0] {
            return Err(Error::value(format!("gradient: expected {}, received {}", inputs[0], inputs[1])));
        }
        Ok(wrt.clone())
    }

    fn grad(&self, _: &mut Graph, _: &[NodeId], _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>> {
        Err(Error::state("gradients are expanded before they are differentiated"))
    }

    fn reference(&self, _: &[&RefArray], _: &[Fact], _: &Fact) -> Result<RefArray> {
        Err(Error::state("gradients are expanded before they are interpreted"))
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Gradient {
    fn names() -> Vec<&'static str> {
        Vec::new()
    }

    fn from_attributes(_: &str, _: &mut Attributes) -> Result<Self> {
        Err(Error::state("gradients are recorded with Tensor::gradients"))
    }
}
