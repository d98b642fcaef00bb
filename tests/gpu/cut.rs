//! Tensors that are larger than a binding: cut along the outermost axis, refused where that cannot be.

use super::*;
use cnnrs::NodeId;
use cnnrs::ops::arg_reduce::ArgReduce;
use cnnrs::ops::argsort::Argsort;
use cnnrs::ops::conv2d::Conv2dFilterGrad;
use cnnrs::ops::matmul::MatMul;
use cnnrs::ops::movement::{Concat, Iota, Pad, Slice};
use cnnrs::ops::reduce::ReduceKind;
use cnnrs::ops::scan::Scan;

/// What `test` of this file prints in a process that binds 4 KiB of a tensor.
fn under_a_limit(test: &str) -> String {
    let said = apart(module_path!(), test, &[("CNNRS_GPU_BINDING_BYTES", "4096"), ("CNNRS_GPU_SELFTEST", "never")]);
    assert!(said.len() > 100);
    said
}

/// `test` prints the same bits in such a process and in one that binds as much as the device does.
fn same_bits_under_a_limit(test: &str) {
    let whole = apart(module_path!(), test, &[("CNNRS_GPU_TIER", "auto"), ("CNNRS_GPU_SELFTEST", "never")]);
    assert_eq!(under_a_limit(test), whole);
}

/// Prints the bits of a plan that is compiled under `force`, and compares with the reference; under the limit it has to be cut.
fn print(name: &str, g: &Graph, force: Option<&str>, donated: bool) {
    print_with(name, g, force, donated, 3);
}

/// The same of a plan whose largest step has so many dispatches at least under the limit.
fn print_with(name: &str, g: &Graph, force: Option<&str>, donated: bool, least: usize) {
    let inputs = Rng::new(31).inputs(g);
    let donations: Vec<(usize, usize)> = if donated { vec![(0, 0)] } else { Vec::new() };
    let (target, force_kernel) = (Some(Gpu.target(0).unwrap()), force.map(str::to_owned));
    let options = PlanOptions { target, donations, force_kernel, ..PlanOptions::default() };
    let plan = Plan::compile_on(&Gpu, g, &options).unwrap_or_else(|e| panic!("{e}\n{g}"));
    let mut slots = slots(g, &inputs);
    if donated {
        slots[0] = Slot::donated(to_buffer(&inputs[0], g.fact(g.inputs()[0])));
    }
    let outputs = plan.run(&mut slots, &|| false).unwrap();
    let expected = interpret(g, &inputs).unwrap();
    for (k, (got, expected)) in outputs.iter().zip(&expected).enumerate() {
        let tolerance = if got.fact().dtype == DType::F16 { 1e-3 } else { 1e-5 };
        for (e, (a, b)) in to_values(got).iter().zip(expected).enumerate() {
            assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{name}, output {k}[{e}]: {a}, expected {b}");
        }
    }
    let sum = bytes(outputs).iter().fold(0u64, |sum, &byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    println!("bits {name} {sum}");
    if std::env::var_os("CNNRS_GPU_BINDING_BYTES").is_some() {
        let most = plan.describe().lines().filter_map(dispatches).max();
        assert!(most >= Some(least), "{name} is not cut:\n{}", plan.describe());
    }
}

fn dispatches(line: &str) -> Option<usize> {
    line.split_once(" ×")?.1.split_once(' ')?.0.parse().ok()
}

#[test]
fn pointwise_work_is_cut_and_gives_the_same_bits() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        return same_bits_under_a_limit("pointwise_work_is_cut_and_gives_the_same_bits");
    }
    for (name, shape) in [("quads", &[40, 12, 8][..]), ("odd", &[4099]), ("rows", &[67, 5, 9])] {
        // In order: of any number of elements.
        let mut g = Graph::new();
        let x = g.input(Fact::new(shape, DType::F32));
        let rate = g.input(Fact::new([], DType::F32));
        let y = g.mul(x, rate).unwrap();
        let y = g.unary(Function::Tanh, y).unwrap();
        g.set_outputs(vec![y]);
        print(&format!("in order, {name}"), &g, None, false);
        print(&format!("donated, {name}"), &g, None, true);
    }
    // By rows: operands of all rows, of each, and of columns; halves, and what is stored twice. 64 rows of one number begin
    // where bindings may.
    let mut g = Graph::new();
    let x = g.input(Fact::new([500, 2, 4], DType::F16));
    let bias = g.input(Fact::new([4], DType::F32));
    let scale = g.input(Fact::new([500, 1, 1], DType::F32));
    let x = g.cast(x, DType::F32).unwrap();
    let y = g.mul(x, scale).unwrap();
    let y = g.add(y, bias).unwrap();
    let half = g.cast(y, DType::F16).unwrap();
    g.set_outputs(vec![y, half]);
    print("by rows", &g, None, false);
    // Sums of each row and of parts of it.
    let mut g = Graph::new();
    let x = g.input(Fact::new([500, 2, 4], DType::F32));
    let y = g.unary(Function::Exp, x).unwrap();
    let sums = g.sum(y, &[1, 2], false).unwrap();
    let most = g.reduce(ReduceKind::Max, x, &[2], false).unwrap();
    g.set_outputs(vec![sums, most]);
    print("reductions", &g, None, false);
}

