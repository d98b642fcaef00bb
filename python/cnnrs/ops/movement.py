"""Order and repetition of elements: turned around, moved, tiled, padded, and their differences."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import integer, integers
from cnnrs.ops.dispatch import (
    apply,
    as_tensor,
    op,
    standardize_axes,
    standardize_axis,
)
from cnnrs.ops.joining import split
from cnnrs.ops.values import values_of

__all__ = [
    "diff",
    "flip",
    "pad",
    "repeat",
    "roll",
    "tile",
]


@op
def flip(x: Any, axis: Any = None) -> Any:
    """Reverses the order of elements along axes.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or named twice.

    Example:
        >>> from cnnrs import ops
        >>> ops.flip([[1, 2], [3, 4]], axis=1).tolist()
        [[2, 1], [4, 3]]
    """
    x = as_tensor(x)
    axes = standardize_axes(axis, x.ndim)
    return apply("flip", x, axes=list(range(x.ndim)) if axes is None else axes)


@op
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Shifts elements along axes; what leaves at one end enters at the other.

    Args:
        x: Tensor of any shape and dtype.
        shift: By how many places, towards the end if positive: an integer, or one for each axis. Several for
            one axis are added up.
        axis: The axis, or a sequence of axes; None, the default, shifts the elements as if they lay along one
            axis.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric, or `axis` is neither an integer nor a sequence of them.
        ValueError: `axis` is out of range or named twice, `shift` is neither an integer nor a sequence of
            them, or there are not as many shifts as axes.

    Example:
        >>> from cnnrs import ops
        >>> ops.roll([1, 2, 3, 4], 1).tolist(), ops.roll([[1, 2], [3, 4]], 1, axis=0).tolist()
        ([4, 1, 2, 3], [[3, 4], [1, 2]])
    """
    x = as_tensor(x)
    if axis is None:
        return apply("reshape", roll(apply("reshape", x, shape=[-1]), shift, 0), shape=list(x.shape))
    axes = standardize_axes(axis, x.ndim) or []
    shifts = integers(shift, "roll", "shift")
    if len(axes) == 1:
        shifts = [builtins.sum(shifts)]
    elif len(shifts) == 1:
        shifts = shifts * len(axes)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: shift: expected one for each of {len(axes)} axes, received {shift}")
    for amount, place in zip(shifts, axes, strict=True):
        extent = x.shape[place]
        cut = (-amount) % extent if extent else 0
        if cut:
            head, tail = split(x, [cut], place)
            x = _core.apply("concat", [tail, head], {"axis": place})
    return x


@op
def tile(x: Any, repeats: Any) -> Any:
    """Repeats a tensor as a whole along its axes.

    Args:
        x: Tensor of any shape and dtype.
        repeats: How often, an integer >= 0, or one for each axis. A single integer belongs to the last axis,
            more integers than axes add axes in front.

    Returns:
        Tensor of the dtype of `x` whose extents are multiplied by the repeats.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `repeats` is neither an integer >= 0 nor a sequence of them.
        MemoryError: There is no memory for so many elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.tile([1, 2], 2).tolist(), ops.tile([1, 2], (2, 1)).tolist()
        ([1, 2, 1, 2], [[1, 2], [1, 2]])
    """
    x = as_tensor(x)
    counts = integers(repeats, "tile", "repeats", least=0)
    if len(counts) > x.ndim:
        x = apply("reshape", x, shape=[1] * (len(counts) - x.ndim) + list(x.shape))
    return apply("tile", x, repeats=[1] * (x.ndim - len(counts)) + counts)


@op
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeats each element along an axis.

    Args:
        x: Tensor of any shape and dtype.
        repeats: How often: an integer >= 0, or one for each place along the axis, which are read.
        axis: The axis; None, the default, makes `x` flat first.

    Returns:
        Tensor of the dtype of `x` whose extent along the axis is multiplied by `repeats`, or is their sum.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `repeats` are no integers >= 0, or not as many as places, or `axis` is out of range.
        MemoryError: There is no memory for so many elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.repeat([1, 2], 2).tolist(), ops.repeat([[1, 2], [3, 4]], 2, axis=0).tolist()
        ([1, 1, 2, 2], [[1, 2], [1, 2], [3, 4], [3, 4]])
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = apply("reshape", x, shape=[-1]), 0
    axis = standardize_axis(axis, x.ndim)
    if np.ndim(repeats):
        given = values_of(repeats, "repeat", "give Python integers") if hasattr(repeats, "shape") else repeats
        counts = integers(list(given), "repeat", "repeats", least=0)
        if len(counts) not in (1, x.shape[axis]):
            raise ValueError(
                f"repeat: repeats: expected 1 or {x.shape[axis]} integers, received {len(counts)}"
            )
        if len(counts) > 1:
            places = np.repeat(np.arange(x.shape[axis], dtype=np.int32), counts)
            return apply("gather", x, places, axis=axis)
        [repeats] = counts
    repeats = integer(repeats, "repeat", "repeats", least=0)
    shape = list(x.shape)
    wide = shape[: axis + 1] + [repeats] + shape[axis + 1 :]
    x = apply("broadcast_to", apply("expand_dims", x, axis=axis + 1), shape=wide)
    return apply("reshape", x, shape=shape[:axis] + [shape[axis] * repeats] + shape[axis + 1 :])


