//! One loop over a block for every pointwise function and lane type, made of the rows of `ops::pointwise`.
//!
//! A block is a run of 32-bit lanes: f32 for all floats, or i32 for int32, uint8 and bool. The loops of functions are
//! written once, without intrinsics, and compiled once a tier with that tier's features. Sums and some functions are written
//! in vectors.

use super::{math, vector_math};
use crate::backend::cpu::simd::{Simd, dispatch};
use crate::dtype::DType;
use crate::ops::pointwise::Function;
use crate::ops::reduce::ReduceKind;
use crate::ops::special;
use crate::pointwise_table;

/// Lanes of a block.
pub type Lanes = *mut u32;

/// `(function, argument type, result type, arguments, result, lanes)`.
pub type Apply = unsafe fn(Function, DType, DType, [*const u32; 3], Lanes, usize);

dispatch! {
    /// The loops of a tier. The arguments that the function has are readable and the result writable for that many
    /// lanes; the result overlaps no argument.
    pub fn select[] => unsafe apply(
        f: Function, from: DType, to: DType, args: [*const u32; 3], out: Lanes, n: usize,
    );
}

#[inline(always)]
unsafe fn view<'a, T>(p: *const u32, n: usize) -> &'a [T] {
    // SAFETY: the caller's: `n` lanes are readable, and T has 32 bits.
    unsafe { std::slice::from_raw_parts(p.cast(), n) }
}

/// Lane `i` as a number of 32 bits.
#[inline(always)]
unsafe fn at<T: Copy>(lanes: *const u32, i: usize) -> T {
    // SAFETY: the caller's: the lane is readable, and T has 32 bits.
    unsafe { *lanes.cast::<T>().add(i) }
}

/// Writes it.
#[inline(always)]
unsafe fn put<T>(lanes: Lanes, i: usize, value: T) {
    // SAFETY: as [`at`].
    unsafe { *lanes.cast::<T>().add(i) = value }
}

#[inline(always)]
unsafe fn unary<A: Copy, R>(args: [*const u32; 3], out: Lanes, n: usize, f: impl Fn(A) -> R) {
    // SAFETY: the caller's: a block is written by nobody else; it may be the argument's own.
    unsafe {
        let (a, out) = (args[0].cast::<A>(), out.cast::<R>());
        for i in 0..n {
            *out.add(i) = f(*a.add(i));
        }
    }
}

#[inline(always)]
unsafe fn binary<A: Copy, R>(args: [*const u32; 3], out: Lanes, n: usize, f: impl Fn(A, A) -> R) {
    // SAFETY: as `unary`.
    unsafe {
        let (a, b): (&[A], &[A]) = (view(args[0], n), view(args[1], n));
        let out = std::slice::from_raw_parts_mut(out.cast::<R>(), n);
        for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *o = f(a, b);
        }
    }
}

/// A function of the argument modulo a period: `near` up to [`math::PERIODIC`], `far` beyond, where that is exact and
/// slow. Each lane has the same bits whatever stands beside it.
#[inline(always)]
unsafe fn periodic(args: [*const u32; 3], out: Lanes, n: usize, near: impl Fn(f32) -> f32, far: impl Fn(f32) -> f32) {
    // SAFETY: the caller's: the argument is readable.
    let bits: &[u32] = unsafe { view(args[0], n) };
    let largest = bits.iter().fold(0, |most, bits| (bits & 0x7fff_ffff).max(most));
    // SAFETY: the caller's contract.
    unsafe {
        if largest <= math::PERIODIC.to_bits() {
            unary(args, out, n, near);
        } else {
            unary(args, out, n, |x: f32| if x.abs() <= math::PERIODIC { near(x) } else { far(x) });
        }
    }
}

