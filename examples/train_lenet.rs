//! Trains LeNet-5 on MNIST with the Rust API alone:
//! `cargo run --release --example train_lenet`.
//!
//! The step (forward, loss, gradients, update, metric) is traced once and replayed as one plan, for all batches of an
//! epoch in one call: the loop that Python's `fit` runs.

mod lenet;

use cnnrs::ops::Attribute;
use cnnrs::{CompiledFunction, DType, Fact, Result, Rows, Tensor, Trace, Variable};
use lenet::{LeNet, op, slots, train_step, zeros};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

const BATCH: usize = 64;
const EPOCHS: usize = 2;

/// One half of MNIST.
struct Mnist {
    /// (n, 28, 28, 1)
    images: Vec<u8>,
    /// (n,)
    labels: Vec<u8>,
}

impl Mnist {
    fn load(split: &str) -> std::io::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/cnnrs/datasets/data/mnist");
        let read = |name: String, header: usize| -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(std::fs::File::open(folder.join(name))?).read_to_end(&mut bytes)?;
            Ok(bytes.split_off(header))
        };
        let images = read(format!("{split}-images-idx3-ubyte.gz"), 16)?;
        Ok(Mnist { images, labels: read(format!("{split}-labels-idx1-ubyte.gz"), 8)? })
    }

    fn count(&self) -> usize {
        self.labels.len()
    }

    /// Images and labels, as the loop takes them.
    fn rows(&self) -> Result<[Rows<'_>; 2]> {
        let n = self.count();
        Ok([Rows::from_slice(&[n, 28, 28, 1], &self.images)?, Rows::from_slice(&[n], &self.labels)?])
    }
}

/// A function of a batch of images and labels, which `record` writes down.
fn traced(batch: usize, record: impl FnOnce(&Tensor, &Tensor) -> Result<()>) -> Result<CompiledFunction> {
    let trace = Trace::enter();
    let images = trace.placeholder(Fact::new([batch, 28, 28, 1], DType::U8), "images");
    let labels = trace.placeholder(Fact::new([batch], DType::I32), "labels");
    record(&images, &labels)?;
    trace.compile(&[])
}

/// Adds `value` to `sum` in the function that is being traced.
fn add_to(sum: &Variable, value: &Tensor) -> Result<()> {
    sum.assign(&op("add", &[&sum.value(), value], [])?)
}

/// What `sum` holds; it is 0 afterwards.
fn take(sum: &Variable) -> Result<f32> {
    let value = sum.value().to_vec::<f32>()?[0];
    sum.assign(&Tensor::scalar(0.0, DType::F32)?)?;
    Ok(value)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let (train, test) = (Mnist::load("train")?, Mnist::load("t10k")?);
    let net = LeNet::new()?;
    let slots = slots(&net)?;
    let (losses, right) = (zeros(&[], false)?, zeros(&[], false)?);

    let step = traced(BATCH, |images, labels| add_to(&losses, &train_step(&net, &slots, images, labels)?))?;
    let count_right = traced(100, |images, labels| {
        let scaled = op("mul", &[&images.cast(DType::F32)?, &Tensor::scalar(1.0 / 255.0, DType::F32)?], [])?;
        let classes = op("argmax", &[&net.logits(&scaled)?], [("axis", Attribute::Int(-1))])?;
        let hits = op("equal", &[&classes, labels], [])?.cast(DType::F32)?;
        add_to(&right, &op("sum", &[&hits], [])?)
    })?;

    let steps = train.count() / BATCH;
    // Batches in strides through the set: consecutive ones differ, every image comes once.
    let order: Vec<i64> = (0..steps).flat_map(|i| (0..BATCH).map(move |k| (k * steps + i) as i64)).collect();
    let all: Vec<i64> = (0..test.count() as i64).collect();
    for epoch in 1..=EPOCHS {
        let start = Instant::now();
        step.run_batches(&train.rows()?, &order, BATCH, 0..steps, Duration::MAX)?;
        let rate = (steps * BATCH) as f64 / start.elapsed().as_secs_f64();
        count_right.run_batches(&test.rows()?, &all, 100, 0..test.count() / 100, Duration::MAX)?;
        println!(
            "epoch {epoch}: loss {:.4}, test accuracy {:.2}%, {rate:.0} images/s",
            take(&losses)? / steps as f32,
            take(&right)? / test.count() as f32 * 100.0
        );
    }
    Ok(())
}
