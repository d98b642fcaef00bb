use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, NodeId, interpret};
use cnnrs::ops::RefArray;
use cnnrs::ops::gather::{Gather, OneHot, wrap};
use cnnrs::ops::scatter::Scatter;
use cnnrs::plan::{Plan, PlanOptions, Slot};
use cnnrs::shape::Fact;
use cnnrs::testing::{Rng, check_gradients, check_plan, check_plan_on, to_buffer};
use proptest::prelude::*;

/// Rows of `x` along an axis at indices −3..3, which every axis of at least 4 elements has.
fn gather(dtype: DType, outer: usize, inner: usize, picked: &[usize], axis: i64) -> (Graph, NodeId, NodeId) {
    let mut g = Graph::new();
    let x = g.input(Fact::new([outer, 5, inner], dtype));
    let i = g.input(Fact::new(picked, DType::I32));
    let y = g.apply(Gather { axis }, &[x, i]).unwrap();
    g.set_outputs(vec![y]);
    (g, x, y)
}

proptest! {
    #![proptest_config(crate::cases(48))]

    #[test]
    fn rows_and_their_gradients(
        seed in 0u64..1000, outer in 1usize..4, inner in 1usize..9, a in 0usize..7, b in 1usize..4,
        rank in 0usize..3, byte in any::<bool>(),
    ) {
        let picked = [a, b];
        let dtype = if byte { DType::U8 } else { DType::F32 };
        let (mut g, x, y) = gather(dtype, outer, inner, &picked[..rank], -2);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, 0.0);
        if !byte {
            check_gradients(&mut g, y, &[x], &mut rng);
            check_plan(&g, &mut rng, 1e-6);
        }
    }
}

#[test]
fn scattering_adds_what_meets() {
    let mut g = Graph::new();
    let dy = g.input(Fact::new([4, 2], DType::F32));
    let i = g.input(Fact::new([4], DType::I32));
    let y = g.apply(Scatter::add(0, [3, 2].into()), &[dy, i]).unwrap();
    g.set_outputs(vec![y]);
    let dy = RefArray::from_shape_fn(&[4, 2][..], |i| (i[0] * 2 + i[1]) as f64);
    let inputs = [dy, ndarray::arr1(&[2.0, 0.0, -1.0, 2.0]).into_dyn()];
    let y = interpret(&g, &inputs).unwrap().remove(0);
    assert_eq!(y.iter().copied().collect::<Vec<_>>(), [2.0, 3.0, 0.0, 0.0, 10.0, 13.0]);
    check_plan_on(&g, &inputs, 0.0);
}

#[test]
fn an_index_outside_fails_the_run() {
    let (g, _, _) = gather(DType::F32, 2, 3, &[4], 1);
    let plan = Plan::compile(&g, &PlanOptions::default()).unwrap();
    let x = RefArray::zeros(&[2, 5, 3][..]);
    for (bad, at) in [(5.0, 1), (-6.0, 3), (-2147483648.0, 0)] {
        let mut i = RefArray::zeros(&[4][..]);
        i[at] = bad;
        let inputs = [x.clone(), i];
        assert!(interpret(&g, &inputs).is_err());
        let mut slots: Vec<Slot> =
            inputs.iter().zip(g.inputs()).map(|(a, &i)| Slot::shared(to_buffer(a, g.fact(i)))).collect();
        let e = plan.run(&mut slots, &|| false).unwrap_err().to_string();
        assert!(e.contains(&format!("index {bad} at position {at}: expected -5 to 4")), "{e}");
    }
    assert_eq!((wrap(-5, 5), wrap(4, 5), wrap(5, 5), wrap(i32::MIN, 5)), (Some(0), Some(4), None, None));
}

#[test]
fn indices_have_to_be_integers() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([5], DType::F32));
    let e = g.apply(Gather { axis: 0 }, &[x, x]).unwrap_err();
    assert!(e.to_string().contains("expected int32"), "{e}");
}

#[test]
fn unit_vectors() {
    for dtype in [DType::F32, DType::I32, DType::U8, DType::Bool] {
        let mut g = Graph::new();
        let i = g.input(Fact::new([2, 3], DType::I32));
        let y = g.apply(OneHot { depth: 3, dtype, strict: false }, &[i]).unwrap();
        g.set_outputs(vec![y]);
        let i = RefArray::from_shape_vec(&[2, 3][..], vec![0.0, 2.0, 3.0, -1.0, 1.0, 1.0]).unwrap();
        let y = interpret(&g, std::slice::from_ref(&i)).unwrap().remove(0);
        let rows: Vec<f64> = y.iter().copied().collect();
        assert_eq!(rows, [1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 0., 0., 0., 1., 0., 0., 1., 0.]);
        check_plan_on(&g, &[i], 0.0);
    }
}
