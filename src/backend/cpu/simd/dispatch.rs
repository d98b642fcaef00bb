//! The way from a [`Tier`], which is known at run time, to code that is compiled for its instruction set.

use super::{Scalar, Tier};

#[cfg(target_arch = "aarch64")]
use super::Neon;
#[cfg(target_arch = "x86_64")]
use super::{Avx2, Avx512};

/// The token of some tier: proof that this machine can run it.
pub(in crate::backend::cpu) enum Token {
    Scalar(Scalar),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Token {
    /// The token of `tier`, where this machine can run it.
    pub fn new(tier: Tier) -> Option<Token> {
        match tier {
            Tier::Scalar => Some(Token::Scalar(Scalar::here())),
            #[cfg(target_arch = "aarch64")]
            Tier::Neon => Neon::new().map(Token::Neon),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2 => Avx2::new().map(Token::Avx2),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512 => Avx512::new().map(Token::Avx512),
            // Those of other architectures.
            _ => None,
        }
    }

    /// The same. Panics where this machine can't run it.
    pub fn of(tier: Tier) -> Token {
        Token::new(tier).unwrap_or_else(|| panic!("this machine does not support the instruction set {tier}"))
    }
}

/// Compiles a kernel for every instruction set of the architecture. A kernel is a function `f<S: Simd, ..>(token: S, ..)`
/// that is marked `#[inline(always)]`, so that its code takes on the features of the function that it is inlined into.
///
/// - `fn select[const N: usize; type T: Bound] => f(a: A, b: B) -> R;` defines
///   `fn select<const N: usize, T: Bound>(tier: Tier) -> fn(A, B) -> R`, which returns `f::<S, N, T>` with the token of
///   the tier. It panics where the machine does not support the tier; therefore the function that it returns needs no
///   further proof.
/// - `=> unsafe f(..)` is the same for an unsafe kernel, and `select` returns an `unsafe fn`, whose contract is the
///   kernel's own.
/// - `mod m[..] => unsafe f(..);` defines the functions of all sets, `m::scalar`, `m::avx2` and so on, for tables that
///   are made at compile time. Whoever calls one holds the token of its set.
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $generics:tt => unsafe $kernel:ident $args:tt $(-> $ret:ty)?;) => {
        dispatch! { @select [$(#[$meta])*] $vis fn $name $generics [unsafe] $kernel $args [$($ret)?] }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident $generics:tt => $kernel:ident $args:tt $(-> $ret:ty)?;) => {
        dispatch! { @select [$(#[$meta])*] $vis fn $name $generics [] $kernel $args [$($ret)?] }
    };
    ($(#[$meta:meta])* mod $name:ident $generics:tt => unsafe $kernel:ident $args:tt $(-> $ret:ty)?;) => {
        $(#[$meta])*
        mod $name {
            use super::*;
            dispatch! { @sets [pub(super)] $generics [unsafe] $kernel $args [$($ret)?] }
        }
    };

    (@select [$(#[$meta:meta])*] $vis:vis fn $name:ident
        [$(const $c:ident: $ct:ty),* $(; type $($t:ident: $bound:path),+)?]
        $safety:tt $kernel:ident ($($arg:ident: $ty:ty),* $(,)?) $ret:tt
    ) => {
        $(#[$meta])*
        $vis fn $name<$(const $c: $ct,)* $($($t: $bound,)+)?>(
            tier: $crate::backend::cpu::simd::Tier,
        ) -> dispatch!(@pointer $safety [$($ty),*] $ret) {
            use $crate::backend::cpu::simd::Token;
            dispatch! {
                @sets [] [$(const $c: $ct),* $(; type $($t: $bound),+)?] $safety $kernel ($($arg: $ty),*) $ret
            }
            let kernel: dispatch!(@pointer [unsafe] [$($ty),*] $ret) = match Token::of(tier) {
                #[cfg(target_arch = "x86_64")]
                Token::Avx512(_) => avx512::<$($c,)* $($($t,)+)?>,
                #[cfg(target_arch = "x86_64")]
                Token::Avx2(_) => avx2::<$($c,)* $($($t,)+)?>,
                #[cfg(target_arch = "aarch64")]
                Token::Neon(_) => neon::<$($c,)* $($($t,)+)?>,
                Token::Scalar(_) => scalar::<$($c,)* $($($t,)+)?>,
            };
            dispatch!(@proven $safety kernel [$($ty),*] $ret)
        }
    };

    (@sets [$($vis:tt)*] [$(const $c:ident: $ct:ty),* $(; type $($t:ident: $bound:path),+)?]
        [$($unsafe:tt)?] $kernel:ident ($($arg:ident: $ty:ty),*) [$($ret:ty)?]
    ) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        #[deny(unsafe_op_in_unsafe_fn, reason = "it is the compiler that checks the features of `here`")]
        $($vis)* $($unsafe)? fn avx512<$(const $c: $ct,)* $($($t: $bound,)+)?>($($arg: $ty),*) $(-> $ret)? {
            use $crate::backend::cpu::simd::Avx512;
            let token = Avx512::here();
            // SAFETY: the caller upholds the kernel's contract.
            $($unsafe)? { $kernel::<Avx512, $($c,)* $($($t,)+)?>(token, $($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        #[deny(unsafe_op_in_unsafe_fn, reason = "as above")]
        $($vis)* $($unsafe)? fn avx2<$(const $c: $ct,)* $($($t: $bound,)+)?>($($arg: $ty),*) $(-> $ret)? {
            use $crate::backend::cpu::simd::Avx2;
            let token = Avx2::here();
            // SAFETY: as above.
            $($unsafe)? { $kernel::<Avx2, $($c,)* $($($t,)+)?>(token, $($arg),*) }
        }
        #[cfg(target_arch = "aarch64")]
        #[target_feature(enable = "neon")]
        #[deny(unsafe_op_in_unsafe_fn, reason = "as above")]
        $($vis)* $($unsafe)? fn neon<$(const $c: $ct,)* $($($t: $bound,)+)?>($($arg: $ty),*) $(-> $ret)? {
            use $crate::backend::cpu::simd::Neon;
            let token = Neon::here();
            // SAFETY: as above.
            $($unsafe)? { $kernel::<Neon, $($c,)* $($($t,)+)?>(token, $($arg),*) }
        }
        $($vis)* $($unsafe)? fn scalar<$(const $c: $ct,)* $($($t: $bound,)+)?>($($arg: $ty),*) $(-> $ret)? {
            use $crate::backend::cpu::simd::Scalar;
            let token = Scalar::here();
            // SAFETY: as above.
            $($unsafe)? { $kernel::<Scalar, $($c,)* $($($t,)+)?>(token, $($arg),*) }
        }
    };

    (@pointer [$($unsafe:tt)?] [$($ty:ty),*] [$($ret:ty)?]) => { $($unsafe)? fn($($ty),*) $(-> $ret)? };

    (@proven [unsafe] $kernel:ident [$($ty:ty),*] $ret:tt) => { $kernel };
    (@proven [] $kernel:ident [$($ty:ty),*] $ret:tt) => {
        // SAFETY: the pointers have one representation. The kernel is safe where the set is, of which there was a token.
        unsafe {
            std::mem::transmute::<
                dispatch!(@pointer [unsafe] [$($ty),*] $ret),
                dispatch!(@pointer [] [$($ty),*] $ret),
            >($kernel)
        }
    };
}
pub(in crate::backend::cpu) use dispatch;
