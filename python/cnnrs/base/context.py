"""What a thread is doing: inside which layer calls, in which mode, whether it records a function."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from cnnrs import _core

__all__ = ["calling", "current_training", "is_tracing", "trace", "trace_depth"]


class _State(threading.local):
    """State of a thread. Each context puts back what it found, by plain assignment: so a context whose exit
    an interrupt has skipped is forgotten by the one around it.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.training: bool | None = None
        self.traces = 0


_STATE = _State()


def current_training() -> bool | None:
    """The `training` argument of the innermost layer call under way; None outside of calls."""
    return _STATE.training


def is_busy() -> bool:
    """Whether this thread records a function, or a layer call is under way."""
    return _STATE.traces > 0 or _STATE.calls > 0


def is_outermost() -> bool:
    """Whether no layer call is under way."""
    return _STATE.calls == 0


class calling:
    """Context manager around a layer call with this `training` argument."""

    __slots__ = ("outer", "training")

    def __init__(self, training: bool | None):
        self.training = training

    def __enter__(self) -> None:
        state = _STATE
        self.outer = calls, _ = state.calls, state.training
        state.calls, state.training = calls + 1, self.training

    def __exit__(self, *exception: object) -> None:
        _STATE.calls, _STATE.training = self.outer


@contextlib.contextmanager
def trace() -> Iterator[Any]:
    """A `_core.Trace` during which `is_tracing()` holds. Layer calls under way outside of it do not count."""
    outer = _, _, traces = _STATE.calls, _STATE.training, _STATE.traces
    try:
        _STATE.calls, _STATE.training, _STATE.traces = 0, None, traces + 1
        with _core.Trace() as recorder:
            yield recorder
    finally:
        _STATE.calls, _STATE.training, _STATE.traces = outer


def trace_depth() -> int:
    """How many functions this thread records, one inside of another."""
    return _STATE.traces


def is_tracing() -> bool:
    """Whether this thread records a function, so that values cannot be read."""
    return _STATE.traces > 0
