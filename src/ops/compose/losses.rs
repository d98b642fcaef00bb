//! Softmax and the losses on logits, in their stable forms and with their own gradients
//! (softmax cross-entropy: Bishop 2006, eq. 4.109: ∂L/∂logits = softmax − target).

use super::{Attributes, Compose, Gradients, OwnGradient, float};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::gather::OneHot;
use crate::ops::pointwise::Function;
use crate::ops::reduce::ReduceKind;
use crate::shape::Shape;

/// Softmax or a loss on logits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// eˣ / Σ eˣ along an axis.
    Softmax {
        /// The axis; negative from the end.
        axis: i64,
    },
    /// x − log Σ eˣ along an axis.
    LogSoftmax {
        /// The axis; negative from the end.
        axis: i64,
    },
    /// −log softmax(logits)\[label\] along the last axis; a label outside the classes fails the run.
    SparseSoftmaxCrossEntropy,
    /// −Σ targets · log softmax(logits) along the last axis.
    SoftmaxCrossEntropy,
    /// softplus(logit) − logit · target for every element.
    SigmoidCrossEntropy,
}

impl Compose for Loss {
    const NAMES: &'static [&'static str] =
        &["softmax", "log_softmax", "sparse_softmax_cross_entropy", "softmax_cross_entropy", "sigmoid_cross_entropy"];

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        Ok(match name {
            "softmax" => Loss::Softmax { axis: a.int_or("axis", -1)? },
            "log_softmax" => Loss::LogSoftmax { axis: a.int_or("axis", -1)? },
            "sparse_softmax_cross_entropy" => Loss::SparseSoftmaxCrossEntropy,
            "softmax_cross_entropy" => Loss::SoftmaxCrossEntropy,
            "sigmoid_cross_entropy" => Loss::SigmoidCrossEntropy,
            other => return Err(Error::value(format!("there is no loss \"{other}\""))),
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Loss::Softmax { .. } => "softmax",
            Loss::LogSoftmax { .. } => "log_softmax",
            Loss::SparseSoftmaxCrossEntropy => "sparse_softmax_cross_entropy",
            Loss::SoftmaxCrossEntropy => "softmax_cross_entropy",
            Loss::SigmoidCrossEntropy => "sigmoid_cross_entropy",
        }
    }

    fn arity(&self) -> Option<usize> {
        Some(match self {
            Loss::Softmax { .. } | Loss::LogSoftmax { .. } => 1,
            _ => 2,
        })
    }

    fn inline(&self, g: &mut Graph, inputs: &[NodeId]) -> Result<NodeId> {
        let x = inputs[0];
        float(g, if self.arity() == Some(1) { "x" } else { "logits" }, x)?;
        match self {
            Loss::Softmax { axis } => {
                let axis = g.fact(x).shape.axis(*axis)?;
                let s = shifted(g, x, axis)?;
                g.div(s.exp, s.sum)
            }
            Loss::LogSoftmax { axis } => {
                let axis = g.fact(x).shape.axis(*axis)?;
                let s = shifted(g, x, axis)?;
                let l = g.unary(Function::Log, s.sum)?;
                g.sub(s.x, l)
            }
            Loss::SparseSoftmaxCrossEntropy => {
                let (hot, last) = labels_one_hot(g, x, inputs[1])?;
                let s = shifted(g, x, last)?;
                let zero = g.constant_like(0.0, x)?;
                let own = g.select(hot, s.x, zero)?;
                let own = g.sum(own, &[last], false)?;
                let l = g.unary(Function::Log, s.sum)?;
                let shape = g.fact(own).shape.clone();
                let l = g.reshape(l, shape)?;
                g.sub(l, own)
            }
            Loss::SoftmaxCrossEntropy => {
                let last = same_shape(g, inputs, true)?;
                let logp = g.apply(Loss::LogSoftmax { axis: -1 }, &[x])?;
                let p = g.mul(inputs[1], logp)?;
                let s = g.sum(p, &[last], false)?;
                g.neg(s)
            }
            Loss::SigmoidCrossEntropy => {
                same_shape(g, inputs, false)?;
                let s = g.unary(Function::Softplus, x)?;
                let p = g.mul(x, inputs[1])?;
                g.sub(s, p)
            }
        }
    }

    fn own_gradient(&self) -> Option<OwnGradient<Self>> {
        Some(match self {
            Loss::Softmax { .. } => softmax_gradient,
            Loss::LogSoftmax { .. } => log_softmax_gradient,
            Loss::SparseSoftmaxCrossEntropy => sparse_gradient,
            Loss::SoftmaxCrossEntropy => dense_gradient,
            Loss::SigmoidCrossEntropy => sigmoid_gradient,
        })
    }
}

/// What softmax and its logarithm share, so that a graph which has both computes it once.
struct Shifted {
    /// x less its maximum.
    x: NodeId,
    exp: NodeId,
    /// Σ exp, with the axis kept.
    sum: NodeId,
}

