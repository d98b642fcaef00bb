"""Convolution, pooling and the arguments that they share."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import config
from cnnrs.base.arguments import integer
from cnnrs.ops.dispatch import (
    apply,
    as_float,
    op,
)

__all__ = [
    "average_pool",
    "conv",
    "conv_transpose",
    "depth_to_space",
    "depthwise_conv",
    "max_pool",
    "separable_conv",
    "space_to_depth",
]


def pair(value: Any, argument: str, least: int = 1) -> list[int]:
    """An integer, or a pair of them, as a list of two.

    Raises:
        ValueError: It is neither, or below `least`.
    """
    values = [value, value] if isinstance(value, (int, np.integer)) else value
    try:
        pair = [v.__index__() for v in values]
    except (AttributeError, TypeError):
        pair = []
    if len(pair) != 2 or min(pair) < least:
        raise ValueError(
            f"{argument}: expected an integer or a pair of integers >= {least}, received {value!r}"
        )
    return pair


def _padding(padding: Any) -> Any:
    """`padding` as the core takes it: "valid", "same", or rows and columns before and after.

    Raises:
        ValueError: It is neither of these words nor two pairs of integers >= 0.
    """
    if isinstance(padding, str):
        if padding.lower() not in ("valid", "same"):
            raise ValueError(f"padding: expected 'valid' or 'same', received {padding!r}")
        return padding.lower()
    try:
        sides = [[end.__index__() for end in side] for side in padding]
    except (AttributeError, TypeError):
        sides = []
    if [len(side) for side in sides] != [2, 2] or min(map(min, sides)) < 0:
        raise ValueError(
            "padding: expected 'valid', 'same' or ((top, bottom), (left, right)) of integers >= 0, "
            f"received {padding!r}"
        )
    return sides


def _kernel(kernel: Any, name: str, shape: str) -> Any:
    """A kernel of 4 axes."""
    kernel = as_float(kernel)
    if kernel.ndim != 4:
        raise ValueError(f"{name}: expected shape {shape}, received {kernel.shape}")
    return kernel


def image_data_format(data_format: str | None) -> str:
    """`data_format`, or the configured one if it is None.

    Raises:
        ValueError: It is neither "channels_last" nor "channels_first".
    """
    if data_format is None:
        return config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            f"data_format: expected 'channels_last' or 'channels_first', received {data_format!r}"
        )
    return data_format


def _to_last(x: Any, data_format: str | None) -> tuple[Any, bool]:
    x = as_float(x)
    if x.ndim != 4:
        raise ValueError(
            f"expected images of shape (batch, height, width, channels), received shape {x.shape}"
        )
    first = image_data_format(data_format) == "channels_first"
    return (apply("transpose", x, perm=[0, 2, 3, 1]) if first else x), first


def _from_last(x: Any, first: bool) -> Any:
    return apply("transpose", x, perm=[0, 3, 1, 2]) if first else x


@op
def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Convolves images with filters.

    As is usual in networks, the filters are not flipped: an output pixel is the sum of the products of a
    window and a filter.

    Args:
        inputs: Images, a tensor of shape (batch, height, width, channels); other dtypes are converted to
            float32.
        kernel: Filters, a tensor of shape (kernel height, kernel width, channels / groups, filters); other
            dtypes are converted to float32. The number of groups follows from the shapes: each group of
            channels meets only its own share of the filters.
        strides: Distance of neighbouring windows in pixels: an integer >= 1, or a (vertical, horizontal)
            pair; 1 by default.
        padding: "valid", the default, for no padding; "same" for zeros on both sides, so that the output has
            `ceil(extent / stride)` pixels along each axis; or `((top, bottom), (left, right))` for that many
            zeros.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.
        dilation_rate: Distance of a filter's neighbouring taps in pixels: an integer >= 1, or a pair; 1 by
            default.

    Returns:
        float32 tensor of shape (batch, height out, width out, filters). Without padding, `height out` is
        `(height - (kernel height - 1) * dilation - 1) // stride + 1`, and the width likewise.

    Raises:
        TypeError: `inputs` or `kernel` is not numeric.
        ValueError: The shapes do not fit each other, the kernel does not fit into the image, or `strides`,
            `padding`, `data_format` or `dilation_rate` is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.arange(9.0).reshape(1, 3, 3, 1)
        >>> ops.conv(image, np.ones((2, 2, 1, 1)))[0, :, :, 0].tolist()
        [[8.0, 12.0], [20.0, 24.0]]
    """
    x, first = _to_last(inputs, data_format)
    kernel = _kernel(kernel, "conv: kernel", "(height, width, channels, filters)")
    groups = x.shape[-1] // kernel.shape[2] if kernel.shape[2] else 0
    if groups == 0 or groups * kernel.shape[2] != x.shape[-1]:
        raise ValueError(f"conv: kernel of shape {kernel.shape} does not fit {x.shape[-1]} input channels")
    y = apply(
        "conv2d",
        x,
        kernel,
        strides=pair(strides, "strides"),
        padding=_padding(padding),
        dilation=pair(dilation_rate, "dilation_rate"),
        groups=groups,
    )
    return _from_last(y, first)