/// Applies `f` to `n` lanes.
///
/// # Safety
/// The arguments that `f` has are readable and the result writable for `n` lanes; the result
/// overlaps no argument.
#[inline(always)]
unsafe fn apply<S: Simd>(s: S, f: Function, from: DType, to: DType, args: [*const u32; 3], out: Lanes, n: usize) {
    // SAFETY: the caller's contract, passed on.
    unsafe {
        match (f, from) {
            (Function::Identity, _) => convert(from, to, args, out, n),
            (Function::Where, _) => {
                let (c, a, b): (&[i32], &[u32], &[u32]) = (view(args[0], n), view(args[1], n), view(args[2], n));
                let out = std::slice::from_raw_parts_mut(out, n);
                for (((o, &c), &a), &b) in out.iter_mut().zip(c).zip(a).zip(b) {
                    // A branch would become a gather of what it picks.
                    let taken = u32::from(c != 0).wrapping_neg();
                    *o = (a & taken) | (b & !taken);
                }
            }
            (_, DType::F32) => float(s, f, args, out, n),
            (_, DType::U8) => {
                integer(f, args, out, n);
                if to == DType::U8 {
                    for o in std::slice::from_raw_parts_mut(out, n) {
                        *o &= 0xff;
                    }
                }
            }
            _ => integer(f, args, out, n),
        }
    }
}

/// Computes a row's form for all lanes.
macro_rules! compute {
    ($s:tt $f:ident $arity:tt $lanes:tt []) => {
        unreachable!("{:?} has no form for these lanes", $f)
    };
    ($s:tt $f:ident 1 ($args:ident, $out:ident, $n:ident) [periodic $near:expr, $far:expr]) => {
        periodic($args, $out, $n, $near, $far)
    };
    ($s:tt $f:ident 1 ($args:ident, $out:ident, $n:ident) [vector_math::$form:ident]) => {{
        let (from, to) = ($args[0].cast::<f32>(), $out.cast::<f32>());
        let mut at = 0;
        while at + S::LANES <= $n {
            $s.store(to.add(at), vector_math::$form($s, $s.load(from.add(at))));
            at += S::LANES;
        }
        if at < $n {
            let rest = $n - at;
            $s.store_first(to.add(at), vector_math::$form($s, $s.load_first(from.add(at), rest)), rest);
        }
    }};
    // Called by its path, a function is inlined as it demands; behind `Fn` a long one is not, and then has only the
    // instructions of every machine.
    ($s:tt $f:ident 1 ($args:ident, $out:ident, $n:ident) [math::$form:ident]) => {
        for i in 0..$n {
            *$out.cast::<f32>().add(i) = math::$form(*$args[0].cast::<f32>().add(i));
        }
    };
    ($s:tt $f:ident 2 ($args:ident, $out:ident, $n:ident) [math::$form:ident]) => {
        for i in 0..$n {
            put($out, i, math::$form(at($args[0], i), at($args[1], i)));
        }
    };
    ($s:tt $f:ident 1 ($args:ident, $out:ident, $n:ident) [$form:expr]) => {
        unary($args, $out, $n, $form)
    };
    ($s:tt $f:ident 2 ($args:ident, $out:ident, $n:ident) [$form:expr]) => {
        binary($args, $out, $n, $form)
    };
}

macro_rules! define {
    ($($variant:ident $name:literal $arity:tt $typing:ident $value:tt $derivative:tt $float:tt $integer:tt;)*) => {
        /// The function's form for f32.
        #[inline(always)]
        unsafe fn float<S: Simd>(s: S, f: Function, args: [*const u32; 3], out: Lanes, n: usize) {
            // SAFETY: the caller's contract, passed on.
            unsafe {
                match f { $(Function::$variant => compute!(s f $arity (args, out, n) $float)),* }
            }
        }

        /// The function's form for i32.
        #[inline(always)]
        unsafe fn integer(f: Function, args: [*const u32; 3], out: Lanes, n: usize) {
            // SAFETY: the caller's contract, passed on.
            unsafe {
                match f { $(Function::$variant => compute!(() f $arity (args, out, n) $integer)),* }
            }
        }
    };
}
pointwise_table!(define);

