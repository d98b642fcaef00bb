"""Products of matrices and of tensors over axes."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

from cnnrs.base.arguments import integer
from cnnrs.base.dtypes import STORED, result_type
from cnnrs.ops.dispatch import (
    apply,
    as_tensor,
    in_float32,
    op,
    standardize_axes,
)

__all__ = [
    "dot",
    "inner",
    "matmul",
    "outer",
    "tensordot",
    "vdot",
]


@op
def matmul(x1: Any, x2: Any) -> Any:
    """Multiplies matrices that lie along the last two axes.

    Args:
        x1: Tensor of shape (..., rows, inner), or (inner) for a row.
        x2: Tensor of shape (..., inner, columns), or (inner) for a column. The axes in front broadcast.

    Returns:
        Tensor of shape (..., rows, columns), without `rows` or `columns` where a vector is given. It is int32
        if neither argument has floats, bool if both are bools, else float32.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The inner extents differ, the axes in front do not broadcast, or an argument has no axis.

    Example:
        >>> from cnnrs import ops
        >>> ops.matmul([[1, 2], [3, 4]], [[1, 0], [1, 1]]).tolist(), float(ops.matmul([1.0, 2.0], [3, 4]))
        ([[3, 2], [7, 4]], 11.0)
    """
    return _in_common_type(_matmul, x1, x2)


def _in_common_type(function: Callable[[Any, Any], Any], x1: Any, x2: Any) -> Any:
    """A sum of products in the common type of both; of bools whether it differs from 0."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    common = result_type(x1.dtype, x2.dtype)
    if common == "bool":
        return function(x1.astype("int32"), x2.astype("int32")).astype("bool")
    if common in STORED:
        return function(x1, x2).astype(common)
    return function(x1.astype(common), x2.astype(common))


def _matmul(x1: Any, x2: Any) -> Any:
    return apply("matmul", x1, x2)


