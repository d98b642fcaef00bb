"""`Rows`: elements that have an index, so that an order of them is an order of integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from cnnrs import tree
from cnnrs.data.workers import ahead as prepared
from cnnrs.data.workers import through

__all__ = ["ArrayRows", "FunctionRows", "Rows"]

# Batches that lie in memory beside the one that is used.
_BATCHES_AHEAD = 2


class Source(Protocol):
    """Elements by index."""

    def elements(self, indices: np.ndarray, ahead: bool = True) -> Iterator[Any]: ...

    def batches(self, indices: list[np.ndarray], ahead: bool = True) -> Iterator[Any] | None: ...


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

    def batches(self, indices: list[np.ndarray], ahead: bool = True) -> Iterator[Any]:
        """Rows, several at once: one gathering of an array makes a batch."""
        return map(self._at, indices)

    def _at(self, index: Any) -> Any:
        return tree.map_structure(lambda array: array[index], self.structure)


class FunctionRows:
    """What a function gives for an index; threads may prepare it.

    Args:
        at: The function.
        workers: How many threads.
        many: What it gives for several indices at once, along a new first axis; None for one by one.
    """

    def __init__(
        self, at: Callable[[int], Any], workers: int, many: Callable[[np.ndarray], Any] | None = None
    ):
        self.at = at
        self.workers = workers
        self.many = many

    def elements(self, indices: np.ndarray, ahead: bool = True) -> Iterator[Any]:
        """Elements, one by one; threads prepare the next ones if that is wanted."""
        return through(self.at, iter(indices.tolist()), self.workers if ahead else 1)

    def batches(self, indices: list[np.ndarray], ahead: bool = True) -> Iterator[Any] | None:
        """Several elements at once, the next ones read meanwhile if that is wanted; None for one by one."""
        if self.many is None:
            return None
        made = map(self.many, indices)
        return prepared(made, _BATCHES_AHEAD) if ahead else made


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

    def open_batches(self, peek: bool, size: int, drop_remainder: bool) -> Iterator[Any] | None:
        """Begins a pass over batches; None if elements come one by one."""
        order = self.order(peek)
        stop = len(order) - len(order) % size if drop_remainder else len(order)
        parts = [order[first : min(first + size, stop)] for first in range(0, stop, size)]
        return self.source.batches(parts, ahead=not peek)