#[test]
fn heavy_work_is_cut_by_images_and_gives_the_same_bits() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        return same_bits_under_a_limit("heavy_work_is_cut_by_images_and_gives_the_same_bits");
    }
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    for kernel in ["plain", "gemm_32x32"] {
        let mut g = Graph::new();
        let x = g.input(Fact::new([9, 8, 8, 8], DType::F32));
        let w = g.input(Fact::new([3, 3, 8, 8], DType::F32));
        let [bias, scale] = [0; 2].map(|_| g.input(Fact::new([8], DType::F32)));
        let residual = g.input(Fact::new([9, 8, 8, 8], DType::F32));
        let before = g.mul(x, scale).unwrap();
        let before = g.unary(Function::Relu, before).unwrap();
        let y = g.apply(conv.clone(), &[before, w]).unwrap();
        let y = g.add(y, bias).unwrap();
        let y = g.add(y, residual).unwrap();
        let y = g.unary(Function::Tanh, y).unwrap();
        g.set_outputs(vec![y]);
        print(&format!("convolution, {kernel}"), &g, Some(kernel), false);
        let mut g = Graph::new();
        let a = g.input(Fact::new([200, 24], DType::F32));
        let b = g.input(Fact::new([24, 8], DType::F32));
        let y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, b]).unwrap();
        g.set_outputs(vec![y]);
        print(&format!("product, {kernel}"), &g, Some(kernel), false);
    }
    let mut g = Graph::new();
    let x = g.input(Fact::new([9, 8, 8, 8], DType::F32));
    let y = g.apply(Op::parse("max_pool2d", Attributes::new([])).unwrap(), &[x]).unwrap();
    let z = g.transpose(x, &[0, 3, 1, 2]).unwrap();
    g.set_outputs(vec![y, z]);
    print("pooling and a transposition", &g, None, false);
}

/// Sums that are cut are added up in another order: they agree with the reference, and with each other to the bit.
fn agree_under_a_limit(test: &str) {
    assert_eq!(under_a_limit(test), under_a_limit(test));
}

