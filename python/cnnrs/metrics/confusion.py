"""Metrics made of true and false positives and negatives at thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core, ops
from cnnrs.base.arguments import integer, number
from cnnrs.losses.loss import as_tensor, squeeze_or_expand
from cnnrs.metrics.metric import Metric, check_pair, fit_weight
from cnnrs.ops import raw
from cnnrs.variables import Variable


class Confusion(Metric):
    """Weighted counts at one or several thresholds, which are attributes of the names in `_cells`."""

    _cells: tuple[str, ...]

    true_positives: Variable
    false_positives: Variable
    true_negatives: Variable
    false_negatives: Variable

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
        owner = type(self).__name__
        self.top_k = None if top_k is None else integer(top_k, owner, "top_k", least=1)
        self.class_id = None if class_id is None else integer(class_id, owner, "class_id")
        given = [0.5] if thresholds is None else thresholds
        values = list(given) if isinstance(given, (list, tuple, np.ndarray)) else [given]
        self._set_limits([number(t, owner, "thresholds", least=0, most=1) for t in values])
        self._make_counts(())

    def _set_limits(self, thresholds: list[float]) -> None:
        self.thresholds = thresholds
        self._limits = np.asarray(thresholds, "float32")

    def _make_counts(self, labels: tuple[int, ...]) -> None:
        """The counts: one a threshold, or one a threshold and label."""
        self._counts = {cell: self._add_sum(cell, (len(self._limits), *labels)) for cell in self._cells}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = squeeze_or_expand(as_tensor(y_true), as_tensor(y_pred))
        check_pair(y_true, y_pred, self.name)
        y_true, y_pred = y_true.astype(self._sum_dtype), y_pred.astype(self._sum_dtype)
        among_top_k = None if self.top_k is None else _among_top_k(y_pred, self.top_k)
        weight = self._weight(sample_weight, y_true)
        if self.class_id is not None:
            if len(y_pred.shape) < 2:
                raise ValueError(
                    f"{self.name}: class_id: expected y_pred of shape (samples, classes), "
                    f"received {tuple(y_pred.shape)}"
                )
            weight = None if weight is None else weight[..., self.class_id]
            y_true, y_pred = y_true[..., self.class_id], y_pred[..., self.class_id]
            among_top_k = None if among_top_k is None else among_top_k[..., self.class_id]
        true, scores = self._rows(y_true > 0.5), self._rows(y_pred)
        limits = self._limits.reshape([-1] + [1] * (len(true.shape) - 1))
        guess = scores > limits
        if among_top_k is not None:
            guess = self._rows(among_top_k) & guess
        cells = {
            "true_positives": lambda: guess & true,
            "false_positives": lambda: guess & ~true,
            "true_negatives": lambda: ~guess & ~true,
            "false_negatives": lambda: ~guess & true,
        }
        for cell, count in self._counts.items():
            found = cells[cell]().astype(self._sum_dtype)
            found = found if weight is None else found * self._rows(weight)
            count.add(raw.sum(found, axes=[1]))

    def _weight(self, sample_weight: Any, values: Any) -> Any:
        """The weight of each value, or None."""
        if sample_weight is None:
            return None
        weight = fit_weight(as_tensor(sample_weight).astype(self._sum_dtype), values)
        missing = len(values.shape) - len(weight.shape)
        weight = raw.reshape(weight, shape=[*weight.shape, *[1] * missing])
        return raw.broadcast_to(weight, shape=list(values.shape))

    def _rows(self, x: Any) -> Any:
        """`x` as what every threshold is compared with: an axis of 1, then all values."""
        return raw.reshape(x, shape=[1, -1])

    def _value(self, value: Any) -> Any:
        return self._as_dtype(value[0] if len(self.thresholds) == 1 else value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


def _among_top_k(scores: Any, k: int) -> Any:
    """Which scores are the k largest along the last axis, of equal ones the first. NaN never is."""
    others, own = raw.expand_dims(scores, axis=-2), raw.expand_dims(scores, axis=-1)
    places = np.arange(scores.shape[-1])
    before = (others > own) | ((others == own) & _core.tensor(places[None, :] < places[:, None]))
    return (raw.sum(before.astype("float32"), axes=[-1]) < float(k)) & (scores == scores)


class _OneCell(Confusion):
    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(thresholds, name, dtype)

    def result(self) -> Any:
        return self._value(self._counts[self._cells[0]].total.value)


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


class _Ratio(Confusion):
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
            self._limits = np.full(1, -np.inf, np.float32)

    def result(self) -> Any:
        right, wrong = (self._counts[cell].total.value for cell in self._cells)
        return self._value(ops.divide_no_nan(right, right + wrong))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "top_k": self.top_k, "class_id": self.class_id}


class Precision(_Ratio):
    """True positives over predicted positives.

    >>> from cnnrs import metrics
    >>> float(metrics.Precision()([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0])) > 0.66
    True
    """

    _direction = "up"

    _cells = ("true_positives", "false_positives")


class Recall(_Ratio):
    """True positives over all positives.

    >>> from cnnrs import metrics
    >>> float(metrics.Recall()([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0])) > 0.66
    True
    """

    _direction = "up"

    _cells = ("true_positives", "false_negatives")
