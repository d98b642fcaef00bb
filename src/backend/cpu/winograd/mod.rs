//! Winograd convolutions F(4×4, 3×3) on NHWC activations and HWIO filters: forward and input gradient.
//!
//! Windows of 6×6 pixels are transformed to 36 points, where a convolution is 36 matrix products
//! over channels: 2.25 multiplications per output and channel instead of 9.

mod transform;

use super::attach::{Epilogue, PackHook};
use super::chunked::{Args, ChunkedKernel, split};
use super::conv::ConvGeometry;
use super::gemm::pack::Copies;
use super::simd::Tier;
use super::tile::{MAX_ROWS, ONE_SEGMENT, Tile, TileSet};
use std::ops::Range;
use transform::{POINTS, Transforms};

/// Most tiles of a chunk.
const BLOCK: usize = 56;
/// f32 of transformed input and products that a chunk aims at.
const RESIDENT: usize = 160 << 10;
/// Chunks under which panels of a block are given to several.
const MIN_CHUNKS: usize = 8;

/// A 3×3 convolution of stride 1, or its input gradient, by F(4×4, 3×3).
///
/// Inputs: activations (or output gradient), filters HWIO. The error is about twice that of direct
/// summation in f32.
pub struct WinogradForward {
    batch: usize,
    in_h: usize,
    in_w: usize,
    in_c: usize,
    out_h: usize,
    out_w: usize,
    out_c: usize,
    pad_top: isize,
    pad_left: isize,
    /// Whether filters are rotated and transposed while they are packed.
    gradient: bool,
    blocks: usize,
    panel_parts: usize,
    tiles: TileSet,
    copies: Copies,
    transforms: Transforms,
}

/// Tiles of one row of an image: `y`, `x` in tiles.
struct Run {
    image: usize,
    y: usize,
    x: Range<usize>,
    /// Index of the first in its block.
    first: usize,
}

impl WinogradForward {
    /// Whether the geometry is 3×3, stride 1, dilation 1 and one group.
    pub fn supports(g: &ConvGeometry) -> bool {
        [g.kernel_h, g.kernel_w] == [3; 2] && [g.stride_h, g.stride_w, g.dilation_h, g.dilation_w, g.groups] == [1; 5]
    }

    /// Estimated time as a multiple of the direct kernel's; below 1 where Winograd pays.
    pub fn relative_cost(g: &ConvGeometry) -> f64 {
        let waste = |n: usize| n.next_multiple_of(4) as f64 / n as f64;
        let tiles = g.batch * g.out_h.div_ceil(4) * g.out_w.div_ceil(4);
        // Transforms cost per channel what products cost per pair of channels.
        let transforms = 16.0 / g.in_c as f64 + 16.0 / g.out_c as f64;
        // Filters of few tiles come from memory for little work.
        let filters = 14.0 / tiles as f64;
        waste(g.out_h) * waste(g.out_w) * (0.3 + 0.5 * transforms + filters)
    }

    /// The convolution. Panics where [`WinogradForward::supports`] is false.
    pub fn forward(g: &ConvGeometry, tier: Tier) -> Self {
        let (top, left) = (g.pad_top as isize, g.pad_left as isize);
        Self::new(g, [g.in_h, g.in_w, g.in_c], [g.out_h, g.out_w, g.out_c], [top, left], false, tier)
    }

