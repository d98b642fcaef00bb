//! Depthwise convolutions with windows of at most three columns, straight on NHWC activations.
//!
//! A tile is a few neighbouring pixels of a row × one vector of channels: it reads every input
//! element once per window row, and walks the channels, which follow one another in memory. Taps
//! outside the image are left out: runs of pixels that have the same taps inside share tiles.

use super::ConvGeometry;
use super::axis::Axis;
use super::filter_grad::{Combine, image_groups};
use crate::backend::cpu::kernels::attach::{Epilogue, Finish};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, split};
use crate::backend::cpu::simd::{Simd, Tier, dispatch};
use std::ops::Range;

/// Pixels of a tile.
const PIXELS: usize = 8;
/// Most columns and rows of a window.
const MAX_COLUMNS: usize = 3;
const MAX_ROWS: usize = 7;
/// Most columns between the windows of neighbouring pixels.
const MAX_STEP: usize = 2;
/// Outputs of a chunk: at least for the sake of the ticket, at most for that of the cache.
const MIN_CHUNK: usize = 12 << 10;
const MAX_CHUNK: usize = 64 << 10;
/// Chunks that a pass is cut into where they stay large enough.
const CHUNKS: usize = 64;
/// Outputs of a chunk, at least, for many threads.
const MIN_CHUNK_OF_MANY: usize = 3 << 10;

/// Pixels of a row whose windows have the same columns inside the image.
struct Run {
    /// Outputs `first, first + step, ..`, at most [`PIXELS`].
    first: usize,
    step: usize,
    count: usize,
    /// Input column of the first tap of the first pixel.
    column: usize,
    /// Columns of the filters, by ascending input column.
    taps: Vec<usize>,
}

/// The runs that cover a row, and the rows that windows read.
struct Rows {
    batch: usize,
    channels: usize,
    kernel_w: usize,
    y: Axis,
    in_w: usize,
    out_w: usize,
    /// Input columns between neighbouring pixels of a run.
    in_step: usize,
    runs: Vec<Run>,
}

impl Rows {
    fn new(g: &ConvGeometry, y: Axis, x: Axis) -> Self {
        let mut runs = Vec::new();
        for class in &x.classes {
            let mut j = 0;
            while j < class.count {
                let inside = x.taps_inside(class, j..j + 1);
                let same = |&i: &usize| x.taps_inside(class, i..i + 1) == inside;
                let count = (j..class.count).take_while(same).count();
                let offset = class.taps.get(inside.start).map_or(0, |tap| tap.1);
                let taps: Vec<usize> = class.taps[inside].iter().map(|tap| tap.0).collect();
                let tiles = count.div_ceil(PIXELS);
                for t in 0..tiles {
                    let r = split(count, tiles, t);
                    let column = ((j + r.start) * x.in_step) as isize + offset;
                    let column = if taps.is_empty() { 0 } else { column as usize };
                    let first = class.start + (j + r.start) * class.step;
                    runs.push(Run { first, step: class.step, count: r.len(), column, taps: taps.clone() });
                }
                j += count;
            }
        }
        // Neighbouring outputs one after another.
        runs.sort_by_key(|run| run.first / PIXELS);
        Rows {
            batch: g.batch,
            channels: g.out_c,
            kernel_w: g.kernel_w,
            y,
            in_w: x.inputs,
            out_w: x.outputs,
            in_step: x.in_step,
            runs,
        }
    }

    /// Indices of rows of all images; each stands for as many output rows as there are classes.
    fn indices(&self) -> usize {
        self.batch * self.indices_per_image()
    }

    fn indices_per_image(&self) -> usize {
        self.y.outputs.div_ceil(self.y.step())
    }

    /// Output rows of all images that the indices `range` stand for.
    fn output_rows(&self, range: &Range<usize>) -> Range<usize> {
        let row = |index: usize| {
            let (image, i) = (index / self.indices_per_image(), index % self.indices_per_image());
            image * self.y.outputs + i * self.y.step()
        };
        row(range.start)..row(range.end)
    }

