//! What a kernel is: a candidate implementation of an op, lowered to phases of independent chunks.

use super::kernels::chunked::split;
use super::simd::Tier;
use crate::error::{BadData, Result};
use crate::fusion::region::Region;
use crate::ops::Op;
use crate::precision::Precision;
use crate::schedule::{Packed, StepCode};
use crate::shape::Fact;
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which activations of a task lie in the batch-blocked layout: `[N, H, W, C]` stored as `[N / lanes][H][W][C][lanes]`,
/// so that a vector is the same element of as many images. N is a multiple of the tier's lanes then. All
/// other values are stored row by row, as their shape says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchBlocked {
    /// Bit k: operand k of the task.
    pub inputs: u64,
    /// The op's output, and with it everything of its shape that the epilogue reads or stores.
    pub output: bool,
}

impl BatchBlocked {
    /// Whether operand `k` lies in the batch-blocked layout.
    pub fn input(self, k: usize) -> bool {
        self.inputs >> k & 1 == 1
    }

    /// Panics where something lies in the batch-blocked layout and `batch` images do not fill vectors of `lanes`.
    pub fn check(self, batch: usize, lanes: usize) {
        let fits = self == BatchBlocked::default() || batch.is_multiple_of(lanes);
        assert!(fits, "activations in vectors of {lanes} images need whole vectors, received {batch} images");
    }
}

/// How steps that follow one another row by row are cut, so that they can run as one section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowShares {
    /// Rows that all shares have together.
    pub rows: usize,
    /// How many shares, of at least two rows each.
    pub shares: usize,
}

impl RowShares {
    /// The rows of share `index`.
    pub fn share(&self, index: usize) -> Range<usize> {
        split(self.rows, self.shares, index)
    }
}

/// One heavy op with its attachments, to be lowered.
///
/// Operands are numbered: the op's inputs first, then the prologue's operands, then the
/// epilogue's. Outputs are the epilogue's (stores, then reductions), or the op's one output.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// What is computed.
    pub op: &'a Op,
    /// Facts of the op's inputs.
    pub inputs: &'a [Fact],
    /// Fact of the op's output, before the epilogue.
    pub output: &'a Fact,
    /// Pointwise work on input 0 (`Arg::Anchor` is the raw element); its one store is what the op reads.
    pub prologue: Option<&'a Region>,
    /// Pointwise work and per-channel reductions on the output (`Arg::Anchor`).
    pub epilogue: Option<&'a Region>,
    /// Which activations lie in the batch-blocked layout.
    pub blocked: BatchBlocked,
    /// What the kernel may do to sums of products.
    pub precision: Precision,
    /// The instruction set that it runs on.
    pub tier: Tier,
    /// Threads for which it is cut. That alters no result.
    pub threads: usize,
    /// Bit k: operand k stays the same over many runs, so that it is packed before them. Only joins have more than 64
    /// operands, and pack none.
    pub constant: u64,
    /// The shares of its output's rows that are its chunks, for kernels that can be cut so; see [`CpuKernel::rows`].
    pub by_rows: Option<RowShares>,
}

impl Task<'_> {
    /// Whether operand `k` stays the same over many runs.
    pub fn is_constant(&self, k: usize) -> bool {
        k < u64::BITS as usize && self.constant >> k & 1 == 1
    }
}

/// Estimated time of a candidate, in arbitrary but common units; the least wins.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Cost(pub f64);

/// A candidate implementation of an op on the CPU.
pub trait CpuKernel: Sync {
    /// The name by which tests and `describe()` know it.
    fn name(&self) -> &'static str;

    /// Its cost, or why it cannot do the task.
    fn supports(&self, task: &Task) -> std::result::Result<Cost, String>;

    /// Which activations it can read and write in the batch-blocked layout, for a task that it supports.
    fn takes_batch_blocked(&self, _task: &Task) -> BatchBlocked {
        BatchBlocked::default()
    }

    /// Whether a convolution that it runs can be one of several that run row by row as one step; see
    /// [`InvertedResidual`](super::kernels::conv::InvertedResidual).
    fn works_by_rows(&self) -> bool {
        false
    }

    /// The rows of its output, for a task that it supports, if it can make any of them of the same rows of operand 0, the same
    /// rows of what is attached, and the other operands whole. It is cut by [`Task::by_rows`] then.
    fn rows(&self, _task: &Task) -> Option<usize> {
        None
    }

    /// The code for a task that it supports.
    fn lower(&self, task: &Task) -> Result<Lowered>;
}

