//! A depthwise convolution between the 1×1 convolutions around it, row by row.
//!
//! An expansion makes many channels that a depthwise convolution reads once and a projection sums up
//! again: as whole activations they would go to memory and back. Here a chunk makes the rows that a window
//! needs, one output row of the depthwise convolution, and its projection, before it goes on to the next
//! row; rows between are in the worker's scratch. Neighbouring bands of an image both expand the rows
//! that their windows share.

use super::{ConvGeometry, DepthwiseRows};
use crate::backend::cpu::kernels::attach::{Epilogue, Finish};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, split};
use crate::backend::cpu::kernels::gemm::Gemm;
use crate::backend::cpu::simd::Tier;
use crate::schedule::PackedLayout;

/// Chunks that a pass is cut into where bands stay high enough.
const CHUNKS: usize = 32;
/// Fewest chunks that are worth a chain: else threads would have nothing to do.
const MIN_CHUNKS: usize = 4;
/// Rows of a band, at least, for each row that it expands again.
const ROWS_PER_REPEATED: usize = 7;
/// Output rows of a band, at least.
const MIN_BAND: usize = 4;
/// Bytes of an image's inner activation from which on it leaves the cache of a core, alone or among those of
/// a batch.
const LARGE: usize = 1 << 20;
const LARGE_IN_BATCH: usize = 256 << 10;
/// Images from which on inner activations of a batch go to memory.
const BATCH: usize = 8;
/// Bytes of rows that may lie in the scratch.
const MAX_SCRATCH: usize = 512 << 10;

/// Which convolutions there are; the channels of neighbours fit each other.
#[derive(Clone, Copy, Debug)]
pub struct ResidualGeometry {
    /// A 1×1 convolution in front.
    pub expand: Option<ConvGeometry>,
    /// Reads what it makes.
    pub depthwise: ConvGeometry,
    /// A 1×1 convolution behind.
    pub project: Option<ConvGeometry>,
}

impl ResidualGeometry {
    /// Whether all are of the kinds that chains are made of, and rows fit the scratch.
    pub fn is_supported(&self) -> bool {
        let product = |g: &Option<ConvGeometry>| g.is_none_or(|g| g.is_pointwise());
        let chained = self.expand.is_some() || self.project.is_some();
        chained
            && product(&self.expand)
            && product(&self.project)
            && DepthwiseRows::supports(&self.depthwise)
            && (self.ring_len() + self.row_len()) * 4 <= MAX_SCRATCH
    }

    /// Whether the inner activations are so large that a chain pays.
    pub fn pays(&self) -> bool {
        let g = &self.depthwise;
        let inner = match self.expand {
            Some(_) => g.input_len(),
            None => g.output_len(),
        };
        let large = inner * 4 / g.batch >= if g.batch >= BATCH { LARGE_IN_BATCH } else { LARGE };
        large && g.batch * self.bands() >= MIN_CHUNKS
    }

    /// Rows of the depthwise convolution's input that a window spans.
    fn window(&self) -> usize {
        (self.depthwise.kernel_h - 1) * self.depthwise.dilation_h + 1
    }

    /// Parts of an image.
    fn bands(&self) -> usize {
        let g = &self.depthwise;
        let repeated = if self.expand.is_some() { self.window().saturating_sub(g.stride_h) } else { 0 };
        let rows = (ROWS_PER_REPEATED * repeated).div_ceil(g.stride_h).max(MIN_BAND);
        (g.out_h / rows).clamp(1, CHUNKS.div_ceil(g.batch))
    }

    /// f32 of the expanded rows of a window.
    fn ring_len(&self) -> usize {
        let g = &self.depthwise;
        if self.expand.is_some() { self.window() * g.in_w * g.in_c } else { 0 }
    }

    /// f32 of a row of the depthwise convolution.
    fn row_len(&self) -> usize {
        let g = &self.depthwise;
        if self.project.is_some() { g.out_w * g.out_c } else { 0 }
    }
}

/// Operands of one run.
pub struct ResidualArgs {
    /// Input of the first convolution.
    pub x: *const f32,
    /// Filters of the expansion, the depthwise convolution, and the projection; null where there is none.
    pub filters: [*const f32; 3],
    /// What happens to the output of each; only the last has a residual.
    pub finishes: [Finish; 3],
    /// Output of the last convolution.
    pub output: *mut f32,
    /// Packed filters of the expansion and the projection, as long as [`InvertedResidual::packed`] says; null where there are none.
    pub packed: [*mut f32; 2],
}

/// The chain. Phase 0 packs the filters of the 1×1 convolutions, phase 1 computes.
pub struct InvertedResidual {
    chained: ResidualGeometry,
    bands: usize,
    /// Products over one row of pixels.
    expand: Option<Gemm>,
    depthwise: DepthwiseRows,
    project: Option<Gemm>,
}

impl InvertedResidual {
    /// Panics where [`ResidualGeometry::is_supported`] is false.
    pub fn new(chained: ResidualGeometry, tier: Tier) -> Self {
        assert!(chained.is_supported(), "1x1 convolutions around a depthwise one, received {chained:?}");
        let row = |g: ConvGeometry| Gemm::convolution(g.out_w, g.out_c, g.in_c, None, tier);
        InvertedResidual {
            bands: chained.bands(),
            expand: chained.expand.map(row),
            depthwise: DepthwiseRows::forward(&chained.depthwise, tier),
            project: chained.project.map(row),
            chained,
        }
    }

