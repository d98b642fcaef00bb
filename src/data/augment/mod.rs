//! Augmentation of images that are no tensors yet: chains of steps, run on one image after another.
//!
//! A [`Chain`] is what layers of augmentation do, in their order: flips, windows, resampling, warps, and changes of
//! colour. What is random about it is not drawn here: a step reads its numbers from a row of parameters, which the caller
//! draws as the layers do. So the same image with the same parameters gives the same bits, whoever runs it, and with
//! however many threads.
//!
//! ```text
//! bytes or floats ──► picture::Picture ──► steps ──► floats, or bytes
//!                     a view of the input    chain     as many as the input has channels
//!                     until a step needs     rows, color, statistics, neighbours, warp, resample
//!                     floats: then planes
//! ```
//!
//! Flips and windows of the input move no pixel. Neighbouring changes of colour run row by row, all of them on one row while
//! it is in the cache.

mod chain;
mod color;
mod neighbours;
mod picture;
mod resample;
mod rows;
mod statistics;
mod step;
#[cfg(test)]
mod tests;
mod warp;

pub use chain::{Chain, Input, Layout, Output};
pub use step::Spec;

/// Defines functions that are compiled twice: for any processor, and for those with AVX2, which take eight floats at once.
/// Multiplications and additions stay apart in both, so that both give the same bits.
macro_rules! wide {
    ($($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block)*) => {
        $($(#[$doc])*
        $vis fn $name($($arg: $type),*) {
            #[inline(always)]
            fn portable($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) {
                    portable($($arg),*);
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2.
                    return unsafe { avx2($($arg),*) };
                }
            }
            portable($($arg),*);
        })*
    };
}
pub(crate) use wide;
