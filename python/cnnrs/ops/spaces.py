"""Numbers at equal distances or ratios, and tensors like others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import integer
from cnnrs.base.dtypes import FLOAT, FLOATS, STORED, standardize_dtype
from cnnrs.ops.creation import ADDRESS_SPACE, converted, zeros
from cnnrs.ops.dispatch import apply, as_floats, as_tensor, common_float, op, standardize_axis
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


def _in_numpy(*given: Any) -> bool:
    """Whether numpy may compute: all has values, and no gradient flows to it."""
    return all(is_known(x) and getattr(x, "dtype", None) not in FLOATS for x in map(_plain, given))


def _plain(x: Any) -> Any:
    """`x` as it is if it is a tensor or holds some; otherwise None, which stands for numbers of the host."""
    if isinstance(x, (list, tuple)):
        x = as_tensor(x) if any(isinstance(leaf, (_core.Tensor, _core.Variable)) for leaf in x) else None
    return x if isinstance(x, (_core.Tensor, _core.Variable)) else None


def _host(x: Any) -> Any:
    return np.asarray(as_tensor(x).numpy() if _plain(x) is not None else x)


def _parts(count: int, endpoint: bool, dtype: str) -> Any:
    """The fractions of the way at which numbers stand."""
    parts = np.arange(count) / max(count - 1 if endpoint else count, 1)
    return parts.astype(dtype if dtype == "float64" else "float32")


def _ends(start: Any, stop: Any) -> tuple[Any, Any]:
    """Both as tensors of one type, in which 16 bits are widened."""
    start, stop = as_floats(start, stop)
    return (start.astype(FLOAT), stop.astype(FLOAT)) if start.dtype in STORED else (start, stop)


def _between(start: Any, stop: Any, count: int, endpoint: bool, axis: int) -> Any:
    """Numbers at equal distances between tensors of one type."""
    start, stop = apply("add", start, apply("mul", stop, 0.0)), apply("add", stop, apply("mul", start, 0.0))
    shape = [1] * (start.ndim + 1)
    shape[axis] = count
    parts = _parts(count, endpoint, start.dtype).reshape(shape)
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

    Gradients flow to tensors of floats, with which it computes in float32, or float64 if one is float64.
    Numbers, arrays and integers are computed in float64 and then converted.

    Args:
        start: The first number, or an array of them.
        stop: The last number, or an array that broadcasts with `start`.
        num: How many numbers, an integer >= 0; 50 by default.
        endpoint: Whether `stop` is the last number; by default it is.
        retstep: Whether to give back the distance of neighbours too; False by default.
        dtype: Element type, as `cast` takes it; None, the default, means that of `start` and `stop` where
            they are floats, float32 for integers and numbers of Python.
        axis: Axis of the result along which the numbers lie if `start` or `stop` is an array; the first by
            default.

    Returns:
        Tensor of shape `(num,)`, or with arrays of their broadcast shape with an axis of extent `num` added.
        With `retstep` a pair of the tensor and the distance: a numpy float64 number or array, or a
        tensor if `start` or `stop` is a tensor of floats.

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
    dtype = standardize_dtype(dtype, common_float(start, stop))
    if not _in_numpy(start, stop):
        start, stop = _ends(start, stop)
        distance = apply("div", apply("sub", stop, start), max(num - bool(endpoint), 1))
        result = _between(start, stop, num, endpoint, axis).astype(dtype)
        return (result, distance) if retstep else result
    values, step = np.linspace(_host(start), _host(stop), num, endpoint=endpoint, retstep=True, axis=axis)
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

    Gradients flow to tensors of floats, with which it computes in float32, or float64 if one is float64.
    Numbers, arrays and integers are computed in float64 and then converted.

    Args:
        start: The first exponent, or an array of them.
        stop: The last exponent, or an array that broadcasts with `start`.
        num: How many numbers, an integer >= 0; 50 by default.
        endpoint: Whether `stop` is the last number; by default it is.
        base: The base, 10 by default.
        dtype: Element type, as `cast` takes it; None, the default, means that of `start` and `stop` where
            they are floats, float32 for integers and numbers of Python.
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
    dtype = standardize_dtype(dtype, common_float(start, stop))
    if not _in_numpy(start, stop, base):
        start, stop = _ends(start, stop)
        exponents = _between(start, stop, num, endpoint, axis)
        return apply("pow", as_tensor(base).astype(exponents.dtype), exponents).astype(dtype)
    values = np.logspace(_host(start), _host(stop), num, endpoint=endpoint, base=base, axis=axis)
    return converted(values, dtype)


@op
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Makes numbers at equal ratios.

    Gradients flow to tensors of floats, with which it computes in float32, or float64 if one is float64.
    Numbers, arrays and integers are computed in float64 and then converted.

    Args:
        start: The first number, not 0, or an array of them.
        stop: The last number, not 0 and of the sign of `start`, or an array that broadcasts with it.
        num: How many numbers, an integer >= 0; 50 by default.
        endpoint: Whether `stop` is the last number; by default it is.
        dtype: Element type, as `cast` takes it; None, the default, means that of `start` and `stop` where
            they are floats, float32 for integers and numbers of Python.
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
    dtype = standardize_dtype(dtype, common_float(start, stop))
    if not _in_numpy(start, stop):
        start, stop = _ends(start, stop)
        first, last = (apply("log", apply("abs", x)) for x in (start, stop))
        exponents = _between(first, last, num, endpoint, axis)
        signs = apply(
            "expand_dims", apply("sign", start), axis=axis if start.ndim == exponents.ndim - 1 else 0
        )
        return apply("mul", apply("exp", exponents), signs).astype(dtype)
    with np.errstate(invalid="ignore"):
        # Numbers of two signs have NaN between them.
        values = np.geomspace(_host(start), _host(stop), num, endpoint=endpoint, axis=axis)
    return converted(values, dtype)
