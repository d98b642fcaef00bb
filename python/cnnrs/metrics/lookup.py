"""Metrics by name, and as plain data."""

from __future__ import annotations

import functools
from typing import Any

from cnnrs import serialization
from cnnrs.base import naming
from cnnrs.metrics.metric import MeanMetricWrapper, Metric
from cnnrs.serialization.modules import classes

__all__ = ["deserialize", "get", "serialize"]

# Further names of metrics.
_SHORT = {
    "acc": "Accuracy",
    "auc": "AUC",
    "mse": "MeanSquaredError",
    "MSE": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "MAE": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "msle": "MeanSquaredLogarithmicError",
    "bce": "BinaryCrossentropy",
    "rmse": "RootMeanSquaredError",
    "kl_divergence": "KLDivergence",
    "logcosh": "LogCoshError",
}


@functools.cache
def _by_name() -> dict[str, type]:
    """The metrics that the package lists, by their names, by these in snake case, and by short names."""
    found = [cls for cls in classes("cnnrs.metrics").values() if cls not in (Metric, MeanMetricWrapper)]
    table = {name: cls for cls in found for name in (cls.__name__, naming.to_snake_case(cls.__name__))}
    return table | {short: table[name] for short, name in _SHORT.items()}


def serialize(metric: Any) -> Any:
    """The config of a metric.

    >>> from cnnrs import metrics
    >>> metrics.serialize(metrics.BinaryAccuracy(threshold=0.3))["config"]["threshold"]
    0.3
    """
    return serialization.serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The metric of a config.

    >>> from cnnrs import metrics
    >>> metrics.deserialize(metrics.serialize(metrics.Mean(name="loss"))).name
    'loss'
    """
    return serialization.deserialize(config, _by_name(), "metric", custom_objects)


def get(identifier: Any) -> Any:
    """The metric that a name, config, class or function stands for.

    >>> from cnnrs import metrics
    >>> metrics.get("mae").name
    'mean_absolute_error'
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        found = serialization.lookup(identifier, _by_name(), "metric")
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"metric: expected a name, an object or a function, received {identifier!r}")
