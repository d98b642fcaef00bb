//! Convolutions with few output channels: a vector is the same element of as many images.
//!
//! Inside a chunk activations are laid out `[row][column][channel][image]`, so that all lanes are
//! full at any number of channels; they are transposed from and to NHWC at the border.

use super::ConvGeometry;
use super::axis::Axis;
use crate::backend::cpu::attach::{Epilogue, PackHook};
use crate::backend::cpu::chunked::{Args, ChunkedKernel, split};
use crate::backend::cpu::gemm::pack::Copies;
use crate::backend::cpu::simd::{Simd, Tier};
use crate::dispatch;
use std::ops::Range;

/// Pixels of the largest tile.
const PIXELS: usize = 4;
/// Channels of the largest tile.
const CHANNELS: usize = 8;
/// f32 of a chunk's layouts, so that they stay in L2.
const CHUNK: usize = 160 * 1024;
/// Chunks that a batch of one vector is cut into, where it has the rows.
const MIN_CHUNKS: usize = 8;

/// One tile: `c[pixel][channel] = Σ_segment Σ_r a[pixel][segment][r] * w[segment][r][channel]`.
struct Tile {
    a: *const f32,
    /// f32 between pixels of A and of C.
    a_step: usize,
    c_step: usize,
    segments: *const usize,
    segment_count: usize,
    /// Elements of a segment.
    run: usize,
    w: *const f32,
    /// f32 between segments of W.
    w_segment: usize,
    w_ld: usize,
    c: *mut f32,
    bias: *const f32,
    relu: bool,
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn tile<S: Simd, const K: usize, const P: usize>(t: &Tile) {
    let mut acc = [[S::zero(); P]; K];
    for segment in 0..t.segment_count {
        let mut w = t.w.add(segment * t.w_segment);
        let mut a = t.a.add(*t.segments.add(segment));
        for _ in 0..t.run {
            let mut v = [S::zero(); P];
            for (p, v) in v.iter_mut().enumerate() {
                *v = S::load(a.add(p * t.a_step));
            }
            for (k, row) in acc.iter_mut().enumerate() {
                let x = S::splat(*w.add(k));
                for (sum, v) in row.iter_mut().zip(v) {
                    *sum = S::mul_add(x, v, *sum);
                }
            }
            a = a.add(S::LANES);
            w = w.add(t.w_ld);
        }
    }
    for (k, row) in acc.iter().enumerate() {
        let bias = if t.bias.is_null() { S::zero() } else { S::splat(*t.bias.add(k)) };
        for (p, sum) in row.iter().enumerate() {
            let y = S::add(*sum, bias);
            let y = if t.relu { S::max(S::zero(), y) } else { y };
            S::store(t.c.add(p * t.c_step + k * S::LANES), y);
        }
    }
}
dispatch! { fn select_tile[const K: usize, const P: usize] => tile(t: &Tile); }

type TileFn = unsafe fn(&Tile);

/// Tiles of `1..=PIXELS` pixels × `k` channels; entries beyond `max_pixels` are not used.
fn tiles(tier: Tier, k: usize) -> [TileFn; PIXELS] {
    macro_rules! of {
        ($k:literal) => {
            [
                select_tile::<$k, 1>(tier),
                select_tile::<$k, 2>(tier),
                select_tile::<$k, 3>(tier),
                select_tile::<$k, 4>(tier),
            ]
        };
    }
    match k {
        1 => of!(1),
        2 => of!(2),
        3 => of!(3),
        4 => of!(4),
        5 => of!(5),
        6 => of!(6),
        7 => of!(7),
        _ => of!(8),
    }
}

/// Most channels and pixels of a tile that the registers of a tier hold.
fn limits(tier: Tier, out_c: usize) -> (usize, usize) {
    let (registers, channels) = match tier {
        Tier::Avx512 | Tier::Neon => (32, CHANNELS),
        Tier::Avx2 | Tier::Scalar => (16, 4),
    };
    let blocks = out_c.div_ceil(channels);
    let channels = out_c.div_ceil(blocks);
    // Sums, one vector per pixel, one broadcast filter element.
    (channels, ((registers - 1) / (channels + 1)).min(PIXELS))
}

/// Layout of a chunk's activations: `[row][column][channel][image]`, with zeros around the image.
#[derive(Clone, Copy)]
pub(super) struct Layout<'a> {
    pub y: &'a Axis,
    pub x: &'a Axis,
    pub channels: usize,
    pub lanes: usize,
}

