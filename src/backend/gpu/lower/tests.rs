//! Every kernel over a grid of shapes and attributes: valid WGSL within the shared memory of every device. What they compute
//! is tested on a device, in `tests/gpu_kernels.rs`.

use super::candidates::Context;
use super::candidates::Means;
use super::staging::Element;
use super::{StepKernels, joints, lower};
use crate::backend::device::Backend;
use crate::backend::gpu::Gpu;
use crate::backend::gpu::caps::{Caps, Fragment, Halves, Tier, Vendor};
use crate::fusion;
use crate::graph::{Graph, NodeId};
use crate::ops::channel_stats::ChannelStats;
use crate::ops::conv2d::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad};
use crate::ops::matmul::MatMul;
use crate::ops::pointwise::{Cast, Function};
use crate::ops::window::Padding;
use crate::precision::Precision;
use crate::schedule::{self, PlanOptions, Step};
use crate::shape::Fact;
use crate::testing::Rng;
use crate::{DType, ops::Op};
use std::collections::{BTreeMap, HashSet};
use wgpu::naga;

/// The least shared memory that a device has on any of the three interfaces.
const SHARED: usize = 32 << 10;

fn caps(vendor: Vendor) -> Caps {
    Caps {
        vendor,
        discrete: true,
        shared_bytes: SHARED,
        invocations: 256,
        tensor_bytes: 1 << 27,
        float16: true,
        fragment: Some(Fragment { size: 16, lanes: 32 }),
    }
}

/// A context without anything forced.
fn context(caps: &Caps) -> Context<'_> {
    let (tier, halves, precision) = (Tier::Winograd, Halves::Auto, Precision::Fast);
    Context { number: 0, caps, tier, halves, precision, forced: None }
}

/// The steps of a graph, whose ops are primitives.
fn steps(g: &Graph, context: &Context) -> Vec<Step<StepKernels>> {
    let fusion = fusion::fuse(g, &Gpu.traits().limits, true, &[]).unwrap();
    let mut steps = Vec::new();
    fusion.groups.iter().for_each(|group| lower(g, group, context, &mut steps).unwrap());
    steps
}

/// Checks the modules of the steps, and returns the bytes of shared memory of each.
fn validate(steps: &[Step<StepKernels>]) -> Vec<(&'static str, usize)> {
    let mut shared = Vec::new();
    for dispatch in steps.iter().flat_map(|step| step.code.packing.iter().chain(&step.code.dispatches)) {
        let text = &dispatch.text;
        let module = naga::front::wgsl::parse_str(text).unwrap_or_else(|e| panic!("{}", e.emit_to_string(text)));
        // A kernel takes no more of a device than it says.
        use naga::valid::Capabilities;
        let mut capabilities = Capabilities::empty();
        capabilities.set(Capabilities::SHADER_FLOAT16, text.contains("enable f16;"));
        let on_matrices = text.contains("enable wgpu_cooperative_matrix;");
        capabilities.set(Capabilities::COOPERATIVE_MATRIX | Capabilities::SUBGROUP, on_matrices);
        let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
        if on_matrices {
            validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
        }
        validator.validate(&module).unwrap_or_else(|e| panic!("{}\n{text}", e.emit_to_string(text)));
        let mut layouts = naga::proc::Layouter::default();
        layouts.update(module.to_ctx()).unwrap();
        let of_workgroup = module.global_variables.iter().filter(|v| v.1.space == naga::AddressSpace::WorkGroup);
        shared.push(of_workgroup.map(|v| layouts[v.1.ty].size as usize).sum::<usize>());
        assert!(*shared.last().unwrap() <= SHARED, "{text}");
        let lanes: u32 = module.entry_points[0].workgroup_size.iter().product();
        assert!(lanes <= 256, "{text}");
    }
    let names =
        steps.iter().flat_map(|step| step.code.packing.iter().chain(&step.code.dispatches).map(|_| step.code.name));
    names.zip(shared).collect()
}

