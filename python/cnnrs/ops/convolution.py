"""Convolution, pooling and the arguments that they share."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import config
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
    if isinstance(padding, str):
        if padding.lower() not in ("valid", "same"):
            raise ValueError(f"padding: expected 'valid' or 'same', received {padding!r}")
        return padding.lower()
    return [list(side) for side in padding]


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
    """Convolution of images.

    Args:
        inputs: float32 of shape (batch, height, width, channels).
        kernel: float32 of shape (kernel height, kernel width, channels / groups, filters).
        strides: A number, or one per axis.
        padding: "valid", "same", or `((top, bottom), (left, right))`.
        data_format: "channels_last" or "channels_first".
        dilation_rate: A number, or one per axis.
    """
    x, first = _to_last(inputs, data_format)
    kernel = as_float(kernel)
    groups = x.shape[-1] // kernel.shape[2] if kernel.ndim == 4 and kernel.shape[2] else 0
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
    """Convolution of each channel by its own filters, kernel (height, width, channels, multiplier)."""
    x, first = _to_last(inputs, data_format)
    kernel = as_float(kernel)
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
    """A depthwise convolution followed by one with a 1 x 1 kernel."""
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
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
    """The gradient of a convolution with respect to its input; kernel (height, width, filters, channels)."""
    x, first = _to_last(inputs, data_format)
    kernel = as_float(kernel)
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
    """The largest element of each window."""
    return _pool("max_pool2d", inputs, pool_size, strides, padding, data_format)


@op
def average_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Any:
    """The mean of each window; padding does not count."""
    return _pool("avg_pool2d", inputs, pool_size, strides, padding, data_format)


@op
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Channels rearranged into blocks of pixels."""
    x, first = _to_last(x, data_format)
    n, h, w, c = x.shape
    b = block_size
    x = apply("reshape", x, shape=[n, h, w, b, b, c // (b * b)])
    x = apply("transpose", x, perm=[0, 1, 3, 2, 4, 5])
    return _from_last(apply("reshape", x, shape=[n, h * b, w * b, c // (b * b)]), first)


@op
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Blocks of pixels rearranged into channels."""
    x, first = _to_last(x, data_format)
    n, h, w, c = x.shape
    b = block_size
    x = apply("reshape", x, shape=[n, h // b, b, w // b, b, c])
    x = apply("transpose", x, perm=[0, 1, 3, 2, 4, 5])
    return _from_last(apply("reshape", x, shape=[n, h // b, w // b, b * b * c]), first)
