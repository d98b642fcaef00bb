//! Portable code: four lanes in an array, which compilers turn into the baseline's vectors.
#![allow(unsafe_op_in_unsafe_fn, reason = "the unsafe methods are accesses of memory under the contract of the trait")]

use super::{Simd, Tier};
use std::array::from_fn;

/// Portable code.
#[derive(Clone, Copy)]
pub struct Scalar(());

impl Scalar {
    /// The token, which is to be had everywhere.
    #[inline(always)]
    pub fn here() -> Self {
        Scalar(())
    }
}

/// A vector.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub struct Lanes<T>([T; 4]);

#[inline(always)]
fn map<A: Copy, R>(a: Lanes<A>, f: impl Fn(A) -> R) -> Lanes<R> {
    Lanes([f(a.0[0]), f(a.0[1]), f(a.0[2]), f(a.0[3])])
}

#[inline(always)]
fn zip<A: Copy, B: Copy, R>(a: Lanes<A>, b: Lanes<B>, f: impl Fn(A, B) -> R) -> Lanes<R> {
    Lanes([f(a.0[0], b.0[0]), f(a.0[1], b.0[1]), f(a.0[2], b.0[2]), f(a.0[3], b.0[3])])
}

/// `a < b ? a : b`.
#[inline(always)]
fn less(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// `a > b ? a : b`.
#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

macro_rules! ops {
    ($($name:ident $(<$n:ident>)? ($($a:ident: $t:ty),*) -> $r:ty = $e:expr;)*) => {
        $(#[inline(always)] fn $name $(<const $n: u32>)? (self, $($a: $t),*) -> $r { $e })*
    };
}

type F = Lanes<f32>;
type I = Lanes<i32>;
type M = Lanes<bool>;

// SAFETY: vectors have `LANES` lanes, and the accesses are of as many elements as the trait says.
unsafe impl Simd for Scalar {
    const LANES: usize = 4;
    const TIER: Tier = Tier::Scalar;
    type F = F;
    type I = I;
    type M = M;

    #[inline(always)]
    fn lookup(self, table: &[f32; 16], at: I) -> F {
        map(at, |i| table[(i & 15) as usize])
    }

    ops! {
        zero() -> F = Lanes([0.0; 4]);
        add(a: F, b: F) -> F = zip(a, b, |x, y| x + y);
        sub(a: F, b: F) -> F = zip(a, b, |x, y| x - y);
        mul(a: F, b: F) -> F = zip(a, b, |x, y| x * y);
        div(a: F, b: F) -> F = zip(a, b, |x, y| x / y);
        min(a: F, b: F) -> F = zip(a, b, less);
        max(a: F, b: F) -> F = zip(a, b, greater);
        mul_add(a: F, b: F, c: F) -> F = Lanes(from_fn(|i| a.0[i] * b.0[i] + c.0[i]));
        neg_mul_add(a: F, b: F, c: F) -> F = Lanes(from_fn(|i| c.0[i] - a.0[i] * b.0[i]));
        sqrt(a: F) -> F = map(a, f32::sqrt);
        abs(a: F) -> F = map(a, f32::abs);
        neg(a: F) -> F = map(a, |x| -x);
        floor(a: F) -> F = map(a, f32::floor);
        ceil(a: F) -> F = map(a, f32::ceil);
        round_even(a: F) -> F = map(a, f32::round_ties_even);
        lt(a: F, b: F) -> M = zip(a, b, |x, y| x < y);
        le(a: F, b: F) -> M = zip(a, b, |x, y| x <= y);
        eq(a: F, b: F) -> M = zip(a, b, |x, y| x == y);
        select(m: M, a: F, b: F) -> F = Lanes(from_fn(|i| if m.0[i] { a.0[i] } else { b.0[i] }));
        iadd(a: I, b: I) -> I = zip(a, b, i32::wrapping_add);
        isub(a: I, b: I) -> I = zip(a, b, i32::wrapping_sub);
        imul(a: I, b: I) -> I = zip(a, b, i32::wrapping_mul);
        iand(a: I, b: I) -> I = zip(a, b, |x, y| x & y);
        ior(a: I, b: I) -> I = zip(a, b, |x, y| x | y);
        ixor(a: I, b: I) -> I = zip(a, b, |x, y| x ^ y);
        ilt(a: I, b: I) -> M = zip(a, b, |x, y| x < y);
        ieq(a: I, b: I) -> M = zip(a, b, |x, y| x == y);
        iselect(m: M, a: I, b: I) -> I = Lanes(from_fn(|i| if m.0[i] { a.0[i] } else { b.0[i] }));
        imin(a: I, b: I) -> I = zip(a, b, i32::min);
        imax(a: I, b: I) -> I = zip(a, b, i32::max);
        mand(a: M, b: M) -> M = zip(a, b, |x, y| x & y);
        mor(a: M, b: M) -> M = zip(a, b, |x, y| x | y);
        mnot(a: M) -> M = map(a, |x| !x);
        to_f(a: I) -> F = map(a, |x| x as f32);
        to_i(a: F) -> I = map(a, |x| x as i32);
        bits(a: F) -> I = map(a, |x| x.to_bits() as i32);
        with_bits(a: I) -> F = map(a, |x| f32::from_bits(x as u32));
        splat(x: f32) -> F = Lanes([x; 4]);
        reduce_add(v: F) -> f32 = (v.0[0] + v.0[2]) + (v.0[1] + v.0[3]);
        reduce_max(v: F) -> f32 = greater(greater(v.0[0], v.0[2]), greater(v.0[1], v.0[3]));
        reduce_min(v: F) -> f32 = less(less(v.0[0], v.0[2]), less(v.0[1], v.0[3]));
        isplat(x: i32) -> I = Lanes([x; 4]);
        ishl<N>(a: I) -> I = map(a, |x| x << N);
        ishr<N>(a: I) -> I = map(a, |x| x >> N);
        ushr<N>(a: I) -> I = map(a, |x| ((x as u32) >> N) as i32);
    }
    accesses! {
        load(p: *const f32) -> F = Lanes(p.cast::<[f32; 4]>().read_unaligned());
        store(p: *mut f32, v: F) = p.cast::<[f32; 4]>().write_unaligned(v.0);
        store_first(p: *mut f32, v: F, n: usize) = std::ptr::copy_nonoverlapping(v.0.as_ptr(), p, n);
        iload(p: *const i32) -> I = Lanes(p.cast::<[i32; 4]>().read_unaligned());
        istore(p: *mut i32, v: I) = p.cast::<[i32; 4]>().write_unaligned(v.0);
        istore_first(p: *mut i32, v: I, n: usize) = std::ptr::copy_nonoverlapping(v.0.as_ptr(), p, n);
    }

    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> F {
        let mut v = Lanes([0.0; 4]);
        std::ptr::copy_nonoverlapping(p, v.0.as_mut_ptr(), n);
        v
    }
    #[inline(always)]
    unsafe fn iload_first(self, p: *const i32, n: usize) -> I {
        let mut v = Lanes([0; 4]);
        std::ptr::copy_nonoverlapping(p, v.0.as_mut_ptr(), n);
        v
    }
    #[inline(always)]
    unsafe fn transpose(self, src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize) {
        for r in 0..4 {
            for c in 0..4 {
                *dst.add(c * dst_ld + r) = *src.add(r * src_ld + c);
            }
        }
    }
    #[inline(always)]
    fn prefetch(self, _p: *const f32) {}
}
