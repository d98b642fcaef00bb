"""Callbacks that set the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs.base.arguments import number, reject
from cnnrs.callbacks.callback import Callback
from cnnrs.callbacks.monitoring import Monitor


def single(optimizer: Any) -> Iterator[tuple[Any, str]]:
    """The optimizers that update variables: `optimizer`, or those inside of it with their names."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    inner = getattr(optimizer, "optimizers", None)
    yield from [(optimizer, "")] if inner is None else [(one, f"{one.name} ") for one in inner]


def log_rates(optimizer: Any, logs: Any) -> None:
    """Adds the learning rate of each optimizer to the logs."""
    if logs is not None:
        for one, of in single(optimizer):
            name = f"learning_rate_{of.strip()}" if of else "learning_rate"
            logs[name] = float(np.asarray(one.learning_rate))


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when a log has not become better for `patience` epochs.

    Args:
        monitor: Name of the log.
        factor: What the rate is multiplied by, less than 1.
        patience: Epochs without a better value before that.
        verbose: 1 prints the new rate.
        mode: "min", "max", or "auto" by the name of the log.
        min_delta: Least change that counts as better.
        cooldown: Epochs to wait after a reduction.
        min_lr: Lower bound of the rate.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import callbacks
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 2), "float32")
    >>> reduce = callbacks.ReduceLROnPlateau(monitor="loss", patience=1, factor=0.5, min_delta=100.0)
    >>> history = model.fit(x, x.sum(1), epochs=3, verbose=0, callbacks=[reduce])
    >>> [round(rate, 4) for rate in history.history["learning_rate"]]
    [0.01, 0.01, 0.005]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 0.0001,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(monitor, mode, min_delta)
        reject(type(self), kwargs)
        number(factor, self, "factor", least=0, below=1)
        for argument, value in (("patience", patience), ("cooldown", cooldown), ("min_lr", min_lr)):
            number(value, self, argument, least=0)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.wait, self.cooldown_counter = 0, 0
        self.best: float | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait, self.cooldown_counter, self.best = 0, 0, None

    def training_state(self) -> dict[str, Any]:
        return {"wait": self.wait, "cooldown_counter": self.cooldown_counter, "best": self.best}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self.wait, self.cooldown_counter, self.best = state["wait"], state["cooldown_counter"], state["best"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        log_rates(self.model.optimizer, logs)
        self._is_upward()
        value = self._value(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._better(value, self.best):
            self.best, self.wait = value, 0
            return
        if self.cooldown_counter > 0:
            return
        self.wait += 1
        if self.wait < self.patience:
            return
        for optimizer, of in single(self.model.optimizer):
            rate = float(np.asarray(optimizer.learning_rate))
            if rate <= self.min_lr:
                continue
            rate = max(rate * self.factor, self.min_lr)
            optimizer.learning_rate = rate
            if self.verbose > 0:
                print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing {of}learning rate to {rate}.")
            self.cooldown_counter, self.wait = self.cooldown, 0


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch to `schedule(epoch, lr)` or `schedule(epoch)`.

    Args:
        schedule: Called with the epoch, counted from 0, and the rate so far if it takes two arguments.
        verbose: 1 prints the rate.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import callbacks
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 2), "float32")
    >>> decay = callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    >>> history = model.fit(x, x.sum(1), epochs=2, verbose=0, callbacks=[decay])
    >>> [round(rate, 4) for rate in history.history["learning_rate"]]
    [0.1, 0.05]
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        import inspect

        takes = [
            p
            for p in inspect.signature(self.schedule).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)
        ]
        two = len(takes) > 1 or any(p.kind == p.VAR_POSITIONAL for p in takes)
        for optimizer, of in single(self.model.optimizer):
            rate = float(np.asarray(optimizer.learning_rate))
            rate = self.schedule(epoch, rate) if two else self.schedule(epoch)
            if not isinstance(rate, (float, int, np.floating, np.integer)):
                raise ValueError(f"LearningRateScheduler: schedule: expected a number, received {rate!r}")
            optimizer.learning_rate = float(rate)
            if self.verbose > 0:
                print(
                    f"\nEpoch {epoch + 1}: LearningRateScheduler setting {of}learning rate to {float(rate)}."
                )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        log_rates(self.model.optimizer, logs)