    /// Calls `f` with the window of each output row of `range`, and the number of the row among those of all
    /// images.
    fn for_each(&self, range: Range<usize>, mut f: impl FnMut(&Window, usize)) {
        for index in range {
            let (image, i) = (index / self.indices_per_image(), index % self.indices_per_image());
            for class in self.y.classes.iter().filter(|class| i < class.count) {
                let taps = &class.taps[self.y.taps_inside(class, i..i + 1)];
                let mut window = Window { count: taps.len(), x: [0; MAX_ROWS], w: [0; MAX_ROWS] };
                for (r, (k, offset)) in taps.iter().enumerate() {
                    let row = image * self.y.inputs + ((i * self.y.in_step) as isize + offset) as usize;
                    window.x[r] = row * self.in_w * self.channels;
                    window.w[r] = k * self.kernel_w * self.channels;
                }
                f(&window, image * self.y.outputs + class.start + i * class.step);
            }
        }
    }
}

/// Rows of the input that the windows of an output row read, and those of the filters, as offsets.
struct Window {
    count: usize,
    x: [usize; MAX_ROWS],
    w: [usize; MAX_ROWS],
}

/// Operands of a tile of a run: `c[pixel] = Σ_row Σ_tap x[row][pixel + tap] * w[row][tap]`.
struct Tile<'a> {
    window: &'a Window,
    taps: *const usize,
    channels: usize,
    x: *const f32,
    w: *const f32,
    c: *mut f32,
    /// f32 between pixels of C.
    c_step: usize,
    /// The residual's pixels lie as those of C do.
    finish: Finish,
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn pixels<S: Simd, const P: usize, const T: usize, const STEP: usize>(s: S, t: &Tile) {
    let mut at = 0;
    while at + S::LANES <= t.channels {
        vector::<S, P, T, STEP, true>(s, t, at, S::LANES);
        at += S::LANES;
    }
    if at < t.channels {
        vector::<S, P, T, STEP, false>(s, t, at, t.channels - at);
    }
}
dispatch! { fn select_pixels[const P: usize, const T: usize, const STEP: usize] => unsafe pixels(t: &Tile); }

/// `FULL`: whether `n` is a whole vector.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn vector<S: Simd, const P: usize, const T: usize, const STEP: usize, const FULL: bool>(
    s: S,
    t: &Tile,
    at: usize,
    n: usize,
) {
    let load = |p: *const f32| if FULL { s.load(p) } else { s.load_first(p, n) };
    let finish = &t.finish;
    let mut acc = [if finish.bias.is_null() { s.zero() } else { load(finish.bias.add(at)) }; P];
    for r in 0..t.window.count {
        let x = t.x.add(t.window.x[r] + at);
        let w = t.w.add(t.window.w[r] + at);
        let mut taps = [s.zero(); T];
        for (tap, v) in taps.iter_mut().enumerate() {
            *v = load(w.add(*t.taps.add(tap) * t.channels));
        }
        for (p, sum) in acc.iter_mut().enumerate() {
            for (tap, w) in taps.iter().enumerate() {
                *sum = s.mul_add(load(x.add((p * STEP + tap) * t.channels)), *w, *sum);
            }
        }
    }
    for (p, sum) in acc.iter().enumerate() {
        let c = t.c.add(p * t.c_step + at);
        let mut v = *sum;
        if !finish.residual.is_null() {
            v = s.add(v, load(finish.residual.add(p * t.c_step + at)));
        }
        if finish.clamps() {
            v = finish.clamp(s, v);
        }
        if FULL { s.store(c, v) } else { s.store_first(c, v, n) }
    }
}

