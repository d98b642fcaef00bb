//! The rules of recording, realising, versions and tracing, each with a test of its own.

use cnnrs::ops::{Attribute, Attributes};
use cnnrs::{Buffer, DType, ErrorKind, Fact, Result, Tensor, Trace, Value, Variable};
use std::sync::Arc;

fn tensor(values: &[f32]) -> Tensor {
    Tensor::from_slice(&[values.len()], values).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.to_vec().unwrap()
}

fn attributes<const N: usize>(pairs: [(&str, Attribute); N]) -> Attributes {
    Attributes::new(pairs.map(|(k, v)| (k.to_owned(), v)))
}

fn add(a: &Tensor, b: &Tensor) -> Tensor {
    a.apply_binary("add", b).unwrap()
}

fn mul(a: &Tensor, b: &Tensor) -> Tensor {
    a.apply_binary("mul", b).unwrap()
}

fn sum(a: &Tensor) -> Tensor {
    Tensor::apply_named("sum", std::slice::from_ref(a), Attributes::default()).unwrap()
}

fn variable(values: &[f32]) -> Variable {
    Variable::new(&tensor(values), true, "v").unwrap()
}

fn number(value: f64) -> Tensor {
    Tensor::scalar(value, DType::F32).unwrap()
}

#[test]
fn nothing_is_computed_before_it_is_read() {
    let x = tensor(&[1.0, 2.0]);
    let y = mul(&x, &x);
    assert!(!y.is_realised());
    assert_eq!(values(&y), [1.0, 4.0]);
    assert!(y.is_realised());
}

#[test]
fn a_read_before_an_update_keeps_the_old_version() {
    let v = variable(&[1.0, 2.0]);
    let before = mul(&v.value(), &number(10.0));
    v.assign(&add(&v.value(), &v.value())).unwrap();
    let after = mul(&v.value(), &number(10.0));
    assert_eq!(values(&after), [20.0, 40.0]);
    assert_eq!(values(&before), [10.0, 20.0]);
    assert_eq!(v.version(), 1);
}

#[test]
fn set_between_lazy_ops_is_seen_by_later_ops_only() {
    let v = variable(&[1.0]);
    let a = add(&v.value(), &number(1.0));
    v.assign(&tensor(&[5.0])).unwrap();
    let b = add(&v.value(), &number(1.0));
    assert_eq!((values(&a), values(&b)), (vec![2.0], vec![6.0]));
}

#[test]
fn realising_computes_what_shares_nodes_and_pending_updates_along() {
    let v = variable(&[1.0]);
    let x = tensor(&[3.0]);
    let shared = mul(&x, &x);
    let one = add(&shared, &x);
    let other = mul(&shared, &number(7.0));
    let unrelated = add(&x, &number(9.0));
    v.assign(&add(&v.value(), &number(3.0))).unwrap();
    one.realise().unwrap();
    assert!(other.is_realised() && v.value().is_realised());
    assert!(!unrelated.is_realised());
    assert_eq!(values(&other), [63.0]);
}

#[test]
fn a_loss_can_be_printed_before_backward() {
    let v = variable(&[3.0]);
    let loss = sum(&mul(&v.value(), &v.value()));
    assert_eq!(values(&loss), [9.0]);
    loss.backward(None).unwrap();
    assert_eq!(values(&v.value().grad().unwrap()), [6.0]);
}

#[test]
fn backward_lets_go_of_the_definition() {
    let v = variable(&[3.0]);
    let loss = sum(&mul(&v.value(), &v.value()));
    loss.backward(None).unwrap();
    v.value().grad().unwrap().realise().unwrap();
    let again = loss.backward(None).unwrap_err().to_string();
    assert!(again.contains("depends on nothing that requires a gradient"), "{again}");
}

