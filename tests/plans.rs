//! Plans: donation, cancellation, preludes, memory, and bits that do not depend on the number of threads. What holds of
//! plans on any device is asked of two backends.

mod interpreter;

use cnnrs::backend::cpu::Cpu;
use cnnrs::backend::cpu::exec::threads::{num_threads, set_num_threads};
use cnnrs::backend::device::Backend;
use cnnrs::ops::pointwise::Function;
use cnnrs::ops::{Attributes, Op};
use cnnrs::passes::autodiff::differentiate;
use cnnrs::plan::{Binding, Plan, PlanOptions, Slot, When};
use cnnrs::{Buffer, DType, ErrorKind, Fact, Graph, Value};
use interpreter::Interpreter;
use std::sync::Arc;

fn conv(g: &mut Graph, x: cnnrs::NodeId, w: cnnrs::NodeId) -> cnnrs::NodeId {
    let same = cnnrs::ops::Attribute::Text("same".into());
    let op = Op::parse("conv2d", Attributes::new([("padding".to_owned(), same)])).unwrap();
    g.apply(op, &[x, w]).unwrap()
}

/// Inputs x, w; outputs the loss and w − 0.1 · dloss/dw.
fn step() -> Graph {
    let mut g = Graph::new();
    let x = g.input(Fact::new([8, 15, 15, 5], DType::F32));
    let w = g.input(Fact::new([3, 3, 5, 5], DType::F32));
    let mut y = x;
    for _ in 0..3 {
        let c = conv(&mut g, y, w);
        let r = g.unary(Function::Relu, c).unwrap();
        y = g.add(r, y).unwrap();
    }
    let squares = g.unary(Function::Square, y).unwrap();
    let loss = g.mean(squares, &[0, 1, 2, 3], false).unwrap();
    let dw = differentiate(&mut g, loss, &[w], None).unwrap()[0].unwrap();
    let delta = g.scale(dw, 0.1).unwrap();
    let next = g.sub(w, delta).unwrap();
    g.set_outputs(vec![loss, next]);
    g
}

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect()
}

fn x() -> Arc<Value> {
    Arc::new(Value::from(Buffer::from_slice(&[8, 15, 15, 5], &values(9000)).unwrap()))
}

fn w() -> Buffer {
    Buffer::from_slice(&[3, 3, 5, 5], &values(225).iter().map(|v| v * 0.3).collect::<Vec<_>>()).unwrap()
}

/// The plan of a graph on each backend.
fn plans(g: &Graph, donations: Vec<(usize, usize)>) -> impl Iterator<Item = Plan> {
    // `make test-gpu` asks for what is neither of the two.
    let current = cnnrs::backend::current().unwrap().backend();
    let third = (current.traits().name != Cpu.traits().name).then_some(current);
    let backends = [&Cpu as &dyn Backend, &Interpreter].into_iter().chain(third);
    let compile = move |backend: &dyn Backend| {
        let target = Some(backend.target(0).unwrap());
        Plan::compile_on(backend, g, &PlanOptions { target, donations: donations.clone(), ..PlanOptions::default() })
    };
    backends.map(move |backend| compile(backend).unwrap())
}

#[test]
fn a_donated_buffer_is_overwritten_and_gives_the_same_values() {
    let mut losses = Vec::new();
    for plan in plans(&step(), vec![(1, 1)]) {
        let fresh = plan.run(&mut [Slot::Shared(x()), Slot::shared(w())], &|| false).unwrap();
        let own = w();
        let address = own.as_ptr();
        let mut slots = [Slot::Shared(x()), Slot::donated(own)];
        let donated = plan.run_values(&mut slots, &|| false).unwrap();
        assert!(donated[1].host().unwrap().as_ptr() == address || !donated[1].is_host());
        assert_eq!(donated[1].to_vec::<f32>().unwrap(), fresh[1].as_slice::<f32>());
        assert!(matches!(slots[1], Slot::Donated(None)));
        losses.push(fresh[0].as_slice::<f32>()[0]);
    }
    assert!((losses[0] - losses[1]).abs() < 1e-5 * losses[0].abs(), "{losses:?}");
}

