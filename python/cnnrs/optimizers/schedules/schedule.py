"""The base class of learning-rate schedules."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import _core
from cnnrs.base.arguments import NamedArguments
from cnnrs.ops import raw

__all__ = ["LearningRateSchedule", "power", "step_of"]


def step_of(step: Any) -> Any:
    """The number of a step as a float32 tensor."""
    if isinstance(step, (_core.Tensor, _core.Variable)):
        return step.astype("float32") if isinstance(step, _core.Tensor) else step.value.astype("float32")
    return _core.tensor(step, dtype="float32")


def power(base: float, exponent: Any) -> Any:
    """A number above 0 to the power of a tensor."""
    return raw.exp(exponent * math.log(base))


class LearningRateSchedule(NamedArguments):
    """Base class: subclasses define `__call__(step)` and `get_config()`.

    >>> from cnnrs.optimizers import schedules
    >>> class Halving(schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 / (1.0 + step)
    >>> round(float(Halving()(1)), 4)
    0.05
    """

    @property
    def waits(self) -> bool:
        """Whether it cannot be called before `bind` has told it how long epochs are."""
        return False

    @property
    def filled_in(self) -> bool:
        """Whether `bind` says how long it is, so that it begins anew with each training."""
        return False

    def bind(self, steps_per_epoch: float | None, epochs: float) -> bool:
        """Tells a schedule that counts epochs how many updates they have; gives whether it has changed.

        Args:
            steps_per_epoch: Updates of an epoch; None if that is not known.
            epochs: The epoch that training stops before.
        """
        return False

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step`, a scalar tensor."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        raise NotImplementedError(f"{type(self).__name__} must define get_config()")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """The schedule of a config."""
        return cls(**config)
