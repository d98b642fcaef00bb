//! What outlasts runs is shared between plans that read it alike, and bounded.

use cnnrs::backend::packed::{bytes, limit, set_limit};
use cnnrs::ops::{Attribute, Attributes, Op};
use cnnrs::plan::{Binding, Plan, PlanOptions, Slot};
use cnnrs::{Buffer, DType, Fact, Graph, Value, release_memory};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bound and what it counts belong to the process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn buffer(shape: &[usize], seed: usize) -> Arc<Value> {
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|i| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0).collect();
    Arc::new(Value::from(Buffer::from_slice(shape, &values).unwrap()))
}

const FILTERS: [usize; 4] = [3, 3, 16, 32];
const CHANNELS: [usize; 1] = [32];

/// A convolution of scaled filters, bias and ReLU; all but the images are held.
fn binding(images: [usize; 3]) -> Binding {
    let mut g = Graph::new();
    let x = g.input(Fact::new([images[0], images[1], images[2], 16], DType::F32));
    let [w, scale, bias] = [&FILTERS[..], &CHANNELS, &CHANNELS].map(|s| g.constant_input(Fact::new(s, DType::F32)));
    let op = |g: &mut Graph, name: &str, attributes: &[(&str, &str)], inputs: &[_]| {
        let attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), Attribute::Text((*v).to_owned())));
        g.apply(Op::parse(name, Attributes::new(attributes)).unwrap(), inputs).unwrap()
    };
    let scaled = op(&mut g, "mul", &[], &[w, scale]);
    let y = op(&mut g, "conv2d", &[("padding", "same")], &[x, scaled]);
    let shift = op(&mut g, "mul", &[], &[scale, bias]);
    let y = op(&mut g, "add", &[], &[y, shift]);
    let y = op(&mut g, "relu", &[], &[y]);
    g.set_outputs(vec![y]);
    Binding::new(Arc::new(Plan::compile(&g, &PlanOptions::default()).unwrap()))
}

fn weights(seed: usize) -> [Arc<Value>; 3] {
    [buffer(&FILTERS, seed), buffer(&CHANNELS, seed + 1), buffer(&CHANNELS, seed + 2)]
}

fn run(binding: &Binding, images: [usize; 3], weights: &[Arc<Value>; 3]) -> Vec<u8> {
    let x = buffer(&[images[0], images[1], images[2], 16], 5);
    let mut slots: Vec<Slot> = std::iter::once(&x).chain(weights).map(|b| Slot::Shared(b.clone())).collect();
    binding.run(&mut slots, &|| false).unwrap()[0].host().unwrap().bytes().to_vec()
}

fn sizes() -> impl DoubleEndedIterator<Item = [usize; 3]> {
    (1..=24).map(|batch| [batch, 12, 10 + batch % 5])
}

#[test]
fn many_shapes_hold_what_a_few_do_and_give_the_same_bits_in_any_order() {
    let _alone = alone();
    release_memory();
    let weights = weights(1);
    let mut bits = Vec::new();
    let (mut together, mut apart) = (0, 0);
    for reversed in [false, true] {
        let sizes: Vec<[usize; 3]> = if reversed { sizes().rev().collect() } else { sizes().collect() };
        let bindings: Vec<Binding> = sizes.iter().map(|&size| binding(size)).collect();
        let mut outputs: Vec<_> =
            bindings.iter().zip(&sizes).map(|(b, &size)| (size, run(b, size, &weights))).collect();
        together = bytes();
        apart = bindings.iter().map(|b| b.plan().prepared_bytes()).sum();
        outputs.sort();
        bits.push(outputs);
        let made: u64 = bindings.iter().map(Binding::preparations).sum();
        assert!(made <= 6, "{made} of {} bindings made something", bindings.len());
    }
    assert!(together > 0 && together * 6 <= apart, "{together} bytes instead of {apart}");
    assert_eq!(bits[0], bits[1]);
    for (size, output) in &bits[0] {
        release_memory();
        assert_eq!(*output, run(&binding(*size), *size, &weights), "{size:?} alone");
    }
    assert_eq!(bytes(), 0, "what is held goes with its bindings");
}

#[test]
fn the_bound_holds_and_what_was_used_longest_ago_goes_first() {
    let _alone = alone();
    release_memory();
    let before = limit().unwrap();
    let size = [2, 12, 10];
    let models: Vec<(Binding, [Arc<Value>; 3])> = (0..6).map(|k| (binding(size), weights(10 * k))).collect();
    let expected: Vec<Vec<u8>> = models.iter().map(|(b, w)| run(b, size, w)).collect();
    let one = models[0].0.plan().prepared_bytes();
    assert_eq!(bytes(), 6 * one, "other weights are other values");
    set_limit(2 * one + one / 2);
    assert_eq!(bytes(), 2 * one, "a lower bound holds at once");
    let made = |k: usize| models[k].0.preparations();
    let bits = |k: usize| assert_eq!(run(&models[k].0, size, &models[k].1), expected[k]);
    bits(4);
    assert_eq!(made(4), 1, "what is there is not made again");
    // Something new: of the others, the one used last stays.
    let other = binding([3, 12, 10]);
    run(&other, [3, 12, 10], &weights(99));
    assert_eq!(bytes(), 2 * one);
    bits(4);
    assert_eq!(made(4), 1);
    bits(5);
    assert_eq!((made(5), bytes()), (2, 2 * one));
    // A binding that needs more than the bound has what it needs while it runs.
    set_limit(one - 1);
    assert_eq!(bytes(), 0);
    bits(4);
    assert_eq!((made(4), bytes()), (2, 0));
    bits(4);
    assert_eq!((made(4), bytes()), (3, 0));
    set_limit(one);
    bits(4);
    bits(4);
    assert_eq!((made(4), bytes()), (4, one));
    release_memory();
    assert_eq!(bytes(), 0);
    bits(4);
    assert_eq!(made(4), 5);
    drop(models);
    drop(other);
    assert_eq!(bytes(), 0);
    set_limit(before);
}

#[test]
fn versions_that_are_gone_are_not_kept_for_other_shapes() {
    let _alone = alone();
    release_memory();
    let sizes = [[1, 12, 10], [2, 12, 10], [3, 12, 10]];
    let bindings = sizes.map(binding);
    let mut most = 0;
    for step in 0..4 {
        // The weights of the step before are dropped, as an optimizer's are.
        let weights = weights(step);
        for (binding, size) in bindings.iter().zip(sizes) {
            run(binding, size, &weights);
        }
        most = most.max(bytes());
    }
    let all: usize = bindings.iter().map(|b| b.plan().prepared_bytes()).sum();
    assert!(most <= all, "{most} bytes of {all}");
}
