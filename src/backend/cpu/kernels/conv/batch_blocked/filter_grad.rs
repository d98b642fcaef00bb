//! Gradient for the filters with a vector of images: tiles of (tap, input channel) × output channel,
//! summed over pixels, and over the lanes at the end. At the points of F(M, R) along rows, taps are those of one column.

use super::super::ConvGeometry;
use super::super::axis::Axis;
use super::super::filter_grad::Combine;
use super::layout::Layout;
use super::points::{POINTS, SpreadRow, Transforms};
use super::winograd::{self, Planes, unpadded};
use crate::backend::cpu::kernel::BatchBlocked;
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, Shares, split};
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::kernels::shares::{Batch, MAX_SHARES, Rows};
use crate::backend::cpu::simd::{Simd, Tier, dispatch};

/// Rows (tap, input channel) and output channels of the largest tile.
const ROWS: usize = 6;
const CHANNELS: usize = 4;

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
unsafe fn tile<S: Simd, const R: usize, const K: usize>(s: S, t: &Tile) {
    let mut acc = [[s.zero(); K]; R];
    let mut dy = t.dy;
    for y in 0..t.height {
        let mut x = [t.x; R];
        for (r, x) in x.iter_mut().enumerate() {
            *x = t.x.add(y * t.x_row + *t.rows.add(r));
        }
        let mut at = 0;
        for _ in 0..t.width {
            let mut d = [s.zero(); K];
            for (k, d) in d.iter_mut().enumerate() {
                *d = s.load(dy.add(k * S::LANES));
            }
            for r in 0..R {
                let v = s.load(x[r].add(at));
                for k in 0..K {
                    acc[r][k] = s.mul_add(v, d[k], acc[r][k]);
                }
            }
            at += t.x_step;
            dy = dy.add(t.dy_step);
        }
    }
    for (r, row) in acc.iter().enumerate() {
        let mut sums = [s.zero(); CHANNELS];
        #[allow(clippy::manual_memcpy, reason = "a copy by call would take the sums out of registers")]
        for k in 0..K {
            sums[k] = row[k];
        }
        let sums = s.reduce_add4(&sums);
        for (k, &sum) in sums.iter().enumerate().take(K) {
            let w = t.w.add(r * t.w_ld + k);
            *w = if t.add { *w + sum } else { sum };
        }
    }
}
dispatch! { fn select_tile[const R: usize, const K: usize] => unsafe tile(t: &Tile); }

type TileFn = unsafe fn(&Tile);

fn tiles(tier: Tier, k: usize) -> [TileFn; ROWS] {
    macro_rules! of {
        ($k:literal) => {
            [
                select_tile::<1, $k>(tier),
                select_tile::<2, $k>(tier),
                select_tile::<3, $k>(tier),
                select_tile::<4, $k>(tier),
                select_tile::<5, $k>(tier),
                select_tile::<6, $k>(tier),
            ]
        };
    }
    match k {
        1 => of!(1),
        2 => of!(2),
        3 => of!(3),
        _ => of!(4),
    }
}

/// Gradient of a convolution without groups for its filters, across images.
/// Inputs: activations, output gradient. Output: HWIO.
pub struct BlockedFilterGrad {
    geometry: ConvGeometry,
    y: Axis,
    x: Axis,
    batch: Batch,
    images: BatchBlocked,
    parts: usize,
    /// Most rows and channels of a tile.
    rows: usize,
    channels: usize,
    offsets: Vec<usize>,
    tiles: [[TileFn; ROWS]; CHANNELS],
    /// Where products are summed at points.
    points: Option<Transforms>,
    copies: Copies,
    combine: Combine,
}

/// Activations and output gradient, as the tiles read them: `height` × `width` pixels.
#[derive(Clone, Copy)]
struct Pixels {
    x: *const f32,
    x_step: usize,
    x_row: usize,
    dy: *const f32,
    height: usize,
    width: usize,
}

impl BlockedFilterGrad {
    /// The gradient for a geometry, tap by tap, with inputs as `images` says.
    pub fn new(g: &ConvGeometry, images: BatchBlocked, tier: Tier) -> Self {
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::of(g, x, None, images, tier)
    }

