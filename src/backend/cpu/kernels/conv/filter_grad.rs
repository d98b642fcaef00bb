//! Gradient for the filters: tiles of (tap, input channel) × output channels, summed over pixels.
//!
//! The batch is cut into a fixed number of groups with partial sums of their own, which a second
//! phase adds in order; input channels are cut besides. A chunk packs blocks of input (with zeros
//! around the image) and of output gradient, so that both stay in cache under all tiles.

use super::ConvGeometry;
use super::axis::Axis;
use super::patch::{Block, Cut};
use crate::backend::cpu::kernels::attach::{Epilogue, Finish};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, split};
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::kernels::prefetch::{Prefetch, Span, Touch, touch_of};
use crate::backend::cpu::kernels::tile::{PrefetchedLines, Rows, Tile, TileSet};
use crate::backend::cpu::simd::{Simd, Tier, dispatch};
use std::ops::Range;

/// Most groups of images.
const MAX_PARTS: usize = 16;
/// f32 of all partial sums together: 16 MiB.
const MAX_PARTIALS: usize = 4 << 20;
/// Output pixels that a block aims at.
const PIXELS: usize = 128;
/// Input channels of a chunk where chunks would be few.
const MIN_CHANNELS: usize = 32;
/// Filter elements of a chunk of the phase that adds partial sums.
const COMBINE: usize = 4096;

/// The number of partial sums over `units` images (or blocks of them), for gradients of `len` elements.
pub(in crate::backend::cpu) fn image_groups(units: usize, len: usize) -> usize {
    units.min(MAX_PARTS).min(MAX_PARTIALS / len.max(1)).max(1)
}

/// Adds partial sums of `len` elements each, in order, and runs the epilogue on rows of `cols`.
#[derive(Clone, Copy)]
pub(in crate::backend::cpu) struct Combine {
    pub parts: usize,
    pub rows: usize,
    pub cols: usize,
    sum: SumFn,
}

/// `(partials, stride between them, parts, output, len)`.
type SumFn = unsafe fn(*const f32, usize, usize, *mut f32, usize);

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one loop under the function's contract")]
unsafe fn sum<S: Simd>(s: S, src: *const f32, stride: usize, parts: usize, dst: *mut f32, len: usize) {
    let mut i = 0;
    while i < len {
        let n = S::LANES.min(len - i);
        let mut v = s.load_first(src.add(i), n);
        for part in 1..parts {
            v = s.add(v, s.load_first(src.add(part * stride + i), n));
        }
        s.store_first(dst.add(i), v, n);
        i += n;
    }
}
dispatch! { fn select_sum[] => unsafe sum(src: *const f32, stride: usize, parts: usize, dst: *mut f32, len: usize); }

impl Combine {
    pub fn new(parts: usize, rows: usize, cols: usize, tier: Tier) -> Self {
        Combine { parts, rows, cols, sum: select_sum(tier) }
    }

    pub fn chunks(&self) -> usize {
        (self.rows * self.cols).div_ceil(COMBINE).min(self.rows)
    }

    /// # Safety
    /// The workspace holds the partial sums, the output rows × cols.
    pub unsafe fn run(&self, chunk: usize, args: &Args) {
        let rows = split(self.rows, self.chunks(), chunk);
        let (first, len) = (rows.start * self.cols, rows.len() * self.cols);
        // SAFETY: the rows lie within output and partial sums.
        unsafe {
            let out = args.output.add(first);
            (self.sum)(args.workspace.add(first), self.rows * self.cols, self.parts, out, len);
            match args.epilogue {
                Epilogue::None => {}
                Epilogue::Finish(finish) => {
                    for at in 0..len {
                        *out.add(at) = finish.one(*out.add(at), at % self.cols, first + at);
                    }
                }
                Epilogue::Hook(hook) => {
                    hook.begin(chunk);
                    hook.tile(chunk, out, self.cols, rows.start, rows.len(), 0, self.cols);
                    hook.end(chunk);
                }
            }
        }
    }
}

/// Gradient of a convolution for its filters. Inputs: activations, output gradient. Output: HWIO.
pub struct FilterGrad {
    geometry: ConvGeometry,
    cut: Cut,
    images_per_block: usize,
    /// Image groups, parts of the input channels of a group, parts of its panels.
    parts: usize,
    channel_parts: usize,
    panel_parts: usize,
    tiles: TileSet,
    copies: Copies,
    touch: Touch,
    combine: Combine,
}

