//! Gradient for the filters with a vector of images: tiles of (tap, input channel) × output channel,
//! summed over pixels, and over the lanes at the end.

use super::ConvGeometry;
use super::axis::Axis;
use super::filter_grad::Combine;
use super::images::Layout;
use crate::backend::cpu::chunked::{Args, ChunkedKernel, Shares, split};
use crate::backend::cpu::gemm::pack::Copies;
use crate::backend::cpu::kernel::InImages;
use crate::backend::cpu::shares::{Batch, MAX_SHARES};
use crate::backend::cpu::simd::{Simd, Tier};
use crate::dispatch;

/// Rows (tap, input channel) and output channels of the largest tile.
const ROWS: usize = 4;
const CHANNELS: usize = 6;

/// One tile: `w[row][channel] += Σ_pixel Σ_image x[pixel + row] * dy[pixel][channel]`.
struct Tile {
    x: *const f32,
    /// Offset of each row from a pixel.
    rows: *const usize,
    /// f32 between pixels, and between rows of pixels.
    x_step: usize,
    x_row: usize,
    dy: *const f32,
    dy_step: usize,
    height: usize,
    width: usize,
    w: *mut f32,
    w_ld: usize,
    add: bool,
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn tile<S: Simd, const R: usize, const K: usize>(t: &Tile) {
    let mut acc = [[S::zero(); K]; R];
    let mut dy = t.dy;
    for y in 0..t.height {
        let mut x = [t.x; R];
        for (r, x) in x.iter_mut().enumerate() {
            *x = t.x.add(y * t.x_row + *t.rows.add(r));
        }
        let mut at = 0;
        for _ in 0..t.width {
            let mut d = [S::zero(); K];
            for (k, d) in d.iter_mut().enumerate() {
                *d = S::load(dy.add(k * S::LANES));
            }
            for r in 0..R {
                let v = S::load(x[r].add(at));
                for k in 0..K {
                    acc[r][k] = S::mul_add(v, d[k], acc[r][k]);
                }
            }
            at += t.x_step;
            dy = dy.add(t.dy_step);
        }
    }
    for (r, row) in acc.iter().enumerate() {
        for (k, sum) in row.iter().enumerate() {
            let w = t.w.add(r * t.w_ld + k);
            *w = if t.add { *w + S::reduce_add(*sum) } else { S::reduce_add(*sum) };
        }
    }
}
dispatch! { fn select_tile[const R: usize, const K: usize] => tile(t: &Tile); }

type TileFn = unsafe fn(&Tile);

fn tiles(tier: Tier, k: usize) -> [TileFn; ROWS] {
    macro_rules! of {
        ($k:literal) => {
            [
                select_tile::<1, $k>(tier),
                select_tile::<2, $k>(tier),
                select_tile::<3, $k>(tier),
                select_tile::<4, $k>(tier),
            ]
        };
    }
    match k {
        1 => of!(1),
        2 => of!(2),
        3 => of!(3),
        4 => of!(4),
        5 => of!(5),
        _ => of!(6),
    }
}

/// Gradient of a convolution without groups for its filters, across images.
/// Inputs: activations, output gradient. Output: HWIO.
pub struct ImagesFilterGrad {
    geometry: ConvGeometry,
    y: Axis,
    x: Axis,
    batch: Batch,
    images: InImages,
    parts: usize,
    /// Most rows and channels of a tile.
    rows: usize,
    channels: usize,
    offsets: Vec<usize>,
    tiles: [[TileFn; ROWS]; CHANNELS],
    copies: Copies,
    combine: Combine,
}

impl ImagesFilterGrad {
    /// The gradient for a geometry, with inputs as `images` says.
    pub fn new(g: &ConvGeometry, images: InImages, tier: Tier) -> Self {
        assert_eq!(g.groups, 1, "convolutions across images have no groups");
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        let lanes = tier.lanes();
        let layout = Layout::new(&y, &x, g.in_c, lanes, images.input(0), false);
        let mut offsets = Vec::new();
        for ky in &y.classes[0].taps {
            for kx in &x.classes[0].taps {
                offsets.extend((0..g.in_c).map(|c| layout.tap(ky.1, kx.1) + c * lanes));
            }
        }
        let (rows, channels) = match tier {
            Tier::Avx512 | Tier::Neon => (ROWS, CHANNELS),
            Tier::Avx2 | Tier::Scalar => (3, 3),
        };
        let channels = g.out_c.div_ceil(g.out_c.div_ceil(channels));
        let batch = Batch::new(g.batch, lanes, g.out_h, |rows| {
            let dy = if images.input(1) { 0 } else { rows * g.out_w * g.out_c * lanes };
            layout.len(rows) + dy
        });
        let parts = batch.chunks.min(MAX_SHARES);
        let combine = Combine::new(parts, offsets.len(), g.out_c, tier);
        let tiles = std::array::from_fn(|k| tiles(tier, k + 1));
        let copies = Copies::new(tier);
        ImagesFilterGrad { geometry: *g, y, x, batch, images, parts, rows, channels, offsets, tiles, copies, combine }
    }

