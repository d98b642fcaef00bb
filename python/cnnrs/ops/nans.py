"""Reductions of what is not NaN."""

from __future__ import annotations

from typing import Any

from cnnrs.base.dtypes import FLOATS
from cnnrs.ops import reductions, scans
from cnnrs.ops.dispatch import apply, as_float, as_tensor, in_float32, op
from cnnrs.ops.roots import root

__all__ = [
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
]


def _replaced(x: Any, value: float) -> Any:
    """`x` with `value` for NaN."""
    x = as_tensor(x)
    return apply("where", apply("isnan", x), value, x) if x.dtype in FLOATS else x


def _extreme(name: str, x: Any, axis: Any, keepdims: Any) -> Any:
    x = as_tensor(x)
    largest = name.endswith("max")
    function = getattr(reductions, name)
    if x.dtype not in FLOATS:
        return function(x, axis=axis, keepdims=keepdims)
    result = function(_replaced(x, float("-inf") if largest else float("inf")), axis=axis, keepdims=keepdims)
    nothing = reductions.all(apply("isnan", x), axis=axis, keepdims=keepdims)
    if name.startswith("arg"):
        return apply("where", nothing, -1, result)
    return apply("where", nothing, float("nan"), result)


def _numbers(x: Any, axis: Any, keepdims: Any) -> Any:
    """How many elements are not NaN, as floats."""
    counted = apply("logical_not", apply("isnan", x)).astype(x.dtype)
    return reductions.sum(counted, axis=axis, keepdims=keepdims)


def _variance(x: Any, axis: Any, keepdims: Any) -> Any:
    x = as_float(x)
    middle = apply(
        "div", reductions.sum(_replaced(x, 0.0), axis=axis, keepdims=True), _numbers(x, axis, True)
    )
    apart = apply("square", _replaced(apply("sub", x, middle), 0.0))
    return apply("div", reductions.sum(apart, axis=axis, keepdims=keepdims), _numbers(x, axis, keepdims))


@op
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Finds the index of the largest element along an axis, among those that are not NaN.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis; None, the default, counts through all elements as if they lay along one axis.
        keepdims: Whether the axis stays with extent 1; by default it goes.

    Returns:
        int32 tensor of the shape of `x` without the axis; -1 where all elements are NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or there are no elements to compare; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.nanargmax([1.0, float("nan"), 3.0]))
        2
    """
    return _extreme("argmax", x, axis, keepdims)


@op
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Finds the index of the smallest element along an axis, among those that are not NaN.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis; None, the default, counts through all elements as if they lay along one axis.
        keepdims: Whether the axis stays with extent 1; by default it goes.

    Returns:
        int32 tensor of the shape of `x` without the axis; -1 where all elements are NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or there are no elements to compare; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.nanargmin([1.0, float("nan"), 3.0]))
        0
    """
    return _extreme("argmin", x, axis, keepdims)


@op
def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Finds the largest element over axes, among those that are not NaN.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        Tensor of the dtype of `x` and of its shape without the reduced axes; NaN where all elements are NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, or there are no elements; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nanmax([1.0, float("nan"), 3.0]))
        3.0
    """
    return _extreme("max", x, axis, keepdims)


@op
def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Finds the smallest element over axes, among those that are not NaN.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        Tensor of the dtype of `x` and of its shape without the reduced axes; NaN where all elements are NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, or there are no elements; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nanmin([1.0, float("nan"), 3.0]))
        1.0
    """
    return _extreme("min", x, axis, keepdims)


@op
@in_float32
def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Adds up the elements over axes that are not NaN.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        Tensor of the shape of `x` without the reduced axes, of the dtype that `sum` gives.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nansum([1.0, float("nan"), 3.0]))
        4.0
    """
    return reductions.sum(_replaced(x, 0.0), axis=axis, keepdims=keepdims)


@op
@in_float32
def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Multiplies the elements over axes that are not NaN.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        Tensor of the shape of `x` without the reduced axes, of the dtype that `prod` gives.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nanprod([2.0, float("nan"), 3.0]))
        6.0
    """
    return reductions.prod(_replaced(x, 1.0), axis=axis, keepdims=keepdims)


@op
@in_float32
def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes the mean of the elements over axes that are not NaN.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes; NaN where all elements are NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nanmean([1.0, float("nan"), 3.0]))
        2.0
    """
    x = as_float(x)
    total = reductions.sum(_replaced(x, 0.0), axis=axis, keepdims=keepdims)
    return apply("div", total, _numbers(x, axis, keepdims))


@op
@in_float32
def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes the variance of the elements over axes that are not NaN.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes; NaN where all elements are NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nanvar([1.0, float("nan"), 3.0]))
        1.0
    """
    return _variance(x, axis, keepdims)


@op
@in_float32
def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes the standard deviation of the elements over axes that are not NaN.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes; NaN where all elements are NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.nanstd([1.0, float("nan"), 5.0]))
        2.0
    """
    return root(_variance(x, axis, keepdims))


@op
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Computes the running sums along an axis, as if NaN were 0.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis; None, the default, makes `x` flat first.
        dtype: Element type of the result, as `cast` takes it; None, the default, means that of `x`.

    Returns:
        Tensor of the shape of `x`, or flat, of the dtype that `cumsum` gives.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.nancumsum([2.0, float("nan"), 3.0]).tolist()
        [2.0, 2.0, 5.0]
    """
    return scans.cumsum(_replaced(x, 0.0), axis=axis, dtype=dtype)


@op
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Computes the running products along an axis, as if NaN were 1.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis; None, the default, makes `x` flat first.
        dtype: Element type of the result, as `cast` takes it; None, the default, means that of `x`.

    Returns:
        Tensor of the shape of `x`, or flat, of the dtype that `cumprod` gives.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.nancumprod([2.0, float("nan"), 3.0]).tolist()
        [2.0, 2.0, 6.0]
    """
    return scans.cumprod(_replaced(x, 1.0), axis=axis, dtype=dtype)
