use cnnrs::dtype::DType;
use cnnrs::graph::Graph;
use cnnrs::ops::pointwise::Function;
use cnnrs::ops::window::Padding;
use cnnrs::passes::autodiff::differentiate;
use cnnrs::shape::Fact;
use cnnrs::testing::{Rng, check_gradients, check_plan};
use proptest::prelude::*;

use cnnrs::ops::conv2d::{Conv2d, Conv2dTranspose};

fn padding(choice: usize) -> Padding {
    [Padding::Valid, Padding::Same, Padding::Explicit([(2, 1), (0, 3)])][choice]
}

proptest! {
    #![proptest_config(crate::cases(48))]

    #[test]
    fn kernels_and_gradients_agree_with_the_sums(
        seed in 0u64..1000, batch in 1usize..3, height in 3usize..8, width in 3usize..8, channels in 1usize..4,
        filters in 1usize..6, kernel in 1usize..4, stride in 1usize..3, dilation in 1usize..3, groups in 1usize..4,
        choice in 0usize..3, relu in any::<bool>(),
    ) {
        let conv = Conv2d { strides: [stride, 1], dilation: [1, dilation], padding: padding(choice), groups };
        let mut g = Graph::new();
        let x = g.input(Fact::new([batch, height, width, channels * groups], DType::F32));
        let w = g.input(Fact::new([kernel, 2, channels, filters * groups], DType::F32));
        let b = g.input(Fact::new([filters * groups], DType::F32));
        let Ok(y) = g.apply(conv, &[x, w]) else {
            // Only windows larger than the padded image are refused.
            prop_assert!(kernel > height || dilation + 1 > width);
            return Ok(());
        };
        let z = g.add(y, b).unwrap();
        let z = if relu { g.unary(cnnrs::ops::pointwise::Function::Relu, z).unwrap() } else { z };
        let mut rng = Rng::new(seed);
        g.set_outputs(vec![z]);
        check_plan(&g, &mut rng, 1e-5);
        if !relu {
            check_gradients(&mut g, z, &[x, w, b], &mut rng);
            check_plan(&g, &mut rng, 1e-5);
        }
    }
}

#[test]
fn second_derivatives_work() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([1, 4, 5, 2], DType::F32));
    let w = g.input(Fact::new([3, 2, 2, 3], DType::F32));
    let conv = Conv2d { strides: [2, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    let y = g.apply(conv, &[x, w]).unwrap();
    let y = g.unary(cnnrs::ops::pointwise::Function::Tanh, y).unwrap();
    let dx = cnnrs::passes::autodiff::differentiate(&mut g, y, &[x], None).unwrap()[0].unwrap();
    check_gradients(&mut g, dx, &[x, w], &mut Rng::new(3));
}

#[test]
fn channels_that_do_not_fit_are_named() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([1, 4, 4, 3], DType::F32));
    let w = g.input(Fact::new([3, 3, 2, 8], DType::F32));
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Valid, groups: 1 };
    let e = g.apply(conv, &[x, w]).unwrap_err().to_string();
    assert!(e.contains("3 input channels") && e.contains("[3, 3, 2, 8]"), "{e}");
}

fn transpose(stride: usize, padding: Padding, output_padding: Option<[usize; 2]>) -> Conv2dTranspose {
    let conv = Conv2d { strides: [stride, stride + 1], dilation: [2, 1], padding, groups: 1 };
    Conv2dTranspose { conv, output_padding }
}

proptest! {
    #![proptest_config(crate::cases(32))]

    #[test]
    fn transposed_convolutions_scatter_the_filters(
        seed in 0u64..1000, height in 1usize..5, width in 1usize..5, channels in 1usize..4, filters in 1usize..4,
        kernel in 1usize..4, stride in 1usize..4, choice in 0usize..2, extra in 0usize..5,
    ) {
        let op = transpose(stride, padding(choice), extra.checked_sub(1).map(|e| [e, 0]));
        let mut g = Graph::new();
        let x = g.input(Fact::new([2, height, width, channels], DType::F32));
        let w = g.input(Fact::new([kernel, 3, filters, channels], DType::F32));
        let Ok(y) = g.apply(op.clone(), &[x, w]) else {
            // Refused: more extra rows than strides leave, or an even "same" window that leaves nothing.
            prop_assert!(extra > 0);
            return Ok(());
        };
        let mut rng = Rng::new(seed);
        g.set_outputs(vec![y]);
        check_plan(&g, &mut rng, 1e-5);
        if choice == 0 {
            // y[p·s + i·d] += x[p] · w[i], and nothing else.
            let inputs = rng.inputs(&g);
            let got = cnnrs::graph::interpret(&g, &inputs).unwrap().remove(0);
            let mut expected = cnnrs::ops::RefArray::zeros(got.shape());
            for (at, &v) in inputs[0].indexed_iter() {
                for (i, &f) in inputs[1].indexed_iter() {
                    if i[3] == at[3] {
                        expected[[at[0], at[1] * stride + 2 * i[0], at[2] * (stride + 1) + i[1], i[2]]] += v * f;
                    }
                }
            }
            prop_assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
        }
        check_gradients(&mut g, y, &[x, w], &mut rng);
        check_plan(&g, &mut rng, 1e-5);
    }
}

