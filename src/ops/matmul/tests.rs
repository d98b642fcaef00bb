use super::MatMul;
use crate::dtype::DType;
use crate::graph::Graph;
use crate::shape::Fact;
use crate::testing::{Rng, check_gradients, check_plan};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

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
