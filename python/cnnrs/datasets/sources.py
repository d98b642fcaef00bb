"""Where the files of data sets come from, and in which order their rows are."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs.base.arguments import file_path, integer, number
from cnnrs.fetching import get_file

__all__ = ["BUCKET", "fetch", "shuffled", "splitter"]

BUCKET = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"

Split = tuple[np.ndarray, np.ndarray]


def fetch(path: Any, function: str, origin: str, file_hash: str) -> str:
    """The path of the file of a data set, which is fetched once and checked each time.

    Args:
        path: Its name in the folder of data sets, or a path with a folder, where it is kept then.
        function: What was called, for errors.
        origin: The address.
        file_hash: The hash of the file.
    """
    folder, name = os.path.split(file_path(path, function))
    subdir = os.path.abspath(os.path.expanduser(folder)) if folder else "datasets"
    return get_file(name, origin, file_hash=file_hash, cache_subdir=subdir)


def shuffled(rng: np.random.RandomState, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Arrays with their rows in one random order: that of Keras for a generator of the same seed."""
    order = np.arange(len(arrays[0]))
    rng.shuffle(order)
    return tuple(array[order] for array in arrays)


def splitter(
    function: str, test_split: Any, seed: Any
) -> Callable[[np.ndarray, np.ndarray], tuple[Split, Split]]:
    """What puts rows in random order and makes the last of them the test set.

    It is asked for before a file is fetched, as arguments are checked here.
    """
    part = number(test_split, function, "test_split", least=0, below=1)
    generator = np.random.RandomState(integer(seed, function, "seed", least=0))

    def split(x: np.ndarray, y: np.ndarray) -> tuple[Split, Split]:
        x, y = shuffled(generator, x, y)
        cut = int(len(x) * (1 - part))
        return (x[:cut], y[:cut]), (x[cut:], y[cut:])

    return split
