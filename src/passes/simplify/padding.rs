//! Borders of zeros that windows can imagine instead of reading.

use super::Site;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::conv2d::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad};
use crate::ops::movement::Pad;
use crate::ops::pointwise::Function;
use crate::ops::pool2d::{Pool2d, PoolKind};
use crate::ops::window::{Padding, Window};

/// (before, after) along height and width.
type Border = [(usize, usize); 2];

/// A convolution of zeros around x, and its gradient by the filters, are those of x with that padding;
/// what its gradient by the input leaves inside the border is that with padding. The greatest element of
/// zeros around x is that of x with padding where no element of x is negative.
pub(super) fn into_windows(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    match &s.node.op {
        Op::Conv2d(conv) => {
            let Some((x, border)) = zeros_around(g, s.inputs[0]) else { return Ok(None) };
            let Some(conv) = padded(conv, border) else { return Ok(None) };
            g.apply(conv, &[x, s.inputs[1]]).map(Some)
        }
        Op::Conv2dFilterGrad(grad) => {
            let Some((x, border)) = zeros_around(g, s.inputs[0]) else { return Ok(None) };
            let Some(conv) = padded(&grad.conv, border) else { return Ok(None) };
            g.apply(Conv2dFilterGrad { conv, ..grad.clone() }, &[x, s.inputs[1]]).map(Some)
        }
        Op::Slice(slice) => {
            let below = g.node(s.inputs[0]).clone();
            let Op::Conv2dInputGrad(grad) = &below.op else { return Ok(None) };
            let whole = |axis: usize| slice.starts[axis] == 0 && slice.counts[axis] == below.fact.shape[axis];
            if !(s.sole_reader)(0) || !whole(0) || !whole(3) || slice.steps.iter().any(|&step| step != 1) {
                return Ok(None);
            }
            let border = |axis: usize| {
                let before = slice.starts[axis];
                (before, below.fact.shape[axis] - before - slice.counts[axis])
            };
            let Some(conv) = padded(&grad.conv, [border(1), border(2)]) else { return Ok(None) };
            let size = [slice.counts[1], slice.counts[2]];
            // What is left is the convolution's work, not the border's.
            let outer = g.set_origin(below.origin);
            let made = g.apply(Conv2dInputGrad { conv, size }, &below.inputs);
            g.set_origin(outer);
            let made = made?;
            g.set_operands(made, below.operands);
            Ok(Some(made))
        }
        // The gradient would read the border all the same.
        Op::Pool2d(Pool2d { kind: PoolKind::Max, window }) if (s.sole_reader)(0) => {
            let Some((x, border)) = zeros_around(g, s.inputs[0]) else { return Ok(None) };
            // Every window must meet x, and the zeros must not exceed what it holds.
            let meets = (0..2).all(|axis| border[axis].0.max(border[axis].1) < window.size[axis]);
            if window.padding != Padding::Valid || window.ceil_mode || !meets || !not_negative(g, x) {
                return Ok(None);
            }
            let window = Window { padding: Padding::Explicit(border), ..*window };
            g.apply(Pool2d { kind: PoolKind::Max, window }, &[x]).map(Some)
        }
        _ => Ok(None),
    }
}

/// What `id` puts zeros around along height and width, and how many.
fn zeros_around(g: &Graph, id: NodeId) -> Option<(NodeId, Border)> {
    let node = g.node(id);
    let Op::Pad(Pad { before, after, inner, value }) = &node.op else { return None };
    let flat = |axis: usize| before[axis] == 0 && after[axis] == 0;
    let fits = node.fact.shape.rank() == 4 && node.fact.dtype == DType::F32 && value.get() == 0.0;
    if !fits || !flat(0) || !flat(3) || inner.iter().any(|&n| n > 0) {
        return None;
    }
    Some((node.inputs[0], [(before[1], after[1]), (before[2], after[2])]))
}

/// `conv` with `border` added to its padding.
fn padded(conv: &Conv2d, border: Border) -> Option<Conv2d> {
    let own = match conv.padding {
        Padding::Valid => [(0, 0); 2],
        Padding::Explicit(own) => own,
        // How much that is depends on the size of the image.
        Padding::Same => return None,
    };
    let sum = |axis: usize| (own[axis].0 + border[axis].0, own[axis].1 + border[axis].1);
    Some(Conv2d { padding: Padding::Explicit([sum(0), sum(1)]), ..conv.clone() })
}

