"""What the containers among an object's attributes hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

__all__ = ["open_container"]


def open_container(value: Any) -> Iterator[Any]:
    """`value`, or what it holds if it is a list, tuple, dict, deque or set, at any depth.

    A container that holds itself is opened once. Elements of a set come in the order in which layers and
    variables were made.

    >>> ring = [1, {"a": (2, 3)}]
    >>> ring.append(ring)
    >>> list(open_container(ring))
    [1, 2, 3]
    """
    return _open(value, ())


def _open(value: Any, around: tuple[int, ...]) -> Iterator[Any]:
    if isinstance(value, (list, tuple, deque)):
        items: Any = value
    elif isinstance(value, dict):
        items = list(value.values())
    elif isinstance(value, (set, frozenset)):
        items = sorted(value, key=lambda item: getattr(item, "_serial", 0))
    else:
        yield value
        return
    if id(value) not in around:
        around = (*around, id(value))
        for item in items:
            yield from _open(item, around)
