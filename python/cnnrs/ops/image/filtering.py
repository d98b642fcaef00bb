"""Filters of images as depthwise convolutions, with a choice of what lies beyond the borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs.base.arguments import choice, number
from cnnrs.ops.dispatch import apply, as_tensor
from cnnrs.ops.image.sampling import FILL_MODES
from cnnrs.ops.roots import root
from cnnrs.ops.special import arctan2

__all__ = ["OUTPUTS", "check_border", "constant", "extended", "filtered", "in_rows", "of_slopes"]

# What becomes of a pair of derivatives.
OUTPUTS = ("magnitude", "direction", "x", "y", "xy")
# The names that numpy has for what lies beyond the ends of an axis.
_OF_NUMPY: dict[str, Any] = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap"}


def check_border(owner: str, fill_mode: str, fill_value: Any) -> float:
    """The value of a constant border.

    Raises:
        ValueError: The mode is unknown, or the value is no number.
    """
    choice(fill_mode, owner, "fill_mode", FILL_MODES)
    return number(fill_value, owner, "fill_value")


def constant(kernel: np.ndarray, x: Any) -> Any:
    """A kernel as a tensor of the type of what it filters, float32 or float64."""
    return as_tensor(kernel.astype(x.dtype))


def extended(
    owner: str, x: Any, margins: tuple[tuple[int, int], ...], fill_mode: str, fill_value: float
) -> Any:
    """Images (batch, height, width, channels) with rows and columns around them.

    Raises:
        ValueError: There is no pixel to repeat.
    """
    if fill_mode == "constant":
        sides = [[0, 0], *map(list, margins), [0, 0]]
        return apply("pad", x, paddings=sides, value=float(fill_value))
    for axis, (before, after) in enumerate(margins, 1):
        extent = x.shape[axis]
        if not extent:
            raise ValueError(f"{owner}: images: expected pixels to extend, received shape {tuple(x.shape)}")
        if before or after:
            index = np.pad(np.arange(extent, dtype=np.int32), (before, after), mode=_OF_NUMPY[fill_mode])
            # The margins alone are gathered: the image between them is copied as it is.
            ends = (index[:before], index[before + extent :])
            first, last = (apply("gather", x, end, axis=axis) if len(end) else None for end in ends)
            x = apply("concat", *[part for part in (first, x, last) if part is not None], axis=axis)
    return x


def in_rows(function: Callable[..., Any], *images: Any) -> Any:
    """A pointwise function of images, computed in rows of all columns where there are few channels.

    It would be fused into the convolution that makes them, which is slow where a pixel has a single channel:
    17 ms instead of 4 for an `unsharp_mask` of 512 x 512 pixels.
    """
    batch, height, width, channels = images[0].shape
    if channels > 2:
        return function(*images)
    rows = [apply("reshape", x, shape=[batch, height, width * channels]) for x in images]
    return apply("reshape", function(*rows), shape=[batch, height, width, channels])


def filtered(owner: str, x: Any, kernel: Any, fill_mode: str, fill_value: float) -> Any:
    """Images filtered channel by channel, of the same height and width.

    Args:
        x: (batch, height, width, channels), floats.
        kernel: (rows, columns, channels, filters), or with 1 in the place of the channels.
        fill_mode: What lies beyond the borders.
        fill_value: That, where it is constant.

    Returns:
        (batch, height, width, channels * filters): the results of a channel beside each other.
    """
    margins = tuple(((n - 1) // 2, n - 1 - (n - 1) // 2) for n in kernel.shape[:2])
    return _inside(extended(owner, x, margins, fill_mode, fill_value), kernel)


def _inside(x: Any, kernel: Any) -> Any:
    """Images filtered channel by channel, where the window lies inside."""
    rows, columns, _, filters = kernel.shape
    channels = x.shape[-1]
    kernel = apply("broadcast_to", kernel, shape=[rows, columns, channels, filters])
    kernel = apply("reshape", kernel, shape=[rows, columns, 1, channels * filters])
    options = {"strides": [1, 1], "padding": "valid", "dilation": [1, 1], "groups": channels}
    return apply("conv2d", x, kernel, **options)


def of_slopes(owner: str, x: Any, kernel: Any, output: str, fill_mode: str, fill_value: float) -> Any:
    """What is asked of the derivatives of images: one of `OUTPUTS`.

    Args:
        x: (batch, height, width, channels), floats.
        kernel: The kernels of the change to the right and of that downwards, (3, 3, channels or 1, 2).
        output: What is asked.
        fill_mode: What lies beyond the borders.
        fill_value: That, where it is constant.
    """
    x = extended(owner, x, ((1, 1), (1, 1)), fill_mode, fill_value)
    # Two convolutions with what follows fused into the second: one of two filters a channel would be apart.
    right, down = (
        _inside(x, kernel[..., i : i + 1]) if output != other else None for i, other in ((0, "y"), (1, "x"))
    )
    if output in ("x", "y"):
        return right if down is None else down
    if output == "xy":
        return apply("concat", right, down, axis=-1)
    return in_rows(_magnitude if output == "magnitude" else _direction, right, down)


def _magnitude(right: Any, down: Any) -> Any:
    """The length of slopes; of those of length 0, the gradient is 0."""
    return root(apply("square", right) + apply("square", down))


def _direction(right: Any, down: Any) -> Any:
    """The angle of slopes. A flat place has none: 0, and no gradient."""
    flat = apply("equal", apply("square", right) + apply("square", down), 0.0)
    return apply("where", flat, 0.0, arctan2(down, apply("where", flat, 1.0, right)))
