"""`SecondPass`: the loss of a batch once more, for optimizers that ask for it at other weights."""

from __future__ import annotations

from typing import Any

__all__ = ["SecondPass"]


class SecondPass:
    """A second pass over the batch of a step, which sees what the first saw and leaves no trace.

    Random numbers are those of the first pass; moving statistics and metrics stay as that left them. Only the
    weights may differ. It is made before the first pass.

    Args:
        model: The model.
    """

    def __init__(self, model: Any):
        self._model = model
        self._before = {variable.id: variable.value for variable in self._state()}

    def _state(self) -> list[Any]:
        """What a pass may change: everything but the weights and the optimizer's state."""
        kept = {v.id for v in (*self._model.trainable_weights, *self._model.optimizer.variables)}
        return [v for v in self._model._assignable() if v.id not in kept]

    def loss(self, x: Any, y: Any, sample_weight: Any) -> Any:
        """The loss at the present weights, scaled as the optimizer wants it."""
        model = self._model
        after = [(variable, variable.value) for variable in self._state()]
        for variable, value in after:
            variable.assign(self._before.get(variable.id, value))
        loss = model._loss_of(x, y, model(x, training=True), sample_weight, training=True)
        for variable, value in after:
            variable.assign(value)
        return model.optimizer.scale_loss(loss)
