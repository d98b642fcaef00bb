//! F(4×4, 3×3), F(2×2, 3×3), or forward a form of stride 2, in stages: all windows of a part of the tiles are transformed, then multiplied point by point,
//! then their products transformed to outputs.
//!
//! Where filters have many channels, their transforms are larger than a core's cache, and a kernel that takes a
//! few tiles through all points streams them again for each block. Here a point's filters meet all tiles of
//! a part while they are near, and it is windows and products that go to memory and back. It is also
//! the form for few tiles: threads share points where there are no blocks to share.

use super::filters::Filters;
use super::transform::{Form, Transforms};
use super::windows::{Grid, Planes, Windows};
use super::{sides, strides};
use crate::backend::cpu::kernels::attach::{Epilogue, Finish};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, ranges, split};
use crate::backend::cpu::kernels::conv::ConvGeometry;
use crate::backend::cpu::kernels::tile::{MAX_ROWS, ONE_SEGMENT, PrefetchSchedule, PrefetchedLines, Rows, Tile};
use crate::backend::cpu::simd::Tier;
use crate::schedule::PackedLayout;
use std::ops::Range;

/// f32 of transformed windows and products of a part: what caches shared by cores hold.
const PART: usize = 5 << 20;
/// Tiles of a part, at least.
const MIN_TILES: usize = 56;
/// Channels of a chunk that transforms, where tiles alone make too few chunks.
const CHANNELS: usize = 64;
/// Chunks of a phase that transforms.
const CHUNKS: usize = 32;
/// Floating-point operations of a chunk of products, at most, where it can be cut.
const CHUNK_FLOPS: usize = 16 << 20;

/// A 3×3 convolution of stride 1, or its input gradient, or a convolution of stride 2, all tiles of a part at a time.
///
/// Inputs: activations (or output gradient), filters HWIO. The error is up to three times that of direct
/// summation in f32, as [`Form`] says.
pub struct WinogradStaged {
    grid: Grid,
    windows: Windows,
    filters: Filters,
    parts: usize,
    transforms: Transforms,
}

/// The stages of a part.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Windows,
    Products,
    Outputs,
}

const STAGES: [Stage; 3] = [Stage::Windows, Stage::Products, Stage::Outputs];

/// A rectangle of tiles and channels, cut into chunks.
struct Cut {
    tiles: usize,
    tile_parts: usize,
    channels: usize,
    channel_parts: usize,
}

impl Cut {
    /// Along tiles first: transforms walk the channels of a pixel, which follow one another.
    fn new(tiles: usize, channels: usize) -> Self {
        let tile_parts = tiles.div_ceil(2).min(CHUNKS);
        let channel_parts = (CHUNKS / tile_parts).clamp(1, channels.div_ceil(CHANNELS));
        Cut { tiles, tile_parts, channels, channel_parts }
    }

    fn chunks(&self) -> usize {
        self.tile_parts * self.channel_parts
    }

    /// Tiles and channels of a chunk; channels begin at whole vectors.
    fn chunk(&self, chunk: usize) -> (Range<usize>, Range<usize>) {
        let blocks = split(self.channels.div_ceil(CHANNELS), self.channel_parts, chunk % self.channel_parts);
        let channels = blocks.start * CHANNELS..(blocks.end * CHANNELS).min(self.channels);
        (split(self.tiles, self.tile_parts, chunk / self.channel_parts), channels)
    }
}

impl WinogradStaged {
    /// The convolution. Panics where it does not [work in stages](super::works_in_stages).
    pub fn forward(form: Form, g: &ConvGeometry, tier: Tier) -> Self {
        Self::new(form, g, false, PART, tier)
    }

    /// Its gradient for the input. Panics where it does not [work in stages](super::works_in_stages).
    pub fn input_grad(form: Form, g: &ConvGeometry, tier: Tier) -> Self {
        Self::new(form, g, true, PART, tier)
    }