@op
def dot(x1: Any, x2: Any) -> Any:
    """Sums products over the last axis of `x1` and the last but one of `x2`, as numpy's `dot` does.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype. Of a vector its only axis counts.

    Returns:
        Tensor of the other extents of `x1`, followed by those of `x2`, of the dtype that `matmul` gives. If
        one of the two is a number, their product.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The extents of the two axes differ.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.dot([1, 2], [3, 4])), ops.dot(2, [1, 2]).tolist()
        (11, [2, 4])
        >>> ops.dot(ops.ones((2, 3)), ops.ones((4, 3, 5))).shape
        (2, 4, 5)
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if x1.ndim == 0 or x2.ndim == 0:
        return _in_common_type(_mul, x1, x2)
    return _tensordot("dot", x1, x2, [x1.ndim - 1], [builtins.max(x2.ndim - 2, 0)])


def _mul(x1: Any, x2: Any) -> Any:
    return apply("mul", x1, x2)


@op
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Sums products over axes of two tensors.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype.
        axes: A number n, 2 by default, for the last n axes of `x1` with the first n of `x2`; or a pair of
            axes or of sequences of them, of `x1` and of `x2`.

    Returns:
        Tensor of the other extents of `x1`, followed by those of `x2`, of the dtype that `matmul` gives.

    Raises:
        TypeError: `x1` or `x2` is not numeric, or `axes` holds something other than integers.
        ValueError: The extents of the axes differ, an axis is out of range or named twice, or `axes` is
            neither an integer nor a pair.

    Example:
        >>> from cnnrs import ops
        >>> ops.tensordot(ops.ones((2, 3, 4)), ops.ones((3, 4, 5))).shape
        (2, 5)
        >>> ops.tensordot([[1, 2], [3, 4]], [[1, 2], [3, 4]], axes=[[0], [0]]).tolist()
        [[10, 14], [14, 20]]
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if not hasattr(axes, "__iter__") or getattr(axes, "ndim", 1) == 0:
        axes = integer(axes, "tensordot", "axes")
        most = builtins.min(x1.ndim, x2.ndim)
        if not 0 <= axes <= most:
            raise ValueError(
                f"tensordot: axes: expected 0 to {most} for shapes {x1.shape} and {x2.shape}, received {axes}"
            )
        first, second = list(range(x1.ndim - axes, x1.ndim)), list(range(axes))
    else:
        if len(axes) != 2:
            raise ValueError(
                f"tensordot: axes: expected an integer or axes of both tensors, received {axes!r}"
            )
        first = standardize_axes(axes[0], x1.ndim, "axes") or []
        second = standardize_axes(axes[1], x2.ndim, "axes") or []
    return _tensordot("tensordot", x1, x2, first, second)


def _tensordot(name: str, x1: Any, x2: Any, first: list[int], second: list[int]) -> Any:
    extents = [[x.shape[a] for a in axes] for x, axes in ((x1, first), (x2, second))]
    if extents[0] != extents[1]:
        raise ValueError(
            f"{name}: x1, x2: expected equal extents of the axes {first} and {second}, received shapes "
            f"{x1.shape} and {x2.shape}"
        )
    kept1 = [a for a in range(x1.ndim) if a not in first]
    kept2 = [a for a in range(x2.ndim) if a not in second]
    shape1, shape2 = [x1.shape[a] for a in kept1], [x2.shape[a] for a in kept2]
    size = math.prod(x1.shape[a] for a in first)
    left = apply("reshape", apply("transpose", x1, perm=kept1 + first), shape=[math.prod(shape1), size])
    right = apply("reshape", apply("transpose", x2, perm=second + kept2), shape=[size, math.prod(shape2)])
    return apply("reshape", _in_common_type(_matmul, left, right), shape=shape1 + shape2)


@op
@in_float32
def inner(x1: Any, x2: Any) -> Any:
    """Sums products over the last axes of two tensors.

    Args:
        x1: Tensor of any dtype.
        x2: Tensor of any dtype with the same last extent. A scalar is multiplied with the other.

    Returns:
        Tensor of the other extents of `x1`, followed by those of `x2`, of the dtype that `matmul` gives.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The last extents differ.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.inner([1, 2], [3, 4])), ops.inner([[1, 2], [3, 4]], [1, 1]).tolist()
        (11, [3, 7])
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if x1.ndim == 0 or x2.ndim == 0:
        return _in_common_type(_mul, x1, x2)
    return _tensordot("inner", x1, x2, [x1.ndim - 1], [x2.ndim - 1])


@op
@in_float32
def outer(x1: Any, x2: Any) -> Any:
    """Multiplies all pairs of elements of two tensors.

    Args:
        x1: Tensor of any dtype, which is made flat.
        x2: Tensor of any dtype, which is made flat.

    Returns:
        Tensor of shape (size of x1, size of x2) and of the arguments' common dtype; two bools are multiplied
        as int32.

    Raises:
        TypeError: `x1` or `x2` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.outer([1, 2], [3, 4, 5]).tolist()
        [[3, 4, 5], [6, 8, 10]]
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    return apply("mul", apply("reshape", x1, shape=[-1, 1]), apply("reshape", x2, shape=[1, -1]))


@op
@in_float32
def vdot(x1: Any, x2: Any) -> Any:
    """Sums the products of the elements of two tensors.

    Args:
        x1: Tensor of any dtype, which is made flat.
        x2: Tensor of any dtype with as many elements.

    Returns:
        Tensor of shape (), of the dtype that `matmul` gives.

    Raises:
        TypeError: `x1` or `x2` is not numeric.
        ValueError: The numbers of elements differ.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.vdot([[1.0, 2.0], [3.0, 4.0]], [[1, 1], [1, 1]]))
        10.0
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if x1.size != x2.size:
        raise ValueError(
            f"vdot: x1, x2: expected as many elements in both, received shapes {x1.shape} and {x2.shape}"
        )
    flat = [apply("reshape", x, shape=[-1]) for x in (x1, x2)]
    return _in_common_type(_matmul, *flat)
