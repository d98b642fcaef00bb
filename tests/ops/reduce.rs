use cnnrs::ops::RefArray;
use cnnrs::ops::reduce::ReduceKind;
use cnnrs::passes::autodiff::differentiate;
use cnnrs::testing::{Rng, check_gradients, check_plan};
use cnnrs::{DType, Fact, Graph, NodeId};

fn prod(g: &mut Graph, x: NodeId, axes: &[usize]) -> NodeId {
    g.reduce(ReduceKind::Prod, x, axes, false).unwrap()
}

#[test]
fn gradients_of_products_of_any_extent() {
    for shape in [[1, 1, 1], [2, 3, 2], [3, 5, 4], [2, 1, 7]] {
        for axes in [&[1][..], &[0, 2], &[0, 1, 2]] {
            let mut g = Graph::new();
            let x = g.input(Fact::new(shape, DType::F32));
            let y = prod(&mut g, x, axes);
            check_gradients(&mut g, y, &[x], &mut Rng::new(1));
        }
    }
}

#[test]
fn second_derivatives_of_products_with_zeros() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([4], DType::F32));
    let zero = g.constant(0.0, DType::F32).unwrap();
    // Two of four factors are zeros: the mixed derivative is the product of the other two.
    let mask = g.input(Fact::new([4], DType::Bool));
    let with_zeros = g.select(mask, zero, x).unwrap();
    let free = g.input(Fact::new([4], DType::F32));
    let factors = g.add(with_zeros, free).unwrap();
    let y = prod(&mut g, factors, &[0]);
    let first = differentiate(&mut g, y, &[free], None).unwrap()[0].unwrap();
    let sum = g.sum(first, &[0], false).unwrap();
    let second = differentiate(&mut g, sum, &[free], None).unwrap()[0].unwrap();
    g.set_outputs(vec![second]);
    let row = |v: [f64; 4]| RefArray::from_shape_vec(vec![4], v.to_vec()).unwrap();
    let inputs = [row([9.0, 2.0, 9.0, 5.0]), row([1.0, 0.0, 1.0, 0.0]), row([0.0; 4])];
    let got = cnnrs::graph::interpret(&g, &inputs).unwrap();
    // d/df_k of the sum over i of the products of all but f_i.
    assert_eq!(got[0].iter().copied().collect::<Vec<_>>(), [10.0, 0.0, 10.0, 0.0]);
    check_plan(&g, &mut Rng::new(2), 1e-5);
}
