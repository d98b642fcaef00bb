"""A model that predicts numbers on samples: how far off they are, from one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnrs import tree
from cnnrs.analysis.tables import figure, table
from cnnrs.base.arguments import integer, named
from cnnrs.charts import Drawn, LineChart
from cnnrs.evaluation.batches import batches_of
from cnnrs.evaluation.evaluated import Evaluated
from cnnrs.evaluation.labels import as_array
from cnnrs.evaluation.run_files import Samples
from cnnrs.training.data_adapter import make_data

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Deviation", "Regression", "evaluate_regression"]


@dataclass(frozen=True)
class Deviation:
    """What was predicted for a sample, and what it is.

    Attributes:
        index: The sample's number.
        target: What it is: the mean of its numbers, if there are several.
        predicted: What was predicted, likewise.
        error: The mean of |predicted - target| over its numbers.
        path: Its file; "" where that is not known.
    """

    index: int
    target: float
    predicted: float
    error: float
    path: str = ""


class Regression(Evaluated, Drawn):
    """Targets and predictions, and all figures of them. Printing it shows them.

    With e = prediction - target over all numbers of all samples, the mean absolute error is mean |e|, the
    root mean squared error √mean e², the bias mean e. The coefficient of determination is
    R² = 1 - Σ e² / Σ (target - mean target)², for each number of a sample by itself, then averaged: 1 is
    perfect, 0 is what the mean of the targets would do.

    Attributes:
        targets: What samples are: (samples, …).
        predictions: What was predicted, of the same shape.
        paths: Files of the samples; None where they are not known.
        samples: Those of the largest errors as the model took them; None where they were not kept.

    Args:
        y_true: What samples are, one number or more each.
        y_pred: What was predicted.
        paths: Files of the samples.

    Raises:
        ValueError: The shapes differ, there are no samples, or a number is not finite.

    Reference: N. R. Draper, H. Smith (1998), "Applied Regression Analysis", 3rd edition, chapter 1.

    >>> from cnnrs import evaluation
    >>> found = evaluation.Regression([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
    >>> found.mae, round(found.rmse, 4), round(found.r2, 4)
    (0.5, 0.6124, 0.9486)
    """

    _STORED = ("targets", "predictions")

    def __init__(self, y_true: Any, y_pred: Any, paths: Any = None):
        self.targets, self.predictions = _fitting(y_true, y_pred, "Regression")
        super().__init__(paths, len(self.targets))

    @property
    def errors(self) -> np.ndarray:
        """Predictions less targets."""
        return self.predictions - self.targets

    @property
    def mae(self) -> float:
        """The mean absolute error."""
        return float(np.mean(np.abs(self.errors)))

    @property
    def rmse(self) -> float:
        """The root of the mean squared error."""
        return float(np.sqrt(np.mean(self.errors**2)))

    @property
    def bias(self) -> float:
        """The mean error: above 0 predictions are too large."""
        return float(np.mean(self.errors))

    @property
    def median_error(self) -> float:
        """The median of the absolute errors."""
        return float(np.median(np.abs(self.errors)))

    @property
    def largest_error(self) -> float:
        """The largest absolute error."""
        return float(np.max(np.abs(self.errors)))

    @property
    def r2_by_output(self) -> np.ndarray:
        """The coefficient of determination of each number of a sample; nan where targets are all alike."""
        left = np.sum(self.errors**2, axis=0)
        whole = np.sum((self.targets - self.targets.mean(axis=0)) ** 2, axis=0)
        return 1.0 - np.divide(left, whole, out=np.full(np.shape(left), np.nan), where=whole > 0)

    @property
    def r2(self) -> float:
        """The mean coefficient of determination over the numbers of a sample; nan where none is known."""
        known = self.r2_by_output[~np.isnan(self.r2_by_output)]
        return float(known.mean()) if known.size else float("nan")

    def worst(self, count: int = 20) -> list[Deviation]:
        """The samples of the largest errors.

        Args:
            count: How many at most.
        """
        count = integer(count, "worst", "count", least=0)
        size = len(self.targets)
        errors = np.abs(self.errors).reshape(size, -1).mean(axis=1)
        means = [values.reshape(size, -1).mean(axis=1) for values in (self.targets, self.predictions)]
        return [
            Deviation(
                int(i), float(means[0][i]), float(means[1][i]), float(errors[i]),
                "" if self.paths is None else self.paths[i],
            )
            for i in np.argsort(-errors, kind="stable")[:count]
        ]  # fmt: skip

    def _figures(self) -> dict[str, Any]:
        return {
            "kind": "regression",
            "samples": len(self.targets),
            "mean_absolute_error": self.mae,
            "root_mean_squared_error": self.rmse,
            "r2": self.r2,
            "bias": self.bias,
            "median_absolute_error": self.median_error,
            "largest_absolute_error": self.largest_error,
        }

    @classmethod
    def _of(cls, arrays: dict[str, np.ndarray]) -> Self:
        return cls(arrays["targets"], arrays["predictions"], arrays.get("paths"))

    def chart(self) -> LineChart:
        """Predictions by targets as a drawing of the report."""
        x, y = self.targets.reshape(-1), self.predictions.reshape(-1)
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        chart = LineChart("Predictions by targets", "target", "predicted")
        chart.add("exact", ends, ends, dashed=True)
        chart.add(f"R² {figure(self.r2, 3)}", x, y, joined=False)
        return chart

    def _draw(self, ax: Any) -> None:
        x, y = self.targets.reshape(-1), self.predictions.reshape(-1)
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        ax.plot(ends, ends, ":", color="gray")
        ax.plot(x, y, ".", label=f"R² {figure(self.r2, 3)}")
        ax.set(xlabel="target", ylabel="predicted")
        ax.legend(loc="upper left")

    def rows(self) -> list[list[str]]:
        """Names and texts of the figures."""
        return [
            ["Mean absolute error", f"{self.mae:.6g}"],
            ["Root mean squared error", f"{self.rmse:.6g}"],
            ["R²", figure(self.r2)],
            ["Bias", f"{self.bias:.6g}"],
            ["Median absolute error", f"{self.median_error:.6g}"],
            ["Largest absolute error", f"{self.largest_error:.6g}"],
        ]

    def __repr__(self) -> str:
        shown = table(["Figure", "Value"], self.rows(), frozenset([1]))
        return f"{shown}\n{len(self.targets):,} samples"


def _fitting(y_true: Any, y_pred: Any, owner: str) -> tuple[np.ndarray, np.ndarray]:
    """Targets and predictions in float64 of one shape."""
    targets, predictions = as_array(y_true), as_array(y_pred)
    for name, values in (("y_true", targets), ("y_pred", predictions)):
        if values.dtype.kind not in "fiub" or not values.ndim or not values.size:
            raise ValueError(
                f"{owner}: {name}: expected numbers of at least one sample, received {values.dtype} of shape "
                f"{values.shape}"
            )
    if targets.ndim != predictions.ndim and targets.size == predictions.size:
        # One number a sample, with an axis of its own or without.
        targets = targets.reshape(predictions.shape)
    if targets.shape != predictions.shape:
        raise ValueError(f"{owner}: y_pred: expected shape {targets.shape}, received {predictions.shape}")
    for name, values in (("y_true", targets), ("y_pred", predictions)):
        if not np.all(np.isfinite(values.astype(np.float64))):
            raise ValueError(f"{owner}: {name}: expected finite numbers, received nan or infinity among them")
    return targets.astype(np.float64), predictions.astype(np.float64)


@named
def evaluate_regression(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    paths: Any = None,
    batch_size: int | None = None,
    samples: int = 24,
    on_batch: Callable[[int], Any] | None = None,
) -> Regression:
    """All figures of a model that predicts numbers, from one pass over samples.

    Args:
        model: The model, of one output: numbers, points, or whole images.
        x: Samples, or what yields batches `(samples, targets)`, such as a data set. Weights of samples are
            not looked at: each counts the same.
        y: The targets, if x is arrays.
        paths: Files of the samples; None takes those of a data set whose order is that of its files.
        batch_size: Samples that are computed at once, if x is arrays.
        samples: How many of the largest errors are kept as pictures.
        on_batch: Called after each batch with the number of samples so far: to show progress.

    Returns:
        A `Regression`: print it, or ask it: `found.mae`, `found.rmse`, `found.r2`, `found.worst()`,
        `found.plot()`; `found.save(folder)` writes it.

    Raises:
        ValueError: There are no targets, or they do not fit the outputs.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import evaluation, layers
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), layers.Dense(1, kernel_initializer="ones")])
    >>> x = np.array([[1.0, 2.0], [0.0, 1.0], [2.0, 2.0]])
    >>> evaluation.evaluate_regression(model, x, x.sum(axis=1) + 0.5).mae
    0.5
    """
    owner = "evaluate_regression"
    most = integer(samples, owner, "samples", least=0)
    data = make_data(x, y, None, batch_size, None)
    targets: list[np.ndarray] = []
    outputs: list[np.ndarray] = []
    kept: list[tuple[float, int, np.ndarray]] = []
    seen = 0
    for batch, given in batches_of(data, owner, "y: expected the numbers of each sample"):
        predicted = model.predict_on_batch(batch)
        if not isinstance(predicted, np.ndarray):
            raise ValueError(f"{owner}: model: expected one output, received {type(predicted).__name__}")
        own, values = _fitting(given, predicted, owner)
        targets.append(own)
        outputs.append(values)
        flat = tree.flatten(batch)
        if len(flat) == 1 and np.ndim(flat[0]) == 4 and most:
            images = np.asarray(flat[0])
            errors = np.abs(values - own).reshape(len(own), -1).mean(axis=1)
            kept += [(float(errors[i]), seen + i, images[i].copy()) for i in np.argsort(-errors)[:most]]
            kept = sorted(kept, key=lambda entry: (-entry[0], entry[1]))[:most]
        seen += len(own)
        if on_batch is not None:
            on_batch(seen)
    if not outputs:
        raise ValueError(f"{owner}: x: expected at least one batch, received none")
    if paths is None and getattr(x, "files_in_order", False):
        paths = x.file_paths
    found = Regression(np.concatenate(targets), np.concatenate(outputs), paths)
    if kept and len({image.shape for _, _, image in kept}) == 1:
        found.samples = Samples(np.array([i for _, i, _ in kept]), np.stack([image for _, _, image in kept]))
    return found
