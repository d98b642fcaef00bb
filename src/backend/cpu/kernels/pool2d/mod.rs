//! 2-D max and average pooling on NHWC activations, forward and gradient.
//!
//! A vector is as many channels of one pixel, or, where channels are few, the same element of as many
//! images. Elements outside the image are excluded from windows; a chunk is a block of rows.

mod batch_blocked;
mod rows;
#[cfg(test)]
mod tests;

use super::attach::Epilogue;
use super::chunked::{Args, ChunkedKernel, Shares, split};
use super::shares::shares;
use crate::backend::cpu::kernel::BatchBlocked;
use crate::backend::cpu::simd::Tier;
use crate::error::{Error, Result};
use batch_blocked::Blocked;
use rows::{RowsFn, Work};
use std::ops::Range;

/// f32 of output (or of input gradient) that a chunk aims at.
const CHUNK: usize = 16 * 1024;

/// Sizes of a pooling. Input `[batch, in_h, in_w, channels]`, output `[batch, out_h, out_w, channels]`.
///
/// Window element (i, j) of output (y, x) is input `(y * stride_h + i - pad_top, x * stride_w + j - pad_left)`.
/// Padding at the bottom and right, and ceil mode, are what `out_h` and `out_w` imply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the field's")]
pub struct PoolGeometry {
    pub batch: usize,
    pub in_h: usize,
    pub in_w: usize,
    pub channels: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub kernel_h: usize,
    pub kernel_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub pad_top: usize,
    pub pad_left: usize,
}

/// What a window is reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The greatest element, the first in row-major order among equals; NaN counts as greatest.
    Max,
    /// The sum over the number of elements: all of the window if `count_include_pad`, else those inside the image.
    Average {
        /// Whether padding counts.
        count_include_pad: bool,
    },
}

impl PoolGeometry {
    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.in_h * self.in_w * self.channels
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_h * self.out_w * self.channels
    }

    /// # Errors
    /// `Value` where a size is 0 or a window lies in the padding as a whole.
    pub fn check(&self) -> Result<()> {
        let g = self;
        let sizes =
            [g.batch, g.in_h, g.in_w, g.channels, g.out_h, g.out_w, g.kernel_h, g.kernel_w, g.stride_h, g.stride_w];
        if sizes.contains(&0) {
            return Err(Error::value(format!("pooling sizes must be positive, received {g:?}")));
        }
        let inside = |input: usize, output: usize, kernel: usize, stride: usize, pad: usize| {
            pad < kernel && (output - 1) * stride < input + pad
        };
        if !inside(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top)
            || !inside(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left)
        {
            return Err(Error::value(format!("every pooling window must meet the image, received {g:?}")));
        }
        Ok(())
    }

    /// Whether every element of the input lies in exactly one window.
    fn tiles(&self) -> bool {
        let covered = |input: usize, output: usize, kernel: usize, stride: usize, pad: usize| {
            pad == 0 && kernel == stride && output * stride >= input
        };
        covered(self.in_h, self.out_h, self.kernel_h, self.stride_h, self.pad_top)
            && covered(self.in_w, self.out_w, self.kernel_w, self.stride_w, self.pad_left)
    }

    /// Input rows inside the image that output row `y` reads.
    fn window_rows(&self, y: usize) -> Range<usize> {
        let start = y * self.stride_h;
        start.saturating_sub(self.pad_top)..(start + self.kernel_h - self.pad_top).min(self.in_h)
    }

    /// Input columns inside the image that output column `x` reads.
    fn window_columns(&self, x: usize) -> Range<usize> {
        let start = x * self.stride_w;
        start.saturating_sub(self.pad_left)..(start + self.kernel_w - self.pad_left).min(self.in_w)
    }

    /// Output rows whose windows meet the input rows `rows`.
    fn reached_by(&self, rows: &Range<usize>) -> Range<usize> {
        let first = (rows.start + self.pad_top + 1).saturating_sub(self.kernel_h).div_ceil(self.stride_h);
        let end = (rows.end - 1 + self.pad_top) / self.stride_h + 1;
        first..end.min(self.out_h).max(first)
    }
}

/// How a pooling is cut into chunks, and where its vectors lie.
struct Cut {
    /// Present where vectors hold images.
    images: Option<Blocked>,
    in_images: BatchBlocked,
    /// Blocked of the geometry (or vectors of them), and parts of the rows of each.
    count: usize,
    row_parts: usize,
    /// Shares of the images, where these are chunks; else every part is one.
    shares: Option<usize>,
    batch: usize,
}

