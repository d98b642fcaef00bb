"""Writing and combining rows by index: scatter, segments, counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import symbolic
from cnnrs.base import context
from cnnrs.base.arguments import flag, integer, integers
from cnnrs.base.dtypes import FLOATS
from cnnrs.ops.dispatch import apply, as_float, as_index, as_tensor, op
from cnnrs.ops.symbols import dtype_of, op_of_shape, same_as
from cnnrs.ops.values import is_known, values_of

__all__ = [
    "bincount",
    "histogram",
    "scatter",
    "scatter_update",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "slice_update",
]

_REDUCTIONS = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "multiply"}


def _places(indices: Any, shape: list[int], owner: str) -> tuple[Any, int]:
    """Flat indices of the leading axes that each row of `indices` names, and how many axes these are.

    An index outside of its axis becomes one outside of all.
    """
    indices = as_tensor(indices)
    if indices.dtype in FLOATS or indices.dtype == "bool":
        raise TypeError(f"{owner}: indices: expected integers, received {indices.dtype}")
    if indices.ndim == 0 or not 1 <= indices.shape[-1] <= len(shape):
        raise ValueError(
            f"{owner}: indices: expected 1 to {len(shape)} as the last extent, one for each axis indexed, "
            f"received shape {indices.shape}"
        )
    depth = indices.shape[-1]
    _check(indices, shape, owner)
    indices = as_index(indices)
    flat = apply("reshape", indices, shape=[-1, depth])
    if math.prod(shape[:depth]) >= 2**31:
        raise ValueError(
            f"{owner}: shape: expected less than 2**31 indexed places, received {tuple(shape[:depth])}"
        )
    extents = np.asarray(shape[:depth], np.int32)
    wrapped = apply("where", apply("less", flat, 0), apply("add", flat, extents), flat)
    outside = apply("logical_or", apply("less", wrapped, 0), apply("greater_equal", wrapped, extents))
    strides = np.asarray([math.prod(shape[a + 1 : depth]) for a in range(depth)], np.int32)
    place = apply("sum", apply("mul", wrapped, strides), axes=[1], keepdims=False)
    outside = apply("any", outside, axes=[1], keepdims=False)
    # Of one axis the error names the index that was given.
    wrong = apply("reshape", flat, shape=[-1]) if depth == 1 else np.int32(-(2**31))
    return apply("where", outside, wrong, place), depth


def _check(indices: Any, shape: list[int], owner: str) -> None:
    """Raises ValueError for indices of several axes that have values, and of which one is outside."""
    indices = as_tensor(indices)
    if indices.shape[-1] > 1 and indices.is_realised and not context.is_tracing():
        values = indices.numpy().reshape(-1, indices.shape[-1]).astype(np.int64)
        extents = np.asarray(shape[: values.shape[1]])
        wrong = np.flatnonzero(((values < -extents) | (values >= extents)).any(axis=1))
        if wrong.size:
            raise ValueError(
                f"{owner}: indices: expected each index within shape {tuple(extents.tolist())}, "
                f"received {tuple(values[wrong[0]].tolist())}"
            )


@op_of_shape(lambda indices, values, shape: symbolic.KerasTensor(shape, dtype_of(values)))
def scatter(indices: Any, values: Any, shape: Any) -> Any:
    """Adds values at indices to a tensor of zeros.

    Args:
        indices: Tensor of integers whose last axis holds an index for each leading axis of the result.
        values: Tensor of the shape of `indices` without the last axis, followed by the remaining extents of
            `shape`. Where indices occur several times, their values are added up, in order.
        shape: The shape of the result.

    Returns:
        Tensor of that shape and of the dtype of `values`.

    Raises:
        TypeError: `values` is not numeric, or `indices` holds no integers.
        ValueError: Shapes do not fit, or an index is out of range; the latter is found when the result is
            computed.

    Example:
        >>> from cnnrs import ops
        >>> ops.scatter([[0], [2], [0]], [1.0, 2.0, 5.0], (4,)).tolist()
        [6.0, 0.0, 2.0, 0.0]
    """
    extents = integers(shape, "scatter", "shape", least=0)
    values = as_tensor(values)
    place, depth = _places(indices, extents, "scatter")
    inner = extents[depth:]
    values = _rows(values, place.shape[0], inner, "scatter", "values")
    kept = values.dtype
    if kept == "bool":
        values = values.astype("int32")
    flat = [math.prod(extents[:depth]), *inner]
    result = apply("scatter", values, place, shape=flat, axis=0, kind="add")
    return apply("reshape", result, shape=extents).astype(kept)


def _rows(updates: Any, count: int, inner: list[int], owner: str, argument: str) -> Any:
    if math.prod(updates.shape) == count * math.prod(inner):
        return apply("reshape", updates, shape=[count, *inner])
    try:
        return apply("broadcast_to", updates, shape=[count, *inner])
    except ValueError:
        raise ValueError(
            f"{owner}: {argument}: expected {count} rows of shape {tuple(inner)}, received shape "
            f"{updates.shape}"
        ) from None


@op_of_shape(lambda inputs, indices, updates, reduction=None: same_as(inputs))
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    """Writes updates into a tensor at indices, or combines them with what is there.

    Args:
        inputs: Tensor of at least one axis, of any dtype.
        indices: Tensor of integers whose last axis holds an index for each leading axis of `inputs`.
        updates: Tensor of the shape of `indices` without the last axis, followed by the remaining extents of
            `inputs`.
        reduction: None, the default, to put updates in the place of elements, the last of several; "add",
            "mul", "max" or "min" to combine them, in order.

    Returns:
        Tensor of the shape and dtype of `inputs`.

    Raises:
        TypeError: `inputs` is not numeric, or `indices` holds no integers.
        ValueError: Shapes do not fit, `reduction` is unknown, or an index is out of range; the last is found
            when the result is computed.

    Example:
        >>> from cnnrs import ops
        >>> ops.scatter_update([1, 2, 3], [[0], [2]], [10, 30]).tolist()
        [10, 2, 30]
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(
            f"scatter_update: reduction: expected None, 'add', 'max', 'min' or 'mul', received {reduction!r}"
        )
    inputs = as_tensor(inputs)
    shape = list(inputs.shape)
    place, depth = _places(indices, shape, "scatter_update")
    inner = shape[depth:]
    kept = inputs.dtype
    updates = _rows(as_tensor(updates).astype(kept), place.shape[0], inner, "scatter_update", "updates")
    kind = _REDUCTIONS[reduction]
    if kept == "bool" and kind in ("add", "multiply"):
        kind = "max" if kind == "add" else "min"
    flat = [math.prod(shape[:depth]), *inner]
    base = apply("reshape", inputs, shape=flat)
    result = apply("scatter", updates, place, base, shape=flat, axis=0, kind=kind, onto=True)
    return apply("reshape", result, shape=shape)


