//! Forward, and input gradient on rotated and transposed filters, block by block of tiles.

use super::filters::Filters;
use super::transform::Transforms;
use super::windows::{Grid, Planes, Windows};
use super::{sides, strides};
use crate::backend::cpu::kernels::attach::{Epilogue, Finish};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, ranges, split};
use crate::backend::cpu::kernels::conv::ConvGeometry;
use crate::backend::cpu::kernels::prefetch::{Prefetch, Touch, touch_of};
use crate::backend::cpu::kernels::tile::{MAX_ROWS, ONE_SEGMENT, PrefetchSchedule, Rows, Tile};
use crate::backend::cpu::simd::Tier;
use crate::schedule::PackedLayout;
use smallvec::SmallVec;
use std::ops::Range;

/// Most tiles of a chunk.
const BLOCK: usize = 56;
/// f32 of transformed input and products that a chunk aims at.
const RESIDENT: usize = 160 << 10;
/// f32 of transformed filters that no cache holds: each block streams them from memory.
const TRANSFORMED_FILTERS_CACHED: usize = 4 << 20;
/// Chunks under which panels of a block are given to several.
const MIN_CHUNKS: usize = 8;
/// Chunks above which each takes several blocks.
const MAX_CHUNKS: usize = 64;

/// A convolution, or its input gradient, by the [`form`](super::form) that suits it.
///
/// Inputs: activations (or output gradient), filters HWIO. The error is up to three times that of direct
/// summation in f32, as [`Form`](super::Form) says.
pub struct WinogradForward {
    grid: Grid,
    windows: Windows,
    filters: Filters,
    blocks: usize,
    /// Runs of blocks, and of panels, that chunks take.
    block_parts: usize,
    panel_parts: usize,
    transforms: Transforms,
    touch: Touch,
}

impl WinogradForward {
    /// The convolution. Panics where there is no [`form`](super::form).
    pub fn forward(g: &ConvGeometry, tier: Tier) -> Self {
        Self::new(g, false, tier)
    }

    /// Its gradient for the input. Panics where there is no [`form`](super::form).
    pub fn input_grad(g: &ConvGeometry, tier: Tier) -> Self {
        Self::new(g, true, tier)
    }

    fn new(g: &ConvGeometry, gradient: bool, tier: Tier) -> Self {
        let form = super::form(g).unwrap_or_else(|| panic!("no Winograd form suits {g:?}"));
        let (grid, windows) = sides(form, g, gradient, tier);
        let filters = Filters::new(form, g, gradient, tier);
        let (in_c, out_c, points) = (filters.in_c, filters.out_c, form.points());
        let (tiles, panels) = (&filters.tiles, filters.panels());
        let count = grid.len();
        let least = if points * in_c * out_c > TRANSFORMED_FILTERS_CACHED { BLOCK } else { BLOCK / 2 };
        let fitting = RESIDENT / (points * (in_c + out_c));
        let block = fitting.clamp(least, BLOCK) / tiles.rows * tiles.rows;
        let mut blocks = count.div_ceil(block);
        if blocks < 2 * MIN_CHUNKS {
            blocks = blocks.next_multiple_of(2).min(count);
        }
        let block_parts = blocks.min(MAX_CHUNKS);
        let mut panel_parts = 1;
        // A pixel's parities are finished together.
        while grid.step == 1 && blocks * panel_parts < MIN_CHUNKS && 2 * panel_parts <= panels {
            panel_parts *= 2;
        }
        let (transforms, touch) = (Transforms::new(form, tier), touch_of(tier));
        WinogradForward { grid, windows, filters, blocks, block_parts, panel_parts, transforms, touch }
    }

    fn block_len(&self) -> usize {
        self.grid.len().div_ceil(self.blocks)
    }

    /// Row stride and plane stride of transformed windows.
    fn window_strides(&self) -> (usize, usize) {
        strides(self.block_len(), self.filters.in_c)
    }

