"""CIFAR-10: 60,000 colour photographs of 32 × 32 pixels in 10 classes (A. Krizhevsky, 2009)."""

from __future__ import annotations

import os

from cnnrs.datasets import cifar
from cnnrs.datasets.sources import Split
from cnnrs.fetching import get_file

__all__ = ["load_data"]

_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
_ROWS = 10000


def load_data() -> tuple[Split, Split]:
    """Loads CIFAR-10, which is fetched once (170 MB).

    The classes are airplane, automobile, bird, cat, deer, dog, frog, horse, ship and truck.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: uint8 images of shape `(50000, 32, 32, 3)` and
        `(10000, 32, 32, 3)` with values 0 to 255, uint8 labels of shape `(50000, 1)` and `(10000, 1)` with
        values 0 to 9. Where `config.image_data_format()` is "channels_first", the channels are axis 1.

    Raises:
        OSError: The archive is not there and cannot be fetched; the message says where it can be put by hand.
        ValueError: The archive or a file of it is damaged, or asks for code.

    Example:
        >>> from cnnrs.datasets import cifar10
        >>> (x_train, y_train), (x_test, y_test) = cifar10.load_data()  # doctest: +SKIP
    """
    path = get_file("cifar-10-batches-py-target", _ORIGIN, file_hash=_SHA256, extract=True)
    folder = os.path.join(path, "cifar-10-batches-py")
    train = cifar.read(folder, [f"data_batch_{i}" for i in range(1, 6)], _ROWS, "labels", 10)
    return train, cifar.read(folder, ["test_batch"], _ROWS, "labels", 10)