#[test]
fn sums_over_rows_are_sums_of_parts() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        return agree_under_a_limit("sums_over_rows_are_sums_of_parts");
    }
    // Of narrow and of wide rows, which are more than a part has and fewer, to one number and to many.
    let kinds = [ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min];
    for (name, shape, axes) in [
        ("columns", &[700, 3][..], &[0][..]),
        ("few rows", &[7, 320], &[0]),
        ("everything", &[33, 5, 17], &[0, 1, 2]),
        ("the outer and the inner", &[40, 16, 6], &[0, 2]),
        ("behind an axis of one", &[1, 90, 20], &[0, 1]),
    ] {
        for kind in kinds {
            let mut g = Graph::new();
            let x = g.input(Fact::new(shape, DType::F32));
            let y = g.reduce(kind, x, axes, false).unwrap();
            g.set_outputs(vec![y]);
            print(&format!("{kind:?} of {name}"), &g, None, false);
        }
    }
    // With what is stored beside, in 16 bits, of what is broadcast, and more of them than one dispatch takes.
    let mut g = Graph::new();
    let x = g.input(Fact::new([150, 4, 8], DType::F16));
    let scale = g.input(Fact::new([8], DType::F32));
    let x = g.cast(x, DType::F32).unwrap();
    let y = g.mul(x, scale).unwrap();
    let squares = g.unary(Function::Square, y).unwrap();
    let mut outputs = vec![g.cast(y, DType::F16).unwrap()];
    for (value, kind) in [y, squares].into_iter().flat_map(|value| kinds.map(|kind| (value, kind))) {
        outputs.push(g.reduce(kind, value, &[0, 1], false).unwrap());
    }
    g.set_outputs(outputs);
    print("sums beside what is stored", &g, None, false);
    // Of integers.
    let mut g = Graph::new();
    let x = g.input(Fact::new([900, 3], DType::I32));
    let y = g.reduce(ReduceKind::Sum, x, &[0], false).unwrap();
    g.set_outputs(vec![y]);
    print("integers", &g, None, false);
    let mut g = Graph::new();
    let x = g.input(Fact::new([30, 5, 5, 6], DType::F32));
    let y = g.apply(ChannelStats, &[x]).unwrap();
    g.set_outputs(vec![y]);
    print("moments", &g, None, false);
}

#[test]
fn gradients_of_filters_and_weights_are_sums_of_parts() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        return agree_under_a_limit("gradients_of_filters_and_weights_are_sums_of_parts");
    }
    // The parts of a split sum lie in one binding.
    for (kernel, groups, cols) in
        [("plain", 1, 8), ("gemm_32x32", 1, 8), ("gemm_32x32_split", 1, 4), ("depthwise", 8, 8)]
    {
        let mut g = Graph::new();
        let x = g.input(Fact::new([9, 8, 8, 8], DType::F32));
        let scale = g.input(Fact::new([8], DType::F32));
        let dy = g.input(Fact::new([9, 4, 4, cols], DType::F32));
        let conv = Conv2d { strides: [2, 2], dilation: [1, 1], padding: Padding::Same, groups };
        let x = g.mul(x, scale).unwrap();
        let x = g.unary(Function::Relu, x).unwrap();
        let dw = g.apply(Conv2dFilterGrad { conv, kernel_size: [3, 3] }, &[x, dy]).unwrap();
        let dw = g.scale(dw, 0.01).unwrap();
        g.set_outputs(vec![dw]);
        print(&format!("filters, {kernel}"), &g, Some(kernel), false);
    }
    // Columns in fours and not; what is attached to the sum.
    for (kernel, cols) in [("plain", 8), ("gemm_32x32", 8), ("gemm_32x32", 7)] {
        let mut g = Graph::new();
        let a = g.input(Fact::new([300, 5], DType::F32));
        let b = g.input(Fact::new([300, cols], DType::F32));
        let weights = g.input(Fact::new([5, cols], DType::F32));
        let dw = g.apply(MatMul { transpose_a: true, transpose_b: false }, &[a, b]).unwrap();
        let dw = g.scale(dw, 0.05).unwrap();
        let y = g.sub(weights, dw).unwrap();
        g.set_outputs(vec![y]);
        print(&format!("weights, {kernel}, {cols}"), &g, Some(kernel), false);
    }
}

