//! The common shape of raw kernels: ordered phases of independent chunks.

use super::attach::{Epilogue, PackHook};
use crate::schedule::PackedLayout;

/// Threads for which cuts by geometry alone are fine enough: smaller chunks would cost more than waiting.
pub const FEW_THREADS: usize = 4;

/// A kernel built once from a geometry and an instruction tier; immutable, without buffers.
///
/// All chunks of a phase end before the next phase begins; within a phase any thread may run any
/// chunk in any order, and the result has the same bits. How work is cut depends on geometry and
/// tier only, unless [`ChunkedKernel::recut`] or [`ChunkedKernel::cut_by_rows`] is called. The epilogue runs in the phases that [`ChunkedKernel::finishes`] names, and the chunk that a
/// `TileHook` hears of is one of [`ChunkedKernel::finishing_chunks`].
pub trait ChunkedKernel: Send + Sync {
    /// Number of phases, at least 1.
    fn phases(&self) -> usize;

    /// Cuts the work finer where `threads` threads, more than [`FEW_THREADS`], would find too few chunks, and only in
    /// ways that results do not show: each output is still computed by one chunk in the same order. Before anything
    /// else is asked.
    fn recut(&mut self, _threads: usize) {}

    /// Cuts the last phase into `shares` shares of the output's rows, which [`ChunkedKernel::shares`] tells of then. Asked of
    /// kernels alone that can do so, and before anything else.
    fn cut_by_rows(&mut self, _shares: usize) {}

    /// Number of chunks of a phase.
    fn chunks(&self, phase: usize) -> usize;

    /// f32 elements shared by the phases (transformed inputs, partial sums).
    fn workspace_len(&self) -> usize {
        0
    }

    /// f32 elements of input 1 (filters, B) in packed form; 0 where it is read as it is. Otherwise phase 0 does
    /// nothing but fill them from input 1, and later phases only read them, so a caller that keeps them may skip
    /// phase 0 until input 1 changes.
    fn packed_len(&self) -> usize {
        0
    }

    /// How they lie there; asked for where `packed_len` is not 0.
    fn packed_layout(&self) -> PackedLayout {
        PackedLayout::new("none", [])
    }

    /// Whether `phase` writes outputs and runs the epilogue on them.
    fn finishes(&self, phase: usize) -> bool {
        phase + 1 == self.phases()
    }

    /// Chunks of all phases that run the epilogue.
    fn finishing_chunks(&self) -> usize {
        (0..self.phases()).filter(|&phase| self.finishes(phase)).map(|phase| self.chunks(phase)).sum()
    }

    /// The phase that works share by share of the images, if there is one.
    fn shares(&self) -> Option<Shares> {
        None
    }

    /// f32 elements that each worker needs for itself; contents do not survive a chunk.
    fn scratch_len(&self) -> usize;

    /// Runs one chunk.
    ///
    /// # Safety
    /// The operands are valid for the geometry, `packed`, `workspace` and `scratch` hold at least as many
    /// elements as the kernel says on 64-byte boundaries, and all chunks of earlier phases have ended.
    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32);
}

/// A phase whose chunk i reads and writes share i of the images, or rows, alone; see
/// [`Section`](crate::backend::cpu::kernel::Section).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Which phase.
    pub phase: usize,
    /// How many images all shares have together.
    pub images: usize,
    /// Images that no share divides.
    pub lanes: usize,
    /// Whether inputs 0 and 1 are read by shares; else they are read whole, by any phase.
    pub inputs: [bool; 2],
    /// Whether the output is written by shares.
    pub output: bool,
}

/// Operands of one run.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    /// Inputs, in the order that the kernel documents.
    pub inputs: [*const f32; 2],
    /// The output.
    pub output: *mut f32,
    /// Input 1 in packed form; written by phase 0 alone.
    pub packed: *mut f32,
    /// Shared by the phases.
    pub workspace: *mut f32,
    /// Prologue on input 0; only kernels that pack it take one.
    pub prologue: Option<&'a dyn PackHook>,
    /// What happens to the output.
    pub epilogue: Epilogue<'a>,
}

