//! Rules on broadcasts: they move towards the outputs and vanish in pointwise functions, which
//! broadcast their operands themselves.

use super::Site;
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::shape::Shape;

/// What `id` broadcasts, seen through broadcasts and through reshapes that put axes of extent 1 in
/// front.
pub(super) fn stripped(g: &Graph, mut id: NodeId) -> NodeId {
    loop {
        let node = g.node(id);
        let Some(&x) = node.inputs.first() else { return id };
        let from = &g.fact(x).shape;
        let drops = match node.op {
            Op::BroadcastTo(_) => true,
            Op::Reshape(_) => is_led_by_ones(&node.fact.shape, from),
            _ => false,
        };
        if !drops {
            return id;
        }
        id = x;
    }
}

fn is_led_by_ones(shape: &Shape, tail: &Shape) -> bool {
    let Some(lead) = shape.rank().checked_sub(tail.rank()) else { return false };
    shape[..lead].iter().all(|&d| d == 1) && shape[lead..] == **tail
}

/// `id` under `shape`, as a view if only axes of extent 1 are put in front.
fn widened(g: &mut Graph, id: NodeId, shape: Shape) -> Result<NodeId> {
    if is_led_by_ones(&shape, &g.fact(id).shape) { g.reshape(id, shape) } else { g.broadcast_to(id, shape) }
}

/// A broadcast of a broadcast is one.
pub(super) fn merge_broadcasts(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::BroadcastTo(_) = &s.node.op else { return Ok(None) };
    let x = stripped(g, s.inputs[0]);
    if x == s.inputs[0] {
        return Ok(None);
    }
    widened(g, x, s.node.fact.shape.clone()).map(Some)
}

/// A function of broadcasts is the function of what they broadcast, broadcast if need be.
pub(super) fn push_down(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    if !matches!(s.node.op, Op::Pointwise(_) | Op::Cast(_)) {
        return Ok(None);
    }
    let inputs: Vec<NodeId> = s.inputs.iter().map(|&i| stripped(g, i)).collect();
    if inputs == s.inputs {
        return Ok(None);
    }
    let small = g.apply(s.node.op.clone(), &inputs)?;
    widened(g, small, s.node.fact.shape.clone()).map(Some)
}
