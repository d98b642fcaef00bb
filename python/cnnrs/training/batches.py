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
        # Where the epoch under way began in its pass: a row of arrays, or a batch of an iterable.
        self._began = 0
        # The state from which the order of the pass under way was drawn.
        self._drawn_from: np.ndarray | None = None
        # Of a data set, its state as the pass under way began.
        self._passes: Any = None
        self._resumed: tuple[dict[str, Any], int] | None = None

    def start(self) -> Batches:
        """A new epoch, or the one that `resume` names."""
        self._first = 0
        if self._resumed is not None:
            (state, done), self._resumed = self._resumed, None
            self._take_up(state, done)
        elif isinstance(self.data, ArrayData):
            self._start_arrays(self.data)
        elif self._iterator is None or not self.data.goes_on or (self.steps is None and not self.data.once):
            dataset_order = None
            if self.data.is_dataset and self.shuffle and self.data.num_batches is not None:
                dataset_order = self._permutation(self.data.num_batches)
            self._passes = self.data.state()
            self._iterator = self.data.epoch(dataset_order)
            self._taken = 0
        if not isinstance(self.data, ArrayData) and not self._first:
            self._began = self._taken
        return self

    @property
    def first(self) -> int:
        """The first batch of this epoch that has not been run."""
        return self._first

    def state(self, within: bool) -> dict[str, Any]:
        """What `resume` needs, as plain data.

        Args:
            within: Whether it is for the epoch under way, and not for the next one.
        """
        if isinstance(self.data, ArrayData):
            position = self._began if within else self._position
        elif within:
            position = self._began
        else:
            goes_on = self._iterator is not None and self.data.goes_on
            position = self._taken if goes_on and (self.steps is not None or self.data.once) else 0
        drawn = None if self._drawn_from is None else self._drawn_from.tolist()
        found = {"position": position, "drawn_from": drawn}
        if isinstance(self.data, BatchData):
            found["dataset"] = self._passes if within or position else self.data.state()
        return found

    def resume(self, state: dict[str, Any], done: int) -> None:
        """Makes the next `start` take up an epoch.

        Args:
            state: What `state` gave.
            done: Batches of the epoch that have been run.
        """
        self._resumed = state, done

    def _take_up(self, state: dict[str, Any], done: int) -> None:
        drawn, position = state["drawn_from"], state["position"]
        whole = not done and not position
        if drawn is not None and self.shuffle and not whole:
            # The pass under way has the order that it had.
            self.seed.state.assign(np.asarray(drawn, np.int32))
        if isinstance(self.data, ArrayData):
            if not whole:
                size = self.data.size
                self._pass = self._permutation(size) if self.shuffle else np.arange(size, dtype=np.int64)
                self._position = position
            self._start_arrays(self.data)
        else:
            order = None
            if self.data.is_dataset and self.shuffle and self.data.num_batches is not None:
                order = self._permutation(self.data.num_batches)
            if state.get("dataset") is not None:
                self.data.restore(state["dataset"])
            self._passes = self.data.state()
            self._began, self._taken = position, position + done
            self._iterator = self.data.epoch(order, self._taken)
        self._first = done

    def _start_arrays(self, data: ArrayData) -> None:
        count = data.size
        if self._pass is None or self._position >= count:
            self._pass = self._permutation(count) if self.shuffle else np.arange(count, dtype=np.int64)
            self._position = 0
        self._began = self._position
        rows = count if self.steps is None else self.steps * data.batch_size
        self.order = self._pass[self._position : self._position + rows]
        self._position += rows
        batches = -(-len(self.order) // data.batch_size)
        if self.steps is not None and batches < self.steps:
            _warn_of_end(batches, self.steps)

    def _permutation(self, count: int) -> np.ndarray:
        # The generator's state is saved with the model, so that a resumed training meets the same order.
        self._drawn_from = np.array(self.seed.state.numpy())
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
        for count in range(self._first, sys.maxsize):
            if self.steps is not None and count >= self.steps:
                # A pass that ends with the epoch: the next one begins another.
                if data.goes_on and self._taken == data.num_batches:
                    # Looking for one more batch ends the pass: it counts, even if it was taken up at its end,
                    # and `cache` keeps it.
                    next(self._iterator, None)
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
