//! F(4×4, 3×3): forward, and input gradient on rotated and transposed filters.

use super::prefetch::{Prefetch, Touch, touch_of};
use super::transform::{POINTS, Transforms};
use super::windows::{Grid, Planes, Run, Windows};
use super::{strides, supports};
use crate::backend::cpu::attach::{Epilogue, Finish};
use crate::backend::cpu::chunked::{Args, ChunkedKernel, split};
use crate::backend::cpu::conv::ConvGeometry;
use crate::backend::cpu::gemm::pack::Copies;
use crate::backend::cpu::simd::Tier;
use crate::backend::cpu::tile::{MAX_ROWS, ONE_SEGMENT, Tile, TileSet};
use std::ops::Range;

/// Most tiles of a chunk.
const BLOCK: usize = 56;
/// f32 of transformed input and products that a chunk aims at.
const RESIDENT: usize = 160 << 10;
/// f32 of transformed filters that no cache holds: each block streams them from memory.
pub const TRANSFORMED_FILTERS_CACHED: usize = 4 << 20;
/// Chunks under which panels of a block are given to several.
const MIN_CHUNKS: usize = 8;
/// Chunks above which each takes several blocks.
const MAX_CHUNKS: usize = 64;

/// A 3×3 convolution of stride 1, or its input gradient, by F(4×4, 3×3).
///
/// Inputs: activations (or output gradient), filters HWIO. The error is about twice that of direct
/// summation in f32.
pub struct WinogradForward {
    grid: Grid,
    windows: Windows,
    in_c: usize,
    out_c: usize,
    /// Whether filters are rotated and transposed while they are packed.
    gradient: bool,
    blocks: usize,
    /// Runs of blocks, and of panels, that chunks take.
    block_parts: usize,
    panel_parts: usize,
    tiles: TileSet,
    copies: Copies,
    transforms: Transforms,
    touch: Touch,
}

impl WinogradForward {
    /// The convolution. Panics where [`supports`] is false.
    pub fn forward(g: &ConvGeometry, tier: Tier) -> Self {
        let (top, left) = (g.pad_top as isize, g.pad_left as isize);
        Self::new(g, [g.in_h, g.in_w, g.in_c], [g.out_h, g.out_w, g.out_c], [top, left], false, tier)
    }

    /// Its gradient for the input. Panics where [`supports`] is false.
    pub fn input_grad(g: &ConvGeometry, tier: Tier) -> Self {
        let (top, left) = (2 - g.pad_top as isize, 2 - g.pad_left as isize);
        Self::new(g, [g.out_h, g.out_w, g.out_c], [g.in_h, g.in_w, g.in_c], [top, left], true, tier)
    }

    fn new(
        g: &ConvGeometry,
        [in_h, in_w, in_c]: [usize; 3],
        [out_h, out_w, out_c]: [usize; 3],
        [pad_top, pad_left]: [isize; 2],
        gradient: bool,
        tier: Tier,
    ) -> Self {
        assert!(supports(g), "Winograd needs 3x3 filters, stride 1, dilation 1 and one group, received {g:?}");
        let tiles = TileSet::for_columns(tier, out_c);
        let grid = Grid { batch: g.batch, out_h, out_w };
        let count = grid.len();
        let least = if POINTS * in_c * out_c > TRANSFORMED_FILTERS_CACHED { BLOCK } else { BLOCK / 2 };
        let fitting = RESIDENT / (POINTS * (in_c + out_c));
        let block = fitting.clamp(least, BLOCK) / tiles.rows * tiles.rows;
        let mut blocks = count.div_ceil(block);
        if blocks < 2 * MIN_CHUNKS {
            blocks = blocks.next_multiple_of(2).min(count);
        }
        let block_parts = blocks.min(MAX_CHUNKS);
        let panels = out_c.div_ceil(tiles.cols());
        let mut panel_parts = 1;
        while blocks * panel_parts < MIN_CHUNKS && 2 * panel_parts <= panels {
            panel_parts *= 2;
        }
        let (copies, transforms) = (Copies::new(tier), Transforms::new(tier));
        let windows = Windows { in_h, in_w, in_c, pad_top, pad_left, transform: transforms.window };
        let touch = touch_of(tier);
        WinogradForward {
            grid,
            windows,
            in_c,
            out_c,
            gradient,
            blocks,
            block_parts,
            panel_parts,
            tiles,
            copies,
            transforms,
            touch,
        }
    }

