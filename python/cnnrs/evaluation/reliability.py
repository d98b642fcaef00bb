"""Whether a confidence of 0.8 is right in 80% of the cases, and how to make it so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.charts import Drawn, LineChart
from cnnrs.evaluation.labels import as_array, class_labels, probabilities

__all__ = ["Calibration", "brier_score", "calibration", "fitting", "log_loss", "temperature"]


@dataclass(frozen=True, eq=False)
class Calibration(Drawn):
    """Confidence against accuracy. Arrays have an entry for each bin that holds samples.

    Attributes:
        edges: Borders of all bins: one more than there are bins. A bin holds what is above its lower border.
        confidence: The mean confidence of each bin.
        accuracy: The share of its samples whose class was predicted.
        counts: Its samples.
        expected_error: The expected calibration error: the mean of |accuracy - confidence| over samples.
        largest_error: The maximum calibration error: the largest of these over bins.
        brier: The mean over samples of the sum over classes of (probability - truth)².
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray
    expected_error: float
    largest_error: float
    brier: float

    def __repr__(self) -> str:
        return (
            f"<Calibration of {int(self.counts.sum())} samples: expected error {self.expected_error:.4f}, "
            f"largest {self.largest_error:.4f}, Brier score {self.brier:.4f}>"
        )

    def chart(self) -> LineChart:
        """The reliability diagram as a drawing of the report."""
        chart = LineChart("Calibration", "confidence", "accuracy", x_range=(0, 1), y_range=(0, 1))
        chart.add("ideal", [0, 1], [0, 1], dashed=True)
        notes = [f"{count:,} samples" for count in self.counts]
        label = f"error {self.expected_error:.3f}"
        chart.add(label, self.confidence, self.accuracy, marks=True, notes=notes)
        return chart

    def _draw(self, ax: Any) -> None:
        ax.plot([0, 1], [0, 1], ":", color="gray")
        ax.plot(self.confidence, self.accuracy, "o-", label=f"expected error {self.expected_error:.3f}")
        ax.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
        ax.legend(loc="upper left")


def calibration(
    y_true: Any, scores: Any, bins: int = 15, strategy: str = "uniform", from_logits: bool = False
) -> Calibration:
    """How far confidence, the largest probability of a sample, is from the share of right predictions.

    Samples are put into bins by their confidence; bin b with n_b of N samples counts n_b / N in the expected
    calibration error, `sum over b of n_b / N |accuracy_b - confidence_b|`.

    Args:
        y_true: The class of each sample.
        scores: Probabilities of shape (samples, classes), or one a sample for the second of two classes.
        bins: How many bins.
        strategy: "uniform" for bins of the same width, "quantile" for bins of as many samples.
        from_logits: Whether a softmax, or of one column a sigmoid, is still to be taken.

    Returns:
        The bins and the errors.

    Raises:
        ValueError: The shapes do not fit, or an argument is none of these.

    Reference: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017), "On Calibration of Modern Neural Networks",
    arXiv:1706.04599, equations 2, 3 and 5; G. W. Brier (1950), "Verification of forecasts expressed in terms
    of probability", Monthly Weather Review 78.

    >>> from cnnrs import evaluation
    >>> evaluation.calibration([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], bins=10)
    <Calibration of 3 samples: expected error 0.3333, largest 0.7000, Brier score 0.3600>
    """
    owner = "calibration"
    bins = integer(bins, owner, "bins", least=1)
    if strategy not in ("uniform", "quantile"):
        raise ValueError(f"{owner}: strategy: expected 'uniform' or 'quantile', received {strategy!r}")
    labels, values = fitting(y_true, scores, from_logits, owner)
    confidence, right = values.max(axis=1), values.argmax(axis=1) == labels
    if strategy == "uniform":
        edges = np.linspace(0, 1, bins + 1)
    else:
        edges = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)))
        edges[0], edges[-1] = 0.0, 1.0
        if len(edges) == 1:
            edges = np.array([0.0, 1.0])
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, len(edges) - 2)
    counts = np.bincount(places, minlength=len(edges) - 1)
    filled = counts > 0
    with np.errstate(invalid="ignore"):
        means = np.bincount(places, confidence, len(counts)) / counts
        shares = np.bincount(places, right, len(counts)) / counts
    counts, means, shares = counts[filled], means[filled], shares[filled]
    gaps = np.abs(shares - means)
    return Calibration(
        edges,
        means,
        shares,
        counts,
        float(np.sum(gaps * counts) / len(labels)),
        float(gaps.max()),
        _brier(labels, values),
    )


