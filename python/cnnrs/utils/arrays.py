"""Arrays of numpy: labels and norms."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["normalize", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Integer labels as one-hot rows of dtype float32.

    >>> from cnnrs import utils
    >>> utils.to_categorical([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    labels = np.asarray(x).astype("int64")
    shape = labels.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    flat = labels.reshape(-1)
    count = int(flat.max()) + 1 if num_classes is None and flat.size else int(num_classes or 0)
    if flat.size and (flat.min() < 0 or flat.max() >= count):
        raise ValueError(
            f"to_categorical: expected labels of 0..{count - 1}, received {flat.min()} to {flat.max()}"
        )
    hot = np.zeros((flat.size, count), "float32")
    hot[np.arange(flat.size), flat] = 1.0
    return hot.reshape(*shape, count)


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """`x` over its norm along `axis`; zeros stay zeros.

    Args:
        x: Array.
        axis: The axis of the vectors.
        order: Order of the norm.

    >>> from cnnrs import utils
    >>> utils.normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    x = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return x / np.expand_dims(norm, axis)
