//! Rules on reductions.

use super::{Site, literal};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::pointwise::Function;
use crate::ops::reduce::{Reduce, ReduceKind};
use crate::shape::Shape;

/// The extents of `shape`, with axes of extent 1 put in front, up to `rank`.
fn aligned(shape: &Shape, rank: usize) -> Shape {
    std::iter::repeat_n(1, rank - shape.rank()).chain(shape.iter().copied()).collect()
}

/// A sum over axes along which its operand is broadcast is a multiple, a maximum or minimum over
/// them is the operand. Reductions over no axis, or over axes of extent 1, are views.
pub(super) fn of_broadcast(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Reduce(reduce) = &s.node.op else { return Ok(None) };
    let x = s.inputs[0];
    let fact = g.fact(x).clone();
    if fact.dtype != s.node.fact.dtype {
        return Ok(None);
    }
    let source = match g.node(x).op {
        Op::BroadcastTo(_) => g.node(x).inputs[0],
        _ => x,
    };
    let small = aligned(&g.fact(source).shape, fact.shape.rank());
    let (gone, rest): (Vec<usize>, Vec<usize>) = reduce.axes.iter().copied().partition(|&a| small[a] == 1);
    if gone.is_empty() && !reduce.axes.is_empty() {
        return Ok(None);
    }
    let count: usize = gone.iter().map(|&a| fact.shape[a]).product();
    if count != 1 && matches!(reduce.kind, ReduceKind::Prod) {
        return Ok(None);
    }
    if count == 0 || (count != 1 && !fact.dtype.is_float() && reduce.kind == ReduceKind::Sum) {
        return Ok(None);
    }
    let lead = fact.shape.rank() - g.fact(source).shape.rank();
    let mut y = source;
    if !rest.is_empty() {
        let axes: Vec<usize> = rest.iter().map(|a| a - lead).collect();
        y = g.reduce(reduce.kind, y, &axes, true)?;
    }
    if count != 1 && reduce.kind == ReduceKind::Sum {
        y = g.scale(y, count as f64)?;
    }
    let kept = Reduce { keepdims: true, ..reduce.clone() }.shape(&fact.shape);
    let y = if kept.len() == g.fact(y).shape.len() { y } else { g.broadcast_to(y, kept)? };
    g.reshape(y, s.node.fact.shape.clone()).map(Some)
}

/// A reduction of a reduction that nothing else reads is one over the axes of both.
pub(super) fn merge(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Reduce(outer) = &s.node.op else { return Ok(None) };
    if !(s.sole_reader)(0) {
        return Ok(None);
    }
    let node = g.node(s.inputs[0]);
    let Op::Reduce(inner) = &node.op else { return Ok(None) };
    let x = node.inputs[0];
    if inner.kind != outer.kind || g.fact(x).dtype != s.node.fact.dtype {
        return Ok(None);
    }
    let rank = g.fact(x).shape.rank();
    let left: Vec<usize> = (0..rank).filter(|a| inner.keepdims || !inner.axes.contains(a)).collect();
    let mut axes: Vec<usize> = inner.axes.iter().copied().chain(outer.axes.iter().map(|&a| left[a])).collect();
    axes.sort_unstable();
    axes.dedup();
    let y = g.reduce(outer.kind, x, &axes, false)?;
    g.reshape(y, s.node.fact.shape.clone()).map(Some)
}

/// The part of `id` that does not change along `axes` of `full`, under the extents of `full` with
/// 1 there; `None` if it changes.
fn constant_along(g: &mut Graph, id: NodeId, full: &Shape, axes: &[usize]) -> Result<Option<NodeId>> {
    let shape = aligned(&g.fact(id).shape, full.rank());
    if axes.iter().any(|&a| shape[a] != 1) {
        return Ok(None);
    }
    g.reshape(id, shape).map(Some)
}

/// Σ c·x is c·Σ x, and Σ x/c is (Σ x)/c, for a factor c that the sum does not run over; Σ −x is −Σ x.
pub(super) fn pull_factor(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Reduce(reduce) = &s.node.op else { return Ok(None) };
    let x = s.inputs[0];
    if reduce.kind != ReduceKind::Sum || g.fact(x).dtype != DType::F32 || !(s.sole_reader)(0) {
        return Ok(None);
    }
    let Op::Pointwise(f) = g.node(x).op else { return Ok(None) };
    let full = g.fact(x).shape.clone();
    let inputs = g.node(x).inputs.clone();
    let (terms, factor) = match (f, inputs.as_slice()) {
        (Function::Neg, &[a]) => (a, None),
        (Function::Mul, &[a, b]) => {
            // A broadcast operand may vary along fewer axes than its shape says; it is stripped in an
            // earlier round.
            match (constant_along(g, b, &full, &reduce.axes)?, constant_along(g, a, &full, &reduce.axes)?) {
                (Some(c), _) => (a, Some(c)),
                (None, Some(c)) => (b, Some(c)),
                (None, None) => return Ok(None),
            }
        }
        (Function::Div, &[a, b]) => match constant_along(g, b, &full, &reduce.axes)? {
            Some(c) => (a, Some(c)),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    if factor.is_some_and(|c| literal(g, c).is_some_and(|v| !v.is_finite())) {
        return Ok(None);
    }
    let terms = g.broadcast_to(terms, full)?;
    let sum = g.sum(terms, &reduce.axes, true)?;
    let made = match factor {
        None => g.neg(sum)?,
        Some(c) => g.binary(f, sum, c)?,
    };
    g.reshape(made, s.node.fact.shape.clone()).map(Some)
}
