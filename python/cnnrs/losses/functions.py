"""Loss functions: targets and predictions in, one value a sample out."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import number
from cnnrs.base.user_warnings import warn_user
from cnnrs.config import epsilon
from cnnrs.losses.loss import as_tensor, float_pair
from cnnrs.ops import raw
from cnnrs.ops.annotated import annotate
from cnnrs.ops.dispatch import as_float, as_index, op

__all__ = [
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]


def _mean(x: Any, axis: Any = -1) -> Any:
    """The mean over an axis, over several, or over all of them (None)."""
    if not len(x.shape):
        return x
    return raw.mean(x, axes=[axis]) if type(axis) is int else ops.mean(x, axis=axis)


@op
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """`mean((y_true - y_pred)²)` over the last axis.

    >>> from cnnrs import losses
    >>> losses.mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).numpy()
    array([0.5], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    return _mean(raw.square(y_true - y_pred))


@op
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """`mean(|y_true - y_pred|)` over the last axis.

    >>> from cnnrs import losses
    >>> losses.mean_absolute_error([[0.0, 1.0]], [[2.0, 1.0]]).tolist()
    [1.0]
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    return _mean(raw.abs(y_true - y_pred))


@op
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """`100 · mean(|y_true - y_pred| / |y_true|)` over the last axis.

    >>> from cnnrs import losses
    >>> losses.mean_absolute_percentage_error([[4.0, 1.0]], [[2.0, 1.0]]).tolist()
    [25.0]
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    scale = raw.maximum(raw.abs(y_true), epsilon())
    return 100.0 * _mean(raw.abs((y_true - y_pred) / scale))


@op
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """`mean((log(1 + y_true) - log(1 + y_pred))²)` over the last axis.

    >>> from cnnrs import losses
    >>> losses.mean_squared_logarithmic_error([[1.0]], [[1.0]]).tolist()
    [0.0]
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    return _mean(raw.square(_log1p(y_true) - _log1p(y_pred)))


def _log1p(x: Any) -> Any:
    """`log(1 + x)`, of numbers near 0 at least."""
    return raw.log1p(raw.maximum(x, epsilon()))


@op
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """`½e²` where |e| ≤ δ, `δ|e| - ½δ²` beyond; mean over the last axis (Huber 1964).

    >>> from cnnrs import losses
    >>> losses.huber([[0.0, 0.0]], [[0.5, 3.0]]).tolist()
    [1.3125]
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    error = raw.abs(y_pred - y_true)
    near = raw.minimum(error, float(delta))
    return _mean(0.5 * raw.square(near) + float(delta) * (error - near))


@op
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """`mean(log cosh(y_pred - y_true))` over the last axis, as `e + softplus(-2e) - log 2`.

    >>> from cnnrs import losses
    >>> losses.log_cosh([[0.0]], [[0.0]]).tolist()
    [0.0]
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    error = y_pred - y_true
    return _mean(error + raw.softplus(-2.0 * error) - math.log(2.0))


@op
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """`Σ y_true log(y_true / y_pred)` over the last axis, both clipped to 1e-7..1.

    >>> from cnnrs import losses
    >>> losses.kl_divergence([[0.5, 0.5]], [[0.5, 0.5]]).tolist()
    [0.0]
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    y_true, y_pred = (raw.clip(y, min=epsilon(), max=1.0) for y in (y_true, y_pred))
    return raw.sum(y_true * raw.log(y_true / y_pred), axes=[-1])


@op
def poisson(y_true: Any, y_pred: Any) -> Any:
    """`mean(y_pred - y_true log y_pred)` over the last axis.

    >>> from cnnrs import losses
    >>> losses.poisson([[0.0, 0.0]], [[1.0, 2.0]]).tolist()
    [1.5]
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    return _mean(y_pred - y_true * raw.log(y_pred + epsilon()))


def _signed(y_true: Any) -> Any:
    """Targets of 0 and 1 as -1 and 1; others as they are."""
    binary = raw.all((y_true == 0.0) | (y_true == 1.0))
    return raw.where(binary, 2.0 * y_true - 1.0, y_true)


@op
def hinge(y_true: Any, y_pred: Any) -> Any:
    """`mean(max(1 - y_true · y_pred, 0))` over the last axis; targets -1 and 1, or 0 and 1.

    >>> from cnnrs import losses
    >>> losses.hinge([[1.0, -1.0]], [[0.5, -2.0]]).tolist()
    [0.25]
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    return _mean(raw.relu(1.0 - _signed(y_true) * y_pred))


@op
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """`mean(max(1 - y_true · y_pred, 0)²)` over the last axis.

    >>> from cnnrs import losses
    >>> losses.squared_hinge([[1.0, -1.0]], [[0.5, -2.0]]).tolist()
    [0.125]
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    return _mean(raw.square(raw.relu(1.0 - _signed(y_true) * y_pred)))


@op
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """`max(max((1 - y_true) y_pred) - Σ y_true y_pred + 1, 0)` for one-hot targets.

    >>> from cnnrs import losses
    >>> losses.categorical_hinge([[1.0, 0.0]], [[3.0, 1.0]]).tolist()
    [0.0]
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    right = raw.sum(y_true * y_pred, axes=[-1])
    wrong = raw.max((1.0 - y_true) * y_pred, axes=[-1])
    return raw.relu(wrong - right + 1.0)


@op
def cosine_similarity(y_true: Any, y_pred: Any, axis: Any = -1) -> Any:
    """Minus the cosine of the angle between target and prediction along `axis`.

    >>> from cnnrs import losses
    >>> losses.cosine_similarity([[1.0, 0.0]], [[2.0, 0.0]]).numpy().round(4)
    array([-1.], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred)

    return -ops.sum(ops.normalize(y_true, axis=axis) * ops.normalize(y_pred, axis=axis), axis=axis)


def smoothed(y_true: Any, label_smoothing: Any, classes: int) -> Any:
    """Targets of `classes` classes with a share of `label_smoothing` spread evenly.

    Raises:
        ValueError: The share is not in 0..1.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing: expected a number of 0..1, received {label_smoothing}")
    share = float(label_smoothing)
    return y_true * (1.0 - share) + share / classes if share else y_true


def sparse_labels(y_true: Any, y_pred: Any) -> Any:
    """Labels as indices, without the last axis where that is 1 and stands in the place of the classes."""
    labels = as_index(as_tensor(y_true))
    if len(labels.shape) == len(y_pred.shape) and labels.shape[-1] == 1:
        labels = raw.squeeze(labels, axis=-1)
    return labels


def warn_of_one_class(name: str, y_pred: Any, axis: Any) -> None:
    """Warns of predictions of a single class, whose categorical loss is 0 or no loss at all.

    Raises:
        ValueError: `axis` is no integer.
    """
    if isinstance(axis, bool):
        raise ValueError(f"{name}: axis: expected an integer, received {axis}")
    if len(y_pred.shape) and y_pred.shape[axis] == 1:
        warn_user(
            f"{name}: expected y_pred.shape to be (batch_size, num_classes) with several classes along axis "
            f"{axis}, received {tuple(y_pred.shape)}; use binary_crossentropy for two classes in one column",
            SyntaxWarning,
        )


@op
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """`-Σ y_true log y_pred` along `axis` for one-hot targets, probabilities or logits.

    >>> from cnnrs import losses
    >>> losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred, squeeze=False)
    warn_of_one_class("categorical_crossentropy", y_pred, axis)
    y_true = smoothed(y_true, label_smoothing, y_pred.shape[axis])
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


@op
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
    *,
    label_smoothing: float = 0.0,
) -> Any:
    """`-log y_pred[y_true]` along `axis` for integer labels, probabilities or logits.

    Args:
        y_true: Integer labels.
        y_pred: Probabilities or logits.
        from_logits: Whether predictions are logits.
        ignore_class: Label that counts nothing; means of `Loss` are over the other ones.
        axis: The axis of the classes, the last one.
        label_smoothing: The share of a label that is spread evenly over all classes, as
            `categorical_crossentropy` does it.

    Raises:
        ValueError: `label_smoothing` is not in 0..1.

    >>> from cnnrs import losses
    >>> losses.sparse_categorical_crossentropy([1], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    >>> losses.sparse_categorical_crossentropy([1], [[0.2, 0.8]], label_smoothing=0.1).numpy().round(4)
    array([0.2925], dtype=float32)
    """
    y_pred = as_tensor(y_pred)
    y_true = sparse_labels(y_true, y_pred)
    valid = None if ignore_class is None else y_true != int(ignore_class)
    labels = y_true if valid is None else raw.where(valid, y_true, 0)
    losses = ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=from_logits, axis=axis)
    if label_smoothing:
        # Not by one-hot labels: those that are no class would pass, smoothed.
        share = number(label_smoothing, "sparse_categorical_crossentropy", "label_smoothing", least=0, most=1)
        evenly = ops.full_like(as_float(y_pred), 1.0 / y_pred.shape[axis])
        even = ops.categorical_crossentropy(evenly, y_pred, from_logits=from_logits, axis=axis)
        losses = (1.0 - share) * losses + share * even
    # Means are over the valid ones.
    return losses if valid is None else annotate(raw.where(valid, losses, 0.0), mask=valid)


@op
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: Any = -1
) -> Any:
    """`-(y log p + (1 - y) log(1 - p))`, mean over `axis`, for probabilities or logits.

    Args:
        y_true: Targets 0 and 1.
        y_pred: Probabilities or logits, of the same shape.
        from_logits: Whether predictions are logits.
        label_smoothing: Targets become `y (1 - s) + s / 2`.
        axis: The axis to average over, several, or None for all.

    >>> from cnnrs import losses
    >>> losses.binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    y_true = smoothed(y_true, label_smoothing, 2)
    return _mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis)


@op
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Any = -1,
) -> Any:
    """Binary cross-entropy times `(1 - p_t)^γ` (Lin et al. 2017, equation 4).

    >>> from cnnrs import losses
    >>> losses.binary_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.1733], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    y_true = smoothed(y_true, label_smoothing, 2)
    if from_logits:
        y_pred = raw.sigmoid(y_pred)
    entropy = ops.binary_crossentropy(y_true, y_pred)
    right = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    value = raw.pow(1.0 - right, float(gamma)) * entropy
    if apply_class_balancing:
        value = (y_true * float(alpha) + (1.0 - y_true) * (1.0 - float(alpha))) * value
    return _mean(value, axis)
