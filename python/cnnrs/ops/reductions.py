"""Sums, means, extremes and products over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.dtypes import standardize_dtype
from cnnrs.ops.dispatch import (
    apply,
    as_bool,
    as_countable,
    as_float,
    as_tensor,
    in_float32,
    op,
    standardize_axes,
    standardize_axis,
    standardize_keepdims,
)
from cnnrs.ops.roots import root

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "max",
    "mean",
    "min",
    "prod",
    "ptp",
    "std",
    "sum",
    "var",
]


def _reduce(name: str, x: Any, axis: Any, keepdims: bool) -> Any:
    return apply(name, x, axes=standardize_axes(axis, x.ndim), keepdims=standardize_keepdims(keepdims))


@op
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Adds up elements over axes.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        Tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is true. Its
        dtype is that of `x`, or int32 for uint8 and bool; the sum of no elements is 0. Sums of integers wrap
        around where they exceed int32.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.sum([[1, 2], [3, 4]])), ops.sum([[1, 2], [3, 4]], axis=0).tolist()
        (10, [4, 6])
    """
    return _reduce("sum", as_countable(x), axis, keepdims)


@op
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes the mean of elements over axes.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is
        true; the mean of no elements is NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.mean([[1, 2], [3, 4]])), ops.mean([[1, 2], [3, 4]], axis=1, keepdims=True).tolist()
        (2.5, [[1.5], [3.5]])
    """
    return _reduce("mean", as_float(x), axis, keepdims)


@op
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Multiplies elements over axes.

    The gradient of an element is the product of the others, also where one of them is 0.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.
        dtype: Element type to which `x` is converted before, as `cast` takes it; None, the default, means
            that of `x`, or int32 for uint8 and bool.

    Returns:
        Tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is true; the
        product of no elements is 1. Products of integers wrap around where they exceed int32.

    Raises:
        TypeError: `x` is not numeric, `axis` is no integer, or `dtype` is no known type.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.prod([[1, 2], [3, 4]])), ops.prod([[1, 2], [3, 4]], axis=1).tolist()
        (24, [2, 12])
    """
    x = as_countable(x)
    if dtype is not None:
        x = x.astype(standardize_dtype(dtype))
    return _reduce("prod", x, axis, keepdims)


def _extreme(name: str, x: Any, axis: Any, keepdims: Any, initial: Any) -> Any:
    """The "max" or "min" of elements and `initial`; of no elements it is `initial`."""
    pick = f"{name}imum"
    if initial is None or 0 not in x.shape:
        result = _reduce(name, x, axis, keepdims)
        return result if initial is None else apply(pick, result, initial)
    dtype = apply(pick, np.zeros((), x.dtype), initial).dtype
    shape = _reduce("any", x.astype("bool"), axis, keepdims).shape
    return apply("broadcast_to", as_tensor(initial).astype(dtype), shape=list(shape))


@op
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Takes the largest element over axes.

    The gradient is shared equally among the elements that tie.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.
        initial: A number, or a tensor that broadcasts with the result, with which the `maximum` is taken;
            None, the default, for none.

    Returns:
        Tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is true, of
        the dtype of `x` or the common dtype of `x` and `initial`. NaN where there is NaN.

    Raises:
        TypeError: `x` or `initial` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, or there are no elements to compare and no
            `initial`; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.max([[1, 2], [3, 4]])), ops.max([[1, 2], [3, 4]], axis=0).tolist()
        (4, [3, 4])
    """
    return _extreme("max", as_tensor(x), axis, keepdims, initial)


@op
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Takes the smallest element over axes.

    The gradient is shared equally among the elements that tie.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.
        initial: A number, or a tensor that broadcasts with the result, with which the `minimum` is taken;
            None, the default, for none.

    Returns:
        Tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is true, of
        the dtype of `x` or the common dtype of `x` and `initial`. NaN where there is NaN.

    Raises:
        TypeError: `x` or `initial` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, or there are no elements to compare and no
            `initial`; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.min([[1, 2], [3, 4]])), ops.min([[1, 2], [3, 4]], axis=0).tolist()
        (1, [1, 2])
    """
    return _extreme("min", as_tensor(x), axis, keepdims, initial)


@op
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Takes the largest element over axes.

    It is `max` without `initial`. The gradient is shared equally among the elements that tie.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        Tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is true, of
        the dtype of `x`. NaN where there is NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, or there are no elements to compare; or `keepdims`
            is no bool.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.amax([[1, 2], [3, 4]])), ops.amax([[1, 2], [3, 4]], axis=0).tolist()
        (4, [3, 4])
    """
    return _reduce("max", as_tensor(x), axis, keepdims)


@op
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Takes the smallest element over axes.

    It is `min` without `initial`. The gradient is shared equally among the elements that tie.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        Tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is true, of
        the dtype of `x`. NaN where there is NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, or there are no elements to compare; or `keepdims`
            is no bool.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.amin([[1, 2], [3, 4]])), ops.amin([[1, 2], [3, 4]], axis=0).tolist()
        (1, [1, 2])
    """
    return _reduce("min", as_tensor(x), axis, keepdims)


