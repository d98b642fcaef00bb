//! F(T×T, M×M): the gradient for the filters.
//!
//! A tile of M×M output gradients takes the place of the filter: its points times those of the
//! window that the outputs read are summed over all tiles of all images, a product of matrices
//! [input channels × tiles] × [tiles × output channels] per point, and transformed to T×T taps once.

use super::filters::{Meetings, Parity};
use super::transform::{FilterGradTransforms, MAX_TAPS};
use super::windows::{Grid, Planes, Windows};
use super::{sides, strides};
use crate::backend::cpu::kernels::attach::{Epilogue, Finish};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, split};
use crate::backend::cpu::kernels::conv::{Combine, ConvGeometry, image_groups};
use crate::backend::cpu::kernels::prefetch::{Prefetch, Touch, touch_of};
use crate::backend::cpu::kernels::tile::{MAX_ROWS, ONE_SEGMENT, PrefetchedLines, Rows, Tile, TileSet};
use crate::backend::cpu::simd::Tier;
use std::ops::Range;

/// Most input and output channels of a chunk: its sums take 36 times their product.
const IN_BLOCK: usize = 128;
const OUT_BLOCK: usize = 64;
/// Tiles transformed at a time: transforms and sums of that many stay in L2.
const TILES: usize = 32;
/// Chunks to reach by cutting tiles into groups, then channels.
const CHUNKS: usize = 16;
/// Least tiles of a group: each group transforms its sums to taps.
const MIN_TILES: usize = 32;

/// Gradient of a convolution for its filters, by the [`form`](super::form) that suits it.
///
/// Inputs: activations, output gradient. Output: HWIO.
pub struct WinogradFilterGrad {
    geometry: ConvGeometry,
    /// Channels of windows: of all parities.
    in_c: usize,
    grid: Grid,
    windows: Windows,
    meetings: Meetings,
    /// Groups of tiles with partial sums of their own, and parts of the channels.
    groups: usize,
    in_parts: usize,
    out_parts: usize,
    tiles: TileSet,
    transforms: FilterGradTransforms,
    touch: Touch,
    combine: Combine,
}

impl WinogradFilterGrad {
    /// The gradient. Panics where there is no [`form`](super::form).
    pub fn new(g: &ConvGeometry, tier: Tier) -> Self {
        let form = super::form(g).unwrap_or_else(|| panic!("no Winograd form suits {g:?}"));
        let tiles = TileSet::for_adjacent_rows(tier, g.out_c);
        let transforms = FilterGradTransforms::new(form, tier);
        let (grid, windows) = sides(form, g, false, tier);
        let in_c = g.stride_h * g.stride_w * g.in_c;
        let (mut in_parts, mut out_parts) = (in_c.div_ceil(IN_BLOCK), g.out_c.div_ceil(OUT_BLOCK));
        let groups = image_groups(grid.len().div_ceil(MIN_TILES), g.filter_len());
        let groups = groups.min(CHUNKS.div_ceil(in_parts * out_parts));
        while groups * in_parts * out_parts < CHUNKS && in_c >= 64 * in_parts {
            in_parts *= 2;
        }
        while groups * in_parts * out_parts < CHUNKS && g.out_c >= 2 * tiles.cols() * out_parts {
            out_parts *= 2;
        }
        let combine = Combine::new(groups, g.kernel_h * g.kernel_w * g.in_c, g.out_c, tier);
        let touch = touch_of(tier);
        WinogradFilterGrad {
            geometry: *g,
            in_c,
            grid,
            windows,
            meetings: Meetings::new(form, g, false),
            groups,
            in_parts,
            out_parts,
            tiles,
            transforms,
            touch,
            combine,
        }
    }

    /// Output channels of a part: whole panels.
    fn out_range(&self, part: usize) -> Range<usize> {
        let (cols, out_c) = (self.tiles.cols(), self.geometry.out_c);
        let panels = split(out_c.div_ceil(cols), self.out_parts, part);
        panels.start * cols..(panels.end * cols).min(out_c)
    }

    fn max_tiles(&self) -> usize {
        self.grid.len().div_ceil(self.groups).min(TILES)
    }

