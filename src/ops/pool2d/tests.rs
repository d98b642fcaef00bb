use super::{Pool2d, PoolKind};
use crate::dtype::DType;
use crate::graph::Graph;
use crate::ops::window::{Padding, Window};
use crate::shape::Fact;
use crate::testing::{Rng, check_gradients, check_plan};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

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
        // Windows that lie in the padding alone have no elements; kernels refuse them.
        prop_assume!(size > 1 || choice != 2);
        g.set_outputs(vec![y]);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, 1e-6);
        check_gradients(&mut g, y, &[x], &mut rng);
        check_plan(&g, &mut rng, 1e-5);
    }
}
