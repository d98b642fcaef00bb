"""Optimizers by name, and as plain data."""

from __future__ import annotations

from typing import Any

from cnnrs import serialization
from cnnrs.optimizers.adaptive import Adadelta, Adamax, Lion, Nadam
from cnnrs.optimizers.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop
from cnnrs.optimizers.optimizer import Optimizer

__all__ = ["deserialize", "get", "serialize"]

_CLASSES = (Adadelta, Adagrad, Adam, AdamW, Adamax, Lion, Nadam, RMSprop, SGD)
_BY_NAME = {name: cls for cls in _CLASSES for name in (cls.__name__, cls.__name__.lower())}


def serialize(optimizer: Any) -> Any:
    """The config of an optimizer.

    >>> from cnnrs import optimizers
    >>> optimizers.serialize(optimizers.SGD(0.5))["config"]["learning_rate"]
    0.5
    """
    return serialization.serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The optimizer of a config.

    >>> from cnnrs import optimizers
    >>> optimizers.deserialize(optimizers.serialize(optimizers.SGD(0.5))).momentum
    0.0
    """
    return serialization.deserialize(config, _BY_NAME, "optimizer", custom_objects)


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
        return serialization.lookup(identifier, _BY_NAME, "optimizer")()
    if isinstance(identifier, type):
        return identifier()
    raise ValueError(f"optimizer: expected a name or an object, received {identifier!r}")
