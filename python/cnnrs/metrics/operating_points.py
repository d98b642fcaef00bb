"""Metrics at an operating point: the best of one ratio where another is large enough."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import integer, number
from cnnrs.metrics.confusion import Confusion

__all__ = [
    "PrecisionAtRecall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
]

# Each ratio: the counts of which it is the first over the sum of both.
_RATIOS = {
    "precision": ("true_positives", "false_positives"),
    "recall": ("true_positives", "false_negatives"),
    "sensitivity": ("true_positives", "false_negatives"),
    "specificity": ("true_negatives", "false_positives"),
}


class _AtConstraint(Confusion):
    """The largest `_wanted` over the thresholds at which `_constrained` is at least a value."""

    _direction = "up"

    _cells = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    _constrained: str
    _wanted: str

    def __init__(self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any):
        owner = type(self).__name__
        number(value, owner, self._constrained, least=0, most=1)
        self.num_thresholds = integer(num_thresholds, owner, "num_thresholds", least=1)
        steps = max(num_thresholds - 1, 1)
        thresholds = [i / steps for i in range(num_thresholds)] if num_thresholds > 1 else [0.5]
        super().__init__(thresholds, name, dtype, class_id=class_id)
        self.value = value

    def _ratio(self, name: str) -> Any:
        right, wrong = (self._counts[cell].total.value for cell in _RATIOS[name])
        return ops.divide_no_nan(right, right + wrong)

    def result(self) -> Any:
        fits = self._ratio(self._constrained) >= float(self.value)
        return self._as_dtype(ops.max(ops.where(fits, self._ratio(self._wanted), 0.0)))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "class_id": self.class_id,
            "num_thresholds": self.num_thresholds,
            self._constrained: self.value,
        }


class SensitivityAtSpecificity(_AtConstraint):
    """The best sensitivity, true positives over positives, at a specificity.

    Args:
        specificity: The least specificity that is wanted, a number of 0..1.
        num_thresholds: How many thresholds are tried, spread evenly over 0..1.
        class_id: The class that counts, or None for all.
        name: Name.
        dtype: As in `Metric`.

    Raises:
        ValueError: `specificity` is not of 0..1, or there is no threshold.

    >>> from cnnrs import metrics
    >>> metric = metrics.SensitivityAtSpecificity(0.5)
    >>> round(float(metric([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.5
    """

    _constrained, _wanted = "specificity", "sensitivity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


class SpecificityAtSensitivity(_AtConstraint):
    """The best specificity, true negatives over negatives, at a sensitivity.

    Args:
        sensitivity: The least sensitivity that is wanted, a number of 0..1.
        num_thresholds: How many thresholds are tried, spread evenly over 0..1.
        class_id: The class that counts, or None for all.
        name: Name.
        dtype: As in `Metric`.

    Raises:
        ValueError: `sensitivity` is not of 0..1, or there is no threshold.

    >>> from cnnrs import metrics
    >>> metric = metrics.SpecificityAtSensitivity(0.5)
    >>> round(float(metric([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.6667
    """

    _constrained, _wanted = "sensitivity", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


class PrecisionAtRecall(_AtConstraint):
    """The best precision at a recall.

    Args:
        recall: The least recall that is wanted, a number of 0..1.
        num_thresholds: How many thresholds are tried, spread evenly over 0..1.
        class_id: The class that counts, or None for all.
        name: Name.
        dtype: As in `Metric`.

    Raises:
        ValueError: `recall` is not of 0..1, or there is no threshold.

    >>> from cnnrs import metrics
    >>> metric = metrics.PrecisionAtRecall(0.5)
    >>> round(float(metric([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.5
    """

    _constrained, _wanted = "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


class RecallAtPrecision(_AtConstraint):
    """The best recall at a precision.

    Args:
        precision: The least precision that is wanted, a number of 0..1.
        num_thresholds: How many thresholds are tried, spread evenly over 0..1.
        class_id: The class that counts, or None for all.
        name: Name.
        dtype: As in `Metric`.

    Raises:
        ValueError: `precision` is not of 0..1, or there is no threshold.

    >>> from cnnrs import metrics
    >>> metric = metrics.RecallAtPrecision(0.5)
    >>> round(float(metric([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
    1.0
    """

    _constrained, _wanted = "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision
