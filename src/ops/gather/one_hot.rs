//! Indices as unit vectors.

use super::expect_index;
use crate::dtype::DType;
use crate::error::{BadData, Error, Integer, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::{Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, RefArray, expect_inputs};
use crate::shape::{Fact, Shape};

/// A new last axis of `depth` that holds 1 at the index and 0 elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OneHot {
    /// Extent of the new axis.
    pub depth: usize,
    /// Element type of the result.
    pub dtype: DType,
    /// Whether an index outside `0..depth` is a bad label, which fails the run; otherwise its
    /// vector is 0.
    pub strict: bool,
}

impl OpDef for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn indices(&self) -> Option<usize> {
        Some(0)
    }

    fn moves(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("one_hot", inputs, 1)?;
        expect_index("indices", &inputs[0])?;
        Fact::checked(inputs[0].shape.iter().copied().chain([self.depth]).collect::<Shape>(), self.dtype)
    }

    fn grad(&self, _: &mut Graph, _: &[NodeId], _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], output: &Fact) -> Result<RefArray> {
        let mut y = vec![0.0; output.shape.len()];
        for (p, &v) in inputs[0].iter().enumerate() {
            if v >= 0.0 && v < self.depth as f64 {
                y[p * self.depth + v as usize] = 1.0;
            } else if self.strict {
                let (what, extent) = (Integer::Label, self.depth);
                return Err(BadData { what, element: p, value: v as i32, extent }.into());
            }
        }
        RefArray::from_shape_vec(&*output.shape, y).map_err(|e| Error::state(e.to_string()))
    }

    fn reads(&self, _: usize, inputs: &[Fact], _: &Fact) -> Reads {
        Reads::Axes((0..inputs[0].shape.rank()).map(AxisReads::same).collect())
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for OneHot {
    fn names() -> Vec<&'static str> {
        vec!["one_hot"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        let depth = a.int("depth")?;
        let depth = usize::try_from(depth)
            .map_err(|_| Error::value(format!("depth: expected an integer >= 0, received {depth}")))?;
        Ok(OneHot { depth, dtype: a.dtype_or("dtype", DType::F32)?, strict: false })
    }
}
