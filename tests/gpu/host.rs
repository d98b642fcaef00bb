//! Steps that the host computes in the middle of a run.

use super::*;
use cnnrs::ops::Real;
use cnnrs::ops::fft::Fft;
use cnnrs::ops::linalg::Linalg;
use cnnrs::ops::matmul::MatMul;
use cnnrs::ops::non_max_suppression::NonMaxSuppression;

fn product(g: &mut Graph, a: cnnrs::NodeId, b: cnnrs::NodeId, transpose_b: bool) -> cnnrs::NodeId {
    g.apply(MatMul { transpose_a: false, transpose_b }, &[a, b]).unwrap()
}

/// Kernels of the device stand before, between and behind the steps of the host.
#[test]
fn they_stand_between_kernels() {
    if !is_asked() {
        return;
    }
    let mut g = Graph::new();
    let x = g.input(Fact::new([3, 5, 5], DType::F32));
    let gram = product(&mut g, x, x, true);
    let definite = g.offset(gram, 0.5).unwrap();
    let eye = g.input(Fact::new([5, 5], DType::F32));
    let definite = g.add(definite, eye).unwrap();
    let lower = g.apply(Linalg::Cholesky, &[definite]).unwrap();
    let squares = g.unary(Function::Square, lower).unwrap();
    let solved = g.apply(Linalg::Solve { transposed: false }, &[definite, squares]).unwrap();
    let pairs = g.reshape(solved, [15, 5, 1].into()).unwrap();
    let pairs = g.broadcast_to(pairs, [15, 5, 2].into()).unwrap();
    let turned = g.apply(Fft { inverse: false }, &[pairs]).unwrap();
    let loss = g.sum(turned, &[0, 1, 2], false).unwrap();
    let grads = cnnrs::passes::autodiff::differentiate(&mut g, loss, &[x], None).unwrap();
    g.set_outputs([turned, lower].into_iter().chain(grads.into_iter().flatten()).collect());
    let x = Rng::new(5).array(&Fact::new([3, 5, 5], DType::F32));
    let eye = RefArray::from_shape_fn(&[5, 5][..], |i| f64::from(i[0] == i[1]));
    let inputs = [x, eye];
    let (here, there) = (run(&Cpu, &g, &inputs), run(&Gpu, &g, &inputs));
    for (a, b) in here.iter().zip(&there) {
        let (a, b) = (to_values(a), to_values(b));
        let size = a.iter().fold(0.0f64, |size, x| size.max(x.abs()));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-4 * size), "{a:?}\n{b:?}");
    }
    let plan = plan(&Gpu, &g, true);
    assert!(plan.describe().contains("host"), "{}", plan.describe());
    let once = plan.run(&mut slots(&g, &inputs), &|| false).unwrap();
    let again = plan.run(&mut slots(&g, &inputs), &|| false).unwrap();
    assert!(
        bytes(once) == bytes(again) && bytes(there) == bytes(plan.run(&mut slots(&g, &inputs), &|| false).unwrap())
    );
}

/// Boxes that the device moves are chosen by the host, and the choice goes back to the device: the CPU's choice, with
/// classes and without, in the hard form and in the soft one, whose scores the host computes in f64.
#[test]
fn boxes_are_chosen_between_kernels() {
    if !is_asked() {
        return;
    }
    for (sigma, classes) in [(0.0, false), (0.0, true), (0.25, true)] {
        let mut g = Graph::new();
        let corners = g.input(Fact::new([2, 40, 4], DType::F32));
        let scores = g.input(Fact::new([2, 40], DType::F32));
        let moved = g.offset(corners, 0.25).unwrap();
        let op =
            NonMaxSuppression { count: 9, overlap: Real::new(0.3), least: Real::new(-0.5), sigma: Real::new(sigma) };
        let class = classes.then(|| {
            let zero = g.offset(scores, 0.0).unwrap();
            g.cast(zero, DType::I32).unwrap()
        });
        let inputs: Vec<_> = [moved, scores].into_iter().chain(class).collect();
        let chosen = g.apply(op, &inputs).unwrap();
        let doubled = g.add(chosen, chosen).unwrap();
        g.set_outputs(vec![chosen, doubled]);
        let mut rng = Rng::new(11);
        let inputs = [rng.array(&Fact::new([2, 40, 4], DType::F32)), rng.array(&Fact::new([2, 40], DType::F32))];
        let (here, there) = (run(&Cpu, &g, &inputs), run(&Gpu, &g, &inputs));
        let plan = plan(&Gpu, &g, true);
        assert!(plan.describe().contains("host"), "{}", plan.describe());
        assert!(to_values(&here[0]).iter().filter(|x| **x >= 1.0).count() > 4, "too few boxes are chosen to tell");
        for (here, there) in here.iter().zip(&there) {
            let pairs = to_values(here).into_iter().zip(to_values(there));
            for (at, (here, there)) in pairs.enumerate() {
                let limit = if sigma > 0.0 && at % 2 == 1 { 1e-6 } else { 0.0 };
                assert!((here - there).abs() <= limit, "sigma {sigma}, classes {classes}: {here} and {there}");
            }
        }
    }
}

/// A variable whose new value the host computes, and an index that is looked up beside it.
fn assigning() -> (Variable, CompiledFunction) {
    let start = [2.0f32, 0.0, 0.0, 4.0];
    let variable = Variable::new(&Tensor::from_slice(&[2, 2], &start).unwrap(), false, "v").unwrap();
    let trace = Trace::enter();
    let x = trace.placeholder(Fact::new([2, 2], DType::F32), "x");
    let index = trace.placeholder(Fact::new([1], DType::I32), "index");
    let sum = variable.value().apply_binary("add", &x).unwrap();
    let inverse = Tensor::apply(Linalg::Inverse, &[sum]).unwrap();
    variable.assign(&inverse).unwrap();
    let row = Tensor::apply(Gather { axis: 0 }, &[x, index]).unwrap();
    let f = trace.compile(&[row]).unwrap();
    (variable, f)
}

#[test]
fn a_run_that_fails_writes_nothing() {
    if !is_asked() {
        return;
    }
    let (variable, f) = assigning();
    let matrix = |elements: [f32; 4]| Tensor::from_slice(&[2, 2], &elements).unwrap();
    let index = |at: i32| Tensor::from_slice(&[1], &[at]).unwrap();
    let held = |variable: &Variable| variable.value().to_vec::<f32>().unwrap();
    // Bad data of the device: the host's step, which commits, writes nothing.
    let error = f.call(&[matrix([0.0; 4]), index(7)]).and_then(|made| made[0].to_vec::<f32>()).unwrap_err();
    assert!(error.to_string().contains("index 7"), "{error}");
    assert_eq!(held(&variable), [2.0, 0.0, 0.0, 4.0]);
    // A matrix without an inverse.
    let error = f.call(&[matrix([-2.0, 0.0, 0.0, 0.0]), index(1)]).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("matrix 0 is singular"), "{error}");
    assert_eq!(held(&variable), [2.0, 0.0, 0.0, 4.0]);
    f.call(&[matrix([0.0; 4]), index(1)]).unwrap();
    assert_eq!(held(&variable), [0.5, 0.0, 0.0, 0.25]);
}
