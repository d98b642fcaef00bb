//! Convolutions with few output channels: a vector is the same element of as many images.
//!
//! Activations are laid out `[row][column][channel][image]`, so that all lanes are full at any number of
//! channels. Where neighbours keep them so ([`InImages`]), tiles read and write them in place; else
//! they are transposed from and to NHWC at the border.

use super::ConvGeometry;
use super::axis::Axis;
use crate::backend::cpu::attach::{Epilogue, Finish, PackHook};
use crate::backend::cpu::chunked::{Args, ChunkedKernel, Shares, split};
use crate::backend::cpu::gemm::pack::Copies;
use crate::backend::cpu::kernel::InImages;
use crate::backend::cpu::shares::{Batch, Rows};
use crate::backend::cpu::simd::{Simd, Tier};
use crate::dispatch;
use std::ops::Range;

/// Pixels of the largest tile.
const PIXELS: usize = 4;
/// Channels of the largest tile.
const CHANNELS: usize = 8;
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
    finish: Finish,
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn tile<S: Simd, const K: usize, const P: usize>(t: &Tile) {
    let mut acc = [[S::zero(); P]; K];
    for segment in 0..t.segment_count {
        let mut w = t.w.add(segment * t.w_segment);
        let mut a = t.a.add(*t.segments.add(segment));
        macro_rules! element {
            ($element:literal) => {
                let mut v = [S::zero(); P];
                for (p, v) in v.iter_mut().enumerate() {
                    *v = S::load(a.add($element * S::LANES + p * t.a_step));
                }
                for (k, row) in acc.iter_mut().enumerate() {
                    let x = S::splat(*w.add($element * t.w_ld + k));
                    // Not zipped: where that is not inlined, sums leave the registers.
                    for (p, sum) in row.iter_mut().enumerate() {
                        *sum = S::mul_add(x, v[p], *sum);
                    }
                }
            };
        }
        for _ in 0..t.run / 2 {
            element!(0);
            element!(1);
            a = a.add(2 * S::LANES);
            w = w.add(2 * t.w_ld);
        }
        if !t.run.is_multiple_of(2) {
            element!(0);
        }
    }
    for (k, row) in acc.iter().enumerate() {
        let bias = if t.finish.bias.is_null() { S::zero() } else { S::splat(*t.finish.bias.add(k)) };
        for (p, sum) in row.iter().enumerate() {
            let y = S::add(*sum, bias);
            let y = if t.finish.clamps() { t.finish.clamp::<S>(y) } else { y };
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

/// Layout of the activations that a chunk reads: `[row][column][channel][image]`.
#[derive(Clone, Copy)]
pub(super) struct Layout<'a> {
    pub y: &'a Axis,
    pub x: &'a Axis,
    pub channels: usize,
    pub lanes: usize,
    /// Whether the input itself is laid out so.
    pub in_images: bool,
    /// Whether tiles read it there, without a copy that has zeros around the image.
    pub in_place: bool,
    /// Whether tiles skip rows of taps outside the image: a copy need not have zeros there.
    pub skips_rows: bool,
}

impl<'a> Layout<'a> {
    /// The layout of an input of `channels`. Tiles that skip the rows of taps outside the image
    /// (`skips_rows`) can read an input in place that is padded above and below.
    pub fn new(y: &'a Axis, x: &'a Axis, channels: usize, lanes: usize, in_images: bool, skips_rows: bool) -> Self {
        let inside = |a: &Axis| {
            let last = (a.outputs.div_ceil(a.step()) - 1) * a.in_step;
            a.lo >= 0 && last as isize + a.hi < a.inputs as isize
        };
        let in_place = in_images && inside(x) && (skips_rows || inside(y));
        Layout { y, x, channels, lanes, in_images, in_place, skips_rows }
    }

    /// f32 between columns.
    pub fn pixel(&self) -> usize {
        self.channels * self.lanes
    }

    fn columns(&self) -> usize {
        if self.in_place { self.x.inputs } else { self.x.span(self.x.outputs.div_ceil(self.x.step())) }
    }

    /// f32 between rows.
    pub fn row(&self) -> usize {
        self.columns() * self.pixel()
    }

    /// f32 of the copy of what `indices` row indices read.
    pub fn len(&self, indices: usize) -> usize {
        if self.in_place { 0 } else { self.y.span(indices) * self.row() }
    }

    /// f32 of the rows of the images of a vector, one at a time, through a prologue.
    pub fn staging_len(&self) -> usize {
        if self.in_images { 0 } else { self.x.inputs * self.pixel() }
    }

    /// Offset of the tap at input offset (y, x).
    pub fn tap(&self, y: isize, x: isize) -> usize {
        let left = if self.in_place { 0 } else { self.x.lo };
        (y - self.y.lo) as usize * self.row() + (x - left) as usize * self.pixel()
    }

    /// Where the tiles of `rows` read: the first row that their first index reaches, in the input or in
    /// a copy at `dst`. A row outside the image that is not copied must not be read.
    ///
    /// # Safety
    /// `src` is the whole input, `dst` holds `len` elements, `staging` `staging_len`.
    pub unsafe fn read(
        &self,
        copies: &Copies,
        hook: Option<&dyn PackHook>,
        src: *const f32,
        rows: &Rows,
        dst: *mut f32,
        staging: *mut f32,
    ) -> *const f32 {
        let (height, width) = (self.y.inputs, self.x.inputs);
        let top = (rows.indices.start * self.y.in_step) as isize + self.y.lo;
        if self.in_place {
            let image = src.wrapping_add(rows.vector * height * self.row());
            return image.wrapping_offset(top * self.row() as isize);
        }
        let columns = self.columns() as isize;
        let left = (-self.x.lo).clamp(0, columns);
        let right = (width as isize - self.x.lo).clamp(left, columns);
        for row in 0..self.y.span(rows.indices.len()) {
            let in_y = top + row as isize;
            // SAFETY: the row lies within `dst`, its columns left..right within the image.
            unsafe {
                let to = dst.add(row * self.row());
                let inside = (0..height as isize).contains(&in_y);
                if !inside && self.skips_rows {
                    continue;
                }
                if !inside || left == right {
                    std::ptr::write_bytes(to, 0, self.row());
                    continue;
                }
                std::ptr::write_bytes(to, 0, left as usize * self.pixel());
                let after = right as usize * self.pixel();
                std::ptr::write_bytes(to.add(after), 0, self.row() - after);
                let in_x = (left + self.x.lo) as usize;
                let (pixels, to) = ((right - left) as usize, to.add(left as usize * self.pixel()));
                if self.in_images {
                    let pixel = (rows.vector * height + in_y as usize) * width + in_x;
                    to.copy_from_nonoverlapping(src.add(pixel * self.pixel()), pixels * self.pixel());
                    continue;
                }
                let elements = pixels * self.channels;
                let pixel = (rows.images.start * height + in_y as usize) * width + in_x;
                let mut from = src.add(pixel * self.channels);
                let mut image_ld = height * width * self.channels;
                if let Some(hook) = hook {
                    for i in 0..rows.images.len() {
                        let (image, c) = (from.add(i * image_ld), self.channels);
                        hook.pack(image, c, staging.add(i * elements), c, pixel + i * height * width, pixels, 0, c);
                    }
                    (from, image_ld) = (staging, elements);
                }
                copies.transpose(from, image_ld, rows.images.len(), elements, to, self.lanes, self.lanes);
            }
        }
        dst
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
    batch: Batch,
    images: InImages,
    y: Axis,
    x: Axis,
    in_c: usize,
    out_c: usize,
    taps: usize,
    gradient: bool,
    classes: Vec<TapClass>,
    channels: usize,
    max_pixels: usize,
    /// By remaining channels of a block: all blocks but the last have `channels`.
    tiles: [[TileFn; PIXELS]; CHANNELS],
    copies: Copies,
}

impl ImagesConv {
    /// The convolution, with input 0 and the output as `images` says.
    pub fn forward(g: &ConvGeometry, images: InImages, tier: Tier) -> Self {
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::new(g, y, x, [g.in_c, g.out_c], images, false, tier)
    }

    /// Its gradient for the input.
    pub fn input_grad(g: &ConvGeometry, images: InImages, tier: Tier) -> Self {
        let y = Axis::input_grad(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::input_grad(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::new(g, y, x, [g.out_c, g.in_c], images, true, tier)
    }

    fn new(
        g: &ConvGeometry,
        y: Axis,
        x: Axis,
        [in_c, out_c]: [usize; 2],
        images: InImages,
        gradient: bool,
        tier: Tier,
    ) -> Self {
        assert_eq!(g.groups, 1, "convolutions across images have no groups");
        let lanes = tier.lanes();
        let layout = Layout::new(&y, &x, in_c, lanes, images.input(0), true);
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
        let batch = Batch::new(g.batch, lanes, y.outputs.div_ceil(y.step()), |indices| {
            let output = if images.output { 0 } else { indices * y.step() * x.outputs * out_c * lanes };
            layout.len(indices) + output
        });
        let (channels, max_pixels) = limits(tier, out_c);
        let tiles = std::array::from_fn(|k| tiles(tier, k + 1));
        ImagesConv {
            batch,
            images,
            y,
            x,
            in_c,
            out_c,
            taps: g.kernel_h * g.kernel_w,
            gradient,
            classes,
            channels,
            max_pixels,
            tiles,
            copies: Copies::new(tier),
        }
    }

    fn layout(&self) -> Layout<'_> {
        Layout::new(&self.y, &self.x, self.in_c, self.batch.lanes, self.images.input(0), true)
    }

    /// f32 of the input layout, of the output layout, and of staging.
    fn scratch_parts(&self) -> [usize; 3] {
        let indices = self.batch.part_rows();
        let output = match self.images.output {
            true => 0,
            false => indices * self.y.step() * self.x.outputs * self.out_c * self.batch.lanes,
        };
        [self.layout().len(indices), output, self.layout().staging_len()]
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn pack_filters(&self, args: &Args) {
        let (c, k) = if self.gradient { (self.out_c, self.in_c) } else { (self.in_c, self.out_c) };
        let mut dst = args.packed;
        for tap in self.classes.iter().flat_map(|class| &class.filters) {
            // SAFETY: filters are [tap][input channel][output channel]; there is room for all taps.
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
    unsafe fn compute(&self, rows: &Rows, chunk: usize, args: &Args, scratch: *mut f32) {
        let lanes = self.batch.lanes;
        let Rows { images, indices, .. } = rows;
        let layout = self.layout();
        let [input_len, output_len, _] = self.scratch_parts();
        let staging = scratch.wrapping_add(input_len + output_len);
        // Output rows: their number, the first, and f32 between them.
        let step = self.y.step();
        let out_rows = indices.start * step..(indices.end * step).min(self.y.outputs);
        let (out_pixel, columns) = (self.out_c * lanes, self.x.outputs);
        let first_pixel = (rows.vector * self.y.outputs + out_rows.start) * columns;
        let output = match self.images.output {
            true => args.output.wrapping_add(first_pixel * out_pixel),
            false => scratch.wrapping_add(input_len),
        };
        // SAFETY: layouts lie within scratch or the operands, tiles within the layouts.
        unsafe {
            let input = layout.read(&self.copies, args.prologue, args.inputs[0], rows, scratch, staging);
            for class in &self.classes {
                self.class(class, &layout, indices, input, output, args);
            }
            let pixels = out_rows.len() * columns;
            if self.images.output {
                if let Epilogue::Hook(hook) = args.epilogue {
                    hook.tile(chunk, output, out_pixel, first_pixel, pixels, 0, out_pixel);
                }
                return;
            }
            let image_ld = self.y.outputs * columns * self.out_c;
            let elements = pixels * self.out_c;
            let out = args.output.add(images.start * image_ld + out_rows.start * columns * self.out_c);
            self.copies.transpose(output, lanes, elements, images.len(), out, image_ld, elements);
            if let Epilogue::Hook(hook) = args.epilogue {
                for (i, image) in images.clone().enumerate() {
                    let row = (image * self.y.outputs + out_rows.start) * columns;
                    hook.tile(chunk, out.add(i * image_ld), self.out_c, row, pixels, 0, self.out_c);
                }
            }
        }
    }

    /// The outputs of one class of taps, for the row indices `indices`.
    ///
    /// # Safety
    /// `input` is what [`Layout::read`] returned for them, `output` has their rows.
    unsafe fn class(
        &self,
        class: &TapClass,
        layout: &Layout,
        indices: &Range<usize>,
        input: *const f32,
        output: *mut f32,
        args: &Args,
    ) {
        let (y, x) = (&self.y.classes[class.y], &self.x.classes[class.x]);
        let out_pixel = self.out_c * self.batch.lanes;
        let finish = args.epilogue.finish();
        debug_assert!(finish.residual.is_null(), "outputs in vectors of images take a residual as a hook");
        let w = args.packed.wrapping_add(class.taps_before * self.in_c * self.out_c);
        let runs_per_tap = class.runs.len() / y.taps.len().max(1);
        let first_row = indices.start * self.y.step();
        for i in indices.start..indices.end.min(y.count) {
            let a = input.wrapping_add((i - indices.start) * self.y.in_step * layout.row());
            let row = y.start + i * y.step - first_row;
            let c = output.wrapping_add((row * self.x.outputs + x.start) * out_pixel);
            // Taps of rows outside the image add nothing.
            let taps = self.y.taps_inside(y, i..i + 1);
            let segments = taps.start * runs_per_tap..taps.end * runs_per_tap;
            let w = w.wrapping_add(segments.start * class.run * self.out_c);
            let tiles = x.count.div_ceil(self.max_pixels);
            for t in 0..tiles {
                let pixels = split(x.count, tiles, t);
                // Nor do columns outside, where a run is a whole row of taps.
                let run = match class.run == x.taps.len() * self.in_c {
                    true => self.x.taps_inside(x, pixels.clone()),
                    false => 0..1,
                };
                let run = run.start * self.in_c..run.end * self.in_c;
                let a = a.wrapping_add(pixels.start * self.x.in_step * layout.pixel() + run.start * self.batch.lanes);
                let w = w.wrapping_add(run.start * self.out_c);
                for k in (0..self.out_c).step_by(self.channels) {
                    let channels = self.channels.min(self.out_c - k);
                    // SAFETY: the taps that are left lie within the input, the pixels within the output.
                    unsafe {
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
                            c: c.add(pixels.start * x.step * out_pixel + k * self.batch.lanes),
                            finish: finish.from(k, 0),
                        });
                    }
                }
            }
        }
    }
}

impl ChunkedKernel for ImagesConv {
    fn phases(&self) -> usize {
        2
    }

    fn chunks(&self, phase: usize) -> usize {
        if phase == 0 { 1 } else { self.batch.chunks }
    }

    fn packed_len(&self) -> usize {
        self.taps * self.in_c * self.out_c
    }

    fn shares(&self) -> Option<Shares> {
        let shares = Shares { phase: 1, images: self.batch.images, inputs: [true, false], output: true };
        self.batch.by_shares.then_some(shares)
    }

    fn scratch_len(&self) -> usize {
        self.scratch_parts().iter().sum()
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            if phase == 0 {
                return self.pack_filters(args);
            }
            if let Epilogue::Hook(hook) = args.epilogue {
                hook.begin(chunk);
            }
            for rows in self.batch.parts(self.batch.chunks, chunk) {
                self.compute(&rows, chunk, args, scratch);
            }
            if let Epilogue::Hook(hook) = args.epilogue {
                hook.end(chunk);
            }
        }
    }
}
