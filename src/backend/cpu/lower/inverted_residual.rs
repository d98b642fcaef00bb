//! Which groups run as one inverted residual, row by row; see [`InvertedResidual`].

use super::attachments::FinishForm;
use super::candidates::conv2d::geometry;
use crate::backend::cpu::kernel::{CpuKernel, Lowered, Operands, Phase};
use crate::backend::cpu::kernels::attach::Finish;
use crate::backend::cpu::kernels::chunked::FEW_THREADS;
use crate::backend::cpu::kernels::conv::{ConvGeometry, InvertedResidual, ResidualArgs, ResidualGeometry};
use crate::backend::cpu::simd::Tier;
use crate::error::{Error, Result};
use crate::fusion::{Fusion, Group};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::schedule::{Packed, PlanOptions};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// The kernel's name.
pub const NAME: &str = "conv_inverted_residual";

/// Groups that run as one step, in order: expansion, depthwise convolution, projection.
#[derive(Clone, Copy, Debug)]
pub struct ResidualGroups {
    groups: [Option<usize>; 3],
    chained: ResidualGeometry,
}

impl ResidualGroups {
    /// The groups, in order.
    pub fn groups(&self) -> impl Iterator<Item = usize> {
        self.groups.into_iter().flatten()
    }
}

/// One convolution that could be part of an inverted residual: its kernel works by rows, too, or `forced`.
fn part(g: &Graph, group: &Group, kernel: &'static dyn CpuKernel, forced: bool) -> Option<ConvGeometry> {
    let (Op::Conv2d(conv), anchor) = (&g.node(group.anchor?).op, group.anchor?) else { return None };
    let [x, w] = [0, 1].map(|i| &g.fact(g.node(anchor).inputs[i]).shape);
    let finishes = group.region.as_ref().is_none_or(|region| FinishForm::of(region).is_some());
    let alone = group.outputs.len() == 1 && group.prologue.is_none();
    if (forced || kernel.works_by_rows()) && finishes && alone { geometry(conv, x, w).ok() } else { None }
}

