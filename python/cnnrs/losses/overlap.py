"""Losses of the overlap of masks: Dice and Tversky."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.config import epsilon
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.loss import float_pair
from cnnrs.ops.dispatch import op

__all__ = ["Dice", "Tversky", "dice", "tversky"]


@op
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """`1 - 2 Σ(y_true · y_pred) / (Σ y_true + Σ y_pred)` over `axis`, the whole batch by default.

    Args:
        y_true: Masks.
        y_pred: Predicted masks, of the same shape.
        axis: Axes to sum over; None for all.

    Returns:
        A float tensor of the other axes.

    >>> from cnnrs import losses
    >>> losses.dice([[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]], axis=1).numpy().round(4)
    array([0.3333, 1.    ], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred, squeeze=False)
    both = ops.sum(y_true * y_pred, axis=axis)
    return 1.0 - 2.0 * both / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + epsilon())


@op
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    """`1 - TP / (TP + α FP + β FN)` over `axis` (Salehi et al. 2017); `dice` for α = β = ½.

    Args:
        y_true: Masks.
        y_pred: Predicted masks, of the same shape.
        alpha: Weight of false positives.
        beta: Weight of false negatives.
        axis: Axes to sum over; None for all.

    Returns:
        A float tensor of the other axes.

    >>> from cnnrs import losses
    >>> round(float(losses.tversky([[1.0, 1.0]], [[1.0, 0.0]], beta=1.0)), 4)
    0.5
    """
    y_true, y_pred = float_pair(y_true, y_pred, squeeze=False)
    both = ops.sum(y_true * y_pred, axis=axis)
    false_positives = ops.sum((1.0 - y_true) * y_pred, axis=axis)
    false_negatives = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    wrong = false_positives * float(alpha) + false_negatives * float(beta)
    return 1.0 - both / (both + wrong + epsilon())


class Dice(LossFunctionWrapper):
    """One minus the Dice coefficient of masks.

    Args:
        reduction: As in `Loss`.
        name: Name.
        axis: Axes to sum over; None for all, and one coefficient for the batch.
        dtype: As in `Loss`.

    >>> from cnnrs import losses
    >>> round(float(losses.Dice()([[1.0, 1.0]], [[1.0, 0.0]])), 4)
    0.3333
    """

    def __init__(
        self,
        reduction: str = "sum_over_batch_size",
        name: str = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(dice, reduction, name, dtype, axis=axis)


class Tversky(LossFunctionWrapper):
    """One minus the Tversky index of masks.

    Args:
        alpha: Weight of false positives.
        beta: Weight of false negatives.
        reduction: As in `Loss`.
        name: Name.
        axis: Axes to sum over; None for all, and one index for the batch.
        dtype: As in `Loss`.

    >>> from cnnrs import losses
    >>> round(float(losses.Tversky(beta=1.0)([[1.0, 1.0]], [[1.0, 0.0]])), 4)
    0.5
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str = "sum_over_batch_size",
        name: str = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)
