//! Runs: side by side, in a session, cut, stopped, and timed.

use super::*;

#[test]
fn a_hundred_runs_and_four_threads_give_the_same_bits() {
    if !is_asked() {
        return;
    }
    let (g, inputs) = step();
    let plan = plan(&Gpu, &g, true);
    let first = bytes(plan.run(&mut slots(&g, &inputs), &|| false).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    assert!(bytes(plan.run(&mut slots(&g, &inputs), &|| false).unwrap()) == first);
                }
            });
        }
    });
}

#[test]
fn a_stopped_run_is_an_error_and_the_next_one_is_whole() {
    if !is_asked() {
        return;
    }
    let (g, inputs) = step();
    let plan = plan(&Gpu, &g, true);
    let error = plan.run(&mut slots(&g, &inputs), &|| true).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    let expected = interpret(&g, &inputs).unwrap();
    let got = plan.run(&mut slots(&g, &inputs), &|| false).unwrap();
    for (a, b) in got.iter().zip(&expected) {
        assert!(to_values(a).iter().zip(b.iter()).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0)));
    }
}

#[test]
fn runs_that_are_cut_behind_every_step_give_the_same_bits() {
    if !is_asked() {
        return;
    }
    if is_apart() {
        let (g, inputs) = step();
        let plan = plan(&Gpu, &g, true);
        // Every step is a submission of its own where none may take any time.
        let cut = std::env::var("CNNRS_GPU_SUBMIT_MS").is_ok_and(|ms| ms == "0");
        assert_eq!(plan.submissions(), if cut { plan.steps().len() } else { 1 }, "{}", plan.describe());
        let outputs = plan.run(&mut slots(&g, &inputs), &|| false).unwrap();
        println!("bits {:?}", bytes(outputs));
        return;
    }
    let name = "runs_that_are_cut_behind_every_step_give_the_same_bits";
    let [whole, cut] = ["10000", "0"].map(|ms| apart(module_path!(), name, &[("CNNRS_GPU_SUBMIT_MS", ms)]));
    assert!(whole.len() > 100 && whole == cut);
    // In many arenas, too.
    assert_eq!(apart(module_path!(), name, &[("CNNRS_GPU_ARENA_BYTES", "4096")]), whole);
    let refused = std::panic::catch_unwind(|| apart(module_path!(), name, &[("CNNRS_GPU_SUBMIT_MS", "soon")]));
    let said = *refused.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("CNNRS_GPU_SUBMIT_MS: expected a number of milliseconds"), "{said}");
}

#[test]
fn profiles_have_a_time_for_every_step() {
    if !is_asked() {
        return;
    }
    let (g, inputs) = step();
    let binding = Binding::new(Arc::new(plan(&Gpu, &g, true)));
    let (outputs, profile) = binding.run_profiled(&mut slots(&g, &inputs), &|| false).unwrap();
    assert_eq!(profile.steps.len(), binding.plan().steps().len());
    assert!(profile.steps.iter().all(|step| step.busy <= profile.wall), "{}", profile.table());
    assert!(profile.steps.iter().any(|step| step.busy > Duration::ZERO), "{}", profile.table());
    let plain = binding.run(&mut slots(&g, &inputs), &|| false).unwrap();
    for (a, b) in outputs.iter().zip(&plain) {
        assert_eq!(a.host().unwrap().bytes(), b.host().unwrap().bytes());
    }
}

/// A function that adds to `total` the rows of a table that it is given the numbers of.
fn summing(total: &Variable) -> CompiledFunction {
    let trace = Trace::enter();
    let at = trace.placeholder(Fact::new([2], DType::I32), "at");
    let table = Tensor::from_slice(&[4, 3], &std::array::from_fn::<f32, 12, _>(|i| (1 << i) as f32)).unwrap();
    let axis = Attributes::new([("axis".to_owned(), Attribute::Int(0))]);
    let rows = Tensor::apply_named("gather", &[table, at], axis.clone()).unwrap();
    let axes = Attributes::new([("axes".to_owned(), Attribute::List(vec![Attribute::Int(0)]))]);
    let sum = Tensor::apply_named("sum", &[rows], axes).unwrap();
    total.assign(&total.value().apply_binary("add", &sum).unwrap()).unwrap();
    trace.compile(&[sum]).unwrap()
}

fn places(at: [i32; 2]) -> Arc<Value> {
    Arc::new(Buffer::from_slice(&[2], &at).unwrap().into())
}

