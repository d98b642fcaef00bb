use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, NodeId, interpret};
use cnnrs::ops::linalg::Linalg;
use cnnrs::ops::matmul::MatMul;
use cnnrs::ops::movement::Iota;
use cnnrs::ops::pointwise::Function;
use cnnrs::ops::{Op, Real, RefArray};
use cnnrs::plan::{Plan, PlanOptions, Slot};
use cnnrs::shape::Fact;
use cnnrs::testing::{Rng, check_gradients, check_plan, run_plan, to_buffer};
use proptest::prelude::*;

/// x with 2, 4, 6, … added along the diagonal: eigenvalues and singular values lie apart, and none is small.
fn spread(g: &mut Graph, x: NodeId, factor: f64) -> NodeId {
    let shape = g.fact(x).shape.clone();
    let square = [shape[shape.rank() - 2], shape[shape.rank() - 1]];
    let row = g.apply(Iota { axis: 0, shape: square.into(), dtype: DType::I32 }, &[]).unwrap();
    let column = g.apply(Iota { axis: 1, shape: square.into(), dtype: DType::I32 }, &[]).unwrap();
    let on = g.binary(Function::Equal, row, column).unwrap();
    let place = g.cast(row, DType::F32).unwrap();
    let place = g.offset(place, 1.0).unwrap();
    let place = g.scale(place, 2.0).unwrap();
    let zero = g.constant(0.0, DType::F32).unwrap();
    let diagonal = g.select(on, place, zero).unwrap();
    let x = g.scale(x, factor).unwrap();
    g.add(x, diagonal).unwrap()
}

fn symmetric(g: &mut Graph, x: NodeId) -> NodeId {
    let rank = g.fact(x).shape.rank();
    let perm: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
    let turned = g.transpose(x, &perm).unwrap();
    let sum = g.add(x, turned).unwrap();
    g.scale(sum, 0.5).unwrap()
}

fn square_ops() -> Vec<(Linalg, bool)> {
    vec![
        (Linalg::Cholesky, true),
        (Linalg::Inverse, false),
        (Linalg::Determinant, false),
        (Linalg::Cofactors, false),
        (Linalg::LogDeterminant, false),
        (Linalg::Eigh, true),
        (Linalg::Eig, false),
        (Linalg::Svd { full: true }, false),
        (Linalg::Qr { complete: true }, false),
    ]
}

proptest! {
    #![proptest_config(crate::cases(24))]

    #[test]
    fn square_matrices_and_their_gradients(seed in 0u64..1000, n in 1usize..5, batch in 0usize..4, which in 0usize..9) {
        let (op, is_symmetric) = square_ops().swap_remove(which);
        let mut g = Graph::new();
        let x = g.input(Fact::new([batch, n, n], DType::F32));
        let a = spread(&mut g, x, 0.3);
        let a = if is_symmetric { symmetric(&mut g, a) } else { a };
        let y = g.apply(op, &[a]).unwrap();
        g.set_outputs(vec![y]);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, 1e-5);
        check_gradients(&mut g, y, &[x], &mut rng);
        check_plan(&g, &mut rng, 1e-4);
    }

    #[test]
    fn matrices_of_any_shape_and_their_gradients(
        seed in 0u64..1000, m in 1usize..5, n in 1usize..5, batch in 1usize..4, which in 0usize..4,
    ) {
        let pinv = Linalg::Pinv { rcond: Real::new(1e-6) };
        let ops = [Linalg::Qr { complete: false }, Linalg::Svd { full: false }, Linalg::SingularValues, pinv];
        let op = ops[which].clone();
        let mut g = Graph::new();
        let x = g.input(Fact::new([batch, m, n], DType::F32));
        let a = spread(&mut g, x, 0.5);
        let y = g.apply(op, &[a]).unwrap();
        g.set_outputs(vec![y]);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, 1e-5);
        check_gradients(&mut g, y, &[x], &mut rng);
    }

    #[test]
    fn systems_and_their_gradients(
        seed in 0u64..1000, n in 1usize..5, k in 0usize..4, batch in 1usize..3, which in 0usize..2, lower in any::<bool>(),
        transposed in any::<bool>(),
    ) {
        let op = [Linalg::Solve { transposed }, Linalg::SolveTriangular { lower, transposed }][which].clone();
        let mut g = Graph::new();
        let x = g.input(Fact::new([batch, n, n], DType::F32));
        let b = g.input(Fact::new([batch, n, k], DType::F32));
        let a = spread(&mut g, x, 0.5);
        let y = g.apply(op, &[a, b]).unwrap();
        g.set_outputs(vec![y]);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, 1e-5);
        check_gradients(&mut g, y, &[x, b], &mut rng);
        check_plan(&g, &mut rng, 1e-4);
    }
}

