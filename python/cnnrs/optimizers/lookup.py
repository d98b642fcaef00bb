"""Optimizers by name, and as plain data."""

from __future__ import annotations

import functools
from typing import Any

from cnnrs import serialization
from cnnrs.optimizers.optimizer import Optimizer
from cnnrs.serialization.modules import classes

__all__ = ["deserialize", "get", "serialize"]


@functools.cache
def _by_name() -> dict[str, type]:
    """The optimizers that the package lists, by their names and by these in lower case."""
    found = [
        cls
        for cls in classes("cnnrs.optimizers").values()
        if issubclass(cls, Optimizer) and cls is not Optimizer
    ]
    return {name: cls for cls in found for name in (cls.__name__, cls.__name__.lower())}


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
    return serialization.deserialize(config, _by_name(), "optimizer", custom_objects)


def get(identifier: Any) -> Any:
    """The optimizer that a name, config or class stands for; None for None.

    >>> from cnnrs import optimizers
    >>> type(optimizers.get("adam")).__name__
    'Adam'
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return serialization.lookup(identifier, _by_name(), "optimizer")()
    if isinstance(identifier, type):
        return identifier()
    raise ValueError(f"optimizer: expected a name or an object, received {identifier!r}")
