"""Products and sums of vectors besides those of matrices: cross products, correlation, areas."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.ops.dispatch import apply, as_float, as_floats, as_tensor, in_float32, op, standardize_axis
from cnnrs.ops.matrix_products import matmul
from cnnrs.ops.shapes import moveaxis

__all__ = ["corrcoef", "correlate", "cross", "kron", "trapezoid"]


@op
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """Computes the cross product of vectors of 3 elements; of 2, the third counts as 0.

    Args:
        x1: Tensor with an axis of extent 2 or 3.
        x2: Tensor with an axis of extent 2 or 3, whose other axes broadcast with those of `x1`.
        axisa: The axis of the vectors of `x1`, the last by default.
        axisb: The axis of the vectors of `x2`, the last by default.
        axisc: The axis of the vectors of the result, the last by default.
        axis: All three axes at once; None, the default, for those given apart.

    Returns:
        Tensor of the common dtype; without the axis of vectors if both have 2 elements.

    Raises:
        TypeError: An argument is not numeric, or an axis is no integer.
        ValueError: An axis is out of range or has another extent, or shapes do not broadcast.

    Example:
        >>> from cnnrs import ops
        >>> ops.cross([1, 0, 0], [0, 1, 0]).tolist()
        [0, 0, 1]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x1, x2 = as_tensor(x1), as_tensor(x2)
    x1 = moveaxis(x1, standardize_axis(axisa, x1.ndim, "axisa"), -1)
    x2 = moveaxis(x2, standardize_axis(axisb, x2.ndim, "axisb"), -1)
    if x1.shape[-1] not in (2, 3) or x2.shape[-1] not in (2, 3):
        raise ValueError(
            "cross: expected 2 or 3 as the extent of the axes of vectors (both must be either 2 or 3), "
            f"received shapes {x1.shape} and {x2.shape}"
        )
    flat = x1.shape[-1] == x2.shape[-1] == 2
    zero_1, zero_2 = (apply("sub", x[..., 0], x[..., 0]) for x in (x1, x2))
    a = [x1[..., i] if i < x1.shape[-1] else zero_1 for i in range(3)]
    b = [x2[..., i] if i < x2.shape[-1] else zero_2 for i in range(3)]

    def part(i: int, j: int) -> Any:
        return apply("sub", apply("mul", a[i], b[j]), apply("mul", a[j], b[i]))

    if flat:
        return part(0, 1)
    parts = [part(1, 2), part(2, 0), part(0, 1)]
    result = apply("concat", *(apply("expand_dims", p, axis=p.ndim) for p in parts), axis=parts[0].ndim)
    return moveaxis(result, -1, standardize_axis(axisc, result.ndim, "axisc"))


