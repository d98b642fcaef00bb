//! JPEG by `libjpeg-turbo-rs`, whose pixels are libjpeg-turbo's bit by bit, at each scale; of four inks by `zune-jpeg`.

use super::colour::rgb_of_cmyk;
use super::{Format, Image, Info, Options, Samples, damaged};
use crate::error::{Error, Result};
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat, ScalingFactor};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// More scans than any encoder makes; each may touch all coefficients, so that many cost much time.
const MAX_SCANS: usize = 500;

fn failure(bytes: &[u8], error: JpegError) -> Error {
    match error {
        JpegError::UnexpectedEof => damaged(Format::Jpeg, format!("it is cut off after {} bytes", bytes.len())),
        JpegError::AllocationFailed { bytes, .. } => Error::memory(format!("no memory for a JPEG: {bytes} bytes")),
        error => damaged(Format::Jpeg, error),
    }
}

fn header(bytes: &[u8]) -> Result<Decoder<'_>> {
    // The size is checked by `Options`, whose message names the argument.
    let limits = DecodeLimits { max_scans: MAX_SCANS, max_pixels: u64::MAX, ..DecodeLimits::default() };
    Decoder::new_with_limits(bytes, limits).map_err(|error| failure(bytes, error))
}

fn facts(decoder: &Decoder<'_>) -> Info {
    let header = decoder.header();
    Info {
        format: Format::Jpeg,
        width: header.width(),
        height: header.height(),
        // Inks are given as colours.
        channels: if header.components.len() == 1 { 1 } else { 3 },
        bits: header.precision,
        orientation: decoder.exif_orientation().unwrap_or(1),
    }
}

pub fn info(bytes: &[u8]) -> Result<Info> {
    Ok(facts(&header(bytes)?))
}

/// The divisor 1, 2, 4 or 8 that leaves at least the size that is needed.
fn scale(info: &Info, options: &Options) -> usize {
    let Some((height, width)) = options.at_least else { return options.jpeg_scale };
    let (own_height, own_width) =
        if info.orientation >= 5 { (info.width, info.height) } else { (info.height, info.width) };
    let most = (own_height / height.max(1)).min(own_width / width.max(1));
    [8, 4, 2].into_iter().find(|&scale| scale <= most).unwrap_or(1)
}

pub fn decode(bytes: &[u8], options: &Options) -> Result<Image> {
    let mut decoder = header(bytes)?;
    let info = facts(&decoder);
    options.check(Format::Jpeg, info.width, info.height)?;
    if info.bits != 8 {
        return Err(damaged(Format::Jpeg, format!("expected 8 bits a sample, received {}", info.bits)));
    }
    if decoder.header().components.len() == 4 {
        return inks(bytes, &info, options);
    }
    let factor = ScalingFactor::try_new(1, scale(&info, options) as u32).map_err(|error| failure(bytes, error))?;
    decoder.set_scale(factor);
    decoder.set_output_format(if info.channels == 1 { PixelFormat::Grayscale } else { PixelFormat::Rgb });
    let image = decoder.decode_image().map_err(|error| failure(bytes, error))?;
    Ok(Image {
        width: image.width,
        height: image.height,
        channels: info.channels,
        samples: Samples::Bytes(image.data),
        orientation: info.orientation,
    })
}

/// Cyan, magenta, yellow and black, of which Adobe's programs store what is left: 255 is none.
fn inks(bytes: &[u8], info: &Info, options: &Options) -> Result<Image> {
    if options.jpeg_scale > 1 {
        return Err(Error::value("a JPEG of four inks: expected a scale of 1"));
    }
    let wanted = DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .set_strict_mode(true)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::CMYK);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), wanted);
    let mut samples = decoder.decode().map_err(|error| damaged(Format::Jpeg, error))?;
    samples.iter_mut().for_each(|sample| *sample = 255 - *sample);
    let (width, height) = (info.width, info.height);
    Ok(Image {
        width,
        height,
        channels: 3,
        samples: Samples::Bytes(rgb_of_cmyk(&samples)),
        orientation: info.orientation,
    })
}