impl Cut {
    /// The cut, and the geometry with vectors of images as more channels.
    fn new(g: &PoolGeometry, in_images: BatchBlocked, tier: Tier) -> (Cut, PoolGeometry) {
        in_images.check(g.batch, tier.lanes());
        let stay = in_images.inputs != 0 || in_images.output;
        let images = if stay { Some(Blocked::new(g, tier)) } else { Blocked::suits(g, tier) };
        let wide = images.map_or(*g, |images| images.wide(g));
        let shares = images.and_then(|_| shares(g.batch, tier.lanes()));
        (Cut { images, in_images, count: wide.batch, row_parts: 1, shares, batch: g.batch }, wide)
    }

    /// How operand `k` is transposed into vectors of images; `None` where it is read as it lies.
    fn gathers(&self, k: usize) -> Option<&Blocked> {
        self.images.as_ref().filter(|_| !self.in_images.input(k))
    }

    /// How the output is transposed from vectors of images.
    fn scatters(&self) -> Option<&Blocked> {
        self.images.as_ref().filter(|_| !self.in_images.output)
    }

    /// Columns a channel of what is not transposed.
    fn lanes(&self) -> usize {
        self.images.map_or(1, |images| images.lanes)
    }

    fn chunks(&self) -> usize {
        self.shares.unwrap_or(self.count * self.row_parts)
    }

    /// (image, part of its rows) of each part of a chunk.
    fn parts(&self, chunk: usize) -> impl Iterator<Item = (usize, usize)> {
        let row_parts = self.row_parts;
        let parts = match self.shares {
            Some(shares) => {
                let own = split(self.count, shares, chunk);
                own.start * row_parts..own.end * row_parts
            }
            None => chunk..chunk + 1,
        };
        parts.map(move |p| (p / row_parts, p % row_parts))
    }

    fn shares(&self, gradient: bool) -> Option<Shares> {
        let (images, lanes) = (self.batch, self.images.as_ref()?.lanes);
        self.shares.map(|_| Shares { phase: 0, images, lanes, inputs: [true, gradient], output: true })
    }
}

/// Pooling of input 0.
pub struct Pool {
    geometry: PoolGeometry,
    cut: Cut,
    run: RowsFn,
    include_pad: bool,
}

/// Gradient of a pooling for its input. Inputs: the activations that were pooled, the output gradient;
/// average pooling does not read the activations, which may be null.
pub struct PoolGrad {
    geometry: PoolGeometry,
    cut: Cut,
    kind: PoolKind,
    run: RowsFn,
    include_pad: bool,
}

fn includes_pad(kind: PoolKind) -> bool {
    kind == PoolKind::Average { count_include_pad: true }
}

impl Pool {
    /// # Errors
    /// As [`PoolGeometry::check`].
    pub fn new(geometry: &PoolGeometry, kind: PoolKind, in_images: BatchBlocked, tier: Tier) -> Result<Self> {
        geometry.check()?;
        let (mut cut, geometry) = Cut::new(geometry, in_images, tier);
        let row = geometry.out_w * geometry.channels;
        cut.row_parts = (geometry.out_h * row).div_ceil(CHUNK).min(geometry.out_h);
        let run = match kind {
            PoolKind::Max => rows::select_max(tier),
            PoolKind::Average { .. } => rows::select_average(tier),
        };
        Ok(Pool { geometry, cut, run, include_pad: includes_pad(kind) })
    }

    /// Most input rows that a chunk reads.
    fn max_input_rows(&self) -> usize {
        let g = &self.geometry;
        ((g.out_h.div_ceil(self.cut.row_parts) - 1) * g.stride_h + g.kernel_h).min(g.in_h)
    }
}

impl PoolGrad {
    /// # Errors
    /// As [`PoolGeometry::check`].
    pub fn new(geometry: &PoolGeometry, kind: PoolKind, in_images: BatchBlocked, tier: Tier) -> Result<Self> {
        geometry.check()?;
        let (mut cut, geometry) = Cut::new(geometry, in_images, tier);
        let row = geometry.in_w * geometry.channels;
        // Blocks of whole strides: where windows do not overlap, no window is visited twice.
        cut.row_parts = (geometry.in_h * row).div_ceil(CHUNK).min(geometry.in_h.div_ceil(geometry.stride_h));
        let run = match kind {
            PoolKind::Max if geometry.tiles() => rows::select_max_grad_disjoint(tier),
            PoolKind::Max => rows::select_max_grad(tier),
            PoolKind::Average { .. } => rows::select_average_grad(tier),
        };
        Ok(PoolGrad { geometry, cut, kind, run, include_pad: includes_pad(kind) })
    }

