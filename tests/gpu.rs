//! What only the GPU backend has to keep: bits that it shares with the CPU, conversions, limits, bad data, and runs side by
//! side. `make test-gpu` runs this, and what holds of all backends, on the adapter that `CNNRS_ADAPTER` names; elsewhere
//! these tests do nothing.
#![cfg(feature = "gpu")]

use cnnrs::backend::cpu::Cpu;
use cnnrs::backend::device::Backend;
use cnnrs::backend::gpu::caps::Tier;
use cnnrs::backend::gpu::{Gpu, device, selftest};
use cnnrs::graph::interpret;
use cnnrs::ops::channel_stats::ChannelStats;
use cnnrs::ops::conv2d::Conv2d;
use cnnrs::ops::gather::{Gather, OneHot};
use cnnrs::ops::pointwise::{Cast, Function, Typing};
use cnnrs::ops::random::{Distribution, Random};
use cnnrs::ops::window::Padding;
use cnnrs::ops::{Attribute, Attributes, Op, Real, RefArray};
use cnnrs::plan::{Plan, PlanOptions, Slot};
use cnnrs::testing::{Rng, to_buffer, to_values};
use cnnrs::{Buffer, CompiledFunction, DType, ErrorKind, Fact, Graph, Tensor, Trace, Value, Variable};
use half::{bf16, f16};
use std::sync::Arc;
use std::time::Duration;

/// Whether this run is one of the GPU.
fn is_asked() -> bool {
    let asked = cnnrs::backend::current().unwrap().backend().traits().name == "gpu";
    if !asked {
        println!("did not run: CNNRS_DEVICE is not gpu");
    }
    asked
}

fn plan(backend: &dyn Backend, g: &Graph, fuse: bool) -> Plan {
    let options = PlanOptions { target: Some(backend.target(0).unwrap()), fuse, ..PlanOptions::default() };
    Plan::compile_on(backend, g, &options).unwrap_or_else(|e| panic!("{e}\n{g}"))
}

fn slots(g: &Graph, inputs: &[RefArray]) -> Vec<Slot> {
    let buffers = inputs.iter().zip(g.inputs()).map(|(x, &i)| to_buffer(x, g.fact(i)));
    buffers.map(Slot::shared).collect()
}

fn run(backend: &dyn Backend, g: &Graph, inputs: &[RefArray]) -> Vec<Buffer> {
    let outputs = plan(backend, g, true).run(&mut slots(g, inputs), &|| false);
    outputs.unwrap_or_else(|e| panic!("{e}\n{g}"))
}

fn array(values: &[f64]) -> RefArray {
    RefArray::from_shape_vec(&[values.len()][..], values.to_vec()).unwrap()
}

const ODD: [f64; 34] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    3.0,
    1e-3,
    -1e-3,
    1e-40,
    1e-30,
    -1e-30,
    7.7,
    -7.7,
    88.0,
    -88.0,
    100.0,
    -104.0,
    1e3,
    -1e3,
    12345.678,
    1e6,
    3.1e8,
    -1e10,
    1e30,
    -1e30,
    3e38,
    -3e38,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

/// Values of a type at which functions are asked for.
fn values_of(dtype: DType) -> Vec<f64> {
    match dtype {
        DType::F32 => ODD.iter().map(|&v| f64::from(v as f32)).collect(),
        DType::I32 => {
            [0, 1, -1, 2, 3, -3, 7, -7, 100, -100, 65536, i32::MAX, i32::MIN, i32::MIN + 1].map(f64::from).to_vec()
        }
        DType::U8 => [0, 1, 2, 3, 7, 100, 127, 128, 200, 255].map(f64::from).to_vec(),
        _ => vec![0.0, 1.0],
    }
}