/// Work on both sides of a heavy op: a prologue by channel, an epilogue with a bias, a residual, and two stores, one of half
/// the size.
fn around(g: &mut Graph, x: NodeId, op: impl FnOnce(&mut Graph, NodeId) -> NodeId) {
    let channels = *g.fact(x).shape.last().unwrap();
    let scale = g.input(Fact::new([channels], DType::F32));
    let x = g.mul(x, scale).unwrap();
    let x = g.unary(Function::Relu, x).unwrap();
    let y = op(g, x);
    let fact = g.fact(y).clone();
    let bias = g.input(Fact::new([*fact.shape.last().unwrap()], DType::F32));
    let residual = g.input(fact);
    let y = g.add(y, bias).unwrap();
    let y = g.add(y, residual).unwrap();
    let half = g.apply(Cast { dtype: DType::F16, loose: false }, &[y]).unwrap();
    g.set_outputs(vec![y, half]);
}

/// `g` as it is with layers of 16 bits, whose products may round their operands.
fn of_halves(g: &Graph, dtype: DType) -> Graph {
    let mut g = g.clone();
    let products: Vec<NodeId> = g.ids().filter(|id| g.node(*id).op.is_product()).collect();
    products.into_iter().for_each(|id| g.set_operands(id, Some(dtype)));
    g
}

/// The means of multiplication of a kernel.
fn means(name: &str) -> Option<Means> {
    super::candidates::FORMS.iter().find(|form| form.0 == name).map(|form| form.1.means)
}

/// Validates the kernels of a graph under each name that could be forced, and counts them. Those of halves take turns with
/// the types of operands, and with the sizes of fragments and subgroups.
fn forced(g: &Graph, runs: &mut BTreeMap<&'static str, usize>) {
    const FRAGMENTS: [(usize, usize); 3] = [(16, 32), (8, 32), (8, 8)];
    for name in super::candidates::NAMES {
        let turn = runs.get(name).copied().unwrap_or(0);
        let mut check = |g: &Graph, caps: &Caps| {
            let steps = steps(g, &Context { forced: Some(name), ..context(caps) });
            validate(&steps);
            steps.iter().for_each(|step| *runs.entry(step.code.name).or_default() += 1);
        };
        match means(name) {
            Some(Means::Halves(_)) => {
                check(&of_halves(g, [DType::F16, DType::BF16][turn % 2]), &caps(Vendor::Nvidia));
            }
            Some(Means::Matrices(_)) => {
                let (size, lanes) = FRAGMENTS[turn % 3];
                let caps = Caps { fragment: Some(Fragment { size, lanes }), ..caps(Vendor::Nvidia) };
                check(&of_halves(g, DType::F16), &caps);
            }
            _ => [Vendor::Nvidia, Vendor::Software].into_iter().for_each(|vendor| check(g, &caps(vendor))),
        }
    }
}

#[test]
fn kernels_of_convolutions_are_valid() {
    let mut runs = BTreeMap::new();
    for (padding, stride, dilation, groups) in [
        (Padding::Same, 1, 1, 1),
        (Padding::Valid, 2, 1, 1),
        (Padding::Explicit([(2, 1), (0, 3)]), 3, 2, 1),
        (Padding::Same, 2, 2, 3),
        (Padding::Same, 1, 1, 12),
        (Padding::Same, 2, 1, 12),
    ] {
        for [in_c, out_c] in [[12, 24], [12, 12], [36, 12], [60, 60]] {
            let conv = Conv2d { strides: [stride, 1], dilation: [dilation, 1], padding, groups };
            let (x, w) = ([2, 9, 11, in_c], [3, 3, in_c / groups, out_c]);
            let place = conv.place(&x, &w).unwrap();
            let y = [2, place.out[0], place.out[1], out_c];
            let fact = |shape: [usize; 4]| Fact::new(shape, DType::F32);
            let input_grad = Op::Conv2dInputGrad(Conv2dInputGrad { conv: conv.clone(), size: [9, 11] });
            let filter_grad = Op::Conv2dFilterGrad(Conv2dFilterGrad { conv: conv.clone(), kernel_size: [3, 3] });
            for (op, first, second) in [(Op::Conv2d(conv), x, w), (input_grad, y, w), (filter_grad, x, y)] {
                let mut g = Graph::new();
                let (first, second) = (g.input(fact(first)), g.input(fact(second)));
                around(&mut g, first, |g, first| g.apply(op, &[first, second]).unwrap());
                forced(&g, &mut runs);
            }
        }
    }
    for name in super::candidates::NAMES.iter().filter(|n| !["gemm_vector", "plain"].contains(n)) {
        assert!(runs.contains_key(name), "{name}: {runs:?}");
    }
}

