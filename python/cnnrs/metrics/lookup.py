"""Metrics by name, and as plain data."""

from __future__ import annotations

from typing import Any

from cnnrs import serialization
from cnnrs.base import naming
from cnnrs.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from cnnrs.metrics.confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from cnnrs.metrics.metric import (
    Mean,
    Metric,
    Sum,
)
from cnnrs.metrics.of_losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)

__all__ = ["deserialize", "get", "serialize"]

_CLASSES = (
    AUC,
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    FalseNegatives,
    FalsePositives,
    Hinge,
    KLDivergence,
    LogCoshError,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    Precision,
    Recall,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SquaredHinge,
    Sum,
    TopKCategoricalAccuracy,
    TrueNegatives,
    TruePositives,
)
_BY_NAME = {cls.__name__: cls for cls in _CLASSES}
_BY_NAME.update({naming.to_snake_case(cls.__name__): cls for cls in _CLASSES})
_BY_NAME.update(
    {
        "acc": Accuracy,
        "auc": AUC,
        "mse": MeanSquaredError,
        "MSE": MeanSquaredError,
        "mae": MeanAbsoluteError,
        "MAE": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError,
        "msle": MeanSquaredLogarithmicError,
        "bce": BinaryCrossentropy,
        "rmse": RootMeanSquaredError,
        "kl_divergence": KLDivergence,
        "logcosh": LogCoshError,
    }
)


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
    return serialization.deserialize(config, _BY_NAME, "metric", custom_objects)


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
        found = serialization.lookup(identifier, _BY_NAME, "metric")
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"metric: expected a name, an object or a function, received {identifier!r}")