#[test]
fn ops_that_move_or_make_elements_are_cut_and_give_the_same_bits() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        return same_bits_under_a_limit("ops_that_move_or_make_elements_are_cut_and_give_the_same_bits");
    }
    let large: &[usize] = &[400, 7];
    let concat = |shapes: &'static [[usize; 2]], axis: i64| {
        (shapes.iter().map(|shape| &shape[..]).collect::<Vec<_>>(), Op::from(Concat { axis }))
    };
    let slice = |starts: [usize; 2], counts: [usize; 2], steps: [i64; 2]| {
        Op::from(Slice {
            starts: starts.as_slice().into(),
            counts: counts.as_slice().into(),
            steps: steps.as_slice().into(),
        })
    };
    let pad = |before: [usize; 2], inner: [usize; 2], value: f64| {
        let [before, after, inner] = [before, [3, 1], inner].map(|counts| counts.as_slice().into());
        Op::from(Pad { before, after, inner, value: Real::new(value) })
    };
    type Case<'a> = (&'a str, (Vec<&'a [usize]>, Op));
    let cases: Vec<Case> = vec![
        ("some rows", (vec![&[800, 7]], slice([250, 1], [540, 5], [1, 1]))),
        ("rows from behind", (vec![&[800, 7]], slice([798, 0], [390, 7], [-2, 1]))),
        ("rows far behind", (vec![large], pad([500, 0], [0, 0], 2.0))),
        ("rows between", (vec![&[150, 7]], pad([1, 2], [3, 1], -1.0))),
        ("three, one behind the other", concat(&[[400, 7], [1, 7], [300, 7]], 0)),
        ("three side by side", concat(&[[400, 7], [400, 1], [400, 3]], 1)),
        ("many side by side", concat(&[[400, 1], [400, 2], [400, 3], [400, 1], [400, 2], [400, 3], [400, 4]], 1)),
        (
            "running sums",
            (vec![large], Scan { kind: ReduceKind::Sum, axis: 1, reverse: true, exclusive: false }.into()),
        ),
        ("orders", (vec![large], Argsort { axis: 1, descending: true, count: None }.into())),
        ("places", (vec![large], ArgReduce { largest: true, axis: Some(1), keepdims: false }.into())),
    ];
    for (name, (shapes, op)) in cases {
        let mut g = Graph::new();
        let inputs: Vec<NodeId> = shapes.iter().map(|&shape| g.input(Fact::new(shape, DType::F32))).collect();
        let y = g.apply(op, &inputs).unwrap();
        g.set_outputs(vec![y]);
        print(name, &g, None, false);
    }
    // What is small and read of what is not.
    let mut g = Graph::new();
    let x = g.input(Fact::new(large, DType::F32));
    let y = g.apply(slice([399, 0], [1, 7], [1, 1]), &[x]).unwrap();
    g.set_outputs(vec![y]);
    print_with("one row", &g, None, false, 1);
    // Of a key, with work behind them that is cut alike; of numbers in 8 bits; and of rows that a mask leaves out.
    let state = |g: &mut Graph| g.input(Fact::new([2], DType::I32));
    for (name, distribution) in [
        ("bits", Distribution::Bits),
        ("uniform", Distribution::Uniform),
        ("normal", Distribution::Normal),
        ("bernoulli", Distribution::Bernoulli { p: Real::new(0.3) }),
    ] {
        let mut g = Graph::new();
        let state = state(&mut g);
        let y = g.apply(Random { distribution, shape: [1, 9001].into() }, &[state]).unwrap();
        g.set_outputs(vec![y]);
        print(name, &g, None, false);
    }
    let mut g = Graph::new();
    let state = state(&mut g);
    let x = g.input(Fact::new([70, 6, 8], DType::F32));
    let scale = g.input(Fact::new([8], DType::F32));
    let kept = g.apply(Random { distribution: Distribution::Uniform, shape: [70, 6, 8].into() }, &[state]).unwrap();
    let kept = g.mul(kept, scale).unwrap();
    let y = g.mul(kept, x).unwrap();
    g.set_outputs(vec![y]);
    print("numbers with a region", &g, None, false);
    let mut g = Graph::new();
    let y = g.apply(Iota { shape: [900, 5].into(), axis: 0, dtype: DType::I32 }, &[]).unwrap();
    g.set_outputs(vec![y]);
    print("counts", &g, None, false);
    // Looked up, in rows and along them.
    for axis in [0, 1] {
        let mut g = Graph::new();
        let x = g.input(Fact::new([30, 8], DType::F32));
        let indices = g.input(Fact::new([190], DType::I32));
        let y = g.apply(Gather { axis }, &[x, indices]).unwrap();
        g.set_outputs(vec![y]);
        print(&format!("looked up along {axis}"), &g, None, false);
    }
    let mut g = Graph::new();
    let indices = g.input(Fact::new([1500], DType::I32));
    let y = g.apply(OneHot { depth: 5, dtype: DType::F32, strict: false }, &[indices]).unwrap();
    g.set_outputs(vec![y]);
    print("vectors", &g, None, false);
}

