//! Instruction sets: one trait, one file per set, and the choice of a set at run time.
//!
//! A kernel is written once as `#[inline(always)] unsafe fn kernel<S: Simd>(..)`. [`dispatch!`](crate::dispatch)
//! compiles it for every set of the architecture and returns the function for a [`Tier`], once,
//! when a plan is built.

mod scalar;
mod tier;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use scalar::Scalar;
pub use tier::Tier;

#[cfg(test)]
mod tests;

/// An instruction set. Implementors are zero-sized tokens; only [`dispatch!`](crate::dispatch)
/// creates calls into them.
///
/// # Safety
///
/// Every function needs the instruction set of [`Simd::TIER`]. Functions on pointers need `LANES`
/// (or, where there is an `n <= LANES`, the first `n`) elements to be accessible; no alignment is
/// required.
#[allow(clippy::missing_safety_doc, reason = "the contract is common to all functions and stated on the trait")]
pub trait Simd: Copy + Send + Sync + 'static {
    /// Elements per vector.
    const LANES: usize;
    /// The tier whose machines can run it.
    const TIER: Tier;
    /// A vector of f32.
    type F: Copy;
    /// A vector of i32.
    type I: Copy;
    /// One truth value per lane.
    type M: Copy;

    /// All lanes 0.
    unsafe fn zero() -> Self::F;
    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::F;
    /// Reads `LANES` elements.
    unsafe fn load(p: *const f32) -> Self::F;
    /// Writes `LANES` elements.
    unsafe fn store(p: *mut f32, v: Self::F);
    /// Reads `n` elements into the first lanes; the others are 0.
    unsafe fn load_first(p: *const f32, n: usize) -> Self::F;
    /// Writes the first `n` lanes.
    unsafe fn store_first(p: *mut f32, v: Self::F, n: usize);
    /// `a + b`.
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`.
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`.
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`.
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a < b ? a : b`, hence `b` where either is NaN.
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// `a > b ? a : b`, hence `b` where either is NaN.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once where the set has fused multiply-add (all but `Scalar`).
    unsafe fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c - a * b`, rounded as [`Simd::mul_add`].
    unsafe fn neg_mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Square root, correctly rounded.
    unsafe fn sqrt(a: Self::F) -> Self::F;
    /// Absolute value (clears the sign bit).
    unsafe fn abs(a: Self::F) -> Self::F;
    /// Negation (flips the sign bit).
    unsafe fn neg(a: Self::F) -> Self::F;
    /// Rounds towards -∞.
    unsafe fn floor(a: Self::F) -> Self::F;
    /// Rounds towards +∞.
    unsafe fn ceil(a: Self::F) -> Self::F;
    /// Rounds to nearest, ties to even.
    unsafe fn round_even(a: Self::F) -> Self::F;
    /// `a < b`, false for NaN.
    unsafe fn lt(a: Self::F, b: Self::F) -> Self::M;
    /// `a <= b`, false for NaN.
    unsafe fn le(a: Self::F, b: Self::F) -> Self::M;
    /// `a == b`, false for NaN.
    unsafe fn eq(a: Self::F, b: Self::F) -> Self::M;
    /// `m ? a : b`.
    unsafe fn select(m: Self::M, a: Self::F, b: Self::F) -> Self::F;
    /// Sum of all lanes, halves first: lane i + lane i + LANES/2, and so on.
    unsafe fn reduce_add(a: Self::F) -> f32;
    /// Sums of all lanes of four vectors, in an order of the tier's own.
    #[inline(always)]
    unsafe fn reduce_add4(v: &[Self::F; 4]) -> [f32; 4] {
        // SAFETY: the contract of the trait.
        unsafe { [Self::reduce_add(v[0]), Self::reduce_add(v[1]), Self::reduce_add(v[2]), Self::reduce_add(v[3])] }
    }
    /// Greatest lane, in the order of [`Simd::reduce_add`].
    unsafe fn reduce_max(a: Self::F) -> f32;
    /// Least lane, in the order of [`Simd::reduce_add`].
    unsafe fn reduce_min(a: Self::F) -> f32;

    /// All lanes `x`.
    unsafe fn isplat(x: i32) -> Self::I;
    /// Reads `LANES` elements.
    unsafe fn iload(p: *const i32) -> Self::I;
    /// Writes `LANES` elements.
    unsafe fn istore(p: *mut i32, v: Self::I);
    /// Reads `n` elements into the first lanes; the others are 0.
    unsafe fn iload_first(p: *const i32, n: usize) -> Self::I;
    /// Writes the first `n` lanes.
    unsafe fn istore_first(p: *mut i32, v: Self::I, n: usize);
    /// Wrapping `a + b`.
    unsafe fn iadd(a: Self::I, b: Self::I) -> Self::I;
    /// Wrapping `a - b`.
    unsafe fn isub(a: Self::I, b: Self::I) -> Self::I;
    /// Wrapping `a * b`.
    unsafe fn imul(a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise and.
    unsafe fn iand(a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise or.
    unsafe fn ior(a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise exclusive or.
    unsafe fn ixor(a: Self::I, b: Self::I) -> Self::I;
    /// Shifts left by `N < 32`.
    unsafe fn ishl<const N: u32>(a: Self::I) -> Self::I;
    /// Shifts right by `N < 32`, copying the sign.
    unsafe fn ishr<const N: u32>(a: Self::I) -> Self::I;
    /// Shifts right by `N < 32`, filling with 0.
    unsafe fn ushr<const N: u32>(a: Self::I) -> Self::I;
    /// Signed `a < b`.
    unsafe fn ilt(a: Self::I, b: Self::I) -> Self::M;
    /// `a == b`.
    unsafe fn ieq(a: Self::I, b: Self::I) -> Self::M;
    /// `m ? a : b`.
    unsafe fn iselect(m: Self::M, a: Self::I, b: Self::I) -> Self::I;
    /// Signed minimum.
    unsafe fn imin(a: Self::I, b: Self::I) -> Self::I;
    /// Signed maximum.
    unsafe fn imax(a: Self::I, b: Self::I) -> Self::I;

    /// Both.
    unsafe fn mand(a: Self::M, b: Self::M) -> Self::M;
    /// Either.
    unsafe fn mor(a: Self::M, b: Self::M) -> Self::M;
    /// Not.
    unsafe fn mnot(a: Self::M) -> Self::M;

    /// Nearest f32 of each i32.
    unsafe fn to_f(a: Self::I) -> Self::F;
    /// Truncation towards 0; unspecified outside the range of i32 and for NaN.
    unsafe fn to_i(a: Self::F) -> Self::I;
    /// The bits of each f32.
    unsafe fn bits(a: Self::F) -> Self::I;
    /// The f32 with these bits.
    unsafe fn from_bits(a: Self::I) -> Self::F;
    /// Transposes a block of `LANES` × `LANES`: `dst[c * dst_ld + r] = src[r * src_ld + c]`.
    unsafe fn transpose(src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize);
    /// Hint that the cache line of `p` will be read soon. `p` may be any address.
    unsafe fn prefetch(p: *const f32);
}

/// Compiles a kernel `unsafe fn f<S: Simd, ..>(args) -> R`, marked `#[inline(always)]`, for every
/// instruction set of the architecture, and defines a function that returns the one for a [`Tier`].
///
/// `fn select[const N: usize, type T: Bound] => f(a: A, b: B) -> R;` defines
/// `fn select<const N: usize, T: Bound>(tier: Tier) -> unsafe fn(A, B) -> R`, which calls
/// `f::<S, N, T>`. It panics where the machine does not support the tier.
#[macro_export]
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident
        [$(const $c:ident : $ct:ty),* $(; type $($t:ident : $bound:path),+)?]
        => $kernel:ident ( $($arg:ident : $ty:ty),* $(,)? ) $(-> $ret:ty)? ;
    ) => {
        $(#[$meta])*
        $vis fn $name<$(const $c: $ct,)* $($($t: $bound,)+)?>(
            tier: $crate::backend::cpu::simd::Tier,
        ) -> unsafe fn($($ty),*) $(-> $ret)? {
            use $crate::backend::cpu::simd as sets;
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            unsafe fn avx512<$(const $c: $ct,)* $($($t: $bound,)+)?>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller upholds the kernel's contract; the features are enabled here.
                unsafe { $kernel::<sets::Avx512, $($c,)* $($($t,)+)?>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<$(const $c: $ct,)* $($($t: $bound,)+)?>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: as above.
                unsafe { $kernel::<sets::Avx2, $($c,)* $($($t,)+)?>($($arg),*) }
            }
            #[cfg(target_arch = "aarch64")]
            unsafe fn neon<$(const $c: $ct,)* $($($t: $bound,)+)?>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller upholds the kernel's contract; NEON is part of AArch64.
                unsafe { $kernel::<sets::Neon, $($c,)* $($($t,)+)?>($($arg),*) }
            }
            unsafe fn scalar<$(const $c: $ct,)* $($($t: $bound,)+)?>($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller upholds the kernel's contract; `Scalar` needs no instructions.
                unsafe { $kernel::<sets::Scalar, $($c,)* $($($t,)+)?>($($arg),*) }
            }
            assert!(tier.is_supported(), "this machine does not support the instruction set {tier}");
            match tier {
                #[cfg(target_arch = "x86_64")]
                sets::Tier::Avx512 => avx512::<$($c,)* $($($t,)+)?>,
                #[cfg(target_arch = "x86_64")]
                sets::Tier::Avx2 => avx2::<$($c,)* $($($t,)+)?>,
                #[cfg(target_arch = "aarch64")]
                sets::Tier::Neon => neon::<$($c,)* $($($t,)+)?>,
                _ => scalar::<$($c,)* $($($t,)+)?>,
            }
        }
    };
}