def fitting(y_true: Any, scores: Any, from_logits: bool, owner: str) -> tuple[np.ndarray, np.ndarray]:
    """Classes and probabilities that fit each other."""
    labels = class_labels(y_true, owner)
    values = probabilities(scores, owner, from_logits)
    if len(values) != len(labels) or not len(labels):
        raise ValueError(
            f"{owner}: scores: expected {len(labels)} samples as in y_true, at least one, "
            f"received {len(values)}"
        )
    if labels.max() >= values.shape[1]:
        raise ValueError(
            f"{owner}: y_true: expected classes from 0 to {values.shape[1] - 1}, received {labels.max()}"
        )
    return labels, values


def _brier(labels: np.ndarray, values: np.ndarray) -> float:
    own = values[np.arange(len(labels)), labels]
    return float(np.mean(np.sum(values**2, axis=1) - 2 * own + 1))


def brier_score(y_true: Any, scores: Any, from_logits: bool = False) -> float:
    """The mean over samples of the sum over classes of (probability - truth)²: 0 at best, 2 at worst.

    Args:
        y_true: The class of each sample.
        scores: Probabilities of shape (samples, classes), or one a sample for the second of two classes.
        from_logits: Whether a softmax, or of one column a sigmoid, is still to be taken.

    Raises:
        ValueError: The shapes do not fit.

    Reference: G. W. Brier (1950), "Verification of forecasts expressed in terms of probability", Monthly
    Weather Review 78, equation 2. Of two classes it is twice the mean of (p - y)² that scikit-learn gives.

    >>> from cnnrs import evaluation
    >>> round(evaluation.brier_score([1, 0], [0.8, 0.4]), 6)
    0.2
    """
    return _brier(*fitting(y_true, scores, from_logits, "brier_score"))


def log_loss(y_true: Any, scores: Any, from_logits: bool = False) -> float:
    """The mean of -log of the probability of each sample's class: the cross-entropy.

    Args:
        y_true: The class of each sample.
        scores: Probabilities of shape (samples, classes), or one a sample for the second of two classes.
        from_logits: Whether a softmax, or of one column a sigmoid, is still to be taken.

    Raises:
        ValueError: The shapes do not fit.

    >>> from cnnrs import evaluation
    >>> round(evaluation.log_loss([1, 0], [[0.5, 0.5], [1.0, 0.0]]), 4)
    0.3466
    """
    return float(sample_losses(*fitting(y_true, scores, from_logits, "log_loss")).mean())


def sample_losses(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The cross-entropy of each sample; a probability of 0 counts as the least that float64 tells from it."""
    own = values[np.arange(len(labels)), labels]
    return -np.log(np.clip(own, np.finfo(np.float64).eps, 1.0))


def temperature(y_true: Any, logits: Any) -> float:
    """The number T by which logits are divided, so that their softmax is best calibrated.

    T minimises the cross-entropy of softmax(logits / T). It does not change which class is the largest: only
    the confidence. Take the samples for it that the model was not trained on.

    Args:
        y_true: The class of each sample.
        logits: (samples, classes), before the softmax; logarithms of probabilities will do. One column is the
            logit of the second of two classes.

    Returns:
        T. Above 1 the model was too confident.

    Raises:
        ValueError: The shapes do not fit.

    Reference: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017), "On Calibration of Modern Neural Networks",
    arXiv:1706.04599, section 4.2, equation 9.

    >>> from cnnrs import evaluation
    >>> round(evaluation.temperature([0, 0, 0, 1], [[4.0, 0.0]] * 4), 4)
    3.641
    """
    owner = "temperature"
    labels = class_labels(y_true, owner)
    values = as_array(logits).astype(np.float64)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim == 2 and values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    fitting(labels, values, True, owner)
    own = values[np.arange(len(labels)), labels]
    # Convex in 1 / T: its derivative, the mean logit under the softmax less the own one, rises.
    low, high = -12.0, 12.0

    def slope(exponent: float) -> float:
        scaled = values * np.exp(-exponent)
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        return float(np.mean((shares * values).sum(axis=1) - own))

    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return float(np.exp((low + high) / 2))
