//! GIF by the crate `gif`: the first frame, or all of them as they are seen.

use super::{Format, Image, Info, MAX_PIXELS, Options, Samples, damaged, guarded, known, zeros};
use crate::error::{Error, Result};
use gif::{ColorOutput, DecodeOptions, Decoder, DisposalMethod, Frame};

fn header(bytes: &[u8]) -> Result<Decoder<&[u8]>> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.check_frame_consistency(false);
    options.read_info(bytes).map_err(|error| damaged(Format::Gif, error))
}

fn facts(decoder: &Decoder<&[u8]>) -> Info {
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    Info { format: Format::Gif, width, height, channels: 3, bits: 8, orientation: 1 }
}

pub fn info(bytes: &[u8]) -> Result<Info> {
    Ok(facts(&header(bytes)?))
}

/// The next frame, and the colours of its palette.
fn next(decoder: &mut Decoder<&[u8]>) -> Result<Option<(Frame<'static>, Vec<u8>)>> {
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let Some(frame) = decoder.read_next_frame().map_err(|error| damaged(Format::Gif, error))? else { return Ok(None) };
    let frame = frame.clone();
    let palette = frame.palette.clone().or(global).ok_or_else(|| damaged(Format::Gif, "it has no palette"))?;
    Ok(Some((frame, palette)))
}

/// The colour of an index, without alpha.
fn opaque(palette: &[u8]) -> impl Fn(u8) -> [u8; 4] {
    |index| {
        let [r, g, b] = colour(palette, index);
        [r, g, b, 255]
    }
}

/// The colour of an index; those beyond the palette are black.
fn colour(palette: &[u8], index: u8) -> [u8; 3] {
    palette.as_chunks::<3>().0.get(usize::from(index)).copied().unwrap_or_default()
}

/// Draws a frame on a canvas, without its transparent pixels; `pixel` is what an index becomes.
fn draw<T>(canvas: &mut [T], (width, height): (usize, usize), frame: &Frame<'_>, pixel: impl Fn(u8) -> T) {
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let columns = usize::from(frame.width).max(1);
    for (row, indices) in frame.buffer.chunks(columns).enumerate().take(height.saturating_sub(top)) {
        for (column, &index) in indices.iter().enumerate().take(width.saturating_sub(left)) {
            if frame.transparent != Some(index) {
                canvas[(top + row) * width + left + column] = pixel(index);
            }
        }
    }
}

pub fn decode(bytes: &[u8], options: &Options) -> Result<Image> {
    let mut decoder = header(bytes)?;
    let info = facts(&decoder);
    options.check(Format::Gif, info.width, info.height)?;
    let (frame, palette) = next(&mut decoder)?.ok_or_else(|| damaged(Format::Gif, "it has no image"))?;
    let size = (info.width, info.height);
    if options.indices {
        let mut canvas = zeros::<u8>(info.width * info.height)?;
        canvas.fill(frame.transparent.unwrap_or(0));
        draw(&mut canvas, size, &frame, |index| index);
        return Ok(Image {
            width: size.0,
            height: size.1,
            channels: 1,
            samples: Samples::Bytes(canvas),
            orientation: 1,
        });
    }
    // What the frame leaves free shows the transparent colour, without alpha the colour of its index.
    let empty = colour(&palette, frame.transparent.unwrap_or(0));
    let empty = [empty[0], empty[1], empty[2], if frame.transparent.is_some() { 0 } else { 255 }];
    let mut canvas = zeros::<[u8; 4]>(info.width * info.height)?;
    canvas.fill(empty);
    draw(&mut canvas, size, &frame, opaque(&palette));
    let channels = if frame.transparent.is_some() { 4 } else { 3 };
    let samples = canvas.iter().flat_map(|pixel| &pixel[..channels]).copied().collect();
    Ok(Image { width: info.width, height: info.height, channels, samples: Samples::Bytes(samples), orientation: 1 })
}

/// All frames of a GIF as they are seen, in colours, with their height and width.
///
/// # Errors
///
/// `Value` if the file is no GIF, is damaged, or has more pixels in all than [`MAX_PIXELS`].
pub fn frames(bytes: &[u8]) -> Result<(Vec<u8>, [usize; 3])> {
    let format = known(bytes)?;
    if format != Format::Gif {
        return Err(Error::value(format!("expected a GIF, received a {}", format.name())));
    }
    guarded(format, || {
        let mut decoder = header(bytes)?;
        let Info { width, height, .. } = facts(&decoder);
        let options = Options { max_pixels: MAX_PIXELS, ..Options::default() };
        let (mut seen, mut count) = (Vec::new(), 0);
        let mut canvas: Vec<[u8; 4]> = Vec::new();
        while let Some((frame, palette)) = next(&mut decoder)? {
            count += 1;
            options.check(format, width, height * count)?;
            if canvas.is_empty() {
                canvas = zeros(width * height)?;
                let [r, g, b] = colour(&palette, frame.transparent.unwrap_or(0));
                canvas.fill([r, g, b, 255]);
            }
            let before = (frame.dispose == DisposalMethod::Previous).then(|| canvas.clone());
            draw(&mut canvas, (width, height), &frame, opaque(&palette));
            seen.extend(canvas.iter().flat_map(|pixel| &pixel[..3]));
            match (frame.dispose, before) {
                (DisposalMethod::Previous, Some(before)) => canvas = before,
                (DisposalMethod::Background, _) => {
                    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
                    for row in top..(top + usize::from(frame.height)).min(height) {
                        let right = (left + usize::from(frame.width)).min(width);
                        canvas[row * width + left.min(right)..row * width + right].fill([0, 0, 0, 255]);
                    }
                }
                _ => {}
            }
        }
        if count == 0 {
            return Err(damaged(format, "it has no image"));
        }
        Ok((seen, [count, height, width]))
    })
}