#[test]
fn kernels_of_products_are_valid() {
    let mut runs = BTreeMap::new();
    for [rows, cols, inner] in [[1, 10, 84], [4, 128, 256], [33, 130, 100], [64, 64, 64], [3, 7, 5]] {
        for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut g = Graph::new();
            let a = if transpose_a { [3, inner, rows] } else { [3, rows, inner] };
            let b = if transpose_b { [3, cols, inner] } else { [3, inner, cols] };
            let (a, b) = (g.input(Fact::new(a, DType::F32)), g.input(Fact::new(b, DType::F32)));
            around(&mut g, a, |g, a| g.apply(MatMul { transpose_a, transpose_b }, &[a, b]).unwrap());
            forced(&g, &mut runs);
        }
    }
    assert!(runs.contains_key("gemm_vector"), "{runs:?}");
}

#[test]
fn kernels_of_regions_and_reductions_are_valid() {
    for shape in [[2, 3, 4, 8], [64, 32, 32, 64], [5, 7, 3, 3], [1, 1, 1, 1], [1, 1, 1, 100_000]] {
        for dtype in [DType::F32, DType::F16, DType::U8] {
            let mut g = Graph::new();
            let x = g.input(Fact::new(shape, dtype));
            let bias = g.input(Fact::new([shape[3]], DType::F32));
            let x = g.apply(Cast { dtype: DType::F32, loose: false }, &[x]).unwrap();
            let y = g.add(x, bias).unwrap();
            let narrow = g.apply(Cast { dtype, loose: false }, &[y]).unwrap();
            let squares = g.mul(y, y).unwrap();
            let sums =
                [&[0usize, 1, 2][..], &[3], &[0, 1, 2, 3], &[1, 2]].map(|axes| g.sum(squares, axes, false).unwrap());
            let stats = g.apply(ChannelStats, &[y]).unwrap();
            g.set_outputs([y, narrow, stats].into_iter().chain(sums).collect());
            let caps = caps(Vendor::Nvidia);
            validate(&steps(&g, &context(&caps)));
        }
    }
}

/// Regions of several extents and types, some of which wait for sums of others.
fn dependent_regions(rng: &mut Rng) -> Graph {
    const SHAPES: [&[usize]; 6] = [&[], &[3], &[16], &[5, 8], &[7, 3], &[300, 300]];
    let mut g = Graph::new();
    let mut scales = vec![g.input(Fact::new([], DType::F32))];
    let mut outputs = Vec::new();
    for _ in 0..24 {
        let shape = SHAPES[rng.below(6)];
        let x = g.input(Fact::new(shape, [DType::F32, DType::F16, DType::U8][rng.below(3)]));
        let bias = g.input(Fact::new(&shape[shape.len().saturating_sub(1)..], DType::F32));
        let x = g.cast(x, DType::F32).unwrap();
        let y = g.mul(x, scales[rng.below(scales.len())]).unwrap();
        let y = g.add(y, bias).unwrap();
        outputs.push(y);
        if shape.len() > 1 || rng.below(2) == 0 {
            let axes: Vec<usize> = (0..shape.len()).collect();
            let sum = g.sum(y, &axes, false).unwrap();
            scales.push(g.unary(Function::Tanh, sum).unwrap());
        }
    }
    outputs.extend(scales.drain(1..));
    g.set_outputs(outputs);
    g
}

