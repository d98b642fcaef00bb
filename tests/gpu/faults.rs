//! Bad data, too little memory, and devices that are lost.

use super::*;

#[test]
fn bad_integers_are_named_the_first_of_them() {
    if !is_asked() {
        return;
    }
    let mut g = Graph::new();
    let x = g.input(Fact::new([7, 3], DType::F32));
    let indices = g.input(Fact::new([300], DType::I32));
    let y = g.apply(Gather { axis: 0 }, &[x, indices]).unwrap();
    let z = g.unary(Function::Square, y).unwrap();
    g.set_outputs(vec![z]);
    let mut at: Vec<f64> = (0..300).map(|i| f64::from(i % 14 - 7)).collect();
    let good = run(&Gpu, &g, &[Rng::new(1).array(&Fact::new([7, 3], DType::F32)), array(&at)]);
    assert_eq!(good[0].fact().shape.len(), 900);
    (at[211], at[77], at[299]) = (7.0, -8.0, 1000.0);
    let inputs = [Rng::new(1).array(&Fact::new([7, 3], DType::F32)), array(&at)];
    let messages = [&Gpu as &dyn Backend, &Cpu].map(|backend| {
        let error = plan(backend, &g, true).run(&mut slots(&g, &inputs), &|| false).unwrap_err();
        // Without a layer's name it begins with the kernel's.
        (error.kind, error.to_string().split_once(": ").unwrap().1.to_owned())
    });
    assert!(messages[0].1.contains("-8 at position 77"), "{messages:?}");
    assert_eq!(messages[0], messages[1]);

    let mut g = Graph::new();
    let labels = g.input(Fact::new([5], DType::I32));
    let y = g.apply(OneHot { depth: 4, dtype: DType::F32, strict: true }, &[labels]).unwrap();
    g.set_outputs(vec![y]);
    let error = plan(&Gpu, &g, true).run(&mut slots(&g, &[array(&[0.0, 3.0, 2.0, 4.0, -1.0])]), &|| false).unwrap_err();
    assert!(error.to_string().contains("label 4 at position 3"), "{error}");
}

#[test]
fn tensors_beyond_what_the_device_binds_are_refused_with_both_sizes() {
    if !is_asked() {
        return;
    }
    let limit = device::get(0).unwrap().facts.tensor_bytes;
    let elements = (limit / 4 + 1) as usize;
    let mut g = Graph::new();
    let [x, w] = [[1, elements], [elements, 1]].map(|shape| g.input(Fact::new(shape, DType::F32)));
    g.set_origin(Some("layer far".into()));
    let y = g.apply(Op::parse("matmul", Attributes::new([])).unwrap(), &[x, w]).unwrap();
    g.set_outputs(vec![y]);
    let options = PlanOptions { target: Some(Gpu.target(0).unwrap()), ..PlanOptions::default() };
    let error = Plan::compile_on(&Gpu, &g, &options).map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind, ErrorKind::Memory);
    assert!(text.contains(&limit.to_string()) && text.contains(&(elements * 4).to_string()), "{text}");
    assert!(text.contains("layer far"), "{text}");
}

/// Kept apart from the other tests, which run at the same time on the device of then.
#[test]
fn a_lost_device_is_an_error_that_leaves_inputs_whole_and_the_next_use_opens_it_again() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        let name = "a_lost_device_is_an_error_that_leaves_inputs_whole_and_the_next_use_opens_it_again";
        apart(module_path!(), name, &[]);
        return;
    }
    let (g, inputs) = step();
    let before = plan(&Gpu, &g, true);
    let whole = before.run(&mut slots(&g, &inputs), &|| false).unwrap();
    let target = Gpu.target(0).unwrap();
    device::lose(0);
    let mut given: Vec<Slot> =
        inputs.iter().zip(g.inputs()).map(|(x, &i)| Slot::donated(to_buffer(x, g.fact(i)))).collect();
    let error = before.run(&mut given, &|| false).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("was lost") && error.contains("opens the device again"), "{error}");
    assert!(given.iter().all(|slot| slot.buffer().is_ok()));
    // Another target: what was cached for the old one is not found any more.
    assert_ne!(Gpu.target(0).unwrap(), target);
    let again = plan(&Gpu, &g, true).run(&mut given, &|| false).unwrap();
    assert!(whole.iter().zip(&again).all(|(a, b)| a.bytes() == b.bytes()));
}

