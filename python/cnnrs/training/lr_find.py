"""The range test of learning rates, behind `model.lr_find`."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs.base.arguments import file_path, integer, number
from cnnrs.base.user_warnings import warn_user
from cnnrs.charts import Drawn, LineChart
from cnnrs.training.batches import Batches
from cnnrs.training.data_adapter import ArrayData, BatchData
from cnnrs.training.loss_curve import LEAST_BATCHES, LossCurve, smoothed
from cnnrs.training.runner import StepRunner
from cnnrs.training.samples import Samples
from cnnrs.training.snapshot import unchanged

__all__ = ["LearningRates", "range_test"]

# Batches before the moving mean has settled, in which the test does not end.
_SKIPPED = 3


@dataclass(frozen=True)
class LearningRates(Drawn):
    """What a range test found. `plot` draws the losses over the rates, with the suggestion.

    Attributes:
        learning_rates: The rate of each batch.
        losses: The loss of each batch.
        smoothed: The moving mean of the losses, whose bias is corrected.
        steepest: The rate at which the loss, smoothed to both sides, falls fastest over the logarithm of the
            rate; None if it does not fall.
        minimum_over_ten: A tenth of the rate, from `steepest` on, at which the smoothed loss is least; None
            likewise.
        problem: Why the losses say of no rate that it is good, and what is suggested instead; "" if they do.
        fallback: What is suggested then.

    Reference: L. N. Smith (2017), "Cyclical learning rates for training neural networks", arXiv:1506.01186,
    section 3.3, for the test; fastai's `lr_find` for the two rates, with the steepest descent and the minimum
    divided by ten; Y. Bengio (2012), "Practical recommendations for gradient-based training of deep
    architectures", arXiv:1206.5533, section 3.1.1, for the largest rate that does not diverge as a bound.

    >>> rates = [10.0**k for k in (-4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1)]
    >>> losses = [4.0, 4.0, 3.9, 3.7, 3.2, 2.3, 2.0, 1.9, 1.95, 3.0, 8.0]
    >>> found = LearningRates.of(rates, losses, smoothing=0.0)
    >>> round(found.steepest, 4), round(found.minimum_over_ten, 4), round(found.suggestion, 4)
    (0.01, 0.0316, 0.01)
    >>> LearningRates.of(rates, [4.0] * 11, fallback=0.001).suggestion
    0.001
    """

    learning_rates: list[float]
    losses: list[float]
    smoothed: list[float]
    steepest: float | None
    minimum_over_ten: float | None
    problem: str = ""
    fallback: float | None = None

    @property
    def suggestion(self) -> float:
        """The rate to take: the smaller of `steepest` and `minimum_over_ten`, or else `fallback`."""
        found = [rate for rate in (self.steepest, self.minimum_over_ten) if rate is not None]
        return min(found) if found else float(self.fallback or self.learning_rates[0])

    @classmethod
    def of(
        cls,
        rates: Iterable[float],
        losses: Iterable[float],
        smoothing: float = 0.9,
        fallback: float | None = None,
    ) -> LearningRates:
        """The rates that losses suggest.

        Args:
            rates: Rising learning rates.
            losses: The loss at each of them.
            smoothing: Weight of the past in the moving mean, which takes in a fifth of the batches at most. 0
                takes the losses for exact.
            fallback: The rate to suggest if the losses do not fall; None for the geometric mean of the rates.
                Where the losses rise, it is bounded by a tenth of the rate at which they begin to.

        Raises:
            ValueError: There are fewer than two finite losses.
        """
        rates, losses = [float(rate) for rate in rates], [float(loss) for loss in losses]
        means = smoothed(losses, moderated(smoothing, len(losses)))
        count = next((i for i, mean in enumerate(means) if not math.isfinite(mean)), len(means))
        if count < 2:
            raise ValueError(
                f"lr_find: start_learning_rate: expected a rate at which the loss is finite, received "
                f"{rates[0]!r}, where it is {losses[0]!r}"
            )
        curve = LossCurve(rates[:count], losses[:count], is_exact=not smoothing)
        descent = curve.descent() if count >= LEAST_BATCHES else None
        if descent is not None:
            # A low mean before the descent is noise.
            least = descent.steepest + int(np.argmin(means[descent.steepest : count]))
            return cls(rates, losses, means, rates[descent.steepest], rates[least] / 10.0)
        rise = curve.rise()
        if rise is None and count < len(losses):
            rise = count
        taken = "the rate that the optimizer has" if fallback else "the geometric mean of the rates"
        rate = fallback or math.sqrt(rates[0] * rates[-1])
        if rise is not None and rates[rise] / 10.0 < rate:
            rate, taken = rates[rise] / 10.0, "a tenth of the rate from which on it rises"
        if rise is not None:
            problem = f"the loss rises from a rate of {rates[rise]:.2g} on and does not fall before"
        elif count < LEAST_BATCHES:
            problem = f"{count} batches are too few to tell a curve from noise, expected {LEAST_BATCHES}"
        else:
            problem = "the loss does not fall by more than it scatters from batch to batch"
        return cls(rates, losses, means, None, None, f"{problem}; {rate:.2g} is {taken}", rate)

    def chart(self) -> LineChart:
        """The losses over the rates, with the suggestion, as a drawing of the report."""
        low, high = self._shown()
        low = min([low, *filter(math.isfinite, self.losses)])
        title = f"Learning rate {self.suggestion:.2g}"
        chart = LineChart(title, "log10 of the learning rate", "loss", y_range=(low, high))
        places = np.log10(self.learning_rates)
        chart.add("loss of a batch", places, np.clip(self.losses, low, high))
        chart.add("smoothed", places, np.clip(self.smoothed, low, high))
        chart.add(f"{self.suggestion:.2g}", np.log10([self.suggestion] * 2), [low, high], dashed=True)
        return chart

    def svg(self) -> str:
        """The drawing of `chart` as SVG. It needs no library."""
        return str(self.chart().svg())

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

    def _draw(self, ax: Any) -> None:
        ax.plot(self.learning_rates, self.losses, color="0.8", label="loss of a batch")
        ax.plot(self.learning_rates, self.smoothed, label="smoothed")
        ax.axvline(self.suggestion, linestyle="--", color="tab:red", label=f"{self.suggestion:.2g}")
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=self._shown())
        ax.legend()

    def __repr__(self) -> str:
        reason = self.problem
        if self.steepest is not None and self.minimum_over_ten is not None:
            least = f"a tenth of the minimum's {self.minimum_over_ten:.2g}"
            reason = f"steepest descent {self.steepest:.2g}, {least}"
        return (
            f"<LearningRates of {len(self.losses)} batches from {self.learning_rates[0]:.2g} to "
            f"{self.learning_rates[-1]:.2g}: suggestion {self.suggestion:.2g} ({reason})>"
        )


def moderated(smoothing: float, count: int) -> float:
    """The weight of the past with which a moving mean takes in a fifth of `count` batches at most.

    The mean lags behind by as many batches as it takes in, which few batches turn into decades of the rate.
    """
    return max(0.0, min(smoothing, 1.0 - 5.0 / count))


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
            mean = smoothed(losses, moderated(smoothing, steps))[-1]
            best = min(best, mean)
            if not math.isfinite(mean) or (step > _SKIPPED and mean > stop_factor * abs(best)):
                break
    found = LearningRates.of(rates, losses, smoothing, _own_rate(model))
    if found.problem:
        warn_user(f"lr_find: {found.problem}; more steps, larger batches or other rates may show more")
    return found


def _own_rate(model: Any) -> float | None:
    """The learning rate of the model's optimizer; None if it is 0 or follows a schedule."""
    optimizer = _innermost(model.optimizer)
    return None if optimizer.follows_schedule else float(optimizer.learning_rate.numpy()) or None


def _innermost(optimizer: Any) -> Any:
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


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
    optimizer.build(model.trainable_variables)
    _innermost(optimizer).fix_rate()
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
