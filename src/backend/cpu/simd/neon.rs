//! AArch64 Advanced SIMD: four lanes.
#![allow(unsafe_op_in_unsafe_fn, reason = "the unsafe methods are accesses of memory under the contract of the trait")]

use super::{Simd, Tier};
use std::arch::aarch64::*;

/// AArch64 Advanced SIMD, which every AArch64 machine has.
#[derive(Clone, Copy)]
pub struct Neon(());

impl Neon {
    /// The token, where the processor has the set.
    pub fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }

    /// The token in code that is compiled for the set. Calls from such code are safe, which the compiler checks.
    ///
    /// # Safety
    /// Elsewhere: the processor has the set.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn here() -> Self {
        Neon(())
    }
}

type F = float32x4_t;
type I = int32x4_t;
type M = uint32x4_t;

// SAFETY: a token is made only where the processor has the set; vectors have `LANES` lanes, and the accesses are of
// as many elements as the trait says.
unsafe impl Simd for Neon {
    const LANES: usize = 4;
    const TIER: Tier = Tier::Neon;
    type F = F;
    type I = I;
    type M = M;

    #[inline(always)]
    fn lookup(self, table: &[f32; 16], at: I) -> F {
        // SAFETY: the token is proof of the set; the table has 64 bytes.
        unsafe {
            let bytes = vld1q_u8_x4(table.as_ptr().cast());
            // The four bytes of each element.
            let first = vmulq_n_u32(vandq_u32(vreinterpretq_u32_s32(at), vdupq_n_u32(15)), 0x0404_0404);
            let at = vaddq_u32(first, vdupq_n_u32(0x0302_0100));
            vreinterpretq_f32_u8(vqtbl4q_u8(bytes, vreinterpretq_u8_u32(at)))
        }
    }

    intrinsics! {
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
        with_bits(a: I) -> F = vreinterpretq_f32_s32(a);
        splat(x: f32) -> F = vdupq_n_f32(x);
        isplat(x: i32) -> I = vdupq_n_s32(x);
        ishl<N>(a: I) -> I = vshlq_s32(a, vdupq_n_s32(N as i32));
        ishr<N>(a: I) -> I = vshlq_s32(a, vdupq_n_s32(-(N as i32)));
        ushr<N>(a: I) -> I = vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-(N as i32))));
    }
    accesses! {
        load(p: *const f32) -> F = vld1q_f32(p);
        store(p: *mut f32, v: F) = vst1q_f32(p, v);
        iload(p: *const i32) -> I = vld1q_s32(p);
        istore(p: *mut i32, v: I) = vst1q_s32(p, v);
    }

    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> F {
        let mut lanes = [0.0f32; 4];
        std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
        vld1q_f32(lanes.as_ptr())
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: F, n: usize) {
        let mut lanes = [0.0f32; 4];
        vst1q_f32(lanes.as_mut_ptr(), v);
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
    }
    #[inline(always)]
    fn reduce_add(self, v: F) -> f32 {
        // SAFETY: the token is proof of the set.
        unsafe {
            let y = vadd_f32(vget_low_f32(v), vget_high_f32(v));
            vget_lane_f32::<0>(y) + vget_lane_f32::<1>(y)
        }
    }
    #[inline(always)]
    fn reduce_max(self, v: F) -> f32 {
        // SAFETY: the token is proof of the set.
        unsafe {
            let w = self.max(v, vextq_f32::<2>(v, v));
            vgetq_lane_f32::<0>(self.max(w, vextq_f32::<1>(w, w)))
        }
    }
    #[inline(always)]
    fn reduce_min(self, v: F) -> f32 {
        // SAFETY: the token is proof of the set.
        unsafe {
            let w = self.min(v, vextq_f32::<2>(v, v));
            vgetq_lane_f32::<0>(self.min(w, vextq_f32::<1>(w, w)))
        }
    }
    #[inline(always)]
    unsafe fn iload_first(self, p: *const i32, n: usize) -> I {
        let mut lanes = [0i32; 4];
        std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
        vld1q_s32(lanes.as_ptr())
    }
    #[inline(always)]
    unsafe fn istore_first(self, p: *mut i32, v: I, n: usize) {
        let mut lanes = [0i32; 4];
        vst1q_s32(lanes.as_mut_ptr(), v);
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
    }
    #[inline(always)]
    unsafe fn transpose(self, src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize) {
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
    fn prefetch(self, _p: *const f32) {}
}