    fn block_len(&self) -> usize {
        self.grid.len().div_ceil(self.blocks)
    }

    fn panels(&self) -> usize {
        self.out_c.div_ceil(self.tiles.cols())
    }

    /// First channel, channels, and packed width of a panel.
    fn panel(&self, panel: usize) -> (usize, usize, usize) {
        let col = panel * self.tiles.cols();
        let cols = self.tiles.cols().min(self.out_c - col);
        (col, cols, self.tiles.vectors_for(cols) * self.tiles.lanes)
    }

    /// Transformed filters of one point; the odd cache line keeps planes from one cache set.
    fn filter_plane(&self) -> usize {
        let (col, _, width) = self.panel(self.panels() - 1);
        (col + width) * self.in_c + 16
    }

    /// Row stride and plane stride of transformed windows.
    fn window_strides(&self) -> (usize, usize) {
        strides(self.block_len(), self.in_c)
    }

    /// Row stride and plane stride of products.
    fn product_strides(&self) -> (usize, usize) {
        strides(self.block_len(), self.panels().div_ceil(self.panel_parts) * self.tiles.cols())
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn transform_filters(&self, panel: usize, args: &Args, scratch: *mut f32) {
        let (col, cols, width) = self.panel(panel);
        let (s, k, plane) = (self.in_c, self.out_c, self.filter_plane());
        // SAFETY: the panel's filters fit the scratch, its transforms the workspace.
        unsafe {
            for tap in 0..9 {
                let dst = scratch.add(tap * s * width);
                if self.gradient {
                    let src = args.inputs[1].add((8 - tap) * s * k + col * s);
                    self.copies.transpose(src, s, cols, s, dst, width, width);
                } else {
                    let src = args.inputs[1].add(tap * s * k + col);
                    self.copies.copy(src, k, s, cols, dst, width, width);
                }
            }
            (self.transforms.filter)(scratch, s * width, s * width, args.workspace.add(col * s), plane);
        }
    }

    /// Transforms the products of a run to output pixels and runs the hook on them.
    ///
    /// # Safety
    /// `m` holds the block's planes; the output belongs to this chunk.
    unsafe fn finish_run(&self, run: &Run, chunk: usize, cols: Range<usize>, m: *const f32, args: &Args) {
        let (ld, plane) = self.product_strides();
        let Grid { out_h, out_w, .. } = self.grid;
        let finish = args.epilogue.finish().from(cols.start, cols.start);
        // SAFETY: only pixels inside the output have pointers.
        unsafe {
            for (index, tile) in run.x.clone().enumerate() {
                let first = args.output.add(cols.start);
                let pixels = self.grid.outputs(run, tile, first, self.out_c);
                let src = m.add((run.first + index) * ld);
                (self.transforms.output)(src, plane, pixels.as_ptr(), first, cols.len(), &finish);
            }
            if let Epilogue::Hook(hook) = args.epilogue {
                let (x, end) = (4 * run.x.start, (4 * run.x.end).min(out_w));
                let rows = 4.min(out_h - 4 * run.y);
                // Whole rows follow one another.
                let whole = end - x == out_w;
                let (calls, len) = if whole { (1, rows * out_w) } else { (rows, end - x) };
                for y in 0..calls {
                    let first = (run.image * out_h + 4 * run.y + y) * out_w + x;
                    let tile = args.output.add(first * self.out_c + cols.start);
                    hook.tile(chunk, tile, self.out_c, first, len, cols.start, cols.len());
                }
            }
        }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, chunk: usize, args: &Args, scratch: *mut f32) {
        let panels = split(self.panels(), self.panel_parts, chunk % self.panel_parts);
        for block in split(self.blocks, self.block_parts, chunk / self.panel_parts) {
            // SAFETY: the caller's contract.
            unsafe { self.compute_block(chunk, block, &panels, args, scratch) };
        }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute_block(&self, chunk: usize, block: usize, panels: &Range<usize>, args: &Args, scratch: *mut f32) {
        let tiles = split(self.grid.len(), self.blocks, block);
        let ((v_ld, v_plane), (m_ld, m_plane)) = (self.window_strides(), self.product_strides());
        let m = scratch.wrapping_add(POINTS * v_plane);
        let zeros = m.wrapping_add(POINTS * m_plane);
        let patch = zeros.wrapping_add(self.in_c.next_multiple_of(16));
        let (mut a_rows, mut c_rows) = ([0; MAX_ROWS], [0; MAX_ROWS]);
        for row in 0..MAX_ROWS {
            (a_rows[row], c_rows[row]) = (row * v_ld, row * m_ld);
        }
        let first_col = panels.start * self.tiles.cols();
        let cols = first_col..(panels.end * self.tiles.cols()).min(self.out_c);
        let row_tiles = tiles.len().div_ceil(self.tiles.rows);
        // SAFETY: windows, products, zeros and patch lie within scratch, one after another.
        unsafe {
            zeros.write_bytes(0, self.in_c);
            let v = Planes { base: scratch, ld: v_ld, plane: v_plane };
            for run in self.grid.runs(tiles.clone()) {
                self.windows.transform_run(&run, args.inputs[0], &(0..self.in_c), args.prologue, zeros, patch, &v);
            }
            let next = if block + 1 < self.blocks { split(self.grid.len(), self.blocks, block + 1) } else { 0..0 };
            let reads = self.windows.reads(self.grid, next, args.inputs[0], 0..self.in_c);
            let mut finishing = args.epilogue.beside();
            finishing.push(args.output);
            let finishing = finishing.iter().flat_map(|&p| self.grid.spans(tiles.clone(), p, self.out_c, cols.clone()));
            let register_tiles = POINTS * row_tiles * panels.len();
            let mut prefetch = Prefetch::new(finishing.chain(reads), register_tiles, self.touch);
            for point in 0..POINTS {
                for panel in panels.clone() {
                    let (col, _, width) = self.panel(panel);
                    let b = args.workspace.add(point * self.filter_plane() + col * self.in_c);
                    for t in 0..row_tiles {
                        prefetch.advance();
                        let r = split(tiles.len(), row_tiles, t);
                        self.tiles.run(&Tile {
                            rows: r.len(),
                            vectors: width / self.tiles.lanes,
                            cols: width,
                            a: scratch.add(point * v_plane + r.start * v_ld),
                            a_rows: a_rows.as_ptr(),
                            a_step: 1,
                            segments: ONE_SEGMENT.as_ptr(),
                            segment_count: 1,
                            k: self.in_c,
                            b,
                            b_step: width,
                            c: m.add(point * m_plane + r.start * m_ld + col - first_col),
                            c_rows: c_rows.as_ptr(),
                            add_to_c: false,
                            finish: Finish::NONE,
                            next: std::ptr::null(),
                        });
                    }
                }
            }
            for run in self.grid.runs(tiles) {
                self.finish_run(&run, chunk, cols.clone(), m, args);
            }
        }
    }
}

impl ChunkedKernel for WinogradForward {
    fn phases(&self) -> usize {
        2
    }

    fn chunks(&self, phase: usize) -> usize {
        match phase {
            0 => self.panels(),
            _ => self.block_parts * self.panel_parts,
        }
    }

    fn workspace_len(&self) -> usize {
        POINTS * self.filter_plane()
    }

    fn prepacks(&self) -> bool {
        true
    }

    fn scratch_len(&self) -> usize {
        let patch = self.windows.patch_len(self.grid.width().min(self.block_len()), self.in_c);
        let planes = POINTS * (self.window_strides().1 + self.product_strides().1);
        let filters = 9 * self.in_c * self.tiles.cols();
        filters.max(planes + self.in_c.next_multiple_of(16) + patch)
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            match (phase, args.epilogue) {
                (0, _) => self.transform_filters(chunk, args, scratch),
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