#[test]
fn a_join_of_more_than_64_tensors_has_a_plan() {
    let mut g = Graph::new();
    let parts: Vec<_> = (0..70).map(|_| g.input(Fact::new([3], DType::F32))).collect();
    let axis = Attributes::new([("axis".to_owned(), cnnrs::ops::Attribute::Int(0))]);
    let whole = g.apply(Op::parse("concat", axis).unwrap(), &parts).unwrap();
    g.set_outputs(vec![whole]);
    for plan in plans(&g, Vec::new()) {
        let mut slots: Vec<_> =
            (0..70).map(|k| Slot::shared(Buffer::from_slice(&[3], &[k as f32; 3]).unwrap())).collect();
        let made = plan.run(&mut slots, &|| false).unwrap();
        assert!(made[0].as_slice::<f32>().iter().enumerate().all(|(i, &value)| value == (i / 3) as f32));
    }
}

#[test]
fn a_cancelled_run_leaves_donated_buffers_untouched() {
    for plan in plans(&step(), vec![(1, 1)]) {
        let mut slots = [Slot::Shared(x()), Slot::donated(w())];
        assert_eq!(plan.run(&mut slots, &|| true).unwrap_err().kind, ErrorKind::Cancelled);
        let Slot::Donated(Some(kept)) = &slots[1] else { panic!("the buffer is gone") };
        assert_eq!(kept.host().unwrap().as_slice::<f32>(), w().as_slice::<f32>());
    }
}

#[test]
fn what_constant_inputs_make_is_made_once() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([2, 4], DType::F32));
    let w = g.constant_input(Fact::new([4, 3], DType::F32));
    let scaled = g.scale(w, 2.0).unwrap();
    let y = g.apply(Op::parse("matmul", Attributes::default()).unwrap(), &[x, scaled]).unwrap();
    g.set_outputs(vec![y]);
    let buffer =
        |shape: &[usize; 2]| Arc::new(Value::from(Buffer::from_slice(shape, &values(shape[0] * shape[1])).unwrap()));
    let mut results = Vec::new();
    for plan in plans(&g, Vec::new()) {
        assert!(plan.has_prelude() && plan.steps().iter().any(|step| step.when == When::Once), "{}", plan.describe());
        let binding = Binding::new(Arc::new(plan));
        let (x, w) = (buffer(&[2, 4]), buffer(&[4, 3]));
        let run = |w: &Arc<Value>| {
            let slots = &mut [Slot::Shared(x.clone()), Slot::Shared(w.clone())];
            binding.run(slots, &|| false).unwrap()[0].to_vec::<f32>().unwrap()
        };
        let first = run(&w);
        assert_eq!(run(&w), first);
        assert_eq!(binding.preparations(), 1);
        let other = Arc::new(Value::from(Buffer::from_slice(&[4, 3], &[0f32; 12]).unwrap()));
        assert_eq!(run(&other), [0.0; 6]);
        assert_eq!(binding.preparations(), 2);
        results.push(first);
    }
    let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
    assert!(results[0].iter().zip(&results[1]).all(near), "{results:?}");
}

#[test]
fn groups_are_as_large_as_the_device_can_carry() {
    let mut g = Graph::new();
    let mut y = g.input(Fact::new([100], DType::F32));
    for f in [Function::Exp, Function::Neg, Function::Sin, Function::Square, Function::Tanh] {
        y = g.unary(f, y).unwrap();
    }
    g.set_outputs(vec![y]);
    let steps: Vec<usize> = plans(&g, Vec::new()).map(|plan| plan.steps().len()).collect();
    assert_eq!(steps[..2], [1, 2]);
}

