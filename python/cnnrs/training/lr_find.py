"""The range test of learning rates, behind `model.lr_find`."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs.base.arguments import file_path, integer, number
from cnnrs.base.extras import pyplot
from cnnrs.charts import LineChart
from cnnrs.training.batches import Batches
from cnnrs.training.data_adapter import ArrayData, BatchData
from cnnrs.training.runner import StepRunner
from cnnrs.training.samples import Samples
from cnnrs.training.snapshot import unchanged

__all__ = ["LearningRates", "range_test"]

# Batches before the moving mean has settled, in which the test does not end.
_SKIPPED = 3


@dataclass(frozen=True)
class LearningRates:
    """What a range test found.

    Attributes:
        learning_rates: The rate of each batch.
        losses: The loss of each batch.
        smoothed: The moving mean of the losses, whose bias is corrected.
        steepest: The rate at which the loss, smoothed to both sides, falls fastest over the logarithm of the
            rate.
        minimum_over_ten: A tenth of the rate at which the smoothed loss is least.
        suggestion: The smaller of both.

    >>> found = LearningRates.of([1e-3, 1e-2, 1e-1, 1.0, 10.0], [4.0, 3.9, 2.0, 1.9, 8.0], smoothing=0.0)
    >>> round(found.steepest, 4), round(found.minimum_over_ten, 4), round(found.suggestion, 4)
    (0.1, 0.1, 0.1)
    """

    learning_rates: list[float]
    losses: list[float]
    smoothed: list[float]
    steepest: float
    minimum_over_ten: float

    @property
    def suggestion(self) -> float:
        """The rate to take."""
        return min(self.steepest, self.minimum_over_ten)

    @classmethod
    def of(cls, rates: list[float], losses: list[float], smoothing: float = 0.9) -> LearningRates:
        """The rates that losses suggest.

        Args:
            rates: Rising learning rates.
            losses: The loss at each of them.
            smoothing: Weight of the past in the moving mean.

        Raises:
            ValueError: There are fewer than two finite losses.
        """
        smoothed = _smoothed(losses, smoothing)
        centred = _centred(losses) if smoothing else losses
        usable = [i for i, value in enumerate(smoothed) if math.isfinite(value)]
        if len(usable) < 2:
            raise ValueError(
                f"lr_find: start_learning_rate: expected a rate at which the loss is finite, received "
                f"{rates[0]!r}, where it is {losses[0]!r}"
            )
        values = np.array([smoothed[i] for i in usable])
        least = int(values.argmin())
        # The slope is looked for in the descent: from the highest loss before the least one.
        curve = np.array([centred[i] for i in usable])
        lowest = int(curve.argmin())
        highest = int(curve[: lowest + 1].argmax())
        slopes = np.gradient(curve, np.log([rates[i] for i in usable]))[highest : lowest + 1]
        steepest = rates[usable[highest + int(slopes.argmin())]]
        return cls(list(rates), list(losses), smoothed, steepest, rates[usable[least]] / 10.0)

    def svg(self) -> str:
        """A drawing of the losses over the rates, with the suggestion. It needs no library."""
        low, high = self._shown()
        low = min([low, *filter(math.isfinite, self.losses)])
        title = f"Learning rate {self.suggestion:.2g}"
        chart = LineChart(title, "log10 of the learning rate", "loss", y_range=(low, high))
        places = np.log10(self.learning_rates)
        chart.add("loss of a batch", places, np.clip(self.losses, low, high))
        chart.add("smoothed", places, np.clip(self.smoothed, low, high))
        chart.add(f"{self.suggestion:.2g}", np.log10([self.suggestion] * 2), [low, high], dashed=True)
        return str(chart.svg())

    def save(self, path: Any) -> None:
        """Writes the drawing of `svg` into a file.

        Args:
            path: Where to; its name ends in .svg. For other kinds of files there is `plot`.

        Raises:
            ValueError: It ends otherwise.
        """
        file = Path(file_path(path, "LearningRates.save"))
        if file.suffix.lower() != ".svg":
            raise ValueError(
                f"LearningRates.save: path: expected a name that ends in .svg, received {str(path)!r}; "
                "plot().figure.savefig(path) writes others"
            )
        file.write_text(self.svg(), encoding="utf-8")

    def _shown(self) -> tuple[float, float]:
        """The losses between which a drawing shows what matters."""
        finite = [value for value in self.smoothed if math.isfinite(value)]
        spread = max(finite[0], min(finite)) - min(finite)
        return min(finite) - 0.1 * spread - 1e-6, finite[0] + 0.5 * spread + 1e-6

    def plot(self, ax: Any = None) -> Any:
        """Draws the losses over the rates, with the suggestion.

        Args:
            ax: Axes of matplotlib; None makes some.

        Returns:
            The axes.

        Raises:
            ImportError: matplotlib, of the extra `plot`, is not installed.
        """
        if ax is None:
            _, ax = pyplot("LearningRates.plot").subplots(figsize=(6, 4))
        ax.plot(self.learning_rates, self.losses, color="0.8", label="loss of a batch")
        ax.plot(self.learning_rates, self.smoothed, label="smoothed")
        ax.axvline(self.suggestion, linestyle="--", color="tab:red", label=f"{self.suggestion:.2g}")
        ax.set_xscale("log")
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss")
        ax.set_ylim(*self._shown())
        ax.legend()
        return ax

    def __repr__(self) -> str:
        return (
            f"<LearningRates of {len(self.losses)} batches from {self.learning_rates[0]:.2g} to "
            f"{self.learning_rates[-1]:.2g}: suggestion {self.suggestion:.2g} (steepest descent "
            f"{self.steepest:.2g}, a tenth of the minimum's {self.minimum_over_ten:.2g})>"
        )


def _smoothed(losses: list[float], smoothing: float) -> list[float]:
    mean, found = 0.0, []
    for count, loss in enumerate(losses, 1):
        mean = smoothing * mean + (1.0 - smoothing) * loss
        found.append(mean / (1.0 - smoothing**count))
    return found


def _centred(losses: list[float]) -> list[float]:
    """Losses weighted by a Gaussian around each, so that slopes stand where they are, and not behind."""
    width = max(1.0, len(losses) / 16)
    places = np.arange(len(losses))
    values = np.array(losses, np.float64)
    values[~np.isfinite(values)] = np.nanmax(np.where(np.isfinite(values), values, np.nan))
    # What diverges at the end must not reach back into the descent.
    values = np.minimum(values, 2.0 * values[0] - values.min())
    weights = np.exp(-0.5 * ((places[:, None] - places) / width) ** 2)
    return list((weights @ values) / weights.sum(1))


def range_test(
    model: Any,
    data: ArrayData | BatchData,
    start: float,
    end: float,
    steps: int,
    smoothing: float,
    stop_factor: float,
) -> LearningRates:
    """Trains at rising rates and puts everything back; see `Trainer.lr_find`."""
    owner = "lr_find"
    number(start, owner, "start_learning_rate", above=0)
    number(end, owner, "end_learning_rate", above=0)
    if end <= start:
        raise ValueError(
            f"{owner}: end_learning_rate: expected more than start_learning_rate {start!r}, received {end!r}"
        )
    integer(steps, owner, "steps", least=5)
    number(smoothing, owner, "smoothing", least=0, below=1)
    number(stop_factor, owner, "stop_factor", above=1)
    if model.optimizer is None or hasattr(model.optimizer, "optimizers"):
        raise ValueError(
            f"{owner}: expected an optimizer with one learning rate, received {model.optimizer!r}"
        )
    samples = _endless(data, model)
    first = next(samples, None)
    if first is None:
        raise ValueError(f"{owner}: x: expected at least one batch, received none")
    runner = StepRunner(model, "train")
    if not model.built:
        runner._prepare(first, in_python=False)
    rates, losses = [], []
    with unchanged(model):
        # A copy, whose rate is a number that each step reads, has the state of the optimizer.
        model.optimizer = _at_own_rate(model)
        _check_rates_are_tested(model)
        best = math.inf
        for step in range(steps):
            rate = start * (end / start) ** (step / (steps - 1))
            model.optimizer.learning_rate = rate
            model.reset_metrics()
            batch = first if step == 0 else next(samples, None)
            if batch is None:
                raise ValueError(
                    f"{owner}: x: expected {steps} batches, or data that can be gone through again, received "
                    f"{step}, of which nothing is left; give steps={step}"
                )
            logs = runner.logs(runner.one(batch))
            if "loss" not in logs:
                raise ValueError(
                    f"{owner}: expected a train_step whose logs have 'loss', received {sorted(logs)}"
                )
            rates.append(rate)
            losses.append(float(logs["loss"]))
            smoothed = _smoothed(losses, smoothing)[-1]
            best = min(best, smoothed)
            if not math.isfinite(smoothed) or (step > _SKIPPED and smoothed > stop_factor * abs(best)):
                break
    return LearningRates.of(rates, losses, smoothing)


def _check_rates_are_tested(model: Any) -> None:
    """Raises if the test would change the rate of no weight."""
    weights = model.trainable_variables
    if weights and not any(model.optimizer.follows_rate(weight) for weight in weights):
        raise ValueError(
            "lr_find: expected weights that learn at the optimizer's rate, and parameter_groups set the rate "
            f"of all {len(weights)}; learning_rate_multiplier makes groups follow it"
        )


def _at_own_rate(model: Any) -> Any:
    optimizer = copy.deepcopy(model.optimizer)
    inner = optimizer
    while hasattr(inner, "inner_optimizer"):
        inner = inner.inner_optimizer
    optimizer.build(model.trainable_variables)
    inner.fix_rate()
    return optimizer


def _endless(data: ArrayData | BatchData, model: Any) -> Iterator[Samples]:
    seed = copy.deepcopy(model._shuffle_seed)
    while True:
        found = False
        for samples in Batches(data, None, True, seed).start():
            found = True
            yield samples
        if not found:
            return
