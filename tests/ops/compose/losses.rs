use super::{check, close, float, infer, int, op};
use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, interpret};
use cnnrs::ops::{Attribute, RefArray};
use cnnrs::passes::autodiff::differentiate;
use cnnrs::plan::{Plan, PlanOptions, Slot};
use cnnrs::testing::{Rng, check_gradients, check_plan_on, to_buffer};
use ndarray::{Axis, Zip};

fn softmax(x: &RefArray, axis: usize) -> RefArray {
    let e = x.mapv(f64::exp);
    let s = e.sum_axis(Axis(axis)).insert_axis(Axis(axis));
    &e / &s
}

#[test]
fn softmax_along_any_axis() {
    for axis in [-1, 1, 0] {
        let at = if axis < 0 { 2 } else { axis as usize };
        let facts = [float(&[3, 4, 5])];
        check(&op("softmax", [("axis", Attribute::Int(axis))]), &facts, 3.0, |x| softmax(&x[0], at));
        check(&op("log_softmax", [("axis", Attribute::Int(axis))]), &facts, 3.0, |x| softmax(&x[0], at).mapv(f64::ln));
    }
}

#[test]
fn losses_agree_with_their_formulas() {
    let targets = op("softmax_cross_entropy", []);
    check(&targets, &[float(&[3, 4, 5]), float(&[3, 4, 5])], 2.0, |x| {
        -(&x[1] * softmax(&x[0], 2).mapv(f64::ln)).sum_axis(Axis(2))
    });
    check(&op("sigmoid_cross_entropy", []), &[float(&[3, 7]), float(&[3, 7])], 2.0, |x| {
        Zip::from(&x[0]).and(&x[1]).map_collect(|&x, &z| {
            let p = 1.0 / (1.0 + (-x).exp());
            -(z * p.ln() + (1.0 - z) * (1.0 - p).ln())
        })
    });
}

#[test]
fn sparse_cross_entropy_takes_the_logarithm_at_the_label() {
    for (shape, dtype) in [(&[4][..], DType::I32), (&[2, 3], DType::U8), (&[], DType::I32)] {
        let mut g = Graph::new();
        let all: Vec<usize> = shape.iter().copied().chain([5]).collect();
        let logits = g.input(float(&all));
        let labels = g.input(cnnrs::Fact::new(shape, dtype));
        let loss = g.apply(op("sparse_softmax_cross_entropy", []), &[logits, labels]).unwrap();
        g.set_outputs(vec![loss]);
        let x = Rng::new(3).array(g.fact(logits));
        let l = RefArray::from_shape_vec(shape, (0..g.fact(labels).shape.len()).map(|i| (i * 3 % 5) as f64).collect());
        let inputs = [x, l.unwrap()];
        let p = softmax(&inputs[0], shape.len());
        let rows = p.iter().copied().collect::<Vec<_>>();
        let expected = inputs[1].iter().enumerate().map(|(i, &l)| -rows[i * 5 + l as usize].ln()).collect();
        let expected = RefArray::from_shape_vec(shape, expected).unwrap();
        close(&interpret(&g, &inputs).unwrap()[0], &expected, "loss");
        check_plan_on(&g, &inputs, 1e-6);
        // d = softmax − one_hot
        let grad = differentiate(&mut g, loss, &[logits], None).unwrap()[0].unwrap();
        g.set_outputs(vec![loss, grad]);
        let hot = RefArray::from_shape_fn(p.raw_dim(), |i| {
            let at = (0..shape.len()).map(|a| i[a]).collect::<Vec<_>>();
            f64::from(u8::from(inputs[1][&*at] as usize == i[shape.len()]))
        });
        close(&interpret(&g, &inputs).unwrap()[1], &(&p - &hot), "gradient");
        check_plan_on(&g, &inputs, 1e-6);
    }
}

#[test]
fn a_label_outside_the_classes_fails_the_run() {
    let mut g = Graph::new();
    let (logits, labels) = (g.input(float(&[4, 3])), g.input(int(&[4])));
    let loss = g.apply(op("sparse_softmax_cross_entropy", []), &[logits, labels]).unwrap();
    let grad = differentiate(&mut g, loss, &[logits], None).unwrap()[0].unwrap();
    g.set_outputs(vec![loss, grad]);
    let plan = Plan::compile(&g, &PlanOptions::default()).unwrap();
    let x = RefArray::zeros(&[4, 3][..]);
    for (bad, at) in [(3.0, 2), (-1.0, 0), (2147483647.0, 3)] {
        let mut l = RefArray::zeros(&[4][..]);
        l[at] = bad;
        let inputs = [x.clone(), l];
        assert!(interpret(&g, &inputs).is_err());
        let mut slots: Vec<Slot> =
            inputs.iter().zip(g.inputs()).map(|(a, &i)| Slot::shared(to_buffer(a, g.fact(i)))).collect();
        let e = plan.run(&mut slots, &|| false).unwrap_err().to_string();
        assert!(e.contains(&format!("label {bad} at position {at}: expected 0 to 2")), "{e}");
    }
}

#[test]
fn large_logits_stay_finite() {
    let mut g = Graph::new();
    let (x, t) = (g.input(float(&[2, 3])), g.input(float(&[2, 3])));
    let dense = g.apply(op("softmax_cross_entropy", []), &[x, t]).unwrap();
    let binary = g.apply(op("sigmoid_cross_entropy", []), &[x, t]).unwrap();
    let p = g.apply(op("softmax", []), &[x]).unwrap();
    let mut outputs = vec![dense, binary, p];
    for y in [dense, binary] {
        outputs.push(differentiate(&mut g, y, &[x], None).unwrap()[0].unwrap());
    }
    g.set_outputs(outputs);
    let x = RefArray::from_shape_vec(&[2, 3][..], vec![1e4, -1e4, 0.0, 300.0, 299.0, 0.0]).unwrap();
    let t = RefArray::from_shape_vec(&[2, 3][..], vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).unwrap();
    let inputs = [x, t];
    assert!(interpret(&g, &inputs).unwrap().iter().all(|y| y.iter().all(|v| v.is_finite())));
    check_plan_on(&g, &inputs, 1e-5);
}

#[test]
fn second_derivatives_of_softmax_losses() {
    let mut g = Graph::new();
    let (x, t) = (g.input(float(&[2, 4])), g.input(float(&[2, 4])));
    let loss = g.apply(op("softmax_cross_entropy", []), &[x, t]).unwrap();
    let grad = differentiate(&mut g, loss, &[x], None).unwrap()[0].unwrap();
    check_gradients(&mut g, grad, &[x, t], &mut Rng::new(5));
}

#[test]
fn misfits_are_named() {
    let message = |name: &str, a: cnnrs::Fact, b: cnnrs::Fact| infer(&op(name, []), &[a, b]).unwrap_err().to_string();
    assert!(message("sparse_softmax_cross_entropy", float(&[4, 3]), int(&[4, 1])).contains("expected shape (4,)"));
    assert!(message("sparse_softmax_cross_entropy", float(&[]), int(&[])).contains("axis of classes"));
    assert!(message("softmax_cross_entropy", float(&[4, 3]), float(&[4])).contains("expected shape (4, 3)"));
    assert!(message("sigmoid_cross_entropy", float(&[4]), int(&[4])).contains("expected float32"));
    assert!(infer(&op("softmax", [("axis", Attribute::Int(3))]), &[float(&[2])]).is_err());
}
