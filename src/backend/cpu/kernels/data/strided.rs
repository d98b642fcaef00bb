//! Copies between two strided layouts: what transpose, slice, padding and concatenation are.

use super::GRAIN;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};
use crate::error::{Error, Result};
use smallvec::SmallVec;

/// Axes that a copy may have after neighbours have been joined.
const MAX_AXES: usize = 16;
/// Elements of one run of the last axis that are copied at once.
const SEGMENT: usize = GRAIN;
/// Elements of the source's contiguous axis that one unit of a transposing copy takes.
const BLOCK: usize = 32;
/// Elements of the destination's contiguous axis that it takes.
const ROWS: usize = 1024;

/// One axis: extent, and elements to step in source and destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    extent: usize,
    src: isize,
    dst: isize,
}

type TransposeFn = unsafe fn(*const f32, usize, *mut f32, usize, usize, usize);

/// How the innermost one or two axes are copied.
#[derive(Clone, Copy)]
enum Inner {
    /// Along one axis, in segments.
    Line(Axis),
    /// Source contiguous along `columns`, destination along `rows`: in blocks of columns.
    Transpose { rows: Axis, columns: Axis, kernel: TransposeFn },
}

/// A copy of elements of 1, 2, 4 or 8 bytes from one strided layout to another.
pub struct StridedCopy {
    size: usize,
    outer: SmallVec<[Axis; 6]>,
    inner: Inner,
    src_base: usize,
    dst_base: usize,
    /// Pieces into which the inner axes are cut.
    pieces: usize,
    units: usize,
    units_per_chunk: usize,
}

/// Strides, in elements, as signed numbers.
pub fn signed(strides: &[usize]) -> SmallVec<[isize; 6]> {
    strides.iter().map(|&s| s as isize).collect()
}

impl StridedCopy {
    /// A copy of `shape` elements of `size` bytes, at `base + Σ index · stride` on either side.
    ///
    /// # Errors
    /// When the layouts have more than 16 axes that cannot be joined.
    pub fn new(
        size: usize,
        shape: &[usize],
        (src, src_base): (&[isize], usize),
        (dst, dst_base): (&[isize], usize),
        tier: Tier,
    ) -> Result<Self> {
        let mut axes: SmallVec<[Axis; 6]> = SmallVec::new();
        for ((&extent, &src), &dst) in shape.iter().zip(src).zip(dst) {
            if extent == 1 {
                continue;
            }
            match axes.last_mut() {
                Some(a) if a.src == src * extent as isize && a.dst == dst * extent as isize => {
                    *a = Axis { extent: a.extent * extent, src, dst };
                }
                _ => axes.push(Axis { extent, src, dst }),
            }
        }
        let last = axes.pop().unwrap_or(Axis { extent: 1, src: 1, dst: 1 });
        let columns = axes.iter().position(|a| a.src == 1 && a.dst > 0 && a.extent > 1);
        let (inner, pieces, piece) = match columns {
            Some(at) if last.dst == 1 && last.src > 1 => {
                let columns = axes.remove(at);
                let kernel = transpose_kernel(tier);
                let pieces = columns.extent.div_ceil(BLOCK) * last.extent.div_ceil(ROWS);
                let piece = ROWS.min(last.extent) * BLOCK.min(columns.extent);
                (Inner::Transpose { rows: last, columns, kernel }, pieces, piece)
            }
            _ => (Inner::Line(last), last.extent.div_ceil(SEGMENT), last.extent.min(SEGMENT)),
        };
        if axes.len() > MAX_AXES {
            return Err(Error::value(format!("a copy over {} axes is not supported", axes.len())));
        }
        let units = axes.iter().map(|a| a.extent).product::<usize>() * pieces;
        Ok(StridedCopy {
            size,
            outer: axes,
            inner,
            src_base,
            dst_base,
            pieces,
            units,
            units_per_chunk: (GRAIN / piece.max(1)).max(1),
        })
    }

    /// Number of independent chunks.
    pub fn chunks(&self) -> usize {
        self.units.div_ceil(self.units_per_chunk)
    }

    /// Copies chunk `chunk`.
    ///
    /// # Safety
    /// Both layouts lie within what the pointers may access, they do not overlap, and the pointers
    /// are aligned to elements.
    pub unsafe fn run(&self, src: *const u8, dst: *mut u8, chunk: usize) {
        // SAFETY: the caller's contract.
        unsafe {
            match self.size {
                4 => self.run_typed::<u32>(src.cast(), dst.cast(), chunk),
                8 => self.run_typed::<u64>(src.cast(), dst.cast(), chunk),
                2 => self.run_typed::<u16>(src.cast(), dst.cast(), chunk),
                _ => self.run_typed::<u8>(src, dst, chunk),
            }
        }
    }

