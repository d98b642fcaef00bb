//! The direct kernel: forward, and input gradient, over a list of taps.
//!
//! A chunk is a block of images or of output rows, times some panels of output channels. It packs
//! the input it needs once, then keeps tiles of pixels × channels in registers while it walks
//! the taps. Taps that are neighbours in a row are one contiguous run of the patch, so that a
//! filter row with few input channels is still one loop.

use super::ConvGeometry;
use super::axis::Axis;
use super::patch::{Block, Cut};
use crate::backend::cpu::kernels::attach::{Epilogue, Finish};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, is_uneven, ranges, split};
use crate::backend::cpu::kernels::gemm::{self, pack::Copies};
use crate::backend::cpu::kernels::tile::{PrefetchSchedule, Rows, Tile, TileSet};
use crate::backend::cpu::simd::Tier;
use crate::schedule::PackedLayout;

/// Floating-point operations below which panels of a block are not given to several chunks.
const MIN_CHUNK_FLOPS: f64 = 2e6;
/// The same for halves of a pass, which spare one of two threads from waiting for the other.
const MIN_HALF_FLOPS: f64 = 5e5;

/// Pixels of a chunk up to which filters are taken in blocks that all of them meet, so that each block comes from
/// memory once, and filter elements of such a block.
const FEW_PIXELS: usize = 84;
const NEAR_FILTERS: usize = 16 << 10;

/// The taps of one pair of row and column classes.
struct TapClass {
    y: usize,
    x: usize,
    /// Index of each tap in the filters, in the order of the packed panels.
    filters: Vec<usize>,
    /// Patch offset of each run of taps.
    segments: Vec<usize>,
    /// Elements of a run.
    run: usize,
    /// Taps of the classes before this one.
    taps_before: usize,
    /// Whether blocks have few pixels of the class, and so sum products in blocks of filters; `None` where some do and
    /// some do not. It is decided before a finer cut, which must not change the order of a sum.
    few_pixels: Option<bool>,
}

/// A convolution or its input gradient. Inputs: activations (or output gradient), filters HWIO.
pub struct Direct {
    cut: Cut,
    classes: Vec<TapClass>,
    groups: usize,
    /// Channels summed over, and channels produced, per group.
    in_c: usize,
    out_c: usize,
    taps: usize,
    /// Whether filters are transposed while they are packed.
    gradient: bool,
    /// Whether windows are single pixels inside the image, so that only a prologue needs a patch.
    single_pixels: bool,
    panel_parts: usize,
    flops: f64,
    tiles: TileSet,
    copies: Copies,
}

impl Direct {
    /// The convolution.
    pub fn forward(g: &ConvGeometry, tier: Tier) -> Self {
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::new(g, y, x, g.in_c / g.groups, g.out_c / g.groups, false, tier)
    }

