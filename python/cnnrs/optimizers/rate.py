"""The learning rate of an optimizer: a number, a schedule of the step, or a Python callable."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base import context
from cnnrs.base.arguments import number
from cnnrs.optimizers.schedules import LearningRateSchedule
from cnnrs.variables import Variable

__all__ = ["OptimizerRate"]


class OptimizerRate:
    """What an optimizer does with its learning rate and with what gives it."""

    name: str
    gradient_accumulation_steps: int | None
    iterations: Any
    _grouping: Any
    _variables: list[Variable]
    _track: Any
    _untrack: Any
    _updates: Any

    def _set_rate(self, learning_rate: Any) -> None:
        """Takes the argument `learning_rate`."""
        self._schedule: Any = None
        self._host_schedule: Any = None
        if isinstance(learning_rate, LearningRateSchedule):
            self._schedule = learning_rate
            first = 0.0 if learning_rate.waits else float(np.asarray(learning_rate(0)))
        elif callable(learning_rate):
            # It is asked at each step, and not before.
            self._host_schedule, first = learning_rate, 0.0
        else:
            first = self._check_rate(learning_rate)
        self._learning_rate = Variable(np.float32(first), trainable=False, name="learning_rate")
        if not self.follows_schedule:
            self._track(self._learning_rate)
        self._start = Variable(np.int32(0), trainable=False, name="schedule_start")
        self._keep_start()

    def _schedules(self) -> list[Any]:
        """The schedules that are followed: the own one, and those of groups of weights."""
        return [*([] if self._schedule is None else [self._schedule]), *self._grouping.schedules()]

    def _keep_start(self) -> None:
        """Has `began` among the state if a schedule takes its length from `fit`."""
        self._untrack(self._start)
        if any(schedule.filled_in for schedule in self._schedules()):
            self._track(self._start, 1)

    def _check_rate(self, value: Any) -> float:
        return number(value, self, "learning_rate", least=0)

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step; a Python callable that gives it is asked now."""
        if not context.is_tracing():
            self.before_step()
        return self._rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value) and not isinstance(value, _core.Variable):
            is_schedule = isinstance(value, LearningRateSchedule)
            self._schedule, self._host_schedule = (value, None) if is_schedule else (None, value)
            self._untrack(self._learning_rate)
            self._keep_start()
            return
        if self.follows_schedule:
            raise TypeError(f"{self.name}: the learning rate follows a schedule and cannot be set")
        self._learning_rate.assign(np.float32(self._check_rate(value)))

    @property
    def follows_schedule(self) -> bool:
        """Whether a schedule or a Python callable gives the learning rate, and not a number."""
        return self._schedule is not None or self._host_schedule is not None

    def fix_rate(self) -> None:
        """Gives up a schedule: the learning rate is a number from now on, which may be set."""
        if self.follows_schedule:
            self._schedule = self._host_schedule = None
            self._track(self._learning_rate, 1)
            self._keep_start()

    def _rate(self) -> Any:
        """The learning rate of the step under way."""
        schedule = self._schedule
        return self._learning_rate if schedule is None else schedule(self._step_of(schedule))

    def _step_of(self, schedule: Any) -> Any:
        """The number of the step under way, as a schedule counts."""
        return self._updates() - self._start.value if schedule.filled_in else self.iterations

    def bind(self, steps_per_epoch: int | None, epochs: int, anew: bool = False) -> bool:
        """Tells schedules that count epochs how long these are. `fit` calls it.

        Args:
            steps_per_epoch: Batches of an epoch; None if that is not known.
            epochs: The epoch that training stops before.
            anew: Whether training begins, so that schedules which take their length from it do, too.

        Returns:
            Whether a schedule has changed, so that steps have to be recorded anew.

        Raises:
            ValueError: A schedule ends before it begins, or needs `steps_per_epoch`.
        """
        steps = None if steps_per_epoch is None else steps_per_epoch / (self.gradient_accumulation_steps or 1)
        schedules = self._schedules()
        changed = any([schedule.bind(steps, epochs) for schedule in schedules])
        if anew and any(schedule.filled_in for schedule in schedules):
            self.begin([int(np.asarray(self._updates()))])
        return changed

    def began(self) -> list[int]:
        """How many updates there were as the schedules began that take their length from `fit`."""
        return [int(self._start.numpy())]

    def begin(self, updates: list[int]) -> None:
        """Sets what `began` gives."""
        (start,) = updates
        self._start.assign(np.int32(start))

    @property
    def asks_python(self) -> bool:
        """Whether a Python callable gives the learning rate, so that it is to be asked before each step."""
        return self._host_schedule is not None

    def before_step(self) -> None:
        """Refreshes a learning rate that a Python callable gives. Who replays a recorded step calls it."""
        if self._host_schedule is not None:
            self._learning_rate.assign(np.float32(self._check_rate(self._host_schedule())))
