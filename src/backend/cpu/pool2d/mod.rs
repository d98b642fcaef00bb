//! 2-D max and average pooling on NHWC activations, forward and gradient.
//!
//! A vector is as many channels of one pixel, or, where channels are few, the same element of as many
//! images. Elements outside the image are excluded from windows; a chunk is a block of rows.

mod images;
mod rows;
#[cfg(test)]
mod tests;

use super::attach::Epilogue;
use super::chunked::{Args, ChunkedKernel, split};
use super::simd::Tier;
use crate::error::{Error, Result};
use images::Images;
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

/// Pooling of input 0.
pub struct Pool {
    geometry: PoolGeometry,
    images: Option<Images>,
    row_parts: usize,
    run: RowsFn,
    include_pad: bool,
}

/// Gradient of a pooling for its input. Inputs: the activations that were pooled, the output gradient;
/// average pooling does not read the activations, which may be null.
pub struct PoolGrad {
    geometry: PoolGeometry,
    images: Option<Images>,
    kind: PoolKind,
    row_parts: usize,
    run: RowsFn,
    include_pad: bool,
}

fn includes_pad(kind: PoolKind) -> bool {
    kind == PoolKind::Average { count_include_pad: true }
}

impl Pool {
    /// # Errors
    /// As [`PoolGeometry::check`].
    pub fn new(geometry: &PoolGeometry, kind: PoolKind, tier: Tier) -> Result<Self> {
        geometry.check()?;
        let images = Images::suits(geometry, tier);
        let geometry = &images.map_or(*geometry, |images| images.wide(geometry));
        let row = geometry.out_w * geometry.channels;
        let row_parts = (geometry.out_h * row).div_ceil(CHUNK).min(geometry.out_h);
        let run = match kind {
            PoolKind::Max => rows::select_max(tier),
            PoolKind::Average { .. } => rows::select_average(tier),
        };
        Ok(Pool { geometry: *geometry, images, row_parts, run, include_pad: includes_pad(kind) })
    }

    /// Most input rows that a chunk reads.
    fn max_input_rows(&self) -> usize {
        let g = &self.geometry;
        ((g.out_h.div_ceil(self.row_parts) - 1) * g.stride_h + g.kernel_h).min(g.in_h)
    }
}

impl PoolGrad {
    /// # Errors
    /// As [`PoolGeometry::check`].
    pub fn new(geometry: &PoolGeometry, kind: PoolKind, tier: Tier) -> Result<Self> {
        geometry.check()?;
        let images = Images::suits(geometry, tier);
        let geometry = &images.map_or(*geometry, |images| images.wide(geometry));
        let row = geometry.in_w * geometry.channels;
        // Blocks of whole strides: where windows do not overlap, no window is visited twice.
        let row_parts = (geometry.in_h * row).div_ceil(CHUNK).min(geometry.in_h.div_ceil(geometry.stride_h));
        let run = match kind {
            PoolKind::Max => rows::select_max_grad(tier),
            PoolKind::Average { .. } => rows::select_average_grad(tier),
        };
        Ok(PoolGrad { geometry: *geometry, images, kind, row_parts, run, include_pad: includes_pad(kind) })
    }

    /// Input rows of part `part`: cut where windows begin.
    fn input_rows(&self, part: usize) -> Range<usize> {
        let g = &self.geometry;
        let blocks = split(g.in_h.div_ceil(g.stride_h), self.row_parts, part);
        let edge = |b: usize| if b == 0 { 0 } else { (b * g.stride_h).min(g.in_h) };
        edge(blocks.start)..edge(blocks.end)
    }

