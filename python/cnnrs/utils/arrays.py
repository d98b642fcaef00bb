"""Arrays of numpy: labels and norms."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core, ops

__all__ = ["normalize", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Integer labels as one-hot rows of dtype float32.

    Args:
        x: Labels: an array or a list, or a tensor.
        num_classes: The number of classes; None for the largest label and one.

    Returns:
        An array of the shape of `x` and an axis of the classes; a tensor if `x` is one.

    Raises:
        ValueError: A label of an array is outside of the classes; one of a tensor gives a row of zeros.

    >>> from cnnrs import utils
    >>> utils.to_categorical([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    if isinstance(x, (_core.Tensor, _core.Variable)):
        if num_classes is None:
            num_classes = int(np.max(np.asarray(x))) + 1
        x = ops.squeeze(x, axis=-1) if len(x.shape) > 1 and x.shape[-1] == 1 else x
        return ops.one_hot(ops.cast(x, "int32"), num_classes)
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
        x: Array or tensor.
        axis: The axis of the vectors.
        order: Order of the norm.

    Returns:
        An array of the shape of `x`; a tensor if `x` is one.

    >>> from cnnrs import utils
    >>> utils.normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    if isinstance(x, (_core.Tensor, _core.Variable)):
        return ops.normalize(x, axis=axis, order=order)
    x = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return x / np.expand_dims(norm, axis)