    fn in_channels(&self) -> usize {
        self.in_c.div_ceil(self.in_parts)
    }

    fn window_strides(&self) -> (usize, usize) {
        strides(self.max_tiles(), self.in_channels())
    }

    fn gradient_strides(&self) -> (usize, usize) {
        strides(self.max_tiles(), self.out_range(0).len())
    }

    fn sum_strides(&self) -> (usize, usize) {
        strides(self.in_channels(), self.out_range(0).len())
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, chunk: usize, args: &Args, scratch: *mut f32) {
        let (g, points) = (&self.geometry, self.grid.form.points());
        let (group, part) = (chunk % self.groups, chunk / self.groups);
        let channels = split(self.in_c, self.in_parts, part % self.in_parts);
        let cols = self.out_range(part / self.in_parts);
        let group_tiles = split(self.grid.len(), self.groups, group);
        let ((v_ld, v_plane), (d_ld, d_plane)) = (self.window_strides(), self.gradient_strides());
        let (sum_ld, sum_plane) = self.sum_strides();
        let v = Planes { base: scratch, ld: v_ld, plane: v_plane };
        let d = v.base.wrapping_add(points * v_plane);
        let sums = d.wrapping_add(points * d_plane);
        let zeros = sums.wrapping_add(points * sum_plane);
        let patch = zeros.wrapping_add(self.in_channels().next_multiple_of(16));
        let output = match self.groups {
            1 => args.output,
            _ => args.workspace.wrapping_add(group * g.filter_len()),
        };
        let c_rows: [usize; MAX_ROWS] = std::array::from_fn(|row| row * sum_ld);
        let row_tiles = channels.len().div_ceil(self.tiles.rows);
        let blocks = group_tiles.len().div_ceil(TILES);
        let block = |index: usize| {
            let block = split(group_tiles.len(), blocks, index);
            group_tiles.start + block.start..group_tiles.start + block.end
        };
        let register_tiles = points * row_tiles * cols.len().div_ceil(self.tiles.cols());
        // SAFETY: windows, gradients, sums, zeros and patch lie within scratch, one after another; taps within
        // the output.
        unsafe {
            zeros.write_bytes(0, channels.len());
            // Where taps are absent no products are summed.
            self.meetings.incomplete().for_each(|point| sums.add(point * sum_plane).write_bytes(0, sum_plane));
            for index in 0..blocks {
                let len = block(index).len();
                for run in self.grid.runs(block(index)) {
                    self.windows.transform_run(&run, args.inputs[0], &channels, args.prologue, zeros, patch, &v);
                    for (at, tile) in run.x.clone().enumerate() {
                        let dy = args.inputs[1].add(cols.start).cast_mut();
                        let pixels = self.grid.outputs(&run, tile, [0; 2], dy, g.out_c);
                        let dst = d.add((run.first + at) * d_ld);
                        (self.transforms.output_grad)(pixels.as_ptr(), cols.len(), dst, d_plane);
                    }
                }
                let next = if index + 1 < blocks { block(index + 1) } else { 0..0 };
                let (x, widens) = (args.inputs[0], args.widens());
                let reads = self.windows.reads(self.grid, next.clone(), x, channels.clone());
                let reads = reads.map(move |span| span.stored(x, widens));
                let gradients = self.grid.spans(next, args.inputs[1], g.out_c, cols.clone());
                let mut prefetch = Prefetch::new(reads.chain(gradients), register_tiles, self.touch);
                for point in 0..points {
                    let met = self.meetings.at(point);
                    let met = met.start.saturating_sub(channels.start)..met.end.saturating_sub(channels.start);
                    for col in (0..cols.len()).step_by(self.tiles.cols()) {
                        let vectors = self.tiles.vectors_for(self.tiles.cols().min(cols.len() - col));
                        for t in 0..row_tiles {
                            prefetch.advance();
                            let r = split(channels.len(), row_tiles, t);
                            if r.end <= met.start || met.end <= r.start {
                                continue;
                            }
                            self.tiles.run(&Tile {
                                rows: r.len(),
                                vectors,
                                cols: vectors * self.tiles.lanes,
                                a: scratch.add(point * v_plane + r.start),
                                a_rows: Rows::Adjacent { step: v_ld },
                                segments: ONE_SEGMENT.as_ptr(),
                                segment_count: 1,
                                k: len,
                                b: d.add(point * d_plane + col),
                                b_step: d_ld,
                                c: sums.add(point * sum_plane + r.start * sum_ld + col),
                                c_rows: c_rows.as_ptr(),
                                add_to_c: index > 0,
                                finish: Finish::NONE,
                                next: PrefetchedLines::NONE,
                            });
                        }
                    }
                }
            }
            for part in Parity::parts(g.stride_h, g.in_c, &channels) {
                for (c, channel) in part.channels.clone().enumerate() {
                    let mut taps = [std::ptr::null_mut(); MAX_TAPS];
                    for (at, tap) in self.taps(part.parity) {
                        taps[at] = output.add((tap * g.in_c + channel) * g.out_c + cols.start);
                    }
                    let src = sums.add((part.at + c) * sum_ld);
                    (self.transforms.filter_grad)(src, sum_plane, taps.as_ptr(), cols.len());
                }
            }
            if self.groups == 1 {
                self.finish(chunk, &channels, &cols, args);
            }
        }
    }

