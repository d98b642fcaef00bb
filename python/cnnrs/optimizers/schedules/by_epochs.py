"""Schedules that rise first, and that may count epochs: `fit` tells them how long these are."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import serialization
from cnnrs.base.arguments import integer, number
from cnnrs.ops import raw
from cnnrs.optimizers.schedules.schedule import LearningRateSchedule, step_of

__all__ = ["LinearWarmup", "OneCycle", "WarmupCosine"]


class _ByEpochs(LearningRateSchedule):
    """A schedule that counts epochs.

    Attributes:
        epochs: The epochs it was given; None takes those of `fit`.
        steps_per_epoch: Updates of an epoch that it was given; None takes those of `fit`.
    """

    def __init__(self, epochs: int | None, steps_per_epoch: int | None, name: str):
        self.name = name
        self.epochs = None if epochs is None else number(epochs, name, "epochs", above=0)
        self.steps_per_epoch = steps_per_epoch
        if steps_per_epoch is not None:
            integer(steps_per_epoch, name, "steps_per_epoch", least=1)
        self._bound_epochs: float | None = None
        self._bound_steps: float | None = None

    @property
    def waits(self) -> bool:
        return self._epochs() is None or self._steps() is None

    @property
    def filled_in(self) -> bool:
        return self.epochs is None or self.steps_per_epoch is None

    def bind(self, steps_per_epoch: float | None, epochs: float) -> bool:
        if self.steps_per_epoch is None and steps_per_epoch is None:
            raise ValueError(
                f"{self.name}: steps_per_epoch: expected a number, for the data do not say how many batches "
                f"an epoch has; give it to fit, or to {type(self).__name__}"
            )
        before = self._epochs(), self._steps()
        self._check(float(epochs if self.epochs is None else self.epochs))
        self._bound_steps, self._bound_epochs = steps_per_epoch, float(epochs)
        return before != (self._epochs(), self._steps())

    def _check(self, epochs: float) -> None:
        """Raises if the schedule does not fit into so many epochs."""

    def _epochs(self) -> float | None:
        return self._bound_epochs if self.epochs is None else self.epochs

    def _steps(self) -> float | None:
        return self._bound_steps if self.steps_per_epoch is None else self.steps_per_epoch

    def _length(self, epochs: float | None, argument: str = "epochs") -> float:
        """Epochs in steps.

        Raises:
            ValueError: Nothing has said yet how long an epoch is.
        """
        steps = self._steps()
        for name, value in ((argument, epochs), ("steps_per_epoch", steps)):
            if value is None:
                raise ValueError(
                    f"{self.name}: {name}: expected a number, received None: only `fit` fills it in; "
                    f"give it to {type(self).__name__}"
                )
        assert epochs is not None and steps is not None
        return float(epochs) * float(steps)


def _cosine(part: Any, start: float, end: float) -> Any:
    """Half a cosine from `start`, where `part` is 0, to `end`, where it is 1."""
    return end + (start - end) * 0.5 * (1.0 + raw.cos(part * math.pi))


def _linear(part: Any, start: float, end: float) -> Any:
    return start + (end - start) * part


class WarmupCosine(_ByEpochs):
    """A linear rise over the first epochs, then half a cosine down to `eta_min`.

    With `W` steps of warm-up out of `T`, the rate of step `t` is `start + (η - start) · t / W` before `W`,
    and from there `eta_min + (η - eta_min) · (1 + cos(π (t - W) / (T - W))) / 2` (Loshchilov and Hutter 2017,
    "SGDR: Stochastic gradient descent with warm restarts", arXiv:1608.03983, equation 5; Goyal et al. 2017,
    "Accurate, large minibatch SGD", arXiv:1706.02677, section 2.2). Afterwards it stays at `eta_min`.

    Args:
        learning_rate: The highest rate, `η`.
        epochs: Epochs of all; None takes those of `fit`.
        warmup_epochs: Epochs of the rise, fewer than `epochs`; may be a fraction.
        eta_min: The last rate.
        warmup_start: The first rate, if there is a rise.
        steps_per_epoch: Updates of an epoch; None takes those of `fit`.
        name: Name.

    Raises:
        ValueError: The rise is not shorter than the whole, here or in `fit`; or `eta_min` or `warmup_start`
            is above the highest rate.

    >>> from cnnrs.optimizers import schedules
    >>> rate = schedules.WarmupCosine(0.4, epochs=6, warmup_epochs=2, steps_per_epoch=10)
    >>> [round(float(rate(step)), 4) for step in (0, 10, 20, 40, 60)]
    [0.0, 0.2, 0.4, 0.2, 0.0]
    """

    def __init__(
        self,
        learning_rate: float,
        epochs: int | None = None,
        warmup_epochs: float = 0,
        eta_min: float = 0.0,
        warmup_start: float = 0.0,
        steps_per_epoch: int | None = None,
        name: str = "WarmupCosine",
    ):
        super().__init__(epochs, steps_per_epoch, name)
        self.learning_rate = number(learning_rate, name, "learning_rate", above=0)
        self.warmup_epochs = number(warmup_epochs, name, "warmup_epochs", least=0)
        self.eta_min = number(eta_min, name, "eta_min", least=0, most=learning_rate)
        self.warmup_start = number(warmup_start, name, "warmup_start", least=0, most=learning_rate)
        if self.epochs is not None:
            self._check(self.epochs)

    def _check(self, epochs: float) -> None:
        if self.warmup_epochs >= epochs:
            raise ValueError(
                f"{self.name}: warmup_epochs: expected less than the {epochs:g} epochs of the schedule, "
                f"which otherwise ends before it begins, received {self.warmup_epochs!r}"
            )

    def __call__(self, step: Any) -> Any:
        step = step_of(step)
        total, warmup = self._length(self._epochs()), self._length(self.warmup_epochs)
        part = raw.clip((step - warmup) / (total - warmup), min=0.0, max=1.0)
        falling = _cosine(part, float(self.learning_rate), float(self.eta_min))
        if not warmup:
            return falling
        rising = _linear(step / warmup, float(self.warmup_start), float(self.learning_rate))
        return raw.where(step < warmup, rising, falling)

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "epochs": self.epochs,
            "warmup_epochs": self.warmup_epochs,
            "eta_min": self.eta_min,
            "warmup_start": self.warmup_start,
            "steps_per_epoch": self.steps_per_epoch,
            "name": self.name,
        }


class LinearWarmup(_ByEpochs):
    """A linear rise to another schedule, which begins after it.

    Args:
        schedule: The schedule that follows, or a number. If it counts epochs and takes those of `fit`, it has
            those that the rise leaves.
        warmup_steps: Updates of the rise.
        warmup_epochs: Epochs of the rise, instead of `warmup_steps`.
        warmup_start: The first rate.
        steps_per_epoch: Updates of an epoch; None takes those of `fit`.
        name: Name.

    Raises:
        TypeError: `schedule` is neither.
        ValueError: Not one of `warmup_steps` and `warmup_epochs` is given, or the schedule ends before it
            begins.

    >>> from cnnrs.optimizers import schedules
    >>> rate = schedules.LinearWarmup(schedules.ExponentialDecay(0.1, 10, 0.5), warmup_steps=10)
    >>> [round(float(rate(step)), 4) for step in (0, 5, 10, 20)]
    [0.0, 0.05, 0.1, 0.05]
    """

    def __init__(
        self,
        schedule: Any,
        warmup_steps: int | None = None,
        warmup_epochs: float | None = None,
        warmup_start: float = 0.0,
        steps_per_epoch: int | None = None,
        name: str = "LinearWarmup",
    ):
        super().__init__(None, steps_per_epoch, name)
        if not isinstance(schedule, LearningRateSchedule):
            if isinstance(schedule, bool) or not isinstance(schedule, (int, float)):
                raise TypeError(f"{name}: schedule: expected a schedule or a number, received {schedule!r}")
            number(schedule, name, "schedule", least=0)
        if (warmup_steps is None) == (warmup_epochs is None):
            raise ValueError(
                f"{name}: expected one of warmup_steps and warmup_epochs, received {warmup_steps!r} and "
                f"{warmup_epochs!r}"
            )
        if warmup_steps is not None:
            integer(warmup_steps, name, "warmup_steps", least=1)
        if warmup_epochs is not None:
            number(warmup_epochs, name, "warmup_epochs", above=0)
        self.schedule, self.warmup_steps, self.warmup_epochs = schedule, warmup_steps, warmup_epochs
        self.warmup_start = number(warmup_start, name, "warmup_start", least=0)

    @property
    def waits(self) -> bool:
        own = self.warmup_steps is None and self._steps() is None
        return own or (isinstance(self.schedule, LearningRateSchedule) and self.schedule.waits)

    @property
    def filled_in(self) -> bool:
        own = self.warmup_steps is None and self.steps_per_epoch is None
        return own or (isinstance(self.schedule, LearningRateSchedule) and self.schedule.filled_in)

    def bind(self, steps_per_epoch: float | None, epochs: float) -> bool:
        changed = super().bind(steps_per_epoch, epochs) if self.warmup_steps is None else False
        if not isinstance(self.schedule, LearningRateSchedule):
            return changed
        rest: float = epochs
        if self.warmup_epochs is not None:
            rest = epochs - self.warmup_epochs
        elif steps_per_epoch is not None and self.warmup_steps is not None:
            rest = epochs - self.warmup_steps / steps_per_epoch
        return self.schedule.bind(steps_per_epoch, rest) or changed

    def __call__(self, step: Any) -> Any:
        step = step_of(step)
        if self.warmup_steps is not None:
            warmup = float(self.warmup_steps)
        else:
            warmup = self._length(self.warmup_epochs, "warmup_epochs")
        after: Any = self.schedule
        peak: Any = self.schedule
        if isinstance(self.schedule, LearningRateSchedule):
            after, peak = self.schedule(raw.maximum(step - warmup, 0.0)), self.schedule(0)
        start = float(self.warmup_start)
        return raw.where(step < warmup, start + (peak - start) * (step / warmup), after)

    def get_config(self) -> dict[str, Any]:
        return {
            "schedule": serialization.serialize_keras_object(self.schedule),
            "warmup_steps": self.warmup_steps,
            "warmup_epochs": self.warmup_epochs,
            "warmup_start": self.warmup_start,
            "steps_per_epoch": self.steps_per_epoch,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LinearWarmup:
        """The schedule of a config, with the one inside."""
        return cls(**{**config, "schedule": serialization.deserialize_keras_object(config["schedule"])})


class OneCycle(_ByEpochs):
    """One rise to a high rate, and a fall to far below the first one.

    Smith and Topin 2018, "Super-convergence: Very fast training of neural networks using large learning
    rates", arXiv:1708.07120. The rates are those of PyTorch's `OneCycleLR`: from `max / div_factor` to `max`
    in the first `pct_start` of the steps, then to `max / div_factor / final_div_factor` in the last one. The
    momentum of the optimizer stays as it is.

    Args:
        max_learning_rate: The highest rate.
        epochs: Epochs of the cycle; None takes those of `fit`.
        total_steps: Updates of the cycle, instead of epochs.
        pct_start: The part of the cycle that rises, between 0 and 1.
        div_factor: The highest rate over the first.
        final_div_factor: The first rate over the last.
        anneal: "cosine" or "linear".
        three_phase: Whether the fall goes back to the first rate in as many steps as the rise, and only then
            to the last one. `pct_start` is then at most 0.5.
        steps_per_epoch: Updates of an epoch; None takes those of `fit`.
        name: Name.

    Raises:
        ValueError: An argument is out of its range; both `total_steps` and epochs are given; or the cycle has
            too few steps to rise and to fall.

    >>> from cnnrs.optimizers import schedules
    >>> rate = schedules.OneCycle(1.0, total_steps=10)
    >>> [round(float(rate(step)), 4) for step in (0, 1, 2, 9)]
    [0.04, 0.52, 1.0, 0.0]
    """

    def __init__(
        self,
        max_learning_rate: float,
        epochs: int | None = None,
        total_steps: int | None = None,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        anneal: str = "cosine",
        three_phase: bool = False,
        steps_per_epoch: int | None = None,
        name: str = "OneCycle",
    ):
        super().__init__(epochs, steps_per_epoch, name)
        self.max_learning_rate = number(max_learning_rate, name, "max_learning_rate", above=0)
        if total_steps is not None:
            integer(total_steps, name, "total_steps", least=1)
            if epochs is not None or steps_per_epoch is not None:
                raise ValueError(
                    f"{name}: expected total_steps, or epochs and steps_per_epoch, received total_steps="
                    f"{total_steps!r}, epochs={epochs!r}, steps_per_epoch={steps_per_epoch!r}"
                )
        self.total_steps = total_steps
        self.pct_start = number(pct_start, name, "pct_start", above=0, below=1)
        if three_phase and pct_start > 0.5:
            raise ValueError(
                f"{name}: pct_start: expected at most 0.5 with three_phase, received {pct_start!r}"
            )
        self.div_factor = number(div_factor, name, "div_factor", least=1)
        self.final_div_factor = number(final_div_factor, name, "final_div_factor", least=1)
        if anneal not in ("cosine", "linear"):
            raise ValueError(f"{name}: anneal: expected 'cosine' or 'linear', received {anneal!r}")
        self.anneal, self.three_phase = anneal, three_phase
        if not self.waits:
            self._phases()

    @property
    def waits(self) -> bool:
        return self.total_steps is None and super().waits

    @property
    def filled_in(self) -> bool:
        return self.total_steps is None and super().filled_in

    def bind(self, steps_per_epoch: float | None, epochs: float) -> bool:
        if self.total_steps is not None:
            return False
        changed = super().bind(steps_per_epoch, epochs)
        self._phases()
        return changed

    def _phases(self) -> list[tuple[float, float, float, float]]:
        """Of each phase: its first step, its last, and the rates there."""
        total = self._length(self._epochs()) if self.total_steps is None else float(self.total_steps)
        first = self.max_learning_rate / self.div_factor
        rates = [first, self.max_learning_rate, first / self.final_div_factor]
        ends = [0.0, self.pct_start * total - 1.0, total - 1.0]
        if self.three_phase:
            rates.insert(2, first)
            ends.insert(2, 2.0 * self.pct_start * total - 2.0)
        if any(end <= start for start, end in zip(ends[:-1], ends[1:], strict=True)):
            raise ValueError(
                f"{self.name}: expected enough steps to rise and to fall, received {total:g} steps with "
                f"pct_start={self.pct_start!r}: the schedule ends before it begins"
            )
        return list(zip(ends[:-1], ends[1:], rates[:-1], rates[1:], strict=True))

    def __call__(self, step: Any) -> Any:
        step = step_of(step)
        move = _cosine if self.anneal == "cosine" else _linear
        rate: Any = None
        for start, end, of, to in reversed(self._phases()):
            part = raw.clip((step - start) / (end - start), min=0.0, max=1.0)
            moved = move(part, float(of), float(to))
            rate = moved if rate is None else raw.where(step <= end, moved, rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {
            "max_learning_rate": self.max_learning_rate,
            "epochs": self.epochs,
            "total_steps": self.total_steps,
            "pct_start": self.pct_start,
            "div_factor": self.div_factor,
            "final_div_factor": self.final_div_factor,
            "anneal": self.anneal,
            "three_phase": self.three_phase,
            "steps_per_epoch": self.steps_per_epoch,
            "name": self.name,
        }