    /// `part`: f32 of transformed windows and products that a part aims at.
    pub(super) fn new(form: Form, g: &ConvGeometry, gradient: bool, part: usize, tier: Tier) -> Self {
        assert!(super::works_in_stages(form, g, gradient), "{form:?} does not work in stages on {g:?}");
        let (grid, windows) = sides(form, g, gradient, tier);
        let filters = Filters::new(form, g, gradient, tier);
        let most = (part / (form.points() * (filters.in_c + filters.out_c))).max(MIN_TILES);
        WinogradStaged {
            grid,
            windows,
            filters,
            parts: grid.len().div_ceil(most),
            transforms: Transforms::new(form, tier),
        }
    }

    /// Tiles of a part.
    fn part(&self, part: usize) -> Range<usize> {
        split(self.grid.len(), self.parts, part)
    }

    /// Part and stage of a phase behind the one that transforms filters.
    fn stage(&self, phase: usize) -> (usize, Stage) {
        ((phase - 1) / STAGES.len(), STAGES[(phase - 1) % STAGES.len()])
    }

    /// How a stage's transforms are cut.
    fn cut(&self, part: usize, stage: Stage) -> Cut {
        Cut::new(self.part(part).len(), if stage == Stage::Windows { self.filters.in_c } else { self.filters.out_c })
    }

    /// Runs of panels that chunks of products take.
    fn panel_parts(&self, part: usize) -> usize {
        let flops = 2 * self.part(part).len() * self.filters.in_c * self.filters.out_c;
        flops.div_ceil(CHUNK_FLOPS).clamp(1, self.filters.panels())
    }

