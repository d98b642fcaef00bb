//! Batch and layer normalisation with their two-sum gradients, and dropout.

use super::{Attributes, Axes, Compose, Gradients, OwnGradient, axes_attribute, float};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Real;
use crate::ops::channel_stats::ChannelStats;
use crate::ops::movement::Slice;
use crate::ops::pointwise::Function;
use crate::ops::random::{Distribution, Random};
use crate::shape::{Dims, Shape};

/// Normalisation or dropout.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Norm {
    /// (x, gamma, beta): every channel (last axis) to mean beta and deviation gamma, with the
    /// statistics of the batch (Ioffe and Szegedy 2015, algorithm 1).
    Batch {
        /// Added to the variance.
        epsilon: Real,
    },
    /// (x, mean, variance, gamma, beta): the same with given statistics.
    BatchInference {
        /// Added to the variance.
        epsilon: Real,
    },
    /// (x, gamma, beta): statistics over `axes` of every sample (Ba et al. 2016, eq. 3).
    Layer {
        /// The axes normalised; gamma and beta have their extents.
        axes: Option<Axes>,
        /// Added to the variance.
        epsilon: Real,
    },
    /// (x, state): elements zeroed with probability `rate`, the others times 1 / (1 − rate).
    Dropout {
        /// 0 to 1.
        rate: Real,
    },
}

impl Compose for Norm {
    const NAMES: &'static [&'static str] = &["batch_norm", "batch_norm_inference", "layer_norm", "dropout"];
    const ELEMENTWISE: &'static [&'static str] = &["dropout"];

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        Ok(match name {
            "batch_norm" => Norm::Batch { epsilon: epsilon(a)? },
            "batch_norm_inference" => Norm::BatchInference { epsilon: epsilon(a)? },
            "layer_norm" => {
                Norm::Layer { axes: axes_attribute(a)?.or_else(|| Some(Axes::from_slice(&[-1]))), epsilon: epsilon(a)? }
            }
            "dropout" => {
                let rate = a.real_or("rate", 0.5)?;
                if !(0.0..=1.0).contains(&rate.get()) {
                    return Err(Error::value(format!("rate: expected 0 to 1, received {rate:?}")));
                }
                Norm::Dropout { rate }
            }
            other => return Err(Error::value(format!("there is no normalisation \"{other}\""))),
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Norm::Batch { .. } => "batch_norm",
            Norm::BatchInference { .. } => "batch_norm_inference",
            Norm::Layer { .. } => "layer_norm",
            Norm::Dropout { .. } => "dropout",
        }
    }

    fn arity(&self) -> Option<usize> {
        Some(match self {
            Norm::Batch { .. } | Norm::Layer { .. } => 3,
            Norm::BatchInference { .. } => 5,
            Norm::Dropout { .. } => 2,
        })
    }

    fn inline(&self, g: &mut Graph, inputs: &[NodeId]) -> Result<NodeId> {
        let x = inputs[0];
        float(g, "x", x)?;
        match self {
            Norm::Batch { epsilon } => {
                per_channel(g, x, &[("gamma", inputs[1]), ("beta", inputs[2])])?;
                let (mean, variance) = statistics(g, x)?;
                scale_shift(g, [x, mean, variance, inputs[1], inputs[2]], *epsilon)
            }
            Norm::BatchInference { epsilon } => {
                let names = ["mean", "variance", "gamma", "beta"];
                let vectors: Vec<_> = names.into_iter().zip(inputs[1..].iter().copied()).collect();
                per_channel(g, x, &vectors)?;
                let all = inputs.try_into().map_err(|_| Error::state("batch_norm_inference has five inputs"))?;
                scale_shift(g, all, *epsilon)
            }
            Norm::Layer { axes, epsilon } => {
                let n = LayerNorm::new(g, inputs, axes.as_deref(), *epsilon)?;
                let y = g.mul(n.normal, n.gamma)?;
                let beta = g.reshape(inputs[2], n.kept)?;
                g.add(y, beta)
            }
            Norm::Dropout { rate } => {
                let keep = 1.0 - rate.get();
                if keep == 1.0 {
                    return Ok(x);
                }
                let shape = g.fact(x).shape.clone();
                let zero = g.constant_like(0.0, x)?;
                let bernoulli = Random { distribution: Distribution::Bernoulli { p: Real::new(keep) }, shape };
                let kept = g.apply(bernoulli, &[inputs[1]])?;
                let scaled = g.scale(x, if keep == 0.0 { 0.0 } else { 1.0 / keep })?;
                g.select(kept, scaled, zero)
            }
        }
    }

    fn own_gradient(&self) -> Option<OwnGradient<Self>> {
        match self {
            Norm::Batch { .. } => Some(batch_gradient),
            Norm::Layer { .. } => Some(layer_gradient),
            Norm::BatchInference { .. } | Norm::Dropout { .. } => None,
        }
    }
}

