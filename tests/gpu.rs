//! What only the GPU backend has to keep: bits that it shares with the CPU, conversions, limits, bad data, and runs side by
//! side. `make test-gpu` runs this, and what holds of all backends, on the adapter that `CNNRS_ADAPTER` names; elsewhere
//! these tests do nothing.
#![cfg(feature = "gpu")]

use cnnrs::backend::cpu::Cpu;
use cnnrs::backend::device::Backend;
use cnnrs::backend::gpu::{Gpu, device};
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
use cnnrs::{Buffer, DType, ErrorKind, Fact, Graph};
use half::{bf16, f16};
use std::sync::Arc;

/// Whether this run is one of the GPU.
fn is_asked() -> bool {
    let asked = cnnrs::backend::current().unwrap().traits().name == "gpu";
    if !asked {
        println!("did not run: CNNRS_DEVICE is not gpu");
    }
    asked
}

fn plan(backend: &dyn Backend, g: &Graph, fuse: bool) -> Plan {
    let options = PlanOptions { target: Some(backend.target().unwrap()), fuse, ..PlanOptions::default() };
    Plan::compile_on(backend, g, &options).unwrap_or_else(|e| panic!("{e}\n{g}"))
}

fn slots(g: &Graph, inputs: &[RefArray]) -> Vec<Slot> {
    let buffers = inputs.iter().zip(g.inputs()).map(|(x, &i)| to_buffer(x, g.fact(i)));
    buffers.map(|buffer| Slot::Shared(Arc::new(buffer))).collect()
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
        let input = || Slot::Shared(Arc::new(Buffer::from_slice(&[numbers.len()], &numbers).unwrap()));
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
            assert!(description.contains("cast+mul+relu+conv2d+cast"), "{description}");
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
    let limit = device::current().unwrap().facts.tensor_bytes;
    let elements = (limit / 4 + 1) as usize;
    let mut g = Graph::new();
    let x = g.input(Fact::new([elements], DType::F32));
    g.set_origin(Some("layer far".into()));
    let y = g.unary(Function::Exp, x).unwrap();
    let y = g.sum(y, &[0], false).unwrap();
    g.set_outputs(vec![y]);
    let options = PlanOptions { target: Some(Gpu.target().unwrap()), ..PlanOptions::default() };
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

#[test]
fn a_hundred_runs_and_four_threads_give_the_same_bits() {
    if !is_asked() {
        return;
    }
    let (g, inputs) = step();
    let plan = plan(&Gpu, &g, true);
    let bytes = |outputs: Vec<Buffer>| -> Vec<u8> { outputs.iter().flat_map(|b| b.bytes().to_vec()).collect() };
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
    let target = Gpu.target().unwrap();
    device::lose();
    let mut given: Vec<Slot> =
        inputs.iter().zip(g.inputs()).map(|(x, &i)| Slot::Donated(Some(to_buffer(x, g.fact(i))))).collect();
    let error = before.run(&mut given, &|| false).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("was lost") && error.contains("opens the device again"), "{error}");
    assert!(given.iter().all(|slot| slot.buffer().is_ok()));
    // Another target: what was cached for the old one is not found any more.
    assert_ne!(Gpu.target().unwrap(), target);
    let again = plan(&Gpu, &g, true).run(&mut given, &|| false).unwrap();
    assert!(whole.iter().zip(&again).all(|(a, b)| a.bytes() == b.bytes()));
}
