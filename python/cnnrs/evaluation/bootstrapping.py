"""How far a figure of a test set may be from that of all samples there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cnnrs.base.arguments import flag, integer, number
from cnnrs.base.suggest import did_you_mean
from cnnrs.evaluation.curves import average_precision, roc_auc
from cnnrs.evaluation.labels import as_array, class_labels
from cnnrs.evaluation.reliability import brier_score, log_loss

__all__ = ["Interval", "bootstrap"]


class Interval(NamedTuple):
    """A figure and the borders that it lies between.

    Attributes:
        value: The figure of the samples.
        low: The lower border.
        high: The upper border.
        confidence: How sure it is that the figure of all samples lies between.
    """

    value: float
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def _classes(y_pred: np.ndarray) -> np.ndarray:
    if y_pred.ndim == 2 and y_pred.shape[1] > 1:
        return y_pred.argmax(axis=1)
    flat = y_pred.reshape(len(y_pred))
    return (flat > 0.5).astype(np.int64) if flat.dtype.kind == "f" else flat


def _accuracy(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    return float(np.mean(_classes(y_pred) == y_true))


def _counts(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    predicted = _classes(y_pred)
    count = int(max(y_true.max(), predicted.max())) + 1
    right = np.bincount(y_true[y_true == predicted], minlength=count)
    return right, np.bincount(y_true, minlength=count), np.bincount(predicted, minlength=count)


def _balanced_accuracy(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    right, support, _ = _counts(y_true, y_pred)
    return float(np.mean(right[support > 0] / support[support > 0]))


def _macro_f1(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    right, support, taken = _counts(y_true, y_pred)
    either = support + taken > 0
    return float(np.mean(2 * right[either] / (support + taken)[either]))


STATISTICS: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": _accuracy,
    "average_precision": average_precision,
    "balanced_accuracy": _balanced_accuracy,
    "brier_score": brier_score,
    "log_loss": log_loss,
    "macro_f1": _macro_f1,
    "roc_auc": roc_auc,
}


def bootstrap(
    statistic: Any,
    y_true: Any,
    y_pred: Any,
    resamples: int = 1000,
    confidence: float = 0.95,
    stratified: bool = True,
    seed: int = 0,
) -> Interval:
    """The interval of a figure, which is computed of samples drawn from the given ones again and again.

    Args:
        statistic: "accuracy", "average_precision", "balanced_accuracy", "brier_score", "log_loss",
            "macro_f1", "roc_auc", or a function of labels and predictions that gives a number.
        y_true: The class of each sample.
        y_pred: What was predicted for them: classes, or scores of shape (samples, classes).
        resamples: How often samples are drawn, as many as there are, each any number of times.
        confidence: The share of these figures that lies within the interval.
        stratified: Whether each class keeps its number of samples.
        seed: Of the draws: the same seed gives the same interval.

    Returns:
        The interval, between percentiles of the figures.

    Raises:
        ValueError: An argument is none of these.

    Reference: B. Efron, R. J. Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13 (percentile
    intervals).

    >>> import numpy as np
    >>> from cnnrs import evaluation
    >>> y_true = np.arange(200) % 2
    >>> y_pred = np.where(np.arange(200) < 180, y_true, 1 - y_true)
    >>> print(evaluation.bootstrap("accuracy", y_true, y_pred))
    0.9000 (0.8600 to 0.9400)
    """
    owner = "bootstrap"
    if not callable(statistic) and statistic not in STATISTICS:
        hint = did_you_mean(str(statistic), list(STATISTICS))
        raise ValueError(
            f"{owner}: statistic: expected a function or one of {', '.join(STATISTICS)}, "
            f"received {statistic!r}{hint}"
        )
    compute = statistic if callable(statistic) else STATISTICS[statistic]
    if compute in (_accuracy, _balanced_accuracy, _macro_f1):
        # These look at the predicted classes alone, which are found once.
        y_pred = _classes(as_array(y_pred)) if np.ndim(y_pred) else y_pred
    resamples = integer(resamples, owner, "resamples", least=1)
    confidence = number(confidence, owner, "confidence", above=0, below=1)
    stratified = flag(stratified, owner, "stratified")
    labels, predicted = class_labels(y_true, owner), as_array(y_pred)
    if predicted.ndim == 0 or len(predicted) != len(labels) or not len(labels):
        raise ValueError(
            f"{owner}: y_pred: expected {len(labels)} samples as in y_true, at least one, received shape "
            f"{predicted.shape}"
        )
    rng = np.random.default_rng(integer(seed, owner, "seed", least=0))
    # Samples of a class lie side by side: a draw among them is a draw of a place between two borders.
    order = np.argsort(labels, kind="stable") if stratified else np.arange(len(labels))
    groups = labels[order] if stratified else np.zeros(len(labels), np.int64)
    first = np.searchsorted(groups, groups, side="left")
    sizes = np.searchsorted(groups, groups, side="right") - first
    figures = np.empty(resamples)
    for i in range(resamples):
        chosen = order[first + (rng.random(len(order)) * sizes).astype(np.int64)]
        figures[i] = compute(labels[chosen], predicted[chosen])
    tail = (1 - confidence) / 2
    # A draw without samples of a class may have no figure.
    low, high = np.nanquantile(figures, [tail, 1 - tail]) if not np.isnan(figures).all() else (np.nan, np.nan)
    return Interval(float(compute(labels, predicted)), float(low), float(high), confidence)