    /// Its gradient for the input. Panics where [`WinogradForward::supports`] is false.
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
        assert!(Self::supports(g), "Winograd needs 3x3 filters, stride 1, dilation 1 and one group, received {g:?}");
        let tiles = TileSet::for_columns(tier, out_c);
        let count = g.batch * out_h.div_ceil(4) * out_w.div_ceil(4);
        let fitting = RESIDENT / (POINTS * (in_c + out_c));
        let block = fitting.clamp(28, BLOCK) / tiles.rows * tiles.rows;
        let mut blocks = count.div_ceil(block);
        if blocks < 2 * MIN_CHUNKS {
            blocks = blocks.next_multiple_of(2).min(count);
        }
        let panels = out_c.div_ceil(tiles.cols());
        let mut panel_parts = 1;
        while blocks * panel_parts < MIN_CHUNKS && 2 * panel_parts <= panels {
            panel_parts *= 2;
        }
        let (copies, transforms) = (Copies::new(tier), Transforms::new(tier));
        let batch = g.batch;
        WinogradForward {
            batch,
            in_h,
            in_w,
            in_c,
            out_h,
            out_w,
            out_c,
            pad_top,
            pad_left,
            gradient,
            blocks,
            panel_parts,
            tiles,
            copies,
            transforms,
        }
    }

    fn tiles_w(&self) -> usize {
        self.out_w.div_ceil(4)
    }

    fn tile_count(&self) -> usize {
        self.batch * self.out_h.div_ceil(4) * self.tiles_w()
    }

    fn block_len(&self) -> usize {
        self.tile_count().div_ceil(self.blocks)
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
        let ld = self.in_c.next_multiple_of(16) + 16;
        (ld, self.block_len() * ld + 16)
    }

    /// Row stride and plane stride of products.
    fn product_strides(&self) -> (usize, usize) {
        let ld = self.panels().div_ceil(self.panel_parts) * self.tiles.cols() + 16;
        (ld, self.block_len() * ld + 16)
    }

    /// Pixels of a row of the patch that a prologue writes.
    fn patch_width(&self) -> usize {
        (4 * self.tiles_w().min(self.block_len()) + 2).min(self.in_w)
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

    /// The rows of tiles of a block.
    fn runs(&self, tiles: Range<usize>) -> impl Iterator<Item = Run> {
        let (width, height, mut at) = (self.tiles_w(), self.out_h.div_ceil(4), tiles.start);
        let start = tiles.start;
        std::iter::from_fn(move || {
            (at < tiles.end).then(|| {
                let (row, x) = (at / width, at % width);
                let len = (width - x).min(tiles.end - at);
                let run = Run { image: row / height, y: row % height, x: x..x + len, first: at - start };
                at += len;
                run
            })
        })
    }

    /// Transforms the windows of a run.
    ///
    /// # Safety
    /// `zeros` holds `in_c` zeros, `patch` six rows of a patch, `v` the block's planes.
    unsafe fn transform_run(
        &self,
        run: &Run,
        x: *const f32,
        prologue: Option<&dyn PackHook>,
        zeros: *const f32,
        patch: *mut f32,
        v: *mut f32,
    ) {
        let (ld, plane) = self.window_strides();
        let top = 4 * run.y as isize - self.pad_top;
        let column = |tile: usize| 4 * tile as isize - self.pad_left;
        // Columns of the image that the run reads.
        let (begin, end) = (column(run.x.start).max(0), (column(run.x.end) + 2).min(self.in_w as isize));
        let mut rows = [None; 6];
        // SAFETY: rows and columns are within the image where they are read.
        unsafe {
            for (i, row) in rows.iter_mut().enumerate() {
                let y = top + i as isize;
                if !(0..self.in_h as isize).contains(&y) || begin >= end {
                    continue;
                }
                let pixel = (run.image * self.in_h + y as usize) * self.in_w + begin as usize;
                let src = x.add(pixel * self.in_c);
                *row = Some(match prologue {
                    None => src,
                    Some(hook) => {
                        let dst = patch.add(i * self.patch_width() * self.in_c);
                        hook.pack(src, self.in_c, dst, self.in_c, pixel, (end - begin) as usize, 0, self.in_c);
                        dst.cast_const()
                    }
                });
            }
            for (index, tile) in run.x.clone().enumerate() {
                let mut pixels = [zeros; POINTS];
                for (i, row) in rows.iter().enumerate() {
                    let Some(row) = row else { continue };
                    for j in 0..6 {
                        let at = column(tile) + j;
                        if (begin..end).contains(&at) {
                            pixels[i * 6 + j as usize] = row.add((at - begin) as usize * self.in_c);
                        }
                    }
                }
                (self.transforms.window)(pixels.as_ptr(), self.in_c, v.add((run.first + index) * ld), plane);
            }
        }
    }

    /// Transforms the products of a run to output pixels and runs the hook on them.
    ///
    /// # Safety
    /// `m` holds the block's planes; the output belongs to this chunk.
    unsafe fn finish_run(&self, run: &Run, chunk: usize, cols: Range<usize>, m: *const f32, args: &Args) {
        let (ld, plane) = self.product_strides();
        let pixel = |y: usize, x: usize| (run.image * self.out_h + y) * self.out_w + x;
        let (bias, relu) = match args.epilogue {
            Epilogue::Bias { bias, relu } => (bias.wrapping_add(cols.start), relu),
            _ => (std::ptr::null(), false),
        };
        // SAFETY: only pixels inside the output have pointers.
        unsafe {
            for (index, tile) in run.x.clone().enumerate() {
                let mut pixels = [std::ptr::null_mut(); 16];
                for (at, p) in pixels.iter_mut().enumerate() {
                    let (y, x) = (4 * run.y + at / 4, 4 * tile + at % 4);
                    if y < self.out_h && x < self.out_w {
                        *p = args.output.add(pixel(y, x) * self.out_c + cols.start);
                    }
                }
                let src = m.add((run.first + index) * ld);
                (self.transforms.output)(src, plane, pixels.as_ptr(), cols.len(), bias, relu);
            }
            if let Epilogue::Hook(hook) = args.epilogue {
                let (x, end) = (4 * run.x.start, (4 * run.x.end).min(self.out_w));
                let rows = 4.min(self.out_h - 4 * run.y);
                // Whole rows follow one another.
                let whole = end - x == self.out_w;
                let (calls, len) = if whole { (1, rows * self.out_w) } else { (rows, end - x) };
                for y in 0..calls {
                    let first = pixel(4 * run.y + y, x);
                    let tile = args.output.add(first * self.out_c + cols.start);
                    hook.tile(chunk, tile, self.out_c, first, len, cols.start, cols.len());
                }
            }
        }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, chunk: usize, args: &Args, scratch: *mut f32) {
        let tiles = split(self.tile_count(), self.blocks, chunk / self.panel_parts);
        let panels = split(self.panels(), self.panel_parts, chunk % self.panel_parts);
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
            for run in self.runs(tiles.clone()) {
                self.transform_run(&run, args.inputs[0], args.prologue, zeros, patch, scratch);
            }
            for point in 0..POINTS {
                for panel in panels.clone() {
                    let (col, _, width) = self.panel(panel);
                    let b = args.workspace.add(point * self.filter_plane() + col * self.in_c);
                    for t in 0..row_tiles {
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
                            bias: std::ptr::null(),
                            relu: false,
                        });
                    }
                }
            }
            for run in self.runs(tiles) {
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
            _ => self.blocks * self.panel_parts,
        }
    }

    fn workspace_len(&self) -> usize {
        POINTS * self.filter_plane()
    }

    fn prepacks(&self) -> bool {
        true
    }

    fn scratch_len(&self) -> usize {
        let patch = 6 * self.patch_width() * self.in_c;
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
