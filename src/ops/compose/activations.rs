//! Activation functions (definitions and constants as in Keras 3 and the papers named).

use super::{Attributes, Compose, float};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Real;
use crate::ops::pointwise::Function;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// An activation function, applied element by element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// min(max(x, 0), 6)
    Relu6,
    /// x where x > 0, else slope · x
    LeakyRelu {
        /// Slope for x ≤ 0.
        negative_slope: Real,
    },
    /// x where x > 0, else α (eˣ − 1) (Clevert et al. 2015, eq. 15)
    Elu {
        /// α
        alpha: Real,
    },
    /// λ · elu(x; α) with the fixed point of Klambauer et al. 2017, eq. 2
    Selu,
    /// x where x > 0, else α (e^(x/α) − 1) (Barron 2017)
    Celu {
        /// α ≠ 0
        alpha: Real,
    },
    /// x · Φ(x), or its approximation by tanh (Hendrycks and Gimpel 2016)
    Gelu {
        /// Whether tanh stands in for erf.
        approximate: bool,
    },
    /// x · sigmoid(x)
    Silu,
    /// x · tanh(softplus(x))
    Mish,
    /// relu6(x + 3) / 6
    HardSigmoid,
    /// x · hard_sigmoid(x)
    HardSilu,
    /// x / (1 + |x|)
    Softsign,
    /// −softplus(−x)
    LogSigmoid,
    /// x − tanh(x)
    TanhShrink,
    /// min(max(x, min), max); an infinite bound does nothing
    Clip {
        /// Lower bound.
        min: Real,
        /// Upper bound.
        max: Real,
    },
}

const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

impl Compose for Activation {
    const NAMES: &'static [&'static str] = &[
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "mish",
        "hard_sigmoid",
        "hard_silu",
        "softsign",
        "log_sigmoid",
        "tanh_shrink",
        "clip",
    ];
    const ELEMENTWISE: &'static [&'static str] = Self::NAMES;

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        Ok(match name {
            "relu6" => Activation::Relu6,
            "leaky_relu" => Activation::LeakyRelu { negative_slope: a.real_or("negative_slope", 0.2)? },
            "elu" => Activation::Elu { alpha: a.real_or("alpha", 1.0)? },
            "selu" => Activation::Selu,
            "celu" => {
                let alpha = a.real_or("alpha", 1.0)?;
                if alpha.get() == 0.0 {
                    return Err(Error::value("alpha: expected a number other than 0, received 0"));
                }
                Activation::Celu { alpha }
            }
            "gelu" => Activation::Gelu { approximate: a.bool_or("approximate", false)? },
            "silu" => Activation::Silu,
            "mish" => Activation::Mish,
            "hard_sigmoid" => Activation::HardSigmoid,
            "hard_silu" => Activation::HardSilu,
            "softsign" => Activation::Softsign,
            "log_sigmoid" => Activation::LogSigmoid,
            "tanh_shrink" => Activation::TanhShrink,
            "clip" => {
                let (min, max) = (a.real_or("min", f64::NEG_INFINITY)?, a.real_or("max", f64::INFINITY)?);
                // Also refuses NaN.
                if !matches!(min.get().partial_cmp(&max.get()), Some(o) if o.is_le()) {
                    return Err(Error::value(format!("clip: expected min <= max, received {min:?} and {max:?}")));
                }
                Activation::Clip { min, max }
            }
            other => return Err(Error::value(format!("there is no activation \"{other}\""))),
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Activation::Relu6 => "relu6",
            Activation::LeakyRelu { .. } => "leaky_relu",
            Activation::Elu { .. } => "elu",
            Activation::Selu => "selu",
            Activation::Celu { .. } => "celu",
            Activation::Gelu { .. } => "gelu",
            Activation::Silu => "silu",
            Activation::Mish => "mish",
            Activation::HardSigmoid => "hard_sigmoid",
            Activation::HardSilu => "hard_silu",
            Activation::Softsign => "softsign",
            Activation::LogSigmoid => "log_sigmoid",
            Activation::TanhShrink => "tanh_shrink",
            Activation::Clip { .. } => "clip",
        }
    }

    fn arity(&self) -> Option<usize> {
        Some(1)
    }

    /// Those that read their input several times, and have a finite derivative at every finite number.
    fn factors_gradient(&self) -> bool {
        use Activation::{Gelu, LeakyRelu, Mish, Silu, TanhShrink};
        matches!(self, Gelu { .. } | LeakyRelu { .. } | Mish | Silu | TanhShrink)
    }

    fn inline(&self, g: &mut Graph, inputs: &[NodeId]) -> Result<NodeId> {
        let x = inputs[0];
        if !matches!(self, Activation::Clip { .. }) {
            float(g, "x", x)?;
        }
        match *self {
            Activation::Relu6 => relu6(g, x),
            Activation::LeakyRelu { negative_slope } => {
                let low = g.scale(x, negative_slope.get())?;
                where_positive(g, x, x, low)
            }
            Activation::Elu { alpha } => elu(g, x, alpha.get(), 1.0),
            Activation::Selu => {
                let y = elu(g, x, SELU_ALPHA, 1.0)?;
                g.scale(y, SELU_SCALE)
            }
            Activation::Celu { alpha } => elu(g, x, alpha.get(), alpha.get()),
            Activation::Gelu { approximate } => {
                let inner = if approximate {
                    // From 10 on tanh is 1, and its gradient would be 0 times an infinite cube.
                    let near = clip(g, x, -10.0, 10.0)?;
                    let square = g.unary(Function::Square, near)?;
                    let cubic = g.scale(square, 0.044_715)?;
                    let factor = g.offset(cubic, 1.0)?;
                    let u = g.mul(near, factor)?;
                    let u = g.scale(u, (2.0 / PI).sqrt())?;
                    g.unary(Function::Tanh, u)?
                } else {
                    let u = g.scale(x, FRAC_1_SQRT_2)?;
                    g.unary(Function::Erf, u)?
                };
                let twice = g.offset(inner, 1.0)?;
                let half = g.scale(x, 0.5)?;
                g.mul(half, twice)
            }
            Activation::Silu => {
                let s = g.unary(Function::Sigmoid, x)?;
                g.mul(x, s)
            }
            Activation::Mish => {
                let s = g.unary(Function::Softplus, x)?;
                let t = g.unary(Function::Tanh, s)?;
                g.mul(x, t)
            }
            Activation::HardSigmoid => hard_sigmoid(g, x),
            Activation::HardSilu => {
                let s = hard_sigmoid(g, x)?;
                g.mul(x, s)
            }
            Activation::Softsign => {
                let a = g.unary(Function::Abs, x)?;
                let d = g.offset(a, 1.0)?;
                g.div(x, d)
            }
            Activation::LogSigmoid => {
                let n = g.neg(x)?;
                let s = g.unary(Function::Softplus, n)?;
                // log 1 is 0, not −0.
                let zero = g.constant_like(0.0, x)?;
                g.sub(zero, s)
            }
            Activation::TanhShrink => {
                let t = g.unary(Function::Tanh, x)?;
                g.sub(x, t)
            }
            Activation::Clip { min, max } => clip(g, x, min.get(), max.get()),
        }
    }
}

