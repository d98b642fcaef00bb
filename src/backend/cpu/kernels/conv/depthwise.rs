//! Depthwise convolutions: a vector is as many channels of one pixel, taps are walked in registers.
//!
//! With a channel multiplier the input is packed with each channel repeated, so that one kernel
//! over output channels serves all cases; the input gradient then adds the copies.
//!
//! Where channels leave lanes empty (one of a grey image, three of a coloured one), neighbouring pixels count as one with
//! as many times the channels, and filters are repeated for them: a tap is as far from each of these pixels.

use super::ConvGeometry;
use super::axis::Axis;
use super::depthwise_in_place::{self, InPlace};
use super::patch::{Block, Cut};
use crate::backend::cpu::kernels::attach::{Epilogue, Finish, PackHook};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, split};
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};
use std::ops::Range;

/// Pixels of a tile.
const TILE: usize = 8;
/// Output pixels of a block: input rows that two blocks share are packed twice.
pub(super) const PIXELS: usize = 448;
/// Outputs of a block, at least: filters are repeated once a block.
const OUTPUTS: usize = 16 << 10;
/// Filters of a single channel.
const FEW: usize = 4;
/// Blocks that batches are cut into, at least, before a block holds several images.
const BLOCKS: usize = 16;

/// One tile of pixels: `c[pixel][..] = Σ_tap a[pixel + tap][..] * w[tap][..]`.
struct PixelTile {
    a: *const f32,
    a_rows: *const usize,
    a_taps: *const usize,
    w: *const f32,
    w_taps: *const usize,
    taps: usize,
    channels: usize,
    c: *mut f32,
    c_rows: *const usize,
    /// The residual's rows lie as those of C do.
    finish: Finish,
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn pixel_tile<S: Simd, const P: usize>(s: S, t: &PixelTile) {
    let mut at = 0;
    while at < t.channels {
        let n = S::LANES.min(t.channels - at);
        for p in 0..P {
            // The stores of the next vector of channels.
            s.prefetch(t.c.wrapping_add(*t.c_rows.add(p) + at + S::LANES));
        }
        let mut acc = [s.zero(); P];
        if !t.finish.bias.is_null() {
            acc = [s.load_first(t.finish.bias.add(at), n); P];
        }
        for tap in 0..t.taps {
            let w = s.load_first(t.w.add(*t.w_taps.add(tap) + at), n);
            let a = t.a.add(*t.a_taps.add(tap) + at);
            for (p, sum) in acc.iter_mut().enumerate() {
                // Patches are padded to whole vectors.
                *sum = s.mul_add(s.load(a.add(*t.a_rows.add(p))), w, *sum);
            }
        }
        for (p, sum) in acc.iter().enumerate() {
            let mut v = *sum;
            if !t.finish.residual.is_null() {
                v = s.add(v, s.load_first(t.finish.residual.add(*t.c_rows.add(p) + at), n));
            }
            if t.finish.clamps() {
                v = t.finish.clamp(s, v);
            }
            s.store_first(t.c.add(*t.c_rows.add(p) + at), v, n);
        }
        at += n;
    }
}
dispatch! { fn select_tile[const P: usize] => unsafe pixel_tile(t: &PixelTile); }

/// `dst[p][c * times + j] = src[p][c]`.
///
/// # Safety
/// Both are accessible and do not overlap.
unsafe fn repeat(
    src: *const f32,
    src_ld: usize,
    pixels: usize,
    channels: usize,
    times: usize,
    dst: *mut f32,
    dst_ld: usize,
) {
    for p in 0..pixels {
        for c in 0..channels {
            for j in 0..times {
                // SAFETY: the caller's contract.
                unsafe { *dst.add(p * dst_ld + c * times + j) = *src.add(p * src_ld + c) };
            }
        }
    }
}

/// Repeats channels while packing, after the prologue.
pub(super) struct Repeat<'a> {
    pub inner: Option<&'a dyn PackHook>,
    /// The whole input, if there is no inner hook.
    pub input: *const f32,
    pub times: usize,
    /// Room for the channels of one pixel.
    pub pixel: *mut f32,
}
// SAFETY: used by the one chunk whose scratch `pixel` points to; the input is only read.
unsafe impl Sync for Repeat<'_> {}