    /// Row stride and plane stride of products.
    fn product_strides(&self) -> (usize, usize) {
        strides(self.block_len(), self.filters.panels().div_ceil(self.panel_parts) * self.filters.tiles.cols())
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, chunk: usize, args: &Args, scratch: *mut f32) {
        let panels = split(self.filters.panels(), self.panel_parts, chunk % self.panel_parts);
        if self.filters.gradient {
            let (m, plane) =
                (scratch.wrapping_add(self.filters.form.points() * self.window_strides().1), self.product_strides().1);
            for point in self.filters.meetings.incomplete() {
                // SAFETY: the plane lies within scratch. No block writes what its filters do not meet.
                unsafe { m.add(point * plane).write_bytes(0, plane) };
            }
        }
        for block in split(self.blocks, self.block_parts, chunk / self.panel_parts) {
            // SAFETY: the caller's contract.
            unsafe { self.compute_block(chunk, block, &panels, args, scratch) };
        }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute_block(&self, chunk: usize, block: usize, panels: &Range<usize>, args: &Args, scratch: *mut f32) {
        let tiles = split(self.grid.len(), self.blocks, block);
        let (set, in_c, points) = (&self.filters.tiles, self.filters.in_c, self.filters.form.points());
        let pixel_channels = self.filters.out_c / (self.grid.step * self.grid.step);
        let ((v_ld, v_plane), (m_ld, m_plane)) = (self.window_strides(), self.product_strides());
        let m = scratch.wrapping_add(points * v_plane);
        let zeros = m.wrapping_add(points * m_plane);
        let patch = zeros.wrapping_add(in_c.next_multiple_of(16));
        let a_rows: [usize; MAX_ROWS] = std::array::from_fn(|row| row * v_ld);
        let c_rows: [usize; MAX_ROWS] = std::array::from_fn(|row| row * m_ld);
        let cols = self.filters.columns(panels);
        let row_tiles = tiles.len().div_ceil(set.rows);
        // SAFETY: windows, products, zeros and patch lie within scratch, one after another.
        unsafe {
            zeros.write_bytes(0, in_c);
            let v = Planes { base: scratch, ld: v_ld, plane: v_plane };
            for run in self.grid.runs(tiles.clone()) {
                self.windows.transform_run(&run, args.inputs[0], &(0..in_c), args.prologue, zeros, patch, &v);
            }
            let next = if block + 1 < self.blocks { split(self.grid.len(), self.blocks, block + 1) } else { 0..0 };
            let (x, widens) = (args.inputs[0], args.widens());
            let reads = self.windows.reads(self.grid, next, x, 0..in_c).map(move |span| span.stored(x, widens));
            let mut finishing = args.epilogue.auxiliaries();
            finishing.push(args.output);
            let finishing = finishing.iter().flat_map(|&p| {
                let cols = cols.start..cols.end.min(pixel_channels);
                self.grid.spans(tiles.clone(), p, pixel_channels, cols)
            });
            let met = (0..points).flat_map(|point| panels.clone().map(move |panel| (point, panel)));
            let met: SmallVec<[_; 64]> = met.filter(|&(point, panel)| self.filters.meets(point, panel)).collect();
            let register_tiles = row_tiles * met.len();
            let mut prefetch = Prefetch::new(finishing.chain(reads), register_tiles, self.touch);
            for (index, &(point, panel)) in met.iter().enumerate() {
                let ((col, width), summed) = (self.filters.panel(panel), self.filters.summed(point));
                let b = self.filters.at(args.packed, point, panel);
                let following = met.get(index + 1).copied().unwrap_or((points, panels.start));
                let following = self.filters.at(args.packed, following.0, following.1);
                let turns = PrefetchSchedule::new(following, summed.len() * width, summed.len(), row_tiles);
                for (t, r) in ranges(tiles.len(), row_tiles).enumerate() {
                    prefetch.advance();
                    set.run(&Tile {
                        rows: r.len(),
                        vectors: width / set.lanes,
                        cols: width,
                        a: scratch.add(point * v_plane + r.start * v_ld + summed.start),
                        a_rows: Rows::Listed { offsets: a_rows.as_ptr(), step: 1 },
                        segments: ONE_SEGMENT.as_ptr(),
                        segment_count: 1,
                        k: summed.len(),
                        b,
                        b_step: width,
                        c: m.add(point * m_plane + r.start * m_ld + col - cols.start),
                        c_rows: c_rows.as_ptr(),
                        add_to_c: false,
                        finish: Finish::NONE,
                        next: turns.of(t),
                    });
                }
            }
            let products = Planes { base: m, ld: m_ld, plane: m_plane };
            for run in self.grid.runs(tiles) {
                self.grid.finish_run(&run, chunk, &cols, pixel_channels, &products, self.transforms.output, args);
            }
        }
    }
}

impl ChunkedKernel for WinogradForward {
    fn recut(&mut self, threads: usize) {
        // Blocks of a register tile's rows at least.
        let most = self.grid.len() / self.filters.tiles.rows;
        while self.blocks * self.panel_parts < threads && 2 * self.blocks <= most {
            self.blocks *= 2;
        }
        self.block_parts = self.blocks.min(MAX_CHUNKS);
    }

    fn phases(&self) -> usize {
        2
    }

    fn chunks(&self, phase: usize) -> usize {
        match phase {
            0 => self.filters.panels(),
            _ => self.block_parts * self.panel_parts,
        }
    }

    fn packed_len(&self) -> usize {
        self.filters.len()
    }

    fn packed_layout(&self) -> PackedLayout {
        self.filters.layout()
    }

    fn scratch_len(&self) -> usize {
        let patch = self.windows.patch_len(self.grid.width().min(self.block_len()), self.windows.in_c);
        let planes = self.filters.form.points() * (self.window_strides().1 + self.product_strides().1);
        self.filters.scratch_len().max(planes + self.filters.in_c.next_multiple_of(16) + patch)
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            match (phase, args.epilogue) {
                (0, _) => self.filters.transform(chunk, args.inputs[1], args.packed, scratch),
                (_, Epilogue::Hook(hook)) => {
                    hook.begin(chunk);
                    self.compute(chunk, args, scratch);
                    hook.end(chunk);
                }
                _ => self.compute(chunk, args, scratch),
            }
        }
    }
}
