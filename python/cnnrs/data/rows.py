"""`Rows`: elements that have an index, so that an order of them is an order of integers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from cnnrs import tree
from cnnrs.data.workers import ahead as prepared
from cnnrs.data.workers import through

__all__ = ["BATCHES_AHEAD", "ArrayRows", "FunctionRows", "Rows"]

# Batches that lie in memory beside the one that is used.
BATCHES_AHEAD = 2


class Source(Protocol):
    """Elements by index."""

    def elements(self, indices: np.ndarray, ahead: bool = True) -> Iterator[Any]: ...

    def __len__(self) -> int: ...

    @property
    def labels(self) -> np.ndarray | None:
        """An integer for each element, if they are known without computing elements."""

    @property
    def gathers(self) -> bool:
        """Whether a batch is made at once, and not of single elements."""

    @property
    def skips(self) -> bool:
        """Whether elements may be left out, so that an index is no count of elements."""

    def batches(self, indices: list[np.ndarray], ahead: bool = True) -> Iterator[Any]: ...


class ArrayRows:
    """The rows of arrays.

    Args:
        structure: Arrays, or tensors of text, all of one length.
    """

    def __init__(self, structure: Any):
        self.structure = structure

    def elements(self, indices: np.ndarray, ahead: bool = True) -> Iterator[Any]:
        """Rows, one by one; there is nothing to prepare ahead."""
        if not tree.is_nested(self.structure):
            for index in indices.tolist():
                yield self.structure[index]
            return
        for index in indices.tolist():
            yield self._at(index)

    gathers = True
    skips = False

    def __len__(self) -> int:
        return len(tree.flatten(self.structure)[0])

    @property
    def labels(self) -> np.ndarray | None:
        """The second array of a pair, if it has one integer a row."""
        second = self.structure[1] if isinstance(self.structure, tuple) and len(self.structure) > 1 else None
        if isinstance(second, np.ndarray) and second.dtype.kind in "iub" and second.size == len(second):
            return second.reshape(-1)
        return None

    def batches(self, indices: list[np.ndarray], ahead: bool = True) -> Iterator[Any]:
        """Rows, several at once: one gathering of an array makes a batch."""
        return map(self._at, indices)

    def _at(self, index: Any) -> Any:
        return tree.map_structure(lambda array: array[index], self.structure)


class FunctionRows:
    """What a function gives for an index; threads may prepare it.

    Args:
        at: The function.
        length: How many elements there are.
        workers: How many threads.
        many: What it gives for several indices at once, along a new first axis; None for one by one.
        skips: Whether elements that are None are left out; then they come one by one.
    """

    def __init__(
        self,
        at: Callable[[int], Any],
        length: int,
        workers: int,
        many: Callable[[np.ndarray], Any] | None = None,
        skips: bool = False,
    ):
        self.at = at
        self.length = length
        self.workers = workers
        self.many = None if skips else many
        self.skips = skips

    def elements(self, indices: np.ndarray, ahead: bool = True) -> Iterator[Any]:
        """Elements, one by one; threads prepare the next ones if that is wanted."""
        found = through(self.at, iter(indices.tolist()), self.workers if ahead else 1)
        return (element for element in found if element is not None) if self.skips else found

    labels = None

    @property
    def gathers(self) -> bool:
        return self.many is not None

    def __len__(self) -> int:
        return self.length

    def batches(self, indices: list[np.ndarray], ahead: bool = True) -> Iterator[Any]:
        """Several elements at once, the next ones read meanwhile if that is wanted."""
        assert self.many is not None, "elements come one by one: `gathers` says so"
        made = map(self.many, indices)
        return prepared(made, BATCHES_AHEAD) if ahead else made


class Rows:
    """Elements by index, in an order.

    Attributes:
        source: The elements.
        order: Gives the indices of the next pass; its argument says whether the pass only looks ahead.
    """

    def __init__(self, source: Source, order: Callable[[bool], np.ndarray]):
        self.source = source
        self.order = order

    def open(self, peek: bool) -> Iterator[Any]:
        """Begins a pass over the elements."""
        return self.source.elements(self.order(peek), ahead=not peek)

    def open_at(self, first: int) -> Iterator[Any]:
        """Begins a pass at its element `first`."""
        if self.source.skips:
            # How many indices come before it, only the elements tell.
            return itertools.islice(self.open(False), first, None)
        return self.source.elements(self.order(False)[first:])

    def open_batches(
        self, peek: bool, size: int, drop_remainder: bool, begin: int = 0
    ) -> Iterator[Any] | None:
        """Begins a pass over batches, at its batch `begin`; None if elements come one by one."""
        if not self.source.gathers:
            return None
        order = self.order(peek)
        stop = len(order) - len(order) % size if drop_remainder else len(order)
        firsts = range(begin * size, stop, size)
        groups = [order[first : min(first + size, stop)] for first in firsts]
        return self.source.batches(groups, ahead=not peek)