    /// Its gradient for the input: the same kernel on rotated filters, once per residue of the stride.
    pub fn input_grad(g: &ConvGeometry, tier: Tier) -> Self {
        let y = Axis::input_grad(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::input_grad(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::new(g, y, x, g.out_c / g.groups, g.in_c / g.groups, true, tier)
    }

    fn new(g: &ConvGeometry, y: Axis, x: Axis, in_c: usize, out_c: usize, gradient: bool, tier: Tier) -> Self {
        let (y, x) = if g.is_sprawling() { (y.reaching(), x.reaching()) } else { (y, x) };
        let tiles = TileSet::for_columns(tier, out_c);
        let taps = g.kernel_h * g.kernel_w;
        let cut = Cut::new(g.batch, y, x, in_c, taps * in_c * out_c);
        let (groups, copies) = (g.groups, Copies::new(tier));
        let inside = |axis: &Axis| axis.lo == 0 && (axis.outputs - 1) * axis.in_step < axis.inputs;
        let single_pixels = !gradient && taps == 1 && inside(&cut.y) && inside(&cut.x);
        let (flops, panel_parts) = (g.flops(), 1);
        let mut direct = Direct {
            cut,
            classes: Vec::new(),
            groups,
            in_c,
            out_c,
            taps,
            flops,
            gradient,
            single_pixels,
            panel_parts,
            tiles,
            copies,
        };
        direct.cut_panels(16, MIN_CHUNK_FLOPS);
        if is_uneven(direct.computing_chunks()) && direct.flops > 2.0 * MIN_HALF_FLOPS {
            direct.cut.add_part();
        }
        direct.classes = direct.tap_classes(g);
        direct
    }

    /// The taps of each pair of classes, and what the cut says of their pixels.
    fn tap_classes(&self, g: &ConvGeometry) -> Vec<TapClass> {
        let (cut, in_c) = (&self.cut, self.in_c);
        let mut classes = Vec::new();
        let mut taps_before = 0;
        for (yi, y) in cut.y.classes.iter().enumerate() {
            for (xi, x) in cut.x.classes.iter().enumerate() {
                let filters: Vec<usize> =
                    y.taps.iter().flat_map(|ky| x.taps.iter().map(|kx| ky.0 * g.kernel_w + kx.0)).collect();
                let contiguous = cut.pitch == in_c && x.taps.windows(2).all(|w| w[1].1 == w[0].1 + 1);
                let per_run = if contiguous { x.taps.len().max(1) } else { 1 };
                let segments = y.taps.iter().flat_map(|ky| {
                    x.taps.iter().step_by(per_run).map(|kx| cut.tap_offset(ky.1, kx.1)).collect::<Vec<_>>()
                });
                let segments = segments.collect();
                let run = per_run * in_c;
                let count = filters.len();
                // Blocks without a row of the class decide nothing.
                let images = [0, cut.image_parts - 1].map(|part| split(g.batch, cut.image_parts, part).len());
                let counts = (0..cut.row_parts).flat_map(|part| {
                    let rows = cut.block(part).indices;
                    let rows = rows.end.min(y.count).saturating_sub(rows.start);
                    images.map(|images| images * rows * x.count)
                });
                let mut few = counts.filter(|&count| count > 0).map(|count| count <= FEW_PIXELS);
                let first = few.next();
                let few_pixels = first.filter(|&first| few.all(|few| few == first));
                classes.push(TapClass { y: yi, x: xi, filters, segments, run, taps_before, few_pixels });
                taps_before += count;
            }
        }
        classes
    }

    /// Gives panels of a block to several chunks while these are fewer than `enough` and larger than `least` operations.
    fn cut_panels(&mut self, enough: usize, least: f64) {
        while self.computing_chunks() < enough && self.panel_parts < self.panels() && self.is_coarser_than(least) {
            self.panel_parts = (2 * self.panel_parts).min(self.panels());
        }
    }

    fn computing_chunks(&self) -> usize {
        self.cut.blocks() * self.groups * self.panel_parts
    }

    /// Whether halves of chunks have more than `least` operations.
    fn is_coarser_than(&self, least: f64) -> bool {
        self.flops / self.computing_chunks() as f64 > 2.0 * least
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

    /// Packed filters of one group.
    fn group_filters_len(&self) -> usize {
        let (col, _, width) = self.panel(self.panels() - 1);
        (col + width) * self.taps * self.in_c
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn pack_filters(&self, chunk: usize, args: &Args) {
        let (group, panel) = (chunk / self.panels(), chunk % self.panels());
        let (col, cols, width) = self.panel(panel);
        let depth = self.taps * self.in_c;
        // Filters are [tap][input channel of the group][output channel].
        let (c, k) = if self.gradient { (self.out_c, self.in_c) } else { (self.in_c, self.out_c) };
        let ld = k * self.groups;
        // SAFETY: panels before this one are whole; every tap is copied from its place in the filters.
        unsafe {
            let mut dst = args.packed.add(group * self.group_filters_len() + col * depth);
            for class in &self.classes {
                for tap in &class.filters {
                    let src = args.inputs[1].add(tap * c * ld + group * k);
                    if self.gradient {
                        self.copies.transpose(src.add(col * ld), ld, cols, self.in_c, dst, width, width);
                    } else {
                        self.copies.copy(src.add(col), ld, self.in_c, cols, dst, width, width);
                    }
                    dst = dst.add(self.in_c * width);
                }
            }
        }
    }

    /// Writes the patch and output offsets of the pixels of every class, and returns how many each has.
    ///
    /// # Safety
    /// `a` and `c` hold as many elements as the block has output pixels.
    unsafe fn offsets(&self, block: &Block, in_place: bool, a: *mut usize, c: *mut usize, ld: usize) {
        let rows = self.cut.output_rows(block);
        let mut at = 0;
        for class in &self.classes {
            let (y, x) = (&self.cut.y.classes[class.y], &self.cut.x.classes[class.x]);
            for image in 0..block.images.len() {
                for i in block.indices.start..block.indices.end.min(y.count) {
                    let row = image * rows.len() + y.start + i * y.step - rows.start;
                    // Pixels of a row lie at equal distances on both sides.
                    let (from, pitch) = match in_place {
                        true => (self.input_offset(block.images.start + image, i), self.in_c * self.groups),
                        false => (self.cut.pixel_offset(block, image, i - block.indices.start, 0), self.cut.pitch),
                    };
                    let (from_step, to) = (pitch * self.cut.x.in_step, (row * self.cut.x.outputs + x.start) * ld);
                    for j in 0..x.count {
                        // SAFETY: every output pixel belongs to exactly one class.
                        unsafe {
                            *a.add(at + j) = from + j * from_step;
                            *c.add(at + j) = to + j * x.step * ld;
                        }
                    }
                    at += x.count;
                }
            }
        }
    }

    /// Offset in the input of the single pixel that the first output of a row of an image reads.
    fn input_offset(&self, image: usize, row: usize) -> usize {
        let (y, x) = (&self.cut.y, &self.cut.x);
        (image * y.inputs + row * y.in_step) * x.inputs * self.in_c * self.groups
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, chunk: usize, args: &Args, scratch: *mut f32) {
        let (part, rest) = (chunk % self.panel_parts, chunk / self.panel_parts);
        let (group, block) = (rest % self.groups, self.cut.block(rest / self.groups));
        let (in_ld, out_ld) = (self.in_c * self.groups, self.out_c * self.groups);
        let (pixel, pixels) = self.cut.output_pixels(&block);
        let a_rows = scratch.wrapping_add(self.cut.patch_len()).cast::<usize>();
        let c_rows = a_rows.wrapping_add(self.cut.max_pixels());
        // SAFETY: patch and offsets lie within scratch; tiles lie within output and packed filters.
        unsafe {
            let (copies, hook) = (&self.copies, args.prologue);
            let channels = group * self.in_c..(group + 1) * self.in_c;
            let in_place = self.single_pixels && hook.is_none();
            let source = match in_place {
                true => args.inputs[0].add(channels.start),
                false => {
                    self.cut.pack(copies, hook, args.inputs[0], in_ld, channels, &block, scratch);
                    scratch.cast_const()
                }
            };
            self.offsets(&block, in_place, a_rows, c_rows, out_ld);
            for panel in split(self.panels(), self.panel_parts, part) {
                let (col, cols, width) = self.panel(panel);
                let channel = group * self.out_c + col;
                let filters = args.packed.add(group * self.group_filters_len() + col * self.taps * self.in_c);
                let output = args.output.add(pixel * out_ld + channel);
                let finish = args.epilogue.finish().from(channel, pixel * out_ld + channel);
                let mut first = 0;
                for class in &self.classes {
                    let (y, x) = (&self.cut.y.classes[class.y], &self.cut.x.classes[class.x]);
                    let rows = block.indices.end.min(y.count).saturating_sub(block.indices.start);
                    let count = block.images.len() * rows * x.count;
                    let tiles = count.div_ceil(self.tiles.rows);
                    let per_block = match class.few_pixels.unwrap_or(count <= FEW_PIXELS) {
                        false => class.segments.len(),
                        true => NEAR_FILTERS / (class.run * width),
                    };
                    let segment_blocks = class.segments.len().div_ceil(per_block.max(1)).max(1);
                    for block in 0..segment_blocks {
                        let segments = split(class.segments.len(), segment_blocks, block);
                        let last = block + 1 == segment_blocks;
                        let b = filters.add((class.taps_before * self.in_c + segments.start * class.run) * width);
                        let products = segments.len() * class.run;
                        let turns =
                            PrefetchSchedule::new(b.wrapping_add(products * width), products * width, products, tiles);
                        for (t, r) in ranges(count, tiles).enumerate() {
                            let offsets = std::slice::from_raw_parts(a_rows.add(first + r.start), r.len());
                            let (rows, base) = Rows::at(offsets, source, 1);
                            self.tiles.run(&Tile {
                                rows: r.len(),
                                vectors: width / self.tiles.lanes,
                                cols,
                                a: base,
                                a_rows: rows,
                                segments: class.segments.as_ptr().add(segments.start),
                                segment_count: segments.len(),
                                k: class.run,
                                b,
                                b_step: width,
                                c: output,
                                c_rows: c_rows.add(first + r.start),
                                add_to_c: block > 0,
                                finish: if last { finish } else { Finish::NONE },
                                next: turns.of(t),
                            });
                        }
                    }
                    first += count;
                }
                if let Epilogue::Hook(hook) = args.epilogue {
                    hook.tile(chunk, output, out_ld, pixel, pixels, channel, cols);
                }
            }
        }
    }
}

impl ChunkedKernel for Direct {
    fn recut(&mut self, threads: usize) {
        self.cut_panels(2 * threads, MIN_CHUNK_FLOPS / 4.0);
        // Rows last: chunks of each read all filters of their panels. Where blocks sum their products in different
        // orders, the cut of the rows shows.
        let alike = self.classes.iter().all(|class| class.few_pixels.is_some());
        while alike && self.computing_chunks() < threads && self.is_coarser_than(MIN_CHUNK_FLOPS / 2.0) {
            if !self.cut.halve_rows() {
                break;
            }
        }
    }

    fn phases(&self) -> usize {
        2
    }

    fn chunks(&self, phase: usize) -> usize {
        match phase {
            0 => self.groups * self.panels(),
            _ => self.cut.blocks() * self.groups * self.panel_parts,
        }
    }

    fn packed_len(&self) -> usize {
        self.groups * self.group_filters_len()
    }

    fn packed_layout(&self) -> PackedLayout {
        let taps = self.classes.iter().flat_map(|class| class.filters.iter().copied());
        if self.groups == 1 && !self.gradient && taps.clone().eq(0..self.taps) {
            return gemm::panels(&self.tiles, self.taps * self.in_c, self.out_c, false, self.out_c);
        }
        let gradient = usize::from(self.gradient);
        let numbers = [self.tiles.cols(), self.tiles.lanes, self.groups, self.in_c, self.out_c, self.taps, gradient];
        PackedLayout::new("panels of taps", numbers.into_iter().chain(taps))
    }

    fn scratch_len(&self) -> usize {
        let words = 2 * self.cut.max_pixels();
        self.cut.patch_len() + words * size_of::<usize>() / size_of::<f32>()
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            if phase == 0 {
                return self.pack_filters(chunk, args);
            }
            if let Epilogue::Hook(hook) = args.epilogue {
                hook.begin(chunk);
                self.compute(chunk, args, scratch);
                hook.end(chunk);
            } else {
                self.compute(chunk, args, scratch);
            }
        }
    }
}
