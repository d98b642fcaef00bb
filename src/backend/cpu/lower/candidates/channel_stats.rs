//! Candidates for mean and variance per channel.

use crate::backend::cpu::kernel::{Cost, CpuKernel, Lowered, Phase, Task};
use crate::backend::cpu::kernels::chunked::split;
use crate::error::Result;
use smallvec::SmallVec;

/// All candidates.
pub const KERNELS: &[&dyn CpuKernel] = &[&Shifted];

/// Sums of deviations from the mean of the chunk's first rows, chunks combined by Chan's formula in f64.
struct Shifted;

/// Rows whose mean is the shift: close enough to the chunk's mean that squares do not cancel.
const SAMPLE: usize = 16;
/// Rows of x that a chunk sums, at least.
const ROWS: usize = 128;
/// Elements of x that a chunk sums, about.
const ELEMENTS: usize = 1 << 15;
/// Most chunks.
const CHUNKS: usize = 64;

impl CpuKernel for Shifted {
    fn name(&self) -> &'static str {
        "channel_stats"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        if task.epilogue.is_some() || task.prologue.is_some() {
            return Err("takes no attachments".into());
        }
        Ok(Cost(1.0))
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let channels = task.output.shape[1];
        let rows = task.inputs[0].shape.len() / channels.max(1);
        let chunks = (rows * channels).div_ceil(ELEMENTS).min(rows.div_ceil(ROWS)).clamp(1, CHUNKS);
        // Per chunk: shift, Σ(x − shift), Σ(x − shift)².
        let sums = Phase::new(chunks, move |operands, chunk, _| {
            let range = split(rows, chunks, chunk);
            // SAFETY: x holds rows × channels floats, the workspace 3 × channels for each chunk.
            unsafe {
                let x = operands.input::<f32>(0);
                let part = operands.workspace.cast::<f32>().add(chunk * 3 * channels);
                let shift = std::slice::from_raw_parts_mut(part, channels);
                let sample = range.len().min(SAMPLE);
                shift.fill(0.0);
                for row in range.start..range.start + sample {
                    let x = std::slice::from_raw_parts(x.add(row * channels), channels);
                    shift.iter_mut().zip(x).for_each(|(s, v)| *s += v / sample as f32);
                }
                let sum = std::slice::from_raw_parts_mut(part.add(channels), channels);
                let square = std::slice::from_raw_parts_mut(part.add(2 * channels), channels);
                sum.fill(0.0);
                square.fill(0.0);
                for row in range {
                    let x = std::slice::from_raw_parts(x.add(row * channels), channels);
                    for (((s, q), &v), &c) in sum.iter_mut().zip(square.iter_mut()).zip(x).zip(shift.iter()) {
                        let d = v - c;
                        *s += d;
                        *q += d * d;
                    }
                }
            }
        });
        let combine = Phase::new(1, move |operands, _, _| {
            // SAFETY: as above; the output holds 2 × channels floats.
            unsafe {
                let (work, out) = (operands.workspace.cast::<f32>(), operands.output::<f32>(0));
                for c in 0..channels {
                    let (mut count, mut mean, mut m2) = (0.0f64, 0.0f64, 0.0f64);
                    for chunk in 0..chunks {
                        let at = |k: usize| f64::from(*work.add((chunk * 3 + k) * channels + c));
                        let n = split(rows, chunks, chunk).len() as f64;
                        let own_mean = at(0) + at(1) / n;
                        let own_m2 = (at(2) - at(1) * at(1) / n).max(0.0);
                        // Chan, Golub and LeVeque (1979), pairwise update of mean and M2.
                        let total = count + n;
                        let delta = own_mean - mean;
                        mean += delta * n / total;
                        m2 += own_m2 + delta * delta * count * n / total;
                        count = total;
                    }
                    *out.add(c) = mean as f32;
                    *out.add(channels + c) = (m2 / count) as f32;
                }
            }
        });
        Ok(Lowered {
            name: "channel_stats",
            phases: vec![sums, combine],
            workspace: chunks * 3 * channels * 4,
            scratch: 0,
            packed: SmallVec::new(),
            section: None,
        })
    }
}
