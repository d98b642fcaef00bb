//! PNG by the crate `png`: palettes and few bits expanded, transparency as alpha, 16 bits kept.

use super::{Format, Image, Info, Options, Samples, damaged, orientation, spread, unpacked, zeros};
use crate::error::Result;
use png::{BitDepth, ColorType, Decoder, Limits, Reader, Transformations};
use std::io::Cursor;

type Bytes<'a> = Cursor<&'a [u8]>;

fn header(bytes: &[u8], transformations: Transformations) -> Result<Reader<Bytes<'_>>> {
    // Of the chunks beside the pixels; those are checked by `Options`.
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: 64 << 20 });
    decoder.set_transformations(transformations);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.read_info().map_err(|error| damaged(Format::Png, error))
}

fn facts(reader: &Reader<Bytes<'_>>) -> Info {
    let info = reader.info();
    let channels = match info.color_type {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
        // A transparent entry is part of what a palette says; a transparent colour of others shows only on request.
        ColorType::Indexed if info.trns.is_some() => 4,
        ColorType::Indexed => 3,
    };
    Info {
        format: Format::Png,
        width: info.width as usize,
        height: info.height as usize,
        channels,
        bits: info.bit_depth as u8,
        orientation: info.exif_metadata.as_deref().map_or(1, orientation::of_exif),
    }
}

pub fn info(bytes: &[u8]) -> Result<Info> {
    Ok(facts(&header(bytes, Transformations::EXPAND)?))
}

pub fn decode(bytes: &[u8], options: &Options) -> Result<Image> {
    // Indices are those of the file: nothing is expanded to colours.
    let as_stored = if options.indices { Transformations::IDENTITY } else { Transformations::EXPAND };
    let mut reader = header(bytes, as_stored)?;
    let info = facts(&reader);
    options.check(Format::Png, info.width, info.height)?;
    let (color, depth) = reader.output_color_type();
    let size = reader.output_buffer_size().ok_or_else(|| damaged(Format::Png, "its size overflows"))?;
    let mut samples = zeros::<u8>(size)?;
    reader.next_frame(&mut samples).map_err(|error| damaged(Format::Png, error))?;
    let samples = match depth {
        BitDepth::Sixteen => {
            Samples::Words(samples.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
        }
        BitDepth::Eight => Samples::Bytes(samples),
        few => {
            let levels = unpacked(&samples, few as u8, info.width, info.height);
            Samples::Bytes(if color == ColorType::Indexed { levels } else { spread(levels, few as u8, options) })
        }
    };
    Ok(Image {
        width: info.width,
        height: info.height,
        channels: color.samples(),
        samples,
        orientation: info.orientation,
    })
}
