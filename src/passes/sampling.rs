//! Images of which only every s-th row and column is read, computed there alone.
//!
//! Residual networks shrink their images by 1×1 convolutions with strides, and the block before computes an
//! image of which these read a quarter. Where all that reads an image asks for the same rows and columns, the
//! convolution and the pointwise functions that make it are asked for those, and 1×1 convolutions ask their
//! own input in turn.

use super::{Pass, PassContext};
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId};
use crate::ops::Op;
use crate::ops::conv2d::Conv2d;
use crate::ops::movement::Slice;
use crate::ops::pool2d::Pool2d;
use crate::ops::window::Padding;
use std::collections::HashMap;

/// The step between rows and between columns, from the first on.
type Grid = [usize; 2];

const WHOLE: Grid = [1, 1];

/// Computes images on the rows and columns that are read.
pub struct Sampling;

impl Pass for Sampling {
    fn name(&self) -> &'static str {
        "sampling"
    }

    fn does(&self) -> &'static str {
        "computes images only on the rows and columns that are read"
    }

    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
        sampling(graph, context)
    }
}

fn sampling(graph: &Graph, context: &mut PassContext) -> Result<Graph> {
    let reads = Reads::new(graph);
    if context.is_logging() {
        reads.log(context);
    }
    if !reads.sampled.contains(&true) {
        return Ok(graph.clone());
    }
    let mut on_grid: HashMap<NodeId, NodeId> = HashMap::new();
    graph.rewrite(|g, node, inputs| {
        for (&old, &new) in node.inputs.iter().zip(inputs) {
            // What these read in turn was sampled when they were translated themselves.
            if reads.sampled[old.index()] && !on_grid.contains_key(&old) {
                let made = reads.on_grid(g, old, new, &on_grid)?;
                on_grid.insert(old, made);
            }
        }
        let Some((old, x)) = node.inputs.first().and_then(|old| Some((old, *on_grid.get(old)?))) else {
            return g.apply(node.op.clone(), inputs);
        };
        match &node.op {
            // One that is sampled itself reads its input on a coarser grid than its strides.
            Op::Conv2d(conv) if reads.grids[old.index()] == Some(conv.strides) => {
                g.apply(Conv2d { strides: WHOLE, ..conv.clone() }, &[x, inputs[1]])
            }
            Op::Slice(_) | Op::Pool2d(_) => Ok(x),
            _ => g.apply(node.op.clone(), inputs),
        }
    })
}

/// Which rows and columns of each value are read.
struct Reads<'g> {
    graph: &'g Graph,
    /// The grid that all readers agree on; `None` where there is no reader.
    grids: Vec<Option<Grid>>,
    /// Outputs of convolutions, and of pointwise functions after them, of which a part is read.
    sampled: Vec<bool>,
}

impl<'g> Reads<'g> {
    fn new(graph: &'g Graph) -> Self {
        let live = graph.live();
        let mut grids: Vec<Option<Grid>> = vec![None; graph.nodes().len()];
        let ask = |asked: &mut Option<Grid>, grid: Grid| {
            *asked = Some(if asked.is_none_or(|before| before == grid) { grid } else { WHOLE });
        };
        graph.outputs().iter().for_each(|id| ask(&mut grids[id.index()], WHOLE));
        for id in graph.ids().rev().filter(|id| live[id.index()]) {
            let node = graph.node(id);
            let own = grids[id.index()].unwrap_or(WHOLE);
            for (k, x) in node.inputs.iter().enumerate() {
                let grid = match &node.op {
                    Op::Pointwise(_) if graph.fact(*x).shape == node.fact.shape && follows_grid(graph, node) => own,
                    Op::Conv2d(_) if k == 0 => pixels(graph, node).map_or(WHOLE, |s| [s[0] * own[0], s[1] * own[1]]),
                    _ => pixels(graph, node).unwrap_or(WHOLE),
                };
                ask(&mut grids[x.index()], grid);
            }
        }
        let mut sampled = vec![false; grids.len()];
        for id in graph.ids().filter(|id| grids[id.index()].is_some_and(|grid| grid != WHOLE)) {
            let node = graph.node(id);
            sampled[id.index()] = match &node.op {
                Op::Conv2d(_) => true,
                Op::Pointwise(_) => {
                    let follows = |x: &NodeId| sampled[x.index()] && graph.fact(*x).shape == node.fact.shape;
                    follows_grid(graph, node) && node.inputs.iter().any(follows)
                }
                _ => false,
            };
        }
        Reads { graph, grids, sampled }
    }

