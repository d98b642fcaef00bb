//! Reductions with axes as the caller gives them: `None` for all, negative from the end.

use super::{Attributes, Axes, Compose, Gradients, OwnGradient, axes_attribute, float};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::pointwise::Function;
use crate::ops::reduce::{Reduce, ReduceKind};
use crate::shape::Dims;

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReductionKind {
    /// Σ x
    Sum,
    /// Σ x / n, in f32, or in f64 of such
    Mean,
    /// Largest
    Max,
    /// Smallest
    Min,
    /// Π x
    Prod,
    /// Whether some element is not 0
    Any,
    /// Whether no element is 0
    All,
    /// Σ (x − mean)² / n, in f32, or in f64 of such
    Variance,
    /// log Σ eˣ
    LogSumExp,
}

use ReductionKind::{All, Any, LogSumExp, Max, Mean, Min, Prod, Sum, Variance};

/// A reduction over axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduction {
    /// What.
    pub kind: ReductionKind,
    /// Over which axes.
    pub axes: Option<Axes>,
    /// Whether the reduced axes stay, with extent 1.
    pub keepdims: bool,
}

impl Compose for Reduction {
    const NAMES: &'static [&'static str] =
        &["sum", "mean", "max", "min", "prod", "any", "all", "variance", "logsumexp"];

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        let kind = [Sum, Mean, Max, Min, Prod, Any, All, Variance, LogSumExp]
            .into_iter()
            .zip(Self::NAMES)
            .find(|(_, n)| **n == name)
            .ok_or_else(|| Error::value(format!("there is no reduction \"{name}\"")))?
            .0;
        Ok(Reduction { kind, axes: axes_attribute(a)?, keepdims: a.bool_or("keepdims", false)? })
    }

    fn name(&self) -> &'static str {
        Self::NAMES[self.kind as usize]
    }

    fn arity(&self) -> Option<usize> {
        Some(1)
    }

    fn inline(&self, g: &mut Graph, inputs: &[NodeId]) -> Result<NodeId> {
        let x = inputs[0];
        let axes = self.resolve(g, x)?;
        let keep = self.keepdims;
        match self.kind {
            Sum => g.sum(x, &axes, keep),
            Prod => g.reduce(ReduceKind::Prod, x, &axes, keep),
            Max => g.reduce(ReduceKind::Max, x, &axes, keep),
            Min => g.reduce(ReduceKind::Min, x, &axes, keep),
            Mean => g.mean(x, &axes, keep),
            Variance => {
                let x = g.cast(x, g.fact(x).dtype.float())?;
                let mean = g.mean(x, &axes, true)?;
                let d = g.sub(x, mean)?;
                let square = g.unary(Function::Square, d)?;
                g.mean(square, &axes, keep)
            }
            Any | All => {
                let zero = g.constant_like(0.0, x)?;
                let (test, found) = match self.kind {
                    Any => (Function::NotEqual, Function::Greater),
                    _ => (Function::Equal, Function::Equal),
                };
                let hits = g.binary(test, x, zero)?;
                let count = g.sum(hits, &axes, keep)?;
                let none = g.constant_like(0.0, count)?;
                g.binary(found, count, none)
            }
            LogSumExp => {
                float(g, "x", x)?;
                let top = finite_max(g, x, &axes)?;
                let d = g.sub(x, top)?;
                let e = g.unary(Function::Exp, d)?;
                let s = g.sum(e, &axes, true)?;
                let l = g.unary(Function::Log, s)?;
                let y = g.add(l, top)?;
                let shape = Reduce { kind: ReduceKind::Sum, axes, keepdims: keep }.shape(&g.fact(x).shape);
                g.reshape(y, shape)
            }
        }
    }

    fn own_gradient(&self) -> Option<OwnGradient<Self>> {
        match self.kind {
            LogSumExp => Some(logsumexp_gradient),
            _ => None,
        }
    }
}

impl Reduction {
    fn resolve(&self, g: &Graph, x: NodeId) -> Result<Dims> {
        g.fact(x).shape.axes(self.axes.as_deref())
    }
}

/// dx = softmax(x) · dy. Where all are −∞, as where all are equal otherwise, each has the same share.
fn logsumexp_gradient(r: &Reduction, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Gradients {
    let x = inputs[0];
    let axes = r.resolve(g, x)?;
    // As in the value, so that these nodes are those of it; exp(x - y) would be off by the rounding of y.
    let top = finite_max(g, x, &axes)?;
    let d = g.sub(x, top)?;
    let e = g.unary(Function::Exp, d)?;
    let s = g.sum(e, &axes, true)?;
    let zero = g.constant_like(0.0, s)?;
    let empty = g.binary(Function::Equal, s, zero)?;
    let count = g.fact(x).shape.len() / g.fact(s).shape.len().max(1);
    let share = g.constant_like(1.0 / count.max(1) as f64, e)?;
    let part = g.div(e, s)?;
    let part = g.select(empty, share, part)?;
    let kept = g.fact(s).shape.clone();
    let dy = g.reshape(dy, kept)?;
    Ok(vec![Some(g.mul(part, dy)?)])
}

/// Maximum over `axes`, kept; 0 where it is infinite, so that subtracting it makes no NaN.
fn finite_max(g: &mut Graph, x: NodeId, axes: &[usize]) -> Result<NodeId> {
    let top = g.reduce(ReduceKind::Max, x, axes, true)?;
    let finite = g.unary(Function::IsFinite, top)?;
    let zero = g.constant_like(0.0, x)?;
    g.select(finite, top, zero)
}