/// Each pair of values meets: alone, and behind another function in one kernel.
#[test]
fn pointwise_functions_at_ordinary_and_odd_numbers() {
    if !is_asked() {
        return;
    }
    for &function in Function::ALL {
        let row = function.row();
        let dtypes: &[DType] = match row.typing {
            Typing::Float | Typing::FloatTest => &[DType::F32],
            Typing::Logic => &[DType::Bool],
            _ => &[DType::F32, DType::I32, DType::U8],
        };
        for &dtype in dtypes {
            let values = values_of(dtype);
            let n = values.len();
            let select = row.typing == Typing::Select;
            let mut g = Graph::new();
            let (mut nodes, mut inputs) = (Vec::new(), Vec::new());
            for k in 0..row.arity {
                let condition = select && k == 0;
                nodes.push(g.input(Fact::new([n, n], if condition { DType::Bool } else { dtype })));
                let along = (k + usize::from(select)) % 2;
                let grid = RefArray::from_shape_fn(&[n, n][..], |at| values[at[along]]);
                inputs.push(if condition { grid.mapv(|v| f64::from(u8::from(v > 0.0))) } else { grid });
            }
            let y = g.apply(function, &nodes).unwrap();
            g.set_outputs(vec![y]);
            let got = to_values(&run(&Gpu, &g, &inputs)[0]);
            // Integers have the bits of the CPU, which wrap where f64 does not.
            let expected = match dtype.is_float() {
                true => interpret(&g, &inputs).unwrap()[0].iter().copied().collect(),
                false => to_values(&run(&Cpu, &g, &inputs)[0]),
            };
            for (i, (&a, &b)) in got.iter().zip(&expected).enumerate() {
                let tiny = |v: f64| v.abs() < 1.2e-38;
                let absolute = if matches!(function, Function::Sin | Function::Cos) { 2e-7 } else { 0.0 };
                let near = (a - b).abs() <= 4e-6 * b.abs() + absolute;
                let same = a == b || a == f64::from(b as f32) || near || (a.is_nan() && b.is_nan());
                let args: Vec<f64> = inputs.iter().map(|x| x.as_slice().unwrap()[i]).collect();
                // Subnormal numbers may be 0.
                let flushed = (tiny(a) && tiny(b)) || args.iter().any(|&v| v != 0.0 && tiny(v));
                assert!(
                    same || (dtype.is_float() && flushed),
                    "{} of {args:?} as {dtype}: {a}, expected {b}",
                    row.name
                );
            }
        }
    }
}

