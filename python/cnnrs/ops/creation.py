"""Tensors made of constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import integer, named
from cnnrs.base.dtypes import FLOATS, INTEGERS, host_dtype, limits, result_type, standardize_dtype
from cnnrs.ops.core import convert_to_tensor
from cnnrs.ops.dispatch import apply, as_tensor, op

__all__ = [
    "arange",
    "array",
    "copy",
    "empty",
    "eye",
    "full",
    "full_like",
    "identity",
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
ADDRESS_SPACE = 2**47


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
    if 4 * math.prod(extents) > ADDRESS_SPACE:
        raise MemoryError(f"shape: no memory for {math.prod(extents):,} elements, received {shape!r}")
    if any(extent >= 2**63 for extent in extents):
        raise ValueError(f"shape: expected extents of at most 63 bits, received {shape!r}")
    return extents


def _diagonal(k: Any, name: str, rows: int, columns: int | None) -> int:
    """The diagonal `k` of a matrix, or of those outside of it the nearest."""
    return max(-rows, min(integer(k, name, "k"), rows if columns is None else columns))


@named
def array(x: Any, dtype: Any = None) -> Any:
    """Makes a tensor of the values of an array, a number, nested lists, a variable or a tensor.

    Args:
        x: The values.
        dtype: Element type, as `cast` takes it; None, the default, keeps that of `x`.

    Returns:
        Tensor of the shape of `x`. `convert_to_tensor` says which dtypes become which.

    Raises:
        TypeError: `x` is not numeric, or `dtype` is no known type.
        ValueError: The lists are not of equal length.
        OverflowError: An integer does not fit into int32.

    Example:
        >>> from cnnrs import ops
        >>> x = ops.array([[1, 2], [3, 4]], dtype="float32")
        >>> x.shape, x.dtype
        ((2, 2), 'float32')
    """
    return convert_to_tensor(x, dtype)


def converted(values: np.ndarray, dtype: str) -> Any:
    """numpy's values as a tensor of type `dtype`."""
    return _core.tensor(values.astype(host_dtype(dtype)), dtype)


@named
def zeros(shape: Any, dtype: Any = None) -> Any:
    """Makes a tensor of zeros.

    Args:
        shape: An integer >= 0, or a sequence of them.
        dtype: Element type, as `cast` takes it; None, the default, means float32.

    Returns:
        Tensor of that shape and type.

    Raises:
        TypeError: `shape` holds something other than integers, or `dtype` is no known type.
        ValueError: An extent is negative.
        MemoryError: There is no memory for so many elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.zeros((2, 3)).tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    dtype = standardize_dtype(dtype)
    return _core.tensor(np.zeros(_shape(shape), host_dtype(dtype)), dtype)


@named
def ones(shape: Any, dtype: Any = None) -> Any:
    """Makes a tensor of ones.

    Args:
        shape: An integer >= 0, or a sequence of them.
        dtype: Element type, as `cast` takes it; None, the default, means float32.

    Returns:
        Tensor of that shape and type.

    Raises:
        TypeError: `shape` holds something other than integers, or `dtype` is no known type.
        ValueError: An extent is negative.
        MemoryError: There is no memory for so many elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.ones(3, dtype="int32").tolist()
        [1, 1, 1]
    """
    dtype = standardize_dtype(dtype)
    return _core.tensor(np.ones(_shape(shape), host_dtype(dtype)), dtype)


@named
def empty(shape: Any, dtype: Any = None) -> Any:
    """Makes a tensor whose values one should not rely on; they are zeros.

    Args:
        shape: An integer >= 0, or a sequence of them.
        dtype: Element type, as `cast` takes it; None, the default, means float32.

    Returns:
        Tensor of that shape and type.

    Raises:
        TypeError: `shape` holds something other than integers, or `dtype` is no known type.
        ValueError: An extent is negative.
        MemoryError: There is no memory for so many elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.empty((2, 3)).shape
        (2, 3)
    """
    return zeros(shape, dtype)


@named
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Makes a tensor that has the same value everywhere.

    Args:
        shape: An integer >= 0, or a sequence of them.
        fill_value: The value: a number, or a tensor that broadcasts to `shape`.
        dtype: Element type, as `cast` takes it; None, the default, means float32.

    Returns:
        Tensor of that shape and type.

    Raises:
        TypeError: `fill_value` is not numeric, `shape` holds something other than integers, or `dtype` is no
            known type.
        ValueError: An extent is negative, or `fill_value` does not broadcast to `shape`.
        MemoryError: There is no memory for so many elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.full((2, 2), 7).tolist(), ops.full((2, 2), [1.5, 2.5]).tolist()
        ([[7.0, 7.0], [7.0, 7.0]], [[1.5, 2.5], [1.5, 2.5]])
    """
    dtype = standardize_dtype(dtype)
    # A number of Python keeps the digits that the type holds.
    exact = type(fill_value) is float and dtype in FLOATS
    value = _core.tensor(fill_value, dtype) if exact else as_tensor(fill_value).astype(dtype)
    return apply("broadcast_to", value, shape=list(_shape(shape)))


