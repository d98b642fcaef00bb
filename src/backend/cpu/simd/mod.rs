//! Instruction sets: one trait, one file per set, and the choice of a set at run time.
//!
//! A token, such as [`Scalar`] or `Avx2`, is a value of no size that exists only where the processor has the set. Its
//! arithmetic is therefore safe; what reads and writes memory through pointers is not.
//!
//! A kernel is written once, as `#[inline(always)] fn kernel<S: Simd>(s: S, ..)`. The macro `dispatch!` compiles it for
//! every set of the architecture and returns the function for a [`Tier`], once, when a plan is built.

/// Methods of one expression that needs the set, of which the token is proof, and nothing else.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! intrinsics {
    ($($name:ident $(<$n:ident>)? ($($a:ident: $t:ty),*) -> $r:ty = $e:expr;)*) => {
        $(#[inline(always)]
        fn $name $(<const $n: u32>)? (self, $($a: $t),*) -> $r {
            // SAFETY: the token is proof of the set; no memory is accessed.
            unsafe { $e }
        })*
    };
}

/// Methods of one expression that accesses memory.
macro_rules! accesses {
    ($($name:ident($($a:ident: $t:ty),*) $(-> $r:ty)? = $e:expr;)*) => {
        $(#[inline(always)]
        unsafe fn $name(self, $($a: $t),*) $(-> $r)? {
            // SAFETY: the caller's contract for the memory; the token is proof of the set.
            unsafe { $e }
        })*
    };
}

mod dispatch;
pub mod peak;
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
pub(super) use dispatch::{Token, dispatch};
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use scalar::Scalar;
pub use tier::Tier;

#[cfg(test)]
mod tests;