#[test]
fn what_is_bad_in_a_piece_is_named_by_its_place_in_the_whole() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        let test = "what_is_bad_in_a_piece_is_named_by_its_place_in_the_whole";
        return same_bits_under_a_limit(test);
    }
    // Indices that lie in two windows, of which both have bad ones, or the second alone.
    for bad in [&[700usize, 1400][..], &[1400], &[0, 1499]] {
        let mut g = Graph::new();
        let indices = g.input(Fact::new([1500], DType::I32));
        let y = g.apply(OneHot { depth: 5, dtype: DType::F32, strict: true }, &[indices]).unwrap();
        g.set_outputs(vec![y]);
        let values: Vec<i32> =
            (0..1500).map(|k| if bad.contains(&k) { 1000 + k as i32 } else { k as i32 % 5 }).collect();
        let slot = Slot::shared(Buffer::from_slice(&[1500], &values).unwrap());
        let error = plan(&Gpu, &g, true).run(&mut [slot], &|| false).unwrap_err();
        let (place, value) = (bad[0], 1000 + bad[0]);
        let said = error.to_string();
        assert!(said.contains(&value.to_string()) && said.contains(&place.to_string()), "{said}");
        println!("bits {said} {}", "-".repeat(60));
    }
}

#[test]
fn what_cannot_be_cut_is_refused_with_both_sizes_and_the_way_out() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        let name = "what_cannot_be_cut_is_refused_with_both_sizes_and_the_way_out";
        apart(module_path!(), name, &[("CNNRS_GPU_BINDING_BYTES", "4096"), ("CNNRS_GPU_SELFTEST", "never")]);
        let refused = std::panic::catch_unwind(|| apart(module_path!(), name, &[("CNNRS_GPU_BINDING_BYTES", "few")]));
        let said = *refused.unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains("CNNRS_GPU_BINDING_BYTES: expected a number of bytes"), "{said}");
        return;
    }
    // Each product is of all columns of what is bound by rows; each image is larger than a binding.
    let sums: fn(&mut Graph) -> NodeId = |g| {
        let a = g.input(Fact::new([4, 64], DType::F32));
        let b = g.input(Fact::new([64, 32], DType::F32));
        g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, b]).unwrap()
    };
    let image: fn(&mut Graph) -> NodeId = |g| {
        let x = g.input(Fact::new([2, 32, 32, 2], DType::F32));
        g.apply(Op::parse("max_pool2d", Attributes::new([])).unwrap(), &[x]).unwrap()
    };
    for (make, bytes) in [(sums, 8192), (image, 16384)] {
        let mut g = Graph::new();
        g.set_origin(Some("layer far".into()));
        let y = make(&mut g);
        g.set_outputs(vec![y]);
        let options = PlanOptions { target: Some(Gpu.target(0).unwrap()), ..PlanOptions::default() };
        let error = Plan::compile_on(&Gpu, &g, &options).map(drop).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind, ErrorKind::Memory);
        let said = ["binds at most 4096 bytes", &format!("{bytes} at once"), "smaller batches", "layer far"];
        assert!(said.iter().all(|part| text.contains(part)), "{text}");
    }
}
