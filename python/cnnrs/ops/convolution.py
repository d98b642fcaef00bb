"""Convolutions of sequences, images and volumes."""

from __future__ import annotations

from typing import Any

from cnnrs.ops.dispatch import apply, as_tensor, of_integers, op
from cnnrs.ops.spatial import Spatial, convolve, convolve_transposed

__all__ = [
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "separable_conv",
]


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
        inputs: Images, a tensor of shape (batch, height, width, channels), sequences without the axis of the
            height, or volumes with one of the depth before it; other dtypes are converted to float32.
        kernel: Filters, a tensor of shape (kernel height, kernel width, channels / groups, filters); other
            dtypes are converted to float32. The number of groups follows from the shapes: each group of
            channels meets only its own share of the filters.
        strides: Distance of neighbouring windows in pixels: an integer >= 1, or one for each
            spatial axis; 1 by default.
        padding: "valid", the default, for no padding; "same" for zeros on both sides, so that the output has
            `ceil(extent / stride)` pixels along each axis; or `((top, bottom), (left, right))` for that many
            zeros, with one pair for each spatial axis.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.
        dilation_rate: Distance of a filter's neighbouring taps in pixels: an integer >= 1, or one for each
            spatial axis; 1 by default.

    Returns:
        float32 tensor of shape (batch, height out, width out, filters). Without padding, `height out` is
        `(height - (kernel height - 1) * dilation - 1) // stride + 1`, and the width likewise.
        Images and filters of integers give integers, of their common type, exact up to 2**53.

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
    whole = of_integers(inputs, kernel)
    if whole is not None:
        inputs, kernel = as_tensor(inputs).astype("float64"), as_tensor(kernel).astype("float64")
        return conv(inputs, kernel, strides, padding, data_format, dilation_rate).astype(whole)
    at = Spatial(inputs, data_format, "conv")
    kernel = at.kernel(kernel, "channels, filters")
    channels, inner = at.x.shape[-1], kernel.shape[-2]
    groups = channels // inner if inner else 0
    if groups == 0 or groups * inner != channels:
        raise ValueError(f"conv: kernel of shape {kernel.shape} does not fit {channels} input channels")
    steps, dilation = at.numbers(strides, "strides"), at.numbers(dilation_rate, "dilation_rate")
    return at.leave(convolve(at.x, kernel, steps, at.padding(padding), dilation, groups))


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
        inputs: Images, a tensor of shape (batch, height, width, channels), sequences without the axis of the
            height, or volumes with one of the depth before it; other dtypes are converted to float32.
        kernel: Filters, a tensor of shape (kernel height, kernel width, channels, multiplier); other dtypes
            are converted to float32.
        strides: Distance of neighbouring windows in pixels: an integer >= 1, or one for each
            spatial axis; 1 by default.
        padding: "valid", the default, for no padding; "same" for zeros on both sides, so that the output has
            `ceil(extent / stride)` pixels along each axis; or `((top, bottom), (left, right))` for that many
            zeros, with one pair for each spatial axis.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.
        dilation_rate: Distance of a filter's neighbouring taps in pixels: an integer >= 1, or one for each
            spatial axis; 1 by default.

    Returns:
        float32 tensor of shape (batch, height out, width out, channels * multiplier), with the outputs of one
        channel beside each other. Without padding, `height out` is `(height - (kernel height - 1) * dilation
        - 1) // stride + 1`, and the width likewise.
        Images and filters of integers give integers, of their common type, exact up to 2**53.

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
    whole = of_integers(inputs, kernel)
    if whole is not None:
        inputs, kernel = as_tensor(inputs).astype("float64"), as_tensor(kernel).astype("float64")
        return depthwise_conv(inputs, kernel, strides, padding, data_format, dilation_rate).astype(whole)
    at = Spatial(inputs, data_format, "depthwise_conv")
    return _depthwise(at, at.kernel(kernel, _OF_DEPTHWISE), strides, padding, dilation_rate)


# The last axes of a depthwise kernel, for errors.
_OF_DEPTHWISE = "channels, multiplier"


def _depthwise(at: Spatial, kernel: Any, strides: Any, padding: Any, dilation_rate: Any) -> Any:
    *window, channels, multiplier = kernel.shape
    kernel = apply("reshape", kernel, shape=[*window, 1, channels * multiplier])
    steps, dilation = at.numbers(strides, "strides"), at.numbers(dilation_rate, "dilation_rate")
    return at.leave(convolve(at.x, kernel, steps, at.padding(padding), dilation, channels))


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
        inputs: Images, a tensor of shape (batch, height, width, channels), sequences without the axis of the
            height, or volumes with one of the depth before it; other dtypes are converted to float32.
        depthwise_kernel: Filters of the channels, a tensor of shape (kernel height, kernel width, channels,
            multiplier); other dtypes are converted to float32.
        pointwise_kernel: Filters that mix, a tensor of shape (1, 1, channels * multiplier, filters);
            converted likewise.
        strides: Distance of neighbouring windows in pixels: an integer >= 1, or one for each
            spatial axis; 1 by default.
        padding: "valid", the default, for no padding; "same" for zeros on both sides, so that the output has
            `ceil(extent / stride)` pixels along each axis; or `((top, bottom), (left, right))` for that many
            zeros, with one pair for each spatial axis.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.
        dilation_rate: Distance of a filter's neighbouring taps in pixels: an integer >= 1, or one for each
            spatial axis; 1 by default.

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
    at = Spatial(inputs, data_format, "separable_conv")
    depthwise_kernel = at.kernel(depthwise_kernel, _OF_DEPTHWISE, "depthwise_kernel")
    y = _depthwise(at, depthwise_kernel, strides, padding, dilation_rate)
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
        inputs: Images, a tensor of shape (batch, height, width, channels), sequences without the axis of the
            height, or volumes with one of the depth before it; other dtypes are converted to float32.
        kernel: Filters, a tensor of shape (kernel height, kernel width, filters, channels); other dtypes are
            converted to float32.
        strides: Factor by which images grow: an integer >= 1, or one for each spatial axis;
            1 by default.
        padding: "valid", the default, or "same": the padding of the convolution whose gradient this is.
        output_padding: Pixels added at the bottom and the right, an integer >= 0 or one for each axis.
            None, the default, chooses the size below.
        data_format: "channels_last" for the shapes given here, "channels_first" for images of shape (batch,
            channels, height, width) in and out; None, the default, means `config.image_data_format()`.
        dilation_rate: Distance of a filter's neighbouring taps in pixels: an integer >= 1, or one for each
            spatial axis; 1 by default.

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
    at = Spatial(inputs, data_format, "conv_transpose")
    kernel = at.kernel(kernel, "filters, channels")
    steps, dilation = at.numbers(strides, "strides"), at.numbers(dilation_rate, "dilation_rate")
    extra = None if output_padding is None else at.numbers(output_padding, "output_padding", 0)
    way = at.padding(padding)
    if not isinstance(way, str):
        raise ValueError(f"conv_transpose: padding: expected 'valid' or 'same', received {padding!r}")
    size = []
    for axis in range(at.rank):
        extent, step = at.x.shape[axis + 1], steps[axis]
        window = (kernel.shape[axis] - 1) * dilation[axis] + 1
        if extra is None:
            size.append(extent * step + (max(window - step, 0) if way == "valid" else 0))
        else:
            margin = 2 * (window // 2) if way == "same" else 0
            size.append((extent - 1) * step + window - margin + extra[axis])
    return at.leave(convolve_transposed(at.x, kernel, size, steps, way, dilation))