#[test]
fn all_halves_are_read_and_all_numbers_rounded_as_the_cpu_does() {
    if !is_asked() {
        return;
    }
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let mut numbers: Vec<f32> =
        all.iter().flat_map(|&b| [f16::from_bits(b).to_f32(), bf16::from_bits(b).to_f32()]).collect();
    // Halfway between neighbours, and a little to each side.
    numbers.extend(
        numbers.clone().iter().flat_map(|x| {
            [-1i32, 0, 1].map(|d| f32::from_bits((x.to_bits() & !0x1fff | 0x1000).wrapping_add_signed(d)))
        }),
    );
    for dtype in [DType::F16, DType::BF16] {
        let mut g = Graph::new();
        let x = g.input(Fact::new([numbers.len()], DType::F32));
        let halves = g.apply(Cast::to(dtype), &[x]).unwrap();
        let back = g.apply(Cast::to(DType::F32), &[halves]).unwrap();
        g.set_outputs(vec![halves, back]);
        let input = || Slot::shared(Buffer::from_slice(&[numbers.len()], &numbers).unwrap());
        let run = |backend: &dyn Backend| plan(backend, &g, false).run(&mut [input()], &|| false).unwrap();
        let (gpu, cpu) = (run(&Gpu), run(&Cpu));
        let bits =
            |buffer: &Buffer| buffer.bytes().chunks(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect::<Vec<_>>();
        let nan = |bits: u16| {
            if dtype == DType::F16 { f16::from_bits(bits).is_nan() } else { bf16::from_bits(bits).is_nan() }
        };
        for (k, (a, b)) in bits(&gpu[0]).into_iter().zip(bits(&cpu[0])).enumerate() {
            // The processor's and the device's subnormal inputs may be 0.
            let flushed = numbers[k] != 0.0 && numbers[k].abs() < f32::MIN_POSITIVE;
            assert!(a == b || (nan(a) && nan(b)) || flushed, "{dtype} of {:e}: {a:#x}, expected {b:#x}", numbers[k]);
        }
        for (k, (a, b)) in gpu[1].as_slice::<f32>().iter().zip(cpu[1].as_slice::<f32>()).enumerate() {
            let flushed = b.abs() < f32::MIN_POSITIVE || numbers[k].abs() < f32::MIN_POSITIVE;
            assert!(a == b || (a.is_nan() && b.is_nan()) || flushed, "{:e}: {a:e}, expected {b:e}", numbers[k]);
        }
    }
}

#[test]
fn kernels_widen_what_they_read_and_round_what_they_store() {
    if !is_asked() {
        return;
    }
    let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
    for (dtype, tolerance) in [(DType::F16, 2f64.powi(-10)), (DType::BF16, 2f64.powi(-7))] {
        for channels in [3, 4] {
            let mut g = Graph::new();
            let x = g.input(Fact::new([2, 5, 4, 3], dtype));
            let w = g.input(Fact::new([3, 3, 3, channels], DType::F32));
            let wide = g.cast(x, DType::F32).unwrap();
            let scaled = g.scale(wide, 2.0).unwrap();
            let bounded = g.unary(Function::Relu, scaled).unwrap();
            let y = g.apply(conv.clone(), &[bounded, w]).unwrap();
            let rounded = g.cast(y, dtype).unwrap();
            let widened = g.cast(rounded, DType::F32).unwrap();
            let measured = g.apply(ChannelStats, &[widened]).unwrap();
            g.set_outputs(vec![rounded, measured]);
            let inputs = Rng::new(9).inputs(&g);
            let expected = interpret(&g, &inputs).unwrap();
            let description = plan(&Gpu, &g, true).describe();
            // Tiles store halves in columns of four; others are rounded by a step of their own.
            let fused = if channels == 4 { "cast+mul+relu+conv2d+cast" } else { "cast+mul+relu+conv2d " };
            assert!(description.contains(fused), "{description}");
            for (got, expected) in run(&Gpu, &g, &inputs).iter().zip(&expected) {
                let scale = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                for (a, b) in to_values(got).iter().zip(expected) {
                    assert!((a - b).abs() <= tolerance * scale, "{dtype} {channels}: {a}, expected {b}");
                }
            }
        }
    }
}

#[test]
fn random_words_are_those_of_the_cpu() {
    if !is_asked() {
        return;
    }
    let distributions = [
        Distribution::Bits,
        Distribution::Uniform,
        Distribution::Bernoulli { p: Real::new(0.3) },
        Distribution::Bernoulli { p: Real::new(1.0) },
        Distribution::Bernoulli { p: Real::new(0.0) },
    ];
    for distribution in distributions {
        for state in [[0.0, 0.0], [-5.0, f64::from(i32::MAX)], [123_456_789.0, -1.0]] {
            let mut g = Graph::new();
            let s = g.input(Fact::new([2], DType::I32));
            let y = g.apply(Random { distribution, shape: [37, 113].into() }, &[s]).unwrap();
            g.set_outputs(vec![y]);
            let [gpu, cpu] = [&Gpu as &dyn Backend, &Cpu].map(|backend| run(backend, &g, &[array(&state)]).remove(0));
            assert!(gpu.bytes() == cpu.bytes(), "{distribution:?}");
        }
    }
}

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
    let x = g.input(Fact::new([elements], DType::F32));
    g.set_origin(Some("layer far".into()));
    let y = g.unary(Function::Exp, x).unwrap();
    let y = g.sum(y, &[0], false).unwrap();
    g.set_outputs(vec![y]);
    let options = PlanOptions { target: Some(Gpu.target(0).unwrap()), ..PlanOptions::default() };
    let error = Plan::compile_on(&Gpu, &g, &options).map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind, ErrorKind::Memory);
    assert!(text.contains(&limit.to_string()) && text.contains(&(elements * 4).to_string()), "{text}");
    assert!(text.contains("layer far"), "{text}");
}