impl FilterGrad {
    /// The gradient for a geometry.
    pub fn new(g: &ConvGeometry, tier: Tier) -> Self {
        let (in_c, out_c) = (g.in_c / g.groups, g.out_c / g.groups);
        let tiles = TileSet::for_adjacent_rows(tier, out_c);
        let rows = g.kernel_h * g.kernel_w * in_c;
        let parts = image_groups(g.batch, g.filter_len());
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        let (y, x) = if g.is_sprawling() { (y.reaching(), x.reaching()) } else { (y, x) };
        // Several chunks per core: cut channels first, because each part packs its own channels only.
        let mut channel_parts = in_c.div_ceil(4 * MIN_CHANNELS);
        while parts * g.groups * channel_parts < 16 && in_c.div_ceil(2 * channel_parts) >= MIN_CHANNELS {
            channel_parts *= 2;
        }
        let panels = out_c.div_ceil(tiles.cols());
        let mut panel_parts = 1;
        while parts * g.groups * channel_parts * panel_parts < 16 && panels.div_ceil(2 * panel_parts) >= 2 {
            panel_parts *= 2;
        }
        let (channels, images) = (in_c.div_ceil(channel_parts), g.batch.div_ceil(parts));
        let cut = Cut::new(images, y, x, channels, 0).with_pixels(PIXELS, images);
        let images_per_block = images.div_ceil(cut.image_parts);
        let combine = Combine::new(parts, rows, g.out_c, tier);
        FilterGrad {
            geometry: *g,
            cut,
            images_per_block,
            parts,
            channel_parts,
            panel_parts,
            tiles,
            copies: Copies::new(tier),
            touch: touch_of(tier),
            combine,
        }
    }

    fn in_c(&self) -> usize {
        self.geometry.in_c / self.geometry.groups
    }

    fn out_c(&self) -> usize {
        self.geometry.out_c / self.geometry.groups
    }

    /// Most (tap, channel) rows of a chunk.
    fn max_rows(&self) -> usize {
        self.geometry.kernel_h * self.geometry.kernel_w * self.in_c().div_ceil(self.channel_parts)
    }

    /// Tiles of the `rows` of a chunk of `channels`. Where channels fill them all but, a tile lies within a tap:
    /// its rows are then adjacent.
    fn tile_count(&self, channels: usize, rows: usize) -> usize {
        let tap = channels.div_ceil(self.tiles.rows);
        if self.within_taps(channels) { tap * (rows / channels) } else { rows.div_ceil(self.tiles.rows) }
    }

    /// The rows of tile `t`.
    fn tile_rows(&self, channels: usize, rows: usize, t: usize) -> Range<usize> {
        if !self.within_taps(channels) {
            return split(rows, rows.div_ceil(self.tiles.rows), t);
        }
        let tiles = channels.div_ceil(self.tiles.rows);
        let (r, first) = (split(channels, tiles, t % tiles), t / tiles * channels);
        first + r.start..first + r.end
    }

    fn within_taps(&self, channels: usize) -> bool {
        4 * channels >= 3 * channels.div_ceil(self.tiles.rows) * self.tiles.rows
    }

    /// Most rows of pixels of a block.
    fn max_segments(&self) -> usize {
        self.cut.max_pixels() / self.geometry.out_w
    }

