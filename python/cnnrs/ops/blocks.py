"""Blocks of pixels as channels, and windows as columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.ops.dispatch import apply, as_float, as_tensor, in_float32, op
from cnnrs.ops.spatial import images_as_given, images_last, pair

__all__ = ["depth_to_space", "fold", "space_to_depth", "unfold"]


@op
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Rearranges channels of images into blocks of pixels.

    It is the last step of sub-pixel convolution (Shi et al., arXiv:1609.05158), with the channels in the
    order (row in the block, column in the block, channel out). `space_to_depth` is its inverse.

    Args:
        x: Images, a tensor of shape (batch, height, width, channels), of any dtype.
            `channels` is a multiple of `block_size²`.
        block_size: Side of the blocks in pixels, an integer >= 1.
        data_format: "channels_last", the default, for the shapes given here, "channels_first" for images of
            shape (batch, channels, height, width) in and out; None means `config.image_data_format()`.

    Returns:
        Tensor of shape (batch, height * block_size, width * block_size, channels / block_size²), of the
        dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` does not have 4 axes, its channels do not fill whole blocks, `block_size` is no
            integer >= 1, or `data_format` is unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> x = np.arange(4.0).reshape(1, 1, 1, 4)
        >>> ops.depth_to_space(x, 2)[0, :, :, 0].tolist()
        [[0.0, 1.0], [2.0, 3.0]]
    """
    x, first = images_last(x, data_format)
    n, h, w, c = x.shape
    b = integer(block_size, "depth_to_space", "block_size", least=1)
    if c % (b * b):
        raise ValueError(
            f"depth_to_space: block_size: expected one whose square divides {c} channels, received {b}"
        )
    x = apply("reshape", x, shape=[n, h, w, b, b, c // (b * b)])
    x = apply("transpose", x, perm=[0, 1, 3, 2, 4, 5])
    return images_as_given(apply("reshape", x, shape=[n, h * b, w * b, c // (b * b)]), first)


@op
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Rearranges blocks of pixels of images into channels.

    The new channels are in the order (row in the block, column in the block, channel). `depth_to_space` is
    its inverse.

    Args:
        x: Images, a tensor of shape (batch, height, width, channels), of any dtype.
            Height and width are multiples of `block_size`.
        block_size: Side of the blocks in pixels, an integer >= 1.
        data_format: "channels_last", the default, for the shapes given here, "channels_first" for images of
            shape (batch, channels, height, width) in and out; None means `config.image_data_format()`.

    Returns:
        Tensor of shape (batch, height / block_size, width / block_size, block_size² * channels), of the dtype
        of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` does not have 4 axes, its height or width does not fall into whole blocks,
            `block_size` is no integer >= 1, or `data_format` is unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
        >>> ops.space_to_depth(x, 2).tolist()
        [[[[0.0, 1.0, 2.0, 3.0]]]]
    """
    x, first = images_last(x, data_format)
    n, h, w, c = x.shape
    b = integer(block_size, "space_to_depth", "block_size", least=1)
    if h % b or w % b:
        raise ValueError(f"space_to_depth: block_size: expected a divisor of {h} x {w} pixels, received {b}")
    x = apply("reshape", x, shape=[n, h // b, b, w // b, b, c])
    x = apply("transpose", x, perm=[0, 1, 3, 2, 4, 5])
    return images_as_given(apply("reshape", x, shape=[n, h // b, w // b, b * b * c]), first)


class _Windows:
    """Where windows lie on padded images, channels first.

    Attributes:
        size: Height and width of the padded images.
        padding: Pixels on each side.
        taps: Pixels of a window.
        count: Windows of an image.
        places: For each tap the pixel of each window, by numbers.
    """

    def __init__(self, image: Any, kernel_size: Any, dilation: Any, padding: Any, stride: Any):
        kernel, step = pair(kernel_size, "kernel_size"), pair(stride, "stride")
        gap = pair(dilation, "dilation")
        self.padding = pair(padding, "padding", 0)
        self.size = [n + 2 * p for n, p in zip(image, self.padding, strict=True)]
        spans = [n - (k - 1) * d for n, k, d in zip(self.size, kernel, gap, strict=True)]
        if min(spans) < 1:
            raise ValueError(
                f"kernel_size: expected a window that fits {self.size[0]} x {self.size[1]} pixels, received "
                f"{kernel_size!r}"
            )
        along = [
            np.arange(k)[:, None] * d + np.arange(0, span, s)
            for k, d, span, s in zip(kernel, gap, spans, step, strict=True)
        ]
        rows, columns = along[0][:, None, :, None], along[1][None, :, None, :]
        places = (rows * self.size[1] + columns).astype(np.int32)
        self.taps, self.count = kernel[0] * kernel[1], places.shape[2] * places.shape[3]
        self.places = places.reshape(self.taps, self.count)


@op
def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Lays the windows of images out as columns. The channels of the images come first.

    Args:
        x: Images, a tensor of shape (batch, channels, height, width), of any dtype.
        kernel_size: Height and width of the windows, an integer >= 1 or a pair.
        dilation: Distance of neighbouring pixels of a window, likewise; 1 by default.
        padding: Zeros on each side, an integer >= 0 or a (vertical, horizontal) pair; 0 by default.
        stride: Distance of neighbouring windows, an integer >= 1 or a pair; 1 by default.

    Returns:
        Tensor of shape (batch, channels * kernel height * kernel width, windows), of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` does not have 4 axes, the window does not fit, or another argument is none of the
            values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> ops.unfold(np.arange(9.0).reshape(1, 1, 3, 3), 2)[0].tolist()
        [[0.0, 1.0, 3.0, 4.0], [1.0, 2.0, 4.0, 5.0], [3.0, 4.0, 6.0, 7.0], [4.0, 5.0, 7.0, 8.0]]
    """
    x = as_tensor(x)
    if x.ndim != 4:
        raise ValueError(f"unfold: x: expected shape (batch, channels, height, width), received {x.shape}")
    batch, channels, *image = x.shape
    windows = _Windows(image, kernel_size, dilation, padding, stride)
    sides = [[0, 0], [0, 0], *([p, p] for p in windows.padding)]
    x = apply("pad", x, paddings=sides, value=0.0) if max(windows.padding) else x
    pixels = apply("reshape", x, shape=[batch, channels, windows.size[0] * windows.size[1]])
    seen = apply("gather", pixels, windows.places, axis=2)
    return apply("reshape", seen, shape=[batch, channels * windows.taps, windows.count])


@op
@in_float32
def fold(
    x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """Adds up windows, laid out as columns, where they lie on images: the transpose of `unfold`.

    Args:
        x: Windows, a tensor of shape (batch, channels * kernel height * kernel width, windows); other dtypes
            are converted to float32.
        output_size: Height and width of the images, an integer >= 1 or a pair.
        kernel_size: Height and width of the windows, likewise.
        dilation: Distance of neighbouring pixels of a window, likewise; 1 by default.
        padding: How far windows reach beyond each side, an integer >= 0 or a (vertical, horizontal) pair; 0
            by default.
        stride: Distance of neighbouring windows, an integer >= 1 or a pair; 1 by default.

    Returns:
        float32 tensor of shape (batch, channels, height, width).

    Raises:
        TypeError: `x` is not numeric.
        ValueError: The shape of `x` does not fit, or another argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> ops.fold(np.ones((1, 4, 4)), 3, 2)[0, 0].tolist()
        [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    x = as_float(x)
    image = pair(output_size, "output_size")
    windows = _Windows(image, kernel_size, dilation, padding, stride)
    if x.ndim != 3 or x.shape[1] % windows.taps or x.shape[2] != windows.count:
        raise ValueError(
            f"fold: x: expected shape (batch, a multiple of {windows.taps}, {windows.count}), "
            f"received {x.shape}"
        )
    batch, channels = x.shape[0], x.shape[1] // windows.taps
    columns = apply("reshape", x, shape=[batch, channels, windows.taps, windows.count])
    height, width = windows.size
    pixels = apply(
        "scatter",
        columns,
        windows.places,
        shape=[batch, channels, height * width],
        axis=2,
        kind="add",
    )
    y = apply("reshape", pixels, shape=[batch, channels, height, width])
    top, left = windows.padding
    stops = [batch, channels, height - top, width - left]
    return apply("slice", y, starts=[0, 0, top, left], stops=stops, steps=[1] * 4)