    /// Input rows of part `part`: cut where windows begin.
    fn input_rows(&self, part: usize) -> Range<usize> {
        let g = &self.geometry;
        let blocks = split(g.in_h.div_ceil(g.stride_h), self.cut.row_parts, part);
        let edge = |b: usize| if b == 0 { 0 } else { (b * g.stride_h).min(g.in_h) };
        edge(blocks.start)..edge(blocks.end)
    }

    fn max_input_rows(&self) -> usize {
        let g = &self.geometry;
        let own = g.in_h.div_ceil(g.stride_h).div_ceil(self.cut.row_parts) * g.stride_h;
        (own + 2 * g.kernel_h).min(g.in_h)
    }

    /// Most output pixels that a chunk reads.
    fn max_outputs(&self) -> usize {
        let g = &self.geometry;
        (self.max_input_rows().div_ceil(g.stride_h) + 1).min(g.out_h) * g.out_w
    }
}

/// Rows `rows` of image `image` of input 0, through the prologue if there is one.
///
/// # Safety
/// Input 0 is accessible, and scratch holds the rows.
unsafe fn source(g: &PoolGeometry, args: &Args, image: usize, rows: &Range<usize>, scratch: *mut f32) -> *const f32 {
    let pixel = (image * g.in_h + rows.start) * g.in_w;
    match args.prologue {
        None => args.inputs[0].wrapping_add(pixel * g.channels),
        Some(hook) => {
            let pixels = rows.len() * g.in_w;
            // SAFETY: the rows lie within the input and fit scratch.
            unsafe { hook.pack(g.channels, scratch, g.channels, pixel, pixels, 0, g.channels) };
            scratch
        }
    }
}

/// The place of row `own.start`, where `src` holds the rows from `read.start`: the gradient kernel counts
/// rows of activations from the first row that it writes.
fn shifted(g: &PoolGeometry, src: *const f32, read: &Range<usize>, own: &Range<usize>) -> *const f32 {
    let row = g.in_w * g.channels;
    src.wrapping_add(own.start * row).wrapping_sub(read.start * row)
}

/// # Safety
/// `tile` holds `pixels` pixels, the first of which is number `pixel` of the output, of `channels`
/// columns each; a channel is `lanes` of them.
unsafe fn finish(
    args: &Args,
    chunk: usize,
    tile: *mut f32,
    [pixel, pixels]: [usize; 2],
    channels: usize,
    lanes: usize,
) {
    // SAFETY: the caller's contract.
    unsafe {
        match args.epilogue {
            Epilogue::None => {}
            Epilogue::Finish(finish) => {
                for i in 0..pixels * channels {
                    *tile.add(i) = finish.one(*tile.add(i), i % channels / lanes, pixel * channels + i);
                }
            }
            Epilogue::Hook(hook) => hook.tile(chunk, tile, channels, pixel, pixels, 0, channels),
        }
    }
}

/// Runs `part` on each part of a chunk, between begin and end of the epilogue.
///
/// # Safety
/// That of `part`.
unsafe fn each_part(cut: &Cut, args: &Args, chunk: usize, part: impl Fn(usize, usize)) {
    if let Epilogue::Hook(hook) = args.epilogue {
        hook.begin(chunk);
    }
    cut.parts(chunk).for_each(|(image, number)| part(image, number));
    if let Epilogue::Hook(hook) = args.epilogue {
        hook.end(chunk);
    }
}

impl Pool {
    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn part(&self, chunk: usize, image: usize, part: usize, args: &Args, scratch: *mut f32) {
        let g = &self.geometry;
        let include_pad = self.include_pad;
        let outputs = split(g.out_h, self.cut.row_parts, part);
        let inputs = g.window_rows(outputs.start).start..g.window_rows(outputs.end - 1).end;
        let pixel = (image * g.out_h + outputs.start) * g.out_w;
        // What is transposed: the input and its staging, and the output.
        let len = inputs.len() * g.in_w * g.channels;
        // SAFETY: the rows lie within input and output, and what is transposed within scratch.
        unsafe {
            let src = match self.cut.gathers(0) {
                Some(images) => {
                    let staging = scratch.add(len);
                    images.gather(args.inputs[0], args.prologue, image, g.in_h, g.in_w, &inputs, scratch, staging);
                    scratch.cast_const()
                }
                None => source(g, args, image, &inputs, scratch),
            };
            let scatters = self.cut.scatters();
            let dst = match scatters {
                Some(_) => scratch.add(len),
                None => args.output.add(pixel * g.channels),
            };
            let pixels = outputs.len() * g.out_w;
            (self.run)(&Work { g, include_pad, outputs: outputs.clone(), inputs, src, dy: std::ptr::null(), dst });
            match scatters {
                Some(images) => images.scatter(args, chunk, image, g.out_h, g.out_w, &outputs, dst),
                None => finish(args, chunk, dst, [pixel, pixels], g.channels, self.cut.lanes()),
            }
        }
    }
}

