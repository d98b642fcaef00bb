"""Distances between vectors, and projections."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.ops.dispatch import apply, as_float, in_float32, op, standardize_axis
from cnnrs.ops.roots import root
from cnnrs.ops.scans import cumsum

__all__ = ["cdist", "sparsemax"]


@op
@in_float32
def cdist(x: Any, y: Any) -> Any:
    """Computes the Euclidean distance of each vector of one tensor from each of another.

    The gradient is 0 where a distance is 0.

    Args:
        x: Vectors, a tensor of shape (..., m, d); other dtypes are converted to float32.
        y: Vectors, a tensor of shape (..., n, d), converted likewise. The axes in front broadcast.

    Returns:
        float32 tensor of shape (..., m, n).

    Raises:
        TypeError: `x` or `y` is not numeric.
        ValueError: One has fewer than two axes, or the lengths of the vectors differ.

    Example:
        >>> from cnnrs import ops
        >>> ops.cdist([[0.0, 0.0], [3.0, 4.0]], [[3.0, 0.0]]).tolist()
        [[3.0], [4.0]]
    """
    x, y = as_float(x), as_float(y)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"cdist: x, y: expected shapes (..., m, d) and (..., n, d), received {x.shape} and {y.shape}"
        )
    gap = apply("sub", apply("expand_dims", x, axis=-2), apply("expand_dims", y, axis=-3))
    return root(apply("sum", apply("square", gap), axes=[-1], keepdims=False))


@op
@in_float32
def sparsemax(x: Any, axis: int = -1) -> Any:
    """Maps the elements along an axis to the nearest probabilities, of which many are 0.

    It is `relu(x - t)` with the t for which the sum is 1 (Martins and Astudillo, arXiv:1602.02068).

    Args:
        x: Tensor of at least one axis; other dtypes are converted to float32.
        axis: The axis, the last one by default.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.sparsemax([1.0, 0.5, -1.0]).tolist()
        [0.75, 0.25, 0.0]
    """
    x = as_float(x)
    axis = standardize_axis(axis, x.ndim)
    last = [*(a for a in range(x.ndim) if a != axis), axis]
    if x.shape[axis] == 0:
        return x
    rows = apply("transpose", x, perm=last)
    n = rows.shape[-1]
    flat = apply("reshape", apply("stop_gradient", rows), shape=[-1, n])
    order = apply("argsort", flat, axis=-1, descending=True)
    first = np.arange(flat.shape[0], dtype=np.int32)[:, None] * n
    falling = apply("gather", apply("reshape", flat, shape=[-1]), apply("add", order, first), axis=0)
    # The largest k for which the k-th largest lies above the t of the k largest.
    counts = np.arange(1, n + 1, dtype=np.float32)
    bounds = apply("div", apply("sub", cumsum(falling, axis=-1), 1.0), counts)
    k = apply("sum", apply("greater", falling, bounds).astype("int32"), axes=[-1], keepdims=True)
    place = apply("add", apply("sub", k, 1), first)
    least = apply("gather", apply("reshape", falling, shape=[-1]), place, axis=0)
    support = apply("greater_equal", rows, apply("reshape", least, shape=[*rows.shape[:-1], 1]))
    many = apply("sum", support.astype("float32"), axes=[-1], keepdims=True)
    total = apply("sum", apply("where", support, rows, 0.0), axes=[-1], keepdims=True)
    y = apply("relu", apply("sub", rows, apply("div", apply("sub", total, 1.0), many)))
    return apply("transpose", y, perm=[last.index(a) for a in range(x.ndim)])
