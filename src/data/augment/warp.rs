//! Images whose pixels come from other places, by a projection.

use super::picture::Planes;
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

/// The image with the pixel of column x and row y read at `(a0 x + a1 y + a2) / k`, `(b0 x + b1 y + b2) / k` with
/// `k = c0 x + c1 y + 1`.
pub fn warp(planes: &Planes, projection: &[f32], nearest: bool, fill: Fill) -> Planes {
    let &[a0, a1, a2, b0, b1, b2, c0, c1, ..] = projection else { return planes.clone() };
    let (height, width, pixels) = (planes.height, planes.width, planes.pixels());
    let reader = Reader { fill, height: height as i32, width: width as i32 };
    let outside = if let Fill::Constant(value) = fill { value } else { 0.0 };
    let mut result = Planes::new(height, width, planes.channels);
    let mut around: Vec<Around> = Vec::with_capacity(width);
    for y in 0..height {
        around.clear();
        let fy = y as f32;
        around.extend((0..width).map(|x| {
            let fx = x as f32;
            let depth = c0 * fx + c1 * fy + 1.0;
            let (column, row) = if depth == 0.0 {
                (NOWHERE, NOWHERE)
            } else {
                ((a0 * fx + a1 * fy + a2) / depth, (b0 * fx + b1 * fy + b2) / depth)
            };
            if nearest {
                let mut all = [(None, 0.0); 4];
                all[0] = (reader.nearest(row, column), 1.0);
                all
            } else {
                reader.around(row, column)
            }
        }));
        let read = if nearest { 1 } else { 4 };
        for (plane, to) in planes.data.chunks_exact(pixels).zip(result.data.chunks_exact_mut(pixels)) {
            for (to, around) in to[y * width..][..width].iter_mut().zip(&around) {
                let mut total = 0.0;
                for &(place, share) in &around[..read] {
                    total += share * place.map_or(outside, |place| plane[place]);
                }
                *to = total;
            }
        }
    }
    result
}
