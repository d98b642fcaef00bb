"""Steps of augmentation as the core runs them on arrays, and who collects them on this thread.

Where a data set maps a function, layers of augmentation hand their steps to the collector of the mapping,
instead of recording ops: the core then runs them on the arrays of the elements, in threads and without the
interpreter's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

__all__ = ["Collector", "SizedStep", "Step", "UnsizedImage", "collecting", "current"]


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


@dataclass(frozen=True)
class SizedStep:
    """Steps that the size of an image decides, and that bring it to one size whatever it was.

    Attributes:
        steps: Gives them for a height and a width. Nothing is drawn for them.
    """

    steps: Callable[[int, int], Sequence[Step]]
    name: ClassVar[str] = "sized"
    params: ClassVar[Sequence[Any]] = ()
    parts: ClassVar[Sequence[Sequence[Step]]] = ()


# Steps whose results have one size, whatever the size of the image.
SIZING_STEPS = ("resample", SizedStep.name)


class UnsizedImage:
    """Stands for an image of bytes, channels last, whose height and width each element tells anew.

    A function that hands it to a layer with a step of `SIZING_STEPS` is recorded once for images of all
    sizes. What needs to know the size fails: the function is recorded for each size then.

    Args:
        channels: How many it has.
        place: The place of the image among the placeholders.
        placeholder: Makes a placeholder of some floats, and gives it with its place.

    Attributes:
        asked: What was asked for by `numbers`: the places of the placeholders, and the functions.
    """

    dtype = "uint8"

    def __init__(self, channels: int, place: int, placeholder: Callable[[int], tuple[Any, int]]):
        self.shape = (None, None, channels)
        # A shape that steps may be checked with.
        self.example = (1, 1, channels)
        self.place = place
        self._placeholder = placeholder
        self.asked: list[tuple[int, Callable[[int, int], Sequence[float]]]] = []

    def numbers(self, function: Callable[[int, int], Sequence[float]]) -> Any:
        """What a function makes of height and width, as a tensor of floats."""
        tensor, place = self._placeholder(len(function(1, 1)))
        self.asked.append((place, function))
        return tensor


class Collector(Protocol):
    """What takes steps."""

    def add(self, images: Any, steps: Sequence[Step | SizedStep], channels_first: bool) -> Any:
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