fn epsilon(a: &mut Attributes) -> Result<Real> {
    let epsilon = a.real_or("epsilon", 1e-3)?;
    if epsilon.get() >= 0.0 {
        Ok(epsilon)
    } else {
        Err(Error::value(format!("epsilon: expected a number >= 0, received {epsilon:?}")))
    }
}

/// Checks that each of `vectors` is f32 with one element for every channel of `x`.
fn per_channel(g: &Graph, x: NodeId, vectors: &[(&str, NodeId)]) -> Result<()> {
    let shape = &g.fact(x).shape;
    let Some(&channels) = shape.last() else {
        return Err(Error::value(format!("x: expected an axis of channels, received shape {shape}")));
    };
    for &(name, v) in vectors {
        float(g, name, v)?;
        if *g.fact(v).shape != [channels] {
            return Err(Error::value(format!(
                "{name}: expected shape ({channels},) for x of shape {shape}, received {}",
                g.fact(v).shape
            )));
        }
    }
    Ok(())
}

/// Mean and biased variance of every channel of `x`: the rows of its channel_stats, so that a
/// graph that asks for these as well measures once.
fn statistics(g: &mut Graph, x: NodeId) -> Result<(NodeId, NodeId)> {
    let stats = g.apply(ChannelStats, &[x])?;
    let channels = g.fact(stats).shape[1];
    let row = |g: &mut Graph, i: usize| {
        let part = g.apply(Slice::new(&[i, 0], &[i + 1, channels], &[1, 1]), &[stats])?;
        g.reshape(part, [channels].into())
    };
    Ok((row(g, 0)?, row(g, 1)?))
}

/// 1 / √(variance + ε)
fn rstd(g: &mut Graph, variance: NodeId, epsilon: Real) -> Result<NodeId> {
    let v = g.offset(variance, epsilon.get())?;
    g.unary(Function::Rsqrt, v)
}

/// x · scale + shift with scale = gamma · rstd and shift = beta − mean · scale: one multiply-add an
/// element.
fn scale_shift(g: &mut Graph, [x, mean, variance, gamma, beta]: [NodeId; 5], epsilon: Real) -> Result<NodeId> {
    let r = rstd(g, variance, epsilon)?;
    let scale = g.mul(gamma, r)?;
    let offset = g.mul(mean, scale)?;
    let shift = g.sub(beta, offset)?;
    let y = g.mul(x, scale)?;
    g.add(y, shift)
}

