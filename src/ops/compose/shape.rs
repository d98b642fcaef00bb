//! Ops that rearrange elements, in terms of reshape, transpose, slice, placement and joins.

use super::{Attributes, Axes, Compose, axes_attribute};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::movement::{Concat, Slice};
use crate::shape::{Dims, Shape};
use smallvec::SmallVec;

/// A rearrangement with attributes as the caller gives them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Movement {
    /// The same elements under another shape.
    Reshape {
        /// Extents; one may be −1.
        shape: Axes,
    },
    /// Axes permuted; reversed without a permutation.
    Transpose {
        /// The permutation.
        perm: Option<Axes>,
    },
    /// A new axis of extent 1.
    ExpandDims {
        /// Its place in the result.
        axis: i64,
    },
    /// Axes of extent 1 taken away; all of them for `None`.
    Squeeze {
        /// Which.
        axis: Option<Axes>,
    },
    /// Tensors of one shape joined along a new axis.
    Stack {
        /// Its place in the result.
        axis: i64,
    },
    /// Order of elements reversed along axes; along all for `None`.
    Flip {
        /// Which.
        axes: Option<Axes>,
    },
    /// Repetition of the whole along each axis, as numpy's `tile`.
    Tile {
        /// How often; shorter lists are preceded by 1s.
        repeats: SmallVec<[usize; 6]>,
    },
    /// Every step-th element of a range of each leading axis, as `x[start:stop:step, …]`.
    Slice {
        /// First elements; negative from the end.
        starts: Axes,
        /// Ends, exclusive; negative from the end, clamped.
        stops: Axes,
        /// Steps, not 0; 1 everywhere for `None`.
        steps: Option<Axes>,
    },
}

impl Compose for Movement {
    const NAMES: &'static [&'static str] =
        &["reshape", "transpose", "expand_dims", "squeeze", "stack", "flip", "tile", "slice"];

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        let ints = |a: &mut Attributes, name: &str| a.ints(name).map(Axes::from_vec);
        Ok(match name {
            "reshape" => Movement::Reshape { shape: ints(a, "shape")? },
            "transpose" => Movement::Transpose { perm: a.ints_opt("perm")?.map(Axes::from_vec) },
            "expand_dims" => Movement::ExpandDims { axis: a.int("axis")? },
            "squeeze" => Movement::Squeeze { axis: a.ints_opt("axis")?.map(Axes::from_vec) },
            "stack" => Movement::Stack { axis: a.int_or("axis", 0)? },
            "flip" => Movement::Flip { axes: axes_attribute(a)? },
            "tile" => Movement::Tile { repeats: SmallVec::from_vec(a.extents("repeats")?) },
            "slice" => {
                let steps = a.ints_opt("steps")?.map(Axes::from_vec);
                Movement::Slice { starts: ints(a, "starts")?, stops: ints(a, "stops")?, steps }
            }
            other => return Err(Error::value(format!("there is no movement \"{other}\""))),
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Movement::Reshape { .. } => "reshape",
            Movement::Transpose { .. } => "transpose",
            Movement::ExpandDims { .. } => "expand_dims",
            Movement::Squeeze { .. } => "squeeze",
            Movement::Stack { .. } => "stack",
            Movement::Flip { .. } => "flip",
            Movement::Tile { .. } => "tile",
            Movement::Slice { .. } => "slice",
        }
    }

    fn arity(&self) -> Option<usize> {
        match self {
            Movement::Stack { .. } => None,
            _ => Some(1),
        }
    }

    fn inline(&self, g: &mut Graph, inputs: &[NodeId]) -> Result<NodeId> {
        let x = inputs[0];
        let from = g.fact(x).shape.clone();
        match self {
            Movement::Reshape { shape } => {
                let to = resolve_reshape(&from, shape)?;
                g.reshape(x, to)
            }
            Movement::Transpose { perm } => {
                let perm: Dims = match perm {
                    None => (0..from.rank()).rev().collect(),
                    Some(p) => p.iter().map(|&a| from.axis(a)).collect::<Result<_>>()?,
                };
                if perm.iter().copied().eq(0..from.rank()) { Ok(x) } else { g.transpose(x, &perm) }
            }
            Movement::ExpandDims { axis } => expand(g, x, *axis),
            Movement::Squeeze { axis } => {
                let axes: Dims = match axis {
                    None => (0..from.rank()).filter(|&a| from[a] == 1).collect(),
                    Some(list) => from.axes(Some(list))?,
                };
                if let Some(&a) = axes.iter().find(|&&a| from[a] != 1) {
                    return Err(Error::value(format!(
                        "axis: expected axes of extent 1, received axis {a} of shape {from}"
                    )));
                }
                g.reshape(x, (0..from.rank()).filter(|a| !axes.contains(a)).map(|a| from[a]).collect())
            }
            Movement::Stack { axis } => {
                if let Some(&other) = inputs.iter().find(|&&i| g.fact(i).shape != from) {
                    return Err(Error::value(format!(
                        "inputs: expected one shape, received {from} and {}",
                        g.fact(other).shape
                    )));
                }
                let parts = inputs.iter().map(|&i| expand(g, i, *axis)).collect::<Result<Vec<_>>>()?;
                g.apply(Concat { axis: *axis }, &parts)
            }
            Movement::Flip { axes } => {
                let axes = from.axes(axes.as_deref())?;
                if axes.iter().all(|&a| from[a] <= 1) { Ok(x) } else { g.apply(Slice::flip(&from, &axes), &[x]) }
            }
            Movement::Tile { repeats } => tile(g, x, repeats),
            Movement::Slice { starts, stops, steps } => {
                let slice = resolve_slice(&from, starts, stops, steps.as_deref())?;
                let whole = slice.counts[..] == from[..] && slice.steps.iter().all(|&s| s == 1);
                if whole { Ok(x) } else { g.apply(slice, &[x]) }
            }
        }
    }
}

