//! Storage: what layers of 16 bits make and gradients read much later is kept in 16 bits.
//!
//! A value that is kept is rounded once, where it is made, and all that reads it widens it for itself, so that the forward
//! and the backward pass see the same numbers. Values that are free again soon stay float32: a rounding would save
//! no memory.

use super::{Pass, PassContext};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, Inputs, NodeId, Origin, unite};
use crate::ops::Kind;
use crate::ops::pointwise::Cast;
use std::collections::HashMap;

/// Elements from which on a value is worth a conversion at each reader.
const MIN_STORED: usize = 1 << 10;

/// Channels up to which images stay float32: kernels lay many of them side by side, which they do in float32 alone, and
/// conversions would cost more than the memory is worth.
const FEW_CHANNELS: usize = 16;

/// Stores in 16 bits what is kept for gradients. Like the nodes that [`recompute`](super::recompute) makes, the
/// conversions are equal nodes: no pass that interns may follow.
pub struct Storage {
    /// Bytes in float32 from which on the values that are kept are stored so, all together: less lies in caches in any
    /// case, and conversions would be all that is gained.
    pub least: usize,
}

impl Storage {
    /// As much as caches of processors hold.
    pub const PAYING: Storage = Storage { least: 16 << 20 };
}

impl Pass for Storage {
    fn name(&self) -> &'static str {
        "storage"
    }

    fn does(&self) -> &'static str {
        "keeps values of layers of 16 bits for gradients in 16 bits"
    }

    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
        if graph.nodes().iter().all(|n| n.storage.is_none()) {
            return Ok(graph.clone());
        }
        let stored = self.stored(graph, context);
        // What each stored value became in 16 bits.
        let mut rounded: HashMap<NodeId, NodeId> = HashMap::new();
        graph.rewrite(|g, node, inputs| {
            let mut own: Inputs = inputs.into();
            for (k, old) in node.inputs.iter().enumerate().filter(|(_, old)| stored[old.index()].is_some()) {
                if let Some(before) = node.inputs[..k].iter().position(|i| i == old) {
                    own[k] = own[before];
                    continue;
                }
                let (x, dtype) = (inputs[k], stored[old.index()].unwrap_or(DType::F32));
                let half = match rounded.get(&x) {
                    Some(&half) => half,
                    None => {
                        let origin = g.set_origin(graph.node(*old).origin.clone());
                        let gradient = g.set_gradient(false);
                        let half = g.apply_anew(Cast::to(dtype), &[x])?;
                        g.set_origin(origin);
                        g.set_gradient(gradient);
                        rounded.insert(x, half);
                        half
                    }
                };
                own[k] = g.apply_anew(Cast::to(DType::F32), &[half])?;
            }
            g.apply_anew(node.op.clone(), &own)
        })
    }
}

