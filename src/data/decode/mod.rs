//! Images of files: JPEG, PNG, WebP, BMP, GIF and TIFF, each by its crate, brought to 8 bits or 16.
//!
//! Where formats leave a choice, the pixels are Pillow's: palettes become colours (or indices, on request), transparency of a palette or of one
//! colour becomes alpha, 16 bits keep their upper 8, and CMYK is read as Adobe's programs write it.

mod bmp;
mod colour;
mod gif;
mod jpeg;
mod orientation;
mod png;
mod tiff;
mod webp;

pub use colour::Mode;
pub use gif::frames;

use crate::error::{Error, Result};

/// The pixels beyond which an image is refused unless the caller says otherwise: what Pillow refuses, twice the 2 ** 30
/// bytes / 4 / 3 of which it warns.
pub const MAX_PIXELS: u64 = 178_956_970;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    WebP,
    Bmp,
    Gif,
    Tiff,
}

impl Format {
    /// Each format with the name that users know.
    pub const ALL: [(Format, &str); 6] = [
        (Format::Jpeg, "JPEG"),
        (Format::Png, "PNG"),
        (Format::WebP, "WebP"),
        (Format::Bmp, "BMP"),
        (Format::Gif, "GIF"),
        (Format::Tiff, "TIFF"),
    ];

    /// The name that users know.
    pub fn name(self) -> &'static str {
        Format::ALL[self as usize].1
    }

    /// The format of a file that begins with `bytes`.
    pub fn of(bytes: &[u8]) -> Option<Format> {
        Some(match bytes {
            [0xff, 0xd8, 0xff, ..] => Format::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Format::Png,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Format::WebP,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Format::Tiff,
            [b'B', b'M', ..] => Format::Bmp,
            _ => return None,
        })
    }
}

/// What is known of a file without its pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    pub format: Format,
    /// Of the stored pixels, before they are turned upright.
    pub width: usize,
    pub height: usize,
    /// The channels that the file has: 1 for grey, 2 with alpha, 3 for colours, 4 with alpha.
    pub channels: usize,
    /// Bits of a sample.
    pub bits: u8,
    /// How the stored pixels lie, as EXIF counts: 1 is upright.
    pub orientation: u8,
}

/// Samples of an image, row by row, channels last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Of up to 8 bits, spread over 0 to 255.
    Bytes(Vec<u8>),
    /// Of 16 bits.
    Words(Vec<u16>),
}

/// A decoded image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub width: usize,
    pub height: usize,
    /// 1, 2, 3 or 4: grey or colours, with or without alpha.
    pub channels: usize,
    pub samples: Samples,
    /// How the pixels lie, as EXIF counts: 1 is upright.
    pub orientation: u8,
}

/// How a file is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The pixels beyond which an image is refused.
    pub max_pixels: u64,
    /// The size that the caller needs at least; JPEGs are decoded at 1/2, 1/4 or 1/8 of theirs where that is enough.
    pub at_least: Option<(usize, usize)>,
    /// By what the size of a JPEG is divided in any case: 1, 2, 4 or 8.
    pub jpeg_scale: usize,
    /// Whether the indices of a palette are asked for, and not its colours. Grey of up to 8 bits is taken as it is, one
    /// bit as 0 and 1; other files are refused.
    pub indices: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { max_pixels: MAX_PIXELS, at_least: None, jpeg_scale: 1, indices: false }
    }
}

impl Options {
    /// Refuses an image of more pixels than allowed, before there is memory for them.
    fn check(&self, format: Format, width: usize, height: usize) -> Result<()> {
        let pixels = width as u64 * height as u64;
        if pixels == 0 {
            return Err(Error::value(format!(
                "a {} of {width} x {height} pixels: expected at least one",
                format.name()
            )));
        }
        if pixels > self.max_pixels {
            return Err(Error::value(format!(
                "a {} of {width} x {height} = {pixels} pixels: expected at most {}, the limit max_pixels against \
                 files that fill the memory",
                format.name(),
                self.max_pixels
            )));
        }
        Ok(())
    }
}

/// The format of `bytes`.
///
/// # Errors
///
/// `Value` if they are no image that is read here.
fn known(bytes: &[u8]) -> Result<Format> {
    Format::of(bytes).ok_or_else(|| {
        let names = Format::ALL.map(|(_, name)| name).join(", ");
        Error::value(match bytes {
            [] => format!("an empty file: expected an image ({names})"),
            _ => format!(
                "not an image: expected {names}, received {} bytes that begin with {}",
                bytes.len(),
                begin(bytes)
            ),
        })
    })
}

