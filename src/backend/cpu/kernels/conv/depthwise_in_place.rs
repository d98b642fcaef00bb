//! Tiles of depthwise convolutions that read the input where it lies, whatever the size of windows and maps.
//!
//! A tile has a pointer for each tap of each of its pixels; taps outside the image point to zeros. So pixels of all rows of
//! a small map fill tiles, at its borders too, and nothing is copied. Which element a tap reads is a table of the geometry.
//! A pointer is fetched for each multiply-add of a vector, so on large maps of few channels a padded copy is faster.

use super::ConvGeometry;
use super::axis::Axis;
use crate::backend::cpu::kernels::attach::Finish;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};
use std::mem::MaybeUninit;

/// Pixels of a tile.
const PIXELS: usize = 8;
/// Most taps of a window.
const TAPS: usize = 64;
/// Most taps of all windows of an image: the table stays in L2.
const ENTRIES: usize = 1 << 16;
/// Channels of which a multiple would have the taps of a tile share cache sets.
const ALIASING: usize = 512;
/// Channels from which on a tile's pointers cost less than a copy of what it reads, where zeros around the image make the
/// copy larger than its input by [`PADDED`].
const WIDE: usize = 128;
const PADDED: [usize; 2] = [3, 2];
/// A tap outside the image.
const OUTSIDE: u32 = u32::MAX;

/// A tile: `c[pixel][..] = Σ_tap input[tap of pixel][..] * w[tap][..]`.
struct Tile {
    /// The image of each pixel, and what its taps read there.
    images: [*const f32; PIXELS],
    offsets: [*const u32; PIXELS],
    taps: usize,
    /// As many zeros as the tile has channels.
    zeros: *const f32,
    w: *const f32,
    w_taps: *const usize,
    channels: usize,
    c: *mut f32,
    /// f32 from pixel to pixel of C; the residual's pixels lie as those of C do.
    ld: usize,
    finish: Finish,
}

type Pointers = [[MaybeUninit<*const f32>; TAPS]; PIXELS];

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn tile<S: Simd, const P: usize>(s: S, t: &Tile) {
    let mut pointers: Pointers = [[MaybeUninit::uninit(); TAPS]; PIXELS];
    for (p, pointers) in pointers.iter_mut().enumerate().take(P) {
        let offsets = std::slice::from_raw_parts(t.offsets[p], t.taps);
        for (pointer, &offset) in pointers.iter_mut().zip(offsets) {
            let inside = t.images[p].wrapping_add(offset as usize);
            pointer.write(if offset == OUTSIDE { t.zeros } else { inside });
        }
    }
    let mut at = 0;
    while at + S::LANES <= t.channels {
        vector::<S, P, true>(s, t, &pointers, at, S::LANES);
        at += S::LANES;
    }
    if at < t.channels {
        vector::<S, P, false>(s, t, &pointers, at, t.channels - at);
    }
}
dispatch! { fn select_tile[const P: usize] => unsafe tile(t: &Tile); }

/// `FULL`: whether `n` is a whole vector.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn vector<S: Simd, const P: usize, const FULL: bool>(s: S, t: &Tile, pointers: &Pointers, at: usize, n: usize) {
    let load = |p: *const f32| if FULL { s.load(p) } else { s.load_first(p, n) };
    let finish = &t.finish;
    let mut acc = [if finish.bias.is_null() { s.zero() } else { load(finish.bias.add(at)) }; P];
    for tap in 0..t.taps {
        let w = load(t.w.add(*t.w_taps.add(tap) + at));
        for (p, sum) in acc.iter_mut().enumerate() {
            let x = pointers[p].get_unchecked(tap).assume_init();
            *sum = s.mul_add(load(x.add(at)), w, *sum);
        }
    }
    for (p, sum) in acc.iter().enumerate() {
        let mut v = *sum;
        if !finish.residual.is_null() {
            v = s.add(v, load(finish.residual.add(p * t.ld + at)));
        }
        if finish.clamps() {
            v = finish.clamp(s, v);
        }
        let c = t.c.add(p * t.ld + at);
        if FULL { s.store(c, v) } else { s.store_first(c, v, n) }
    }
}

