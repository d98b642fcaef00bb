//! The part of an input that a chunk reads, copied once with zeros around the image, and the way
//! a pass is cut into chunks.

use super::axis::Axis;
use crate::backend::cpu::kernels::attach::PackHook;
use crate::backend::cpu::kernels::chunked::split;
use crate::backend::cpu::kernels::gemm::pack::Copies;
use std::ops::Range;

/// Output pixels of a chunk: eight register tiles of the widest set.
const PIXELS: usize = 112;
/// Output pixels of a chunk where filters are large, so that they are streamed less often.
const PIXELS_LARGE_FILTERS: usize = 224;
/// f32 of filters that stay in L2.
const LARGE_FILTERS: usize = 1 << 17;
/// f32 of the largest patch.
const PATCH: usize = 96 * 1024;

/// Images and output rows (as indices of row classes) of a chunk.
#[derive(Clone, Debug)]
pub struct Block {
    pub images: Range<usize>,
    /// Row indices; each stands for `step` output rows.
    pub indices: Range<usize>,
}

/// How images and rows are cut into blocks, and how a block's input is laid out in its patch.
#[derive(Clone, Debug)]
pub struct Cut {
    pub batch: usize,
    pub y: Axis,
    pub x: Axis,
    /// f32 between pixels of a patch.
    pub pitch: usize,
    /// Parts of the batch and of the rows.
    pub image_parts: usize,
    pub row_parts: usize,
}

impl Cut {
    /// Blocks for a pass over `channels` channels with `filters` f32 of filters.
    pub fn new(batch: usize, y: Axis, x: Axis, channels: usize, filters: usize) -> Self {
        // Tiles read one element of up to 14 pixels at a time: keep these in different cache sets.
        let pitch = if (channels * x.in_step).is_multiple_of(512) { channels + 16 } else { channels };
        let mut cut = Cut { batch, y, x, pitch, image_parts: batch, row_parts: 1 };
        // Each pair of classes has tiles of its own.
        let classes = cut.y.classes.len() * cut.x.classes.len();
        let target = classes * if filters > LARGE_FILTERS { PIXELS_LARGE_FILTERS } else { PIXELS };
        let (rows, image) = (cut.row_indices(), cut.y.outputs * cut.x.outputs);
        // Whole images while they are small, else blocks of rows.
        let per_chunk = (target / image).min(batch.div_ceil(16)).min(PATCH / cut.image_patch_len(rows)).max(1);
        cut.image_parts = batch.div_ceil(per_chunk);
        if per_chunk == 1 {
            let per_index = cut.y.step() * cut.x.outputs;
            cut.row_parts = rows.div_ceil((target / per_index).max(1));
            while cut.row_parts < rows && cut.image_patch_len(rows.div_ceil(cut.row_parts)) > PATCH {
                cut.row_parts = (2 * cut.row_parts).min(rows);
            }
        }
        cut
    }

    /// The cut with blocks of about `pixels` output pixels.
    pub fn with_pixels(mut self, pixels: usize, images: usize) -> Self {
        let image = self.y.outputs * self.x.outputs;
        let rows = self.row_indices();
        let per_block = (pixels / image).min(images).min(PATCH / self.image_patch_len(rows)).max(1);
        self.image_parts = self.batch.div_ceil(per_block);
        self.row_parts = 1;
        if per_block == 1 {
            self.row_parts = rows.div_ceil((pixels / (self.y.step() * self.x.outputs)).max(1));
            while self.row_parts < rows && self.image_patch_len(rows.div_ceil(self.row_parts)) > PATCH {
                self.row_parts = (2 * self.row_parts).min(rows);
            }
        }
        self
    }

    /// Cuts rows into twice as many parts, if there are as many.
    pub fn halve_rows(&mut self) -> bool {
        let possible = 2 * self.row_parts <= self.row_indices();
        self.row_parts *= if possible { 2 } else { 1 };
        possible
    }

    /// Cuts into one part more of images, or of rows where each part has one image, if there are as many.
    pub fn add_part(&mut self) {
        if self.image_parts < self.batch {
            self.image_parts += 1;
        } else if self.row_parts < self.row_indices() {
            self.row_parts += 1;
        }
    }

    /// Rows, as indices of row classes.
    fn row_indices(&self) -> usize {
        self.y.outputs.div_ceil(self.y.step())
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.image_parts * self.row_parts
    }

    /// Block number `index`.
    pub fn block(&self, index: usize) -> Block {
        Block {
            images: split(self.batch, self.image_parts, index / self.row_parts),
            indices: split(self.row_indices(), self.row_parts, index % self.row_parts),
        }
    }

    /// f32 between rows of a patch.
    pub fn row_pitch(&self) -> usize {
        self.x.span(self.x.outputs.div_ceil(self.x.step())) * self.pitch
    }

