"""Processes that prepare the batches of a `PyDataset`."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import numpy as np

__all__ = ["process_pool"]

# In a worker: the dataset, and the seed of an epoch.
_OWN: dict[str, Any] = {}


def _start(dataset: Any, seed: int) -> None:
    _OWN.update(dataset=dataset, seed=seed)


def _prepare(index: int) -> Any:
    # Whichever worker prepares a batch, and however many there are, it draws the same numbers.
    state = np.random.SeedSequence((_OWN["seed"], index)).generate_state(2)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))  # noqa: NPY002 what datasets draw from
    return _OWN["dataset"][index]


def _context() -> Any:
    # A forked worker has the dataset without a pickle of it, which classes of notebooks and functions lack.
    if "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin":
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context()


@contextlib.contextmanager
def process_pool(dataset: Any, workers: int) -> Iterator[Callable[[int], Future[Any]]]:
    """Gives a function that lets a process prepare the batch of an index.

    Args:
        dataset: What gives batches by index.
        workers: How many processes there are.
    """
    seed = int(np.random.randint(2**31))  # noqa: NPY002 follows the seed that the user set
    pool = ProcessPoolExecutor(workers, _context(), _start, (dataset, seed))

    def submit(index: int) -> Future[Any]:
        with warnings.catch_warnings():
            # Python warns of forks beside threads; those of the core wait for forks.
            warnings.simplefilter("ignore", DeprecationWarning)
            return pool.submit(_prepare, index)

    try:
        yield submit
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
