//! Trains LeNet-5 on MNIST with the Rust API alone:
//! `cargo run --release --example train_lenet`.
//!
//! The step (forward, loss, gradients, update) is traced once and replayed as one plan.

use cnnrs::ops::{Attribute, Attributes};
use cnnrs::{DType, Fact, Result, Tensor, Trace, Variable};
use std::io::Read;
use std::path::Path;

const BATCH: usize = 64;
const EPOCHS: usize = 2;
const LEARNING_RATE: f64 = 0.05;
const MOMENTUM: f64 = 0.9;

/// Records op `name` on `inputs`.
fn op<const N: usize>(name: &str, inputs: &[&Tensor], attributes: [(&str, Attribute); N]) -> Result<Tensor> {
    let inputs: Vec<Tensor> = inputs.iter().map(|&t| t.clone()).collect();
    Tensor::apply_named(name, &inputs, Attributes::new(attributes.map(|(k, v)| (k.to_owned(), v))))
}

fn pair(a: i64, b: i64) -> Attribute {
    Attribute::List(vec![Attribute::Int(a), Attribute::Int(b)])
}

/// A weight of `shape`, uniform within ±√(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
fn weight(shape: &[usize], seed: i32) -> Result<Variable> {
    let (last, lead) = shape.split_last().expect("weights have axes");
    let fan_in: usize = lead.iter().product();
    let limit = (6.0 / (fan_in + last) as f64).sqrt();
    let key = Tensor::from_slice(&[2], &[seed, 0])?;
    let extents = Attribute::List(shape.iter().map(|&d| Attribute::Int(d as i64)).collect());
    let uniform = op("random_uniform", &[&key], [("shape", extents)])?;
    let centred = op("sub", &[&uniform, &Tensor::scalar(0.5, DType::F32)?], [])?;
    Variable::new(&op("mul", &[&centred, &Tensor::scalar(2.0 * limit, DType::F32)?], [])?, true, "kernel")
}

fn zeros(shape: &[usize], trainable: bool) -> Result<Variable> {
    let len = shape.iter().product();
    Variable::new(&Tensor::from_slice(shape, &vec![0.0f32; len])?, trainable, "zeros")
}

struct LeNet {
    weights: Vec<Variable>,
}

impl LeNet {
    fn new() -> Result<Self> {
        let shapes: [&[usize]; 5] = [&[5, 5, 1, 6], &[5, 5, 6, 16], &[400, 120], &[120, 84], &[84, 10]];
        let mut weights = Vec::new();
        for (i, shape) in shapes.into_iter().enumerate() {
            weights.push(weight(shape, i as i32 + 1)?);
            weights.push(zeros(&shape[shape.len() - 1..], true)?);
        }
        Ok(LeNet { weights })
    }

    /// Logits (n, 10) of images (n, 28, 28, 1) in 0..1.
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let w = |i: usize| self.weights[i].value();
        let mut y = x.clone();
        for (layer, padding) in [(0, "same"), (1, "valid")] {
            let conv = op("conv2d", &[&y, &w(2 * layer)], [("padding", Attribute::Text(padding.into()))])?;
            let biased = op("add", &[&conv, &w(2 * layer + 1)], [])?;
            let active = op("relu", &[&biased], [])?;
            y = op("max_pool2d", &[&active], [("pool_size", pair(2, 2)), ("strides", pair(2, 2))])?;
        }
        let rows = y.fact().shape[0] as i64;
        y = op("reshape", &[&y], [("shape", pair(rows, 400))])?;
        for layer in 2..5 {
            let product = op("matmul", &[&y, &w(2 * layer)], [])?;
            y = op("add", &[&product, &w(2 * layer + 1)], [])?;
            if layer < 4 {
                y = op("relu", &[&y], [])?;
            }
        }
        Ok(y)
    }
}

