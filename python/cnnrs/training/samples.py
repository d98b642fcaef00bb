"""Samples as `(x, y, sample_weight)`: arrays or structures of them, None where something is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.base.arguments import number
from cnnrs.base.dtypes import is_number
from cnnrs.data.strings import is_text

__all__ = [
    "Samples",
    "as_arrays",
    "as_class_weights",
    "class_weights",
    "core_dtype",
    "leaves",
    "map_samples",
    "names",
    "pack_x_y_sample_weight",
    "placed",
    "unpack_x_y_sample_weight",
]

# Element types that arrays of samples keep.
_TAKEN = frozenset({np.float16, np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_})

# Of many samples or of one batch: x, targets, weights.
Samples = tuple[Any, Any, Any]


def unpack_x_y_sample_weight(data: Any) -> Samples:
    """`(x, y, sample_weight)` of what a step is given, None where something is missing.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"expected x, (x, y) or (x, y, sample_weight), received {len(data)} elements")
    return (*data, None, None)[:3]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The inverse of `unpack_x_y_sample_weight`.

    >>> pack_x_y_sample_weight(1, 2)
    (1, 2)
    """
    if y is None:
        return x if not isinstance(x, (list, tuple)) else (x,)
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def leaves(samples: Samples) -> list[np.ndarray]:
    """The arrays, without what is missing.

    >>> leaves(({"b": 1, "a": 2}, None, 3))
    [2, 1, 3]
    """
    return [leaf for part in samples if part is not None for leaf in tree.flatten(part) if leaf is not None]


def names(samples: Samples) -> list[str]:
    """What errors call each of the `leaves`.

    >>> names(([1, 2], None, 3))
    ['x', 'x', 'sample_weight']
    """
    parts = zip(("x", "y", "sample_weight"), samples, strict=True)
    return [name for name, part in parts for leaf in tree.flatten(part) if leaf is not None]


def map_samples(function: Callable[[Any], Any], samples: Samples) -> Samples:
    """Samples with `function` of each array.

    >>> map_samples(lambda a: a + 1, ([1, None], 2, None))
    ([2, None], 3, None)
    """
    x, y, weight = (tree.map_structure(lambda a: None if a is None else function(a), p) for p in samples)
    return x, y, weight


def placed(samples: Samples, tensors: Iterable[Any]) -> Any:
    """What a step takes: `x`, `(x, y)` or `(x, y, sample_weight)` with tensors in place of the `leaves`.

    >>> placed(({"b": 1, "a": 2}, 3, None), ["first", "second", "third"])
    ({'b': 'second', 'a': 'first'}, 'third')
    """
    rest = iter(tensors)

    def place(part: Any) -> Any:
        if isinstance(part, dict):
            by_key = {key: place(part[key]) for key in sorted(part)}
            return {key: by_key[key] for key in part}
        if isinstance(part, (list, tuple)):
            return tree.rebuild(part, [place(item) for item in part])
        return None if part is None else next(rest)

    return pack_x_y_sample_weight(*(place(part) for part in samples))


def _as_array(value: Any, name: str) -> np.ndarray:
    """An array of float16, float32, float64, int32, int64, uint8 or bool with at least one axis.

    Raises:
        TypeError: It holds something else.
        ValueError: It has no axis, or rows of different lengths.
    """
    if hasattr(value, "numpy") and not isinstance(value, np.ndarray):
        value = value.numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected rows of equal shape: {error}") from None
    if not is_number(array):
        received = "texts: turn them into numbers first, as with dataset.map(layers.StringLookup(...))"
        raise TypeError(
            f"{name}: expected numbers or booleans, received "
            f"{received if is_text(array) else f'dtype {array.dtype}'}"
        )
    if array.ndim == 0:
        raise ValueError(f"{name}: expected an array of samples, received a scalar")
    kind = array.dtype.kind
    if not (array.dtype.isnative and array.dtype.type in _TAKEN):
        array = array.astype(np.float32 if kind in "fV" else np.int64)
    if kind in "iu" and array.dtype == np.int64 and array.size:
        for extreme in (array.min(), array.max()):
            if not -(2**31) <= extreme < 2**31:
                raise ValueError(f"{name}: expected integers within int32, received {extreme}")
    return array


def core_dtype(array: np.ndarray) -> str:
    """The element type that an array has in the core."""
    kind = array.dtype.kind
    if kind == "f":
        return "float32"
    if kind == "b":
        return "bool"
    return "uint8" if kind == "u" and array.dtype.itemsize == 1 else "int32"


def as_class_weights(class_weight: Any) -> dict[int, float]:
    """Weights by class.

    Raises:
        TypeError: It is no dict.
        ValueError: A class is no integer, or a weight no number.
    """
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight: expected a dict of weights by class, received {class_weight!r}")
    table: dict[int, float] = {}
    for key, value in class_weight.items():
        if not isinstance(key, (int, np.integer)):
            raise ValueError(f"class_weight: expected integers as keys, received {key!r}: {value!r}")
        table[int(key)] = number(value, "class_weight", f"class {key}")
    return table


def class_weights(y: Any, sample_weight: Any, table: dict[int, float]) -> np.ndarray:
    """A weight for each sample, by its class: an index or a one-hot row. Classes without a weight have 1.

    Raises:
        ValueError: There are no targets or several, or samples have weights of their own.
    """
    if sample_weight is not None:
        raise ValueError("class_weight: expected None together with sample_weight")
    if y is None:
        raise ValueError("class_weight: expected targets y, received None")
    if tree.is_nested(y):
        raise ValueError("class_weight: expected a model with one output, received several targets")
    labels = y.argmax(-1) if y.ndim > 1 and y.shape[-1] > 1 else np.round(y.reshape(len(y)))
    classes, indices = np.unique(labels.astype(np.int64), return_inverse=True)
    weights = np.array([table.get(int(c), 1.0) for c in classes], np.float32)
    return weights[indices.reshape(labels.shape)]


def as_arrays(structure: Any, name: str) -> Any:
    """An array, or a structure of arrays, from what was given; None stays.

    Args:
        structure: Arrays, numbers, tensors or structures of them.
        name: What errors call it.

    Raises:
        TypeError: Something is no array of numbers.
        ValueError: An array has no axis, rows of different lengths or integers beyond int32.
    """
    if isinstance(structure, dict):
        return {key: as_arrays(value, f"{name}[{key!r}]") for key, value in structure.items()}
    if isinstance(structure, (list, tuple)) and structure and _is_array_list(structure):
        return tree.rebuild(structure, [as_arrays(v, f"{name}[{i}]") for i, v in enumerate(structure)])
    return None if structure is None else _as_array(structure, name)


def _is_array_list(structure: Any) -> bool:
    leaves = [leaf for leaf in tree.flatten(structure) if leaf is not None]
    return all(hasattr(leaf, "shape") and len(leaf.shape) > 0 for leaf in leaves)