    /// The gradient at points. Panics where [`winograd::supports`] is false.
    pub fn winograd(g: &ConvGeometry, images: BatchBlocked, tier: Tier) -> Self {
        let transforms = Transforms::new(g.kernel_w, tier).filter(|_| winograd::supports(g));
        let Some(transforms) = transforms else {
            panic!("F(M, R) along rows needs filters of 3, 5 or 7 columns and stride 1, received {g:?}")
        };
        Self::of(g, unpadded(g.in_w), Some(transforms), images, tier)
    }

    fn of(g: &ConvGeometry, x: Axis, points: Option<Transforms>, images: BatchBlocked, tier: Tier) -> Self {
        assert_eq!(g.groups, 1, "convolutions across images have no groups");
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let lanes = tier.lanes();
        images.check(g.batch, lanes);
        let layout = Layout::new(&y, &x, g.in_c, lanes, images.input(0), points.is_some());
        let offsets = match points {
            // Taps are rows of the planes.
            Some(_) => (0..g.kernel_h * g.in_c).map(|row| row * lanes).collect(),
            None => {
                let rows = y.classes[0].taps.iter();
                let taps = rows.flat_map(|ky| x.classes[0].taps.iter().map(|kx| layout.tap(ky.1, kx.1)));
                taps.flat_map(|tap| (0..g.in_c).map(move |c| tap + c * lanes)).collect()
            }
        };
        let offsets: Vec<usize> = offsets;
        // With the channels' vectors and one of a row, sums fill all registers but one or two: where none is left,
        // the compiler moves them about.
        let (rows, channels) = if tier.registers() > 16 { (ROWS, CHANNELS) } else { (ROWS, 2) };
        let channels = g.out_c.div_ceil(g.out_c.div_ceil(channels));
        let batch = Batch::new(g.batch, lanes, g.out_h, |rows| {
            let dy = if images.input(1) { 0 } else { rows * g.out_w * g.out_c * lanes };
            let planes = points.map_or(0, |_| planes(g, &y, rows, lanes).iter().map(Planes::len).sum());
            layout.len(rows) + dy + planes
        });
        let parts = batch.chunks.min(MAX_SHARES);
        let combine = Combine::new(parts, g.kernel_h * g.kernel_w * g.in_c, g.out_c, tier);
        let tiles = std::array::from_fn(|k| tiles(tier, k + 1));
        let copies = Copies::new(tier);
        BlockedFilterGrad {
            geometry: *g,
            y,
            x,
            batch,
            images,
            parts,
            rows,
            channels,
            offsets,
            tiles,
            points,
            copies,
            combine,
        }
    }

