"""Filters of images as depthwise convolutions, with a choice of what lies beyond the borders."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import number
from cnnrs.ops.dispatch import apply, as_tensor
from cnnrs.ops.image.layout import check_choice
from cnnrs.ops.image.sampling import FILL_MODES
from cnnrs.ops.roots import root
from cnnrs.ops.special import arctan2

__all__ = ["OUTPUTS", "check_border", "constant", "extended", "filtered", "of_slopes"]

# What becomes of a pair of derivatives.
OUTPUTS = ("magnitude", "direction", "x", "y", "xy")
# The names that numpy has for what lies beyond the ends of an axis.
_OF_NUMPY: dict[str, Any] = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap"}


def check_border(owner: str, fill_mode: str, fill_value: Any) -> float:
    """The value of a constant border.

    Raises:
        ValueError: The mode is unknown, or the value is no number.
    """
    check_choice(owner, "fill_mode", fill_mode, FILL_MODES)
    return number(fill_value, owner, "fill_value")


def constant(kernel: np.ndarray, x: Any) -> Any:
    """A kernel as a tensor of the type of what it filters, float32 or float64."""
    return as_tensor(kernel.astype(x.dtype))


def extended(x: Any, margins: tuple[tuple[int, int], ...], fill_mode: str, fill_value: float) -> Any:
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
            raise ValueError(f"images: expected pixels to extend, received shape {tuple(x.shape)}")
        if before or after:
            index = np.pad(np.arange(extent, dtype=np.int32), (before, after), mode=_OF_NUMPY[fill_mode])
            # The margins alone are gathered: the image between them is copied as it is.
            ends = (index[:before], index[before + extent :])
            first, last = (apply("gather", x, end, axis=axis) if len(end) else None for end in ends)
            x = apply("concat", *[part for part in (first, x, last) if part is not None], axis=axis)
    return x


def filtered(x: Any, kernel: Any, fill_mode: str, fill_value: float) -> Any:
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
    return _inside(extended(x, margins, fill_mode, fill_value), kernel)


def _inside(x: Any, kernel: Any) -> Any:
    """Images filtered channel by channel, where the window lies inside."""
    rows, columns, _, filters = kernel.shape
    channels = x.shape[-1]
    kernel = apply("broadcast_to", kernel, shape=[rows, columns, channels, filters])
    kernel = apply("reshape", kernel, shape=[rows, columns, 1, channels * filters])
    options = {"strides": [1, 1], "padding": "valid", "dilation": [1, 1], "groups": channels}
    return apply("conv2d", x, kernel, **options)


def of_slopes(x: Any, kernel: Any, output: str, fill_mode: str, fill_value: float) -> Any:
    """What is asked of the derivatives of images: one of `OUTPUTS`.

    Args:
        x: (batch, height, width, channels), floats.
        kernel: The kernels of the change to the right and of that downwards, (3, 3, channels or 1, 2).
        output: What is asked.
        fill_mode: What lies beyond the borders.
        fill_value: That, where it is constant.
    """
    x = extended(x, ((1, 1), (1, 1)), fill_mode, fill_value)
    # Two convolutions with what follows fused into the second: one of two filters a channel would be apart.
    right, down = (
        _inside(x, kernel[..., i : i + 1]) if output != other else None for i, other in ((0, "y"), (1, "x"))
    )
    if output in ("x", "y"):
        return right if down is None else down
    if output == "xy":
        return apply("concat", right, down, axis=-1)
    squares = apply("square", right) + apply("square", down)
    if output == "magnitude":
        return root(squares)
    # A flat place has no direction: 0, and no gradient.
    flat = apply("equal", squares, 0.0)
    return apply("where", flat, 0.0, arctan2(down, apply("where", flat, 1.0, right)))