    fn max_input_rows(&self) -> usize {
        let g = &self.geometry;
        let own = g.in_h.div_ceil(g.stride_h).div_ceil(self.row_parts) * g.stride_h;
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
    let src = args.inputs[0].wrapping_add(pixel * g.channels);
    match args.prologue {
        None => src,
        Some(hook) => {
            let pixels = rows.len() * g.in_w;
            // SAFETY: the rows lie within the input and fit scratch.
            unsafe { hook.pack(src, g.channels, scratch, g.channels, pixel, pixels, 0, g.channels) };
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
/// `tile` holds `pixels` pixels, the first of which is number `pixel` of the output.
unsafe fn finish(args: &Args, chunk: usize, tile: *mut f32, pixel: usize, pixels: usize, channels: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        match args.epilogue {
            Epilogue::None => {}
            Epilogue::Bias { bias, relu } => {
                for i in 0..pixels * channels {
                    let v = *tile.add(i) + *bias.add(i % channels);
                    *tile.add(i) = if relu && v < 0.0 { 0.0 } else { v };
                }
            }
            Epilogue::Hook(hook) => {
                hook.begin(chunk);
                hook.tile(chunk, tile, channels, pixel, pixels, 0, channels);
                hook.end(chunk);
            }
        }
    }
}

impl ChunkedKernel for Pool {
    fn phases(&self) -> usize {
        1
    }

    fn chunks(&self, _phase: usize) -> usize {
        self.geometry.batch * self.row_parts
    }

    fn workspace_len(&self) -> usize {
        0
    }

    fn scratch_len(&self) -> usize {
        let g = &self.geometry;
        let inputs = self.max_input_rows() * g.in_w * g.channels;
        let outputs = g.out_h.div_ceil(self.row_parts) * g.out_w * g.channels;
        // Across images: the wide input, its staging, and the wide output.
        if self.images.is_some() { 2 * inputs + outputs } else { inputs }
    }

    unsafe fn run_chunk(&self, _phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        let g = &self.geometry;
        let (image, part) = (chunk / self.row_parts, chunk % self.row_parts);
        let outputs = split(g.out_h, self.row_parts, part);
        let inputs = g.window_rows(outputs.start).start..g.window_rows(outputs.end - 1).end;
        let pixel = (image * g.out_h + outputs.start) * g.out_w;
        // SAFETY: the rows lie within input and output, and what is wide within scratch.
        unsafe {
            let include_pad = self.include_pad;
            if let Some(images) = &self.images {
                let (wide_in, wide_out) = (inputs.len() * g.in_w * g.channels, outputs.len() * g.out_w);
                let (dst, staging) = (scratch.add(wide_in), scratch.add(wide_in + wide_out * g.channels));
                images.gather(args.inputs[0], args.prologue, image, g.in_h, g.in_w, &inputs, scratch, staging);
                let (src, dy) = (scratch.cast_const(), std::ptr::null());
                (self.run)(&Work { g, include_pad, outputs: outputs.clone(), inputs, src, dy, dst });
                return images.scatter(args, chunk, image, g.out_h, g.out_w, &outputs, dst);
            }
            let src = source(g, args, image, &inputs, scratch);
            let dst = args.output.add(pixel * g.channels);
            let pixels = outputs.len() * g.out_w;
            (self.run)(&Work { g, include_pad, outputs, inputs, src, dy: std::ptr::null(), dst });
            finish(args, chunk, dst, pixel, pixels, g.channels);
        }
    }
}

impl ChunkedKernel for PoolGrad {
    fn phases(&self) -> usize {
        1
    }

    fn chunks(&self, _phase: usize) -> usize {
        self.geometry.batch * self.row_parts
    }

    fn workspace_len(&self) -> usize {
        0
    }

    fn scratch_len(&self) -> usize {
        let g = &self.geometry;
        let inputs = match self.kind {
            PoolKind::Max => self.max_input_rows() * g.in_w * g.channels,
            PoolKind::Average { .. } => 0,
        };
        match &self.images {
            None => inputs,
            // The wide input and its staging, the wide input gradient, the wide output gradient.
            Some(_) => 2 * inputs + (self.max_input_rows() * g.in_w + self.max_outputs()) * g.channels,
        }
    }

    unsafe fn run_chunk(&self, _phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        let g = &self.geometry;
        let (image, part) = (chunk / self.row_parts, chunk % self.row_parts);
        let own = self.input_rows(part);
        let outputs = g.reached_by(&own);
        let pixel = (image * g.in_h + own.start) * g.in_w;
        let include_pad = self.include_pad;
        // SAFETY: the rows lie within input and output, and what is wide within scratch.
        unsafe {
            if let Some(images) = &self.images {
                let (dst, dst_len) = (scratch, own.len() * g.in_w * g.channels);
                std::ptr::write_bytes(dst, 0, dst_len);
                if !outputs.is_empty() {
                    let dy = scratch.add(dst_len);
                    let src = dy.add(outputs.len() * g.out_w * g.channels);
                    let none = std::ptr::null_mut();
                    images.gather(args.inputs[1], None, image, g.out_h, g.out_w, &outputs, dy, none);
                    let mut from = std::ptr::null();
                    if self.kind == PoolKind::Max {
                        let read = g.window_rows(outputs.start).start..g.window_rows(outputs.end - 1).end;
                        let staging = src.add(read.len() * g.in_w * g.channels);
                        images.gather(args.inputs[0], args.prologue, image, g.in_h, g.in_w, &read, src, staging);
                        from = shifted(g, src, &read, &own);
                    }
                    (self.run)(&Work { g, include_pad, outputs, inputs: own.clone(), src: from, dy, dst });
                }
                return images.scatter(args, chunk, image, g.in_h, g.in_w, &own, dst);
            }
            let dst = args.output.add(pixel * g.channels);
            let pixels = own.len() * g.in_w;
            std::ptr::write_bytes(dst, 0, pixels * g.channels);
            if !outputs.is_empty() {
                let dy = args.inputs[1].add((image * g.out_h + outputs.start) * g.out_w * g.channels);
                let mut src = std::ptr::null();
                if self.kind == PoolKind::Max {
                    let read = g.window_rows(outputs.start).start..g.window_rows(outputs.end - 1).end;
                    src = shifted(g, source(g, args, image, &read, scratch), &read, &own);
                }
                (self.run)(&Work { g, include_pad, outputs, inputs: own, src, dy, dst });
            }
            finish(args, chunk, dst, pixel, pixels, g.channels);
        }
    }
}
