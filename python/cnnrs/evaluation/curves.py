"""Curves over all thresholds of a score: receiver operating characteristic, and precision by recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.charts import Drawn, LineChart
from cnnrs.evaluation.labels import as_array, class_labels, one_score

__all__ = [
    "PrecisionRecallCurve",
    "RocCurve",
    "average_precision",
    "precision_recall",
    "roc",
    "roc_auc",
    "top_k_accuracy",
]


@dataclass(frozen=True, eq=False)
class RocCurve(Drawn):
    """True positive rate by false positive rate, for all thresholds.

    Attributes:
        false_positive_rate: The share of the negative samples whose score is at least the threshold.
        true_positive_rate: The same of the positive samples.
        thresholds: From infinity, which no score reaches, down to the least score.
        auc: The area under the curve: how often a positive sample scores higher than a negative one, where
            equal scores count half; nan where there are no samples of one kind.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray
    auc: float

    def __repr__(self) -> str:
        return f"<RocCurve of {len(self.thresholds)} thresholds: AUC {self.auc:.4f}>"

    def chart(self) -> LineChart:
        """The curve as a drawing of the report."""
        chart = LineChart("ROC", "false positive rate", "true positive rate", x_range=(0, 1), y_range=(0, 1))
        chart.add("chance", [0, 1], [0, 1], dashed=True)
        chart.add(f"AUC {self.auc:.3f}", self.false_positive_rate, self.true_positive_rate)
        return chart

    def _draw(self, ax: Any) -> None:
        ax.plot([0, 1], [0, 1], ":", color="gray")
        ax.step(self.false_positive_rate, self.true_positive_rate, where="post", label=f"AUC {self.auc:.3f}")
        ax.set(xlabel="false positive rate", ylabel="true positive rate")
        ax.legend(loc="lower right")


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve(Drawn):
    """Precision by recall, for all thresholds.

    Attributes:
        precision: The share of the samples with at least the threshold's score that are positive; at the end
            1, where no sample is left.
        recall: The share of the positive samples that have at least the threshold's score; at the end 0.
        thresholds: Rising; one fewer than there are points.
        average_precision: The mean precision at each rise of the recall, weighted by that rise; nan where
            there are no positive samples.
    """

    precision: np.ndarray
    recall: np.ndarray
    thresholds: np.ndarray
    average_precision: float

    def __repr__(self) -> str:
        return (
            f"<PrecisionRecallCurve of {len(self.thresholds)} thresholds: "
            f"average precision {self.average_precision:.4f}>"
        )

    def chart(self) -> LineChart:
        """The curve as a drawing of the report."""
        chart = LineChart("Precision by recall", "recall", "precision", x_range=(0, 1), y_range=(0, 1))
        chart.add(f"average precision {self.average_precision:.3f}", self.recall, self.precision)
        return chart

    def _draw(self, ax: Any) -> None:
        text = f"average precision {self.average_precision:.3f}"
        ax.step(self.recall, self.precision, where="post", label=text)
        ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        ax.legend(loc="lower left")


