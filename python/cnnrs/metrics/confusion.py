"""Metrics made of true and false positives and negatives at thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core, ops
from cnnrs.losses.loss import as_tensor, squeeze_or_expand
from cnnrs.metrics.metric import Metric, fit_weight
from cnnrs.ops import raw

EPSILON = 1e-7


class _Confusion(Metric):
    """Weighted counts at one or several thresholds."""

    _cells: tuple[str, ...]

    def __init__(
        self,
        thresholds: Any,
        name: str | None,
        dtype: Any,
        top_k: int | None = None,
        class_id: int | None = None,
    ):
        super().__init__(dtype=dtype, name=name)
        self.init_thresholds = thresholds
        self.top_k, self.class_id = top_k, class_id
        values = (
            thresholds
            if isinstance(thresholds, (list, tuple))
            else [0.5 if thresholds is None else thresholds]
        )
        if any(not 0 <= t <= 1 for t in values):
            raise ValueError(f"{self.name}: thresholds: expected numbers of 0..1, received {thresholds!r}")
        self.thresholds = [float(t) for t in values]
        self._limits = np.asarray(self.thresholds, "float32")[:, None]
        self._counts = {cell: self.add_weight((len(self.thresholds),), name=cell) for cell in self._cells}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = squeeze_or_expand(as_tensor(y_true), as_tensor(y_pred))
        y_true = y_true.astype("float32")
        among_top_k = None if self.top_k is None else _among_top_k(y_pred, self.top_k)
        weight = None
        if sample_weight is not None:
            weight = fit_weight(as_tensor(sample_weight).astype("float32"), y_true)
            missing = len(y_true.shape) - len(weight.shape)
            weight = raw.reshape(weight, shape=[*weight.shape, *[1] * missing])
            weight = raw.broadcast_to(weight, shape=list(y_true.shape))
        if self.class_id is not None:
            weight = None if weight is None else weight[..., self.class_id]
            y_true, y_pred = y_true[..., self.class_id], y_pred[..., self.class_id]
            among_top_k = None if among_top_k is None else among_top_k[..., self.class_id]
        weight = None if weight is None else raw.reshape(weight, shape=[1, -1])
        true = raw.reshape(y_true, shape=[1, -1]) > 0.5
        guess = raw.reshape(y_pred, shape=[1, -1]) > self._limits
        if among_top_k is not None:
            guess = raw.reshape(among_top_k, shape=[1, -1]) & guess
        cells = {
            "true_positives": lambda: guess & true,
            "false_positives": lambda: guess & ~true,
            "true_negatives": lambda: ~guess & ~true,
            "false_negatives": lambda: ~guess & true,
        }
        for cell, variable in self._counts.items():
            found = cells[cell]().astype("float32")
            found = found if weight is None else found * weight
            variable.assign(variable + raw.sum(found, axes=[1]))

    def _value(self, value: Any) -> Any:
        return value[0] if len(self.thresholds) == 1 else value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


def _among_top_k(scores: Any, k: int) -> Any:
    """Which scores are the k largest along the last axis, of equal ones the first. NaN never is."""
    others, own = raw.expand_dims(scores, axis=-2), raw.expand_dims(scores, axis=-1)
    places = np.arange(scores.shape[-1])
    before = (others > own) | ((others == own) & _core.tensor(places[None, :] < places[:, None]))
    return (raw.sum(before.astype("float32"), axes=[-1]) < float(k)) & (scores == scores)


class _OneCell(_Confusion):
    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(thresholds, name, dtype)

    def result(self) -> Any:
        return self._value(self._counts[self._cells[0]].value)


class TruePositives(_OneCell):
    """Weighted number of positives that are predicted.

    >>> from cnnrs import metrics
    >>> float(metrics.TruePositives()([0, 1, 1, 0], [0.2, 0.8, 0.3, 0.9]))
    1.0
    """

    _cells = ("true_positives",)


class FalsePositives(_OneCell):
    """Weighted number of negatives predicted as positive.

    >>> from cnnrs import metrics
    >>> float(metrics.FalsePositives()([0, 1, 1, 0], [0.2, 0.8, 0.3, 0.9]))
    1.0
    """

    _cells = ("false_positives",)


class TrueNegatives(_OneCell):
    """Weighted number of negatives predicted as such.

    >>> from cnnrs import metrics
    >>> float(metrics.TrueNegatives()([0, 1, 1, 0], [0.2, 0.8, 0.3, 0.9]))
    1.0
    """

    _cells = ("true_negatives",)


class FalseNegatives(_OneCell):
    """Weighted number of positives that are missed.

    >>> from cnnrs import metrics
    >>> float(metrics.FalseNegatives()([0, 1, 1, 0], [0.2, 0.8, 0.3, 0.9]))
    1.0
    """

    _cells = ("false_negatives",)


class _Ratio(_Confusion):
    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        # With top_k alone the k largest predictions are the positives, whatever their size.
        super().__init__(thresholds, name, dtype, top_k, class_id)
        if top_k is not None and thresholds is None:
            self._limits = np.full((1, 1), -np.inf, np.float32)

    def result(self) -> Any:
        right, wrong = (self._counts[cell].value for cell in self._cells)
        return self._value(ops.divide_no_nan(right, right + wrong))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "top_k": self.top_k, "class_id": self.class_id}


class Precision(_Ratio):
    """True positives over predicted positives.

    >>> from cnnrs import metrics
    >>> float(metrics.Precision()([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0])) > 0.66
    True
    """

    _cells = ("true_positives", "false_positives")


class Recall(_Ratio):
    """True positives over all positives.

    >>> from cnnrs import metrics
    >>> float(metrics.Recall()([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0])) > 0.66
    True
    """

    _cells = ("true_positives", "false_negatives")


class AUC(_Confusion):
    """Area under the ROC or precision-recall curve, by trapezoids over `num_thresholds` thresholds.

    Args:
        num_thresholds: How many, spread evenly over 0..1.
        curve: "ROC" or "PR".
        summation_method: "interpolation", "minoring" or "majoring".
        name: Name.
        dtype: None or "float32".
        thresholds: Thresholds of 0..1 instead of evenly spread ones.
        multi_label: False; make one AUC a label.
        num_labels: None.
        label_weights: None.
        from_logits: Whether predictions are logits.

    >>> from cnnrs import metrics
    >>> round(float(metrics.AUC()([0, 0, 1, 1], [0.1, 0.5, 0.3, 0.9])), 4)
    0.75
    """

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
        if multi_label or num_labels is not None or label_weights is not None:
            raise ValueError(
                "AUC: multi_label, num_labels, label_weights: expected the defaults; make one AUC a label, "
                "on its column"
            )
        if curve not in ("ROC", "PR"):
            raise ValueError(f"AUC: curve: expected 'ROC' or 'PR', received {curve!r}")
        if summation_method not in ("interpolation", "minoring", "majoring"):
            raise ValueError(
                "AUC: summation_method: expected 'interpolation', 'minoring' or 'majoring', "
                f"received {summation_method!r}"
            )
        if num_thresholds <= 1 and thresholds is None:
            raise ValueError(f"AUC: num_thresholds: expected at least 2, received {num_thresholds}")
        inner = (
            sorted(thresholds)
            if thresholds is not None
            else [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        )
        super().__init__(list(inner) or [0.5], name, dtype)
        # The ends lie just outside, so that scores of exactly 0 and 1 count.
        self.thresholds = [-EPSILON, *inner, 1.0 + EPSILON]
        self._limits = np.asarray(self.thresholds, "float32")[:, None]
        self._variables.clear()
        self._counts = {cell: self.add_weight((len(self.thresholds),), name=cell) for cell in self._cells}
        self.num_thresholds, self.curve, self.summation_method = len(self.thresholds), curve, summation_method
        self.from_logits, self.given_thresholds = from_logits, thresholds

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if self.from_logits:
            y_pred = raw.sigmoid(as_tensor(y_pred))
        super().update_state(y_true, y_pred, sample_weight)

    def result(self) -> Any:
        tp, fp, tn, fn = (self._counts[cell].value for cell in self._cells)
        positive = tp + fn
        if self.curve == "PR" and self.summation_method == "interpolation":
            # Davis and Goadrich 2006: interpolation between points of the precision-recall curve.
            d_tp, p = tp[:-1] - tp[1:], tp + fp
            slope = ops.divide_no_nan(d_tp, ops.maximum(p[:-1] - p[1:], 0.0))
            intercept = tp[1:] - slope * p[1:]
            both = ops.logical_and(p[:-1] > 0.0, p[1:] > 0.0)
            ratio = ops.where(both, ops.divide_no_nan(p[:-1], ops.maximum(p[1:], 0.0)), 1.0)
            area = slope * (d_tp + intercept * ops.log(ratio))
            return ops.sum(ops.divide_no_nan(area, ops.maximum(positive[1:], 0.0)))
        recall = ops.divide_no_nan(tp, positive)
        if self.curve == "ROC":
            x, y = ops.divide_no_nan(fp, fp + tn), recall
        else:
            x, y = recall, ops.divide_no_nan(tp, tp + fp)
        low, high = y[1:], y[:-1]
        if self.summation_method == "interpolation":
            height = (low + high) * 0.5
        elif self.summation_method == "minoring":
            height = ops.minimum(low, high)
        else:
            height = ops.maximum(low, high)
        return ops.sum((x[:-1] - x[1:]) * height)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "thresholds": self.given_thresholds,
            "from_logits": self.from_logits,
        }
