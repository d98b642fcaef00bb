//! TIFF by the crate `tiff`: the first page, 1 to 16 bits, and greys of 32.

use super::colour::{rgb_of_cmyk, rgb_of_ycbcr, straight};
use super::{Format, Image, Info, Options, Samples, damaged, spread, unpacked, unsupported};
use crate::error::{Error, Result};
use std::io::Cursor;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{CompressionMethod, Tag};
use tiff::{ColorType, TiffError, TiffUnsupportedError};

type Bytes<'a> = Cursor<&'a [u8]>;

/// The tag that says what samples mean, and some of its values (TIFF 6.0, section 8).
const PHOTOMETRIC: u16 = 262;
const WHITE_IS_ZERO: u16 = 0;
const BLACK_IS_ZERO: u16 = 1;
const PALETTE: u16 = 3;

/// What is read, for the message about what is not.
const SUPPORTED: &str = "grey, colours, a palette, inks or YCbCr in unsigned integers of 1 to 16 bits, or grey in signed \
                         integers of 8 to 32 bits or in floats of 32, plain or packed by LZW, Deflate, PackBits, JPEG or \
                         Fax group 4";

fn failure(error: TiffError) -> Error {
    let received = match error {
        TiffError::UnsupportedError(TiffUnsupportedError::UnsupportedCompressionMethod(method)) => match method {
            CompressionMethod::Huffman => "a compression by Huffman's runs".to_string(),
            CompressionMethod::Fax3 => "a compression by Fax group 3".to_string(),
            CompressionMethod::Unknown(34925) => "a compression by LZMA".to_string(),
            CompressionMethod::Unknown(number) => format!("a compression of the number {number}"),
            method => format!("a compression by {method:?}"),
        },
        TiffError::UnsupportedError(error) => error.to_string(),
        error => return damaged(Format::Tiff, error),
    };
    unsupported(Format::Tiff, received, SUPPORTED)
}

