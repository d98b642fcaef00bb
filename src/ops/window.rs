//! THE output-size formula of convolutions and poolings, and the one parser of `padding`.

use super::{Attribute, Attributes};
use crate::error::{Error, Result};
use crate::shape::Shape;

/// The greatest size, stride, dilation and padding of a window, along each axis. Sums and products of two of them,
/// and offsets of elements of a window, then fit `isize`, in which kernels compute.
pub const MAX_EXTENT: usize = i32::MAX as usize;

/// How an image is extended before windows slide over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Not at all: windows lie inside the image.
    Valid,
    /// So that there are ⌈extent / stride⌉ windows; an odd extra row or column goes to the bottom
    /// and right.
    Same,
    /// By (before, after) along height and width.
    Explicit([(usize, usize); 2]),
}

impl Padding {
    /// Parses `padding`: "valid" (the default), "same", or ((top, bottom), (left, right)).
    pub fn take(a: &mut Attributes) -> Result<Self> {
        let wrong = |received: &Attribute| {
            Error::value(format!(
                "padding: expected \"valid\", \"same\" or ((top, bottom), (left, right)), received {received:?}"
            ))
        };
        let value = a.take("padding");
        match &value {
            Attribute::None => Ok(Padding::Valid),
            Attribute::Text(t) => match t.as_str() {
                "valid" => Ok(Padding::Valid),
                "same" => Ok(Padding::Same),
                _ => Err(wrong(&value)),
            },
            Attribute::List(axes) if axes.len() == 2 => {
                let mut pads = [(0, 0); 2];
                for (pad, axis) in pads.iter_mut().zip(axes) {
                    let Attribute::List(ends) = axis else { return Err(wrong(&value)) };
                    let [Attribute::Int(before), Attribute::Int(after)] = ends.as_slice() else {
                        return Err(wrong(&value));
                    };
                    *pad = (
                        usize::try_from(*before).map_err(|_| wrong(&value))?,
                        usize::try_from(*after).map_err(|_| wrong(&value))?,
                    );
                }
                Ok(Padding::Explicit(pads))
            }
            other => Err(wrong(other)),
        }
    }
}

impl std::fmt::Display for Padding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Padding::Valid => f.write_str("padding \"valid\""),
            Padding::Same => f.write_str("padding \"same\""),
            Padding::Explicit([rows, cols]) => write!(f, "padding ({rows:?}, {cols:?})"),
        }
    }
}

/// A window that slides over height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Rows and columns of the window.
    pub size: [usize; 2],
    /// Step between windows.
    pub strides: [usize; 2],
    /// Step between elements of a window.
    pub dilation: [usize; 2],
    /// Extension of the image.
    pub padding: Padding,
    /// Whether windows that begin inside the image but end outside count.
    pub ceil_mode: bool,
}

/// Where windows lie: number of windows and padding before the image, along height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Placement {
    /// Windows along height and width.
    pub out: [usize; 2],
    /// Padding at the top and left.
    pub before: [usize; 2],
}

impl Window {
    /// Places the window on an image of shape (batch, height, width, channels).
    ///
    /// # Errors
    /// When the window does not fit the padded image, or sizes overflow.
    pub fn place(&self, image: &[usize]) -> Result<Placement> {
        self.check()?;
        let mut placement = Placement { out: [0; 2], before: [0; 2] };
        for axis in 0..2 {
            let (out, before) = self.place_axis(axis, image[axis + 1]).ok_or_else(|| {
                Error::value(format!(
                    "kernel_size {:?} does not fit input {} with {}{}",
                    (self.size[0], self.size[1]),
                    Shape::from(&image[1..]),
                    self.padding,
                    if self.dilation == [1, 1] { String::new() } else { format!(" and dilation {:?}", self.dilation) }
                ))
            })?;
            placement.out[axis] = out;
            placement.before[axis] = before;
        }
        Ok(placement)
    }

    /// # Errors
    /// When a number exceeds [`MAX_EXTENT`], or is 0 where that has no meaning.
    fn check(&self) -> Result<()> {
        let numbers = [("kernel_size", self.size), ("strides", self.strides), ("dilation", self.dilation)];
        for (name, values) in numbers {
            if values.iter().any(|v| !(1..=MAX_EXTENT).contains(v)) {
                let values = (values[0], values[1]);
                return Err(Error::value(format!("{name}: expected 1 to {MAX_EXTENT}, received {values:?}")));
            }
        }
        match self.padding {
            Padding::Explicit(pads) if pads.iter().any(|&(before, after)| before.max(after) > MAX_EXTENT) => {
                Err(Error::value(format!("padding: expected at most {MAX_EXTENT}, received {pads:?}")))
            }
            _ => Ok(()),
        }
    }

    fn place_axis(&self, axis: usize, extent: usize) -> Option<(usize, usize)> {
        let stride = self.strides[axis];
        // Extent of the dilated window: (size − 1) · dilation + 1.
        let span = self.size[axis].checked_sub(1)?.checked_mul(self.dilation[axis])?.checked_add(1)?;
        let (before, after) = match self.padding {
            Padding::Valid => (0, 0),
            Padding::Same => {
                if extent == 0 {
                    return None;
                }
                let out = extent.div_ceil(stride);
                let total = (out - 1).checked_mul(stride)?.checked_add(span)?.saturating_sub(extent);
                return Some((out, total / 2));
            }
            Padding::Explicit(pads) => pads[axis],
        };
        let padded = extent.checked_add(before)?.checked_add(after)?;
        let room = padded.checked_sub(span)?;
        let mut out = room / stride + 1;
        if self.ceil_mode && room % stride != 0 && out.checked_mul(stride)? < extent.checked_add(before)? {
            out += 1;
        }
        Some((out, before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(size: usize, stride: usize, dilation: usize, padding: Padding, ceil_mode: bool) -> Window {
        Window { size: [size; 2], strides: [stride; 2], dilation: [dilation; 2], padding, ceil_mode }
    }

    #[test]
    fn sizes_follow_the_formula() {
        let place = |w: Window, n: usize| w.place(&[1, n, n, 3]).map(|p| (p.out[0], p.before[0])).unwrap();
        assert_eq!(place(window(5, 1, 1, Padding::Valid, false), 28), (24, 0));
        assert_eq!(place(window(5, 1, 1, Padding::Same, false), 28), (28, 2));
        assert_eq!(place(window(3, 2, 1, Padding::Same, false), 224), (112, 0));
        assert_eq!(place(window(2, 2, 1, Padding::Same, false), 7), (4, 0));
        assert_eq!(place(window(3, 1, 2, Padding::Valid, false), 7), (3, 0));
        assert_eq!(place(window(3, 2, 1, Padding::Explicit([(1, 1); 2]), false), 224), (112, 1));
        assert_eq!(place(window(3, 2, 1, Padding::Valid, true), 6), (3, 0));
        assert_eq!(place(window(2, 2, 1, Padding::Explicit([(1, 1); 2]), true), 5), (3, 1));
    }

    #[test]
    fn windows_that_do_not_fit_are_errors_that_say_why() {
        let e = window(5, 1, 1, Padding::Valid, false).place(&[1, 2, 2, 64]).unwrap_err().to_string();
        assert_eq!(e, "kernel_size (5, 5) does not fit input (2, 2, 64) with padding \"valid\"");
        assert!(window(usize::MAX, 1, 2, Padding::Valid, false).place(&[1, 8, 8, 1]).is_err());
    }
}
