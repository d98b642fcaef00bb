//! Channels of decoded images: grey, colours, alpha, 8 bits and 16.

use super::{Image, Samples};

/// The channels that a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those of the file.
    Unchanged,
    Grey,
    Rgb,
    Rgba,
    /// One: the indices of a palette, which [`Options::indices`](super::Options) asks for.
    Indices,
}

impl Mode {
    /// How many channels an image with `own` gets.
    pub fn channels(self, own: usize) -> usize {
        match self {
            Mode::Unchanged => own,
            Mode::Grey | Mode::Indices => 1,
            Mode::Rgb => 3,
            Mode::Rgba => 4,
        }
    }
}

/// A sample of 8 or 16 bits.
trait Sample: Copy {
    const MAX: Self;
    /// The brightness of a colour: ITU-R BT.601 in fixed point, as Pillow has it.
    fn grey(rgb: [Self; 3]) -> Self;
}

impl Sample for u8 {
    const MAX: Self = u8::MAX;
    fn grey([r, g, b]: [u8; 3]) -> u8 {
        ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
    }
}

impl Sample for u16 {
    const MAX: Self = u16::MAX;
    fn grey([r, g, b]: [u16; 3]) -> u16 {
        ((u64::from(r) * 19595 + u64::from(g) * 38470 + u64::from(b) * 7471 + 0x8000) >> 16) as u16
    }
}

fn each<T: Sample, const FROM: usize, const TO: usize>(samples: &[T], pixel: impl Fn([T; FROM]) -> [T; TO]) -> Vec<T> {
    let mut made = Vec::with_capacity(samples.len() / FROM * TO);
    for own in samples.as_chunks::<FROM>().0 {
        made.extend_from_slice(&pixel(*own));
    }
    made
}

fn converted<T: Sample>(samples: Vec<T>, own: usize, wanted: usize) -> Vec<T> {
    match (own, wanted) {
        (1, 3) => each::<T, 1, 3>(&samples, |[v]| [v; 3]),
        (1, 4) => each::<T, 1, 4>(&samples, |[v]| [v, v, v, T::MAX]),
        (2, 1) => each::<T, 2, 1>(&samples, |[v, _]| [v]),
        (2, 3) => each::<T, 2, 3>(&samples, |[v, _]| [v; 3]),
        (2, 4) => each::<T, 2, 4>(&samples, |[v, a]| [v, v, v, a]),
        (3, 1) => each::<T, 3, 1>(&samples, |rgb| [T::grey(rgb)]),
        (3, 4) => each::<T, 3, 4>(&samples, |[r, g, b]| [r, g, b, T::MAX]),
        (4, 1) => each::<T, 4, 1>(&samples, |[r, g, b, _]| [T::grey([r, g, b])]),
        (4, 3) => each::<T, 4, 3>(&samples, |[r, g, b, _]| [r, g, b]),
        _ => samples,
    }
}

impl Image {
    /// The image with the channels that `mode` asks for.
    pub fn in_mode(mut self, mode: Mode) -> Image {
        let (own, wanted) = (self.channels, mode.channels(self.channels));
        self.samples = match self.samples {
            Samples::Bytes(samples) => Samples::Bytes(converted(samples, own, wanted)),
            Samples::Words(samples) => Samples::Words(converted(samples, own, wanted)),
        };
        self.channels = wanted;
        self
    }

    /// The samples in 8 bits: the upper ones of 16.
    pub fn into_bytes(self) -> Vec<u8> {
        match self.samples {
            Samples::Bytes(samples) => samples,
            Samples::Words(samples) => samples.into_iter().map(|sample| (sample >> 8) as u8).collect(),
        }
    }

    /// The samples in 16 bits: 255 becomes 65535.
    pub fn into_words(self) -> Vec<u16> {
        match self.samples {
            Samples::Bytes(samples) => samples.into_iter().map(|sample| u16::from(sample) * 257).collect(),
            Samples::Words(samples) => samples,
        }
    }
}

