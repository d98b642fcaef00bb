//! Copies of matrix blocks in the order in which the register tile reads them.

use crate::backend::cpu::simd::{Simd, Tier, dispatch};

/// Copy functions of one tier.
#[derive(Clone, Copy)]
pub struct Copies {
    copy: CopyFn,
    transpose: CopyFn,
}

/// `(src, src_ld, rows, cols, dst, dst_ld, pad)`.
type CopyFn = unsafe fn(*const f32, usize, usize, usize, *mut f32, usize, usize);

impl Copies {
    /// The functions of `tier`.
    pub fn new(tier: Tier) -> Self {
        Copies { copy: select_copy(tier), transpose: select_transpose(tier) }
    }

    /// `dst[r][c] = src[r][c]` for `rows` × `cols`, and 0 for `c` in `cols..pad`.
    ///
    /// # Safety
    /// Source and destination are accessible and do not overlap.
    #[allow(clippy::too_many_arguments, reason = "two matrices and a block")]
    pub unsafe fn copy(
        &self,
        src: *const f32,
        src_ld: usize,
        rows: usize,
        cols: usize,
        dst: *mut f32,
        dst_ld: usize,
        pad: usize,
    ) {
        // SAFETY: the caller's contract.
        unsafe { (self.copy)(src, src_ld, rows, cols, dst, dst_ld, pad) }
    }

    /// `dst[c][r] = src[r][c]` for `rows` × `cols`, and 0 for `r` in `rows..pad`.
    ///
    /// # Safety
    /// Source and destination are accessible and do not overlap.
    #[allow(clippy::too_many_arguments, reason = "two matrices and a block")]
    pub unsafe fn transpose(
        &self,
        src: *const f32,
        src_ld: usize,
        rows: usize,
        cols: usize,
        dst: *mut f32,
        dst_ld: usize,
        pad: usize,
    ) {
        // SAFETY: the caller's contract.
        unsafe { (self.transpose)(src, src_ld, rows, cols, dst, dst_ld, pad) }
    }
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, clippy::too_many_arguments, reason = "one loop under the function's contract")]
unsafe fn copy<S: Simd>(
    s: S,
    src: *const f32,
    src_ld: usize,
    rows: usize,
    cols: usize,
    dst: *mut f32,
    dst_ld: usize,
    pad: usize,
) {
    for r in 0..rows {
        let (from, to) = (src.add(r * src_ld), dst.add(r * dst_ld));
        let mut c = 0;
        while c + S::LANES <= cols {
            s.store(to.add(c), s.load(from.add(c)));
            c += S::LANES;
        }
        if c < cols {
            s.store_first(to.add(c), s.load_first(from.add(c), cols - c), cols - c);
        }
        for c in cols..pad {
            *to.add(c) = 0.0;
        }
    }
}
dispatch! {
    fn select_copy[] => unsafe copy(src: *const f32, src_ld: usize, rows: usize, cols: usize, dst: *mut f32, dst_ld: usize, pad: usize);
}

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, clippy::too_many_arguments, reason = "one loop under the function's contract")]
unsafe fn transpose<S: Simd>(
    s: S,
    src: *const f32,
    src_ld: usize,
    rows: usize,
    cols: usize,
    dst: *mut f32,
    dst_ld: usize,
    pad: usize,
) {
    let whole = cols - cols % S::LANES;
    let mut r = 0;
    while r + S::LANES <= rows {
        let mut c = 0;
        while c < whole {
            s.transpose(src.add(r * src_ld + c), src_ld, dst.add(c * dst_ld + r), dst_ld);
            c += S::LANES;
        }
        for c in whole..cols {
            for i in r..r + S::LANES {
                *dst.add(c * dst_ld + i) = *src.add(i * src_ld + c);
            }
        }
        r += S::LANES;
    }
    for c in 0..cols {
        for i in r..rows {
            *dst.add(c * dst_ld + i) = *src.add(i * src_ld + c);
        }
        for i in rows..pad {
            *dst.add(c * dst_ld + i) = 0.0;
        }
    }
}
dispatch! {
    fn select_transpose[] => unsafe transpose(src: *const f32, src_ld: usize, rows: usize, cols: usize, dst: *mut f32, dst_ld: usize, pad: usize);
}