/// An instruction set, and the operations on its vectors. Implementors are tokens: values of no size that exist only
/// where the processor has the set.
///
/// # Safety
///
/// To implement it: no value exists on a machine that lacks the set, vectors have `LANES` elements, and the unsafe
/// methods access no more memory than they say.
///
/// To call the unsafe methods, which are those on pointers: `LANES` (or, where there is an `n <= LANES`, the first `n`)
/// elements are accessible. No alignment is required.
#[allow(clippy::missing_safety_doc, reason = "the contract is common to all functions and stated on the trait")]
pub unsafe trait Simd: Copy + Send + Sync + 'static {
    /// Elements per vector.
    const LANES: usize;
    /// The tier of the machines that have it.
    const TIER: Tier;
    /// A vector of f32.
    type F: Copy;
    /// A vector of i32.
    type I: Copy;
    /// One truth value per lane.
    type M: Copy;

    /// All lanes 0.
    fn zero(self) -> Self::F;
    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::F;
    /// Reads `LANES` elements.
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// Writes `LANES` elements.
    unsafe fn store(self, p: *mut f32, v: Self::F);
    /// Reads `n` elements into the first lanes; the others are 0.
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::F;
    /// Writes the first `n` lanes.
    unsafe fn store_first(self, p: *mut f32, v: Self::F, n: usize);
    /// The first `LANES` elements of an array that has as many.
    #[inline(always)]
    fn load_array<const N: usize>(self, from: &[f32; N]) -> Self::F {
        const { assert!(N >= Self::LANES, "the array holds a vector") };
        // SAFETY: as asserted.
        unsafe { self.load(from.as_ptr()) }
    }
    /// Writes the first `LANES` elements of an array that has as many.
    #[inline(always)]
    fn store_array<const N: usize>(self, to: &mut [f32; N], v: Self::F) {
        const { assert!(N >= Self::LANES, "the array holds a vector") };
        // SAFETY: as asserted.
        unsafe { self.store(to.as_mut_ptr(), v) }
    }
    /// `a + b`.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`.
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a < b ? a : b`, hence `b` where either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a > b ? a : b`, hence `b` where either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once where the set has fused multiply-add (all but `Scalar`).
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c - a * b`, rounded as [`Simd::mul_add`].
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Square root, correctly rounded.
    fn sqrt(self, a: Self::F) -> Self::F;
    /// Absolute value (clears the sign bit).
    fn abs(self, a: Self::F) -> Self::F;
    /// Negation (flips the sign bit).
    fn neg(self, a: Self::F) -> Self::F;
    /// Rounds towards -∞.
    fn floor(self, a: Self::F) -> Self::F;
    /// Rounds towards +∞.
    fn ceil(self, a: Self::F) -> Self::F;
    /// Rounds to nearest, ties to even.
    fn round_even(self, a: Self::F) -> Self::F;
    /// `a < b`, false for NaN.
    fn lt(self, a: Self::F, b: Self::F) -> Self::M;
    /// `a <= b`, false for NaN.
    fn le(self, a: Self::F, b: Self::F) -> Self::M;
    /// `a == b`, false for NaN.
    fn eq(self, a: Self::F, b: Self::F) -> Self::M;
    /// `m ? a : b`.
    fn select(self, m: Self::M, a: Self::F, b: Self::F) -> Self::F;
    /// Sum of all lanes, halves first: lane i + lane i + LANES/2, and so on.
    fn reduce_add(self, a: Self::F) -> f32;
    /// Sums of all lanes of four vectors, in an order of the tier's own.
    #[inline(always)]
    fn reduce_add4(self, v: &[Self::F; 4]) -> [f32; 4] {
        [self.reduce_add(v[0]), self.reduce_add(v[1]), self.reduce_add(v[2]), self.reduce_add(v[3])]
    }
    /// Greatest lane, in the order of [`Simd::reduce_add`].
    fn reduce_max(self, a: Self::F) -> f32;
    /// Least lane, in the order of [`Simd::reduce_add`].
    fn reduce_min(self, a: Self::F) -> f32;

    /// All lanes `x`.
    fn isplat(self, x: i32) -> Self::I;
    /// Reads `LANES` elements.
    unsafe fn iload(self, p: *const i32) -> Self::I;
    /// Writes `LANES` elements.
    unsafe fn istore(self, p: *mut i32, v: Self::I);
    /// Reads `n` elements into the first lanes; the others are 0.
    unsafe fn iload_first(self, p: *const i32, n: usize) -> Self::I;
    /// Writes the first `n` lanes.
    unsafe fn istore_first(self, p: *mut i32, v: Self::I, n: usize);
    /// Wrapping `a + b`.
    fn iadd(self, a: Self::I, b: Self::I) -> Self::I;
    /// Wrapping `a - b`.
    fn isub(self, a: Self::I, b: Self::I) -> Self::I;
    /// Wrapping `a * b`.
    fn imul(self, a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise and.
    fn iand(self, a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise or.
    fn ior(self, a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise exclusive or.
    fn ixor(self, a: Self::I, b: Self::I) -> Self::I;
    /// Shifts left by `N < 32`.
    fn ishl<const N: u32>(self, a: Self::I) -> Self::I;
    /// Shifts right by `N < 32`, copying the sign.
    fn ishr<const N: u32>(self, a: Self::I) -> Self::I;
    /// Shifts right by `N < 32`, filling with 0.
    fn ushr<const N: u32>(self, a: Self::I) -> Self::I;
    /// Signed `a < b`.
    fn ilt(self, a: Self::I, b: Self::I) -> Self::M;
    /// `a == b`.
    fn ieq(self, a: Self::I, b: Self::I) -> Self::M;
    /// `m ? a : b`.
    fn iselect(self, m: Self::M, a: Self::I, b: Self::I) -> Self::I;
    /// Signed minimum.
    fn imin(self, a: Self::I, b: Self::I) -> Self::I;
    /// Signed maximum.
    fn imax(self, a: Self::I, b: Self::I) -> Self::I;

    /// Both.
    fn mand(self, a: Self::M, b: Self::M) -> Self::M;
    /// Either.
    fn mor(self, a: Self::M, b: Self::M) -> Self::M;
    /// Not.
    fn mnot(self, a: Self::M) -> Self::M;

    /// Nearest f32 of each i32.
    fn to_f(self, a: Self::I) -> Self::F;
    /// Truncation towards 0; unspecified outside the range of i32 and for NaN.
    fn to_i(self, a: Self::F) -> Self::I;
    /// The bits of each f32.
    fn bits(self, a: Self::F) -> Self::I;
    /// The f32 with these bits.
    fn with_bits(self, a: Self::I) -> Self::F;
    /// Elements `at & 15` of a table.
    fn lookup(self, table: &[f32; 16], at: Self::I) -> Self::F;
    /// Transposes a block of `LANES` × `LANES`: `dst[c * dst_ld + r] = src[r * src_ld + c]`.
    unsafe fn transpose(self, src: *const f32, src_ld: usize, dst: *mut f32, dst_ld: usize);
    /// Hint that the cache line of `p` will be read soon. `p` may be any address.
    fn prefetch(self, p: *const f32);
}
