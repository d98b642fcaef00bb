use super::{check, float, infer, int, op, real};
use cnnrs::ops::{Attribute, Attributes, Op};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn elu(x: f64, alpha: f64, width: f64) -> f64 {
    if x > 0.0 { x } else { alpha * ((x / width).exp() - 1.0) }
}

#[test]
fn activations_agree_with_their_formulas() {
    let facts = [float(&[3, 17])];
    let test = |op: Op, f: &dyn Fn(f64) -> f64| check(&op, &facts, 8.0, |x| x[0].mapv(f));
    test(op("relu6", []), &|x| x.clamp(0.0, 6.0));
    test(op("leaky_relu", []), &|x| if x > 0.0 { x } else { 0.2 * x });
    test(op("leaky_relu", [("negative_slope", real(1.5))]), &|x| if x > 0.0 { x } else { 1.5 * x });
    test(op("elu", [("alpha", real(0.7))]), &|x| elu(x, 0.7, 1.0));
    test(op("celu", [("alpha", real(2.0))]), &|x| elu(x, 2.0, 2.0));
    test(op("selu", []), &|x| 1.050_700_987_355_480_5 * elu(x, 1.673_263_242_354_377_2, 1.0));
    test(op("gelu", []), &|x| 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt())));
    test(op("gelu", [("approximate", Attribute::Bool(true))]), &|x| {
        0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
    });
    test(op("silu", []), &|x| x * sigmoid(x));
    test(op("mish", []), &|x| x * x.exp().ln_1p().tanh());
    test(op("hard_sigmoid", []), &|x| (x + 3.0).clamp(0.0, 6.0) / 6.0);
    test(op("hard_silu", []), &|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0);
    test(op("softsign", []), &|x| x / (1.0 + x.abs()));
    test(op("log_sigmoid", []), &|x| sigmoid(x).ln());
    test(op("tanh_shrink", []), &|x| x - x.tanh());
    test(op("clip", [("min", real(-2.5)), ("max", real(3.0))]), &|x| x.clamp(-2.5, 3.0));
    test(op("clip", [("max", real(3.0))]), &|x| x.min(3.0));
}

#[test]
fn large_values_stay_finite() {
    // eˣ overflows here; the branch that is not taken must not reach the result or its gradient.
    let facts = [float(&[9])];
    check(&op("elu", []), &facts, 2000.0, |x| x[0].mapv(|x| elu(x, 1.0, 1.0)));
    check(&op("log_sigmoid", []), &facts, 2000.0, |x| x[0].mapv(|x| x.min(0.0) - (-x.abs()).exp().ln_1p()));
}

#[test]
fn clip_of_integers() {
    let clip = op("clip", [("min", Attribute::Int(-1)), ("max", Attribute::Int(2))]);
    check(&clip, &[int(&[11])], 1.0, |x| x[0].mapv(|v| v.clamp(-1.0, 2.0)));
    let half = op("clip", [("min", real(0.5))]);
    assert!(infer(&half, &[int(&[2])]).unwrap_err().to_string().contains("int32 can hold"));
    let turned = Attributes::new([("min".to_owned(), real(1.0)), ("max".to_owned(), real(0.0))]);
    assert!(Op::parse("clip", turned).unwrap_err().to_string().contains("min <= max"));
}
