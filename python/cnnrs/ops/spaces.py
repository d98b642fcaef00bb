"""Numbers at equal distances or ratios, and tensors like others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.base.dtypes import standardize_dtype
from cnnrs.ops.creation import ADDRESS_SPACE, converted, zeros
from cnnrs.ops.dispatch import apply, as_float, as_tensor, op, standardize_axis
from cnnrs.ops.values import is_known

__all__ = ["empty_like", "geomspace", "linspace", "logspace"]


@op
def empty_like(x: Any, dtype: Any = None) -> Any:
    """Makes a tensor of the shape of another, whose elements are 0: nothing is left to chance.

    Args:
        x: Tensor of any shape and dtype.
        dtype: Element type, as `cast` takes it; None, the default, for that of `x`.

    Returns:
        Tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `dtype` is no known type.

    Example:
        >>> from cnnrs import ops
        >>> ops.empty_like([[1, 2]]).tolist()
        [[0, 0]]
    """
    x = as_tensor(x)
    return zeros(x.shape, standardize_dtype(dtype, x.dtype))


def _count(num: Any, name: str, start: Any, stop: Any) -> int:
    """`num` numbers, or vectors of them, between `start` and `stop`."""
    count = integer(num, name, "num", least=0)
    if 8 * count * math.prod(np.broadcast_shapes(np.shape(start), np.shape(stop))) > ADDRESS_SPACE:
        raise MemoryError(f"{name}: num: no memory for {count:,} values")
    return count


def _axis(start: Any, stop: Any, axis: int) -> int:
    return standardize_axis(axis, max(np.ndim(start), np.ndim(stop)) + 1)


def _parts(count: int, endpoint: bool) -> np.ndarray:
    """The fractions of the way at which numbers stand."""
    return (np.arange(count) / max(count - 1 if endpoint else count, 1)).astype(np.float32)


def _between(start: Any, stop: Any, count: int, endpoint: bool, axis: int) -> Any:
    """Numbers at equal distances between tensors."""
    start, stop = as_float(start), as_float(stop)
    start, stop = apply("add", start, apply("mul", stop, 0.0)), apply("add", stop, apply("mul", start, 0.0))
    shape = [1] * (start.ndim + 1)
    shape[axis] = count
    parts = _parts(count, endpoint).reshape(shape)
    start, stop = (apply("expand_dims", x, axis=axis) for x in (start, stop))
    return apply("add", apply("mul", start, 1.0 - parts), apply("mul", stop, parts))


@op
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Makes numbers at equal distances from a start to a stop.

    What has values is computed in float64 by numpy and then converted, and no gradient flows to it. While a
    function is recorded, tensors that it computes are taken in float32.

    Args:
        start: The first number, or an array of them.
        stop: The last number, or an array that broadcasts with `start`.
        num: How many numbers, an integer >= 0; 50 by default.
        endpoint: Whether `stop` is the last number; by default it is.
        retstep: Whether to give back the distance of neighbours too; False by default.
        dtype: Element type, as `cast` takes it; None, the default, means float32.
        axis: Axis of the result along which the numbers lie if `start` or `stop` is an array; the first by
            default.

    Returns:
        Tensor of shape `(num,)`, or with arrays of their broadcast shape with an axis of extent `num` added.
        With `retstep` a pair of the tensor and the distance, a numpy float64 number or array.

    Raises:
        TypeError: `start` or `stop` is not numeric, `axis` is no integer, or `dtype` is no known type.
        ValueError: `num` is no integer >= 0, `axis` is out of range, or `start` and `stop` do not broadcast.
        MemoryError: There is no memory for so many numbers.

    Example:
        >>> from cnnrs import ops
        >>> ops.linspace(0, 1, 5).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]
        >>> values, step = ops.linspace(0, 1, 4, endpoint=False, retstep=True)
        >>> values.tolist(), float(step)
        ([0.0, 0.25, 0.5, 0.75], 0.25)
    """
    axis = _axis(start, stop, axis)
    num = _count(num, "linspace", start, stop)
    dtype = standardize_dtype(dtype)
    if not (is_known(start) and is_known(stop)):
        distance = apply("div", apply("sub", as_float(stop), as_float(start)), max(num - bool(endpoint), 1))
        result = _between(start, stop, num, endpoint, axis).astype(dtype)
        return (result, distance) if retstep else result
    values, step = np.linspace(start, stop, num, endpoint=endpoint, retstep=True, axis=axis)
    result = converted(values, dtype)
    return (result, step) if retstep else result


