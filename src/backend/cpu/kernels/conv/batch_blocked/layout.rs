//! The rows of activations that a chunk reads, in the batch-blocked layout.

use super::super::axis::Axis;
use crate::backend::cpu::kernels::attach::PackHook;
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::kernels::shares::Rows;

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
                let (from, image_ld) = match hook {
                    Some(hook) => {
                        for i in 0..rows.images.len() {
                            let (to, c) = (staging.add(i * elements), self.channels);
                            hook.pack(c, to, c, pixel + i * height * width, pixels, 0, c);
                        }
                        (staging.cast_const(), elements)
                    }
                    None => (src.add(pixel * self.channels), height * width * self.channels),
                };
                copies.transpose(from, image_ld, rows.images.len(), elements, to, self.lanes, self.lanes);
            }
        }
        dst
    }
}
