//! Pooling with a vector of images: to the row kernels, the images of a vector are more channels.

use super::{PoolGeometry, finish};
use crate::backend::cpu::kernels::attach::PackHook;
use crate::backend::cpu::kernels::chunked::Args;
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::simd::Tier;
use std::ops::Range;

/// How NHWC activations become `[group of images][row][column][channel][image]`, and back.
#[derive(Clone, Copy)]
pub(super) struct Blocked {
    batch: usize,
    channels: usize,
    pub lanes: usize,
    copies: Copies,
}

impl Blocked {
    /// Present where channels would leave half of the lanes empty, and images fill them.
    pub fn suits(g: &PoolGeometry, tier: Tier) -> Option<Blocked> {
        let lanes = tier.lanes();
        let filled = 4 * g.batch >= 3 * g.batch.next_multiple_of(lanes);
        (2 * g.channels <= lanes && filled).then(|| Blocked::new(g, tier))
    }

    /// For any number of channels.
    pub fn new(g: &PoolGeometry, tier: Tier) -> Blocked {
        Blocked { batch: g.batch, channels: g.channels, lanes: tier.lanes(), copies: Copies::new(tier) }
    }

    /// The geometry that the row kernels see.
    pub fn wide(&self, g: &PoolGeometry) -> PoolGeometry {
        PoolGeometry { batch: g.batch.div_ceil(self.lanes), channels: g.channels * self.lanes, ..*g }
    }

    fn group(&self, group: usize) -> Range<usize> {
        group * self.lanes..((group + 1) * self.lanes).min(self.batch)
    }

    /// Copies rows `rows` of a group, of maps of `height` × `width`, to `dst`.
    ///
    /// # Safety
    /// `src` is a whole tensor, `dst` holds the rows, and so does `staging` where there is a hook.
    #[allow(clippy::too_many_arguments, reason = "source, place and destination of a copy")]
    pub unsafe fn gather(
        &self,
        src: *const f32,
        hook: Option<&dyn PackHook>,
        group: usize,
        height: usize,
        width: usize,
        rows: &Range<usize>,
        dst: *mut f32,
        staging: *mut f32,
    ) {
        let images = self.group(group);
        let (c, pixels) = (self.channels, rows.len() * width);
        let elements = pixels * c;
        // SAFETY: the caller's contract.
        unsafe {
            let (from, image_ld) = match hook {
                Some(hook) => {
                    for (i, image) in images.clone().enumerate() {
                        let pixel = (image * height + rows.start) * width;
                        hook.pack(c, staging.add(i * elements), c, pixel, pixels, 0, c);
                    }
                    (staging.cast_const(), elements)
                }
                None => (src.add((images.start * height + rows.start) * width * c), height * width * c),
            };
            self.copies.transpose(from, image_ld, images.len(), elements, dst, self.lanes, self.lanes);
        }
    }

    /// Copies rows `rows` of a group from `src` to the output, and runs the epilogue.
    ///
    /// # Safety
    /// `src` holds the rows, the output whole maps of `height` × `width`.
    #[allow(clippy::too_many_arguments, reason = "source, place and destination of a copy")]
    pub unsafe fn scatter(
        &self,
        args: &Args,
        chunk: usize,
        group: usize,
        height: usize,
        width: usize,
        rows: &Range<usize>,
        src: *const f32,
    ) {
        let images = self.group(group);
        let (c, pixels) = (self.channels, rows.len() * width);
        let (elements, image_ld) = (pixels * c, height * width * c);
        // SAFETY: the caller's contract.
        unsafe {
            let pixel = (images.start * height + rows.start) * width;
            let to = args.output.add(pixel * c);
            self.copies.transpose(src, self.lanes, elements, images.len(), to, image_ld, elements);
            for i in 0..images.len() {
                let pixel = pixel + i * height * width;
                finish(args, chunk, to.add(i * image_ld), [pixel, pixels], c, 1);
            }
        }
    }
}