@op
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Makes powers of a base whose exponents are at equal distances.

    What has values is computed in float64 by numpy and then converted, and no gradient flows to it. While a
    function is recorded, tensors that it computes are taken in float32.

    Args:
        start: The first exponent, or an array of them.
        stop: The last exponent, or an array that broadcasts with `start`.
        num: How many numbers, an integer >= 0; 50 by default.
        endpoint: Whether `stop` is the last number; by default it is.
        base: The base, 10 by default.
        dtype: Element type, as `cast` takes it; None, the default, means float32.
        axis: Axis of the result along which the numbers lie if `start` or `stop` is an array; the first by
            default.

    Returns:
        Tensor of shape `(num,)`, or with arrays of their broadcast shape with an axis of extent `num` added.

    Raises:
        TypeError: `start`, `stop` or `base` is not numeric, `axis` is no integer, or `dtype` is no known
            type.
        ValueError: `num` is no integer >= 0, `axis` is out of range, or `start` and `stop` do not broadcast.
        MemoryError: There is no memory for so many numbers.

    Example:
        >>> from cnnrs import ops
        >>> ops.logspace(0, 2, 3).tolist(), ops.logspace(0, 3, 4, base=2).tolist()
        ([1.0, 10.0, 100.0], [1.0, 2.0, 4.0, 8.0])
    """
    axis = _axis(start, stop, axis)
    num = _count(num, "logspace", start, stop)
    dtype = standardize_dtype(dtype)
    if not (is_known(start) and is_known(stop)):
        return apply("pow", as_float(base), _between(start, stop, num, endpoint, axis)).astype(dtype)
    values = np.logspace(start, stop, num, endpoint=endpoint, base=base, axis=axis)
    return converted(values, dtype)


@op
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Makes numbers at equal ratios.

    What has values is computed in float64 by numpy and then converted, and no gradient flows to it. While a
    function is recorded, tensors that it computes are taken in float32.

    Args:
        start: The first number, not 0, or an array of them.
        stop: The last number, not 0 and of the sign of `start`, or an array that broadcasts with it.
        num: How many numbers, an integer >= 0; 50 by default.
        endpoint: Whether `stop` is the last number; by default it is.
        dtype: Element type, as `cast` takes it; None, the default, means float32.
        axis: Axis of the result along which the numbers lie if `start` or `stop` is an array.

    Returns:
        Tensor of shape `(num,)`, or with arrays of their broadcast shape with an axis of extent `num` added.

    Raises:
        TypeError: `start` or `stop` is not numeric, `axis` is no integer, or `dtype` is no known type.
        ValueError: `num` is no integer >= 0, `axis` is out of range, `start` or `stop` is 0, or they do not
            broadcast.
        MemoryError: There is no memory for so many numbers.

    Example:
        >>> from cnnrs import ops
        >>> ops.geomspace(1.0, 1000.0, 4).tolist()
        [1.0, 10.0, 100.0, 1000.0]
    """
    axis = _axis(start, stop, axis)
    num = _count(num, "geomspace", start, stop)
    dtype = standardize_dtype(dtype)
    if not (is_known(start) and is_known(stop)):
        start, stop = as_float(start), as_float(stop)
        first, last = (apply("log", apply("abs", x)) for x in (start, stop))
        exponents = _between(first, last, num, endpoint, axis)
        signs = apply(
            "expand_dims", apply("sign", start), axis=axis if start.ndim == exponents.ndim - 1 else 0
        )
        return apply("mul", apply("exp", exponents), signs).astype(dtype)
    known = [x.numpy() if hasattr(x, "numpy") else x for x in (start, stop)]
    with np.errstate(invalid="ignore"):
        # Numbers of two signs have NaN between them.
        values = np.geomspace(known[0], known[1], num, endpoint=endpoint, axis=axis)
    return converted(values, dtype)
