"""`StochasticWeightAveraging`: the mean of the weights of the last epochs."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import integer, number
from cnnrs.callbacks.callback import Callback
from cnnrs.callbacks.learning_rates import single

__all__ = ["StochasticWeightAveraging"]


class StochasticWeightAveraging(Callback):
    """Gives the model, at the end of training, the mean of its weights at the ends of the last epochs.

    Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization",
    arXiv:1803.05407, algorithm 1: from epoch `start` on, after every `frequency` epochs,
    `w_swa ← (n · w_swa + w) / (n + 1)`. At the end the moving statistics of batch normalisation are computed
    anew with these weights, over the data of `fit` (`utils.reestimate_batch_norm`).

    Args:
        start: The first epoch, counted from 0, at whose end weights count; a float below 1 is a part of the
            epochs.
        frequency: Epochs between weights that count.
        learning_rate: The rate from `start` on; None leaves it to the optimizer, whose schedule goes on.
        data: Data over which moving statistics are computed; None takes those of `fit`.
        steps: Batches to look at, if not all.

    Raises:
        ValueError: In `fit`: `start` is not before the last epoch, or statistics need data that cannot be
            gone through again.
        TypeError: `learning_rate` is given, and the optimizer follows a schedule.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> average = cnnrs.callbacks.StochasticWeightAveraging(start=0.5)
    >>> history = model.fit(np.ones((4, 2)), np.ones(4), epochs=6, verbose=0, callbacks=[average])
    >>> average.count
    3
    """

    def __init__(
        self,
        start: Any = 0.75,
        frequency: int = 1,
        learning_rate: float | None = None,
        data: Any = None,
        steps: int | None = None,
    ):
        super().__init__()
        if isinstance(start, float):
            number(start, self, "start", least=0, below=1)
        else:
            integer(start, self, "start", least=0)
        self.start = start
        self.frequency = integer(frequency, self, "frequency", least=1)
        if learning_rate is not None:
            number(learning_rate, self, "learning_rate", above=0)
        self.learning_rate, self.data, self.steps = learning_rate, data, steps
        self.count = 0
        self._averages: list[np.ndarray] = []
        self._first = 0

    def on_train_begin(self, logs: Any = None) -> None:
        epochs = self.params["epochs"]
        first = int(self.start * epochs) if isinstance(self.start, float) else self.start
        if epochs and first >= epochs:
            raise ValueError(
                f"StochasticWeightAveraging: start: expected an epoch before the last of {epochs}, received "
                f"{self.start!r}: averaging ends before it begins"
            )
        self.count, self._averages, self._first = 0, [], first
        self.model._reestimate(self.data, self.steps, check=True)
        if self.learning_rate is not None:
            for optimizer, _ in single(self.model.optimizer):
                if optimizer._schedule is not None or optimizer._host_schedule is not None:
                    raise TypeError(
                        "StochasticWeightAveraging: learning_rate: expected an optimizer whose rate is a "
                        f"number, received {optimizer!r}, which follows a schedule"
                    )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.learning_rate is not None and epoch >= self._first:
            for optimizer, _ in single(self.model.optimizer):
                optimizer.learning_rate = self.learning_rate

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch < self._first or (epoch - self._first) % self.frequency:
            return
        weights = [weight.numpy() for weight in self.model.trainable_weights]
        if not self._averages:
            self._averages = [weight.astype(np.float64) for weight in weights]
        else:
            for average, weight in zip(self._averages, weights, strict=True):
                average += (weight - average) / (self.count + 1)
        self.count += 1

    def on_train_end(self, logs: Any = None) -> None:
        if not self.count:
            return
        for variable, average in zip(self.model.trainable_weights, self._averages, strict=True):
            variable.assign(average.astype(np.float32))
        self.model._reestimate(self.data, self.steps)

    def training_state(self) -> dict[str, Any]:
        return {"count": self.count, **{f"average/{i}": a for i, a in enumerate(self._averages)}}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self.count = int(state["count"])
        self._averages = [state[f"average/{i}"] for i in range(len(state) - 1)]
