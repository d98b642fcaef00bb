//! Rules on ops that move elements.

use super::broadcast::stripped;
use super::{Site, literal};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::shape::Shape;

/// Reshapes and broadcasts to the shape that the input has, transposes that keep the order,
/// slices of everything, empty borders, one tensor concatenated: the input.
pub(super) fn no_effect(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Some(&x) = s.inputs.first() else { return Ok(None) };
    let fact = g.fact(x);
    let none = match &s.node.op {
        Op::Reshape(_) | Op::BroadcastTo(_) => fact.shape == s.node.fact.shape,
        Op::Transpose(t) => t.perm.iter().copied().eq(0..t.perm.len()),
        Op::Slice(p) => {
            p.counts.iter().eq(fact.shape.iter())
                && p.starts.iter().all(|&i| i == 0)
                && p.steps.iter().zip(&p.counts).all(|(&d, &n)| d == 1 || n <= 1)
        }
        Op::Pad(p) => p.before.iter().chain(&p.after).chain(&p.inner).all(|&n| n == 0),
        Op::Concat(_) => s.inputs.len() == 1,
        _ => false,
    };
    Ok((none && *fact == s.node.fact).then_some(x))
}

/// A reshape of a reshape is one; a reshape of a broadcast scalar is a broadcast; a broadcast that
/// repeats nothing and a transpose that moves axes of extent 1 only are reshapes.
pub(super) fn merge_views(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let shape = s.node.fact.shape.clone();
    match &s.node.op {
        Op::Reshape(_) => {
            let inner = g.node(s.inputs[0]);
            match inner.op {
                Op::Reshape(_) => {
                    let x = inner.inputs[0];
                    g.reshape(x, shape).map(Some)
                }
                Op::BroadcastTo(_) if g.fact(inner.inputs[0]).shape.rank() == 0 => {
                    let x = inner.inputs[0];
                    g.broadcast_to(x, shape).map(Some)
                }
                _ => Ok(None),
            }
        }
        Op::BroadcastTo(_) if g.fact(s.inputs[0]).shape.len() == shape.len() => g.reshape(s.inputs[0], shape).map(Some),
        Op::Transpose(t) => {
            let from = &g.fact(s.inputs[0]).shape;
            let moved = t.perm.iter().filter(|&&p| from[p] != 1);
            if moved.is_sorted() { g.reshape(s.inputs[0], shape).map(Some) } else { Ok(None) }
        }
        _ => Ok(None),
    }
}

/// A transpose of a transpose is one.
pub(super) fn merge_transposes(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Transpose(outer) = &s.node.op else { return Ok(None) };
    let node = g.node(s.inputs[0]);
    let Op::Transpose(inner) = &node.op else { return Ok(None) };
    let perm: Vec<usize> = outer.perm.iter().map(|&p| inner.perm[p]).collect();
    let x = node.inputs[0];
    if perm.iter().copied().eq(0..perm.len()) {
        return Ok(Some(x));
    }
    g.transpose(x, &perm).map(Some)
}

/// Pointwise functions behind a heavy op up to which a reshape is moved.
const MOST_ATTACHED: usize = 8;

/// Whether `id` is made by an op that takes what is computed behind it along, or behind one.
fn is_attached(g: &Graph, mut id: NodeId) -> bool {
    for _ in 0..MOST_ATTACHED {
        let node = g.node(id);
        if !matches!(node.op, Op::Pointwise(_) | Op::Cast(_)) {
            return g.takes_epilogue(id);
        }
        let Some(&source) = node.inputs.iter().find(|&&i| g.fact(i).shape == node.fact.shape) else { return false };
        id = source;
    }
    false
}

/// What `id` repeats along all axes of `shape` but those of the innermost `len` elements, as a vector of so many; a scalar
/// as it is.
fn innermost(g: &mut Graph, id: NodeId, shape: &Shape, len: usize) -> Result<Option<NodeId>> {
    if literal(g, id).is_some() {
        let mut scalar = id;
        while let Some(&x) = g.node(scalar).inputs.first() {
            scalar = x;
        }
        return Ok(Some(scalar));
    }
    let small = stripped(g, id);
    let own = g.fact(small).shape.clone();
    let inner = own.iter().rev().zip(shape.iter().rev()).take_while(|(a, b)| a == b);
    let repeats = own.len() == len && inner.map(|(&a, _)| a).product::<usize>() == len;
    if repeats { g.reshape(small, Shape::from(&[len][..])).map(Some) } else { Ok(None) }
}

/// A function of a reshaped product and of what repeats along its last axis: the reshape of the function, which then
/// runs where the product is made. So a bias of heads and depths is added by the product that makes them.
pub(super) fn reshape_last(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    if !matches!(s.node.op, Op::Pointwise(_)) {
        return Ok(None);
    }
    let shape = s.node.fact.shape.clone();
    let moved =
        |g: &Graph, k: usize| matches!(g.node(s.inputs[k]).op, Op::Reshape(_)) && g.fact(s.inputs[k]).shape == shape;
    let Some(at) = (0..s.inputs.len()).find(|&k| moved(g, k) && (s.sole_reader)(k)) else { return Ok(None) };
    let made = g.node(s.inputs[at]).inputs[0];
    let Some(&len) = g.fact(made).shape.last() else { return Ok(None) };
    if !is_attached(g, made) {
        return Ok(None);
    }
    let mut inputs = s.inputs.to_vec();
    for (k, input) in inputs.iter_mut().enumerate() {
        *input = match k == at {
            true => made,
            false => match innermost(g, *input, &shape, len)? {
                Some(small) => small,
                None => return Ok(None),
            },
        };
    }
    let function = g.apply(s.node.op.clone(), &inputs)?;
    g.reshape(function, shape).map(Some)
}
