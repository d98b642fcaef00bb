"""Elements taken by index, and the diagonals and triangles of matrices."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.ops.dispatch import (
    apply,
    as_index,
    as_tensor,
    in_float32,
    op,
    standardize_axis,
)
from cnnrs.ops.shapes import _moveaxis

__all__ = [
    "diagonal",
    "get_item",
    "take",
    "take_along_axis",
    "trace",
    "tril",
    "triu",
]


@op
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Picks the slices of an axis that indices name.

    The gradient of an element that is picked several times is the sum over its copies.

    Args:
        x: Tensor of any shape and dtype.
        indices: Tensor of any shape; other dtypes are converted to int32. Negative indices count from the
            end.
        axis: The axis; None, the default, makes `x` flat first.

    Returns:
        Tensor of the dtype of `x` and of its shape, with the shape of `indices` in place of the axis.

    Raises:
        TypeError: `x` or `indices` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or an index is not from `-extent` to `extent - 1`. The latter is
            found when the result is computed.
        OverflowError: An index does not fit into int32.

    Example:
        >>> from cnnrs import ops
        >>> ops.take([10, 20, 30], [0, -1]).tolist()
        [10, 30]
        >>> ops.take([[1, 2], [3, 4]], [[1, 0]], axis=1).shape
        (2, 1, 2)
    """
    x, indices = as_tensor(x), as_index(indices)
    if axis is None:
        x, axis = apply("reshape", x, shape=[-1]), 0
    axis = standardize_axis(axis, x.ndim)
    return apply("gather", x, indices, axis=axis)


@op
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Picks one element per index along an axis, at the index's own place on the others.

    Args:
        x: Tensor of any shape and dtype.
        indices: Tensor with as many axes as `x` and extents that broadcast with its own, but for `axis`;
            other dtypes are converted to int32. Indices are from `-extent` to `extent - 1`.
        axis: The axis; None, the default, makes both flat first.

    Returns:
        Tensor of the dtype of `x`, with the broadcast extents but along `axis`, where it has that of
        `indices`.

    Raises:
        TypeError: `x` or `indices` is not numeric, or `axis` is no integer.
        ValueError: `indices` has another number of axes than `x` or extents that do not fit, `axis` is out of
            range, or an index is not from `-extent` to `extent - 1`. The last is found when the result is
            computed.

    Example:
        >>> from cnnrs import ops
        >>> x = [[3, 1], [2, 4]]
        >>> ops.take_along_axis(x, ops.argmax(x, axis=1, keepdims=True), axis=1).tolist()
        [[3], [4]]
    """
    x, indices = as_tensor(x), as_index(indices)
    if axis is None:
        x, indices, axis = apply("reshape", x, shape=[-1]), apply("reshape", indices, shape=[-1]), 0
    axis = standardize_axis(axis, x.ndim)
    if indices.ndim != x.ndim:
        raise ValueError(
            f"take_along_axis: indices: expected {x.ndim} axes, as in shape {x.shape}, "
            f"received shape {indices.shape}"
        )
    others = [1 if a == axis else n for a, n in enumerate(indices.shape)]
    wide = [1 if a == axis else n for a, n in enumerate(x.shape)]
    try:
        common = list(np.broadcast_shapes(tuple(others), tuple(wide)))
    except ValueError:
        raise ValueError(
            f"take_along_axis: indices: expected extents that broadcast with shape {x.shape}, received shape "
            f"{indices.shape}"
        ) from None
    if common != wide:
        x = apply("broadcast_to", x, shape=[x.shape[a] if a == axis else n for a, n in enumerate(common)])
    # Rows of the flat tensor: the element's place on the other axes, plus the index along this one.
    strides = [math.prod(x.shape[a + 1 :]) for a in range(x.ndim)]
    shape = [n if a == axis else x.shape[a] for a, n in enumerate(indices.shape)]
    places = np.zeros(shape, np.int32)
    for a in range(x.ndim):
        if a != axis:
            along = [-1 if b == a else 1 for b in range(x.ndim)]
            places = places + (np.arange(shape[a], dtype=np.int32) * strides[a]).reshape(along)
    indices = apply("broadcast_to", indices, shape=shape)
    # Counts negative indices from the end, and finds those out of range.
    indices = apply("gather", np.arange(x.shape[axis], dtype=np.int32), indices, axis=0)
    flat = apply("add", apply("mul", indices, strides[axis]), places)
    return apply("gather", apply("reshape", x, shape=[-1]), flat, axis=0)


@op
def get_item(x: Any, key: Any) -> Any:
    """Indexes a tensor as `x[key]` does.

    Args:
        x: Tensor of any shape and dtype.
        key: Integer, slice, `None`, `...`, an integer tensor that picks slices, or a tuple of these.

    Returns:
        Tensor of the dtype of `x`.

    Raises:
        TypeError: `x` or an index is not numeric, or an index is no integer.
        ValueError: A tensor of integers holds an index out of range, which is found when the result is
            computed.
        IndexError: An integer is out of range, there are more indices than axes, or an index is a tensor of
            bools, which would give a shape that depends on values.

    Example:
        >>> from cnnrs import ops
        >>> x = [[1, 2, 3], [4, 5, 6]]
        >>> ops.get_item(x, (slice(None), 1)).tolist(), int(ops.get_item(x, (0, -1)))
        ([2, 5], 3)
    """
    return as_tensor(x)[key]


@op
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Picks the diagonal of matrices.

    Args:
        x: Tensor of at least two axes, of any dtype.
        offset: Which diagonal: 0, the default, is the main one, positive numbers lie above it, negative ones
            below.
        axis1: The axis of the rows, the first by default.
        axis2: The axis of the columns, the second by default.

    Returns:
        Tensor of the dtype of `x`, without the two axes and with the diagonal along a new last one; it is
        empty where the diagonal lies outside.

    Raises:
        TypeError: `x` is not numeric, or an axis is no integer.
        ValueError: An axis is out of range, `axis1` and `axis2` are the same, or `offset` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> x = [[1, 2, 3], [4, 5, 6]]
        >>> ops.diagonal(x).tolist(), ops.diagonal(x, offset=1).tolist()
        ([1, 5], [2, 6])
    """
    return _diagonal("diagonal", as_tensor(x), offset, axis1, axis2)