@op
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Convolves each channel of images with filters of its own.

    Args:
        inputs: Images, a tensor of shape (batch, height, width, channels); other dtypes are converted to
            float32.
        kernel: Filters, a tensor of shape (kernel height, kernel width, channels, multiplier); other dtypes
            are converted to float32.
        strides: Distance of neighbouring windows in pixels: an integer >= 1, or a (vertical, horizontal)
            pair; 1 by default.
        padding: "valid", the default, for no padding; "same" for zeros on both sides, so that the output has
            `ceil(extent / stride)` pixels along each axis; or `((top, bottom), (left, right))` for that many
            zeros.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.
        dilation_rate: Distance of a filter's neighbouring taps in pixels: an integer >= 1, or a pair; 1 by
            default.

    Returns:
        float32 tensor of shape (batch, height out, width out, channels * multiplier), with the outputs of one
        channel beside each other. Without padding, `height out` is `(height - (kernel height - 1) * dilation
        - 1) // stride + 1`, and the width likewise.

    Raises:
        TypeError: `inputs` or `kernel` is not numeric.
        ValueError: The shapes do not fit each other, the kernel does not fit into the image, or `strides`,
            `padding`, `data_format` or `dilation_rate` is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> images = np.ones((1, 2, 2, 2))
        >>> kernel = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 2, 2)
        >>> ops.depthwise_conv(images, kernel)[0, 0, 0].tolist()
        [1.0, 2.0, 3.0, 4.0]
    """
    return _depthwise("depthwise_conv: kernel", inputs, kernel, strides, padding, data_format, dilation_rate)


def _depthwise(
    name: str, inputs: Any, kernel: Any, strides: Any, padding: Any, data_format: Any, dilation_rate: Any
) -> Any:
    x, first = _to_last(inputs, data_format)
    kernel = _kernel(kernel, name, "(height, width, channels, multiplier)")
    height, width, channels, multiplier = kernel.shape
    y = apply(
        "conv2d",
        x,
        apply("reshape", kernel, shape=[height, width, 1, channels * multiplier]),
        strides=pair(strides, "strides"),
        padding=_padding(padding),
        dilation=pair(dilation_rate, "dilation_rate"),
        groups=channels,
    )
    return _from_last(y, first)


@op
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Convolves each channel of images by itself and then mixes the channels.

    It is `depthwise_conv` followed by `conv` (Chollet, "Xception", arXiv:1610.02357); strides, padding and
    dilation belong to the first.

    Args:
        inputs: Images, a tensor of shape (batch, height, width, channels); other dtypes are converted to
            float32.
        depthwise_kernel: Filters of the channels, a tensor of shape (kernel height, kernel width, channels,
            multiplier); other dtypes are converted to float32.
        pointwise_kernel: Filters that mix, a tensor of shape (1, 1, channels * multiplier, filters);
            converted likewise.
        strides: Distance of neighbouring windows in pixels: an integer >= 1, or a (vertical, horizontal)
            pair; 1 by default.
        padding: "valid", the default, for no padding; "same" for zeros on both sides, so that the output has
            `ceil(extent / stride)` pixels along each axis; or `((top, bottom), (left, right))` for that many
            zeros.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.
        dilation_rate: Distance of a filter's neighbouring taps in pixels: an integer >= 1, or a pair; 1 by
            default.

    Returns:
        float32 tensor of shape (batch, height out, width out, filters). Without padding, `height out` is
        `(height - (kernel height - 1) * dilation - 1) // stride + 1`, and the width likewise.

    Raises:
        TypeError: `inputs` or a kernel is not numeric.
        ValueError: The shapes do not fit each other, the kernel does not fit into the image, or `strides`,
            `padding`, `data_format` or `dilation_rate` is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> images, each_channel, mix = np.ones((1, 3, 3, 2)), np.ones((2, 2, 2, 1)), np.ones((1, 1, 2, 5))
        >>> y = ops.separable_conv(images, each_channel, mix)
        >>> y.shape, y[0, 0, 0].tolist()
        ((1, 2, 2, 5), [8.0, 8.0, 8.0, 8.0, 8.0])
    """
    name = "separable_conv: depthwise_kernel"
    y = _depthwise(name, inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, 1, "valid", data_format)


