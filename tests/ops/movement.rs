use cnnrs::dtype::DType;
use cnnrs::graph::Graph;
use cnnrs::ops::Real;
use cnnrs::ops::movement::{Concat, Iota, Pad, Slice, Transpose};
use cnnrs::shape::Fact;
use cnnrs::testing::{Rng, check_gradients, check_plan};
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn moves_and_their_gradients(
        seed in 0u64..1000, a in 1usize..5, b in 1usize..6, c in 1usize..9, start in 0usize..3, step in 1usize..4,
        turn in any::<bool>(), which in 0usize..5, byte in any::<bool>(),
    ) {
        let mut g = Graph::new();
        let dtype = if byte { DType::U8 } else { DType::F32 };
        let x = g.input(Fact::new([a, b, c], dtype));
        let y = match which {
            0 => g.apply(Transpose { perm: smallvec::smallvec![2, 0, 1] }, &[x]),
            1 => g.apply(Slice::new(&[0, start.min(b), 0], &[a, b, c], &[1, step, step]), &[x]),
            2 => {
                let shape = g.fact(x).shape.clone();
                g.apply(Slice::flip(&shape, if turn { &[0, 2] } else { &[1] }), &[x])
            }
            3 => g.apply(
                Pad {
                    before: smallvec::smallvec![start, 0, 1],
                    after: smallvec::smallvec![1, step, 0],
                    inner: smallvec::smallvec![0, 0, step],
                    value: Real::new(7.0),
                },
                &[x],
            ),
            _ => {
                let z = g.input(Fact::new([a, step, c], dtype));
                g.apply(Concat { axis: -2 }, &[x, z, x])
            }
        }.unwrap();
        g.set_outputs(vec![y]);
        let mut rng = Rng::new(seed);
        check_plan(&g, &mut rng, 0.0);
        if !byte {
            check_gradients(&mut g, y, &[x], &mut rng);
            check_plan(&g, &mut rng, 1e-6);
        }
    }
}

#[test]
fn counting_along_an_axis() {
    for dtype in [DType::I32, DType::F32, DType::U8] {
        let mut g = Graph::new();
        let y = g.apply(Iota { shape: [2, 3, 4].into(), axis: 1, dtype }, &[]).unwrap();
        g.set_outputs(vec![y]);
        check_plan(&g, &mut Rng::new(0), 0.0);
    }
}

#[test]
fn slices_outside_are_refused() {
    let mut g = Graph::new();
    let x = g.input(Fact::new([4], DType::F32));
    assert!(g.apply(Slice::new(&[2], &[6], &[1]), &[x]).is_err());
}