#[test]
fn more_inputs_than_a_kernel_binds_are_joined_in_turns() {
    if !is_asked() {
        return;
    }
    for dtype in [DType::F32, DType::U8, DType::F16] {
        let mut g = Graph::new();
        let parts: Vec<_> = (0..41).map(|k| g.input(Fact::new([3, k % 4 + 1, 5], dtype))).collect();
        let axis = ("axis".to_owned(), Attribute::Int(1));
        let y = g.apply(Op::parse("concat", Attributes::new([axis])).unwrap(), &parts).unwrap();
        g.set_outputs(vec![y]);
        let inputs = Rng::new(5).inputs(&g);
        let [gpu, cpu] = [&Gpu as &dyn Backend, &Cpu].map(|backend| run(backend, &g, &inputs).remove(0));
        assert!(gpu.bytes() == cpu.bytes(), "{dtype}");
    }
}

/// A small network's step: a convolution with a bias, pooling, a product, softmax and all gradients.
fn step() -> (Graph, Vec<RefArray>) {
    let mut g = Graph::new();
    let x = g.input(Fact::new([4, 9, 9, 3], DType::F32));
    let w = g.input(Fact::new([3, 3, 3, 8], DType::F32));
    let b = g.input(Fact::new([8], DType::F32));
    let conv = g.apply(Op::parse("conv2d", Attributes::new([])).unwrap(), &[x, w]).unwrap();
    let biased = g.add(conv, b).unwrap();
    let on = g.unary(Function::Relu, biased).unwrap();
    let pooled = g.apply(Op::parse("max_pool2d", Attributes::new([])).unwrap(), &[on]).unwrap();
    let squares = g.unary(Function::Square, pooled).unwrap();
    let loss = g.mean(squares, &[0, 1, 2, 3], false).unwrap();
    let grads = cnnrs::passes::autodiff::differentiate(&mut g, loss, &[x, w, b], None).unwrap();
    let outputs = std::iter::once(loss).chain(grads.into_iter().flatten()).collect();
    g.set_outputs(outputs);
    let inputs = Rng::new(8).inputs(&g);
    (g, inputs)
}

fn bytes(outputs: Vec<Buffer>) -> Vec<u8> {
    outputs.iter().flat_map(|b| b.bytes().to_vec()).collect()
}

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

