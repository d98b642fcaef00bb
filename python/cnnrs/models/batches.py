"""The batches of an epoch, and the arguments of `fit` that say which."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.models.data_adapter import ArrayData, BatchData, unpack_x_y_sample_weight

__all__ = ["Batches", "count_steps", "is_due", "resolve_verbosity", "unpack_validation"]


class Batches:
    """The batches of an epoch, from arrays in the epoch's order or from an iterable."""

    def __init__(self, data: ArrayData | BatchData, steps: int | None, shuffle: bool, seed: Any):
        self.data = data
        self.steps = steps
        self.shuffle = shuffle and seed is not None
        self.seed = seed
        self.exhausted = False
        self.order: np.ndarray | None = None
        self._iterator: Any = None
        self._first = 0

    def start(self) -> Batches:
        """A new epoch."""
        self._first = 0
        if isinstance(self.data, ArrayData):
            count = self.data.size
            self.order = self._permutation(count) if self.shuffle else np.arange(count, dtype=np.int64)
        elif self._iterator is None or not self.data.once:
            dataset_order = None
            if self.data.is_dataset and self.shuffle and self.data.num_batches is not None:
                dataset_order = self._permutation(self.data.num_batches)
            self._iterator = self.data.epoch(dataset_order)
        return self

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
            size, batch_size = self.data.size, self.data.batch_size
            for batch in range(self._first, self.steps or 0):
                rows = self.order[batch * batch_size : min(size, (batch + 1) * batch_size)]
                contiguous = not self.shuffle
                part = slice(batch * batch_size, min(size, (batch + 1) * batch_size)) if contiguous else rows
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
                        warnings.warn(
                            f"the generator ended after {count} of {self.steps} batches of the epoch",
                            RuntimeWarning,
                            stacklevel=4,
                        )
                return
            yield batch


def count_steps(data: ArrayData | BatchData, steps: int | None, argument: str) -> int | None:
    if steps is None:
        return data.num_batches
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"{argument}: expected an integer >= 1 or None, received {steps!r}")
    if isinstance(data, ArrayData) and data.num_batches is not None and steps > data.num_batches:
        raise ValueError(
            f"{argument}: expected at most {data.num_batches}, the batches of the arrays, received {steps}"
        )
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
