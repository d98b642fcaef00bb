"""Nested structures: lists, tuples, named tuples and dicts with leaves of any other kind.

Dicts are visited in the order of their sorted keys, as in Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["flatten", "is_nested", "map_structure", "pack_sequence_as"]


def is_nested(structure: Any) -> bool:
    """Whether `structure` is a list, tuple or dict.

    >>> is_nested([1]), is_nested("text")
    (True, False)
    """
    return isinstance(structure, (list, tuple, dict))


def flatten(structure: Any) -> list[Any]:
    """The leaves, in order.

    >>> flatten({"b": 1, "a": [2, (3,)]})
    [2, 3, 1]
    """
    leaves: list[Any] = []
    _collect(structure, leaves)
    return leaves


def _collect(structure: Any, leaves: list[Any]) -> None:
    if isinstance(structure, dict):
        for key in sorted(structure):
            _collect(structure[key], leaves)
    elif isinstance(structure, (list, tuple)):
        for item in structure:
            _collect(item, leaves)
    else:
        leaves.append(structure)


def map_structure(function: Callable[..., Any], structure: Any, *others: Any) -> Any:
    """`function` of each leaf, and of the leaves at the same place in `others`.

    Raises:
        ValueError: The structures differ.

    >>> map_structure(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]})
    {'x': 11, 'y': [22]}
    """
    if isinstance(structure, dict):
        for other in others:
            if not isinstance(other, dict) or other.keys() != structure.keys():
                raise ValueError(f"expected a dict with keys {list(structure)}, received {other!r}")
        mapped = {k: map_structure(function, v, *(o[k] for o in others)) for k, v in structure.items()}
        return mapped
    if isinstance(structure, (list, tuple)):
        for other in others:
            if not isinstance(other, (list, tuple)) or len(other) != len(structure):
                raise ValueError(f"expected a sequence of length {len(structure)}, received {other!r}")
        return rebuild(
            structure, [map_structure(function, *parts) for parts in zip(structure, *others, strict=True)]
        )
    return function(structure, *others)


def pack_sequence_as(structure: Any, leaves: list[Any]) -> Any:
    """`structure` with its leaves replaced, in the order of `flatten`.

    >>> pack_sequence_as({"b": 0, "a": [0, 0]}, [1, 2, 3])
    {'b': 3, 'a': [1, 2]}
    """
    iterator = iter(leaves)
    packed = _pack(structure, iterator)
    left = len(list(iterator))
    if left:
        raise ValueError(f"expected {len(leaves) - left} leaves, received {len(leaves)}")
    return packed


def _pack(structure: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(structure, dict):
        packed = {key: _pack(structure[key], leaves) for key in sorted(structure)}
        return {key: packed[key] for key in structure}
    if isinstance(structure, (list, tuple)):
        return rebuild(structure, [_pack(item, leaves) for item in structure])
    try:
        return next(leaves)
    except StopIteration:
        raise ValueError("fewer leaves than the structure has places") from None


def rebuild(structure: Any, items: list[Any]) -> Any:
    """A list, tuple or named tuple, as `structure` is one, of `items`.

    >>> rebuild((1, 2), [3])
    (3,)
    """
    if hasattr(structure, "_fields"):
        return type(structure)(*items)
    return tuple(items) if isinstance(structure, tuple) else items