fn shifted(g: &mut Graph, x: NodeId, axis: usize) -> Result<Shifted> {
    // Where it is infinite, all of the row is NaN.
    let top = g.reduce(ReduceKind::Max, x, &[axis], true)?;
    let x = g.sub(x, top)?;
    let exp = g.unary(Function::Exp, x)?;
    let sum = g.sum(exp, &[axis], true)?;
    Ok(Shifted { x, exp, sum })
}

/// Checks logits and labels; gives the labels one-hot (bool) and the axis of the classes.
fn labels_one_hot(g: &mut Graph, logits: NodeId, labels: NodeId) -> Result<(NodeId, usize)> {
    let shape = g.fact(logits).shape.clone();
    let Some(last) = shape.rank().checked_sub(1) else {
        return Err(Error::value(format!("logits: expected an axis of classes, received shape {shape}")));
    };
    let expected: Shape = shape[..last].iter().copied().collect();
    let given = &g.fact(labels).shape;
    if *given != expected {
        return Err(Error::value(format!(
            "labels: expected shape {expected} for logits of shape {shape}, received {given}"
        )));
    }
    let labels = g.cast(labels, DType::I32)?;
    let hot = g.apply(OneHot { depth: shape[last], dtype: DType::Bool, strict: true }, &[labels])?;
    Ok((hot, last))
}

/// Checks that logits and targets are f32 of one shape; gives the last axis.
fn same_shape(g: &Graph, inputs: &[NodeId], needs_axis: bool) -> Result<usize> {
    float(g, "targets", inputs[1])?;
    let (logits, targets) = (&g.fact(inputs[0]).shape, &g.fact(inputs[1]).shape);
    if logits != targets || (needs_axis && logits.rank() == 0) {
        return Err(Error::value(format!("targets: expected shape {logits} as the logits, received {targets}")));
    }
    Ok(logits.rank().saturating_sub(1))
}

/// `dy` of a loss with the axis of the classes put back.
fn with_last_axis(g: &mut Graph, dy: NodeId) -> Result<NodeId> {
    let shape = g.fact(dy).shape.iter().copied().chain([1]).collect();
    g.reshape(dy, shape)
}

/// dx = y (dy − Σ dy y)
fn softmax_gradient(op: &Loss, g: &mut Graph, inputs: &[NodeId], y: NodeId, dy: NodeId) -> Gradients {
    let Loss::Softmax { axis } = op else { return Err(Error::state("not a softmax")) };
    let axis = g.fact(inputs[0]).shape.axis(*axis)?;
    let p = g.mul(dy, y)?;
    let s = g.sum(p, &[axis], true)?;
    let d = g.sub(dy, s)?;
    Ok(vec![Some(g.mul(y, d)?)])
}

/// dx = dy − softmax(x) Σ dy
fn log_softmax_gradient(op: &Loss, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Gradients {
    let Loss::LogSoftmax { axis } = *op else { return Err(Error::state("not a log_softmax")) };
    let at = g.fact(inputs[0]).shape.axis(axis)?;
    let y = g.apply(Loss::Softmax { axis }, &[inputs[0]])?;
    let s = g.sum(dy, &[at], true)?;
    let p = g.mul(y, s)?;
    Ok(vec![Some(g.sub(dy, p)?)])
}

/// dlogits = (softmax − one_hot) dy
fn sparse_gradient(_: &Loss, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Gradients {
    let (hot, _) = labels_one_hot(g, inputs[0], inputs[1])?;
    let hot = g.cast(hot, g.fact(inputs[0]).dtype)?;
    let y = g.apply(Loss::Softmax { axis: -1 }, &[inputs[0]])?;
    let d = g.sub(y, hot)?;
    let dy = with_last_axis(g, dy)?;
    Ok(vec![Some(g.mul(d, dy)?), None])
}

/// dlogits = (softmax Σ targets − targets) dy;  dtargets = −log_softmax dy
fn dense_gradient(_: &Loss, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Gradients {
    let (logits, targets) = (inputs[0], inputs[1]);
    let last = same_shape(g, inputs, true)?;
    let dy = with_last_axis(g, dy)?;
    let y = g.apply(Loss::Softmax { axis: -1 }, &[logits])?;
    let total = g.sum(targets, &[last], true)?;
    let p = g.mul(y, total)?;
    let d = g.sub(p, targets)?;
    let d_logits = g.mul(d, dy)?;
    let logp = g.apply(Loss::LogSoftmax { axis: -1 }, &[logits])?;
    let n = g.neg(logp)?;
    Ok(vec![Some(d_logits), Some(g.mul(n, dy)?)])
}

/// dlogits = (sigmoid − targets) dy;  dtargets = −logits dy
fn sigmoid_gradient(_: &Loss, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Gradients {
    let y = g.unary(Function::Sigmoid, inputs[0])?;
    let d = g.sub(y, inputs[1])?;
    let n = g.neg(inputs[0])?;
    Ok(vec![Some(g.mul(d, dy)?), Some(g.mul(n, dy)?)])
}
