//! Batch normalisation with given statistics, folded into the filters before it.
//!
//! `conv(x, w) · scale + shift` with one scale a channel is `conv(x, w · scale) + shift`; likewise for
//! products with a matrix. A bias before the scale is scaled with it, and biases that follow one another
//! become one, also where two biased convolutions are added. Filters, scales and biases must be constant: the run then neither writes them nor takes
//! gradients with respect to them, and the scaled filters are made once for many runs.

use super::{Pass, PassContext};
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, Origin};
use crate::ops::Op;
use crate::ops::pointwise::Function;

/// Folds until nothing is left to fold. Values that others read as well stay as they are.
pub struct FoldBn;

impl Pass for FoldBn {
    fn name(&self) -> &'static str {
        "fold_bn"
    }

    fn does(&self) -> &'static str {
        "folds scales and biases of channels into the filters before them"
    }

    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
        fold_bn(graph, context)
    }
}

fn fold_bn(graph: &Graph, context: &mut PassContext) -> Result<Graph> {
    let mut graph = graph.clone();
    loop {
        let (next, changed) = round(&graph, context)?;
        graph = next;
        if !changed {
            return Ok(graph);
        }
    }
}

fn round(graph: &Graph, context: &mut PassContext) -> Result<(Graph, bool)> {
    let readers = graph.reader_counts();
    let mut constant = Vec::new();
    let mut changed = false;
    let next = graph.rewrite(|g, node, inputs| {
        context.extend_constant(g, &mut constant);
        if let &Op::Pointwise(f @ (Function::Mul | Function::Add)) = &node.op {
            for (y, v) in [(0, 1), (1, 0)] {
                if let Some(v) = vector(g, inputs[y], inputs[v], node, &constant)? {
                    let sole = readers[node.inputs[y].index()] == 1;
                    let below = &graph.node(node.inputs[y]).inputs;
                    let sole_below = |k: usize| readers[below[k].index()] == 1;
                    if sole && let Some(folded) = fold(g, f, inputs[y], v, &constant, &sole_below)? {
                        changed = true;
                        let with = &graph.node(node.inputs[y]).origin;
                        context.done(
                            node,
                            with,
                            match f {
                                Function::Mul => "scale folded into {}",
                                _ => "bias joined with that of {}",
                            },
                        );
                        return Ok(folded);
                    }
                }
            }
            if context.is_logging()
                && let Some((with, why)) = why_left(graph, &readers, node, f, g, inputs, &constant)
            {
                context.left(node, &with, why);
            }
        }
        if node.op == Op::Pointwise(Function::Add) {
            let sole = |k: usize| {
                let sum = node.inputs[k];
                let read_once = |id: NodeId| readers[id.index()] == 1;
                read_once(sum) && graph.node(sum).inputs.iter().any(|&y| filters_per_channel(graph, y) && read_once(y))
            };
            if sole(0)
                && sole(1)
                && let Some(joined) = join_biases(g, inputs[0], inputs[1], &constant)?
            {
                changed = true;
                let [one, other] = [0, 1].map(|k| graph.node(node.inputs[k]));
                context.done(other, &one.origin, "bias joined with that of {}");
                return Ok(joined);
            }
        }
        g.apply(node.op.clone(), inputs)
    })?;
    Ok((next, changed))
}

/// Why a scale of the channels of a convolution or product was not folded, and where that convolution comes from.
/// `node` applies `f` in `graph`, where `readers` counts who reads each value; it has `inputs` in `g`, whose constant
/// nodes are `constant`.
fn why_left(
    graph: &Graph,
    readers: &[usize],
    node: &Node,
    f: Function,
    g: &Graph,
    inputs: &[NodeId],
    constant: &[bool],
) -> Option<(Origin, &'static str)> {
    if f != Function::Mul || node.gradient {
        return None;
    }
    [(0, 1), (1, 0)].into_iter().find_map(|(y, v)| {
        let channels = *node.fact.shape.last()?;
        let fits = graph.fact(node.inputs[y]) == &node.fact && graph.fact(node.inputs[v]).shape.len() == channels;
        let below = graph.node(node.inputs[y]);
        // With a bias in between, or without.
        let heavy = std::iter::once(node.inputs[y]).chain(below.inputs.iter().copied());
        let biased = below.op == Op::Pointwise(Function::Add);
        let heavy = heavy.take(if biased { 3 } else { 1 }).find(|&id| filters_per_channel(graph, id))?;
        if !fits || graph.fact(heavy) != &node.fact {
            return None;
        }
        let why = if !constant.get(inputs[v].index()).is_some_and(|&constant| constant) {
            match measured(graph, node.inputs[v]) {
                true => "not folded into {}: its statistics are those of the batch",
                false => "not folded into {}: its scale changes from run to run",
            }
        } else if readers[node.inputs[y].index()] > 1 || readers[heavy.index()] > 1 {
            "not folded into {}: others read the output before it is scaled"
        } else if filters(g, inputs[y], biased).is_none_or(|w| !constant[w.index()]) {
            "not folded into {}: those weights change from run to run"
        } else {
            return None;
        };
        Some((graph.node(heavy).origin.clone(), why))
    })
}