    unsafe fn run_typed<T: Copy + 'static>(&self, src: *const T, dst: *mut T, chunk: usize) {
        let first = chunk * self.units_per_chunk;
        let end = (first + self.units_per_chunk).min(self.units);
        let mut piece = first % self.pieces;
        let mut index = [0usize; MAX_AXES];
        let mut rest = first / self.pieces;
        let (mut from, mut to) = (self.src_base as isize, self.dst_base as isize);
        for (k, a) in self.outer.iter().enumerate().rev() {
            index[k] = rest % a.extent;
            rest /= a.extent;
            from += index[k] as isize * a.src;
            to += index[k] as isize * a.dst;
        }
        for _ in first..end {
            // SAFETY: the offsets are those of elements of the layouts.
            unsafe { self.copy_piece(src.offset(from), dst.offset(to), piece) };
            piece += 1;
            if piece < self.pieces {
                continue;
            }
            piece = 0;
            for (k, a) in self.outer.iter().enumerate().rev() {
                index[k] += 1;
                from += a.src;
                to += a.dst;
                if index[k] < a.extent {
                    break;
                }
                index[k] = 0;
                from -= a.extent as isize * a.src;
                to -= a.extent as isize * a.dst;
            }
        }
    }

    #[inline]
    unsafe fn copy_piece<T: Copy + 'static>(&self, src: *const T, dst: *mut T, piece: usize) {
        // SAFETY: the caller's contract; pieces stay within the inner axes.
        unsafe {
            match self.inner {
                Inner::Line(a) => {
                    let at = (piece * SEGMENT) as isize;
                    let n = SEGMENT.min(a.extent - piece * SEGMENT);
                    let (src, dst) = (src.offset(at * a.src), dst.offset(at * a.dst));
                    if a.src == 1 && a.dst == 1 {
                        dst.copy_from_nonoverlapping(src, n);
                    } else {
                        for i in 0..n as isize {
                            *dst.offset(i * a.dst) = *src.offset(i * a.src);
                        }
                    }
                }
                Inner::Transpose { rows, columns, kernel } => {
                    let segments = rows.extent.div_ceil(ROWS);
                    let (at, row) = (piece / segments * BLOCK, piece % segments * ROWS);
                    let (n, height) = (BLOCK.min(columns.extent - at), ROWS.min(rows.extent - row));
                    let src = src.offset(at as isize + row as isize * rows.src);
                    let dst = dst.offset(at as isize * columns.dst + row as isize);
                    if size_of::<T>() == 4 {
                        let (src_ld, dst_ld) = (rows.src as usize, columns.dst as usize);
                        kernel(src.cast(), src_ld, dst.cast(), dst_ld, height, n);
                    } else {
                        for c in 0..n as isize {
                            for r in 0..height as isize {
                                *dst.offset(c * columns.dst + r) = *src.offset(r * rows.src + c);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// dst\[c · dst_ld + r\] = src\[r · src_ld + c\] for `rows` × `columns` elements of 4 bytes.
#[inline(always)]
unsafe fn transpose<S: Simd>(
    s: S,
    src: *const f32,
    src_ld: usize,
    dst: *mut f32,
    dst_ld: usize,
    rows: usize,
    columns: usize,
) {
    let mut r = 0;
    while r < rows {
        let height = S::LANES.min(rows - r);
        let mut c = 0;
        while c < columns {
            let width = S::LANES.min(columns - c);
            // SAFETY: the block lies within the `rows` × `columns` elements of both sides.
            unsafe {
                let (from, to) = (src.add(r * src_ld + c), dst.add(c * dst_ld + r));
                if height == S::LANES && width == S::LANES {
                    s.transpose(from, src_ld, to, dst_ld);
                } else {
                    // As integers: a float move may quiet a signalling NaN.
                    let (from, to) = (from.cast::<u32>(), to.cast::<u32>());
                    for j in 0..width {
                        for i in 0..height {
                            *to.add(j * dst_ld + i) = *from.add(i * src_ld + j);
                        }
                    }
                }
            }
            c += width;
        }
        r += height;
    }
}

dispatch! {
    fn transpose_kernel[] => unsafe transpose(
        src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize, rows: usize, columns: usize,
    );
}