/// The inverted residuals among the groups, whose anchors run the kernels `chosen`.
pub fn find(
    g: &Graph,
    fusion: &Fusion,
    chosen: &[Option<&'static dyn CpuKernel>],
    options: &PlanOptions,
) -> Vec<ResidualGroups> {
    let forced = options.force_kernel.as_deref();
    if !options.fuse || forced.is_some_and(|name| name != NAME) {
        return Vec::new();
    }
    let resolve = |id: NodeId| fusion.views.get(&id).copied().unwrap_or(id);
    let mut readers: HashMap<NodeId, Vec<usize>> = HashMap::new();
    let mut maker: HashMap<NodeId, usize> = HashMap::new();
    for (i, group) in fusion.groups.iter().enumerate() {
        group.inputs.iter().for_each(|&id| readers.entry(id).or_default().push(i));
        maker.extend(group.outputs.iter().map(|&id| (id, i)));
    }
    for &output in g.outputs() {
        // Who reads it later is none of the groups.
        readers.entry(resolve(output)).or_default().push(usize::MAX);
    }
    let parts: Vec<Option<ConvGeometry>> =
        fusion.groups.iter().zip(chosen).map(|(group, kernel)| part(g, group, (*kernel)?, forced.is_some())).collect();
    let mut taken = vec![false; fusion.groups.len()];
    let mut residuals = Vec::new();
    for (i, depthwise) in parts.iter().enumerate() {
        let Some(depthwise) = depthwise.filter(ConvGeometry::is_depthwise) else { continue };
        let product = |k: usize| parts[k].filter(|c| c.is_pointwise() && !taken[k]);
        // What passes between two groups is read by nothing else, and only as input 0 of the later one.
        let passes = |id: NodeId, to: usize| {
            let whole = g.node(fusion.groups[to].anchor?).inputs[0] == id;
            (readers.get(&id)? == &[to] && whole && fusion.groups[to].inputs[0] == id).then_some(())
        };
        let before = || {
            let value = fusion.groups[i].inputs[0];
            let k = *maker.get(&value)?;
            passes(value, i)?;
            // The value that a residual would be added to has another reader; what is added would be read by rows.
            let residual = fusion.groups[k].region.as_ref().and_then(FinishForm::of).and_then(|form| form.residual);
            residual.is_none().then_some((k, product(k)?))
        };
        let after = || {
            let [value] = fusion.groups[i].outputs[..] else { return None };
            let k = *readers.get(&value)?.first()?;
            if k == usize::MAX {
                return None;
            }
            passes(value, k)?;
            let residual = fusion.groups[i].region.as_ref().and_then(FinishForm::of).and_then(|form| form.residual);
            residual.is_none().then_some((k, product(k)?))
        };
        let (before, after) = (before(), after());
        for (before, after) in [(before, after), (before, None), (None, after)] {
            let (expand, project) = (before.map(|x| x.1), after.map(|x| x.1));
            let chained = ResidualGeometry { expand, depthwise, project };
            if chained.is_supported() && (chained.pays() || forced.is_some()) {
                let residual = ResidualGroups { groups: [before.map(|x| x.0), Some(i), after.map(|x| x.0)], chained };
                residual.groups().for_each(|k| taken[k] = true);
                residuals.push(residual);
                break;
            }
        }
    }
    residuals
}

/// The step's code, what it reads, and its output.
///
/// # Errors
/// When the residual has no output.
pub fn lower(
    g: &Graph,
    fusion: &Fusion,
    residual: &ResidualGroups,
    tier: Tier,
    threads: usize,
) -> Result<(Lowered, Vec<NodeId>, NodeId)> {
    let mut inputs: Vec<NodeId> = Vec::new();
    // For each convolution: the operands of its filters and its epilogue.
    let mut filters = [None; 3];
    let mut forms: [Option<(FinishForm, usize)>; 3] = [None; 3];
    let mut output = None;
    for (stage, group) in residual.groups.iter().enumerate() {
        let Some(group) = group.map(|i| &fusion.groups[i]) else { continue };
        let lead = group.anchor.map_or(0, |anchor| g.node(anchor).inputs.len());
        // Input 0 of all but the first is what passes.
        let skipped = usize::from(!inputs.is_empty());
        let first = inputs.len() + lead - skipped;
        filters[stage] = Some(inputs.len() + 1 - skipped);
        inputs.extend(&group.inputs[skipped..]);
        forms[stage] = group.region.as_ref().and_then(FinishForm::of).map(|form| (form, first));
        output = group.outputs.first().copied();
    }
    let output = output.ok_or_else(|| Error::state("an inverted residual has no output"))?;
    let mut residual = InvertedResidual::new(residual.chained, tier);
    if threads > FEW_THREADS {
        residual.recut(threads);
    }
    let residual = Arc::new(residual);
    // Which of the packed operands are the filters of the expansion and of the projection.
    let mut packed: SmallVec<[Packed; 1]> = SmallVec::new();
    let mut packed_at = [None; 2];
    for (at, (form, operand)) in packed_at.iter_mut().zip(residual.packed().into_iter().zip([filters[0], filters[2]])) {
        if let (Some((len, layout)), Some(operand)) = (form, operand) {
            *at = Some(packed.len());
            packed.push(Packed { operand, bytes: len * 4, layout });
        }
    }
    let packed_filters =
        move |operands: &Operands| packed_at.map(|k| k.map_or(std::ptr::null_mut(), |k| operands.packed[k].cast()));
    let args = move |operands: &Operands| ResidualArgs {
        x: operands.input(0),
        filters: filters.map(|k| k.map_or(std::ptr::null(), |k| operands.input(k))),
        finishes: forms.map(|form| form.map_or(Finish::NONE, |(form, first)| form.bind(operands, first))),
        output: operands.output(0),
        packed: packed_filters(operands),
    };
    let (packing, computing) = (residual.clone(), residual.clone());
    let mut phases = Vec::new();
    if residual.pack_chunks() > 0 {
        // Packing looks at no other operands than those that are packed.
        let products = [packed_at[0].and(filters[0]), None, packed_at[1].and(filters[2])];
        phases.push(Phase::new(residual.pack_chunks(), move |operands, chunk, _| {
            let args = ResidualArgs {
                x: std::ptr::null(),
                filters: products.map(|k| k.map_or(std::ptr::null(), |k| operands.input(k))),
                finishes: [Finish::NONE; 3],
                output: std::ptr::null_mut(),
                packed: packed_filters(operands),
            };
            // SAFETY: the plan gives every step operands of its facts' sizes, and room for what it packs.
            unsafe { packing.pack(chunk, &args) };
        }));
    }
    phases.push(Phase::new(residual.chunks(), move |operands, chunk, scratch| {
        // SAFETY: as above, and the phase before has ended.
        unsafe { computing.run(chunk, &args(operands), scratch.cast()) };
    }));
    let scratch = residual.scratch_len() * 4;
    Ok((Lowered { name: NAME, phases, workspace: 0, scratch, packed, section: None }, inputs, output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::graph::NodeId;
    use crate::graph::interpret;
    use crate::ops::compose::Activation;
    use crate::ops::conv2d::Conv2d;
    use crate::ops::window::Padding;
    use crate::plan::Plan;
    use crate::shape::Fact;
    use crate::testing::{Rng, run_plan, to_values};

    /// What an inverted residual may be made of.
    #[derive(Clone, Debug)]
    struct Block {
        x: [usize; 4],
        expanded: Option<usize>,
        kernel: [usize; 2],
        depthwise: Conv2d,
        projected: Option<usize>,
        bias: bool,
        residual: bool,
    }

    impl Block {
        fn graph(&self) -> Graph {
            self.graph_of(Graph::input)
        }

        /// The graph whose filters are what `filters` gives.
        fn graph_of(&self, filters: fn(&mut Graph, Fact) -> NodeId) -> Graph {
            let mut g = Graph::new();
            let fact = |shape: &[usize]| Fact::new(shape, DType::F32);
            let plain = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
            let x = g.input(fact(&self.x));
            let mut y = x;
            let bias = |g: &mut Graph, y: NodeId| {
                let bias = g.input(fact(&[*g.fact(y).shape.last().unwrap()]));
                if self.bias { g.add(y, bias).unwrap() } else { y }
            };
            if let Some(channels) = self.expanded {
                let w = filters(&mut g, fact(&[1, 1, self.x[3], channels]));
                y = g.apply(plain.clone(), &[y, w]).unwrap();
                y = bias(&mut g, y);
                y = g.apply(Activation::Relu6, &[y]).unwrap();
            }
            let channels = *g.fact(y).shape.last().unwrap();
            let w = filters(&mut g, fact(&[self.kernel[0], self.kernel[1], 1, channels]));
            y = g.apply(Conv2d { groups: channels, ..self.depthwise.clone() }, &[y, w]).unwrap();
            y = bias(&mut g, y);
            if let Some(out) = self.projected {
                y = g.unary(crate::ops::pointwise::Function::Relu, y).unwrap();
                let w = filters(&mut g, fact(&[1, 1, channels, out]));
                y = g.apply(plain, &[y, w]).unwrap();
                y = bias(&mut g, y);
            }
            if self.residual {
                let residual = g.input(g.fact(y).clone());
                y = g.add(residual, y).unwrap();
            }
            g.set_outputs(vec![y]);
            g
        }

        /// Runs it as an inverted residual and compares with the interpreter.
        fn check(&self, rng: &mut Rng) {
            // Filters that stay as they are are packed by a step of its own.
            for filters in [Graph::input, Graph::constant_input] {
                self.check_graph(self.graph_of(filters), rng);
            }
        }

        fn check_graph(&self, g: Graph, rng: &mut Rng) {
            let options = PlanOptions { force_kernel: Some(NAME.into()), ..PlanOptions::default() };
            let text = Plan::compile(&g, &options).unwrap().describe();
            let steps = text.lines().filter(|line| line.contains("conv") && !line.contains(" pack for ")).count();
            assert!(steps == 1 && text.contains(NAME), "{text}");
            let inputs = rng.inputs(&g);
            let expected = interpret(&g, &inputs).unwrap();
            let got = to_values(&run_plan(&g, &options, &inputs)[0]);
            let scale = expected[0].iter().fold(1.0f64, |m, v| m.max(v.abs()));
            for (i, (a, b)) in got.iter().zip(expected[0].iter()).enumerate() {
                assert!((a - b).abs() <= 1e-5 * scale, "element {i}: {a}, reference {b}\n{self:?}");
            }
        }
    }

    #[test]
    fn chains_agree_with_the_sums() {
        let mut rng = Rng::new(7);
        let depthwise = |stride, dilation: usize, padding| Conv2d {
            strides: [stride; 2],
            dilation: [dilation, 1],
            padding,
            groups: 1,
        };
        let borders =
            [Padding::Same, Padding::Valid, Padding::Explicit([(2, 1), (0, 2)]), Padding::Explicit([(0, 1); 2])];
        for (expanded, projected) in [(Some(20), Some(7)), (Some(33), None), (None, Some(24))] {
            for padding in borders {
                for (stride, dilation, kernel) in
                    [(1, 1, [3, 3]), (2, 1, [3, 3]), (1, 2, [3, 3]), (2, 1, [5, 2]), (2, 1, [1, 2])]
                {
                    for (x, bias, residual) in [([2, 9, 11, 5], true, false), ([1, 40, 17, 16], false, true)] {
                        let depthwise = depthwise(stride, dilation, padding);
                        Block { x, expanded, kernel, depthwise, projected, bias, residual }.check(&mut rng);
                    }
                }
            }
        }
    }

    #[test]
    fn rows_that_no_window_reads_and_windows_that_read_no_row() {
        let depthwise =
            Conv2d { strides: [2; 2], dilation: [1; 2], padding: Padding::Explicit([(4, 3), (3, 4)]), groups: 1 };
        let block = Block {
            x: [3, 6, 5, 4],
            expanded: Some(18),
            kernel: [2, 2],
            depthwise,
            projected: Some(5),
            bias: true,
            residual: true,
        };
        block.check(&mut Rng::new(8));
    }

    #[test]
    fn sums_so_long_that_products_cut_them() {
        let depthwise = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
        let (expanded, projected) = (Some(4096), Some(9));
        let x = [1, 7, 7, 5];
        let block = Block { x, expanded, kernel: [3; 2], depthwise, projected, bias: true, residual: false };
        block.check(&mut Rng::new(9));
    }

    #[test]
    fn one_product_is_packed_and_the_other_is_not() {
        let depthwise = Conv2d { strides: [2; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
        for (expanded, projected) in [(Some(576), Some(160)), (Some(24), Some(160)), (Some(576), Some(8))] {
            let x = [2, 14, 14, 96];
            let block = Block {
                x,
                expanded,
                kernel: [3; 2],
                depthwise: depthwise.clone(),
                projected,
                bias: true,
                residual: false,
            };
            block.check(&mut Rng::new(10));
        }
    }

    fn wide(batch: usize) -> Block {
        let depthwise = Conv2d { strides: [2; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
        let (expanded, projected) = (Some(96), Some(24));
        Block { x: [batch, 112, 112, 16], expanded, kernel: [3; 2], depthwise, projected, bias: true, residual: false }
    }

    fn runs_chain(g: &Graph) -> bool {
        Plan::compile(g, &PlanOptions::default()).unwrap().describe().contains(NAME)
    }

    #[test]
    fn large_inner_activations_are_chained_unless_others_read_them() {
        let g = wide(1).graph();
        assert!(runs_chain(&g));
        // The depthwise convolution's output leaves the graph too.
        let mut g = g;
        let depthwise = g.ids().find(|&i| matches!(&g.node(i).op, Op::Conv2d(c) if c.groups > 1)).unwrap();
        let last = g.outputs()[0];
        g.set_outputs(vec![last, depthwise]);
        let text = Plan::compile(&g, &PlanOptions::default()).unwrap().describe();
        assert!(text.contains(NAME) && text.contains("conv_gemm_1x1"), "{text}");
        // So does the expansion's.
        let expansion = g.ids().find(|&i| matches!(&g.node(i).op, Op::Conv2d(c) if c.groups == 1)).unwrap();
        g.set_outputs(vec![last, depthwise, expansion]);
        assert!(!runs_chain(&g));
    }

    #[test]
    fn small_ones_are_not() {
        let block = Block { x: [1, 14, 14, 64], expanded: Some(384), projected: Some(64), ..wide(1) };
        assert!(!runs_chain(&block.graph()));
    }
}