/// The filters of the convolution or product `y`, or of the one that `y` adds a bias to.
fn filters(g: &Graph, y: NodeId, biased: bool) -> Option<NodeId> {
    let below = g.node(y).inputs.iter().copied().filter(|_| biased);
    std::iter::once(y).chain(below).find(|&y| filters_per_channel(g, y)).map(|y| g.node(y).inputs[1])
}

/// Whether `id` is made of means and variances of a run's values.
fn measured(g: &Graph, id: NodeId) -> bool {
    let mut waiting = vec![id];
    let mut seen = std::collections::HashSet::new();
    while let Some(at) = waiting.pop() {
        let node = g.node(at);
        if matches!(node.op, Op::ChannelStats(_)) {
            return true;
        }
        // Statistics of channels are small, and so is what is made of them.
        let small = |i: &NodeId| g.fact(*i).shape.len() <= 4 * g.fact(id).shape.len();
        waiting.extend(node.inputs.iter().copied().filter(|i| small(i) && seen.insert(*i)));
    }
    false
}

/// `y · v` or `y + v` with `v` inside `y`. `sole_below` says of each input of `y` whether `y` alone reads it.
fn fold(
    g: &mut Graph,
    f: Function,
    y: NodeId,
    v: NodeId,
    constant: &[bool],
    sole_below: &dyn Fn(usize) -> bool,
) -> Result<Option<NodeId>> {
    let Node { op, inputs, origin, operands, .. } = g.node(y).clone();
    if f == Function::Mul && filters_per_channel(g, y) && constant[inputs[1].index()] {
        let scaled = g.mul(inputs[1], v)?;
        let outer = g.set_origin(origin);
        let folded = g.apply(op, &[inputs[0], scaled]);
        g.set_origin(outer);
        let folded = folded?;
        g.set_operands(folded, operands);
        return Ok(Some(folded));
    }
    if op != Op::Pointwise(Function::Add) {
        return Ok(None);
    }
    for (inner, bias) in [(0, 1), (1, 0)] {
        let node = g.node(y).clone();
        if !filters_per_channel(g, inputs[inner]) || !sole_below(inner) {
            continue;
        }
        let Some(bias) = vector(g, inputs[inner], inputs[bias], &node, constant)? else { continue };
        let inner = inputs[inner];
        return match f {
            Function::Mul if constant[g.node(inner).inputs[1].index()] => {
                let (y, bias) = (g.mul(inner, v)?, g.mul(bias, v)?);
                g.add(y, bias).map(Some)
            }
            Function::Add => {
                let bias = g.add(bias, v)?;
                g.add(inner, bias).map(Some)
            }
            _ => Ok(None),
        };
    }
    Ok(None)
}

/// `(y + b) + (z + c)` as `(y + (b + c)) + z` for convolutions or products y and z, which as one epilogue of
/// the first is a bias and a residual.
fn join_biases(g: &mut Graph, a: NodeId, b: NodeId, constant: &[bool]) -> Result<Option<NodeId>> {
    let (Some((y, b)), Some((z, c))) = (biased(g, a, constant)?, biased(g, b, constant)?) else { return Ok(None) };
    let bias = g.add(b, c)?;
    let sum = g.add(y.min(z), bias)?;
    g.add(sum, y.max(z)).map(Some)
}

/// The convolution or product and the bias of which `id` is the sum.
fn biased(g: &mut Graph, id: NodeId, constant: &[bool]) -> Result<Option<(NodeId, NodeId)>> {
    let node = g.node(id).clone();
    if node.op != Op::Pointwise(Function::Add) {
        return Ok(None);
    }
    for (y, v) in [(0, 1), (1, 0)] {
        let (y, v) = (node.inputs[y], node.inputs[v]);
        if filters_per_channel(g, y)
            && let Some(v) = vector(g, y, v, &node, constant)?
        {
            return Ok(Some((y, v)));
        }
    }
    Ok(None)
}