@op
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Computes the transposed convolution, which enlarges images.

    It is the gradient of a convolution with respect to its input (Dumoulin and Visin, "A guide to convolution
    arithmetic for deep learning", arXiv:1603.07285, section 4).

    Args:
        inputs: Images, a tensor of shape (batch, height, width, channels); other dtypes are converted to
            float32.
        kernel: Filters, a tensor of shape (kernel height, kernel width, filters, channels); other dtypes are
            converted to float32.
        strides: Factor by which images grow: an integer >= 1, or a (vertical, horizontal) pair; 1 by default.
        padding: "valid", the default, or "same": the padding of the convolution whose gradient this is.
        output_padding: Pixels added at the bottom and the right, an integer >= 0 or a pair. None, the
            default, chooses the size below.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.
        dilation_rate: Distance of a filter's neighbouring taps in pixels: an integer >= 1, or a pair; 1 by
            default.

    Returns:
        float32 tensor of shape (batch, height out, width out, filters). Let `window` be `(kernel height - 1)
        * dilation + 1`. Then `height out` is `height * stride` with "same", and `height * stride + max(window
        - stride, 0)` with "valid"; with an `output_padding` it is `(height - 1) * stride + window +
        output_padding`, less `2 * (window // 2)` with "same". The width is computed likewise.

    Raises:
        TypeError: `inputs` or `kernel` is not numeric.
        ValueError: The shapes do not fit each other, `output_padding` leads to a size that no such
            convolution has, or `strides`, `padding`, `data_format` or `dilation_rate` is none of the values
            above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
        >>> ops.conv_transpose(image, np.ones((1, 2, 1, 1)), strides=(1, 2))[0, :, :, 0].tolist()
        [[1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 4.0, 4.0]]
    """
    x, first = _to_last(inputs, data_format)
    kernel = _kernel(kernel, "conv_transpose: kernel", "(height, width, filters, channels)")
    steps, dilation = pair(strides, "strides"), pair(dilation_rate, "dilation_rate")
    extra = None if output_padding is None else pair(output_padding, "output_padding", 0)
    way = _padding(padding)
    if not isinstance(way, str):
        raise ValueError(f"conv_transpose: padding: expected 'valid' or 'same', received {padding!r}")
    size = []
    for axis in (0, 1):
        extent, step = x.shape[axis + 1], steps[axis]
        window = (kernel.shape[axis] - 1) * dilation[axis] + 1
        if extra is None:
            size.append(extent * step + (max(window - step, 0) if way == "valid" else 0))
        else:
            margin = 2 * (window // 2) if way == "same" else 0
            size.append((extent - 1) * step + window - margin + extra[axis])
    attributes = {"size": size, "strides": steps, "padding": way, "dilation": dilation}
    y = apply("conv2d_input_grad", x, kernel, **attributes)
    return _from_last(y, first)


def _pool(name: str, inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Any:
    x, first = _to_last(inputs, data_format)
    size = pair(pool_size, "pool_size")
    step = size if strides is None else pair(strides, "strides")
    return _from_last(apply(name, x, pool_size=size, strides=step, padding=_padding(padding)), first)


@op
def max_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Any:
    """Takes the largest element of each window of images.

    Padding never counts. The gradient goes to the first of equal elements, in the order of rows.

    Args:
        inputs: Images, a tensor of shape (batch, height, width, channels); other dtypes are converted to
            float32.
        pool_size: Size of the window: an integer >= 1, or a (height, width) pair.
        strides: Distance of neighbouring windows, likewise; None, the default, means `pool_size`.
        padding: "valid", the default, for whole windows only; "same" for `ceil(extent / stride)` windows
            along each axis, which may reach beyond the border; or `((top, bottom), (left, right))` for that
            many pixels beyond.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.

    Returns:
        float32 tensor of shape (batch, height out, width out, channels). Without padding, `height out` is
        `(height - pool height) // stride + 1`, and the width likewise. NaN where the window holds NaN.

    Raises:
        TypeError: `inputs` is not numeric.
        ValueError: `inputs` does not have 4 axes, the window does not fit into the image, the padding leaves
            a window without any pixel, or another argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> ops.max_pool(image, 2)[0, :, :, 0].tolist()
        [[5.0, 7.0], [13.0, 15.0]]
    """
    return _pool("max_pool2d", inputs, pool_size, strides, padding, data_format)


@op
def average_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Any:
    """Computes the mean of each window of images.

    Padding does not count: each window is divided by the number of its pixels inside the image.

    Args:
        inputs: Images, a tensor of shape (batch, height, width, channels); other dtypes are converted to
            float32.
        pool_size: Size of the window: an integer >= 1, or a (height, width) pair.
        strides: Distance of neighbouring windows, likewise; None, the default, means `pool_size`.
        padding: "valid", the default, for whole windows only; "same" for `ceil(extent / stride)` windows
            along each axis, which may reach beyond the border; or `((top, bottom), (left, right))` for that
            many pixels beyond.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.

    Returns:
        float32 tensor of shape (batch, height out, width out, channels). Without padding, `height out` is
        `(height - pool height) // stride + 1`, and the width likewise.

    Raises:
        TypeError: `inputs` is not numeric.
        ValueError: `inputs` does not have 4 axes, the window does not fit into the image, the padding leaves
            a window without any pixel, or another argument is none of the values above.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> ops.average_pool(image, 2)[0, :, :, 0].tolist()
        [[2.5, 4.5], [10.5, 12.5]]
    """
    return _pool("avg_pool2d", inputs, pool_size, strides, padding, data_format)


@op
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Rearranges channels of images into blocks of pixels.

    It is the last step of sub-pixel convolution (Shi et al., arXiv:1609.05158), with the channels in the
    order (row in the block, column in the block, channel out). `space_to_depth` is its inverse.

    Args:
        x: Images, a tensor of shape (batch, height, width, channels); other dtypes are converted to float32.
            `channels` is a multiple of `block_size²`.
        block_size: Side of the blocks in pixels, an integer >= 1.
        data_format: "channels_last", the default, for the shapes given here, "channels_first" for images of
            shape (batch, channels, height, width) in and out; None means `config.image_data_format()`.

    Returns:
        float32 tensor of shape (batch, height * block_size, width * block_size, channels / block_size²).

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
    x, first = _to_last(x, data_format)
    n, h, w, c = x.shape
    b = integer(block_size, "depth_to_space", "block_size", least=1)
    if c % (b * b):
        raise ValueError(
            f"depth_to_space: block_size: expected one whose square divides {c} channels, received {b}"
        )
    x = apply("reshape", x, shape=[n, h, w, b, b, c // (b * b)])
    x = apply("transpose", x, perm=[0, 1, 3, 2, 4, 5])
    return _from_last(apply("reshape", x, shape=[n, h * b, w * b, c // (b * b)]), first)


@op
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Rearranges blocks of pixels of images into channels.

    The new channels are in the order (row in the block, column in the block, channel). `depth_to_space` is
    its inverse.

    Args:
        x: Images, a tensor of shape (batch, height, width, channels); other dtypes are converted to float32.
            Height and width are multiples of `block_size`.
        block_size: Side of the blocks in pixels, an integer >= 1.
        data_format: "channels_last", the default, for the shapes given here, "channels_first" for images of
            shape (batch, channels, height, width) in and out; None means `config.image_data_format()`.

    Returns:
        float32 tensor of shape (batch, height / block_size, width / block_size, block_size² * channels).

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
    x, first = _to_last(x, data_format)
    n, h, w, c = x.shape
    b = integer(block_size, "space_to_depth", "block_size", least=1)
    if h % b or w % b:
        raise ValueError(f"space_to_depth: block_size: expected a divisor of {h} x {w} pixels, received {b}")
    x = apply("reshape", x, shape=[n, h // b, b, w // b, b, c])
    x = apply("transpose", x, perm=[0, 1, 3, 2, 4, 5])
    return _from_last(apply("reshape", x, shape=[n, h // b, w // b, b * b * c]), first)
