//! The orientation that cameras note in EXIF, and images turned upright.

use super::{Image, Samples};

/// The orientation in EXIF data, which begin as a TIFF does: 1 to 8, and 1 where there is none.
pub fn of_exif(exif: &[u8]) -> u8 {
    // JPEGs and some WebPs have this before the data.
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    tag(exif).filter(|o| (1..=8).contains(o)).unwrap_or(1)
}

/// Tag 0x0112 of the first directory: a short, in the byte order that the first two bytes tell (TIFF 6.0, section 2).
fn tag(exif: &[u8]) -> Option<u8> {
    let little = match exif.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| -> Option<u32> {
        let bytes = exif.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = long(4)? as usize;
    let entries = usize::from(short(directory)?);
    (0..entries).map(|i| directory + 2 + 12 * i).find(|&at| short(at) == Some(0x0112)).and_then(|at| {
        (short(at + 2)? == 3).then_some(())?;
        u8::try_from(short(at + 8)?).ok()
    })
}

/// A copy of the pixels in another order: `from(row, column)` of the result is the place in the source.
fn moved<T: Copy>(
    samples: &[T],
    (width, height, channels): (usize, usize, usize),
    from: impl Fn(usize, usize) -> usize,
) -> Vec<T> {
    let mut made = Vec::with_capacity(samples.len());
    for row in 0..height {
        for column in 0..width {
            let at = from(row, column) * channels;
            made.extend_from_slice(&samples[at..at + channels]);
        }
    }
    made
}

impl Image {
    /// The image turned and mirrored as its orientation asks for (EXIF 2.32, table 6).
    pub fn upright(self) -> Image {
        let Image { width, height, channels, samples, orientation } = self;
        if !(2..=8).contains(&orientation) {
            return Image { width, height, channels, samples, orientation: 1 };
        }
        let turned = orientation >= 5;
        let (new_width, new_height) = if turned { (height, width) } else { (width, height) };
        let from = |row: usize, column: usize| {
            let (y, x) = match orientation {
                2 => (row, width - 1 - column),
                3 => (height - 1 - row, width - 1 - column),
                4 => (height - 1 - row, column),
                5 => (column, row),
                6 => (height - 1 - column, row),
                7 => (height - 1 - column, width - 1 - row),
                _ => (column, width - 1 - row),
            };
            y * width + x
        };
        let size = (new_width, new_height, channels);
        let samples = match samples {
            Samples::Bytes(samples) => Samples::Bytes(moved(&samples, size, from)),
            Samples::Words(samples) => Samples::Words(moved(&samples, size, from)),
        };
        Image { width: new_width, height: new_height, channels, samples, orientation: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_orientation_shows_the_same_scene() {
        // The scene 0 1 2 / 3 4 5, stored as each orientation says.
        let stored: [(u8, usize, [u8; 6]); 8] = [
            (1, 3, [0, 1, 2, 3, 4, 5]),
            (2, 3, [2, 1, 0, 5, 4, 3]),
            (3, 3, [5, 4, 3, 2, 1, 0]),
            (4, 3, [3, 4, 5, 0, 1, 2]),
            (5, 2, [0, 3, 1, 4, 2, 5]),
            (6, 2, [2, 5, 1, 4, 0, 3]),
            (7, 2, [5, 2, 4, 1, 3, 0]),
            (8, 2, [3, 0, 4, 1, 5, 2]),
        ];
        for (orientation, width, samples) in stored {
            let samples = Samples::Bytes(samples.to_vec());
            let image = Image { width, height: 6 / width, channels: 1, samples, orientation }.upright();
            assert_eq!((image.width, image.height), (3, 2), "{orientation}");
            assert_eq!(image.samples, Samples::Bytes(vec![0, 1, 2, 3, 4, 5]), "{orientation}");
        }
    }

    #[test]
    fn exif_is_read_in_both_byte_orders_and_never_beyond_its_end() {
        let little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        assert_eq!((of_exif(little), of_exif(big)), (6, 6));
        for end in 0..little.len() {
            let orientation = of_exif(&little[..end]);
            assert!(orientation == 1 || end >= 20, "{end}");
        }
        assert_eq!(of_exif(b"II*\0\xff\xff\xff\xff"), 1);
    }
}
