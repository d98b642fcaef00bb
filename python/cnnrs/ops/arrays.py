"""Cutting, joining and arranging arrays as numpy's helpers do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import symbolic
from cnnrs.base.arguments import integer, integers
from cnnrs.base.dtypes import standardize_dtype
from cnnrs.ops.dispatch import apply, as_tensor, op, standardize_axis
from cnnrs.ops.joining import concatenate, split
from cnnrs.ops.movement import flip
from cnnrs.ops.shapes import swapaxes
from cnnrs.ops.symbols import op_of_shape
from cnnrs.ops.values import values_of

__all__ = [
    "array_split",
    "column_stack",
    "diag",
    "diagflat",
    "dsplit",
    "dstack",
    "fliplr",
    "flipud",
    "hsplit",
    "rot90",
    "unravel_index",
    "vander",
    "view",
    "vsplit",
]

# Each part is a tensor of its own.
_MOST_PARTS = 100_000


@op
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """Splits a tensor into parts, which need not have the same extent.

    Args:
        x: Tensor of at least one axis, of any dtype.
        indices_or_sections: The number of parts, of which the first ones are longer by 1 where the extent is
            no multiple; or the places to cut at.
        axis: The axis, the first by default.

    Returns:
        List of tensors of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or there are less than 1 part.

    Example:
        >>> from cnnrs import ops
        >>> [part.tolist() for part in ops.array_split([1, 2, 3, 4, 5], 2)]
        [[1, 2, 3], [4, 5]]
    """
    x = as_tensor(x)
    if not hasattr(indices_or_sections, "__index__"):
        return split(x, indices_or_sections, axis=axis)
    parts = integer(indices_or_sections, "array_split", "indices_or_sections", least=1, most=_MOST_PARTS)
    extent = x.shape[standardize_axis(axis, x.ndim)]
    lengths = [extent // parts + (1 if i < extent % parts else 0) for i in range(parts)]
    return split(x, np.cumsum(lengths)[:-1].tolist(), axis=axis)


def _split_spec(axis: int) -> Any:
    """The symbols of parts of an unknown extent: what lies between two cuts has a known length."""

    def spec(x: Any, indices_or_sections: Any) -> Any:
        if (
            len(x.shape) <= axis
            or x.shape[axis] is not None
            or not isinstance(indices_or_sections, (list, tuple))
        ):
            return None
        cuts = [0, *indices_or_sections]
        lengths = [b - a if 0 <= a <= b else None for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
        shapes = ([n if a != axis else length for a, n in enumerate(x.shape)] for length in [*lengths, None])
        return [symbolic.KerasTensor(shape, x.dtype) for shape in shapes]

    return spec


def _split_along(name: str, x: Any, places: Any, axis: int, least: int) -> Any:
    x = as_tensor(x)
    if x.ndim < least:
        raise ValueError(f"{name}: x: expected at least {least} axes, received shape {x.shape}")
    return split(x, places, axis=axis)


@op_of_shape(_split_spec(1))
def hsplit(x: Any, indices_or_sections: Any) -> Any:
    """Splits a tensor along its columns: axis 1, or axis 0 of a tensor of one axis.

    Args:
        x: Tensor of at least one axis, of any dtype.
        indices_or_sections: The number of equal parts, or the places to cut at.

    Returns:
        List of tensors of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` is a scalar, or the parts are not equal.

    Example:
        >>> from cnnrs import ops
        >>> [part.tolist() for part in ops.hsplit([[1, 2], [3, 4]], 2)]
        [[[1], [3]], [[2], [4]]]
    """
    x = as_tensor(x)
    return _split_along("hsplit", x, indices_or_sections, 0 if x.ndim == 1 else 1, 1)


@op_of_shape(_split_spec(0))
def vsplit(x: Any, indices_or_sections: Any) -> Any:
    """Splits a tensor along its rows, axis 0.

    Args:
        x: Tensor of at least two axes, of any dtype.
        indices_or_sections: The number of equal parts, or the places to cut at.

    Returns:
        List of tensors of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has less than two axes, or the parts are not equal.

    Example:
        >>> from cnnrs import ops
        >>> [part.tolist() for part in ops.vsplit([[1, 2], [3, 4]], 2)]
        [[[1, 2]], [[3, 4]]]
    """
    return _split_along("vsplit", x, indices_or_sections, 0, 2)


@op_of_shape(_split_spec(2))
def dsplit(x: Any, indices_or_sections: Any) -> Any:
    """Splits a tensor along its depth, axis 2.

    Args:
        x: Tensor of at least three axes, of any dtype.
        indices_or_sections: The number of equal parts, or the places to cut at.

    Returns:
        List of tensors of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has less than three axes, or the parts are not equal.

    Example:
        >>> from cnnrs import ops
        >>> [part.shape for part in ops.dsplit(ops.ones((2, 3, 4)), 2)]
        [(2, 3, 2), (2, 3, 2)]
    """
    return _split_along("dsplit", x, indices_or_sections, 2, 3)


@op
def dstack(xs: Any) -> Any:
    """Joins tensors along axis 2; vectors become rows, and rows get an axis of extent 1.

    Args:
        xs: Sequence of tensors.

    Returns:
        Tensor of the common dtype.

    Raises:
        TypeError: One is not numeric.
        ValueError: There is none, or shapes do not fit.

    Example:
        >>> from cnnrs import ops
        >>> ops.dstack([[1, 2], [3, 4]]).tolist()
        [[[1, 3], [2, 4]]]
    """
    parts = [as_tensor(x) for x in xs]
    shapes = {0: [1, 1, 1], 1: [1, -1, 1]}
    wide = [apply("reshape", x, shape=shapes.get(x.ndim, [*x.shape, 1])) if x.ndim < 3 else x for x in parts]
    return concatenate(wide, axis=2)


@op
def column_stack(xs: Any) -> Any:
    """Joins tensors as columns; vectors become columns.

    Args:
        xs: Sequence of tensors of one or two axes.

    Returns:
        Tensor of the common dtype.

    Raises:
        TypeError: One is not numeric.
        ValueError: There is none, or shapes do not fit.

    Example:
        >>> from cnnrs import ops
        >>> ops.column_stack([[1, 2], [3, 4]]).tolist()
        [[1, 3], [2, 4]]
    """
    parts = [as_tensor(x) for x in xs]
    return concatenate([apply("reshape", x, shape=[-1, 1]) if x.ndim < 2 else x for x in parts], axis=1)


@op
def fliplr(x: Any) -> Any:
    """Turns the order of columns around: axis 1.

    Args:
        x: Tensor of at least two axes, of any dtype.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has less than two axes.

    Example:
        >>> from cnnrs import ops
        >>> ops.fliplr([[1, 2], [3, 4]]).tolist()
        [[2, 1], [4, 3]]
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"fliplr: x: expected at least 2 axes, received shape {x.shape}")
    return flip(x, axis=1)


@op
def flipud(x: Any) -> Any:
    """Turns the order of rows around: axis 0.

    Args:
        x: Tensor of at least one axis, of any dtype.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` is a scalar.

    Example:
        >>> from cnnrs import ops
        >>> ops.flipud([[1, 2], [3, 4]]).tolist()
        [[3, 4], [1, 2]]
    """
    x = as_tensor(x)
    if x.ndim < 1:
        raise ValueError("flipud: x: expected at least 1 axis, received a scalar")
    return flip(x, axis=0)


@op
def rot90(array: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Turns a tensor by 90 degrees in the plane of two axes, from the first to the second.

    Args:
        array: Tensor of at least two axes, of any dtype.
        k: How often, an integer; the other way around if it is negative.
        axes: The two axes.

    Returns:
        Tensor of the dtype of `array`, with the two extents swapped if `k` is odd.

    Raises:
        TypeError: `array` is not numeric, or an axis is no integer.
        ValueError: `array` has less than two axes, `axes` are not two different ones, or `k` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.rot90([[1, 2], [3, 4]]).tolist()
        [[2, 4], [1, 3]]
    """
    x = as_tensor(array)
    if x.ndim < 2:
        raise ValueError(
            f"rot90: array: Input array must have at least 2 dimensions, received shape {x.shape}"
        )
    if not isinstance(axes, (tuple, list)) or len(axes) != 2:
        raise ValueError(
            f"rot90: axes: Invalid axes: {axes}. Axes must be a tuple of two different dimensions."
        )
    first, second = (standardize_axis(axis, x.ndim, "axes") for axis in axes)
    if first == second:
        raise ValueError(
            f"rot90: axes: Invalid axes: {axes}. Axes must be a tuple of two different dimensions."
        )
    turns = integer(k, "rot90", "k") % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, axis=(first, second))
    if turns == 1:
        return swapaxes(flip(x, axis=second), first, second)
    return flip(swapaxes(x, first, second), axis=second)


