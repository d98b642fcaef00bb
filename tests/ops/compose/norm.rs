use super::{check, close, float, infer, int, ints, op, real};
use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, interpret};
use cnnrs::ops::RefArray;
use cnnrs::passes::{autodiff::differentiate, optimise};
use cnnrs::plan::PlanOptions;
use cnnrs::testing::{Rng, check_gradients, check_plan, run_plan, to_values};
use ndarray::Axis;

/// Statistics over the last axis of (rows, n) or, transposed, over the rows.
fn normalise(x: &RefArray, axis: usize, epsilon: f64) -> RefArray {
    let mean = x.mean_axis(Axis(axis)).unwrap().insert_axis(Axis(axis));
    let d = x - &mean;
    let variance = (&d * &d).mean_axis(Axis(axis)).unwrap().insert_axis(Axis(axis));
    &d / &variance.mapv(|v| (v + epsilon).sqrt())
}

fn flat(x: &RefArray, rows: usize, columns: usize) -> RefArray {
    x.clone().into_shape_with_order(&[rows, columns][..]).unwrap()
}

#[test]
fn batch_norm_and_its_gradient() {
    for shape in [&[6, 3][..], &[2, 3, 2, 5], &[4, 1]] {
        let channels = *shape.last().unwrap();
        let rows = shape.iter().product::<usize>() / channels;
        let facts = [float(shape), float(&[channels]), float(&[channels])];
        check(&op("batch_norm", [("epsilon", real(0.01))]), &facts, 2.0, |x| {
            let y = normalise(&flat(&x[0], rows, channels), 0, 0.01) * &x[1] + &x[2];
            y.into_shape_with_order(shape).unwrap()
        });
    }
}

#[test]
fn batch_norm_shares_its_statistics() {
    let mut g = Graph::new();
    let x = g.input(float(&[4, 3]));
    let vector = g.input(float(&[3]));
    let stats = g.apply(op("channel_stats", []), &[x]).unwrap();
    let y = g.apply(op("batch_norm", []), &[x, vector, vector]).unwrap();
    let dx = differentiate(&mut g, y, &[x], None).unwrap()[0].unwrap();
    g.set_outputs(vec![stats, y, dx]);
    let g = optimise(&g).unwrap();
    let count = g.nodes().iter().filter(|n| n.op.def().name() == "channel_stats").count();
    assert_eq!(count, 1, "{g}");
}

#[test]
fn second_derivatives_of_batch_norm() {
    let mut g = Graph::new();
    let x = g.input(float(&[5, 2]));
    let (gamma, beta) = (g.input(float(&[2])), g.input(float(&[2])));
    let y = g.apply(op("batch_norm", [("epsilon", real(0.1))]), &[x, gamma, beta]).unwrap();
    let s = g.unary(cnnrs::ops::pointwise::Function::Square, y).unwrap();
    let dx = differentiate(&mut g, s, &[x], None).unwrap()[0].unwrap();
    check_gradients(&mut g, dx, &[x, gamma], &mut Rng::new(2));
}

#[test]
fn batch_norm_with_given_statistics() {
    let facts = [float(&[2, 3, 4]), float(&[4]), float(&[4]), float(&[4]), float(&[4])];
    // ε keeps the random variances, which may be negative here, away from 0.
    check(&op("batch_norm_inference", [("epsilon", real(4.0))]), &facts, 1.0, |x| {
        (&x[0] - &x[1]) / &x[2].mapv(|v| (v + 4.0).sqrt()) * &x[3] + &x[4]
    });
}

#[test]
fn layer_norm_and_its_gradient() {
    let facts = [float(&[2, 3, 4]), float(&[4]), float(&[4])];
    check(&op("layer_norm", [("epsilon", real(0.01))]), &facts, 2.0, |x| normalise(&x[0], 2, 0.01) * &x[1] + &x[2]);
    let facts = [float(&[2, 3, 4]), float(&[3, 4]), float(&[3, 4])];
    check(&op("layer_norm", [("axes", ints(&[-1, 1])), ("epsilon", real(0.01))]), &facts, 2.0, |x| {
        let y = normalise(&flat(&x[0], 2, 12), 1, 0.01).into_shape_with_order(&[2, 3, 4][..]).unwrap();
        y * &x[1] + &x[2]
    });
    // Over an axis that is not the last, and over one of extent 1 beside it.
    let facts = [float(&[3, 1, 2]), float(&[3]), float(&[3])];
    check(&op("layer_norm", [("axes", ints(&[0])), ("epsilon", real(0.01))]), &facts, 2.0, |x| {
        let column = |v: &RefArray| v.clone().insert_axis(Axis(1)).insert_axis(Axis(2));
        normalise(&x[0], 0, 0.01) * column(&x[1]) + column(&x[2])
    });
}