#[test]
fn gradients_add_up_and_reach_tensors_that_ask() {
    let x = tensor(&[2.0, 3.0]);
    x.set_requires_grad(true).unwrap();
    for _ in 0..2 {
        sum(&mul(&x, &x)).backward(None).unwrap();
    }
    assert_eq!(values(&x.grad().unwrap()), [8.0, 12.0]);
}

#[test]
fn no_gradient_flows_through_detach_or_without_tracking() {
    let v = variable(&[2.0]);
    let y = mul(&v.value(), &v.value().detach().unwrap());
    sum(&y).backward(None).unwrap();
    assert_eq!(values(&v.value().grad().unwrap()), [2.0]);
    let quiet = {
        let _off = cnnrs::lazy::NoGrad::enter();
        sum(&mul(&v.value(), &v.value()))
    };
    assert!(!quiet.requires_grad());
}

#[test]
fn an_accumulated_lazy_loss_keeps_memory_flat() {
    let v = variable(&[0.5; 64]);
    let mut total = number(0.0);
    for step in 0..3000 {
        let loss = sum(&mul(&v.value(), &v.value()));
        loss.backward(None).unwrap();
        total = add(&total, &loss);
        let grad = v.value().grad().unwrap();
        v.assign(&v.value().apply_binary("sub", &mul(&grad, &number(1e-4))).unwrap()).unwrap();
        v.value().realise().unwrap();
        assert!(total.is_realised(), "step {step}");
        assert!(!total.requires_grad(), "the total still holds the graph of step {step}");
    }
    assert!(total.to_vec::<f32>().unwrap()[0] > 0.0);
}

#[test]
fn long_chains_are_realised_and_dropped_without_recursion() {
    let x = tensor(&[1.0]);
    let mut y = x.clone();
    for _ in 0..200_000 {
        y = add(&y, &x);
    }
    drop(y);
    let mut z = x.clone();
    for _ in 0..9_000 {
        z = add(&z, &x);
    }
    assert_eq!(values(&z), [9001.0]);
}

#[test]
fn numbers_do_not_make_new_plans_but_structure_does() {
    let x = tensor(&[1.0; 17]);
    let scaled = |factor: f64| mul(&x, &number(factor)).realise().unwrap();
    scaled(0.1);
    assert!(cnnrs::take_compiled().is_some());
    for i in 2..50 {
        scaled(f64::from(i) * 0.1 + 0.01);
    }
    assert!(cnnrs::take_compiled().is_none());
    // x + x and x + y are different graphs.
    let y = tensor(&[2.0; 17]);
    assert_eq!(values(&add(&x, &x))[0], 2.0);
    assert_eq!(values(&add(&x, &y))[0], 3.0);
}

#[test]
fn two_models_of_one_structure_share_a_plan_and_nothing_else() {
    let (a, b) = (variable(&[1.0; 23]), variable(&[2.0; 23]));
    let x = tensor(&[3.0; 23]);
    assert_eq!(values(&mul(&a.value(), &x))[0], 3.0);
    assert!(cnnrs::take_compiled().is_some());
    assert_eq!(values(&mul(&b.value(), &x))[0], 6.0);
    assert!(cnnrs::take_compiled().is_none());
}

/// y = x · w; w ← w + Σx. Returns y.
fn traced_step(w: &Variable, n: usize) -> Result<cnnrs::CompiledFunction> {
    let trace = Trace::enter();
    let x = trace.placeholder(Fact::new([n], DType::F32), "x");
    let y = mul(&x, &w.value());
    w.assign(&add(&w.value(), &sum(&x)))?;
    trace.compile(&[y])
}

#[test]
fn a_traced_function_replays_and_commits() {
    let w = Variable::new(&number(2.0), true, "w").unwrap();
    let f = traced_step(&w, 2).unwrap();
    assert_eq!((w.version(), values(&w.value())), (0, vec![2.0]), "tracing assigns nothing");
    assert_eq!(values(&f.call(&[tensor(&[1.0, 2.0])]).unwrap()[0]), [2.0, 4.0]);
    assert_eq!(values(&f.call(&[tensor(&[1.0, 2.0])]).unwrap()[0]), [5.0, 10.0]);
    assert_eq!((w.version(), values(&w.value())), (2, vec![8.0]));
}

