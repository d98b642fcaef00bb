//! AVX-512 F, BW, DQ, VL: sixteen lanes.
#![allow(unsafe_op_in_unsafe_fn, reason = "the unsafe methods are accesses of memory under the contract of the trait")]

use super::{Avx2, Simd, Tier};
use std::arch::x86_64::*;

/// AVX-512 F, BW, DQ, VL.
#[derive(Clone, Copy)]
pub struct Avx512(());

impl Avx512 {
    /// The token, where the processor has these extensions, and AVX2 and FMA besides.
    pub fn new() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && Avx2::new().is_some();
        present.then_some(Avx512(()))
    }

    /// The token in code that is compiled for the set. Calls from such code are safe, which the compiler checks.
    ///
    /// # Safety
    /// Elsewhere: the processor has the set.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub fn here() -> Self {
        Avx512(())
    }
}

/// The mask of the first `n <= 16` lanes.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

macro_rules! reduce {
    ($v:ident, $op256:ident, $op128:ident, $op1:ident) => {{
        let x = $op256(_mm512_castps512_ps256($v), _mm512_extractf32x8_ps::<1>($v));
        let y = $op128(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let z = $op128(y, _mm_movehl_ps(y, y));
        _mm_cvtss_f32($op1(z, _mm_shuffle_ps::<1>(z, z)))
    }};
}

type F = __m512;
type I = __m512i;
type M = __mmask16;

// SAFETY: a token is made only where the processor has the set; vectors have `LANES` lanes, and the accesses are of
// as many elements as the trait says.
unsafe impl Simd for Avx512 {
    const LANES: usize = 16;
    const TIER: Tier = Tier::Avx512;
    type F = F;
    type I = I;
    type M = M;

    #[inline(always)]
    fn lookup(self, table: &[f32; 16], at: I) -> F {
        // SAFETY: the token is proof of the set; the table has a vector.
        unsafe { _mm512_permutexvar_ps(at, _mm512_loadu_ps(table.as_ptr())) }
    }

    intrinsics! {
        zero() -> F = _mm512_setzero_ps();
        add(a: F, b: F) -> F = _mm512_add_ps(a, b);
        sub(a: F, b: F) -> F = _mm512_sub_ps(a, b);
        mul(a: F, b: F) -> F = _mm512_mul_ps(a, b);
        div(a: F, b: F) -> F = _mm512_div_ps(a, b);
        min(a: F, b: F) -> F = _mm512_min_ps(a, b);
        max(a: F, b: F) -> F = _mm512_max_ps(a, b);
        mul_add(a: F, b: F, c: F) -> F = _mm512_fmadd_ps(a, b, c);
        neg_mul_add(a: F, b: F, c: F) -> F = _mm512_fnmadd_ps(a, b, c);
        sqrt(a: F) -> F = _mm512_sqrt_ps(a);
        abs(a: F) -> F = _mm512_andnot_ps(_mm512_set1_ps(-0.0), a);
        neg(a: F) -> F = _mm512_xor_ps(_mm512_set1_ps(-0.0), a);
        floor(a: F) -> F = _mm512_roundscale_ps::<0x09>(a);
        ceil(a: F) -> F = _mm512_roundscale_ps::<0x0a>(a);
        round_even(a: F) -> F = _mm512_roundscale_ps::<0x08>(a);
        lt(a: F, b: F) -> M = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b);
        le(a: F, b: F) -> M = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b);
        eq(a: F, b: F) -> M = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b);
        select(m: M, a: F, b: F) -> F = _mm512_mask_blend_ps(m, b, a);
        iadd(a: I, b: I) -> I = _mm512_add_epi32(a, b);
        isub(a: I, b: I) -> I = _mm512_sub_epi32(a, b);
        imul(a: I, b: I) -> I = _mm512_mullo_epi32(a, b);
        iand(a: I, b: I) -> I = _mm512_and_si512(a, b);
        ior(a: I, b: I) -> I = _mm512_or_si512(a, b);
        ixor(a: I, b: I) -> I = _mm512_xor_si512(a, b);
        ilt(a: I, b: I) -> M = _mm512_cmplt_epi32_mask(a, b);
        ieq(a: I, b: I) -> M = _mm512_cmpeq_epi32_mask(a, b);
        iselect(m: M, a: I, b: I) -> I = _mm512_mask_blend_epi32(m, b, a);
        imin(a: I, b: I) -> I = _mm512_min_epi32(a, b);
        imax(a: I, b: I) -> I = _mm512_max_epi32(a, b);
        to_f(a: I) -> F = _mm512_cvtepi32_ps(a);
        to_i(a: F) -> I = _mm512_cvttps_epi32(a);
        bits(a: F) -> I = _mm512_castps_si512(a);
        with_bits(a: I) -> F = _mm512_castsi512_ps(a);
        splat(x: f32) -> F = _mm512_set1_ps(x);
        reduce_add(v: F) -> f32 = reduce!(v, _mm256_add_ps, _mm_add_ps, _mm_add_ss);
        reduce_max(v: F) -> f32 = reduce!(v, _mm256_max_ps, _mm_max_ps, _mm_max_ss);
        reduce_min(v: F) -> f32 = reduce!(v, _mm256_min_ps, _mm_min_ps, _mm_min_ss);
        isplat(x: i32) -> I = _mm512_set1_epi32(x);
        ishl<N>(a: I) -> I = _mm512_slli_epi32::<N>(a);
        ishr<N>(a: I) -> I = _mm512_srai_epi32::<N>(a);
        ushr<N>(a: I) -> I = _mm512_srli_epi32::<N>(a);
    }
    accesses! {
        load(p: *const f32) -> F = _mm512_loadu_ps(p);
        store(p: *mut f32, v: F) = _mm512_storeu_ps(p, v);
        load_first(p: *const f32, n: usize) -> F = _mm512_maskz_loadu_ps(first(n), p);
        store_first(p: *mut f32, v: F, n: usize) = _mm512_mask_storeu_ps(p, first(n), v);
        iload(p: *const i32) -> I = _mm512_loadu_epi32(p);
        istore(p: *mut i32, v: I) = _mm512_storeu_epi32(p, v);
        iload_first(p: *const i32, n: usize) -> I = _mm512_maskz_loadu_epi32(first(n), p);
        istore_first(p: *mut i32, v: I, n: usize) = _mm512_mask_storeu_epi32(p, first(n), v);
    }

    #[inline(always)]
    fn mand(self, a: M, b: M) -> M {
        a & b
    }
    #[inline(always)]
    fn mor(self, a: M, b: M) -> M {
        a | b
    }
    #[inline(always)]
    fn mnot(self, a: M) -> M {
        !a
    }
    #[inline(always)]
    fn reduce_add4(self, v: &[F; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        // SAFETY: the token is proof of the set; `sums` holds four lanes.
        unsafe {
            // Lanes 0 + 2 and 1 + 3 of each quarter, of two vectors; then all four of four; then quarters.
            let halves = |a, b| _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let (ab, cd) = (halves(v[0], v[1]), halves(v[2], v[3]));
            let x = _mm512_add_ps(_mm512_shuffle_ps::<0x44>(ab, cd), _mm512_shuffle_ps::<0xee>(ab, cd));
            let y = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps::<1>(y));
            _mm_storeu_ps(sums.as_mut_ptr(), z);
        }
        sums
    }
    #[inline(always)]
    unsafe fn transpose(self, src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize) {
        let z = _mm512_setzero_ps();
        let mut t = [z; 16];
        for r in 0..8 {
            let (a, b) = (_mm512_loadu_ps(src.add(2 * r * src_ld)), _mm512_loadu_ps(src.add((2 * r + 1) * src_ld)));
            t[2 * r] = _mm512_unpacklo_ps(a, b);
            t[2 * r + 1] = _mm512_unpackhi_ps(a, b);
        }
        // u[4 * q + c]: in its 128-bit lane l, column 4 * l + c of the rows 4 * q .. 4 * q + 4.
        let mut u = [z; 16];
        for q in 0..4 {
            for h in 0..2 {
                let (a, b) = (_mm512_castps_pd(t[4 * q + h]), _mm512_castps_pd(t[4 * q + h + 2]));
                u[4 * q + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                u[4 * q + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
            }
        }
        for c in 0..4 {
            let even = _mm512_shuffle_f32x4::<0x88>(u[c], u[4 + c]);
            let odd = _mm512_shuffle_f32x4::<0xdd>(u[c], u[4 + c]);
            let even2 = _mm512_shuffle_f32x4::<0x88>(u[8 + c], u[12 + c]);
            let odd2 = _mm512_shuffle_f32x4::<0xdd>(u[8 + c], u[12 + c]);
            _mm512_storeu_ps(dst.add(c * dst_ld), _mm512_shuffle_f32x4::<0x88>(even, even2));
            _mm512_storeu_ps(dst.add((4 + c) * dst_ld), _mm512_shuffle_f32x4::<0x88>(odd, odd2));
            _mm512_storeu_ps(dst.add((8 + c) * dst_ld), _mm512_shuffle_f32x4::<0xdd>(even, even2));
            _mm512_storeu_ps(dst.add((12 + c) * dst_ld), _mm512_shuffle_f32x4::<0xdd>(odd, odd2));
        }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a hint; what it names is not accessed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
}
