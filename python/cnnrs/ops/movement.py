"""Shapes, order, joining, cutting and picking, with numpy's names and meaning."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.dtypes import FLOAT, standardize_dtype
from cnnrs.ops.dispatch import apply, as_countable, as_tensor, op, standardize_axes, standardize_axis

__all__ = [
    "append",
    "broadcast_to",
    "concatenate",
    "cumsum",
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
    """The same elements in another shape; one extent may be -1 or None."""
    extents = [newshape] if isinstance(newshape, int) else list(newshape)
    return apply("reshape", as_tensor(x), shape=[-1 if extent is None else int(extent) for extent in extents])


@op
def ravel(x: Any) -> Any:
    """All elements along one axis."""
    return apply("reshape", as_tensor(x), shape=[-1])


@op
def transpose(x: Any, axes: Any = None) -> Any:
    """The axes in another order, reversed by default."""
    x = as_tensor(x)
    return apply("transpose", x, perm=standardize_axes(axes, x.ndim, "axes"))


@op
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    x = as_tensor(x)
    perm = list(range(x.ndim))
    a, b = standardize_axis(axis1, x.ndim, "axis1"), standardize_axis(axis2, x.ndim, "axis2")
    perm[a], perm[b] = b, a
    return apply("transpose", x, perm=perm)


@op
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places, the rest in order."""
    x = as_tensor(x)
    sources = standardize_axes(source, x.ndim, "source") or []
    destinations = standardize_axes(destination, x.ndim, "destination") or []
    perm = [a for a in range(x.ndim) if a not in sources]
    for to, come in sorted(zip(destinations, sources, strict=True)):
        perm.insert(to, come)
    return apply("transpose", x, perm=perm)


@op
def expand_dims(x: Any, axis: Any) -> Any:
    """New axes of extent 1."""
    x = as_tensor(x)
    axes = axis if isinstance(axis, (list, tuple)) else [axis]
    for place in sorted(standardize_axis(a, x.ndim + len(axes)) for a in axes):
        x = apply("expand_dims", x, axis=place)
    return x


@op
def squeeze(x: Any, axis: Any = None) -> Any:
    """Without axes of extent 1."""
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
    """Repeated along axes of extent 1 to fill `shape`."""
    return apply("broadcast_to", as_tensor(x), shape=[int(extent) for extent in shape])


def _common(xs: Any) -> list[Any]:
    tensors = [as_tensor(x) for x in xs]
    order = ["bool", "uint8", "int32", FLOAT]
    dtype = order[builtins.max(order.index(t.dtype) for t in tensors)]
    return [t if t.dtype == dtype else t.astype(dtype) for t in tensors]


@op
def concatenate(xs: Any, axis: int = 0) -> Any:
    """Joined along an axis."""
    if len(xs) == 0:
        raise ValueError("concatenate: xs: expected at least one tensor, received none")
    tensors = _common(xs)
    return _core.apply("concat", tensors, {"axis": standardize_axis(axis, tensors[0].ndim)})


@op
def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """`x2` after `x1` along an axis; both flat if it is None."""
    tensors = _common([x1, x2])
    if axis is None:
        tensors = [apply("reshape", t, shape=[-1]) for t in tensors]
    return _core.apply("concat", tensors, {"axis": standardize_axis(axis or 0, tensors[0].ndim)})


@op
def stack(x: Any, axis: int = 0) -> Any:
    """Joined along a new axis."""
    tensors = _common(x)
    return _core.apply("stack", tensors, {"axis": standardize_axis(axis, tensors[0].ndim + 1)})


@op
def hstack(xs: Any) -> Any:
    """Joined along axis 1, or axis 0 for vectors."""
    tensors = _common(xs)
    return _core.apply("concat", tensors, {"axis": 0 if tensors[0].ndim == 1 else 1})


@op
def vstack(xs: Any) -> Any:
    """Joined along axis 0; vectors become rows."""
    tensors = [apply("reshape", t, shape=[1, -1]) if t.ndim < 2 else t for t in _common(xs)]
    return _core.apply("concat", tensors, {"axis": 0})


