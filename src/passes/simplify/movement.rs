//! Rules on ops that move elements.

use super::Site;
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;

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
