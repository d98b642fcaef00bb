"""`overfit_one_batch`: whether a model can learn a batch by heart, which whatever can learn does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cnnrs import optimizers
from cnnrs.base.arguments import integer, named, number
from cnnrs.training.data_adapter import ArrayData, make_data
from cnnrs.training.samples import map_samples
from cnnrs.training.snapshot import unchanged

__all__ = ["Overfitting", "overfit_one_batch"]


@dataclass(frozen=True)
class Overfitting:
    """What came of training on one batch.

    Attributes:
        losses: The loss of each step.
        accuracy: Accuracy on the batch in the last step; None where the model has no such metric.
        passed: Whether the batch was learnt.
        advice: What to look at if it was not.
    """

    losses: list[float]
    accuracy: float | None
    passed: bool
    advice: str

    def __str__(self) -> str:
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.2f}"
        first, last = self.losses[0], self.losses[-1]
        text = f"one batch: loss {first:.4g} → {last:.4g} in {len(self.losses)} steps{accuracy}"
        return f"{text}: learnt by heart" if self.passed else f"{text}: not learnt\n  do: {self.advice}"


@named
def overfit_one_batch(
    model: Any,
    x: Any,
    y: Any = None,
    steps: int = 200,
    learning_rate: float = 1e-3,
    batch_size: int = 32,
) -> Overfitting:
    """Trains on one batch again and again, by Adam at a constant rate, and puts all back.

    A model that cannot learn one batch by heart has a mistake: in its loss, its labels or its layers.

    Args:
        model: A compiled model.
        x: Data as for `fit`, of which the first batch is taken.
        y: Targets, if x is arrays.
        steps: How many steps at most; it ends when the batch is learnt.
        learning_rate: The rate of Adam.
        batch_size: Samples of the batch, if x is arrays.

    Raises:
        ValueError: The model is not compiled, or there is no batch.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import layers, sanity
    >>> model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(64, activation="relu"), layers.Dense(3)])
    >>> loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile("sgd", loss, metrics=["accuracy"])
    >>> x = np.random.default_rng(0).normal(size=(8, 4))
    >>> sanity.overfit_one_batch(model, x, np.arange(8) % 3, learning_rate=0.02).passed
    True
    """
    owner = "overfit_one_batch"
    steps = integer(steps, owner, "steps", least=1)
    learning_rate = number(learning_rate, owner, "learning_rate", above=0)
    model._require_compiled(owner)
    if y is None and isinstance(x, tuple) and len(x) == 2:
        x, y = x
    data = make_data(x, y, None, integer(batch_size, owner, "batch_size", least=1) if y is not None else None)
    if isinstance(data, ArrayData):
        size = min(data.batch_size, data.size)
        inputs, targets, _ = map_samples(lambda array: array[:size], data.samples)
    else:
        batch = next(iter(data.epoch()), None)
        if batch is None:
            raise ValueError(f"{owner}: x: expected at least one batch, received none")
        inputs, targets, _ = batch
    if not model.built:
        model(inputs)
    losses: list[float] = []
    accuracy = None
    with unchanged(model):
        model.optimizer = optimizers.Adam(learning_rate)
        for _ in range(steps):
            model.reset_metrics()
            logs = model.train_on_batch(inputs, targets, return_dict=True)
            losses.append(float(logs["loss"]))
            accuracy = next((float(v) for k, v in logs.items() if k.endswith(("accuracy", "acc"))), None)
            if not math.isfinite(losses[-1]):
                break
            if accuracy is None and losses[-1] < 0.02 * abs(losses[0]):
                break
            if accuracy is not None and accuracy >= 0.99 and losses[-1] < 0.5 * losses[0]:
                break
    passed = math.isfinite(losses[-1]) and (
        losses[-1] < 0.1 * abs(losses[0]) if accuracy is None else accuracy >= 0.95
    )
    if not math.isfinite(losses[-1]):
        advice = "the loss is not finite: look at scaling of inputs, and at divisions and logarithms"
    elif losses[-1] > 0.95 * losses[0]:
        advice = (
            "the loss does not fall: look at labels, at whether the loss takes logits, at frozen layers, and "
            "at gradients that are cut"
        )
    else:
        advice = "it falls slowly: more steps, another learning_rate, weaker augmentation and dropout"
    return Overfitting(losses, accuracy, passed, advice)