#[test]
fn a_version_that_somebody_holds_is_not_overwritten() {
    let w = Variable::new(&number(2.0), true, "w").unwrap();
    let f = traced_step(&w, 1).unwrap();
    let held = w.value();
    let pending = add(&held, &number(100.0));
    f.call(&[tensor(&[1.0])]).unwrap();
    f.call(&[tensor(&[1.0])]).unwrap();
    assert_eq!((values(&held), values(&pending), values(&w.value())), (vec![2.0], vec![102.0], vec![4.0]));
}

#[test]
fn what_a_function_keeps_of_variables_does_not_hinder_runs_that_write_them() {
    let w = variable(&[1.0, 2.0]);
    let function = |update: bool| {
        let trace = Trace::enter();
        let sum = add(&w.value(), &trace.placeholder(Fact::new([2], DType::F32), "x"));
        if update {
            w.assign(&sum).unwrap();
        }
        trace.compile(if update { &[] } else { std::slice::from_ref(&sum) }).unwrap()
    };
    let (read, step) = (function(false), function(true));
    let call = |f: &cnnrs::CompiledFunction| f.call(&[tensor(&[1.0, 1.0])]).unwrap().first().map(values);
    let address = || w.value().value().unwrap().host().unwrap().as_ptr();
    let first = address();
    // On a GPU its steps leave the variable in memory of theirs.
    let is_host = || w.value().value().unwrap().is_host();
    for n in 1..4 {
        let expected = vec![1.0 + n as f32, 2.0 + n as f32];
        assert_eq!([call(&read), call(&read), call(&step)], [Some(expected.clone()), Some(expected.clone()), None]);
        assert_eq!(values(&w.value()), expected);
        assert!(!is_host() || address() == first, "a step copied what nobody else holds");
    }
    // A function that goes lets go of what it kept, and one that never ran has kept nothing.
    drop((read, function(false)));
    call(&step);
    assert_eq!(values(&w.value()), [5.0, 6.0]);
}

/// w ← w · x, a ← a + Σx, last ← x: a product, which needs memory of its own, an update in place, and a variable
/// that is not read. Returns Σw as it was.
fn varied_step(w: &Variable, a: &Variable, last: &Variable) -> cnnrs::CompiledFunction {
    let trace = Trace::enter();
    let x = trace.placeholder(Fact::new([2, 2], DType::F32), "x");
    let before = sum(&w.value());
    w.assign(&Tensor::apply_named("matmul", &[w.value(), x.clone()], Attributes::default()).unwrap()).unwrap();
    a.assign(&add(&a.value(), &sum(&x))).unwrap();
    last.assign(&add(&x, &number(0.0))).unwrap();
    trace.compile(&[before]).unwrap()
}

