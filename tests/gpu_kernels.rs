//! Every kernel of the GPU backend, forced by name, against the reference in f64: shapes at the edges of its tiles, all
//! attributes, with work attached on both sides. `make test-gpu` runs this; elsewhere these tests do nothing.
#![cfg(feature = "gpu")]

use cnnrs::backend::device::Backend;
use cnnrs::backend::gpu::Gpu;
use cnnrs::backend::gpu::device;
use cnnrs::backend::gpu::lower::candidates::{FORMS, Means, NAMES};
use cnnrs::graph::{NodeId, interpret};
use cnnrs::ops::channel_stats::ChannelStats;
use cnnrs::ops::conv2d::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad};
use cnnrs::ops::matmul::MatMul;
use cnnrs::ops::pointwise::{Cast, Function};
use cnnrs::ops::reduce::ReduceKind;
use cnnrs::ops::window::Padding;
use cnnrs::ops::{Op, RefArray};
use cnnrs::plan::{Plan, PlanOptions, Slot};
use cnnrs::testing::{Rng, adversarial_epilogue, adversarial_prologue, to_buffer, to_values};
use cnnrs::{DType, Fact, Graph};
use std::collections::BTreeMap;

/// Relative to the largest value of an output: sums of at most some thousand products in f32.
const TOLERANCE: f64 = 2e-5;

/// Whether this run is one of the GPU.
fn is_asked() -> bool {
    let asked = cnnrs::backend::current().unwrap().backend().traits().name == "gpu";
    if !asked {
        println!("did not run: CNNRS_DEVICE is not gpu");
    }
    asked
}

type Runs = BTreeMap<&'static str, usize>;

/// Runs `g`, fused, under the name of a kernel, and compares; returns whether the kernel ran, and the bytes of all outputs.
fn check(g: &Graph, name: Option<&'static str>, inputs: &[RefArray], expected: &[RefArray]) -> (bool, Vec<Vec<u8>>) {
    let (target, force_kernel) = (Some(Gpu.target(0).unwrap()), name.map(str::to_owned));
    let options = PlanOptions { force_kernel, target, ..PlanOptions::default() };
    let plan = Plan::compile_on(&Gpu, g, &options).unwrap_or_else(|e| panic!("{e}\n{g}"));
    let ran = name.is_some_and(|name| plan.describe().split_whitespace().any(|word| word == name));
    // The plain kernel, which runs where this one does not fit, rounds no operands.
    if !ran && name.is_some_and(|name| !rounds(name).is_empty()) {
        return (false, Vec::new());
    }
    let slot = |(x, &i): (&RefArray, &NodeId)| Slot::shared(to_buffer(x, g.fact(i)));
    let mut slots: Vec<Slot> = inputs.iter().zip(g.inputs()).map(slot).collect();
    let outputs = plan.run(&mut slots, &|| false).unwrap_or_else(|e| panic!("{e}\n{g}"));
    for (k, (got, expected)) in outputs.iter().zip(expected).enumerate() {
        let scale = expected.iter().fold(1.0f64, |m, v| if v.is_finite() { m.max(v.abs()) } else { m });
        let tolerance = if got.fact().dtype == DType::F16 { 1e-3 } else { TOLERANCE };
        for (e, (a, b)) in to_values(got).iter().zip(expected.iter()).enumerate() {
            let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * scale;
            assert!(same, "output {k}[{e}], {name:?}: {a}, reference {b}\n{}\n{g}", plan.describe());
        }
    }
    (ran, outputs.iter().map(|buffer| buffer.bytes().to_vec()).collect())
}

/// The kernels `names`, each forced; those that fit are counted.
fn check_names(g: &Graph, names: &[&'static str], runs: &mut Runs) {
    let inputs = Rng::new(g.inputs().len() as u64).inputs(g);
    let expected = interpret(g, &inputs).unwrap_or_else(|e| panic!("{e}\n{g}"));
    for &name in names {
        if check(g, Some(name), &inputs, &expected).0 {
            *runs.entry(name).or_default() += 1;
        }
    }
}

/// The types of 16 bits to which a kernel rounds operands: none for those of float32.
fn rounds(name: &str) -> &'static [DType] {
    match FORMS.iter().find(|form| form.0 == name).map(|form| form.1.means) {
        Some(Means::Halves(_)) => &[DType::F16, DType::BF16],
        Some(Means::Matrices(_)) => &[DType::F16],
        _ => &[],
    }
}

