//! Small nets: activations in the batch-blocked layout, sections of steps run share by share, masks that are
//! recomputed. Values against the interpreter, bits for several numbers of threads.

use cnnrs::backend::cpu::exec::threads::{num_threads, set_num_threads};
use cnnrs::backend::cpu::simd::Tier;
use cnnrs::ops::pointwise::Function;
use cnnrs::ops::{Attribute, Attributes, Op};
use cnnrs::passes::autodiff::differentiate;
use cnnrs::plan::{Plan, PlanOptions};
use cnnrs::testing::{Rng, check_plan, run_plan};
use cnnrs::{DType, Fact, Graph, NodeId};

/// What a net is made of.
#[derive(Clone, Copy)]
struct Net {
    batch: usize,
    pool: &'static str,
    activation: Function,
    padding: &'static str,
    channels: [usize; 3],
}

fn window(name: &str, g: &mut Graph, inputs: &[NodeId], padding: &str) -> NodeId {
    let text = |s: &str| Attribute::Text(s.into());
    let ints = |n: i64| Attribute::List(vec![Attribute::Int(n), Attribute::Int(n)]);
    let attributes = match name {
        "conv2d" => vec![("padding".to_owned(), text(padding))],
        _ => vec![("pool_size".to_owned(), ints(2)), ("strides".to_owned(), ints(2))],
    };
    let op = Op::parse(name, Attributes::new(attributes)).unwrap();
    g.apply(op, inputs).unwrap()
}

/// Two blocks of convolution, bias, activation and pooling, then a product; outputs the loss and its
/// gradients for all weights.
fn training(net: Net) -> Graph {
    let mut g = Graph::new();
    let f32s = |shape: &[usize]| Fact::new(cnnrs::Shape::from_iter(shape.iter().copied()), DType::F32);
    let [c0, c1, c2] = net.channels;
    let mut y = g.input(f32s(&[net.batch, 13, 12, c0]));
    let mut weights = Vec::new();
    for (from, to) in [(c0, c1), (c1, c2)] {
        let (w, b) = (g.input(f32s(&[3, 3, from, to])), g.input(f32s(&[to])));
        weights.extend([w, b]);
        let z = window("conv2d", &mut g, &[y, w], net.padding);
        let z = g.add(z, b).unwrap();
        let a = g.unary(net.activation, z).unwrap();
        y = window(net.pool, &mut g, &[a], "");
    }
    let shape = g.fact(y).shape.clone();
    let features = shape[1..].iter().product();
    let flat = g.reshape(y, [net.batch, features].into()).unwrap();
    let w = g.input(f32s(&[features, 3]));
    weights.push(w);
    let out = g.apply(Op::parse("matmul", Attributes::default()).unwrap(), &[flat, w]).unwrap();
    let squares = g.unary(Function::Square, out).unwrap();
    let loss = g.mean(squares, &[0, 1], false).unwrap();
    let mut outputs = vec![loss];
    outputs.extend(differentiate(&mut g, loss, &weights, None).unwrap().into_iter().map(Option::unwrap));
    g.set_outputs(outputs);
    g
}

const LENET: Net =
    Net { batch: 64, pool: "max_pool2d", activation: Function::Relu, padding: "same", channels: [1, 6, 16] };

#[test]
fn values_agree_with_the_interpreter() {
    let tanh = Net { activation: Function::Tanh, pool: "avg_pool2d", padding: "valid", ..LENET };
    let nets = [
        LENET,
        tanh,
        Net { batch: 16, ..LENET },
        Net { batch: 80, ..tanh },
        // Shares of more than one vector.
        Net { batch: 16 * 19, ..LENET },
        // No whole number of vectors.
        Net { batch: 72, ..LENET },
        Net { batch: 67, ..tanh },
        Net { channels: [3, 5, 7], batch: 96, ..tanh },
        // Too many channels for vectors of images in the second block.
        Net { channels: [2, 8, 24], ..LENET },
    ];
    for (seed, net) in nets.into_iter().enumerate() {
        check_plan(&training(net), &mut Rng::new(seed as u64), 2e-4);
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let (before, _) = num_threads().unwrap();
    for batch in [64, 16 * 19] {
        let g = training(Net { batch, ..LENET });
        let inputs = Rng::new(5).inputs(&g);
        let run = |threads: usize| {
            set_num_threads(threads).unwrap();
            let outputs = run_plan(&g, &PlanOptions::default(), &inputs);
            outputs.iter().map(|b| b.as_slice::<f32>().to_vec()).collect::<Vec<_>>()
        };
        let one = run(1);
        assert!(one.iter().flatten().all(|v| v.is_finite()));
        for threads in [2, 7] {
            let same = one.iter().flatten().map(|v| v.to_bits()).eq(run(threads).iter().flatten().map(|v| v.to_bits()));
            assert!(same, "{threads} threads");
        }
    }
    set_num_threads(before).unwrap();
}

#[test]
fn a_net_of_few_channels_runs_in_two_sections() {
    if Tier::current().unwrap().lanes() != 16 {
        return;
    }
    let plan = Plan::compile(&training(LENET), &PlanOptions::default()).unwrap().describe();
    let waves = |op: &str| -> Vec<&str> {
        let lines = plan.lines().filter(|l| l.contains(op));
        lines.map(|l| l.split_whitespace().next().unwrap()).collect()
    };
    // Forward up to the product; backward from there on.
    let (forward, backward) = (waves("] conv2d+"), waves("conv2d_filter_grad"));
    assert_eq!(forward.len(), 2, "{plan}");
    // The second convolution, forward and for both gradients.
    assert_eq!(plan.matches("conv_blocked_winograd").count(), 3, "{plan}");
    assert!(forward.iter().chain(&waves("] max_pool2d →")).all(|w| *w == forward[0]), "{plan}");
    assert_eq!(backward.len(), 2, "{plan}");
    let rest = [waves("max_pool2d_grad"), waves("conv2d_input_grad")].concat();
    assert!(backward.iter().chain(&rest).all(|w| *w == backward[0]), "{plan}");
    assert!(!plan.contains("bool"), "masks are not stored:\n{plan}");
}

#[test]
fn what_a_section_alone_knows_has_room_for_a_share_only() {
    if Tier::current().unwrap().lanes() != 16 {
        return;
    }
    let plan = Plan::compile(&training(LENET), &PlanOptions::default()).unwrap();
    // What the backward pass reads of the forward one: both convolutions' outputs and both pooled.
    let forward: usize = [13 * 12 * 6, 6 * 6 * 6, 6 * 6 * 16, 3 * 3 * 16].into_iter().map(|n| 64 * n * 4).sum();
    // Gradients of the first three lie in the threads' memory; in the arena they would take 1.1 of the forward pass.
    let (least, most) = (forward, forward + forward / 2);
    assert!((least..most).contains(&plan.peak_bytes()), "{} of {least}..{most}", plan.peak_bytes());
}
