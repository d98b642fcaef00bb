//! Windows that lie far apart.

use super::Site;
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::Real;
use crate::ops::conv2d::{Conv2d, Conv2dInputGrad};
use crate::ops::movement::{Pad, Slice};
use crate::ops::window::Padding;
use crate::shape::Shape;
use smallvec::SmallVec;

/// Strides up to which kernels take residues of the stride one by one.
const NEAR: usize = 64;

/// The gradient by the input of windows with gaps between them (and a transposed convolution of such strides) is that
/// of windows side by side, with zeros in the gaps: work follows from elements that windows meet.
pub(super) fn spread(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Conv2dInputGrad(grad) = &s.node.op else { return Ok(None) };
    let filters = g.fact(s.inputs[1]).shape.clone();
    let dy = g.fact(s.inputs[0]).shape.clone();
    let x = s.node.fact.shape.clone();
    let span = |axis: usize| (filters[axis] - 1) * grad.conv.dilation[axis] + 1;
    let gaps = |axis: usize| dy[axis + 1] > 1 && grad.conv.strides[axis] > NEAR.max(span(axis));
    let Some(axis) = (0..2).find(|&axis| gaps(axis)) else { return Ok(None) };
    if x.is_empty() || dy.is_empty() || filters.is_empty() {
        return Ok(None);
    }
    let place = grad.conv.place(&x, &filters)?;
    let (stride, span, count, before) = (grad.conv.strides[axis], span(axis), dy[axis + 1], place.before[axis]);
    // The other axis keeps its padding, whichever way it was said.
    let other = 1 - axis;
    let needed = (dy[other + 1] - 1) * grad.conv.strides[other] + (filters[other] - 1) * grad.conv.dilation[other] + 1;
    let after = match grad.conv.padding {
        Padding::Explicit(pads) => pads[other].1,
        _ => needed.saturating_sub(grad.size[other] + place.before[other]),
    };
    let mut pads = [(0, 0); 2];
    pads[other] = (place.before[other], after);
    let (mut strides, mut size) = (grad.conv.strides, grad.size);
    strides[axis] = span;
    size[axis] = count * span;
    let conv = Conv2d { strides, padding: Padding::Explicit(pads), ..grad.conv.clone() };
    let near = g.apply(Conv2dInputGrad { conv, size }, s.inputs)?;
    // Each window's elements, then its gap; of that row of windows, the part inside the image.
    let [outer, inner]: [usize; 2] = [x[..axis + 1].iter().product(), x[axis + 2..].iter().product()];
    let split = g.reshape(near, [dy[0] * if axis == 1 { size[0] } else { 1 } * count, span, inner].into())?;
    debug_assert_eq!(g.fact(split).shape[0], outer * count);
    let gaps = pad(g, split, 1, stride - span)?;
    let all = count * stride;
    let joined = g.reshape(gaps, [outer, all, inner].into())?;
    let inside = before..all.min(before + x[axis + 1]);
    let (starts, stops) = ([0, inside.start, 0], [outer, inside.end, inner]);
    let cut = g.apply(Slice::new(&starts, &stops, &[1; 3]), &[joined])?;
    let whole = pad(g, cut, 1, x[axis + 1] - inside.len())?;
    g.reshape(whole, Shape::from(&x[..])).map(Some)
}

/// `x` with `count` zeros behind it along `axis`.
fn pad(g: &mut Graph, x: NodeId, axis: usize, count: usize) -> Result<NodeId> {
    if count == 0 {
        return Ok(x);
    }
    let rank = g.fact(x).shape.rank();
    let none: SmallVec<[usize; 6]> = smallvec::smallvec![0; rank];
    let mut after = none.clone();
    after[axis] = count;
    g.apply(Pad { before: none.clone(), after, inner: none, value: Real::new(0.0) }, &[x])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::graph::interpret;
    use crate::passes::run_alone;
    use crate::passes::simplify::Simplify;
    use crate::shape::Fact;
    use crate::testing::{Rng, check_plan};

    #[test]
    fn gaps_are_zeros_and_all_else_as_before() {
        for (padding, dilation, strides, size) in [
            (Padding::Valid, [1, 1], [1, 100], [6, 310]),
            (Padding::Same, [1, 2], [2, 70], [5, 200]),
            (Padding::Same, [1, 1], [90, 66], [180, 133]),
            (Padding::Explicit([(1, 2), (80, 3)]), [3, 1], [65, 65], [140, 120]),
            (Padding::Explicit([(0, 0), (200, 200)]), [1, 1], [1, 100], [4, 10]),
        ] {
            let conv = Conv2d { strides, dilation, padding, groups: 1 };
            let filters = [3, 2, 3, 4];
            let place = conv.place(&[2, size[0], size[1], 3], &filters).unwrap();
            let mut g = Graph::new();
            let dy = g.input(Fact::new([2, place.out[0], place.out[1], 4], DType::F32));
            let w = g.input(Fact::new(filters, DType::F32));
            let dx = g.apply(Conv2dInputGrad { conv, size }, &[dy, w]).unwrap();
            g.set_outputs(vec![dx]);
            let simple = run_alone(&Simplify, &g);
            let far = |n: &crate::graph::Node| matches!(&n.op, Op::Conv2dInputGrad(c) if c.conv.strides[1] > NEAR);
            assert!(!simple.nodes().iter().any(far), "{simple}");
            let inputs = Rng::new(1).inputs(&g);
            let (a, b) = (interpret(&g, &inputs).unwrap(), interpret(&simple, &inputs).unwrap());
            assert!(a[0].iter().zip(&b[0]).all(|(a, b)| (a - b).abs() <= 1e-9), "{g}\n{simple}");
            check_plan(&g, &mut Rng::new(2), 1e-5);
        }
    }
}