/// The kernels that round operands to `operands`, or to nothing, and that this device has.
fn names_of(operands: Option<DType>) -> Vec<&'static str> {
    let caps = device::get(0).unwrap().facts.caps;
    let fits = |name: &&str| match operands {
        None => rounds(name).is_empty(),
        Some(dtype) => {
            let has =
                if name.starts_with("matrix") { caps.fragment.is_some() } else { dtype == DType::BF16 || caps.float16 };
            has && rounds(name).contains(&dtype)
        }
    };
    NAMES.into_iter().filter(fits).collect()
}

/// Draws some kernels, so that many graphs meet all of them.
fn drawn(rng: &mut Rng, operands: Option<DType>, count: usize) -> Vec<&'static str> {
    let mut names = names_of(operands);
    let first = rng.below(names.len());
    // Names far apart are of different kinds.
    names.rotate_left(first);
    (0..count).map(|_| names.remove(5 % names.len())).collect()
}

/// Kernels of each pass and type in random order, none a second time before all others.
#[derive(Default)]
struct Decks(BTreeMap<String, Vec<&'static str>>);

impl Decks {
    fn draw(&mut self, rng: &mut Rng, pass: Pass, operands: Option<DType>) -> &'static str {
        let left = self.0.entry(format!("{pass:?} {operands:?}")).or_default();
        if left.is_empty() {
            *left = names_of(operands);
        }
        left.swap_remove(rng.below(left.len()))
    }
}

/// `x` as a layer of 16 bits gets it.
fn narrowed(g: &mut Graph, x: NodeId, operands: Option<DType>) -> NodeId {
    let Some(dtype) = operands else { return x };
    let half = g.cast_loosely(x, dtype).unwrap();
    g.cast(half, DType::F32).unwrap()
}

fn f32s(shape: &[usize]) -> Fact {
    Fact::new(shape, DType::F32)
}

/// An epilogue of which kernels of the GPU carry all: a bias by column, a residual, a function, and two stores.
fn epilogue(g: &mut Graph, y: NodeId, half: bool) {
    let fact = g.fact(y).clone();
    let bias = g.input(f32s(&fact.shape[fact.shape.rank().saturating_sub(1)..]));
    let residual = g.input(fact);
    let y = g.add(y, bias).unwrap();
    let y = g.add(y, residual).unwrap();
    let z = g.unary(Function::Relu, y).unwrap();
    let z = if half { g.apply(Cast { dtype: DType::F16, loose: false }, &[z]).unwrap() } else { z };
    g.set_outputs(vec![y, z]);
}

fn product(
    lead: [&[usize]; 2],
    [rows, cols, inner]: [usize; 3],
    transposed: [bool; 2],
    half: bool,
    operands: Option<DType>,
) -> Graph {
    let mut g = Graph::new();
    let shape = |lead: &[usize], a: usize, b: usize, t: bool| -> Vec<usize> {
        let last = if t { [b, a] } else { [a, b] };
        lead.iter().copied().chain(last).collect()
    };
    let a = g.input(f32s(&shape(lead[0], rows, inner, transposed[0])));
    let b = g.input(f32s(&shape(lead[1], inner, cols, transposed[1])));
    let [a, b] = [a, b].map(|x| narrowed(&mut g, x, operands));
    let y = g.apply(MatMul { transpose_a: transposed[0], transpose_b: transposed[1] }, &[a, b]).unwrap();
    epilogue(&mut g, y, half);
    g
}

const TRANSPOSED: [[bool; 2]; 4] = [[false, false], [true, false], [false, true], [true, true]];

