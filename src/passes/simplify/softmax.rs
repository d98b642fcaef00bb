//! Rules on softmax, once it is made of what it is made of.

use super::Site;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::pointwise::Function;
use crate::ops::reduce::ReduceKind;
use crate::shape::Shape;

/// The node behind changes of shape that move nothing.
fn seen_through(g: &Graph, mut id: NodeId) -> NodeId {
    while let Op::Reshape(_) | Op::BroadcastTo(_) | Op::StopGradient(_) = g.node(id).op {
        id = g.node(id).inputs[0];
    }
    id
}

/// What `id` reduces by `kind` over the last axis alone.
fn reduced(g: &Graph, id: NodeId, kind: ReduceKind) -> Option<NodeId> {
    let node = g.node(seen_through(g, id));
    let Op::Reduce(reduce) = &node.op else { return None };
    let last = g.fact(node.inputs[0]).shape.rank().checked_sub(1)?;
    (reduce.kind == kind && reduce.axes[..] == [last]).then_some(node.inputs[0])
}

/// The weighted sum of a softmax that nothing else reads, (e / Σe) · v, is (e · v) / Σe: attention divides as many elements
/// as a query's result has, not as many as there are keys. No e is above 1, so what is summed overflows no earlier than
/// by the number of keys.
pub(super) fn divide_after_product(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::MatMul(product) = &s.node.op else { return Ok(None) };
    let (softmax, values) = (s.inputs[0], s.inputs[1]);
    if product.transpose_a || !(s.sole_reader)(0) || s.node.fact.dtype != DType::F32 {
        return Ok(None);
    }
    let (Op::Pointwise(Function::Div), &[e, sum]) = (&g.node(softmax).op, &g.node(softmax).inputs[..]) else {
        return Ok(None);
    };
    let (Op::Pointwise(Function::Exp), &[x]) = (&g.node(e).op, &g.node(e).inputs[..]) else { return Ok(None) };
    let (Op::Pointwise(Function::Sub), &[_, most]) = (&g.node(x).op, &g.node(x).inputs[..]) else { return Ok(None) };
    let (shape, result, v) = (&g.fact(e).shape, &s.node.fact.shape, &g.fact(values).shape);
    let (rank, fewer) = (shape.rank(), result.len() < shape.len());
    let whole = rank >= 2 && result.rank() == rank && v.rank() >= 2 && fewer;
    let is_softmax = reduced(g, sum, ReduceKind::Sum) == Some(e) && reduced(g, most, ReduceKind::Max).is_some();
    if !whole || !is_softmax {
        return Ok(None);
    }
    let rows: Shape = shape[..rank - 1].iter().copied().chain([1]).collect();
    let column = seen_through(g, sum);
    let column = g.reshape(column, rows)?;
    let product = g.apply(s.node.op.clone(), &[e, values])?;
    g.binary(Function::Div, product, column).map(Some)
}
