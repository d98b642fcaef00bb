"""`tf.nest`: structures of lists, tuples and dicts.

>>> import cnnrs.compat.tf as tf
>>> tf.nest.map_structure(lambda x: x + 1, {"a": 1, "b": [2, 3]}), tf.nest.flatten({"b": 2, "a": 1})
({'a': 2, 'b': [3, 4]}, [1, 2])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs import tree
from cnnrs.compat.tf.arguments import boolean
from cnnrs.compat.tf.namespaces import unknown

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


def _no_composites(expand_composites: Any, function: str) -> None:
    boolean(expand_composites, function, "expand_composites")


def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves of a structure; no tensor has parts for `expand_composites`."""
    _no_composites(expand_composites, "nest.flatten")
    return tree.flatten(structure)


def is_nested(seq: Any) -> bool:
    """Whether it is a list, tuple or dict."""
    return tree.is_nested(seq)


def map_structure(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """A function of the leaves of structures, in their structure.

    Args:
        func: Function of one leaf of each structure.
        *structure: Structures that are alike.
        **kwargs: `check_types`, whether lists and tuples differ, and `expand_composites`.
    """
    check = boolean(kwargs.pop("check_types", True), "nest.map_structure", "check_types")
    _no_composites(kwargs.pop("expand_composites", False), "nest.map_structure")
    if kwargs:
        raise ValueError(f"tf.nest.map_structure: unexpected argument {next(iter(kwargs))!r}")
    for other in structure[1:]:
        tree.assert_same_structure(structure[0], other, check_types=None if check else check)
    return tree.map_structure(func, *structure)


def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """Leaves in a structure, as `flatten` gave them."""
    _no_composites(expand_composites, "nest.pack_sequence_as")
    return tree.pack_sequence_as(structure, list(flat_sequence))


def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raises ValueError unless two structures are alike; types count unless `check_types` is False."""
    _no_composites(expand_composites, "nest.assert_same_structure")
    boolean(check_types, "nest.assert_same_structure", "check_types")
    tree.assert_same_structure(nest1, nest2)
    if check_types:
        _same_types(nest1, nest2)


def _same_types(a: Any, b: Any) -> None:
    if tree.is_nested(a) and type(a) is not type(b):
        raise TypeError(f"expected {type(a).__name__}, received {type(b).__name__}")
    if isinstance(a, dict):
        for key in a:
            _same_types(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        for x, y in zip(a, b, strict=True):
            _same_types(x, y)


__getattr__ = unknown("tf.nest", {"experimental": "use tf.nest"}, __all__)
