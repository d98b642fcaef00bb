//! Gradients of rows combined by index.

use super::{Scatter, ScatterKind};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::movement::Iota;
use crate::ops::pointwise::Function;
use crate::shape::Shape;

/// Gradients by the updates, the indices and the tensor to begin with.
pub fn gradients(
    scatter: &Scatter,
    g: &mut Graph,
    inputs: &[NodeId],
    output: NodeId,
    dy: NodeId,
) -> Result<Vec<Option<NodeId>>> {
    let (updates, indices, x) = (inputs[0], inputs[1], inputs.get(2).copied());
    let (by_updates, by_x) = match scatter.kind {
        ScatterKind::Add => (g.apply(scatter.gather(), &[dy, indices])?, dy),
        ScatterKind::Set => replaced(scatter, g, indices, dy)?,
        ScatterKind::Multiply => multiplied(scatter, g, updates, indices, x, dy)?,
        ScatterKind::Max | ScatterKind::Min => shared(scatter, g, updates, indices, x, output, dy)?,
    };
    let mut gradients = vec![Some(by_updates), None];
    if x.is_some() {
        gradients.push(Some(by_x));
    }
    Ok(gradients)
}

/// What was replaced has no part in the result: rows of the tensor, and updates that others displaced.
fn replaced(scatter: &Scatter, g: &mut Graph, indices: NodeId, dy: NodeId) -> Result<(NodeId, NodeId)> {
    let (at, dtype) = (g.fact(indices).shape.clone(), g.fact(dy).dtype);
    let picked = g.apply(scatter.gather(), &[dy, indices])?;
    // The number of the update that stays in each row, back at the updates.
    let extent = scatter.shape[scatter.axis];
    let numbers = g.apply(Iota { shape: [at.len()].into(), axis: 0, dtype: DType::I32 }, &[])?;
    let numbers = g.reshape(numbers, at.clone())?;
    let lines = Scatter { axis: 0, shape: [extent].into(), kind: ScatterKind::Set, onto: false };
    let last = g.apply(lines.clone(), &[numbers, indices])?;
    let last = g.apply(lines.gather(), &[last, indices])?;
    let stays = g.binary(Function::Equal, last, numbers)?;
    let behind = scatter.shape.rank() - scatter.axis - 1;
    let spread: Shape = at.iter().copied().chain(std::iter::repeat_n(1, behind)).collect();
    let stays = g.reshape(stays, spread)?;
    let zero = g.constant(0.0, dtype)?;
    let by_updates = g.select(stays, picked, zero)?;
    let zeros = g.full(0.0, g.fact(by_updates).shape.clone(), dtype)?;
    let by_x = g.apply(Scatter { onto: true, ..scatter.clone() }, &[zeros, indices, dy])?;
    Ok((by_updates, by_x))
}

/// Each factor's share is dy times the product of the others of its row: that of the factors that are not 0, divided by its
/// own; nothing where another factor is 0.
fn multiplied(
    scatter: &Scatter,
    g: &mut Graph,
    updates: NodeId,
    indices: NodeId,
    x: Option<NodeId>,
    dy: NodeId,
) -> Result<(NodeId, NodeId)> {
    let dtype = g.fact(dy).dtype;
    let (zero, one) = (g.constant(0.0, dtype)?, g.constant(1.0, dtype)?);
    // Zeros as 1, and how many there are.
    let parted = |g: &mut Graph, v: NodeId| -> Result<(NodeId, NodeId)> {
        let is_zero = g.binary(Function::Equal, v, zero)?;
        Ok((g.select(is_zero, one, v)?, g.cast(is_zero, dtype)?))
    };
    let (factors, count) = parted(g, updates)?;
    let add = Scatter { kind: ScatterKind::Add, ..scatter.clone() };
    let (product, zeros, whole) = match x {
        Some(x) => {
            let (own, own_count) = parted(g, x)?;
            let product = g.apply(scatter.clone(), &[factors, indices, own])?;
            let zeros = g.apply(add, &[count, indices, own_count])?;
            (product, zeros, Some((own, own_count)))
        }
        None => (g.apply(scatter.clone(), &[factors, indices])?, g.apply(add, &[count, indices])?, None),
    };
    let shares = |g: &mut Graph, product: NodeId, zeros: NodeId, factor: NodeId, own: NodeId, dy: NodeId| {
        let others = g.div(product, factor)?;
        let other_zeros = g.sub(zeros, own)?;
        let free = g.binary(Function::Equal, other_zeros, zero)?;
        let others = g.select(free, others, zero)?;
        g.mul(dy, others)
    };
    let gather = scatter.gather();
    let [at_product, at_zeros, at_dy] = [
        g.apply(gather.clone(), &[product, indices])?,
        g.apply(gather.clone(), &[zeros, indices])?,
        g.apply(gather, &[dy, indices])?,
    ];
    let by_updates = shares(g, at_product, at_zeros, factors, count, at_dy)?;
    let by_x = match whole {
        Some((own, own_count)) => shares(g, product, zeros, own, own_count, dy)?,
        None => dy,
    };
    Ok((by_updates, by_x))
}

/// All that reach the extreme share its gradient equally.
fn shared(
    scatter: &Scatter,
    g: &mut Graph,
    updates: NodeId,
    indices: NodeId,
    x: Option<NodeId>,
    output: NodeId,
    dy: NodeId,
) -> Result<(NodeId, NodeId)> {
    let dtype = g.fact(dy).dtype;
    let gather = scatter.gather();
    let best = g.apply(gather.clone(), &[output, indices])?;
    let reach = g.binary(Function::Equal, updates, best)?;
    let reach = g.cast(reach, dtype)?;
    let add = Scatter { kind: ScatterKind::Add, ..scatter.clone() };
    let (count, own) = match x {
        Some(x) => {
            let own = g.binary(Function::Equal, x, output)?;
            let own = g.cast(own, dtype)?;
            (g.apply(add, &[reach, indices, own])?, Some(own))
        }
        None => (g.apply(add, &[reach, indices])?, None),
    };
    // A row without updates has none to share with.
    let one = g.constant(1.0, dtype)?;
    let count = g.binary(Function::Maximum, count, one)?;
    let share = g.div(dy, count)?;
    let at_share = g.apply(gather, &[share, indices])?;
    let by_updates = g.mul(reach, at_share)?;
    let by_x = match own {
        Some(own) => g.mul(own, share)?,
        None => dy,
    };
    Ok((by_updates, by_x))
}