    /// Takes down which convolutions are computed on a part of their rows and columns, and which are not because
    /// only some of their readers skip any.
    fn log(&self, context: &mut PassContext) {
        let graph = self.graph;
        let live = graph.live();
        for id in graph.ids().filter(|id| live[id.index()]) {
            let node = graph.node(id);
            if self.sampled[id.index()] {
                context.done(node, &None, "computed only on the rows and columns that are read");
                continue;
            }
            let skips = node.inputs.first().filter(|_| pixels(graph, node).is_some_and(|grid| grid != WHOLE));
            if let Some(image) = skips.map(|&x| graph.node(x))
                && matches!(image.op, Op::Conv2d(_) | Op::Pointwise(_))
            {
                context.left(image, &node.origin, "computed whole: others read the rows and columns that {} skips");
            }
        }
    }

    /// The sampled value `old`, of which `new` is the whole, on its grid.
    fn on_grid(&self, g: &mut Graph, old: NodeId, new: NodeId, made: &HashMap<NodeId, NodeId>) -> Result<NodeId> {
        let node = self.graph.node(old);
        let grid = self.grids[old.index()].unwrap_or(WHOLE);
        let mut inputs = g.node(new).inputs.clone();
        let outer = g.set_origin(node.origin.clone());
        let op = if let Op::Conv2d(conv) = &node.op {
            let conv = self.strided(conv, node, grid)?;
            match made.get(&node.inputs[0]) {
                Some(&x) => {
                    inputs[0] = x;
                    Conv2d { strides: WHOLE, ..conv }.into()
                }
                None => conv.into(),
            }
        } else {
            for (x, old) in inputs.iter_mut().zip(&node.inputs) {
                if self.graph.fact(*old).shape == node.fact.shape {
                    *x = match made.get(old) {
                        Some(&x) => x,
                        None => g.apply(Slice::new(&[0; 4], &node.fact.shape, &[1, grid[0], grid[1], 1]), &[*x])?,
                    };
                }
            }
            node.op.clone()
        };
        let made = g.apply(op, &inputs);
        g.set_origin(outer);
        let made = made?;
        g.set_operands(made, node.operands);
        Ok(made)
    }

    /// The convolution `node` with those windows alone that lie on `grid`.
    fn strided(&self, conv: &Conv2d, node: &Node, grid: Grid) -> Result<Conv2d> {
        let (x, w) = (&self.graph.fact(node.inputs[0]).shape, &self.graph.fact(node.inputs[1]).shape);
        let before = conv.place(x, w)?.before;
        let padding = [0, 1].map(|axis| {
            let reach = (node.fact.shape[1 + axis] - 1) * conv.strides[axis] + (w[axis] - 1) * conv.dilation[axis] + 1;
            (before[axis], reach.saturating_sub(before[axis] + x[1 + axis]))
        });
        let strides = [conv.strides[0] * grid[0], conv.strides[1] * grid[1]];
        Ok(Conv2d { strides, padding: Padding::Explicit(padding), ..conv.clone() })
    }
}

/// Whether a pointwise function of images has no operand that differs from row to row or column to column
/// and is no whole image.
fn follows_grid(graph: &Graph, node: &Node) -> bool {
    node.fact.shape.rank() == 4
        && node.inputs.iter().all(|&x| {
            let shape = &graph.fact(x).shape;
            *shape == node.fact.shape || shape.iter().rev().skip(1).take(2).all(|&extent| extent == 1)
        })
}

