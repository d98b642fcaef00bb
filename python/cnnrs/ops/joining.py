"""Tensors joined to one, and one split into several."""

from __future__ import annotations

import builtins
from typing import Any

from cnnrs import _core
from cnnrs.base.arguments import integers
from cnnrs.base.dtypes import result_type
from cnnrs.ops.dispatch import (
    apply,
    as_tensor,
    op,
    standardize_axis,
)

__all__ = [
    "append",
    "concatenate",
    "hstack",
    "split",
    "stack",
    "vstack",
]


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
