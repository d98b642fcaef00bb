"""`Snapshot`: the whole state of a model in training, taken and put back bit for bit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from cnnrs import random

__all__ = ["Snapshot", "unchanged"]


class Snapshot:
    """Weights, moving statistics, random states, metrics, and the optimizer of a model.

    Args:
        model: The model. What is made after the snapshot keeps the value that it is made with.
    """

    def __init__(self, model: Any):
        self._model = model
        variables = {id(v): v for v in model._assignable()}
        # Values are arrays of the host: a step may write a variable's own memory anew.
        self._values = [(v, v.value.numpy()) for v in variables.values()]
        self._own: list[tuple[Any, dict[str, Any]]] = []
        for layer in model._flatten_layers():
            if layer._keeps_own_state():
                store: dict[str, Any] = {}
                layer.save_own_variables(store)
                self._own.append((layer, store))
        self._random = random.state()
        self._shuffle = model._shuffle_seed.state.numpy()

    def restore(self) -> None:
        """Puts all of it back."""
        for variable, value in self._values:
            variable.assign(value)
        for layer, store in self._own:
            layer.load_own_variables(store)
        random.set_state(self._random)
        self._model._shuffle_seed.state.assign(self._shuffle)


@contextlib.contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """Afterwards the model is what it was: its state, its optimizer, what it recorded and its flags."""
    snapshot = Snapshot(model)
    optimizer, recorded, stop = model.optimizer, model._recorded, model.stop_training
    model._forget_recorded()
    try:
        yield
    finally:
        model.optimizer, model._recorded, model.stop_training = optimizer, recorded, stop
        snapshot.restore()
        model._clear_losses()
