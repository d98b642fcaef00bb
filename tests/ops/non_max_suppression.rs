use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, interpret};
use cnnrs::ops::non_max_suppression::NonMaxSuppression;
use cnnrs::ops::{Real, RefArray};
use cnnrs::shape::{Fact, Shape};
use cnnrs::testing::{Rng, check_plan_on};
use proptest::prelude::*;

fn op(count: usize, overlap: f64, least: f64, sigma: f64) -> NonMaxSuppression {
    let [overlap, least, sigma] = [overlap, least, sigma].map(Real::new);
    NonMaxSuppression { count, overlap, least, sigma }
}

/// Boxes on a grid of eighths, whose overlaps f32 and f64 find on the same side of a limit that is none of theirs; scores
/// of sixteenths, many of them equal.
fn inputs(seed: u64, images: usize, boxes: usize, classes: usize) -> Vec<RefArray> {
    let mut rng = Rng::new(seed);
    let mut whole = |n: usize, most: usize| -> Vec<f64> { (0..n).map(|_| rng.below(most) as f64).collect() };
    let corners = whole(images * boxes * 4, 24).into_iter().map(|x| x / 8.0).collect();
    let scores = whole(images * boxes, 32).into_iter().map(|x| x / 16.0 - 0.5).collect();
    let mut made = vec![
        RefArray::from_shape_vec(&[images, boxes, 4][..], corners).unwrap(),
        RefArray::from_shape_vec(&[images, boxes][..], scores).unwrap(),
    ];
    if classes > 0 {
        made.push(RefArray::from_shape_vec(&[images, boxes][..], whole(images * boxes, classes)).unwrap());
    }
    made
}

fn graph(op: NonMaxSuppression, images: usize, boxes: usize, classes: bool) -> Graph {
    let mut g = Graph::new();
    let mut operands =
        vec![g.input(Fact::new([images, boxes, 4], DType::F32)), g.input(Fact::new([images, boxes], DType::F32))];
    if classes {
        operands.push(g.input(Fact::new([images, boxes], DType::I32)));
    }
    let y = g.apply(op, &operands).unwrap();
    g.set_outputs(vec![y]);
    g
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn plans_agree_with_the_definition(
        seed in 0u64..1000, images in 1usize..4, boxes in 0usize..80, count in 0usize..50, classes in 0usize..4,
        limit in 0usize..4, soft in any::<bool>(), threshold in any::<bool>(),
    ) {
        let limit = [0.0, 0.3017, 0.5003, 0.7111][limit];
        let (least, sigma) = (if threshold { 0.1 } else { f64::NEG_INFINITY }, if soft { 0.4 } else { 0.0 });
        // Scores of the soft form are no multiples of a power of two: those on the limit are no matter.
        let least = if soft { least + 0.00317 } else { least };
        let g = graph(op(count, limit, least, sigma), images, boxes, classes > 0);
        let mut inputs = inputs(seed, images, boxes, classes);
        if soft {
            // Distinct scores: products of rounded factors order no ties.
            let n = (images * boxes) as f64;
            inputs[1].iter_mut().enumerate().for_each(|(k, s)| *s = (*s + 0.6) * 0.5 + 0.013 * k as f64 / n);
        }
        check_plan_on(&g, &inputs, if soft { 1e-5 } else { 0.0 });
    }
}

#[test]
fn the_best_of_those_that_overlap_stays() {
    let corners = vec![0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 2.0, 1.9, 5.0, 5.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0];
    let inputs = vec![
        RefArray::from_shape_vec(&[1, 4, 4][..], corners).unwrap(),
        RefArray::from_shape_vec(&[1, 4][..], vec![0.5, 0.75, f64::NAN, 0.125]).unwrap(),
    ];
    let g = graph(op(3, 0.5, f64::NEG_INFINITY, 0.0), 1, 4, false);
    let y = interpret(&g, &inputs).unwrap().remove(0);
    assert_eq!(y.iter().map(|&x| x as f32).collect::<Vec<_>>(), [1.0, 0.75, 3.0, 0.125, -1.0, 0.0]);
    check_plan_on(&g, &inputs, 0.0);
}

#[test]
fn shapes_of_results() {
    let mut g = Graph::new();
    let boxes = g.input(Fact::new([2, 3, 5, 4], DType::F32));
    let scores = g.input(Fact::new([2, 3, 5], DType::F32));
    let classes = g.input(Fact::new([2, 3, 5], DType::I32));
    let short = g.input(Fact::new([2, 3, 4], DType::F32));
    let rule = || op(7, 0.5, 0.0, 0.0);
    let y = g.apply(rule(), &[boxes, scores, classes]).unwrap();
    assert_eq!(g.fact(y).shape, Shape::from([2, 3, 7, 2]));
    assert!(g.apply(rule(), &[boxes, short]).unwrap_err().to_string().contains("scores: expected shape"));
    assert!(g.apply(rule(), &[boxes, scores, scores]).unwrap_err().to_string().contains("classes: expected"));
    assert!(g.apply(rule(), &[scores, scores]).unwrap_err().to_string().contains("(..., n, 4)"));
    assert!(g.apply(rule(), &[boxes]).is_err());
}