    /// Taps of the form, numbered row by row, and those of the filter that they are for pixels of a parity.
    fn taps(&self, parity: [usize; 2]) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (taps, step, kernel) = (self.grid.form.taps(), self.geometry.stride_h, self.geometry.kernel_h);
        (0..taps * taps).filter_map(move |at| {
            let (y, x) = (step * (at / taps) + parity[0], step * (at % taps) + parity[1]);
            (y < kernel && x < kernel).then_some((at, y * kernel + x))
        })
    }

    /// Runs the epilogue on the taps of a chunk.
    ///
    /// # Safety
    /// The taps of these channels have been written to the output.
    unsafe fn finish(&self, chunk: usize, channels: &Range<usize>, cols: &Range<usize>, args: &Args) {
        let g = &self.geometry;
        // SAFETY: each tap has a block of rows of the output.
        unsafe {
            for part in Parity::parts(g.stride_h, g.in_c, channels) {
                for (_, tap) in self.taps(part.parity) {
                    let (row, rows) = (tap * g.in_c + part.channels.start, part.channels.len());
                    let tile = args.output.add(row * g.out_c + cols.start);
                    match args.epilogue {
                        Epilogue::None => {}
                        Epilogue::Finish(finish) => {
                            for at in 0..rows * cols.len() {
                                let (r, col) = (at / cols.len(), cols.start + at % cols.len());
                                let v = args.output.add((row + r) * g.out_c + col);
                                *v = finish.one(*v, col, (row + r) * g.out_c + col);
                            }
                        }
                        Epilogue::Hook(hook) => hook.tile(chunk, tile, g.out_c, row, rows, cols.start, cols.len()),
                    }
                }
            }
        }
    }
}

impl ChunkedKernel for WinogradFilterGrad {
    fn phases(&self) -> usize {
        1 + usize::from(self.groups > 1)
    }

    fn chunks(&self, phase: usize) -> usize {
        match phase {
            0 => self.groups * self.in_parts * self.out_parts,
            _ => self.combine.chunks(),
        }
    }

    fn workspace_len(&self) -> usize {
        if self.groups > 1 { self.groups * self.geometry.filter_len() } else { 0 }
    }

    fn scratch_len(&self) -> usize {
        let planes = self.window_strides().1 + self.gradient_strides().1 + self.sum_strides().1;
        // Windows of all parities are made of whole pixels.
        let channels = if self.windows.step == 1 { self.in_channels() } else { self.windows.in_c };
        let patch = self.windows.patch_len(self.grid.width().min(self.max_tiles()), channels);
        self.grid.form.points() * planes + self.in_channels().next_multiple_of(16) + patch
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            match (phase, args.epilogue) {
                (0, Epilogue::Hook(hook)) if self.groups == 1 => {
                    hook.begin(chunk);
                    self.compute(chunk, args, scratch);
                    hook.end(chunk);
                }
                (0, _) => self.compute(chunk, args, scratch),
                _ => self.combine.run(chunk, args),
            }
        }
    }
}