    /// Transformed windows and their products in the workspace.
    fn planes(&self, workspace: *mut f32) -> (Planes, Planes) {
        let tiles = self.part(0).len();
        let ((v_ld, v_plane), (m_ld, m_plane)) =
            (strides(tiles, self.filters.in_c), strides(tiles, self.filters.panels() * self.filters.tiles.cols()));
        let products = workspace.wrapping_add(self.filters.form.points() * v_plane);
        (Planes { base: workspace, ld: v_ld, plane: v_plane }, Planes { base: products, ld: m_ld, plane: m_plane })
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn transform(&self, part: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        let (tiles, channels) = self.cut(part, Stage::Windows).chunk(chunk);
        let (v, _) = self.planes(args.workspace);
        let base = v.base.wrapping_add(tiles.start * v.ld + channels.start);
        let v = Planes { base, ..v };
        let patch = scratch.wrapping_add(self.filters.in_c.next_multiple_of(16));
        let first = self.part(part).start;
        // SAFETY: zeros and patch lie within scratch, one after the other, windows within the workspace.
        unsafe {
            scratch.write_bytes(0, channels.len());
            for run in self.grid.runs(first + tiles.start..first + tiles.end) {
                self.windows.transform_run(&run, args.inputs[0], &channels, args.prologue, scratch, patch, &v);
            }
        }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn multiply(&self, part: usize, chunk: usize, args: &Args) {
        let (set, in_c) = (&self.filters.tiles, self.filters.in_c);
        let parts = self.panel_parts(part);
        let (point, panels) = (chunk / parts, split(self.filters.panels(), parts, chunk % parts));
        let tiles = self.part(part).len();
        let (v, m) = self.planes(args.workspace);
        let a_rows: [usize; MAX_ROWS] = std::array::from_fn(|row| row * v.ld);
        let c_rows: [usize; MAX_ROWS] = std::array::from_fn(|row| row * m.ld);
        let row_tiles = tiles.div_ceil(set.rows);
        // SAFETY: windows, products and filters of the point lie where the phases before have put them.
        unsafe {
            for panel in panels.clone() {
                let (col, width) = self.filters.panel(panel);
                let b = self.filters.at(args.packed, point, panel);
                let turns = if panel + 1 < panels.end {
                    PrefetchSchedule::new(self.filters.at(args.packed, point, panel + 1), in_c * width, in_c, row_tiles)
                } else {
                    PrefetchSchedule::NONE
                };
                for (t, r) in ranges(tiles, row_tiles).enumerate() {
                    let a = v.base.add(point * v.plane + r.start * v.ld).cast_const();
                    // While the first panel meets the windows, each tile asks for those behind its own.
                    let next = if panel == panels.start && t + 1 < row_tiles {
                        PrefetchedLines::all(a.wrapping_add(r.len() * v.ld), r.len() * v.ld, in_c)
                    } else {
                        turns.of(t)
                    };
                    set.run(&Tile {
                        rows: r.len(),
                        vectors: width / set.lanes,
                        cols: width,
                        a,
                        a_rows: Rows::Listed { offsets: a_rows.as_ptr(), step: 1 },
                        segments: ONE_SEGMENT.as_ptr(),
                        segment_count: 1,
                        k: in_c,
                        b,
                        b_step: width,
                        c: m.base.add(point * m.plane + r.start * m.ld + col),
                        c_rows: c_rows.as_ptr(),
                        add_to_c: false,
                        finish: Finish::NONE,
                        next,
                    });
                }
            }
        }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn finish(&self, part: usize, chunk: usize, args: &Args) {
        let cut = self.cut(part, Stage::Outputs);
        let (tiles, cols) = cut.chunk(chunk);
        // Parts before this one have chunks of their own.
        let chunk = chunk + (0..part).map(|p| self.cut(p, Stage::Outputs).chunks()).sum::<usize>();
        let (_, m) = self.planes(args.workspace);
        let m = Planes { base: m.base.wrapping_add(tiles.start * m.ld + cols.start), ..m };
        let first = self.part(part).start;
        if let Epilogue::Hook(hook) = args.epilogue {
            hook.begin(chunk);
        }
        let out_c = self.filters.out_c;
        // SAFETY: the products lie where the phase before has put them; pixels belong to one chunk each.
        unsafe {
            for run in self.grid.runs(first + tiles.start..first + tiles.end) {
                self.grid.finish_run(&run, chunk, &cols, out_c, &m, self.transforms.output, args);
            }
        }
        if let Epilogue::Hook(hook) = args.epilogue {
            hook.end(chunk);
        }
    }
}

impl ChunkedKernel for WinogradStaged {
    fn phases(&self) -> usize {
        1 + STAGES.len() * self.parts
    }

    fn chunks(&self, phase: usize) -> usize {
        if phase == 0 {
            return self.filters.panels();
        }
        match self.stage(phase) {
            (part, Stage::Products) => self.filters.form.points() * self.panel_parts(part),
            (part, stage) => self.cut(part, stage).chunks(),
        }
    }

    fn packed_len(&self) -> usize {
        self.filters.len()
    }

    fn packed_layout(&self) -> PackedLayout {
        self.filters.layout()
    }

    fn workspace_len(&self) -> usize {
        let (v, m) = self.planes(std::ptr::null_mut());
        self.filters.form.points() * (v.plane + m.plane)
    }

    fn finishes(&self, phase: usize) -> bool {
        phase > 0 && self.stage(phase).1 == Stage::Outputs
    }

    fn scratch_len(&self) -> usize {
        let in_c = self.filters.in_c;
        let patch = self.windows.patch_len(self.grid.width(), in_c);
        self.filters.scratch_len().max(in_c.next_multiple_of(16) + patch)
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            if phase == 0 {
                return self.filters.transform(chunk, args.inputs[1], args.packed, scratch);
            }
            match self.stage(phase) {
                (part, Stage::Windows) => self.transform(part, chunk, args, scratch),
                (part, Stage::Products) => self.multiply(part, chunk, args),
                (part, Stage::Outputs) => self.finish(part, chunk, args),
            }
        }
    }
}
