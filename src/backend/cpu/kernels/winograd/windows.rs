//! Tiles of outputs and the windows that they read.

use super::filters::Parity;
use super::transform::{Form, MAX_OUTPUTS, MAX_POINTS, OutputFn, WindowFn};
use crate::backend::cpu::kernels::attach::{Epilogue, PackHook};
use crate::backend::cpu::kernels::chunked::Args;
use crate::backend::cpu::kernels::prefetch::Span;
use smallvec::SmallVec;
use std::ops::Range;

/// Tiles of one row of an image: `y`, `x` in tiles.
pub(super) struct Run {
    pub image: usize,
    pub y: usize,
    pub x: Range<usize>,
    /// Index of the first in its block.
    pub first: usize,
}

/// The tiles of all outputs, numbered along rows of images.
///
/// With a `step` of 2, as the input gradient of a strided convolution has it, a tile's output is four pixels, one of
/// each parity, whose channels follow one another in the products: those of output (y, x) begin at pixel
/// (2y − `before`, 2x − `before`).
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub form: Form,
    pub batch: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub step: usize,
    pub before: [usize; 2],
}

impl Grid {
    /// Tiles that cover `pixels`, the first `before` of which are absent.
    fn tiles(&self, pixels: usize, before: usize) -> usize {
        (pixels + before).div_ceil(self.step * self.form.outputs())
    }

    pub fn width(&self) -> usize {
        self.tiles(self.out_w, self.before[1])
    }

    pub fn height(&self) -> usize {
        self.tiles(self.out_h, self.before[0])
    }

    pub fn len(&self) -> usize {
        self.batch * self.height() * self.width()
    }

    /// The runs of a block of tiles.
    pub fn runs(&self, tiles: Range<usize>) -> impl Iterator<Item = Run> + Clone + use<> {
        let (width, height, mut at) = (self.width(), self.height(), tiles.start);
        let start = tiles.start;
        std::iter::from_fn(move || {
            (at < tiles.end).then(|| {
                let (row, x) = (at / width, at % width);
                let len = (width - x).min(tiles.end - at);
                let run = Run { image: row / height, y: row % height, x: x..x + len, first: at - start };
                at += len;
                run
            })
        })
    }

    /// Memory of the pixels of a block of tiles in `[N, H, W, ld]`, the outputs or what lies as they do.
    pub fn spans(
        self,
        tiles: Range<usize>,
        base: *const f32,
        ld: usize,
        channels: Range<usize>,
    ) -> impl Iterator<Item = Span> + Clone {
        self.runs(tiles).flat_map(move |run| {
            let (y, x) = self.pixels(&run);
            let (rows, first) = (y.len(), (run.image * self.out_h + y.start) * self.out_w);
            let channels = channels.clone();
            (0..rows).flat_map(move |y| {
                let row = first + y * self.out_w;
                Span::pixels(base, ld, row + x.start..row + x.end, &channels)
            })
        })
    }

    /// Rows and columns of an image's outputs that a run writes.
    fn pixels(&self, run: &Run) -> (Range<usize>, Range<usize>) {
        let m = self.step * self.form.outputs();
        let within = |tiles: Range<usize>, before: usize, end: usize| {
            (m * tiles.start).saturating_sub(before)..(m * tiles.end - before).min(end)
        };
        (within(run.y..run.y + 1, self.before[0], self.out_h), within(run.x.clone(), self.before[1], self.out_w))
    }

    /// The outputs of a tile in `[N, H, W, channels]` that have a parity, row by row, null outside the image.
    pub fn outputs(
        &self,
        run: &Run,
        tile: usize,
        parity: [usize; 2],
        base: *mut f32,
        channels: usize,
    ) -> [*mut f32; MAX_OUTPUTS] {
        let m = self.form.outputs();
        let mut pixels = [std::ptr::null_mut(); MAX_OUTPUTS];
        for (at, p) in pixels[..m * m].iter_mut().enumerate() {
            // What lies before the image wraps around to beyond it.
            let y = (self.step * (m * run.y + at / m) + parity[0]).wrapping_sub(self.before[0]);
            let x = (self.step * (m * tile + at % m) + parity[1]).wrapping_sub(self.before[1]);
            if y < self.out_h && x < self.out_w {
                *p = base.wrapping_add(((run.image * self.out_h + y) * self.out_w + x) * channels);
            }
        }
        pixels
    }

