use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, interpret};
use cnnrs::ops::RefArray;
use cnnrs::ops::fft::Fft;
use cnnrs::shape::Fact;
use cnnrs::testing::{Rng, check_gradients, check_plan};
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::cases(32))]

    #[test]
    fn transforms_are_their_sums(seed in 0u64..1000, rows in 0usize..4, n in 1usize..20, inverse in any::<bool>()) {
        let mut g = Graph::new();
        let x = g.input(Fact::new([rows, n, 2], DType::F32));
        let y = g.apply(Fft { inverse }, &[x]).unwrap();
        g.set_outputs(vec![y]);
        let mut rng = Rng::new(seed);
        let inputs = rng.inputs(&g);
        let got = interpret(&g, &inputs).unwrap().remove(0);
        let sign = if inverse { 1.0 } else { -1.0 };
        let expected = RefArray::from_shape_fn(&[rows, n, 2][..], |at| {
            (0..n)
                .map(|j| {
                    let (sin, cos) = (sign * std::f64::consts::TAU * (j * at[1] % n) as f64 / n as f64).sin_cos();
                    let (re, im) = (inputs[0][[at[0], j, 0]], inputs[0][[at[0], j, 1]]);
                    if at[2] == 0 { re * cos - im * sin } else { re * sin + im * cos }
                })
                .sum()
        });
        prop_assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9));
        check_plan(&g, &mut rng, 1e-6);
        if rows > 0 {
            check_gradients(&mut g, y, &[x], &mut rng);
        }
    }
}
