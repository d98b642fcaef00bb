"""Nested structures: lists, tuples, named tuples, deques and dicts with leaves of any other kind.

Dicts are visited in the order of their sorted keys, as in Keras, and an `OrderedDict` in its own.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]


_NESTED = (list, tuple, dict, deque)


class MAP_TO_NONE:
    """What the function of `traverse` gives to put None in the place of a part.

    >>> traverse(lambda x: MAP_TO_NONE if x == 2 else None, [1, 2])
    [1, None]
    """


def is_nested(structure: Any) -> bool:
    """Whether `structure` is a list, tuple, deque or dict.

    >>> is_nested([1]), is_nested("text")
    (True, False)
    """
    return isinstance(structure, _NESTED)


def _keys(structure: dict[Any, Any]) -> Iterable[Any]:
    if isinstance(structure, OrderedDict):
        return structure
    try:
        return sorted(structure)
    except TypeError:  # keys of several types: one type after the other, by their names
        return sorted(structure, key=lambda key: (type(key).__qualname__, key))


def flatten(structure: Any) -> list[Any]:
    """The leaves, in order.

    >>> flatten({"b": 1, "a": [2, (3,)]})
    [2, 3, 1]
    """
    if not isinstance(structure, _NESTED):
        return [structure]
    leaves: list[Any] = []
    _collect(structure, leaves)
    return leaves


def _collect(structure: Any, leaves: list[Any]) -> None:
    if isinstance(structure, dict):
        for key in _keys(structure):
            _collect(structure[key], leaves)
    elif isinstance(structure, (list, tuple, deque)):
        for item in structure:
            _collect(item, leaves)
    else:
        leaves.append(structure)


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves, each behind its path: the keys and indices that lead to it.

    >>> flatten_with_path({"b": 1, "a": [2, (3,)]})
    [(('a', 0), 2), (('a', 1, 0), 3), (('b',), 1)]
    """
    return list(_paths(structure, ()))