@op_of_shape(lambda inputs, start_indices, updates: same_as(inputs))
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """Writes a block into a tensor.

    Args:
        inputs: Tensor of any shape and dtype.
        start_indices: Where the block begins: an integer for each axis of `inputs`, or a tensor of them. The
            block is moved where it would not lie within `inputs`.
        updates: Tensor with as many axes as `inputs`: the block.

    Returns:
        Tensor of the shape and dtype of `inputs`.

    Raises:
        TypeError: `inputs` is not numeric.
        ValueError: The numbers of axes differ, or the block is larger than `inputs`.

    Example:
        >>> from cnnrs import ops
        >>> ops.slice_update(ops.zeros((2, 3)), (0, 1), ops.ones((2, 2))).tolist()
        [[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]
    """
    inputs = as_tensor(inputs)
    updates = as_tensor(updates).astype(inputs.dtype)
    shape, block = list(inputs.shape), list(updates.shape)
    if isinstance(start_indices, (list, tuple)):
        starts = list(start_indices)
    else:
        given = as_tensor(start_indices)
        starts = [given[i] for i in range(given.shape[0])] if given.ndim == 1 else []
    if not len(starts) == len(shape) == len(block):
        raise ValueError(
            f"slice_update: expected a start and an extent of updates for each axis of shape "
            f"{inputs.shape}, received "
            f"{len(starts)} starts and updates of shape {updates.shape}"
        )
    if any(extent > whole for extent, whole in zip(block, shape, strict=True)):
        raise ValueError(
            f"slice_update: updates: expected a block within shape {inputs.shape}, received shape "
            f"{updates.shape}"
        )
    # One row for each line of the last axis would do; element by element needs no case apart.
    place: Any = np.zeros([1] * len(shape), np.int32)
    for axis, (start, extent, whole) in enumerate(zip(starts, block, shape, strict=True)):
        start = apply("minimum", apply("maximum", as_index(start), 0), whole - extent)
        along = [-1 if a == axis else 1 for a in range(len(shape))]
        offsets = apply("add", np.arange(extent, dtype=np.int32).reshape(along), start)
        place = apply("add", place, apply("mul", offsets, math.prod(shape[axis + 1 :])))
    flat = [math.prod(shape)]
    result = apply(
        "scatter",
        apply("reshape", updates, shape=[-1]),
        apply("reshape", place, shape=[-1]),
        apply("reshape", inputs, shape=flat),
        shape=flat,
        axis=0,
        onto=True,
    )
    return apply("reshape", result, shape=shape)


