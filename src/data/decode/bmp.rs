//! BMP by `zune-bmp`; few bits a pixel, whose rows it cuts at a wrong place, are unpacked here.

use super::{Format, Image, Info, Options, Samples, damaged};
use crate::error::Result;
use zune_bmp::BmpDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::options::DecoderOptions;

type Decoder<'a> = BmpDecoder<ZCursor<&'a [u8]>>;

fn header(bytes: &[u8]) -> Result<(Decoder<'_>, Info)> {
    let wide = i32::MAX as usize;
    let options = DecoderOptions::default().set_max_width(wide).set_max_height(wide).set_strict_mode(true);
    let mut decoder = BmpDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| damaged(Format::Bmp, format!("{error:?}")))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| damaged(Format::Bmp, "it has no size"))?;
    let space = decoder.colorspace().ok_or_else(|| damaged(Format::Bmp, "it has no colours"))?;
    let info = Info { format: Format::Bmp, width, height, channels: space.num_components(), bits: 8, orientation: 1 };
    Ok((decoder, info))
}

pub fn info(bytes: &[u8]) -> Result<Info> {
    Ok(header(bytes)?.1)
}

pub fn decode(bytes: &[u8], options: &Options) -> Result<Image> {
    let (mut decoder, Info { width, height, channels, .. }) = header(bytes)?;
    options.check(Format::Bmp, width, height)?;
    if let Some(samples) = few_bits(bytes, width, height) {
        return Ok(Image { width, height, channels: 3, samples: Samples::Bytes(samples?), orientation: 1 });
    }
    let samples = decoder.decode().map_err(|error| damaged(Format::Bmp, format!("{error:?}")))?;
    Ok(Image { width, height, channels, samples: Samples::Bytes(samples), orientation: 1 })
}

/// The colours of pixels of 1, 2 or 4 bits that are not compressed; None for other files.
///
/// A row takes a multiple of 4 bytes, the last row of the image comes first unless the height is negative, and colours
/// of the palette have 4 bytes: blue, green, red and none.
fn few_bits(bytes: &[u8], width: usize, height: usize) -> Option<Result<Vec<u8>>> {
    let long = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let bits = usize::from(u16::from_le_bytes(bytes.get(28..30)?.try_into().ok()?));
    let (header, compression) = (long(14)? as usize, long(30)?);
    if header < 40 || !matches!(bits, 1 | 2 | 4) || compression != 0 {
        return None;
    }
    let pixels = long(10)? as usize;
    let top_down = long(22)? as i32 <= 0;
    let palette = bytes.get(14 + header..pixels.min(bytes.len())).unwrap_or_default().as_chunks::<4>().0;
    let stride = (width * bits).div_ceil(32) * 4;
    let rows = height.checked_mul(stride).and_then(|size| bytes.get(pixels..pixels.checked_add(size)?));
    let Some(rows) = rows else {
        return Some(Err(damaged(Format::Bmp, format!("it is cut off after {} bytes", bytes.len()))));
    };
    let mut samples = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        let row = &rows[if top_down { row } else { height - 1 - row } * stride..][..stride];
        samples.extend((0..width).flat_map(|column| {
            let bit = column * bits;
            let index = usize::from(row[bit / 8] >> (8 - bits - bit % 8)) & ((1 << bits) - 1);
            let [b, g, r, _] = palette.get(index).copied().unwrap_or_default();
            [r, g, b]
        }));
    }
    Some(Ok(samples))
}
