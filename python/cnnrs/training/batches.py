"""The batches of epochs, in their order."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from operator import itemgetter
from typing import Any, Protocol

import numpy as np

from cnnrs.base.user_warnings import warn_user
from cnnrs.training.data_adapter import ArrayData, BatchData
from cnnrs.training.samples import Samples, map_samples

__all__ = ["BatchRunner", "Batches"]


class BatchRunner(Protocol):
    """What runs many batches of arrays in one call: a recorded step."""

    def run_batches(
        self,
        arrays: list[np.ndarray],
        order: np.ndarray,
        batch_size: int,
        first: int,
        last: int,
        seconds: float,
    ) -> tuple[int, Any]: ...


class Batches:
    """The batches of epochs, from arrays in a new order for each pass over them, or from an iterable.

    An epoch of fewer steps than a pass has batches goes on where the one before stopped; it ends with the
    pass, and the next one begins another pass.

    Attributes:
        data: The source.
        steps: Batches of an epoch; None if that is known only at its end.
        order: Of arrays, the rows of this epoch in their order.
        exhausted: Whether the source has ended for good.

    Args:
        data: The source.
        steps: Batches of an epoch.
        shuffle: Whether each pass has a new random order.
        seed: Generator of seeds of these orders.
    """

    def __init__(self, data: ArrayData | BatchData, steps: int | None, shuffle: bool, seed: Any):
        self.data = data
        self.steps = steps
        self.shuffle = shuffle and seed is not None
        self.seed = seed
        self.exhausted = False
        self.order: np.ndarray | None = None
        self._iterator: Iterator[Samples] | None = None
        self._pass: np.ndarray | None = None
        self._position = 0
        self._first = 0
        # Batches of the pass under way, of an iterable.
        self._taken = 0

    def start(self) -> Batches:
        """A new epoch."""
        self._first = 0
        if isinstance(self.data, ArrayData):
            self._start_arrays(self.data)
        elif self._iterator is None or not self.data.goes_on or (self.steps is None and not self.data.once):
            dataset_order = None
            if self.data.is_dataset and self.shuffle and self.data.num_batches is not None:
                dataset_order = self._permutation(self.data.num_batches)
            self._iterator = self.data.epoch(dataset_order)
            self._taken = 0
        return self

    def _start_arrays(self, data: ArrayData) -> None:
        count = data.size
        if self._pass is None or self._position >= count:
            self._pass = self._permutation(count) if self.shuffle else np.arange(count, dtype=np.int64)
            self._position = 0
        rows = count if self.steps is None else self.steps * data.batch_size
        self.order = self._pass[self._position : self._position + rows]
        self._position += rows
        batches = -(-len(self.order) // data.batch_size)
        if self.steps is not None and batches < self.steps:
            _warn_of_end(batches, self.steps)

    def _permutation(self, count: int) -> np.ndarray:
        # The generator's state is saved with the model, so that a resumed training meets the same order.
        state = np.asarray(self.seed.next().numpy()).astype(np.uint32)
        return np.random.default_rng(state.tolist()).permutation(count).astype(np.int64)

    @property
    def full(self) -> int:
        """How many batches of this epoch have as many samples as `head`; 0 if the source is an iterable."""
        if not isinstance(self.data, ArrayData) or self.order is None:
            return 0
        return len(self.order) // self.data.batch_size

    def head(self) -> Samples | None:
        """Arrays with the shapes that the full batches have; None if there are none."""
        if not isinstance(self.data, ArrayData) or not self.full:
            return None
        size = self.data.batch_size
        return map_samples(itemgetter(slice(size)), self.data.samples)

    def run(self, runner: BatchRunner, first: int, last: int, seconds: float) -> tuple[int, Any]:
        """Runs the full batches `first` to `last - 1`, as many as fit into `seconds`.

        The next iteration leaves them out.

        Args:
            runner: Runs them.
            first: The first of them.
            last: The one to stop before.
            seconds: How long batches begin.

        Returns:
            The next batch, and what `runner` gave for the last one.
        """
        assert isinstance(self.data, ArrayData) and self.order is not None
        self._first, outcome = runner.run_batches(
            self.data.arrays, self.order, self.data.batch_size, first, last, seconds
        )
        return self._first, outcome

    def __iter__(self) -> Iterator[Samples]:
        """The batches of this epoch that have not been run."""
        if isinstance(self.data, ArrayData):
            assert self.order is not None
            batch_size = self.data.batch_size
            for first in range(self._first * batch_size, len(self.order), batch_size):
                rows = self.order[first : first + batch_size]
                part = rows if self.shuffle else slice(int(rows[0]), int(rows[-1]) + 1)
                yield map_samples(itemgetter(part), self.data.samples)
            return
        yield from self._from_iterable(self.data)
        self.data.end_epoch()

    def _from_iterable(self, data: BatchData) -> Iterator[Samples]:
        assert self._iterator is not None
        for count in range(sys.maxsize):
            if self.steps is not None and count >= self.steps:
                # A pass that ends with the epoch: the next one begins another.
                if data.goes_on and self._taken == data.num_batches:
                    self._iterator = None
                return
            try:
                batch = next(self._iterator)
            except StopIteration:
                self.exhausted = data.once
                if data.goes_on and self.steps is not None:
                    _warn_of_end(count, self.steps)
                self._iterator = self._iterator if data.once else None
                return
            self._taken += 1
            yield batch


def _warn_of_end(batches: int, steps: int) -> None:
    # Keras's words come first, for scripts that filter by them.
    warn_user(f"Your input ran out of data: it holds {batches} of the {steps} batches of the epoch")