def _counts(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False and true positives at each threshold, and the thresholds, falling."""
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order]
    # The last of each run of equal scores.
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)[: len(scores)]
    true = np.cumsum(positive, dtype=np.float64)[ends]
    return ends + 1.0 - true, true, scores[ends]


def roc(y_true: Any, scores: Any, positive: Any = None) -> RocCurve:
    """The receiver operating characteristic: true positive rate by false positive rate.

    Args:
        y_true: The class of each sample.
        scores: One number a sample, which is larger for the second of two classes, or one column a class.
        positive: The class that counts as positive against all others; of two it is the second.

    Returns:
        The curve and the area under it. Every threshold at which it changes is kept.

    Raises:
        ValueError: The shapes do not fit, or there are several classes and `positive` is not given.

    Reference: T. Fawcett (2006), "An introduction to ROC analysis", Pattern Recognition Letters 27,
    doi:10.1016/j.patrec.2005.10.010, algorithms 1 and 2.

    >>> from cnnrs import evaluation
    >>> evaluation.roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    <RocCurve of 5 thresholds: AUC 0.7500>
    """
    return _roc(*_counts(*one_score(y_true, scores, "roc", positive)))


def _roc(false: np.ndarray, true: np.ndarray, thresholds: np.ndarray) -> RocCurve:
    false, true = np.append(0.0, false), np.append(0.0, true)
    with np.errstate(invalid="ignore"):
        x, y = false / false[-1], true / true[-1]
    area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    return RocCurve(x, y, np.append(np.inf, thresholds), area)


def precision_recall(y_true: Any, scores: Any, positive: Any = None) -> PrecisionRecallCurve:
    """Precision by recall, with the average precision.

    Args:
        y_true: The class of each sample.
        scores: One number a sample, which is larger for the second of two classes, or one column a class.
        positive: The class that counts as positive against all others; of two it is the second.

    Returns:
        The curve, and the average precision, which does not interpolate between points.

    Raises:
        ValueError: The shapes do not fit, or there are several classes and `positive` is not given.

    Reference: J. Davis, M. Goadrich (2006), "The relationship between precision-recall and ROC curves", ICML,
    doi:10.1145/1143844.1143874, on why points are not joined by lines.

    >>> from cnnrs import evaluation
    >>> evaluation.precision_recall([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    <PrecisionRecallCurve of 4 thresholds: average precision 0.8333>
    """
    return _precision_recall(*_counts(*one_score(y_true, scores, "precision_recall", positive)))


def _precision_recall(false: np.ndarray, true: np.ndarray, thresholds: np.ndarray) -> PrecisionRecallCurve:
    if not len(thresholds):
        return PrecisionRecallCurve(np.ones(1), np.zeros(1), np.empty(0), float("nan"))
    precision = true / (true + false)
    with np.errstate(invalid="ignore"):
        recall = true / true[-1]
    average = float(np.sum(np.diff(np.append(0.0, recall)) * precision))
    return PrecisionRecallCurve(
        np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0), thresholds[::-1], average
    )


def areas_by_class(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The areas under the ROC curve and the average precisions of all classes, each sorted once for both.

    Args:
        labels: The class of each sample.
        scores: (samples, classes).

    Returns:
        Two arrays with a number for each class; nan for classes without samples.
    """
    found = np.empty((2, scores.shape[1]))
    for k in range(scores.shape[1]):
        counts = _counts(labels == k, scores[:, k])
        found[:, k] = _roc(*counts).auc, _precision_recall(*counts).average_precision
    return found[0], found[1]


def _per_class(y_true: Any, scores: Any, average: str | None, owner: str, figure: Any) -> Any:
    if average not in ("macro", "weighted", None):
        raise ValueError(f"{owner}: average: expected 'macro', 'weighted' or None, received {average!r}")
    values = as_array(scores)
    if values.ndim < 2 or values.shape[1] <= 2:
        return figure(y_true, values, None)
    labels = class_labels(y_true, owner)
    if len(labels) and labels.max() >= values.shape[1]:
        raise ValueError(
            f"{owner}: y_true: expected classes from 0 to {values.shape[1] - 1}, received {labels.max()}"
        )
    found = np.array([figure(labels, values, k) for k in range(values.shape[1])])
    if average is None:
        return found
    known = ~np.isnan(found)
    if not known.any():
        return float("nan")
    support = np.bincount(labels, minlength=len(found)).astype(np.float64)
    weights = support if average == "weighted" else np.ones(len(found))
    return float(np.average(found[known], weights=weights[known]))


def roc_auc(y_true: Any, scores: Any, average: str | None = "macro") -> Any:
    """The area under the ROC curve: of two classes, or of each class against all others.

    Args:
        y_true: The class of each sample.
        scores: One number a sample, or one column a class.
        average: Of several classes: "macro" for the mean, "weighted" for the mean weighted by their samples,
            None for an array of all. Classes without samples are left out.

    Returns:
        A number, or an array with one number a class.

    Raises:
        ValueError: The shapes do not fit, or `average` is none of these.

    Reference: D. J. Hand, R. J. Till (2001), "A simple generalisation of the area under the ROC curve for
    multiple class classification problems", Machine Learning 45, doi:10.1023/A:1010920819831; F. Provost,
    P. Domingos (2000), for one class against all others.

    >>> from cnnrs import evaluation
    >>> evaluation.roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return _per_class(y_true, scores, average, "roc_auc", lambda y, s, k: roc(y, s, k).auc)


def average_precision(y_true: Any, scores: Any, average: str | None = "macro") -> Any:
    """The average precision: of two classes, or of each class against all others.

    Args:
        y_true: The class of each sample.
        scores: One number a sample, or one column a class.
        average: Of several classes: "macro" for the mean, "weighted" for the mean weighted by their samples,
            None for an array of all. Classes without samples are left out.

    Returns:
        A number, or an array with one number a class.

    Raises:
        ValueError: The shapes do not fit, or `average` is none of these.

    >>> from cnnrs import evaluation
    >>> round(evaluation.average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """

    def figure(labels: Any, values: Any, k: Any) -> float:
        return precision_recall(labels, values, k).average_precision

    return _per_class(y_true, scores, average, "average_precision", figure)


def top_k_accuracy(y_true: Any, scores: Any, k: int = 5) -> float:
    """The share of samples whose class is among the k best scores.

    Args:
        y_true: The class of each sample.
        scores: (samples, classes).
        k: How many scores count. Of equal scores the one of the class with the smaller number counts as the
            better one, as `argmax` has it.

    Raises:
        ValueError: The shapes do not fit.

    >>> from cnnrs import evaluation
    >>> evaluation.top_k_accuracy([0, 2], [[0.3, 0.6, 0.1], [0.5, 0.3, 0.2]], k=2)
    0.5
    """
    k = integer(k, "top_k_accuracy", "k", least=1)
    labels, values = class_labels(y_true, "top_k_accuracy"), as_array(scores)
    if values.ndim != 2 or len(values) != len(labels) or not len(labels):
        raise ValueError(
            f"top_k_accuracy: scores: expected ({len(labels)} samples, classes), received {values.shape}"
        )
    if labels.max() >= values.shape[1]:
        raise ValueError(
            f"top_k_accuracy: y_true: expected classes from 0 to {values.shape[1] - 1}, "
            f"received {labels.max()}"
        )
    own = values[np.arange(len(labels)), labels][:, None]
    before = np.arange(values.shape[1])[None] < labels[:, None]
    ahead = (values > own) | ((values == own) & before)
    return float(np.mean(ahead.sum(axis=1) < k))
