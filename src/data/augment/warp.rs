//! Images whose pixels come from other places, by a projection.

use super::picture::Planes;
use super::wide;
use crate::error::{Error, Result};

/// What lies outside of an image `a b c d`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// One value.
    Constant(f32),
    /// `a a | a b c d | d d`
    Nearest,
    /// `c d | a b c d | a b`
    Wrap,
    /// `c b | a b c d | c b`
    Mirror,
    /// `b a | a b c d | d c`
    Reflect,
}

/// Where the plane of a projection is reached there is no pixel: this is far outside of all images.
const NOWHERE: f32 = -1_048_576.0;

impl Fill {
    /// The mode of this number, in the order of `cnnrs.ops.image.sampling.FILL_MODES`.
    ///
    /// # Errors
    /// There is none.
    pub fn new(mode: usize, value: f32) -> Result<Self> {
        let modes = [Fill::Constant(value), Fill::Nearest, Fill::Wrap, Fill::Mirror, Fill::Reflect];
        modes.get(mode).copied().ok_or_else(|| Error::value(format!("augment: there is no fill mode {mode}")))
    }

    /// The element that stands for one beyond the ends of an axis; `None` for the constant.
    #[inline]
    fn inside(self, index: i32, extent: i32) -> Option<usize> {
        if (0..extent).contains(&index) {
            return Some(index as usize);
        }
        let index = match self {
            Fill::Constant(_) => return None,
            Fill::Mirror if extent > 1 => {
                let around = index.rem_euclid(2 * extent - 2);
                if around >= extent { 2 * extent - 2 - around } else { around }
            }
            Fill::Reflect => {
                let around = index.rem_euclid(2 * extent);
                if around >= extent { 2 * extent - 1 - around } else { around }
            }
            Fill::Wrap => index.rem_euclid(extent),
            Fill::Mirror | Fill::Nearest => index.clamp(0, extent - 1),
        };
        Some(index as usize)
    }
}

/// The four pixels around a place, as (index, weight); `None` for the constant.
type Around = [(Option<usize>, f32); 4];

struct Reader {
    fill: Fill,
    height: i32,
    width: i32,
}

impl Reader {
    /// The pixel nearest to a place. Halves are rounded away from zero.
    #[inline]
    fn nearest(&self, row: f32, column: f32) -> Option<usize> {
        let rounded = |x: f32| if x < 0.0 { (x - 0.5).ceil() as i32 } else { (x + 0.5).floor() as i32 };
        let y = self.fill.inside(rounded(row), self.height)?;
        let x = self.fill.inside(rounded(column), self.width)?;
        Some(y * self.width as usize + x)
    }

    #[inline]
    fn around(&self, row: f32, column: f32) -> Around {
        let (top, left) = (row.floor(), column.floor());
        let (down, right) = (row - top, column - left);
        let (y, x) = (top as i32, left as i32);
        let width = self.width as usize;
        let shares = [(1.0 - down) * (1.0 - right), (1.0 - down) * right, down * (1.0 - right), down * right];
        if y >= 0 && y < self.height - 1 && x >= 0 && x < self.width - 1 {
            let at = y as usize * width + x as usize;
            let places = [at, at + 1, at + width, at + width + 1];
            return std::array::from_fn(|i| (Some(places[i]), shares[i]));
        }
        let rows = [self.fill.inside(y, self.height), self.fill.inside(y.saturating_add(1), self.height)];
        let columns = [self.fill.inside(x, self.width), self.fill.inside(x.saturating_add(1), self.width)];
        std::array::from_fn(|i| {
            let place = rows[i / 2].zip(columns[i % 2]).map(|(y, x)| y * width + x);
            (place, shares[i])
        })
    }
}

