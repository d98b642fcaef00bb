"""Making something once, whichever thread comes first."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

__all__ = ["building"]


class _Locks:
    """A lock for each object that something is made of."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.of: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


_LOCKS = _Locks()
if hasattr(os, "register_at_fork"):
    # A thread that the child lacks may hold one.
    os.register_at_fork(after_in_child=_LOCKS.__init__)  # type: ignore[misc]


def building(owner: Any) -> Any:
    """A context in which one thread at a time makes what `owner` is missing; the same thread may enter again.

    Whoever enters looks first whether another thread has made it meanwhile.

    >>> class Box:
    ...     content = None
    >>> box = Box()
    >>> with building(box):
    ...     if box.content is None:
    ...         box.content = "made once"
    """
    lock = _LOCKS.of.get(owner)
    if lock is None:
        with _LOCKS.guard:
            lock = _LOCKS.of.setdefault(owner, threading.RLock())
    return lock
