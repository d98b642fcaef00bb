use cnnrs::dtype::DType;
use cnnrs::graph::Graph;
use cnnrs::ops::matmul::MatMul;
use cnnrs::shape::{Fact, Shape};
use cnnrs::testing::{Rng, adversarial_epilogue, adversarial_prologue, check_candidates, check_gradients, check_plan};
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn products_and_gradients_agree_with_the_sums(
        seed in 0u64..1000, m in 1usize..20, n in 1usize..40, k in 1usize..20,
        transpose_a in any::<bool>(), transpose_b in any::<bool>(), batch in 0usize..3, bias in any::<bool>(),
    ) {
        let leads: [(&[usize], &[usize]); 3] = [(&[], &[]), (&[2, 1], &[3]), (&[2], &[])];
        let (lead_a, lead_b) = leads[batch];
        let shape = |lead: &[usize], r: usize, c: usize, t: bool| {
            let mut s = lead.to_vec();
            s.extend(if t { [c, r] } else { [r, c] });
            s
        };
        let mut g = Graph::new();
        let a = g.input(Fact::new(shape(lead_a, m, k, transpose_a).as_slice(), DType::F32));
        let b = g.input(Fact::new(shape(lead_b, k, n, transpose_b).as_slice(), DType::F32));
        let mut y = g.apply(MatMul { transpose_a, transpose_b }, &[a, b]).unwrap();
        if bias {
            let c = g.input(Fact::new([n], DType::F32));
            y = g.add(y, c).unwrap();
        }
        g.set_outputs(vec![y]);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, 1e-5);
        check_gradients(&mut g, y, &[a, b], &mut rng);
        check_plan(&g, &mut rng, 1e-5);
    }
}

#[test]
fn empty_sums_are_zero_and_misfits_are_named() {
    let mut g = Graph::new();
    let a = g.input(Fact::new([3, 0], DType::F32));
    let b = g.input(Fact::new([0, 2], DType::F32));
    let y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, b]).unwrap();
    g.set_outputs(vec![y]);
    check_plan(&g, &mut Rng::new(0), 0.0);
    let c = g.input(Fact::new([4, 2], DType::F32));
    let e = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, c]).unwrap_err().to_string();
    assert!(e.contains("inner extents differ") && e.contains("(4, 2)"), "{e}");
}

#[test]
fn vectors_and_leading_rows_follow_numpy() {
    let cases: [(&[usize], &[usize], &[usize]); 7] = [
        (&[5], &[5], &[]),
        (&[5], &[5, 3], &[3]),
        (&[4, 5], &[5], &[4]),
        (&[2, 4, 5], &[5], &[2, 4]),
        (&[5], &[2, 5, 3], &[2, 3]),
        (&[2, 3, 4, 5], &[5, 6], &[2, 3, 4, 6]),
        (&[2, 1, 4, 5], &[3, 5, 6], &[2, 3, 4, 6]),
    ];
    for (a, b, y) in cases {
        let mut g = Graph::new();
        let a = g.input(Fact::new(a, DType::F32));
        let b = g.input(Fact::new(b, DType::F32));
        let z = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[a, b]).unwrap();
        assert_eq!(&*g.fact(z).shape, y);
        // A bias on the last axis, which is rows where the right operand is a vector.
        let last = y.last().map_or(Shape::scalar(), |&n| Shape::from([n]));
        let bias = g.input(Fact::new(last, DType::F32));
        let out = g.add(z, bias).unwrap();
        let mut rng = Rng::new(7);
        g.set_outputs(vec![out]);
        check_plan(&g, &mut rng, 1e-5);
        check_gradients(&mut g, z, &[a, b], &mut rng);
        check_plan(&g, &mut rng, 1e-5);
    }
}

#[test]
fn every_candidate_agrees_with_the_sums_under_attachments() {
    let mut ran = Vec::new();
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        for (lead, m, n, k) in [
            (None, 1, 7, 3),
            (None, 1, 45, 301),
            (None, 1, 4100, 40),
            (None, 13, 33, 70),
            (None, 70, 5, 600),
            (Some(3), 9, 17, 11),
        ] {
            let shape = |r: usize, c: usize, t: bool| -> Shape {
                lead.into_iter().chain(if t { [c, r] } else { [r, c] }).collect()
            };
            let mut g = Graph::new();
            let a = g.input(Fact::new(shape(m, k, transpose_a), DType::F32));
            let b = g.input(Fact::new(shape(k, n, transpose_b), DType::F32));
            let a = adversarial_prologue(&mut g, a).unwrap();
            let y = g.apply(MatMul { transpose_a, transpose_b }, &[a, b]).unwrap();
            adversarial_epilogue(&mut g, y).unwrap();
            // Sums of at most 600 products in f32, relative to the largest.
            ran.extend(check_candidates(&g, y, &mut Rng::new(k as u64), 2e-5));
        }
    }
    let count = |name: &str| ran.iter().filter(|n| **n == name).count();
    assert_eq!([count("gemm"), count("gemm_row"), count("gemm_batched")], [20, 3, 24]);
}
