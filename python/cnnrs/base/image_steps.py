"""Steps of augmentation as the core runs them on arrays, and who collects them on this thread.

Where a data set maps a function, layers of augmentation hand their steps to the collector of the mapping,
instead of recording ops: the core then runs them on the arrays of the elements, in threads and without the
interpreter's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

__all__ = ["Collector", "Step", "collecting", "current"]


class Step(NamedTuple):
    """One step.

    Attributes:
        name: Its name in `data::augment`.
        numbers: What is the same for all images.
        params: What is drawn: numbers, and tensors of one entry or row for each image, or one for all.
        parts: The chains that it chooses from or mixes.
    """

    name: str
    numbers: Sequence[float] = ()
    params: Sequence[Any] = ()
    parts: Sequence[Sequence[Step]] = ()


class Collector(Protocol):
    """What takes steps."""

    def add(self, images: Any, steps: Sequence[Step], channels_first: bool) -> Any:
        """What the steps, at least one, make of images: floats, or bytes where the last one rounds.

        None if they are not run here.
        """

    def follows(self, images: Any) -> bool:
        """Whether steps have made these images, so that further ones cost little."""


class _State(threading.local):
    collector: Collector | None = None


_STATE = _State()


def current() -> Collector | None:
    """The collector of this thread; None where layers record ops."""
    return _STATE.collector


class collecting:
    """Context manager in which this thread has a collector, or none."""

    def __init__(self, collector: Collector | None):
        self._collector = collector

    def __enter__(self) -> None:
        self._outer = _STATE.collector
        _STATE.collector = self._collector

    def __exit__(self, *exception: object) -> None:
        _STATE.collector = self._outer
