//! WebP by the crate `image-webp`, lossy and lossless; the first frame of several.

use super::{Format, Image, Info, Options, Samples, damaged, orientation, zeros};
use crate::error::Result;
use image_webp::WebPDecoder;
use std::io::Cursor;

type Decoder<'a> = WebPDecoder<Cursor<&'a [u8]>>;

fn header(bytes: &[u8]) -> Result<(Decoder<'_>, Info)> {
    let failure = |error| damaged(Format::WebP, error);
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(failure)?;
    let (width, height) = decoder.dimensions();
    let exif = decoder.exif_metadata().map_err(failure)?;
    let info = Info {
        format: Format::WebP,
        width: width as usize,
        height: height as usize,
        channels: if decoder.has_alpha() { 4 } else { 3 },
        bits: 8,
        orientation: exif.as_deref().map_or(1, orientation::of_exif),
    };
    Ok((decoder, info))
}

pub fn info(bytes: &[u8]) -> Result<Info> {
    Ok(header(bytes)?.1)
}

pub fn decode(bytes: &[u8], options: &Options) -> Result<Image> {
    let (mut decoder, info) = header(bytes)?;
    options.check(Format::WebP, info.width, info.height)?;
    let size = decoder.output_buffer_size().ok_or_else(|| damaged(Format::WebP, "its size overflows"))?;
    let mut samples = zeros::<u8>(size)?;
    decoder.read_image(&mut samples).map_err(|error| damaged(Format::WebP, error))?;
    Ok(Image {
        width: info.width,
        height: info.height,
        channels: info.channels,
        samples: Samples::Bytes(samples),
        orientation: info.orientation,
    })
}
