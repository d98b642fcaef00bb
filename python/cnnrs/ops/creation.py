"""Tensors made of constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import integer
from cnnrs.base.dtypes import standardize_dtype
from cnnrs.ops.core import convert_to_tensor
from cnnrs.ops.dispatch import apply, as_tensor, op, standardize_axis

__all__ = [
    "arange",
    "array",
    "copy",
    "empty",
    "eye",
    "full",
    "full_like",
    "identity",
    "linspace",
    "logspace",
    "meshgrid",
    "ndim",
    "ones",
    "ones_like",
    "size",
    "tri",
    "zeros",
    "zeros_like",
]


# More bytes than any address space that processors map today.
_ADDRESS_SPACE = 2**47


def _shape(shape: Any) -> tuple[int, ...]:
    """A shape given as a number or several.

    Raises:
        TypeError: It holds something else.
        ValueError: An extent is negative.
        MemoryError: No memory holds that many elements.
    """
    try:
        extents = tuple(e.__index__() for e in (shape if hasattr(shape, "__iter__") else [shape]))
    except AttributeError:
        raise TypeError(f"shape: expected integers, received {shape!r}") from None
    if any(extent < 0 for extent in extents):
        raise ValueError(f"shape: expected extents >= 0, received {shape!r}")
    if 4 * math.prod(extents) > _ADDRESS_SPACE:
        raise MemoryError(f"shape: no memory for {math.prod(extents):,} elements, received {shape!r}")
    if any(extent >= 2**63 for extent in extents):
        raise ValueError(f"shape: expected extents of at most 63 bits, received {shape!r}")
    return extents


def _count(num: Any, name: str, start: Any, stop: Any) -> int:
    """`num` numbers, or vectors of them, between `start` and `stop`."""
    count = integer(num, name, "num", least=0)
    if 8 * count * np.broadcast(start, stop).size > _ADDRESS_SPACE:
        raise MemoryError(f"{name}: num: no memory for {count:,} values")
    return count


def _diagonal(k: Any, name: str, rows: int, columns: int | None) -> int:
    """The diagonal `k` of a matrix, or of those outside of it the nearest."""
    return max(-rows, min(integer(k, name, "k"), rows if columns is None else columns))


def array(x: Any, dtype: Any = None) -> Any:
    """A tensor of the values of `x`."""
    return convert_to_tensor(x, dtype)


def zeros(shape: Any, dtype: Any = None) -> Any:
    """Zeros."""
    return _core.tensor(np.zeros(_shape(shape), standardize_dtype(dtype)))


def ones(shape: Any, dtype: Any = None) -> Any:
    """Ones."""
    return _core.tensor(np.ones(_shape(shape), standardize_dtype(dtype)))


def empty(shape: Any, dtype: Any = None) -> Any:
    """A tensor whose values mean nothing: zeros."""
    return zeros(shape, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """The same value everywhere."""
    value = as_tensor(fill_value)
    if dtype is not None:
        value = value.astype(standardize_dtype(dtype))
    return apply("broadcast_to", value, shape=list(_shape(shape)))


@op
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros of the shape of `x`."""
    x = as_tensor(x)
    return zeros(x.shape, standardize_dtype(dtype, x.dtype))


@op
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones of the shape of `x`."""
    x = as_tensor(x)
    return ones(x.shape, standardize_dtype(dtype, x.dtype))


@op
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """The same value everywhere, in the shape of `x`."""
    x = as_tensor(x)
    return full(x.shape, fill_value, standardize_dtype(dtype, x.dtype))


@op
def copy(x: Any) -> Any:
    """The same values; tensors never change, so that nothing is copied."""
    return as_tensor(x)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """`start`, `start + step`, ... below `stop`; from 0 to `start` if there is no `stop`."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    given = f"received start {start}, stop {stop} and step {step}"
    first, last, by = (x.item() if hasattr(x, "item") else x for x in (start, stop, step))
    if by == 0:
        raise ValueError(f"arange: step: expected a number other than 0, {given}")
    integers = all(isinstance(x, int) for x in (first, last, by))
    # numpy counts integers in 64 bits, and others as floating-point numbers.
    count = -((first - last) // by) if integers else (float(last) - float(first)) / float(by)
    if math.isnan(count):
        raise ValueError(f"arange: expected finite numbers, {given}")
    if 8 * count > _ADDRESS_SPACE:
        raise MemoryError(f"arange: no memory for so many values, {given}")
    values = np.arange(start, stop, step)
    dtype = standardize_dtype(dtype, standardize_dtype(values.dtype))
    if dtype == "int32" and values.size:
        least, most = sorted((values[0], values[-1]))
        if not -(2**31) <= least <= most < 2**31:
            raise OverflowError(f"arange: expected values within int32, received {least} to {most}")
    return _core.tensor(values.astype(dtype))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` values at equal distances from `start` to `stop`."""
    axis = standardize_axis(axis, max(np.ndim(start), np.ndim(stop)) + 1)
    num = _count(num, "linspace", start, stop)
    values, step = np.linspace(start, stop, num, endpoint=endpoint, retstep=True, axis=axis)
    result = _core.tensor(values.astype(standardize_dtype(dtype)))
    return (result, step) if retstep else result


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`base` to the power of `num` values at equal distances."""
    axis = standardize_axis(axis, max(np.ndim(start), np.ndim(stop)) + 1)
    num = _count(num, "logspace", start, stop)
    values = np.logspace(start, stop, num, endpoint=endpoint, base=base, axis=axis)
    return _core.tensor(values.astype(standardize_dtype(dtype)))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on diagonal `k`, zeros elsewhere."""
    _shape((N, N if M is None else M))
    return _core.tensor(np.eye(N, M, _diagonal(k, "eye", N, M), dtype=standardize_dtype(dtype)))


def identity(n: int, dtype: Any = None) -> Any:
    """The identity matrix."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones at and below diagonal `k`, zeros above."""
    _shape((N, N if M is None else M))
    return _core.tensor(np.tri(N, M, _diagonal(k, "tri", N, M), dtype=standardize_dtype(dtype)))


@op
def meshgrid(*x: Any, indexing: str = "xy") -> Any:
    """Coordinate grids of vectors, as a list."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing: expected 'xy' or 'ij', received {indexing!r}")
    vectors = [apply("reshape", as_tensor(v), shape=[-1]) for v in x]
    places = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        places[0], places[1] = 1, 0
    shape = [0] * len(vectors)
    for vector, place in zip(vectors, places, strict=True):
        shape[place] = vector.shape[0]
    grids = []
    for vector, place in zip(vectors, places, strict=True):
        along = [-1 if a == place else 1 for a in range(len(vectors))]
        grids.append(apply("broadcast_to", apply("reshape", vector, shape=along), shape=shape))
    return grids


def ndim(x: Any) -> int:
    """Number of axes."""
    return len(x.shape) if hasattr(x, "shape") else np.ndim(x)


def size(x: Any) -> int | None:
    """Number of elements; None if a symbolic tensor does not know it."""
    extents = x.shape if hasattr(x, "shape") else np.shape(x)
    return None if None in extents else math.prod(extents)
