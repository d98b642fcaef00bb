"""Where the time of a step goes."""

from __future__ import annotations

import json
from typing import Any

from cnnrs.training.data_adapter import ArrayData
from cnnrs.training.runner import StepRunner

__all__ = ["profile"]


class Profile(str):
    """The table of a profile, and what it shows.

    Attributes:
        data: `seconds` of a run, `threads`, `idle` (the part of the threads' time in no step), `flops`, and
            `steps`, the slowest first: `kernel`, `computes`, `origin` (its layer), `seconds`, `span_seconds`,
            `flops`, `bytes` and `chunks` of each.
    """

    data: dict[str, Any]

    def __new__(cls, table: str, data: dict[str, Any]) -> Profile:
        made = super().__new__(cls, table)
        made.data = data
        return made


def profile(model: Any, x: Any, y: Any = None, repeats: int = 10) -> Profile:
    """Times every kernel of `model.predict_on_batch(x)` or, with targets, of `model.train_on_batch(x, y)`.

    Args:
        model: A model; compiled if `y` is given.
        x: Samples of one batch.
        y: Targets. The model is trained on the batch, `repeats` times.
        repeats: How often the step runs; each line is the fastest time of its kernel.

    Returns:
        A table, the slowest kernel first: milliseconds, share of the run, GFLOP/s and GB/s of all threads
        together, the part of its span in which threads had none of its work, the kernel, its numbers of
        chunks, what it computes and for which layer. Its attribute `data` has the same as numbers.

    Raises:
        ValueError: `repeats` is less than 1, or the model is not compiled and `y` is given.

    >>> import numpy as np
    >>> from cnnrs import layers, models, utils
    >>> model = models.Sequential([layers.Input((8,)), layers.Dense(4, activation="relu")])
    >>> table = utils.profile(model, np.ones((16, 8)), repeats=3)
    >>> "matmul" in table, "dense" in table
    (True, True)
    """
    if repeats < 1:
        raise ValueError(f"profile: repeats: expected at least 1, received {repeats!r}")
    if y is not None and getattr(model, "optimizer", None) is None:
        raise ValueError("profile: expected a compiled model, for y is given; call model.compile(...) first")
    data = ArrayData(x, y, None, None)
    step = StepRunner(model, "predict" if y is None else "train").recorded(data.samples)
    table, figures = step.function.profile(*data.arrays, repeats=repeats)
    return Profile(table, json.loads(figures))
