//! BMP by the crate `image`: 1 to 32 bits, palettes, run lengths, masks, headers of Windows and OS/2.

use super::{Format, Image, Info, Options, Samples, damaged, unsupported, zeros};
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
    let bytes = with_known_header(bytes);
    let (decoder, Info { width, height, channels, .. }) = header(&bytes)?;
    options.check(Format::Bmp, width, height)?;
    let mut samples = zeros(width * height * channels)?;
    decoder.read_image(&mut samples).map_err(failure)?;
    Ok(Image { width, height, channels, samples: Samples::Bytes(samples), orientation: 1 })
}