@op
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """Parts along an axis: a number of equal ones, or cut at indices."""
    x = as_tensor(x)
    axis = standardize_axis(axis, x.ndim)
    extent = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if indices_or_sections < 1 or extent % indices_or_sections:
            raise ValueError(
                f"split: indices_or_sections: expected a divisor of {extent}, received {indices_or_sections}"
            )
        size = extent // indices_or_sections
        cuts = list(range(0, extent + 1, size))
    else:
        cuts = [0, *(int(i) for i in indices_or_sections), extent]
    index: list[Any] = [builtins.slice(None)] * x.ndim
    parts = []
    for start, stop in zip(cuts[:-1], cuts[1:], strict=True):
        index[axis] = builtins.slice(start, stop)
        parts.append(x[tuple(index)])
    return parts


@op
def flip(x: Any, axis: Any = None) -> Any:
    """Reversed along axes, all by default."""
    x = as_tensor(x)
    axes = standardize_axes(axis, x.ndim)
    return apply("flip", x, axes=list(range(x.ndim)) if axes is None else axes)


@op
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Shifted along axes; what leaves at one end enters at the other."""
    x = as_tensor(x)
    if axis is None:
        return apply("reshape", roll(apply("reshape", x, shape=[-1]), shift, 0), shape=list(x.shape))
    axes = standardize_axes(axis, x.ndim) or []
    shifts = [shift] * len(axes) if isinstance(shift, int) else list(shift)
    for amount, place in zip(shifts, axes, strict=True):
        extent = x.shape[place]
        cut = (-amount) % extent if extent else 0
        if cut:
            head, tail = split(x, [cut], place)
            x = _core.apply("concat", [tail, head], {"axis": place})
    return x


@op
def tile(x: Any, repeats: Any) -> Any:
    """Repeated as a whole along each axis."""
    x = as_tensor(x)
    counts = [repeats] if isinstance(repeats, int) else [int(r) for r in repeats]
    if len(counts) > x.ndim:
        x = apply("reshape", x, shape=[1] * (len(counts) - x.ndim) + list(x.shape))
    return apply("tile", x, repeats=[1] * (x.ndim - len(counts)) + counts)


@op
def repeat(x: Any, repeats: int, axis: int | None = None) -> Any:
    """Each element repeated along an axis."""
    x = as_tensor(x)
    if not isinstance(repeats, int):
        raise TypeError(f"repeat: repeats: expected an integer, received {repeats!r}")
    if axis is None:
        x, axis = apply("reshape", x, shape=[-1]), 0
    axis = standardize_axis(axis, x.ndim)
    shape = list(x.shape)
    wide = shape[: axis + 1] + [repeats] + shape[axis + 1 :]
    x = apply("broadcast_to", apply("expand_dims", x, axis=axis + 1), shape=wide)
    return apply("reshape", x, shape=shape[:axis] + [shape[axis] * repeats] + shape[axis + 1 :])


@op
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """Extended at both ends of each axis by a value, by reflection or by the edge.

    Args:
        x: The tensor.
        pad_width: `(before, after)` for each axis, or one number or pair for all.
        mode: "constant", "reflect", "symmetric" or "edge".
        constant_values: With "constant", the value; 0 by default.
    """
    x = as_tensor(x)
    try:
        widths = np.broadcast_to(np.asarray(pad_width, dtype=np.int64), (x.ndim, 2)).tolist()
    except OverflowError:
        raise ValueError(
            f"pad: pad_width: expected numbers of at most 64 bits, received {pad_width}"
        ) from None
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
    """The slices of an axis that `indices` name; of the flat tensor if `axis` is None. Negative indices count
    from the end."""
    x, indices = as_tensor(x), as_tensor(indices)
    if axis is None:
        x, axis = apply("reshape", x, shape=[-1]), 0
    axis = standardize_axis(axis, x.ndim)
    if indices.dtype != "int32":
        indices = indices.astype("int32")
    indices = apply("where", apply("less", indices, 0), apply("add", indices, x.shape[axis]), indices)
    return apply("gather", x, indices, axis=axis)


@op
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """One element per index along an axis, at the index's own place on the others."""
    x, indices = as_tensor(x), as_tensor(indices).astype("int32")
    if axis is None:
        x, indices, axis = apply("reshape", x, shape=[-1]), apply("reshape", indices, shape=[-1]), 0
    axis = standardize_axis(axis, x.ndim)
    extent = x.shape[axis]
    # Rows of the flat tensor: the element's place on the other axes, plus the index along this one.
    strides = [math.prod(x.shape[a + 1 :]) for a in range(x.ndim)]
    shape = [n if a == axis else x.shape[a] for a, n in enumerate(indices.shape)]
    places = np.zeros(shape, np.int32)
    for a in range(x.ndim):
        if a != axis:
            along = [-1 if b == a else 1 for b in range(x.ndim)]
            places = places + (np.arange(shape[a], dtype=np.int32) * strides[a]).reshape(along)
    indices = apply("broadcast_to", indices, shape=shape)
    indices = apply("where", apply("less", indices, 0), apply("add", indices, extent), indices)
    flat = apply("add", apply("mul", indices, strides[axis]), places)
    return apply("gather", apply("reshape", x, shape=[-1]), flat, axis=0)