    /// Gives each of `threads` threads a band, if these stay high enough; the same rows are computed in the same way.
    pub fn recut(&mut self, threads: usize) {
        let g = &self.chained.depthwise;
        self.bands = self.bands.max(threads.div_ceil(g.batch).min(g.out_h / MIN_BAND));
    }

    /// Chunks of the phase that packs.
    pub fn pack_chunks(&self) -> usize {
        self.products().map(Gemm::pack_chunks).sum()
    }

    /// Chunks of the phase that computes.
    pub fn chunks(&self) -> usize {
        self.chained.depthwise.batch * self.bands
    }

    /// f32 of the packed filters of the expansion and the projection, and how they lie; `None` where there are none.
    pub fn packed(&self) -> [Option<(usize, PackedLayout)>; 2] {
        let packed = |gemm: &Gemm| (gemm.packed_len() > 0).then(|| (gemm.packed_len(), gemm.packed_layout()));
        [&self.expand, &self.project].map(|gemm| gemm.as_ref().and_then(packed))
    }

    /// f32 that each worker needs for itself.
    pub fn scratch_len(&self) -> usize {
        let own = self.products().map(|gemm| aligned(gemm.workspace_len()) + gemm.scratch_len()).max().unwrap_or(0);
        aligned(self.chained.ring_len()) + aligned(self.chained.row_len()) + own
    }

    fn products(&self) -> impl Iterator<Item = &Gemm> {
        self.expand.iter().chain(&self.project)
    }

    /// Packs one chunk of the filters.
    ///
    /// # Safety
    /// The filters and what is packed are accessible.
    pub unsafe fn pack(&self, mut chunk: usize, args: &ResidualArgs) {
        let filters = [(&self.expand, args.filters[0]), (&self.project, args.filters[2])];
        for ((gemm, b), packed) in filters.into_iter().zip(args.packed) {
            let Some(gemm) = gemm else { continue };
            if chunk < gemm.pack_chunks() {
                // SAFETY: there is room for the packed filters of each.
                return unsafe { gemm.run_pack_chunk(chunk, b, packed) };
            }
            chunk -= gemm.pack_chunks();
        }
    }

    /// Computes one chunk.
    ///
    /// # Safety
    /// All operands are accessible, the filters are packed, and `scratch` holds [`InvertedResidual::scratch_len`] f32 on
    /// a 64-byte boundary.
    pub unsafe fn run(&self, chunk: usize, args: &ResidualArgs, scratch: *mut f32) {
        let g = &self.chained.depthwise;
        let (image, band) = (chunk / self.bands, chunk % self.bands);
        let (ring, window) = (scratch, self.chained.window());
        let row_buffer = ring.wrapping_add(aligned(self.chained.ring_len()));
        let own = row_buffer.wrapping_add(aligned(self.chained.row_len()));
        let in_row = g.in_w * g.in_c;
        let mut expanded = 0;
        for y in split(g.out_h, self.bands, band) {
            let reads = self.depthwise.reads(y);
            // SAFETY: input rows and output rows lie within the image; a window's rows have different places
            // in the ring.
            unsafe {
                if let Some(gemm) = &self.expand {
                    for row in reads.start.max(expanded)..reads.end {
                        let width = g.in_w * self.chained.expand.map_or(0, |e| e.in_c);
                        let x = args.x.add((image * g.in_h + row) * width);
                        let to = ring.add(row % window * in_row);
                        product(gemm, [x, args.filters[0]], to, args.packed[0], args.finishes[0], own);
                    }
                    expanded = expanded.max(reads.end);
                }
                let (x, place): (_, &dyn Fn(usize) -> usize) = match self.expand {
                    Some(_) => (ring.cast_const(), &|row| row % window * in_row),
                    None => (args.x, &|row| (image * g.in_h + row) * in_row),
                };
                let at = (image * g.out_h + y) * g.out_w;
                match &self.project {
                    None => {
                        let finish = args.finishes[1].from(0, at * g.out_c);
                        self.depthwise.row(y, x, place, args.filters[1], args.output.add(at * g.out_c), finish);
                    }
                    Some(gemm) => {
                        self.depthwise.row(y, x, place, args.filters[1], row_buffer, args.finishes[1]);
                        let at = at * self.chained.project.map_or(0, |p| p.out_c);
                        let inputs = [row_buffer.cast_const(), args.filters[2]];
                        let finish = args.finishes[2].from(0, at);
                        product(gemm, inputs, args.output.add(at), args.packed[1], finish, own);
                    }
                }
            }
        }
    }
}

/// All chunks of a product over one row.
///
/// # Safety
/// As [`ChunkedKernel::run_chunk`].
unsafe fn product(
    gemm: &Gemm,
    inputs: [*const f32; 2],
    output: *mut f32,
    packed: *mut f32,
    finish: Finish,
    scratch: *mut f32,
) {
    let (workspace, scratch) = (scratch, scratch.wrapping_add(aligned(gemm.workspace_len())));
    let args = Args { inputs, output, packed, workspace, prologue: None, epilogue: Epilogue::Finish(finish) };
    let packs = usize::from(gemm.packed_len() > 0);
    for phase in packs..gemm.phases() {
        for chunk in 0..gemm.chunks(phase) {
            // SAFETY: the caller's contract.
            unsafe { gemm.run_chunk(phase, chunk, &args, scratch) };
        }
    }
}

/// On 64-byte boundaries.
fn aligned(len: usize) -> usize {
    len.next_multiple_of(16)
}
