"""`tf.sparse`: sparse tensors as data that are made dense to compute with.

>>> import cnnrs.compat.tf as tf
>>> labels = tf.sparse.from_dense([[3, 0], [0, 5]])
>>> labels.values.numpy().tolist(), tf.sparse.to_dense(labels, default_value=-1).numpy().tolist()
([3, 5], [[3, -1], [-1, 5]])
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf.arguments import boolean, tensor
from cnnrs.compat.tf.namespaces import operation, unknown
from cnnrs.compat.tf.shapes import TensorShape
from cnnrs.data.strings import StringTensor, as_bytes

__all__ = ["SparseTensor", "edit_distance", "expand_dims", "from_dense", "reorder", "to_dense"]


class SparseTensor:
    """The elements of a tensor that are given, and where they stand.

    Args:
        indices: Integers of shape (n, rank).
        values: The n elements.
        dense_shape: The shape of the whole.
    """

    def __init__(self, indices: Any, values: Any, dense_shape: Any):
        self.indices = tensor(np.asarray(indices, "int64").reshape(-1, len(np.asarray(dense_shape))))
        self.values = values if isinstance(values, StringTensor) else tensor(values)
        self.dense_shape = tensor(np.asarray(dense_shape, "int64"))
        if self.indices.shape[0] != self.values.shape[0]:
            raise ValueError(
                f"SparseTensor: expected as many values as indices, received {self.values.shape[0]} and "
                f"{self.indices.shape[0]}"
            )

    @property
    def shape(self) -> TensorShape:
        """The shape of the whole."""
        return TensorShape(self.dense_shape)

    @property
    def dtype(self) -> Any:
        """The element type."""
        return self.values.dtype

    def get_shape(self) -> TensorShape:
        """The shape of the whole."""
        return self.shape

    def with_values(self, new_values: Any) -> SparseTensor:
        """Other elements at the same places."""
        return SparseTensor(self.indices, new_values, self.dense_shape)


def from_dense(tensor: Any, name: str | None = None) -> SparseTensor:
    """The elements that are not 0."""
    try:
        array = np.asarray(_made(tensor))
    except TypeError as error:
        raise TypeError(f"{name or 'tf.sparse.from_dense'}: {error}") from None
    return SparseTensor(np.argwhere(array), array[array != 0], array.shape)


@operation
def to_dense(sp_input: Any, default_value: Any = None, validate_indices: bool = True) -> Any:
    """The whole, with `default_value`, 0 if None, where no element is given.

    Raises:
        ValueError: An index occurs twice, unless `validate_indices` is False.
    """
    if not isinstance(sp_input, SparseTensor):
        return tensor(sp_input)
    index = np.asarray(sp_input.indices)
    if boolean(validate_indices, "sparse.to_dense", "validate_indices") and len(
        np.unique(index, axis=0)
    ) != len(index):
        raise ValueError("tf.sparse.to_dense: expected different indices, received one twice")
    if isinstance(sp_input.values, StringTensor):
        texts = np.full(
            tuple(sp_input.shape), as_bytes(b"" if default_value is None else default_value), object
        )
        texts[tuple(index.T)] = sp_input.values.array
        return StringTensor(texts)
    whole = ops.full(
        tuple(sp_input.shape), 0 if default_value is None else default_value, sp_input.dtype.name
    )
    return ops.scatter_update(whole, sp_input.indices, sp_input.values) if len(index) else whole


def reorder(sp_input: SparseTensor, name: str | None = None) -> SparseTensor:
    """The elements in the order of their places."""
    if not isinstance(sp_input, SparseTensor):
        raise TypeError(
            f"{name or 'tf.sparse.reorder'}: expected a SparseTensor, received {type(sp_input).__name__}"
        )
    index = np.asarray(sp_input.indices)
    order = np.lexsort(index.T[::-1])
    return SparseTensor(index[order], np.asarray(sp_input.values)[order], sp_input.dense_shape)


def expand_dims(sp_input: SparseTensor, axis: int | None = None, name: str | None = None) -> SparseTensor:
    """A new axis of extent 1, the last by default."""
    rank = len(sp_input.shape)
    place = -1 if axis is None else axis
    if not -rank - 1 <= place <= rank:
        raise ValueError(
            f"{name or 'tf.sparse.expand_dims'}: axis: expected one of {rank + 1} axes, received {axis}"
        )
    place %= rank + 1
    index = np.insert(np.asarray(sp_input.indices), place, 0, axis=1)
    return SparseTensor(index, sp_input.values, np.insert(np.asarray(sp_input.dense_shape), place, 1))


@operation
def edit_distance(hypothesis: Any, truth: Any, normalize: bool = True) -> Any:
    """The Levenshtein distance of the sequences that two sparse tensors hold along their last axis.

    Args:
        hypothesis: A SparseTensor of shape (..., length).
        truth: Another one, whose axes but the last have the same extents.
        normalize: Whether to divide by the length of the truth.

    Returns:
        A float32 tensor of the shape of both without the last axis.
    """
    shapes = [tuple(x.shape)[:-1] for x in (hypothesis, truth)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"tf.edit_distance: expected as many sequences of both, received {shapes[0]} and {shapes[1]}"
        )
    left, right = _sequences(hypothesis), _sequences(truth)
    result = np.zeros(shapes[0], "float32")
    for place in np.ndindex(*shapes[0]):
        a, b = left.get(place, []), right.get(place, [])
        distance = float(_levenshtein(a, b))
        if normalize:
            distance = distance / len(b) if b else (0.0 if not a else float("inf"))
        result[place] = distance
    return ops.array(result)


def _sequences(x: SparseTensor) -> dict[tuple[int, ...], list[Any]]:
    """The elements of each sequence by its place, in order."""
    found: dict[tuple[int, ...], list[Any]] = {}
    ordered = reorder(x)
    for index, value in zip(
        np.asarray(ordered.indices).tolist(), np.asarray(ordered.values).tolist(), strict=True
    ):
        found.setdefault(tuple(index[:-1]), []).append(value)
    return found


def _levenshtein(a: list[Any], b: list[Any]) -> int:
    """How many elements are put in, left out or replaced (Wagner and Fischer 1974)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        before, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            before, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, before + (x != y))
    return row[-1]


# An argument is called `tensor` as in TensorFlow.
_made = tensor

__getattr__ = unknown(
    "tf.sparse",
    {
        "sparse_dense_matmul add map_values reduce_sum concat slice softmax split transpose mask retain "
        "reset_shape segment_sum segment_mean reshape maximum minimum eye cross fill_empty_rows bincount": (
            "sparse tensors are data here; make them dense with tf.sparse.to_dense, and compute with these"
        )
    },
    __all__,
)
