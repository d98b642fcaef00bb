"""Sums, means, extremes and products over axes; products of matrices."""

from __future__ import annotations

import builtins
import math
from typing import Any

from cnnrs.base.dtypes import standardize_dtype
from cnnrs.ops.dispatch import (
    apply,
    as_bool,
    as_countable,
    as_float,
    as_tensor,
    op,
    standardize_axes,
    standardize_axis,
)

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "dot",
    "inner",
    "matmul",
    "max",
    "mean",
    "min",
    "outer",
    "prod",
    "ptp",
    "std",
    "sum",
    "tensordot",
    "var",
    "vdot",
]


def _reduce(name: str, x: Any, axis: Any, keepdims: bool) -> Any:
    return apply(name, x, axes=standardize_axes(axis, x.ndim), keepdims=bool(keepdims))


@op
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over `axis`, over everything if it is None."""
    return _reduce("sum", as_countable(x), axis, keepdims)


@op
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean over `axis`, as float32."""
    return _reduce("mean", as_float(x), axis, keepdims)


@op
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Product over `axis`."""
    x = as_countable(x)
    if dtype is not None:
        x = x.astype(standardize_dtype(dtype))
    return _reduce("prod", x, axis, keepdims)


def _initial(name: str, result: Any, initial: Any) -> Any:
    return result if initial is None else apply(name, result, initial)


@op
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Largest element over `axis`."""
    return _initial("maximum", _reduce("max", as_tensor(x), axis, keepdims), initial)


@op
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Smallest element over `axis`."""
    return _initial("minimum", _reduce("min", as_tensor(x), axis, keepdims), initial)


@op
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest element over `axis`."""
    return _reduce("max", as_tensor(x), axis, keepdims)


@op
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Smallest element over `axis`."""
    return _reduce("min", as_tensor(x), axis, keepdims)


@op
def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest less smallest element."""
    x = as_tensor(x)
    return apply("sub", _reduce("max", x, axis, keepdims), _reduce("min", x, axis, keepdims))


@op
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether one element is true."""
    return _reduce("any", as_bool(x), axis, keepdims)


@op
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements are true."""
    return _reduce("all", as_bool(x), axis, keepdims)


@op
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Biased variance."""
    return _reduce("variance", as_float(x), axis, keepdims)


@op
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Square root of the biased variance."""
    return apply("sqrt", _reduce("variance", as_float(x), axis, keepdims))


@op
def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """Weighted mean."""
    x = as_float(x)
    if weights is None:
        return _reduce("mean", x, axis, False)
    weights = as_float(weights)
    if weights.shape != x.shape:
        if weights.ndim != 1 or axis is None:
            raise ValueError(
                f"average: weights: expected shape {x.shape} or one axis, received {weights.shape}"
            )
        place = standardize_axis(axis, x.ndim)
        shape = [-1 if a == place else 1 for a in range(x.ndim)]
        weights = apply("broadcast_to", apply("reshape", weights, shape=shape), shape=list(x.shape))
    return apply(
        "div", _reduce("sum", apply("mul", x, weights), axis, False), _reduce("sum", weights, axis, False)
    )


@op
def count_nonzero(x: Any, axis: Any = None) -> Any:
    """Number of elements that are not 0, as int32."""
    return _reduce("sum", apply("not_equal", as_tensor(x), 0).astype("int32"), axis, False)


@op
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the first largest element, as int32."""
    return _arg("argmax", as_tensor(x), axis, keepdims)


@op
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the first smallest element, as int32."""
    return _arg("argmin", as_tensor(x), axis, keepdims)


def _arg(name: str, x: Any, axis: int | None, keepdims: bool) -> Any:
    place = None if axis is None else standardize_axis(axis, x.ndim)
    return apply(name, x, axis=place, keepdims=bool(keepdims))


@op
def matmul(x1: Any, x2: Any) -> Any:
    """Product of matrices on the last two axes; the others broadcast."""
    return apply("matmul", as_float(x1), as_float(x2))


@op
def dot(x1: Any, x2: Any) -> Any:
    """numpy's dot product: over the last axis of `x1` and the last but one of `x2`."""
    x1, x2 = as_float(x1), as_float(x2)
    if x1.ndim == 0 or x2.ndim == 0:
        return apply("mul", x1, x2)
    return _tensordot(x1, x2, [x1.ndim - 1], [builtins.max(x2.ndim - 2, 0)])


@op
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Sum of products over `axes`: a number of axes, or a list for each operand."""
    x1, x2 = as_float(x1), as_float(x2)
    if isinstance(axes, int):
        most = builtins.min(x1.ndim, x2.ndim)
        if not 0 <= axes <= most:
            raise ValueError(
                f"tensordot: axes: expected 0 to {most} for shapes {x1.shape} and {x2.shape}, received {axes}"
            )
        first, second = list(range(x1.ndim - axes, x1.ndim)), list(range(axes))
    else:
        first, second = (
            [standardize_axis(a, x.ndim) for a in ([part] if isinstance(part, int) else part)]
            for part, x in zip(axes, (x1, x2), strict=True)
        )
    return _tensordot(x1, x2, first, second)


def _tensordot(x1: Any, x2: Any, first: list[int], second: list[int]) -> Any:
    kept1 = [a for a in range(x1.ndim) if a not in first]
    kept2 = [a for a in range(x2.ndim) if a not in second]
    shape1, shape2 = [x1.shape[a] for a in kept1], [x2.shape[a] for a in kept2]
    size = math.prod(x1.shape[a] for a in first)
    left = apply("reshape", apply("transpose", x1, perm=kept1 + first), shape=[math.prod(shape1), size])
    right = apply("reshape", apply("transpose", x2, perm=second + kept2), shape=[size, math.prod(shape2)])
    return apply("reshape", apply("matmul", left, right), shape=shape1 + shape2)


@op
def inner(x1: Any, x2: Any) -> Any:
    """Sum of products over the last axes."""
    x1, x2 = as_float(x1), as_float(x2)
    return _tensordot(x1, x2, [x1.ndim - 1], [x2.ndim - 1])


@op
def outer(x1: Any, x2: Any) -> Any:
    """Products of all pairs of elements."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    return apply("mul", apply("reshape", x1, shape=[-1, 1]), apply("reshape", x2, shape=[1, -1]))


@op
def vdot(x1: Any, x2: Any) -> Any:
    """Sum of products of all elements."""
    x1, x2 = as_float(x1), as_float(x2)
    flat = apply("mul", apply("reshape", x1, shape=[-1]), apply("reshape", x2, shape=[-1]))
    return apply("sum", flat, axes=None, keepdims=False)
