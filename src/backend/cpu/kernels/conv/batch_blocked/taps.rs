//! Products summed tap by tap.

use super::super::ConvGeometry;
use super::super::axis::Axis;
use super::layout::Layout;
use super::{AcrossBatch, Part, Products, Sides};
use crate::backend::cpu::kernel::BatchBlocked;
use crate::backend::cpu::kernels::attach::Finish;
use crate::backend::cpu::kernels::chunked::split;
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};
use crate::schedule::PackedLayout;

/// Pixels of the largest tile.
pub(super) const PIXELS: usize = 4;
/// Channels of the largest tile.
const CHANNELS: usize = 8;
/// Offsets of the pixels of a tile.
pub(super) type Offsets = [usize; PIXELS];

/// The offsets of pixels `step` apart.
fn steps(step: usize) -> Offsets {
    std::array::from_fn(|p| p * step)
}

/// Tiles: `c[pixel][channel] = Σ_segment Σ_r a[pixel][segment][r] * w[segment][r][channel]`.
pub(super) struct Tile {
    /// Pixels of A and of C.
    pub a_pixels: Offsets,
    pub c_pixels: Offsets,
    pub segments: *const usize,
    pub segment_count: usize,
    /// Elements of a segment.
    pub run: usize,
    /// f32 between segments of W.
    pub w_segment: usize,
    pub w_ld: usize,
    pub finish: Finish,
}

/// The tile at `a`, `w`, `c`, of the channels from `channel`.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn tile<S: Simd, const K: usize, const P: usize>(
    s: S,
    t: &Tile,
    a: *const f32,
    w: *const f32,
    c: *mut f32,
    channel: usize,
) {
    let mut acc = [[s.zero(); P]; K];
    let mut pixels = [0; P];
    for (p, pixel) in pixels.iter_mut().enumerate() {
        *pixel = t.a_pixels[p];
    }
    for segment in 0..t.segment_count {
        let mut w = w.add(segment * t.w_segment);
        let mut a = a.add(*t.segments.add(segment));
        macro_rules! element {
            ($element:literal) => {
                let mut v = [s.zero(); P];
                for (p, v) in v.iter_mut().enumerate() {
                    *v = s.load(a.add($element * S::LANES + pixels[p]));
                }
                for (k, row) in acc.iter_mut().enumerate() {
                    let x = s.splat(*w.add($element * t.w_ld + k));
                    // Not zipped: where that is not inlined, sums leave the registers.
                    for (p, sum) in row.iter_mut().enumerate() {
                        *sum = s.mul_add(x, v[p], *sum);
                    }
                }
            };
        }
        // Where sums fill the registers, two elements written out would send some of them to the stack.
        let pairs = if const { S::TIER.registers() > 16 } { t.run / 2 } else { 0 };
        for _ in 0..pairs {
            element!(0);
            element!(1);
            a = a.add(2 * S::LANES);
            w = w.add(2 * t.w_ld);
        }
        for _ in 2 * pairs..t.run {
            element!(0);
            a = a.add(S::LANES);
            w = w.add(t.w_ld);
        }
    }
    for (k, row) in acc.iter().enumerate() {
        let bias = if t.finish.bias.is_null() { s.zero() } else { s.splat(*t.finish.bias.add(channel + k)) };
        for (p, sum) in row.iter().enumerate() {
            let y = s.add(*sum, bias);
            let y = if t.finish.clamps() { t.finish.clamp(s, y) } else { y };
            s.store(c.add(t.c_pixels[p] + k * S::LANES), y);
        }
    }
}
dispatch! {
    fn select_tile[const K: usize, const P: usize] =>
        unsafe tile(t: &Tile, a: *const f32, w: *const f32, c: *mut f32, channel: usize);
}

type TileFn = unsafe fn(&Tile, *const f32, *const f32, *mut f32, usize);

/// The tiles of `1..=PIXELS` pixels × `k` channels of a tier.
fn tiles(tier: Tier, k: usize) -> [TileFn; PIXELS] {
    macro_rules! of {
        ($k:literal) => {
            [
                select_tile::<$k, 1>(tier),
                select_tile::<$k, 2>(tier),
                select_tile::<$k, 3>(tier),
                select_tile::<$k, 4>(tier),
            ]
        };
    }
    match k {
        1 => of!(1),
        2 => of!(2),
        3 => of!(3),
        4 => of!(4),
        5 => of!(5),
        6 => of!(6),
        7 => of!(7),
        _ => of!(8),
    }
}

