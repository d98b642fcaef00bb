//! What depends on constant inputs alone is made once: the same bits as in every run, new when they change.

use cnnrs::ops::{Attribute, Attributes, Op};
use cnnrs::plan::{Binding, Plan, PlanOptions, Slot};
use cnnrs::{Buffer, CompiledFunction, DType, Fact, Graph, NodeId, Tensor, Trace, Value, Variable};
use std::sync::Arc;

fn values(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0).collect()
}

fn buffer(shape: &[usize], seed: usize) -> Arc<Value> {
    Arc::new(Value::from(Buffer::from_slice(shape, &values(shape.iter().product(), seed)).unwrap()))
}

fn same(text: &str) -> Attributes {
    Attributes::new([("padding".to_owned(), Attribute::Text(text.to_owned()))])
}

const SHAPES: [&[usize]; 5] = [&[2, 9, 8, 16], &[3, 3, 16, 32], &[32], &[32], &[32, 5]];

/// A convolution with scaled filters, a bias and ReLU, then a product with a matrix. All but the image are
/// held, or nothing is.
fn net(hold: bool) -> Graph {
    let mut g = Graph::new();
    let ids: Vec<NodeId> = SHAPES
        .iter()
        .enumerate()
        .map(|(i, &shape)| {
            let fact = Fact::new(shape, DType::F32);
            if hold && i > 0 { g.constant_input(fact) } else { g.input(fact) }
        })
        .collect();
    let op = |g: &mut Graph, name: &str, attributes: Attributes, inputs: &[NodeId]| {
        g.apply(Op::parse(name, attributes).unwrap(), inputs).unwrap()
    };
    let filters = op(&mut g, "mul", Attributes::default(), &[ids[1], ids[2]]);
    let y = op(&mut g, "conv2d", same("same"), &[ids[0], filters]);
    let shift = op(&mut g, "mul", Attributes::default(), &[ids[2], ids[3]]);
    let y = op(&mut g, "add", Attributes::default(), &[y, shift]);
    let y = op(&mut g, "relu", Attributes::default(), &[y]);
    let y = op(&mut g, "matmul", Attributes::default(), &[y, ids[4]]);
    g.set_outputs(vec![y]);
    g
}

fn inputs(seed: usize) -> Vec<Arc<Value>> {
    SHAPES.iter().enumerate().map(|(i, shape)| buffer(shape, i + if i > 0 { seed } else { 0 })).collect()
}

fn slots(buffers: &[Arc<Value>]) -> Vec<Slot> {
    buffers.iter().map(|b| Slot::Shared(b.clone())).collect()
}

fn bits(outputs: Vec<Value>) -> Vec<Vec<u8>> {
    outputs.iter().map(|value| value.host().unwrap().bytes().to_vec()).collect()
}

#[test]
fn bits_are_those_of_a_plan_without_prelude() {
    for kernel in ["conv_direct", "conv_winograd"] {
        let options = PlanOptions { force_kernel: Some(kernel.to_owned()), ..PlanOptions::default() };
        let plain = Plan::compile(&net(false), &options).unwrap();
        assert!(!plain.has_prelude());
        let plan = Arc::new(Plan::compile(&net(true), &options).unwrap());
        let text = plan.describe();
        let (once, always) = text.split_once("-- above: once").unwrap();
        assert_eq!(once.matches("pack for").count(), 2, "{text}");
        assert!(!always.contains("pack for") && !always.contains(" mul →"), "{text}");
        assert!(plan.flops() < plain.flops());
        let binding = Binding::new(plan.clone());
        for seed in [1, 1, 2, 1] {
            let inputs = inputs(seed);
            let expected = bits(plain.run_values(&mut slots(&inputs), &|| false).unwrap());
            for _ in 0..2 {
                assert_eq!(bits(binding.run(&mut slots(&inputs), &|| false).unwrap()), expected, "{kernel}");
            }
            assert_eq!(bits(plan.run_values(&mut slots(&inputs), &|| false).unwrap()), expected, "{kernel}");
        }
        assert_eq!(binding.preparations(), 4, "every list of inputs has buffers of its own");
    }
}

#[test]
fn the_prelude_runs_again_only_for_other_buffers() {
    let binding = Binding::new(Arc::new(Plan::compile(&net(true), &PlanOptions::default()).unwrap()));
    let mut held = inputs(1);
    for image in 0..3 {
        held[0] = buffer(SHAPES[0], image);
        let (_, profile) = binding.run_profiled(&mut slots(&held), &|| false).unwrap();
        assert!(profile.steps.iter().all(|s| !s.text.starts_with("pack")));
    }
    assert_eq!(binding.preparations(), 1);
    held[3] = buffer(SHAPES[3], 9);
    binding.run(&mut slots(&held), &|| false).unwrap();
    assert_eq!(binding.preparations(), 2);
}

