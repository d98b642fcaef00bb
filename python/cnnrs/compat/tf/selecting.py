"""Parts of tensors by index, mask or range, and tensors made of parts.

>>> import cnnrs.compat.tf as tf
>>> x = tf.constant([[1, 2], [3, 4], [5, 6]])
>>> tf.gather(x, [2, 0]).numpy().tolist(), tf.gather_nd(x, [[1, 0]]).numpy().tolist()
([[5, 6], [1, 2]], [3])
>>> tf.boolean_mask(x, [True, False, True]).numpy().tolist(), tf.where(x > 4).numpy().tolist()
([[1, 2], [5, 6]], [[2, 0], [2, 1]])
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core, ops
from cnnrs.compat.tf.arguments import alike, axis_of, extents, integer, numbers, tensor
from cnnrs.compat.tf.dtypes import as_dtype, int32
from cnnrs.compat.tf.dtypes import bool as bool_
from cnnrs.compat.tf.namespaces import operation
from cnnrs.compat.tf.shapes import TensorShape
from cnnrs.compat.tf.texts import moves
from cnnrs.data.strings import StringTensor

__all__ = [
    "boolean_mask",
    "dynamic_partition",
    "dynamic_stitch",
    "ensure_shape",
    "gather",
    "gather_nd",
    "scatter_nd",
    "searchsorted",
    "sequence_mask",
    "slice",
    "strided_slice",
    "tensor_scatter_nd_add",
    "tensor_scatter_nd_max",
    "tensor_scatter_nd_min",
    "tensor_scatter_nd_sub",
    "tensor_scatter_nd_update",
    "unique",
    "unique_with_counts",
    "unravel_index",
    "where",
]

# A range of an axis: `slice` is a function here.
_Range = type(np.s_[:])


def _indices(x: Any, function: str) -> Any:
    index = tensor(x)
    if not index.dtype.is_integer:
        raise TypeError(f"tf.{function}: indices: expected integers, received {index.dtype.name}")
    return index


def _rows(flat: Any, index: Any, extent: int, group: Any) -> Any:
    """Rows of groups of `extent` rows each; an index outside of its group is outside of all."""
    index = ops.cast(index, "int32")
    inside = ops.logical_and(index >= 0, index < extent)
    return ops.take(flat, ops.where(inside, index + group * extent, flat.shape[0]), axis=0)


@operation
@moves
def gather(
    params: Any, indices: Any, validate_indices: Any = None, axis: Any = None, batch_dims: Any = 0
) -> Any:
    """The slices along an axis at indices.

    Args:
        params: A tensor.
        indices: Integers of any shape, whose first `batch_dims` extents are those of `params`.
        validate_indices: None or True; indices are always checked.
        axis: The axis; `batch_dims` if None.
        batch_dims: How many axes both have in common.

    Raises:
        ValueError: The shapes do not fit; or, when the result is read, an index is outside.
    """
    if validate_indices is False:
        raise ValueError("tf.gather: validate_indices: expected True, for indices are always checked")
    x, index = tensor(params), _indices(indices, "gather")
    common = integer(batch_dims, "gather", "batch_dims")
    common = common + index.ndim if common < 0 else common
    place = common if axis is None else axis_of(axis, x.ndim, "gather")
    if common == 0:
        return ops.take(x, index, axis=place)
    if place < common or tuple(x.shape[:common]) != tuple(index.shape[:common]):
        raise ValueError(
            f"tf.gather: expected {common} common axes before axis {place}, received shapes {tuple(x.shape)} "
            f"and {tuple(index.shape)}"
        )
    x = ops.moveaxis(x, place, common)
    batch, extent, rest = list(x.shape[:common]), x.shape[common], list(x.shape[common + 1 :])
    groups = math.prod(batch)
    flat = ops.reshape(x, (groups * extent, *rest))
    group = np.arange(groups, dtype="int32").reshape(*batch, *[1] * (index.ndim - common))
    found = _rows(flat, index, extent, group)
    # The axes of the indices take the place of the axis.
    many = index.ndim - common
    order = list(range(common)) + [common + many + i for i in range(place - common)]
    order += [common + i for i in range(many)] + list(range(common + many + place - common, found.ndim))
    return ops.transpose(found, order)


@operation
@moves
def gather_nd(params: Any, indices: Any, batch_dims: Any = 0, bad_indices_policy: str = "") -> Any:
    """The parts at positions, which the last axis of `indices` holds.

    Args:
        params: A tensor.
        indices: Integers of shape (..., n): n places along the first axes of `params`.
        batch_dims: How many axes both have in common.
        bad_indices_policy: "" or "ERROR" for an error, "IGNORE" for zeros where a position is outside.
    """
    if bad_indices_policy not in ("", "DEFAULT", "ERROR", "IGNORE"):
        raise ValueError(
            f"tf.gather_nd: bad_indices_policy: expected ERROR or IGNORE, received {bad_indices_policy!r}"
        )
    x, index = tensor(params), ops.cast(_indices(indices, "gather_nd"), "int32")
    common = integer(batch_dims, "gather_nd", "batch_dims")
    depth = index.shape[-1]
    if common + depth > x.ndim:
        raise ValueError(
            f"tf.gather_nd: expected at most {x.ndim - common} places a position, received {depth}"
        )
    batch, places = list(x.shape[:common]), list(x.shape[common : common + depth])
    flat = ops.reshape(x, (math.prod(batch) * math.prod(places), *x.shape[common + depth :]))
    if depth == 0:
        return ops.broadcast_to(x, (*index.shape[:-1], *x.shape[common:]))
    strides = np.array([math.prod(places[i + 1 :]) for i in range(depth)], "int32")
    inside = ops.all(ops.logical_and(index >= 0, index < np.array(places, "int32")), axis=-1)
    position = ops.sum(index * strides, axis=-1)
    if common:
        group = np.arange(math.prod(batch), dtype="int32").reshape(*batch, *[1] * (position.ndim - common))
        position = position + group * math.prod(places)
    if bad_indices_policy == "IGNORE":
        found = ops.take(flat, ops.where(inside, position, 0), axis=0)
        kept = ops.reshape(inside, (*inside.shape, *[1] * (found.ndim - inside.ndim)))
        return ops.where(kept, found, ops.zeros_like(found))
    return ops.take(flat, ops.where(inside, position, flat.shape[0]), axis=0)


@operation
@moves
def boolean_mask(tensor: Any, mask: Any, axis: Any = None) -> Any:
    """The parts where a mask holds, one behind the other. The mask needs values: not while recording."""
    x, kept = _made(tensor), np.asarray(mask)
    if kept.dtype != np.bool_ or kept.ndim == 0:
        raise TypeError(f"tf.boolean_mask: mask: expected a tensor of bool with axes, received {kept.dtype}")
    place = 0 if axis is None else axis_of(axis, x.ndim, "boolean_mask")
    if tuple(x.shape[place : place + kept.ndim]) != kept.shape:
        raise ValueError(
            f"tf.boolean_mask: expected a mask of shape {tuple(x.shape[place : place + kept.ndim])}, "
            f"received {kept.shape}"
        )
    merged = ops.reshape(x, (*x.shape[:place], -1, *x.shape[place + kept.ndim :]))
    return ops.take(merged, np.flatnonzero(kept).astype("int32"), axis=place)


@operation
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """`x` where a condition holds, else `y`; without them the indices where it does, of shape (n, rank).

    Raises:
        TypeError: The condition is not bool, or `x` and `y` differ in kind.
    """
    if (x is None) != (y is None):
        raise ValueError("tf.where: expected both x and y, or neither")
    condition = tensor(condition)
    if x is None:
        return ops.array(np.argwhere(condition.numpy()).astype("int64"))
    if condition.dtype != bool_:
        raise TypeError(f"tf.where: condition: expected a tensor of bool, received {condition.dtype.name}")
    return ops.where(condition, *alike("where", x, y))


@operation
@moves
def slice(input_: Any, begin: Any, size: Any) -> Any:
    """A block that begins at `begin`, of the extents `size`; -1 for all that follows."""
    x, many = tensor(input_), numbers(size, "slice", "size")
    try:
        starts = numbers(begin, "slice", "begin")
    except _core.TracedValueError:
        return ops.slice(x, _begin(begin), many)
    if not len(starts) == len(many) == x.ndim:
        raise ValueError(
            f"tf.slice: expected {x.ndim} numbers in begin and size, received {starts} and {many}"
        )
    parts = []
    for start, extent, whole in zip(starts, many, x.shape, strict=True):
        end = whole if extent == -1 else start + extent
        if not 0 <= start <= end <= whole:
            raise ValueError(f"tf.slice: {start} to {end} is outside of an axis of extent {whole}")
        parts.append(_Range(start, end))
    if _holds_tensor(begin):
        # Where a tensor says it is no part of a plan: others serve for other places.
        return ops.slice(x, _begin(begin), [part.stop - part.start for part in parts])
    return x[tuple(parts)] if parts else x


def _holds_tensor(begin: Any) -> bool:
    parts = begin if isinstance(begin, (list, tuple)) else [begin]
    return any(isinstance(part, (_core.Tensor, _core.Variable)) for part in parts)


def _begin(begin: Any) -> Any:
    """Where a block begins, as a tensor."""
    if isinstance(begin, (list, tuple)):
        return ops.stack([ops.cast(tensor(part), "int32") for part in begin], axis=0)
    return ops.cast(tensor(begin), "int32")


@operation
@moves
def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
) -> Any:
    """`input_[begin:end:strides, ...]`; a bit of a mask says what is special about an axis.

    Args:
        input_: A tensor.
        begin: Where each axis begins.
        end: Where it ends.
        strides: The steps; 1 if None.
        begin_mask: Axes that begin at their start.
        end_mask: Axes that end at their end.
        ellipsis_mask: The place that stands for all axes between.
        new_axis_mask: New axes of extent 1.
        shrink_axis_mask: Axes of which one index is taken.
        var: None; variables are assigned to by `assign`.
    """
    if var is not None:
        raise ValueError("tf.strided_slice: var: expected None; assign to the variable instead")
    x = tensor(input_)
    starts, ends = numbers(begin, "strided_slice", "begin"), numbers(end, "strided_slice", "end")
    steps = [1] * len(starts) if strides is None else numbers(strides, "strided_slice", "strides")
    parts: list[Any] = []
    for i, (start, stop, step) in enumerate(zip(starts, ends, steps, strict=True)):
        bit = 1 << i
        if ellipsis_mask & bit:
            parts.append(Ellipsis)
        elif new_axis_mask & bit:
            parts.append(None)
        elif shrink_axis_mask & bit:
            parts.append(start)
        else:
            parts.append(_Range(None if begin_mask & bit else start, None if end_mask & bit else stop, step))
    return x[tuple(parts)]


class Unique(NamedTuple):
    """What `unique` gives."""

    y: Any
    idx: Any


class UniqueWithCounts(NamedTuple):
    """What `unique_with_counts` gives."""

    y: Any
    idx: Any
    count: Any


def _unique(x: Any) -> tuple[Any, Any, Any]:
    """Different values in the order in which they occur first, the place of each element, and the counts."""
    from cnnrs.compat.tf import strings

    array = strings.as_array(x) if strings.is_text(x) else tensor(x).numpy()
    if array.ndim != 1:
        raise ValueError(f"tf.unique: x: expected a tensor of one axis, received shape {array.shape}")
    found, first, inverse, counts = np.unique(
        array, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    rank = np.empty(len(order), "int64")
    rank[order] = np.arange(len(order))
    values = found[order]
    return StringTensor(values) if strings.is_text(x) else ops.array(values), rank[inverse], counts[order]


@operation
def unique(x: Any, out_idx: Any = int32) -> Unique:
    """Different values in the order in which they occur first, and the place of each element among them."""
    y, idx, _ = _unique(x)
    return Unique(y, ops.array(idx.astype(as_dtype(out_idx).name)))


@operation
def unique_with_counts(x: Any, out_idx: Any = int32) -> UniqueWithCounts:
    """As `unique`, and how often each value occurs."""
    y, *rest = _unique(x)
    return UniqueWithCounts(y, *(ops.array(r.astype(as_dtype(out_idx).name)) for r in rest))


@operation
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = int32) -> Any:
    """Where values would stand in sorted sequences, which lie along the last axis."""
    sequence, wanted = alike("searchsorted", sorted_sequence, values)
    if side not in ("left", "right"):
        raise ValueError(f"tf.searchsorted: side: expected 'left' or 'right', received {side!r}")
    if sequence.ndim == 1:
        found = ops.searchsorted(sequence, wanted, side=side)
    else:
        before = ops.less if side == "left" else ops.less_equal
        found = ops.sum(ops.cast(before(sequence[..., None, :], wanted[..., :, None]), "int32"), axis=-1)
    return ops.cast(found, as_dtype(out_type).name)


@operation
def scatter_nd(indices: Any, updates: Any, shape: Any) -> Any:
    """Zeros of a shape to which updates are added at positions."""
    return ops.scatter(_indices(indices, "scatter_nd"), tensor(updates), tuple(extents(shape, "scatter_nd")))


def _update(reduction: str | None, name: str, doc: str, negative: bool = False) -> Any:
    def function(tensor: Any, indices: Any, updates: Any) -> Any:
        x, given = alike(name, tensor, updates)
        return ops.scatter_update(
            x, _indices(indices, name), -given if negative else given, reduction=reduction
        )

    function.__name__, function.__doc__ = (
        name,
        f"The tensor, {doc} at the positions in the last axis of `indices`.",
    )
    return operation(function)


tensor_scatter_nd_update = _update(None, "tensor_scatter_nd_update", "with updates")
tensor_scatter_nd_add = _update("add", "tensor_scatter_nd_add", "to which updates are added")
tensor_scatter_nd_sub = _update(
    "add", "tensor_scatter_nd_sub", "from which updates are subtracted", negative=True
)
tensor_scatter_nd_max = _update("max", "tensor_scatter_nd_max", "or updates, whichever are larger,")
tensor_scatter_nd_min = _update("min", "tensor_scatter_nd_min", "or updates, whichever are smaller,")


@operation
def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = bool_) -> Any:
    """For each length a vector of `maxlen` elements that is true so far."""
    many = tensor(lengths)
    longest = (
        int(many.numpy().max(initial=0)) if maxlen is None else integer(maxlen, "sequence_mask", "maxlen")
    )
    mask = ops.less(np.arange(longest, dtype=many.dtype.name), ops.expand_dims(many, -1))
    return mask if as_dtype(dtype) == bool_ else ops.cast(mask, as_dtype(dtype).name)


@operation
def ensure_shape(x: Any, shape: Any) -> Any:
    """The tensor itself.

    Raises:
        ValueError: It has another shape.
    """
    x = tensor(x)
    TensorShape(shape).assert_is_compatible_with(x.shape)
    return x


@operation
def unravel_index(indices: Any, dims: Any) -> Any:
    """Positions of indices into flattened tensors: along the first axis of the result one for each axis."""
    index = _indices(indices, "unravel_index")
    found = ops.unravel_index(index, tuple(extents(dims, "unravel_index", "dims")))
    return ops.cast(ops.stack(list(found), axis=0), index.dtype)


@operation
def dynamic_partition(data: Any, partitions: Any, num_partitions: Any) -> list[Any]:
    """The parts with each number of 0 to `num_partitions - 1`. They need values: not while recording."""
    which = tensor(partitions).numpy()
    many = integer(num_partitions, "dynamic_partition", "num_partitions")
    return [boolean_mask(data, which == i) for i in range(many)]


@operation
def dynamic_stitch(indices: Any, data: Any) -> Any:
    """Rows of several tensors put where their indices say; of two for one place the later counts."""
    places = [np.asarray(i) for i in indices]
    parts = [
        ops.reshape(tensor(d), (-1, *tensor(d).shape[i.ndim :])) for i, d in zip(places, data, strict=True)
    ]
    flat = np.concatenate([i.reshape(-1) for i in places])
    whole = ops.zeros((int(flat.max(initial=-1)) + 1, *parts[0].shape[1:]), parts[0].dtype.name)
    return ops.scatter_update(whole, flat[:, None].astype("int32"), ops.concatenate(parts, axis=0))


# Arguments are called `tensor` as in TensorFlow.
_made = tensor