/// Whether `y` has a channel for each element of the last axis of its input 1.
fn filters_per_channel(g: &Graph, y: NodeId) -> bool {
    let node = g.node(y);
    match &node.op {
        Op::Conv2d(_) => true,
        Op::MatMul(m) => !m.transpose_b && g.fact(node.inputs[1]).shape.rank() == 2,
        _ => false,
    }
}

/// `v` with one element for all channels of `y` or one for each, if it is constant and `node`, which joins the
/// two, has the shape of `y`.
fn vector(g: &mut Graph, y: NodeId, v: NodeId, node: &Node, constant: &[bool]) -> Result<Option<NodeId>> {
    let (fact, shape) = (g.fact(y).clone(), g.fact(v).shape.clone());
    if !constant.get(v.index()).is_some_and(|&h| h) || fact != node.fact || g.fact(v).dtype != fact.dtype {
        return Ok(None);
    }
    match (fact.shape.last(), shape.last()) {
        _ if shape.len() == 1 => g.reshape(v, [].into()).map(Some),
        (Some(channels), Some(last)) if channels == last && shape.len() == *last => {
            g.reshape(v, [*last].into()).map(Some)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::graph::{interpret, verify};
    use crate::ops::Kind;
    use crate::ops::compose::{Composite, Norm};
    use crate::ops::conv2d::Conv2d;
    use crate::ops::matmul::MatMul;
    use crate::ops::window::Padding;
    use crate::passes;
    use crate::shape::Fact;
    use crate::testing::{Rng, check_plan};

    fn vector(g: &mut Graph, channels: usize, constant: bool) -> NodeId {
        let fact = Fact::new([channels], DType::F32);
        if constant { g.constant_input(fact) } else { g.input(fact) }
    }

    /// A convolution in `groups` of 8 to 8 channels; filters are constant or not.
    fn conv(g: &mut Graph, groups: usize, constant: bool) -> NodeId {
        let x = g.input(Fact::new([2, 5, 6, 8], DType::F32));
        let fact = Fact::new([3, 3, 8 / groups, 8], DType::F32);
        let w = if constant { g.constant_input(fact) } else { g.input(fact) };
        let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups };
        g.apply(conv, &[x, w]).unwrap()
    }

    /// Batch normalisation of `y` with given statistics. The variance is an exponential's, so that it is
    /// positive whatever the inputs.
    fn norm(g: &mut Graph, y: NodeId) -> NodeId {
        let channels = *g.fact(y).shape.last().unwrap();
        let [mean, raw, gamma, beta] = std::array::from_fn(|_| vector(g, channels, true));
        let variance = g.unary(Function::Exp, raw).unwrap();
        let epsilon = crate::ops::Real::new(1e-3);
        let op = Composite::Norm(Norm::BatchInference { epsilon });
        g.apply(op, &[y, mean, variance, gamma, beta]).unwrap()
    }

    /// The optimised graph, after a check of its values; and how often it works on activations point by
    /// point.
    fn optimised(g: &Graph) -> (Graph, usize) {
        let simple = passes::optimise(g).unwrap();
        verify(&simple).unwrap();
        let inputs = Rng::new(11).inputs(g);
        let (a, b) = (interpret(g, &inputs).unwrap(), interpret(&simple, &inputs).unwrap());
        for (a, b) in a.iter().zip(&b) {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + a.abs())), "{g}\n{simple}");
        }
        check_plan(g, &mut Rng::new(12), 1e-5);
        let live = simple.live();
        let constant = simple.constant_nodes();
        let pointwise = |i: &NodeId| simple.node(*i).op.def().kind() == Kind::Pointwise;
        let count = simple.ids().filter(|i| live[i.index()] && !constant[i.index()]).filter(pointwise).count();
        (simple, count)
    }

    #[test]
    fn one_addition_is_left_of_a_normalisation() {
        for groups in [1, 2, 8] {
            let mut g = Graph::new();
            let y = conv(&mut g, groups, true);
            let z = norm(&mut g, y);
            g.set_outputs(vec![z]);
            assert_eq!(optimised(&g).1, 1, "{groups} groups");
        }
    }

    #[test]
    fn biases_and_scales_in_a_row_become_one() {
        let mut g = Graph::new();
        let y = conv(&mut g, 1, true);
        let bias = vector(&mut g, 8, true);
        let y = g.add(y, bias).unwrap();
        let y = norm(&mut g, y);
        let y = g.scale(y, 0.3).unwrap();
        let y = norm(&mut g, y);
        g.set_outputs(vec![y]);
        assert_eq!(optimised(&g).1, 1);
    }

    #[test]
    fn biases_of_two_that_are_added_become_one() {
        let mut g = Graph::new();
        let (a, b) = (conv(&mut g, 1, true), conv(&mut g, 2, true));
        let (a, b) = (norm(&mut g, a), norm(&mut g, b));
        let y = g.add(b, a).unwrap();
        let y = g.unary(Function::Relu, y).unwrap();
        g.set_outputs(vec![y]);
        assert_eq!(optimised(&g).1, 3);
        // Both convolutions are read elsewhere as well.
        let mut g = Graph::new();
        let (a, b) = (conv(&mut g, 1, true), conv(&mut g, 2, true));
        let (a, b) = (norm(&mut g, a), norm(&mut g, b));
        let y = g.add(b, a).unwrap();
        g.set_outputs(vec![y, a, b]);
        assert_eq!(optimised(&g).1, 3);
    }

    #[test]
    fn products_with_matrices_fold_too() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([3, 4], DType::F32));
        let w = g.constant_input(Fact::new([4, 8], DType::F32));
        let y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[x, w]).unwrap();
        let bias = vector(&mut g, 8, true);
        let y = g.add(bias, y).unwrap();
        let z = norm(&mut g, y);
        g.set_outputs(vec![z]);
        assert_eq!(optimised(&g).1, 1);
        let mut g = Graph::new();
        let x = g.input(Fact::new([3, 4], DType::F32));
        let w = g.constant_input(Fact::new([8, 4], DType::F32));
        let y = g.apply(MatMul { transpose_a: false, transpose_b: true }, &[x, w]).unwrap();
        let z = norm(&mut g, y);
        g.set_outputs(vec![z]);
        assert_eq!(optimised(&g).1, 2, "the channels of a transposed matrix are its rows");
    }

    #[test]
    fn what_changes_or_is_read_elsewhere_stays() {
        // Filters of this run alone.
        let mut g = Graph::new();
        let y = conv(&mut g, 1, false);
        let z = norm(&mut g, y);
        g.set_outputs(vec![z]);
        assert_eq!(optimised(&g).1, 2);
        // The convolution's own output is asked for as well.
        let mut g = Graph::new();
        let y = conv(&mut g, 1, true);
        let z = norm(&mut g, y);
        g.set_outputs(vec![y, z]);
        assert_eq!(optimised(&g).1, 2);
        // So is the biased one.
        let mut g = Graph::new();
        let y = conv(&mut g, 1, true);
        let bias = vector(&mut g, 8, true);
        let y = g.add(y, bias).unwrap();
        let z = norm(&mut g, y);
        g.set_outputs(vec![y, z]);
        assert_eq!(optimised(&g).1, 3);
        // A scale of each image, and one of this run.
        for shape in [vec![2, 1, 1, 8], vec![8]] {
            let mut g = Graph::new();
            let y = conv(&mut g, 1, true);
            let scale = g.input(Fact::new(shape.as_slice(), DType::F32));
            let z = g.mul(y, scale).unwrap();
            g.set_outputs(vec![z]);
            assert_eq!(optimised(&g).1, 1);
        }
        // Factors along another axis than that of the channels.
        let mut g = Graph::new();
        let y = conv(&mut g, 1, true);
        let scale = g.constant_input(Fact::new([6, 1], DType::F32));
        let z = g.mul(y, scale).unwrap();
        g.set_outputs(vec![z]);
        assert_eq!(optimised(&g).1, 1);
    }

    #[test]
    fn a_gradient_keeps_the_normalisation_apart() {
        use crate::passes::autodiff::differentiate;
        let mut g = Graph::new();
        let y = conv(&mut g, 1, false);
        let z = norm(&mut g, y);
        let z = g.unary(Function::Square, z).unwrap();
        let loss = g.sum(z, &[0, 1, 2, 3], false).unwrap();
        let w = g.inputs()[1];
        let grads = differentiate(&mut g, loss, &[w], None).unwrap();
        g.set_outputs(vec![loss, grads[0].unwrap()]);
        let simple = passes::optimise(&g).unwrap();
        assert!(
            simple.nodes().iter().filter(|n| matches!(n.op, Op::Conv2d(_))).all(|n| n.inputs[1] == simple.inputs()[1])
        );
    }
}
