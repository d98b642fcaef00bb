//! Rules on gradients of poolings, which send each element of dy to elements of its window.

use super::{Site, literal};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::pointwise::Function;
use crate::ops::pool2d::{Pool2dGrad, PoolKind};
use crate::ops::reduce::ReduceKind;

fn compares(f: Function) -> bool {
    use Function::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
    matches!(f, Equal | NotEqual | Greater | GreaterEqual | Less | LessEqual)
}

/// Max pooling sends dy to where x is greatest in a window. A mask that compares x there compares what
/// was pooled: `where(x > a, grad(x, dy), 0)` is `grad(x, where(pool(x) > a, dy, 0))`, on fewer
/// elements.
pub(super) fn mask_before_grad(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Pointwise(Function::Where) = s.node.op else { return Ok(None) };
    let &[on, dx, other] = s.inputs else { return Ok(None) };
    let (Op::Pointwise(f), Op::Pool2dGrad(grad)) = (g.node(on).op.clone(), g.node(dx).op.clone()) else {
        return Ok(None);
    };
    let (x, dy) = (g.node(dx).inputs[0], g.node(dx).inputs[1]);
    let is_max = grad.pool.kind == PoolKind::Max;
    if !is_max || !compares(f) || literal(g, other) != Some(0.0) || !(s.sole_reader)(1) {
        return Ok(None);
    }
    let (a, b) = (g.node(on).inputs[0], g.node(on).inputs[1]);
    let same_shape = s.node.fact == *g.fact(dx) && *g.fact(x) == *g.fact(dx);
    let pooled = match (a == x, b == x, literal(g, a), literal(g, b)) {
        (true, _, _, Some(value)) => {
            let y = g.apply(grad.pool.clone(), &[x])?;
            let value = g.constant_like(value, y)?;
            [y, value]
        }
        (_, true, Some(value), _) => {
            let y = g.apply(grad.pool.clone(), &[x])?;
            let value = g.constant_like(value, y)?;
            [value, y]
        }
        _ => return Ok(None),
    };
    if !same_shape {
        return Ok(None);
    }
    let on = g.binary(f, pooled[0], pooled[1])?;
    let zero = g.constant_like(0.0, dy)?;
    let masked = g.select(on, dy, zero)?;
    g.apply(grad, &[x, masked]).map(Some)
}

/// What a pooling's gradient sends into an image is what came in: its sum over rows and columns is that
/// of dy. Not so where padding counts in an average, and keeps its part.
pub(super) fn sum_of_grad(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Reduce(reduce) = &s.node.op else { return Ok(None) };
    let Op::Pool2dGrad(Pool2dGrad { pool }) = &g.node(s.inputs[0]).op else { return Ok(None) };
    let keeps_all = pool.kind != PoolKind::Average { count_include_pad: true };
    if reduce.kind != ReduceKind::Sum || !keeps_all || ![1, 2].iter().all(|a| reduce.axes.contains(a)) {
        return Ok(None);
    }
    let dy = g.node(s.inputs[0]).inputs[1];
    g.apply(reduce.clone(), &[dy]).map(Some)
}
