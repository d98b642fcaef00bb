"""Losses of class probabilities beyond the cross-entropies: focal and generalized."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import number
from cnnrs.config import epsilon
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.functions import smoothed, sparse_labels, warn_of_one_class
from cnnrs.losses.loss import as_tensor, float_pair
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float, op

__all__ = [
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
]


@op
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """`-Σ α (1 - p)^γ y log p` along `axis` for one-hot targets (Lin et al. 2017).

    Args:
        y_true: One-hot targets.
        y_pred: Probabilities or logits, of the same shape. Probabilities are divided by their sum.
        alpha: Weight of all classes, or a list with one weight a class.
        gamma: Exponent of the weight of easy samples.
        from_logits: Whether predictions are logits.
        label_smoothing: Targets become `y (1 - s) + s / classes`.
        axis: The axis of the classes.

    Returns:
        A float tensor of the shape of `y_pred` without `axis`.

    Raises:
        ValueError: `label_smoothing` is not in 0..1, or `axis` is a bool.

    >>> from cnnrs import losses
    >>> losses.categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.0433], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred, squeeze=False)
    warn_of_one_class("categorical_focal_crossentropy", y_pred, axis)
    y_true = smoothed(y_true, label_smoothing, y_pred.shape[axis])
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    p = raw.clip(y_pred / ops.sum(y_pred, axis=axis, keepdims=True), min=epsilon(), max=1.0 - epsilon())
    weight = alpha if isinstance(alpha, (int, float)) else ops.convert_to_tensor(alpha, p.dtype)
    return ops.sum(weight * ops.power(1.0 - p, float(gamma)) * -y_true * raw.log(p), axis=axis)


@op
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """`(1 - p^q) / q`, where p is the probability of the label (Zhang and Sabuncu 2018).

    It is the cross-entropy for q → 0, and the absolute error, which wrong labels move least, for q = 1.

    Args:
        y_true: Integer labels, of the shape of `y_pred` without the axis of classes, or with 1 in its place.
        y_pred: Probabilities, whose last axis is that of the classes.
        q: Number of 0..1.

    Returns:
        A float tensor of the shape of `y_pred` without the last axis.

    >>> from cnnrs import losses
    >>> losses.categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5).tolist()
    [1.0]
    """
    y_pred = as_float(as_tensor(y_pred))
    labels = sparse_labels(y_true, y_pred)
    hot = ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype)
    p = raw.sum(y_pred * hot, axes=[-1])
    # The slope of the power is infinite at 0, and a softmax that has rounded to 0 has the slope 0.
    there = p > 0.0
    power = raw.where(there, ops.power(raw.where(there, p, 1.0), float(q)), 0.0)
    return (1.0 - power) / float(q)


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """Categorical cross-entropy with easy samples weighted down (Lin et al. 2017).

    Args:
        alpha: Weight of all classes, or a list with one weight a class.
        gamma: Exponent of the weight of easy samples.
        from_logits: Whether predictions are logits.
        label_smoothing: Targets become `y (1 - s) + s / classes`.
        axis: The axis of the classes.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    >>> from cnnrs import losses
    >>> round(float(losses.CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.0433
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        arguments = {"alpha": alpha, "gamma": gamma, "from_logits": from_logits}
        arguments |= {"label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_focal_crossentropy, reduction, name, dtype, **arguments)


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """`(1 - p^q) / q` of the probability p of an integer label: robust against wrong labels.

    Args:
        q: Between 0, the cross-entropy, and 1, the absolute error; both ends are left out.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Raises:
        ValueError: `q` is not between 0 and 1.

    >>> from cnnrs import losses
    >>> float(losses.CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]]))
    1.0
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        number(q, type(self).__name__, "q", above=0, below=1)
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)
