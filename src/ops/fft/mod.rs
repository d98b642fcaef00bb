//! Discrete Fourier transforms. A complex number is a pair along the last axis: its real and its imaginary part.

use super::{Attributes, FromAttributes, Kind, OpDef, RefArray, expect_float, expect_inputs};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::Fact;
use rustfft::num_complex::Complex;
use rustfft::{Fft as Plan, FftDirection, FftPlanner};
use std::sync::Arc;

/// Y_k = Σ_j X_j·e^(∓2πi·jk/n) along the last axis but one of a tensor of shape (…, n, 2); nothing is divided by n.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fft {
    /// Whether the exponent is positive.
    pub inverse: bool,
}

impl Fft {
    /// How rows of `n` pairs are transformed.
    pub fn plan(&self, n: usize) -> Arc<dyn Plan<f64>> {
        let direction = if self.inverse { FftDirection::Inverse } else { FftDirection::Forward };
        FftPlanner::new().plan_fft(n.max(1), direction)
    }
}

/// Transforms one row of pairs.
pub fn transform(plan: &dyn Plan<f64>, pairs: &[f64], to: &mut [f64]) {
    let mut row: Vec<Complex<f64>> = pairs.chunks_exact(2).map(|p| Complex::new(p[0], p[1])).collect();
    if !row.is_empty() {
        plan.process(&mut row);
    }
    to.chunks_exact_mut(2).zip(row).for_each(|(p, y)| p.copy_from_slice(&[y.re, y.im]));
}

impl OpDef for Fft {
    fn name(&self) -> &'static str {
        "fft"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("fft", inputs, 1)?;
        expect_float("x", &inputs[0])?;
        match inputs[0].shape[..] {
            [.., _, 2] => Ok(inputs[0].clone()),
            _ => Err(Error::value(format!("x: expected shape (..., numbers, 2), received {}", inputs[0].shape))),
        }
    }

    fn grad(&self, g: &mut Graph, _: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(g.apply(Fft { inverse: !self.inverse }, &[dy])?)])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], output: &Fact) -> Result<RefArray> {
        let x: Vec<f64> = inputs[0].iter().copied().collect();
        let n = output.shape[output.shape.rank() - 2];
        let mut y = vec![0.0; x.len()];
        if n > 0 {
            let plan = self.plan(n);
            x.chunks_exact(2 * n).zip(y.chunks_exact_mut(2 * n)).for_each(|(x, y)| transform(&*plan, x, y));
        }
        RefArray::from_shape_vec(&*output.shape, y).map_err(|e| Error::state(e.to_string()))
    }

    fn flops(&self, _: &[Fact], output: &Fact) -> u64 {
        let n = output.shape[output.shape.rank() - 2].max(2) as u64;
        5 * output.shape.len() as u64 / 2 * u64::from(n.ilog2())
    }
}

impl FromAttributes for Fft {
    fn names() -> Vec<&'static str> {
        vec!["fft"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        Ok(Fft { inverse: a.bool_or("inverse", false)? })
    }
}
