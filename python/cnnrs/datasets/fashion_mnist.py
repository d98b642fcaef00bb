"""Fashion-MNIST: 70,000 photographs of clothes of 28 × 28 pixels in 10 classes."""

from __future__ import annotations

import os

import numpy as np

from cnnrs.datasets import idx
from cnnrs.datasets.sources import BUCKET, Split
from cnnrs.fetching import get_file

__all__ = ["load_data"]

# Name, shape, MD5 of the packed file as its publisher states it.
_FILES: dict[str, tuple[tuple[int, ...], str]] = {
    "train-images-idx3-ubyte.gz": ((60000, 28, 28), "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    "train-labels-idx1-ubyte.gz": ((60000,), "25c81989df183df01b3e8a0aad5dffbe"),
    "t10k-images-idx3-ubyte.gz": ((10000, 28, 28), "bef4ecab320f06d8554ea6380940ec79"),
    "t10k-labels-idx1-ubyte.gz": ((10000,), "bb300cfdad3c16e7a12a480ee83cd310"),
}


def load_data() -> tuple[Split, Split]:
    """Loads Fashion-MNIST, which is fetched once (31 MB).

    The classes are T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and ankle boot.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: uint8 images of shape `(60000, 28, 28)` and
        `(10000, 28, 28)` with values 0 to 255, uint8 labels of shape `(60000,)` and `(10000,)` with
        values 0 to 9.

    Raises:
        OSError: A file is not there and cannot be fetched; the message says where it can be put by hand.
        ValueError: A file is damaged.

    Example:
        >>> from cnnrs.datasets import fashion_mnist
        >>> (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()  # doctest: +SKIP
    """
    folder = os.path.join("datasets", "fashion-mnist")
    arrays: list[np.ndarray] = []
    for name, (shape, md5) in _FILES.items():
        path = get_file(name, BUCKET + name, file_hash=md5, cache_subdir=folder)
        arrays.append(idx.read_gzip(path, shape, None))
    x_train, y_train, x_test, y_test = arrays
    return (x_train, y_train), (x_test, y_test)
