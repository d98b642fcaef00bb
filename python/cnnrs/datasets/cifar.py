"""CIFAR-10 and CIFAR-100 as they are published: an archive of pickles."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from cnnrs import config
from cnnrs.datasets.packed import unpickle
from cnnrs.datasets.sources import Split

__all__ = ["read"]


def read(folder: str, files: list[str], rows: int, labels: str, classes: int) -> Split:
    """The images and labels of some files.

    Args:
        folder: Where they lie.
        files: Their names.
        rows: How many images each has.
        labels: The entry of the labels.
        classes: How many classes there are.

    Returns:
        uint8 images of shape (n, 32, 32, 3), or (n, 3, 32, 32) where `config.image_data_format()` is
        "channels_first", and uint8 labels of shape (n, 1).

    Raises:
        ValueError: A file is damaged or foreign.
    """
    batches = [_batch(os.path.join(folder, name), rows, labels, classes) for name in files]
    x = np.concatenate([images for images, _ in batches]).reshape(-1, 3, 32, 32)
    if config.image_data_format() == "channels_last":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    return x, np.concatenate([numbers for _, numbers in batches])[:, None]


def _batch(path: str, rows: int, labels: str, classes: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        with open(path, "rb") as file:
            found = unpickle(file, path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path}: a file of the data set is missing; remove the folder {os.path.dirname(path)}, so that "
            "the archive is unpacked again"
        ) from error
    entries: dict[bytes, Any] = found if isinstance(found, dict) else {}
    data, numbers = entries.get(b"data"), entries.get(labels.encode())
    if not isinstance(data, np.ndarray) or data.shape != (rows, 3072) or data.dtype != np.uint8:
        raise ValueError(f"{path}: expected uint8 images of shape {(rows, 3072)}, received another array")
    if (
        not isinstance(numbers, list)
        or len(numbers) != rows
        or not all(type(label) is int and 0 <= label < classes for label in numbers)
    ):
        raise ValueError(f"{path}: expected {rows} labels of 0 to {classes - 1} as {labels!r}")
    return data, np.array(numbers, np.uint8)
