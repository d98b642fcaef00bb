//! Results: rows of planes, or of a view, written where they belong.

use super::chain::Layout;
use super::picture::{Elements, Picture, Planes, View, join_colors};
use super::rows::{self, RowChange};

/// An element type of results.
pub trait Written: Copy {
    fn of_byte(x: u8) -> Self;
    fn of_float(x: f32) -> Self;

    /// Three rows, side by side.
    fn join(red: &[f32], green: &[f32], blue: &[f32], to: &mut [Self]) {
        for (((to, &r), &g), &b) in to.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
            (to[0], to[1], to[2]) = (Self::of_float(r), Self::of_float(g), Self::of_float(b));
        }
    }
}

impl Written for u8 {
    fn of_byte(x: u8) -> u8 {
        x
    }

    fn of_float(x: f32) -> u8 {
        x as u8
    }
}

impl Written for f32 {
    fn of_byte(x: u8) -> f32 {
        f32::from(x)
    }

    fn of_float(x: f32) -> f32 {
        x
    }

    fn join(red: &[f32], green: &[f32], blue: &[f32], to: &mut [f32]) {
        join_colors(red, green, blue, to);
    }
}

/// Writes a picture where it belongs, with the last changes of its rows.
pub fn store<T: Written>(picture: Picture<'_>, changes: &[RowChange], layout: Layout, to: &mut [T]) {
    match picture {
        Picture::View(view) if changes.is_empty() && !view.across => store_view(&view, layout, to),
        Picture::View(view) => {
            let mut row = Planes::new(1, layout.width, layout.channels);
            for y in 0..layout.height {
                view.read_row(y, &mut row);
                rows::apply(changes, &mut row);
                store_row(&row, 0, y, layout, to);
            }
        }
        Picture::Planes(mut planes) => {
            for y in 0..layout.height {
                rows::apply_to(changes, &mut planes, y);
                store_row(&planes, y, y, layout, to);
            }
        }
    }
}

/// Writes row `y` of planes as row `to_y` of an image.
fn store_row<T: Written>(planes: &Planes, y: usize, to_y: usize, layout: Layout, to: &mut [T]) {
    let (columns, channels) = (layout.width, layout.channels);
    let row = |c: usize| &planes.data[(c * planes.height + y) * columns..][..columns];
    if layout.channels_first {
        for c in 0..channels {
            let to = &mut to[(c * layout.height + to_y) * columns..][..columns];
            to.iter_mut().zip(row(c)).for_each(|(t, &x)| *t = T::of_float(x));
        }
        return;
    }
    let to = &mut to[to_y * columns * channels..][..columns * channels];
    if channels == 3 {
        return T::join(row(0), row(1), row(2), to);
    }
    for c in 0..channels {
        to.iter_mut().skip(c).step_by(channels).zip(row(c)).for_each(|(t, &x)| *t = T::of_float(x));
    }
}

/// Writes a view that nothing changes, and that is not mirrored across.
fn store_view<T: Written>(view: &View<'_>, layout: Layout, to: &mut [T]) {
    let (columns, channels) = (layout.width, layout.channels);
    // Rows of pixels whose channels lie side by side, or rows of each channel.
    let (bands, depth) = if layout.channels_first { (channels, 1) } else { (1, channels) };
    for band in 0..bands {
        for y in 0..layout.height {
            let start = view.row(y) + band * view.strides.2;
            let row = &mut to[(band * layout.height + y) * columns * depth..][..columns * depth];
            match view.elements {
                Elements::Bytes(all) => row.iter_mut().zip(&all[start..]).for_each(|(t, &x)| *t = T::of_byte(x)),
                Elements::Floats(all) => row.iter_mut().zip(&all[start..]).for_each(|(t, &x)| *t = T::of_float(x)),
            }
        }
    }
}