    fn layout(&self) -> Layout<'_> {
        Layout::new(&self.y, &self.x, self.geometry.in_c, self.batch.lanes, self.images.input(0), false)
    }

    /// f32 of the activations, of the output gradient, and of staging.
    fn scratch_parts(&self) -> [usize; 3] {
        let g = &self.geometry;
        let rows = self.batch.part_rows();
        let dy = if self.images.input(1) { 0 } else { rows * g.out_w * g.out_c * self.batch.lanes };
        [self.layout().len(rows), dy, self.layout().staging_len()]
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, part: usize, args: &Args, scratch: *mut f32) {
        let g = &self.geometry;
        let layout = self.layout();
        let lanes = self.batch.lanes;
        let [x_len, dy_len, _] = self.scratch_parts();
        let (copy, staging) = (scratch.wrapping_add(x_len), scratch.wrapping_add(x_len + dy_len));
        let tiles = self.offsets.len().div_ceil(self.rows);
        // SAFETY: layouts lie within scratch or the operands, sums within the part's filters.
        unsafe {
            let sums = args.workspace.add(part * g.filter_len());
            for (number, rows) in self.batch.parts(self.parts, part).enumerate() {
                let x = layout.read(&self.copies, args.prologue, args.inputs[0], &rows, scratch, staging);
                let (images, indices) = (&rows.images, &rows.indices);
                let dy = if self.images.input(1) {
                    args.inputs[1].add((rows.vector * g.out_h + indices.start) * g.out_w * g.out_c * lanes)
                } else {
                    let image_ld = g.out_h * g.out_w * g.out_c;
                    let elements = indices.len() * g.out_w * g.out_c;
                    let from = args.inputs[1].add(images.start * image_ld + indices.start * g.out_w * g.out_c);
                    self.copies.transpose(from, image_ld, images.len(), elements, copy, lanes, lanes);
                    copy.cast_const()
                };
                for k in (0..g.out_c).step_by(self.channels) {
                    let channels = self.channels.min(g.out_c - k);
                    for t in 0..tiles {
                        let r = split(self.offsets.len(), tiles, t);
                        self.tiles[channels - 1][r.len() - 1](&Tile {
                            x,
                            rows: self.offsets[r.start..].as_ptr(),
                            x_step: self.x.in_step * layout.pixel(),
                            x_row: self.y.in_step * layout.row(),
                            dy: dy.add(k * lanes),
                            dy_step: g.out_c * lanes,
                            height: indices.len(),
                            width: g.out_w,
                            w: sums.add(r.start * g.out_c + k),
                            w_ld: g.out_c,
                            add: number > 0,
                        });
                    }
                }
            }
        }
    }
}

impl ChunkedKernel for ImagesFilterGrad {
    fn phases(&self) -> usize {
        2
    }

    fn chunks(&self, phase: usize) -> usize {
        if phase == 0 { self.parts } else { self.combine.chunks() }
    }

    fn workspace_len(&self) -> usize {
        self.parts * self.geometry.filter_len()
    }

    fn shares(&self) -> Option<Shares> {
        let shares = Shares { phase: 0, images: self.batch.images, inputs: [true, true], output: false };
        self.batch.by_shares.then_some(shares)
    }

    fn scratch_len(&self) -> usize {
        self.scratch_parts().iter().sum()
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
