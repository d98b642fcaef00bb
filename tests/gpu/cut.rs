//! Tensors that are larger than a binding: cut along the outermost axis where rows are computed apart, refused elsewhere.

use super::*;
use cnnrs::NodeId;
use cnnrs::ops::matmul::MatMul;

/// Runs `test` of this file in a process that binds 4 KiB of a tensor, and one that binds as much as the device does; both
/// print the same bits.
fn same_bits_under_a_limit(test: &str) {
    let [whole, cut] = [("CNNRS_GPU_TIER", "auto"), ("CNNRS_GPU_BINDING_BYTES", "4096")]
        .map(|variable| apart(module_path!(), test, &[variable, ("CNNRS_GPU_SELFTEST", "never")]));
    assert!(whole.len() > 100 && whole == cut);
}

/// Prints the bits of a plan that is compiled under `force`, and compares with the reference; under the limit it has to be cut.
fn print(name: &str, g: &Graph, force: Option<&str>, donated: bool) {
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
        assert!(most > Some(2), "{name} is not cut:\n{}", plan.describe());
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
    let most = g.reduce(cnnrs::ops::reduce::ReduceKind::Max, x, &[2], false).unwrap();
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
    // Each sum is of all rows; each image is larger than a binding.
    let sums: fn(&mut Graph) -> NodeId = |g| {
        let x = g.input(Fact::new([64, 32], DType::F32));
        g.sum(x, &[0], false).unwrap()
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
