use super::{forms, lower_region};
use crate::backend::cpu::kernel::{Operands, Status};
use crate::backend::cpu::simd::Tier;
use crate::buffer::{Buffer, Element};
use crate::dtype::DType;
use crate::fusion::region::{Arg, Instruction, Operand, Reduction, Region};
use crate::graph::{Graph, NodeId, interpret};
use crate::ops::RefArray;
use crate::ops::conv2d::Conv2d;
use crate::ops::pointwise::{Function, Typing};
use crate::ops::reduce::ReduceKind;
use crate::ops::window::Padding;
use crate::plan::{Plan, PlanOptions, Slot};
use crate::shape::Fact;
use crate::testing::{Rng, check_plan, run_plan, to_values};
use half::{bf16, f16};
use proptest::prelude::*;

fn result(g: &mut Graph, f: Function, args: &[NodeId]) -> Option<NodeId> {
    g.apply(f, args).ok()
}

#[test]
fn every_function_on_every_dtype_it_takes() {
    for &f in Function::ALL {
        for dtype in DType::all() {
            if dtype != DType::F32 && matches!(f, Function::FloorDiv | Function::Mod | Function::Pow) {
                // Division by zero and negative powers have no integer value.
                continue;
            }
            for shape in [&[3usize, 5, 7][..], &[1], &[2000], &[4, 1030]] {
                let mut g = Graph::new();
                let fact = Fact::new(shape, dtype);
                let mut args = Vec::new();
                if f.row().typing == Typing::Select {
                    args.push(g.input(Fact::new(shape, DType::Bool)));
                }
                while args.len() < f.row().arity {
                    args.push(g.input(fact.clone()));
                }
                let Some(y) = result(&mut g, f, &args) else { continue };
                g.set_outputs(vec![y]);
                check_plan(&g, &mut Rng::new(shape.len() as u64), 1e-6);
            }
        }
    }
}

/// The bits of what plans, fused and unfused, make of `x` by the casts `chain`.
fn cast<T: Element, R: Element>(x: &[T], chain: &[DType]) -> Vec<Vec<R>> {
    let mut g = Graph::new();
    let mut y = g.input(Fact::new([x.len()], T::DTYPE));
    for &dtype in chain {
        y = g.cast(y, dtype).unwrap();
    }
    g.set_outputs(vec![y]);
    [true, false]
        .map(|fuse| {
            let plan = Plan::compile(&g, &PlanOptions { fuse, ..PlanOptions::default() }).unwrap();
            let mut slots = [Slot::shared(Buffer::from_slice(&[x.len()], x).unwrap())];
            plan.run(&mut slots, &|| false).unwrap()[0].as_slice::<R>().to_vec()
        })
        .into()
}

/// f32 at and beside every number at which a type of 16 bits rounds another way, and others.
fn roundings() -> Vec<f32> {
    let halves = (0..=u16::MAX).map(|bits| f16::from_bits(bits).to_f32());
    let beside = halves.chain((0..=u16::MAX).map(|bits| bf16::from_bits(bits).to_f32())).flat_map(|x| {
        let bits = x.to_bits();
        let half_a_step = [0x1000, 0x0fff, 0x1001, 0x8000, 0x7fff, 0x8001];
        half_a_step.map(|step| f32::from_bits(bits.wrapping_add(step))).into_iter().chain([x])
    });
    let mut rng = Rng::new(1);
    beside.chain((0..100_000).map(|_| f32::from_bits(rng.below(1 << 32) as u32))).collect()
}

#[test]
fn casts_to_sixteen_bits_have_the_bits_of_the_crate_half() {
    let x = roundings();
    let expected: Vec<u16> = x.iter().map(|&v| f16::from_f32(v).to_bits()).collect();
    for got in cast::<f32, f16>(&x, &[DType::F16]) {
        assert!(got.iter().map(|v| v.to_bits()).eq(expected.iter().copied()));
    }
    let expected: Vec<u16> = x.iter().map(|&v| bf16::from_f32(v).to_bits()).collect();
    for got in cast::<f32, bf16>(&x, &[DType::BF16]) {
        assert!(got.iter().map(|v| v.to_bits()).eq(expected.iter().copied()));
    }
    // In one kernel a value passes from cast to cast as a lane.
    let expected: Vec<u32> = x.iter().map(|&v| bf16::from_f32(f16::from_f32(v).to_f32()).to_f32().to_bits()).collect();
    for got in cast::<f32, f32>(&x, &[DType::F16, DType::BF16, DType::F32]) {
        assert!(got.iter().map(|v| v.to_bits()).eq(expected.iter().copied()));
    }
}

