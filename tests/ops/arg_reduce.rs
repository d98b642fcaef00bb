use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, interpret};
use cnnrs::ops::RefArray;
use cnnrs::ops::arg_reduce::ArgReduce;
use cnnrs::shape::{Fact, Shape};
use cnnrs::testing::{Rng, check_plan, check_plan_on};
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::cases(48))]

    #[test]
    fn plans_agree_with_the_definition(
        seed in 0u64..1000, a in 1usize..5, b in 1usize..9, c in 1usize..20, axis in -3i64..4,
        largest in any::<bool>(), keepdims in any::<bool>(), kind in 0usize..3,
    ) {
        let mut g = Graph::new();
        let x = g.input(Fact::new([a, b, c], [DType::F32, DType::I32, DType::U8][kind]));
        let axis = (axis < 3).then_some(axis);
        let y = g.apply(ArgReduce { largest, axis, keepdims }, &[x]).unwrap();
        g.set_outputs(vec![y]);
        check_plan(&g, &mut Rng::new(seed), 0.0);
    }
}

#[test]
fn ties_and_nans_go_to_the_first() {
    let nan = f64::NAN;
    let x = RefArray::from_shape_vec(
        &[4, 4][..],
        vec![1.0, 3.0, 3.0, 0.0, 2.0, nan, 5.0, nan, -1.0, -1.0, -2.0, -2.0, nan, 1.0, 2.0, 3.0],
    );
    let x = x.unwrap();
    for (largest, axis, expected) in [
        (true, 1, [1.0, 1.0, 0.0, 0.0]),
        (false, 1, [3.0, 1.0, 2.0, 0.0]),
        (true, 0, [3.0, 1.0, 1.0, 1.0]),
        (false, 0, [3.0, 1.0, 2.0, 1.0]),
    ] {
        let mut g = Graph::new();
        let i = g.input(Fact::new([4, 4], DType::F32));
        let y = g.apply(ArgReduce { largest, axis: Some(axis), keepdims: false }, &[i]).unwrap();
        g.set_outputs(vec![y]);
        let y = interpret(&g, std::slice::from_ref(&x)).unwrap().remove(0);
        assert_eq!(y.iter().copied().collect::<Vec<_>>(), expected, "{largest} {axis}");
        check_plan_on(&g, std::slice::from_ref(&x), 0.0);
    }
}

#[test]
fn shapes_of_results() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([2, 3], DType::F32));
    let mut shape = |axis, keepdims| {
        let y = g.apply(ArgReduce { largest: true, axis, keepdims }, &[x]).unwrap();
        g.fact(y).clone()
    };
    assert_eq!(shape(None, false), Fact::new([], DType::I32));
    assert_eq!(shape(None, true).shape, Shape::from([1, 1]));
    assert_eq!(shape(Some(-1), true).shape, Shape::from([2, 1]));
    let empty = g.input(Fact::new([2, 0], DType::F32));
    assert!(g.apply(ArgReduce { largest: true, axis: Some(1), keepdims: false }, &[empty]).is_err());
}