impl PackHook for Repeat<'_> {
    unsafe fn pack(
        &self,
        src_ld: usize,
        dst: *mut f32,
        dst_ld: usize,
        row0: usize,
        pixels: usize,
        _col0: usize,
        cols: usize,
    ) {
        let channels = cols / self.times;
        // SAFETY: the caller's contract; `pixel` holds all channels.
        unsafe {
            match self.inner {
                None => repeat(self.input.add(row0 * src_ld), src_ld, pixels, channels, self.times, dst, dst_ld),
                Some(hook) => {
                    for p in 0..pixels {
                        hook.pack(src_ld, self.pixel, channels, row0 + p, 1, 0, channels);
                        repeat(self.pixel, channels, 1, channels, self.times, dst.add(p * dst_ld), dst_ld);
                    }
                }
            }
        }
    }
}

/// The taps of one pair of row and column classes: filter offset and patch offset of each.
pub(super) struct TapClass {
    y: usize,
    x: usize,
    filters: Vec<usize>,
    pub patch: Vec<usize>,
}

pub(super) fn tap_classes(cut: &Cut, kernel_w: usize, channels: usize) -> Vec<TapClass> {
    let mut classes = Vec::new();
    for (yi, y) in cut.y.classes.iter().enumerate() {
        for (xi, x) in cut.x.classes.iter().enumerate() {
            let taps = || y.taps.iter().flat_map(|ky| x.taps.iter().map(move |kx| (ky, kx)));
            classes.push(TapClass {
                y: yi,
                x: xi,
                filters: taps().map(|(ky, kx)| (ky.0 * kernel_w + kx.0) * channels).collect(),
                patch: taps().map(|(ky, kx)| cut.tap_offset(ky.1, kx.1)).collect(),
            });
        }
    }
    classes
}

/// Vectors of `lanes` that hold a row of `width` pixels of `channels` channels, `together` of which count as one.
fn vectors(width: usize, channels: usize, together: usize, lanes: usize) -> usize {
    let rest = (width % together * channels).div_ceil(lanes);
    width / together * (together * channels).div_ceil(lanes) + rest
}

/// A depthwise convolution or its input gradient. Inputs: activations (or output gradient), filters.
pub struct Depthwise {
    cut: Cut,
    classes: Vec<TapClass>,
    /// Output channels of the convolution, and copies of each input channel among them.
    channels: usize,
    times: usize,
    /// Neighbouring pixels that count as one.
    together: usize,
    /// Parts that channels are cut into where single images leave few chunks.
    parts: usize,
    /// Elements of a filter.
    elements: usize,
    gradient: bool,
    copies: Copies,
    tiles: [unsafe fn(&PixelTile); TILE],
    /// For inputs without a prologue, where they need no copy.
    in_place: Option<InPlace>,
}

/// Chunks that channels are shared out for, where images leave fewer.
const CHUNKS: usize = 4;
/// Multiply-adds of such a chunk, at least.
const MIN_PRODUCTS: usize = 1 << 15;
/// Channels that parts have a multiple of: vectors of any tier are full.
const PART: usize = 16;

/// f32 that vectors may read past the last channel.
pub(super) const SLACK: usize = 16;

fn tiles(tier: Tier) -> [unsafe fn(&PixelTile); TILE] {
    [
        select_tile::<1>(tier),
        select_tile::<2>(tier),
        select_tile::<3>(tier),
        select_tile::<4>(tier),
        select_tile::<5>(tier),
        select_tile::<6>(tier),
        select_tile::<7>(tier),
        select_tile::<8>(tier),
    ]
}

