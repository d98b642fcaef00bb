"""Intersection over union of segmentations, from a confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import integer
from cnnrs.base.user_warnings import warn_user
from cnnrs.config import epsilon
from cnnrs.losses.loss import as_tensor, squeeze_or_expand
from cnnrs.metrics.metric import Metric, check_pair, fit_weight
from cnnrs.ops import raw
from cnnrs.variables import Variable

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


class IoU(Metric):
    """The mean of `TP / (TP + FP + FN)` of some classes.

    Args:
        num_classes: How many classes there are. Labels beyond them do not count.
        target_class_ids: The classes of the mean; those that never occur are left out.
        name: Name.
        dtype: The type of the confusion matrix; None for int32, which is exact, and in which weights are
            whole numbers. The result is float32.
        ignore_class: A label that does not count.
        sparse_y_true: Whether targets are labels; else the largest along `axis` is taken.
        sparse_y_pred: Whether predictions are labels; else the largest along `axis` is taken.
        axis: The axis of the classes of what is not sparse.

    Raises:
        ValueError: A class of `target_class_ids` is no integer below `num_classes`.

    >>> from cnnrs import metrics
    >>> round(float(metrics.IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    _direction = "up"

    total_cm: Variable

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(dtype=dtype or "int32", name=name)
        owner = type(self).__name__
        self.num_classes = integer(num_classes, owner, "num_classes", least=1)
        self.target_class_ids = [
            integer(target, owner, "target_class_ids", least=0, most=num_classes - 1)
            for target in target_class_ids
        ]
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        shape = (num_classes, num_classes)
        self.total_cm = self.add_variable(shape, None, self.dtype, name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch in; weights broadcast to the targets."""
        y_true, y_pred = as_tensor(y_true), as_tensor(y_pred)
        y_true = y_true if self.sparse_y_true else raw.argmax(y_true, axis=self.axis)
        y_pred = y_pred if self.sparse_y_pred else raw.argmax(y_pred, axis=self.axis)
        y_true, y_pred = squeeze_or_expand(y_true, y_pred)
        shape, found = tuple(y_true.shape), tuple(y_pred.shape)
        if self.num_classes > 1 and found == (*shape, self.num_classes):
            raise ValueError(
                f"{self.name}: y_pred: expected labels of the shape of y_true, {shape}, received {found}; "
                "sparse_y_pred=False takes the class of the largest of scores"
            )
        check_pair(y_true, y_pred, self.name)
        true, guess = (raw.reshape(y.astype("int32"), shape=[-1]) for y in (y_true, y_pred))
        counts = (true >= 0) & (true < self.num_classes) & (guess >= 0) & (guess < self.num_classes)
        if self.ignore_class is not None:
            counts = counts & (true != int(self.ignore_class))
        weight = counts.astype("float32")
        if sample_weight is not None:
            given = fit_weight(as_tensor(sample_weight), y_true)
            if "float" in given.dtype and "int" in self.dtype:
                warn_user(
                    f"{self.name}: sample_weight: weights are float, the dtype is {self.dtype}: casting cuts "
                    f"them to whole numbers; pass dtype='float32' to {type(self).__name__}"
                )
            given = given.astype(self.dtype).astype("float32")
            given = raw.reshape(given, shape=[*given.shape, *[1] * (len(y_true.shape) - len(given.shape))])
            given = raw.broadcast_to(given, shape=list(y_true.shape))
            weight = weight * raw.reshape(given, shape=[-1])
        classes = np.arange(self.num_classes, dtype=np.int32)
        # Products of one-hot rows: sums of ones and whole weights are exact below 2²⁴ a batch.
        rows = (raw.expand_dims(true, axis=-1) == classes).astype("float32")
        columns = (raw.expand_dims(guess, axis=-1) == classes).astype("float32")
        found = ops.matmul(ops.transpose(rows * raw.expand_dims(weight, axis=-1)), columns)
        self.total_cm.assign(self.total_cm + found.astype(self.dtype))

    def result(self) -> Any:
        matrix = self.total_cm.value.astype("float32")
        hits = raw.sum(matrix * np.eye(self.num_classes, dtype="float32"), axes=[0])
        union = raw.sum(matrix, axes=[0]) + raw.sum(matrix, axes=[1]) - hits
        wanted = np.asarray(self.target_class_ids, np.int32)
        hits, union = ops.take(hits, wanted, axis=0), ops.take(union, wanted, axis=0)
        there = (union > 1e-9).astype("float32")
        ratios = hits / (union + epsilon()) * there
        return raw.sum(ratios) / (raw.sum(there) + epsilon())

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }

    def _config_without(self, *names: str) -> dict[str, Any]:
        return {name: value for name, value in IoU.get_config(self).items() if name not in names}


class BinaryIoU(IoU):
    """`IoU` of two classes, from scores.

    Args:
        target_class_ids: The classes of the mean.
        threshold: Scores of at least this are class 1.
        name: Name.
        dtype: As in `IoU`.

    >>> from cnnrs import metrics
    >>> metric = metrics.BinaryIoU(target_class_ids=[0, 1], threshold=0.3)
    >>> round(float(metric([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
    0.3333
    """

    def __init__(
        self,
        target_class_ids: Any = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        guess = as_tensor(y_pred).astype("float32") >= float(self.threshold)
        super().update_state(y_true, guess.astype("int32"), sample_weight)

    def get_config(self) -> dict[str, Any]:
        rest = ("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**self._config_without(*rest), "threshold": self.threshold}


class MeanIoU(IoU):
    """The mean of `TP / (TP + FP + FN)` of all classes that occur; arguments as in `IoU`.

    >>> from cnnrs import metrics
    >>> round(float(metrics.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        classes = range(integer(num_classes, type(self).__name__, "num_classes", least=1))
        super().__init__(num_classes, classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return self._config_without("target_class_ids")


class OneHotIoU(IoU):
    """`IoU` of one-hot targets; arguments as there.

    >>> from cnnrs import metrics
    >>> metric = metrics.OneHotIoU(num_classes=2, target_class_ids=[1])
    >>> round(float(metric([[0, 1], [1, 0]], [[0.2, 0.8], [0.6, 0.4]])), 4)
    1.0
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return self._config_without("sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets; arguments as in `IoU`.

    >>> from cnnrs import metrics
    >>> metric = metrics.OneHotMeanIoU(num_classes=2)
    >>> round(float(metric([[0, 1], [1, 0]], [[0.2, 0.8], [0.6, 0.4]])), 4)
    1.0
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return self._config_without("sparse_y_true", "target_class_ids")
