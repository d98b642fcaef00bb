"""Which layers and variables are trained: a recording is replayed only under the choice it was made for."""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import Any

from cnnrs.base.at_fork import renew

__all__ = ["Choice", "note_change", "serial"]

_LOCK = threading.Lock()
renew(globals(), "_LOCK")
_SERIALS = itertools.count()


class _Changed:
    """The objects whose `trainable` differs from what it was when they were made.

    Attributes:
        objects: Weak references by serial number.
        changes: How often `trainable` has been changed in this process.
    """

    def __init__(self) -> None:
        self.objects: dict[int, weakref.ref[Any]] = {}
        self.changes = 0


_CHANGED = _Changed()


def serial() -> int:
    """A number for an object with `trainable`, larger than those of all objects made before."""
    return next(_SERIALS)


def note_change(owner: Any) -> None:
    """Notes that `trainable` of an object, which has a `_serial`, has become the opposite."""
    with _LOCK:
        if _CHANGED.objects.pop(owner._serial, None) is None:
            _CHANGED.objects[owner._serial] = weakref.ref(owner)
        _CHANGED.changes += 1
        for number in [n for n, reference in _CHANGED.objects.items() if reference() is None]:
            del _CHANGED.objects[number]


class Choice:
    """What is trained at the moment.

    A recording cannot hold objects that are made after it, so that these do not count when it is replayed.

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> choice = Choice()
    >>> v.trainable = False
    >>> choice.holds()
    False
    >>> v.trainable = True
    >>> choice.holds()
    True
    """

    def __init__(self) -> None:
        with _LOCK:
            self._changed = dict(_CHANGED.objects)
            self._changes = _CHANGED.changes
            self._serial = serial()

    def holds(self) -> bool:
        """Whether all objects that were there are trained, or not, as they were."""
        if self._changes == _CHANGED.changes:
            return True
        with _LOCK:
            now = _alive(_CHANGED.objects)
            if {number for number in now if number < self._serial} != _alive(self._changed):
                return False
            self._changes = _CHANGED.changes
        return True


def _alive(objects: dict[int, weakref.ref[Any]]) -> set[int]:
    return {number for number, reference in objects.items() if reference() is not None}