@op
def kron(x1: Any, x2: Any) -> Any:
    """Computes the Kronecker product: each element of `x1` times the whole of `x2`.

    Args:
        x1: Tensor of any shape and dtype.
        x2: Tensor of any shape and dtype.

    Returns:
        Tensor of the common dtype, whose extents are the products of the arguments', aligned at the last
        axis.

    Raises:
        TypeError: An argument is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.kron([[1, 2]], [[1, 1], [0, 1]]).tolist()
        [[1, 1, 2, 2], [0, 1, 0, 2]]
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    rank = max(x1.ndim, x2.ndim)
    a, b = ([1] * (rank - x.ndim) + list(x.shape) for x in (x1, x2))
    left = apply("reshape", x1, shape=[n for extent in a for n in (extent, 1)])
    right = apply("reshape", x2, shape=[n for extent in b for n in (1, extent)])
    product = apply("mul", left, right)
    if x1.dtype == x2.dtype == "bool":
        product = product.astype("bool")
    return apply("reshape", product, shape=[m * n for m, n in zip(a, b, strict=True)])


@op
@in_float32
def corrcoef(x: Any) -> Any:
    """Computes Pearson's coefficients of correlation between rows.

    Args:
        x: Tensor of at most two axes: a variable a row, an observation a column.

    Returns:
        float32 tensor with a row and a column for each variable; NaN for one that does not vary.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has more than two axes.

    Example:
        >>> from cnnrs import ops
        >>> ops.round(ops.corrcoef([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), 4).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = as_float(x)
    if x.ndim > 2:
        raise ValueError(f"corrcoef: x: expected at most 2 axes, received shape {x.shape}")
    single = x.ndim < 2
    rows = apply("reshape", x, shape=[1, -1]) if single else x
    apart = apply("sub", rows, apply("mean", rows, axes=[1], keepdims=True))
    products = matmul(apart, apply("transpose", apart, perm=[1, 0]))
    lengths = apply("sqrt", apply("sum", apply("square", apart), axes=[1], keepdims=True))
    scaled = apply("div", apply("div", products, lengths), apply("transpose", lengths, perm=[1, 0]))
    scaled = apply("clip", scaled, min=-1.0, max=1.0)
    return apply("reshape", scaled, shape=[]) if single else scaled


@op
@in_float32
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Any:
    """Computes the cross-correlation of two vectors.

    Args:
        x1: Tensor of one axis, not empty.
        x2: Tensor of one axis, not empty.
        mode: "valid", the default, for the places where both overlap wholly; "same" for as many as the longer
            has; "full" for all where they overlap at all.

    Returns:
        float32 tensor of one axis.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: One has not one axis or is empty, or `mode` is unknown.

    Example:
        >>> from cnnrs import ops
        >>> ops.correlate([1.0, 2.0, 3.0], [0.0, 1.0, 0.5]).tolist()
        [3.5]
    """
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"correlate: mode: expected 'valid', 'same' or 'full', received {mode!r}")
    x1, x2 = as_floats(x1, x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(
            f"correlate: expected one axis (1-D) each, received shapes {x1.shape} and {x2.shape}"
        )
    if 0 in (x1.shape[0], x2.shape[0]):
        raise ValueError(f"correlate: expected elements, received shapes {x1.shape} and {x2.shape}")
    swapped = x1.shape[0] < x2.shape[0]
    long, short = (x2, x1) if swapped else (x1, x2)
    m = short.shape[0]
    border = {"valid": (0, 0), "full": (m - 1, m - 1), "same": (m // 2, m - 1 - m // 2)}[mode]
    padded = apply("pad", long, paddings=[list(border)], value=0.0)
    count = padded.shape[0] - m + 1
    windows = np.arange(count, dtype=np.int32)[:, None] + np.arange(m, dtype=np.int32)
    rows = apply("gather", padded, windows, axis=0)
    result = apply("reshape", matmul(rows, apply("reshape", short, shape=[m, 1])), shape=[count])
    return apply("flip", result, axes=[0]) if swapped else result


@op
@in_float32
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """Computes the area under points that are joined by lines.

    Args:
        y: Tensor of at least one axis: the values.
        x: Tensor of the places of the values, of the shape of `y` or of its axis; None, the default, for
            distances `dx`.
        dx: The distance between places.
        axis: The axis, the last by default.

    Returns:
        float32 tensor of the shape of `y` without the axis.

    Raises:
        TypeError: An argument is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or the shapes do not fit.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.trapezoid([1.0, 2.0, 3.0])), float(ops.trapezoid([1.0, 3.0], x=[0.0, 4.0]))
        (4.0, 8.0)
    """
    y = as_float(y)
    axis = standardize_axis(axis, y.ndim)
    y = moveaxis(y, axis, -1)
    if x is None:
        width: Any = as_floats(y, dx)[1]
    else:
        x = as_float(x)
        x = moveaxis(x, axis, -1) if x.ndim == y.ndim else x
        width = apply("sub", x[..., 1:], x[..., :-1])
    heights = apply("mul", apply("add", y[..., 1:], y[..., :-1]), 0.5)
    areas = apply("mul", heights, width)
    return apply("sum", areas, axes=[areas.ndim - 1], keepdims=False)