#[test]
fn a_session_passes_variables_from_run_to_run() {
    let square = |v: [f32; 4]| Tensor::from_slice(&[2, 2], &v).unwrap();
    let fresh = || [square([1.0, 2.0, 3.0, 4.0]), tensor(&[0.5]), square([0.0; 4])];
    let variables = || fresh().map(|t| Variable::new(&t, false, "v").unwrap());
    let inputs: Vec<[f32; 4]> = (0..5).map(|i| [1.0, i as f32, 0.25, -1.0]).collect();
    let [w, a, last] = variables();
    let f = varied_step(&w, &a, &last);
    let expected: Vec<f32> = inputs.iter().map(|&x| values(&f.call(&[square(x)]).unwrap()[0])[0]).collect();
    let state = |all: [&Variable; 3]| all.map(|v| (v.version(), values(&v.value())));
    let expected_state = state([&w, &a, &last]);

    let [w, a, last] = variables();
    let f = varied_step(&w, &a, &last);
    // A version that somebody holds stays as it is.
    let held = w.value();
    let mut session = f.begin().unwrap();
    let mut got = Vec::new();
    for &x in &inputs {
        let x = Arc::new(Value::from(Buffer::from_slice(&[2, 2], &x).unwrap()));
        got.push(session.run(std::slice::from_ref(&x)).unwrap()[0].to_vec::<f32>().unwrap()[0]);
        assert_eq!(Arc::strong_count(&x), 1, "the caller may write to an argument between runs");
        let wrong = Arc::new(Value::from(Buffer::from_slice(&[4], &[0.0f32; 4]).unwrap()));
        assert!(session.run(&[wrong]).is_err());
    }
    drop(session);
    assert_eq!(got, expected);
    assert_eq!(state([&w, &a, &last]), expected_state);
    assert_eq!(values(&held), [1.0, 2.0, 3.0, 4.0]);
    // A session without a run changes nothing.
    drop(f.begin().unwrap());
    assert_eq!(state([&w, &a, &last]), expected_state);
}

#[test]
fn a_session_hears_that_another_thread_waits() {
    let w = Variable::new(&number(2.0), true, "w").unwrap();
    let f = traced_step(&w, 1).unwrap();
    let mut session = f.begin().unwrap();
    session.run(&[Arc::new(Value::from(Buffer::from_slice(&[1], &[1.0f32]).unwrap()))]).unwrap();
    std::thread::scope(|s| {
        let reader = s.spawn(|| values(&w.value()));
        while !reader.is_finished() {
            // Without giving way, the session would have the variable again before the reader is awake.
            if session.is_awaited() {
                session = session.give_way().unwrap();
            }
            std::thread::yield_now();
        }
        assert_eq!(reader.join().unwrap(), [3.0]);
    });
}

#[test]
fn a_variable_read_after_its_assignment_gives_the_new_value_inside_a_trace() {
    let w = Variable::new(&number(1.0), false, "w").unwrap();
    let trace = Trace::enter();
    let before = add(&w.value(), &number(0.0));
    w.assign(&add(&w.value(), &number(1.0))).unwrap();
    w.assign(&add(&w.value(), &number(1.0))).unwrap();
    let after = add(&w.value(), &number(0.0));
    let f = trace.compile(&[before, after]).unwrap();
    drop(trace);
    let out = f.call(&[]).unwrap();
    assert_eq!((values(&out[0]), values(&out[1]), values(&w.value())), (vec![1.0], vec![3.0], vec![3.0]));
}

#[test]
fn reading_a_placeholder_while_tracing_says_what_to_do() {
    let trace = Trace::enter();
    let x = trace.placeholder(Fact::new([1], DType::F32), "image");
    let e = add(&x, &x).to_vec::<f32>().unwrap_err();
    assert_eq!(e.kind, ErrorKind::Tracing);
    let e = e.to_string();
    assert!(e.contains("image") && e.contains("run_eagerly=True") && e.contains("ops.where"), "{e}");
}

#[test]
fn gradients_inside_a_trace_differentiate_by_variables() {
    let w = Variable::new(&tensor(&[3.0, 4.0]), true, "w").unwrap();
    let trace = Trace::enter();
    let x = trace.placeholder(Fact::new([2], DType::F32), "x");
    let loss = sum(&mul(&mul(&w.value(), &w.value()), &x));
    let leaves = w.gradient_nodes(&loss).unwrap();
    let grads = loss.gradients(&leaves, None).unwrap();
    w.assign(&w.value().apply_binary("sub", grads[0].as_ref().unwrap()).unwrap()).unwrap();
    let f = trace.compile(&[loss]).unwrap();
    drop(trace);
    assert_eq!(values(&f.call(&[tensor(&[1.0, 0.5])]).unwrap()[0]), [17.0]);
    assert_eq!(values(&w.value()), [-3.0, 0.0]);
}