/// `dst[i] = src[i % len]` for `i < times * len`.
///
/// # Safety
/// Both are accessible and do not overlap.
unsafe fn cycle(src: *const f32, len: usize, times: usize, dst: *mut f32) {
    for i in 0..times {
        // SAFETY: the caller's contract.
        unsafe { dst.add(i * len).copy_from_nonoverlapping(src, len) };
    }
}

/// Pixels of a class in a block, in its rows of all images.
struct Pixels<'a> {
    block: &'a Block,
    class: &'a TapClass,
    /// The index of the first in a row, and how many there are, `together` of which count as one.
    first: usize,
    count: usize,
    together: usize,
    channels: &'a Range<usize>,
}

impl Depthwise {
    /// The convolution.
    pub fn forward(g: &ConvGeometry, tier: Tier) -> Self {
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::new(g, y, x, false, tier)
    }

    /// Its gradient for the input.
    pub fn input_grad(g: &ConvGeometry, tier: Tier) -> Self {
        let y = Axis::input_grad(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::input_grad(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::new(g, y, x, true, tier)
    }

    /// Whether each input channel has filters of its own, a few where there is one channel: more fill vectors by themselves.
    pub fn supports(g: &ConvGeometry) -> bool {
        g.is_depthwise() || (g.in_c == 1 && g.out_c <= FEW)
    }

    /// Pixels that count as one: as many as leave the fewest lanes empty, where neighbours' windows are neighbours.
    fn together(g: &ConvGeometry, gradient: bool, tier: Tier) -> usize {
        if g.stride_w > 1 || (gradient && g.out_c > g.in_c) {
            return 1;
        }
        let width = if gradient { g.in_w } else { g.out_w };
        let least = |&together: &usize| (vectors(width, g.out_c, together, tier.lanes()), together);
        (1..=tier.lanes().min(width)).min_by_key(least).unwrap_or(1)
    }

    /// The part of the vectors' lanes that hold channels.
    pub fn filled(g: &ConvGeometry, gradient: bool, tier: Tier) -> f64 {
        let (width, together) = (if gradient { g.in_w } else { g.out_w }, Self::together(g, gradient, tier));
        (width * g.out_c) as f64 / (tier.lanes() * vectors(width, g.out_c, together, tier.lanes())) as f64
    }

    fn new(g: &ConvGeometry, y: Axis, x: Axis, gradient: bool, tier: Tier) -> Self {
        let pixels = PIXELS.max(OUTPUTS / g.out_c);
        let images = if pixels > PIXELS { (g.batch / BLOCKS).max(1) } else { 1 };
        let cut = |part: usize| Cut::new(g.batch, y.clone(), x.clone(), part, 0).with_pixels(pixels, images);
        let together = Self::together(g, gradient, tier);
        let mut parts = 1;
        if together == 1 && g.out_c == g.in_c {
            let blocks = cut(g.out_c).blocks();
            let products = g.batch * g.out_h * g.out_w * g.out_c * g.kernel_h * g.kernel_w;
            let most = g.out_c.div_ceil(PART);
            parts = (CHUNKS / blocks).min(products / (blocks * MIN_PRODUCTS)).clamp(1, most.max(1));
        }
        let cut = cut(Self::part(g.out_c, parts, 0).len());
        Depthwise {
            parts,
            classes: tap_classes(&cut, g.kernel_w, together * g.out_c),
            cut,
            channels: g.out_c,
            times: g.out_c / g.in_c,
            together,
            elements: g.kernel_h * g.kernel_w,
            gradient,
            copies: Copies::new(tier),
            tiles: tiles(tier),
            in_place: if together == 1 { InPlace::new(g, &y, &x, tier) } else { None },
        }
    }

    /// The channels of a part; the first has as many as any.
    fn part(channels: usize, parts: usize, index: usize) -> Range<usize> {
        let vectors = split(channels.div_ceil(PART), parts, index);
        vectors.start * PART..(vectors.end * PART).min(channels)
    }

    /// Channels of the output of this pass.
    fn out_channels(&self) -> usize {
        if self.gradient { self.channels / self.times } else { self.channels }
    }

    /// Whether results are added up over copies of a channel.
    fn folds(&self) -> bool {
        self.gradient && self.times > 1
    }

    /// f32 of the filters and a bias, repeated for pixels that count as one.
    fn repeated_len(&self) -> usize {
        if self.together == 1 { 0 } else { (self.elements + 1) * self.together * self.channels + SLACK }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, chunk: usize, args: &Args, scratch: *mut f32) {
        let block = self.cut.block(chunk / self.parts);
        let channels = Self::part(self.channels, self.parts, chunk % self.parts);
        let first = channels.start;
        let (pixel, pixels) = self.cut.output_pixels(&block);
        let out_ld = self.out_channels();
        let row_buffer = scratch.wrapping_add(self.cut.patch_len() + SLACK);
        let repeat = Repeat { inner: args.prologue, input: args.inputs[0], times: self.times, pixel: row_buffer };
        let (hook, in_ld) = match (self.times, self.gradient) {
            (1, _) | (_, true) => (args.prologue, self.channels),
            _ => (Some(&repeat as &dyn PackHook), self.channels / self.times),
        };
        let mut finish = match self.folds() {
            true => Finish::NONE,
            false => args.epilogue.finish().from(first, pixel * out_ld + first),
        };
        let mut filters = args.inputs[1].wrapping_add(first);
        if let (Some(in_place), None) = (&self.in_place, args.prologue) {
            // SAFETY: the caller's contract; the zeros lie where there would be a patch.
            unsafe {
                in_place.run(&depthwise_in_place::Pixels {
                    first: pixel,
                    count: pixels,
                    input: args.inputs[0].wrapping_add(first),
                    filters,
                    filter_taps: self.classes[0].filters.as_ptr(),
                    output: args.output.wrapping_add(pixel * out_ld + first),
                    channels: channels.len(),
                    finish,
                    zeros: scratch,
                });
                self.hooked(chunk, args, pixel, pixels, channels);
            }
            return;
        }
        // SAFETY: patch, row buffer and repeated filters lie within scratch, tiles within the output.
        unsafe {
            self.cut.pack(&self.copies, hook, args.inputs[0], in_ld, channels.clone(), &block, scratch);
            if self.together > 1 {
                let repeated = row_buffer.add(TILE * self.channels);
                let wide = self.together * self.channels;
                for tap in 0..self.elements {
                    cycle(filters.add(tap * self.channels), self.channels, self.together, repeated.add(tap * wide));
                }
                filters = repeated;
                if !finish.bias.is_null() {
                    let bias = repeated.add(self.elements * wide);
                    cycle(finish.bias, self.channels, self.together, bias);
                    finish.bias = bias;
                }
            }
            for class in &self.classes {
                let x = &self.cut.x.classes[class.x];
                let rest = x.count % self.together;
                for (first, count, together) in [(0, x.count - rest, self.together), (x.count - rest, rest, rest)] {
                    if count > 0 {
                        let pixels = Pixels { block: &block, class, first, count, together, channels: &channels };
                        self.pixels(&pixels, args, filters, finish, scratch);
                    }
                }
            }
            self.hooked(chunk, args, pixel, pixels, channels);
        }
    }

    /// Tells the epilogue's hook of the chunk's outputs.
    ///
    /// # Safety
    /// As [`ChunkedKernel::run_chunk`]; the outputs are computed.
    unsafe fn hooked(&self, chunk: usize, args: &Args, pixel: usize, pixels: usize, channels: Range<usize>) {
        if let Epilogue::Hook(hook) = args.epilogue {
            let out_ld = self.out_channels();
            let columns = if self.parts > 1 { channels } else { 0..out_ld };
            // SAFETY: the caller's contract.
            unsafe {
                let tile = args.output.add(pixel * out_ld + columns.start);
                hook.tile(chunk, tile, out_ld, pixel, pixels, columns.start, columns.len());
            }
        }
    }

    /// Computes pixels, in tiles that may begin in one row and end in another.
    ///
    /// # Safety
    /// As [`ChunkedKernel::run_chunk`]; the patch is packed.
    unsafe fn pixels(&self, pixels: &Pixels, args: &Args, filters: *const f32, finish: Finish, scratch: *mut f32) {
        let &Pixels { block, class, first, count, together, channels } = pixels;
        let (x, y) = (&self.cut.x.classes[class.x], &self.cut.y.classes[class.y]);
        let (out_ld, rows) = (self.out_channels(), self.cut.output_rows(block));
        let row_buffer = scratch.wrapping_add(self.cut.patch_len() + SLACK);
        let pixel = self.cut.output_pixels(block).0;
        let output = args.output.wrapping_add(pixel * out_ld + channels.start);
        let indices = block.indices.end.min(y.count).saturating_sub(block.indices.start);
        let in_row = count / together;
        // The first pixel of a row in the patch and in the output, and from one to the next.
        let place = |image: usize, i: usize| {
            let row = image * rows.len() + y.start + (block.indices.start + i) * y.step - rows.start;
            let to = (row * self.cut.x.outputs + x.start + first * x.step) * out_ld;
            [self.cut.pixel_offset(block, image, i, first), to]
        };
        let steps = [self.cut.pixel_offset(block, 0, 0, together), together * x.step * out_ld];
        let total = block.images.len() * indices * in_row;
        let tiles = total.div_ceil(TILE);
        let (mut image, mut i, mut j, mut row) = (0, 0, 0, place(0, 0));
        for t in 0..tiles {
            let count = split(total, tiles, t).len();
            let (mut a_rows, mut c_rows, mut to) = ([0; TILE], [0; TILE], [0; TILE]);
            for p in 0..count {
                (a_rows[p], to[p]) = (row[0] + j * steps[0], row[1] + j * steps[1]);
                c_rows[p] = if self.folds() { p * self.channels } else { to[p] };
                j += 1;
                if j == in_row {
                    (image, i, j) = if i + 1 == indices { (image + 1, 0, 0) } else { (image, i + 1, 0) };
                    row = place(image, i);
                }
            }
            // SAFETY: the pixels lie within patch and output.
            unsafe {
                self.tiles[count - 1](&PixelTile {
                    a: scratch,
                    a_rows: a_rows.as_ptr(),
                    a_taps: class.patch.as_ptr(),
                    w: filters,
                    w_taps: class.filters.as_ptr(),
                    taps: class.patch.len(),
                    channels: together * channels.len(),
                    c: if self.folds() { row_buffer } else { output },
                    c_rows: c_rows.as_ptr(),
                    finish,
                });
                if self.folds() {
                    for (p, &to) in to[..count].iter().enumerate() {
                        let finish = args.epilogue.finish().from(0, pixel * out_ld + to);
                        self.fold(row_buffer.add(p * self.channels), output.add(to), &finish);
                    }
                }
            }
        }
    }

    /// Adds the copies of each channel of one pixel.
    ///
    /// # Safety
    /// `from` holds all copies, `to` and the residual one value per channel.
    unsafe fn fold(&self, from: *const f32, to: *mut f32, finish: &Finish) {
        for c in 0..self.out_channels() {
            // SAFETY: the caller's contract.
            unsafe {
                let mut sum = 0.0;
                for j in 0..self.times {
                    sum += *from.add(c * self.times + j);
                }
                *to.add(c) = finish.one(sum, c, c);
            }
        }
    }
}

impl ChunkedKernel for Depthwise {
    fn phases(&self) -> usize {
        1
    }

    fn chunks(&self, _phase: usize) -> usize {
        self.cut.blocks() * self.parts
    }

    fn scratch_len(&self) -> usize {
        self.cut.patch_len() + SLACK + TILE * self.channels + self.repeated_len()
    }

    unsafe fn run_chunk(&self, _phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
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
