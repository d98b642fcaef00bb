//! Images of another size, by the filters of Pillow and by those of Keras.
//!
//! Both are separable: each output pixel is a weighted sum of a few input pixels of its row, then of its column (or the
//! other way round). [`fixed`] computes in integers as Pillow does, so that the results are the same bits; [`float`] in
//! f32, where the kernels keep their size when an image becomes smaller, as in `ops.image.resize`.

mod across;
pub mod fixed;
pub mod float;

/// Where the image lies in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Both sides are scaled to the output's, whatever their proportions.
    Stretch,
    /// The middle of the image with the output's proportions is scaled; the rest is cut off.
    Crop,
    /// The whole image is scaled as far as it fits, in the middle of zeros.
    Pad,
    /// Zeros are added around the image until it has the output's proportions; then it is scaled.
    PadFirst,
}

/// A part of the source, and a part of the output that it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The first row and column of the source, and how many.
    pub source: [usize; 4],
    /// The first row and column of the output, and how many.
    pub target: [usize; 4],
}

impl Placement {
    /// How an image of `own` height and width comes to the height and width of `size`.
    ///
    /// [`Fit::PadFirst`] wants an image that has its zeros already.
    pub fn new(own: (usize, usize), size: (usize, usize), fit: Fit) -> Placement {
        let ((height, width), (rows, columns)) = (own, size);
        let whole = [0, 0, rows, columns];
        match fit {
            Fit::Stretch | Fit::PadFirst => Placement { source: [0, 0, height, width], target: whole },
            Fit::Crop => {
                let (ideal_height, ideal_width) = proportions(own, size);
                let (inner_height, inner_width) = (height.min(ideal_height).max(1), width.min(ideal_width).max(1));
                let (top, left) = ((height - inner_height) / 2, (width - inner_width) / 2);
                Placement { source: [top, left, inner_height, inner_width], target: whole }
            }
            Fit::Pad => {
                let ratio = (height as f64 / rows as f64).max(width as f64 / columns as f64);
                let (side_y, side_x) = (height as f64 / ratio, width as f64 / ratio);
                let (inner_y, inner_x) = ((side_y as usize).clamp(1, rows), (side_x as usize).clamp(1, columns));
                let (top, left) = ((rows as f64 - side_y) / 2.0, (columns as f64 - side_x) / 2.0);
                // Rounding never puts the last row or column beyond the output's.
                let (top, left) = ((top as usize).min(rows - inner_y), (left as usize).min(columns - inner_x));
                Placement { source: [0, 0, height, width], target: [top, left, inner_y, inner_x] }
            }
        }
    }
}

/// The height that goes with the width of `own` in the proportions of `size`, and the width that goes with its height.
fn proportions(own: (usize, usize), size: (usize, usize)) -> (usize, usize) {
    let ((height, width), (rows, columns)) = (own, size);
    ((width as f64 * rows as f64 / columns as f64) as usize, (height as f64 * columns as f64 / rows as f64) as usize)
}

/// The rows and columns of zeros before and after an image that [`Fit::PadFirst`] asks for.
pub fn margins(own: (usize, usize), size: (usize, usize)) -> (usize, usize) {
    let (ideal_height, ideal_width) = proportions(own, size);
    ((own.0.max(ideal_height) - own.0) / 2, (own.1.max(ideal_width) - own.1) / 2)
}

/// The pixels that each output pixel of an axis reads.
struct Taps<T> {
    /// The first one of each, and how many.
    spans: Vec<(u32, u32)>,
    /// Their weights, `most` for each output pixel.
    weights: Vec<T>,
    most: usize,
}

impl<T: Copy> Taps<T> {
    fn of(&self, output: usize) -> (usize, &[T]) {
        let (start, count) = self.spans[output];
        (start as usize, &self.weights[output * self.most..][..count as usize])
    }
}

/// An image in memory: rows of pixels of `channels` samples.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub samples: &'a [u8],
    pub width: usize,
    pub channels: usize,
}

impl<'a> View<'a> {
    /// `count` pixels of a row from a column on.
    fn row(&self, row: usize, column: usize, count: usize) -> &'a [u8] {
        let stride = self.width * self.channels;
        &self.samples[row * stride + column * self.channels..][..count * self.channels]
    }
}

/// Runs a kernel compiled for AVX2 where the processor has it. The kernel is safe code: what differs is the instructions
/// that the compiler may choose. Processors of other families have their vectors in the baseline.
macro_rules! widest {
    ($name:ident, $avx2:ident, $body:ident, ($($argument:ident: $type:ty),*)) => {
        fn $name($($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn $avx2($($argument: $type),*) {
                    $body($($argument),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2.
                    return unsafe { $avx2($($argument),*) };
                }
            }
            $body($($argument),*)
        }
    };
}
use widest;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_kept_or_the_whole() {
        let wide = (100, 200);
        let crop = Placement::new(wide, (50, 50), Fit::Crop);
        assert_eq!(crop, Placement { source: [0, 50, 100, 100], target: [0, 0, 50, 50] });
        let pad = Placement::new(wide, (50, 50), Fit::Pad);
        assert_eq!(pad, Placement { source: [0, 0, 100, 200], target: [12, 0, 25, 50] });
        assert_eq!(margins(wide, (50, 50)), (50, 0));
    }

    #[test]
    fn extreme_proportions_keep_a_pixel() {
        for fit in [Fit::Stretch, Fit::Crop, Fit::Pad, Fit::PadFirst] {
            for own in [(1, 10_000), (10_000, 1), (1, 1), (7, 3)] {
                for size in [(1, 1), (1, 500), (500, 1), (224, 224)] {
                    let Placement { source: [y, x, h, w], target: [top, left, rows, columns] } =
                        Placement::new(own, size, fit);
                    assert!(h > 0 && w > 0 && y + h <= own.0 && x + w <= own.1, "{own:?} {size:?} {fit:?}");
                    assert!(rows > 0 && columns > 0 && top + rows <= size.0 && left + columns <= size.1);
                }
            }
        }
    }
}
