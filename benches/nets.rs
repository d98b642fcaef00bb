//! What the engine itself costs, and whole steps: LeNet-5 recorded op by op, traced and compiled, replayed.
//!
//! `cargo bench --bench nets` prints the median of many repeats, and for replays images a second.

#[path = "../examples/lenet/mod.rs"]
mod lenet;

use cnnrs::ops::Attribute;
use cnnrs::{DType, Fact, Result, Rows, Tensor, Trace};
use lenet::{LeNet, op, slots, train_step};
use std::time::{Duration, Instant};

/// Median milliseconds of `repeats` calls, after two that are not counted.
fn median(repeats: usize, f: impl FnMut() -> Result<()>) -> Result<f64> {
    median_after(repeats, || {}, f)
}

/// As `median`; before each call `prepare` is called, which is not counted.
fn median_after(repeats: usize, prepare: impl Fn(), mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for i in 0..repeats + 2 {
        prepare();
        let start = Instant::now();
        f()?;
        if i >= 2 {
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn images(batch: usize) -> Result<(Tensor, Tensor)> {
    let pixels: Vec<u8> = (0..batch * 784).map(|i| ((i * 7919) % 256) as u8).collect();
    let classes: Vec<i32> = (0..batch).map(|i| (i % 10) as i32).collect();
    Ok((Tensor::from_slice(&[batch, 28, 28, 1], &pixels)?, Tensor::from_slice(&[batch], &classes)?))
}

fn bench(batch: usize) -> Result<()> {
    let net = LeNet::new()?;
    let slots = slots(&net)?;
    let (x, y) = images(batch)?;
    let line = |name: &str, ms: f64, rate: bool| {
        let rate = if rate { format!("{:12.0} images/s", batch as f64 / ms * 1e3) } else { String::new() };
        println!("{name:44} batch {batch:4} {ms:10.3} ms{rate}");
    };

    let trace = || {
        let trace = Trace::enter();
        let x = trace.placeholder(Fact::new([batch, 28, 28, 1], DType::U8), "images");
        let y = trace.placeholder(Fact::new([batch], DType::I32), "labels");
        let loss = train_step(&net, &slots, &x, &y)?;
        trace.compile(&[loss])
    };
    // Without its plan, and as in a process at work, with pages that the allocator has at hand.
    let forget = || {
        cnnrs::release_memory();
        drop(std::hint::black_box((0..4096).map(|_| Box::new([1u8; 1024])).collect::<Vec<_>>()));
    };
    line("training step, traced and compiled", median_after(21, forget, || trace().map(drop))?, false);
    line("training step, traced, plan in the cache", median(60, || trace().map(drop))?, false);
    let step = trace()?;
    let batches = 32;
    let pixels: Vec<u8> = (0..batches * batch * 784).map(|i| ((i * 7919) % 256) as u8).collect();
    let classes: Vec<u8> = (0..batches * batch).map(|i| (i % 10) as u8).collect();
    let rows =
        [Rows::from_slice(&[batches * batch, 28, 28, 1], &pixels)?, Rows::from_slice(&[batches * batch], &classes)?];
    let order: Vec<i64> = (0..(batches * batch) as i64).rev().collect();
    let loop_over = || step.run_batches(&rows, &order, batch, 0..batches, Duration::MAX).map(drop);
    line("training step, in the loop over batches", median(20, loop_over)? / batches as f64, true);
    line("training step, replayed", median(200, || step.call(&[x.clone(), y.clone()]).map(drop))?, true);
    // Assignments of a lazy step wait for whoever reads the loss.
    let lazy = median(60, || train_step(&net, &slots, &x, &y)?.to_vec::<f32>().map(drop))?;
    line("training step, recorded op by op and run", lazy, true);

    let forward = |x: &Tensor| -> Result<Tensor> {
        let scaled = op("mul", &[&x.cast(DType::F32)?, &Tensor::scalar(1.0 / 255.0, DType::F32)?], [])?;
        op("argmax", &[&net.logits(&scaled)?], [("axis", Attribute::Int(-1))])
    };
    line("inference, recorded", median(200, || forward(&x).map(drop))?, false);
    line("inference, recorded and run", median(200, || forward(&x)?.to_vec::<i32>().map(drop))?, true);
    let predict = {
        let trace = Trace::enter();
        let x = trace.placeholder(Fact::new([batch, 28, 28, 1], DType::U8), "images");
        trace.compile(&[forward(&x)?])?
    };
    line("inference, replayed", median(400, || predict.call(std::slice::from_ref(&x)).map(drop))?, true);
    Ok(())
}

fn main() -> Result<()> {
    for batch in [1, 64, 128] {
        bench(batch)?;
    }
    Ok(())
}
