//! What rides along with a heavy kernel: pointwise work on the packed input and on finished tiles.

use crate::backend::cpu::simd::Simd;
use smallvec::SmallVec;

/// Operands that lie in memory as the output does.
pub type Auxiliaries = SmallVec<[*const f32; 4]>;

/// Work on a finished output tile while it is in L1: bias, activation, residual add, statistics.
pub trait TileHook: Sync {
    /// Called once before the first tile of `chunk`.
    fn begin(&self, _chunk: usize) {}

    /// Works on one tile; every output element belongs to exactly one.
    ///
    /// # Safety
    /// `tile` points to `rows` × `cols` f32 with row stride `ld`; `row0` and `col0` are its place in
    /// the output seen as a matrix [pixels, channels].
    #[allow(clippy::too_many_arguments, reason = "a tile and its place")]
    unsafe fn tile(&self, chunk: usize, tile: *mut f32, ld: usize, row0: usize, rows: usize, col0: usize, cols: usize);

    /// Called once after the last tile of `chunk`.
    fn end(&self, _chunk: usize) {}

    /// What the tile at an output element reads at the same element of other arrays, so that kernels
    /// can ask for it in time.
    fn auxiliaries(&self) -> Auxiliaries {
        Auxiliaries::new()
    }
}

/// Pointwise work on input pixels while they are packed: `dst[i] = f(src[i])`. The hook knows the input, whose elements
/// may have 16 bits.
pub trait PackHook: Sync {
    /// Packs the channels `col0..col0 + cols` of the pixels from `row0` on, where `[N * H * W]` pixels are `src_ld`
    /// elements apart.
    ///
    /// # Safety
    /// The input has these elements, and `dst` as many f32 with stride `dst_ld`.
    #[allow(clippy::too_many_arguments, reason = "a part of a matrix and its place")]
    unsafe fn pack(
        &self,
        src_ld: usize,
        dst: *mut f32,
        dst_ld: usize,
        row0: usize,
        pixels: usize,
        col0: usize,
        cols: usize,
    );

    /// Whether the input has elements of 16 bits: kernels that ask for its memory in time would ask for the wrong one.
    fn widens(&self) -> bool {
        false
    }
}

/// What register tiles have compiled in: `y = min(max(x + bias[channel] + residual, lo), hi)`, where NaN stays.
#[derive(Clone, Copy, Debug)]
pub struct Finish {
    /// One value per output channel, or null.
    pub bias: *const f32,
    /// As many values as the output, laid out as it is, or null. May be the output itself.
    pub residual: *const f32,
    /// Least result: 0 for ReLU, -∞ for none.
    pub lo: f32,
    /// Greatest result: 6 for ReLU6, ∞ for none.
    pub hi: f32,
}

impl Finish {
    /// Changes nothing.
    pub const NONE: Finish =
        Finish { bias: std::ptr::null(), residual: std::ptr::null(), lo: f32::NEG_INFINITY, hi: f32::INFINITY };

    /// The same for the part of the output that begins at `channel` of a row and at element `at` of the output.
    pub fn from(self, channel: usize, at: usize) -> Finish {
        let shifted = |p: *const f32, by: usize| if p.is_null() { p } else { p.wrapping_add(by) };
        Finish { bias: shifted(self.bias, channel), residual: shifted(self.residual, at), ..self }
    }

    /// Whether results are bounded.
    #[inline(always)]
    pub fn clamps(&self) -> bool {
        self.lo > f32::NEG_INFINITY || self.hi < f32::INFINITY
    }

    /// Bounds a vector of results.
    #[inline(always)]
    pub fn clamp<S: Simd>(&self, s: S, y: S::F) -> S::F {
        // In this order NaN stays NaN.
        s.min(s.splat(self.hi), s.max(s.splat(self.lo), y))
    }

    /// The result for one sum `x`, of channel `channel` and element `at` of the output.
    ///
    /// # Safety
    /// Bias and residual hold these elements, where they are not null.
    pub unsafe fn one(&self, mut x: f32, channel: usize, at: usize) -> f32 {
        // SAFETY: the caller's contract.
        unsafe {
            if !self.bias.is_null() {
                x += *self.bias.add(channel);
            }
            if !self.residual.is_null() {
                x += *self.residual.add(at);
            }
        }
        let x = if x < self.lo { self.lo } else { x };
        if x > self.hi { self.hi } else { x }
    }
}

// SAFETY: the pointers are only read, and valid as long as the run that the epilogue was made for.
unsafe impl Send for Finish {}
// SAFETY: as above.
unsafe impl Sync for Finish {}

/// What happens to a finished tile.
#[derive(Clone, Copy)]
pub enum Epilogue<'a> {
    /// Nothing.
    None,
    /// The form that register tiles have compiled in.
    Finish(Finish),
    /// Anything else.
    Hook(&'a dyn TileHook),
}

impl Epilogue<'_> {
    /// What register tiles do themselves.
    pub fn finish(&self) -> Finish {
        match self {
            Epilogue::Finish(finish) => *finish,
            Epilogue::None | Epilogue::Hook(_) => Finish::NONE,
        }
    }

    /// Arrays that are read at the output's elements.
    pub fn auxiliaries(&self) -> Auxiliaries {
        match self {
            Epilogue::None => Auxiliaries::new(),
            Epilogue::Finish(finish) => Some(finish.residual).into_iter().filter(|p| !p.is_null()).collect(),
            Epilogue::Hook(hook) => hook.auxiliaries(),
        }
    }
}
