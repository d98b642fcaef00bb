"""Metrics of regression: R² and correlations."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import integer
from cnnrs.config import epsilon
from cnnrs.losses.loss import as_tensor, float_pair, squeeze_or_expand
from cnnrs.metrics.metric import MeanMetricWrapper, Metric, fit_weight
from cnnrs.ops import raw
from cnnrs.ops.dispatch import op
from cnnrs.variables import Variable

__all__ = [
    "ConcordanceCorrelation",
    "PearsonCorrelation",
    "R2Score",
    "concordance_correlation",
    "pearson_correlation",
]

_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


@op
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The correlation `cov(t, p) / (σ_t σ_p)` along `axis`: -1..1, and NaN of constant values.

    Args:
        y_true: Targets.
        y_pred: Predictions of the same shape.
        axis: The axis of the values that belong together.

    Returns:
        A float tensor of the other axes.

    >>> from cnnrs import metrics
    >>> metrics.pearson_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]]).numpy().round(4)
    array([1.], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    true, guess = _centred(y_true, axis), _centred(y_pred, axis)
    covariance = raw.mean(true * guess, axes=[axis])
    return covariance / (_deviation(true, axis) * _deviation(guess, axis))


@op
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """`2 cov(t, p) / (σ_t² + σ_p² + (mean t - mean p)²)` along `axis` (Lin 1989).

    Args:
        y_true: Targets.
        y_pred: Predictions of the same shape.
        axis: The axis of the values that belong together.

    Returns:
        A float tensor of the other axes.

    >>> from cnnrs import metrics
    >>> metrics.concordance_correlation([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]]).numpy().round(4)
    array([1.], dtype=float32)
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    true, guess = _centred(y_true, axis), _centred(y_pred, axis)
    covariance = raw.mean(true * guess, axes=[axis])
    spread = raw.mean(raw.square(true), axes=[axis]) + raw.mean(raw.square(guess), axes=[axis])
    shift = raw.mean(y_true, axes=[axis]) - raw.mean(y_pred, axes=[axis])
    return 2.0 * covariance / (spread + raw.square(shift) + epsilon())


def _centred(x: Any, axis: int) -> Any:
    return x - raw.mean(x, axes=[axis], keepdims=True)


def _deviation(centred: Any, axis: int) -> Any:
    return raw.sqrt(raw.mean(raw.square(centred), axes=[axis]))


class PearsonCorrelation(MeanMetricWrapper):
    """Mean `pearson_correlation` of samples.

    >>> from cnnrs import metrics
    >>> round(float(metrics.PearsonCorrelation()([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]])), 4)
    1.0
    """

    _direction = "up"

    def __init__(self, name: str = "pearson_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(pearson_correlation, name, dtype, axis=axis)


class ConcordanceCorrelation(MeanMetricWrapper):
    """Mean `concordance_correlation` of samples.

    >>> from cnnrs import metrics
    >>> round(float(metrics.ConcordanceCorrelation()([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]])), 4)
    1.0
    """

    _direction = "up"

    def __init__(self, name: str = "concordance_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(concordance_correlation, name, dtype, axis=axis)


class R2Score(Metric):
    """`1 - Σ(t - p)² / Σ(t - mean t)²` of each column of (samples, outputs).

    Args:
        class_aggregation: "uniform_average" for the mean of the columns, "variance_weighted_average" for the
            mean weighted with their variances, None for all of them.
        num_regressors: How many variables the prediction depends on; above 0 the result is the adjusted R².
            It stays the plain one while there are not more samples than these and one.
        name: Name.
        dtype: As in `Metric`.

    Raises:
        ValueError: An argument is none of these, or a batch does not have two axes.

    >>> from cnnrs import metrics
    >>> round(float(metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
    0.5714
    """

    _direction = "up"

    num_samples: Variable
    squared_sum: Variable
    sum: Variable
    count: Variable

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(dtype=dtype, name=name)
        owner = type(self).__name__
        if class_aggregation not in _AGGREGATIONS:
            raise ValueError(
                f"{owner}: class_aggregation: expected one of {_AGGREGATIONS}, received {class_aggregation!r}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = integer(num_regressors, owner, "num_regressors", least=0)
        self._samples = self._add_sum("num_samples")
        self._sums: dict[str, Any] = {}

    def _build(self, y_true_shape: Any, y_pred_shape: Any) -> None:
        shapes = tuple(y_true_shape), tuple(y_pred_shape)
        if any(len(shape) != 2 or shape[1] is None for shape in shapes):
            raise ValueError(
                f"{self.name}: expected y_true and y_pred of shape (samples, outputs), "
                f"received {shapes[0]} and {shapes[1]}"
            )
        for name in ("squared_sum", "sum", "total_mse", "count"):
            self._sums[name] = self._add_sum(name, (int(y_pred_shape[1]),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        dtype = self._sum_dtype
        y_true, y_pred = as_tensor(y_true).astype(dtype), as_tensor(y_pred).astype(dtype)
        y_true, y_pred = squeeze_or_expand(y_true, y_pred)
        if not self._sums:
            self._build(y_true.shape, y_pred.shape)
        weight = as_tensor(1.0 if sample_weight is None else sample_weight).astype(dtype)
        weight = fit_weight(weight, y_true)
        weight = raw.expand_dims(weight, axis=-1) if len(weight.shape) == 1 else weight
        weight = raw.broadcast_to(weight, shape=list(y_true.shape))
        for name, values in {
            "sum": y_true * weight,
            "squared_sum": raw.square(y_true) * weight,
            "total_mse": raw.square(y_true - y_pred) * weight,
            "count": weight,
        }.items():
            self._sums[name].add(raw.sum(values, axes=[0]))
        self._samples.add(raw.sum(raw.any(weight != 0.0, axes=[-1]).astype(dtype)))

    def result(self) -> Any:
        if not self._sums:
            return self._as_dtype(ops.zeros((), self._sum_dtype))
        names = ("sum", "squared_sum", "total_mse", "count")
        total, squares, errors, count = (self._sums[name].total.value for name in names)
        variance = squares - total * (total / count)
        score = 1.0 - errors / variance
        score = raw.where(raw.abs(score) == float("inf"), 0.0, score)
        if self.class_aggregation == "uniform_average":
            score = raw.mean(score)
        elif self.class_aggregation == "variance_weighted_average":
            score = raw.sum(variance * score) / raw.sum(variance)
        if self.num_regressors:
            n = self.num_samples.value
            rest = n - float(self.num_regressors) - 1.0
            adjusted = 1.0 - (1.0 - score) * (n - 1.0) / raw.where(rest > 0.0, rest, 1.0)
            score = raw.where(rest > 0.0, adjusted, score)
        return self._as_dtype(score)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
