//! Matrix products, batched with numpy's broadcasting of the leading axes.

mod cpu;
#[cfg(test)]
mod tests;

use super::{Attributes, FromAttributes, Kind, OpDef, RefArray, expect_float, expect_inputs};
use crate::backend::cpu::kernel::CpuKernel;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};
use ndarray::{Axis, Ix2};

/// `op(a) · op(b)` over the last two axes, where `op` transposes if asked to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatMul {
    /// Whether `a` is (…, k, m) instead of (…, m, k).
    pub transpose_a: bool,
    /// Whether `b` is (…, n, k) instead of (…, k, n).
    pub transpose_b: bool,
}

/// Extents of one product.
pub(crate) struct Extents {
    /// Leading axes of the result.
    pub batch: Shape,
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

impl MatMul {
    /// Extents for these shapes.
    ///
    /// # Errors
    /// When they have fewer than two axes, or the inner extents differ.
    pub(crate) fn extents(&self, a: &Shape, b: &Shape) -> Result<Extents> {
        let (Some((lead_a, [a0, a1])), Some((lead_b, [b0, b1]))) = (a.split_last_chunk(), b.split_last_chunk()) else {
            return Err(Error::value(format!("expected shapes of at least 2 axes, received {a} and {b}")));
        };
        let (m, k) = if self.transpose_a { (*a1, *a0) } else { (*a0, *a1) };
        let (n, inner) = if self.transpose_b { (*b0, *b1) } else { (*b1, *b0) };
        if k != inner {
            return Err(Error::value(format!("inner extents differ: {a} has {k}, {b} has {inner}")));
        }
        Ok(Extents { batch: Shape::from(lead_a).broadcast(&Shape::from(lead_b))?, m, n, k })
    }
}

fn sum_leading(g: &mut Graph, d: NodeId, like: NodeId) -> Result<NodeId> {
    let shape = g.fact(like).shape.clone();
    g.sum_to(d, &shape)
}

impl OpDef for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn kind(&self) -> Kind {
        Kind::Heavy
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("matmul", inputs, 2)?;
        expect_float("a", &inputs[0])?;
        expect_float("b", &inputs[1])?;
        let e = self.extents(&inputs[0].shape, &inputs[1].shape)?;
        Fact::checked(e.batch.iter().copied().chain([e.m, e.n]).collect::<Shape>(), DType::F32)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let (a, b) = (inputs[0], inputs[1]);
        let product =
            |g: &mut Graph, x, y, transpose_a, transpose_b| g.apply(MatMul { transpose_a, transpose_b }, &[x, y]);
        let da = if self.transpose_a {
            product(g, b, dy, self.transpose_b, true)?
        } else {
            product(g, dy, b, false, !self.transpose_b)?
        };
        let db = if self.transpose_b {
            product(g, dy, a, true, self.transpose_a)?
        } else {
            product(g, a, dy, !self.transpose_a, false)?
        };
        Ok(vec![Some(sum_leading(g, da, a)?), Some(sum_leading(g, db, b)?)])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let e = self.extents(&facts[0].shape, &facts[1].shape)?;
        let wide = |x: &RefArray| -> Result<Vec<ndarray::Array2<f64>>> {
            let (rows, cols) = (x.shape()[x.ndim() - 2], x.shape()[x.ndim() - 1]);
            let shape: Vec<usize> = e.batch.iter().copied().chain([rows, cols]).collect();
            let view = x.broadcast(shape).ok_or_else(|| Error::state("does not broadcast"))?;
            let flat = view
                .as_standard_layout()
                .into_owned()
                .into_shape_with_order((e.batch.len(), rows, cols))
                .map_err(|e| Error::state(e.to_string()))?;
            Ok(flat.axis_iter(Axis(0)).map(|m| m.to_owned()).collect())
        };
        let mut out = Vec::with_capacity(output.shape.len());
        for (a, b) in wide(inputs[0])?.into_iter().zip(wide(inputs[1])?) {
            let a = if self.transpose_a { a.reversed_axes() } else { a };
            let b = if self.transpose_b { b.reversed_axes() } else { b };
            out.extend(a.into_dimensionality::<Ix2>().map_err(|e| Error::state(e.to_string()))?.dot(&b).iter());
        }
        RefArray::from_shape_vec(&*output.shape, out).map_err(|e| Error::state(e.to_string()))
    }

    fn flops(&self, inputs: &[Fact], output: &Fact) -> u64 {
        self.extents(&inputs[0].shape, &inputs[1].shape).map_or(0, |e| 2 * (output.shape.len() * e.k) as u64)
    }

    fn cpu_kernels(&self) -> &'static [&'static dyn CpuKernel] {
        cpu::KERNELS
    }
}

impl FromAttributes for MatMul {
    fn names() -> Vec<&'static str> {
        vec!["matmul"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        Ok(MatMul { transpose_a: a.bool_or("transpose_a", false)?, transpose_b: a.bool_or("transpose_b", false)? })
    }
}
