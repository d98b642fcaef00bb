//! Every composite against its formula, its plan against the interpreter, its gradient against
//! central differences.

mod activations;
mod custom;
mod losses;
mod norm;
mod reductions;
mod shape;

use cnnrs::dtype::DType;
use cnnrs::error::Result;
use cnnrs::graph::{Graph, NodeId, interpret};
use cnnrs::ops::{Attribute, Attributes, Op, RefArray};
use cnnrs::shape::Fact;
use cnnrs::testing::{Rng, check_gradients, check_plan_on};

/// The op `name` with `attributes`.
fn op<const N: usize>(name: &str, attributes: [(&str, Attribute); N]) -> Op {
    Op::parse(name, Attributes::new(attributes.map(|(k, v)| (k.to_owned(), v)))).unwrap_or_else(|e| panic!("{e}"))
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::List(values.iter().map(|&v| Attribute::Int(v)).collect())
}

fn real(value: f64) -> Attribute {
    Attribute::Float(value)
}

/// What inference says of `op` on inputs of `facts`.
fn infer(op: &Op, facts: &[Fact]) -> Result<Fact> {
    op.def().infer(facts)
}

/// Literals in graphs are f32 values, hence the tolerance.
fn close(got: &RefArray, expected: &RefArray, what: &str) {
    assert_eq!(got.shape(), expected.shape(), "{what}");
    for (a, b) in got.iter().zip(expected) {
        let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * (1.0 + b.abs());
        assert!(same, "{what}: {a}, formula {b}");
    }
}

/// Runs `op` on random inputs of `facts`, float inputs times `scale`: the value against `formula`,
/// the plan against the interpreter, and gradients by the float inputs.
fn check(op: &Op, facts: &[Fact], scale: f64, formula: impl Fn(&[RefArray]) -> RefArray) {
    let name = op.def().name();
    let mut rng = Rng::new(7);
    let mut g = Graph::new();
    let leaves: Vec<NodeId> = facts.iter().map(|f| g.input(f.clone())).collect();
    let scaled = scaled_inputs(&mut g, &leaves, scale);
    let y = g.apply(op.clone(), &scaled).unwrap_or_else(|e| panic!("{e}"));
    g.set_outputs(vec![y]);
    let inputs = rng.inputs(&g);
    let times = |(x, f): (&RefArray, &Fact)| if f.dtype.is_float() { x * scale } else { x.clone() };
    let operands: Vec<RefArray> = inputs.iter().zip(facts).map(times).collect();
    close(&interpret(&g, &inputs).unwrap()[0], &formula(&operands), name);
    check_plan_on(&g, &inputs, 2e-5);
    let floats: Vec<NodeId> = leaves.iter().copied().filter(|&l| g.fact(l).dtype.is_float()).collect();
    if g.fact(y).dtype.is_float() && !floats.is_empty() {
        check_gradients(&mut g, y, &floats, &mut rng);
        let inputs = rng.inputs(&g);
        check_plan_on(&g, &inputs, 1e-4);
    }
}

fn scaled_inputs(g: &mut Graph, leaves: &[NodeId], scale: f64) -> Vec<NodeId> {
    let times = |&l: &NodeId| if g.fact(l).dtype.is_float() { g.scale(l, scale).unwrap() } else { l };
    leaves.iter().map(times).collect()
}

fn float(shape: &[usize]) -> Fact {
    Fact::new(shape, DType::F32)
}

fn int(shape: &[usize]) -> Fact {
    Fact::new(shape, DType::I32)
}

/// The contract with Python: every name of `cnnrs._core.apply`.
#[test]
fn every_name_of_the_contract_is_known() {
    let names = "neg abs sign exp expm1 log log1p sqrt rsqrt square reciprocal sin cos tanh sigmoid erf softplus relu \
        floor ceil round logical_not isnan isfinite isinf cast relu6 leaky_relu elu selu celu gelu silu mish \
        hard_sigmoid hard_silu softsign log_sigmoid tanh_shrink clip add sub mul div floor_div mod pow maximum minimum \
        equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor where sum mean max min \
        prod any all variance logsumexp argmax argmin matmul conv2d conv2d_transpose max_pool2d avg_pool2d reshape \
        transpose broadcast_to expand_dims squeeze pad slice concat stack gather one_hot flip tile iota softmax \
        log_softmax sparse_softmax_cross_entropy softmax_cross_entropy sigmoid_cross_entropy batch_norm channel_stats \
        batch_norm_inference layer_norm stop_gradient random_uniform random_normal random_bits random_bernoulli dropout";
    let known = Op::names();
    let missing: Vec<&str> = names.split_whitespace().filter(|n| !known.contains(n)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn attributes_that_an_op_does_not_have_are_refused() {
    let a = Attributes::new([("axis".to_owned(), Attribute::Int(0))]);
    let e = Op::parse("silu", a).unwrap_err();
    assert!(e.to_string().contains("axis"), "{e}");
}

#[test]
fn errors_of_the_parts_name_the_composite() {
    let mut g = Graph::new();
    let x = g.input(int(&[3]));
    let e = g.apply(op("silu", []), &[x]).unwrap_err();
    assert_eq!(e.to_string(), "silu: x: expected float32, received int32");
    let e = g.apply(op("silu", []), &[x, x]).unwrap_err();
    assert!(e.to_string().contains("expected 1 inputs, received 2"), "{e}");
}