/// Images (n, 28, 28, 1) as bytes and labels (n,) of one half of MNIST.
fn mnist(split: &str) -> std::io::Result<(Vec<u8>, Vec<i32>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/cnnrs/datasets/data/mnist");
    let read = |name: String, header: usize| -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(folder.join(name))?).read_to_end(&mut bytes)?;
        Ok(bytes.split_off(header))
    };
    let images = read(format!("{split}-images-idx3-ubyte.gz"), 16)?;
    let labels = read(format!("{split}-labels-idx1-ubyte.gz"), 8)?;
    Ok((images, labels.into_iter().map(i32::from).collect()))
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let (images, labels) = mnist("train")?;
    let (test_images, test_labels) = mnist("t10k")?;
    let net = LeNet::new()?;
    let slots: Vec<Variable> = net.weights.iter().map(|w| zeros(&w.fact().shape, false)).collect::<Result<_>>()?;
    let number = |v: f64| Tensor::scalar(v, DType::F32);

    let step = {
        let trace = Trace::enter();
        let x = trace.placeholder(Fact::new([BATCH, 28, 28, 1], DType::U8), "images");
        let labels = trace.placeholder(Fact::new([BATCH], DType::I32), "labels");
        let scaled = op("mul", &[&x.cast(DType::F32)?, &number(1.0 / 255.0)?], [])?;
        let losses = op("sparse_softmax_cross_entropy", &[&net.logits(&scaled)?, &labels], [])?;
        let loss = op("mean", &[&losses], [])?;
        let leaves: Vec<Tensor> = net.weights.iter().map(Variable::value).collect();
        let grads = loss.gradients(&leaves, None)?;
        for ((w, slot), grad) in net.weights.iter().zip(&slots).zip(grads) {
            let grad = grad.ok_or("a weight does not influence the loss")?;
            let kept = op("mul", &[&slot.value(), &number(MOMENTUM)?], [])?;
            let moved = op("mul", &[&grad, &number(LEARNING_RATE)?], [])?;
            slot.assign(&op("sub", &[&kept, &moved], [])?)?;
            w.assign(&op("add", &[&w.value(), &slot.value()], [])?)?;
        }
        trace.compile(&[loss])?
    };
    let predict = {
        let trace = Trace::enter();
        let x = trace.placeholder(Fact::new([100, 28, 28, 1], DType::U8), "images");
        let scaled = op("mul", &[&x.cast(DType::F32)?, &number(1.0 / 255.0)?], [])?;
        let classes = op("argmax", &[&net.logits(&scaled)?], [("axis", Attribute::Int(-1))])?;
        trace.compile(&[classes])?
    };

    for epoch in 1..=EPOCHS {
        let start = std::time::Instant::now();
        let mut loss = 0.0;
        let steps = labels.len() / BATCH;
        for i in 0..steps {
            // Batches in strides through the set: consecutive ones differ, every image comes once.
            let rows: Vec<usize> = (0..BATCH).map(|k| k * steps + i).collect();
            let pixels: Vec<u8> = rows.iter().flat_map(|&r| &images[r * 784..(r + 1) * 784]).copied().collect();
            let classes: Vec<i32> = rows.iter().map(|&r| labels[r]).collect();
            let x = Tensor::from_slice(&[BATCH, 28, 28, 1], &pixels)?;
            let out = step.call(&[x, Tensor::from_slice(&[BATCH], &classes)?])?;
            loss += out[0].to_vec::<f32>()?[0] / steps as f32;
        }
        let mut right = 0;
        for (i, classes) in test_labels.chunks(100).enumerate() {
            let x = Tensor::from_slice(&[100, 28, 28, 1], &test_images[i * 78_400..(i + 1) * 78_400])?;
            let guess = predict.call(&[x])?[0].to_vec::<i32>()?;
            right += guess.iter().zip(classes).filter(|(a, b)| a == b).count();
        }
        let rate = (steps * BATCH) as f64 / start.elapsed().as_secs_f64();
        println!(
            "epoch {epoch}: loss {loss:.4}, test accuracy {:.2}%, {rate:.0} images/s",
            right as f64 / test_labels.len() as f64 * 100.0
        );
    }
    Ok(())
}