#[inline(always)]
unsafe fn convert(from: DType, to: DType, args: [*const u32; 3], out: Lanes, n: usize) {
    // SAFETY: the caller's contract, passed on.
    unsafe {
        // Lanes of all floats are f32.
        match (from.computed(), to) {
            (_, DType::F16 | DType::BF16) => {
                convert(from, DType::F32, args, out, n);
                super::lanes::round(std::slice::from_raw_parts_mut(out.cast(), n), to);
            }
            (DType::F32, DType::I32) => {
                unary::<f32, i32>(args, out, n, |x| if x.is_nan() { i32::MIN } else { x as i32 })
            }
            (DType::F32, DType::U8) => unary::<f32, i32>(args, out, n, |x| i32::from(x as i64 as u8)),
            (DType::F32, DType::Bool) => unary::<f32, i32>(args, out, n, |x| i32::from(x != 0.0)),
            (DType::F32, DType::F32) => unary::<f32, f32>(args, out, n, |x| x),
            (_, DType::F32) => unary::<i32, f32>(args, out, n, |x| x as f32),
            (_, DType::U8) => unary::<i32, i32>(args, out, n, |x| x & 0xff),
            (_, DType::Bool) => unary::<i32, i32>(args, out, n, |x| i32::from(x != 0)),
            (_, DType::I32) => unary::<i32, i32>(args, out, n, |x| x),
            (_, other) => unreachable!("{other} has no lanes"),
        }
    }
}

/// Sums of a block of f32: `(values, columns, step, sums)`. With a step, row `i` is added up into the
/// sum `i · step`; without, all rows are added to the same `columns` sums.
pub type Sum = fn(&[f32], usize, Option<usize>, &mut [f64]);

dispatch! {
    /// The sums of a tier.
    pub fn select_sum[] => sum(values: &[f32], cols: usize, row_step: Option<usize>, sums: &mut [f64]);
}

/// Greatest or least values of a block of f32, as [`Sum`]s: `(kind, values, columns, step, results)`. NaN wins; of zeros
/// the first.
pub type Extreme = fn(ReduceKind, &[f32], usize, Option<usize>, &mut [f64]);

dispatch! {
    /// The maxima and minima of a tier.
    pub fn select_extreme[] => extreme(
        kind: ReduceKind, values: &[f32], cols: usize, row_step: Option<usize>, results: &mut [f64],
    );
}

/// Columns from which on rows are added up in registers.
const WIDE: usize = 32;
/// Columns up to which rows are added up one number after another.
const SHORT: usize = 8;
/// Rows whose lanes are added up together, and vectors that add up side by side.
const ABREAST: usize = 4;

/// Adds each row up (`row_step` given) or all rows column by column.
#[inline(always)]
fn sum<S: Simd>(s: S, values: &[f32], cols: usize, row_step: Option<usize>, sums: &mut [f64]) {
    match row_step {
        Some(step) if cols <= SHORT => match cols {
            1 => sum_short_rows::<1>(values, step, sums),
            2 => sum_short_rows::<2>(values, step, sums),
            3 => sum_short_rows::<3>(values, step, sums),
            4 => sum_short_rows::<4>(values, step, sums),
            5 => sum_short_rows::<5>(values, step, sums),
            6 => sum_short_rows::<6>(values, step, sums),
            7 => sum_short_rows::<7>(values, step, sums),
            _ => sum_short_rows::<SHORT>(values, step, sums),
        },
        Some(step) => {
            let mut at = 0;
            for rows in values.chunks(cols * ABREAST) {
                // Rows that are absent are 0, so that no row's order of addition depends on what lies beside it.
                let mut folded = [s.zero(); ABREAST];
                for (folded, row) in folded.iter_mut().zip(rows.chunks_exact(cols)) {
                    *folded = fold(s, row);
                }
                for &sum in &s.reduce_add4(&folded)[..rows.len() / cols] {
                    sums[at] += f64::from(sum);
                    at += step;
                }
            }
        }
        None if cols >= WIDE => {
            for first in (0..cols).step_by(ABREAST * S::LANES) {
                sum_columns(s, values, cols, first, &mut sums[first..cols]);
            }
        }
        None => {
            // Several rows side by side, so that vectors are full whatever the number of columns.
            let period = cols * 16;
            let mut lanes = [0.0f32; WIDE * 16];
            let lanes = &mut lanes[..period];
            let blocks = values.chunks_exact(period);
            let rest = blocks.remainder();
            for block in blocks {
                lanes.iter_mut().zip(block).for_each(|(l, &v)| *l += v);
            }
            lanes.iter_mut().zip(rest).for_each(|(l, &v)| *l += v);
            for row in lanes.chunks_exact(cols) {
                sums.iter_mut().zip(row).for_each(|(s, &v)| *s += f64::from(v));
            }
        }
    }
}

