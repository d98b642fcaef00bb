use crate::dtype::DType;
use crate::graph::Graph;
use crate::ops::window::Padding;
use crate::shape::Fact;
use crate::testing::{Rng, check_gradients, check_plan};
use proptest::prelude::*;

use super::Conv2d;

fn padding(choice: usize) -> Padding {
    [Padding::Valid, Padding::Same, Padding::Explicit([(2, 1), (0, 3)])][choice]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

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
        let z = if relu { g.unary(crate::ops::pointwise::Function::Relu, z).unwrap() } else { z };
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
    let y = g.unary(crate::ops::pointwise::Function::Tanh, y).unwrap();
    let dx = crate::passes::autodiff::differentiate(&mut g, y, &[x], None).unwrap()[0].unwrap();
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
