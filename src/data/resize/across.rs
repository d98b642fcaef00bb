//! Rows of bytes to fewer or more pixels, in the integers of [`super::fixed`].

use super::Taps;
use super::fixed::{HALF, PRECISION, rounded};

/// The low bits of a weight, which vectors multiply apart from the others: both parts have 16 bits then.
const LOW: u32 = 12;

/// The weights of the pixels of a row.
pub struct Across {
    taps: Taps<i32>,
    channels: usize,
    /// The weights of two taps at a time, the upper bits of both and the lower bits of both, `most` pairs an output pixel.
    pairs: Vec<[i32; 2]>,
    most: usize,
}

impl Across {
    pub fn new(taps: Taps<i32>, channels: usize) -> Across {
        let most = taps.spans.iter().map(|&(_, count)| count as usize).max().unwrap_or(1).div_ceil(2);
        let mut pairs = Vec::new();
        if wide() && channels >= 3 {
            pairs.reserve(taps.spans.len() * most);
            for output in 0..taps.spans.len() {
                let (_, weights) = taps.of(output);
                let weight = |tap: usize| weights.get(tap).copied().unwrap_or(0);
                let both = |a: i32, b: i32| (b << 16) | (a & 0xffff);
                let mask = (1 << LOW) - 1;
                pairs.extend((0..most).map(|pair| {
                    let (a, b) = (weight(2 * pair), weight(2 * pair + 1));
                    [both(a >> LOW, b >> LOW), both(a & mask, b & mask)]
                }));
            }
        }
        Across { taps, channels, pairs, most }
    }

    /// Writes a row at its new width. Samples behind it in `source` do not count.
    pub fn row(&self, source: &[u8], out: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if !self.pairs.is_empty() {
            let mut nowhere = vec![0; out.len()];
            return self.two_rows([source, source], out, &mut nowhere);
        }
        match self.channels {
            1 => along::<1>(source, &self.taps, out),
            2 => along::<2>(source, &self.taps, out),
            3 => along::<3>(source, &self.taps, out),
            _ => along::<4>(source, &self.taps, out),
        }
    }

    /// Writes two rows at their new width.
    pub fn two_rows(&self, sources: [&[u8]; 2], first: &mut [u8], second: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if !self.pairs.is_empty() {
            // SAFETY: there are pairs where the processor has AVX2.
            unsafe {
                match (self.channels, self.most) {
                    (3, 1) => avx2::along::<3, 1>(sources, self, first, second),
                    (3, 2) => avx2::along::<3, 2>(sources, self, first, second),
                    (3, 3) => avx2::along::<3, 3>(sources, self, first, second),
                    (3, 4) => avx2::along::<3, 4>(sources, self, first, second),
                    (3, _) => avx2::along::<3, 0>(sources, self, first, second),
                    _ => avx2::along::<4, 0>(sources, self, first, second),
                }
            }
            return;
        }
        self.row(sources[0], first);
        self.row(sources[1], second);
    }
}

/// Whether vectors serve.
fn wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

fn along<const CHANNELS: usize>(source: &[u8], taps: &Taps<i32>, out: &mut [u8]) {
    for (output, pixel) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
        let (start, weights) = taps.of(output);
        let mut sums = [HALF; CHANNELS];
        let read = source[start * CHANNELS..].as_chunks::<CHANNELS>().0;
        for (samples, &weight) in read.iter().zip(weights) {
            for (sum, &sample) in sums.iter_mut().zip(samples) {
                *sum += i32::from(sample) * weight;
            }
        }
        *pixel = sums.map(rounded);
    }
}

/// Two rows at once, one in each half of a vector, and two taps at once, whose products one instruction adds. A compiler
/// finds no vectors of three channels by itself.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Across, HALF, LOW, PRECISION};
    use std::arch::x86_64::*;

    /// Bytes that are loaded at a time: four pixels and more.
    const LOADED: usize = 16;

    /// Orders samples of two pixels, the first of them `from` bytes behind the start: each channel's as words beside each
    /// other.
    #[target_feature(enable = "avx2")]
    fn order<const CHANNELS: usize>(from: i8) -> __m256i {
        let mut bytes = [-1i8; 16];
        for channel in 0..CHANNELS {
            bytes[4 * channel] = from + channel as i8;
            bytes[4 * channel + 2] = from + (CHANNELS + channel) as i8;
        }
        // SAFETY: the bytes are there.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
    }

    /// As many pairs of taps for each pixel: weights of 0 cost less than a branch that is guessed wrongly. `PAIRS` is their
    /// number, or 0 for any.
    #[target_feature(enable = "avx2")]
    pub fn along<const CHANNELS: usize, const PAIRS: usize>(
        [upper, lower]: [&[u8]; 2],
        across: &Across,
        first: &mut [u8],
        second: &mut [u8],
    ) {
        let most = if PAIRS == 0 { across.most } else { PAIRS };
        let (nearest, next) = (order::<CHANNELS>(0), order::<CHANNELS>(2 * CHANNELS as i8));
        // The bytes from the first pixel on that are read.
        let reach = 2 * most * CHANNELS + LOADED;
        let mut ends = [const { Vec::new() }; 2];
        let pixels = first.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(second.as_chunks_mut::<CHANNELS>().0);
        let weights = across.taps.spans.iter().zip(across.pairs.chunks_exact(most));
        for ((first, second), (&(start, _), pairs)) in pixels.zip(weights) {
            let begin = start as usize * CHANNELS;
            let (mut above, mut below) = (&upper[begin..], &lower[begin..]);
            if above.len().min(below.len()) < reach {
                // The end of the image: what lies behind it is zeros.
                for (end, from) in ends.iter_mut().zip([above, below]) {
                    end.clear();
                    end.extend_from_slice(&from[..from.len().min(reach)]);
                    end.resize(reach, 0);
                }
                (above, below) = (&ends[0], &ends[1]);
            }
            let (mut high, mut low) = (_mm256_setzero_si256(), _mm256_set1_epi32(HALF));
            for (four, pairs) in pairs.chunks(2).enumerate() {
                let at = 4 * four * CHANNELS;
                // SAFETY: `reach` bytes follow.
                let both = unsafe {
                    let above = _mm_loadu_si128(above.as_ptr().add(at).cast());
                    let below = _mm_loadu_si128(below.as_ptr().add(at).cast());
                    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(above), below)
                };
                for (&[high_bits, low_bits], order) in pairs.iter().zip([nearest, next]) {
                    let words = _mm256_shuffle_epi8(both, order);
                    high = _mm256_add_epi32(high, _mm256_madd_epi16(words, _mm256_set1_epi32(high_bits)));
                    low = _mm256_add_epi32(low, _mm256_madd_epi16(words, _mm256_set1_epi32(low_bits)));
                }
            }
            let sums = _mm256_add_epi32(low, _mm256_slli_epi32::<{ LOW as i32 }>(high));
            let words = _mm256_srai_epi32::<{ PRECISION as i32 }>(sums);
            let words = _mm256_packs_epi32(words, words);
            let bytes = _mm256_packus_epi16(words, words);
            let of_upper = _mm_cvtsi128_si32(_mm256_castsi256_si128(bytes)).to_le_bytes();
            let of_lower = _mm_cvtsi128_si32(_mm256_extracti128_si256::<1>(bytes)).to_le_bytes();
            first.copy_from_slice(&of_upper[..CHANNELS]);
            second.copy_from_slice(&of_lower[..CHANNELS]);
        }
    }
}