def _diagonal(name: str, x: Any, offset: Any, axis1: Any, axis2: Any) -> Any:
    sources = [standardize_axis(axis1, x.ndim, "axis1"), standardize_axis(axis2, x.ndim, "axis2")]
    if sources[0] == sources[1]:
        raise ValueError(f"{name}: axis1, axis2: expected different axes, received {axis1} and {axis2}")
    offset = integer(offset, name, "offset")
    x = _moveaxis(x, sources, [x.ndim - 2, x.ndim - 1])
    rows, columns = x.shape[-2:]
    places = [r * columns + r + offset for r in range(rows) if 0 <= r + offset < columns]
    flat = apply("reshape", x, shape=[*x.shape[:-2], rows * columns])
    return apply("gather", flat, np.asarray(places, np.int32), axis=flat.ndim - 1)


@op
@in_float32
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Adds up the diagonal of matrices.

    Args:
        x: Tensor of at least two axes, of any dtype.
        offset: Which diagonal: 0, the default, is the main one, positive numbers lie above it, negative ones
            below.
        axis1: The axis of the rows, the first by default.
        axis2: The axis of the columns, the second by default.

    Returns:
        Tensor without the two axes, of the dtype of `x`, or int32 for uint8 and bool; 0 where the diagonal
        lies outside.

    Raises:
        TypeError: `x` is not numeric, or an axis is no integer.
        ValueError: An axis is out of range, `axis1` and `axis2` are the same, or `offset` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.trace([[1, 2], [3, 4]]))
        5
    """
    d = _diagonal("trace", as_tensor(x), offset, axis1, axis2)
    return apply("sum", d, axes=[d.ndim - 1], keepdims=False)


def _lower(x: Any, k: Any, name: str, above: int) -> np.ndarray:
    """Whether an element of the matrices of `x` lies on diagonal `k + above` or below."""
    k = integer(k, name, "k")
    if x.ndim < 2:
        raise ValueError(f"{name}: x: expected at least two axes, received shape {x.shape}")
    rows, columns = x.shape[-2:]
    return np.tri(rows, columns, builtins.max(-rows, min(k + above, columns)), dtype=bool)


@op
def tril(x: Any, k: int = 0) -> Any:
    """Keeps the lower triangle of matrices and sets the elements above a diagonal to 0.

    Args:
        x: Tensor of at least two axes, of any dtype; the last two hold the matrices.
        k: Which diagonal: 0, the default, is the main one, positive numbers lie above it, negative ones
            below.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has fewer than two axes, or `k` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.tril([[1, 2], [3, 4]]).tolist(), ops.tril([[1, 2], [3, 4]], k=-1).tolist()
        ([[1, 0], [3, 4]], [[0, 0], [3, 0]])
    """
    x = as_tensor(x)
    keep = _lower(x, k, "tril", 0)
    return apply("where", keep, x, np.zeros((), x.dtype))


@op
def triu(x: Any, k: int = 0) -> Any:
    """Keeps the upper triangle of matrices and sets the elements below a diagonal to 0.

    Args:
        x: Tensor of at least two axes, of any dtype; the last two hold the matrices.
        k: Which diagonal: 0, the default, is the main one, positive numbers lie above it, negative ones
            below.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has fewer than two axes, or `k` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.triu([[1, 2], [3, 4]]).tolist(), ops.triu([[1, 2], [3, 4]], k=-1).tolist()
        ([[1, 2], [0, 4]], [[1, 2], [3, 4]])
    """
    x = as_tensor(x)
    keep = ~_lower(x, k, "triu", -1)
    return apply("where", keep, x, np.zeros((), x.dtype))
