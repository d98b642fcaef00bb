"""The logs of a step: values of losses and metrics by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base import naming
from cnnrs.base.user_warnings import warn_user

__all__ = ["as_numbers", "in_order", "results_of", "track_loss", "warn_of_nan"]


def track_loss(tracker: Any, loss: Any, rows: int) -> None:
    """Takes the loss of a batch of so many rows into account: the mean of one that is not a scalar."""
    tracker.update_state(ops.mean(loss) if getattr(loss, "shape", ()) else loss, sample_weight=float(rows))


def results_of(metrics: list[Any]) -> dict[str, Any]:
    """Values of metrics by name; of equal names, the second is `name_1`."""
    results: dict[str, Any] = {}
    for metric in metrics:
        value = metric.result()
        for name, number in (value if isinstance(value, dict) else {metric.name: value}).items():
            results[naming.unique(name, results)] = number
    return results


def in_order(logs: dict[str, Any], names: Iterable[str]) -> Any:
    """The values of logs in Keras's order: by the names of metrics, then the rest by name; one value alone.

    With one output these are the loss and the metrics as `compile` was given them; with several, the loss,
    each output's loss, and by label the metrics, whose labels begin with the output's name.

    Args:
        logs: Values by name.
        names: Names of metrics, in their order.

    >>> in_order({"accuracy": 0.5, "loss": 1.0, "b_auc": 0.1, "a_auc": 0.2}, ["loss", "auc", "accuracy"])
    [1.0, 0.5, 0.2, 0.1]
    """
    known = [name for name in dict.fromkeys(names) if name in logs]
    values = [logs[name] for name in [*known, *sorted(logs.keys() - set(known))]]
    return values[0] if len(values) == 1 else values


def as_numbers(logs: Any) -> dict[str, Any]:
    """Logs as Python numbers, in the order of their names as in Keras; those of dicts among them, too."""
    if not isinstance(logs, dict):
        raise TypeError(f"a step: expected a dict of logs, received {type(logs).__name__}")
    numbers: dict[str, Any] = {}
    for name, value in sorted(logs.items()):
        numbers.update(as_numbers(value) if isinstance(value, dict) else {name: _number(value)})
    return dict(sorted(numbers.items()))


def _number(value: Any) -> Any:
    if hasattr(value, "numpy"):
        value = value.numpy()
    return value.item() if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 else value


def warn_of_nan(logs: dict[str, Any], epoch: int, model: str) -> None:
    """Warns, at the line that called `fit`, if the loss of an epoch is NaN."""
    loss = logs.get("loss")
    if isinstance(loss, float) and np.isnan(loss):
        warn_user(
            f"{model}: the loss of epoch {epoch + 1} is NaN; a smaller learning rate, clipnorm, or "
            "callbacks.TerminateOnNaN may help",
            RuntimeWarning,
        )