@op
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Makes a tensor of zeros of the shape of another.

    Args:
        x: Tensor whose shape is taken.
        dtype: Element type, as `cast` takes it; None, the default, means that of `x`.

    Returns:
        Tensor of that shape and type.

    Raises:
        TypeError: `x` is not numeric, or `dtype` is no known type.

    Example:
        >>> from cnnrs import ops
        >>> ops.zeros_like([5, 6]).tolist(), ops.zeros_like([5, 6], dtype="float32").tolist()
        ([0, 0], [0.0, 0.0])
    """
    x = as_tensor(x)
    return zeros(x.shape, standardize_dtype(dtype, x.dtype))


@op
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Makes a tensor of ones of the shape of another.

    Args:
        x: Tensor whose shape is taken.
        dtype: Element type, as `cast` takes it; None, the default, means that of `x`.

    Returns:
        Tensor of that shape and type.

    Raises:
        TypeError: `x` is not numeric, or `dtype` is no known type.

    Example:
        >>> from cnnrs import ops
        >>> ops.ones_like([5, 6]).tolist(), ops.ones_like([5, 6], dtype="float32").tolist()
        ([1, 1], [1.0, 1.0])
    """
    x = as_tensor(x)
    return ones(x.shape, standardize_dtype(dtype, x.dtype))


@op
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Makes a tensor of the shape of another that has the same value everywhere.

    Args:
        x: Tensor whose shape is taken.
        fill_value: The value: a number, or a tensor that broadcasts to that shape.
        dtype: Element type, as `cast` takes it; None, the default, means that of `x`.

    Returns:
        Tensor of that shape and type.

    Raises:
        TypeError: `x` or `fill_value` is not numeric, or `dtype` is no known type.
        ValueError: `fill_value` does not broadcast to the shape of `x`.

    Example:
        >>> from cnnrs import ops
        >>> ops.full_like([[1, 2], [3, 4]], 9).tolist()
        [[9, 9], [9, 9]]
    """
    x = as_tensor(x)
    return full(x.shape, fill_value, standardize_dtype(dtype, x.dtype))


@op
def copy(x: Any) -> Any:
    """Gives a tensor of the same values; since tensors never change, a tensor comes back as it is.

    Args:
        x: Tensor, or what becomes one.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> x = ops.array([1, 2])
        >>> ops.copy(x) is x
        True
    """
    return as_tensor(x)


@named
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Makes a vector of numbers at equal distances from a start to before a stop.

    Args:
        start: The first number; with `stop=None` the stop, and the first number is 0.
        stop: The bound, which is not reached; None as said.
        step: Distance of neighbours, not 0; negative to count down. None, the default, means 1.
        dtype: Element type, as `cast` takes it; None, the default, means int32 if all arguments are integers
            and float32 otherwise.

    Returns:
        Tensor of one axis, of length `ceil((stop - start) / step)`, and 0 if that is negative.

    Raises:
        TypeError: An argument is no number, or `dtype` is no known type.
        ValueError: `step` is 0, or an argument is NaN or text.
        OverflowError: A value does not fit into int32.
        MemoryError: There is no memory for so many values.
        RuntimeError: A function is being recorded, and a tensor among the arguments has no value yet.

    Example:
        >>> from cnnrs import ops
        >>> ops.arange(4).tolist(), ops.arange(3, 0, -1).tolist(), ops.arange(0, 1, 0.25).tolist()
        ([0, 1, 2, 3], [3, 2, 1], [0.0, 0.25, 0.5, 0.75])
    """
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
    if 8 * count > ADDRESS_SPACE:
        raise MemoryError(f"arange: no memory for so many values, {given}")
    values = np.arange(start, stop, step)
    # As those of the arguments that have a type, and else as Python's numbers.
    types = [x.dtype if hasattr(x, "dtype") else type(x) for x in (start, stop, step)]
    dtype = standardize_dtype(dtype, result_type(*types) if values.dtype.kind in "iuf" else "int32")
    if dtype in INTEGERS and values.size:
        (least, most), (low, high) = sorted((values[0], values[-1])), limits(dtype)
        if not low <= least <= most <= high:
            raise OverflowError(f"arange: expected values within {dtype}, received {least} to {most}")
    return converted(values, dtype)