@op
def diag(x: Any, k: int = 0) -> Any:
    """Makes a matrix with a diagonal, or takes the diagonal of a matrix.

    Args:
        x: Tensor of one axis, which becomes a diagonal, or of two.
        k: Which diagonal: 0, the default, is the main one, positive numbers lie above it.

    Returns:
        Tensor of the dtype of `x`, of two axes or of one.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has other than one or two axes, or `k` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.diag([1, 2]).tolist(), ops.diag([[1, 2], [3, 4]], k=1).tolist()
        ([[1, 0], [0, 2]], [2])
    """
    x = as_tensor(x)
    k = integer(k, "diag", "k")
    if x.ndim == 1:
        return _diagonal_matrix(x, k)
    if x.ndim != 2:
        raise ValueError(f"diag: x: expected one axis or two (1-D or 2-D), received shape {x.shape}")
    rows, columns = x.shape
    places = [r * columns + r + k for r in range(rows) if 0 <= r + k < columns]
    return apply("gather", apply("reshape", x, shape=[-1]), np.asarray(places, np.int32), axis=0)


def _diagonal_matrix(x: Any, k: int) -> Any:
    """The element at (i, i + k) stands at i · (size + 1) + the place of the first of the flat matrix."""
    count = x.shape[0]
    size = count + abs(k)
    if count == 0:
        return apply("broadcast_to", np.zeros((), np.int32), shape=[size, size]).astype(x.dtype)
    rows = apply("pad", apply("expand_dims", x, axis=1), paddings=[[0, 0], [0, size]], value=0.0)
    flat = apply("reshape", rows, shape=[-1])
    start = k if k >= 0 else -k * size
    total = size * size
    body = flat[: total - start] if flat.shape[0] > total - start else flat
    padded = apply("pad", body, paddings=[[start, total - start - body.shape[0]]], value=0.0)
    return apply("reshape", padded, shape=[size, size])