impl Storage {
    /// For each node, the type in which it is stored, if that is one of 16 bits.
    fn stored(&self, graph: &Graph, context: &mut PassContext) -> Vec<Option<DType>> {
        let live = graph.live();
        let mut kept_for: Vec<Option<Origin>> = vec![None; graph.nodes().len()];
        for id in graph.ids().filter(|i| live[i.index()] && graph.node(*i).gradient) {
            let node = graph.node(id);
            for i in &node.inputs {
                unite(kept_for[i.index()].get_or_insert_default(), &node.origin);
            }
        }
        let kept = |id: NodeId| {
            let node = graph.node(id);
            let kept = node.storage.is_some() && node.fact.dtype == DType::F32 && !node.gradient;
            kept && live[id.index()] && kept_for[id.index()].is_some()
        };
        let fits = |id: NodeId| {
            let node = graph.node(id);
            let leaves = graph.outputs().contains(&id) || node.op.def().kind() == Kind::Leaf;
            let is_narrow = node.fact.shape.rank() == 4 && node.fact.shape[3] <= FEW_CHANNELS;
            !leaves && !is_narrow && node.fact.shape.len() >= MIN_STORED
        };
        let bytes: usize =
            graph.ids().filter(|&id| kept(id) && fits(id)).map(|id| graph.fact(id).shape.len() * 4).sum();
        let mut stored = vec![None; graph.nodes().len()];
        for id in graph.ids().filter(|&id| kept(id)) {
            let (node, none) = (graph.node(id), None);
            let with = kept_for[id.index()].as_ref().unwrap_or(&none);
            if bytes < self.least {
                context.left(node, with, "kept in float32 for gradients: all that is kept fits into caches");
            } else if !fits(id) {
                context.left(
                    node,
                    with,
                    "kept in float32 for gradients: it is small, has few channels, or is an output",
                );
            } else {
                context.done(node, with, "kept in 16 bits for gradients");
                stored[id.index()] = node.storage;
            }
        }
        stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::interpret;
    use crate::ops::Op;
    use crate::ops::conv2d::Conv2d;
    use crate::ops::pointwise::Function;
    use crate::ops::window::Padding;
    use crate::passes::autodiff::differentiate;
    use crate::passes::{Passes, run};
    use crate::plan::{Plan, PlanOptions};
    use crate::shape::Fact;
    use crate::testing::{Rng, run_plan, to_values};

    /// A training step of two convolutions with batch normalisation, a skip connection and ReLU, as layers record it that
    /// compute in `dtype`.
    fn block(dtype: DType, batch: usize) -> Graph {
        let mut g = Graph::new();
        let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
        let f32s = |shape: &[usize]| Fact::new(shape, DType::F32);
        let norm = Op::parse("batch_norm", Default::default()).unwrap();
        let between = |g: &mut Graph, x: NodeId| {
            let half = g.cast_loosely(x, dtype).unwrap();
            g.cast(half, DType::F32).unwrap()
        };
        let x = g.input(f32s(&[batch, 12, 10, 20]));
        let weights = [(); 3].map(|()| g.input(f32s(&[3, 3, 20, 20])));
        let vectors = [(); 4].map(|()| g.input(f32s(&[20])));
        let mut skip = g.apply(conv.clone(), &[x, weights[0]]).unwrap();
        skip = between(&mut g, skip);
        let mut y = skip;
        for (k, &w) in weights[1..].iter().enumerate() {
            let w = between(&mut g, w);
            y = g.apply(conv.clone(), &[y, w]).unwrap();
            y = between(&mut g, y);
            y = g.apply(norm.clone(), &[y, vectors[2 * k], vectors[2 * k + 1]]).unwrap();
            y = between(&mut g, y);
            if k == 1 {
                y = g.add(y, skip).unwrap();
                y = between(&mut g, y);
            }
            y = g.unary(Function::Relu, y).unwrap();
            y = between(&mut g, y);
        }
        let squares = g.unary(Function::Square, y).unwrap();
        let loss = g.mean(squares, &[0, 1, 2, 3], false).unwrap();
        let wrt: Vec<NodeId> = weights.into_iter().chain(vectors).collect();
        let mut outputs = vec![loss];
        outputs.extend(differentiate(&mut g, loss, &wrt, None).unwrap().into_iter().flatten());
        g.set_outputs(outputs);
        g
    }

    /// `g` after all passes, of which the last stores from `least` bytes on.
    fn stored(g: &Graph, least: usize) -> Graph {
        let before = run(g, &mut PassContext::new(g).with_passes(Passes::ALL.without("storage").unwrap())).unwrap();
        Storage { least }.run(&before, &mut PassContext::new(&before)).unwrap()
    }

    fn as_it_is() -> PlanOptions {
        PlanOptions { passes: Passes::only(&[]).unwrap(), ..PlanOptions::default() }
    }

    fn halves(g: &Graph) -> Vec<NodeId> {
        let live = g.live();
        g.ids().filter(|i| live[i.index()] && g.fact(*i).dtype.is_storage()).collect()
    }

    #[test]
    fn images_of_few_channels_stay_float32() {
        for (channels, is_stored) in [(FEW_CHANNELS, false), (FEW_CHANNELS + 1, true)] {
            let mut g = Graph::new();
            let x = g.input(Fact::new([4, 9, 9, channels], DType::F32));
            let w = g.input(Fact::new([3, 3, channels, channels], DType::F32));
            let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
            let before = g.unary(Function::Tanh, x).unwrap();
            let half = g.cast_loosely(before, DType::BF16).unwrap();
            let wide = g.cast(half, DType::F32).unwrap();
            let y = g.apply(conv, &[wide, w]).unwrap();
            let loss = g.sum(y, &[0, 1, 2, 3], false).unwrap();
            let gradients = differentiate(&mut g, loss, &[x, w], None).unwrap();
            g.set_outputs(gradients.into_iter().flatten().collect());
            assert_eq!(!halves(&stored(&g, 0)).is_empty(), is_stored, "{channels}");
        }
    }

    #[test]
    fn what_gradients_read_is_kept_in_16_bits_and_widened_by_each_reader() {
        let g = stored(&block(DType::BF16, 3), 0);
        let halves = halves(&g);
        // Both inputs of blocks, and what each convolution makes of them.
        assert!((3..=5).contains(&halves.len()), "{g}");
        let readers = g.consumers();
        for &half in &halves {
            assert!(readers[half.index()].len() >= 2);
            for &wide in &readers[half.index()] {
                assert_eq!((g.fact(wide).dtype, readers[wide.index()].len()), (DType::F32, 1));
            }
            let gradient = |r: &NodeId| g.node(readers[r.index()][0]).gradient;
            assert!(readers[half.index()].iter().any(gradient));
        }
    }

    #[test]
    fn little_is_left_in_float32_and_so_is_what_no_gradient_reads() {
        assert!(halves(&stored(&block(DType::BF16, 3), 1 << 30)).is_empty());
        let mut forward = block(DType::BF16, 3);
        forward.set_outputs(forward.outputs()[..1].to_vec());
        assert!(halves(&stored(&forward, 0)).is_empty());
        let single = stored(&block(DType::BF16, 3), Storage::PAYING.least);
        assert!(halves(&single).is_empty());
    }

    #[test]
    fn a_step_agrees_with_double_precision_and_takes_less_memory() {
        // Rounding moves numbers across the kink of ReLU, each of which counts in a gradient.
        for (dtype, tolerance, unrounded_tolerance) in [(DType::F16, 4e-3, 3e-2), (DType::BF16, 3e-2, 1e-1)] {
            let exact = block(dtype, 5);
            let g = stored(&exact, 0);
            let inputs = Rng::new(7).inputs(&g);
            let fused = run_plan(&g, &as_it_is(), &inputs);
            let apart = run_plan(&g, &PlanOptions { fuse: false, ..as_it_is() }, &inputs);
            let unrounded = run(&exact, &mut PassContext::new(&exact)).unwrap();
            for (reference, tolerance) in [(&g, tolerance), (&unrounded, unrounded_tolerance)] {
                let expected = interpret(reference, &inputs).unwrap();
                for (got, expected) in fused.iter().chain(&apart).zip(expected.iter().cycle()) {
                    let scale = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                    for (a, b) in to_values(got).iter().zip(expected) {
                        assert!((a - b).abs() <= tolerance * scale, "{dtype}: {a} is not {b} of {scale}\n{g}");
                    }
                }
            }
            let peak = |g: &Graph| Plan::compile(g, &as_it_is()).unwrap().peak_bytes();
            assert!(peak(&stored(&block(dtype, 64), 0)) * 10 < peak(&stored(&block(dtype, 64), usize::MAX)) * 9);
        }
    }

    #[test]
    fn conversions_run_in_the_kernels_of_a_step() {
        let text = Plan::compile(&stored(&block(DType::F16, 4), 0), &as_it_is()).unwrap().describe();
        for part in ["cast+conv2d+cast+cast+channel_stats", "cast+conv2d_filter_grad", "conv2d_input_grad+cast+mul"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.lines().any(|step| step.contains(" cast →") || step.contains(" cast+cast →")), "{text}");
    }
}