impl Args<'_> {
    /// Whether input 0 has elements of 16 bits, which the prologue widens.
    pub fn widens(&self) -> bool {
        self.prologue.is_some_and(PackHook::widens)
    }
}

// SAFETY: the pointers are valid for the whole run, and the chunks of a phase write disjoint parts.
unsafe impl Send for Args<'_> {}
// SAFETY: as above.
unsafe impl Sync for Args<'_> {}

/// Cuts `len` into `parts` ranges whose lengths differ by at most one, and returns range `index`.
pub fn split(len: usize, parts: usize, index: usize) -> std::ops::Range<usize> {
    let (base, extra) = (len / parts, len % parts);
    let start = index * base + index.min(extra);
    start..start + base + usize::from(index < extra)
}

/// Whether work is cut into so few chunks, and an odd number of them, that one of two threads waits for the other.
pub fn is_uneven(chunks: usize) -> bool {
    const FEW: usize = 16;
    chunks < FEW && !chunks.is_multiple_of(2)
}

/// All ranges that [`split`] cuts, in order, without a division for each.
pub fn ranges(len: usize, parts: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let (base, extra) = (len / parts.max(1), len % parts.max(1));
    let mut start = 0;
    (0..parts).map(move |index| {
        let end = start + base + usize::from(index < extra);
        std::mem::replace(&mut start, end)..end
    })
}

/// Runs all phases on the calling thread.
///
/// # Safety
/// As [`ChunkedKernel::run_chunk`]; `args.packed` and `args.workspace` are replaced by buffers of this function.
#[cfg(test)]
pub(crate) unsafe fn run_serially(kernel: &dyn ChunkedKernel, args: &Args) {
    const GUARD: f32 = 12345.0;
    let aligned = |len: usize| {
        let mut memory = vec![GUARD; len + 64];
        let start = memory.as_ptr().align_offset(64);
        memory[start..start + len].fill(f32::NAN);
        (memory, start, start + len)
    };
    let (mut workspace, offset, workspace_end) = aligned(kernel.workspace_len());
    let (mut packed, packed_start, packed_end) = aligned(kernel.packed_len());
    let args =
        Args { packed: packed[packed_start..].as_mut_ptr(), workspace: workspace[offset..].as_mut_ptr(), ..*args };
    let (mut scratch, start, scratch_end) = aligned(kernel.scratch_len());
    let mut once = Vec::new();
    for phase in 0..kernel.phases() {
        if phase == 1 {
            once.extend(packed[packed_start..packed_end].iter().map(|x| x.to_bits()));
        }
        // Chunks are independent, so the reverse order must do as well.
        for chunk in (0..kernel.chunks(phase)).rev() {
            scratch[start..scratch_end].fill(f32::NAN);
            // SAFETY: the caller's contract; the buffers have the lengths asked for.
            unsafe { kernel.run_chunk(phase, chunk, &args, scratch[start..].as_mut_ptr()) };
        }
    }
    let kept = kernel.phases() == 1 || packed[packed_start..packed_end].iter().map(|x| x.to_bits()).eq(once);
    assert!(kept, "only phase 0 writes what is packed once");
    let untouched = |rest: &[f32]| rest.iter().all(|&x| x == GUARD);
    let rests = [&workspace[workspace_end..], &packed[packed_end..], &scratch[scratch_end..]];
    assert!(rests.into_iter().all(untouched), "lengths are enough");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_what_split_cuts() {
        for len in 0..40 {
            for parts in 0..12 {
                let expected: Vec<_> = (0..parts).map(|index| split(len, parts, index)).collect();
                assert_eq!(ranges(len, parts).collect::<Vec<_>>(), expected, "{len} {parts}");
            }
        }
    }
}
