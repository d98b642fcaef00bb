"""Medians, quantiles and percentiles, also of what is not NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.ops.dispatch import (
    apply,
    as_float,
    as_tensor,
    in_float32,
    op,
    standardize_axes,
    standardize_keepdims,
)
from cnnrs.ops.indexing import take_along_axis
from cnnrs.ops.sorting import in_order

__all__ = ["median", "nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile"]

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantiles(name: str, x: Any, q: Any, axis: Any, method: str, keepdims: Any, without_nan: bool) -> Any:
    """Quantiles of `x` at `q` from 0 to 1, whose axes come first."""
    if method not in _METHODS:
        raise ValueError(f"{name}: method: expected one of {', '.join(_METHODS)}, received {method!r}")
    keepdims = standardize_keepdims(keepdims)
    x = as_float(x)
    axes = standardize_axes(axis, x.ndim)
    axes = list(range(x.ndim)) if axes is None else axes
    others = [a for a in range(x.ndim) if a not in axes]
    kept = [x.shape[a] for a in others]
    count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    if count == 0:
        raise ValueError(f"{name}: x: expected elements to choose from, received shape {x.shape}")
    rows = apply(
        "reshape",
        apply("transpose", x, perm=others + axes),
        shape=[int(np.prod(kept, dtype=np.int64)), count],
    )
    ranked = in_order(rows, 1)
    known = isinstance(q, _core.Tensor) or isinstance(q, _core.Variable)
    shape_of_q = list(as_tensor(q).shape)
    # Places in f64, as far as they are known: of a million elements f32 would miss some.
    q = apply("reshape", as_float(q), shape=[1, -1]) if known else np.asarray(q, np.float64).reshape(1, -1)
    is_nan = apply("isnan", rows)
    if without_nan:
        numbers = apply("sub", count, apply("sum", is_nan.astype("int32"), axes=[1], keepdims=True))
        last = apply("maximum", apply("sub", numbers, 1), 0)
        place = apply("mul", last.astype(x.dtype), as_float(q).astype(x.dtype))
        broken = apply("equal", numbers, 0)
    else:
        last = np.full((1, 1), count - 1, np.int32)
        place = apply("mul", q, float(count - 1)) if known else q * (count - 1)
        broken = apply("any", is_nan, axes=[1], keepdims=True)
    taken = _interpolated(ranked, place, last, method)
    nan = np.float32(np.nan)
    taken = apply("where", broken, nan, taken)
    inner = [1 if a in axes else x.shape[a] for a in range(x.ndim)] if keepdims else kept
    return apply("reshape", apply("transpose", taken, perm=[1, 0]), shape=[*shape_of_q, *inner])


def _interpolated(ranked: Any, place: Any, last: Any, method: str) -> Any:
    """What stands at fractional places of sorted rows."""
    rows = ranked.shape[0]

    def at(index: Any) -> Any:
        index = apply("minimum", apply("maximum", as_tensor(index).astype("int32"), 0), last)
        if index.shape[0] == 1:
            # All rows alike.
            return apply("gather", ranked, apply("reshape", index, shape=[-1]), axis=1)
        return take_along_axis(ranked, apply("broadcast_to", index, shape=[rows, index.shape[1]]), 1)

    known = isinstance(place, np.ndarray)
    floor = np.floor(place) if known else apply("floor", place)
    ceil = np.ceil(place) if known else apply("ceil", place)
    if method == "lower":
        return at(floor)
    if method == "higher":
        return at(ceil)
    if method == "nearest":
        return at(np.round(place) if known else apply("round", place))
    low, high = at(floor), at(ceil)
    if method == "midpoint":
        return apply("mul", apply("add", low, high), 0.5)
    part = place - floor if known else apply("sub", place, floor)
    part = part.astype(ranked.dtype)
    # Of equal neighbours there is nothing between, infinite ones included.
    step = apply("where", apply("equal", low, high), 0.0, apply("sub", high, low))
    return apply("add", low, apply("mul", step, part))


def _percent(q: Any) -> Any:
    if isinstance(q, (_core.Tensor, _core.Variable)):
        return apply("div", as_float(q), 100.0)
    return np.asarray(q, np.float64) / 100.0


@op
@in_float32
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes the median over axes: the middle element, or the mean of the two in the middle.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes; NaN where there is NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, there are no elements, or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.median([5.0, 1.0, 2.0])), float(ops.median([1.0, 2.0, 4.0, 9.0]))
        (2.0, 3.0)
    """
    return _quantiles("median", x, 0.5, axis, "midpoint", keepdims, False)


@op
@in_float32
def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Computes quantiles over axes.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        q: Tensor of the fractions, from 0 to 1.
        axis: The axis, or a sequence of axes; None, the default, means all.
        method: What stands between two elements: "linear", the default, "lower", "higher", "midpoint" or
            "nearest".
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `q`, followed by that of `x` without the reduced axes; NaN where there
        is NaN.

    Raises:
        TypeError: An argument is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, there are no elements, `method` is unknown or
            `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> ops.quantile([0.0, 10.0, 20.0], [0.25, 0.5]).tolist()
        [5.0, 10.0]
    """
    return _quantiles("quantile", x, q, axis, method, keepdims, False)


@op
@in_float32
def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Computes percentiles over axes.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        q: Tensor of the percentages, from 0 to 100.
        axis: The axis, or a sequence of axes; None, the default, means all.
        method: What stands between two elements: "linear", the default, "lower", "higher", "midpoint" or
            "nearest".
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `q`, followed by that of `x` without the reduced axes; NaN where there
        is NaN.

    Raises:
        TypeError: An argument is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, there are no elements, `method` is unknown or
            `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.percentile([0.0, 10.0, 20.0], 75))
        15.0
    """
    return _quantiles("percentile", x, _percent(q), axis, method, keepdims, False)


@op
@in_float32
def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes the median of what is not NaN.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes; NaN where there is nothing else.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, there are no elements, or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nanmedian([5.0, float("nan"), 1.0]))
        3.0
    """
    return _quantiles("nanmedian", x, 0.5, axis, "midpoint", keepdims, True)


@op
@in_float32
def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Computes quantiles of what is not NaN.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        q: Tensor of the fractions, from 0 to 1.
        axis: The axis, or a sequence of axes; None, the default, means all.
        method: What stands between two elements: "linear", the default, "lower", "higher", "midpoint" or
            "nearest".
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `q`, followed by that of `x` without the reduced axes; NaN where there
        is nothing else.

    Raises:
        TypeError: An argument is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, there are no elements, `method` is unknown or
            `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nanquantile([0.0, float("nan"), 20.0], 0.25))
        5.0
    """
    return _quantiles("nanquantile", x, q, axis, method, keepdims, True)


@op
@in_float32
def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Computes percentiles of what is not NaN.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        q: Tensor of the percentages, from 0 to 100.
        axis: The axis, or a sequence of axes; None, the default, means all.
        method: What stands between two elements: "linear", the default, "lower", "higher", "midpoint" or
            "nearest".
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `q`, followed by that of `x` without the reduced axes; NaN where there
        is nothing else.

    Raises:
        TypeError: An argument is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, there are no elements, `method` is unknown or
            `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nanpercentile([0.0, float("nan"), 20.0], 25))
        5.0
    """
    return _quantiles("nanpercentile", x, _percent(q), axis, method, keepdims, True)
