//! Every candidate, forced by name under adversarial attachments, across attributes.

use crate::dtype::DType;
use crate::graph::{Graph, NodeId};
use crate::ops::Real;
use crate::ops::channel_stats::ChannelStats;
use crate::ops::compose::Activation;
use crate::ops::conv2d::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad};
use crate::ops::window::Padding;
use crate::plan::{Plan, PlanOptions};
use crate::precision::Precision;
use crate::shape::{Fact, Shape};
use crate::testing::{
    Rng, adversarial_epilogue, adversarial_prologue, check_candidates, check_plan, run_plan, to_values,
};
use std::collections::BTreeMap;

/// Relative to the largest value of an output: sums of at most 1000 products in f32.
const TOLERANCE: f64 = 2e-5;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Pass {
    Forward,
    InputGrad,
    FilterGrad,
}

/// The primitive `pass` of a convolution, with attachments on both sides; `None` where windows do not fit.
fn attached(pass: Pass, conv: &Conv2d, x: [usize; 4], w: [usize; 4]) -> Option<(Graph, NodeId)> {
    let place = conv.place(&x, &w).ok()?;
    let y = [x[0], place.out[0], place.out[1], w[3]];
    let (first, second) = match pass {
        Pass::Forward => (x, w),
        Pass::InputGrad => (y, w),
        Pass::FilterGrad => (x, y),
    };
    let mut g = Graph::new();
    let fact = |shape: [usize; 4]| Fact::new(Shape::from(shape), DType::F32);
    let first = g.input(fact(first));
    let second = g.input(fact(second));
    let first = adversarial_prologue(&mut g, first).unwrap();
    let conv = conv.clone();
    let anchor = match pass {
        Pass::Forward => g.apply(conv, &[first, second]),
        Pass::InputGrad => g.apply(Conv2dInputGrad { conv, size: [x[1], x[2]] }, &[first, second]),
        Pass::FilterGrad => g.apply(Conv2dFilterGrad { conv, kernel_size: [w[0], w[1]] }, &[first, second]),
    }
    .unwrap();
    adversarial_epilogue(&mut g, anchor).unwrap();
    Some((g, anchor))
}

