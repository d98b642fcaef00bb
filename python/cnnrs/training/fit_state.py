"""`Fit`: the training under way, as callbacks may keep it, and how one that was interrupted is taken up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import random
from cnnrs.training.batches import Batches
from cnnrs.training.data_adapter import BatchData
from cnnrs.training.mixing import BatchMixing
from cnnrs.training.runner import StepRunner
from cnnrs.training.samples import Samples
from cnnrs.training.step import RecordedStep

__all__ = ["Fit", "Resumed", "ResumedRunner"]


class Fit:
    """What a call of `fit` is doing.

    Attributes:
        model: The model.
        batches: Its batches.
        validation: The batches that it validates on, if they are those of an iterable; else None.
        callbacks: Its callbacks.
        mixing: What mixes the samples of its batches; None if nothing does.
        resumed: What a callback has taken up, until the epoch begins.
        ended: Number and logs of the last epoch that has ended; None before.
    """

    def __init__(
        self,
        model: Any,
        batches: Batches,
        callbacks: Any,
        validation: Any = None,
        mixing: BatchMixing | None = None,
    ):
        self.model = model
        self.batches = batches
        self.validation = validation if isinstance(validation, BatchData) else None
        self.validation_data = validation
        self.callbacks = callbacks
        self.mixing = mixing
        self.resumed: Resumed | None = None
        self.ended: tuple[int, dict[str, Any]] | None = None

    def state(self, tensors: dict[str, np.ndarray], within: bool) -> dict[str, Any]:
        """The place in the data, metrics, random states, and the states of callbacks.

        Args:
            tensors: Arrays are put there, as bytes.
            within: Whether an epoch is under way.

        Returns:
            The rest, as plain data that refers to them.
        """
        metrics = [_array(variable) for variable in _of_metrics(self.model)] if within else []
        callbacks = {name: callback.training_state() for name, callback in _named(self.callbacks)}
        return {
            "batches": self.batches.state(within),
            "validation": None if self.validation is None else self.validation.state(),
            "metrics": _packed(metrics, tensors),
            "random": _packed(random.state(), tensors),
            "schedules": [] if self.model.optimizer is None else self.model.optimizer.began(),
            "mixing": _packed([_array(state) for state in self._mixing_states()], tensors),
            "callbacks": _packed({name: state for name, state in callbacks.items() if state}, tensors),
        }

    def resume(
        self,
        state: dict[str, Any],
        tensors: dict[str, np.ndarray],
        done: int,
        logs: dict[str, Any],
        restore: Callable[[], None],
    ) -> None:
        """Takes up what `state` wrote.

        Args:
            state: What it gave.
            tensors: What it put there.
            done: Batches of the epoch that have been run.
            logs: The logs of the last of them.
            restore: Sets weights and the optimizer.
        """
        values = _unpacked(state.get("mixing", []), tensors)
        states = self._mixing_states()
        if len(values) != len(states):
            raise ValueError(
                f"{self.model.name}: fit: batch_augmentation: expected {len(values)} layers, as when "
                f"training was interrupted, received {len(states)}"
            )

        def restore_all() -> None:
            restore()
            for variable, value in zip(states, values, strict=True):
                variable.assign(value)

        self.resumed = Resumed(self.model, _unpacked(state, tensors), done, logs, restore_all)
        self.batches.resume(state["batches"], done)
        # Schedules go on, and do not begin with this call of `fit`.
        optimizer = self.model.optimizer
        if optimizer is not None:
            optimizer.begin(state.get("schedules") or [0] * len(optimizer.began()))
        if self.validation is not None and state.get("validation") is not None:
            self.validation.restore(state["validation"])
        random.set_state(self.resumed.random)
        for variable, value in zip(states, values, strict=True):
            variable.assign(value)

    def _mixing_states(self) -> list[Any]:
        return [] if self.mixing is None else self.mixing.variables

    def take_resumed(self) -> Resumed | None:
        """What was taken up, once: only the first epoch goes on in its middle."""
        resumed, self.resumed = self.resumed, None
        return resumed


class Resumed:
    """Training that was interrupted.

    Attributes:
        batches_done: Batches of the epoch that have been run.
        logs: The logs of the last of them.
        random: The random states.
    """

    def __init__(
        self,
        model: Any,
        state: dict[str, Any],
        done: int,
        logs: dict[str, Any],
        restore: Callable[[], None],
    ):
        self.batches_done = done
        self.logs = logs
        self.random: tuple[Any, ...] = tuple(state["random"])
        self._model, self._restore = model, restore
        self._metrics, self._callbacks = state["metrics"], state["callbacks"]

    def restore_callbacks(self, callbacks: Any) -> None:
        """Gives callbacks their states; those that were not there have none."""
        for name, callback in _named(callbacks):
            if name in self._callbacks:
                callback.load_training_state(self._callbacks[name])

    def restore(self) -> None:
        """Sets all state, that of metrics, too, which the first step has made."""
        order = self._model._shuffle_seed.state.numpy()
        self._restore()
        self._model._shuffle_seed.state.assign(order)
        variables = _of_metrics(self._model)
        if len(variables) != len(self._metrics):
            raise ValueError(
                f"{self._model.name}: fit: expected {len(self._metrics)} variables of metrics, as when "
                f"training was interrupted, received {len(variables)}; compile with the same metrics"
            )
        for variable, value in zip(variables, self._metrics, strict=True):
            variable.assign(value)
        random.set_state(self.random)


class ResumedRunner(StepRunner):
    """Runs the rest of an epoch. The state is set once a step has made all that has some.

    Args:
        model: The model.
        kind: The kind of step.
        resumed: The training that was interrupted.
    """

    def __init__(self, model: Any, kind: Any, resumed: Resumed):
        super().__init__(model, kind)
        self._resumed: Resumed | None = resumed

    def group(self, batches: list[Samples]) -> Any:
        self._settle(batches[0])
        return super().group(batches)

    def many(self, head: Samples) -> RecordedStep | None:
        if not self._in_python():
            self._settle(head)
        return super().many(head)

    def _settle(self, samples: Samples) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is None:
            return
        if self._in_python():
            super().group([samples])
        else:
            self.recorded(samples)
        resumed.restore()


def _of_metrics(model: Any) -> list[Any]:
    return [variable for metric in model.metrics for variable in metric._state()]


def _named(callbacks: Any) -> Iterator[tuple[str, Any]]:
    """Callbacks with the names of their classes, and which one of the class each is."""
    count: Counter[str] = Counter()
    for callback in callbacks:
        kind = type(callback).__name__
        if hasattr(callback, "training_state"):
            yield f"{kind}/{count[kind]}", callback
        count[kind] += 1


def _array(variable: Any) -> np.ndarray:
    """The value of a variable; an array, whose bits are kept, even where it is one number."""
    return np.asarray(variable.value.numpy())


def _packed(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    """Plain data in which arrays are references to their bytes in `tensors`."""
    if isinstance(value, dict):
        return {key: _packed(item, tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_packed(item, tensors) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        return value
    name = f"fit/{sum(key.startswith('fit/') for key in tensors)}"
    # An array of no elements has no place in a file; its shape tells all.
    tensors[name] = np.frombuffer(value.tobytes() or b"\0", np.uint8).copy()
    return {"__array__": name, "dtype": value.dtype.str, "shape": list(value.shape)}


def _unpacked(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "__array__" not in value:
        return {key: _unpacked(item, tensors) for key, item in value.items()}
    dtype, shape = np.dtype(value["dtype"]), value["shape"]
    data = np.ascontiguousarray(tensors[value["__array__"]]).tobytes()
    return np.frombuffer(data, dtype, count=int(np.prod(shape))).reshape(shape).copy()
