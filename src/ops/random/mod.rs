//! Random numbers from a counter: the same state gives the same numbers, on every device and
//! however the work is cut.

mod philox;

pub use philox::{ROUNDS, next_key, philox4x32_10, round};

use super::{Attributes, FromAttributes, Kind, OpDef, Real, RefArray, expect_inputs};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};

/// How random words become numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// 32 random bits, as int32.
    Bits,
    /// Multiples of 2⁻²⁴ in \[0, 1), float32.
    Uniform,
    /// Mean 0, deviation 1, float32 (Box and Muller 1958).
    Normal,
    /// True with probability `p`, bool.
    Bernoulli {
        /// 0 to 1.
        p: Real,
    },
}

impl Distribution {
    /// The four numbers of one block of words.
    #[inline(always)]
    pub fn block(self, w: [u32; 4]) -> [f64; 4] {
        match self {
            Distribution::Bits => w.map(|w| f64::from(w as i32)),
            Distribution::Uniform => w.map(|w| f64::from(unit(w))),
            Distribution::Bernoulli { p } => {
                let below = threshold(p);
                w.map(|w| f64::from(u8::from(u64::from(w) < below)))
            }
            Distribution::Normal => {
                let (a, b) = normal_pair(w[0], w[1]);
                let (c, d) = normal_pair(w[2], w[3]);
                [a, b, c, d]
            }
        }
    }
}

/// The word's upper 24 bits as a fraction in \[0, 1).
#[inline(always)]
pub fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A word below this is true with probability `p`.
pub fn threshold(p: Real) -> u64 {
    (p.get() * 4_294_967_296.0).round() as u64
}

/// Two independent normal numbers from two words.
pub fn normal_pair(a: u32, b: u32) -> (f64, f64) {
    // In (0, 1], so that the logarithm is finite.
    let u = (f64::from(a >> 8) + 1.0) / 16_777_216.0;
    let radius = (-2.0 * libm::log(u)).sqrt();
    let (sin, cos) = libm::sincos(std::f64::consts::TAU * f64::from(unit(b)));
    (radius * cos, radius * sin)
}

/// Counter and key of block `block` for `state` = (seed, counter).
#[inline(always)]
pub fn counter_and_key(state: [i32; 2], block: u64) -> ([u32; 4], [u32; 2]) {
    ([block as u32, (block >> 32) as u32, state[1] as u32, 0], [state[0] as u32, 0])
}

/// The words of block `block`: elements 4 · block to 4 · block + 3.
pub fn words(state: [i32; 2], block: u64) -> [u32; 4] {
    let (counter, key) = counter_and_key(state, block);
    philox4x32_10(counter, key)
}

/// (state): random numbers of `shape`; `state` is int32\[2\], a seed and a counter that the caller
/// advances.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Random {
    /// Which numbers.
    pub distribution: Distribution,
    /// Shape of the result.
    pub shape: Shape,
}

impl OpDef for Random {
    fn name(&self) -> &'static str {
        match self.distribution {
            Distribution::Bits => "random_bits",
            Distribution::Uniform => "random_uniform",
            Distribution::Normal => "random_normal",
            Distribution::Bernoulli { .. } => "random_bernoulli",
        }
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs(self.name(), inputs, 1)?;
        let expected = Fact::new([2], DType::I32);
        if inputs[0] != expected {
            return Err(Error::dtype(format!("state: expected {expected}, received {}", inputs[0])));
        }
        let dtype = match self.distribution {
            Distribution::Bits => DType::I32,
            Distribution::Bernoulli { .. } => DType::Bool,
            Distribution::Uniform | Distribution::Normal => DType::F32,
        };
        Fact::checked(self.shape.clone(), dtype)
    }

    fn grad(&self, _: &mut Graph, _: &[NodeId], _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], output: &Fact) -> Result<RefArray> {
        let state = [inputs[0][[0]] as i32, inputs[0][[1]] as i32];
        let n = output.shape.len();
        let y = (0..n.div_ceil(4) as u64).flat_map(|b| self.distribution.block(words(state, b))).take(n).collect();
        RefArray::from_shape_vec(&*output.shape, y).map_err(|e| Error::state(e.to_string()))
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Random {
    fn names() -> Vec<&'static str> {
        vec!["random_bits", "random_uniform", "random_normal", "random_bernoulli"]
    }

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        let distribution = match name {
            "random_bits" => Distribution::Bits,
            "random_uniform" => Distribution::Uniform,
            "random_normal" => Distribution::Normal,
            _ => {
                let p = a.real_or("p", 0.5)?;
                if !(0.0..=1.0).contains(&p.get()) {
                    return Err(Error::value(format!("p: expected 0 to 1, received {p:?}")));
                }
                Distribution::Bernoulli { p }
            }
        };
        Ok(Random { distribution, shape: Shape::from(a.extents("shape")?.as_slice()) })
    }
}
