//! Products at the points of F(M, R) along rows: per point, a convolution of columns by filters of one column.

use super::super::ConvGeometry;
use super::super::axis::Axis;
use super::points::{GatherRow, POINTS, SpreadRow, Transforms};
use super::taps::{PIXELS, Tile, Tiles};
use super::{AcrossBatch, Part, Products, Sides};
use crate::backend::cpu::kernel::BatchBlocked;
use crate::backend::cpu::kernels::attach::Finish;
use crate::backend::cpu::kernels::chunked::split;
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::kernels::tile::ONE_SEGMENT;
use crate::backend::cpu::simd::Tier;
use crate::schedule::PackedLayout;
use std::ops::Range;

/// f32 that a band of rows has at all points before they become outputs, so that they stay near L1.
const BAND: usize = 10 * 1024;

/// Whether `BlockedWinograd` can compute a convolution and its gradients.
pub fn supports(g: &ConvGeometry) -> bool {
    Transforms::WIDTHS.contains(&g.kernel_w) && [g.groups, g.stride_h, g.stride_w, g.dilation_h, g.dilation_w] == [1; 5]
}

/// Tiles of a row of outputs, each of nine points.
pub fn tiles(g: &ConvGeometry) -> usize {
    g.out_w.div_ceil(POINTS + 1 - g.kernel_w)
}

/// An axis that is read as it is.
pub(super) fn unpadded(len: usize) -> Axis {
    Axis::forward(len, len, 1, 1, 0, 1)
}

/// The values of rows at all points, `[point][tile][row][channel][image]`.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    pub tiles: usize,
    pub rows: usize,
    /// f32 of the channels of a row.
    pub pixel: usize,
    /// f32 between points.
    pub plane: usize,
}

impl Planes {
    pub fn new(tiles: usize, rows: usize, channels: usize, lanes: usize) -> Self {
        let pixel = channels * lanes;
        // Points that lie a power of two apart would share the same few lines of L1.
        Planes { tiles, rows, pixel, plane: tiles * rows * pixel + lanes }
    }

    pub fn len(&self) -> usize {
        POINTS * self.plane
    }

    /// f32 between tiles.
    pub fn tile(&self) -> usize {
        self.rows * self.pixel
    }

    /// Clears row `row`.
    ///
    /// # Safety
    /// `dst` holds the planes.
    pub unsafe fn clear(&self, dst: *mut f32, row: usize) {
        for at in (0..POINTS * self.tiles).map(|i| i / self.tiles * self.plane + i % self.tiles * self.tile()) {
            // SAFETY: the row lies within the planes.
            unsafe { dst.add(at + row * self.pixel).write_bytes(0, self.pixel) };
        }
    }
}

/// Sums of products at points.
pub struct Winograd {
    y: Axis,
    in_c: usize,
    out_c: usize,
    lanes: usize,
    gradient: bool,
    kernel_w: usize,
    pad_left: usize,
    /// Columns of input and output.
    in_columns: usize,
    columns: usize,
    row_tiles: usize,
    transforms: Transforms,
    tiles: Tiles,
    copies: Copies,
}

