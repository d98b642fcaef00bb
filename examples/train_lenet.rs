//! Trains LeNet-5 on MNIST with the Rust API alone:
//! `cargo run --release --example train_lenet`.
//!
//! The step (forward, loss, gradients, update) is traced once and replayed as one plan.

mod lenet;

use cnnrs::ops::Attribute;
use cnnrs::{DType, Fact, Tensor, Trace};
use lenet::{LeNet, op, slots, train_step};
use std::io::Read;
use std::path::Path;

const BATCH: usize = 64;
const EPOCHS: usize = 2;

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
    let slots = slots(&net)?;

    let step = {
        let trace = Trace::enter();
        let x = trace.placeholder(Fact::new([BATCH, 28, 28, 1], DType::U8), "images");
        let labels = trace.placeholder(Fact::new([BATCH], DType::I32), "labels");
        let loss = train_step(&net, &slots, &x, &labels)?;
        trace.compile(&[loss])?
    };
    let predict = {
        let trace = Trace::enter();
        let x = trace.placeholder(Fact::new([100, 28, 28, 1], DType::U8), "images");
        let scaled = op("mul", &[&x.cast(DType::F32)?, &Tensor::scalar(1.0 / 255.0, DType::F32)?], [])?;
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
