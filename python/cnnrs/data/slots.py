"""Rows of a batch: memory into which elements are computed, so that putting them together copies nothing."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

__all__ = ["Slot", "joined", "slots"]


# Arrays that were made here, by their identity: rows of the user's own arrays are copied.
_MADE: WeakValueDictionary[int, np.ndarray] = WeakValueDictionary()


class _Memory:
    """The arrays of one batch, made when the first of its elements asks for them.

    Args:
        size: How many elements the batch has at most.
    """

    def __init__(self, size: int):
        self._size = size
        self._arrays: dict[Hashable, np.ndarray] = {}
        self._lock = threading.Lock()

    def row(self, name: Hashable, place: int, shape: Sequence[int], dtype: str) -> np.ndarray | None:
        with self._lock:
            array = self._arrays.get(name)
            if array is None:
                self._arrays[name] = array = np.empty((self._size, *shape), dtype)
                _MADE[id(array)] = array
        fits = array.shape[1:] == tuple(shape) and array.dtype == dtype
        return array[place] if fits else None


class Slot:
    """The place of an element in a batch."""

    def __init__(self, memory: _Memory, place: int):
        self._memory, self._place = memory, place

    def row(self, name: Hashable, shape: Sequence[int], dtype: str) -> np.ndarray | None:
        """Where the element's array of a name goes; None if arrays of another shape lie there."""
        return self._memory.row(name, self._place, shape, dtype)


def slots(size: int, skipped: int = 0) -> Iterator[Slot | None]:
    """The places of elements in batches of a size, without end; None for those that are skipped before."""
    for _ in range(skipped):
        yield None
    while True:
        memory = _Memory(size)
        for place in range(size):
            yield Slot(memory, place)


def joined(arrays: Sequence[Any]) -> np.ndarray | None:
    """Arrays along a new first axis, if they are the first rows of one array of a `Slot`; else None."""
    first = arrays[0]
    whole = first.base if isinstance(first, np.ndarray) else None
    if whole is None or _MADE.get(id(whole)) is not whole or len(arrays) > len(whole):
        return None
    begin, step = whole.ctypes.data, whole.strides[0]
    for place, array in enumerate(arrays):
        if (
            not isinstance(array, np.ndarray)
            or array.base is not whole
            or array.shape != whole.shape[1:]
            or array.strides != whole.strides[1:]
            or array.ctypes.data != begin + place * step
        ):
            return None
    return whole[: len(arrays)]
