//! Convolutions with few output channels: a vector is the same element of as many images.
//!
//! Activations are laid out `[row][column][channel][image]`, so that all lanes are full at any number of
//! channels. Where neighbours keep them so ([`BatchBlocked`]), kernels read and write them in place; else
//! they are transposed from and to NHWC at the border.
//!
//! [`Taps`] sums products tap by tap, [`Winograd`] at the points of F(M, R) along rows.

mod filter_grad;
mod layout;
mod points;
mod taps;
mod winograd;

use super::axis::Axis;
use crate::backend::cpu::kernel::BatchBlocked;
use crate::backend::cpu::kernels::attach::{Epilogue, Finish};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, Shares};
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::kernels::shares::{Batch, Rows};
use crate::backend::cpu::simd::Tier;
use crate::schedule::PackedLayout;
pub use filter_grad::BlockedFilterGrad;
use layout::Layout;
use std::ops::Range;
use taps::Taps;
use winograd::Winograd;
pub use winograd::{supports as blocked_winograd_supports, tiles as blocked_winograd_tiles};

/// Products summed tap by tap.
pub type BlockedConv = AcrossBatch<Taps>;
/// Products at points.
pub type BlockedWinograd = AcrossBatch<Winograd>;

/// A part of a vector of images.
pub struct Part<'a> {
    layout: &'a Layout<'a>,
    /// Row indices to compute.
    indices: &'a Range<usize>,
    /// What [`Layout::read`] returned for them.
    input: *const f32,
    /// Their rows, `[row][column][channel][image]`.
    output: *mut f32,
    /// Packed filters.
    filters: *const f32,
    finish: Finish,
    scratch: *mut f32,
}

/// How products of activations and filters are summed.
pub trait Products: Send + Sync {
    /// f32 of the packed filters.
    fn packed_len(&self) -> usize;

    /// How they lie in memory.
    fn packed_layout(&self) -> PackedLayout;

    /// f32 of scratch: to pack filters, and for parts of `indices` row indices.
    fn scratch_len(&self, indices: usize) -> usize;

    /// Packs the filters HWIO at `filters`.
    ///
    /// # Safety
    /// They have the geometry's sizes, `packed` and `scratch` the lengths above.
    unsafe fn pack(&self, filters: *const f32, packed: *mut f32, scratch: *mut f32);

    /// Computes the rows of a part.
    ///
    /// # Safety
    /// The part is as its fields say.
    unsafe fn run(&self, part: &Part);
}

/// The activations on both sides.
struct Sides {
    /// Rows, and the columns of a copy of the input.
    y: Axis,
    x: Axis,
    /// Columns of the output.
    columns: usize,
    in_c: usize,
    out_c: usize,
}

/// A convolution without groups, or its input gradient, across images.
/// Inputs: activations (or output gradient), filters HWIO.
pub struct AcrossBatch<P: Products> {
    batch: Batch,
    images: BatchBlocked,
    sides: Sides,
    products: P,
    copies: Copies,
}

impl<P: Products> AcrossBatch<P> {
    fn new(batch: usize, sides: Sides, products: P, images: BatchBlocked, tier: Tier) -> Self {
        let Sides { y, x, columns, in_c, out_c } = &sides;
        let lanes = tier.lanes();
        images.check(batch, lanes);
        let layout = Layout::new(y, x, *in_c, lanes, images.input(0), true);
        let batch = Batch::new(batch, lanes, y.outputs.div_ceil(y.step()), |indices| {
            let output = if images.output { 0 } else { indices * y.step() * columns * out_c * lanes };
            layout.len(indices) + output + products.scratch_len(indices)
        });
        AcrossBatch { batch, images, sides, products, copies: Copies::new(tier) }
    }

    fn layout(&self) -> Layout<'_> {
        let Sides { y, x, in_c, .. } = &self.sides;
        Layout::new(y, x, *in_c, self.batch.lanes, self.images.input(0), true)
    }

    /// f32 of the input layout, of the output layout, of staging, and for the products.
    fn scratch_parts(&self) -> [usize; 4] {
        let Sides { y, columns, out_c, .. } = &self.sides;
        let indices = self.batch.part_rows();
        let output = match self.images.output {
            true => 0,
            false => indices * y.step() * columns * out_c * self.batch.lanes,
        };
        [self.layout().len(indices), output, self.layout().staging_len(), self.products.scratch_len(indices)]
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, rows: &Rows, chunk: usize, args: &Args, scratch: *mut f32) {
        let lanes = self.batch.lanes;
        let Rows { images, indices, .. } = rows;
        let Sides { y, columns, out_c, .. } = &self.sides;
        let layout = self.layout();
        let [input_len, output_len, staging_len, _] = self.scratch_parts();
        let staging = scratch.wrapping_add(input_len + output_len);
        // Output rows: their number, the first, and f32 between them.
        let step = y.step();
        let out_rows = indices.start * step..(indices.end * step).min(y.outputs);
        let out_pixel = out_c * lanes;
        let first_pixel = (rows.vector * y.outputs + out_rows.start) * columns;
        let output = match self.images.output {
            true => args.output.wrapping_add(first_pixel * out_pixel),
            false => scratch.wrapping_add(input_len),
        };
        let finish = args.epilogue.finish();
        debug_assert!(finish.residual.is_null(), "outputs in the batch-blocked layout take a residual as a hook");
        // SAFETY: layouts lie within scratch or the operands.
        unsafe {
            let input = layout.read(&self.copies, args.prologue, args.inputs[0], rows, scratch, staging);
            let (layout, filters, scratch) = (&layout, args.packed.cast_const(), staging.wrapping_add(staging_len));
            self.products.run(&Part { layout, indices, input, output, filters, finish, scratch });
            let pixels = out_rows.len() * columns;
            if self.images.output {
                if let Epilogue::Hook(hook) = args.epilogue {
                    hook.tile(chunk, output, out_pixel, first_pixel, pixels, 0, out_pixel);
                }
                return;
            }
            let image_ld = y.outputs * columns * out_c;
            let elements = pixels * out_c;
            let out = args.output.add(images.start * image_ld + out_rows.start * columns * out_c);
            self.copies.transpose(output, lanes, elements, images.len(), out, image_ld, elements);
            if let Epilogue::Hook(hook) = args.epilogue {
                for (i, image) in images.clone().enumerate() {
                    let row = (image * y.outputs + out_rows.start) * columns;
                    hook.tile(chunk, out.add(i * image_ld), *out_c, row, pixels, 0, *out_c);
                }
            }
        }
    }
}

impl<P: Products> ChunkedKernel for AcrossBatch<P> {
    fn phases(&self) -> usize {
        2
    }

    fn chunks(&self, phase: usize) -> usize {
        if phase == 0 { 1 } else { self.batch.chunks }
    }

    fn packed_len(&self) -> usize {
        self.products.packed_len()
    }

    fn packed_layout(&self) -> PackedLayout {
        self.products.packed_layout()
    }

    fn shares(&self) -> Option<Shares> {
        let Batch { images, lanes, .. } = self.batch;
        let shares = Shares { phase: 1, images, lanes, inputs: [true, false], output: true };
        self.batch.by_shares.then_some(shares)
    }

    fn scratch_len(&self) -> usize {
        self.scratch_parts().iter().sum()
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            if phase == 0 {
                return self.products.pack(args.inputs[1], args.packed, scratch);
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
