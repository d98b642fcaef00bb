//! AArch64 Advanced SIMD: four lanes.
#![allow(unsafe_op_in_unsafe_fn, reason = "each body is one operation under the contract of the trait")]

use super::{Simd, Tier};
use std::arch::aarch64::*;

/// AArch64 Advanced SIMD, which every AArch64 machine has.
#[derive(Clone, Copy)]
pub struct Neon;

macro_rules! ops {
    ($($name:ident($($a:ident : $t:ident),*) -> $r:ident = $e:expr;)*) => {
        $(#[inline(always)] unsafe fn $name($($a: Self::$t),*) -> Self::$r { $e })*
    };
}

impl Simd for Neon {
    const LANES: usize = 4;
    const TIER: Tier = Tier::Neon;
    type F = float32x4_t;
    type I = int32x4_t;
    type M = uint32x4_t;

    ops! {
        zero() -> F = vdupq_n_f32(0.0);
        add(a: F, b: F) -> F = vaddq_f32(a, b);
        sub(a: F, b: F) -> F = vsubq_f32(a, b);
        mul(a: F, b: F) -> F = vmulq_f32(a, b);
        div(a: F, b: F) -> F = vdivq_f32(a, b);
        min(a: F, b: F) -> F = vbslq_f32(vcltq_f32(a, b), a, b);
        max(a: F, b: F) -> F = vbslq_f32(vcgtq_f32(a, b), a, b);
        mul_add(a: F, b: F, c: F) -> F = vfmaq_f32(c, a, b);
        neg_mul_add(a: F, b: F, c: F) -> F = vfmsq_f32(c, a, b);
        sqrt(a: F) -> F = vsqrtq_f32(a);
        abs(a: F) -> F = vabsq_f32(a);
        neg(a: F) -> F = vnegq_f32(a);
        floor(a: F) -> F = vrndmq_f32(a);
        ceil(a: F) -> F = vrndpq_f32(a);
        round_even(a: F) -> F = vrndnq_f32(a);
        lt(a: F, b: F) -> M = vcltq_f32(a, b);
        le(a: F, b: F) -> M = vcleq_f32(a, b);
        eq(a: F, b: F) -> M = vceqq_f32(a, b);
        select(m: M, a: F, b: F) -> F = vbslq_f32(m, a, b);
        iadd(a: I, b: I) -> I = vaddq_s32(a, b);
        isub(a: I, b: I) -> I = vsubq_s32(a, b);
        imul(a: I, b: I) -> I = vmulq_s32(a, b);
        iand(a: I, b: I) -> I = vandq_s32(a, b);
        ior(a: I, b: I) -> I = vorrq_s32(a, b);
        ixor(a: I, b: I) -> I = veorq_s32(a, b);
        ilt(a: I, b: I) -> M = vcltq_s32(a, b);
        ieq(a: I, b: I) -> M = vceqq_s32(a, b);
        iselect(m: M, a: I, b: I) -> I = vbslq_s32(m, a, b);
        imin(a: I, b: I) -> I = vminq_s32(a, b);
        imax(a: I, b: I) -> I = vmaxq_s32(a, b);
        mand(a: M, b: M) -> M = vandq_u32(a, b);
        mor(a: M, b: M) -> M = vorrq_u32(a, b);
        mnot(a: M) -> M = vmvnq_u32(a);
        to_f(a: I) -> F = vcvtq_f32_s32(a);
        to_i(a: F) -> I = vcvtq_s32_f32(a);
        bits(a: F) -> I = vreinterpretq_s32_f32(a);
        from_bits(a: I) -> F = vreinterpretq_f32_s32(a);
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        vdupq_n_f32(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        vld1q_f32(p)
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        vst1q_f32(p, v)
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> float32x4_t {
        let mut lanes = [0.0f32; 4];
        std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
        vld1q_f32(lanes.as_ptr())
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, v: float32x4_t, n: usize) {
        let mut lanes = [0.0f32; 4];
        vst1q_f32(lanes.as_mut_ptr(), v);
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
    }
    #[inline(always)]
    unsafe fn reduce_add(v: float32x4_t) -> f32 {
        let y = vadd_f32(vget_low_f32(v), vget_high_f32(v));
        vget_lane_f32::<0>(y) + vget_lane_f32::<1>(y)
    }
    #[inline(always)]
    unsafe fn reduce_max(v: float32x4_t) -> f32 {
        let w = Self::max(v, vextq_f32::<2>(v, v));
        vgetq_lane_f32::<0>(Self::max(w, vextq_f32::<1>(w, w)))
    }
    #[inline(always)]
    unsafe fn reduce_min(v: float32x4_t) -> f32 {
        let w = Self::min(v, vextq_f32::<2>(v, v));
        vgetq_lane_f32::<0>(Self::min(w, vextq_f32::<1>(w, w)))
    }
    #[inline(always)]
    unsafe fn isplat(x: i32) -> int32x4_t {
        vdupq_n_s32(x)
    }
    #[inline(always)]
    unsafe fn iload(p: *const i32) -> int32x4_t {
        vld1q_s32(p)
    }
    #[inline(always)]
    unsafe fn istore(p: *mut i32, v: int32x4_t) {
        vst1q_s32(p, v)
    }
    #[inline(always)]
    unsafe fn iload_first(p: *const i32, n: usize) -> int32x4_t {
        let mut lanes = [0i32; 4];
        std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
        vld1q_s32(lanes.as_ptr())
    }
    #[inline(always)]
    unsafe fn istore_first(p: *mut i32, v: int32x4_t, n: usize) {
        let mut lanes = [0i32; 4];
        vst1q_s32(lanes.as_mut_ptr(), v);
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
    }
    #[inline(always)]
    unsafe fn ishl<const N: u32>(a: int32x4_t) -> int32x4_t {
        vshlq_s32(a, vdupq_n_s32(N as i32))
    }
    #[inline(always)]
    unsafe fn ishr<const N: u32>(a: int32x4_t) -> int32x4_t {
        vshlq_s32(a, vdupq_n_s32(-(N as i32)))
    }
    #[inline(always)]
    unsafe fn ushr<const N: u32>(a: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-(N as i32))))
    }
    #[inline(always)]
    unsafe fn transpose(src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize) {
        let (a, b) = (vld1q_f32(src), vld1q_f32(src.add(src_ld)));
        let (c, d) = (vld1q_f32(src.add(2 * src_ld)), vld1q_f32(src.add(3 * src_ld)));
        let (p, q) = (vreinterpretq_f64_f32(vtrn1q_f32(a, b)), vreinterpretq_f64_f32(vtrn2q_f32(a, b)));
        let (r, s) = (vreinterpretq_f64_f32(vtrn1q_f32(c, d)), vreinterpretq_f64_f32(vtrn2q_f32(c, d)));
        vst1q_f32(dst, vreinterpretq_f32_f64(vzip1q_f64(p, r)));
        vst1q_f32(dst.add(dst_ld), vreinterpretq_f32_f64(vzip1q_f64(q, s)));
        vst1q_f32(dst.add(2 * dst_ld), vreinterpretq_f32_f64(vzip2q_f64(p, r)));
        vst1q_f32(dst.add(3 * dst_ld), vreinterpretq_f32_f64(vzip2q_f64(q, s)));
    }
    #[inline(always)]
    unsafe fn prefetch(_p: *const f32) {}
}
