"""`InMemory`: the elements of the first whole pass, kept for the others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from cnnrs import tree
from cnnrs.data.elements import host
from cnnrs.data.pipeline import Pipeline

__all__ = ["InMemory"]


class InMemory:
    """Elements of a data set that are kept.

    Training that is taken up in another process needs the elements that were kept in the first one. They are
    computed again, by the pass that computed them then.

    Args:
        source: The data set.
    """

    def __init__(self, source: Pipeline):
        self.source = source
        self._elements: list[Any] | None = None
        # The state of the source as the pass began whose elements are kept.
        self._of_pass: list[Any] | None = None
        self._missing = False

    def open(self, peek: bool) -> Iterator[Any]:
        """Begins a pass."""
        if self._elements is not None or (self._missing and not peek):
            yield from self._kept()
            return
        before = self.source._state_of_passes()
        seen = []
        for element in self.source._open(peek):
            seen.append(tree.map_structure(host, element))
            yield seen[-1]
        if not peek and self._elements is None:
            self._elements, self._of_pass = seen, before

    def open_at(self, first: int) -> Iterator[Any]:
        """Begins a pass at an element."""
        if self._elements is None and not self._missing:
            return itertools.islice(self.open(False), first, None)
        return itertools.islice(self._kept(), first, None)

    def _kept(self) -> list[Any]:
        if self._elements is None:
            now = self.source._state_of_passes()
            self.source._restore_passes(self._of_pass or [])
            self._elements = [tree.map_structure(host, element) for element in self.source._open(False)]
            self.source._restore_passes(now)
            self._missing = False
        return self._elements

    def state(self) -> list[Any] | None:
        return self._of_pass

    def restore(self, state: Any) -> None:
        if self._elements is not None and state == self._of_pass:
            return
        self._elements, self._of_pass, self._missing = None, state, state is not None

    def advance(self, passes: int) -> None:
        """Later passes find the elements kept."""
        if passes and self._elements is None and not self._missing:
            for _ in self.open(False):
                pass