@named
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Makes a matrix of ones on one diagonal and zeros elsewhere.

    Args:
        N: Number of rows.
        M: Number of columns; None, the default, means `N`.
        k: Which diagonal: 0, the default, is the main one, positive numbers lie above it, negative ones
            below.
        dtype: Element type, as `cast` takes it; None, the default, means float32.

    Returns:
        Tensor of shape (N, M).

    Raises:
        TypeError: An extent is no integer, or `dtype` is no known type.
        ValueError: An extent is negative, or `k` is no integer.
        MemoryError: There is no memory for so many elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.eye(2, 3, k=1).tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    _shape((N, N if M is None else M))
    dtype = standardize_dtype(dtype)
    return _core.tensor(np.eye(N, M, _diagonal(k, "eye", N, M), dtype=host_dtype(dtype)), dtype)


@named
def identity(n: int, dtype: Any = None) -> Any:
    """Makes the identity matrix: ones on the main diagonal, zeros elsewhere.

    Args:
        n: Number of rows and of columns.
        dtype: Element type, as `cast` takes it; None, the default, means float32.

    Returns:
        Tensor of shape (n, n).

    Raises:
        TypeError: `n` is no integer, or `dtype` is no known type.
        ValueError: `n` is negative.
        MemoryError: There is no memory for so many elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.identity(2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return eye(n, dtype=dtype)


@named
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Makes a matrix of ones at and below a diagonal and zeros above.

    Args:
        N: Number of rows.
        M: Number of columns; None, the default, means `N`.
        k: Which diagonal: 0, the default, is the main one, positive numbers lie above it, negative ones
            below.
        dtype: Element type, as `cast` takes it; None, the default, means float32.

    Returns:
        Tensor of shape (N, M).

    Raises:
        TypeError: An extent is no integer, or `dtype` is no known type.
        ValueError: An extent is negative, or `k` is no integer.
        MemoryError: There is no memory for so many elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.tri(2, 3).tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    """
    _shape((N, N if M is None else M))
    dtype = standardize_dtype(dtype)
    return _core.tensor(np.tri(N, M, _diagonal(k, "tri", N, M), dtype=host_dtype(dtype)), dtype)


@op
def meshgrid(*x: Any, indexing: str = "xy") -> Any:
    """Makes the coordinates of all points of the grid that vectors span.

    Args:
        x: The vectors; tensors of other shapes are made flat.
        indexing: "xy", the default, puts the first vector along axis 1 and the second along axis 0, as in a
            picture; "ij" puts each vector along the axis of its number.

    Returns:
        List of one tensor per vector, of its dtype. With "ij" their shape is the lengths of the vectors in
        order; with "xy" the first two extents are exchanged.

    Raises:
        TypeError: A vector is not numeric.
        ValueError: `indexing` is neither "xy" nor "ij".

    Example:
        >>> from cnnrs import ops
        >>> columns, rows = ops.meshgrid([1, 2, 3], [4, 5])
        >>> columns.tolist(), rows.tolist()
        ([[1, 2, 3], [1, 2, 3]], [[4, 4, 4], [5, 5, 5]])
    """
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


@named
def ndim(x: Any) -> int:
    """Counts the axes of a tensor, a symbolic tensor, an array or nested lists.

    Args:
        x: Of whose shape to count the extents.

    Returns:
        Python integer.

    Raises:
        ValueError: The lists are not of equal length.

    Example:
        >>> import cnnrs
        >>> from cnnrs import ops
        >>> ops.ndim([[1, 2]]), ops.ndim(cnnrs.Input((28, 28, 1)))
        (2, 4)
    """
    return len(x.shape) if hasattr(x, "shape") else np.ndim(x)


@named
def size(x: Any) -> int | None:
    """Counts the elements of a tensor, a symbolic tensor, an array or nested lists.

    Args:
        x: Whose elements to count.

    Returns:
        Python integer, or None for a symbolic tensor with an unknown extent.

    Raises:
        ValueError: The lists are not of equal length.

    Example:
        >>> import cnnrs
        >>> from cnnrs import ops
        >>> ops.size([[1, 2], [3, 4]]), ops.size(cnnrs.Input((28, 28, 1)))
        (4, None)
    """
    extents = x.shape if hasattr(x, "shape") else np.shape(x)
    return None if None in extents else math.prod(extents)