def _segment_spec(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    return symbolic.KerasTensor((num_segments, *data.shape[1:]), dtype_of(data))


def _segments(name: str, kind: str, data: Any, ids: Any, num_segments: Any, sorted: Any) -> Any:
    data, ids = as_tensor(data), as_tensor(ids)
    flag(sorted, name, "sorted")
    if ids.ndim != 1 or data.ndim == 0 or data.shape[0] != ids.shape[0]:
        raise ValueError(
            f"{name}: segment_ids: expected one axis (1-D) with an id for each row of data, received "
            f"shape {ids.shape} "
            f"for data of shape {data.shape}"
        )
    if num_segments is None:
        values = values_of(ids, name, "give num_segments")
        num_segments = int(values.max(initial=-1)) + 1
    count = integer(num_segments, name, "num_segments", least=0)
    ids = as_index(ids)
    outside = apply("logical_or", apply("less", ids, 0), apply("greater_equal", ids, count))
    # Rows of no segment go to one more, which is cut off.
    ids = apply("where", outside, count, ids)
    shape = [count + 1, *data.shape[1:]]
    return apply("scatter", data, ids, shape=shape, axis=0, kind=kind)[:count]


@op_of_shape(_segment_spec)
def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Adds up the rows of each segment.

    Args:
        data: Tensor of at least one axis.
        segment_ids: Tensor of integers of one axis: the segment of each row. Rows of others than 0 to
            `num_segments - 1` count nowhere.
        num_segments: How many segments there are; None, the default, for the largest id plus 1, which reads
            values.
        sorted: Whether the ids are in order. It changes no result.

    Returns:
        Tensor of the dtype of `data`, with a row for each segment; 0 where a segment has no rows.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not fit, `num_segments` is no integer >= 0, or `sorted` is no bool.
        RuntimeError: A function is being recorded, the ids have no values yet, and `num_segments` is None.

    Example:
        >>> from cnnrs import ops
        >>> ops.segment_sum([1, 2, 10, 20], [0, 0, 2, 2], num_segments=3).tolist()
        [3, 0, 30]
    """
    return _segments("segment_sum", "add", data, segment_ids, num_segments, sorted)


@op_of_shape(_segment_spec)
def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Multiplies the rows of each segment.

    Args:
        data: Tensor of at least one axis.
        segment_ids: Tensor of integers of one axis: the segment of each row. Rows of others than 0 to
            `num_segments - 1` count nowhere.
        num_segments: How many segments there are; None, the default, for the largest id plus 1, which reads
            values.
        sorted: Whether the ids are in order. It changes no result.

    Returns:
        Tensor of the dtype of `data`, with a row for each segment; 1 where a segment has no rows.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not fit, `num_segments` is no integer >= 0, or `sorted` is no bool.
        RuntimeError: A function is being recorded, the ids have no values yet, and `num_segments` is None.

    Example:
        >>> from cnnrs import ops
        >>> ops.segment_prod([1, 2, 10, 20], [0, 0, 2, 2], num_segments=3).tolist()
        [2, 1, 200]
    """
    return _segments("segment_prod", "multiply", data, segment_ids, num_segments, sorted)


@op_of_shape(_segment_spec)
def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Finds the largest element of the rows of each segment.

    Args:
        data: Tensor of at least one axis.
        segment_ids: Tensor of integers of one axis: the segment of each row. Rows of others than 0 to
            `num_segments - 1` count nowhere.
        num_segments: How many segments there are; None, the default, for the largest id plus 1, which reads
            values.
        sorted: Whether the ids are in order. It changes no result.

    Returns:
        Tensor of the dtype of `data`, with a row for each segment; where a segment has no rows, negative
        infinity, or the least integer.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not fit, `num_segments` is no integer >= 0, or `sorted` is no bool.
        RuntimeError: A function is being recorded, the ids have no values yet, and `num_segments` is None.

    Example:
        >>> from cnnrs import ops
        >>> ops.segment_max([1, 2, 10, 20], [0, 0, 1, 1]).tolist()
        [2, 20]
    """
    return _segments("segment_max", "max", data, segment_ids, num_segments, sorted)


@op_of_shape(_segment_spec)
def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Finds the smallest element of the rows of each segment.

    Args:
        data: Tensor of at least one axis.
        segment_ids: Tensor of integers of one axis: the segment of each row. Rows of others than 0 to
            `num_segments - 1` count nowhere.
        num_segments: How many segments there are; None, the default, for the largest id plus 1, which reads
            values.
        sorted: Whether the ids are in order. It changes no result.

    Returns:
        Tensor of the dtype of `data`, with a row for each segment; where a segment has no rows, infinity, or
        the largest integer.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not fit, `num_segments` is no integer >= 0, or `sorted` is no bool.
        RuntimeError: A function is being recorded, the ids have no values yet, and `num_segments` is None.

    Example:
        >>> from cnnrs import ops
        >>> ops.segment_min([1, 2, 10, 20], [0, 0, 1, 1]).tolist()
        [1, 10]
    """
    return _segments("segment_min", "min", data, segment_ids, num_segments, sorted)


@op
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """Counts how often each integer occurs.

    It reads values, as the length of the result depends on them; while a function is recorded, numbers up to
    `minlength - 1` are counted.

    Args:
        x: Tensor of integers >= 0, of one axis, or of two to count each row by itself.
        weights: Tensor of the shape of `x`: what each element counts; None, the default, for 1.
        minlength: The fewest counts to return.
        sparse: False; there are no sparse tensors.

    Returns:
        int32 tensor of counts, or one of the dtype of `weights`, of 0, 1, 2 and so on along the last axis.

    Raises:
        TypeError: `x` holds no integers.
        ValueError: The shapes do not fit, `minlength` is no integer >= 0, or `sparse` is true.
        RuntimeError: A function is being recorded, `x` has no values yet, and `minlength` is 0.

    Example:
        >>> from cnnrs import ops
        >>> ops.bincount([1, 2, 2, 4]).tolist(), ops.bincount([0, 1, 1], weights=[0.5, 1.0, 2.0]).tolist()
        ([0, 1, 2, 0, 1], [0.5, 3.0])
    """
    if sparse:
        raise ValueError("bincount: sparse: there are no sparse tensors; expected False")
    least = integer(minlength, "bincount", "minlength", least=0)
    x = as_tensor(x)
    if x.dtype in FLOATS:
        raise TypeError(f"bincount: x: expected integers, received {x.dtype}")
    if x.ndim not in (1, 2):
        raise ValueError(f"bincount: x: expected one or two axes, received shape {x.shape}")
    x = as_index(x)
    length = least
    if is_known(x) or least == 0:
        values = values_of(x, "bincount", "give minlength")
        length = max(least, int(values.max(initial=-1)) + 1)
    weights = as_tensor(np.ones((), np.int32) if weights is None else weights)
    if weights.ndim and weights.shape != x.shape:
        raise ValueError(f"bincount: weights: expected shape {x.shape}, received {weights.shape}")
    weights = apply("broadcast_to", weights, shape=list(x.shape))
    weights = weights.astype("int32") if weights.dtype == "bool" else weights
    rows = x.shape[0] if x.ndim == 2 else 1
    outside = apply("logical_or", apply("less", x, 0), apply("greater_equal", x, length))
    x = apply("where", outside, length, x)
    if x.ndim == 2:
        x = apply("add", x, np.arange(rows, dtype=np.int32)[:, None] * (length + 1))
    flat, weights = apply("reshape", x, shape=[-1]), apply("reshape", weights, shape=[-1])
    counts = apply("scatter", weights, flat, shape=[rows * (length + 1)], axis=0, kind="add")
    counts = apply("reshape", counts, shape=[rows, length + 1])[:, :length]
    return counts if x.ndim == 2 else counts[0]


@op
def histogram(x: Any, bins: int = 10, range: Any = None) -> Any:
    """Counts elements in bins of equal width.

    Args:
        x: Tensor of one axis.
        bins: How many bins, an integer >= 0.
        range: Pair of the lowest and the highest bound; elements outside count nowhere. None, the default,
            for the least and the largest element.

    Returns:
        int32 tensor of counts, and the `bins + 1` bounds, floats. A bin holds its lower bound; the last
        holds its upper one too.

    Raises:
        TypeError: `x` is not numeric, or `bins` is no integer.
        ValueError: `x` has not one axis, `bins` is negative, or `range` is no pair in order.

    Example:
        >>> from cnnrs import ops
        >>> counts, bounds = ops.histogram([1.0, 2.0, 2.0, 5.0], bins=2)
        >>> counts.tolist(), bounds.tolist()
        ([3, 1], [1.0, 3.0, 5.0])
    """
    if not isinstance(bins, int) or isinstance(bins, bool):
        raise TypeError(f"histogram: bins: expected an integer, received {bins!r}")
    integer(bins, "histogram", "bins", least=0)
    if range and (not isinstance(range, tuple) or len(range) != 2 or range[1] < range[0]):
        raise ValueError(f"histogram: range: expected a pair (low, high), received {range!r}")
    x = as_tensor(x)
    if x.ndim != 1:
        raise ValueError(f"histogram: x: expected one axis (1-D), received shape {x.shape}")
    x = as_float(x)
    wide = "float64" if x.dtype == "float64" else "float32"
    if x.shape[0] and not range:
        low, high = apply("min", x), apply("max", x)
    else:
        low, high = map(as_tensor, np.asarray(range or (0.0, 1.0), wide))
    # Where all are equal, the bins are as wide as 1.
    flat = apply("equal", low, high)
    low, high = (apply("where", flat, apply("add", v, d), v) for v, d in ((low, -0.5), (high, 0.5)))
    steps = (np.arange(bins + 1) / max(bins, 1)).astype(wide)
    bounds = apply("add", low, apply("mul", apply("sub", high, low), steps))
    if bins == 0:
        return apply("broadcast_to", np.zeros((), np.int32), shape=[0]), bounds
    # The number of inner bounds that are not above the element.
    place = apply(
        "sum", apply("greater_equal", apply("expand_dims", x, axis=1), bounds[1:-1]).astype("int32"), axes=[1]
    )
    inside = apply("logical_and", apply("greater_equal", x, low), apply("less_equal", x, high))
    place = apply("where", inside, place, bins)
    ones = np.ones(x.shape[0], np.int32)
    counts = apply("scatter", ones, place, shape=[bins + 1], axis=0, kind="add")[:bins]
    return counts, bounds
