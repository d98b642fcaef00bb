//! Transposed convolution: the gradient of a convolution by its input, with a rule for the size
//! of that input. Filters are (height, width, out, in), as in Keras.

use super::{Conv2d, Conv2dInputGrad, floats};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::window::Padding;
use crate::ops::{Attributes, FromAttributes, Kind, OpDef, RefArray};
use crate::shape::{Fact, Shape};

/// Convolution whose input gradient is meant, and how much larger than the least size the result is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dTranspose {
    /// The convolution that maps the result's shape to the input's.
    pub conv: Conv2d,
    /// Rows and columns beyond the least size at the bottom and right, less than the strides;
    /// without it "same" gives `extent · stride`, "valid" `extent · stride + max(span − stride, 0)`.
    pub output_padding: Option<[usize; 2]>,
}

impl Conv2dTranspose {
    /// The primitive for inputs of shape `x` and filters of shape `w`.
    ///
    /// # Errors
    /// When shapes do not fit each other, or the result would be empty.
    fn primitive(&self, x: &Shape, w: &Shape) -> Result<Conv2dInputGrad> {
        if x.rank() != 4 || w.rank() != 4 || w[3] != x[3] {
            return Err(Error::value(format!(
                "expected x (batch, height, width, in) and filters (height, width, out, in), received {x} and {w}"
            )));
        }
        let mut size = [0; 2];
        for (axis, size) in size.iter_mut().enumerate() {
            *size = self.extent(axis, x[axis + 1], w[axis]).ok_or_else(|| {
                Error::value(format!(
                    "kernel_size {:?} leaves nothing of input {x} with {} and output_padding {:?}",
                    (w[0], w[1]),
                    self.conv.padding,
                    self.output_padding
                ))
            })?;
        }
        Ok(Conv2dInputGrad { conv: self.conv.clone(), size })
    }

    /// Keras's size rule; `None` for sizes that overflow or fall below 1.
    fn extent(&self, axis: usize, extent: usize, kernel: usize) -> Option<usize> {
        let stride = self.conv.strides[axis];
        let span = kernel.checked_sub(1)?.checked_mul(self.conv.dilation[axis])?.checked_add(1)?;
        let least = || extent.checked_sub(1)?.checked_mul(stride)?.checked_add(span);
        let extra = self.output_padding.map(|p| p[axis]);
        let size = match (self.conv.padding, extra) {
            (Padding::Same, None) => extent.checked_mul(stride)?,
            (Padding::Valid, None) => extent.checked_mul(stride)?.checked_add(span.saturating_sub(stride))?,
            (Padding::Same, Some(extra)) => least()?.checked_add(extra)?.checked_sub(2 * (span / 2))?,
            (Padding::Valid, Some(extra)) => least()?.checked_add(extra)?,
            (Padding::Explicit(pads), extra) => {
                let (before, after) = pads[axis];
                least()?.checked_add(extra.unwrap_or(0))?.checked_sub(before.checked_add(after)?)?
            }
        };
        (size > 0).then_some(size)
    }
}

impl OpDef for Conv2dTranspose {
    fn name(&self) -> &'static str {
        "conv2d_transpose"
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        floats(self.name(), inputs)?;
        let primitive = self.primitive(&inputs[0].shape, &inputs[1].shape)?;
        primitive.infer(inputs).map_err(|e| {
            let strides = (self.conv.strides[0], self.conv.strides[1]);
            match self.output_padding {
                Some(p) => Error::value(format!(
                    "output_padding: expected less than strides {strides:?}, received {:?} for filters {} and {} ({e})",
                    (p[0], p[1]),
                    inputs[1].shape,
                    self.conv.padding
                )),
                None => e,
            }
        })
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], output: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let primitive = self.primitive(&g.fact(inputs[0]).shape, &g.fact(inputs[1]).shape)?;
        primitive.grad(g, inputs, output, dy)
    }

    fn owns_gradient(&self) -> bool {
        true
    }

    fn inline(&self, g: &mut Graph, inputs: &[NodeId]) -> Result<NodeId> {
        let primitive = self.primitive(&g.fact(inputs[0]).shape, &g.fact(inputs[1]).shape)?;
        g.apply(primitive, inputs)
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        self.primitive(&facts[0].shape, &facts[1].shape)?.reference(inputs, facts, output)
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        self.conv.flops(&inputs[0].shape, &inputs[1].shape)
    }
}

impl FromAttributes for Conv2dTranspose {
    fn names() -> Vec<&'static str> {
        vec!["conv2d_transpose"]
    }

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        let output_padding = match a.ints_opt("output_padding")? {
            None => None,
            Some(list) => {
                let pair = match *list.as_slice() {
                    [both] => [both, both],
                    [h, w] => [h, w],
                    _ => return Err(Error::value(format!("output_padding: expected 2 integers, received {list:?}"))),
                };
                let extent = |v: i64| {
                    usize::try_from(v)
                        .map_err(|_| Error::value(format!("output_padding: expected integers >= 0, received {list:?}")))
                };
                Some([extent(pair[0])?, extent(pair[1])?])
            }
        };
        Ok(Conv2dTranspose { conv: Conv2d::from_attributes(name, a)?, output_padding })
    }
}