/// With d = x − mean, S = Σ dy and T = Σ dy d over the n elements of a channel:
/// dx = A dy + B d + C, where A = gamma rstd, B = −A rstd² T / n, C = −A S / n;
/// dgamma = T rstd; dbeta = S.
fn batch_gradient(op: &Norm, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Gradients {
    let Norm::Batch { epsilon } = op else { return Err(Error::state("not a batch_norm")) };
    let (x, gamma) = (inputs[0], inputs[1]);
    let axes = g.all_but_last(x);
    let count: usize = axes.iter().map(|&a| g.fact(x).shape[a]).product();
    let (mean, variance) = statistics(g, x)?;
    let r = rstd(g, variance, *epsilon)?;
    let d = g.sub(x, mean)?;
    let s = g.sum(dy, &axes, false)?;
    let p = g.mul(dy, d)?;
    let t = g.sum(p, &axes, false)?;
    let d_gamma = g.mul(t, r)?;
    let a = g.mul(gamma, r)?;
    let minus_a = g.scale(a, -1.0 / count as f64)?;
    let r2 = g.mul(r, d_gamma)?;
    let b = g.mul(minus_a, r2)?;
    let c = g.mul(minus_a, s)?;
    let ady = g.mul(dy, a)?;
    let bd = g.mul(d, b)?;
    let sum = g.add(ady, bd)?;
    Ok(vec![Some(g.add(sum, c)?), Some(d_gamma), Some(s)])
}

/// What layer_norm and its gradient share.
struct LayerNorm {
    axes: Dims,
    /// Shape of gamma and beta against x.
    kept: Shape,
    rstd: NodeId,
    /// (x − mean) · rstd
    normal: NodeId,
    /// Gamma as it broadcasts against x.
    gamma: NodeId,
}

impl LayerNorm {
    fn new(g: &mut Graph, inputs: &[NodeId], axes: Option<&[i64]>, epsilon: Real) -> Result<Self> {
        let x = inputs[0];
        let shape = g.fact(x).shape.clone();
        let axes = shape.axes(axes)?;
        let extents: Shape = axes.iter().map(|&a| shape[a]).collect();
        for (name, v) in [("gamma", inputs[1]), ("beta", inputs[2])] {
            float(g, name, v)?;
            if g.fact(v).shape != extents {
                return Err(Error::value(format!(
                    "{name}: expected shape {extents} for axes {axes:?} of {shape}, received {}",
                    g.fact(v).shape
                )));
            }
        }
        let kept: Shape = (0..shape.rank()).map(|a| if axes.contains(&a) { shape[a] } else { 1 }).collect();
        let mean = g.mean(x, &axes, true)?;
        let d = g.sub(x, mean)?;
        let square = g.unary(Function::Square, d)?;
        let variance = g.mean(square, &axes, true)?;
        let rstd = rstd(g, variance, epsilon)?;
        let normal = g.mul(d, rstd)?;
        let gamma = g.reshape(inputs[1], kept.clone())?;
        Ok(LayerNorm { axes, kept, rstd, normal, gamma })
    }
}

/// With x̂ the normalised x and h = dy gamma: dx = rstd (h − mean(h) − x̂ mean(h x̂)).
fn layer_gradient(op: &Norm, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Gradients {
    let Norm::Layer { axes, epsilon } = op else { return Err(Error::state("not a layer_norm")) };
    let n = LayerNorm::new(g, inputs, axes.as_deref(), *epsilon)?;
    let h = g.mul(dy, n.gamma)?;
    let mean = g.mean(h, &n.axes, true)?;
    let p = g.mul(h, n.normal)?;
    let along = g.mean(p, &n.axes, true)?;
    let part = g.mul(n.normal, along)?;
    let d = g.sub(h, mean)?;
    let d = g.sub(d, part)?;
    let dx = g.mul(d, n.rstd)?;
    let q = g.mul(dy, n.normal)?;
    let (gamma_shape, beta_shape) = (g.fact(inputs[1]).shape.clone(), g.fact(inputs[2]).shape.clone());
    let d_gamma = g.sum_to(q, &n.kept)?;
    let d_beta = g.sum_to(dy, &n.kept)?;
    Ok(vec![Some(dx), Some(g.reshape(d_gamma, gamma_shape)?), Some(g.reshape(d_beta, beta_shape)?)])
}
