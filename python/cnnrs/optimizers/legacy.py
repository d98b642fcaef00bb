"""`tf.keras.optimizers.legacy` of TensorFlow 2.11 to 2.15: today's optimizers, with `lr` and `decay` besides.

Each name is a function that makes the optimizer of today, so that files and `isinstance` know one class.
Today's optimizers compute what those did; `decay` becomes the schedule that it was.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from cnnrs.base import suggest
from cnnrs.base.arguments import number
from cnnrs.optimizers import schedules
from cnnrs.optimizers.adaptive import Adadelta as _Adadelta
from cnnrs.optimizers.adaptive import Adamax as _Adamax
from cnnrs.optimizers.adaptive import Nadam as _Nadam
from cnnrs.optimizers.algorithms import SGD as _SGD
from cnnrs.optimizers.algorithms import Adagrad as _Adagrad
from cnnrs.optimizers.algorithms import Adam as _Adam
from cnnrs.optimizers.algorithms import RMSprop as _RMSprop
from cnnrs.optimizers.averaged import Ftrl as _Ftrl
from cnnrs.optimizers.optimizer import Optimizer

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "Optimizer", "RMSprop"]


def _former(kind: type[Optimizer]) -> Callable[..., Optimizer]:
    """The function that makes an optimizer of a class of today from the arguments of before."""
    default = inspect.signature(kind).parameters["learning_rate"].default

    @functools.wraps(kind, assigned=("__name__",), updated=())
    def make(
        learning_rate: Any = default, *args: Any, decay: float = 0.0, lr: Any = None, **kwargs: Any
    ) -> Optimizer:
        if lr is not None:
            learning_rate = lr
        if number(decay, kind.__name__, "decay", least=0):
            if not isinstance(learning_rate, (int, float)):
                raise ValueError(
                    f"{kind.__name__}: decay: expected a learning rate that is a number, "
                    f"received {learning_rate!r}"
                )
            learning_rate = schedules.InverseTimeDecay(learning_rate, 1, decay)
        return kind(learning_rate, *args, **kwargs)

    del make.__wrapped__
    make.__qualname__ = kind.__name__
    make.__doc__ = f"""An optimizer `{kind.__name__}` of today.

    Args:
        learning_rate: The rate, or a schedule.
        *args: As `optimizers.{kind.__name__}` takes them.
        decay: What the rate falls by: it is `learning_rate / (1 + decay · step)`.
        lr: Another name of `learning_rate`.
        **kwargs: As `optimizers.{kind.__name__}` takes them.

    Returns:
        The optimizer.

    Raises:
        ValueError: `decay` is given with a schedule.
    """
    return make


SGD = _former(_SGD)
Adam = _former(_Adam)
RMSprop = _former(_RMSprop)
Adagrad = _former(_Adagrad)
Adadelta = _former(_Adadelta)
Adamax = _former(_Adamax)
Nadam = _former(_Nadam)
Ftrl = _former(_Ftrl)

__getattr__ = suggest.without("cnnrs.optimizers.legacy", {}, __all__)
