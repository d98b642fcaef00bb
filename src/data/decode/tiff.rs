//! TIFF by the crate `tiff`: the first page, 1 to 16 bits.

use super::colour::rgb_of_cmyk;
use super::{Format, Image, Info, Options, Samples, damaged};
use crate::error::Result;
use std::io::Cursor;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

type Bytes<'a> = Cursor<&'a [u8]>;

/// The tag that says what samples mean, and two of its values (TIFF 6.0, section 8).
const PHOTOMETRIC: u16 = 262;
const PALETTE: u16 = 3;
const BLACK_IS_ZERO: u16 = 1;

/// A copy of a file whose samples are indices of a palette, which says that they are levels of grey: the crate reads
/// these alone. None for files without a palette.
fn with_indices_as_levels(bytes: &[u8]) -> Option<Vec<u8>> {
    let little = bytes.starts_with(b"II*\0");
    let short = |at: usize| -> Option<u16> {
        let two = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
    };
    let four = bytes.get(4..8)?.try_into().ok()?;
    let directory = (if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }) as usize;
    let entries = usize::from(short(directory)?);
    let entry = (0..entries).map(|i| directory + 2 + 12 * i).find(|&at| short(at) == Some(PHOTOMETRIC))?;
    if short(entry + 8)? != PALETTE {
        return None;
    }
    let mut changed = bytes.to_vec();
    let level = if little { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    changed.get_mut(entry + 8..entry + 10)?.copy_from_slice(&level);
    Some(changed)
}

fn header(bytes: &[u8]) -> Result<(Decoder<Bytes<'_>>, ColorType, Info)> {
    let failure = |error| damaged(Format::Tiff, error);
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(failure)?;
    let (width, height) = decoder.dimensions().map_err(failure)?;
    let colour = decoder.colortype().map_err(failure)?;
    let channels = match colour {
        ColorType::Gray(_) => 1,
        ColorType::GrayA(_) | ColorType::Multiband { num_samples: 2, .. } => 2,
        ColorType::RGB(_) | ColorType::CMYK(_) | ColorType::YCbCr(_) => 3,
        ColorType::RGBA(_) => 4,
        other => {
            return Err(damaged(
                Format::Tiff,
                format!("expected grey, colours, a palette or inks, received {other:?}"),
            ));
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
    match with_indices_as_levels(bytes) {
        Some(levels) => Ok(Info { channels: 3, ..header(&levels)?.2 }),
        None => Ok(header(bytes)?.2),
    }
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

pub fn decode(bytes: &[u8], options: &Options) -> Result<Image> {
    match with_indices_as_levels(bytes) {
        Some(levels) => pixels(&levels, true, options),
        None => pixels(bytes, false, options),
    }
}

fn pixels(bytes: &[u8], palette: bool, options: &Options) -> Result<Image> {
    let failure = |error| damaged(Format::Tiff, error);
    let (mut decoder, colour, info) = header(bytes)?;
    let Info { width, height, channels, bits, orientation, .. } = info;
    options.check(Format::Tiff, width, height)?;
    let planes = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(failure)?.unwrap_or(1);
    if planes == 2 && colour.num_samples() > 1 {
        return Err(damaged(Format::Tiff, "expected channels of a pixel side by side, received planes"));
    }
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::MAX;
    let mut decoder = decoder.with_limits(limits);
    let samples = match decoder.read_image().map_err(failure)? {
        DecodingResult::U8(samples) => Samples::Bytes(samples),
        DecodingResult::U16(samples) => Samples::Words(samples),
        _ => return Err(damaged(Format::Tiff, format!("expected integers of 1 to 16 bits, received {colour:?}"))),
    };
    let samples = match (samples, colour) {
        (Samples::Bytes(indices), ColorType::Gray(1..=8)) if palette => {
            let colours = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(failure)?;
            let indices = if bits < 8 { unpacked(&indices, bits, width, height) } else { indices };
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
            let step = 255 / ((1u16 << bits) - 1) as u8;
            Samples::Bytes(unpacked(&packed, bits, width, height).into_iter().map(|level| level * step).collect())
        }
        (Samples::Bytes(inks), ColorType::CMYK(8)) => Samples::Bytes(rgb_of_cmyk(&inks)),
        (samples, ColorType::Gray(8 | 16) | ColorType::GrayA(_) | ColorType::RGB(_) | ColorType::RGBA(_)) => samples,
        (samples, ColorType::YCbCr(8) | ColorType::Multiband { bit_depth: 8 | 16, .. }) => samples,
        (_, colour) => return Err(damaged(Format::Tiff, format!("expected 8 or 16 bits, received {colour:?}"))),
    };
    Ok(Image { width, height, channels, samples, orientation })
}
