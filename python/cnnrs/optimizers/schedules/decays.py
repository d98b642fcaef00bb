"""Keras's learning-rate schedules, which count steps."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import _core
from cnnrs.base.arguments import integer, number
from cnnrs.ops import raw
from cnnrs.optimizers.schedules.schedule import LearningRateSchedule, power, step_of

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]


class ExponentialDecay(LearningRateSchedule):
    """`initial · decay_rate ^ (step / decay_steps)`, the exponent floored if `staircase`.

    >>> from cnnrs.optimizers import schedules
    >>> round(float(schedules.ExponentialDecay(0.1, 10, 0.5)(20)), 4)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        number(initial_learning_rate, name, "initial_learning_rate", least=0)
        number(decay_steps, name, "decay_steps", above=0)
        number(decay_rate, name, "decay_rate", least=0)
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def _exponent(self, step: Any) -> Any:
        exponent = step_of(step) / float(self.decay_steps)
        return raw.floor(exponent) if self.staircase else exponent

    def __call__(self, step: Any) -> Any:
        return float(self.initial_learning_rate) * power(self.decay_rate, self._exponent(step))

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class InverseTimeDecay(ExponentialDecay):
    """`initial / (1 + decay_rate · step / decay_steps)`, the quotient floored if `staircase`.

    >>> from cnnrs.optimizers import schedules
    >>> round(float(schedules.InverseTimeDecay(0.1, 10, 0.5)(20)), 4)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: Any) -> Any:
        return float(self.initial_learning_rate) / (1.0 + float(self.decay_rate) * self._exponent(step))


class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]` up to and including `boundaries[i]`, the last value beyond.

    >>> from cnnrs.optimizers import schedules
    >>> [round(float(schedules.PiecewiseConstantDecay([5], [1.0, 0.5])(step)), 4) for step in (5, 6)]
    [1.0, 0.5]
    """

    def __init__(self, boundaries: Any, values: Any, name: str = "PiecewiseConstant"):
        if len(boundaries) + 1 != len(values):
            raise ValueError(
                f"{name}: expected one more value than boundaries, "
                f"received {len(values)} and {len(boundaries)}"
            )
        if any(later <= former for former, later in zip(boundaries[:-1], boundaries[1:], strict=True)):
            raise ValueError(
                f"{name}: boundaries: expected each above the one before, received {boundaries!r}"
            )
        self.boundaries, self.values, self.name = list(boundaries), list(values), name

    def __call__(self, step: Any) -> Any:
        step = step_of(step)
        rate: Any = _core.tensor(float(self.values[-1]), dtype="float32")
        for boundary, value in reversed(list(zip(self.boundaries, self.values, strict=False))):
            rate = raw.where(step <= float(boundary), float(value), rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


class PolynomialDecay(LearningRateSchedule):
    """From `initial` to `end` over `decay_steps` by a polynomial of degree `power`.

    >>> from cnnrs.optimizers import schedules
    >>> round(float(schedules.PolynomialDecay(0.1, 10, 0.0)(5)), 4)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        number(initial_learning_rate, name, "initial_learning_rate", least=0)
        number(decay_steps, name, "decay_steps", above=0)
        number(end_learning_rate, name, "end_learning_rate", least=0)
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name

    def __call__(self, step: Any) -> Any:
        step, total = step_of(step), float(self.decay_steps)
        if self.cycle:
            times = raw.maximum(raw.ceil(step / total), 1.0)
            done = step / (total * times)
        else:
            done = raw.minimum(step, total) / total
        left = 1.0 - done
        if self.power != 1.0:
            left = raw.pow(left, float(self.power))
        return (self.initial_learning_rate - self.end_learning_rate) * left + float(self.end_learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


class CosineDecay(LearningRateSchedule):
    """From `initial` to `alpha · initial` along half a cosine (Loshchilov and Hutter 2017), after a
    linear warm-up to `warmup_target` if one is given.

    >>> from cnnrs.optimizers import schedules
    >>> [round(float(schedules.CosineDecay(0.1, 10)(step)), 4) for step in (0, 5, 10)]
    [0.1, 0.05, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ):
        number(initial_learning_rate, name, "initial_learning_rate", least=0)
        number(decay_steps, name, "decay_steps", above=0)
        self.initial_learning_rate, self.decay_steps, self.alpha = initial_learning_rate, decay_steps, alpha
        integer(warmup_steps, name, "warmup_steps", least=0)
        if warmup_target is not None:
            number(warmup_target, name, "warmup_target", least=0)
        self.name, self.warmup_target, self.warmup_steps = name, warmup_target, warmup_steps

    def _decay(self, step: Any, start: float) -> Any:
        done = raw.minimum(step, float(self.decay_steps)) / float(self.decay_steps)
        cosine = 0.5 * (1.0 + raw.cos(done * math.pi))
        return ((1.0 - self.alpha) * cosine + float(self.alpha)) * float(start)

    def __call__(self, step: Any) -> Any:
        step = step_of(step)
        if self.warmup_target is None:
            return self._decay(step, self.initial_learning_rate)
        warmup = float(self.warmup_steps)
        rise = (self.warmup_target - self.initial_learning_rate) * (step / max(warmup, 1.0))
        rising = rise + float(self.initial_learning_rate)
        return raw.where(step < warmup, rising, self._decay(step - warmup, self.warmup_target))

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decay that restarts, each period `t_mul` as long and `m_mul` as high as the one before.

    Loshchilov and Hutter 2017, equation 5.

    >>> from cnnrs.optimizers import schedules
    >>> [round(float(schedules.CosineDecayRestarts(0.1, 10)(step)), 4) for step in (0, 5, 10)]
    [0.1, 0.05, 0.1]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        number(initial_learning_rate, name, "initial_learning_rate", least=0)
        number(first_decay_steps, name, "first_decay_steps", above=0)
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self._t_mul, self._m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name

    def __call__(self, step: Any) -> Any:
        done = step_of(step) / float(self.first_decay_steps)
        if self._t_mul == 1.0:
            period = raw.floor(done)
            done = done - period
        else:
            grown = 1.0 - done * (1.0 - self._t_mul)
            period = raw.floor(raw.log(grown) * (1.0 / math.log(self._t_mul)))
            scale = power(self._t_mul, period)
            done = (done - (1.0 - scale) / (1.0 - self._t_mul)) / scale
        height = power(self._m_mul, period) if self._m_mul != 1.0 else 1.0
        cosine = 0.5 * (1.0 + raw.cos(done * math.pi)) * height
        return ((1.0 - self.alpha) * cosine + float(self.alpha)) * float(self.initial_learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self._t_mul,
            "m_mul": self._m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }
