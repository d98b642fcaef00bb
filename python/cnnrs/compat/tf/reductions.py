"""Functions along axes, as in `tf.math`: sums, extrema, their places, running sums, segments, orders.

>>> import cnnrs.compat.tf as tf
>>> x = tf.constant([[1, 2], [5, 4]])
>>> tf.reduce_mean(x).numpy().item(), tf.argmax(x).numpy().tolist(), tf.math.top_k(x).values.numpy().tolist()
(3, [1, 1], [[2], [5]])
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf.arguments import alike, as_float, axis_of, boolean, integer, numbers, tensor
from cnnrs.compat.tf.dtypes import as_dtype, int32, int64
from cnnrs.compat.tf.namespaces import operation

__all__ = [
    "argmax",
    "argmin",
    "argsort",
    "bincount",
    "confusion_matrix",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "cumulative_logsumexp",
    "in_top_k",
    "is_non_decreasing",
    "is_strictly_increasing",
    "l2_normalize",
    "polyval",
    "reduce_all",
    "reduce_any",
    "reduce_euclidean_norm",
    "reduce_logsumexp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_std",
    "reduce_sum",
    "reduce_variance",
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "sort",
    "top_k",
    "unsorted_segment_max",
    "unsorted_segment_mean",
    "unsorted_segment_min",
    "unsorted_segment_prod",
    "unsorted_segment_sqrt_n",
    "unsorted_segment_sum",
    "zero_fraction",
]


def _axes(axis: Any, rank: int, function: str) -> tuple[int, ...] | None:
    """The axes of a reduction, counted from 0; None for all of them."""
    if axis is None:
        return None
    return tuple(axis_of(a, rank, function) for a in numbers(axis, function, "axis"))


def _reduction(name: str, compute: Callable[[Any, Any, bool], Any], doc: str, kind: str = "any") -> Any:
    def function(input_tensor: Any, axis: Any = None, keepdims: bool = False) -> Any:
        x = as_float(input_tensor, name) if kind == "float" else tensor(input_tensor)
        if kind == "bool" and x.dtype != "bool":
            raise TypeError(
                f"tf.{name}: expected a tensor of bool, received one of {x.dtype.name}; tf.cast it"
            )
        if kind == "number" and x.dtype == "bool":
            raise TypeError(f"tf.{name}: expected a tensor of numbers, received one of bool; tf.cast it")
        axes = _axes(axis, x.ndim, name)
        result = (
            compute(x, axes, boolean(keepdims, name, "keepdims"))
            if axes != ()
            else compute(x[None], (0,), False)
        )
        return result if result.dtype == x.dtype else ops.cast(result, x.dtype)

    function.__name__, function.__doc__ = (
        name,
        f"{doc} Of all elements, or along axes; of the dtype of the tensor.",
    )
    return operation(function)


def _mean(x: Any, axes: Any, keepdims: bool) -> Any:
    if not x.dtype.is_integer:
        return ops.mean(x, axes, keepdims)
    # Integers have a mean of integers, without its fraction.
    count = math.prod(x.shape if axes is None else [x.shape[axis] for axis in axes])
    return ops.trunc(ops.cast(ops.sum(ops.cast(x, "int64"), axes, keepdims), "float64") / float(count))


reduce_sum = _reduction("reduce_sum", ops.sum, "The sum.", "number")
reduce_mean = _reduction("reduce_mean", _mean, "The mean.", "number")
reduce_max = _reduction("reduce_max", ops.max, "The maximum.", "number")
reduce_min = _reduction("reduce_min", ops.min, "The minimum.", "number")
reduce_prod = _reduction("reduce_prod", ops.prod, "The product.", "number")
reduce_all = _reduction("reduce_all", ops.all, "Whether all hold.", "bool")
reduce_any = _reduction("reduce_any", ops.any, "Whether any holds.", "bool")
reduce_std = _reduction("reduce_std", ops.std, "The standard deviation.", "float")
reduce_variance = _reduction("reduce_variance", ops.var, "The variance.", "float")
reduce_logsumexp = _reduction(
    "reduce_logsumexp", ops.nn.logsumexp, "The logarithm of the sum of exponentials.", "float"
)
reduce_euclidean_norm = _reduction(
    "reduce_euclidean_norm",
    lambda x, axes, keepdims: ops.sqrt(ops.sum(ops.square(x), axes, keepdims)),
    "The root of the sum of squares.",
    "float",
)


def _place(name: str, compute: Callable[..., Any], which: str) -> Any:
    def function(input: Any, axis: Any = None, output_type: Any = int64) -> Any:
        x = tensor(input)
        found = compute(x, axis=axis_of(0 if axis is None else axis, x.ndim, name))
        return ops.cast(found, as_dtype(output_type).name)

    function.__name__ = name
    function.__doc__ = f"The index of the {which} element along an axis, the first by default, as int64."
    return operation(function)


argmax = _place("argmax", ops.argmax, "largest")
argmin = _place("argmin", ops.argmin, "smallest")


def _running(name: str, compute: Callable[..., Any], neutral: float, doc: str) -> Any:
    def function(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False) -> Any:
        x = tensor(x)
        place = axis_of(axis, x.ndim, name)
        flags = boolean(exclusive, name, "exclusive"), boolean(reverse, name, "reverse")
        result = ops.flip(x, place) if flags[1] else x
        if flags[0] and x.shape[place]:
            before = (slice(None),) * place
            first = ops.full(
                [1 if i == place else n for i, n in enumerate(x.shape)], neutral, dtype=x.dtype.name
            )
            result = ops.concatenate([first, result[(*before, slice(0, -1))]], axis=place)
        result = compute(result, axis=place)
        result = result if result.dtype == x.dtype else ops.cast(result, x.dtype)
        return ops.flip(result, place) if flags[1] else result

    function.__name__, function.__doc__ = name, doc
    return operation(function)


def _logsumexps(x: Any, axis: int) -> Any:
    return ops.associative_scan(ops.logaddexp, x, axis=axis)


cumsum = _running("cumsum", ops.cumsum, 0, "Running sums; `exclusive` leaves the element itself out.")
cumprod = _running("cumprod", ops.cumprod, 1, "Running products; `exclusive` leaves the element itself out.")
cumulative_logsumexp = _running(
    "cumulative_logsumexp", _logsumexps, -math.inf, "Running logarithms of sums of exponentials."
)


@operation
def count_nonzero(input: Any, axis: Any = None, keepdims: Any = None, dtype: Any = int64) -> Any:
    """How many elements differ from 0, of all or along axes."""
    x = tensor(input)
    marks = ops.cast(x if x.dtype == "bool" else ops.not_equal(x, 0), as_dtype(dtype).name)
    found = ops.sum(marks, _axes(axis, x.ndim, "count_nonzero"), bool(keepdims))
    return found if found.dtype == as_dtype(dtype) else ops.cast(found, as_dtype(dtype).name)


@operation
def zero_fraction(value: Any) -> Any:
    """The part of the elements that is 0."""
    return ops.mean(ops.cast(ops.equal(tensor(value), 0), "float32"))


@operation
def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    """x / √max(Σx², epsilon), along axes or over all elements."""
    x = as_float(x, "l2_normalize")
    total = ops.sum(ops.square(x), _axes(axis, x.ndim, "l2_normalize"), keepdims=True)
    return x * ops.nn.rsqrt(ops.maximum(total, epsilon))


class TopKV2(NamedTuple):
    """What `top_k` gives."""

    values: Any
    indices: Any


@operation
def top_k(input: Any, k: Any = 1, sorted: bool = True, index_type: Any = int32) -> TopKV2:
    """The k largest elements along the last axis, the largest first, and their indices."""
    x = tensor(input)
    values, indices = ops.top_k(x, integer(k, "top_k", "k"), boolean(sorted, "top_k", "sorted"))
    return TopKV2(values, ops.cast(indices, as_dtype(index_type).name))


@operation
def in_top_k(targets: Any, predictions: Any, k: Any) -> Any:
    """Whether the class of each row is among the k that are predicted most."""
    return ops.nn.in_top_k(tensor(targets), as_float(predictions, "in_top_k"), integer(k, "in_top_k", "k"))


def _direction(direction: Any, function: str) -> bool:
    """Whether the largest comes first."""
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(
            f"tf.{function}: direction: expected ASCENDING or DESCENDING, received {direction!r}"
        )
    return bool(direction == "DESCENDING")


@operation
def sort(values: Any, axis: Any = -1, direction: str = "ASCENDING") -> Any:
    """The elements along an axis in order."""
    x = tensor(values)
    place = axis_of(axis, x.ndim, "sort")
    result = ops.sort(x, axis=place)
    return ops.flip(result, place) if _direction(direction, "sort") else result


@operation
def argsort(values: Any, axis: Any = -1, direction: str = "ASCENDING", stable: bool = False) -> Any:
    """Where the elements along an axis stand in order; equal ones keep their order, `stable` or not."""
    x = tensor(values)
    place = axis_of(axis, x.ndim, "argsort")
    boolean(stable, "argsort", "stable")
    if not _direction(direction, "argsort"):
        return ops.cast(ops.argsort(x, axis=place), "int32")
    # Reversed twice, equal elements keep their order.
    last = x.shape[place] - 1
    return ops.cast(last - ops.flip(ops.argsort(ops.flip(x, place), axis=place), place), "int32")


def _ordered(compare: Callable[[Any, Any], Any], doc: str, name: str) -> Any:
    def function(x: Any) -> Any:
        flat = ops.reshape(tensor(x), (-1,))
        return ops.all(compare(flat[1:], flat[:-1]))

    function.__name__, function.__doc__ = name, doc
    return operation(function)


is_non_decreasing = _ordered(
    ops.greater_equal, "Whether no element is less than the one before.", "is_non_decreasing"
)
is_strictly_increasing = _ordered(
    ops.greater, "Whether each element is greater than the one before.", "is_strictly_increasing"
)


@operation
def polyval(coeffs: Any, x: Any) -> Any:
    """The value of a polynomial, the coefficient of the highest power first."""
    if not coeffs:
        return ops.zeros_like(tensor(x))
    *made, point = alike("polyval", *coeffs, x)
    total = made[0]
    for coefficient in made[1:]:
        total = total * point + coefficient
    return total


@operation
def bincount(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = int32,
    axis: Any = None,
    binary_output: bool = False,
) -> Any:
    """How often each integer occurs, or the sum of the weights where it does.

    Args:
        arr: Integers of at least 0.
        weights: A weight for each.
        minlength: The least length of the result.
        maxlength: The greatest; greater integers count nowhere.
        dtype: Type of the counts without weights.
        axis: None or 0 for all elements, -1 for each row.
        binary_output: Whether to tell only that an integer occurs.
    """
    x = tensor(arr)
    if axis not in (None, 0, -1):
        raise ValueError(f"tf.math.bincount: axis: expected None, 0 or -1, received {axis!r}")
    if x.ndim == 0:
        raise ValueError("tf.math.bincount: arr: expected a tensor with axes, received a scalar")
    length = int(np.asarray(ops.max(x))) + 1 if x.size else 0
    length = max(length, integer(minlength, "bincount", "minlength") if minlength is not None else 0)
    if maxlength is not None:
        length = min(length, integer(maxlength, "bincount", "maxlength"))
    rows = ops.reshape(x, (1, -1)) if axis != -1 or x.ndim == 1 else x
    marks = ops.one_hot(rows, length, dtype="float64")
    if boolean(binary_output, "bincount", "binary_output"):
        counts = ops.cast(ops.max(marks, axis=1), as_dtype(dtype).name)
    elif weights is None:
        counts = ops.cast(ops.sum(marks, axis=1), as_dtype(dtype).name)
    else:
        w = tensor(weights)
        counts = ops.cast(
            ops.sum(marks * ops.reshape(ops.cast(w, "float64"), (*rows.shape, 1)), axis=1), w.dtype
        )
    return counts if axis == -1 and x.ndim > 1 else counts[0]


@operation
def confusion_matrix(
    labels: Any, predictions: Any, num_classes: Any = None, weights: Any = None, dtype: Any = int32
) -> Any:
    """How often each label was predicted as which: rows are labels, columns predictions."""
    name = as_dtype(dtype).name
    rows, columns = (ops.reshape(ops.cast(tensor(x), "int32"), (-1,)) for x in (labels, predictions))
    if num_classes is None:
        many = int(max(np.asarray(ops.max(x)) for x in (rows, columns))) + 1
    else:
        many = integer(num_classes, "confusion_matrix", "num_classes")
    counted = ops.ones(rows.shape, name) if weights is None else ops.cast(tensor(weights), name)
    return ops.scatter(ops.stack([rows, columns], axis=-1), counted, (many, many))


_SEGMENTS = {"sum": ops.segment_sum, "max": ops.segment_max, "min": ops.segment_min, "prod": ops.segment_prod}


def _segments(kind: str, data: Any, ids: Any, many: int | None) -> Any:
    data, ids = tensor(data), ops.cast(tensor(ids), "int32")
    if many is None:
        many = int(np.asarray(ids).max(initial=-1)) + 1
    if ids.ndim > 1:
        data = ops.reshape(data, (-1, *data.shape[ids.ndim :]))
        ids = ops.reshape(ids, (-1,))
    if kind in ("mean", "sqrt_n"):
        total = ops.segment_sum(data, ids, many)
        counts = ops.segment_sum(ops.ones(ids.shape, data.dtype.name), ids, many)
        counts = ops.maximum(ops.reshape(counts, (many, *[1] * (data.ndim - 1))), 1)
        return total / (counts if kind == "mean" else ops.sqrt(counts))
    result = _SEGMENTS[kind](data, ids, many)
    return result if result.dtype == data.dtype else ops.cast(result, data.dtype)


def _sorted_segments(kind: str) -> Any:
    def function(data: Any, segment_ids: Any) -> Any:
        result = _segments(kind, data, segment_ids, None)
        if kind not in ("max", "min"):
            return result
        # What nothing belongs to is 0 in sorted segments, and the neutral element in others.
        found = _segments("sum", ops.ones(tensor(segment_ids).shape), segment_ids, None) > 0
        shaped = ops.reshape(found, (-1, *[1] * (result.ndim - 1)))
        return ops.where(shaped, result, ops.zeros_like(result))

    function.__name__ = f"segment_{kind}"
    function.__doc__ = f"The {kind} of the rows that have one id; ids are sorted."
    return operation(function)


def _unsorted_segments(kind: str) -> Any:
    def function(data: Any, segment_ids: Any, num_segments: Any) -> Any:
        return _segments(kind, data, segment_ids, integer(num_segments, function.__name__, "num_segments"))

    function.__name__ = f"unsorted_segment_{kind}"
    function.__doc__ = f"The {kind} of the elements that have one id of 0 to `num_segments - 1`."
    return operation(function)


segment_sum, segment_mean, segment_max, segment_min, segment_prod = (
    _sorted_segments(kind) for kind in ("sum", "mean", "max", "min", "prod")
)
unsorted_segment_sum, unsorted_segment_mean, unsorted_segment_max, unsorted_segment_min = (
    _unsorted_segments(kind) for kind in ("sum", "mean", "max", "min")
)
unsorted_segment_prod, unsorted_segment_sqrt_n = (_unsorted_segments(kind) for kind in ("prod", "sqrt_n"))