/// Colours of inks, without a colour profile: each of cyan, magenta and yellow takes away from what black leaves.
pub fn rgb_of_cmyk(cmyk: &[u8]) -> Vec<u8> {
    each::<u8, 4, 3>(cmyk, |[c, m, y, k]| {
        let left = 255 - i32::from(k);
        [c, m, y].map(|ink| {
            // The quotient by 255, rounded.
            let product = i32::from(ink) * left + 128;
            (left - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
        })
    })
}

/// Colours of luma and chroma of the full range (ITU-T T.871, section 7).
pub fn rgb_of_ycbcr(ycbcr: &[u8]) -> Vec<u8> {
    each::<u8, 3, 3>(ycbcr, |[y, blue, red]| {
        let (y, blue, red) = (f32::from(y), f32::from(blue) - 128.0, f32::from(red) - 128.0);
        // A conversion of a float clips.
        [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue].map(|level| level.round() as u8)
    })
}

/// Levels or colours of which each was weighed by its pixel's alpha, the last channel, freed of it: zeros where alpha is.
pub fn straight(samples: Samples, channels: usize) -> Samples {
    fn freed<T: Sample + Into<u64> + TryFrom<u64>>(mut samples: Vec<T>, channels: usize) -> Vec<T> {
        for pixel in samples.chunks_exact_mut(channels) {
            let (&mut alpha, levels) = pixel.split_last_mut().expect("a pixel has a channel");
            let alpha: u64 = alpha.into();
            for level in levels {
                let quotient = ((*level).into() * T::MAX.into()).checked_div(alpha).unwrap_or(0);
                *level = T::try_from(quotient).unwrap_or(T::MAX);
            }
        }
        samples
    }
    match samples {
        Samples::Bytes(samples) => Samples::Bytes(freed(samples, channels)),
        Samples::Words(samples) => Samples::Words(freed(samples, channels)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(channels: usize, samples: Samples) -> Image {
        Image { width: 1, height: 1, channels, samples, orientation: 1 }
    }

    #[test]
    fn white_stays_white_in_every_mode() {
        for own in 1..=4 {
            for (mode, count) in [(Mode::Unchanged, own), (Mode::Grey, 1), (Mode::Rgb, 3), (Mode::Rgba, 4)] {
                let made = image(own, Samples::Bytes(vec![255; own])).in_mode(mode);
                assert_eq!((made.channels, made.into_bytes()), (count, vec![255; count]));
                let made = image(own, Samples::Words(vec![65535; own])).in_mode(mode);
                assert_eq!(made.into_words(), vec![65535; count]);
            }
        }
    }

    #[test]
    fn bits_are_kept_from_above_and_spread() {
        assert_eq!(image(1, Samples::Words(vec![0x12ff])).into_bytes(), [0x12]);
        assert_eq!(image(1, Samples::Bytes(vec![0x12])).into_words(), [0x1212]);
    }

    #[test]
    fn luma_and_chroma_become_colours() {
        assert_eq!(rgb_of_ycbcr(&[76, 85, 255, 150, 44, 21, 29, 255, 107]), [254, 0, 0, 0, 255, 1, 0, 0, 254]);
        assert_eq!(rgb_of_ycbcr(&[0, 128, 128, 255, 128, 128]), [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn colours_are_freed_of_their_alpha() {
        let made = straight(Samples::Bytes(vec![50, 100, 200, 100, 7, 8, 9, 0, 1, 2, 3, 255]), 4);
        assert_eq!(made, Samples::Bytes(vec![127, 255, 255, 100, 0, 0, 0, 0, 1, 2, 3, 255]));
        let made = straight(Samples::Words(vec![100, 1000, 60000, 100]), 2);
        assert_eq!(made, Samples::Words(vec![6553, 1000, 65535, 100]));
    }

    #[test]
    fn inks_take_light_away() {
        assert_eq!(rgb_of_cmyk(&[0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255]), [255, 255, 255, 0, 255, 255, 0, 0, 0]);
    }
}