#[test]
fn a_learning_rate_changes_without_a_new_plan() {
    let w = Variable::new(&number(0.0), true, "w").unwrap();
    let rate = Variable::new(&number(1.0), false, "rate").unwrap();
    let f = {
        let trace = Trace::enter();
        w.assign(&add(&w.value(), &rate.value())).unwrap();
        trace.compile(&[]).unwrap()
    };
    for i in 1..=3 {
        rate.assign(&number(f64::from(i))).unwrap();
        f.call(&[]).unwrap();
    }
    assert_eq!(values(&w.value()), [6.0]);
}

#[test]
fn two_equal_dropouts_never_merge_and_one_recomputed_is_the_same() {
    let state = Variable::new(&Tensor::from_slice(&[2], &[7i32, 0]).unwrap(), false, "seed").unwrap();
    let one = Tensor::from_slice(&[2], &[0i32, 1]).unwrap();
    let x = tensor(&[1.0; 512]);
    let dropout = |state: &Tensor| {
        Tensor::apply_named("dropout", &[x.clone(), state.clone()], attributes([("rate", Attribute::Float(0.5))]))
            .unwrap()
    };
    let draw = || {
        let key = state.value();
        state.assign(&add(&key, &one)).unwrap();
        (dropout(&key), key)
    };
    let ((a, key), (b, _)) = (draw(), draw());
    assert_ne!(values(&a), values(&b));
    assert_eq!(values(&dropout(&key)), values(&a));
    assert_eq!(state.value().to_vec::<i32>().unwrap(), [7, 2]);
}

#[test]
fn bad_labels_fail_before_anything_is_committed() {
    let w = Variable::new(&number(1.0), true, "w").unwrap();
    let f = {
        let trace = Trace::enter();
        let logits = trace.placeholder(Fact::new([2, 3], DType::F32), "logits");
        let labels = trace.placeholder(Fact::new([2], DType::I32), "labels");
        let loss =
            Tensor::apply_named("sparse_softmax_cross_entropy", &[logits, labels], Attributes::default()).unwrap();
        w.assign(&add(&w.value(), &sum(&loss))).unwrap();
        trace.compile(&[loss]).unwrap()
    };
    let logits = Tensor::from_slice(&[2, 3], &[0.0f32; 6]).unwrap();
    let labels = |l: [i32; 2]| Tensor::from_slice(&[2], &l).unwrap();
    let e = f.call(&[logits.clone(), labels([1, 3])]).unwrap_err().to_string();
    assert!(e.contains("label 3"), "{e}");
    assert_eq!((w.version(), values(&w.value())), (0, vec![1.0]));
    f.call(&[logits, labels([1, 2])]).unwrap();
    assert_eq!(w.version(), 1);
}

#[test]
fn mixed_dtypes_are_promoted_and_bytes_become_floats_where_needed() {
    let bytes = Tensor::from_slice(&[2], &[100u8, 200]).unwrap();
    let ints = Tensor::from_slice(&[2], &[-1i32, 2]).unwrap();
    assert_eq!(add(&bytes, &ints).to_vec::<i32>().unwrap(), [99, 202]);
    assert_eq!(add(&ints, &tensor(&[0.5, 0.5])).to_vec::<f32>().unwrap(), [-0.5, 2.5]);
    assert_eq!(bytes.apply_binary("div", &ints).unwrap().to_vec::<f32>().unwrap(), [-100.0, 100.0]);
}

#[test]
fn errors_name_the_layer_and_both_shapes() {
    let _scope = cnnrs::lazy::LayerScope::enter("dense_3");
    let e = tensor(&[1.0, 2.0]).apply_binary("add", &tensor(&[1.0, 2.0, 3.0])).unwrap_err().to_string();
    assert!(e.starts_with("dense_3: ") && e.contains("(2,)") && e.contains("(3,)"), "{e}");
}