def _paths(structure: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if not is_nested(structure):
        yield path, structure
        return
    keys = _keys(structure) if isinstance(structure, dict) else range(len(structure))
    for key in keys:
        yield from _paths(structure[key], (*path, key))


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """`func` of each leaf, and of the leaves at the same place in further structures.

    Args:
        func: The function.
        *structures: One structure or several of one layout; lists and tuples stand for each other.
        none_is_leaf: Whether `func` is called with None; else None stays.

    Returns:
        A structure of the layout of the first.

    Raises:
        ValueError: There is no structure, or they differ.

    >>> map_structure(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]})
    {'x': 11, 'y': [22]}
    """
    if not structures:
        raise ValueError("map_structure: expected at least one structure, received none")
    if not callable(func):
        raise TypeError(f"map_structure: func: expected a function, received {func!r}")
    if none_is_leaf:
        return _map(func, structures[0], structures[1:])
    return _map(lambda *leaves: None if leaves[0] is None else func(*leaves), structures[0], structures[1:])


def _map(func: Callable[..., Any], structure: Any, others: tuple[Any, ...]) -> Any:
    if not others and not isinstance(structure, _NESTED):
        return func(structure)
    if isinstance(structure, dict):
        for other in others:
            if not isinstance(other, dict) or other.keys() != structure.keys():
                raise ValueError(f"expected a dict with keys {list(structure)}, received {other!r}")
        # In the order of `flatten`, so that functions with state see the same.
        mapped = {k: _map(func, structure[k], tuple(o[k] for o in others)) for k in _keys(structure)}
        return _same_dict(structure, mapped)
    if isinstance(structure, (list, tuple, deque)):
        for other in others:
            if not isinstance(other, (list, tuple, deque)) or len(other) != len(structure):
                raise ValueError(f"expected a sequence of length {len(structure)}, received {other!r}")
        pairs = zip(structure, *others, strict=True)
        return rebuild(structure, [_map(func, parts[0], parts[1:]) for parts in pairs])
    for other in others:
        if is_nested(other):
            raise ValueError(f"expected a leaf, as {structure!r} is one, received {other!r}")
    return func(structure, *others)


def _same_dict(structure: dict[Any, Any], values: dict[Any, Any]) -> dict[Any, Any]:
    """A dict of the kind and order of `structure`."""
    items = {key: values[key] for key in structure}
    if isinstance(structure, defaultdict):
        return defaultdict(structure.default_factory, items)
    return OrderedDict(items) if isinstance(structure, OrderedDict) else items


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """`func` of what structures have at the leaves of a shallow one, whatever is nested below.

    Args:
        shallow_structure: The layout to follow.
        func: The function.
        *structures: One structure or several, which have that layout at least.

    Returns:
        A structure of the shallow layout.

    Raises:
        ValueError: There is no structure, or one lacks the layout.

    >>> map_structure_up_to([None, [None]], len, [(1, 1), [(2, 2, 2)]])
    [2, [3]]
    """
    if not structures:
        raise ValueError("map_structure_up_to: expected at least one structure, received none")
    if isinstance(shallow_structure, dict):
        for other in structures:
            if not isinstance(other, dict) or other.keys() != shallow_structure.keys():
                raise ValueError(f"expected a dict with keys {list(shallow_structure)}, received {other!r}")
        keys = _keys(shallow_structure)
        below = {
            k: map_structure_up_to(shallow_structure[k], func, *(other[k] for other in structures))
            for k in keys
        }
        return _same_dict(shallow_structure, below)
    if is_nested(shallow_structure):
        for other in structures:
            if not isinstance(other, (list, tuple, deque)) or len(other) != len(shallow_structure):
                raise ValueError(
                    f"expected a sequence of length {len(shallow_structure)}, received {other!r}"
                )
        pairs = zip(shallow_structure, *structures, strict=True)
        return rebuild(shallow_structure, [map_structure_up_to(s, func, *rest) for s, *rest in pairs])
    return func(*structures)


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Calls `func` of a structure and each part of it, and puts what it gives in the place of the part.

    Args:
        func: The function. None means that the part stays, `MAP_TO_NONE` that None takes its place.
        structure: The structure.
        top_down: Whether a structure comes before its parts, which are then left out if it is replaced; else
            parts come first.

    Returns:
        The structure with what was replaced.

    >>> traverse(lambda x: tuple(x) if isinstance(x, list) else None, [[1], {"a": [2]}], top_down=False)
    ((1,), {'a': (2,)})
    """
    if top_down:
        found = func(structure)
        if found is not None:
            return None if found is MAP_TO_NONE else found
    if isinstance(structure, dict):
        below = {key: traverse(func, structure[key], top_down) for key in _keys(structure)}
        structure = _same_dict(structure, below)
    elif is_nested(structure):
        structure = rebuild(structure, [traverse(func, item, top_down) for item in structure])
    if top_down:
        return structure
    found = func(structure)
    return None if found is MAP_TO_NONE else structure if found is None else found


def assert_same_structure(a: Any, b: Any, check_types: bool | None = None) -> None:
    """Raises a ValueError unless two structures are nested in the same way, by the same kinds of containers.

    Args:
        a: A structure.
        b: Another one.
        check_types: None; other values are warned of, and mean the same. `assert_same_paths` is less strict.

    >>> assert_same_structure([(0, 1)], [(2, 3)])
    >>> assert_same_structure([0], (0,))
    Traceback (most recent call last):
    ValueError: expected structures of one layout, received [0] and (0,)
    """
    if check_types is not None:
        warnings.warn(
            "assert_same_structure: check_types has no effect; use assert_same_paths for a looser check",
            DeprecationWarning,
            stacklevel=2,
        )
    if not _alike(a, b):
        raise ValueError(f"expected structures of one layout, received {a!r} and {b!r}")


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if is_nested(a) or is_nested(b):
        return type(a) is type(b) and len(a) == len(b) and all(map(_alike, a, b))
    return True


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises a ValueError unless the leaves of two structures have the same paths, in whatever containers.

    >>> assert_same_paths([0, {"x": 1}], (2, {"x": 3}))
    """
    of_a, of_b = ({path for path, _ in flatten_with_path(structure)} for structure in (a, b))
    if of_a != of_b:
        raise ValueError(
            f"expected structures of the same paths; the first alone has {sorted(of_a - of_b, key=str)}, "
            f"the second alone {sorted(of_b - of_a, key=str)}"
        )


def lists_to_tuples(structure: Any) -> Any:
    """The structure with tuples in the places of lists.

    >>> lists_to_tuples([1, {"a": [2]}])
    (1, {'a': (2,)})
    """
    return traverse(lambda part: tuple(part) if isinstance(part, list) else None, structure, top_down=False)


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """`func` of each shape in a structure: a list or tuple of integers and None.

    >>> map_shape_structure(len, {"a": (None, 3), "b": [(2,), (4, 5, 6)]})
    {'a': 2, 'b': [1, 3]}
    """
    if isinstance(structure, (list, tuple)) and all(e is None or isinstance(e, int) for e in structure):
        return func(structure)
    if isinstance(structure, dict):
        below = {key: map_shape_structure(func, structure[key]) for key in _keys(structure)}
        return _same_dict(structure, below)
    if is_nested(structure):
        return rebuild(structure, [map_shape_structure(func, item) for item in structure])
    raise ValueError(f"map_shape_structure: expected shapes, received {structure!r}")


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """`structure` with its leaves replaced, in the order of `flatten`.

    Raises:
        ValueError: The numbers of leaves differ.

    >>> pack_sequence_as({"b": 0, "a": [0, 0]}, [1, 2, 3])
    {'b': 3, 'a': [1, 2]}
    """
    leaves = list(flat_sequence)
    if len(leaves) == 1 and not isinstance(structure, _NESTED):
        return leaves[0]
    iterator = iter(leaves)
    packed = _pack(structure, iterator)
    left = len(list(iterator))
    if left:
        raise ValueError(f"expected {len(leaves) - left} leaves, received {len(leaves)}")
    return packed


def _pack(structure: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(structure, dict):
        return _same_dict(structure, {key: _pack(structure[key], leaves) for key in _keys(structure)})
    if is_nested(structure):
        return rebuild(structure, [_pack(item, leaves) for item in structure])
    try:
        return next(leaves)
    except StopIteration:
        raise ValueError("fewer leaves than the structure has places") from None


def rebuild(structure: Any, items: list[Any]) -> Any:
    """A list, tuple, named tuple or deque, as `structure` is one, of `items`.

    >>> rebuild((1, 2), [3])
    (3,)
    """
    if hasattr(structure, "_fields"):
        return type(structure)(*items)
    if isinstance(structure, deque):
        return deque(items, structure.maxlen)
    return tuple(items) if isinstance(structure, tuple) else items
