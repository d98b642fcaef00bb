"""Shapes and axes of tensors."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import integers
from cnnrs.ops.dispatch import (
    apply,
    as_tensor,
    op,
    standardize_axes,
    standardize_axis,
)

__all__ = [
    "broadcast_to",
    "expand_dims",
    "moveaxis",
    "ravel",
    "reshape",
    "squeeze",
    "swapaxes",
    "transpose",
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