def _widths(pad_width: Any, rank: int) -> list[list[int]]:
    """`(before, after)` for each axis, of one number, a pair or pairs."""
    try:
        given = np.asarray(pad_width)
        widths = np.broadcast_to(given, (rank, 2))
    except ValueError:
        given, widths = np.asarray(0.5), np.zeros((0, 2))
    if given.dtype == object and all(isinstance(width, int) for width in given.flat):
        raise ValueError(f"pad: pad_width: expected numbers of at most 64 bits, received {pad_width}")
    if given.dtype.kind not in "iu" or (given < 0).any():
        raise ValueError(
            "pad: pad_width: expected an integer >= 0, a pair of them, or a pair for each of the "
            f"{rank} axes, received {pad_width!r}"
        )
    return widths.tolist()


@op
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """Extends a tensor at both ends of each axis.

    Args:
        x: Tensor of any shape and dtype.
        pad_width: By how many elements >= 0: `(before, after)` for each axis, or one number or pair for all.
        mode: What the new elements are: "constant", the default, one value; "reflect" the mirrored elements
            without the one at the edge; "symmetric" the mirrored elements with it; "edge" the one at the
            edge.
        constant_values: The value with "constant", a number; None, the default, means 0. None with the other
            modes.

    Returns:
        Tensor of the dtype of `x`, to which the value is converted.

    Raises:
        TypeError: `x` is not numeric, or `constant_values` is no number.
        ValueError: `pad_width` holds something other than integers >= 0 or does not fit the axes, `mode` is
            unknown, `constant_values` is given with another mode, or an axis without elements cannot be
            mirrored.
        MemoryError: There is no memory for so many elements.

    Example:
        >>> from cnnrs import ops
        >>> ops.pad([1, 2, 3], (1, 2)).tolist(), ops.pad([1, 2, 3], 2, mode="reflect").tolist()
        ([0, 1, 2, 3, 0, 0], [3, 2, 1, 2, 3, 2, 1])
    """
    x = as_tensor(x)
    widths = _widths(pad_width, x.ndim)
    if mode == "constant":
        return apply(
            "pad", x, paddings=widths, value=float(0.0 if constant_values is None else constant_values)
        )
    if constant_values is not None:
        raise ValueError(
            f"pad: constant_values: expected None with mode {mode!r}, received {constant_values!r}"
        )
    if mode not in ("reflect", "symmetric", "edge"):
        raise ValueError(
            f"pad: mode: expected 'constant', 'reflect', 'symmetric' or 'edge', received {mode!r}"
        )
    for axis, width in enumerate(widths):
        if builtins.any(width):
            index = np.pad(np.arange(x.shape[axis], dtype=np.int32), width, mode=mode)  # type: ignore[call-overload]
            x = apply("gather", x, index, axis=axis)
    return x


@op
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Computes the differences of neighbours along an axis.

    Args:
        a: Tensor of at least one axis, of any dtype.
        n: How often to do so, an integer >= 0; once by default.
        axis: The axis, the last by default.

    Returns:
        Tensor of the dtype of `a`; the extent along `axis` shrinks by `n`, at most to 0. Differences of uint8
        wrap around, those of bools are whether they differ.

    Raises:
        TypeError: `a` is not numeric, or `axis` is no integer.
        ValueError: `n` is no integer >= 0, or `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.diff([1.0, 4.0, 9.0, 16.0]).tolist(), ops.diff([1.0, 4.0, 9.0, 16.0], n=2).tolist()
        ([3.0, 5.0, 7.0], [2.0, 2.0])
    """
    a = as_tensor(a)
    axis = standardize_axis(axis, a.ndim)
    n = integer(n, "diff", "n", least=0)
    low: list[Any] = [builtins.slice(None)] * a.ndim
    high = list(low)
    low[axis], high[axis] = builtins.slice(None, -1), builtins.slice(1, None)
    difference = "logical_xor" if a.dtype == "bool" else "sub"
    # After as many as there are elements nothing is left.
    for _ in range(min(n, a.shape[axis])):
        a = apply(difference, a[tuple(high)], a[tuple(low)])
    return a
