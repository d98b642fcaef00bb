use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, interpret};
use cnnrs::ops::RefArray;
use cnnrs::ops::scatter::{Scatter, ScatterKind};
use cnnrs::shape::Fact;
use cnnrs::testing::{Rng, check_gradients, check_plan, check_plan_on};
use proptest::prelude::*;

const KINDS: [ScatterKind; 5] =
    [ScatterKind::Set, ScatterKind::Add, ScatterKind::Multiply, ScatterKind::Max, ScatterKind::Min];

/// A scatter along the middle axis, of indices −3..3.
fn scatter(kind: ScatterKind, onto: bool, dtype: DType, [outer, count, inner]: [usize; 3]) -> Graph {
    let mut g = Graph::new();
    let op = Scatter { axis: 1, shape: [outer, 5, inner].into(), kind, onto };
    let mut inputs = vec![g.input(Fact::new([outer, count, inner], dtype)), g.input(Fact::new([count], DType::I32))];
    if onto {
        inputs.push(g.input(Fact::new([outer, 5, inner], dtype)));
    }
    let y = g.apply(op, &inputs).unwrap();
    g.set_outputs(vec![y]);
    g
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn plans_and_gradients(
        seed in 0u64..1000, outer in 1usize..4, count in 0usize..9, inner in 1usize..7, kind in 0usize..5,
        onto in any::<bool>(), dtype in 0usize..4,
    ) {
        let dtype = [DType::F32, DType::I32, DType::U8, DType::Bool][dtype];
        let kind = KINDS[kind];
        if dtype == DType::Bool && matches!(kind, ScatterKind::Add | ScatterKind::Multiply) {
            return Ok(());
        }
        let mut g = scatter(kind, onto, dtype, [outer, count, inner]);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, 1e-6);
        // Rows without updates are infinite in an extreme, and no difference is taken there.
        let finite = onto || !matches!(kind, ScatterKind::Max | ScatterKind::Min);
        if dtype == DType::F32 && finite {
            let y = g.outputs()[0];
            let wrt: Vec<_> = g.inputs().iter().copied().filter(|&i| g.fact(i).dtype == DType::F32).collect();
            check_gradients(&mut g, y, &wrt, &mut rng);
            check_plan(&g, &mut rng, 1e-5);
        }
    }
}

fn row(values: &[f64]) -> RefArray {
    RefArray::from_shape_vec(vec![values.len()], values.to_vec()).unwrap()
}

#[test]
fn what_meets_is_combined_in_the_order_of_the_indices() {
    let (updates, indices, x) = (row(&[2.0, 3.0, 5.0]), row(&[1.0, -1.0, 1.0]), row(&[7.0, 4.0, 9.0]));
    for (kind, expected) in
        KINDS.into_iter().zip([[7.0, 5.0, 3.0], [7.0, 11.0, 12.0], [7.0, 40.0, 27.0], [7.0, 5.0, 9.0], [7.0, 2.0, 3.0]])
    {
        let mut g = Graph::new();
        let inputs = [DType::F32, DType::I32, DType::F32].map(|d| g.input(Fact::new([3], d)));
        let y = g.apply(Scatter { axis: 0, shape: [3].into(), kind, onto: true }, &inputs).unwrap();
        g.set_outputs(vec![y]);
        let values = [updates.clone(), indices.clone(), x.clone()];
        let y = interpret(&g, &values).unwrap().remove(0);
        assert_eq!(y.iter().copied().collect::<Vec<_>>(), expected, "{kind:?}");
        check_plan_on(&g, &values, 0.0);
    }
}

#[test]
fn products_with_zeros_have_gradients() {
    let mut g = Graph::new();
    let [u, i] = [DType::F32, DType::I32].map(|d| g.input(Fact::new([5], d)));
    let y = g.apply(Scatter { axis: 0, shape: [3].into(), kind: ScatterKind::Multiply, onto: false }, &[u, i]).unwrap();
    let sum = g.sum(y, &[0], false).unwrap();
    let by = cnnrs::passes::autodiff::differentiate(&mut g, sum, &[u], None).unwrap()[0].unwrap();
    g.set_outputs(vec![by]);
    let got = interpret(&g, &[row(&[0.0, 3.0, 0.0, 0.0, 2.0]), row(&[0.0, 0.0, 1.0, 1.0, 2.0])]).unwrap();
    assert_eq!(got[0].iter().copied().collect::<Vec<_>>(), [3.0, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn sixteen_bits_are_moved_and_bools_not_added() {
    for dtype in [DType::F16, DType::BF16] {
        check_plan(&scatter(ScatterKind::Set, true, dtype, [2, 7, 3]), &mut Rng::new(1), 0.0);
        check_plan(&scatter(ScatterKind::Set, false, dtype, [2, 7, 3]), &mut Rng::new(1), 0.0);
    }
    let mut g = Graph::new();
    let [u, i] = [DType::Bool, DType::I32].map(|d| g.input(Fact::new([5], d)));
    let e = g.apply(Scatter::add(0, [3].into()), &[u, i]).unwrap_err();
    assert!(e.to_string().contains("received bool"), "{e}");
}
