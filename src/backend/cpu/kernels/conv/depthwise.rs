//! Depthwise convolutions: a vector is as many channels of one pixel, taps are walked in registers.
//!
//! With a channel multiplier the input is packed with each channel repeated, so that one kernel
//! over output channels serves all cases; the input gradient then adds the copies.

use super::ConvGeometry;
use super::axis::Axis;
use super::filter_grad::{Combine, image_groups};
use super::patch::{Block, Cut};
use crate::backend::cpu::kernels::attach::{Epilogue, Finish, PackHook};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, split};
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};

/// Pixels of a tile.
const TILE: usize = 8;
/// Output pixels of a block: input rows that two blocks share are packed twice.
const PIXELS: usize = 448;
/// Taps whose sums stay in registers.
const TAPS: usize = 9;

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

/// Sums of one tap group: `w[tap][..] += Σ_pixel x[pixel + tap][..] * dy[pixel][..]`.
struct TapTile {
    x: *const f32,
    x_taps: *const usize,
    x_pixels: *const usize,
    dy: *const f32,
    dy_ld: usize,
    pixels: usize,
    channels: usize,
    w: *mut f32,
    w_ld: usize,
    add: bool,
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn tap_tile<S: Simd, const T: usize>(s: S, t: &TapTile) {
    let mut taps = [0; T];
    for (i, tap) in taps.iter_mut().enumerate() {
        *tap = *t.x_taps.add(i);
    }
    let mut at = 0;
    while at < t.channels {
        let n = S::LANES.min(t.channels - at);
        let mut acc = [s.zero(); T];
        if t.add {
            for (i, sum) in acc.iter_mut().enumerate() {
                *sum = s.load_first(t.w.add(i * t.w_ld + at), n);
            }
        }
        for p in 0..t.pixels {
            let d = s.load_first(t.dy.add(p * t.dy_ld + at), n);
            let x = t.x.add(*t.x_pixels.add(p) + at);
            for i in 0..T {
                acc[i] = s.mul_add(s.load(x.add(taps[i])), d, acc[i]);
            }
        }
        for (i, sum) in acc.iter().enumerate() {
            s.store_first(t.w.add(i * t.w_ld + at), *sum, n);
        }
        at += n;
    }
}
dispatch! { fn select_taps[const T: usize] => unsafe tap_tile(t: &TapTile); }

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
struct Repeat<'a> {
    inner: Option<&'a dyn PackHook>,
    /// The whole input, if there is no inner hook.
    input: *const f32,
    times: usize,
    /// Room for the channels of one pixel.
    pixel: *mut f32,
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
struct TapClass {
    y: usize,
    x: usize,
    filters: Vec<usize>,
    patch: Vec<usize>,
}

fn tap_classes(cut: &Cut, kernel_w: usize, channels: usize) -> Vec<TapClass> {
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

/// A depthwise convolution or its input gradient. Inputs: activations (or output gradient), filters.
pub struct Depthwise {
    cut: Cut,
    classes: Vec<TapClass>,
    /// Output channels of the convolution, and copies of each input channel among them.
    channels: usize,
    times: usize,
    gradient: bool,
    copies: Copies,
    tiles: [unsafe fn(&PixelTile); TILE],
}

/// f32 that vectors may read past the last channel.
const SLACK: usize = 16;

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

    fn new(g: &ConvGeometry, y: Axis, x: Axis, gradient: bool, tier: Tier) -> Self {
        let cut = Cut::new(g.batch, y, x, g.out_c, 0).with_pixels(PIXELS, 1);
        let classes = tap_classes(&cut, g.kernel_w, g.out_c);
        let (channels, times) = (g.out_c, g.out_c / g.in_c);
        Depthwise { cut, classes, channels, times, gradient, copies: Copies::new(tier), tiles: tiles(tier) }
    }

    /// Channels of the output of this pass.
    fn out_channels(&self) -> usize {
        if self.gradient { self.channels / self.times } else { self.channels }
    }

    /// Whether results are added up over copies of a channel.
    fn folds(&self) -> bool {
        self.gradient && self.times > 1
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, chunk: usize, args: &Args, scratch: *mut f32) {
        let block = self.cut.block(chunk);
        let (pixel, pixels) = self.cut.output_pixels(&block);
        let out_ld = self.out_channels();
        let row_buffer = scratch.wrapping_add(self.cut.patch_len() + SLACK);
        let repeat = Repeat { inner: args.prologue, input: args.inputs[0], times: self.times, pixel: row_buffer };
        let (hook, in_ld) = match (self.times, self.gradient) {
            (1, _) | (_, true) => (args.prologue, self.channels),
            _ => (Some(&repeat as &dyn PackHook), self.channels / self.times),
        };
        let finish = match self.folds() {
            true => Finish::NONE,
            false => args.epilogue.finish().from(0, pixel * out_ld),
        };
        // SAFETY: patch and row buffer lie within scratch, tiles within the output.
        unsafe {
            self.cut.pack(&self.copies, hook, args.inputs[0], in_ld, 0..self.channels, &block, scratch);
            let output = args.output.add(pixel * out_ld);
            let rows = self.cut.output_rows(&block);
            for class in &self.classes {
                let (y, x) = (&self.cut.y.classes[class.y], &self.cut.x.classes[class.x]);
                for image in 0..block.images.len() {
                    for i in block.indices.start..block.indices.end.min(y.count) {
                        let row = image * rows.len() + y.start + i * y.step - rows.start;
                        let tiles = x.count.div_ceil(TILE);
                        for t in 0..tiles {
                            let r = split(x.count, tiles, t);
                            let (mut a_rows, mut c_rows) = ([0; TILE], [0; TILE]);
                            for (p, j) in r.clone().enumerate() {
                                a_rows[p] = self.cut.pixel_offset(&block, image, i - block.indices.start, j);
                                c_rows[p] = match self.folds() {
                                    true => p * self.channels,
                                    false => (row * self.cut.x.outputs + x.start + j * x.step) * out_ld,
                                };
                            }
                            self.tiles[r.len() - 1](&PixelTile {
                                a: scratch,
                                a_rows: a_rows.as_ptr(),
                                a_taps: class.patch.as_ptr(),
                                w: args.inputs[1],
                                w_taps: class.filters.as_ptr(),
                                taps: class.patch.len(),
                                channels: self.channels,
                                c: if self.folds() { row_buffer } else { output },
                                c_rows: c_rows.as_ptr(),
                                finish,
                            });
                            if self.folds() {
                                for (p, j) in r.enumerate() {
                                    let to = (row * self.cut.x.outputs + x.start + j * x.step) * out_ld;
                                    let finish = args.epilogue.finish().from(0, pixel * out_ld + to);
                                    self.fold(row_buffer.add(p * self.channels), output.add(to), &finish);
                                }
                            }
                        }
                    }
                }
            }
            if let Epilogue::Hook(hook) = args.epilogue {
                hook.tile(chunk, output, out_ld, pixel, pixels, 0, out_ld);
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
        self.cut.blocks()
    }

    fn scratch_len(&self) -> usize {
        self.cut.patch_len() + SLACK + TILE * self.channels
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

/// Gradient of a depthwise convolution for its filters. Inputs: activations, output gradient.
pub struct DepthwiseFilterGrad {
    geometry: ConvGeometry,
    cut: Cut,
    classes: Vec<TapClass>,
    parts: usize,
    copies: Copies,
    combine: Combine,
    tiles: [unsafe fn(&TapTile); TAPS],
}

impl DepthwiseFilterGrad {
    /// The gradient for a geometry.
    pub fn new(g: &ConvGeometry, tier: Tier) -> Self {
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        let cut = Cut::new(g.batch, y, x, g.out_c, 0).with_pixels(PIXELS, 1);
        let classes = tap_classes(&cut, g.kernel_w, g.out_c);
        let parts = image_groups(cut.blocks(), g.filter_len());
        let tiles = [
            select_taps::<1>(tier),
            select_taps::<2>(tier),
            select_taps::<3>(tier),
            select_taps::<4>(tier),
            select_taps::<5>(tier),
            select_taps::<6>(tier),
            select_taps::<7>(tier),
            select_taps::<8>(tier),
            select_taps::<9>(tier),
        ];
        let combine = Combine::new(parts, g.kernel_h * g.kernel_w, g.out_c, tier);
        DepthwiseFilterGrad { geometry: *g, cut, classes, parts, copies: Copies::new(tier), combine, tiles }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, part: usize, args: &Args, scratch: *mut f32) {
        let g = &self.geometry;
        let blocks = split(self.cut.blocks(), self.parts, part);
        let times = g.out_c / g.in_c;
        let pixel_buffer = scratch.wrapping_add(self.cut.patch_len() + SLACK);
        let offsets = pixel_buffer.wrapping_add(g.out_c.next_multiple_of(16)).cast::<usize>();
        let repeat = Repeat { inner: args.prologue, input: args.inputs[0], times, pixel: pixel_buffer };
        let hook = if times == 1 { args.prologue } else { Some(&repeat as &dyn PackHook) };
        let class = &self.classes[0];
        // SAFETY: patch, buffer and offsets lie within scratch; sums lie within the part's filters.
        unsafe {
            let sums = args.workspace.add(part * g.filter_len());
            for index in blocks.clone() {
                let block: Block = self.cut.block(index);
                self.cut.pack(&self.copies, hook, args.inputs[0], g.in_c, 0..g.out_c, &block, scratch);
                let (pixel, pixels) = self.cut.output_pixels(&block);
                for p in 0..pixels {
                    *offsets.add(p) = self.cut.pixel_offset(&block, 0, p / g.out_w, p % g.out_w);
                }
                let groups = class.patch.len().div_ceil(TAPS);
                for group in 0..groups {
                    let taps = split(class.patch.len(), groups, group);
                    self.tiles[taps.len() - 1](&TapTile {
                        x: scratch,
                        x_taps: class.patch[taps.start..].as_ptr(),
                        x_pixels: offsets,
                        dy: args.inputs[1].add(pixel * g.out_c),
                        dy_ld: g.out_c,
                        pixels,
                        channels: g.out_c,
                        w: sums.add(taps.start * g.out_c),
                        w_ld: g.out_c,
                        add: index > blocks.start,
                    });
                }
            }
        }
    }
}

impl ChunkedKernel for DepthwiseFilterGrad {
    fn phases(&self) -> usize {
        2
    }

    fn chunks(&self, phase: usize) -> usize {
        if phase == 0 { self.parts } else { self.combine.chunks() }
    }

    fn workspace_len(&self) -> usize {
        self.parts * self.geometry.filter_len()
    }

    fn scratch_len(&self) -> usize {
        let words = self.cut.max_pixels() * size_of::<usize>() / size_of::<f32>();
        self.cut.patch_len() + SLACK + self.geometry.out_c.next_multiple_of(16) + words
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
