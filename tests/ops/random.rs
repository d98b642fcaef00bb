use cnnrs::dtype::DType;
use cnnrs::graph::{Graph, interpret};
use cnnrs::ops::random::{Distribution, Random};
use cnnrs::ops::{Real, RefArray};
use cnnrs::plan::PlanOptions;
use cnnrs::shape::{Fact, Shape};
use cnnrs::testing::{check_plan_on, run_plan, to_values};

fn all() -> [Distribution; 4] {
    let bernoulli = Distribution::Bernoulli { p: Real::new(0.3) };
    [Distribution::Bits, Distribution::Uniform, Distribution::Normal, bernoulli]
}

fn graph(distribution: Distribution, shape: impl Into<Shape>) -> Graph {
    let mut g = Graph::new();
    let state = g.input(Fact::new([2], DType::I32));
    let y = g.apply(Random { distribution, shape: shape.into() }, &[state]).unwrap();
    g.set_outputs(vec![y]);
    g
}

fn state(seed: i32, counter: i32) -> RefArray {
    ndarray::arr1(&[f64::from(seed), f64::from(counter)]).into_dyn()
}

fn draw(distribution: Distribution, n: usize, seed: i32, counter: i32) -> Vec<f64> {
    to_values(&run_plan(&graph(distribution, [n]), &PlanOptions::default(), &[state(seed, counter)])[0])
}

#[test]
fn kernels_draw_the_numbers_of_the_definition() {
    for distribution in all() {
        // Less than a block, a batch, a chunk; and more than one chunk.
        for n in [0, 1, 3, 63, 65, 16 * 1024 - 1, 33_333] {
            let inputs = [state(-5, i32::MAX)];
            check_plan_on(&graph(distribution, [n]), &inputs, 1e-7);
        }
    }
}

#[test]
fn numbers_depend_on_the_position_not_on_the_shape() {
    for distribution in all() {
        let flat = draw(distribution, 40_000, 1, 2);
        assert_eq!(flat[..1001], draw(distribution, 1001, 1, 2));
        let inputs = [state(1, 2)];
        let square = interpret(&graph(distribution, [200, 200]), &inputs).unwrap().remove(0);
        assert!(square.iter().zip(&flat).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}

#[test]
fn seed_and_counter_both_matter() {
    let first = draw(Distribution::Bits, 64, 1, 2);
    for (seed, counter) in [(1, 3), (2, 2), (2, 1), (-1, 2)] {
        let other = draw(Distribution::Bits, 64, seed, counter);
        assert!(first.iter().zip(&other).all(|(a, b)| a != b));
    }
}

fn moments(v: &[f64]) -> (f64, f64) {
    let mean = v.iter().sum::<f64>() / v.len() as f64;
    (mean, v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64)
}

/// Bounds five standard errors wide for 100,000 draws.
#[test]
fn distributions_have_their_moments() {
    let n = 100_000;
    let uniform = draw(Distribution::Uniform, n, 11, 0);
    assert!(uniform.iter().all(|v| (0.0..1.0).contains(v)));
    let (mean, variance) = moments(&uniform);
    assert!((mean - 0.5).abs() < 0.0046 && (variance - 1.0 / 12.0).abs() < 0.0012, "{mean} {variance}");
    let normal = draw(Distribution::Normal, n, 11, 1);
    let (mean, variance) = moments(&normal);
    assert!(mean.abs() < 0.016 && (variance - 1.0).abs() < 0.023, "{mean} {variance}");
    let tail = normal.iter().filter(|v| v.abs() > 1.959_964).count();
    assert!((4655..=5345).contains(&tail), "{tail}");
    // Neighbours come from one pair of words; they must not be correlated.
    let products: f64 = normal.chunks_exact(2).map(|p| p[0] * p[1]).sum::<f64>() / (n / 2) as f64;
    assert!(products.abs() < 0.023, "{products}");
    for p in [0.0, 0.1, 0.5, 1.0] {
        let drawn = draw(Distribution::Bernoulli { p: Real::new(p) }, n, 11, 2).iter().sum::<f64>() / n as f64;
        assert!((drawn - p).abs() <= 5.0 * (p * (1.0 - p) / n as f64).sqrt(), "{p} {drawn}");
    }
}

#[test]
fn the_state_is_two_integers() {
    let mut g = Graph::new();
    let wrong = g.input(Fact::new([2], DType::F32));
    let e = g.apply(Random { distribution: Distribution::Bits, shape: [1].into() }, &[wrong]).unwrap_err();
    assert!(e.to_string().contains("state: expected int32(2,)"), "{e}");
}