impl Layout<'_> {
    /// f32 between columns.
    pub fn pixel(&self) -> usize {
        self.channels * self.lanes
    }

    pub fn columns(&self) -> usize {
        self.x.span(self.x.outputs.div_ceil(self.x.step()))
    }

    /// f32 between rows.
    pub fn row(&self) -> usize {
        self.columns() * self.pixel()
    }

    /// f32 of what `indices` row indices read.
    pub fn len(&self, indices: usize) -> usize {
        self.y.span(indices) * self.row()
    }

    /// Offset of the tap at input offset (y, x).
    pub fn tap(&self, y: isize, x: isize) -> usize {
        (y - self.y.lo) as usize * self.row() + (x - self.x.lo) as usize * self.pixel()
    }

    /// Copies what the row indices `indices` of `images` read.
    ///
    /// # Safety
    /// `src` is the whole NHWC input, `dst` holds `len` elements, `staging` one row of each image.
    #[allow(clippy::too_many_arguments, reason = "source, place and destination of a copy")]
    pub unsafe fn pack(
        &self,
        copies: &Copies,
        hook: Option<&dyn PackHook>,
        src: *const f32,
        images: &Range<usize>,
        indices: &Range<usize>,
        dst: *mut f32,
        staging: *mut f32,
    ) {
        let (height, width) = (self.y.inputs, self.x.inputs);
        let columns = self.columns() as isize;
        let left = (-self.x.lo).clamp(0, columns);
        let right = (width as isize - self.x.lo).clamp(left, columns);
        let top = (indices.start * self.y.in_step) as isize + self.y.lo;
        for row in 0..self.y.span(indices.len()) {
            let in_y = top + row as isize;
            // SAFETY: the row lies within `dst`, its columns left..right within the image.
            unsafe {
                let to = dst.add(row * self.row());
                if !(0..height as isize).contains(&in_y) || left == right {
                    std::ptr::write_bytes(to, 0, self.row());
                    continue;
                }
                std::ptr::write_bytes(to, 0, left as usize * self.pixel());
                let after = right as usize * self.pixel();
                std::ptr::write_bytes(to.add(after), 0, self.row() - after);
                let in_x = (left + self.x.lo) as usize;
                let (pixels, to) = ((right - left) as usize, to.add(left as usize * self.pixel()));
                let elements = pixels * self.channels;
                let pixel = (images.start * height + in_y as usize) * width + in_x;
                let mut from = src.add(pixel * self.channels);
                let mut image_ld = height * width * self.channels;
                if let Some(hook) = hook {
                    for i in 0..images.len() {
                        let (image, c) = (from.add(i * image_ld), self.channels);
                        hook.pack(image, c, staging.add(i * elements), c, pixel + i * height * width, pixels, 0, c);
                    }
                    (from, image_ld) = (staging, elements);
                }
                copies.transpose(from, image_ld, images.len(), elements, to, self.lanes, self.lanes);
            }
        }
    }
}

/// The taps of one pair of row and column classes.
struct TapClass {
    y: usize,
    x: usize,
    filters: Vec<usize>,
    /// Input row offset and layout offset of each run of taps.
    runs: Vec<usize>,
    run: usize,
    taps_before: usize,
}

/// A convolution without groups, or its input gradient, across images.
/// Inputs: activations (or output gradient), filters HWIO.
pub struct ImagesConv {
    batch: usize,
    y: Axis,
    x: Axis,
    in_c: usize,
    out_c: usize,
    taps: usize,
    gradient: bool,
    classes: Vec<TapClass>,
    row_parts: usize,
    lanes: usize,
    channels: usize,
    max_pixels: usize,
    /// By remaining channels of a block: all blocks but the last have `channels`.
    tiles: [[TileFn; PIXELS]; CHANNELS],
    copies: Copies,
}

impl ImagesConv {
    /// The convolution.
    pub fn forward(g: &ConvGeometry, tier: Tier) -> Self {
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::new(g, y, x, [g.in_c, g.out_c], false, tier)
    }

