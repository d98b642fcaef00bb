"""Values between pixels: arrays read at coordinates that are no integers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnrs.ops.comparisons import where
from cnnrs.ops.dispatch import apply
from cnnrs.ops.image.layout import filling

__all__ = ["FILL_MODES", "INTERPOLATIONS", "sample"]

FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
# By order.
INTERPOLATIONS = ("nearest", "bilinear")


def _nodes(coordinate: Any, order: int) -> list[tuple[Any, Any]]:
    """The elements beside a coordinate, as int32, with their weights; None where there is one alone."""
    if order == 0:
        # Halves are rounded away from zero.
        down, up = apply("ceil", coordinate - 0.5), apply("floor", coordinate + 0.5)
        return [(where(coordinate < 0.0, down, up).astype("int32"), None)]
    low = apply("floor", coordinate)
    weight = coordinate - apply("stop_gradient", low)
    index = low.astype("int32")
    return [(index, 1.0 - weight), (index + 1, weight)]


def _inside(index: Any, extent: int, fill_mode: str) -> Any:
    """The element that stands for one beyond the ends of an axis."""
    if extent > 1 and fill_mode == "mirror":
        around = index % (2 * extent - 2)
        return where(around >= extent, (2 * extent - 2) - around, around)
    if fill_mode == "reflect":
        around = index % (2 * extent)
        return where(around >= extent, (2 * extent - 1) - around, around)
    if fill_mode == "wrap":
        return index % extent
    return apply("minimum", apply("maximum", index, 0), extent - 1)


def sample(
    values: Any,
    coordinates: Sequence[Any],
    extents: Sequence[int],
    order: int,
    fill_mode: str,
    fill_value: Any,
    start: Any = 0,
) -> Any:
    """Elements of an array at coordinates.

    Args:
        values: The array with the sampled axes as one in front, and at most one axis behind them.
        coordinates: For each sampled axis a tensor of floats; all of one shape.
        extents: The extents of the sampled axes.
        order: 0 for the nearest element, 1 to interpolate linearly.
        fill_mode: What lies outside, one of `FILL_MODES`.
        fill_value: What lies outside where that is "constant".
        start: Where the array starts in `values`, an int32 tensor whose shape broadcasts with theirs.

    Returns:
        Tensor of the dtype of `values`, which are floats if the order is 1.
    """
    strides = [int(np.prod(extents[i + 1 :], dtype=np.int64)) for i in range(len(extents))]
    axes = []
    for coordinate, extent, stride in zip(coordinates, extents, strides, strict=True):
        nodes = []
        for index, weight in _nodes(coordinate, order):
            constant = fill_mode == "constant"
            fits = apply("logical_and", index >= 0, index < extent) if constant else None
            nodes.append((_inside(index, extent, fill_mode) * stride, weight, fits))
        axes.append(nodes)
    several = values.ndim > 1
    fill = filling(fill_value, values.dtype)

    def spread(x: Any) -> Any:
        return apply("expand_dims", x, axis=-1) if several else x

    total: Any = None
    for corner in itertools.product(*axes):
        place: Any = start
        share: Any = None
        valid: Any = None
        for index, weight, fits in corner:
            place = index + place
            share = weight if share is None else share * weight
            valid = fits if valid is None else apply("logical_and", valid, fits)
        found = apply("gather", values, place, axis=0)
        if valid is not None:
            found = where(spread(valid), found, fill)
        found = found if share is None else found * spread(share).astype(found.dtype)
        total = found if total is None else total + found
    return total