/// The strides of a convolution, pooling or slice whose every output pixel depends on one pixel of its input 0,
/// the first on the first, and on all its channels or the same one.
fn pixels(graph: &Graph, node: &Node) -> Option<Grid> {
    let x = &graph.fact(*node.inputs.first()?).shape;
    let y = &node.fact.shape;
    let strides = match &node.op {
        Op::Conv2d(conv) => {
            let w = &graph.fact(node.inputs[1]).shape;
            let single = w[..2] == [1, 1] && conv.place(x, w).ok()?.before == [0, 0];
            single.then_some(conv.strides)
        }
        Op::Pool2d(Pool2d { window, .. }) => {
            let single = window.size == [1, 1] && window.place(x).ok()?.before == [0, 0];
            single.then_some(window.strides)
        }
        Op::Slice(slice) if x.rank() == 4 && slice.starts.iter().all(|&start| start == 0) => {
            let whole = |axis: usize| slice.counts[axis] == x[axis];
            let step = |axis: usize| usize::try_from(slice.steps[axis]).ok().filter(|&step| step > 0);
            if whole(0) && whole(3) { Some([step(1)?, step(2)?]) } else { None }
        }
        _ => None,
    }?;
    // Padding after the image would be read as zeros, and a slice may stop before the end.
    (0..2).all(|axis| y[1 + axis] == x[1 + axis].div_ceil(strides[axis])).then_some(strides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::graph::{interpret, verify};
    use crate::ops::pointwise::Function;
    use crate::ops::pool2d::PoolKind;
    use crate::ops::window::Window;
    use crate::passes::autodiff::differentiate;
    use crate::passes::{optimise, run_alone};
    use crate::shape::Fact;
    use crate::testing::{Rng, cases, check_plan};
    use proptest::prelude::*;

    fn conv(g: &mut Graph, x: NodeId, size: [usize; 2], strides: Grid, padding: Padding, filters: usize) -> NodeId {
        let channels = g.fact(x).shape[3];
        let w = g.constant_input(Fact::new([size[0], size[1], channels, filters], DType::F32));
        g.apply(Conv2d { strides, dilation: [1, 1], padding, groups: 1 }, &[x, w]).unwrap()
    }

    fn pool(strides: Grid) -> Pool2d {
        let window = Window { size: [1, 1], strides, dilation: [1, 1], padding: Padding::Valid, ceil_mode: false };
        Pool2d { kind: PoolKind::Max, window }
    }

    /// What the convolutions that are left compute, in operations, after a check of the values.
    fn left(g: &Graph) -> u64 {
        let sampled = run_alone(&Sampling, g);
        verify(&sampled).unwrap();
        let inputs = Rng::new(5).inputs(g);
        let (a, b) = (interpret(g, &inputs).unwrap(), interpret(&sampled, &inputs).unwrap());
        for (a, b) in a.iter().zip(&b) {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + a.abs())), "{g}\n{sampled}");
        }
        check_plan(g, &mut Rng::new(6), 1e-4);
        flops(&sampled)
    }

    fn flops(g: &Graph) -> u64 {
        let live = g.live();
        g.ids().filter(|id| live[id.index()] && matches!(g.node(*id).op, Op::Conv2d(_))).map(|id| g.flops(id)).sum()
    }

    /// The end of one block and the beginning of the next: two convolutions read a sum with a skip connection.
    fn blocks(g: &mut Graph, readers: [Grid; 2]) -> (NodeId, [NodeId; 2]) {
        let x = g.input(Fact::new([2, 7, 8, 4], DType::F32));
        let a = conv(g, x, [1, 1], [1, 1], Padding::Valid, 3);
        let b = conv(g, a, [3, 3], [1, 1], Padding::Same, 3);
        let b = g.unary(Function::Relu, b).unwrap();
        let c = conv(g, b, [1, 1], [1, 1], Padding::Valid, 4);
        let bias = g.constant_input(Fact::new([4], DType::F32));
        let c = g.add(c, bias).unwrap();
        let sum = g.add(c, x).unwrap();
        let y = g.unary(Function::Relu, sum).unwrap();
        (y, readers.map(|strides| conv(g, y, [1, 1], strides, Padding::Valid, 5)))
    }

    #[test]
    fn the_block_before_a_stride_is_computed_where_it_is_read() {
        let mut g = Graph::new();
        let (_, outputs) = blocks(&mut g, [[2, 2]; 2]);
        g.set_outputs(outputs.to_vec());
        // The first convolution whole, for the 3×3 windows; of the others 4 × 4 of 7 × 8 pixels.
        let expected = 2 * 2 * (7 * 8 * 4 * 3 + 4 * 4 * (9 * 3 * 3 + 3 * 4 + 2 * 4 * 5));
        assert_eq!(left(&g), expected);
        assert_eq!(flops(&optimise(&g).unwrap()), expected, "as part of the pipeline");
    }

    #[test]
    fn what_is_read_in_other_places_too_is_whole() {
        for readers in [[[2, 2], [2, 1]], [[1, 1], [2, 2]]] {
            let mut g = Graph::new();
            let (_, outputs) = blocks(&mut g, readers);
            g.set_outputs(outputs.to_vec());
            assert_eq!(left(&g), flops(&g), "{readers:?}");
        }
        let mut g = Graph::new();
        let (y, [a, b]) = blocks(&mut g, [[2, 2]; 2]);
        g.set_outputs(vec![y, a, b]);
        assert_eq!(left(&g), flops(&g), "an output");
        let mut g = Graph::new();
        let (y, [a, b]) = blocks(&mut g, [[2, 2]; 2]);
        let mask = g.input(Fact::new([7, 8, 1], DType::F32));
        let masked = g.mul(y, mask).unwrap();
        let c = conv(&mut g, masked, [1, 1], [2, 2], Padding::Valid, 2);
        g.set_outputs(vec![a, b, c]);
        assert_eq!(left(&g), flops(&g), "an operand that differs from row to row");
    }

    #[test]
    fn padding_after_the_image_is_no_pixel() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([1, 4, 4, 2], DType::F32));
        let a = conv(&mut g, x, [3, 3], [1, 1], Padding::Same, 2);
        let y = conv(&mut g, a, [1, 1], [2, 2], Padding::Explicit([(0, 1), (0, 1)]), 2);
        g.set_outputs(vec![y]);
        assert_eq!(left(&g), flops(&g));
    }

    #[test]
    fn gradients_by_filters_read_whole_images() {
        let mut g = Graph::new();
        let (_, [a, b]) = blocks(&mut g, [[2, 2]; 2]);
        let sum = g.add(a, b).unwrap();
        let loss = g.sum(sum, &[0, 1, 2, 3], false).unwrap();
        let x = g.inputs()[0];
        let grads = differentiate(&mut g, loss, &[x], None).unwrap();
        g.set_outputs(vec![loss, grads[0].unwrap()]);
        left(&g);
    }

    #[test]
    fn long_chains_are_sampled_without_recursion() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([1, 3, 3, 1], DType::F32));
        let mut y = conv(&mut g, x, [1, 1], [1, 1], Padding::Valid, 1);
        for _ in 0..20_000 {
            let half = g.unary(Function::Tanh, y).unwrap();
            y = g.add(half, y).unwrap();
        }
        let y = g.apply(pool([2, 2]), &[y]).unwrap();
        g.set_outputs(vec![y]);
        assert_eq!(flops(&run_alone(&Sampling, &g)), 2 * 4);
    }

    proptest! {
        #![proptest_config(cases(64))]
        #[test]
        fn any_windows_and_readers(
            size in [1usize..4, 1..4],
            strides in [1usize..3, 1..3],
            grid in [1usize..4, 1..4],
            same in any::<bool>(),
            pads in [0usize..2, 0..2, 0..2, 0..2],
            image in [3usize..9, 3..9],
            reader in 0..3usize,
            twice in any::<bool>(),
        ) {
            let mut g = Graph::new();
            let x = g.input(Fact::new([2, image[0], image[1], 3], DType::F32));
            let padding =
                if same { Padding::Same } else { Padding::Explicit([(pads[0], pads[1]), (pads[2], pads[3])]) };
            let mut y = conv(&mut g, x, size, strides, padding, 4);
            if twice {
                let skip = g.unary(Function::Tanh, y).unwrap();
                let z = conv(&mut g, skip, [1, 1], [1, 1], Padding::Same, 4);
                y = g.add(z, y).unwrap();
            }
            g.set_outputs(vec![y]);
            let whole = flops(&g);
            let out = g.fact(y).shape.clone();
            let z = match reader {
                0 => conv(&mut g, y, [1, 1], grid, Padding::Valid, 2),
                1 => g.apply(pool(grid), &[y]).unwrap(),
                _ => g.apply(Slice::new(&[0; 4], &out, &[1, grid[0], grid[1], 1]), &[y]).unwrap(),
            };
            g.set_outputs(vec![z]);
            let last = if reader == 0 { g.flops(z) } else { 0 };
            let read = out[1].div_ceil(grid[0]) * out[2].div_ceil(grid[1]);
            prop_assert_eq!((left(&g) - last) * (out[1] * out[2]) as u64, whole * read as u64);
        }
    }
}
