use cnnrs::dtype::DType;
use cnnrs::graph::Graph;
use cnnrs::ops::RefArray;
use cnnrs::ops::pointwise::Function;
use cnnrs::ops::pool2d::{Pool2d, PoolKind};
use cnnrs::ops::window::{Padding, Window};
use cnnrs::passes::autodiff::differentiate;
use cnnrs::plan::PlanOptions;
use cnnrs::shape::Fact;
use cnnrs::testing::{Rng, check_gradients, check_plan, run_plan};
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn kernels_and_gradients_agree_with_the_definition(
        seed in 0u64..1000, batch in 1usize..3, height in 1usize..9, width in 1usize..9, channels in 1usize..20,
        size in 1usize..4, stride in 1usize..4, choice in 0usize..3, ceil_mode in any::<bool>(), kind in 0usize..3,
    ) {
        let padding = [Padding::Valid, Padding::Same, Padding::Explicit([(1, 0), (0, 1)])][choice];
        let window = Window { size: [size, 2], strides: [stride, 2], dilation: [1, 1], padding, ceil_mode };
        let kind = [
            PoolKind::Max,
            PoolKind::Average { count_include_pad: false },
            PoolKind::Average { count_include_pad: true },
        ][kind];
        let mut g = Graph::new();
        let x = g.input(Fact::new([batch, height, width, channels], DType::F32));
        let Ok(y) = g.apply(Pool2d { kind, window }, &[x]) else { return Ok(()) };
        g.set_outputs(vec![y]);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, 1e-6);
        check_gradients(&mut g, y, &[x], &mut rng);
        check_plan(&g, &mut rng, 1e-5);
    }

    #[test]
    fn second_derivatives_agree_with_differences(
        seed in 0u64..1000, height in 2usize..7, width in 2usize..7, channels in 1usize..5, stride in 1usize..3,
        same in any::<bool>(), max in any::<bool>(),
    ) {
        let padding = if same { Padding::Same } else { Padding::Valid };
        let window = Window { size: [2, 2], strides: [stride, 2], dilation: [1, 1], padding, ceil_mode: false };
        let kind = if max { PoolKind::Max } else { PoolKind::Average { count_include_pad: false } };
        let mut g = Graph::new();
        let x = g.input(Fact::new([2, height, width, channels], DType::F32));
        let y = g.apply(Pool2d { kind, window }, &[x]).unwrap();
        let y = g.unary(Function::Square, y).unwrap();
        let dx = differentiate(&mut g, y, &[x], None).unwrap()[0].unwrap();
        let mut rng = Rng::new(seed);
        check_gradients(&mut g, dx, &[x], &mut rng);
        check_plan(&g, &mut rng, 1e-5);
    }
}

fn pool(size: usize, padding: Padding) -> Pool2d {
    let window = Window { size: [size; 2], strides: [1, 1], dilation: [1, 1], padding, ceil_mode: false };
    Pool2d { kind: PoolKind::Max, window }
}

#[test]
fn windows_outside_the_image_are_refused() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([1, 4, 5, 3], DType::F32));
    for pads in [[(1, 0), (0, 0)], [(0, 0), (0, 1)]] {
        let e = g.apply(pool(1, Padding::Explicit(pads)), &[x]).unwrap_err().to_string();
        assert!(e.contains("pool_size (1, 1) to meet the input") && e.contains("input (4, 5, 3)"), "{e}");
    }
}

#[test]
fn equal_elements_send_the_gradient_to_the_first() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([1, 3, 3, 1], DType::F32));
    let y = g.apply(pool(2, Padding::Valid), &[x]).unwrap();
    let dx = differentiate(&mut g, y, &[x], None).unwrap()[0].unwrap();
    g.set_outputs(vec![dx]);
    let equal = RefArray::from_elem(vec![1, 3, 3, 1], 2.0);
    let got = &run_plan(&g, &PlanOptions::default(), &[equal])[0];
    assert_eq!(got.as_slice::<f32>(), [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn no_images_give_no_windows() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([0, 4, 5, 3], DType::F32));
    let y = g.apply(pool(2, Padding::Same), &[x]).unwrap();
    let dx = differentiate(&mut g, y, &[x], None).unwrap()[0].unwrap();
    g.set_outputs(vec![y, dx]);
    check_plan(&g, &mut Rng::new(0), 0.0);
}
