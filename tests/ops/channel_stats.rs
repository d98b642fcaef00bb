use cnnrs::dtype::DType;
use cnnrs::graph::Graph;
use cnnrs::ops::RefArray;
use cnnrs::ops::channel_stats::ChannelStats;
use cnnrs::ops::conv2d::Conv2d;
use cnnrs::ops::matmul::MatMul;
use cnnrs::ops::movement::Slice;
use cnnrs::ops::window::Padding;
use cnnrs::plan::{Plan, PlanOptions};
use cnnrs::shape::Fact;
use cnnrs::testing::{Rng, check_gradients, check_plan, check_plan_on};
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::cases(32))]

    #[test]
    fn statistics_and_gradients_agree_with_the_definition(seed in 0u64..1000, rows in 1usize..700, channels in 1usize..70) {
        let mut g = Graph::new();
        let x = g.input(Fact::new([rows, channels], DType::F32));
        let y = g.apply(ChannelStats, &[x]).unwrap();
        g.set_outputs(vec![y]);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, 2e-6);
        check_gradients(&mut g, y, &[x], &mut rng);
    }
}

#[test]
fn a_large_mean_does_not_drown_the_variance() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([5000, 3], DType::F32));
    let y = g.apply(ChannelStats, &[x]).unwrap();
    g.set_outputs(vec![y]);
    let mut rng = Rng::new(5);
    // f32 holds 1000 + unit to within 6e-5; the squares would keep nothing of the variance of 1/3.
    let values = RefArray::from_shape_simple_fn(vec![5000, 3], || f64::from((1000.0 + rng.unit()) as f32));
    check_plan_on(&g, &[values], 1e-6);
}

/// A convolution of `x` with `k` filters, its statistics, and its distance from the mean: what training
/// with batch normalisation makes of it.
fn measured(x: [usize; 4], k: usize, bias: bool) -> Graph {
    let mut g = Graph::new();
    let fact = |shape: &[usize]| Fact::new(shape, DType::F32);
    let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
    let (images, filters) = (g.input(fact(&x)), g.input(fact(&[3, 3, x[3], k])));
    let mut y = g.apply(conv, &[images, filters]).unwrap();
    if bias {
        let bias = g.input(fact(&[k]));
        y = g.add(y, bias).unwrap();
    }
    let stats = g.apply(ChannelStats, &[y]).unwrap();
    let mean = g.apply(Slice::new(&[0, 0], &[1, k], &[1, 1]), &[stats]).unwrap();
    let mean = g.reshape(mean, [k].into()).unwrap();
    let centred = g.sub(y, mean).unwrap();
    g.set_outputs(vec![stats, centred]);
    g
}

#[test]
fn a_convolution_measures_its_output_while_it_makes_it() {
    let mut rng = Rng::new(3);
    for x in [[2, 9, 7, 3], [3, 8, 8, 17], [1, 1, 1, 4], [17, 6, 6, 1], [32, 12, 12, 8], [1, 17, 15, 32]] {
        for k in [1, 6, 40, 100] {
            for bias in [false, true] {
                let g = measured(x, k, bias);
                let text = Plan::compile(&g, &crate::on_cpu()).unwrap().describe();
                assert!(text.contains("channel_stats") && !text.contains(" channel_stats "), "{text}");
                check_plan(&g, &mut rng, 2e-5);
            }
        }
    }
}

#[test]
fn a_product_measures_its_output_too() {
    let mut g = Graph::new();
    let (a, b) = (g.input(Fact::new([70, 30], DType::F32)), g.input(Fact::new([30, 50], DType::F32)));
    let y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, b]).unwrap();
    let stats = g.apply(ChannelStats, &[y]).unwrap();
    g.set_outputs(vec![y, stats]);
    let plan = Plan::compile(&g, &crate::on_cpu()).unwrap();
    assert!(plan.describe().contains("matmul+channel_stats"), "{}", plan.describe());
    check_plan(&g, &mut Rng::new(4), 1e-5);
}

#[test]
fn statistics_alone_are_measured_from_memory() {
    let mut g = Graph::new();
    let (a, b) = (g.input(Fact::new([70, 30], DType::F32)), g.input(Fact::new([30, 50], DType::F32)));
    let y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, b]).unwrap();
    let stats = g.apply(ChannelStats, &[y]).unwrap();
    g.set_outputs(vec![stats]);
    check_plan(&g, &mut Rng::new(5), 1e-5);
}

#[test]
fn a_large_bias_does_not_drown_the_variance_in_tiles() {
    let g = measured([2, 20, 20, 3], 5, true);
    let mut rng = Rng::new(6);
    let mut inputs = rng.inputs(&g);
    // Values near 3000, whose squares keep nothing of a variance near 1 in f32.
    inputs[2].mapv_inplace(|v| f64::from((3000.0 + v) as f32));
    let expected = cnnrs::testing::to_values;
    let got = cnnrs::testing::run_plan(&g, &PlanOptions::default(), &inputs);
    let reference = cnnrs::graph::interpret(&g, &inputs).unwrap();
    for (c, (got, want)) in expected(&got[0]).iter().zip(reference[0].iter()).enumerate().skip(5) {
        // The output itself is rounded to 2⁻¹³ of a unit.
        assert!((got - want).abs() < 1e-3 * want, "variance {c}: {got}, reference {want}");
    }
}
