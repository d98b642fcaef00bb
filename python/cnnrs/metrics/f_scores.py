"""F-scores: weighted harmonic means of precision and recall."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.config import epsilon
from cnnrs.losses.loss import as_tensor
from cnnrs.metrics.metric import Metric, fit_weight
from cnnrs.ops import raw
from cnnrs.variables import Variable

__all__ = ["F1Score", "FBetaScore"]

_AVERAGES = (None, "micro", "macro", "weighted")


class FBetaScore(Metric):
    """`(1 + β²) precision · recall / (β² precision + recall)` of targets of 0 and 1, (samples, classes).

    Args:
        average: None for one score a class, "micro" for one of all counts together, "macro" for the mean of
            the classes, "weighted" for the mean weighted with how often each class occurs.
        beta: A float above 0: how much more recall counts than precision.
        threshold: A float above 0 and at most 1: scores above it are positive. None: the largest of a
            sample is.
        name: Name.
        dtype: As in `Metric`.

    Raises:
        ValueError: An argument is none of these, or a batch does not have two axes.

    >>> from cnnrs import metrics
    >>> metric = metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> metric.update_state([[1, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.2, 0.6], [0.6, 0.8]])
    >>> metric.result().numpy().round(4)
    array([0.3846, 0.9091], dtype=float32)
    """

    _direction = "up"

    true_positives: Variable
    false_positives: Variable
    false_negatives: Variable
    intermediate_weights: Variable

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(dtype=dtype, name=name)
        owner = type(self).__name__
        if average not in _AVERAGES:
            raise ValueError(f"{owner}: average: expected one of {_AVERAGES}, received {average!r}")
        if not isinstance(beta, float) or not beta > 0.0:
            raise ValueError(f"{owner}: beta: expected a float above 0, received {beta!r}")
        if threshold is not None and (not isinstance(threshold, float) or not 0.0 < threshold <= 1.0):
            raise ValueError(
                f"{owner}: threshold: expected a float above 0 and at most 1, received {threshold!r}"
            )
        self.average, self.beta, self.threshold = average, beta, threshold
        self._counts: dict[str, Any] = {}

    def _build(self, y_true_shape: Any, y_pred_shape: Any) -> None:
        shapes = tuple(y_true_shape), tuple(y_pred_shape)
        if any(len(shape) != 2 or shape[1] is None for shape in shapes):
            raise ValueError(
                f"{self.name}: expected y_true and y_pred of shape (samples, classes), "
                f"received {shapes[0]} and {shapes[1]}"
            )
        shape = () if self.average == "micro" else (int(y_pred_shape[1]),)
        for name in ("true_positives", "false_positives", "false_negatives", "intermediate_weights"):
            self._counts[name] = self._add_sum(name, shape)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        dtype = self._sum_dtype
        y_true, y_pred = as_tensor(y_true).astype(dtype), as_tensor(y_pred).astype(dtype)
        if not self._counts:
            self._build(y_true.shape, y_pred.shape)
        if self.threshold is None:
            # A row of zeros predicts nothing.
            guess = (y_pred >= raw.max(y_pred, axes=[-1], keepdims=True)) & (raw.abs(y_pred) > 1e-9)
        else:
            guess = y_pred > float(self.threshold)
        guess = guess.astype(dtype)
        weight: Any = 1.0
        if sample_weight is not None:
            weight = fit_weight(as_tensor(sample_weight).astype(dtype), y_true)
            weight = raw.expand_dims(weight, axis=-1) if len(weight.shape) == 1 else weight
        axes = None if self.average == "micro" else [0]
        for name, values in {
            "true_positives": guess * y_true,
            "false_positives": guess * (1.0 - y_true),
            "false_negatives": (1.0 - guess) * y_true,
            "intermediate_weights": y_true,
        }.items():
            self._counts[name].add(raw.sum(values * weight, axes=axes))

    def result(self) -> Any:
        if not self._counts:
            return self._as_dtype(ops.zeros((), self._sum_dtype))
        names = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")
        right, false_positive, missed, support = (self._counts[name].total.value for name in names)
        precision = right / (right + false_positive + epsilon())
        recall = right / (right + missed + epsilon())
        square = float(self.beta) ** 2
        score = (1.0 + square) * (precision * recall / (square * precision + recall + epsilon()))
        if self.average == "weighted":
            score = raw.sum(score * support / (raw.sum(support) + epsilon()))
        elif self.average is not None:
            score = raw.mean(score)
        return self._as_dtype(score)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall; arguments as in `FBetaScore`.

    >>> from cnnrs import metrics
    >>> metric = metrics.F1Score(average="macro", threshold=0.5)
    >>> float(metric([[1, 0], [0, 1]], [[0.9, 0.2], [0.1, 0.8]])) > 0.99
    True
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "beta"}
