//! 2-D convolution and its two gradients, each a primitive: activations NHWC, filters HWIO.
//!
//! `y[n, p, q, k] = Σ_{i, j, c} x[n, p·s + i·d − pad, q·s + j·d − pad, c] · w[i, j, c, k]`
//! (cross-correlation, as in Keras), zero outside the image; with `groups` each group of output
//! channels sees its own group of input channels.

mod grad;
mod reference;
mod transpose;

pub use transpose::Conv2dTranspose;

use super::window::{Padding, Placement, Window};
use super::{Attributes, FromAttributes, expect_float, expect_inputs, expect_like};
use crate::error::{Error, Result};
use crate::shape::Fact;

/// Attributes that a convolution shares with its gradients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Step between windows.
    pub strides: [usize; 2],
    /// Step between elements of a window.
    pub dilation: [usize; 2],
    /// Extension of the image.
    pub padding: Padding,
    /// Groups of channels.
    pub groups: usize,
}

/// Gradient of a convolution by its input, from (output gradient, filters); also the transposed
/// convolution.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dInputGrad {
    /// The convolution.
    pub conv: Conv2d,
    /// Height and width of the convolution's input.
    pub size: [usize; 2],
}

/// Gradient of a convolution by its filters, from (input, output gradient).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dFilterGrad {
    /// The convolution.
    pub conv: Conv2d,
    /// Height and width of the filters.
    pub kernel_size: [usize; 2],
}

impl Conv2d {
    fn window(&self, kernel_size: [usize; 2]) -> Window {
        Window {
            size: kernel_size,
            strides: self.strides,
            dilation: self.dilation,
            padding: self.padding,
            ceil_mode: false,
        }
    }

    /// Where the windows lie on images of shape `x` for filters of shape `w`.
    ///
    /// # Errors
    /// When channels, groups or extents do not fit.
    pub fn place(&self, x: &[usize], w: &[usize]) -> Result<Placement> {
        if x.len() != 4 {
            return Err(Error::value(format!("x: expected shape (batch, height, width, channels), received {x:?}")));
        }
        if w.len() != 4 {
            return Err(Error::value(format!("filters: expected shape (height, width, in, out), received {w:?}")));
        }
        if w[2].checked_mul(self.groups) != Some(x[3]) || !w[3].is_multiple_of(self.groups) {
            return Err(Error::value(format!(
                "filters: expected (height, width, {}/{g}, a multiple of {g}) for {} input channels in {g} groups, \
                 received {w:?}",
                x[3],
                x[3],
                g = self.groups
            )));
        }
        self.window([w[0], w[1]]).place(x)
    }

    fn flops(&self, y: &[usize], w: &[usize]) -> u64 {
        let factors = y.iter().chain(&w[..3]);
        factors.fold(2, |product: u64, &n| product.saturating_mul(n as u64))
    }
}

fn floats(op: &str, inputs: &[Fact]) -> Result<()> {
    expect_inputs(op, inputs, 2)?;
    expect_float("x", &inputs[0])?;
    expect_float("filters", &inputs[1])?;
    expect_like("filters", &inputs[1], &inputs[0])
}

fn infer_conv(op: &Conv2d, inputs: &[Fact]) -> Result<Fact> {
    floats("conv2d", inputs)?;
    let (x, w) = (&inputs[0].shape, &inputs[1].shape);
    let p = op.place(x, w)?;
    Fact::checked([x[0], p.out[0], p.out[1], w[3]], inputs[0].dtype)
}

fn infer_input_grad(op: &Conv2dInputGrad, inputs: &[Fact]) -> Result<Fact> {
    floats("conv2d_input_grad", inputs)?;
    let (dy, w) = (&inputs[0].shape, &inputs[1].shape);
    if dy.rank() != 4 || w.rank() != 4 {
        return Err(Error::value(format!("expected two shapes of 4 axes, received {dy} and {w}")));
    }
    let channels = w[2].checked_mul(op.conv.groups);
    let channels = channels.ok_or_else(|| Error::memory(format!("{} groups of {} channels", op.conv.groups, w[2])))?;
    let x = [dy[0], op.size[0], op.size[1], channels];
    let p = op.conv.place(&x, w)?;
    if [p.out[0], p.out[1], w[3]] != dy[1..] {
        return Err(Error::value(format!(
            "dy: expected ({}, {}, {}, {}), received {dy}",
            x[0], p.out[0], p.out[1], w[3]
        )));
    }
    Fact::checked(x, inputs[0].dtype)
}

fn infer_filter_grad(op: &Conv2dFilterGrad, inputs: &[Fact]) -> Result<Fact> {
    floats("conv2d_filter_grad", inputs)?;
    let (x, dy) = (&inputs[0].shape, &inputs[1].shape);
    if x.rank() != 4 || dy.rank() != 4 {
        return Err(Error::value(format!("expected two shapes of 4 axes, received {x} and {dy}")));
    }
    let w = [op.kernel_size[0], op.kernel_size[1], x[3] / op.conv.groups, dy[3]];
    let p = op.conv.place(x, &w)?;
    if [x[0], p.out[0], p.out[1]] != dy[..3] {
        return Err(Error::value(format!(
            "dy: expected ({}, {}, {}, {}), received {dy}",
            x[0], p.out[0], p.out[1], w[3]
        )));
    }
    Fact::checked(w, inputs[0].dtype)
}

impl FromAttributes for Conv2d {
    fn names() -> Vec<&'static str> {
        vec!["conv2d"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        Ok(Conv2d {
            strides: a.sizes_or("strides", [1, 1])?,
            dilation: a.sizes_or("dilation", [1, 1])?,
            padding: Padding::take(a)?,
            groups: a.sizes_or("groups", [1])?[0],
        })
    }
}

impl FromAttributes for Conv2dInputGrad {
    fn names() -> Vec<&'static str> {
        vec!["conv2d_input_grad"]
    }

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        let size = a.sizes_or("size", [0, 0])?;
        Ok(Conv2dInputGrad { conv: Conv2d::from_attributes(name, a)?, size })
    }
}

impl FromAttributes for Conv2dFilterGrad {
    fn names() -> Vec<&'static str> {
        vec!["conv2d_filter_grad"]
    }

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        let kernel_size = a.sizes_or("kernel_size", [1, 1])?;
        Ok(Conv2dFilterGrad { conv: Conv2d::from_attributes(name, a)?, kernel_size })
    }
}
