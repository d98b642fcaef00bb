"""Orders of elements, and what stands on them: the largest few, ranks among sorted numbers, distinct ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import symbolic
from cnnrs.base.arguments import flag, integer
from cnnrs.ops.creation import full
from cnnrs.ops.dispatch import apply, as_tensor, op, standardize_axis
from cnnrs.ops.indexing import take_along_axis
from cnnrs.ops.shapes import reshape
from cnnrs.ops.symbols import op_of_shape
from cnnrs.ops.values import true_places, values_of

__all__ = [
    "argpartition",
    "argsort",
    "digitize",
    "isin",
    "nonzero",
    "searchsorted",
    "sort",
    "top_k",
    "unique",
]

_EAGER = "call it on values, outside of the model"


def along(x: Any, axis: int | None) -> tuple[Any, int]:
    """`x` and the axis counted from 0; flat for None."""
    x = as_tensor(x)
    if axis is None:
        return apply("reshape", x, shape=[-1]), 0
    return x, standardize_axis(axis, x.ndim)


def in_order(x: Any, axis: int) -> Any:
    """`x` sorted along an axis; the gradient goes back to where an element came from."""
    if x.ndim == 0:
        return x
    return take_along_axis(x, apply("argsort", x, axis=axis), axis)


@op
def argsort(x: Any, axis: int | None = -1) -> Any:
    """Gives the indices that sort a tensor along an axis.

    Equal elements keep their order, and NaN stands last.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, the last by default; None makes `x` flat first.

    Returns:
        int32 tensor of the shape of `x`, or flat.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.argsort([3, 1, 2]).tolist()
        [1, 2, 0]
    """
    x = as_tensor(x)
    if x.ndim == 0:
        return apply("reshape", np.zeros((), np.int32), shape=[])
    x, axis = along(x, axis)
    return apply("argsort", x, axis=axis)


@op
def sort(x: Any, axis: int | None = -1) -> Any:
    """Sorts a tensor along an axis, the smallest first.

    NaN stands last. The gradient goes back to where an element came from.

    Args:
        x: Tensor of any shape and dtype.
        axis: The axis, the last by default; None makes `x` flat first.

    Returns:
        Tensor of the shape and dtype of `x`, or flat.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range.

    Example:
        >>> from cnnrs import ops
        >>> ops.sort([[3, 1, 2], [0, 5, 4]]).tolist()
        [[1, 2, 3], [0, 4, 5]]
    """
    x = as_tensor(x)
    if x.ndim == 0:
        return x
    x, axis = along(x, axis)
    return in_order(x, axis)


@op
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Any:
    """Gives indices that put the `kth` smallest element at its place, and smaller ones before it.

    Args:
        x: Tensor of at least one axis, of any dtype.
        kth: The place, from `-extent` to `extent`.
        axis: The axis, the last by default; None makes `x` flat first.

    Returns:
        int32 tensor of the shape of `x`, or flat: the order of `argsort`, which is one of those.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` or `kth` is out of range, or `kth` is no integer.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.argpartition([9, 4, 7, 1], kth=0)[0])
        3
    """
    x, axis = along(x, axis)
    extent = x.shape[axis]
    integer(kth, "argpartition", "kth", least=-extent, most=extent)
    return apply("argsort", x, axis=axis)


@op
def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    """Finds the `k` largest elements along the last axis.

    Of equal elements the first is taken first; NaN counts as larger than all numbers.

    Args:
        x: Tensor of at least one axis, of any dtype.
        k: How many, an integer from 0 to the extent of the last axis.
        sorted: Whether the largest must come first. They do in either case.

    Returns:
        Values, of the dtype of `x`, and int32 indices, both with `k` as the last extent.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no axis, `k` is no such integer, or `sorted` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> values, indices = ops.top_k([1.0, 9.0, 5.0], k=2)
        >>> values.tolist(), indices.tolist()
        ([9.0, 5.0], [1, 2])
    """
    x = as_tensor(x)
    flag(sorted, "top_k", "sorted")
    if x.ndim == 0:
        raise ValueError("top_k: x: expected a tensor with axes, received a scalar")
    k = integer(k, "top_k", "k", least=0, most=x.shape[-1])
    indices = apply("argsort", x, axis=x.ndim - 1, descending=True, count=k)
    return take_along_axis(x, indices, x.ndim - 1), indices


@op
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Finds where values would be inserted into sorted numbers.

    Args:
        sorted_sequence: Tensor of one axis, sorted.
        values: Tensor of any shape.
        side: "left", the default, for the place before equal numbers, "right" for that behind.

    Returns:
        int32 tensor of the shape of `values`.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: `sorted_sequence` has not one axis, or `side` is neither.

    Example:
        >>> from cnnrs import ops
        >>> ops.searchsorted([1, 3, 5], [0, 3, 9]).tolist()
        [0, 1, 3]
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side: expected 'left' or 'right', received {side!r}")
    sequence, values = as_tensor(sorted_sequence), as_tensor(values)
    if sequence.ndim != 1:
        raise ValueError(
            "searchsorted: sorted_sequence: expected a tensor of one axis (1-D); loop over rows for more, "
            f"received shape {sequence.shape}"
        )
    return _places(sequence, values, side)


def _places(sequence: Any, values: Any, side: str) -> Any:
    """How many numbers of `sequence` stand before each value: by a stable order of both together."""
    flat = apply("reshape", values, shape=[-1])
    count, known = flat.shape[0], sequence.shape[0]
    common = apply("add", sequence[:0], flat[:0]).dtype
    parts = [sequence.astype(common), flat.astype(common)]
    # Equal numbers keep their order: what is inserted before them comes first.
    first = count if side == "left" else 0
    both = apply("concat", *(reversed(parts) if side == "left" else parts), axis=0)
    order = apply("argsort", both, axis=0)
    is_known = np.arange(count + known) >= first
    is_known = is_known if side == "left" else np.arange(count + known) < known
    before = apply("cumulative_sum", apply("gather", is_known.astype(np.int32), order, axis=0), axis=0)
    ranks = apply("scatter", before, order, shape=[count + known], axis=0)
    own = ranks[:count] if side == "left" else ranks[known:]
    return apply("reshape", own, shape=list(values.shape))


@op
def digitize(x: Any, bins: Any) -> Any:
    """Finds the bin that each element lies in.

    Args:
        x: Tensor of any shape.
        bins: Tensor of one axis: the lower bounds of the bins, sorted.

    Returns:
        int32 tensor of the shape of `x`: i where bins[i - 1] <= x < bins[i], 0 below all.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: `bins` has not one axis.

    Example:
        >>> from cnnrs import ops
        >>> ops.digitize([0.0, 1.0, 2.5, 9.0], [1.0, 2.0, 3.0]).tolist()
        [0, 1, 2, 3]
    """
    x, bins = as_tensor(x), as_tensor(bins)
    if bins.ndim != 1:
        raise ValueError(f"digitize: bins: expected a tensor of one axis (1-D), received shape {bins.shape}")
    return _places(bins, x, "right")


@op
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Tells of each element whether it is among others.

    Args:
        x1: Tensor of any shape: the elements.
        x2: Tensor of any shape: the others.
        assume_unique: Whether both hold no number twice. It changes no result, and nothing is faster for it.
        invert: Whether to tell instead which are not among them.

    Returns:
        bool tensor of the shape of `x1`.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: `assume_unique` or `invert` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> ops.isin([1, 2, 3], [2, 5]).tolist()
        [False, True, False]
    """
    flag(assume_unique, "isin", "assume_unique")
    invert = flag(invert, "isin", "invert")
    x1, x2 = as_tensor(x1), apply("reshape", as_tensor(x2), shape=[-1])
    shape = list(x1.shape)
    if x2.shape[0] == 0:
        return apply("broadcast_to", np.full((), invert), shape=shape)
    places = in_order(x2, 0)
    found = apply("minimum", _places(places, x1, "left"), x2.shape[0] - 1)
    same = apply("equal", apply("gather", places, found, axis=0), x1)
    return apply("logical_not", same) if invert else same


@op_of_shape(lambda x: tuple(symbolic.KerasTensor((None,), "int32") for _ in x.shape))
def nonzero(x: Any) -> Any:
    """Finds the indices of the elements that are not 0.

    It reads values, as the shape of the result depends on them: in `fit` and in functional models use `where`
    with a condition, or `argsort` of the mask.

    Args:
        x: Tensor of any shape and dtype.

    Returns:
        Tuple of int32 tensors, one for each axis, with an index for each such element.

    Raises:
        TypeError: `x` is not numeric.
        RuntimeError: A function is being recorded, and `x` has no values yet.

    Example:
        >>> from cnnrs import ops
        >>> [index.tolist() for index in ops.nonzero([[0, 1], [2, 0]])]
        [[0, 1], [1, 0]]
    """
    return true_places(x, "nonzero")


def _unique_spec(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    shape = list(x.shape)
    place = 0 if axis is None else standardize_axis(axis, len(shape))
    values = [size] if axis is None else [size if a == place else n for a, n in enumerate(shape)]
    inverse = shape if axis is None else [shape[place]]
    asked = [(return_index, [size]), (return_inverse, inverse), (return_counts, [size])]
    first = symbolic.KerasTensor(values, x.dtype)
    others = [symbolic.KerasTensor(extents, "int32") for wanted, extents in asked if wanted]
    return (first, *others) if others else first


@op_of_shape(_unique_spec)
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Finds the distinct elements, or slices, of a tensor.

    Each NaN is another element. It reads values, as the shape of the result depends on them. In `fit` and in
    functional models, it takes a `size`, without an axis.

    Args:
        x: Tensor of any shape and dtype.
        sorted: Whether they must be in order. They are in either case.
        return_index: Whether to return where each stands first.
        return_inverse: Whether to return which of them each element is.
        return_counts: Whether to return how often each occurs.
        axis: The axis whose slices are compared; None, the default, makes `x` flat.
        size: How many to return: the least, if there are more; None, the default, for all.
        fill_value: What fills up the rest if there are fewer; None, the default, means the least of them.

    Returns:
        Tensor of the dtype of `x`, or a tuple of it and what was asked for, int32 tensors in the order of the
        arguments. Where `size` leaves room, indices and counts are 0.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or `size` is no integer >= 0.
        RuntimeError: A function is being recorded, `x` has no values yet, and there is no size or an axis.

    Example:
        >>> from cnnrs import ops
        >>> values, counts = ops.unique([3, 1, 3], return_counts=True)
        >>> values.tolist(), counts.tolist()
        ([1, 3], [1, 2])
    """
    flag(sorted, "unique", "sorted")
    x = as_tensor(x)
    asked = [return_index, return_inverse, return_counts]
    if size is not None:
        size = integer(size, "unique", "size", least=0)
    if axis is not None:
        axis = standardize_axis(axis, x.ndim)
    if size is not None and axis is None:
        found = _unique_of(x, size, fill_value)
    else:
        values = values_of(x, "unique", "give a size, or call it on values")
        found = _unique_values(values, axis, size, fill_value)
        found = [as_tensor(found[0]).astype(x.dtype), *map(as_tensor, found[1:])]
    chosen = [part for part, wanted in zip(found[1:], asked, strict=True) if wanted]
    return (found[0], *chosen) if chosen else found[0]


def _unique_values(values: np.ndarray, axis: int | None, size: int | None, fill_value: Any) -> list[Any]:
    """Distinct values, first places, numbers of all elements and counts, of arrays."""
    # Each NaN is another number, as for Keras.
    parts = np.unique(
        values, return_index=True, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    first, index, inverse, counts = parts
    # numpy releases differ in the shape of the inverse.
    inverse = np.reshape(inverse, (-1,) if axis is not None else values.shape)
    if size is not None:
        along_axis = 0 if axis is None else axis
        found = first.shape[along_axis]
        first = np.take(first, np.arange(min(size, found)), axis=along_axis)
        index, counts = index[:size], counts[:size]
        if size > found:
            width = [(0, size - found if a == along_axis else 0) for a in range(first.ndim)]
            fill = first.min() if fill_value is None and first.size else fill_value or 0
            first = np.pad(first, width, constant_values=fill)
            index, counts = (np.pad(part, (0, size - found)) for part in (index, counts))
    return [first, *(part.astype(np.int32) for part in (index, inverse, counts))]


def _unique_of(x: Any, size: int, fill_value: Any) -> list[Any]:
    """The same in the graph, for a number of distinct values that is given."""
    shape = list(x.shape)
    flat = apply("reshape", x, shape=[-1])
    count = flat.shape[0]
    if count == 0:
        return [as_tensor(part) for part in _unique_values(flat.numpy(), None, size, fill_value)]
    order = apply("argsort", flat, axis=0)
    ranked = apply("gather", flat, order, axis=0)
    new = apply("not_equal", ranked[1:], ranked[:-1])
    new = apply("concat", np.ones(1, np.bool_), new, axis=0)
    number = apply("sub", apply("cumulative_sum", new.astype("int32"), axis=0), 1)
    # What is beyond the size goes to one more place, which is cut off.
    place = apply("minimum", number, size)
    total = number[count - 1]
    least = ranked[0] if fill_value is None else full((), fill_value, x.dtype)
    base = apply("broadcast_to", least, shape=[size + 1])
    values = apply("scatter", ranked, place, base, shape=[size + 1], axis=0, onto=True)[:size]
    index = apply("scatter", order, place, shape=[size + 1], axis=0, kind="min")[:size]
    ones = np.ones(count, np.int32)
    counts = apply("scatter", ones, place, shape=[size + 1], axis=0, kind="add")[:size]
    inside = apply("less_equal", np.arange(size, dtype=np.int32), total)
    index = apply("where", inside, index, 0)
    inverse = apply("scatter", number, order, shape=[count], axis=0)
    return [values, index, reshape(inverse, shape), counts]
