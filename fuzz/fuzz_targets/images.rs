//! The decoders of images on any bytes: each gives an error, or an image of the size that its header told.

#![no_main]

use cnnrs::data::decode::{Mode, Options, decode, frames, info};
use cnnrs::data::read::Request;
use cnnrs::data::resize::{Fit, fixed::Filter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Small images find as much, and more of them are tried.
    let options = Options { max_pixels: 1 << 16, ..Options::default() };
    let facts = info(bytes);
    if let Ok(image) = decode(bytes, &options) {
        let facts = facts.expect("what is decoded has a header");
        assert_eq!((image.height, image.width), (facts.height, facts.width));
        let (pixels, channels) = (image.height * image.width, image.channels);
        assert_eq!(image.clone().into_words().len(), pixels * channels);
        assert_eq!(image.upright().in_mode(Mode::Rgba).into_bytes().len(), pixels * 4);
    }
    if let Ok(image) = decode(bytes, &Options { indices: true, ..options }) {
        let pixels = image.height * image.width;
        assert_eq!(image.channels, 1);
        assert_eq!(image.upright().in_mode(Mode::Indices).into_bytes().len(), pixels);
    }
    let (size, fit, filter) = (Some((9, 7)), Fit::Pad, Filter::Lanczos);
    let request = Request { mode: Mode::Rgb, upright: true, size, fit, filter, draft: true, options };
    if let Ok((pixels, shape)) = request.one::<u8>(bytes) {
        assert_eq!((pixels.len(), shape), (9 * 7 * 3, [9, 7, 3]));
    }
    if facts_are_small(bytes) {
        let _ = frames(bytes);
    }
});

fn facts_are_small(bytes: &[u8]) -> bool {
    info(bytes).is_ok_and(|facts| facts.width * facts.height <= 1 << 12) && bytes.len() < 1 << 12
}