fn not_negative(g: &Graph, id: NodeId) -> bool {
    matches!(g.node(id).op, Op::Pointwise(Function::Relu | Function::Square | Function::Abs | Function::Exp))
}

#[cfg(test)]
mod tests {
    use super::super::Simplify;
    use super::*;
    use crate::graph::interpret;
    use crate::ops::Real;
    use crate::passes::autodiff::differentiate;
    use crate::passes::run_alone;
    use crate::shape::Fact;
    use crate::testing::{Rng, check_plan};
    use smallvec::smallvec;

    fn pad(g: &mut Graph, x: NodeId, rows: [usize; 2], columns: [usize; 2], value: f64) -> NodeId {
        let op = Pad {
            before: smallvec![0, rows[0], columns[0], 0],
            after: smallvec![0, rows[1], columns[1], 0],
            inner: smallvec![0; 4],
            value: Real::new(value),
        };
        g.apply(op, &[x]).unwrap()
    }

    fn conv(padding: Padding) -> Conv2d {
        Conv2d { strides: [2, 1], dilation: [1, 1], padding, groups: 1 }
    }

    /// How many borders and slices are left, after a check of the values.
    fn left(g: &Graph) -> usize {
        let simple = run_alone(&Simplify, g);
        let inputs = Rng::new(5).inputs(g);
        let (a, b) = (interpret(g, &inputs).unwrap(), interpret(&simple, &inputs).unwrap());
        for (a, b) in a.iter().zip(&b) {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + a.abs())), "{g}\n{simple}");
        }
        check_plan(g, &mut Rng::new(6), 1e-5);
        let live = simple.live();
        let moves = |id: &NodeId| matches!(simple.node(*id).op, Op::Pad(_) | Op::Slice(_));
        simple.ids().filter(|id| live[id.index()]).filter(moves).count()
    }

    fn image(g: &mut Graph) -> NodeId {
        g.input(Fact::new([2, 7, 6, 3], DType::F32))
    }

    #[test]
    fn convolutions_and_their_gradients_take_the_border() {
        for padding in [Padding::Valid, Padding::Explicit([(1, 0), (0, 2)])] {
            let mut g = Graph::new();
            let x = image(&mut g);
            let w = g.input(Fact::new([3, 2, 3, 4], DType::F32));
            let p = pad(&mut g, x, [2, 1], [0, 3], 0.0);
            let y = g.apply(conv(padding), &[p, w]).unwrap();
            let seed = g.input(g.fact(y).clone());
            let grads = differentiate(&mut g, y, &[x, w], Some(seed)).unwrap();
            let mut outputs = vec![y];
            outputs.extend(grads.into_iter().flatten());
            assert_eq!(outputs.len(), 3);
            g.set_outputs(outputs);
            assert_eq!(left(&g), 0, "{padding:?}");
        }
    }

    #[test]
    fn borders_that_are_no_padding_stay() {
        for (padding, value) in [(Padding::Same, 0.0), (Padding::Valid, 1.0)] {
            let mut g = Graph::new();
            let x = image(&mut g);
            let w = g.input(Fact::new([3, 2, 3, 4], DType::F32));
            let p = pad(&mut g, x, [1, 1], [1, 1], value);
            let y = g.apply(conv(padding), &[p, w]).unwrap();
            g.set_outputs(vec![y]);
            assert_eq!(left(&g), 1, "{padding:?} {value}");
        }
    }

    #[test]
    fn maxima_take_the_border_where_zeros_cannot_win() {
        for (relu, border, expected) in [(true, 1, 0), (false, 1, 1), (true, 3, 1)] {
            let mut g = Graph::new();
            let mut x = image(&mut g);
            if relu {
                x = g.unary(Function::Relu, x).unwrap();
            }
            let p = pad(&mut g, x, [border; 2], [border; 2], 0.0);
            let window =
                Window { size: [3; 2], strides: [2; 2], dilation: [1; 2], padding: Padding::Valid, ceil_mode: false };
            let y = g.apply(Pool2d { kind: PoolKind::Max, window }, &[p]).unwrap();
            g.set_outputs(vec![y]);
            assert_eq!(left(&g), expected, "relu {relu}, border {border}");
        }
    }
}