/// The first bytes of a file for a message: text as text.
fn begin(bytes: &[u8]) -> String {
    let first = &bytes[..bytes.len().min(8)];
    match std::str::from_utf8(first) {
        Ok(text) if text.chars().all(|c| !c.is_control()) => format!("{text:?}"),
        _ => first.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    }
}

/// The error of a file that its format's crate cannot read.
fn damaged(format: Format, reason: impl std::fmt::Display) -> Error {
    Error::value(format!("a damaged {}: {}", format.name(), reason.to_string().trim_end()))
}

/// The error of a whole file of a kind that is not read here.
fn unsupported(format: Format, received: impl std::fmt::Display, expected: &str) -> Error {
    Error::value(format!(
        "a {} of a kind that is not supported: expected {expected}, received {received}",
        format.name()
    ))
}

/// What a file is, from its header.
///
/// # Errors
///
/// `Value` if the file is none of the formats, or its header is damaged.
pub fn info(bytes: &[u8]) -> Result<Info> {
    let format = known(bytes)?;
    guarded(format, || match format {
        Format::Jpeg => jpeg::info(bytes),
        Format::Png => png::info(bytes),
        Format::WebP => webp::info(bytes),
        Format::Bmp => bmp::info(bytes),
        Format::Gif => gif::info(bytes),
        Format::Tiff => tiff::info(bytes),
    })
}

/// Decodes an image: the first frame or page of several.
///
/// # Errors
///
/// `Value` if the file is none of the formats, is damaged or cut off, has more pixels than allowed, or has no indices
/// where these are asked for.
pub fn decode(bytes: &[u8], options: &Options) -> Result<Image> {
    let format = known(bytes)?;
    let image = guarded(format, || match format {
        Format::Jpeg => jpeg::decode(bytes, options),
        Format::Png => png::decode(bytes, options),
        Format::WebP => webp::decode(bytes, options),
        Format::Bmp => bmp::decode(bytes, options),
        Format::Gif => gif::decode(bytes, options),
        Format::Tiff => tiff::decode(bytes, options),
    })?;
    if options.indices {
        let Info { bits, .. } = info(bytes)?;
        if image.channels != 1 || bits > 8 {
            return Err(Error::value(format!(
                "a {} with {} of {bits} bits: expected a palette, or grey of up to 8 bits, for indices",
                format.name(),
                if image.channels == 1 { "a channel".to_string() } else { format!("{} channels", image.channels) },
            )));
        }
    }
    Ok(image)
}

/// Levels of `bits` bits, up to 4, spread over 0 to 255. As indices, one bit stays 0 and 1: Pillow spreads 2 and 4 only.
fn spread(levels: Vec<u8>, bits: u8, options: &Options) -> Vec<u8> {
    if options.indices && bits == 1 {
        return levels;
    }
    let step = 255 / ((1u16 << bits) - 1) as u8;
    levels.into_iter().map(|level| level * step).collect()
}

/// Samples of fewer than 8 bits, which lie packed in rows of whole bytes, one a byte.
fn unpacked(packed: &[u8], bits: u8, in_row: usize, rows: usize) -> Vec<u8> {
    let stride = (in_row * usize::from(bits)).div_ceil(8);
    let mut samples = Vec::with_capacity(in_row * rows);
    for row in packed.chunks(stride.max(1)).take(rows) {
        samples.extend((0..in_row).map(|i| {
            let bit = i * usize::from(bits);
            let byte = row.get(bit / 8).copied().unwrap_or_default();
            (byte >> (8 - usize::from(bits) - bit % 8)) & ((1 << bits) - 1)
        }));
    }
    samples
}

/// A panic of a format's crate is the file's fault as far as the caller is concerned: one file, not the process.
fn guarded<T>(format: Format, work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(damaged(format, "its decoder failed")))
}

/// A buffer of zeros, or an error where there is no memory for it.
pub(crate) fn zeros<T: Clone + Default>(count: usize) -> Result<Vec<T>> {
    let mut buffer = Vec::new();
    buffer
        .try_reserve_exact(count)
        .map_err(|_| Error::memory(format!("no memory for an image of {} bytes", count * size_of::<T>())))?;
    buffer.resize(count, T::default());
    Ok(buffer)
}