    /// Transforms the products of a run to the channels `cols` of its pixels, of `channels`, and runs the
    /// epilogue on them. With a step of 2, `cols` are all channels of all parities.
    ///
    /// # Safety
    /// `products` holds a row for each tile of the run's block; its pixels belong to this chunk.
    #[allow(clippy::too_many_arguments, reason = "what is read, how, and where it goes")]
    pub unsafe fn finish_run(
        &self,
        run: &Run,
        chunk: usize,
        cols: &Range<usize>,
        channels: usize,
        products: &Planes,
        transform: OutputFn,
        args: &Args,
    ) {
        let part = |part: Parity| {
            let finish = args.epilogue.finish().from(part.channels.start, part.channels.start);
            (part, finish)
        };
        let parts: SmallVec<[_; 4]> = Parity::parts(self.step, channels, cols).map(part).collect();
        // SAFETY: only pixels inside the output have pointers.
        unsafe {
            for (index, tile) in run.x.clone().enumerate() {
                for (part, finish) in &parts {
                    let first = args.output.add(part.channels.start);
                    let pixels = self.outputs(run, tile, part.parity, first, channels);
                    let src = products.base.add((run.first + index) * products.ld + part.at);
                    transform(src, products.plane, pixels.as_ptr(), first, part.channels.len(), finish);
                }
            }
            let cols = cols.start..cols.end.min(channels);
            if let Epilogue::Hook(hook) = args.epilogue {
                let (rows, x) = self.pixels(run);
                // Whole rows follow one another.
                let whole = x.len() == self.out_w;
                let (calls, len) = if whole { (1, rows.len() * self.out_w) } else { (rows.len(), x.len()) };
                for y in 0..calls {
                    let first = (run.image * self.out_h + rows.start + y) * self.out_w + x.start;
                    let tile = args.output.add(first * channels + cols.start);
                    hook.tile(chunk, tile, channels, first, len, cols.start, cols.len());
                }
            }
        }
    }
}

/// An image whose windows are transformed; window (0, 0) begins at `(-pad_top, -pad_left)`.
///
/// With a `step` of 2 a window's pixel is four of the image, one of each parity, whose channels follow one another in the
/// transformed windows.
#[derive(Clone, Copy)]
pub(super) struct Windows {
    pub form: Form,
    pub step: usize,
    pub in_h: usize,
    pub in_w: usize,
    pub in_c: usize,
    pub pad_top: isize,
    pub pad_left: isize,
    pub transform: WindowFn,
}

/// Transformed windows or their products: one row of channels per window, one plane per point.
pub(super) struct Planes {
    pub base: *mut f32,
    pub ld: usize,
    pub plane: usize,
}

impl Windows {
    /// f32 of the patch that a prologue writes for a run of at most `tiles` tiles.
    pub fn patch_len(&self, tiles: usize, channels: usize) -> usize {
        let columns = self.step * (self.form.outputs() * tiles + self.overlap());
        self.step * self.form.window() * columns.min(self.in_w) * channels
    }

    /// Pixels that a window shares with the next.
    fn overlap(&self) -> usize {
        self.form.taps() - 1
    }

    /// The first row of the image that windows of tiles (y, _) read; negative in the padding.
    fn top(&self, y: usize) -> isize {
        (self.step * self.form.outputs() * y) as isize - self.pad_top
    }

    /// The first column that windows of tiles (_, x) read.
    fn left(&self, x: usize) -> isize {
        (self.step * self.form.outputs() * x) as isize - self.pad_left
    }

    /// Columns of the image that a run reads.
    fn columns(&self, run: &Run) -> Range<isize> {
        let end = self.left(run.x.end) + (self.step * self.overlap()) as isize;
        self.left(run.x.start).max(0)..end.min(self.in_w as isize)
    }

