//! The arithmetic of colours on rows of floats. Formulas and their order are those of the layers in Python.

use super::wide;

/// Values of `range` as those of 0..255.
#[inline(always)]
fn to_bytes(x: f32, (low, high): (f32, f32)) -> f32 {
    if (low, high) == (0.0, 255.0) { x } else { (x - low) * (255.0 / (high - low)) }
}

/// Values of 0..255 as those of `range`.
#[inline(always)]
fn from_bytes(x: f32, (low, high): (f32, f32)) -> f32 {
    if (low, high) == (0.0, 255.0) { x } else { x * ((high - low) / 255.0) + low }
}

/// `x` within limits; NaN stays.
#[inline(always)]
fn limited(x: f32, (low, high): (f32, f32)) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// The weights of ITU-R BT.601, as `rgb_to_grayscale` has them.
#[inline(always)]
pub fn luma(r: f32, g: f32, b: f32) -> f32 {
    r * 0.2989 + g * 0.587 + b * 0.114
}

/// Hue, saturation and value (Smith 1978).
#[inline(always)]
fn hsv(r: f32, g: f32, b: f32) -> (f32, f32, f32) {
    let value = if r > g { r } else { g };
    let value = if value > b { value } else { b };
    let least = if r < g { r } else { g };
    let least = if least < b { least } else { b };
    let extent = value - least;
    let (colored, bright) = (extent > 0.0, value > 0.0);
    let saturation = extent / if bright { value } else { 1.0 };
    let saturation = if bright { saturation } else { 0.0 };
    let unit = 1.0 / (6.0 * if colored { extent } else { 1.0 });
    let of_green = unit * (b - r) + 2.0 / 6.0;
    let of_blue = unit * (r - g) + 4.0 / 6.0;
    let other = if g == value { of_green } else { of_blue };
    let hue = if r == value { unit * (g - b) } else { other };
    let hue = if hue < 0.0 { hue + 1.0 } else { hue };
    (if colored { hue } else { 0.0 }, saturation, value)
}

#[inline(always)]
fn rgb(hue: f32, saturation: f32, value: f32) -> (f32, f32, f32) {
    let sixths = hue * 6.0;
    let part = |d: f32| ((1.0 - saturation) + saturation * limited(d, (0.0, 1.0))) * value;
    (part((sixths - 3.0).abs() - 1.0), part(2.0 - (sixths - 2.0).abs()), part(2.0 - (sixths - 4.0).abs()))
}

/// Each pixel of three rows.
#[inline(always)]
fn pixels(red: &mut [f32], green: &mut [f32], blue: &mut [f32], change: impl Fn(f32, f32, f32) -> (f32, f32, f32)) {
    let count = red.len();
    let (green, blue) = (&mut green[..count], &mut blue[..count]);
    for i in 0..count {
        (red[i], green[i], blue[i]) = change(red[i], green[i], blue[i]);
    }
}

wide! {
    pub fn scale(row: &mut [f32], scale: f32, offset: f32) {
        row.iter_mut().for_each(|x| *x = *x * scale + offset);
    }

    pub fn standardize(row: &mut [f32], mean: f32, deviation: f32) {
        row.iter_mut().for_each(|x| *x = (*x - mean) / deviation);
    }

    pub fn add(row: &mut [f32], offset: f32, range: (f32, f32)) {
        row.iter_mut().for_each(|x| *x = limited(*x + offset, range));
    }

    pub fn contrast(row: &mut [f32], mean: f32, factor: f32, range: (f32, f32)) {
        row.iter_mut().for_each(|x| *x = limited((*x - mean) * factor + mean, range));
    }

    pub fn clip(row: &mut [f32], range: (f32, f32)) {
        row.iter_mut().for_each(|x| *x = limited(*x, range));
    }

    pub fn round(row: &mut [f32]) {
        row.iter_mut().for_each(|x| *x = limited(x.round_ties_even(), (0.0, 255.0)));
    }

    pub fn posterize(row: &mut [f32], step: f32, range: (f32, f32)) {
        row.iter_mut().for_each(|x| {
            let level = to_bytes(*x, range).trunc();
            *x = from_bytes((level / step).floor() * step, range);
        });
    }

    pub fn solarize(row: &mut [f32], addition: f32, threshold: f32, range: (f32, f32)) {
        row.iter_mut().for_each(|x| {
            let y = limited(to_bytes(*x, range) + addition, (0.0, 255.0));
            *x = from_bytes(if y < threshold { y } else { 255.0 - y }, range);
        });
    }

    pub fn degenerate(red: &mut [f32], green: &mut [f32], blue: &mut [f32], share: f32, range: (f32, f32)) {
        pixels(red, green, blue, |r, g, b| {
            let gray = luma(r, g, b);
            let mixed = |x: f32| limited(x + share * (gray - x), range);
            (mixed(r), mixed(g), mixed(b))
        });
    }

    pub fn gray(red: &mut [f32], green: &mut [f32], blue: &mut [f32]) {
        pixels(red, green, blue, |r, g, b| {
            let gray = luma(r, g, b);
            (gray, gray, gray)
        });
    }

    pub fn saturation(red: &mut [f32], green: &mut [f32], blue: &mut [f32], factor: f32, range: (f32, f32)) {
        pixels(red, green, blue, |r, g, b| {
            let (h, s, v) = hsv(r, g, b);
            rgb(h, limited(s * factor, range), v)
        });
    }

    pub fn hue(red: &mut [f32], green: &mut [f32], blue: &mut [f32], turn: f32, range: (f32, f32)) {
        let scale = 1.0 / (range.1 - range.0);
        let extent = range.1 - range.0;
        pixels(red, green, blue, |r, g, b| {
            let unit = |x: f32| (x - range.0) * scale;
            let (h, s, v) = hsv(unit(r), unit(g), unit(b));
            let h = h + turn;
            let h = if h > 1.0 { h - 1.0 } else { h };
            let h = if h < 0.0 { h + 1.0 } else { h };
            let (r, g, b) = rgb(h, s, v);
            let back = |x: f32| limited(x, (0.0, 1.0)) * extent + range.0;
            (back(r), back(g), back(b))
        });
    }
}