#[test]
fn joint_steps_run_behind_what_they_read() {
    let mut rng = Rng::new(41);
    let mut shared = 0;
    for _ in 0..4 {
        let g = dependent_regions(&mut rng);
        let caps = caps(Vendor::Nvidia);
        let fusion = fusion::fuse(&g, &Gpu.traits().limits, true, &[]).unwrap();
        let before = steps(&g, &context(&caps));
        let names = |steps: &[Step<StepKernels>]| {
            let mut names: Vec<Vec<NodeId>> = steps.iter().map(|step| step.outputs.clone()).collect();
            names.sort();
            names
        };
        let expected = names(&before);
        let mut schedule = schedule::schedule(&g, &fusion, before, &PlanOptions::default()).unwrap();
        joints::join(&mut schedule);
        assert_eq!(names(&schedule.steps), expected, "each step is there once");
        let mut made: HashSet<NodeId> = HashSet::new();
        let ours: HashSet<NodeId> = expected.into_iter().flatten().collect();
        let mut rest = &schedule.steps[..];
        while let Some(first) = rest.first() {
            let together = first.code.joint.as_ref().map_or(1, |joint| joint.members.len());
            let (group, behind) = rest.split_at(together);
            let mut read = group.iter().flat_map(|step| &step.inputs);
            assert!(read.all(|input| made.contains(input) || !ours.contains(input)), "{g}");
            made.extend(group.iter().flat_map(|step| &step.outputs));
            assert!(together == 1 || group.iter().all(|step| step.code.dispatches.is_empty()));
            let members = first.code.joint.iter().flat_map(|joint| &joint.members);
            let outputs: Vec<&Vec<NodeId>> = members.map(|member| &member.outputs).collect();
            assert!(outputs.is_empty() || group.iter().map(|step| &step.outputs).eq(outputs));
            shared += together - 1;
            rest = behind;
        }
    }
    assert!(shared >= 9, "{shared}");
}

#[test]
fn tiles_take_the_shared_memory_that_they_say() {
    let mut g = Graph::new();
    let a = g.input(Fact::new([256, 256], DType::F32));
    let b = g.input(Fact::new([256, 256], DType::F32));
    let y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, b]).unwrap();
    g.set_outputs(vec![y]);
    let caps = caps(Vendor::Nvidia);
    for (name, form) in super::candidates::FORMS {
        for (dtype, element) in [(DType::F32, Element::F32), (DType::F16, Element::F16), (DType::BF16, Element::BF16)] {
            let bytes = match (form.means, element) {
                (Means::Tile(tile), Element::F32) => tile.shared_bytes(element),
                (Means::Halves(tile), Element::F16 | Element::BF16) => {
                    assert_eq!(tile.shared_bytes(element) * 2, tile.shared_bytes(Element::F32));
                    tile.shared_bytes(element)
                }
                (Means::Matrices(grid), Element::F16) => grid.shared_bytes(caps.fragment.unwrap()),
                _ => continue,
            };
            let g = if dtype == DType::F32 { g.clone() } else { of_halves(&g, dtype) };
            let context = Context { tier: Tier::Tiled, forced: Some(name), ..context(&caps) };
            assert_eq!(validate(&steps(&g, &context))[0], (name, bytes));
            let tiles = !matches!(form.means, Means::Matrices(_));
            assert!(!tiles || bytes <= 16 << 10, "two workgroups share what the least of devices has");
        }
    }
}

