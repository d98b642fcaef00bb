"""`StepRunner`: runs a step of a model on batches."""

from __future__ import annotations

from collections.abc import Hashable
from operator import attrgetter
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base import policies
from cnnrs.base.building import building
from cnnrs.training.data_adapter import ArrayData
from cnnrs.training.logs import as_numbers
from cnnrs.training.model_steps import Kind, ModelSteps
from cnnrs.training.samples import Samples, leaves
from cnnrs.training.step import RecordedStep, Signature, as_tensors, computed, python_step

__all__ = ["StepRunner"]

# Methods of which a step of each kind consists.
_METHODS = {
    "train": ("call", "compute_metrics", "train_step", "compute_loss"),
    "test": ("call", "compute_metrics", "test_step", "compute_loss"),
    "predict": ("call", "compute_metrics", "predict_step"),
}
_PREDICT_METHODS = attrgetter(*_METHODS["predict"])


class StepRunner:
    """Runs one kind of step of a model on batches.

    A step (forward, loss, gradients, update, metrics) is recorded once for each shape of batch and then
    replayed without Python. `run_eagerly=True`, and models whose `call`, `train_step` or `test_step` the user
    wrote, run their Python at every batch unless `jit_compile=True`.

    Args:
        model: The model.
        kind: The kind of step.
    """

    def __init__(self, model: ModelSteps, kind: Kind):
        self.model = model
        self.kind = kind

    def group(self, batches: list[Samples]) -> Any:
        """Runs batches one after the other; gives what the step gives for the last one.

        A function that the user put in the place of `train_function` gets them all.
        """
        function = self.model._own_function(self.kind)
        if function is None:
            for samples in batches:
                outcome = self.one(samples)
            return outcome
        with building(self.model):
            self._prepare(batches[0], in_python=True)
        tensors = [as_tensors(samples) for samples in batches]
        data = iter([batch if isinstance(batch, tuple) else (batch,) for batch in tensors])
        return computed(lambda: function(data), self.model._assignable)

    def one(self, samples: Samples) -> Any:
        """Runs one batch; gives what the step gives."""
        if self.kind != "predict":
            self.model._check_samples(samples)
        if not self._in_python():
            step = self.recorded(samples)
            if self._asks_python():
                self.model.optimizer.before_step()
            return step(leaves(samples))
        with building(self.model):
            self._prepare(samples, in_python=True)
        return python_step(self.model._step_function(self.kind), samples, self.model._assignable)

    def array(self, x: Any) -> Any:
        """Predicts one batch as `group` does; makes no signature for arrays of a kind that came before."""
        key = self._array_key(x)
        steps = self.model._recorded
        step = None if key is None else steps.of_arrays.get(key)
        if step is not None:
            return step([x])
        samples = ArrayData(x, None, None, None).samples
        outputs = self.group([samples])
        # Values of int64 are looked at in each array, others are not.
        if key is not None and samples[0] is x and x.dtype != np.int64 and not self._in_python():
            steps.of_arrays[key] = self.recorded(samples)
        return outputs

    def _array_key(self, x: Any) -> Hashable | None:
        """All that decides which step predicts an array; None for others, and for a function of the user."""
        model = self.model
        if type(x) is not np.ndarray or model._own_function("predict") is not None:
            return None
        settings = (_core.plan_key(), policies.changes(), model.run_eagerly, model.jit_compile)
        return x.shape, x.dtype, settings, _PREDICT_METHODS(type(model))

    def many(self, head: Samples) -> RecordedStep | None:
        """The step that runs many batches of the shape of `head`; None if Python runs at every batch."""
        return None if self._in_python() or self._asks_python() else self.recorded(head)

    def logs(self, outcome: Any) -> dict[str, Any]:
        """What a step gave, as numbers by name."""
        return as_numbers(outcome)

    def recorded(self, samples: Samples) -> RecordedStep:
        """The recorded step for batches of this shape."""
        model = self.model
        signature = Signature.of(self.kind, samples, model._mixing)
        with building(model):
            self._prepare(samples, in_python=False)
            steps = model._recorded
            step = steps.get(signature)
            if step is None:
                function = model._step_function(self.kind)
                label = f"{model.name}: {self.kind}_step on {signature.facts[0][0][0]} samples"
                step = steps[signature] = RecordedStep.record(function, samples, signature, label)
                model._clear_losses()
        return step

    def _asks_python(self) -> bool:
        """Whether Python gives the learning rate of each step."""
        return self.kind == "train" and self.model.optimizer is not None and self.model.optimizer.asks_python

    def _in_python(self) -> bool:
        """Whether Python runs at the next batch."""
        model = self.model
        if model._own_function(self.kind) is not None:
            return True
        if model.run_eagerly or model.jit_compile is False:
            return True
        if model.jit_compile is True:
            # The layers of a model that is never called are built by their first step.
            return not (model._defines_call() or self._layers_are_built())
        for method in _METHODS[self.kind]:
            if not getattr(type(model), method).__module__.startswith("cnnrs."):
                return True
        return False

    def _layers_are_built(self) -> bool:
        return all(layer.built for layer in self.model._flatten_layers() if layer is not self.model)

    def _prepare(self, samples: Samples, in_python: bool) -> None:
        """Makes weights and the optimizer's variables, so that recording finds them there.

        A step that runs in Python makes the weights itself, and `Optimizer.apply` then makes its variables.
        """
        model = self.model
        called = model._defines_call()
        if not model.built and called and not in_python:
            one = tree.map_structure(lambda a: None if a is None else _core.tensor(a[:1]), samples[0])
            with _core.no_grad():
                model(one)
        if self.kind == "train" and model.optimizer is not None and not model.optimizer.built:
            if (model.built or not called) and self._layers_are_built():
                model.optimizer.build(model.trainable_variables)