/// A copy of a file whose bytes of pixels begin with their lowest bit (FillOrder 2), with these bits turned around: the
/// crate reads them from the highest on. None for other files.
fn with_highest_bit_first(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(failure)?;
    let order = decoder.find_tag_unsigned::<u16>(Tag::FillOrder).map_err(failure)?;
    let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(failure)?.unwrap_or(1);
    // A JPEG has an order of its own.
    if order != Some(2) || CompressionMethod::from_u16_exhaustive(compression) == CompressionMethod::ModernJPEG {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for (offsets, counts) in [(Tag::StripOffsets, Tag::StripByteCounts), (Tag::TileOffsets, Tag::TileByteCounts)] {
        let offsets = decoder.find_tag_unsigned_vec::<usize>(offsets).map_err(failure)?.unwrap_or_default();
        let counts = decoder.find_tag_unsigned_vec::<usize>(counts).map_err(failure)?.unwrap_or_default();
        parts.extend(offsets.into_iter().zip(counts));
    }
    // In order, so that each byte is turned once though parts may overlap.
    parts.sort_unstable();
    let (mut changed, mut done) = (bytes.to_vec(), 0);
    for (start, count) in parts {
        let end = start.saturating_add(count).min(bytes.len());
        if let Some(part) = changed.get_mut(start.max(done)..end) {
            part.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        done = done.max(end);
    }
    Ok(Some(changed))
}

/// What levels of a file are, beside grey of which 0 is black.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Levels {
    Plain,
    /// Indices of a palette.
    Indices,
    /// More than 8 bits, of which 0 is said to be white.
    DeepFromWhite,
}

/// What the levels of a file are, and a copy of a file that says of others that they are plain: the crate reads no
/// indices, and turns deep levels around where white is 0, which Pillow does to those of up to 8 bits only.
fn with_plain_levels(bytes: &[u8]) -> (Levels, Option<Vec<u8>>) {
    changed_levels(bytes).map_or((Levels::Plain, None), |(levels, changed)| (levels, Some(changed)))
}

fn changed_levels(bytes: &[u8]) -> Option<(Levels, Vec<u8>)> {
    let little = bytes.starts_with(b"II*\0");
    let short = |at: usize| -> Option<u16> {
        let two = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
    };
    let four = bytes.get(4..8)?.try_into().ok()?;
    let directory = (if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }) as usize;
    let entries = usize::from(short(directory)?);
    let entry = (0..entries).map(|i| directory + 2 + 12 * i).find(|&at| short(at) == Some(PHOTOMETRIC))?;
    let levels = match short(entry + 8)? {
        PALETTE => Levels::Indices,
        WHITE_IS_ZERO if header(bytes).is_ok_and(|(_, _, info)| info.bits > 8) => Levels::DeepFromWhite,
        _ => return None,
    };
    let mut changed = bytes.to_vec();
    let plain = if little { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    changed.get_mut(entry + 8..entry + 10)?.copy_from_slice(&plain);
    Some((levels, changed))
}

fn header(bytes: &[u8]) -> Result<(Decoder<Bytes<'_>>, ColorType, Info)> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(failure)?;
    let (width, height) = decoder.dimensions().map_err(failure)?;
    let colour = decoder.colortype().map_err(failure)?;
    let channels = match colour {
        ColorType::Gray(_) => 1,
        ColorType::GrayA(_) | ColorType::Multiband { num_samples: 2, .. } => 2,
        ColorType::RGB(_) | ColorType::CMYK(_) | ColorType::YCbCr(_) => 3,
        ColorType::RGBA(_) => 4,
        other => {
            return Err(unsupported(Format::Tiff, format!("{other:?}"), SUPPORTED));
        }
    };
    let orientation = decoder.find_tag_unsigned::<u16>(Tag::Orientation).ok().flatten().unwrap_or(1);
    let info = Info {
        format: Format::Tiff,
        width: width as usize,
        height: height as usize,
        channels,
        bits: colour.bit_depth(),
        orientation: u8::try_from(orientation).ok().filter(|o| (1..=8).contains(o)).unwrap_or(1),
    };
    Ok((decoder, colour, info))
}

pub fn info(bytes: &[u8]) -> Result<Info> {
    let (levels, changed) = with_plain_levels(bytes);
    let (_, _, info) = header(changed.as_deref().unwrap_or(bytes))?;
    Ok(if levels == Levels::Indices { Info { channels: 3, ..info } } else { info })
}

pub fn decode(bytes: &[u8], options: &Options) -> Result<Image> {
    let turned = with_highest_bit_first(bytes)?;
    let bytes = turned.as_deref().unwrap_or(bytes);
    let (levels, changed) = with_plain_levels(bytes);
    pixels(changed.as_deref().unwrap_or(bytes), levels, options)
}

/// Samples of planes, one after the other, side by side.
fn interleaved<T: Copy>(planes: &[T], count: usize) -> Vec<T> {
    let pixels = planes.len() / count.max(1);
    (0..pixels).flat_map(|pixel| (0..count).map(move |plane| planes[plane * pixels + pixel])).collect()
}

/// Levels of more than 16 bits, clipped to 0 to 255 as Pillow does it: such files say nothing of their range.
fn clipped<T>(levels: Vec<T>, byte: impl Fn(T) -> u8) -> Samples {
    Samples::Bytes(levels.into_iter().map(byte).collect())
}

/// What a file holds that is not read, for the message.
fn named(colour: ColorType, decoded: &DecodingResult, levels: Levels) -> String {
    let kind = match decoded {
        DecodingResult::F16(_) | DecodingResult::F32(_) | DecodingResult::F64(_) => "floats",
        DecodingResult::I8(_) | DecodingResult::I16(_) | DecodingResult::I32(_) | DecodingResult::I64(_) => {
            "signed integers"
        }
        _ => "unsigned integers",
    };
    let white = if levels == Levels::DeepFromWhite { ", of which 0 is white" } else { "" };
    format!("{colour:?} in {kind}{white}")
}

fn pixels(bytes: &[u8], levels: Levels, options: &Options) -> Result<Image> {
    let (decoder, colour, info) = header(bytes)?;
    let Info { width, height, channels, bits, orientation, .. } = info;
    options.check(Format::Tiff, width, height)?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::MAX;
    let mut decoder = decoder.with_limits(limits);
    let mut decoded = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut decoded).map_err(failure)?;
    let received = named(colour, &decoded, levels);
    let refused = || unsupported(Format::Tiff, received.clone(), SUPPORTED);
    let grey = matches!(colour, ColorType::Gray(_));
    let from_black = grey && levels == Levels::Plain;
    let samples = match decoded {
        // Packed bits of several planes do not come here: the crate reads them of grey only.
        DecodingResult::U8(samples) if layout.planes > 1 => Samples::Bytes(interleaved(&samples, layout.planes)),
        DecodingResult::U16(samples) if layout.planes > 1 => Samples::Words(interleaved(&samples, layout.planes)),
        DecodingResult::U8(samples) => Samples::Bytes(samples),
        DecodingResult::U16(samples) => Samples::Words(samples),
        // Pillow takes the bits of such a byte for those of an unsigned one.
        DecodingResult::I8(samples) if from_black => clipped(samples, |level| level as u8),
        DecodingResult::I16(samples) if from_black => clipped(samples, |level| level.clamp(0, 255) as u8),
        DecodingResult::U32(samples) if from_black => clipped(samples, |level| level.min(255) as u8),
        DecodingResult::I32(samples) if from_black => clipped(samples, |level| level.clamp(0, 255) as u8),
        // A conversion of a float clips; what is no number becomes 0.
        DecodingResult::F32(samples) if grey => clipped(samples, |level| level as u8),
        _ => return Err(refused()),
    };
    let samples = match (samples, colour) {
        (Samples::Bytes(indices), ColorType::Gray(1..=8)) if levels == Levels::Indices => {
            let indices = if bits < 8 { unpacked(&indices, bits, width, height) } else { indices };
            if options.indices {
                return Ok(Image { width, height, channels: 1, samples: Samples::Bytes(indices), orientation });
            }
            let colours = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(failure)?;
            let third = colours.len() / 3;
            // All reds, then all greens, then all blues, of 16 bits each.
            let one = |index: u8, plane: usize| {
                let place = usize::from(index);
                if place < third { (colours[plane * third + place] >> 8) as u8 } else { 0 }
            };
            let samples = indices.iter().flat_map(|&i| [one(i, 0), one(i, 1), one(i, 2)]).collect();
            return Ok(Image { width, height, channels: 3, samples: Samples::Bytes(samples), orientation });
        }
        (Samples::Bytes(packed), ColorType::Gray(bits @ 1..=4)) => {
            Samples::Bytes(spread(unpacked(&packed, bits, width, height), bits, options))
        }
        (Samples::Bytes(inks), ColorType::CMYK(8)) => Samples::Bytes(rgb_of_cmyk(&inks)),
        (Samples::Bytes(lumas), ColorType::YCbCr(8)) => Samples::Bytes(rgb_of_ycbcr(&lumas)),
        (samples, ColorType::Gray(8 | 16 | 32) | ColorType::GrayA(_) | ColorType::RGB(_) | ColorType::RGBA(_)) => {
            samples
        }
        (samples, ColorType::Multiband { bit_depth: 8 | 16, .. }) => samples,
        _ => return Err(refused()),
    };
    // 1 says that the colours are weighed by their alpha.
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).map_err(failure)?.unwrap_or_default();
    let weighed = extra.first() == Some(&1) && matches!(channels, 2 | 4);
    let samples = if weighed { straight(samples, channels) } else { samples };
    Ok(Image { width, height, channels, samples, orientation })
}