/// What the windows of an image read, and the tiles of a tier.
pub(super) struct InPlace {
    /// For each output pixel, the element that each tap reads, before the channel; or [`OUTSIDE`].
    offsets: Vec<u32>,
    taps: usize,
    /// f32 of an image, and outputs of one.
    image: usize,
    pixels: usize,
    /// f32 from pixel to pixel, of input and output alike.
    channels: usize,
    tiles: [unsafe fn(&Tile); PIXELS],
}

/// Output pixels of one chunk, one behind the other, and where they lie.
pub(super) struct Pixels {
    /// Number of the first among those of all images, and how many there are.
    pub first: usize,
    pub count: usize,
    /// The whole input, at the first channel.
    pub input: *const f32,
    /// Filters at the first channel, and from there to each tap.
    pub filters: *const f32,
    pub filter_taps: *const usize,
    /// The first channel of the first pixel.
    pub output: *mut f32,
    /// Channels of the chunk.
    pub channels: usize,
    /// For the first pixel.
    pub finish: Finish,
    /// Room for as many f32.
    pub zeros: *mut f32,
}

impl InPlace {
    /// Tiles for the pass whose axes these are; none where a padded copy is cheaper, a table would be large, a window has
    /// too many taps, or outputs fall into classes that have other taps each.
    pub fn new(g: &ConvGeometry, y: &Axis, x: &Axis, tier: Tier) -> Option<Self> {
        let ([rows], [columns]) = (&y.classes[..], &x.classes[..]) else { return None };
        let (taps, pixels) = (rows.taps.len() * columns.taps.len(), y.outputs * x.outputs);
        let image = y.inputs * x.inputs * g.in_c;
        let fits = taps <= TAPS && pixels * taps <= ENTRIES && image < OUTSIDE as usize;
        let [copied, read] = [y.span(y.outputs) * x.span(x.outputs), y.inputs * x.inputs];
        let pays = g.in_c >= WIDE && copied * PADDED[1] >= read * PADDED[0];
        if g.in_c != g.out_c || g.in_c.is_multiple_of(ALIASING) || !fits || !pays {
            return None;
        }
        let inside = |axis: &Axis, i: usize, offset: isize| {
            let at = (i * axis.in_step) as isize + offset;
            (0..axis.inputs as isize).contains(&at).then_some(at as usize)
        };
        let mut offsets = Vec::with_capacity(pixels * taps);
        for pixel in 0..pixels {
            for ky in &rows.taps {
                for kx in &columns.taps {
                    let at = inside(y, pixel / x.outputs, ky.1).zip(inside(x, pixel % x.outputs, kx.1));
                    offsets.push(at.map_or(OUTSIDE, |(i, j)| ((i * x.inputs + j) * g.in_c) as u32));
                }
            }
        }
        let tiles = [
            select_tile::<1>(tier),
            select_tile::<2>(tier),
            select_tile::<3>(tier),
            select_tile::<4>(tier),
            select_tile::<5>(tier),
            select_tile::<6>(tier),
            select_tile::<7>(tier),
            select_tile::<8>(tier),
        ];
        Some(InPlace { offsets, taps, image, pixels, channels: g.in_c, tiles })
    }

    /// Computes pixels.
    ///
    /// # Safety
    /// Input, filters and output are those of the geometry, and `zeros` holds the chunk's channels.
    pub unsafe fn run(&self, w: &Pixels) {
        let tiles = w.count.div_ceil(PIXELS);
        // SAFETY: the caller's contract: every offset is an element of an image.
        unsafe {
            w.zeros.write_bytes(0, w.channels);
            let mut done = 0;
            for t in 0..tiles {
                let count = (w.count - done).div_ceil(tiles - t);
                let mut images = [std::ptr::null(); PIXELS];
                let mut offsets = [std::ptr::null(); PIXELS];
                for (p, (image, offset)) in images.iter_mut().zip(&mut offsets).enumerate().take(count) {
                    let pixel = w.first + done + p;
                    *image = w.input.add(pixel / self.pixels * self.image);
                    *offset = self.offsets.as_ptr().add(pixel % self.pixels * self.taps);
                }
                let at = done * self.channels;
                self.tiles[count - 1](&Tile {
                    images,
                    offsets,
                    taps: self.taps,
                    zeros: w.zeros,
                    w: w.filters,
                    w_taps: w.filter_taps,
                    channels: w.channels,
                    c: w.output.add(at),
                    ld: self.channels,
                    finish: w.finish.from(0, at),
                });
                done += count;
            }
        }
    }
}