    fn layout(&self) -> Layout<'_> {
        let skips_rows = self.points.is_some();
        Layout::new(&self.y, &self.x, self.geometry.in_c, self.batch.lanes, self.images.input(0), skips_rows)
    }

    /// Activations and output gradient of `rows` rows at all points.
    fn planes(&self, rows: usize) -> [Planes; 2] {
        planes(&self.geometry, &self.y, rows, self.batch.lanes)
    }

    /// f32 of the activations, of the output gradient, of staging, of both at points, and of sums there.
    fn scratch_parts(&self) -> [usize; 5] {
        let g = &self.geometry;
        let rows = self.batch.part_rows();
        let dy = if self.images.input(1) { 0 } else { rows * g.out_w * g.out_c * self.batch.lanes };
        let planes = self.points.map_or(0, |_| self.planes(rows).iter().map(Planes::len).sum());
        let sums = self.points.map_or(0, |_| POINTS * self.offsets.len() * g.out_c);
        [self.layout().len(rows), dy, self.layout().staging_len(), planes, sums]
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, part: usize, args: &Args, scratch: *mut f32) {
        let g = &self.geometry;
        let layout = self.layout();
        let lanes = self.batch.lanes;
        let [x_len, dy_len, staging_len, planes_len, _] = self.scratch_parts();
        let (copy, staging) = (scratch.wrapping_add(x_len), scratch.wrapping_add(x_len + dy_len));
        let planes = staging.wrapping_add(staging_len);
        let at_points = planes.wrapping_add(planes_len);
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
                if let Some(transforms) = &self.points {
                    self.at_points(transforms, &layout, &rows, [x, dy], planes, at_points, number > 0);
                    continue;
                }
                let (x_step, x_row) = (self.x.in_step * layout.pixel(), self.y.in_step * layout.row());
                let pixels = Pixels { x, x_step, x_row, dy, height: indices.len(), width: g.out_w };
                self.products(&pixels, sums, number > 0);
            }
            let Some(transforms) = &self.points else { return };
            let (row, plane) = (g.in_c * g.out_c, self.offsets.len() * g.out_c);
            for ky in 0..g.kernel_h {
                let dst = sums.add(ky * g.kernel_w * row);
                (transforms.taps_grad)(at_points.add(ky * row), plane, row, dst, row);
            }
        }
    }

    /// Products of a part at points, to sums `[point][tap][input channel][output channel]`.
    ///
    /// # Safety
    /// `x` and `dy` are the rows of the part, `planes` and `sums` hold what [`Self::scratch_parts`] says.
    #[allow(clippy::too_many_arguments, reason = "a part and its scratch")]
    unsafe fn at_points(
        &self,
        t: &Transforms,
        layout: &Layout,
        rows: &Rows,
        [x, dy]: [*const f32; 2],
        planes: *mut f32,
        sums: *mut f32,
        add: bool,
    ) {
        let g = &self.geometry;
        let [of_x, of_dy] = self.planes(rows.indices.len());
        let gradients = planes.wrapping_add(of_x.len());
        let top = rows.indices.start as isize + self.y.lo;
        // SAFETY: rows inside the image lie within the operands, all within the planes.
        unsafe {
            for row in 0..of_x.rows {
                if !(0..g.in_h as isize).contains(&(top + row as isize)) {
                    of_x.clear(planes, row);
                    continue;
                }
                (t.window)(&SpreadRow {
                    src: x.wrapping_add(row * layout.row()),
                    columns: g.in_w,
                    channels: g.in_c,
                    first: -(g.pad_left as isize),
                    step: t.outputs,
                    tiles: of_x.tiles,
                    dst: planes.add(row * of_x.pixel),
                    plane: of_x.plane,
                    tile: of_x.tile(),
                });
            }
            for row in 0..of_dy.rows {
                (t.output_grad)(&SpreadRow {
                    src: dy.add(row * g.out_w * of_dy.pixel),
                    columns: g.out_w,
                    channels: g.out_c,
                    first: 0,
                    step: t.outputs,
                    tiles: of_dy.tiles,
                    dst: gradients.add(row * of_dy.pixel),
                    plane: of_dy.plane,
                    tile: of_dy.tile(),
                });
            }
            for point in 0..POINTS {
                let pixels = Pixels {
                    x: planes.add(point * of_x.plane),
                    x_step: of_x.pixel,
                    x_row: of_x.tile(),
                    dy: gradients.add(point * of_dy.plane),
                    height: of_dy.tiles,
                    width: of_dy.rows,
                };
                self.products(&pixels, sums.add(point * self.offsets.len() * g.out_c), add);
            }
        }
    }

    /// Products of all rows (tap, input channel) with all output channels.
    ///
    /// # Safety
    /// The pixels are as their fields say, `sums` holds rows × output channels.
    unsafe fn products(&self, pixels: &Pixels, sums: *mut f32, add: bool) {
        let (out_c, lanes) = (self.geometry.out_c, self.batch.lanes);
        let tiles = self.offsets.len().div_ceil(self.rows);
        let blocks = out_c.div_ceil(self.channels);
        for block in 0..blocks {
            let k = split(out_c, blocks, block);
            for t in 0..tiles {
                let r = split(self.offsets.len(), tiles, t);
                // SAFETY: the caller's contract.
                unsafe {
                    self.tiles[k.len() - 1][r.len() - 1](&Tile {
                        x: pixels.x,
                        rows: self.offsets[r.start..].as_ptr(),
                        x_step: pixels.x_step,
                        x_row: pixels.x_row,
                        dy: pixels.dy.add(k.start * lanes),
                        dy_step: out_c * lanes,
                        height: pixels.height,
                        width: pixels.width,
                        w: sums.add(r.start * out_c + k.start),
                        w_ld: out_c,
                        add,
                    });
                }
            }
        }
    }
}

/// Activations and output gradient of `rows` rows at all points.
fn planes(g: &ConvGeometry, y: &Axis, rows: usize, lanes: usize) -> [Planes; 2] {
    let tiles = winograd::tiles(g);
    [Planes::new(tiles, y.span(rows), g.in_c, lanes), Planes::new(tiles, rows, g.out_c, lanes)]
}

impl ChunkedKernel for BlockedFilterGrad {
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
        let Batch { images, lanes, .. } = self.batch;
        let shares = Shares { phase: 0, images, lanes, inputs: [true, true], output: false };
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
