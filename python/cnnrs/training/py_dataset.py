"""`PyDataset`: batches by index, prepared by threads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

__all__ = ["PyDataset", "batches_of"]


class PyDataset:
    """Batches by index: a subclass defines `__getitem__(index)`, and `__len__` or `num_batches`.

    Args:
        workers: How many threads prepare batches.
        use_multiprocessing: False; threads do the work.
        max_queue_size: How many batches are prepared ahead.

    Raises:
        ValueError: Processes are asked for, or fewer than one worker or batch.

    >>> import numpy as np
    >>> import cnnrs
    >>> class Counting(cnnrs.utils.PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         return np.full((2, 1), index), np.full((2, 1), 2 * index)
    >>> model = cnnrs.Sequential([cnnrs.Input((1,)), cnnrs.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> model.fit(Counting(workers=2), epochs=2, verbose=0)
    <History of 2 epochs: loss>
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        if use_multiprocessing:
            raise ValueError("PyDataset: use_multiprocessing: expected False; workers are threads")
        if workers < 1 or max_queue_size < 1:
            raise ValueError(f"PyDataset: expected workers and max_queue_size >= 1, received {workers}")
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define __getitem__(index)")

    def __iter__(self) -> Iterator[Any]:
        """The batches in their order."""
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """How many batches there are, by default what `__len__` says; None for a dataset without end."""
        length = getattr(type(self), "__len__", None)
        if length is None:
            raise NotImplementedError(
                f"{type(self).__name__}: expected the class to define __len__() or num_batches, "
                "which is None for a dataset without end"
            )
        count: int | None = length(self)
        return count

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


def batches_of(dataset: PyDataset, order: np.ndarray | None) -> Iterator[Any]:
    """The batches of an epoch.

    Args:
        dataset: The dataset; with several workers, threads prepare batches ahead.
        order: Indices of the batches in their order; None for the order of the dataset.
    """
    dataset.on_epoch_begin()
    count = dataset.num_batches
    if count is None:
        indices: Iterator[int] = itertools.count()
    else:
        indices = iter(range(count) if order is None else order.tolist())
    if dataset.workers == 1:
        for index in indices:
            yield dataset[index]
    else:
        yield from _prefetch(dataset, indices)


def _prefetch(dataset: PyDataset, indices: Iterator[int]) -> Iterator[Any]:
    with ThreadPoolExecutor(dataset.workers) as pool:
        queue: list[Future[Any]] = []
        for index in itertools.islice(indices, dataset.max_queue_size):
            queue.append(pool.submit(dataset.__getitem__, index))
        try:
            while queue:
                batch = queue.pop(0).result()
                for index in itertools.islice(indices, 1):
                    queue.append(pool.submit(dataset.__getitem__, index))
                yield batch
        finally:
            for future in queue:
                future.cancel()