impl AcrossBatch<Winograd> {
    /// The convolution, with input 0 and the output as `images` says. Panics where [`supports`] is false.
    pub fn forward(g: &ConvGeometry, images: BatchBlocked, tier: Tier) -> Self {
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, 1, g.pad_top, 1);
        Self::of(g, y, [g.in_c, g.out_c], [g.in_w, g.out_w], images, false, tier)
    }

    /// Its gradient for the input. Panics where [`supports`] is false.
    pub fn input_grad(g: &ConvGeometry, images: BatchBlocked, tier: Tier) -> Self {
        let y = Axis::input_grad(g.in_h, g.out_h, g.kernel_h, 1, g.pad_top, 1);
        Self::of(g, y, [g.out_c, g.in_c], [g.out_w, g.in_w], images, true, tier)
    }

    fn of(
        g: &ConvGeometry,
        y: Axis,
        [in_c, out_c]: [usize; 2],
        [in_columns, columns]: [usize; 2],
        images: BatchBlocked,
        gradient: bool,
        tier: Tier,
    ) -> Self {
        let transforms = Transforms::new(g.kernel_w, tier).filter(|_| supports(g));
        let Some(transforms) = transforms else {
            panic!("F(M, R) along rows needs filters of 3, 5 or 7 columns and stride 1, received {g:?}")
        };
        let products = Winograd {
            y: y.clone(),
            in_c,
            out_c,
            lanes: tier.lanes(),
            gradient,
            kernel_w: g.kernel_w,
            pad_left: g.pad_left,
            in_columns,
            columns,
            row_tiles: tiles(g),
            transforms,
            tiles: Tiles::new(tier, out_c),
            copies: Copies::new(tier),
        };
        Self::new(g.batch, Sides { y, x: unpadded(in_columns), columns, in_c, out_c }, products, images, tier)
    }
}

impl Winograd {
    /// f32 of the filters at one point.
    fn filters(&self) -> usize {
        self.y.classes[0].taps.len() * self.in_c * self.out_c
    }

    /// The input at all points, for parts of `indices` row indices.
    fn input(&self, indices: usize) -> Planes {
        Planes::new(self.row_tiles, self.y.span(indices), self.in_c, self.lanes)
    }

    /// A band of the output at all points, in a part of `indices` row indices.
    fn band(&self, indices: usize) -> Planes {
        let row = POINTS * self.row_tiles * self.out_c * self.lanes;
        // Rows whose tiles fill register tiles.
        let whole = (1..=self.tiles.pixels).find(|rows| (rows * self.row_tiles).is_multiple_of(self.tiles.pixels));
        let rows = (BAND / row).max(1).next_multiple_of(whole.unwrap_or(1)).min(indices.max(1));
        Planes::new(self.row_tiles, rows, self.out_c, self.lanes)
    }

    /// The rows of the part at the points.
    ///
    /// # Safety
    /// As [`Products::run`]; `dst` holds `planes`.
    unsafe fn spread(&self, part: &Part, planes: &Planes, dst: *mut f32) {
        let t = &self.transforms;
        let top = part.indices.start as isize + self.y.lo;
        for row in 0..planes.rows {
            // SAFETY: rows inside the image lie within the input, all within the planes.
            unsafe {
                if !(0..self.y.inputs as isize).contains(&(top + row as isize)) {
                    planes.clear(dst, row);
                    continue;
                }
                let spread = if self.gradient { t.output_grad } else { t.window };
                spread(&SpreadRow {
                    src: part.input.wrapping_add(row * part.layout.row()),
                    columns: self.in_columns,
                    channels: self.in_c,
                    first: if self.gradient { 0 } else { -(self.pad_left as isize) },
                    step: t.outputs,
                    tiles: self.row_tiles,
                    dst: dst.add(row * planes.pixel),
                    plane: planes.plane,
                    tile: planes.tile(),
                });
            }
        }
    }
}

