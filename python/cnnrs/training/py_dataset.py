"""`PyDataset`: batches by index, prepared by threads or processes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from cnnrs.base.notes import noted
from cnnrs.base.user_warnings import warn_user

__all__ = ["PyDataset", "batches_of"]


class PyDataset:
    """Batches by index: a subclass defines `__getitem__(index)`, and `__len__` or `num_batches`.

    Args:
        workers: How many threads, or processes, prepare batches.
        use_multiprocessing: Whether processes do it. Each batch is prepared with random generators of Python
            and numpy seeded for its index. Where processes cannot be forked, the dataset is pickled.
        max_queue_size: How many batches are prepared ahead.

    Raises:
        ValueError: Fewer than one worker or batch is asked for.

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
        if workers < 1 or max_queue_size < 1:
            raise ValueError(f"PyDataset: expected workers and max_queue_size >= 1, received {workers}")
        self.workers = workers
        self.use_multiprocessing = bool(use_multiprocessing)
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


def batches_of(dataset: PyDataset, order: np.ndarray | None, first: int = 0) -> Iterator[Any]:
    """The batches of an epoch.

    Args:
        dataset: The dataset; with several workers, threads prepare batches ahead.
        order: Indices of the batches in their order; None for the order of the dataset.
        first: How many batches of this order are left out.

    Raises:
        Exception: What the dataset raises, with a note that names the batch.
    """
    _init(dataset)
    dataset.on_epoch_begin()
    count = dataset.num_batches
    if count is None:
        indices: Iterator[int] = itertools.count()
    else:
        indices = iter(range(count) if order is None else order.tolist())
    indices = itertools.islice(indices, first, None)
    if dataset.use_multiprocessing:
        from cnnrs.training.worker_processes import process_pool

        with process_pool(dataset, dataset.workers) as submit:
            yield from _prefetch(submit, indices, dataset)
    elif dataset.workers > 1:
        with ThreadPoolExecutor(dataset.workers) as pool:
            yield from _prefetch(lambda index: pool.submit(dataset.__getitem__, index), indices, dataset)
    else:
        for index in indices:
            try:
                batch = dataset[index]
            except Exception as error:
                noted(error, f"{type(dataset).__name__}: batch {index}")
                raise
            yield batch


def _init(dataset: PyDataset) -> None:
    """Does what an `__init__` left out that does not call that of the base class, as many do."""
    if not hasattr(dataset, "workers"):
        warn_user(
            f"{type(dataset).__name__}: expected super().__init__(**kwargs) in __init__(), which takes "
            "workers, use_multiprocessing and max_queue_size; one worker prepares the batches"
        )
        PyDataset.__init__(dataset)


def _prefetch(
    submit: Callable[[int], Future[Any]], indices: Iterator[int], dataset: PyDataset
) -> Iterator[Any]:
    queue: list[tuple[int, Future[Any]]] = []
    try:
        for index in itertools.islice(indices, dataset.max_queue_size):
            queue.append((index, submit(index)))
        while queue:
            number, future = queue.pop(0)
            try:
                batch = future.result()
            except Exception as error:
                noted(error, f"{type(dataset).__name__}: batch {number}, prepared by a worker")
                raise
            for index in itertools.islice(indices, 1):
                queue.append((index, submit(index)))
            yield batch
    finally:
        for _, future in queue:
            future.cancel()
