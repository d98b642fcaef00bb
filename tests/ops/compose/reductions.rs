use super::{check, float, infer, int, ints, op};
use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, interpret};
use cnnrs::ops::{Attribute, RefArray};
use cnnrs::shape::{Fact, Shape};
use cnnrs::testing::check_plan_on;
use ndarray::Axis;

/// `fold` over the values of each line of axes 0 and 2 of a (2, 3, 4) array.
fn outer_lines(x: &RefArray, keepdims: bool, fold: &dyn Fn(&[f64]) -> f64) -> RefArray {
    let values = (0..3).map(|j| fold(&x.index_axis(Axis(1), j).iter().copied().collect::<Vec<_>>())).collect();
    let shape: &[usize] = if keepdims { &[1, 3, 1] } else { &[3] };
    RefArray::from_shape_vec(shape, values).unwrap()
}

fn mean(v: &[f64]) -> f64 {
    v.iter().sum::<f64>() / v.len() as f64
}

#[test]
fn reductions_agree_with_their_formulas() {
    type Fold = fn(&[f64]) -> f64;
    let folds: [(&str, Fold); 9] = [
        ("sum", |v| v.iter().sum()),
        ("mean", mean),
        ("max", |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        ("min", |v| v.iter().copied().fold(f64::INFINITY, f64::min)),
        ("prod", |v| v.iter().product()),
        ("variance", |v| v.iter().map(|x| (x - mean(v)).powi(2)).sum::<f64>() / v.len() as f64),
        ("logsumexp", |v| v.iter().map(|x| x.exp()).sum::<f64>().ln()),
        ("any", |v| f64::from(u8::from(v.iter().any(|&x| x != 0.0)))),
        ("all", |v| f64::from(u8::from(v.iter().all(|&x| x != 0.0)))),
    ];
    for (name, fold) in folds {
        for keepdims in [false, true] {
            let some = op(name, [("axes", ints(&[-1, 0])), ("keepdims", Attribute::Bool(keepdims))]);
            check(&some, &[float(&[2, 3, 4])], 1.5, |x| outer_lines(&x[0], keepdims, &fold));
        }
        check(&op(name, []), &[float(&[2, 3, 4])], 1.5, |x| {
            ndarray::arr0(fold(&x[0].iter().copied().collect::<Vec<_>>())).into_dyn()
        });
    }
}

#[test]
fn element_types_of_results() {
    let bytes = Fact::new([4], DType::U8);
    for (name, dtype) in [
        ("sum", DType::I32),
        ("mean", DType::F32),
        ("variance", DType::F32),
        ("max", DType::U8),
        ("any", DType::Bool),
        ("all", DType::Bool),
    ] {
        assert_eq!(infer(&op(name, []), std::slice::from_ref(&bytes)).unwrap(), Fact::new([], dtype), "{name}");
    }
    check(&op("mean", [("axes", Attribute::Int(1))]), &[int(&[5, 3])], 1.0, |x| x[0].mean_axis(Axis(1)).unwrap());
    check(&op("any", [("axes", Attribute::Int(1))]), &[Fact::new([9, 2], DType::Bool)], 1.0, |x| {
        x[0].map_axis(Axis(1), |v| f64::from(u8::from(v.iter().any(|&b| b != 0.0))))
    });
}

#[test]
fn logsumexp_of_large_and_infinite_values() {
    let mut g = Graph::new();
    let x = g.input(float(&[3, 2]));
    let y = g.apply(op("logsumexp", [("axes", ints(&[1]))]), &[x]).unwrap();
    g.set_outputs(vec![y]);
    let inf = f64::INFINITY;
    let x = RefArray::from_shape_vec(&[3, 2][..], vec![1000.0, 1000.0, -inf, -inf, inf, 0.0]).unwrap();
    let y = interpret(&g, std::slice::from_ref(&x)).unwrap().remove(0);
    assert_eq!(y.iter().copied().collect::<Vec<_>>(), [1000.0 + 2f64.ln(), -inf, inf]);
    check_plan_on(&g, &[x], 1e-6);
}

#[test]
fn axes_are_checked() {
    let axes = |list: &[i64]| infer(&op("sum", [("axes", ints(list))]), &[float(&[2, 3])]);
    assert_eq!(axes(&[]).unwrap().shape, Shape::from([2, 3]));
    assert!(axes(&[2]).unwrap_err().to_string().contains("received 2"));
    assert!(axes(&[1, -1]).unwrap_err().to_string().contains("twice"));
    assert!(infer(&op("max", []), &[float(&[0, 3])]).is_err());
}