fn value(op: Linalg, shape: &[usize], elements: &[f64]) -> Vec<f64> {
    let mut g = Graph::new();
    let x = g.input(Fact::new(shape, DType::F32));
    let y = g.apply(op, &[x]).unwrap();
    g.set_outputs(vec![y]);
    let x = RefArray::from_shape_vec(shape, elements.to_vec()).unwrap();
    interpret(&g, &[x]).unwrap().remove(0).into_iter().collect()
}

fn near(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
}

/// Products of the factors give the matrix again, also where its rank is not full.
#[test]
fn factors_make_the_matrix() {
    let mut rng = Rng::new(3);
    let matrices: Vec<(usize, usize, Vec<f64>)> = (1..7)
        .flat_map(|m| (1..7).map(move |n| (m, n)))
        .flat_map(|(m, n)| {
            let whole: Vec<f64> = (0..m * n).map(|_| rng.unit()).collect();
            let rank_one: Vec<f64> = (0..m * n).map(|i| whole[i / n * n] * whole[i % n]).collect();
            [whole, rank_one, vec![0.0; m * n], vec![1.0; m * n]].map(|x| (m, n, x))
        })
        .collect();
    let product = |a: &[f64], b: &[f64], m: usize, k: usize, n: usize| -> Vec<f64> {
        (0..m * n).map(|i| (0..k).map(|j| a[i / n * k + j] * b[j * n + i % n]).sum()).collect()
    };
    let orthogonal = |q: &[f64], m: usize, n: usize| {
        let gram: Vec<f64> = (0..n * n).map(|i| (0..m).map(|r| q[r * n + i / n] * q[r * n + i % n]).sum()).collect();
        near(&gram, &(0..n * n).map(|i| f64::from(i / n == i % n)).collect::<Vec<_>>())
    };
    for (m, n, x) in matrices {
        let shape = [m, n];
        for whole in [false, true] {
            let k = if whole { m } else { m.min(n) };
            let made = value(Linalg::Qr { complete: whole }, &shape, &x);
            let (q, r) = made.split_at(m * k);
            assert!(orthogonal(q, m, k) && near(&product(q, r, m, k, n), &x), "QR of {m} x {n}: {x:?}");
            let (width, least) = (if whole { m } else { m.min(n) }, m.min(n));
            let made = value(Linalg::Svd { full: whole }, &shape, &x);
            let (u, rest) = made.split_at(m * width);
            let (s, v) = rest.split_at(least);
            let scaled: Vec<f64> = (0..m * least).map(|i| u[i / least * width + i % least] * s[i % least]).collect();
            assert!(orthogonal(u, m, width), "U of {m} x {n}: {x:?}");
            assert!(near(&product(&scaled, &v[..least * n], m, least, n), &x), "SVD of {m} x {n}: {x:?} {made:?}");
            assert!(s.windows(2).all(|w| w[0] >= w[1]) && s.iter().all(|&s| s >= 0.0), "{s:?}");
            assert!(near(s, &value(Linalg::SingularValues, &shape, &x)));
            let rows: Vec<f64> = (0..v.len()).map(|i| v[i % (v.len() / n) * n + i / (v.len() / n)]).collect();
            assert!(orthogonal(&rows, n, v.len() / n), "V of {m} x {n}: {x:?}");
        }
    }
}