/// Operands of the sums over a run: `w[row][tap] += Σ_pixel x[row][pixel + tap] * dy[pixel]`.
struct GradTile<'a> {
    window: &'a Window,
    taps: *const usize,
    channels: usize,
    x: *const f32,
    dy: *const f32,
    w: *mut f32,
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn grads<S: Simd, const P: usize, const T: usize, const STEP: usize>(s: S, t: &GradTile) {
    let mut at = 0;
    while at + S::LANES <= t.channels {
        grad_vector::<S, P, T, STEP, true>(s, t, at, S::LANES);
        at += S::LANES;
    }
    if at < t.channels {
        grad_vector::<S, P, T, STEP, false>(s, t, at, t.channels - at);
    }
}
dispatch! { fn select_grads[const P: usize, const T: usize, const STEP: usize] => unsafe grads(t: &GradTile); }

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn grad_vector<S: Simd, const P: usize, const T: usize, const STEP: usize, const FULL: bool>(
    s: S,
    t: &GradTile,
    at: usize,
    n: usize,
) {
    let load = |p: *const f32| if FULL { s.load(p) } else { s.load_first(p, n) };
    let mut dy = [s.zero(); P];
    for (p, v) in dy.iter_mut().enumerate() {
        *v = load(t.dy.add(p * t.channels + at));
    }
    for r in 0..t.window.count {
        let x = t.x.add(t.window.x[r] + at);
        let w = t.w.add(t.window.w[r] + at);
        let mut acc = [s.zero(); T];
        for (tap, sum) in acc.iter_mut().enumerate() {
            *sum = load(w.add(*t.taps.add(tap) * t.channels));
        }
        for (p, dy) in dy.iter().enumerate() {
            for (tap, sum) in acc.iter_mut().enumerate() {
                *sum = s.mul_add(load(x.add((p * STEP + tap) * t.channels)), *dy, *sum);
            }
        }
        for (tap, sum) in acc.iter().enumerate() {
            let w = w.add(*t.taps.add(tap) * t.channels);
            if FULL { s.store(w, *sum) } else { s.store_first(w, *sum, n) }
        }
    }
}

/// Functions by step, taps and pixels, each less one.
type Table<F> = [[[F; PIXELS]; MAX_COLUMNS]; MAX_STEP];

macro_rules! table {
    ($select:ident, $tier:ident) => {
        table!(@steps $select $tier 1 2)
    };
    (@steps $select:ident $tier:ident $($s:literal)*) => { [$(table!(@taps $select $tier $s 1 2 3)),*] };
    (@taps $select:ident $tier:ident $s:literal $($t:literal)*) => { [$(table!(@pixels $select $tier $s $t 1 2 3 4 5 6 7 8)),*] };
    (@pixels $select:ident $tier:ident $s:literal $t:literal $($p:literal)*) => { [$($select::<$p, $t, $s>($tier)),*] };
}

/// A depthwise convolution or its input gradient. Inputs: activations (or output gradient), filters. Takes
/// no prologue.
pub struct DepthwiseRows {
    rows: Rows,
    chunks: usize,
    tiles: Table<unsafe fn(&Tile)>,
}

impl DepthwiseRows {
    /// Whether each channel has one filter, of a size and stride that tiles are compiled for.
    pub fn supports(g: &ConvGeometry) -> bool {
        let window = g.kernel_w <= MAX_COLUMNS && g.kernel_h <= MAX_ROWS && g.dilation_w == 1;
        g.is_depthwise() && g.in_c == g.out_c && window && g.stride_w <= MAX_STEP
    }

    /// The convolution. Panics where [`DepthwiseRows::supports`] is false.
    pub fn forward(g: &ConvGeometry, tier: Tier) -> Self {
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::new(g, y, x, tier)
    }