#[test]
fn runs_of_one_plan_from_several_threads_agree_and_bits_do_not_depend_on_threads() {
    let plan = Plan::compile(&step(), &PlanOptions::default()).unwrap();
    let run = || {
        let out = plan.run(&mut [Slot::Shared(x()), Slot::shared(w())], &|| false).unwrap();
        (out[0].as_slice::<f32>().to_vec(), out[1].as_slice::<f32>().to_vec())
    };
    let before = num_threads().unwrap().0;
    set_num_threads(1).unwrap();
    let expected = run();
    for threads in [2, 7] {
        set_num_threads(threads).unwrap();
        std::thread::scope(|s| {
            let runs: Vec<_> = (0..3).map(|_| s.spawn(run)).collect();
            for r in runs {
                assert_eq!(r.join().unwrap(), expected, "{threads} threads");
            }
        });
    }
    set_num_threads(before).unwrap();
}

#[test]
fn the_arena_is_near_the_live_set() {
    let plan = Plan::compile(&step(), &PlanOptions::default()).unwrap();
    let (peak, bound) = (plan.peak_bytes(), plan.live_bound());
    assert!(peak >= bound && peak * 10 <= bound * 11, "{peak} bytes for a live set of {bound}");
}

#[test]
fn wrong_inputs_are_named() {
    for plan in plans(&step(), Vec::new()) {
        let e = plan.run(&mut [Slot::Shared(x())], &|| false).unwrap_err().to_string();
        assert!(e.contains("expected 2 inputs, received 1"), "{e}");
        let e = plan.run(&mut [Slot::shared(w()), Slot::shared(w())], &|| false).unwrap_err();
        assert!(e.to_string().contains("input 0: expected float32(8, 15, 15, 5)"), "{e}");
    }
}

#[test]
fn unknown_devices_are_named() {
    let target = Interpreter.target(0).unwrap();
    let e = Plan::compile(&step(), &PlanOptions { target: Some(target), ..PlanOptions::default() }).map(|_| ());
    let names: Vec<&str> = cnnrs::backend::ALL.iter().map(|backend| backend.traits().name).collect();
    let expected = format!("device: expected one of {}, received \"interpreter\"", names.join(", "));
    assert_eq!(e.unwrap_err().to_string(), expected);
}

/// Two equal nodes become one, which names both places; what failed there is said of both.
#[test]
fn merged_nodes_name_all_places() {
    let mut g = Graph::new();
    let (logits, labels) = (g.input(Fact::new([2, 3], DType::F32)), g.input(Fact::new([2], DType::I32)));
    let loss = || Op::parse("sparse_softmax_cross_entropy", Attributes::default()).unwrap();
    g.set_origin(Some("first".into()));
    let a = g.apply(loss(), &[logits, labels]).unwrap();
    g.set_origin(Some("second".into()));
    assert_eq!(g.apply(loss(), &[logits, labels]).unwrap(), a);
    assert_eq!(g.node(a).origin.as_deref(), Some("first, second"));
    g.set_outputs(vec![a]);
    for plan in plans(&g, Vec::new()) {
        let logits = Buffer::from_slice(&[2, 3], &[0f32; 6]).unwrap();
        let labels = Buffer::from_slice(&[2], &[1i32, 3]).unwrap();
        let e = plan.run(&mut [Slot::shared(logits), Slot::shared(labels)], &|| false).unwrap_err();
        assert_eq!(e.to_string(), "first, second: label 3 at position 1: expected 0 to 2");
    }
}

#[test]
fn fusion_says_why_neighbours_run_apart() {
    let mut g = Graph::new();
    let (x, w) = (g.input(Fact::new([8, 8], DType::F32)), g.input(Fact::new([8, 8], DType::F32)));
    let matmul = || Op::parse("matmul", Attributes::default()).unwrap();
    let y = g.apply(matmul(), &[x, w]).unwrap();
    let z = g.apply(matmul(), &[y, w]).unwrap();
    let r = g.add(y, z).unwrap();
    g.set_outputs(vec![r, y]);
    let text = Plan::compile(&g, &PlanOptions::default()).unwrap().describe();
    assert!(text.contains("apart: matmul and add: the heavy op's output has other readers"), "{text}");
    assert!(!text.contains("apart: matmul and add: a value passes"), "{text}");
}
