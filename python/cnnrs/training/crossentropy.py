"""The cross-entropy that fits targets and predictions, which `compile` knows as "crossentropy" and "ce"."""

from __future__ import annotations

from typing import Any

from cnnrs import losses
from cnnrs.losses.loss import as_tensor

__all__ = ["NAMES", "crossentropy"]

NAMES = ("crossentropy", "ce")


def crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Binary cross-entropy for one column, categorical for rows of the predictions' width, else sparse.

    >>> crossentropy([1], [[0.5, 0.5]]).numpy().round(4), crossentropy([[1.0]], [[0.5]]).numpy().round(4)
    (array([0.6931], dtype=float32), array([0.6931], dtype=float32))
    """
    y_true, y_pred = as_tensor(y_true), as_tensor(y_pred)
    width = y_pred.shape[-1] if len(y_pred.shape) else 1
    if width == 1:
        return losses.binary_crossentropy(y_true, y_pred)
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
        return losses.sparse_categorical_crossentropy(y_true, y_pred)
    return losses.categorical_crossentropy(y_true, y_pred)