@op
def diagflat(x: Any, k: int = 0) -> Any:
    """Makes a matrix with the elements of a tensor as its diagonal.

    Args:
        x: Tensor of any shape and dtype, which is made flat.
        k: Which diagonal: 0, the default, is the main one, positive numbers lie above it.

    Returns:
        Tensor of two axes, of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `k` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.diagflat([[1], [2]]).tolist()
        [[1, 0], [0, 2]]
    """
    flat = apply("reshape", as_tensor(x), shape=[-1])
    return _diagonal_matrix(flat, integer(k, "diagflat", "k"))


@op
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Makes the matrix of the powers of each element, a row an element.

    Args:
        x: Tensor of one axis.
        N: How many powers, an integer >= 0; None, the default, for as many as there are elements.
        increasing: Whether the powers grow from left to right; by default they fall.

    Returns:
        Tensor of shape (elements, N), of the dtype of `x`, int32 for bool.

    Raises:
        TypeError: `x` is not numeric, or `N` is no integer.
        ValueError: `x` has not one axis, or `N` is negative.

    Example:
        >>> from cnnrs import ops
        >>> ops.vander([1, 2, 3]).tolist()
        [[1, 1, 1], [4, 2, 1], [9, 3, 1]]
    """
    x = as_tensor(x)
    if x.ndim != 1:
        raise ValueError(f"vander: x: Input tensor must be 1-dimensional, received shape {x.shape}")
    if N is not None and (not hasattr(N, "__index__") or isinstance(N, bool)):
        raise TypeError(f"vander: N: Argument `N` must be of type `int`, received {N!r}")
    count = x.shape[0] if N is None else integer(N, "vander", "N", least=0)
    x = x.astype("int32") if x.dtype == "bool" else x
    powers = np.arange(count) if increasing else np.arange(count)[::-1]
    powers = as_tensor(powers.astype(np.int32)).astype(x.dtype)
    return apply("pow", apply("expand_dims", x, axis=1), powers)


@op
def unravel_index(indices: Any, shape: Any) -> Any:
    """Turns indices of a flat tensor into an index for each axis.

    Args:
        indices: Tensor of integers.
        shape: The shape that was made flat.

    Returns:
        Tuple of tensors of the shape and dtype of `indices`, one for each axis.

    Raises:
        TypeError: `indices` is not numeric.
        ValueError: `shape` is no sequence of integers >= 0.

    Example:
        >>> from cnnrs import ops
        >>> [index.tolist() for index in ops.unravel_index([1, 5], (2, 3))]
        [[0, 1], [1, 2]]
    """
    rest = as_tensor(indices)
    if any(extent is None for extent in shape):
        raise ValueError(f"unravel_index: shape: `shape` argument cannot contain `None`, received {shape}")
    extents = integers(shape, "unravel_index", "shape", least=0)
    kept = rest.dtype
    # An extent may exceed what the type of the indices holds.
    rest = rest.astype("int32") if kept in ("bool", "int8", "uint8", "int16", "uint16") else rest
    total = math.prod(extents)
    rest = apply("where", apply("less", rest, 0), apply("add", rest, total), rest)
    found = []
    for extent in reversed(extents):
        found.append(apply("mod", rest, extent).astype(kept))
        rest = apply("floor_div", rest, extent)
    return tuple(reversed(found))


def _view_spec(x: Any, dtype: Any = None) -> Any:
    """The symbol of the bytes of `x` as another type: the last extent counts elements of that."""
    dtype = standardize_dtype(dtype, str(x.dtype))
    old, new = (2 if name == "bfloat16" else np.dtype(name).itemsize for name in (str(x.dtype), dtype))
    shape = list(x.shape)
    if shape and shape[-1] is not None and old != new:
        shape[-1] = shape[-1] * old // new
    return symbolic.KerasTensor(shape, dtype)


@op_of_shape(_view_spec)
def view(x: Any, dtype: Any = None) -> Any:
    """Reads the bytes of a tensor as elements of another type.

    It reads values: while a function is recorded, convert with `cast`.

    Args:
        x: Tensor of any shape and dtype.
        dtype: The type, as `cast` takes it; None, the default, for that of `x`.

    Returns:
        Tensor of the type. The last extent is larger or smaller where the elements have other sizes.

    Raises:
        TypeError: `x` is not numeric, or `dtype` is no known type.
        ValueError: The last axis does not hold whole elements of the type.
        RuntimeError: A function is being recorded, and `x` has no values yet.

    Example:
        >>> from cnnrs import ops
        >>> hex(int(ops.view(ops.array([1.0]), "int32")[0]))
        '0x3f800000'
    """
    x = as_tensor(x)
    dtype = standardize_dtype(dtype, x.dtype)
    if dtype == x.dtype:
        return x
    values = values_of(x, "view", "use ops.cast to convert")
    return as_tensor(np.ascontiguousarray(values).view(np.dtype(dtype)))
