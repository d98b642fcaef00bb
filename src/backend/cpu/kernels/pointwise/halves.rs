//! Rows of float16 and bfloat16 to float32 and back, to the nearest value, ties to even.
//!
//! All forms give the same bits, so the processor's own is taken whatever instruction set a plan was made for.

use crate::dtype::DType;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

/// The values of `bits`, elements of `dtype`, which has 16.
pub fn widen(bits: &[u16], dtype: DType, to: &mut [f32]) {
    debug_assert_eq!(bits.len(), to.len());
    #[cfg(target_arch = "x86_64")]
    if x86::is_there() {
        // SAFETY: the processor has the instructions.
        return unsafe { x86::widen(bits, dtype, to) };
    }
    match dtype {
        DType::F16 => bits.reinterpret_cast::<f16>().convert_to_f32_slice(to),
        _ => bits.reinterpret_cast::<bf16>().convert_to_f32_slice(to),
    }
}

/// `values` as elements of `dtype`, which has 16 bits.
pub fn narrow(values: &[f32], dtype: DType, to: &mut [u16]) {
    debug_assert_eq!(values.len(), to.len());
    #[cfg(target_arch = "x86_64")]
    if x86::is_there() {
        // SAFETY: the processor has the instructions.
        return unsafe { x86::narrow(values, dtype, to) };
    }
    match dtype {
        DType::F16 => to.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values),
        _ => to.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use crate::dtype::DType;
    use half::f16;
    use std::arch::x86_64::{
        _MM_FROUND_TO_NEAREST_INT, _mm_loadu_si128, _mm_storeu_si128, _mm256_cvtph_ps, _mm256_cvtps_ph,
        _mm256_loadu_ps, _mm256_storeu_ps,
    };

    /// Lanes of a vector.
    const LANES: usize = 8;

    pub fn is_there() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c")
    }

    #[target_feature(enable = "avx2,f16c")]
    pub fn widen(bits: &[u16], dtype: DType, to: &mut [f32]) {
        if dtype == DType::BF16 {
            to.iter_mut().zip(bits).for_each(|(t, &b)| *t = quiet(u32::from(b) << 16));
            return;
        }
        let (vectors, rest) = bits.as_chunks::<LANES>();
        let (places, left) = to.as_chunks_mut::<LANES>();
        for (bits, to) in vectors.iter().zip(places) {
            // SAFETY: both hold a vector.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(bits.as_ptr().cast()))) };
        }
        left.iter_mut().zip(rest).for_each(|(t, &b)| *t = f16::from_bits(b).to_f32());
    }

    #[target_feature(enable = "avx2,f16c")]
    pub fn narrow(values: &[f32], dtype: DType, to: &mut [u16]) {
        if dtype == DType::BF16 {
            to.iter_mut().zip(values).for_each(|(t, v)| *t = bfloat16(v.to_bits()));
            return;
        }
        let (vectors, rest) = values.as_chunks::<LANES>();
        let (places, left) = to.as_chunks_mut::<LANES>();
        for (values, to) in vectors.iter().zip(places) {
            // SAFETY: both hold a vector.
            unsafe {
                let bits = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(values.as_ptr()));
                _mm_storeu_si128(to.as_mut_ptr().cast(), bits);
            }
        }
        left.iter_mut().zip(rest).for_each(|(t, &v)| *t = f16::from_f32(v).to_bits());
    }

    /// The float32 of these bits; a NaN becomes one that does not signal.
    #[inline(always)]
    fn quiet(bits: u32) -> f32 {
        let is_nan = bits & 0x7fff_ffff > 0x7f80_0000;
        f32::from_bits(if is_nan { bits | 0x0040_0000 } else { bits })
    }

    /// The upper half of the bits of a float32, rounded; a NaN stays one.
    #[inline(always)]
    fn bfloat16(bits: u32) -> u16 {
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
        let is_nan = bits & 0x7fff_ffff > 0x7f80_0000;
        (if is_nan { bits | 0x0040_0000 } else { rounded } >> 16) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_halves_are_widened_and_rounded_as_by_the_crate() {
        let words: Vec<u16> = (0..=u16::MAX).collect();
        for dtype in [DType::F16, DType::BF16] {
            let known = |bits: u16| match dtype {
                DType::F16 => f16::from_bits(bits).to_f32(),
                _ => bf16::from_bits(bits).to_f32(),
            };
            let mut wide = vec![0.0f32; words.len()];
            widen(&words, dtype, &mut wide);
            for (&word, &got) in words.iter().zip(&wide) {
                assert!(got.to_bits() == known(word).to_bits() || (got.is_nan() && known(word).is_nan()), "{word:x}");
            }
            // Each half, what lies in the middle to the next, and the numbers on both sides of that.
            let values: Vec<f32> = words
                .iter()
                .flat_map(|&word| {
                    let (a, b) = (known(word), known(word.wrapping_add(1)));
                    let middle = if a.is_finite() && b.is_finite() { a / 2.0 + b / 2.0 } else { a };
                    [a, middle, middle.next_up(), middle.next_down()]
                })
                .chain([65519.9, 65520.0, f32::MAX, f32::MIN, 1e-8, -1e-8, f32::NAN, f32::INFINITY])
                .collect();
            let mut bits = vec![0; values.len()];
            narrow(&values, dtype, &mut bits);
            for (&value, &got) in values.iter().zip(&bits) {
                let want = match dtype {
                    DType::F16 => f16::from_f32(value).to_bits(),
                    _ => bf16::from_f32(value).to_bits(),
                };
                assert!(got == want || (value.is_nan() && known(got).is_nan()), "{dtype} {value:e}: {got:x} {want:x}");
            }
        }
    }
}
