//! Random numbers, four to a block of Philox.

use super::{DataKernel, GRAIN, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Phase, Task};
use crate::backend::cpu::simd::{Simd, dispatch};
use crate::error::Result;
use crate::ops::Op;
use crate::ops::random::{Distribution, ROUNDS, counter_and_key, next_key, normal_pair, round, threshold, unit};

/// Numbers from their positions, hence the same however they are cut.
pub const RANDOM: DataKernel = DataKernel { name: "random_philox", lower };

/// Blocks made side by side, so that the compiler may put one in each lane.
const BATCH: usize = 16;

fn lower(task: &Task) -> Result<Lowered> {
    let Op::Random(op) = task.op else { return Err(wrong_op(RANDOM.name, task)) };
    let n = op.shape.len();
    let distribution = op.distribution;
    let batch = batch_kernel(task.tier);
    let phase = Phase::new(n.div_ceil(GRAIN), move |ops, chunk, _| {
        let end = ((chunk + 1) * GRAIN).min(n);
        let mut first = chunk * GRAIN;
        let mut drawn = [0u32; 4 * BATCH];
        // SAFETY: the state holds two int32; elements `chunk · GRAIN..end` of the output are this
        // chunk's, and `GRAIN` is a multiple of a batch's elements.
        unsafe {
            let state = *ops.input::<[i32; 2]>(0);
            while first < end {
                batch(state, (first / 4) as u64, &mut drawn);
                let count = (end - first).min(4 * BATCH);
                convert(distribution, &drawn, ops.output::<u8>(0), first, count);
                first += count;
            }
        }
    });
    Ok(lowered(RANDOM.name, vec![phase]))
}

/// Writes the first `count` numbers of `words` from element `first` of the output on.
///
/// # Safety
/// The output has the distribution's element type and these elements.
unsafe fn convert(distribution: Distribution, words: &[u32; 4 * BATCH], out: *mut u8, first: usize, count: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        match distribution {
            Distribution::Bits => {
                out.cast::<u32>().add(first).copy_from_nonoverlapping(words.as_ptr(), count);
            }
            Distribution::Uniform => {
                let to = std::slice::from_raw_parts_mut(out.cast::<f32>().add(first), count);
                to.iter_mut().zip(words).for_each(|(t, &w)| *t = unit(w));
            }
            Distribution::Bernoulli { p } => {
                let below = threshold(p);
                let to = std::slice::from_raw_parts_mut(out.add(first), count);
                match u32::try_from(below) {
                    Ok(below) => to.iter_mut().zip(words).for_each(|(t, &w)| *t = u8::from(w < below)),
                    Err(_) => to.fill(1),
                }
            }
            Distribution::Normal => {
                let to = std::slice::from_raw_parts_mut(out.cast::<f32>().add(first), count);
                for (t, w) in to.chunks_mut(2).zip(words.chunks_exact(2)) {
                    let (a, b) = normal_pair(w[0], w[1]);
                    t[0] = a as f32;
                    if let Some(t) = t.get_mut(1) {
                        *t = b as f32;
                    }
                }
            }
        }
    }
}

/// The words of `BATCH` blocks from `first` on: those of `random::words`, lane by lane.
#[inline(always)]
fn batch<S: Simd>(_: S, state: [i32; 2], first: u64, out: &mut [u32; 4 * BATCH]) {
    let (mut c, mut key) = ([[0u32; BATCH]; 4], [0; 2]);
    for i in 0..BATCH {
        let (counter, k) = counter_and_key(state, first + i as u64);
        key = k;
        for (lanes, word) in c.iter_mut().zip(counter) {
            lanes[i] = word;
        }
    }
    for _ in 0..ROUNDS {
        let [c0, c1, c2, c3] = &mut c;
        for (((c0, c1), c2), c3) in c0.iter_mut().zip(c1).zip(c2).zip(c3) {
            [*c0, *c1, *c2, *c3] = round([*c0, *c1, *c2, *c3], key);
        }
        key = next_key(key);
    }
    for (i, block) in out.chunks_exact_mut(4).enumerate() {
        for (word, lanes) in block.iter_mut().zip(&c) {
            *word = lanes[i];
        }
    }
}

dispatch! {
    fn batch_kernel[] => batch(state: [i32; 2], first: u64, out: &mut [u32; 4 * BATCH]);
}
