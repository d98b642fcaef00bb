//! Short forms for building graphs from code: gradients, composites and rewrites use them.

use super::{Graph, NodeId};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::constant::Constant;
use crate::ops::movement::{BroadcastTo, Reshape, Transpose};
use crate::ops::pointwise::{Cast, Function};
use crate::ops::reduce::{Reduce, ReduceKind};
use crate::shape::Shape;

impl Graph {
    /// A scalar literal.
    pub fn constant(&mut self, value: f64, dtype: DType) -> Result<NodeId> {
        self.apply(Constant::new(value, dtype), &[])
    }

    /// A scalar literal of the element type of `like`.
    pub fn constant_like(&mut self, value: f64, like: NodeId) -> Result<NodeId> {
        let dtype = self.fact(like).dtype;
        self.constant(value, dtype)
    }

    /// A tensor of `shape` filled with `value`.
    pub fn full(&mut self, value: f64, shape: Shape, dtype: DType) -> Result<NodeId> {
        let c = self.constant(value, dtype)?;
        self.broadcast_to(c, shape)
    }

    /// Applies a pointwise function of one argument.
    pub fn unary(&mut self, f: Function, x: NodeId) -> Result<NodeId> {
        self.apply(f, &[x])
    }

    /// Applies a pointwise function of two arguments, with numpy broadcasting.
    pub fn binary(&mut self, f: Function, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.apply(f, &[a, b])
    }

    /// a + b.
    pub fn add(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Function::Add, a, b)
    }

    /// a − b.
    pub fn sub(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Function::Sub, a, b)
    }

    /// a · b.
    pub fn mul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Function::Mul, a, b)
    }

    /// a / b.
    pub fn div(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Function::Div, a, b)
    }

    /// −x.
    pub fn neg(&mut self, x: NodeId) -> Result<NodeId> {
        self.unary(Function::Neg, x)
    }

    /// x · factor.
    pub fn scale(&mut self, x: NodeId, factor: f64) -> Result<NodeId> {
        let c = self.constant_like(factor, x)?;
        self.mul(x, c)
    }

    /// x + offset.
    pub fn offset(&mut self, x: NodeId, offset: f64) -> Result<NodeId> {
        let c = self.constant_like(offset, x)?;
        self.add(x, c)
    }

    /// condition ? a : b, with numpy broadcasting.
    pub fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.apply(Function::Where, &[condition, a, b])
    }

    /// x with element type `dtype`; x itself if it has that type.
    pub fn cast(&mut self, x: NodeId, dtype: DType) -> Result<NodeId> {
        if self.fact(x).dtype == dtype {
            return Ok(x);
        }
        self.apply(Cast::to(dtype), &[x])
    }

    /// The same, where passes may leave the rounding out.
    pub fn cast_loosely(&mut self, x: NodeId, dtype: DType) -> Result<NodeId> {
        if self.fact(x).dtype == dtype {
            return Ok(x);
        }
        self.apply(Cast::loosely_to(dtype), &[x])
    }

    /// x with another shape of the same size.
    pub fn reshape(&mut self, x: NodeId, shape: Shape) -> Result<NodeId> {
        if self.fact(x).shape == shape {
            return Ok(x);
        }
        self.apply(Reshape { shape }, &[x])
    }

    /// x with its axes permuted.
    pub fn transpose(&mut self, x: NodeId, perm: &[usize]) -> Result<NodeId> {
        self.apply(Transpose { perm: perm.into() }, &[x])
    }

    /// x broadcast to `shape`.
    pub fn broadcast_to(&mut self, x: NodeId, shape: Shape) -> Result<NodeId> {
        if self.fact(x).shape == shape {
            return Ok(x);
        }
        self.apply(BroadcastTo { shape }, &[x])
    }

    /// Reduces `axes`.
    pub fn reduce(&mut self, kind: ReduceKind, x: NodeId, axes: &[usize], keepdims: bool) -> Result<NodeId> {
        self.apply(Reduce { kind, axes: axes.into(), keepdims }, &[x])
    }

    /// Sums `axes`.
    pub fn sum(&mut self, x: NodeId, axes: &[usize], keepdims: bool) -> Result<NodeId> {
        self.reduce(ReduceKind::Sum, x, axes, keepdims)
    }

    /// Mean over `axes`, in f32, or in f64 of such.
    pub fn mean(&mut self, x: NodeId, axes: &[usize], keepdims: bool) -> Result<NodeId> {
        let x = self.cast(x, self.fact(x).dtype.float())?;
        let count: usize = axes.iter().map(|&a| self.fact(x).shape[a]).product();
        let sum = self.sum(x, axes, keepdims)?;
        self.scale(sum, 1.0 / count as f64)
    }

    /// Sums a gradient over the axes along which a value of `shape` was broadcast. Storage is added up in the type in which
    /// it is computed with, and rounded once.
    pub fn sum_to(&mut self, dy: NodeId, shape: &Shape) -> Result<NodeId> {
        let from = self.fact(dy).shape.clone();
        if from == *shape {
            return Ok(dy);
        }
        let lead = from
            .rank()
            .checked_sub(shape.rank())
            .ok_or_else(|| Error::value(format!("{from} is no broadcast of {shape}")))?;
        let axes: Vec<usize> =
            (0..from.rank()).filter(|&i| i < lead || (shape[i - lead] == 1 && from[i] != 1)).collect();
        let dtype = self.fact(dy).dtype;
        let summed = if axes.is_empty() {
            dy
        } else {
            let dy = self.cast(dy, dtype.computed())?;
            let sum = self.sum(dy, &axes, false)?;
            self.cast(sum, dtype)?
        };
        self.reshape(summed, shape.clone())
    }

    /// All axes but the last of `x`.
    pub fn all_but_last(&self, x: NodeId) -> Vec<usize> {
        (0..self.fact(x).shape.rank().saturating_sub(1)).collect()
    }
}