impl ChunkedKernel for Pool {
    fn phases(&self) -> usize {
        1
    }

    fn chunks(&self, _phase: usize) -> usize {
        self.cut.chunks()
    }

    fn shares(&self) -> Option<Shares> {
        self.cut.shares(false)
    }

    fn scratch_len(&self) -> usize {
        let g = &self.geometry;
        let inputs = self.max_input_rows() * g.in_w * g.channels;
        let outputs = g.out_h.div_ceil(self.cut.row_parts) * g.out_w * g.channels;
        // Staging and output follow the input in turn.
        if self.cut.images.is_some() { inputs + inputs.max(outputs) } else { inputs }
    }

    unsafe fn run_chunk(&self, _phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe { each_part(&self.cut, args, chunk, |image, part| self.part(chunk, image, part, args, scratch)) }
    }
}

impl PoolGrad {
    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn part(&self, chunk: usize, image: usize, part: usize, args: &Args, scratch: *mut f32) {
        let g = &self.geometry;
        let own = self.input_rows(part);
        let outputs = g.reached_by(&own);
        let pixel = (image * g.in_h + own.start) * g.in_w;
        let pixels = own.len() * g.in_w;
        let include_pad = self.include_pad;
        // In scratch: the input gradient, the output gradient, the activations, their staging.
        let dst_len = if self.cut.scatters().is_some() { pixels * g.channels } else { 0 };
        // SAFETY: the rows lie within input and output, and what is transposed within scratch.
        unsafe {
            let dst = match self.cut.scatters() {
                Some(_) => scratch,
                None => args.output.add(pixel * g.channels),
            };
            if !(self.kind == PoolKind::Max && g.tiles()) {
                std::ptr::write_bytes(dst, 0, pixels * g.channels);
            }
            if !outputs.is_empty() {
                let mut free = scratch.add(dst_len);
                let dy = match self.cut.gathers(1) {
                    Some(images) => {
                        let (to, none) = (free, std::ptr::null_mut());
                        images.gather(args.inputs[1], None, image, g.out_h, g.out_w, &outputs, to, none);
                        free = free.add(outputs.len() * g.out_w * g.channels);
                        to.cast_const()
                    }
                    None => args.inputs[1].add((image * g.out_h + outputs.start) * g.out_w * g.channels),
                };
                let mut src = std::ptr::null();
                if self.kind == PoolKind::Max {
                    let read = g.window_rows(outputs.start).start..g.window_rows(outputs.end - 1).end;
                    let x = match self.cut.gathers(0) {
                        Some(images) => {
                            let staging = free.add(read.len() * g.in_w * g.channels);
                            images.gather(args.inputs[0], args.prologue, image, g.in_h, g.in_w, &read, free, staging);
                            free.cast_const()
                        }
                        None => source(g, args, image, &read, free),
                    };
                    src = shifted(g, x, &read, &own);
                }
                (self.run)(&Work { g, include_pad, outputs, inputs: own.clone(), src, dy, dst });
            }
            match self.cut.scatters() {
                Some(images) => images.scatter(args, chunk, image, g.in_h, g.in_w, &own, dst),
                None => finish(args, chunk, dst, [pixel, pixels], g.channels, self.cut.lanes()),
            }
        }
    }
}

impl ChunkedKernel for PoolGrad {
    fn phases(&self) -> usize {
        1
    }

    fn chunks(&self, _phase: usize) -> usize {
        self.cut.chunks()
    }

    fn shares(&self) -> Option<Shares> {
        self.cut.shares(true)
    }

    fn scratch_len(&self) -> usize {
        let g = &self.geometry;
        let inputs = match self.kind {
            PoolKind::Max => self.max_input_rows() * g.in_w * g.channels,
            PoolKind::Average { .. } => 0,
        };
        match &self.cut.images {
            None => inputs,
            Some(_) => 2 * inputs + (self.max_input_rows() * g.in_w + self.max_outputs()) * g.channels,
        }
    }

    unsafe fn run_chunk(&self, _phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe { each_part(&self.cut, args, chunk, |image, part| self.part(chunk, image, part, args, scratch)) }
    }
}
