//! Gradients of running sums, products and extremes.

use super::Scan;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Real;
use crate::ops::movement::{Iota, Pad, Slice};
use crate::ops::pointwise::Function;
use crate::ops::reduce::ReduceKind;
use crate::ops::scatter::{Scatter, ScatterKind};
use crate::shape::{Dims, Shape};
use smallvec::smallvec;

/// The gradient by `x` of the scan `y`.
pub fn gradient(scan: &Scan, g: &mut Graph, x: NodeId, y: NodeId, dy: NodeId) -> Result<NodeId> {
    let backwards = |exclusive| Scan { kind: ReduceKind::Sum, reverse: !scan.reverse, exclusive, axis: scan.axis };
    match scan.kind {
        ReduceKind::Sum => g.apply(backwards(scan.exclusive), &[dy]),
        ReduceKind::Prod => products(scan, g, x, dy),
        ReduceKind::Max | ReduceKind::Min => extremes(scan, g, x, y, dy),
    }
}

/// Elements `by` places on in the direction of the scan's axis, back for a negative number; `value` where there is none.
fn shifted(scan: &Scan, g: &mut Graph, x: NodeId, by: isize, value: f64) -> Result<NodeId> {
    let shape = g.fact(x).shape.clone();
    let axis = shape.axis(scan.axis)?;
    let extent = shape[axis];
    let away = by.unsigned_abs().min(extent);
    let on = (by > 0) != scan.reverse;
    let rank = shape.rank();
    let (mut starts, mut stops): (Dims, Dims) = (smallvec![0; rank], shape.iter().copied().collect());
    let (mut before, mut after): (Dims, Dims) = (smallvec![0; rank], smallvec![0; rank]);
    if on {
        stops[axis] = extent - away;
        before[axis] = away;
    } else {
        starts[axis] = away;
        after[axis] = away;
    }
    let part = g.apply(Slice::new(&starts, &stops, &vec![1; rank]), &[x])?;
    g.apply(Pad { before, after, inner: smallvec![0; rank], value: Real::new(value) }, &[part])
}

/// d/dx_j = (Π of what stands before x_j) · s_j, where s_j sums dy_i times the product of what stands between: the linear
/// recurrence s_j = dy_j + x_{j+1} · s_{j+1}, in log2(extent) steps (Blelloch, "Prefix sums and their applications",
/// 1990). Nothing is divided, so that zeros and derivatives of any order are right.
fn products(scan: &Scan, g: &mut Graph, x: NodeId, dy: NodeId) -> Result<NodeId> {
    let shape = g.fact(x).shape.clone();
    let extent = shape[shape.axis(scan.axis)?];
    let before = g.apply(Scan { exclusive: true, ..scan.clone() }, &[x])?;
    // An exclusive product counts x_j from the next place on.
    let dy = if scan.exclusive { shifted(scan, g, dy, -1, 0.0)? } else { dy };
    let (mut sums, mut factors) = (dy, shifted(scan, g, x, -1, 0.0)?);
    let mut by = 1;
    while by < extent {
        let step = -(by as isize);
        let later = shifted(scan, g, sums, step, 0.0)?;
        let more = g.mul(factors, later)?;
        sums = g.add(sums, more)?;
        let later = shifted(scan, g, factors, step, 0.0)?;
        factors = g.mul(factors, later)?;
        by *= 2;
    }
    g.mul(before, sums)
}

/// Each gradient goes to where its extreme was first found.
fn extremes(scan: &Scan, g: &mut Graph, x: NodeId, y: NodeId, dy: NodeId) -> Result<NodeId> {
    let shape = g.fact(x).shape.clone();
    let axis = shape.axis(scan.axis)?;
    let (extent, inner): (usize, usize) = (shape[axis], shape[axis + 1..].iter().product());
    let dy = if scan.exclusive { shifted(scan, g, dy, -1, 0.0)? } else { dy };
    let inclusive = if scan.exclusive { g.apply(Scan { exclusive: false, ..scan.clone() }, &[x])? } else { y };
    let before = g.apply(Scan { exclusive: true, ..scan.clone() }, &[x])?;
    // NaN differs from itself: each NaN takes its own gradient.
    let is_new = g.binary(Function::NotEqual, inclusive, before)?;
    let places = g.apply(Iota { shape: shape.clone(), axis, dtype: DType::I32 }, &[])?;
    let nowhere = g.constant_like(if scan.reverse { extent as f64 } else { -1.0 }, places)?;
    let marked = g.select(is_new, places, nowhere)?;
    let kind = if scan.reverse { ReduceKind::Min } else { ReduceKind::Max };
    let found = g.apply(Scan { kind, exclusive: false, ..scan.clone() }, &[marked])?;
    // Where nothing beats the extreme of nothing, which is infinite, the first element has it.
    let first = g.constant_like(if scan.reverse { extent as f64 - 1.0 } else { 0.0 }, places)?;
    let found = g.binary(if scan.reverse { Function::Minimum } else { Function::Maximum }, found, first)?;
    // Places in the flat tensor: those of the line, plus the place along it.
    let flat: Shape = [shape.len()].into();
    let all = g.apply(Iota { shape: flat.clone(), axis: 0, dtype: DType::I32 }, &[])?;
    let all = g.reshape(all, shape.clone())?;
    let step = g.constant(inner as f64, DType::I32)?;
    let own = g.mul(places, step)?;
    let line = g.sub(all, own)?;
    let along = g.mul(found, step)?;
    let target = g.add(line, along)?;
    let (target, dy) = (g.reshape(target, flat.clone())?, g.reshape(dy, flat.clone())?);
    let dx = g.apply(Scatter { axis: 0, shape: flat, kind: ScatterKind::Add, onto: false }, &[dy, target])?;
    g.reshape(dx, shape)
}
