//! What kernels compute: bits that are shared with the CPU, conversions, odd numbers, and many of everything.

use super::*;

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

/// Each pair of values meets, in a kernel of one function. `test_devices.py` has functions in kernels of products.
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
            Typing::Bits => &[DType::I32, DType::U8, DType::Bool],
            Typing::Integer => &[DType::I32, DType::U8],
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
            // Integers have the bits of the CPU, which wrap where f64 does not; the number beside one is of its type.
            let expected = match dtype.is_float() && function != Function::NextAfter {
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
