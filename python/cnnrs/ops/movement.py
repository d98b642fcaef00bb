"""Shapes, order, joining, cutting and picking, with numpy's names and meaning."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import integer, integers
from cnnrs.base.dtypes import result_type
from cnnrs.ops.dispatch import (
    apply,
    as_index,
    as_tensor,
    in_float32,
    op,
    standardize_axes,
    standardize_axis,
)
from cnnrs.ops.values import values_of

__all__ = [
    "append",
    "broadcast_to",
    "concatenate",
    "diagonal",
    "diff",
    "expand_dims",
    "flip",
    "get_item",
    "hstack",
    "moveaxis",
    "pad",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "take",
    "take_along_axis",
    "tile",
    "trace",
    "transpose",
    "tril",
    "triu",
    "vstack",
]


@op
def reshape(x: Any, newshape: Any) -> Any:
    """Gives the same elements another shape.

    Args:
        x: Tensor of any shape and dtype.
        newshape: An integer, or a sequence of integers >= 0 whose product is the number of elements. One of
            them may be -1 or None and is computed from the others.

    Returns:
        Tensor of that shape and of the dtype of `x`, with the elements in the same order: the last axis runs
        fastest.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `newshape` is neither an integer nor a sequence of them, does not hold as many elements as
            `x`, or names more than one unknown extent.

    Example:
        >>> from cnnrs import ops
        >>> ops.reshape([1, 2, 3, 4, 5, 6], (2, -1)).tolist()
        [[1, 2, 3], [4, 5, 6]]
    """
    if isinstance(newshape, (list, tuple)) and None in newshape:
        newshape = [-1 if extent is None else extent for extent in newshape]
    return apply("reshape", as_tensor(x), shape=integers(newshape, "reshape", "newshape", least=-1))


@op
def ravel(x: Any) -> Any:
    """Lines up all elements along one axis.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tensor of one axis and of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.ravel([[1, 2], [3, 4]]).tolist()
        [1, 2, 3, 4]
    """
    return apply("reshape", as_tensor(x), shape=[-1])


@op
def transpose(x: Any, axes: Any = None) -> Any:
    """Puts the axes of a tensor in another order.

    Args:
        x: Tensor of any shape and dtype.
        axes: For each axis of the result, the axis of `x` that it is; None, the default, reverses the order.

    Returns:
        Tensor of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric, or `axes` holds something other than integers.
        ValueError: `axes` does not name each axis once.

    Example:
        >>> from cnnrs import ops
        >>> ops.transpose([[1, 2, 3], [4, 5, 6]]).tolist()
        [[1, 4], [2, 5], [3, 6]]
        >>> ops.transpose(ops.zeros((2, 3, 4)), (0, 2, 1)).shape
        (2, 4, 3)
    """
    x = as_tensor(x)
    perm = standardize_axes(axes, x.ndim, "axes")
    if perm is not None and len(perm) != x.ndim:
        raise ValueError(
            f"transpose: axes: expected each of the {x.ndim} axes of shape {x.shape} once, received {axes}"
        )
    return apply("transpose", x, perm=perm)


@op
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Exchanges two axes of a tensor.

    Args:
        x: Tensor of any shape and dtype.
        axis1: The one axis.
        axis2: The other axis.

    Returns:
        Tensor of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric, or an axis is no integer.
        ValueError: An axis is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.swapaxes(ops.zeros((2, 3, 4)), 0, -1).shape
        (4, 3, 2)
    """
    x = as_tensor(x)
    perm = list(range(x.ndim))
    a, b = standardize_axis(axis1, x.ndim, "axis1"), standardize_axis(axis2, x.ndim, "axis2")
    perm[a], perm[b] = b, a
    return apply("transpose", x, perm=perm)


