//! Ops as plans run them, against their references and central differences: one file an op.

use cnnrs::backend::cpu::Cpu;
use cnnrs::backend::device::Backend;
use cnnrs::plan::PlanOptions;

mod arg_reduce;
mod argsort;
mod channel_stats;
mod compose;
mod conv2d;
mod fft;
mod gather;
mod linalg;
mod matmul;
mod movement;
mod non_max_suppression;
mod pool2d;
mod random;
mod reduce;
mod scan;
mod scatter;

/// A property test of `count` cases, the same in every run. `PROPTEST_CASES` and `PROPTEST_RNG_SEED` ask for others, as
/// `make test-long` does.
fn cases(count: u32) -> proptest::test_runner::Config {
    use proptest::test_runner::{Config, RngSeed};

    let config = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { count };
    let rng_seed = if config.rng_seed == RngSeed::Random { RngSeed::Fixed(0) } else { config.rng_seed };
    Config { cases, rng_seed, failure_persistence: None, ..config }
}

/// For what a GPU does not compute, and for questions about the CPU's kernels.
fn on_cpu() -> PlanOptions {
    PlanOptions { target: Some(Cpu.target(0).unwrap()), ..PlanOptions::default() }
}
