//! Where the time of a run goes: seconds, arithmetic and traffic of every step.

use crate::graph::Origin;
use std::fmt::Write;
use std::time::Duration;

/// Time of one step in one run.
#[derive(Clone, Debug)]
pub struct StepProfile {
    /// The kernel.
    pub kernel: &'static str,
    /// The operations and what they make.
    pub text: String,
    /// Who asked for it.
    pub origin: Origin,
    /// Chunks of each phase.
    pub chunks: Vec<usize>,
    /// Floating-point operations (a multiply-add counts 2), as the graph counts them.
    pub flops: u64,
    /// Bytes of all inputs and outputs, each counted once.
    pub bytes: u64,
    /// Time that threads spent in the step, summed over threads.
    pub busy: Duration,
    /// From the first chunk's begin to the last one's end. Steps of one wave overlap.
    pub span: Duration,
}

/// Times of one run.
#[derive(Clone, Debug)]
pub struct Profile {
    /// In the order of the plan.
    pub steps: Vec<StepProfile>,
    /// The whole run.
    pub wall: Duration,
    /// Threads that the run could use.
    pub workers: usize,
}

impl Profile {
    /// The part of the threads' time that was spent in no step: waiting at barriers, starting, ending.
    pub fn idle(&self) -> f64 {
        let busy: Duration = self.steps.iter().map(|s| s.busy).sum();
        let all = self.wall.as_secs_f64() * self.workers as f64;
        if all > 0.0 { (1.0 - busy.as_secs_f64() / all).max(0.0) } else { 0.0 }
    }

    /// Keeps for each step and for the whole the faster of two runs of one plan.
    pub fn keep_fastest(&mut self, other: &Profile) {
        self.wall = self.wall.min(other.wall);
        for (mine, other) in self.steps.iter_mut().zip(&other.steps) {
            mine.busy = mine.busy.min(other.busy);
            mine.span = mine.span.min(other.span);
        }
    }

    /// The same as [`Profile::table`], as JSON: seconds, counts and bytes.
    pub fn json(&self) -> String {
        let threads = self.workers as f64;
        let steps = self.sorted().into_iter().map(|s| {
            serde_json::json!({
                "kernel": s.kernel,
                "computes": s.text,
                "origin": s.origin.as_deref(),
                "chunks": s.chunks,
                "seconds": s.busy.as_secs_f64() / threads,
                "span_seconds": s.span.as_secs_f64(),
                "flops": s.flops,
                "bytes": s.bytes,
            })
        });
        let steps: Vec<_> = steps.collect();
        serde_json::json!({
            "seconds": self.wall.as_secs_f64(),
            "threads": self.workers,
            "idle": self.idle(),
            "flops": self.steps.iter().map(|s| s.flops).sum::<u64>(),
            "steps": steps,
        })
        .to_string()
    }

    /// Steps, the slowest one first.
    fn sorted(&self) -> Vec<&StepProfile> {
        let mut order: Vec<&StepProfile> = self.steps.iter().collect();
        order.sort_by_key(|s| std::cmp::Reverse(s.busy));
        order
    }

    /// A table, the slowest step first: milliseconds (busy time over threads), share of the run,
    /// GFLOP/s and GB/s of all threads together, the part of its span in which threads had nothing of it
    /// to do, kernel, chunks, what it computes and for whom.
    pub fn table(&self) -> String {
        let threads = self.workers as f64;
        let wall = self.wall.as_secs_f64();
        let mut table = String::from("      ms  share  GFLOP/s    GB/s  idle  kernel\n");
        for s in self.sorted() {
            let seconds = s.busy.as_secs_f64() / threads;
            let rate = |amount: u64| if seconds > 0.0 { amount as f64 / seconds * 1e-9 } else { 0.0 };
            let span = s.span.as_secs_f64();
            let idle = if span > 0.0 { (1.0 - seconds / span).max(0.0) } else { 0.0 };
            let _ = write!(
                table,
                "{:8.3} {:5.1}% {:8.1} {:7.1} {:4.0}%  {:<18} {:?} {}",
                seconds * 1e3,
                100.0 * seconds / wall,
                rate(s.flops),
                rate(s.bytes),
                100.0 * idle,
                s.kernel,
                s.chunks,
                s.text
            );
            if let Some(origin) = &s.origin {
                let _ = write!(table, "  # {origin}");
            }
            table.push('\n');
        }
        let flops: u64 = self.steps.iter().map(|s| s.flops).sum();
        let _ = writeln!(
            table,
            "{:8.3} ms in all on {} threads, {:.1} GFLOP/s, {:.1}% of the threads' time in no step",
            wall * 1e3,
            self.workers,
            if wall > 0.0 { flops as f64 / wall * 1e-9 } else { 0.0 },
            100.0 * self.idle()
        );
        table
    }
}