/// `shape` with its −1 replaced by what is left of the elements of `from`.
fn resolve_reshape(from: &Shape, shape: &[i64]) -> Result<Shape> {
    let wrong = || {
        Error::value(format!(
            "shape: expected extents >= 0 with at most one -1 for the {} elements of {from}, received {shape:?}",
            from.len()
        ))
    };
    let mut known = 1usize;
    for &d in shape.iter().filter(|&&d| d != -1) {
        let d = usize::try_from(d).map_err(|_| wrong())?;
        known = known.checked_mul(d).ok_or_else(wrong)?;
    }
    let rest = match shape.iter().filter(|&&d| d == -1).count() {
        0 => 1,
        1 if known > 0 && from.len().is_multiple_of(known) => from.len() / known,
        _ => return Err(wrong()),
    };
    Ok(shape.iter().map(|&d| if d == -1 { rest } else { d as usize }).collect())
}

fn expand(g: &mut Graph, x: NodeId, axis: i64) -> Result<NodeId> {
    let from = g.fact(x).shape.clone();
    let rank = from.rank() as i64 + 1;
    if axis < -rank || axis >= rank {
        return Err(Error::value(format!("axis: expected {}..{rank} for shape {from}, received {axis}", -rank)));
    }
    let at = (if axis < 0 { axis + rank } else { axis }) as usize;
    let mut dims: Dims = from.iter().copied().collect();
    dims.insert(at, 1);
    g.reshape(x, dims.into_iter().collect())
}

fn tile(g: &mut Graph, x: NodeId, repeats: &[usize]) -> Result<NodeId> {
    let from = g.fact(x).shape.clone();
    let rank = from.rank().max(repeats.len());
    let extent = |a: usize| if a + from.rank() < rank { 1 } else { from[a + from.rank() - rank] };
    let times = |a: usize| if a + repeats.len() < rank { 1 } else { repeats[a + repeats.len() - rank] };
    let overflow = || Error::memory(format!("repeats: {repeats:?} of shape {from} exceed the address space"));
    let to = (0..rank).map(|a| extent(a).checked_mul(times(a)).ok_or_else(overflow)).collect::<Result<Shape>>()?;
    // A repeated axis is an outer axis of repetitions beside the axis itself.
    let (mut apart, mut full) = (Dims::new(), Dims::new());
    for a in 0..rank {
        if times(a) != 1 {
            apart.push(1);
            full.push(times(a));
        }
        apart.push(extent(a));
        full.push(extent(a));
    }
    let x = g.reshape(x, apart.into_iter().collect())?;
    let x = g.broadcast_to(x, full.into_iter().collect())?;
    g.reshape(x, to)
}

/// First element, number and step of every axis.
fn resolve_slice(from: &Shape, starts: &[i64], stops: &[i64], steps: Option<&[i64]>) -> Result<Slice> {
    let lengths = [starts.len(), stops.len(), steps.map_or(starts.len(), <[i64]>::len)];
    if lengths.iter().any(|&n| n != starts.len() || n > from.rank()) {
        return Err(Error::value(format!(
            "starts, stops, steps: expected one number for each of at most {} axes, received {lengths:?}",
            from.rank()
        )));
    }
    let mut slice = Slice::new(&[], &[], &[]);
    let mut push = |start: usize, count: usize, step: i64| {
        slice.starts.push(start);
        slice.counts.push(count);
        slice.steps.push(step);
    };
    for (a, &extent) in from.iter().enumerate() {
        if a >= starts.len() {
            push(0, extent, 1);
            continue;
        }
        let n = extent as i64;
        let step = steps.map_or(1, |s| s[a]);
        if step == 0 {
            return Err(Error::value("steps: expected integers other than 0, received 0"));
        }
        // The first and last places at which an element can stand, as Python's slice.indices.
        let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let place = |v: i64| if v < 0 { v.saturating_add(n) } else { v }.clamp(low, high.max(low));
        let (start, stop) = (place(starts[a]), place(stops[a]));
        let span = if step > 0 { stop - start } else { start - stop };
        let count = if span <= 0 { 0 } else { (span - 1) / step.saturating_abs() + 1 };
        if count == 0 {
            push(0, 0, 1);
        } else {
            push(start as usize, count as usize, step);
        }
    }
    Ok(slice)
}