#[test]
fn a_stopped_prelude_leaves_nothing_behind() {
    let binding = Binding::new(Arc::new(Plan::compile(&net(true), &PlanOptions::default()).unwrap()));
    let inputs = inputs(1);
    let error = binding.run(&mut slots(&inputs), &|| true).unwrap_err();
    assert_eq!(error.kind, cnnrs::ErrorKind::Cancelled);
    let again = bits(binding.run(&mut slots(&inputs), &|| false).unwrap());
    let plain = Plan::compile(&net(false), &PlanOptions::default()).unwrap();
    assert_eq!(again, bits(plain.run_values(&mut slots(&inputs), &|| false).unwrap()));
}

/// conv(x, w) + b of a batch, as a function of x; `w` and `b` are variables.
fn function(w: &Variable, b: &Variable, update: bool) -> CompiledFunction {
    let trace = Trace::enter();
    let x = trace.placeholder(Fact::new(SHAPES[0], DType::F32), "x");
    let y = Tensor::apply_named("conv2d", &[x, w.value()], same("same")).unwrap();
    let y = y.apply_binary("add", &b.value()).unwrap();
    if update {
        w.assign(&w.value().apply_binary("add", &w.value()).unwrap()).unwrap();
    }
    trace.compile(&[y]).unwrap()
}

fn variable(shape: &[usize], seed: usize, trainable: bool) -> Variable {
    let value = Tensor::from_slice(shape, &values(shape.iter().product(), seed)).unwrap();
    Variable::new(&value, trainable, "v").unwrap()
}

#[test]
fn functions_see_assigned_variables() {
    let (w, b) = (variable(SHAPES[1], 1, true), variable(SHAPES[2], 2, true));
    let f = function(&w, &b, false);
    let x = Tensor::from_slice(SHAPES[0], &values(SHAPES[0].iter().product(), 0)).unwrap();
    let call = |f: &CompiledFunction| f.call(std::slice::from_ref(&x)).unwrap()[0].to_vec::<f32>().unwrap();
    let first = call(&f);
    assert_eq!(call(&f), first);
    assert_eq!(f.binding().preparations(), 1);
    // Assigned from outside, written by a function, in place if nobody else holds the version.
    w.assign(&Tensor::from_slice(SHAPES[1], &values(SHAPES[1].iter().product(), 7)).unwrap()).unwrap();
    let second = call(&f);
    assert_ne!(second, first);
    assert_eq!(second, call(&function(&w, &b, false)));
    let update = function(&w, &b, true);
    assert!(!update.plan().has_prelude(), "{}", update.plan().describe());
    for _ in 0..3 {
        let expected = call(&f);
        assert_eq!(call(&update), expected);
        assert_ne!(call(&f), expected);
        assert_eq!(call(&f), call(&function(&w, &b, false)));
    }
}

#[test]
fn threads_share_what_was_made_once() {
    let (w, b) = (variable(SHAPES[1], 1, true), variable(SHAPES[2], 2, true));
    let f = function(&w, &b, false);
    let x = Tensor::from_slice(SHAPES[0], &values(SHAPES[0].iter().product(), 0)).unwrap();
    let expected = f.call(std::slice::from_ref(&x)).unwrap()[0].to_vec::<f32>().unwrap();
    let x = x.value().unwrap();
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..20 {
                    let y = f.run(std::slice::from_ref(&x)).unwrap().remove(0);
                    assert_eq!(y.to_vec::<f32>().unwrap(), expected);
                }
            });
        }
    });
    assert_eq!(f.binding().preparations(), 1);
}

#[test]
fn recorded_tensors_hold_versions_of_variables_too() {
    let (w, b) = (variable(SHAPES[1], 1, false), variable(SHAPES[2], 2, false));
    let x = Tensor::from_slice(SHAPES[0], &values(SHAPES[0].iter().product(), 0)).unwrap();
    let call = || {
        let y = Tensor::apply_named("conv2d", &[x.clone(), w.value()], same("same")).unwrap();
        y.apply_binary("add", &b.value()).unwrap().to_vec::<f32>().unwrap()
    };
    let first = call();
    for _ in 0..3 {
        assert_eq!(call(), first);
    }
    b.assign(&Tensor::from_slice(SHAPES[2], &[3.0f32; 32]).unwrap()).unwrap();
    let second = call();
    assert_ne!(second, first);
    w.assign(&Tensor::from_slice(SHAPES[1], &vec![0.0f32; 9 * 16 * 32]).unwrap()).unwrap();
    assert!(call().iter().all(|&v| v == 3.0));
}