@op
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Moves axes of a tensor to other places, and leaves the rest in order.

    Args:
        x: Tensor of any shape and dtype.
        source: The axis, or a sequence of axes.
        destination: Where each of them stands in the result.

    Returns:
        Tensor of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric, or an axis is no integer.
        ValueError: An axis is out of range or named twice, or `source` and `destination` differ in length.

    Example:
        >>> from cnnrs import ops
        >>> ops.moveaxis(ops.zeros((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    x = as_tensor(x)
    return _moveaxis(
        x,
        standardize_axes(source, x.ndim, "source") or [],
        standardize_axes(destination, x.ndim, "destination") or [],
    )


def _moveaxis(x: Any, sources: list[int], destinations: list[int]) -> Any:
    if len(sources) != len(destinations):
        raise ValueError(
            f"moveaxis: source, destination: expected as many axes in both, received {len(sources)} and "
            f"{len(destinations)}"
        )
    perm = [a for a in range(x.ndim) if a not in sources]
    for to, come in sorted(zip(destinations, sources, strict=True)):
        perm.insert(to, come)
    return apply("transpose", x, perm=perm)


@op
def expand_dims(x: Any, axis: Any) -> Any:
    """Adds axes of extent 1.

    Args:
        x: Tensor of any shape and dtype.
        axis: Where the new axis stands in the result, or a sequence of places.

    Returns:
        Tensor of the dtype of `x` with one more axis for each place.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range or names a place twice.

    Example:
        >>> from cnnrs import ops
        >>> ops.expand_dims([1, 2], 0).tolist(), ops.expand_dims([1, 2], (0, -1)).shape
        ([[1, 2]], (1, 2, 1))
    """
    x = as_tensor(x)
    count = len(axis) if isinstance(axis, (list, tuple)) else 1
    # None, which means all axes elsewhere, means none here.
    axes = standardize_axes([None] if axis is None else axis, x.ndim + count)
    for place in sorted(axes or []):
        x = apply("expand_dims", x, axis=place)
    return x


@op
def squeeze(x: Any, axis: Any = None) -> Any:
    """Removes axes of extent 1.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, or a sequence of axes; None, the default, means all of extent 1.

    Returns:
        Tensor of the dtype of `x` without these axes.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, named twice, or does not have extent 1.

    Example:
        >>> from cnnrs import ops
        >>> ops.squeeze(ops.zeros((1, 3, 1))).shape, ops.squeeze(ops.zeros((1, 3, 1)), 0).shape
        ((3,), (3, 1))
    """
    x = as_tensor(x)
    axes = standardize_axes(axis, x.ndim)
    if axes is None:
        axes = [a for a, extent in enumerate(x.shape) if extent == 1]
    for place in sorted(axes, reverse=True):
        if x.shape[place] != 1:
            raise ValueError(f"squeeze: axis: expected one of extent 1, received {place} of shape {x.shape}")
        x = apply("squeeze", x, axis=place)
    return x


@op
def broadcast_to(x: Any, shape: Any) -> Any:
    """Repeats a tensor along axes of extent 1, and along new ones in front, to fill a shape.

    Args:
        x: Tensor of any shape and dtype.
        shape: Sequence of integers >= 0, with which the shape of `x` broadcasts, or a single integer.

    Returns:
        Tensor of that shape and of the dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: The shape of `x` does not broadcast to `shape`, or an extent is no integer >= 0.

    Example:
        >>> from cnnrs import ops
        >>> ops.broadcast_to([1, 2], (3, 2)).tolist()
        [[1, 2], [1, 2], [1, 2]]
    """
    return apply("broadcast_to", as_tensor(x), shape=integers(shape, "broadcast_to", "shape", least=0))


def _common(xs: Any, name: str, argument: str = "xs") -> list[Any]:
    """A sequence of tensors, converted to their widest dtype."""
    if not hasattr(xs, "__iter__") or getattr(xs, "ndim", 1) == 0:
        raise TypeError(f"{name}: {argument}: expected a sequence of tensors, received {xs!r}")
    tensors = [as_tensor(x) for x in xs]
    if not tensors:
        raise ValueError(f"{name}: {argument}: expected at least one tensor, received none")
    dtype = result_type(*(t.dtype for t in tensors))
    return [t if t.dtype == dtype else t.astype(dtype) for t in tensors]


@op
def concatenate(xs: Any, axis: int | None = 0) -> Any:
    """Joins tensors along an axis that they have.

    Args:
        xs: Sequence of at least one tensor, of the same shape but for `axis`.
        axis: The axis along which they follow each other, the first by default; None makes them flat first.

    Returns:
        Tensor whose extent along `axis` is the sum of theirs. The dtype is the widest of the tensors', in the
        order bool, uint8, int32, float32.

    Raises:
        TypeError: A tensor is not numeric, `xs` is no sequence, or `axis` is no integer.
        ValueError: `xs` is empty, the shapes do not fit, or `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.concatenate([[[1, 2]], [[3, 4], [5, 6]]]).tolist()
        [[1, 2], [3, 4], [5, 6]]
    """
    tensors = _common(xs, "concatenate")
    if axis is None:
        tensors, axis = [apply("reshape", x, shape=[-1]) for x in tensors], 0
    return _core.apply("concat", tensors, {"axis": standardize_axis(axis, tensors[0].ndim)})


@op
def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """Joins a tensor to the end of another.

    Args:
        x1: The first tensor.
        x2: The tensor that follows, of the same shape but for `axis`.
        axis: The axis along which `x2` follows; None, the default, makes both flat first.

    Returns:
        Tensor whose extent along `axis` is the sum of theirs. The dtype is the widest of the tensors', in the
        order bool, uint8, int32, float32.

    Raises:
        TypeError: A tensor is not numeric, or `axis` is no integer.
        ValueError: The shapes do not fit, or `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.append([1, 2], [3]).tolist(), ops.append([[1, 2]], [[3, 4]], axis=0).tolist()
        ([1, 2, 3], [[1, 2], [3, 4]])
    """
    tensors = _common([x1, x2], "append")
    if axis is None:
        tensors = [apply("reshape", t, shape=[-1]) for t in tensors]
    return _core.apply("concat", tensors, {"axis": standardize_axis(axis or 0, tensors[0].ndim)})


@op
def stack(x: Any, axis: int = 0) -> Any:
    """Joins tensors along a new axis.

    Args:
        x: Sequence of at least one tensor, all of one shape.
        axis: Where the new axis stands, in front by default.

    Returns:
        Tensor with one more axis, whose extent is their number. The dtype is the widest of the tensors', in
        the order bool, uint8, int32, float32.

    Raises:
        TypeError: A tensor is not numeric, `x` is no sequence, or `axis` is no integer.
        ValueError: `x` is empty, the shapes differ, or `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.stack([[1, 2], [3, 4]], axis=1).tolist()
        [[1, 3], [2, 4]]
    """
    tensors = _common(x, "stack", "x")
    return _core.apply("stack", tensors, {"axis": standardize_axis(axis, tensors[0].ndim + 1)})


@op
def hstack(xs: Any) -> Any:
    """Joins tensors side by side: along axis 1, or along axis 0 if they have one axis.

    Args:
        xs: Sequence of at least one tensor, of the same shape but for that axis.

    Returns:
        Tensor whose extent along the axis is the sum of theirs. The dtype is the widest of the tensors', in
        the order bool, uint8, int32, float32.

    Raises:
        TypeError: A tensor is not numeric, or `xs` is no sequence.
        ValueError: `xs` is empty, the shapes do not fit, or the tensors have no axis.

    Example:
        >>> from cnnrs import ops
        >>> ops.hstack([[1, 2], [3]]).tolist(), ops.hstack([[[1], [2]], [[3], [4]]]).tolist()
        ([1, 2, 3], [[1, 3], [2, 4]])
    """
    tensors = _common(xs, "hstack")
    return _core.apply("concat", tensors, {"axis": 0 if tensors[0].ndim == 1 else 1})


@op
def vstack(xs: Any) -> Any:
    """Joins tensors on top of each other: along axis 0, with vectors as rows.

    Args:
        xs: Sequence of at least one tensor, of the same shape but for axis 0. Vectors of length n and numbers
            count as shapes (1, n) and (1, 1).

    Returns:
        Tensor whose extent along axis 0 is the sum of theirs. The dtype is the widest of the tensors', in the
        order bool, uint8, int32, float32.

    Raises:
        TypeError: A tensor is not numeric, or `xs` is no sequence.
        ValueError: `xs` is empty, or the shapes do not fit.

    Example:
        >>> from cnnrs import ops
        >>> ops.vstack([[1, 2], [[3, 4], [5, 6]]]).tolist()
        [[1, 2], [3, 4], [5, 6]]
    """
    tensors = [apply("reshape", t, shape=[1, -1]) if t.ndim < 2 else t for t in _common(xs, "vstack")]
    return _core.apply("concat", tensors, {"axis": 0})


@op
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """Cuts a tensor into parts along an axis.

    Args:
        x: Tensor of any shape and dtype.
        indices_or_sections: Number of equal parts, a divisor of the extent; or the sequence of indices in
            front of which to cut, where negative ones count from the end.
        axis: The axis, the first by default.

    Returns:
        List of tensors of the dtype of `x`: as many as `indices_or_sections` says, or one more than it has
        indices.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `indices_or_sections` is neither an integer nor a sequence of them, the number of parts
            does not divide the extent, or `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> [part.tolist() for part in ops.split([1, 2, 3, 4, 5, 6], 3)]
        [[1, 2], [3, 4], [5, 6]]
        >>> [part.tolist() for part in ops.split([1, 2, 3, 4, 5, 6], [1, 4])]
        [[1], [2, 3, 4], [5, 6]]
    """
    x = as_tensor(x)
    axis = standardize_axis(axis, x.ndim)
    extent = x.shape[axis]
    given = integers(indices_or_sections, "split", "indices_or_sections")
    if hasattr(indices_or_sections, "__iter__") and getattr(indices_or_sections, "ndim", 1) == 1:
        cuts = [0, *given, extent]
    else:
        [sections] = given
        if sections < 1 or extent % sections:
            raise ValueError(
                f"split: indices_or_sections: expected a divisor of {extent}, received {sections}"
            )
        cuts = [extent // sections * i for i in range(sections + 1)]
    index: list[Any] = [builtins.slice(None)] * x.ndim
    parts = []
    for start, stop in zip(cuts[:-1], cuts[1:], strict=True):
        index[axis] = builtins.slice(start, stop)
        parts.append(x[tuple(index)])
    return parts


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
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Picks the slices of an axis that indices name.

    The gradient of an element that is picked several times is the sum over its copies.

    Args:
        x: Tensor of any shape and dtype.
        indices: Tensor of any shape; other dtypes are converted to int32. Negative indices count from the
            end.
        axis: The axis; None, the default, makes `x` flat first.

    Returns:
        Tensor of the dtype of `x` and of its shape, with the shape of `indices` in place of the axis.

    Raises:
        TypeError: `x` or `indices` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or an index is not from `-extent` to `extent - 1`. The latter is
            found when the result is computed.
        OverflowError: An index does not fit into int32.

    Example:
        >>> from cnnrs import ops
        >>> ops.take([10, 20, 30], [0, -1]).tolist()
        [10, 30]
        >>> ops.take([[1, 2], [3, 4]], [[1, 0]], axis=1).shape
        (2, 1, 2)
    """
    x, indices = as_tensor(x), as_index(indices)
    if axis is None:
        x, axis = apply("reshape", x, shape=[-1]), 0
    axis = standardize_axis(axis, x.ndim)
    return apply("gather", x, indices, axis=axis)


@op
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Picks one element per index along an axis, at the index's own place on the others.

    Args:
        x: Tensor of any shape and dtype.
        indices: Tensor with as many axes as `x` and extents that broadcast with its own, but for `axis`;
            other dtypes are converted to int32. Indices are from `-extent` to `extent - 1`.
        axis: The axis; None, the default, makes both flat first.

    Returns:
        Tensor of the dtype of `x`, with the broadcast extents but along `axis`, where it has that of
        `indices`.

    Raises:
        TypeError: `x` or `indices` is not numeric, or `axis` is no integer.
        ValueError: `indices` has another number of axes than `x` or extents that do not fit, `axis` is out of
            range, or an index is not from `-extent` to `extent - 1`. The last is found when the result is
            computed.

    Example:
        >>> from cnnrs import ops
        >>> x = [[3, 1], [2, 4]]
        >>> ops.take_along_axis(x, ops.argmax(x, axis=1, keepdims=True), axis=1).tolist()
        [[3], [4]]
    """
    x, indices = as_tensor(x), as_index(indices)
    if axis is None:
        x, indices, axis = apply("reshape", x, shape=[-1]), apply("reshape", indices, shape=[-1]), 0
    axis = standardize_axis(axis, x.ndim)
    if indices.ndim != x.ndim:
        raise ValueError(
            f"take_along_axis: indices: expected {x.ndim} axes, as in shape {x.shape}, "
            f"received shape {indices.shape}"
        )
    others = [1 if a == axis else n for a, n in enumerate(indices.shape)]
    wide = [1 if a == axis else n for a, n in enumerate(x.shape)]
    try:
        common = list(np.broadcast_shapes(tuple(others), tuple(wide)))
    except ValueError:
        raise ValueError(
            f"take_along_axis: indices: expected extents that broadcast with shape {x.shape}, received shape "
            f"{indices.shape}"
        ) from None
    if common != wide:
        x = apply("broadcast_to", x, shape=[x.shape[a] if a == axis else n for a, n in enumerate(common)])
    # Rows of the flat tensor: the element's place on the other axes, plus the index along this one.
    strides = [math.prod(x.shape[a + 1 :]) for a in range(x.ndim)]
    shape = [n if a == axis else x.shape[a] for a, n in enumerate(indices.shape)]
    places = np.zeros(shape, np.int32)
    for a in range(x.ndim):
        if a != axis:
            along = [-1 if b == a else 1 for b in range(x.ndim)]
            places = places + (np.arange(shape[a], dtype=np.int32) * strides[a]).reshape(along)
    indices = apply("broadcast_to", indices, shape=shape)
    # Counts negative indices from the end, and finds those out of range.
    indices = apply("gather", np.arange(x.shape[axis], dtype=np.int32), indices, axis=0)
    flat = apply("add", apply("mul", indices, strides[axis]), places)
    return apply("gather", apply("reshape", x, shape=[-1]), flat, axis=0)


@op
def get_item(x: Any, key: Any) -> Any:
    """Indexes a tensor as `x[key]` does.

    Args:
        x: Tensor of any shape and dtype.
        key: Integer, slice, `None`, `...`, an integer tensor that picks slices, or a tuple of these.

    Returns:
        Tensor of the dtype of `x`.

    Raises:
        TypeError: `x` or an index is not numeric, or an index is no integer.
        ValueError: A tensor of integers holds an index out of range, which is found when the result is
            computed.
        IndexError: An integer is out of range, there are more indices than axes, or an index is a tensor of
            bools, which would give a shape that depends on values.

    Example:
        >>> from cnnrs import ops
        >>> x = [[1, 2, 3], [4, 5, 6]]
        >>> ops.get_item(x, (slice(None), 1)).tolist(), int(ops.get_item(x, (0, -1)))
        ([2, 5], 3)
    """
    return as_tensor(x)[key]


@op
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Picks the diagonal of matrices.

    Args:
        x: Tensor of at least two axes, of any dtype.
        offset: Which diagonal: 0, the default, is the main one, positive numbers lie above it, negative ones
            below.
        axis1: The axis of the rows, the first by default.
        axis2: The axis of the columns, the second by default.

    Returns:
        Tensor of the dtype of `x`, without the two axes and with the diagonal along a new last one; it is
        empty where the diagonal lies outside.

    Raises:
        TypeError: `x` is not numeric, or an axis is no integer.
        ValueError: An axis is out of range, `axis1` and `axis2` are the same, or `offset` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> x = [[1, 2, 3], [4, 5, 6]]
        >>> ops.diagonal(x).tolist(), ops.diagonal(x, offset=1).tolist()
        ([1, 5], [2, 6])
    """
    return _diagonal("diagonal", as_tensor(x), offset, axis1, axis2)


def _diagonal(name: str, x: Any, offset: Any, axis1: Any, axis2: Any) -> Any:
    sources = [standardize_axis(axis1, x.ndim, "axis1"), standardize_axis(axis2, x.ndim, "axis2")]
    if sources[0] == sources[1]:
        raise ValueError(f"{name}: axis1, axis2: expected different axes, received {axis1} and {axis2}")
    offset = integer(offset, name, "offset")
    x = _moveaxis(x, sources, [x.ndim - 2, x.ndim - 1])
    rows, columns = x.shape[-2:]
    places = [r * columns + r + offset for r in range(rows) if 0 <= r + offset < columns]
    flat = apply("reshape", x, shape=[*x.shape[:-2], rows * columns])
    return apply("gather", flat, np.asarray(places, np.int32), axis=flat.ndim - 1)


@op
@in_float32
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Adds up the diagonal of matrices.

    Args:
        x: Tensor of at least two axes, of any dtype.
        offset: Which diagonal: 0, the default, is the main one, positive numbers lie above it, negative ones
            below.
        axis1: The axis of the rows, the first by default.
        axis2: The axis of the columns, the second by default.

    Returns:
        Tensor without the two axes, of the dtype of `x`, or int32 for uint8 and bool; 0 where the diagonal
        lies outside.

    Raises:
        TypeError: `x` is not numeric, or an axis is no integer.
        ValueError: An axis is out of range, `axis1` and `axis2` are the same, or `offset` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.trace([[1, 2], [3, 4]]))
        5
    """
    d = _diagonal("trace", as_tensor(x), offset, axis1, axis2)
    return apply("sum", d, axes=[d.ndim - 1], keepdims=False)


def _lower(x: Any, k: Any, name: str, above: int) -> np.ndarray:
    """Whether an element of the matrices of `x` lies on diagonal `k + above` or below."""
    k = integer(k, name, "k")
    if x.ndim < 2:
        raise ValueError(f"{name}: x: expected at least two axes, received shape {x.shape}")
    rows, columns = x.shape[-2:]
    return np.tri(rows, columns, builtins.max(-rows, min(k + above, columns)), dtype=bool)


@op
def tril(x: Any, k: int = 0) -> Any:
    """Keeps the lower triangle of matrices and sets the elements above a diagonal to 0.

    Args:
        x: Tensor of at least two axes, of any dtype; the last two hold the matrices.
        k: Which diagonal: 0, the default, is the main one, positive numbers lie above it, negative ones
            below.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has fewer than two axes, or `k` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.tril([[1, 2], [3, 4]]).tolist(), ops.tril([[1, 2], [3, 4]], k=-1).tolist()
        ([[1, 0], [3, 4]], [[0, 0], [3, 0]])
    """
    x = as_tensor(x)
    keep = _lower(x, k, "tril", 0)
    return apply("where", keep, x, np.zeros((), x.dtype))


@op
def triu(x: Any, k: int = 0) -> Any:
    """Keeps the upper triangle of matrices and sets the elements below a diagonal to 0.

    Args:
        x: Tensor of at least two axes, of any dtype; the last two hold the matrices.
        k: Which diagonal: 0, the default, is the main one, positive numbers lie above it, negative ones
            below.

    Returns:
        Tensor of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has fewer than two axes, or `k` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> ops.triu([[1, 2], [3, 4]]).tolist(), ops.triu([[1, 2], [3, 4]], k=-1).tolist()
        ([[1, 2], [0, 4]], [[1, 2], [3, 4]])
    """
    x = as_tensor(x)
    keep = ~_lower(x, k, "triu", -1)
    return apply("where", keep, x, np.zeros((), x.dtype))


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