/// Kept apart from the other tests, which run at the same time on the device of then.
#[test]
fn a_lost_device_is_an_error_that_leaves_inputs_whole_and_the_next_use_opens_it_again() {
    if !is_asked() {
        return;
    }
    if std::env::var_os("CNNRS_TEST_LOSS").is_none() {
        let own = std::env::current_exe().unwrap();
        let name = "a_lost_device_is_an_error_that_leaves_inputs_whole_and_the_next_use_opens_it_again";
        let done =
            std::process::Command::new(own).args(["--exact", name]).env("CNNRS_TEST_LOSS", "1").output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
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

/// What this test prints when it runs in a process of its own under `variable`.
fn apart(test: &str, variable: &str, value: &str) -> String {
    let own = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new(own);
    let done = command.args(["--exact", test, "--nocapture"]).env(variable, value).env("CNNRS_TEST_APART", "1");
    let done = done.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    said.lines().filter(|line| line.starts_with("bits ")).collect()
}

#[test]
fn runs_that_are_cut_behind_every_step_give_the_same_bits() {
    if !is_asked() {
        return;
    }
    if std::env::var_os("CNNRS_TEST_APART").is_some() {
        let (g, inputs) = step();
        let outputs = plan(&Gpu, &g, true).run(&mut slots(&g, &inputs), &|| false).unwrap();
        println!("bits {:?}", bytes(outputs));
        return;
    }
    let name = "runs_that_are_cut_behind_every_step_give_the_same_bits";
    let [whole, cut] = ["10000", "0"].map(|ms| apart(name, "CNNRS_GPU_SUBMIT_MS", ms));
    assert!(whole.len() > 100 && whole == cut);
    // In many arenas, too.
    assert_eq!(apart(name, "CNNRS_GPU_ARENA_BYTES", "4096"), whole);
    let refused = std::panic::catch_unwind(|| apart(name, "CNNRS_GPU_SUBMIT_MS", "soon"));
    let said = *refused.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("CNNRS_GPU_SUBMIT_MS: expected a number of milliseconds"), "{said}");
}

#[test]
fn profiles_have_a_time_for_every_step() {
    if !is_asked() {
        return;
    }
    let (g, inputs) = step();
    let binding = cnnrs::plan::Binding::new(Arc::new(plan(&Gpu, &g, true)));
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
    if std::env::var_os("CNNRS_TEST_APART").is_none() {
        // Other tests use memory too.
        apart("a_long_session_needs_no_more_memory_than_a_short_one", "CNNRS_ADAPTER_COPIES", "1");
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
fn wherever_memory_ends_variables_are_as_before_and_the_next_run_is_whole() {
    if !is_asked() {
        return;
    }
    if std::env::var_os("CNNRS_TEST_APART").is_none() {
        apart("wherever_memory_ends_variables_are_as_before_and_the_next_run_is_whole", "CNNRS_ADAPTER_COPIES", "1");
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
    if std::env::var_os("CNNRS_TEST_APART").is_none() {
        apart("a_device_lost_at_any_moment_is_said_and_nothing_hangs", "CNNRS_ADAPTER_COPIES", "1");
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

#[test]
fn the_self_test_trusts_the_highest_tier_without_a_wrong_kernel() {
    if !is_asked() {
        return;
    }
    let highest = Tier::ALL.last().unwrap().1;
    let verdict = selftest::test(0, |_, _| {}).unwrap();
    assert_eq!(verdict.tier, Some(highest), "{}", verdict.text);
    // A kernel of tiles gives one wrong number: the plain ones are taken.
    let spoil = |kernel: &str, values: &mut [f64]| {
        if kernel.starts_with("gemm_64x64") {
            values[0] += 0.5;
        }
    };
    let verdict = selftest::test(0, spoil).unwrap();
    assert_eq!(verdict.tier, Some(Tier::Plain), "{}", verdict.text);
    assert!(verdict.text.contains("by gemm_64x64: element 0 of output"), "{}", verdict.text);
    // All are wrong.
    let verdict = selftest::test(0, |_, values| values[0] = f64::NAN).unwrap();
    assert_eq!(verdict.tier, None);
    assert!(verdict.text.contains("plain kernels do not"), "{}", verdict.text);
}

#[test]
fn what_the_self_test_found_is_known_to_the_next_process() {
    if !is_asked() {
        return;
    }
    let name = "what_the_self_test_found_is_known_to_the_next_process";
    if std::env::var_os("CNNRS_TEST_APART").is_some() {
        let device = device::get(0).unwrap();
        let verdict = selftest::known_or_tested(&device, 0).unwrap();
        println!("bits {:?} {}", verdict.tier, verdict.text);
        return;
    }
    let folder = std::env::temp_dir().join(format!("cnnrs-selftest-{}", std::process::id()));
    let cache = folder.to_str().unwrap().to_owned();
    let first = apart(name, "XDG_CACHE_HOME", &cache);
    assert!(first.contains("agree with the reference"), "{first}");
    let file = folder.join("cnnrs").join("gpu-selftest");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    // What stands there is believed; a damaged file is not.
    std::fs::write(&file, text.replace("agree with the reference", "were looked at before")).unwrap();
    assert!(apart(name, "XDG_CACHE_HOME", &cache).contains("were looked at before"));
    std::fs::write(&file, "winograd").unwrap();
    assert_eq!(apart(name, "XDG_CACHE_HOME", &cache), first);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn more_workgroups_than_one_axis_takes_lie_along_two() {
    if !is_asked() {
        return;
    }
    // 65,535 along an axis; each graph has some more, as pointwise work, products and sums.
    let many = 65_540;
    let mut pointwise = Graph::new();
    let x = pointwise.input(Fact::new([many * 256 + 3], DType::F32));
    let y = pointwise.unary(Function::Relu, x).unwrap();
    pointwise.set_outputs(vec![y]);
    let mut products = Graph::new();
    let [a, b] = [0, 1].map(|_| products.input(Fact::new([many, 3, 2], DType::F32)));
    let product = products.apply(Op::parse("matmul", transposed()).unwrap(), &[a, b]).unwrap();
    products.set_outputs(vec![product]);
    let mut sums = Graph::new();
    let x = sums.input(Fact::new([many, 7], DType::F32));
    let sum = sums.sum(x, &[1], false).unwrap();
    sums.set_outputs(vec![sum]);
    for g in [pointwise, products, sums] {
        let input = |(k, &i): (usize, &cnnrs::NodeId)| {
            let fact = g.fact(i);
            let values: Vec<f32> = (0..fact.shape.len()).map(|e| ((e * (k + 3)) % 1001) as f32 - 500.0).collect();
            Buffer::from_slice(&fact.shape, &values).unwrap()
        };
        let run = |backend: &dyn Backend| {
            let mut slots: Vec<Slot> = g.inputs().iter().enumerate().map(input).map(Slot::shared).collect();
            plan(backend, &g, true).run(&mut slots, &|| false).unwrap().remove(0)
        };
        // Whole numbers: the sums are exact.
        assert!(run(&Gpu).as_slice::<f32>() == run(&Cpu).as_slice::<f32>(), "{g}");
    }
}

fn transposed() -> Attributes {
    Attributes::new([("transpose_b".to_owned(), Attribute::Bool(true))])
}

#[test]
fn kernels_that_are_timed_are_kept_for_the_next_process_and_agree() {
    if !is_asked() {
        return;
    }
    let name = "kernels_that_are_timed_are_kept_for_the_next_process_and_agree";
    let (g, inputs) = step();
    if std::env::var_os("CNNRS_TEST_APART").is_some() {
        let plan = plan(&Gpu, &g, true);
        let expected = interpret(&g, &inputs).unwrap();
        for (got, expected) in plan.run(&mut slots(&g, &inputs), &|| false).unwrap().iter().zip(&expected) {
            let scale = expected.iter().fold(1e-3f64, |largest, v| largest.max(v.abs()));
            for (a, b) in to_values(got).iter().zip(expected) {
                assert!((a - b).abs() < 1e-4 * scale, "{a} {b}\n{}", plan.describe());
            }
        }
        let kernels: Vec<&str> = plan.steps().iter().map(|step| step.kernel).collect();
        println!("bits {kernels:?}");
        return;
    }
    let folder = std::env::temp_dir().join(format!("cnnrs-tuned-{}", std::process::id()));
    let run = |seconds: &str| {
        let own = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new(own);
        command.args(["--exact", name, "--nocapture"]).env("CNNRS_TEST_APART", "1");
        let done = command.env("XDG_CACHE_HOME", &folder).env("CNNRS_GPU_TUNE_SECONDS", seconds).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
        said.lines().filter(|line| line.starts_with("bits ")).collect::<String>()
    };
    let by_cost = run("0");
    let file = folder.join("cnnrs").join("gpu-tuned");
    assert!(!file.exists());
    run("100");
    let text = std::fs::read_to_string(&file).unwrap();
    // The convolution and its gradients.
    assert_eq!(text.lines().count(), 3, "{text}");
    // What was found is taken by those who ask for it, without timing, and by nobody else.
    let lines = text.lines().map(|line| format!("plain\t{}\n", line.split_once('\t').unwrap().1));
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    let plain = run("0.000001");
    assert!(!plain.contains("gemm") && plain.contains("conv2d_filter_grad"), "{plain}");
    assert_eq!(run("0"), by_cost);
    std::fs::remove_dir_all(folder).unwrap();
}