    /// Its gradient for the input. Panics where [`DepthwiseRows::supports`] is false.
    pub fn input_grad(g: &ConvGeometry, tier: Tier) -> Self {
        let y = Axis::input_grad(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::input_grad(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        Self::new(g, y, x, tier)
    }

    fn new(g: &ConvGeometry, y: Axis, x: Axis, tier: Tier) -> Self {
        assert!(Self::supports(g), "windows of at most {MAX_ROWS}x{MAX_COLUMNS} per channel, received {g:?}");
        let rows = Rows::new(g, y, x);
        let chunks = chunks(&rows, CHUNKS, MIN_CHUNK);
        DepthwiseRows { rows, chunks, tiles: table!(select_pixels, tier) }
    }

    /// The rows of an image that output row `y` of a forward pass reads.
    pub(super) fn reads(&self, y: usize) -> Range<usize> {
        let axis = &self.rows.y;
        let class = &axis.classes[0];
        let taps = &class.taps[axis.taps_inside(class, y..y + 1)];
        let row = |offset: isize| ((y * axis.in_step) as isize + offset) as usize;
        match taps {
            [] => 0..0,
            [first, .., last] => row(first.1)..row(last.1) + 1,
            [only] => row(only.1)..row(only.1) + 1,
        }
    }

    /// Computes output row `y` of an image, forward, to `c`. Row i of the image begins `place(i)` f32 behind `x`.
    ///
    /// # Safety
    /// The rows that [`DepthwiseRows::reads`] names, the filters and the output row are accessible; bias and
    /// residual of `finish` belong to the row.
    pub(super) unsafe fn row(
        &self,
        y: usize,
        x: *const f32,
        place: impl Fn(usize) -> usize,
        w: *const f32,
        c: *mut f32,
        finish: Finish,
    ) {
        let row_len = self.rows.in_w * self.rows.channels;
        self.rows.for_each(y..y + 1, |window, _| {
            let mut placed = Window { count: window.count, x: [0; MAX_ROWS], w: window.w };
            for (to, from) in placed.x[..window.count].iter_mut().zip(&window.x) {
                *to = place(from / row_len);
            }
            // SAFETY: the caller's contract.
            unsafe { self.window(&placed, x, w, c, finish) };
        });
    }

    /// All runs of an output row, which reads `window`.
    ///
    /// # Safety
    /// The window's rows lie behind `x`, the output row at `c`.
    unsafe fn window(&self, window: &Window, x: *const f32, w: *const f32, c: *mut f32, finish: Finish) {
        let channels = self.rows.channels;
        for run in &self.rows.runs {
            let first = run.first * channels;
            // SAFETY: the columns that are left lie within the input, the pixels within the output.
            unsafe {
                self.tiles[self.rows.in_step - 1][run.taps.len().max(1) - 1][run.count - 1](&Tile {
                    window: if run.taps.is_empty() { &EMPTY } else { window },
                    taps: run.taps.as_ptr(),
                    channels,
                    x: x.add(run.column * channels),
                    w,
                    c: c.add(first),
                    c_step: run.step * channels,
                    finish: finish.from(0, first),
                });
            }
        }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, chunk: usize, args: &Args) {
        let (rows, channels) = (&self.rows, self.rows.channels);
        let range = split(rows.indices(), self.chunks, chunk);
        let finish = args.epilogue.finish();
        rows.for_each(range.clone(), |window, row| {
            let first = row * rows.out_w * channels;
            // SAFETY: rows that are left lie within the input, the output row within the output.
            unsafe {
                let [x, w] = args.inputs;
                self.window(window, x, w, args.output.add(first), finish.from(0, first));
            }
        });
        if let Epilogue::Hook(hook) = args.epilogue {
            let output = rows.output_rows(&range);
            let (pixel, pixels) = (output.start * rows.out_w, output.len() * rows.out_w);
            // SAFETY: the chunk's rows follow one another in the output.
            unsafe { hook.tile(chunk, args.output.add(pixel * channels), channels, pixel, pixels, 0, channels) };
        }
    }
}

/// The window of pixels that read nothing.
static EMPTY: Window = Window { count: 0, x: [0; MAX_ROWS], w: [0; MAX_ROWS] };

/// `wanted` chunks, or as many as have at least `least` outputs and no more than [`MAX_CHUNK`].
fn chunks(rows: &Rows, wanted: usize, least: usize) -> usize {
    let outputs = rows.batch * rows.y.outputs * rows.out_w * rows.channels;
    outputs.div_ceil((outputs / wanted).clamp(least, MAX_CHUNK)).min(rows.indices())
}

impl ChunkedKernel for DepthwiseRows {
    fn recut(&mut self, threads: usize) {
        self.chunks = self.chunks.max(chunks(&self.rows, 2 * threads, MIN_CHUNK_OF_MANY));
    }

    fn phases(&self) -> usize {
        1
    }

    fn chunks(&self, _phase: usize) -> usize {
        self.chunks
    }

    fn scratch_len(&self) -> usize {
        0
    }

    unsafe fn run_chunk(&self, _phase: usize, chunk: usize, args: &Args, _scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            if let Epilogue::Hook(hook) = args.epilogue {
                hook.begin(chunk);
                self.compute(chunk, args);
                hook.end(chunk);
            } else {
                self.compute(chunk, args);
            }
        }
    }
}

/// Gradient of a depthwise convolution for its filters. Inputs: activations, output gradient. Takes no
/// prologue.
pub struct DepthwiseRowsFilterGrad {
    rows: Rows,
    filter_len: usize,
    parts: usize,
    combine: Combine,
    tiles: Table<unsafe fn(&GradTile)>,
}

impl DepthwiseRowsFilterGrad {
    /// The gradient. Panics where [`DepthwiseRows::supports`] is false.
    pub fn new(g: &ConvGeometry, tier: Tier) -> Self {
        assert!(DepthwiseRows::supports(g), "windows of at most {MAX_ROWS}x{MAX_COLUMNS} per channel, received {g:?}");
        let y = Axis::forward(g.in_h, g.out_h, g.kernel_h, g.stride_h, g.pad_top, g.dilation_h);
        let x = Axis::forward(g.in_w, g.out_w, g.kernel_w, g.stride_w, g.pad_left, g.dilation_w);
        let rows = Rows::new(g, y, x);
        let parts = image_groups(rows.indices(), g.filter_len());
        let combine = Combine::new(parts, g.kernel_h * g.kernel_w, g.out_c, tier);
        DepthwiseRowsFilterGrad { rows, filter_len: g.filter_len(), parts, combine, tiles: table!(select_grads, tier) }
    }

    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn compute(&self, part: usize, args: &Args) {
        let (rows, channels) = (&self.rows, self.rows.channels);
        let sums = args.workspace.wrapping_add(part * self.filter_len);
        // SAFETY: every part has sums of its own.
        unsafe { sums.write_bytes(0, self.filter_len) };
        rows.for_each(split(rows.indices(), self.parts, part), |window, row| {
            for run in rows.runs.iter().filter(|run| !run.taps.is_empty()) {
                // SAFETY: the columns and rows that are left lie within the input, the pixels within the gradient.
                unsafe {
                    self.tiles[rows.in_step - 1][run.taps.len() - 1][run.count - 1](&GradTile {
                        window,
                        taps: run.taps.as_ptr(),
                        channels,
                        x: args.inputs[0].add(run.column * channels),
                        dy: args.inputs[1].add((row * rows.out_w + run.first) * channels),
                        w: sums,
                    });
                }
            }
        });
    }
}

impl ChunkedKernel for DepthwiseRowsFilterGrad {
    fn phases(&self) -> usize {
        2
    }

    fn chunks(&self, phase: usize) -> usize {
        if phase == 0 { self.parts } else { self.combine.chunks() }
    }

    fn workspace_len(&self) -> usize {
        self.parts * self.filter_len
    }

    fn scratch_len(&self) -> usize {
        0
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, _scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            match phase {
                0 => self.compute(chunk, args),
                _ => self.combine.run(chunk, args),
            }
        }
    }
}