/// The determinant's gradient exists where there is no inverse.
#[test]
fn cofactors_of_singular_matrices() {
    let x = [1.0, 2.0, 2.0, 4.0];
    assert!(near(&value(Linalg::Cofactors, &[2, 2], &x), &[4.0, -2.0, -2.0, 1.0]));
    assert!(near(&value(Linalg::Determinant, &[2, 2], &x), &[0.0]));
}

#[test]
fn a_matrix_without_a_result_fails_the_run() {
    let cases: [(Linalg, [f64; 4], &str); 4] = [
        (Linalg::Cholesky, [1.0, 2.0, 2.0, 1.0], "matrix 1 is not positive definite"),
        (Linalg::Inverse, [1.0, 2.0, 2.0, 4.0], "matrix 1 is singular"),
        (Linalg::Inverse, [0.0; 4], "matrix 1 is singular"),
        (Linalg::Eig, [0.0, 1.0, -1.0, 0.0], "matrix 1 has complex eigenvalues"),
    ];
    for (op, bad, message) in cases {
        let mut g = Graph::new();
        let x = g.input(Fact::new([2, 2, 2], DType::F32));
        let y = g.apply(Op::from(op), &[x]).unwrap();
        g.set_outputs(vec![y]);
        let elements = [2.0, 0.0, 0.0, 3.0].into_iter().chain(bad).collect();
        let x = RefArray::from_shape_vec(&[2, 2, 2][..], elements).unwrap();
        let error = interpret(&g, std::slice::from_ref(&x)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        let plan = Plan::compile(&g, &PlanOptions::default()).unwrap();
        let mut slots = vec![Slot::shared(to_buffer(&x, g.fact(g.inputs()[0])))];
        let error = plan.run(&mut slots, &|| false).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn what_is_not_a_number_ends() {
    for op in square_ops().into_iter().map(|(op, _)| op).chain([Linalg::Lu, Linalg::SingularValues]) {
        let mut g = Graph::new();
        let x = g.input(Fact::new([3, 3], DType::F32));
        let y = g.apply(op, &[x]).unwrap();
        g.set_outputs(vec![y]);
        for bad in [f64::NAN, f64::INFINITY] {
            let x = RefArray::from_shape_fn(&[3, 3][..], |i| if i[0] == 1 && i[1] == 1 { bad } else { 1.0 });
            if let Ok(y) = interpret(&g, &[x]) {
                assert!(y[0].iter().any(|v| !v.is_finite() || *v == 0.0), "{:?}", y[0]);
            }
        }
    }
}

#[test]
fn products_with_the_inverse_are_the_identity() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([5, 6, 6], DType::F32));
    let a = spread(&mut g, x, 1.0);
    let inverse = g.apply(Linalg::Inverse, &[a]).unwrap();
    let y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, inverse]).unwrap();
    g.set_outputs(vec![y]);
    let x = Rng::new(1).inputs(&g);
    let y = interpret(&g, &x).unwrap().remove(0);
    assert!(y.indexed_iter().all(|(i, v)| (v - f64::from(i[1] == i[2])).abs() < 1e-9));
}

#[test]
fn matrices_without_elements_and_none_at_all() {
    for shape in [&[0, 0][..], &[2, 0, 0], &[0, 3, 3]] {
        let ops = square_ops().into_iter().map(|(op, _)| op);
        for op in ops.chain([Linalg::Lu, Linalg::SingularValues, Linalg::Pinv { rcond: Real::new(1e-6) }]) {
            for dtype in [DType::F32, DType::F64] {
                let mut g = Graph::new();
                let x = g.input(Fact::new(shape, dtype));
                let y = g.apply(op.clone(), &[x]).unwrap();
                g.set_outputs(vec![y]);
                match dtype {
                    DType::F32 => check_plan(&g, &mut Rng::new(1), 0.0),
                    _ => drop(run_plan(&g, &crate::on_cpu(), &Rng::new(1).inputs(&g))),
                }
            }
        }
    }
}