/// Adds up rows that are shorter than what it takes to make vectors of them.
#[inline(always)]
fn sum_short_rows<const COLS: usize>(values: &[f32], step: usize, sums: &mut [f64]) {
    for (i, row) in values.as_chunks::<COLS>().0.iter().enumerate() {
        sums[i * step] += f64::from(row[1..].iter().fold(row[0], |sum, &v| sum + v));
    }
}

/// A row as one vector of partial sums.
#[inline(always)]
fn fold<S: Simd>(s: S, row: &[f32]) -> S::F {
    let mut lanes = [s.zero(); ABREAST];
    let blocks = row.chunks_exact(ABREAST * S::LANES);
    let mut rest = blocks.remainder();
    for block in blocks {
        for (v, lanes) in lanes.iter_mut().enumerate() {
            // SAFETY: the block has as many vectors.
            *lanes = s.add(*lanes, unsafe { s.load(block.as_ptr().add(v * S::LANES)) });
        }
    }
    for lanes in &mut lanes {
        let part = rest.len().min(S::LANES);
        if part > 0 {
            // SAFETY: as many elements are left.
            let values =
                unsafe { if part == S::LANES { s.load(rest.as_ptr()) } else { s.load_first(rest.as_ptr(), part) } };
            *lanes = s.add(*lanes, values);
        }
        rest = &rest[part..];
    }
    s.add(s.add(lanes[0], lanes[2]), s.add(lanes[1], lanes[3]))
}

/// Adds the columns from `first` on, as many as [`ABREAST`] vectors hold, to sums of their own.
#[inline(always)]
fn sum_columns<S: Simd>(s: S, values: &[f32], cols: usize, first: usize, sums: &mut [f64]) {
    let mut lanes = [s.zero(); ABREAST];
    if sums.len() >= ABREAST * S::LANES {
        for row in values.chunks_exact(cols) {
            for (v, lanes) in lanes.iter_mut().enumerate() {
                // SAFETY: the row has as many vectors from `first` on.
                *lanes = s.add(*lanes, unsafe { s.load(row.as_ptr().add(first + v * S::LANES)) });
            }
        }
    } else {
        // Lanes of each vector.
        let part = |v: usize| sums.len().saturating_sub(v * S::LANES).min(S::LANES);
        for row in values.chunks_exact(cols) {
            for (v, lanes) in lanes.iter_mut().enumerate().filter(|&(v, _)| part(v) > 0) {
                // SAFETY: the row has that part of a vector.
                *lanes = s.add(*lanes, unsafe { s.load_first(row.as_ptr().add(first + v * S::LANES), part(v)) });
            }
        }
    }
    let mut all = [0.0f32; ABREAST * 16];
    for (v, &lanes) in lanes.iter().enumerate() {
        // SAFETY: a vector has at most 16 lanes.
        unsafe { s.store(all.as_mut_ptr().add(v * S::LANES), lanes) };
    }
    sums.iter_mut().zip(&all[..ABREAST * S::LANES]).for_each(|(s, &v)| *s += f64::from(v));
}

#[inline(always)]
fn extreme<S: Simd>(s: S, kind: ReduceKind, values: &[f32], cols: usize, row_step: Option<usize>, results: &mut [f64]) {
    match kind {
        ReduceKind::Max => extremes::<S, true>(s, values, cols, row_step, results),
        ReduceKind::Min => extremes::<S, false>(s, values, cols, row_step, results),
        ReduceKind::Sum | ReduceKind::Prod => unreachable!("{kind:?} is no extreme"),
    }
}

