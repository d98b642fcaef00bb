//! Multiply-adds as fast as the processor does them: what throughputs of kernels are compared with.

use super::{Simd, dispatch};
use std::hint::black_box;

/// Chains of multiply-adds that do not wait for each other: enough to hide their latency.
pub const CHAINS: usize = 12;

/// [`CHAINS`] vectors, each multiplied and added to `rounds` times; gives the sum of all.
#[inline(always)]
fn chains<S: Simd>(s: S, rounds: usize) -> f32 {
    let (x, y) = (s.splat(black_box(0.999)), s.splat(black_box(1e-3)));
    let mut sums = [s.splat(1.0); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = s.mul_add(*sum, x, y);
        }
    }
    let mut total = s.zero();
    for sum in sums {
        total = s.add(total, sum);
    }
    s.reduce_add(total)
}

dispatch! {
    /// The function that runs [`CHAINS`] chains of as many multiply-adds as its argument says.
    pub fn multiply_add_chains[] => chains(rounds: usize) -> f32;
}
