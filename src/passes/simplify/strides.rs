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
    // Windows that lie in the padding alone give nothing to the image.
    let end = before + x[axis + 1];
    let first = if before < span { 0 } else { ((before - span) / stride + 1).min(count - 1) };
    let kept = end.div_ceil(stride).clamp(first + 1, count) - first;
    let (mut starts, mut stops) = ([0; 4], [dy[0], dy[1], dy[2], dy[3]]);
    (starts[axis + 1], stops[axis + 1]) = (first, first + kept);
    let met = if kept == count { s.inputs[0] } else { g.apply(Slice::new(&starts, &stops, &[1; 4]), &s.inputs[..1])? };
    let (mut strides, mut size) = (grad.conv.strides, grad.size);
    strides[axis] = span;
    size[axis] = kept * span;
    let conv = Conv2d { strides, padding: Padding::Explicit(pads), ..grad.conv.clone() };
    let near = g.apply(Conv2dInputGrad { conv, size }, &[met, s.inputs[1]])?;
    // Each window's elements, then its gap; of that row of windows, the part inside the image.
    let [outer, inner]: [usize; 2] = [x[..axis + 1].iter().product(), x[axis + 2..].iter().product()];
    let split = g.reshape(near, [outer * kept, span, inner].into())?;
    let gap = if kept == 1 { 0 } else { stride - span };
    let gaps = pad(g, split, 1, [0, gap])?;
    let all = kept * (span + gap);
    let joined = g.reshape(gaps, [outer, all, inner].into())?;
    let start = first * stride;
    let from = before.max(start).min(end);
    let to = (start + all).min(end).max(from);
    let inside = if from == to { 0..0 } else { from - start..to - start };
    let cut = g.apply(Slice::new(&[0, inside.start, 0], &[outer, inside.end, inner], &[1; 3]), &[joined])?;
    let whole = pad(g, cut, 1, [from - before, end - to])?;
    g.reshape(whole, Shape::from(&x[..])).map(Some)
}

/// `x` with some zeros before and behind it along `axis`.
fn pad(g: &mut Graph, x: NodeId, axis: usize, counts: [usize; 2]) -> Result<NodeId> {
    if counts == [0, 0] {
        return Ok(x);
    }
    let rank = g.fact(x).shape.rank();
    let none: SmallVec<[usize; 6]> = smallvec::smallvec![0; rank];
    let [before, after] = counts.map(|count| {
        let mut along = none.clone();
        along[axis] = count;
        along
    });
    g.apply(Pad { before, after, inner: none, value: Real::new(0.0) }, &[x])
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
            // Windows in the padding alone: before, behind, on both sides, all of them.
            (Padding::Explicit([(0, 0), (350, 90)]), [1, 1], [1, 100], [4, 230]),
            (Padding::Explicit([(0, 0), (0, 450)]), [1, 1], [1, 100], [4, 230]),
            (Padding::Explicit([(0, 0), (250, 300)]), [1, 1], [1, 200], [4, 10]),
            (Padding::Explicit([(0, 0), (90, 300)]), [1, 1], [1, 100], [4, 5]),
            (Padding::Explicit([(0, 0), (1_000_000, 1_000_000)]), [1, 1], [1, 300_000], [4, 10]),
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
            let most = simple.nodes().iter().map(|n| n.fact.shape.len()).max().unwrap();
            assert!(most <= 3 * g.nodes().iter().map(|n| n.fact.shape.len()).max().unwrap(), "{simple}");
            let inputs = Rng::new(1).inputs(&g);
            let (a, b) = (interpret(&g, &inputs).unwrap(), interpret(&simple, &inputs).unwrap());
            assert!(a[0].iter().zip(&b[0]).all(|(a, b)| (a - b).abs() <= 1e-9), "{g}\n{simple}");
            check_plan(&g, &mut Rng::new(2), 1e-5);
        }
    }
}
