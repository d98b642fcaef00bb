"""Padding of elements of different shapes to one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnrs import tree
from cnnrs.data.elements import host
from cnnrs.data.spec import TensorSpec, shape_of
from cnnrs.data.strings import StringTensor, as_bytes, is_text

__all__ = ["Padding", "padded", "padding_of"]


class Padding(NamedTuple):
    """How elements are padded.

    Attributes:
        shapes: The wanted shapes in the structure of elements, or None for the largest extents of a batch.
        values: What is put there: in the structure of elements, one for all, or None for zeros.
        where: What errors call it.
        unknown: The least extent of axes whose extent the shapes leave open.
    """

    shapes: Any
    values: Any
    where: str
    unknown: int | None = None

    def spec(self, spec: Any) -> Any:
        """The specs of padded elements."""
        if self.shapes is None:
            return tree.map_structure(
                lambda s: TensorSpec(s.shape and (self.unknown,) * len(s.shape), s.dtype), spec
            )
        return _over_elements(
            spec, self.shapes, lambda s, shape: TensorSpec(shape_of(shape), s.dtype), self.where
        )


def padding_of(shapes: Any, values: Any, where: str, unknown: int | None = None) -> Padding:
    """A `Padding` of the arguments of `padded_batch`."""
    return Padding(shapes, values, where, unknown)


def _is_shape(value: Any) -> bool:
    """Whether a value is a shape, and not a structure of shapes."""
    if value is None or hasattr(value, "as_list"):
        return True
    if isinstance(value, (list, tuple)):
        return all(n is None or hasattr(n, "__index__") for n in value) and not any(
            isinstance(n, np.ndarray) for n in value
        )
    return hasattr(value, "__index__") or isinstance(value, np.ndarray)


def _over_elements(element: Any, shapes: Any, function: Any, where: str) -> Any:
    """`function` of the leaves of an element and their shapes."""
    if isinstance(element, dict) and isinstance(shapes, dict):
        if element.keys() != shapes.keys():
            raise ValueError(
                f"{where}: padded_shapes: expected keys {list(element)}, received {list(shapes)}"
            )
        return {k: _over_elements(element[k], shapes[k], function, where) for k in element}
    if (
        isinstance(element, (list, tuple))
        and isinstance(shapes, (list, tuple))
        and len(element) == len(shapes)
    ):
        return tree.rebuild(
            element, [_over_elements(e, s, function, where) for e, s in zip(element, shapes, strict=True)]
        )
    if tree.is_nested(element) or not _is_shape(shapes):
        raise ValueError(f"{where}: padded_shapes: expected the structure of elements, received {shapes!r}")
    return function(element, shapes)


def padded(elements: list[Any], padding: Padding, where: str) -> Any:
    """A batch of elements, padded.

    Raises:
        ValueError: Arguments do not have the structure of elements, or an element is larger than its shape.
    """
    first = elements[0]
    shapes: list[Any] = []
    if padding.shapes is None:
        shapes = [None] * len(tree.flatten(first))
    else:
        _over_elements(_numbered(first), padding.shapes, lambda i, s: shapes.append((i, shape_of(s))), where)
        shapes = [shape for _, shape in sorted(shapes, key=lambda pair: pair[0])]
    values: list[Any] = [padding.values] * len(shapes)
    if tree.is_nested(padding.values):
        values = tree.flatten(padding.values)
        if len(values) != len(shapes):
            raise ValueError(
                f"{where}: padding_values: expected {len(shapes)} values, one for each part of an element, "
                f"received {padding.values!r}"
            )
    elif tree.is_nested(first) and padding.values is not None:
        # One value for all numbers; text keeps its own.
        leaves = tree.flatten(first)
        text = is_text(padding.values)
        values = [padding.values if isinstance(leaf, StringTensor) == text else None for leaf in leaves]
    numbers = iter(range(len(shapes)))

    def pad(*leaves: Any) -> Any:
        number = next(numbers)
        return _padded_leaves(leaves, shapes[number], values[number], padding.unknown, where)

    return tree.map_structure(pad, *elements)


def _numbered(element: Any) -> Any:
    numbers = iter(range(len(tree.flatten(element))))
    return tree.map_structure(lambda _: next(numbers), element)


def _padded_leaves(
    leaves: tuple[Any, ...], shape: tuple[int | None, ...] | None, value: Any, unknown: int | None, where: str
) -> Any:
    text = isinstance(leaves[0], StringTensor)
    arrays = [leaf.array if text else np.asarray(host(leaf)) for leaf in leaves]
    rank = arrays[0].ndim
    if any(array.ndim != rank for array in arrays):
        raise ValueError(
            f"{where}: expected elements with {rank} axes, received {max(a.ndim for a in arrays)}"
        )
    if shape is None:
        shape = (None,) * rank
    if len(shape) != rank:
        raise ValueError(
            f"{where}: padded_shapes: expected {rank} extents for elements of shape {arrays[0].shape}, "
            f"received {shape}"
        )
    extents = tuple(
        max(max(array.shape[axis] for array in arrays), unknown or 0) if wanted is None else wanted
        for axis, wanted in enumerate(shape)
    )
    for array in arrays:
        if any(n > wanted for n, wanted in zip(array.shape, extents, strict=True)):
            raise ValueError(
                f"{where}: expected elements within shape {extents}, received shape {array.shape}"
            )
    if text:
        fill = b"" if value is None else as_bytes(value)
    else:
        fill = _number(value, arrays[0].dtype, where)
    result = np.full((len(arrays), *extents), fill, arrays[0].dtype)
    for row, array in enumerate(arrays):
        result[row, ...][tuple(slice(n) for n in array.shape)] = array
    return StringTensor(result) if text else result


def _number(value: Any, dtype: Any, where: str) -> Any:
    number = np.asarray(0 if value is None else host(value))
    if number.ndim or not np.can_cast(number.dtype, dtype, "same_kind") and number != number.astype(dtype):
        raise ValueError(f"{where}: padding_values: expected one {dtype}, received {value!r}")
    return number.astype(dtype)
