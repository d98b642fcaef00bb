//! What rides along with a heavy kernel: pointwise work on the packed input and on finished tiles.

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
}

/// Pointwise work on input pixels while they are packed: `dst[i] = f(src[i])`.
pub trait PackHook: Sync {
    /// Packs `pixels` rows of the channels `col0..col0 + cols`.
    ///
    /// # Safety
    /// `src` points to `pixels` rows of `cols` f32 with stride `src_ld`, `dst` likewise with stride
    /// `dst_ld`; `row0` is the index of the first pixel in `[N * H * W]`.
    #[allow(clippy::too_many_arguments, reason = "two matrices and their place")]
    unsafe fn pack(
        &self,
        src: *const f32,
        src_ld: usize,
        dst: *mut f32,
        dst_ld: usize,
        row0: usize,
        pixels: usize,
        col0: usize,
        cols: usize,
    );
}

/// What happens to a finished tile.
#[derive(Clone, Copy)]
pub enum Epilogue<'a> {
    /// Nothing.
    None,
    /// `y = x + bias[channel]`, then `max(y, 0)` if `relu`.
    Bias {
        /// One value per output channel.
        bias: *const f32,
        /// Whether negative values become 0.
        relu: bool,
    },
    /// Anything else.
    Hook(&'a dyn TileHook),
}

// SAFETY: `bias` is only read, and valid as long as the run that the epilogue was made for.
unsafe impl Send for Epilogue<'_> {}
// SAFETY: as above.
unsafe impl Sync for Epilogue<'_> {}