#[test]
fn casts_from_sixteen_bits_lose_nothing() {
    let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
    let expected: Vec<u32> = halves.iter().map(|v| v.to_f32().to_bits()).collect();
    for got in cast::<f16, f32>(&halves, &[DType::F32]) {
        assert!(got.iter().map(|v| v.to_bits()).eq(expected.iter().copied()));
    }
    let brains: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
    let expected: Vec<u32> = brains.iter().map(|v| v.to_f32().to_bits()).collect();
    for got in cast::<bf16, f32>(&brains, &[DType::F32]) {
        assert!(got.iter().map(|v| v.to_bits()).eq(expected.iter().copied()));
    }
    let numbers: Vec<i32> = halves.iter().map(|v| DType::I32.round(v.to_f64()) as i32).collect();
    for got in cast::<f16, i32>(&halves, &[DType::I32]) {
        assert_eq!(got, numbers);
    }
    let steps: Vec<i32> = (-70_000..70_000).step_by(7).collect();
    let expected: Vec<u16> = steps.iter().map(|&v| f16::from_f32(v as f32).to_bits()).collect();
    for got in cast::<i32, f16>(&steps, &[DType::F16]) {
        assert!(got.iter().map(|v| v.to_bits()).eq(expected.iter().copied()));
    }
}

#[test]
fn a_kernel_that_reads_and_stores_sixteen_bits_agrees_with_the_reference() {
    for dtype in [DType::F16, DType::BF16] {
        for (shape, other) in
            [(&[3usize, 5, 7][..], &[7usize][..]), (&[2000], &[1]), (&[4, 1030], &[4, 1]), (&[2, 3], &[])]
        {
            let mut g = Graph::new();
            let [x, y] = [shape, other].map(|shape| g.input(Fact::new(shape, dtype)));
            let [a, b] = [x, y].map(|v| g.cast(v, DType::F32).unwrap());
            let sum = g.add(a, b).unwrap();
            let rounded = g.cast(sum, dtype).unwrap();
            let wide = g.cast(rounded, DType::F32).unwrap();
            let product = g.mul(wide, a).unwrap();
            let stored = g.cast(product, dtype).unwrap();
            let total = g.sum(wide, &[0], false).unwrap();
            let spread = g.broadcast_to(y, shape.into()).unwrap();
            g.set_outputs(vec![rounded, stored, total, spread]);
            // The reference rounds a sum in f64: another neighbour is a step of bfloat16 away.
            check_plan(&g, &mut Rng::new(3), 1e-2);
        }
    }
}

/// Numbers that functions give zeros for, and others, in all pairs.
fn pairs_at_the_edge() -> [Vec<f32>; 2] {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let edge =
        [0.0, -0.0, 0.3, -0.3, 1.0, -1.0, 2.5, -3.0, 88.9, -200.0, 200.0, 1e-30, -1e-30, 1e10, 3e38, inf, -inf, nan];
    let pairs = edge.iter().flat_map(|&a| edge.iter().map(move |&b| (a, b)));
    // As many that vectors leave a rest.
    let (mut a, mut b): (Vec<f32>, Vec<f32>) = pairs.unzip();
    a.push(-0.0);
    b.push(0.0);
    [a, b]
}

fn numeric() -> impl Iterator<Item = Function> {
    Function::ALL.iter().copied().filter(|f| matches!(f.row().typing, Typing::Number | Typing::Float))
}

/// Whether both are zeros of float32, with other signs.
fn zeros_differ(got: f64, expected: f64) -> bool {
    got == 0.0 && expected as f32 == 0.0 && got.is_sign_negative() != expected.is_sign_negative()
}