    /// The channels of pixels that some channels of windows are made of.
    fn pixel_channels(&self, channels: &Range<usize>) -> Range<usize> {
        if self.step == 1 { channels.clone() } else { 0..self.in_c }
    }

    /// Memory that the windows of a block of tiles read, without the rows that a run shares with the one above.
    pub fn reads(
        self,
        grid: Grid,
        tiles: Range<usize>,
        x: *const f32,
        channels: Range<usize>,
    ) -> impl Iterator<Item = Span> + Clone {
        grid.runs(tiles).flat_map(move |run| {
            let top = self.top(run.y);
            let (shared, columns) = (if run.y > 0 { self.step * self.overlap() } else { 0 }, self.columns(&run));
            let end = top + (self.step * self.form.window()) as isize;
            let rows = (top + shared as isize).max(0)..end.min(self.in_h as isize);
            let channels = self.pixel_channels(&channels);
            let rows = if columns.is_empty() { 0..0 } else { rows };
            rows.flat_map(move |y| {
                let row = ((run.image * self.in_h) as isize + y) as usize * self.in_w;
                let pixels = row + columns.start as usize..row + columns.end as usize;
                Span::pixels(x, self.in_c, pixels, &channels)
            })
        })
    }

    /// Transforms the windows of a run, on some of the channels. Elements outside the image are 0 after the
    /// prologue.
    ///
    /// # Safety
    /// `x` is the whole input, if there is no prologue; `zeros` holds as many zeros as there are channels, `patch`
    /// [`Windows::patch_len`] of the run, `v` a row for each window of the run's block.
    #[allow(clippy::too_many_arguments, reason = "what is read, how, and where it goes")]
    pub unsafe fn transform_run(
        &self,
        run: &Run,
        x: *const f32,
        channels: &Range<usize>,
        prologue: Option<&dyn PackHook>,
        zeros: *const f32,
        patch: *mut f32,
        v: &Planes,
    ) {
        let (top, window) = (self.top(run.y), self.form.window());
        let Range { start: begin, end } = self.columns(run);
        let packed = self.pixel_channels(channels);
        let ld = if prologue.is_some() { packed.len() } else { self.in_c };
        let parts: SmallVec<[Parity; 4]> = Parity::parts(self.step, self.in_c, channels).collect();
        let mut rows = [None; 2 * Form::F4x4.window()];
        // SAFETY: rows and columns are within the image where they are read.
        unsafe {
            for (i, row) in rows[..self.step * window].iter_mut().enumerate() {
                let y = top + i as isize;
                if !(0..self.in_h as isize).contains(&y) || begin >= end {
                    continue;
                }
                let pixel = (run.image * self.in_h + y as usize) * self.in_w + begin as usize;
                let pixels = (end - begin) as usize;
                *row = Some(match prologue {
                    None => x.add(pixel * self.in_c + packed.start),
                    Some(hook) => {
                        let dst = patch.add(i * pixels * ld);
                        hook.pack(self.in_c, dst, ld, pixel, pixels, packed.start, packed.len());
                        dst.cast_const()
                    }
                });
            }
            for (index, tile) in run.x.clone().enumerate() {
                // Whole vectors are written: what goes beyond a part is overwritten by what comes behind it.
                for part in &parts {
                    let first = part.channels.start - packed.start;
                    let mut pixels = [zeros; MAX_POINTS];
                    for i in 0..window {
                        let Some(row) = rows[self.step * i + part.parity[0]] else { continue };
                        for j in 0..window {
                            let at = self.left(tile) + (self.step * j + part.parity[1]) as isize;
                            if (begin..end).contains(&at) {
                                pixels[i * window + j] = row.add((at - begin) as usize * ld + first);
                            }
                        }
                    }
                    let dst = v.base.add((run.first + index) * v.ld + part.at);
                    (self.transform)(pixels.as_ptr(), part.channels.len(), dst, v.plane);
                }
            }
        }
    }
}