#[test]
fn transposed_sizes_follow_keras() {
    let size = |kernel: usize, stride: usize, padding, output_padding: Option<[usize; 2]>| {
        let conv = Conv2d { strides: [stride; 2], dilation: [1, 1], padding, groups: 1 };
        let facts = [Fact::new([1, 5, 5, 2], DType::F32), Fact::new([kernel, kernel, 4, 2], DType::F32)];
        use cnnrs::ops::OpDef;
        Conv2dTranspose { conv, output_padding }.infer(&facts).map(|f| f.shape[1])
    };
    assert_eq!(size(3, 2, Padding::Valid, None), Ok(11));
    assert_eq!(size(2, 3, Padding::Valid, None), Ok(15));
    assert_eq!(size(3, 2, Padding::Same, None), Ok(10));
    assert_eq!(size(3, 2, Padding::Same, Some([0, 0])), Ok(9));
    assert_eq!(size(3, 2, Padding::Same, Some([1, 1])), Ok(10));
    assert_eq!(size(3, 2, Padding::Valid, Some([1, 1])), Ok(12));
    assert_eq!(size(4, 2, Padding::Explicit([(1, 1); 2]), None), Ok(10));
    let e = size(3, 2, Padding::Same, Some([2, 2])).unwrap_err().to_string();
    assert!(e.contains("less than strides (2, 2)") && e.contains("(2, 2) for filters (3, 3, 4, 2)"), "{e}");
}

#[test]
fn windows_that_reach_far_beyond_the_image() {
    let far = 10_000_000;
    for (size, w, conv) in [
        ([5, 8], [3, 3], ([1, far], [1, 1], Padding::Same)),
        ([5, 8], [3, 3], ([far, 1], [far, far], Padding::Same)),
        ([8, 8], [1, 2], ([1, 1], [1, 1_000_000_000], Padding::Same)),
        ([6, 7], [2, 3], ([1, far], [1, 2], Padding::Explicit([(0, 1), (far, far)]))),
        ([6, 7], [3, 3], ([1, 2], [1, 100], Padding::Explicit([(1, 1), (100, 100)]))),
        ([6, 7], [3, 3], ([2, 1], [90, 1], Padding::Explicit([(200, 150), (0, 0)]))),
    ] {
        for groups in [1, 3] {
            let (strides, dilation, padding) = conv;
            let conv = Conv2d { strides, dilation, padding, groups };
            let mut g = Graph::new();
            let x = g.input(Fact::new([2, size[0], size[1], 3], DType::F32));
            let w = g.input(Fact::new([w[0], w[1], 3 / groups, 6], DType::F32));
            let y = g.apply(conv, &[x, w]).unwrap();
            let y = g.unary(Function::Relu, y).unwrap();
            let seed = g.input(g.fact(y).clone());
            let grads = differentiate(&mut g, y, &[x, w], Some(seed)).unwrap();
            let mut outputs = vec![y];
            outputs.extend(grads.into_iter().flatten());
            g.set_outputs(outputs);
            check_plan(&g, &mut Rng::new(3), 1e-5);
        }
    }
}

#[test]
fn numbers_beyond_the_bound_are_named() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([2, 5, 6, 4], DType::F32));
    let w = g.input(Fact::new([3, 3, 4, 8], DType::F32));
    let plain = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Valid, groups: 1 };
    for huge in [1 << 31, 1 << 61, 1 << 62, usize::MAX] {
        for (name, conv) in [
            ("strides", Conv2d { strides: [huge, 1], ..plain.clone() }),
            ("dilation", Conv2d { dilation: [1, huge], ..plain.clone() }),
            ("padding", Conv2d { padding: Padding::Explicit([(0, huge), (0, 0)]), ..plain.clone() }),
        ] {
            let e = g.apply(conv, &[x, w]).unwrap_err();
            assert_eq!(e.kind, cnnrs::error::ErrorKind::Value);
            assert!(e.to_string().contains(name) && e.to_string().contains(&huge.to_string()), "{e}");
        }
    }
}