#[inline(always)]
fn extremes<S: Simd, const MAX: bool>(s: S, values: &[f32], cols: usize, row_step: Option<usize>, results: &mut [f64]) {
    let kind = if MAX { ReduceKind::Max } else { ReduceKind::Min };
    let Some(step) = row_step else {
        for at in (0..cols).step_by(S::LANES) {
            let part = at..cols.min(at + S::LANES);
            let mut met = Met::begin(s, load_part(s, &values[part.clone()]));
            for row in values.chunks_exact(cols) {
                met.meet::<MAX>(s, load_part(s, &row[part.clone()]));
            }
            let mut lanes = [0.0; 16];
            s.store_array(&mut lanes, met.end(s));
            for (result, &lane) in results[part].iter_mut().zip(&lanes) {
                *result = kind.combine(*result, f64::from(lane));
            }
        }
        return;
    };
    for (i, row) in values.chunks_exact(cols).enumerate() {
        let result = &mut results[i * step];
        *result = kind.combine(*result, f64::from(extreme_of_row::<S, MAX>(s, row)));
    }
}

/// The greatest, or least, of what each lane has met, and which lanes have met NaN.
#[derive(Clone, Copy)]
struct Met<S: Simd> {
    extreme: S::F,
    nan: S::M,
}

impl<S: Simd> Met<S> {
    #[inline(always)]
    fn begin(s: S, values: S::F) -> Self {
        Met { extreme: values, nan: s.mnot(s.eq(values, values)) }
    }

    #[inline(always)]
    fn meet<const MAX: bool>(&mut self, s: S, values: S::F) {
        // Where a value is NaN, the extreme stays.
        self.extreme = if MAX { s.max(values, self.extreme) } else { s.min(values, self.extreme) };
        self.nan = s.mor(self.nan, s.mnot(s.eq(values, values)));
    }

    #[inline(always)]
    fn with<const MAX: bool>(mut self, s: S, other: Self) -> Self {
        self.meet::<MAX>(s, other.extreme);
        self.nan = s.mor(self.nan, other.nan);
        self
    }

    /// The extremes, NaN in lanes that have met it.
    #[inline(always)]
    fn end(self, s: S) -> S::F {
        s.select(self.nan, s.splat(f32::NAN), self.extreme)
    }
}

/// At most a vector of values, and 0 in the lanes behind them.
#[inline(always)]
fn load_part<S: Simd>(s: S, values: &[f32]) -> S::F {
    // SAFETY: as many elements are there.
    unsafe {
        match values.len() == S::LANES {
            true => s.load(values.as_ptr()),
            false => s.load_first(values.as_ptr(), values.len()),
        }
    }
}

#[inline(always)]
fn extreme_of_row<S: Simd, const MAX: bool>(s: S, row: &[f32]) -> f32 {
    if row.len() < S::LANES {
        let start = if MAX { f32::NEG_INFINITY } else { f32::INFINITY };
        return row.iter().fold(start, |a, &b| if MAX { math::maximum(a, b) } else { math::minimum(a, b) });
    }
    // Values may count twice: the first vector is where all lanes begin, and the last one overlaps others.
    let mut lanes = [Met::begin(s, load_part(s, &row[..S::LANES])); ABREAST];
    let blocks = row.chunks_exact(ABREAST * S::LANES);
    let rest = blocks.remainder();
    for block in blocks {
        for (v, lanes) in lanes.iter_mut().enumerate() {
            // SAFETY: the block has as many vectors.
            lanes.meet::<MAX>(s, unsafe { s.load(block.as_ptr().add(v * S::LANES)) });
        }
    }
    for (v, lanes) in lanes.iter_mut().enumerate() {
        if (v + 1) * S::LANES <= rest.len() {
            // SAFETY: as checked.
            lanes.meet::<MAX>(s, unsafe { s.load(rest.as_ptr().add(v * S::LANES)) });
        }
    }
    lanes[3].meet::<MAX>(s, load_part(s, &row[row.len() - S::LANES..]));
    let [a, b, c, d] = lanes;
    let all = a.with::<MAX>(s, c).with::<MAX>(s, b.with::<MAX>(s, d));
    if s.reduce_max(s.select(all.nan, s.splat(1.0), s.zero())) > 0.0 {
        return f32::NAN;
    }
    let extreme = if MAX { s.reduce_max(all.extreme) } else { s.reduce_min(all.extreme) };
    if extreme != 0.0 {
        return extreme;
    }
    // Of zeros the first, whose sign may be another lane's.
    row.iter().copied().find(|&v| v == 0.0).unwrap_or(extreme)
}
