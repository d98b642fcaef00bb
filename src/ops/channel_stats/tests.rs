use super::ChannelStats;
use crate::dtype::DType;
use crate::graph::Graph;
use crate::ops::RefArray;
use crate::shape::Fact;
use crate::testing::{Rng, check_gradients, check_plan, check_plan_on};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

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
