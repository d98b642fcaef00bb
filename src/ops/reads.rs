//! How an op reads its inputs: which elements of an input an element of the result is made of. What asks where a
//! value comes from, such as receptive fields, reads this and no op's attributes.

use super::window::Placement;

/// How an op reads one of its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Each element may depend on every element.
    All,
    /// Each element depends on the one at the same place, under numpy's broadcasting.
    Same,
    /// The elements in their order, under another shape.
    Order,
    /// Along each axis of the input apart from the others.
    Axes(Vec<AxisReads>),
}

/// What an element of the result reads along one axis of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisReads {
    /// All of the axis, or more than a window of it.
    All,
    /// Index `o` along axis `of` of the result reads `o · stride − before + k · dilation` for k < `size`.
    Window(Places),
    /// The other way round: `i` is read where `o = i · stride − before + k · dilation`.
    Spread(Places),
    /// Index `o` along axis `of` of the result, and of the axes behind it, reads the index that stands there in
    /// input number `by`.
    Looked {
        /// Axis of the result.
        of: usize,
        /// Number of the input.
        by: usize,
    },
    /// Index `o` along axis `of` of the result reads the indices whose elements in row `o` of the matrix that is
    /// input number `by` are not zero; in column `o`, if it lies `across`.
    Weighted {
        /// Axis of the result.
        of: usize,
        /// Number of the input.
        by: usize,
        /// Whether columns stand for indices of the result.
        across: bool,
    },
}

/// Where windows lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Axis of the result.
    pub of: usize,
    /// Elements of a window.
    pub size: usize,
    /// Step between windows.
    pub stride: i64,
    /// Step between elements of a window.
    pub dilation: usize,
    /// Extension before the axis.
    pub before: i64,
}

impl AxisReads {
    /// The element of the same index.
    pub fn same(of: usize) -> Self {
        AxisReads::Window(Places { of, size: 1, stride: 1, dilation: 1, before: 0 })
    }

    /// Every `stride`-th element from `start` on.
    pub fn steps(of: usize, start: usize, stride: i64) -> Self {
        AxisReads::Window(Places { of, size: 1, stride, dilation: 1, before: -(start as i64) })
    }

    /// Each element, `stride` apart, behind `before` others.
    pub fn padded(of: usize, before: usize, stride: usize) -> Self {
        AxisReads::Spread(Places { of, size: 1, stride: stride as i64, dilation: 1, before: -(before as i64) })
    }
}

/// Windows over the height and width of images, whose channels are read by `channels`.
pub(super) fn images(
    size: [usize; 2],
    strides: [usize; 2],
    dilation: [usize; 2],
    placement: Placement,
    channels: AxisReads,
    kind: fn(Places) -> AxisReads,
) -> Reads {
    let along = |axis: usize| {
        kind(Places {
            of: axis + 1,
            size: size[axis],
            stride: strides[axis] as i64,
            dilation: dilation[axis],
            before: placement.before[axis] as i64,
        })
    };
    Reads::Axes(vec![AxisReads::same(0), along(0), along(1), channels])
}
