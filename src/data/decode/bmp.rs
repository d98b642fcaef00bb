//! BMP by the crate `image`: 1 to 32 bits, palettes, run lengths, masks, headers of Windows and OS/2.

use super::{Format, Image, Info, Mode, Options, Samples, damaged, unsupported, zeros};
use crate::error::{Error, Result};
use image::codecs::bmp::BmpDecoder;
use image::{ImageDecoder, ImageError};
use std::borrow::Cow;
use std::io::Cursor;

type Decoder<'a> = BmpDecoder<Cursor<&'a [u8]>>;

fn failure(error: ImageError) -> Error {
    match error {
        ImageError::Unsupported(error) => {
            unsupported(Format::Bmp, error, "1 to 32 bits a pixel, plain, by run lengths or by masks")
        }
        ImageError::Decoding(error) => damaged(Format::Bmp, error),
        ImageError::IoError(error) => damaged(Format::Bmp, format!("it is cut off: {error}")),
        other => damaged(Format::Bmp, other),
    }
}

/// The file with a header that the crate knows: the 64 bytes of OS/2 2 are the 40 of Windows and 24 that say nothing of
/// the pixels.
fn with_known_header(bytes: &[u8]) -> Cow<'_, [u8]> {
    let long = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (Some(64), Some(rest), Some(start)) = (long(14), bytes.get(14 + 64..), long(10)) else {
        return Cow::Borrowed(bytes);
    };
    let mut changed = bytes[..14 + 40].to_vec();
    changed[10..14].copy_from_slice(&start.saturating_sub(24).to_le_bytes());
    changed[14..18].copy_from_slice(&40u32.to_le_bytes());
    changed.extend_from_slice(rest);
    Cow::Owned(changed)
}

/// The file with an end marker behind its run lengths: some programs leave it out when all rows are there, which the
/// crate takes for a file that is cut off.
fn with_end_of_runs(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if !ends_with_the_last_pixel(&bytes).unwrap_or_default() {
        return bytes;
    }
    let mut changed = bytes.into_owned();
    changed.extend([0, 1]);
    Cow::Owned(changed)
}

/// Whether a file of run lengths ends behind the last pixel of its last row. None for other files.
fn ends_with_the_last_pixel(bytes: &[u8]) -> Option<bool> {
    let long = |at: usize| Some(i32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (start, header, width, height) = (long(10)?, long(14)?, long(18)?, long(22)?.unsigned_abs() as usize);
    let pixels_in_byte = match long(30)? {
        1 => 1,
        2 => 2,
        _ => return None,
    };
    if header < 40 {
        return None;
    }
    let (width, mut at, mut x, mut y) = (usize::try_from(width).ok()?, usize::try_from(start).ok()?, 0, 0);
    while let Some(&[first, second]) = bytes.get(at..at.checked_add(2)?) {
        at += 2;
        match (first, usize::from(second)) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => return Some(false),
            (0, 2) => {
                let &[right, up] = bytes.get(at..at + 2)? else { return None };
                (at, x, y) = (at + 2, x + usize::from(right), y + usize::from(up));
            }
            (0, count) => {
                let length = count.div_ceil(pixels_in_byte);
                (at, x) = (at + length + length % 2, x + count);
            }
            (count, _) => x += usize::from(count),
        }
    }
    // The padding of a last run may be missing, too: then there is no place for a marker.
    Some(at == bytes.len() && y + 1 == height && x >= width)
}

/// The file with greys for the colours of its palette, each the level of its index. None for files without a palette.
fn with_indices_for_colours(bytes: &[u8]) -> Option<Vec<u8>> {
    let long = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let header = long(14)?;
    // The first header of OS/2 has shorter fields, and 3 bytes a colour.
    let (bits, used, step) = if header == 12 { (bytes.get(24)?, 0, 3) } else { (bytes.get(28)?, long(46)?, 4) };
    if !(1..=8).contains(bits) {
        return None;
    }
    let colours = if used == 0 { 1 << bits } else { used.min(1 << bits) };
    let mut changed = bytes.to_vec();
    let palette = changed.get_mut(14 + header..)?;
    for (index, colour) in palette.chunks_exact_mut(step).take(colours).enumerate() {
        colour[..3].fill(index as u8);
    }
    Some(changed)
}

fn header(bytes: &[u8]) -> Result<(Decoder<'_>, Info)> {
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(failure)?;
    let (width, height) = decoder.dimensions();
    let (width, height, channels) = (width as usize, height as usize, decoder.color_type().channel_count().into());
    let info = Info { format: Format::Bmp, width, height, channels, bits: 8, orientation: 1 };
    Ok((decoder, info))
}

pub fn info(bytes: &[u8]) -> Result<Info> {
    Ok(header(&with_known_header(bytes))?.1)
}

pub fn decode(bytes: &[u8], options: &Options) -> Result<Image> {
    let mut bytes = with_end_of_runs(with_known_header(bytes));
    let indexed = if options.indices { with_indices_for_colours(&bytes) } else { None };
    let of_indices = indexed.is_some();
    bytes = indexed.map_or(bytes, Cow::Owned);
    let (decoder, Info { width, height, channels, .. }) = header(&bytes)?;
    options.check(Format::Bmp, width, height)?;
    let mut samples = zeros(width * height * channels)?;
    decoder.read_image(&mut samples).map_err(failure)?;
    let image = Image { width, height, channels, samples: Samples::Bytes(samples), orientation: 1 };
    Ok(if of_indices { image.in_mode(Mode::Grey) } else { image })
}
