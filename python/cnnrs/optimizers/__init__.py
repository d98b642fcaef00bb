"""Optimizers: classes that write their update with ops, and learning-rate schedules."""

from __future__ import annotations

from typing import Any

from cnnrs import identifiers
from cnnrs.optimizers import schedules
from cnnrs.optimizers.adaptive import Adadelta, Adamax, Lion, Nadam
from cnnrs.optimizers.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop
from cnnrs.optimizers.optimizer import Optimizer

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_CLASSES = (Adadelta, Adagrad, Adam, AdamW, Adamax, Lion, Nadam, RMSprop, SGD)
_BY_NAME = {name: cls for cls in _CLASSES for name in (cls.__name__, cls.__name__.lower())}


def serialize(optimizer: Any) -> Any:
    """The config of an optimizer.

    >>> from cnnrs import optimizers
    >>> optimizers.serialize(optimizers.SGD(0.5))["config"]["learning_rate"]
    0.5
    """
    from cnnrs import saving

    return saving.serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The optimizer of a config.

    >>> from cnnrs import optimizers
    >>> optimizers.deserialize(optimizers.serialize(optimizers.SGD(0.5))).momentum
    0.0
    """
    return identifiers.deserialize(config, _BY_NAME, "optimizer", custom_objects)


def get(identifier: Any) -> Optimizer:
    """The optimizer that a name, config or class stands for.

    >>> from cnnrs import optimizers
    >>> type(optimizers.get("adam")).__name__
    'Adam'
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return identifiers.lookup(identifier, _BY_NAME, "optimizer")()
    if isinstance(identifier, type):
        return identifier()
    raise ValueError(f"optimizer: expected a name or an object, received {identifier!r}")


__getattr__ = identifiers.without(
    "cnnrs.optimizers",
    {
        "LossScaleOptimizer": "everything float is float32, whose gradients need no loss scale",
        "Adafactor Ftrl Lamb Muon ScheduleFreeAdamW": "write it as a subclass of Optimizer, with cnnrs.ops",
        "MultiOptimizer OptimizerMap": "call apply() of several optimizers in a train_step",
    },
    __all__,
)