#[test]
fn products_at_the_edges_of_tiles() {
    if !is_asked() {
        return;
    }
    let mut runs = Runs::new();
    let has = |name: &str| [None, Some(DType::F16), Some(DType::BF16)].iter().any(|&d| names_of(d).contains(&name));
    for (k, (name, form)) in FORMS.into_iter().filter(|form| has(form.0)).enumerate() {
        let [rows, cols] = form.tile().unwrap_or([4, 64]);
        let near = |n: usize, by: isize| n.strict_add_signed(by);
        let sizes = [
            [near(rows, -1), near(cols, 1), 100],
            [rows, cols, 48],
            [near(rows, if form.tile().is_some() { 1 } else { -1 }), near(cols, -1), 49],
            [rows - rows / 4, 2 * cols + 4, 100],
        ];
        for (j, sizes) in sizes.into_iter().enumerate() {
            let types = rounds(name);
            let operands = types.get(j % types.len().max(1)).copied();
            let g = product([&[], &[]], sizes, TRANSPOSED[(k + j) % 4], j % 2 == 0, operands);
            check_names(&g, &[name], &mut runs);
        }
        assert_eq!(runs.get(name), Some(&4), "{name}: {runs:?}");
    }
}

#[test]
fn batches_of_products_in_all_ways_to_lie() {
    if !is_asked() {
        return;
    }
    let (mut runs, mut rng) = (Runs::new(), Rng::new(1));
    for transposed in TRANSPOSED {
        for (a, b) in [(&[3, 2][..], &[3, 2][..]), (&[3, 1], &[2]), (&[], &[5]), (&[4], &[]), (&[1, 3], &[2, 1])] {
            for sizes in [[4, 36, 68], [5, 7, 49], [1, 8, 64]] {
                for (operands, count) in [(None, 3), (Some(DType::F16), 1), (Some(DType::BF16), 1)] {
                    let g = product([a, b], sizes, transposed, false, operands);
                    check_names(&g, &drawn(&mut rng, operands, count), &mut runs);
                }
            }
        }
    }
    for operands in [None, Some(DType::F16), Some(DType::BF16)] {
        let gemm = |name: &&str| FORMS.iter().any(|form| form.0 == *name);
        for name in names_of(operands).into_iter().filter(gemm) {
            assert!(runs.get(name).is_some_and(|&n| n >= 5), "{name}: {runs:?}");
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Pass {
    Forward,
    InputGrad,
    FilterGrad,
}

const PASSES: [Pass; 3] = [Pass::Forward, Pass::InputGrad, Pass::FilterGrad];

/// A primitive of a convolution with work on both sides; `None` where windows do not fit.
fn convolution(
    pass: Pass,
    conv: &Conv2d,
    x: [usize; 4],
    w: [usize; 4],
    sums: bool,
    operands: Option<DType>,
) -> Option<Graph> {
    let place = conv.place(&x, &w).ok()?;
    let y = [x[0], place.out[0], place.out[1], w[3]];
    let (first, second) = match pass {
        Pass::Forward => (x, w),
        Pass::InputGrad => (y, w),
        Pass::FilterGrad => (x, y),
    };
    let mut g = Graph::new();
    let (first, second) = (g.input(f32s(&first)), g.input(f32s(&second)));
    let first = adversarial_prologue(&mut g, first).unwrap();
    let [first, second] = [first, second].map(|x| narrowed(&mut g, x, operands));
    let conv = conv.clone();
    let op = match pass {
        Pass::Forward => Op::Conv2d(conv),
        Pass::InputGrad => Op::Conv2dInputGrad(Conv2dInputGrad { conv, size: [x[1], x[2]] }),
        Pass::FilterGrad => Op::Conv2dFilterGrad(Conv2dFilterGrad { conv, kernel_size: [w[0], w[1]] }),
    };
    let y = g.apply(op, &[first, second]).unwrap();
    match sums {
        true => adversarial_epilogue(&mut g, y).unwrap(),
        false => epilogue(&mut g, y, x[3].is_multiple_of(2)),
    }
    Some(g)
}

/// What convolutions have been computed by.
struct Seen {
    rng: Rng,
    decks: Decks,
    /// How often a kernel ran, by pass and name.
    runs: BTreeMap<String, usize>,
}

impl Seen {
    fn new(seed: u64) -> Self {
        Seen { rng: Rng::new(seed), decks: Decks::default(), runs: BTreeMap::new() }
    }
}

/// All passes of a convolution under the next names of those that round to nothing, and of one of both types.
fn check_conv(conv: &Conv2d, [x, w]: [[usize; 4]; 2], sums: bool, seen: &mut Seen) {
    let Seen { rng, decks, runs } = seen;
    let half = if rng.below(2) == 0 { DType::F16 } else { DType::BF16 };
    for pass in PASSES {
        for operands in [None, Some(half)] {
            let Some(g) = convolution(pass, conv, x, w, sums, operands) else { continue };
            let mut own = Runs::new();
            check_names(&g, &[decks.draw(rng, pass, operands)], &mut own);
            own.into_iter().for_each(|(name, n)| *runs.entry(format!("{pass:?} {name}")).or_default() += n);
        }
    }
}

#[test]
fn convolutions_over_all_attributes() {
    if !is_asked() {
        return;
    }
    let mut seen = Seen::new(4);
    for padding in [Padding::Valid, Padding::Same, Padding::Explicit([(2, 1), (0, 3)])] {
        for stride in [1, 2, 3] {
            for dilation in [1, 2] {
                let conv = |groups| Conv2d { strides: [stride, 1], dilation: [dilation; 2], padding, groups };
                check_conv(&conv(1), [[2, 7, 9, 5], [3, 2, 5, 7]], stride == 2, &mut seen);
                check_conv(&conv(1), [[1, 7, 9, 8], [3, 3, 8, 12]], false, &mut seen);
                check_conv(&conv(3), [[1, 6, 6, 12], [2, 3, 4, 24]], false, &mut seen);
                check_conv(&conv(8), [[2, 6, 5, 8], [3, 3, 1, 8]], false, &mut seen);
                check_conv(&conv(5), [[1, 6, 5, 5], [3, 3, 1, 10]], false, &mut seen);
            }
        }
    }
    for pass in PASSES {
        for name in NAMES.iter().filter(|name| name.starts_with("gemm") && !name.ends_with("vector")) {
            // Strided input gradients have phases, which are not cut: too few of the others to be sure of each name.
            let least = match (pass, name.ends_with("_split")) {
                (Pass::InputGrad, true) => 0,
                (_, true) => 1,
                (_, false) => 3,
            };
            let count = seen.runs.get(&format!("{pass:?} {name}")).copied().unwrap_or(0);
            assert!(count >= least, "{pass:?} {name} ran {count} times: {:?}", seen.runs);
        }
    }
}

#[test]
fn convolutions_at_the_edges_of_tiles() {
    if !is_asked() {
        return;
    }
    let mut seen = Seen::new(4);
    let conv = |stride: usize, padding| Conv2d { strides: [stride; 2], dilation: [1, 1], padding, groups: 1 };
    for (in_c, out_c) in [(16, 32), (17, 33), (4, 64), (64, 31), (3, 130), (68, 4)] {
        check_conv(&conv(1, Padding::Same), [[1, 8, 8, in_c], [3, 3, in_c, out_c]], false, &mut seen);
        check_conv(&conv(2, Padding::Same), [[2, 9, 8, in_c], [3, 3, in_c, out_c]], false, &mut seen);
        check_conv(&conv(1, Padding::Valid), [[3, 1, 1, in_c], [1, 1, in_c, out_c]], false, &mut seen);
        check_conv(&conv(2, Padding::Valid), [[1, 11, 13, in_c], [1, 1, in_c, out_c]], false, &mut seen);
    }
    // Few pixels are few rows.
    let mut few = Runs::new();
    for (in_c, out_c) in [(16, 32), (17, 33), (3, 130), (68, 4)] {
        for (pass, height) in [(Pass::Forward, 3), (Pass::InputGrad, 1)] {
            let window = [height, 3, in_c, out_c];
            let g = convolution(pass, &conv(1, Padding::Valid), [1, height, 4, in_c], window, false, None).unwrap();
            check_names(&g, &["gemm_vector"], &mut few);
        }
    }
    assert_eq!(few["gemm_vector"], 8);
}

/// Images of odd and even sizes, whole tiles and parts of them, and sums over tiles in one part and in several.
#[test]
fn convolutions_over_transformed_tiles() {
    if !is_asked() {
        return;
    }
    let mut runs = Runs::new();
    for padding in [Padding::Valid, Padding::Same, Padding::Explicit([(2, 1), (0, 3)])] {
        let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding, groups: 1 };
        for [batch, height, width, in_c, out_c] in [[2, 5, 8, 4, 8], [1, 3, 3, 36, 4], [3, 8, 7, 8, 12]] {
            for pass in PASSES {
                let g = convolution(pass, &conv, [batch, height, width, in_c], [3, 3, in_c, out_c], batch == 2, None);
                check_names(&g.unwrap(), &["winograd_2x2"], &mut runs);
            }
        }
    }
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    // A driver that computes on the processor takes these in turns, the last of fewer images.
    for pass in PASSES {
        let large = convolution(pass, &conv, [5, 24, 24, 4], [3, 3, 4, 8], false, None).unwrap();
        check_names(&large, &["winograd_2x2"], &mut runs);
    }
    assert_eq!(runs["winograd_2x2"], 30);
}

#[test]
fn convolutions_of_one_filter_a_channel() {
    if !is_asked() {
        return;
    }
    let mut runs = Runs::new();
    for padding in [Padding::Valid, Padding::Same, Padding::Explicit([(2, 1), (0, 3)])] {
        for (stride, dilation, kernel) in
            [(1, 1, [3, 3]), (2, 1, [3, 5]), (3, 1, [2, 2]), (1, 2, [3, 2]), (4, 2, [1, 3])]
        {
            for channels in [4, 20, 7] {
                let conv = Conv2d { strides: [stride; 2], dilation: [dilation; 2], padding, groups: channels };
                for pass in PASSES {
                    let filters = [kernel[0], kernel[1], 1, channels];
                    // The filters' gradient is a kernel of its own, of which an epilogue has to be taken off.
                    let sums = pass == Pass::FilterGrad;
                    let Some(g) = convolution(pass, &conv, [2, 9, 11, channels], filters, sums, None) else { continue };
                    check_names(&g, &["depthwise"], &mut runs);
                }
            }
        }
    }
    assert!(runs["depthwise"] > 80, "{runs:?}");
}

/// Sums over all kinds of axes: what one lane sums, what lanes sum, and what is cut into parts.
#[test]
fn reductions_of_every_cut() {
    if !is_asked() {
        return;
    }
    let cases: [(&[usize], &[usize]); 9] = [
        (&[5, 7], &[1]),
        (&[3, 4, 33], &[0, 1]),
        (&[70, 40, 5], &[0, 1]),
        (&[2, 300, 3], &[1]),
        (&[6, 1000], &[1]),
        (&[40_000], &[0]),
        (&[3000, 4], &[0]),
        (&[9000, 1, 3], &[0]),
        (&[17, 129, 31], &[0, 2]),
    ];
    for (shape, axes) in cases {
        for dtype in [DType::F32, DType::F16, DType::U8] {
            let mut g = Graph::new();
            let x = g.input(Fact::new(shape, dtype));
            let x = g.apply(Cast { dtype: DType::F32, loose: false }, &[x]).unwrap();
            let squares = g.mul(x, x).unwrap();
            let reduce = |g: &mut Graph, x, kind| g.reduce(kind, x, axes, false).unwrap();
            let outputs = [
                reduce(&mut g, x, ReduceKind::Sum),
                reduce(&mut g, squares, ReduceKind::Sum),
                reduce(&mut g, x, ReduceKind::Max),
                reduce(&mut g, squares, ReduceKind::Min),
            ];
            let test = g.apply(Cast { dtype: DType::Bool, loose: false }, &[squares]).unwrap();
            let any = reduce(&mut g, test, ReduceKind::Max);
            g.set_outputs(outputs.into_iter().chain([any]).collect());
            let inputs = Rng::new(3).inputs(&g);
            check(&g, None, &inputs, &interpret(&g, &inputs).unwrap());
        }
    }
}

/// Means far from 0 against the spread, which differences of squares would lose, and infinities.
#[test]
fn statistics_of_channels() {
    if !is_asked() {
        return;
    }
    for shape in [[1, 1, 3], [2, 20, 5], [40, 50, 64], [300, 70, 3], [1, 9000, 1]] {
        let mut g = Graph::new();
        let x = g.input(f32s(&shape));
        let y = g.apply(ChannelStats, &[x]).unwrap();
        g.set_outputs(vec![y]);
        let mut x = Rng::new(9).inputs(&g).remove(0);
        x.mapv_inplace(|v| f64::from((v + 1000.0) as f32));
        let expected = interpret(&g, &[x.clone()]).unwrap().remove(0);
        let target = Some(Gpu.target(0).unwrap());
        let plan = Plan::compile_on(&Gpu, &g, &PlanOptions { target, ..PlanOptions::default() }).unwrap();
        let run = |x: &RefArray| {
            let slot = Slot::shared(to_buffer(x, &f32s(&shape)));
            to_values(&plan.run(&mut [slot], &|| false).unwrap()[0])
        };
        for (k, (a, b)) in run(&x).iter().zip(&expected).enumerate() {
            let tolerance = if k < shape[2] { 1e-6 } else { 1e-4 };
            assert!((a - b).abs() <= tolerance * b.abs().max(1e-3), "{shape:?} [{k}]: {a}, reference {b}");
        }
        x[[0, 0, 0]] = f64::INFINITY;
        let odd = run(&x);
        assert!(odd[0] == f64::INFINITY && odd[shape[2]].is_nan(), "{odd:?}");
    }
}

/// Partial sums meet in one order.
#[test]
fn sums_in_parts_have_the_same_bits_in_each_run() {
    if !is_asked() {
        return;
    }
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    let g = convolution(Pass::FilterGrad, &conv, [8, 16, 16, 8], [3, 3, 8, 16], true, None).unwrap();
    let inputs = Rng::new(2).inputs(&g);
    let expected = interpret(&g, &inputs).unwrap();
    let (ran, first) = check(&g, Some("gemm_32x32_split"), &inputs, &expected);
    assert!(ran);
    for _ in 0..5 {
        assert!(check(&g, Some("gemm_32x32_split"), &inputs, &expected).1 == first);
    }
}

/// float16 holds no number beyond 65504: operands are infinite there, and sums and products are those of float32.
#[test]
fn what_float16_does_not_hold_is_infinite_in_operands_and_a_number_in_sums() {
    if !is_asked() {
        return;
    }
    const INNER: usize = 100_000;
    const ROWS: [f64; 3] = [1.0, 6e4, 1e5];
    for operands in [DType::F16, DType::BF16] {
        let mut g = Graph::new();
        let (a, b) = (g.input(f32s(&[3, INNER])), g.input(f32s(&[INNER, 4])));
        let [x, y] = [a, b].map(|x| narrowed(&mut g, x, Some(operands)));
        let y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[x, y]).unwrap();
        g.set_outputs(vec![y]);
        // A row and a column of ones; the others have one number.
        let a = RefArray::from_shape_fn(vec![3, INNER], |at| if at[0] == 0 || at[1] == 7 { ROWS[at[0]] } else { 0.0 });
        let b = RefArray::from_shape_fn(vec![INNER, 4], |at| match (at[1], at[0]) {
            (0, _) => 1.0,
            (1, 7) => 6e4,
            (2, 7) => -1e5,
            _ => 0.0,
        });
        let expected = interpret(&g, &[a.clone(), b.clone()]).unwrap();
        let flat: Vec<f64> = expected[0].iter().copied().collect();
        assert_eq!(flat[0], 1e5, "the sum of ones");
        match operands {
            DType::F16 => assert!(flat[5] == 3.6e9 && flat[2] == f64::NEG_INFINITY && flat[8] == f64::INFINITY),
            _ => assert!(flat.iter().all(|v| v.is_finite())),
        }
        for name in names_of(Some(operands)).into_iter().filter(|name| name.ends_with("_split")) {
            let target = Some(Gpu.target(0).unwrap());
            let options = PlanOptions { force_kernel: Some(name.to_owned()), target, ..PlanOptions::default() };
            let plan = Plan::compile_on(&Gpu, &g, &options).unwrap();
            assert!(plan.describe().contains(name), "{}", plan.describe());
            let mut slots = [&a, &b].map(|x| Slot::shared(to_buffer(x, &f32s(x.shape()))));
            let got = to_values(&plan.run(&mut slots, &|| false).unwrap()[0]);
            for (k, (a, b)) in got.iter().zip(&flat).enumerate() {
                assert!(a == b || (a.is_nan() && b.is_nan()), "{name} of {operands} [{k}]: {a}, reference {b}");
            }
        }
    }
}
