"""The accuracy family: functions that say of each sample whether it is right, and their metrics."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.losses.loss import as_tensor, squeeze_or_expand
from cnnrs.metrics.metric import MeanMetricWrapper
from cnnrs.ops import raw
from cnnrs.ops.dispatch import op


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where `y_true == y_pred`."""
    y_true, y_pred = squeeze_or_expand(as_tensor(y_true), as_tensor(y_pred))
    return (y_true == y_pred).astype("float32")


@op
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where `y_pred > threshold` agrees with the target, of the targets' shape.

    >>> from cnnrs import metrics
    >>> metrics.binary_accuracy([1.0, 0.0], [0.9, 0.8]).tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = squeeze_or_expand(as_tensor(y_true), as_tensor(y_pred))
    guess = (y_pred > float(threshold)).astype("float32")
    return (y_true.astype("float32") == guess).astype("float32")


def _of_one_hot(y_true: Any, y_pred: Any, owner: str) -> Any:
    """The labels of one-hot targets; of a number of a class, argmax along the batch would make nonsense."""
    y_true = as_tensor(y_true)
    true, found = tuple(y_true.shape), tuple(y_pred.shape)
    if len(true) != len(found) or true[-1:] != found[-1:]:
        raise ValueError(
            f"{owner}: y_true: expected one-hot targets of the shape of y_pred, {found}, received {true}; "
            f"sparse_{owner} takes numbers of classes"
        )
    return raw.argmax(y_true, axis=-1)


@op
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is that of the one-hot target.

    >>> from cnnrs import metrics
    >>> metrics.categorical_accuracy([[0, 1]], [[0.3, 0.7]]).tolist()
    [1.0]
    """
    y_pred = as_tensor(y_pred)
    labels = _of_one_hot(y_true, y_pred, "categorical_accuracy")
    guess = raw.argmax(y_pred, axis=-1)
    return (labels == guess).astype("float32")


def _labels(y_true: Any, y_pred: Any, owner: str) -> Any:
    y_true = as_tensor(y_true)
    given = tuple(y_true.shape)
    if len(given) == len(y_pred.shape) and given[-1] == 1:
        y_true = raw.squeeze(y_true, axis=-1)
    wanted = tuple(y_pred.shape[:-1])
    if tuple(y_true.shape) != wanted:
        raise ValueError(f"{owner}: y_true: expected numbers of classes of shape {wanted}, received {given}")
    return y_true if y_true.dtype == "int32" else y_true.astype("int32")


@op
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is that of the integer label.

    >>> from cnnrs import metrics
    >>> metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]]).numpy()
    array([1., 0.], dtype=float32)
    """
    y_pred = as_tensor(y_pred)
    guess = raw.argmax(y_pred, axis=-1)
    return (_labels(y_true, y_pred, "sparse_categorical_accuracy") == guess).astype("float32")


@op
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Any:
    """1 where fewer than `k` classes are predicted above the label's.

    >>> from cnnrs import metrics
    >>> metrics.sparse_top_k_categorical_accuracy([0, 2], [[0.2, 0.7, 0.1]] * 2, k=2).tolist()
    [1.0, 0.0]
    """
    y_pred = as_tensor(y_pred)
    labels = _labels(y_true, y_pred, "sparse_top_k_categorical_accuracy")
    if from_sorted_ids:
        ids = y_pred[..., :k].astype("int32")
        return raw.any(ids == raw.expand_dims(labels, axis=-1), axes=[-1]).astype("float32")
    return ops.in_top_k(labels, y_pred, k).astype("float32")


@op
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where fewer than `k` classes are predicted above that of the one-hot target.

    >>> from cnnrs import metrics
    >>> metrics.top_k_categorical_accuracy([[1, 0, 0]], [[0.2, 0.7, 0.1]], k=2).tolist()
    [1.0]
    """
    y_pred = as_tensor(y_pred)
    labels = _of_one_hot(y_true, y_pred, "top_k_categorical_accuracy")
    return sparse_top_k_categorical_accuracy(labels, y_pred, k=k)


class Accuracy(MeanMetricWrapper):
    """How often predictions equal targets.

    >>> from cnnrs import metrics
    >>> float(metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    _direction = "up"

    def __init__(self, name: str = "accuracy", dtype: Any = None):
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions above `threshold` agree with targets of 0 and 1.

    >>> from cnnrs import metrics
    >>> float(metrics.BinaryAccuracy(threshold=0.3)([[1.0], [0.0]], [[0.4], [0.4]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the one-hot target.

    >>> from cnnrs import metrics
    >>> float(metrics.CategoricalAccuracy()([[0, 1], [1, 0]], [[0.3, 0.7], [0.2, 0.8]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None):
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the integer label.

    >>> from cnnrs import metrics
    >>> float(metrics.SparseCategoricalAccuracy()([1, 0], [[0.3, 0.7], [0.2, 0.8]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the one-hot target is among the `k` largest predictions.

    >>> from cnnrs import metrics
    >>> float(metrics.TopKCategoricalAccuracy(k=2)([[1, 0, 0]], [[0.2, 0.7, 0.1]]))
    1.0
    """

    _direction = "up"

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the integer label is among the `k` largest predictions.

    >>> from cnnrs import metrics
    >>> float(metrics.SparseTopKCategoricalAccuracy(k=2)([2], [[0.2, 0.7, 0.1]]))
    0.0
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)


def resolve_accuracy(y_true_shape: Any, y_pred_shape: Any, name: str = "accuracy") -> MeanMetricWrapper:
    """The accuracy that fits targets and predictions of these shapes, under the name it was asked by.

    >>> from cnnrs import metrics
    >>> type(metrics.resolve_accuracy((32,), (32, 10))).__name__
    'SparseCategoricalAccuracy'
    """
    if y_pred_shape[-1] == 1 or len(y_pred_shape) == 0:
        return BinaryAccuracy(name=name)
    same = len(y_true_shape) == len(y_pred_shape) and y_true_shape[-1] == y_pred_shape[-1]
    return CategoricalAccuracy(name=name) if same else SparseCategoricalAccuracy(name=name)