#[test]
fn operands_that_do_not_fit_are_named() {
    let e = infer(&op("batch_norm", []), &[float(&[2, 3]), float(&[2]), float(&[3])]).unwrap_err();
    assert!(e.to_string().contains("gamma: expected shape (3,)"), "{e}");
    let e = infer(&op("layer_norm", []), &[float(&[2, 3]), float(&[3]), float(&[2])]).unwrap_err();
    assert!(e.to_string().contains("beta: expected shape (3,)"), "{e}");
    let e = infer(&op("dropout", []), &[float(&[2, 3]), float(&[2])]).unwrap_err();
    assert!(e.to_string().contains("state"), "{e}");
}

fn dropped(state: [f64; 2], rate: f64) -> Vec<f64> {
    let mut g = Graph::new();
    let (x, s) = (g.input(float(&[40, 25])), g.input(int(&[2])));
    let y = g.apply(op("dropout", [("rate", real(rate))]), &[x, s]).unwrap();
    g.set_outputs(vec![y]);
    let inputs = [RefArray::ones(&[40, 25][..]), ndarray::arr1(&state).into_dyn()];
    let y = to_values(&run_plan(&g, &PlanOptions::default(), &inputs)[0]);
    let expected = interpret(&g, &inputs).unwrap().remove(0);
    assert!(y.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
    y
}

#[test]
fn dropout_draws_from_its_state() {
    let first = dropped([3.0, 0.0], 0.25);
    assert_eq!(first, dropped([3.0, 0.0], 0.25));
    for other in [[3.0, 1.0], [4.0, 0.0]] {
        let y = dropped(other, 0.25);
        let differing = first.iter().zip(&y).filter(|(a, b)| a != b).count();
        // 2 · 0.25 · 0.75 of 1000, five deviations wide.
        assert!((297..=453).contains(&differing), "{differing}");
    }
    assert!(first.iter().all(|&v| v == 0.0 || (v - 4.0 / 3.0).abs() < 1e-6));
    let kept = first.iter().filter(|v| **v > 0.0).count();
    assert!((681..=819).contains(&kept), "{kept}");
    assert!(dropped([0.0, 0.0], 0.0).iter().all(|&v| v == 1.0));
    assert!(dropped([0.0, 0.0], 1.0).iter().all(|&v| v == 0.0));
}

#[test]
fn two_states_in_one_graph_do_not_merge() {
    let mut g = Graph::new();
    let x = g.input(float(&[64]));
    let (s, t) = (g.input(int(&[2])), g.input(int(&[2])));
    let a = g.apply(op("dropout", []), &[x, s]).unwrap();
    let b = g.apply(op("dropout", []), &[x, t]).unwrap();
    let again = g.apply(op("dropout", []), &[x, s]).unwrap();
    assert_ne!(a, b);
    assert_eq!(a, again);
    g.set_outputs(vec![a, b]);
    let state = |v: f64| RefArray::from_shape_vec(&[2][..], vec![9.0, v]).unwrap();
    let y = interpret(&g, &[RefArray::ones(&[64][..]), state(0.0), state(1.0)]).unwrap();
    assert_ne!(y[0], y[1]);
}

#[test]
fn the_gradient_of_dropout_has_its_mask() {
    let mut g = Graph::new();
    let (x, s) = (g.input(float(&[64])), g.input(int(&[2])));
    let y = g.apply(op("dropout", [("rate", real(0.5))]), &[x, s]).unwrap();
    let dx = differentiate(&mut g, y, &[x], None).unwrap()[0].unwrap();
    g.set_outputs(vec![y, dx]);
    let inputs = [RefArray::ones(&[64][..]), ndarray::arr1(&[1.0, 2.0]).into_dyn()];
    let values = interpret(&g, &inputs).unwrap();
    close(&values[1], &values[0], "mask");
    assert_eq!(g.fact(dx).dtype, DType::F32);
    check_plan(&g, &mut Rng::new(1), 1e-6);
}