#[test]
fn data_that_waits_for_pending_nodes_is_bounded() {
    // 40 MB each, kept from being freed by the sum that reads it.
    let len = 10 << 20;
    let mut total = number(0.0);
    let mut pending = 0;
    for i in 0..20 {
        let x = Tensor::from_slice(&[len], &vec![i as f32; len]).unwrap();
        let part = sum(&x);
        // The sum that reached the bound was computed, and all before it.
        pending = if part.is_realised() { 0 } else { pending + 1 };
        assert!(pending * len * 4 < 256 << 20, "{pending} arrays are held");
        total = add(&total, &part);
    }
    assert!((values(&total)[0] / (190.0 * len as f32) - 1.0).abs() < 1e-5);
}

#[test]
fn storage_is_computed_in_float32_and_rounded_once() {
    let half = |values: &[f32]| tensor(values).cast(DType::F16).unwrap();
    let [a, b] = [half(&[1.0, 2048.0]), half(&[0.001, 1.0])];
    let sum = add(&a, &b);
    assert_eq!(sum.fact().dtype, DType::F16);
    // 1 + 0.001 as float16 is 1 + 0.0010004; 2049 lies between 2048 and 2050, and goes to the even one.
    assert_eq!(values(&sum.cast(DType::F32).unwrap()), [1.0009766, 2048.0]);
    // Each op rounds, and a reduction rounds its sum alone: float16 counts to 2048 in ones.
    let ones = half(&[1.0; 4096]);
    let count = Tensor::apply_named("sum", &[ones], Attributes::default()).unwrap();
    assert_eq!(count.to_vec::<half::f16>().unwrap(), [half::f16::from_f32(4096.0)]);
}

#[test]
fn results_have_the_common_type() {
    let of = |dtype| tensor(&[1.0, 0.0]).cast(dtype).unwrap();
    for a in DType::all() {
        for b in DType::all() {
            let common = a.promote(b);
            let expected = if common == DType::Bool { DType::I32 } else { common };
            assert_eq!(add(&of(a), &of(b)).fact().dtype, expected, "{a} {b}");
            assert_eq!(of(a).apply_binary("less", &of(b)).unwrap().fact().dtype, DType::Bool);
        }
    }
}

#[test]
fn gradients_of_storage_have_its_type() {
    let x = tensor(&[3.0, 0.5]).cast(DType::BF16).unwrap();
    let y = sum(&mul(&x, &x));
    let [grad] = &y.gradients(&[x], None).unwrap()[..] else { panic!() };
    let grad = grad.clone().unwrap();
    assert_eq!(grad.fact().dtype, DType::BF16);
    assert_eq!(values(&grad.cast(DType::F32).unwrap()), [6.0, 1.0]);
}

#[test]
fn a_variable_rounds_floats_that_it_is_assigned() {
    let v = Variable::new(&tensor(&[1.0]).cast(DType::F16).unwrap(), true, "v").unwrap();
    v.assign(&tensor(&[2049.0])).unwrap();
    assert_eq!(values(&v.value().cast(DType::F32).unwrap()), [2048.0]);
    let integer = Tensor::from_slice(&[1], &[1i32]).unwrap();
    assert!(v.assign(&integer).is_err());
}

#[test]
fn integers_wrap_to_the_range_of_their_type() {
    use cnnrs::buffer::Element;
    fn held<T: Element>(value: i128) -> T {
        Tensor::integer(value, T::DTYPE).unwrap().to_vec::<T>().unwrap()[0]
    }
    for value in [-1i128, -2, 1, 200, -200, (1 << 63) + 5] {
        assert_eq!((held::<u8>(value), held::<i8>(value)), (value as u8, value as i8));
        assert_eq!((held::<u32>(value), held::<i32>(value)), (value as u32, value as i32));
        assert_eq!((held::<u64>(value), held::<i64>(value)), (value as u64, value as i64));
    }
}
