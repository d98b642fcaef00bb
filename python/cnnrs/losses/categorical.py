"""Losses of class probabilities beyond the cross-entropies: focal and generalized."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import number
from cnnrs.config import epsilon
from cnnrs.losses.classes import LossFunctionWrapper
from cnnrs.losses.functions import smoothed, sparse_labels, warn_of_one_class
from cnnrs.losses.loss import as_tensor, float_pair
from cnnrs.ops import raw
from cnnrs.ops.annotated import annotate
from cnnrs.ops.dispatch import as_float, in_float32, op, standardize_axis
from cnnrs.ops.roots import power_of_magnitude

__all__ = [
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "SparseCategoricalFocalCrossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "sparse_categorical_focal_crossentropy",
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
@in_float32
def sparse_categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """`-α (1 - p)^γ log p` with the probability p of an integer label (Lin et al. 2017, equation 5).

    Args:
        y_true: Integer labels, of the shape of `y_pred` without `axis`; 1 in the place of the last axis may
            be left out.
        y_pred: Probabilities or logits. Probabilities are divided by their sum.
        alpha: Weight of all classes, or a list with one weight a class.
        gamma: Exponent of the weight of easy samples.
        from_logits: Whether predictions are logits.
        ignore_class: Label that counts nothing; means of `Loss` are over the other ones.
        axis: The axis of the classes.

    Returns:
        A float tensor of the shape of the labels.

    Raises:
        ValueError: Labels do not fit predictions, or there is another number of weights than classes.

    >>> from cnnrs import losses
    >>> losses.sparse_categorical_focal_crossentropy([1], [[0.5, 0.5]]).numpy().round(4)
    array([0.0433], dtype=float32)
    """
    y_pred = as_float(as_tensor(y_pred))
    warn_of_one_class("sparse_categorical_focal_crossentropy", y_pred, axis)
    labels = sparse_labels(y_true, y_pred)
    axis = standardize_axis(axis, y_pred.ndim)
    classes, expected = y_pred.shape[axis], [*y_pred.shape[:axis], *y_pred.shape[axis + 1 :]]
    if list(labels.shape) != expected:
        raise ValueError(
            "sparse_categorical_focal_crossentropy: y_true: expected integer labels of shape "
            f"{tuple(expected)}, received {tuple(labels.shape)}"
        )
    valid = None
    if ignore_class is not None:
        valid = labels != int(ignore_class)
        labels = raw.where(valid, labels, 0)
    rows = y_pred if axis == y_pred.ndim - 1 else ops.moveaxis(y_pred, axis, -1)
    if not from_logits:
        rows = rows / raw.sum(rows, axes=[-1], keepdims=True)
    value = ops.sparse_categorical_crossentropy(labels, rows, from_logits=from_logits)
    if gamma:
        # A power below 1 has no finite slope where nothing is missing.
        value = value * power_of_magnitude(ops.expm1(-value), float(gamma))
    if isinstance(alpha, (int, float)):
        value = float(alpha) * value
    else:
        weights = as_tensor(alpha).astype(value.dtype)
        if tuple(weights.shape) != (classes,):
            raise ValueError(
                f"sparse_categorical_focal_crossentropy: alpha: expected a number or {classes} of them, one "
                f"a class, received shape {tuple(weights.shape)}"
            )
        value = ops.take(weights, labels, axis=0) * value
    return value if valid is None else annotate(raw.where(valid, value, 0.0), mask=valid)


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


def _check_focal(alpha: Any, gamma: Any, loss: Any) -> None:
    """Raises ValueError where a weight, or the exponent of the weight of easy samples, is below 0."""
    number(gamma, loss, "gamma", least=0)
    for weight in alpha if np.ndim(alpha) == 1 else [alpha]:
        number(weight, loss, "alpha", least=0)


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
        _check_focal(alpha, gamma, self)
        arguments = {"alpha": alpha, "gamma": gamma, "from_logits": from_logits}
        arguments |= {"label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_focal_crossentropy, reduction, name, dtype, **arguments)


class SparseCategoricalFocalCrossentropy(LossFunctionWrapper):
    """`CategoricalFocalCrossentropy` for integer labels: easy samples are weighted down.

    Args:
        alpha: Weight of all classes, or a list with one weight a class.
        gamma: Exponent of the weight of easy samples, at least 0.
        from_logits: Whether predictions are logits.
        ignore_class: Label that counts nothing; means are over the other samples.
        axis: The axis of the classes.
        reduction: As in `Loss`.
        name: Name.
        dtype: As in `Loss`.

    Raises:
        ValueError: `alpha` or `gamma` is none of these.

    Reference:
        Lin, Goyal, Girshick, He and Dollár 2017, "Focal Loss for Dense Object Detection", arXiv:1708.02002.

    >>> from cnnrs import losses
    >>> round(float(losses.SparseCategoricalFocalCrossentropy()([1], [[0.5, 0.5]])), 4)
    0.0433
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str = "sparse_categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        _check_focal(alpha, gamma, self)
        several = np.ndim(alpha) == 1
        alpha = [float(weight) for weight in alpha] if several else float(alpha)
        arguments = {"alpha": alpha, "gamma": gamma, "from_logits": from_logits}
        arguments |= {"ignore_class": ignore_class, "axis": axis}
        super().__init__(sparse_categorical_focal_crossentropy, reduction, name, dtype, **arguments)


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
