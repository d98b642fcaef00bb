//! The gradient of depthwise convolutions for their filters: the sums of a few taps in registers, pixel by pixel.

use super::ConvGeometry;
use super::axis::Axis;
use super::depthwise::{PIXELS, Repeat, SLACK, TapClass, tap_classes};
use super::filter_grad::{Combine, image_groups};
use super::patch::{Block, Cut};
use crate::backend::cpu::kernels::attach::PackHook;
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, split};
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};

/// Taps whose sums stay in registers.
const TAPS: usize = 9;

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
