use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, interpret};
use cnnrs::ops::RefArray;
use cnnrs::ops::argsort::Argsort;
use cnnrs::shape::{Fact, Shape};
use cnnrs::testing::{Rng, check_plan, check_plan_on};
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::cases(48))]

    #[test]
    fn plans_agree_with_the_definition(
        seed in 0u64..1000, a in 1usize..5, b in 1usize..40, c in 1usize..20, axis in -3i64..3, descending in any::<bool>(),
        part in 0usize..30, kind in 0usize..4,
    ) {
        let mut g = Graph::new();
        let shape = Shape::from([a, b, c]);
        let x = g.input(Fact::new(shape.clone(), [DType::F32, DType::I32, DType::U8, DType::Bool][kind]));
        let extent = shape[shape.axis(axis).unwrap()];
        let y = g.apply(Argsort { axis, descending, count: (part <= extent).then_some(part) }, &[x]).unwrap();
        g.set_outputs(vec![y]);
        check_plan(&g, &mut Rng::new(seed), 0.0);
    }
}

#[test]
fn long_lines() {
    for shape in [[1usize, 100_000], [3, 20_000], [40_000, 2]] {
        for axis in [0, 1] {
            let mut g = Graph::new();
            let x = g.input(Fact::new(shape, DType::I32));
            let y = g.apply(Argsort { axis, descending: false, count: None }, &[x]).unwrap();
            g.set_outputs(vec![y]);
            check_plan(&g, &mut Rng::new(3), 0.0);
        }
    }
}

#[test]
fn equal_elements_keep_their_order_and_nan_is_the_greatest() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let x = RefArray::from_shape_vec(&[9][..], vec![0.0, nan, -0.0, inf, -inf, 1.0, nan, 1e-42, -1e-42]).unwrap();
    for (descending, expected) in
        [(false, [4.0, 8.0, 0.0, 2.0, 7.0, 5.0, 3.0, 1.0, 6.0]), (true, [1.0, 6.0, 3.0, 5.0, 7.0, 0.0, 2.0, 8.0, 4.0])]
    {
        let mut g = Graph::new();
        let i = g.input(Fact::new([9], DType::F32));
        let y = g.apply(Argsort { axis: 0, descending, count: None }, &[i]).unwrap();
        g.set_outputs(vec![y]);
        let y = interpret(&g, std::slice::from_ref(&x)).unwrap().remove(0);
        assert_eq!(y.iter().copied().collect::<Vec<_>>(), expected);
        check_plan_on(&g, std::slice::from_ref(&x), 0.0);
    }
}

#[test]
fn shapes_of_results() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([2, 3], DType::F32));
    let mut shape = |axis, count| {
        let y = g.apply(Argsort { axis, descending: false, count }, &[x])?;
        Ok::<_, cnnrs::error::Error>(g.fact(y).shape.clone())
    };
    assert_eq!(shape(-1, Some(2)).unwrap(), Shape::from([2, 2]));
    assert_eq!(shape(0, None).unwrap(), Shape::from([2, 3]));
    assert_eq!(shape(0, Some(0)).unwrap(), Shape::from([0, 3]));
    assert!(shape(0, Some(3)).unwrap_err().to_string().contains("at most 2"));
    assert!(shape(2, None).is_err());
    let empty = g.input(Fact::new([2, 0], DType::F32));
    assert!(g.apply(Argsort { axis: 1, descending: false, count: None }, &[empty]).is_ok());
}