impl Winograd {
    /// Sums of products for the rows `rows` of a part, at all points.
    ///
    /// # Safety
    /// As [`Products::run`]; the part's scratch holds its input at the points, `sums` a band.
    unsafe fn products(&self, part: &Part, input: &Planes, band: &Planes, rows: &Range<usize>, sums: *mut f32) {
        let y = &self.y.classes[0];
        let positions = rows.len() * self.row_tiles;
        let blocks = positions.div_ceil(self.tiles.pixels);
        for block in 0..blocks {
            let block = split(positions, blocks, block);
            let (first, last) = (block.start / self.row_tiles, (block.end - 1) / self.row_tiles);
            // Taps of rows outside the image add nothing.
            let reached = part.indices.start + rows.start;
            let taps = self.y.taps_inside(y, reached + first..reached + last + 1);
            let (mut a_pixels, mut c_pixels) = ([0; PIXELS], [0; PIXELS]);
            for (p, position) in block.clone().enumerate() {
                let (row, tile) = (position / self.row_tiles, position % self.row_tiles);
                a_pixels[p] = tile * input.tile() + (rows.start + row + taps.start) * input.pixel;
                c_pixels[p] = tile * band.tile() + row * band.pixel;
            }
            let tile = Tile {
                a_pixels,
                c_pixels,
                segments: ONE_SEGMENT.as_ptr(),
                segment_count: 1,
                run: taps.len() * self.in_c,
                w_segment: 0,
                w_ld: self.out_c,
                finish: Finish::NONE,
            };
            let w = part.filters.wrapping_add(taps.start * self.in_c * self.out_c);
            for point in 0..POINTS {
                // SAFETY: the pixels lie within the planes, the taps within the filters.
                unsafe {
                    let (a, c) = (part.scratch.add(point * input.plane), sums.add(point * band.plane));
                    self.tiles.run(block.len(), &tile, a, w.add(point * self.filters()), c);
                }
            }
        }
    }
}

impl Products for Winograd {
    fn packed_len(&self) -> usize {
        POINTS * self.filters()
    }

    fn packed_layout(&self) -> PackedLayout {
        let numbers = [POINTS, self.kernel_w, self.in_c, self.out_c, usize::from(self.gradient)];
        let rows = self.y.classes[0].taps.iter().map(|tap| tap.0);
        PackedLayout::new("points of rows", numbers.into_iter().chain(rows))
    }

    fn scratch_len(&self, indices: usize) -> usize {
        let filters = POINTS * (self.in_c * self.out_c).next_multiple_of(self.lanes);
        (self.input(indices).len() + self.band(indices).len()).max(filters)
    }

    unsafe fn pack(&self, filters: *const f32, packed: *mut f32, scratch: *mut f32) {
        let matrix = self.in_c * self.out_c;
        for (at, tap) in self.y.classes[0].taps.iter().enumerate() {
            // SAFETY: filters are [row][column][input channel][output channel]; there is room for all points.
            unsafe {
                let (src, dst) = (filters.add(tap.0 * self.kernel_w * matrix), packed.add(at * matrix));
                if !self.gradient {
                    (self.transforms.taps)(src, matrix, matrix, dst, self.filters());
                    continue;
                }
                (self.transforms.taps)(src, matrix, matrix, scratch, matrix);
                for point in 0..POINTS {
                    let (src, dst) = (scratch.add(point * matrix), dst.add(point * self.filters()));
                    self.copies.transpose(src, self.in_c, self.out_c, self.in_c, dst, self.out_c, self.out_c);
                }
            }
        }
    }

    unsafe fn run(&self, part: &Part) {
        let rows = part.indices.len();
        let (input, band) = (self.input(rows), self.band(rows));
        let sums = part.scratch.wrapping_add(input.len());
        // SAFETY: planes lie within scratch, rows within the output.
        unsafe {
            self.spread(part, &input, part.scratch);
            for first in (0..rows).step_by(band.rows) {
                let rows = first..(first + band.rows).min(rows);
                self.products(part, &input, &band, &rows, sums);
                let t = &self.transforms;
                let gather = if self.gradient { t.window_grad } else { t.output };
                for (at, row) in rows.enumerate() {
                    gather(&GatherRow {
                        src: sums.add(at * band.pixel),
                        plane: band.plane,
                        tile: band.tile(),
                        tiles: self.row_tiles,
                        channels: self.out_c,
                        dst: part.output.add(row * self.columns * self.out_c * self.lanes),
                        columns: self.columns,
                        first: if self.gradient { -(self.pad_left as isize) } else { 0 },
                        finish: part.finish,
                    });
                }
            }
        }
    }
}