@op
def get_item(x: Any, key: Any) -> Any:
    """`x[key]`."""
    return as_tensor(x)[key]


@op
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Elements with equal indices (up to `offset`) on two axes, along a new last axis."""
    x = as_tensor(x)
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    places = [r * columns + r + offset for r in range(rows) if 0 <= r + offset < columns]
    flat = apply("reshape", x, shape=[*x.shape[:-2], rows * columns])
    return apply("gather", flat, np.asarray(places, np.int32), axis=flat.ndim - 1)


@op
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sum of a diagonal."""
    d = diagonal(x, offset, axis1, axis2)
    return apply("sum", d, axes=[d.ndim - 1], keepdims=False)


@op
def tril(x: Any, k: int = 0) -> Any:
    """The lower triangle, zeros above diagonal `k`."""
    x = as_tensor(x)
    keep = np.tri(x.shape[-2], x.shape[-1], k, dtype=bool)
    return apply("where", keep, x, np.zeros((), x.dtype))


@op
def triu(x: Any, k: int = 0) -> Any:
    """The upper triangle, zeros below diagonal `k`."""
    x = as_tensor(x)
    keep = ~np.tri(x.shape[-2], x.shape[-1], k - 1, dtype=bool)
    return apply("where", keep, x, np.zeros((), x.dtype))


@op
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Differences of neighbours along an axis, `n` times.

    Raises:
        ValueError: `n` is negative.

    >>> from cnnrs import ops
    >>> ops.diff([1.0, 4.0, 9.0, 16.0], n=2).tolist()
    [2.0, 2.0]
    """
    a = as_tensor(a)
    axis = standardize_axis(axis, a.ndim)
    if not isinstance(n, int) or n < 0:
        raise ValueError(f"diff: n: expected an integer >= 0, received {n!r}")
    low: list[Any] = [builtins.slice(None)] * a.ndim
    high = list(low)
    low[axis], high[axis] = builtins.slice(None, -1), builtins.slice(1, None)
    # After as many as there are elements nothing is left.
    for _ in range(min(n, a.shape[axis])):
        a = apply("sub", a[tuple(high)], a[tuple(low)])
    return a


@op
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Running sums along an axis, of the flat tensor if there is none. Sums of integers are exact.

    Each of the log2(extent) steps adds what stands twice as far before as in the step before (Hillis and
    Steele, "Data parallel algorithms", 1986).

    >>> from cnnrs import ops
    >>> ops.cumsum([[1, 2], [3, 4]], axis=0).tolist()
    [[1, 2], [4, 6]]
    """
    x = as_countable(x)
    result = standardize_dtype(dtype, x.dtype)
    if axis is None:
        x, axis = apply("reshape", x, shape=[-1]), 0
    axis = standardize_axis(axis, x.ndim)
    shift = 1
    while shift < x.shape[axis]:
        before: list[Any] = [builtins.slice(None)] * x.ndim
        before[axis] = builtins.slice(0, x.shape[axis] - shift)
        ends = [(shift, 0) if a == axis else (0, 0) for a in range(x.ndim)]
        # 0 would turn -0 into 0.
        x = apply("add", x, pad(x[tuple(before)], ends, constant_values=-0.0))
        shift *= 2
    return x.astype(result)