    /// Its gradient for the input.
    pub fn input_grad(g: &ConvGeometry, tier: Tier) -> Self {
        let y = Axis::input_grad(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::input_grad(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::new(g, y, x, [g.out_c, g.in_c], true, tier)
    }

    fn new(g: &ConvGeometry, y: Axis, x: Axis, [in_c, out_c]: [usize; 2], gradient: bool, tier: Tier) -> Self {
        assert_eq!(g.groups, 1, "convolutions across images have no groups");
        let lanes = tier.lanes();
        let layout = Layout { y: &y, x: &x, channels: in_c, lanes };
        let mut classes = Vec::new();
        let mut taps_before = 0;
        for (yi, cy) in y.classes.iter().enumerate() {
            for (xi, cx) in x.classes.iter().enumerate() {
                let filters: Vec<usize> =
                    cy.taps.iter().flat_map(|ky| cx.taps.iter().map(|kx| ky.0 * g.kernel_w + kx.0)).collect();
                let contiguous = cx.taps.windows(2).all(|w| w[1].1 == w[0].1 + 1);
                let per_run = if contiguous { cx.taps.len().max(1) } else { 1 };
                let mut runs = Vec::new();
                for ky in &cy.taps {
                    runs.extend(cx.taps.iter().step_by(per_run).map(|kx| layout.tap(ky.1, kx.1)));
                }
                let count = filters.len();
                classes.push(TapClass { y: yi, x: xi, filters, runs, run: per_run * in_c, taps_before });
                taps_before += count;
            }
        }
        let rows = y.outputs.div_ceil(y.step());
        let mut row_parts = MIN_CHUNKS.div_ceil(g.batch.div_ceil(lanes)).min(rows.div_ceil(4)).max(1);
        let chunk_len = |parts: usize| {
            let indices = rows.div_ceil(parts);
            layout.len(indices) + indices * y.step() * x.outputs * out_c * lanes
        };
        while row_parts < rows && chunk_len(row_parts) > CHUNK {
            row_parts += 1;
        }
        let (channels, max_pixels) = limits(tier, out_c);
        let tiles = std::array::from_fn(|k| tiles(tier, k + 1));
        ImagesConv {
            batch: g.batch,
            y,
            x,
            in_c,
            out_c,
            taps: g.kernel_h * g.kernel_w,
            gradient,
            classes,
            row_parts,
            lanes,
            channels,
            max_pixels,
            tiles,
            copies: Copies::new(tier),
        }
    }

    fn layout(&self) -> Layout<'_> {
        Layout { y: &self.y, x: &self.x, channels: self.in_c, lanes: self.lanes }
    }

    fn row_indices(&self) -> usize {
        self.y.outputs.div_ceil(self.y.step())
    }

    /// f32 of the input layout, of the output layout, and of staging.
    fn scratch_parts(&self) -> [usize; 3] {
        let indices = self.row_indices().div_ceil(self.row_parts);
        let output = indices * self.y.step() * self.x.outputs * self.out_c * self.lanes;
        [self.layout().len(indices), output, self.x.inputs * self.in_c * self.lanes]
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn pack_filters(&self, args: &Args) {
        let (c, k) = if self.gradient { (self.out_c, self.in_c) } else { (self.in_c, self.out_c) };
        let mut dst = args.workspace;
        for tap in self.classes.iter().flat_map(|class| &class.filters) {
            // SAFETY: filters are [tap][input channel][output channel], the workspace holds all taps.
            unsafe {
                let src = args.inputs[1].add(tap * c * k);
                match self.gradient {
                    true => self.copies.transpose(src, k, c, k, dst, c, c),
                    false => self.copies.copy(src, k, c, k, dst, k, k),
                }
                dst = dst.add(c * k);
            }
        }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, chunk: usize, args: &Args, scratch: *mut f32) {
        let groups = self.batch.div_ceil(self.lanes);
        let first = chunk / self.row_parts * self.lanes;
        let images = first..(first + self.lanes).min(self.batch);
        debug_assert!(chunk / self.row_parts < groups);
        let indices = split(self.row_indices(), self.row_parts, chunk % self.row_parts);
        let rows = indices.start * self.y.step()..(indices.end * self.y.step()).min(self.y.outputs);
        let layout = self.layout();
        let [input_len, output_len, _] = self.scratch_parts();
        let (output, staging) = (scratch.wrapping_add(input_len), scratch.wrapping_add(input_len + output_len));
        let out_pixel = self.out_c * self.lanes;
        let (bias, relu) = match args.epilogue {
            Epilogue::Bias { bias, relu } => (bias, relu),
            _ => (std::ptr::null(), false),
        };
        // SAFETY: layouts lie within scratch, tiles within the layouts.
        unsafe {
            layout.pack(&self.copies, args.prologue, args.inputs[0], &images, &indices, scratch, staging);
            for class in &self.classes {
                let (y, x) = (&self.y.classes[class.y], &self.x.classes[class.x]);
                let w = args.workspace.add(class.taps_before * self.in_c * self.out_c);
                let runs_per_tap = class.runs.len() / y.taps.len().max(1);
                for i in indices.start..indices.end.min(y.count) {
                    let a = scratch.add((i - indices.start) * self.y.in_step * layout.row());
                    let row = y.start + i * y.step - rows.start;
                    let c = output.add((row * self.x.outputs + x.start) * out_pixel);
                    // Taps of rows outside the image add nothing.
                    let taps = self.y.taps_inside(y, i..i + 1);
                    let segments = taps.start * runs_per_tap..taps.end * runs_per_tap;
                    let w = w.add(segments.start * class.run * self.out_c);
                    let tiles = x.count.div_ceil(self.max_pixels);
                    for t in 0..tiles {
                        let pixels = split(x.count, tiles, t);
                        // Nor do columns outside, where a run is a whole row of taps.
                        let run = match class.run == x.taps.len() * self.in_c {
                            true => self.x.taps_inside(x, pixels.clone()),
                            false => 0..1,
                        };
                        let run = run.start * self.in_c..run.end * self.in_c;
                        let a = a.add(pixels.start * self.x.in_step * layout.pixel() + run.start * self.lanes);
                        let w = w.add(run.start * self.out_c);
                        for k in (0..self.out_c).step_by(self.channels) {
                            let channels = self.channels.min(self.out_c - k);
                            self.tiles[channels - 1][pixels.len() - 1](&Tile {
                                a,
                                a_step: self.x.in_step * layout.pixel(),
                                c_step: x.step * out_pixel,
                                segments: class.runs.as_ptr().add(segments.start),
                                segment_count: segments.len(),
                                run: run.len(),
                                w: w.add(k),
                                w_segment: class.run * self.out_c,
                                w_ld: self.out_c,
                                c: c.add(pixels.start * x.step * out_pixel + k * self.lanes),
                                bias: if bias.is_null() { bias } else { bias.add(k) },
                                relu,
                            });
                        }
                    }
                }
            }
            let image_ld = self.y.outputs * self.x.outputs * self.out_c;
            let elements = rows.len() * self.x.outputs * self.out_c;
            let out = args.output.add(images.start * image_ld + rows.start * self.x.outputs * self.out_c);
            self.copies.transpose(output, self.lanes, elements, images.len(), out, image_ld, elements);
            if let Epilogue::Hook(hook) = args.epilogue {
                hook.begin(chunk);
                for (i, image) in images.enumerate() {
                    let row = (image * self.y.outputs + rows.start) * self.x.outputs;
                    let pixels = rows.len() * self.x.outputs;
                    hook.tile(chunk, out.add(i * image_ld), self.out_c, row, pixels, 0, self.out_c);
                }
                hook.end(chunk);
            }
        }
    }
}

impl ChunkedKernel for ImagesConv {
    fn phases(&self) -> usize {
        2
    }

    fn chunks(&self, phase: usize) -> usize {
        if phase == 0 { 1 } else { self.batch.div_ceil(self.lanes) * self.row_parts }
    }

    fn workspace_len(&self) -> usize {
        self.taps * self.in_c * self.out_c
    }

    fn prepacks(&self) -> bool {
        true
    }

    fn scratch_len(&self) -> usize {
        self.scratch_parts().iter().sum()
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            match phase {
                0 => self.pack_filters(args),
                _ => self.compute(chunk, args, scratch),
            }
        }
    }
}