    /// f32 between images of a patch that covers `indices` row indices.
    pub fn image_patch_len(&self, indices: usize) -> usize {
        self.y.span(indices) * self.row_pitch()
    }

    /// f32 of the largest patch, whole cache lines.
    pub fn patch_len(&self) -> usize {
        let (images, rows) = (self.batch.div_ceil(self.image_parts), self.row_indices().div_ceil(self.row_parts));
        (images * self.image_patch_len(rows)).next_multiple_of(16)
    }

    /// Most output pixels of a block.
    pub fn max_pixels(&self) -> usize {
        let rows = self.row_indices().div_ceil(self.row_parts) * self.y.step();
        self.batch.div_ceil(self.image_parts) * rows.min(self.y.outputs) * self.x.outputs
    }

    /// Output rows that a block covers in each of its images.
    pub fn output_rows(&self, block: &Block) -> Range<usize> {
        block.indices.start * self.y.step()..(block.indices.end * self.y.step()).min(self.y.outputs)
    }

    /// First output pixel and number of pixels of a block, which follow one another.
    pub fn output_pixels(&self, block: &Block) -> (usize, usize) {
        let rows = self.output_rows(block);
        let first = (block.images.start * self.y.outputs + rows.start) * self.x.outputs;
        (first, block.images.len() * rows.len() * self.x.outputs)
    }

    /// The pixels of the input that a block reads: for each image, whole rows.
    pub fn input_pixels(&self, block: &Block) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let (height, width) = (self.y.inputs as isize, self.x.inputs);
        let top = (block.indices.start * self.y.in_step) as isize + self.y.lo;
        let bottom = top + self.y.span(block.indices.len()) as isize;
        let [first, last] = [top, bottom].map(|y| y.clamp(0, height) as usize);
        let height = self.y.inputs;
        block.images.clone().map(move |image| (image * height + first) * width..(image * height + last) * width)
    }

    /// Copies the block's input to `patch`: `channels` of pixels that are `ld` f32 apart.
    ///
    /// # Safety
    /// `src` is the whole input, if there is no hook, and `patch` holds `patch_len` elements.
    #[allow(clippy::too_many_arguments, reason = "source, place and destination of a copy")]
    pub unsafe fn pack(
        &self,
        copies: &Copies,
        hook: Option<&dyn PackHook>,
        src: *const f32,
        ld: usize,
        channels: Range<usize>,
        block: &Block,
        patch: *mut f32,
    ) {
        let (height, width) = (self.y.inputs as isize, self.x.inputs as isize);
        let columns = self.x.span(self.x.outputs.div_ceil(self.x.step()));
        let top = (block.indices.start * self.y.in_step) as isize + self.y.lo;
        // Patch columns left..right lie inside the image.
        let left = (-self.x.lo).clamp(0, columns as isize) as usize;
        let right = (width - self.x.lo).clamp(left as isize, columns as isize) as usize;
        let row_pitch = self.row_pitch();
        let mut row = patch;
        for image in block.images.clone() {
            for y in 0..self.y.span(block.indices.len()) {
                let in_y = top + y as isize;
                // SAFETY: the row lies within the patch, and its columns left..right within the image.
                unsafe {
                    if !(0..height).contains(&in_y) || left == right {
                        std::ptr::write_bytes(row, 0, row_pitch);
                    } else {
                        std::ptr::write_bytes(row, 0, left * self.pitch);
                        std::ptr::write_bytes(row.add(right * self.pitch), 0, (columns - right) * self.pitch);
                        let in_x = (left as isize + self.x.lo) as usize;
                        let pixel = (image * self.y.inputs + in_y as usize) * self.x.inputs + in_x;
                        let to = row.add(left * self.pitch);
                        let (pixels, channel0, channels) = (right - left, channels.start, channels.len());
                        let from = |src: *const f32| src.add(pixel * ld + channel0);
                        match hook {
                            Some(hook) => hook.pack(ld, to, self.pitch, pixel, pixels, channel0, channels),
                            None if ld == channels && self.pitch == channels => {
                                let len = pixels * channels;
                                copies.copy(from(src), len, 1, len, to, len, len);
                            }
                            None => copies.copy(from(src), ld, pixels, channels, to, self.pitch, channels),
                        }
                    }
                    row = row.add(row_pitch);
                }
            }
        }
    }

    /// Offset in the patch of output pixel (image, row index, column index), relative to the block.
    pub fn pixel_offset(&self, block: &Block, image: usize, row: usize, column: usize) -> usize {
        (image * self.y.span(block.indices.len()) + row * self.y.in_step) * self.row_pitch()
            + column * self.x.in_step * self.pitch
    }

    /// Offset in the patch of the tap at input offset (y, x).
    pub fn tap_offset(&self, y: isize, x: isize) -> usize {
        (y - self.y.lo) as usize * self.row_pitch() + (x - self.x.lo) as usize * self.pitch
    }
}
