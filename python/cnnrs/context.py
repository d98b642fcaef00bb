"""What a thread is doing: inside which layer calls, in which mode, whether it records a function."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from cnnrs import _core

__all__ = ["calling", "current_training", "is_tracing", "trace"]


class _State(threading.local):
    def __init__(self) -> None:
        self.training: list[bool | None] = []
        self.traces = 0


_STATE = _State()


def current_training() -> bool | None:
    """The `training` argument of the innermost layer call under way; None outside of calls."""
    return _STATE.training[-1] if _STATE.training else None


def is_outermost() -> bool:
    """Whether no layer call is under way."""
    return not _STATE.training


class calling:
    """Context manager around a layer call with this `training` argument."""

    __slots__ = ("training",)

    def __init__(self, training: bool | None):
        self.training = training

    def __enter__(self) -> None:
        _STATE.training.append(self.training)

    def __exit__(self, *exception: object) -> None:
        _STATE.training.pop()


@contextlib.contextmanager
def trace() -> Iterator[Any]:
    """A `_core.Trace` during which `is_tracing()` holds. Layer calls under way outside of it do not count."""
    outer, _STATE.training = _STATE.training, []
    _STATE.traces += 1
    try:
        with _core.Trace() as recorder:
            yield recorder
    finally:
        _STATE.traces -= 1
        _STATE.training = outer


def is_tracing() -> bool:
    """Whether this thread records a function, so that values cannot be read."""
    return _STATE.traces > 0