/// The tiles of one tier for a number of output channels.
pub(super) struct Tiles {
    lanes: usize,
    out_c: usize,
    /// Most channels and pixels of a tile.
    channels: usize,
    pub pixels: usize,
    /// By channels, by pixels.
    functions: [[TileFn; PIXELS]; CHANNELS],
}

impl Tiles {
    pub fn new(tier: Tier, out_c: usize) -> Self {
        let registers = tier.registers();
        let most = if registers > 16 { CHANNELS } else { 6 };
        let channels = out_c.div_ceil(out_c.div_ceil(most));
        // Sums, one vector per pixel, one broadcast filter element, and a register to spare: where none is left, the
        // compiler moves sums about.
        let pixels = ((registers - 2) / (channels + 1)).min(PIXELS);
        let functions = std::array::from_fn(|k| tiles(tier, k + 1));
        Tiles { lanes: tier.lanes(), out_c, channels, pixels, functions }
    }

    /// Computes all channels of `pixels` pixels at `a`, `w`, `c`.
    ///
    /// # Safety
    /// The tile lies within its operands.
    pub unsafe fn run(&self, pixels: usize, t: &Tile, a: *const f32, w: *const f32, c: *mut f32) {
        let blocks = self.out_c.div_ceil(self.channels);
        for block in 0..blocks {
            let k = split(self.out_c, blocks, block);
            // SAFETY: the channels lie within the filters and the output.
            unsafe {
                self.functions[k.len() - 1][pixels - 1](t, a, w.add(k.start), c.add(k.start * self.lanes), k.start);
            }
        }
    }
}

/// The taps of one pair of row and column classes.
struct TapClass {
    y: usize,
    x: usize,
    filters: Vec<usize>,
    /// Input row offset and layout offset of each run of taps.
    runs: Vec<usize>,
    run: usize,
    taps_before: usize,
}

/// Sums of products tap by tap.
pub struct Taps {
    y: Axis,
    x: Axis,
    in_c: usize,
    out_c: usize,
    lanes: usize,
    taps: usize,
    gradient: bool,
    classes: Vec<TapClass>,
    tiles: Tiles,
    copies: Copies,
}

impl AcrossBatch<Taps> {
    /// The convolution, with input 0 and the output as `images` says.
    pub fn forward(g: &ConvGeometry, images: BatchBlocked, tier: Tier) -> Self {
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::of(g, y, x, [g.in_c, g.out_c], images, false, tier)
    }