#[test]
fn a_run_that_meets_bad_data_stops_those_behind_it_and_its_session_goes_on() {
    if !is_asked() {
        return;
    }
    let total = Variable::new(&Tensor::from_slice(&[3], &[0.0f32; 3]).unwrap(), false, "total").unwrap();
    let f = summing(&total);
    let mut session = f.begin().unwrap();
    // The first run moves the variable to the device; from then on, ends are heard of later.
    let first = session.run(&[places([0, 1])]).unwrap();
    let failed = session.run(&[places([1, 9])]).unwrap();
    let behind = session.run(&[places([2, 3])]);
    let error = behind.and_then(|_| session.run(&[places([2, 3])]).map(drop)).unwrap_err();
    assert!(error.to_string().contains("index 9 at position 1"), "{error}");
    assert_eq!(failed[0].host().map(drop).unwrap_err(), error);
    assert_eq!(first[0].to_vec::<f32>().unwrap(), [9.0, 18.0, 36.0]);
    // What is not heard of before the end is heard there.
    session.run(&[places([3, 3])]).unwrap();
    session.run(&[places([-5, 0])]).unwrap();
    let error = session.finish().unwrap_err();
    assert!(error.to_string().contains("index -5 at position 0"), "{error}");
    assert_eq!(total.value().to_vec::<f32>().unwrap(), [1033.0, 2066.0, 4132.0]);
    assert_eq!(total.version(), 2);
}

#[test]
fn a_long_session_needs_no_more_memory_than_a_short_one() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        // Other tests use memory too.
        apart(module_path!(), "a_long_session_needs_no_more_memory_than_a_short_one", &[]);
        return;
    }
    let total = Variable::new(&Tensor::from_slice(&[3], &[0.0f32; 3]).unwrap(), false, "total").unwrap();
    let f = summing(&total);
    let mut session = f.begin().unwrap();
    let mut used = Vec::new();
    for k in 0..40 {
        session.run(&[places([k % 4, 0])]).unwrap();
        used.push((cnnrs::backend::used_bytes(), cnnrs::backend::idle_bytes()));
    }
    session.finish().unwrap();
    assert!(used[8..].iter().all(|now| now.0 <= used[8].0 + 4096 && now.1 <= used[8].1 + 4096), "{used:?}");
    assert!(used[39].0 > 0);
    assert_eq!(total.version(), 40);
    cnnrs::release_memory();
    assert_eq!(cnnrs::backend::idle_bytes(), 0);
    // What was in use stays.
    assert_eq!(total.value().to_vec::<f32>().unwrap()[0], 10.0 * (1.0 + 8.0 + 64.0 + 512.0) + 40.0);
}

#[test]
fn runs_for_whose_end_nobody_waits_leave_memory_that_others_read_through() {
    if !is_asked() {
        return;
    }
    let mut g = Graph::new();
    let table = g.input(Fact::new([4, 3], DType::F32));
    let at = g.input(Fact::new([2], DType::I32));
    let rows = g.apply(Gather { axis: 0 }, &[table, at]).unwrap();
    g.set_outputs(vec![rows]);
    let binding = Binding::new(Arc::new(plan(&Gpu, &g, true)));
    let table =
        Arc::new(Value::from(Buffer::from_slice(&[4, 3], &std::array::from_fn::<f32, 12, _>(|i| i as f32)).unwrap()));
    let slots = |at| [Slot::Shared(table.clone()), Slot::Shared(places(at))];
    let control = Control { defer: true, ..Control::new(&|| false) };
    for k in 0..20 {
        let run = binding.run_by(&mut slots([k % 4, 0]), &control).unwrap();
        assert!(run.pending.is_some());
    }
    let run = binding.run_by(&mut slots([2, 3]), &control).unwrap();
    run.pending.unwrap().wait(&|| false).unwrap();
    assert_eq!(run.outputs[0].to_vec::<f32>().unwrap(), [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
}

#[test]
fn a_session_that_is_dropped_counts_what_was_committed_and_keeps_nothing_twice() {
    if !is_asked() {
        return;
    }
    let total = Variable::new(&Tensor::from_slice(&[3], &[0.0f32; 3]).unwrap(), false, "total").unwrap();
    let f = summing(&total);
    let mut session = f.begin().unwrap();
    session.run(&[places([0, 0])]).unwrap();
    session.run(&[places([9, 0])]).unwrap();
    session.run(&[places([1, 1])]).unwrap();
    drop(session);
    assert_eq!((total.version(), total.value().to_vec::<f32>().unwrap()), (1, vec![2.0, 4.0, 8.0]));
    // The next session commits again.
    f.call(&[Tensor::from_slice(&[2], &[0i32, 0]).unwrap()]).unwrap();
    assert_eq!((total.version(), total.value().to_vec::<f32>().unwrap()), (2, vec![4.0, 8.0, 16.0]));
}

#[test]
fn the_host_s_last_value_takes_no_memory_of_the_device() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        apart(module_path!(), "the_host_s_last_value_takes_no_memory_of_the_device", &[]);
        return;
    }
    let len = 1 << 20;
    let big = Variable::new(&Tensor::from_slice(&[len], &vec![1.0f32; len]).unwrap(), false, "big").unwrap();
    let trace = Trace::enter();
    big.assign(&big.value().apply_binary("add", &Tensor::scalar(2.0, DType::F32).unwrap()).unwrap()).unwrap();
    let f = trace.compile(&[]).unwrap();
    drop(trace);
    for _ in 0..3 {
        f.call(&[]).unwrap();
    }
    assert_eq!(big.value().to_vec::<f32>().unwrap()[len - 1], 7.0);
    let used = cnnrs::backend::used_bytes();
    assert!((4 * len..5 * len).contains(&used), "{used} bytes for one variable of {}", 4 * len);
}