#[test]
fn wherever_memory_ends_variables_are_as_before_and_the_next_run_is_whole() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        apart(module_path!(), "wherever_memory_ends_variables_are_as_before_and_the_next_run_is_whole", &[]);
        return;
    }
    let open = device::get(0).unwrap();
    let big = |value: f32| Tensor::from_slice(&[3000], &[value; 3000]).unwrap();
    let variables = [1.0, 2.0].map(|value| Variable::new(&big(value), false, "v").unwrap());
    let trace = Trace::enter();
    let x = trace.placeholder(Fact::new([3000], DType::F32), "x");
    let mut sum = x.clone();
    for variable in &variables {
        sum = sum.apply_binary("add", &variable.value()).unwrap();
        variable.assign(&variable.value().apply_binary("add", &x).unwrap()).unwrap();
    }
    let f = trace.compile(&[sum]).unwrap();
    drop(trace);
    let (mut failed, mut runs) = (0, 0.0f32);
    for limit in (0..120_000).step_by(1500) {
        open.set_memory_limit(open.allocated_bytes().max(limit));
        // Every second run begins with all of it on the host.
        if limit % 3000 == 0 {
            for (k, variable) in variables.iter().enumerate() {
                variable.assign(&big(runs + 1.0 + k as f32)).unwrap();
            }
            cnnrs::release_memory();
            open.set_memory_limit(limit);
        }
        match f.call(&[big(1.0)]) {
            Ok(_) => runs += 1.0,
            Err(e) => {
                assert_eq!(e.kind, ErrorKind::Memory);
                assert!(e.to_string().contains("gpu:0") && e.to_string().contains("bytes"), "{e}");
                failed += 1;
            }
        }
        open.set_memory_limit(u64::MAX);
        for (k, variable) in variables.iter().enumerate() {
            assert_eq!(variable.value().to_vec::<f32>().unwrap(), vec![runs + 1.0 + k as f32; 3000], "limit {limit}");
        }
    }
    assert!(failed > 5 && runs > 5.0, "{failed} runs failed, {runs} did not");
}

#[test]
fn a_device_lost_at_any_moment_is_said_and_nothing_hangs() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        apart(module_path!(), "a_device_lost_at_any_moment_is_said_and_nothing_hangs", &[]);
        return;
    }
    let (g, inputs) = step();
    let whole = bytes(plan(&Gpu, &g, true).run(&mut slots(&g, &inputs), &|| false).unwrap());
    let mut lost = 0;
    for k in 0..24u64 {
        let runs = std::thread::scope(|scope| {
            let runs = scope.spawn(|| {
                let plan = Gpu.target(0).and_then(|target| {
                    let options = PlanOptions { target: Some(target), ..PlanOptions::default() };
                    Plan::compile_on(&Gpu, &g, &options)
                });
                let run = |plan: &Plan| plan.run(&mut slots(&g, &inputs), &|| false).map(bytes);
                (0..6).map(|_| plan.as_ref().map_err(Clone::clone).and_then(run)).collect::<Vec<_>>()
            });
            std::thread::sleep(Duration::from_micros(1500 * k));
            device::lose(0);
            runs.join().unwrap()
        });
        for run in runs {
            match run {
                Ok(made) => assert!(made == whole),
                Err(e) => {
                    assert_eq!(e.kind, ErrorKind::Lost, "{e}");
                    lost += 1;
                }
            }
        }
    }
    assert!(lost > 0);
    assert!(bytes(plan(&Gpu, &g, true).run(&mut slots(&g, &inputs), &|| false).unwrap()) == whole);
}