wide! {
    /// Where the pixels of row `y` come from: rows and columns of the image.
    fn project(projection: &[f32; 8], y: f32, rows: &mut [f32], columns: &mut [f32]) {
        let [a0, a1, a2, b0, b1, b2, c0, c1] = *projection;
        for (x, (row, column)) in rows.iter_mut().zip(columns).enumerate() {
            let x = x as f32;
            let depth = c0 * x + c1 * y + 1.0;
            let fine = depth != 0.0;
            let safe = if fine { depth } else { 1.0 };
            *column = if fine { (a0 * x + a1 * y + a2) / safe } else { NOWHERE };
            *row = if fine { (b0 * x + b1 * y + b2) / safe } else { NOWHERE };
        }
    }

    /// The upper left of the four pixels around each place, how far the place is from it, and -1 for the pixel where one
    /// of the four is outside.
    fn corners(extents: (i32, i32), rows: &mut [f32], columns: &mut [f32], at: &mut [i32]) {
        let (height, width) = extents;
        // Floats that the ends are, so that places far outside need no care.
        let (last_row, last_column) = ((height - 1) as f32, (width - 1) as f32);
        for ((row, column), at) in rows.iter_mut().zip(columns).zip(at) {
            let (top, left) = (row.floor(), column.floor());
            let inside = top >= 0.0 && top < last_row && left >= 0.0 && left < last_column;
            (*row, *column) = (*row - top, *column - left);
            *at = if inside { top as i32 * width + left as i32 } else { -1 };
        }
    }

    /// The pixel nearest to each place, -1 for one outside. Halves are rounded away from zero, which is outside below 0.
    fn nearests(extents: (i32, i32), rows: &[f32], columns: &[f32], at: &mut [i32]) {
        let (height, width) = extents;
        for ((row, column), at) in rows.iter().zip(columns).zip(at) {
            let (y, x) = ((row + 0.5).floor(), (column + 0.5).floor());
            let inside = *row > -0.5 && y < height as f32 && *column > -0.5 && x < width as f32;
            *at = if inside { y as i32 * width + x as i32 } else { -1 };
        }
    }
}

/// The image with the pixel of column x and row y read at `(a0 x + a1 y + a2) / k`, `(b0 x + b1 y + b2) / k` with
/// `k = c0 x + c1 y + 1`.
pub fn warp(planes: &Planes, projection: &[f32], nearest: bool, fill: Fill) -> Planes {
    let Some(Ok(projection)) = projection.get(..8).map(<&[f32; 8]>::try_from) else { return planes.clone() };
    let (height, width, pixels) = (planes.height, planes.width, planes.pixels());
    let extents = (height as i32, width as i32);
    let reader = Reader { fill, height: extents.0, width: extents.1 };
    let outside = if let Fill::Constant(value) = fill { value } else { 0.0 };
    let mut result = Planes::new(height, width, planes.channels);
    let (mut rows, mut columns, mut at) = (vec![0.0f32; width], vec![0.0f32; width], vec![0i32; width]);
    // Pixels at the border, which are read one by one.
    let mut border: Vec<(usize, Around)> = Vec::with_capacity(width);
    let read = if nearest { 1 } else { 4 };
    for y in 0..height {
        project(projection, y as f32, &mut rows, &mut columns);
        border.clear();
        let mut keep = |x: usize, row: f32, column: f32| {
            let around = if nearest {
                let mut one: Around = [(None, 0.0); 4];
                one[0] = (reader.nearest(row, column), 1.0);
                one
            } else {
                reader.around(row, column)
            };
            border.push((x, around));
        };
        if nearest {
            nearests(extents, &rows, &columns, &mut at);
            at.iter().enumerate().filter(|(_, at)| **at < 0).for_each(|(x, _)| keep(x, rows[x], columns[x]));
        } else {
            let places = (rows.clone(), columns.clone());
            corners(extents, &mut rows, &mut columns, &mut at);
            at.iter().enumerate().filter(|(_, at)| **at < 0).for_each(|(x, _)| keep(x, places.0[x], places.1[x]));
        }
        for (plane, to) in planes.data.chunks_exact(pixels).zip(result.data.chunks_exact_mut(pixels)) {
            let to = &mut to[y * width..][..width];
            if nearest {
                for (to, &at) in to.iter_mut().zip(&at) {
                    *to = plane[at.max(0) as usize];
                }
            } else if height > 1 && width > 1 {
                for (((to, &at), &down), &right) in to.iter_mut().zip(&at).zip(&rows).zip(&columns) {
                    let four = &plane[at.max(0) as usize..][..width + 2];
                    *to = (1.0 - down) * (1.0 - right) * four[0]
                        + (1.0 - down) * right * four[1]
                        + down * (1.0 - right) * four[width]
                        + down * right * four[width + 1];
                }
            }
            for (x, around) in &border {
                to[*x] =
                    around[..read].iter().map(|(place, share)| share * place.map_or(outside, |at| plane[at])).sum();
            }
        }
    }
    result
}