type Runs = BTreeMap<(&'static str, Pass), usize>;

fn check_all(conv: &Conv2d, x: [usize; 4], w: [usize; 4], runs: &mut Runs) {
    for pass in [Pass::Forward, Pass::InputGrad, Pass::FilterGrad] {
        let Some((g, anchor)) = attached(pass, conv, x, w) else { continue };
        let mut rng = Rng::new((x[1] * 7 + w[3]) as u64);
        for name in check_candidates(&g, anchor, &mut rng, TOLERANCE) {
            *runs.entry((name, pass)).or_default() += 1;
        }
    }
}

#[test]
fn every_candidate_agrees_with_the_sums_under_attachments() {
    let mut runs = Runs::new();
    for padding in [Padding::Valid, Padding::Same, Padding::Explicit([(2, 1), (0, 3)])] {
        for stride in [1, 2, 3] {
            for dilation in [1, 2] {
                let conv = |groups| Conv2d { strides: [stride, 1], dilation: [dilation; 2], padding, groups };
                check_all(&conv(1), [2, 7, 9, 5], [3, 2, 5, 7], &mut runs);
                check_all(&conv(3), [1, 5, 6, 6], [2, 3, 2, 9], &mut runs);
                check_all(&conv(5), [2, 6, 5, 5], [3, 3, 1, 10], &mut runs);
                check_all(&conv(17), [2, 6, 9, 17], [3, 3, 1, 17], &mut runs);
                check_all(&conv(1), [3, 5, 4, 3], [1, 1, 3, 18], &mut runs);
            }
        }
    }
    // Full lanes: images and channels in whole vectors, and one more.
    let plain = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    check_all(&plain, [17, 6, 6, 1], [5, 5, 1, 6], &mut runs);
    check_all(&plain, [1, 6, 5, 32], [3, 3, 32, 33], &mut runs);
    for padding in [Padding::Valid, Padding::Explicit([(2, 1), (0, 3)])] {
        let conv = Conv2d { padding, ..plain.clone() };
        check_all(&conv, [2, 7, 9, 5], [3, 3, 5, 7], &mut runs);
        check_all(&conv, [3, 4, 11, 18], [3, 3, 18, 40], &mut runs);
    }
    for kernel in [3, 4, 5] {
        let conv = Conv2d { strides: [2, 2], ..plain.clone() };
        check_all(&conv, [2, 9, 12, 17], [kernel, kernel, 17, 20], &mut runs);
    }
    // Of stride 2 in stages: parities in whole vectors.
    let strided = Conv2d { strides: [2, 2], ..plain.clone() };
    check_all(&strided, [2, 9, 12, 32], [4, 4, 32, 20], &mut runs);
    for pass in [Pass::Forward, Pass::InputGrad, Pass::FilterGrad] {
        assert_eq!(runs.get(&("conv_winograd", pass)), Some(&10), "{pass:?}");
        let plain = (pass != Pass::FilterGrad).then_some(5);
        assert_eq!(runs.get(&("conv_winograd_2x2", pass)).copied(), plain, "{pass:?}");
        let staged = plain.map(|runs| runs + usize::from(pass == Pass::Forward));
        assert_eq!(runs.get(&("conv_winograd_staged", pass)).copied(), staged, "{pass:?}");
    }
    for pass in [Pass::Forward, Pass::InputGrad, Pass::FilterGrad] {
        for (name, least) in [
            ("conv_direct", 50),
            ("conv_blocked", 20),
            ("conv_blocked_winograd", 5),
            ("conv_depthwise", 10),
            ("conv_depthwise_rows", 5),
            ("conv_gemm_1x1", 2),
        ] {
            let count = runs.get(&(name, pass)).copied().unwrap_or(0);
            assert!(count >= least, "{name} ran {count} times for {pass:?}");
        }
    }
}

/// The primitive `pass` on an input of 16 bits, scaled and bounded while it is packed or only widened, whose result is rounded
/// to as many, stored, and measured as it is stored.
fn in_16_bits(pass: Pass, conv: &Conv2d, x: [usize; 4], w: [usize; 4], dtype: DType, plain: bool) -> (Graph, NodeId) {
    let place = conv.place(&x, &w).unwrap();
    let y = [x[0], place.out[0], place.out[1], w[3]];
    let [first, second] = match pass {
        Pass::Forward => [x, w],
        Pass::InputGrad => [y, w],
        Pass::FilterGrad => [x, y],
    };
    let mut g = Graph::new();
    let stored = g.input(Fact::new(Shape::from(first), dtype));
    let second = g.input(Fact::new(Shape::from(second), DType::F32));
    let mut first = g.cast(stored, DType::F32).unwrap();
    if !plain {
        first = adversarial_prologue(&mut g, first).unwrap();
    }
    let conv = conv.clone();
    let anchor = match pass {
        Pass::Forward => g.apply(conv, &[first, second]),
        Pass::InputGrad => g.apply(Conv2dInputGrad { conv, size: [x[1], x[2]] }, &[first, second]),
        Pass::FilterGrad => g.apply(Conv2dFilterGrad { conv, kernel_size: [w[0], w[1]] }, &[first, second]),
    }
    .unwrap();
    let rounded = g.cast(anchor, dtype).unwrap();
    let widened = g.cast(rounded, DType::F32).unwrap();
    let measured = g.apply(ChannelStats, &[widened]).unwrap();
    g.set_outputs(vec![rounded, measured]);
    (g, anchor)
}

#[test]
fn every_candidate_reads_and_writes_16_bits() {
    let mut runs = Runs::new();
    let conv = |stride, groups| Conv2d { strides: [stride; 2], dilation: [1, 1], padding: Padding::Same, groups };
    for (conv, x, w) in [
        (conv(1, 1), [2, 7, 9, 5], [3, 3, 5, 37]),
        (conv(2, 1), [2, 7, 9, 20], [3, 3, 20, 37]),
        (conv(1, 1), [3, 5, 4, 18], [1, 1, 18, 33]),
        (conv(2, 1), [3, 6, 4, 18], [1, 1, 18, 33]),
        (conv(1, 20), [2, 6, 5, 20], [3, 3, 1, 20]),
        (conv(1, 6), [2, 6, 5, 6], [3, 3, 1, 12]),
        (conv(1, 1), [17, 6, 6, 1], [5, 5, 1, 6]),
    ] {
        for (dtype, epsilon) in [(DType::F16, 2f64.powi(-10)), (DType::BF16, 2f64.powi(-7))] {
            for (pass, plain) in
                [Pass::Forward, Pass::InputGrad, Pass::FilterGrad].map(|p| [(p, true), (p, false)]).concat()
            {
                let (g, anchor) = in_16_bits(pass, &conv, x, w, dtype, plain);
                // What lies in the middle between two halves may become either.
                for name in check_candidates(&g, anchor, &mut Rng::new(w[3] as u64), epsilon) {
                    *runs.entry((name, pass)).or_default() += 1;
                }
            }
        }
    }
    for pass in [Pass::Forward, Pass::InputGrad, Pass::FilterGrad] {
        for name in ["conv_direct", "conv_blocked", "conv_winograd", "conv_gemm_1x1", "conv_depthwise"] {
            assert!(runs.get(&(name, pass)).is_some_and(|&n| n >= 4), "{name} {pass:?} {runs:?}");
        }
    }
}

#[test]
fn conversions_run_in_the_kernel() {
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    for (pass, step) in [
        (Pass::Forward, "cast+conv2d+cast+cast+channel_stats →"),
        (Pass::InputGrad, " conv2d_input_grad+cast+cast+channel_stats →"),
        (Pass::FilterGrad, "cast+conv2d_filter_grad →"),
    ] {
        let (g, _) = in_16_bits(pass, &conv, [2, 9, 9, 40], [3, 3, 40, 24], DType::BF16, true);
        let text = Plan::compile(&g, &PlanOptions::default()).unwrap().describe();
        assert!(text.contains(step), "{text}");
    }
}

#[test]
fn what_no_kernel_measures_as_it_is_stored_is_measured_in_memory() {
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    let mut g = Graph::new();
    let f32s = |shape: &[usize]| Fact::new(shape, DType::F32);
    let (x, w, rows) = (g.input(f32s(&[2, 6, 5, 3])), g.input(f32s(&[3, 3, 3, 4])), g.input(f32s(&[6, 1, 4])));
    let y = g.apply(conv, &[x, w]).unwrap();
    // No tile carries an operand that repeats along pixels.
    let y = g.add(y, rows).unwrap();
    let rounded = g.cast(y, DType::F16).unwrap();
    let widened = g.cast(rounded, DType::F32).unwrap();
    let measured = g.apply(ChannelStats, &[widened]).unwrap();
    g.set_outputs(vec![rounded, measured]);
    check_plan(&g, &mut Rng::new(5), 2f64.powi(-10));
}

#[test]
fn sums_over_nothing_are_zero() {
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    for (x, w) in [([0, 4, 5, 3], [3, 3, 3, 2]), ([2, 4, 5, 0], [3, 3, 0, 2]), ([2, 4, 5, 3], [3, 3, 3, 0])] {
        for pass in [Pass::Forward, Pass::InputGrad, Pass::FilterGrad] {
            let (mut g, anchor) = attached(pass, &conv, x, w).unwrap();
            g.set_outputs(vec![anchor]);
            check_plan(&g, &mut Rng::new(1), 0.0);
        }
    }
}

#[test]
fn epilogues_and_their_sums_run_in_the_kernel() {
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    for pass in [Pass::Forward, Pass::InputGrad] {
        let (g, _) = attached(pass, &conv, [2, 9, 9, 40], [3, 3, 40, 24]).unwrap();
        let plan = Plan::compile(&g, &PlanOptions::default()).unwrap();
        let text = plan.describe();
        let step = text.lines().find(|l| l.contains("conv2d")).unwrap();
        assert!(step.contains("+mul+add") && step.contains("+sum+") && step.contains("conv_"), "{text}");
    }
}

#[test]
fn every_candidate_adds_bias_and_residual_and_bounds_the_sum() {
    let mut runs = Runs::new();
    let conv = |stride, groups| Conv2d { strides: [stride; 2], dilation: [1, 1], padding: Padding::Same, groups };
    for (conv, x, w) in [
        (conv(1, 1), [2, 7, 9, 5], [3, 3, 5, 37]),
        (conv(2, 1), [2, 7, 9, 20], [3, 3, 20, 37]),
        (conv(1, 1), [3, 5, 4, 18], [1, 1, 18, 33]),
        (conv(1, 20), [2, 6, 5, 20], [3, 3, 1, 20]),
    ] {
        for (has_bias, lo, hi) in [(true, 0.0, f64::INFINITY), (false, 0.0, 0.5), (true, -0.25, 0.5)] {
            let mut g = Graph::new();
            let fact = |shape: [usize; 4]| Fact::new(Shape::from(shape), DType::F32);
            let (x, w) = (g.input(fact(x)), g.input(fact(w)));
            let anchor = g.apply(conv.clone(), &[x, w]).unwrap();
            let fact = g.fact(anchor).clone();
            let bias = g.input(Fact::new([fact.shape[3]], DType::F32));
            let residual = g.input(fact);
            let mut y = if has_bias { g.add(anchor, bias).unwrap() } else { anchor };
            y = g.add(residual, y).unwrap();
            let bounds = Activation::Clip { min: Real::new(lo), max: Real::new(hi) };
            y = g.apply(bounds, &[y]).unwrap();
            g.set_outputs(vec![y]);
            for name in check_candidates(&g, anchor, &mut Rng::new(3), TOLERANCE) {
                *runs.entry((name, Pass::Forward)).or_default() += 1;
            }
        }
    }
    for name in
        ["conv_direct", "conv_blocked", "conv_winograd", "conv_gemm_1x1", "conv_depthwise", "conv_depthwise_rows"]
    {
        assert!(runs.get(&(name, Pass::Forward)).is_some_and(|&n| n >= 3), "{runs:?}");
    }
}

#[test]
fn strict_plans_sum_the_products_themselves() {
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    let (x, w) = ([4, 16, 16, 64], [3, 3, 64, 64]);
    for pass in [Pass::Forward, Pass::InputGrad, Pass::FilterGrad] {
        let mut g = Graph::new();
        let first = g.input(Fact::new(Shape::from(x), DType::F32));
        let second = if pass == Pass::FilterGrad { x } else { w };
        let second = g.input(Fact::new(Shape::from(second), DType::F32));
        let conv = conv.clone();
        let y = match pass {
            Pass::Forward => g.apply(conv, &[first, second]),
            Pass::InputGrad => g.apply(Conv2dInputGrad { conv, size: [16, 16] }, &[first, second]),
            Pass::FilterGrad => g.apply(Conv2dFilterGrad { conv, kernel_size: [3, 3] }, &[first, second]),
        };
        g.set_outputs(vec![y.unwrap()]);
        let inputs = Rng::new(5).inputs(&g);
        let bits = |options: &PlanOptions| -> Vec<u32> {
            to_values(&run_plan(&g, options, &inputs)[0]).iter().map(|v| (*v as f32).to_bits()).collect()
        };
        let fast = PlanOptions::default();
        let strict = PlanOptions { precision: Precision::Strict, ..PlanOptions::default() };
        let direct = PlanOptions { force_kernel: Some("conv_direct".into()), ..PlanOptions::default() };
        let winograd = PlanOptions { force_kernel: Some("conv_winograd".into()), ..PlanOptions::default() };
        assert_ne!(fast, strict, "precision is part of the key");
        assert_eq!(bits(&strict), bits(&direct), "{pass:?}");
        assert_eq!(bits(&fast), bits(&winograd), "{pass:?}");
        assert_ne!(bits(&fast), bits(&strict), "{pass:?}");
        let forced = PlanOptions { precision: Precision::Strict, ..winograd };
        assert_eq!(bits(&forced), bits(&direct), "{pass:?}: strict plans refuse a forced kernel");
    }
}
