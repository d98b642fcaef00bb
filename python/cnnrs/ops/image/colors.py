"""Colours of images: grey values, and hue, saturation and value."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.dtypes import FLOATS
from cnnrs.ops.comparisons import where
from cnnrs.ops.dispatch import apply, op
from cnnrs.ops.image.layout import back_to, computed, spatial

__all__ = ["hsv_to_rgb", "rgb_to_grayscale", "rgb_to_hsv"]


def _channel_axis(name: str, x: Any, rows: int, counts: tuple[int, ...]) -> int:
    """The axis of the channels.

    Raises:
        ValueError: There are none of `counts` channels.
    """
    axis = x.ndim - 1 if rows == x.ndim - 3 else x.ndim - 3
    if x.shape[axis] not in counts:
        expected = " or ".join(map(str, counts))
        raise ValueError(f"{name}: images: expected {expected} channels, received shape {tuple(x.shape)}")
    return axis


@op
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Any:
    """Reduces the three channels of colour images to one.

    It is 0.2989 red + 0.587 green + 0.114 blue: the weights of ITU-R BT.601, with 0.2989 in place of 0.299 as
    in Keras.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
            The channels are red, green and blue; images of one channel stay as they are.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the dtype of `images` with one channel. Integers are cut off behind the point.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, or neither 3 channels nor 1, or `data_format` is
            unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> pixels = np.array([[[255.0, 0, 0], [0, 255, 0]]])
        >>> print(ops.image.rgb_to_grayscale(pixels)[:, :, 0].numpy().round(1))
        [[ 76.2 149.7]]
    """
    x, rows = spatial(images, data_format, "rgb_to_grayscale")
    channel = _channel_axis("rgb_to_grayscale", x, rows, (1, 3))
    if x.shape[channel] == 1:
        return x
    weights = np.array([0.2989, 0.587, 0.114])
    shape = [3 if a == channel else 1 for a in range(x.ndim)]
    y = computed(x)
    y = apply("sum", y * weights.astype(y.dtype).reshape(shape), axes=[channel], keepdims=True)
    return y.astype(x.dtype)


def _channels(name: str, images: Any, data_format: str | None) -> tuple[list[Any], int, str]:
    """The three channels of images, their axis, and the element type.

    Raises:
        ValueError: They have neither 3 nor 4 axes, integers as elements or not 3 channels.
    """
    x, rows = spatial(images, data_format, name)
    if x.dtype not in FLOATS:
        raise ValueError(f"{name}: images: expected floats, received dtype {x.dtype}; divide by 255 first")
    axis = _channel_axis(name, x, rows, (3,))
    y = computed(x)
    index = (slice(None),) * axis
    return [y[(*index, slice(c, c + 1))] for c in range(3)], axis, x.dtype


@op
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Any:
    """Converts colours to hue, saturation and value.

    The value is the largest of red, green and blue, the saturation is 1 - smallest / largest, and the hue is
    the angle on the circle of colours, from 0 for red over 1/3 for green and 2/3 for blue (Smith 1978, "Color
    gamut transform pairs").

    Args:
        images: Tensor of floats in 0..1 of shape (height, width, 3) or (batch, height, width, 3).
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the shape and dtype of `images`. The hue is in 0..1, the end excluded; grey has hue 0, black
        saturation 0.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, not 3 channels, or integers as elements, or
            `data_format` is unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> ops.image.rgb_to_hsv(np.array([[[0.0, 1.0, 1.0], [0.25, 0.25, 0.25]]])).tolist()
        [[[0.5, 1.0, 1.0], [0.0, 0.0, 0.25]]]
    """
    (r, g, b), axis, dtype = _channels("rgb_to_hsv", images, data_format)
    value = apply("maximum", apply("maximum", r, g), b)
    extent = value - apply("minimum", apply("minimum", r, g), b)
    colored, bright = extent > 0.0, value > 0.0
    saturation = where(bright, extent / where(bright, value, 1.0), 0.0)
    unit = 1.0 / (6.0 * where(colored, extent, 1.0))
    hue = where(
        r == value,
        unit * (g - b),
        where(g == value, unit * (b - r) + 2.0 / 6.0, unit * (r - g) + 4.0 / 6.0),
    )
    hue = where(colored, where(hue < 0.0, hue + 1.0, hue), 0.0)
    return back_to(apply("concat", hue, saturation, value, axis=axis), dtype)


@op
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Any:
    """Converts hue, saturation and value to colours: the inverse of `rgb_to_hsv`.

    Args:
        images: Tensor of floats in 0..1 of shape (height, width, 3) or (batch, height, width, 3).
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the shape and dtype of `images`: red, green and blue.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, not 3 channels, or integers as elements, or
            `data_format` is unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> ops.image.hsv_to_rgb(np.array([[[0.5, 1.0, 1.0], [0.0, 0.0, 0.25]]])).tolist()
        [[[0.0, 1.0, 1.0], [0.25, 0.25, 0.25]]]
    """
    (hue, saturation, value), axis, dtype = _channels("hsv_to_rgb", images, data_format)
    sixths = hue * 6.0
    distances = [
        apply("abs", sixths - 3.0) - 1.0,
        2.0 - apply("abs", sixths - 2.0),
        2.0 - apply("abs", sixths - 4.0),
    ]
    parts = [
        ((1.0 - saturation) + saturation * apply("clip", d, min=0.0, max=1.0)) * value for d in distances
    ]
    return back_to(apply("concat", *parts, axis=axis), dtype)
