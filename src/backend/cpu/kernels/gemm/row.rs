//! One row times a matrix: y = x · B.
//!
//! Each element of B is read once, so memory decides: chunks take runs of rows of B, which they read from
//! end to end, and keep sums for all columns. Tiles over columns would read a few lines of each row.

use super::{Gemm, MIN_SPLIT_K};
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel, split};
use crate::backend::cpu::kernels::conv::Combine;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};

/// Most partial sums.
const MAX_PARTS: usize = 16;
/// Rows of B of a part, at least.
const MIN_ROWS: usize = 32;
/// Columns of a chunk: its sums stay in L1.
const COLUMNS: usize = 4096;
/// Rows of B that are added to the sums at a time.
const ROWS: usize = 8;

/// f32 of the largest B that is packed for one row. What is larger comes from memory, no faster packed than as it is.
const MAX_PACKED: usize = 1 << 22;

/// The kernel of `y[n] = x[k] · B[k, n]`: over a packed B if it stays the same over many runs, as `constant` says.
pub fn row_product(n: usize, k: usize, constant: bool, tier: Tier) -> Box<dyn ChunkedKernel> {
    if constant && k < MIN_SPLIT_K && n * k <= MAX_PACKED {
        return Box::new(Gemm::row(n, k, tier));
    }
    Box::new(RowProduct::new(n, k, tier))
}

/// `(x, rows of B, B, stride of B, columns, sums)`: sums of `x[r] * B[r]`.
type SumRows = unsafe fn(*const f32, usize, *const f32, usize, usize, *mut f32);

/// The product `y[n] = x[k] · B[k, n]` of dense operands. Inputs: x, B. The prologue sees x as one pixel.
pub struct RowProduct {
    n: usize,
    k: usize,
    parts: usize,
    column_parts: usize,
    sum: SumRows,
    combine: Combine,
}

impl RowProduct {
    /// The product of a row of `k` elements and a matrix of `n` columns.
    pub fn new(n: usize, k: usize, tier: Tier) -> Self {
        let parts = (k / MIN_ROWS).clamp(1, MAX_PARTS);
        let combine = Combine::new(parts, 1, n, tier);
        RowProduct { n, k, parts, column_parts: n.div_ceil(COLUMNS), sum: select_sum_rows(tier), combine }
    }
}

/// # Safety
/// `x` holds `rows` elements, `b` as many rows of `n`, `ldb` apart, and `sums` `n`.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn sum_rows<S: Simd>(s: S, x: *const f32, rows: usize, b: *const f32, ldb: usize, n: usize, sums: *mut f32) {
    let mut r = 0;
    while r + ROWS <= rows {
        add_rows::<S, ROWS>(s, x.add(r), b.add(r * ldb), ldb, n, sums, r > 0);
        r += ROWS;
    }
    while r < rows {
        add_rows::<S, 1>(s, x.add(r), b.add(r * ldb), ldb, n, sums, r > 0);
        r += 1;
    }
}
dispatch! {
    fn select_sum_rows[] => unsafe sum_rows(x: *const f32, rows: usize, b: *const f32, ldb: usize, n: usize, sums: *mut f32);
}

/// # Safety
/// As [`sum_rows`], for `R` rows; `add`: whether sums are there already.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn add_rows<S: Simd, const R: usize>(
    s: S,
    x: *const f32,
    b: *const f32,
    ldb: usize,
    n: usize,
    sums: *mut f32,
    add: bool,
) {
    let mut factors = [s.zero(); R];
    for (r, factor) in factors.iter_mut().enumerate() {
        *factor = s.splat(*x.add(r));
    }
    let mut j = 0;
    while j + S::LANES <= n {
        let mut v = if add { s.load(sums.add(j)) } else { s.zero() };
        for (r, factor) in factors.iter().enumerate() {
            v = s.mul_add(*factor, s.load(b.add(r * ldb + j)), v);
        }
        s.store(sums.add(j), v);
        j += S::LANES;
    }
    if j < n {
        let rest = n - j;
        let mut v = if add { s.load_first(sums.add(j), rest) } else { s.zero() };
        for (r, factor) in factors.iter().enumerate() {
            v = s.mul_add(*factor, s.load_first(b.add(r * ldb + j), rest), v);
        }
        s.store_first(sums.add(j), v, rest);
    }
}

impl ChunkedKernel for RowProduct {
    fn phases(&self) -> usize {
        2
    }

    fn chunks(&self, phase: usize) -> usize {
        if phase == 0 { self.parts * self.column_parts } else { self.combine.chunks() }
    }

    fn workspace_len(&self) -> usize {
        self.parts * self.n
    }

    fn scratch_len(&self) -> usize {
        self.k.div_ceil(self.parts)
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        if phase == 1 {
            // SAFETY: the partial sums have been written.
            return unsafe { self.combine.run(chunk, args) };
        }
        let (part, columns) = (chunk / self.column_parts, chunk % self.column_parts);
        let (rows, columns) = (split(self.k, self.parts, part), split(self.n, self.column_parts, columns));
        let [x, b] = args.inputs;
        // SAFETY: rows and columns lie within the operands, the sums of a part within the workspace.
        unsafe {
            let x = match args.prologue {
                Some(hook) => {
                    hook.pack(self.k, scratch, self.k, 0, 1, rows.start, rows.len());
                    scratch.cast_const()
                }
                None => x.add(rows.start),
            };
            let sums = args.workspace.add(part * self.n + columns.start);
            (self.sum)(x, rows.len(), b.add(rows.start * self.n + columns.start), self.n, columns.len(), sums);
        }
    }
}
