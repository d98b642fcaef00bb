"""`Passes`: the numbers and seeds of the passes over a data set, and what else they depend on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.base.key_scope import keys_of
from cnnrs.data.elements import host
from cnnrs.random import draw_seed

__all__ = ["Kept", "Passes"]

# Keys that are made at once.
_KEYS = 256


class Kept(Protocol):
    """What a step keeps from pass to pass, so that a pass that was interrupted can be taken up."""

    def state(self) -> Any:
        """It as plain data."""

    def restore(self, state: Any) -> None:
        """Puts back what `state` gave, which may come from another process."""

    def advance(self, passes: int) -> None:
        """Makes it what it is so many passes later."""


class Passes:
    """The seeds of the passes over a data set: of a seed, another one for each pass.

    Args:
        seed: Integer; None draws one.
        same: Whether all passes have the same seed.
        orders: Whether they decide on the order of elements.
        where: What errors call the function.

    Raises:
        ValueError: `seed` is no integer.
    """

    def __init__(self, seed: Any = None, same: bool = False, orders: bool = False, where: str = "Dataset"):
        self.seed = draw_seed() if seed is None else integer(host(seed), where, "seed", least=-(2**63))
        self.same = same
        self.orders = orders
        self._next = 0

    def next(self, peek: bool) -> list[int]:
        """The seed of the next pass; one that only looks ahead does not count."""
        number = 0 if self.same or peek else self._next
        self._next += not peek
        return [self.seed & (2**64 - 1), number]

    def state(self) -> list[int]:
        return [self.seed, self._next]

    def restore(self, state: Any) -> None:
        self.seed, self._next = (int(value) for value in state)

    def advance(self, passes: int) -> None:
        self._next += passes

    def keyed(self, elements: Iterator[Any], peek: bool, first: int = 0) -> Iterator[tuple[Any, np.ndarray]]:
        """The elements of the next pass, from number `first` on, with their keys, four int32 each."""
        return keyed(elements, self.next(peek), first)


def keyed(elements: Iterator[Any], seed: list[int], first: int = 0) -> Iterator[tuple[Any, np.ndarray]]:
    """Elements with their keys: those of a pass with this seed, from number `first` on."""
    for start in itertools.count(first, _KEYS):
        for key in keys_of(seed, start, _KEYS):
            try:
                element = next(elements)
            except StopIteration:
                return
            yield element, key