/// The kernel of a product of 4096 whose operands may be rounded to `operands`.
fn of_a_product(operands: Option<DType>, caps: Caps, halves: Halves) -> &'static str {
    let mut g = Graph::new();
    let [a, b] = [0; 2].map(|_| g.input(Fact::new([4096, 4096], DType::F32)));
    let y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, b]).unwrap();
    g.set_operands(y, operands);
    g.set_outputs(vec![y]);
    steps(&g, &Context { tier: Tier::Auto, halves, ..context(&caps) })[0].code.name
}

#[test]
fn halves_are_computed_as_the_device_the_user_and_the_self_test_let() {
    let f16 = Some(DType::F16);
    let nvidia = caps(Vendor::Nvidia);
    let alone = |vendor| Caps { fragment: None, ..caps(vendor) };
    assert_eq!(of_a_product(None, nvidia, Halves::Auto), "gemm_128x128", "a layer of float32");
    assert_eq!(of_a_product(f16, nvidia, Halves::Auto), "matrix_128x128");
    // Matrices that did not pass the self-test; a vendor whose tiles gain by halves, and one whose do not.
    assert_eq!(of_a_product(f16, nvidia, Halves::AutoTiles), "gemm_128x128");
    assert_eq!(of_a_product(f16, alone(Vendor::Amd), Halves::AutoTiles), "half_128x128");
    assert_eq!(of_a_product(f16, alone(Vendor::Apple), Halves::Auto), "half_128x128");
    // What the user says.
    assert_eq!(of_a_product(f16, nvidia, Halves::Never), "gemm_128x128");
    assert_eq!(of_a_product(f16, nvidia, Halves::Tiles), "half_128x128");
    assert_eq!(of_a_product(f16, alone(Vendor::Nvidia), Halves::Matrices), "half_128x128");
    assert_eq!(of_a_product(None, nvidia, Halves::Matrices), "gemm_128x128");
    // Matrices are of float16; bfloat16 needs no feature of the device.
    let none = Caps { float16: false, ..alone(Vendor::Nvidia) };
    assert_eq!(of_a_product(Some(DType::BF16), nvidia, Halves::Matrices), "half_128x128");
    assert_eq!(of_a_product(Some(DType::BF16), none, Halves::Tiles), "half_128x128");
    assert_eq!(of_a_product(f16, none, Halves::Tiles), "gemm_128x128");
}

#[test]
fn what_is_chosen_follows_from_shapes() {
    let chosen = |rows: usize, cols: usize, inner: usize, tier: Tier| {
        let mut g = Graph::new();
        let a = g.input(Fact::new([rows, inner], DType::F32));
        let b = g.input(Fact::new([inner, cols], DType::F32));
        let y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, b]).unwrap();
        g.set_outputs(vec![y]);
        steps(&g, &Context { tier, ..context(&caps(Vendor::Nvidia)) })[0].code.name
    };
    assert_eq!(chosen(4096, 4096, 4096, Tier::Auto), "gemm_128x128");
    assert_eq!(chosen(100_000, 64, 576, Tier::Auto), "gemm_128x64");
    assert_eq!(chosen(1, 1000, 2048, Tier::Auto), "gemm_vector");
    assert!(chosen(64, 64, 1 << 20, Tier::Auto).ends_with("_split"));
    assert!(chosen(8, 8, 8, Tier::Tiled).starts_with("gemm_"), "a tier that is asked for has its kernels");
    assert_eq!(chosen(4096, 4096, 4096, Tier::Plain), "matmul");
    assert_eq!(chosen(8, 8, 8, Tier::Auto), "matmul", "what is over in a moment takes no tile");
}

