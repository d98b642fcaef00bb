//! Gradients of a program's own.

use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, NodeId, interpret};
use cnnrs::ops::RefArray;
use cnnrs::ops::compose::Custom;
use cnnrs::passes::autodiff::differentiate;
use cnnrs::shape::Fact;

/// y = x², whose gradient is said to be u² · x, of whatever arrives as u.
fn squared(g: &mut Graph, x: NodeId) -> NodeId {
    let y = g.mul(x, x).unwrap();
    let u = g.apply(Custom::Upstream, &[y]).unwrap();
    let uu = g.mul(u, u).unwrap();
    let gradient = g.mul(uu, x).unwrap();
    g.apply(Custom::Value, &[y, u, x, gradient]).unwrap()
}

#[test]
fn the_gradient_that_arrives_takes_the_place_of_the_upstream() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([2], DType::F32));
    let y = squared(&mut g, x);
    let three = g.full(3.0, [2].into(), DType::F32).unwrap();
    let z = g.mul(y, three).unwrap();
    let first = differentiate(&mut g, z, &[x], None).unwrap()[0].unwrap();
    // d(9x)/dx: what was recorded is differentiated as all else.
    let second = differentiate(&mut g, first, &[x], None).unwrap()[0].unwrap();
    g.set_outputs(vec![z, first, second]);
    let values = RefArray::from_shape_vec(vec![2], vec![2.0, -1.0]).unwrap();
    let results = interpret(&g, &[values]).unwrap();
    let expected = [[12.0, 3.0], [18.0, -9.0], [9.0, 9.0]];
    for (result, expected) in results.iter().zip(expected) {
        assert_eq!(result.iter().copied().collect::<Vec<_>>(), expected);
    }
}
