//! AVX2 with FMA: eight lanes.
#![allow(unsafe_op_in_unsafe_fn, reason = "the unsafe methods are accesses of memory under the contract of the trait")]

use super::{Avx512, Simd, Tier};
use std::arch::x86_64::*;

/// AVX2 with FMA.
#[derive(Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    /// The token, where the processor has AVX2 and FMA.
    pub fn new() -> Option<Self> {
        let present = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        present.then_some(Avx2(()))
    }

    /// The token in code that is compiled for the set. Calls from such code are safe, which the compiler checks.
    ///
    /// # Safety
    /// Elsewhere: the processor has the set.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn here() -> Self {
        Avx2(())
    }
}

impl From<Avx512> for Avx2 {
    fn from(_: Avx512) -> Self {
        Avx2(())
    }
}

/// Eight set lanes, then eight clear ones: the mask of the first `n` lanes begins at `8 - n`.
static FIRST: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The mask of the first `n <= 8` lanes.
#[inline(always)]
unsafe fn first(n: usize) -> __m256i {
    _mm256_loadu_si256(FIRST.as_ptr().add(8 - n).cast())
}

/// A shift count as the variable-count shifts take it; a constant becomes an immediate.
#[inline(always)]
unsafe fn count<const N: u32>() -> __m128i {
    _mm_cvtsi32_si128(N as i32)
}

macro_rules! reduce {
    ($v:ident, $op128:ident, $op1:ident) => {{
        let y = $op128(_mm256_castps256_ps128($v), _mm256_extractf128_ps::<1>($v));
        let z = $op128(y, _mm_movehl_ps(y, y));
        _mm_cvtss_f32($op1(z, _mm_shuffle_ps::<1>(z, z)))
    }};
}

type F = __m256;
type I = __m256i;
type M = __m256i;

// SAFETY: a token is made only where the processor has the set; vectors have `LANES` lanes, and the accesses are of
// as many elements as the trait says.
unsafe impl Simd for Avx2 {
    const LANES: usize = 8;
    const TIER: Tier = Tier::Avx2;
    type F = F;
    type I = I;
    type M = M;