impl std::fmt::Debug for dyn CpuKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Immutable code of one step.
pub struct Lowered {
    /// Which kernel it is.
    pub name: &'static str,
    /// Phases in order; all chunks of one end before the next begins.
    pub phases: Vec<Phase>,
    /// Bytes shared by the phases of this step (packed filters, partial sums), 64-byte aligned.
    pub workspace: usize,
    /// Bytes of scratch that each worker gets, 64-byte aligned; contents do not survive a chunk.
    pub scratch: usize,
    /// Operands that phase 0 packs, if it does nothing else.
    pub packed: SmallVec<[Packed; 1]>,
    /// The phase that works share by share, if there is one.
    pub section: Option<Section>,
}

impl StepCode for Lowered {
    fn workspace(&self) -> usize {
        self.workspace
    }

    fn packed(&self) -> &[Packed] {
        &self.packed
    }

    fn split_packing(&mut self) -> Self {
        if let Some(section) = &mut self.section {
            section.phase -= 1;
        }
        let phases = vec![self.phases.remove(0)];
        let Lowered { name, scratch, .. } = *self;
        Lowered { name, phases, workspace: 0, scratch, packed: self.packed.clone(), section: None }
    }
}

/// A phase whose chunk i works on share i of the images alone, `split(images / lanes, chunks, i)`
/// vectors of them. Where steps follow one another by rows, the images are rows ([`RowShares`]). Steps with such phases over
/// as many images, in vectors of as many and as many chunks, run as one section: a thread takes its share through all of
/// them while it is in cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Which phase.
    pub phase: usize,
    /// How many images all shares have together.
    pub images: usize,
    /// Images of a vector.
    pub lanes: usize,
    /// Bit k: of operand k, chunk i reads its own images only. All others are read whole.
    pub inputs: u64,
    /// Bit k: of output k, chunk i writes its own images. All others are complete after the last phase.
    pub outputs: u64,
}

impl Section {
    /// The images of share `index` of `shares`.
    pub fn share(&self, shares: usize, index: usize) -> Range<usize> {
        let vectors = split(self.images / self.lanes, shares, index);
        vectors.start * self.lanes..vectors.end * self.lanes
    }
}

/// Code of one chunk: `(operands, chunk, scratch)`.
pub type ChunkFn = Box<dyn Fn(&Operands, usize, *mut u8) + Send + Sync>;

/// Independent chunks: any thread may run any of them in any order, and the result has the same
/// bits. Chunks never block, allocate nothing and start no parallel work.
pub struct Phase {
    /// How many.
    pub chunks: usize,
    /// The code.
    pub run: ChunkFn,
}

impl Phase {
    /// A phase of `chunks` chunks.
    pub fn new(chunks: usize, run: impl Fn(&Operands, usize, *mut u8) + Send + Sync + 'static) -> Self {
        Phase { chunks, run: Box::new(run) }
    }
}

/// Where a step's buffers lie in one run. Pointers are 64-byte aligned, except for views into
/// tensors, which are aligned to their element.
pub struct Operands<'a> {
    /// Inputs, numbered as in [`Task`].
    pub inputs: &'a [*const u8],
    /// Outputs.
    pub outputs: &'a [*mut u8],
    /// The step's workspace.
    pub workspace: *mut u8,
    /// The step's packed operands, as many as [`Lowered::packed`] names.
    pub packed: &'a [*mut u8],
    /// Where kernels report bad data.
    pub status: &'a Status,
}

// SAFETY: the pointers are valid for the whole run, and the chunks of a phase write disjoint parts.
unsafe impl Sync for Operands<'_> {}
// SAFETY: as above.
unsafe impl Send for Operands<'_> {}

impl Operands<'_> {
    /// Input `i` as elements of type `T`.
    pub fn input<T>(&self, i: usize) -> *const T {
        self.inputs[i].cast()
    }

    /// Output `i` as elements of type `T`.
    pub fn output<T>(&self, i: usize) -> *mut T {
        self.outputs[i].cast()
    }
}

/// First bad datum that a kernel met: the run then fails before anything is committed.
#[derive(Debug, Default)]
pub struct Status {
    /// Whether there is a report; the lock is taken only then.
    reported: AtomicBool,
    report: Mutex<Option<BadData>>,
    /// 1 + the step that reported; 0 before.
    step: AtomicUsize,
}

impl Status {
    /// Reports bad data. The smallest element wins, whatever the order in which threads report.
    pub fn report(&self, bad: BadData) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if report.is_none_or(|old| bad.element < old.element) {
            *report = Some(bad);
        }
        self.reported.store(true, Ordering::Relaxed);
    }

    /// Called after each chunk of step `step`: remembers the step if something was reported.
    pub fn note_step(&self, step: usize) {
        if self.reported.load(Ordering::Relaxed) {
            let _ = self.step.compare_exchange(0, step + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The step that reported bad data.
    pub fn failed_step(&self) -> Option<usize> {
        self.step.load(Ordering::Relaxed).checked_sub(1)
    }

    /// The report as an error.
    pub fn check(&self) -> Result<()> {
        match *self.report.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(bad) => Err(bad.into()),
        }
    }
}
