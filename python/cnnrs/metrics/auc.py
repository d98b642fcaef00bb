"""Areas under curves of true and false positives."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import integer
from cnnrs.config import epsilon
from cnnrs.losses.loss import as_tensor
from cnnrs.metrics.confusion import Confusion
from cnnrs.ops import raw

__all__ = ["AUC"]

_CURVES = ("ROC", "PR", "PRGAIN")
_METHODS = ("interpolation", "minoring", "majoring")


class AUC(Confusion):
    """Area under a curve, by trapezoids over `num_thresholds` thresholds.

    Args:
        num_thresholds: How many, spread evenly over 0..1.
        curve: "ROC", "PR" (precision by recall) or "PRGAIN" (Flach and Kull 2015).
        summation_method: "interpolation", "minoring" or "majoring". The interpolation of "PR" is that of
            Davis and Goadrich (2006).
        name: Name.
        dtype: As in `Metric`.
        thresholds: Thresholds of 0..1 instead of evenly spread ones.
        multi_label: Whether predictions are (samples, labels), and the result the mean of one area a label.
        num_labels: The number of labels; only with `multi_label`, where the first batch tells it, too.
        label_weights: One number a label: its weight in the mean, or without `multi_label` in the counts.
        from_logits: Whether predictions are logits.

    Raises:
        ValueError: An argument is none of these, or predictions do not have two axes with `multi_label`.

    >>> from cnnrs import metrics
    >>> round(float(metrics.AUC()([0, 0, 1, 1], [0.1, 0.5, 0.3, 0.9])), 4)
    0.75
    >>> float(metrics.AUC(multi_label=True)([[0, 1], [1, 0]], [[0.1, 0.2], [0.8, 0.7]]))
    0.5
    """

    _direction = "up"

    _cells = ("true_positives", "false_positives", "true_negatives", "false_negatives")

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        owner = type(self).__name__
        if not isinstance(curve, str) or curve.upper() not in _CURVES:
            raise ValueError(f"{owner}: curve: expected one of {_CURVES}, received {curve!r}")
        if not isinstance(summation_method, str) or summation_method.lower() not in _METHODS:
            raise ValueError(
                f"{owner}: summation_method: expected one of {_METHODS}, received {summation_method!r}"
            )
        if thresholds is None:
            integer(num_thresholds, owner, "num_thresholds", least=2)
        if num_labels and not multi_label:
            raise ValueError(f"{owner}: num_labels: expected None without multi_label, received {num_labels}")
        self.multi_label, self.num_labels = multi_label, num_labels
        self.label_weights = None if label_weights is None else np.asarray(label_weights, "float32")
        self._shape_is_known = False
        inner = (
            sorted(float(t) for t in thresholds)
            if thresholds is not None
            else [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        )
        super().__init__(list(inner) or [0.5], name, dtype)
        # The ends lie just outside, so that scores of exactly 0 and 1 count.
        self._set_limits([-epsilon(), *inner, 1.0 + epsilon()])
        self.num_thresholds = len(self.thresholds)
        self.curve, self.summation_method = curve.upper(), summation_method.lower()
        self.from_logits, self.given_thresholds = from_logits, thresholds
        self._shape_is_known = True
        if not multi_label:
            self._make_counts(())
        elif num_labels:
            self._make_counts((num_labels,))

    def _make_counts(self, labels: tuple[int, ...]) -> None:
        if self._shape_is_known:
            super()._make_counts(labels)
        else:
            self._counts = {}

    def _rows(self, x: Any) -> Any:
        return raw.expand_dims(x, axis=0) if self.multi_label else super()._rows(x)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = as_tensor(y_pred)
        if self.multi_label:
            if len(y_pred.shape) != 2:
                raise ValueError(
                    f"{self.name}: expected y_pred of shape (samples, labels) with multi_label, "
                    f"received {tuple(y_pred.shape)}"
                )
            if not self._counts:
                self._make_counts((int(y_pred.shape[1]),))
        if self.from_logits:
            y_pred = raw.sigmoid(y_pred.astype(self._sum_dtype))
        super().update_state(y_true, y_pred, sample_weight)

    def _weight(self, sample_weight: Any, values: Any) -> Any:
        weight = super()._weight(sample_weight, values)
        if self.label_weights is None or self.multi_label:
            return weight
        labels = raw.broadcast_to(as_tensor(self.label_weights), shape=list(values.shape))
        return labels if weight is None else weight * labels

    def result(self) -> Any:
        if not self._counts:
            return self._as_dtype(ops.zeros((), self._sum_dtype))
        areas = ops.sum(self._areas(), axis=0)
        if not self.multi_label:
            return self._as_dtype(areas)
        if self.label_weights is None:
            return self._as_dtype(ops.mean(areas))
        total = float(self.label_weights.sum())
        return self._as_dtype(ops.divide_no_nan(ops.sum(areas * self.label_weights), total))

    def _areas(self) -> Any:
        """The area between each two thresholds, and label."""
        tp, fp, tn, fn = (self._counts[cell].total.value for cell in self._cells)
        positive = tp + fn
        if self.curve == "PR" and self.summation_method == "interpolation":
            d_tp, p = tp[:-1] - tp[1:], tp + fp
            slope = ops.divide_no_nan(d_tp, ops.maximum(p[:-1] - p[1:], 0.0))
            intercept = tp[1:] - slope * p[1:]
            both = ops.logical_and(p[:-1] > 0.0, p[1:] > 0.0)
            ratio = ops.where(both, ops.divide_no_nan(p[:-1], ops.maximum(p[1:], 0.0)), 1.0)
            area = slope * (d_tp + intercept * ops.log(ratio))
            return ops.divide_no_nan(area, ops.maximum(positive[1:], 0.0))
        recall = ops.divide_no_nan(tp, positive)
        if self.curve == "ROC":
            x, y = ops.divide_no_nan(fp, fp + tn), recall
        elif self.curve == "PR":
            x, y = recall, ops.divide_no_nan(tp, tp + fp)
        else:
            odds = ops.divide_no_nan(positive, tn + fp)
            x = ops.maximum(ops.where(tp == 0.0, 0.0, 1.0 - odds * ops.divide_no_nan(fn, tp)), 0.0)
            y = ops.where(tp == 0.0, 1.0, 1.0 - odds * ops.divide_no_nan(fp, tp))
        low, high = y[1:], y[:-1]
        if self.summation_method == "interpolation":
            height = (low + high) * 0.5
        else:
            height = (ops.minimum if self.summation_method == "minoring" else ops.maximum)(low, high)
        return (x[:-1] - x[1:]) * height

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if self.label_weights is None else self.label_weights.tolist(),
            "from_logits": self.from_logits,
            **({} if self.given_thresholds is None else {"thresholds": self.thresholds[1:-1]}),
        }
