"""CIFAR-100: 60,000 colour photographs of 32 × 32 pixels in 100 classes (A. Krizhevsky, 2009)."""

from __future__ import annotations

import os

from cnnrs.base.arguments import named
from cnnrs.datasets import cifar
from cnnrs.datasets.sources import Split
from cnnrs.fetching import get_file

__all__ = ["load_data"]

_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
_ROWS = {"train": 50000, "test": 10000}
_CLASSES = {"fine": 100, "coarse": 20}


@named
def load_data(label_mode: str = "fine") -> tuple[Split, Split]:
    """Loads CIFAR-100, which is fetched once (169 MB).

    Args:
        label_mode: "fine" for 100 classes, "coarse" for the 20 groups of 5 that they belong to.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: uint8 images of shape `(50000, 32, 32, 3)` and
        `(10000, 32, 32, 3)` with values 0 to 255, uint8 labels of shape `(50000, 1)` and `(10000, 1)`.
        Where `config.image_data_format()` is "channels_first", the channels are axis 1.

    Raises:
        OSError: The archive is not there and cannot be fetched; the message says where it can be put by hand.
        ValueError: `label_mode` is neither, or the archive or a file of it is damaged, or asks for code.

    Example:
        >>> from cnnrs.datasets import cifar100
        >>> (x_train, y_train), (x_test, y_test) = cifar100.load_data("coarse")  # doctest: +SKIP
    """
    if not isinstance(label_mode, str) or label_mode not in _CLASSES:
        raise ValueError(f"load_data: label_mode: expected 'fine' or 'coarse', received {label_mode!r}")
    path = get_file("cifar-100-python-target", _ORIGIN, file_hash=_SHA256, extract=True)
    folder = os.path.join(path, "cifar-100-python")
    train, test = (
        cifar.read(folder, [name], rows, f"{label_mode}_labels", _CLASSES[label_mode])
        for name, rows in _ROWS.items()
    )
    return train, test
