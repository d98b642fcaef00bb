use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, interpret};
use cnnrs::ops::RefArray;
use cnnrs::ops::reduce::ReduceKind;
use cnnrs::ops::scan::Scan;
use cnnrs::passes::autodiff::differentiate;
use cnnrs::shape::Fact;
use cnnrs::testing::{Rng, check_gradients, check_plan, check_plan_on};
use proptest::prelude::*;

const KINDS: [ReduceKind; 4] = [ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Max, ReduceKind::Min];

proptest! {
    #![proptest_config(crate::cases(48))]

    #[test]
    fn plans_and_gradients(
        seed in 0u64..1000, a in 1usize..5, b in 1usize..9, c in 1usize..90, axis in -3i64..3, kind in 0usize..4,
        reverse in any::<bool>(), exclusive in any::<bool>(), whole in any::<bool>(),
    ) {
        let mut g = Graph::new();
        let x = g.input(Fact::new([a, b, c], if whole { DType::I32 } else { DType::F32 }));
        let y = g.apply(Scan { kind: KINDS[kind], axis, reverse, exclusive }, &[x]).unwrap();
        g.set_outputs(vec![y]);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, if whole { 0.0 } else { 1e-6 });
        // The first of an exclusive extreme is infinite.
        if !(whole || exclusive && kind > 1) {
            check_gradients(&mut g, y, &[x], &mut rng);
            check_plan(&g, &mut rng, 1e-5);
        }
    }
}

#[test]
fn many_numbers_are_added_up_without_loss() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([100_000], DType::F32));
    let y = g.apply(Scan { kind: ReduceKind::Sum, axis: 0, reverse: false, exclusive: false }, &[x]).unwrap();
    g.set_outputs(vec![y]);
    // One after the other in float32 they would be 1e-4 off.
    check_plan_on(&g, &[RefArray::from_elem(vec![100_000], f64::from(0.1f32))], 1e-5);
}

#[test]
fn second_derivatives_of_running_products_with_zeros() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([3], DType::F32));
    let y = g.apply(Scan { kind: ReduceKind::Prod, axis: 0, reverse: false, exclusive: false }, &[x]).unwrap();
    let sum = g.sum(y, &[0], false).unwrap();
    let first = differentiate(&mut g, sum, &[x], None).unwrap()[0].unwrap();
    let all = g.sum(first, &[0], false).unwrap();
    let second = differentiate(&mut g, all, &[x], None).unwrap()[0].unwrap();
    g.set_outputs(vec![first, second]);
    // f = x + xy + xyz at (2, 0, 0): first (1, 2, 0), row sums of the Hessian (1, 1 + 2, 2).
    let got = interpret(&g, &[RefArray::from_shape_vec(vec![3], vec![2.0, 0.0, 0.0]).unwrap()]).unwrap();
    assert_eq!(got[0].iter().copied().collect::<Vec<_>>(), [1.0, 2.0, 0.0]);
    assert_eq!(got[1].iter().copied().collect::<Vec<_>>(), [1.0, 3.0, 2.0]);
    check_plan(&g, &mut Rng::new(2), 1e-5);
}

#[test]
fn nan_stays_from_where_it_is() {
    let x = RefArray::from_shape_vec(vec![4], vec![1.0, f64::NAN, 3.0, 0.0]).unwrap();
    for kind in KINDS {
        let mut g = Graph::new();
        let i = g.input(Fact::new([4], DType::F32));
        let y = g.apply(Scan { kind, axis: 0, reverse: false, exclusive: false }, &[i]).unwrap();
        g.set_outputs(vec![y]);
        let y = interpret(&g, std::slice::from_ref(&x)).unwrap().remove(0);
        assert!(y[0] == 1.0 && y.iter().skip(1).all(|v| v.is_nan()));
        check_plan_on(&g, std::slice::from_ref(&x), 0.0);
    }
}

#[test]
fn bytes_are_refused() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([4], DType::U8));
    let e = g.apply(Scan { kind: ReduceKind::Sum, axis: 0, reverse: false, exclusive: false }, &[x]).unwrap_err();
    assert!(e.to_string().contains("32 bits"), "{e}");
}
