//! Leaves: graph inputs and scalar literals.

use super::{Attributes, FromAttributes, Kind, OpDef, RefArray, expect_inputs};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};

/// Graph input number `index`; its fact is given when it is added.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Input {
    /// Position among the graph's inputs.
    pub index: usize,
    /// Whether many runs see the same value: a version of a variable that the run does not write, or a
    /// captured constant. What depends on such inputs alone is computed when they change, not in each run.
    pub constant: bool,
}

impl OpDef for Input {
    fn name(&self) -> &'static str {
        "input"
    }

    fn kind(&self) -> Kind {
        Kind::Leaf
    }

    fn moves(&self) -> bool {
        true
    }

    fn infer(&self, _: &[Fact]) -> Result<Fact> {
        Err(Error::state("the fact of an input is given, not inferred"))
    }

    fn grad(&self, _: &mut Graph, _: &[NodeId], _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }

    fn reference(&self, _: &[&RefArray], _: &[Fact], _: &Fact) -> Result<RefArray> {
        Err(Error::state("the value of an input is given, not computed"))
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Input {
    fn names() -> Vec<&'static str> {
        Vec::new()
    }

    fn from_attributes(_: &str, _: &mut Attributes) -> Result<Self> {
        Err(Error::state("inputs are added with Graph::input"))
    }
}

/// A scalar literal; part of the plan's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Constant {
    /// Bits of the value as f64, already rounded to `dtype`.
    pub bits: u64,
    /// Element type.
    pub dtype: DType,
}

impl Constant {
    /// `value` rounded to `dtype`.
    pub fn new(value: f64, dtype: DType) -> Self {
        Constant { bits: dtype.round(value).to_bits(), dtype }
    }

    /// The value.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }
}

impl OpDef for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn kind(&self) -> Kind {
        Kind::Leaf
    }

    fn moves(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("constant", inputs, 0)?;
        Ok(Fact::new(Shape::scalar(), self.dtype))
    }

    fn grad(&self, _: &mut Graph, _: &[NodeId], _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }

    fn reference(&self, _: &[&RefArray], _: &[Fact], _: &Fact) -> Result<RefArray> {
        Ok(ndarray::arr0(self.value()).into_dyn())
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Constant {
    fn names() -> Vec<&'static str> {
        vec!["constant"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        let dtype = a.dtype_or("dtype", DType::F32)?;
        Ok(Constant::new(a.real_or("value", 0.0)?.get(), dtype))
    }
}