    /// What a block reads of some channels of the input, and of the gradient.
    fn reads(
        &self,
        block: &Block,
        args: &Args,
        [channels, columns]: [Range<usize>; 2],
    ) -> impl Iterator<Item = Span> + Clone + use<> {
        let (in_c, out_c, [x, dy], widens) = (self.geometry.in_c, self.geometry.out_c, args.inputs, args.widens());
        let (first, count) = self.cut.output_pixels(block);
        let input = self.cut.input_pixels(block).flat_map(move |pixels| Span::pixels(x, in_c, pixels, &channels));
        let input = input.map(move |span| span.stored(x, widens));
        input.chain(Span::pixels(dy, out_c, first..first + count, &columns))
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, chunk: usize, args: &Args, scratch: *mut f32) {
        let g = &self.geometry;
        let (part, rest) = (chunk % self.parts, chunk / self.parts);
        let (channel_part, rest) = (rest % self.channel_parts, rest / self.channel_parts);
        let (panel_part, group) = (rest % self.panel_parts, rest / self.panel_parts);
        let images = split(g.batch, self.parts, part);
        let channels = split(self.in_c(), self.channel_parts, channel_part);
        let panels = split(self.out_c().div_ceil(self.tiles.cols()), self.panel_parts, panel_part);
        let cut = &self.cut;
        let channel0 = group * self.in_c() + channels.start;
        let column = |panel: usize| group * self.out_c() + (panel * self.tiles.cols()).min(self.out_c());
        let columns = column(panels.start)..column(panels.end);
        let dy_packed = scratch.wrapping_add(self.cut.patch_len());
        let lists = dy_packed.wrapping_add(self.cut.max_pixels() * self.tiles.cols()).cast::<usize>();
        let (a_rows, rest) = (lists, lists.wrapping_add(self.max_rows()));
        let (c_rows, segments) = (rest, rest.wrapping_add(self.max_rows()));
        let output = match self.parts {
            1 => args.output,
            _ => args.workspace.wrapping_add(part * g.filter_len()),
        };
        // SAFETY: patch, packed gradient and lists lie within scratch, tiles within the filters.
        unsafe {
            let mut rows = 0;
            for (ky, y) in &cut.y.classes[0].taps {
                for (kx, x) in &cut.x.classes[0].taps {
                    for c in 0..channels.len() {
                        *a_rows.add(rows) = cut.tap_offset(*y, *x) + c;
                        *c_rows.add(rows) = ((ky * g.kernel_w + kx) * self.in_c() + channels.start + c) * g.out_c;
                        rows += 1;
                    }
                }
            }
            if rows < g.kernel_h * g.kernel_w * channels.len() {
                // No pixel meets the other taps.
                for tap in 0..g.kernel_h * g.kernel_w {
                    for c in channels.clone() {
                        let row = output.add((tap * self.in_c() + c) * g.out_c + columns.start);
                        row.write_bytes(0, columns.len());
                    }
                }
            }
            let tiles = self.tile_count(channels.len(), rows);
            let image_blocks = images.len().div_ceil(self.images_per_block);
            let blocks = image_blocks * cut.row_parts;
            // Partial sums are finished where they are added up.
            let finish = if self.parts == 1 { args.epilogue.finish() } else { Finish::NONE };
            let block = |index: usize| {
                let block_images = split(images.len(), image_blocks, index / cut.row_parts);
                Block {
                    images: images.start + block_images.start..images.start + block_images.end,
                    indices: split(g.out_h, cut.row_parts, index % cut.row_parts),
                }
            };
            for index in 0..blocks {
                let (block, next) = (block(index), (index + 1 < blocks).then(|| block(index + 1)));
                let (hook, x) = (args.prologue, args.inputs[0]);
                cut.pack(&self.copies, hook, x, g.in_c, channel0..channel0 + channels.len(), &block, scratch);
                let (pixel, pixels) = cut.output_pixels(&block);
                let mut segment_count = 0;
                for image in 0..block.images.len() {
                    for y in 0..block.indices.len() {
                        *segments.add(segment_count) = cut.pixel_offset(&block, image, y, 0);
                        segment_count += 1;
                    }
                }
                let read = [channel0..channel0 + channels.len(), columns.clone()];
                let upcoming = next.iter().flat_map(|next| self.reads(next, args, read.clone()));
                let mut prefetch = Prefetch::new(upcoming, tiles * panels.len(), self.touch);
                for panel in panels.clone() {
                    let col = panel * self.tiles.cols();
                    let cols = self.tiles.cols().min(self.out_c() - col);
                    let width = self.tiles.vectors_for(cols) * self.tiles.lanes;
                    let k = group * self.out_c() + col;
                    let dy = args.inputs[1].add(pixel * g.out_c + k);
                    self.copies.copy(dy, g.out_c, pixels, cols, dy_packed, width, width);
                    for t in 0..tiles {
                        prefetch.advance();
                        let r = self.tile_rows(channels.len(), rows, t);
                        let offsets = std::slice::from_raw_parts(a_rows.add(r.start), r.len());
                        let (tile_rows, base) = Rows::at(offsets, scratch, cut.x.in_step * cut.pitch);
                        self.tiles.run(&Tile {
                            rows: r.len(),
                            vectors: width / self.tiles.lanes,
                            cols,
                            a: base,
                            a_rows: tile_rows,
                            segments,
                            segment_count,
                            k: g.out_w,
                            b: dy_packed,
                            b_step: width,
                            c: output.add(k),
                            c_rows: c_rows.add(r.start),
                            add_to_c: index > 0,
                            finish: if index + 1 == blocks { finish.from(k, k) } else { Finish::NONE },
                            next: PrefetchedLines::NONE,
                        });
                    }
                }
            }
            if let (1, Epilogue::Hook(hook)) = (self.parts, args.epilogue) {
                hook.begin(chunk);
                let col = group * self.out_c() + panels.start * self.tiles.cols();
                let cols = (panels.end * self.tiles.cols()).min(self.out_c()) - panels.start * self.tiles.cols();
                for tap in 0..g.kernel_h * g.kernel_w {
                    let row = tap * self.in_c() + channels.start;
                    let tile = output.add(row * g.out_c + col);
                    hook.tile(chunk, tile, g.out_c, row, channels.len(), col, cols);
                }
                hook.end(chunk);
            }
        }
    }
}

impl ChunkedKernel for FilterGrad {
    fn phases(&self) -> usize {
        1 + usize::from(self.parts > 1)
    }

    fn chunks(&self, phase: usize) -> usize {
        match phase {
            0 => self.parts * self.channel_parts * self.panel_parts * self.geometry.groups,
            _ => self.combine.chunks(),
        }
    }

    fn workspace_len(&self) -> usize {
        if self.parts > 1 { self.parts * self.geometry.filter_len() } else { 0 }
    }

    fn scratch_len(&self) -> usize {
        let words = 2 * self.max_rows() + self.max_segments();
        let packed = self.cut.max_pixels() * self.tiles.cols();
        self.cut.patch_len() + packed + words * size_of::<usize>() / size_of::<f32>()
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            match phase {
                0 => self.compute(chunk, args, scratch),
                _ => self.combine.run(chunk, args),
            }
        }
    }
}