    #[inline(always)]
    fn lookup(self, table: &[f32; 16], at: I) -> F {
        // SAFETY: the token is proof of the set; the table has two vectors.
        unsafe {
            let [low, high] =
                [0, 8].map(|half| _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr().add(half)), at));
            _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(at)))
        }
    }

    intrinsics! {
        zero() -> F = _mm256_setzero_ps();
        add(a: F, b: F) -> F = _mm256_add_ps(a, b);
        sub(a: F, b: F) -> F = _mm256_sub_ps(a, b);
        mul(a: F, b: F) -> F = _mm256_mul_ps(a, b);
        div(a: F, b: F) -> F = _mm256_div_ps(a, b);
        min(a: F, b: F) -> F = _mm256_min_ps(a, b);
        max(a: F, b: F) -> F = _mm256_max_ps(a, b);
        mul_add(a: F, b: F, c: F) -> F = _mm256_fmadd_ps(a, b, c);
        neg_mul_add(a: F, b: F, c: F) -> F = _mm256_fnmadd_ps(a, b, c);
        sqrt(a: F) -> F = _mm256_sqrt_ps(a);
        abs(a: F) -> F = _mm256_andnot_ps(_mm256_set1_ps(-0.0), a);
        neg(a: F) -> F = _mm256_xor_ps(_mm256_set1_ps(-0.0), a);
        floor(a: F) -> F = _mm256_round_ps::<0x09>(a);
        ceil(a: F) -> F = _mm256_round_ps::<0x0a>(a);
        round_even(a: F) -> F = _mm256_round_ps::<0x08>(a);
        lt(a: F, b: F) -> M = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_LT_OQ>(a, b));
        le(a: F, b: F) -> M = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_LE_OQ>(a, b));
        eq(a: F, b: F) -> M = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b));
        select(m: M, a: F, b: F) -> F = _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m));
        iadd(a: I, b: I) -> I = _mm256_add_epi32(a, b);
        isub(a: I, b: I) -> I = _mm256_sub_epi32(a, b);
        imul(a: I, b: I) -> I = _mm256_mullo_epi32(a, b);
        iand(a: I, b: I) -> I = _mm256_and_si256(a, b);
        ior(a: I, b: I) -> I = _mm256_or_si256(a, b);
        ixor(a: I, b: I) -> I = _mm256_xor_si256(a, b);
        ilt(a: I, b: I) -> M = _mm256_cmpgt_epi32(b, a);
        ieq(a: I, b: I) -> M = _mm256_cmpeq_epi32(a, b);
        iselect(m: M, a: I, b: I) -> I = _mm256_blendv_epi8(b, a, m);
        imin(a: I, b: I) -> I = _mm256_min_epi32(a, b);
        imax(a: I, b: I) -> I = _mm256_max_epi32(a, b);
        mand(a: M, b: M) -> M = _mm256_and_si256(a, b);
        mor(a: M, b: M) -> M = _mm256_or_si256(a, b);
        mnot(a: M) -> M = _mm256_xor_si256(a, _mm256_set1_epi32(-1));
        to_f(a: I) -> F = _mm256_cvtepi32_ps(a);
        to_i(a: F) -> I = _mm256_cvttps_epi32(a);
        bits(a: F) -> I = _mm256_castps_si256(a);
        with_bits(a: I) -> F = _mm256_castsi256_ps(a);
        splat(x: f32) -> F = _mm256_set1_ps(x);
        reduce_add(v: F) -> f32 = reduce!(v, _mm_add_ps, _mm_add_ss);
        reduce_max(v: F) -> f32 = reduce!(v, _mm_max_ps, _mm_max_ss);
        reduce_min(v: F) -> f32 = reduce!(v, _mm_min_ps, _mm_min_ss);
        isplat(x: i32) -> I = _mm256_set1_epi32(x);
        ishl<N>(a: I) -> I = _mm256_sll_epi32(a, count::<N>());
        ishr<N>(a: I) -> I = _mm256_sra_epi32(a, count::<N>());
        ushr<N>(a: I) -> I = _mm256_srl_epi32(a, count::<N>());
    }
    accesses! {
        load(p: *const f32) -> F = _mm256_loadu_ps(p);
        store(p: *mut f32, v: F) = _mm256_storeu_ps(p, v);
        load_first(p: *const f32, n: usize) -> F = _mm256_maskload_ps(p, first(n));
        iload(p: *const i32) -> I = _mm256_loadu_si256(p.cast());
        istore(p: *mut i32, v: I) = _mm256_storeu_si256(p.cast(), v);
        iload_first(p: *const i32, n: usize) -> I = _mm256_maskload_epi32(p, first(n));
    }

    /// In halves: masked stores are slow on AMD Zen 3, where copies of six columns decide on products with A transposed.
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: F, n: usize) {
        if n >= Self::LANES {
            return _mm256_storeu_ps(p, v);
        }
        let (mut p, mut left) = (p, _mm256_castps256_ps128(v));
        if n & 4 != 0 {
            _mm_storeu_ps(p, left);
            (p, left) = (p.add(4), _mm256_extractf128_ps::<1>(v));
        }
        if n & 2 != 0 {
            _mm_storel_epi64(p.cast(), _mm_castps_si128(left));
            (p, left) = (p.add(2), _mm_movehl_ps(left, left));
        }
        if n & 1 != 0 {
            _mm_store_ss(p, left);
        }
    }
    #[inline(always)]
    unsafe fn istore_first(self, p: *mut i32, v: I, n: usize) {
        self.store_first(p.cast(), _mm256_castsi256_ps(v), n)
    }
    #[inline(always)]
    unsafe fn transpose(self, src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize) {
        let z = _mm256_setzero_ps();
        let mut t = [z; 8];
        for r in 0..4 {
            let (a, b) = (_mm256_loadu_ps(src.add(2 * r * src_ld)), _mm256_loadu_ps(src.add((2 * r + 1) * src_ld)));
            t[2 * r] = _mm256_unpacklo_ps(a, b);
            t[2 * r + 1] = _mm256_unpackhi_ps(a, b);
        }
        // u[4 * q + c]: in its 128-bit lane l, column 4 * l + c of the rows 4 * q .. 4 * q + 4.
        let mut u = [z; 8];
        for q in 0..2 {
            for h in 0..2 {
                let (a, b) = (_mm256_castps_pd(t[4 * q + h]), _mm256_castps_pd(t[4 * q + h + 2]));
                u[4 * q + 2 * h] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
                u[4 * q + 2 * h + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
            }
        }
        for c in 0..4 {
            _mm256_storeu_ps(dst.add(c * dst_ld), _mm256_permute2f128_ps::<0x20>(u[c], u[4 + c]));
            _mm256_storeu_ps(dst.add((4 + c) * dst_ld), _mm256_permute2f128_ps::<0x31>(u[c], u[4 + c]));
        }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a hint; what it names is not accessed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
}