#[test]
fn zeros_have_the_signs_of_the_reference_on_every_tier() {
    let args = pairs_at_the_edge();
    for tier in Tier::supported() {
        let apply = forms::select(tier);
        for f in numeric() {
            // All at once, and lane by lane.
            for step in [args[0].len(), 1] {
                for first in (0..args[0].len()).step_by(step) {
                    let at = |k: usize| args[k][first..].as_ptr().cast::<u32>();
                    let mut out = vec![7f32; step];
                    let lanes = out.as_mut_ptr().cast();
                    // SAFETY: arguments and result have as many lanes.
                    unsafe { apply(f, DType::F32, DType::F32, [at(0), at(1), at(1)], lanes, step) };
                    for (i, &got) in out.iter().enumerate() {
                        let x = [0, 1].map(|k| f64::from(args[k][first + i]));
                        let expected = (f.row().value)(&x[..f.row().arity]);
                        assert!(!zeros_differ(got.into(), expected), "{tier} {f:?} {x:?}: {got}, reference {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn zeros_keep_their_signs_in_plans() {
    let args = pairs_at_the_edge();
    let fact = Fact::new([args[0].len()], DType::F32);
    let inputs: Vec<RefArray> =
        args.iter().map(|a| a.iter().map(|&v| f64::from(v)).collect::<ndarray::Array1<f64>>().into_dyn()).collect();
    for f in numeric() {
        for next in [Function::Identity, Function::Neg, Function::Sqrt, Function::Tanh] {
            let mut g = Graph::new();
            let x = [g.input(fact.clone()), g.input(fact.clone())];
            let y = g.apply(f, &x[..f.row().arity]).unwrap();
            let z = g.unary(next, y).unwrap();
            g.set_outputs(vec![z]);
            let expected = interpret(&g, &inputs).unwrap();
            for fuse in [true, false] {
                let got = run_plan(&g, &PlanOptions { fuse, ..PlanOptions::default() }, &inputs);
                for (i, (got, &expected)) in to_values(&got[0]).into_iter().zip(&expected[0]).enumerate() {
                    let x = [inputs[0][i], inputs[1][i]];
                    assert!(!zeros_differ(got, expected), "{next:?} of {f:?} {x:?}: {got}, reference {expected}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::testing::cases(96))]

    #[test]
    fn random_programs_over_broadcast_operands(
        seed in 0u64..10_000, a in 1usize..5, b in 1usize..40, c in 1usize..70, steps in 1usize..14, reduce in 0usize..9,
    ) {
        let mut rng = Rng::new(seed);
        let mut g = Graph::new();
        let shapes: [&[usize]; 7] = [&[a, b, c], &[c], &[1, b, 1], &[a, 1, c], &[a, b, 1], &[], &[a, 1, 1]];
        let mut values: Vec<NodeId> = shapes.iter().map(|s| g.input(Fact::new(*s, DType::F32))).collect();
        let bytes = g.input(Fact::new([a, b, c], DType::U8));
        let floats = g.cast(bytes, DType::F32).unwrap();
        values.push(g.scale(floats, 1.0 / 256.0).unwrap());
        let mut all = Vec::new();
        for _ in 0..steps {
            let x = values[rng.below(values.len())];
            let y = values[rng.below(values.len())];
            let next = match rng.below(8) {
                0 => g.add(x, y),
                1 => g.mul(x, y),
                2 => g.sub(x, y),
                3 => g.unary(Function::Tanh, x),
                4 => g.binary(Function::Maximum, x, y),
                5 => g.unary(Function::Sigmoid, x),
                6 => {
                    let on = g.binary(Function::Less, x, y).unwrap();
                    g.select(on, x, y)
                }
                _ => g.scale(x, 0.7),
            }.unwrap();
            values.push(next);
            all.push(next);
        }
        let last = *all.last().unwrap();
        let mut outputs = vec![last, all[rng.below(all.len())]];
        let axes: [&[usize]; 9] = [&[], &[0], &[1], &[2], &[0, 1], &[1, 2], &[0, 2], &[0, 1, 2], &[0, 1]];
        let full = g.broadcast_to(last, [a, b, c].into());
        if let Ok(full) = full
            && reduce > 0
        {
            let sum = g.reduce(ReduceKind::Sum, full, axes[reduce], false).unwrap();
            // Terms may cancel, so that rounding is to be compared with their number.
            let terms = (a * b * c / g.fact(sum).shape.len()) as f64;
            outputs.push(g.scale(sum, 1.0 / terms).unwrap());
            for kind in [ReduceKind::Max, ReduceKind::Min] {
                outputs.push(g.reduce(kind, full, axes[reduce], false).unwrap());
            }
        }
        g.set_outputs(outputs);
        check_plan(&g, &mut rng, 1e-5);
    }
}

#[test]
fn extremes_of_rows_and_columns_of_any_length_keep_nan_and_the_first_zero() {
    let mut rng = Rng::new(9);
    let special = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN];
    for tier in Tier::supported() {
        let extreme = forms::select_extreme(tier);
        for cols in (1..40).chain([48, 63, 64, 65, 79, 80, 81, 129, 197]) {
            for rows in [1, 2, 5] {
                for case in 0..40 {
                    let mut values: Vec<f32> =
                        (0..rows * cols).map(|_| rng.below(2001) as f32 * 0.01 - 30.0 * (case % 3) as f32).collect();
                    if case % 5 == 0 {
                        let sign = [1.0, -1.0][case % 2];
                        values.iter_mut().for_each(|v| *v = sign * [0.0, -0.0, -1.0][rng.below(3)]);
                    }
                    for _ in 0..case % 4 {
                        values[rng.below(rows * cols)] = special[rng.below(special.len())];
                    }
                    if case == 39 {
                        values.fill(special[rng.below(special.len())]);
                    }
                    for kind in [ReduceKind::Max, ReduceKind::Min] {
                        for step in [None, Some(0), Some(1), Some(3)] {
                            // Beside what was found before.
                            let before = [kind.identity(), 4.5, f64::NAN][case % 3];
                            let mut got = vec![before; cols.max(3 * rows)];
                            let mut expected = got.clone();
                            extreme(kind, &values, cols, step, &mut got);
                            for (i, &v) in values.iter().enumerate() {
                                let e = &mut expected[step.map_or(i % cols, |step| i / cols * step)];
                                *e = kind.combine(*e, f64::from(v));
                            }
                            let signs = |a: f64, b: f64| a != 0.0 || a.is_sign_negative() == b.is_sign_negative();
                            let same = |(&a, &b): (&f64, &f64)| a == b && signs(a, b) || a.is_nan() && b.is_nan();
                            let all = got.iter().zip(&expected).all(same);
                            assert!(all, "{tier} {kind:?} {rows}x{cols} {step:?}: {got:?}, reference {expected:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn sums_of_rows_of_any_length() {
    let mut rng = Rng::new(3);
    for tier in Tier::supported() {
        let sum = forms::select_sum(tier);
        for cols in (1..36).chain([63, 64, 65, 130]) {
            for (rows, step) in [(1, 0), (2, 0), (1, 1), (5, 1), (37, 1), (5, 3)] {
                // Whole numbers, so that no order of addition rounds.
                let values: Vec<f32> = (0..rows * cols).map(|_| rng.below(2001) as f32 - 1000.0).collect();
                let mut got = vec![2.5; 3 * rows];
                let mut expected = got.clone();
                sum(&values, cols, Some(step), &mut got);
                values.iter().enumerate().for_each(|(i, &v)| expected[i / cols * step] += f64::from(v));
                assert_eq!(got, expected, "{tier} {rows}x{cols}, step {step}");
            }
        }
    }
}

#[test]
fn large_sums_in_all_directions() {
    for (shape, axes) in [
        (&[70_000usize, 6][..], &[0usize][..]),
        (&[3, 70_000], &[1]),
        (&[200_000], &[0]),
        (&[16, 33, 33, 24], &[0, 1, 2]),
        (&[16, 33, 33, 24], &[1, 2]),
        (&[40, 5000], &[0]),
        (&[0, 4], &[0]),
    ] {
        for dtype in [DType::F32, DType::I32, DType::U8] {
            let mut g = Graph::new();
            let x = g.input(Fact::new(shape, dtype));
            let y = g.sum(x, axes, false).unwrap();
            g.set_outputs(vec![y]);
            check_plan(&g, &mut Rng::new(1), 1e-6);
        }
    }
}

/// Runs all chunks of a region that reduces nothing.
fn run_region(region: &Region, inputs: &[*const u8], outputs: &[*mut u8]) {
    let lowered = lower_region(region, Tier::current().unwrap()).unwrap();
    let mut scratch = vec![0f64; lowered.scratch / 8 + 8];
    let nothing = std::ptr::null_mut();
    let operands = Operands { inputs, outputs, workspace: nothing, packed: &[], status: &Status::default() };
    for phase in &lowered.phases {
        (0..phase.chunks).for_each(|c| (phase.run)(&operands, c, scratch.as_mut_ptr().cast()));
    }
}

/// A program over full operands with two outputs.
fn program(rng: &mut Rng, shape: &[usize], operands: usize) -> Region {
    let strides: Vec<usize> = (0..shape.len()).map(|a| shape[a + 1..].iter().product()).collect();
    let functions = [
        Function::Add,
        Function::Sub,
        Function::Mul,
        Function::Square,
        Function::Relu,
        Function::Tanh,
        Function::Maximum,
    ];
    let mut code: Vec<Instruction> = Vec::new();
    for _ in 0..2 + rng.below(8) {
        let function = functions[rng.below(functions.len())];
        let args = (0..function.row().arity).map(|_| match rng.below(operands + code.len()) {
            k if k < operands => Arg::Operand(k as u16),
            k => Arg::Result((k - operands) as u16),
        });
        let args = args.collect();
        code.push(Instruction { function, args, input_dtype: DType::F32, dtype: DType::F32 });
    }
    let last = Arg::Result(code.len() as u16 - 1);
    let other = match rng.below(3) {
        0 => Arg::Operand(rng.below(operands) as u16),
        _ => Arg::Result(rng.below(code.len()) as u16),
    };
    Region {
        shape: shape.into(),
        operands: (0..operands)
            .map(|_| Operand { dtype: DType::F32, strides: strides.iter().copied().collect() })
            .collect(),
        code,
        stores: vec![(last, DType::F32), (other, DType::F32)],
        ..Region::default()
    }
}

#[test]
fn outputs_may_be_the_memory_of_operands() {
    const OPERANDS: usize = 3;
    let mut rng = Rng::new(7);
    for case in 0..400 {
        let shape: &[usize] = [&[1][..], &[5], &[700], &[3, 1500], &[40, 17]][case % 5];
        let len = shape.iter().product();
        let region = program(&mut rng, shape, OPERANDS);
        let data: Vec<Vec<f32>> = (0..OPERANDS).map(|_| (0..len).map(|_| rng.unit() as f32 - 0.5).collect()).collect();
        let mut expected = [vec![0f32; len], vec![0f32; len]];
        let inputs: Vec<*const u8> = data.iter().map(|x| x.as_ptr().cast()).collect();
        let outputs = expected.each_mut().map(|y| y.as_mut_ptr().cast());
        run_region(&region, &inputs, &outputs);
        // An output is no operand's memory, or that of one that the other output is not.
        for (first, second) in (0..=OPERANDS).flat_map(|i| (0..=OPERANDS).map(move |j| (i, j))) {
            // What is stored as it came would be overwritten by the other output.
            let stored_as_it_came = |k: usize| region.stores.iter().any(|s| s.0 == Arg::Operand(k as u16));
            if first == second || stored_as_it_came(first) || stored_as_it_came(second) {
                continue;
            }
            let mut memory = data.clone();
            memory.extend([vec![0f32; len], vec![0f32; len]]);
            let at: Vec<*mut u8> = memory.iter_mut().map(|x| x.as_mut_ptr().cast()).collect();
            let inputs: Vec<*const u8> = at[..OPERANDS].iter().map(|p| p.cast_const()).collect();
            let second = if second == OPERANDS { OPERANDS + 1 } else { second };
            run_region(&region, &inputs, &[at[first], at[second]]);
            assert_eq!([&memory[first], &memory[second]], [&expected[0], &expected[1]], "{region:?}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_order_of_chunks() {
    let region = Region {
        shape: [90_000, 7].into(),
        operands: vec![Operand { dtype: DType::F32, strides: smallvec::smallvec![7, 1] }],
        reduce_axes: smallvec::smallvec![0],
        reductions: vec![Reduction { source: Arg::Operand(0), dtype: DType::F32, kind: ReduceKind::Sum }],
        ..Region::default()
    };
    let mut rng = Rng::new(4);
    let x: Vec<f32> = (0..630_000).map(|_| rng.unit() as f32).collect();
    let run = |reverse: bool| {
        let lowered = lower_region(&region, Tier::current().unwrap()).unwrap();
        let mut out = vec![0f32; 7];
        let mut workspace = vec![0f64; lowered.workspace / 8 + 8];
        let mut scratch = vec![0f64; lowered.scratch / 8 + 8];
        let status = Status::default();
        let inputs = [x.as_ptr().cast()];
        let outputs = [out.as_mut_ptr().cast()];
        let operands = Operands {
            inputs: &inputs,
            outputs: &outputs,
            workspace: workspace.as_mut_ptr().cast(),
            packed: &[],
            status: &status,
        };
        for phase in &lowered.phases {
            let mut order: Vec<usize> = (0..phase.chunks).collect();
            if reverse {
                order.reverse();
            }
            order.into_iter().for_each(|c| (phase.run)(&operands, c, scratch.as_mut_ptr().cast()));
        }
        assert!(lowered.phases[0].chunks > 4);
        out
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn epilogues_on_the_raw_output_have_the_bits_of_steps_of_their_own() {
    const UNARY: [Function; 4] = [Function::Sigmoid, Function::Tanh, Function::Exp, Function::Square];
    const BINARY: [Function; 3] = [Function::Add, Function::Mul, Function::Sub];
    let mut rng = Rng::new(11);
    let mut attached = 0;
    for case in 0..300 {
        // Whole vectors and not, rows of a block and parts of one.
        let channels = [3, 16, 64, 70, 1100][case % 5];
        let mut g = Graph::new();
        let fact = |shape: &[usize]| Fact::new(shape, DType::F32);
        let (x, w) = (g.input(fact(&[2, 9, 7, 5])), g.input(fact(&[1, 1, 5, channels])));
        let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
        let y = g.apply(conv, &[x, w]).unwrap();
        let bias = g.input(fact(&[channels]));
        let mut values = vec![y, g.add(y, bias).unwrap()];
        for _ in 0..1 + rng.below(5) {
            // Values are read twice, also the raw output behind what is made of it.
            let [a, b] = [(); 2].map(|_| values[rng.below(values.len())]);
            let value = match rng.below(2) {
                0 => g.unary(UNARY[rng.below(UNARY.len())], a),
                _ => g.binary(BINARY[rng.below(BINARY.len())], a, b),
            };
            values.push(value.unwrap());
        }
        // One store, two, or one and what came raw.
        let last = values[values.len() - 1];
        let other = [last, y, values[rng.below(values.len())]][rng.below(3)];
        g.set_outputs(if other == last { vec![last] } else { vec![last, other] });
        let inputs = rng.inputs(&g);
        let options = |fuse| PlanOptions { fuse, ..PlanOptions::default() };
        let bits = |fuse| {
            let outputs = run_plan(&g, &options(fuse), &inputs);
            outputs.iter().map(|o| o.as_slice::<f32>().iter().map(|v| v.to_bits()).collect()).collect::<Vec<Vec<u32>>>()
        };
        assert_eq!(bits(true), bits(false), "case {case}\n{g}");
        let text = Plan::compile(&g, &options(true)).unwrap().describe();
        attached += usize::from(!text.contains("region"));
    }
    assert!(attached > 100, "few epilogues were attached: {attached} of 300");
}
