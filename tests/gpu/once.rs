//! What is made once: the filters that Winograd's kernels transform, where they stay the same.

use super::*;
use cnnrs::backend::device::When;

const SHAPES: [&[usize]; 3] = [&[2, 9, 7, 8], &[3, 3, 8, 12], &[12]];

/// A convolution with a bias, or the gradient of its input; filters and bias are constant, or nothing is.
fn net(gradient: bool, constant: bool) -> Graph {
    let conv = Conv2d { strides: [1, 1], dilation: [1, 1], padding: Padding::Same, groups: 1 };
    let mut g = Graph::new();
    let [image, filters, bias] = SHAPES;
    let image = if gradient { &[2, 9, 7, 12][..] } else { image };
    let x = g.input(Fact::new(image, DType::F32));
    let [w, b] = [filters, bias].map(|shape| {
        let fact = Fact::new(shape, DType::F32);
        if constant { g.constant_input(fact) } else { g.input(fact) }
    });
    let y = if gradient {
        let x = g.add(x, b).unwrap();
        g.apply(cnnrs::ops::conv2d::Conv2dInputGrad { conv, size: [9, 7] }, &[x, w]).unwrap()
    } else {
        let y = g.apply(conv, &[x, w]).unwrap();
        g.add(y, b).unwrap()
    };
    g.set_outputs(vec![y]);
    g
}

fn compile(g: &Graph) -> Plan {
    let (target, force_kernel) = (Some(Gpu.target(0).unwrap()), Some("winograd_2x2".to_owned()));
    let options = PlanOptions { target, force_kernel, ..PlanOptions::default() };
    Plan::compile_on(&Gpu, g, &options).unwrap_or_else(|e| panic!("{e}\n{g}"))
}

fn values(g: &Graph, seed: u64) -> Vec<Arc<Value>> {
    let inputs = Rng::new(seed).inputs(g);
    inputs.iter().zip(g.inputs()).map(|(x, &i)| Arc::new(Value::from(to_buffer(x, g.fact(i))))).collect()
}

fn bits(values: Vec<Value>) -> Vec<u8> {
    values[0].host().unwrap().bytes().to_vec()
}

/// Dispatches before what runs once, and behind it.
fn dispatches(plan: &Plan) -> [usize; 2] {
    let of = |line: &str| line.split_once(" ×")?.1.split_once(' ')?.0.parse::<usize>().ok();
    let sum = |text: &str| text.lines().filter_map(of).sum();
    let text = plan.describe();
    match text.split_once("-- above: once") {
        Some((once, always)) => [sum(once), sum(always)],
        None => [0, sum(&text)],
    }
}

#[test]
fn constant_filters_are_transformed_once_and_anew_when_they_change() {
    if !is_asked() {
        return;
    }
    for gradient in [false, true] {
        let plain = compile(&net(gradient, false));
        let g = net(gradient, true);
        let plan = Arc::new(compile(&g));
        let [none, all] = dispatches(&plain);
        let [once, always] = dispatches(&plan);
        assert_eq!((none, once, all - always), (0, 1, 1), "{}", plan.describe());
        let step = plan.steps().into_iter().find(|step| step.when == When::Once).unwrap();
        assert_eq!((step.kernel, step.packed_bytes), ("winograd_2x2", 16 * 8 * 12 * 4), "{}", plan.describe());
        let slots = |inputs: &[Arc<Value>]| -> Vec<Slot> { inputs.iter().cloned().map(Slot::Shared).collect() };
        let binding = Binding::new(plan.clone());
        let mut inputs = values(&g, 1);
        for (preparations, seed) in [(1, 1), (1, 2), (1, 3)] {
            inputs[0] = values(&g, seed)[0].clone();
            let expected = bits(plain.run_values(&mut slots(&inputs), &|| false).unwrap());
            assert!(bits(binding.run(&mut slots(&inputs), &|| false).unwrap()) == expected);
            // A run that keeps nothing makes it for itself.
            assert!(bits(plan.run_values(&mut slots(&inputs), &|| false).unwrap()) == expected);
            assert_eq!(binding.preparations(), preparations);
        }
        // Another version of the filters alone.
        inputs[1] = values(&g, 9)[1].clone();
        let expected = bits(plain.run_values(&mut slots(&inputs), &|| false).unwrap());
        assert!(bits(binding.run(&mut slots(&inputs), &|| false).unwrap()) == expected);
        assert_eq!(binding.preparations(), 2);
        let before = values(&g, 1)[1].clone();
        assert!(before.host().unwrap().bytes() != inputs[1].host().unwrap().bytes());
    }
}

#[test]
fn a_variable_that_is_assigned_has_its_filters_transformed_anew() {
    if !is_asked() {
        return;
    }
    if !is_apart() {
        let name = "a_variable_that_is_assigned_has_its_filters_transformed_anew";
        apart(module_path!(), name, &[("CNNRS_GPU_TIER", "winograd")]);
        return;
    }
    let filters = |seed: u64| {
        let mut rng = Rng::new(seed);
        let values: Vec<f32> = (0..3 * 3 * 32 * 32).map(|_| rng.unit() as f32 - 0.5).collect();
        Tensor::from_slice(&[3, 3, 32, 32], &values).unwrap()
    };
    let image = |seed: u64| {
        let mut rng = Rng::new(seed);
        let values: Vec<f32> = (0..2 * 24 * 24 * 32).map(|_| rng.unit() as f32).collect();
        Arc::new(Value::from(Buffer::from_slice(&[2, 24, 24, 32], &values).unwrap()))
    };
    let w = Variable::new(&filters(1), true, "filters").unwrap();
    let trace = Trace::enter();
    let x = trace.placeholder(Fact::new([2, 24, 24, 32], DType::F32), "x");
    let same = Attributes::new([("padding".to_owned(), Attribute::Text("same".to_owned()))]);
    let y = Tensor::apply_named("conv2d", &[x, w.value()], same).unwrap();
    let f = trace.compile(&[y]).unwrap();
    drop(trace);
    let mut seen = Vec::new();
    for (of_filters, of_image) in [(1, 1), (1, 2), (2, 2), (1, 1)] {
        w.assign(&filters(of_filters)).unwrap();
        let mut session = f.begin().unwrap();
        let y = session.run(&[image(of_image)]).unwrap();
        seen.push(y[0].to_vec::<f32>().unwrap());
        session.finish().unwrap();
    }
    assert!(seen[0] == seen[3] && seen[0] != seen[1] && seen[1] != seen[2]);
}
