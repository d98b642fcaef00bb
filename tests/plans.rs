//! Plans: donation, cancellation, memory, and bits that do not depend on the number of threads.

use cnnrs::backend::cpu::threads::{num_threads, set_num_threads};
use cnnrs::ops::pointwise::Function;
use cnnrs::ops::{Attributes, Op};
use cnnrs::passes::autodiff::differentiate;
use cnnrs::plan::{Plan, PlanOptions, Slot};
use cnnrs::{Buffer, DType, ErrorKind, Fact, Graph};
use std::sync::Arc;

fn conv(g: &mut Graph, x: cnnrs::NodeId, w: cnnrs::NodeId) -> cnnrs::NodeId {
    let same = cnnrs::ops::Attribute::Text("same".into());
    let op = Op::parse("conv2d", Attributes::new([("padding".to_owned(), same)])).unwrap();
    g.apply(op, &[x, w]).unwrap()
}

/// Inputs x, w; outputs the loss and w − 0.1 · dloss/dw.
fn step() -> Graph {
    let mut g = Graph::new();
    let x = g.input(Fact::new([8, 15, 15, 5], DType::F32));
    let w = g.input(Fact::new([3, 3, 5, 5], DType::F32));
    let mut y = x;
    for _ in 0..3 {
        let c = conv(&mut g, y, w);
        let r = g.unary(Function::Relu, c).unwrap();
        y = g.add(r, y).unwrap();
    }
    let squares = g.unary(Function::Square, y).unwrap();
    let loss = g.mean(squares, &[0, 1, 2, 3], false).unwrap();
    let dw = differentiate(&mut g, loss, &[w], None).unwrap()[0].unwrap();
    let delta = g.scale(dw, 0.1).unwrap();
    let next = g.sub(w, delta).unwrap();
    g.set_outputs(vec![loss, next]);
    g
}

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect()
}

fn x() -> Arc<Buffer> {
    Arc::new(Buffer::from_slice(&[8, 15, 15, 5], &values(9000)).unwrap())
}

fn w() -> Buffer {
    Buffer::from_slice(&[3, 3, 5, 5], &values(225).iter().map(|v| v * 0.3).collect::<Vec<_>>()).unwrap()
}

fn donating() -> PlanOptions {
    PlanOptions { donations: vec![(1, 1)], ..PlanOptions::default() }
}

#[test]
fn a_donated_buffer_is_overwritten_and_gives_the_same_values() {
    let plan = Plan::compile(&step(), &donating()).unwrap();
    let fresh = plan.run(&mut [Slot::Shared(x()), Slot::Shared(Arc::new(w()))], &|| false).unwrap();
    let own = w();
    let address = own.as_ptr();
    let mut slots = [Slot::Shared(x()), Slot::Donated(Some(own))];
    let donated = plan.run(&mut slots, &|| false).unwrap();
    assert_eq!(donated[1].as_ptr(), address);
    assert_eq!(donated[1].as_slice::<f32>(), fresh[1].as_slice::<f32>());
    assert!(matches!(slots[1], Slot::Donated(None)));
}

#[test]
fn a_cancelled_run_leaves_donated_buffers_untouched() {
    let plan = Plan::compile(&step(), &donating()).unwrap();
    let mut slots = [Slot::Shared(x()), Slot::Donated(Some(w()))];
    assert_eq!(plan.run(&mut slots, &|| true).unwrap_err().kind, ErrorKind::Cancelled);
    let Slot::Donated(Some(kept)) = &slots[1] else { panic!("the buffer is gone") };
    assert_eq!(kept.as_slice::<f32>(), w().as_slice::<f32>());
}

#[test]
fn runs_of_one_plan_from_several_threads_agree_and_bits_do_not_depend_on_threads() {
    let plan = Plan::compile(&step(), &PlanOptions::default()).unwrap();
    let run = || {
        let out = plan.run(&mut [Slot::Shared(x()), Slot::Shared(Arc::new(w()))], &|| false).unwrap();
        (out[0].as_slice::<f32>().to_vec(), out[1].as_slice::<f32>().to_vec())
    };
    let before = num_threads().unwrap().0;
    set_num_threads(1).unwrap();
    let expected = run();
    for threads in [2, 7] {
        set_num_threads(threads).unwrap();
        std::thread::scope(|s| {
            let runs: Vec<_> = (0..3).map(|_| s.spawn(run)).collect();
            for r in runs {
                assert_eq!(r.join().unwrap(), expected, "{threads} threads");
            }
        });
    }
    set_num_threads(before).unwrap();
}

#[test]
fn the_arena_is_near_the_live_set() {
    let plan = Plan::compile(&step(), &PlanOptions::default()).unwrap();
    let (peak, bound) = (plan.peak_bytes(), plan.live_bound());
    assert!(peak >= bound && peak * 10 <= bound * 11, "{peak} bytes for a live set of {bound}");
}

#[test]
fn wrong_inputs_are_named() {
    let plan = Plan::compile(&step(), &PlanOptions::default()).unwrap();
    let e = plan.run(&mut [Slot::Shared(x())], &|| false).unwrap_err().to_string();
    assert!(e.contains("expected 2 inputs, received 1"), "{e}");
    let e = plan.run(&mut [Slot::Shared(Arc::new(w())), Slot::Shared(Arc::new(w()))], &|| false).unwrap_err();
    assert!(e.to_string().contains("input 0: expected float32(8, 15, 15, 5)"), "{e}");
}

/// Two equal nodes become one, which names both places; what failed there is said of both.
#[test]
fn merged_nodes_name_all_places() {
    let mut g = Graph::new();
    let (logits, labels) = (g.input(Fact::new([2, 3], DType::F32)), g.input(Fact::new([2], DType::I32)));
    let loss = || Op::parse("sparse_softmax_cross_entropy", Attributes::default()).unwrap();
    g.set_origin(Some("first".into()));
    let a = g.apply(loss(), &[logits, labels]).unwrap();
    g.set_origin(Some("second".into()));
    assert_eq!(g.apply(loss(), &[logits, labels]).unwrap(), a);
    assert_eq!(g.node(a).origin.as_deref(), Some("first, second"));
    g.set_outputs(vec![a]);
    let plan = Plan::compile(&g, &PlanOptions::default()).unwrap();
    let logits = Buffer::from_slice(&[2, 3], &[0f32; 6]).unwrap();
    let labels = Buffer::from_slice(&[2], &[1i32, 3]).unwrap();
    let e = plan.run(&mut [Slot::Shared(logits.into()), Slot::Shared(labels.into())], &|| false).unwrap_err();
    assert_eq!(e.to_string(), "first, second: label 3 at position 1: expected 0 to 2");
}

#[test]
fn fusion_says_why_neighbours_run_apart() {
    let mut g = Graph::new();
    let (x, w) = (g.input(Fact::new([8, 8], DType::F32)), g.input(Fact::new([8, 8], DType::F32)));
    let matmul = || Op::parse("matmul", Attributes::default()).unwrap();
    let y = g.apply(matmul(), &[x, w]).unwrap();
    let z = g.apply(matmul(), &[y, w]).unwrap();
    let r = g.add(y, z).unwrap();
    g.set_outputs(vec![r, y]);
    let text = Plan::compile(&g, &PlanOptions::default()).unwrap().describe();
    assert!(text.contains("apart: matmul and add: the heavy op's output has other readers"), "{text}");
    assert!(!text.contains("apart: matmul and add: a value passes"), "{text}");
}
