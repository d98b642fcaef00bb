"""The forms that elements of data sets have: inside of a pipeline, for users, and in batches.

Inside, a leaf is an array of numpy, a tensor that is computed, a `StringTensor`, a data set, or None.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnrs import _core, ops, tree
from cnnrs.base.dtypes import is_number
from cnnrs.data.slots import joined
from cnnrs.data.strings import StringTensor, is_text

__all__ = ["as_element", "as_leaf", "for_numpy", "for_user", "host", "stacked", "typed_array"]


def typed_array(value: Any) -> np.ndarray:
    """An array of numbers with the type that a tensor of them has: Python's numbers are int32 and float32.

    >>> typed_array([1, 2]).dtype.name, typed_array([1.5]).dtype.name, typed_array(2**40).dtype.name
    ('int32', 'float32', 'int64')
    """
    array = np.asarray(value)
    first = value
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if type(first) is float and array.dtype == np.float64:
        return array.astype(np.float32)
    if type(first) is int and array.dtype == np.int64:
        narrow = array.astype(np.int32)
        return narrow if np.array_equal(narrow, array) else array
    return array


def as_leaf(value: Any, where: str) -> Any:
    """What was given for a leaf, in the form that it has inside of a pipeline.

    Args:
        value: A number, text, an array, a tensor, a nested list of these, a data set or None.
        where: What errors call it.

    Raises:
        TypeError: It is none of them.
        ValueError: Rows have different lengths.
    """
    if value is None or isinstance(value, (StringTensor, _core.Tensor)) or hasattr(value, "element_spec"):
        return value
    if isinstance(value, _core.Variable):
        return value.value
    if isinstance(value, (str, bytes, os.PathLike)):
        return StringTensor(value)
    if isinstance(value, (list, tuple)):
        leaves = tree.flatten(value)
        if leaves and all(is_text(leaf) for leaf in leaves):
            return StringTensor(value)
        if any(isinstance(leaf, (_core.Tensor, _core.Variable)) for leaf in leaves):
            return ops.stack([as_leaf(v, where) for v in value])
    elif hasattr(value, "numpy") and not isinstance(value, np.ndarray):
        value = value.numpy()
    try:
        array = typed_array(value)
    except ValueError as error:
        raise ValueError(
            f"{where}: expected rows of one shape: {error}; pad them, or use from_generator"
        ) from None
    if is_text(array) or (array.dtype.kind in "US"):
        return StringTensor(array)
    if array.dtype == object:
        try:
            array = np.array(array.tolist())
        except ValueError:
            pass
    if not is_number(array):
        raise TypeError(f"{where}: expected numbers, text or arrays of them, received {_words(value, array)}")
    return array


def _words(value: Any, array: np.ndarray) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {array.dtype}"
    dense = (
        "; let the function make it dense, as with tf.sparse.to_dense"
        if hasattr(value, "dense_shape")
        else ""
    )
    return f"{type(value).__name__}{dense}"


def as_element(structure: Any, where: str) -> Any:
    """What a user's function gave as an element: tuples and dicts are structure, lists are tensors.

    Raises:
        TypeError: A leaf is none that a data set holds.
        ValueError: Rows of a leaf have different lengths.
    """
    if isinstance(structure, dict):
        return {key: as_element(value, where) for key, value in structure.items()}
    if isinstance(structure, tuple):
        return tree.rebuild(structure, [as_element(part, where) for part in structure])
    return as_leaf(structure, where)


def host(leaf: Any) -> Any:
    """A leaf with its numbers in an array of numpy."""
    return np.asarray(leaf.numpy()) if isinstance(leaf, _core.Tensor) else leaf


def for_user(leaf: Any) -> Any:
    """A leaf as users get it: numbers in a tensor."""
    return ops.convert_to_tensor(leaf) if isinstance(leaf, (np.ndarray, np.generic)) else leaf


def for_numpy(leaf: Any) -> Any:
    """A leaf as `as_numpy_iterator` gives it: numbers of numpy, read-only, and bytes."""
    if isinstance(leaf, (_core.Tensor, StringTensor)):
        leaf = leaf.numpy()
    if not isinstance(leaf, np.ndarray):
        return leaf
    if leaf.ndim == 0:
        return leaf[()]
    # The memory may be the user's own or a cache's.
    view = leaf.view()
    view.flags.writeable = False
    return view


def stacked(leaves: Sequence[Any], where: str) -> Any:
    """Leaves of several elements along a new first axis.

    Raises:
        TypeError: They are data sets.
        ValueError: They have different shapes or types.
    """
    first = leaves[0]
    if first is None:
        return None
    if hasattr(first, "element_spec"):
        raise TypeError(f"{where}: expected numbers or text, received data sets; use flat_map to join them")
    if isinstance(first, StringTensor):
        arrays = [leaf.array if isinstance(leaf, StringTensor) else leaf for leaf in leaves]
    else:
        arrays = [host(leaf) for leaf in leaves]
    together = joined(arrays)
    if together is not None:
        return together
    try:
        result = np.stack(arrays)
    except ValueError:
        shapes = sorted({np.shape(array) for array in arrays}, key=repr)
        raise ValueError(
            f"{where}: expected elements of one shape, received shapes {', '.join(map(str, shapes[:4]))}; "
            "resize or crop them, or use padded_batch"
        ) from None
    return StringTensor(result) if isinstance(first, StringTensor) else result