    /// Its gradient for the input.
    pub fn input_grad(g: &ConvGeometry, images: BatchBlocked, tier: Tier) -> Self {
        let y = Axis::input_grad(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::input_grad(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::of(g, y, x, [g.out_c, g.in_c], images, true, tier)
    }

    fn of(
        g: &ConvGeometry,
        y: Axis,
        x: Axis,
        [in_c, out_c]: [usize; 2],
        images: BatchBlocked,
        gradient: bool,
        tier: Tier,
    ) -> Self {
        assert_eq!(g.groups, 1, "convolutions across images have no groups");
        let lanes = tier.lanes();
        let layout = Layout::new(&y, &x, in_c, lanes, images.input(0), true);
        let mut classes = Vec::new();
        let mut taps_before = 0;
        for (yi, cy) in y.classes.iter().enumerate() {
            for (xi, cx) in x.classes.iter().enumerate() {
                let filters: Vec<usize> =
                    cy.taps.iter().flat_map(|ky| cx.taps.iter().map(|kx| ky.0 * g.kernel_w + kx.0)).collect();
                let contiguous = cx.taps.windows(2).all(|w| w[1].1 == w[0].1 + 1);
                let per_run = if contiguous { cx.taps.len().max(1) } else { 1 };
                let mut runs = Vec::new();
                for ky in &cy.taps {
                    runs.extend(cx.taps.iter().step_by(per_run).map(|kx| layout.tap(ky.1, kx.1)));
                }
                let count = filters.len();
                classes.push(TapClass { y: yi, x: xi, filters, runs, run: per_run * in_c, taps_before });
                taps_before += count;
            }
        }
        let products = Taps {
            y: y.clone(),
            x: x.clone(),
            in_c,
            out_c,
            lanes,
            taps: g.kernel_h * g.kernel_w,
            gradient,
            classes,
            tiles: Tiles::new(tier, out_c),
            copies: Copies::new(tier),
        };
        Self::new(g.batch, Sides { columns: x.outputs, y, x, in_c, out_c }, products, images, tier)
    }
}

impl Taps {
    /// The outputs of one class of taps.
    ///
    /// # Safety
    /// As [`Products::run`].
    unsafe fn class(&self, class: &TapClass, part: &Part) {
        let (y, x) = (&self.y.classes[class.y], &self.x.classes[class.x]);
        let (layout, indices) = (part.layout, part.indices);
        let out_pixel = self.out_c * self.lanes;
        let w = part.filters.wrapping_add(class.taps_before * self.in_c * self.out_c);
        let runs_per_tap = class.runs.len() / y.taps.len().max(1);
        let first_row = indices.start * self.y.step();
        for i in indices.start..indices.end.min(y.count) {
            let a = part.input.wrapping_add((i - indices.start) * self.y.in_step * layout.row());
            let row = y.start + i * y.step - first_row;
            let c = part.output.wrapping_add((row * self.x.outputs + x.start) * out_pixel);
            // Taps of rows outside the image add nothing.
            let taps = self.y.taps_inside(y, i..i + 1);
            let segments = taps.start * runs_per_tap..taps.end * runs_per_tap;
            let w = w.wrapping_add(segments.start * class.run * self.out_c);
            let tiles = x.count.div_ceil(self.tiles.pixels);
            for t in 0..tiles {
                let pixels = split(x.count, tiles, t);
                // Nor do columns outside, where a run is a whole row of taps.
                let run = match class.run == x.taps.len() * self.in_c {
                    true => self.x.taps_inside(x, pixels.clone()),
                    false => 0..1,
                };
                let run = run.start * self.in_c..run.end * self.in_c;
                let tile = Tile {
                    a_pixels: steps(self.x.in_step * layout.pixel()),
                    c_pixels: steps(x.step * out_pixel),
                    segments: class.runs[segments.clone()].as_ptr(),
                    segment_count: segments.len(),
                    run: run.len(),
                    w_segment: class.run * self.out_c,
                    w_ld: self.out_c,
                    finish: part.finish,
                };
                let a = a.wrapping_add(pixels.start * self.x.in_step * layout.pixel() + run.start * self.lanes);
                let w = w.wrapping_add(run.start * self.out_c);
                let c = c.wrapping_add(pixels.start * x.step * out_pixel);
                // SAFETY: the taps that are left lie within the input, the pixels within the output.
                unsafe { self.tiles.run(pixels.len(), &tile, a, w, c) };
            }
        }
    }
}

impl Products for Taps {
    fn packed_len(&self) -> usize {
        self.taps * self.in_c * self.out_c
    }

    fn packed_layout(&self) -> PackedLayout {
        let taps = self.classes.iter().flat_map(|class| class.filters.iter().copied());
        let numbers = [self.taps, self.in_c, self.out_c, usize::from(self.gradient)];
        PackedLayout::new("taps", numbers.into_iter().chain(taps))
    }

    fn scratch_len(&self, _indices: usize) -> usize {
        0
    }

    unsafe fn pack(&self, filters: *const f32, packed: *mut f32, _scratch: *mut f32) {
        let (c, k) = if self.gradient { (self.out_c, self.in_c) } else { (self.in_c, self.out_c) };
        let taps = self.classes.iter().flat_map(|class| &class.filters);
        for (at, tap) in taps.enumerate() {
            // SAFETY: filters are [tap][input channel][output channel]; there is room for all taps.
            unsafe {
                let (src, dst) = (filters.add(tap * c * k), packed.add(at * c * k));
                match self.gradient {
                    true => self.copies.transpose(src, k, c, k, dst, c, c),
                    false => self.copies.copy(src, k, c, k, dst, k, k),
                }
            }
        }
    }

    unsafe fn run(&self, part: &Part) {
        for class in &self.classes {
            // SAFETY: the caller's contract.
            unsafe { self.class(class, part) };
        }
    }
}