fn relu6(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    let y = g.unary(Function::Relu, x)?;
    let six = g.constant_like(6.0, x)?;
    g.binary(Function::Minimum, y, six)
}

fn hard_sigmoid(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    let shifted = g.offset(x, 3.0)?;
    let y = relu6(g, shifted)?;
    g.scale(y, 1.0 / 6.0)
}

fn where_positive(g: &mut Graph, x: NodeId, high: NodeId, low: NodeId) -> Result<NodeId> {
    let zero = g.constant_like(0.0, x)?;
    let positive = g.binary(Function::Greater, x, zero)?;
    g.select(positive, high, low)
}

/// x where x > 0, else α (e^(x/width) − 1).
fn elu(g: &mut Graph, x: NodeId, alpha: f64, width: f64) -> Result<NodeId> {
    let zero = g.constant_like(0.0, x)?;
    // Bounded, so that the branch that is not taken has a finite gradient.
    let low = g.binary(Function::Minimum, x, zero)?;
    let low = if width == 1.0 { low } else { g.scale(low, 1.0 / width)? };
    let e = g.unary(Function::Expm1, low)?;
    let scaled = g.scale(e, alpha)?;
    where_positive(g, x, x, scaled)
}

fn clip(g: &mut Graph, x: NodeId, min: f64, max: f64) -> Result<NodeId> {
    let dtype = g.fact(x).dtype;
    let fits = |v: f64| v.is_infinite() || dtype.round(v) == v;
    if !(dtype.is_float() || fits(min) && fits(max)) {
        return Err(Error::dtype(format!("clip: expected bounds that {dtype} can hold, received {min} and {max}")));
    }
    let mut y = x;
    if min != f64::NEG_INFINITY {
        let bound = g.constant_like(min, x)?;
        y = g.binary(Function::Maximum, y, bound)?;
    }
    if max != f64::INFINITY {
        let bound = g.constant_like(max, x)?;
        y = g.binary(Function::Minimum, y, bound)?;
    }
    Ok(y)
}
