"""`StepFunctions`: `train_function` and its like, which a user may replace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from cnnrs.training.model_steps import Kind, ModelSteps
from cnnrs.training.runner import StepRunner
from cnnrs.training.samples import Samples, as_arrays, unpack_x_y_sample_weight

__all__ = ["StepFunction", "StepFunctions"]


class StepFunction:
    """Runs `steps_per_execution` steps of a model on what an iterator gives.

    Attributes:
        model: The model.
        kind: "train", "test" or "predict".
    """

    def __init__(self, model: ModelSteps, kind: Kind):
        self.model = model
        self.kind = kind

    def __call__(self, iterator: Iterator[Any]) -> Any:
        """What the last step gave: logs, or outputs.

        Args:
            iterator: Gives batches `x`, `(x, y)` or `(x, y, sample_weight)`.

        Raises:
            StopIteration: There is no batch.
        """
        batches = [_samples(batch) for batch in islice(iterator, self.model.steps_per_execution)]
        if not batches:
            raise StopIteration
        runner = StepRunner(self.model, self.kind)
        for samples in batches:
            outcome = runner.one(samples)
        return outcome

    def __repr__(self) -> str:
        return f"<{self.kind}_function of {self.model.name}>"


def _samples(batch: Any) -> Samples:
    x, y, weight = unpack_x_y_sample_weight(batch)
    return as_arrays(x, "x"), as_arrays(y, "y"), as_arrays(weight, "sample_weight")


class StepFunctions(ModelSteps):
    """A model whose steps are run by functions that may be replaced.

    `fit` calls `make_train_function()`. If that, or an assignment to `train_function`, put a function of the
    user there, `fit` calls it with an iterator over `steps_per_execution` batches, and takes what it gives as
    logs; likewise `evaluate` with `test_function`, `predict` with `predict_function`. `compile` forgets it.
    """

    def _own_function(self, kind: Kind) -> Callable[[Any], Any] | None:
        function = getattr(self, f"{kind}_function")
        return None if isinstance(function, StepFunction) else function

    def _make_function(self, kind: Kind, force: bool) -> Any:
        attribute = f"{kind}_function"
        if getattr(self, attribute) is None or force:
            setattr(self, attribute, StepFunction(self, kind))
        return getattr(self, attribute)

    def make_train_function(self, force: bool = False) -> Any:
        """The function that runs steps of training on what an iterator gives; a subclass may make another.

        Args:
            force: Whether to make it anew.

        Returns:
            `train_function`.

        >>> import numpy as np
        >>> import cnnrs
        >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile("sgd", "mse")
        >>> step = model.make_train_function()
        >>> float(step(iter([(np.ones((4, 2)), np.ones((4, 1)))]))["loss"])
        1.0
        """
        return self._make_function("train", force)

    def make_test_function(self, force: bool = False) -> Any:
        """The function that runs steps of evaluation, as `make_train_function`."""
        return self._make_function("test", force)

    def make_predict_function(self, force: bool = False) -> Any:
        """The function that predicts on what an iterator gives, as `make_train_function`."""
        return self._make_function("predict", force)