/// The kernels of a middle layer of ResNet-18 on a batch of 128: forward, gradients of input and filters.
fn of_a_layer(tier: Tier, precision: Precision, forced: Option<&str>) -> Vec<&'static str> {
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    let mut g = Graph::new();
    let [x, dy] = [0; 2].map(|_| g.input(Fact::new([128, 16, 16, 256], DType::F32)));
    let w = g.input(Fact::new([3, 3, 256, 256], DType::F32));
    let y = g.apply(conv.clone(), &[x, w]).unwrap();
    let dx = g.apply(Conv2dInputGrad { conv: conv.clone(), size: [16, 16] }, &[dy, w]).unwrap();
    let dw = g.apply(Conv2dFilterGrad { conv, kernel_size: [3, 3] }, &[x, dy]).unwrap();
    g.set_outputs(vec![y, dx, dw]);
    let caps = Caps { tensor_bytes: 1 << 30, ..caps(Vendor::Nvidia) };
    let context = Context { tier, precision, forced, ..context(&caps) };
    steps(&g, &context).iter().map(|step| step.code.name).collect()
}

#[test]
fn strict_plans_and_lower_tiers_sum_the_products_themselves() {
    for tier in [Tier::Winograd, Tier::Auto] {
        assert_eq!(of_a_layer(tier, Precision::Fast, None), ["winograd_2x2"; 3]);
    }
    for (tier, precision) in
        [(Tier::Winograd, Precision::Strict), (Tier::Auto, Precision::Strict), (Tier::Tiled, Precision::Fast)]
    {
        for forced in [None, Some("winograd_2x2")] {
            let names = of_a_layer(tier, precision, forced);
            assert!(names.iter().all(|name| name.starts_with("gemm_128x128")), "{names:?}");
        }
    }
    assert_eq!(of_a_layer(Tier::Plain, Precision::Fast, None), ["conv2d", "conv2d_input_grad", "conv2d_filter_grad"]);
}

/// m, v and the weight are read and written by one dispatch, in vectors.
#[test]
fn an_update_by_adam_is_one_dispatch() {
    let mut g = Graph::new();
    let [w, m, v, grad] = [0; 4].map(|_| g.input(Fact::new([3, 3, 64, 128], DType::F32)));
    let rate = g.input(Fact::new([], DType::F32));
    let toward = |g: &mut Graph, from, to, share| {
        let d = g.sub(to, from).unwrap();
        let d = g.scale(d, share).unwrap();
        g.add(from, d).unwrap()
    };
    let m = toward(&mut g, m, grad, 0.1);
    let square = g.unary(Function::Square, grad).unwrap();
    let v = toward(&mut g, v, square, 1e-3);
    let root = g.unary(Function::Sqrt, v).unwrap();
    let root = g.offset(root, 1e-7).unwrap();
    let step = g.mul(m, rate).unwrap();
    let step = g.div(step, root).unwrap();
    let w = g.sub(w, step).unwrap();
    g.set_outputs(vec![w, m, v]);
    let caps = caps(Vendor::Nvidia);
    let steps = steps(&g, &Context { tier: Tier::Plain, ..context(&caps) });
    let [step] = &steps[..] else { panic!("{} steps", steps.len()) };
    let [dispatch] = &step.code.dispatches[..] else { panic!("{} dispatches", step.code.dispatches.len()) };
    assert_eq!(dispatch.text.matches("array<vec4<u32>>").count(), 7, "{}", dispatch.text);
}

/// A workspace that holds two of five images: the filters once, then tiles, products and outputs of 2, 2 and 1.
#[test]
fn batches_beyond_the_workspace_run_in_turns() {
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    let mut g = Graph::new();
    let x = g.input(Fact::new([5, 24, 24, 4], DType::F32));
    let w = g.input(Fact::new([3, 3, 4, 8], DType::F32));
    let y = g.apply(conv, &[x, w]).unwrap();
    g.set_outputs(vec![y]);
    for (vendor, dispatches) in [(Vendor::Software, 3 * 3), (Vendor::Nvidia, 3)] {
        let caps = caps(vendor);
        let context = Context { tier: Tier::Auto, forced: Some("winograd_2x2"), ..context(&caps) };
        let code = &steps(&g, &context)[0].code;
        let found = (code.name, code.packing.len(), code.dispatches.len());
        assert_eq!(found, ("winograd_2x2", 1, dispatches), "{vendor:?}");
    }
}
