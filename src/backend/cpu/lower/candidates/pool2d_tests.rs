//! Every candidate, forced by name under adversarial attachments, across attributes.

use crate::dtype::DType;
use crate::graph::{Graph, NodeId};
use crate::ops::pool2d::{MaxPool2dPick, Pool2d, Pool2dGrad, PoolKind};
use crate::ops::window::{Padding, Window};
use crate::shape::{Fact, Shape};
use crate::testing::{Rng, adversarial_epilogue, adversarial_prologue, check_candidates};
use std::collections::BTreeMap;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Pass {
    Forward,
    Gradient,
    Pick,
}

/// A primitive with attachments on both sides; `None` where windows do not fit or there is no such primitive.
fn attached(pass: Pass, kind: PoolKind, window: Window, x: [usize; 4]) -> Option<(Graph, NodeId)> {
    let pool = Pool2d { kind, window };
    let place = pool.place(&x).ok()?;
    let mut g = Graph::new();
    let fact = |shape: [usize; 4]| Fact::new(Shape::from(shape), DType::F32);
    let first = g.input(fact(x));
    let second = match pass {
        Pass::Forward => None,
        Pass::Gradient => Some(g.input(fact([x[0], place.out[0], place.out[1], x[3]]))),
        Pass::Pick => Some(g.input(fact(x))),
    };
    let first = adversarial_prologue(&mut g, first).unwrap();
    let anchor = match (pass, second) {
        (Pass::Gradient, Some(dy)) => g.apply(Pool2dGrad { pool }, &[first, dy]),
        (Pass::Pick, Some(u)) if kind == PoolKind::Max => g.apply(MaxPool2dPick { window }, &[first, u]),
        (Pass::Forward, _) => g.apply(pool, &[first]),
        _ => return None,
    };
    let anchor = anchor.ok()?;
    adversarial_epilogue(&mut g, anchor).unwrap();
    Some((g, anchor))
}

#[test]
fn every_candidate_agrees_with_the_definition_under_attachments() {
    let mut runs = BTreeMap::new();
    let kinds =
        [PoolKind::Max, PoolKind::Average { count_include_pad: false }, PoolKind::Average { count_include_pad: true }];
    for padding in [Padding::Valid, Padding::Same, Padding::Explicit([(1, 0), (0, 1)])] {
        for (size, strides) in [([2, 2], [2, 2]), ([3, 2], [2, 1]), ([2, 3], [3, 2]), ([1, 2], [2, 3])] {
            for ceil_mode in [false, true] {
                let window = Window { size, strides, dilation: [1, 1], padding, ceil_mode };
                // Channels that fill no vector, more than one, and images that do.
                for x in [[2, 7, 9, 5], [1, 6, 5, 35], [17, 5, 6, 1], [16, 4, 4, 3]] {
                    for kind in kinds {
                        for pass in [Pass::Forward, Pass::Gradient, Pass::Pick] {
                            let Some((g, anchor)) = attached(pass, kind, window, x) else { continue };
                            let mut rng = Rng::new((x[1] * 7 + size[0]) as u64);
                            for name in check_candidates(&g, anchor, &mut rng, 2e-5) {
                                *runs.entry((name, pass)).or_insert(0) += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    for key in [("pool_rows", Pass::Forward), ("pool_rows", Pass::Gradient), ("pool_scan", Pass::Pick)] {
        assert!(runs.get(&key).is_some_and(|&n| n >= 48), "{runs:?}");
    }
}

#[test]
fn poolings_of_no_images_run_the_empty_candidate() {
    let window = Window { size: [2; 2], strides: [2; 2], dilation: [1; 2], padding: Padding::Valid, ceil_mode: false };
    for pass in [Pass::Forward, Pass::Gradient] {
        let (mut g, anchor) = attached(pass, PoolKind::Max, window, [0, 4, 4, 3]).unwrap();
        g.set_outputs(vec![anchor]);
        assert_eq!(check_candidates(&g, anchor, &mut Rng::new(1), 0.0), ["pool_empty"], "{pass:?}");
    }
}