@op
def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes the distance of the largest element from the smallest over axes ("peak to peak").

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        Tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is true, of
        the dtype of `x`, or int32 for bool. NaN where there is NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, or there are no elements to compare; or `keepdims`
            is no bool.

    Example:
        >>> from cnnrs import ops
        >>> ops.ptp([[1.0, 5.0], [2.0, 2.5]], axis=1).tolist()
        [4.0, 0.5]
    """
    x = as_tensor(x)
    return apply("sub", _reduce("max", x, axis, keepdims), _reduce("min", x, axis, keepdims))


@op
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Tells whether at least one element is true, over axes.

    Args:
        x: Tensor of any shape and dtype; elements other than 0 are true, NaN among them.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        bool tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is
        true; False for no elements.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> bool(ops.any([False, True])), ops.any([[0, 1], [0, 0]], axis=1).tolist()
        (True, [True, False])
    """
    return _reduce("any", as_bool(x), axis, keepdims)


@op
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Tells whether all elements are true, over axes.

    Args:
        x: Tensor of any shape and dtype; elements other than 0 are true, NaN among them.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        bool tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is
        true; True for no elements.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> bool(ops.all([False, True])), ops.all([[0, 1], [2, 3]], axis=1).tolist()
        (False, [False, True])
    """
    return _reduce("all", as_bool(x), axis, keepdims)


@op
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes the variance of elements over axes.

    It is `mean((x - mean(x))²)`: the sum is divided by the number of elements, not by one less.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is
        true; the variance of no elements is NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.var([1.0, 3.0])), ops.var([[1.0, 3.0], [2.0, 2.0]], axis=1).tolist()
        (1.0, [1.0, 0.0])
    """
    return _reduce("variance", as_float(x), axis, keepdims)


@op
@in_float32
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes the standard deviation of elements over axes.

    It is the square root of `var`. The gradient is 0 where all elements are equal.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        axis: The axis, or a sequence of axes; None, the default, means all.
        keepdims: Whether the reduced axes stay with extent 1; by default they go.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes, or with extent 1 there if `keepdims` is
        true; that of no elements is NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.std([1.0, 5.0])), ops.std([[1.0, 3.0], [2.0, 2.0]], axis=1).tolist()
        (2.0, [1.0, 0.0])
    """
    return root(_reduce("variance", as_float(x), axis, keepdims))


@op
@in_float32
def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """Computes the weighted mean of elements over axes.

    It is `sum(x * weights) / sum(weights)`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        axis: The axis, or a sequence of axes; None, the default, means all.
        weights: Tensor of the shape of `x`, or of one axis with the extent of the one `axis`; None, the
            default, for the plain mean.

    Returns:
        float32 tensor of the shape of `x` without the reduced axes; NaN or infinite where the weights add up
        to 0.

    Raises:
        TypeError: `x` or `weights` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice, or the shape of `weights` does not fit: several
            axes need that of `x`.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.average([1.0, 3.0], weights=[3.0, 1.0]))
        1.5
        >>> ops.average([[1.0, 3.0], [1.0, 5.0]], axis=1, weights=[3.0, 1.0]).tolist()
        [1.5, 2.0]
    """
    x = as_float(x)
    if isinstance(axis, (list, tuple)) and len(axis) == 1:
        [axis] = axis
    if weights is None:
        return _reduce("mean", x, axis, False)
    weights = as_float(weights)
    if weights.shape != x.shape:
        if weights.ndim != 1 or axis is None or isinstance(axis, (list, tuple)):
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
    """Counts the elements that are not 0, over axes.

    Args:
        x: Tensor of any shape and dtype; NaN is not 0.
        axis: The axis, or a sequence of axes; None, the default, means all.

    Returns:
        int32 tensor of the shape of `x` without the reduced axes.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.count_nonzero([[0, 1], [2, 3]])), ops.count_nonzero([[0, 1], [2, 3]], axis=0).tolist()
        (3, [1, 2])
    """
    return _reduce("sum", apply("not_equal", as_tensor(x), 0).astype("int32"), axis, False)


@op
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Finds the index of the largest element along an axis, the first of equal ones.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis; None, the default, counts through all elements as if they lay along one axis.
        keepdims: Whether the axis stays with extent 1; by default it goes.

    Returns:
        int32 tensor of the shape of `x` without the axis, or with extent 1 there if `keepdims` is true. The
        index of the first NaN where there is NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or there are no elements to compare; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.argmax([[1, 3], [2, 1]])), ops.argmax([[1, 3], [2, 1]], axis=1).tolist()
        (1, [1, 0])
    """
    return _arg("argmax", as_tensor(x), axis, keepdims)


@op
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Finds the index of the smallest element along an axis, the first of equal ones.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis; None, the default, counts through all elements as if they lay along one axis.
        keepdims: Whether the axis stays with extent 1; by default it goes.

    Returns:
        int32 tensor of the shape of `x` without the axis, or with extent 1 there if `keepdims` is true. The
        index of the first NaN where there is NaN.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or there are no elements to compare; or `keepdims` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.argmin([[1, 3], [2, 1]])), ops.argmin([[1, 3], [2, 1]], axis=1).tolist()
        (0, [0, 1])
    """
    return _arg("argmin", as_tensor(x), axis, keepdims)


def _arg(name: str, x: Any, axis: int | None, keepdims: bool) -> Any:
    place = None if axis is None else standardize_axis(axis, x.ndim)
    return apply(name, x, axis=place, keepdims=standardize_keepdims(keepdims))
