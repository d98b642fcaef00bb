"""The batches of an epoch, and the arguments of `fit` that say which."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.base.user_warnings import warn_user
from cnnrs.models.data_adapter import ArrayData, BatchData, unpack_x_y_sample_weight

__all__ = ["Batches", "check_steps", "is_due", "resolve_verbosity", "unpack_validation"]


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
        self._iterator: Any = None
        self._pass: np.ndarray | None = None
        self._position = 0
        self._first = 0

    def start(self) -> Batches:
        """A new epoch."""
        self._first = 0
        if isinstance(self.data, ArrayData):
            self._start_arrays(self.data)
        elif self._iterator is None or not self.data.once:
            dataset_order = None
            if self.data.is_dataset and self.shuffle and self.data.num_batches is not None:
                dataset_order = self._permutation(self.data.num_batches)
            self._iterator = self.data.epoch(dataset_order)
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

    def skip(self, batches: int) -> None:
        """Leaves out the first batches, which have been run."""
        self._first = batches

    def __iter__(self) -> Any:
        if isinstance(self.data, ArrayData):
            assert self.order is not None
            batch_size = self.data.batch_size
            for first in range(self._first * batch_size, len(self.order), batch_size):
                rows = self.order[first : first + batch_size]
                part = rows if self.shuffle else slice(int(rows[0]), int(rows[-1]) + 1)
                yield tree.map_structure(
                    lambda a, part=part: None if a is None else a[part], self.data.structure
                )
            return
        yield from self._from_iterable(self.data)
        self.data.end_epoch()

    def _from_iterable(self, data: BatchData) -> Any:
        for count in range(sys.maxsize):
            if self.steps is not None and count >= self.steps:
                return
            try:
                batch = next(self._iterator)
            except StopIteration:
                if data.once:
                    self.exhausted = True
                    if self.steps is not None:
                        _warn_of_end(count, self.steps)
                return
            yield batch


def _warn_of_end(batches: int, steps: int) -> None:
    # Keras's words come first, for scripts that filter by them.
    warn_user(f"Your input ran out of data: it holds {batches} of the {steps} batches of the epoch")


def check_steps(steps: Any, argument: str) -> int | None:
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise ValueError(f"{argument}: expected an integer >= 1 or None, received {steps!r}")
    return steps


def resolve_verbosity(verbose: Any) -> int:
    if verbose == "auto":
        from cnnrs import config

        notebook = "ipykernel" in sys.modules
        terminal = sys.stdout is not None and hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
        return 1 if config.is_interactive_logging_enabled() and (terminal or notebook) else 2
    if verbose not in (0, 1, 2, True, False):
        raise ValueError(f"verbose: expected 'auto', 0, 1 or 2, received {verbose!r}")
    return int(verbose)


def unpack_validation(data: Any) -> tuple[Any, Any, Any]:
    if isinstance(data, (tuple, list)) and 1 <= len(data) <= 3 and not isinstance(data[0], tuple):
        return unpack_x_y_sample_weight(tuple(data))
    return data, None, None


def is_due(epoch: int, frequency: Any) -> bool:
    if isinstance(frequency, int):
        if frequency < 1:
            raise ValueError(f"validation_freq: expected an integer >= 1 or a list, received {frequency}")
        return epoch % frequency == 0
    return epoch in frequency
