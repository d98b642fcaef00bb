"""Constraints by name, and as plain data."""

from __future__ import annotations

from typing import Any

from cnnrs import serialization
from cnnrs.base import naming
from cnnrs.constraints.classes import MaxNorm, MinMaxNorm, NonNeg, UnitNorm

__all__ = ["deserialize", "get", "serialize"]

_CLASSES = (MaxNorm, MinMaxNorm, NonNeg, UnitNorm)
_BY_NAME = {name: cls for cls in _CLASSES for name in (cls.__name__, naming.to_snake_case(cls.__name__))}


def serialize(constraint: Any) -> Any:
    """The config of a constraint.

    >>> from cnnrs import constraints
    >>> constraints.serialize(constraints.UnitNorm())["config"]
    {'axis': 0}
    """
    return serialization.serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The constraint of a config.

    >>> from cnnrs import constraints
    >>> constraints.deserialize(constraints.serialize(constraints.UnitNorm(1))).axis
    1
    """
    return serialization.deserialize(config, _BY_NAME, "constraint", custom_objects)


def get(identifier: Any) -> Any:
    """The constraint that a name, config or callable stands for.

    >>> from cnnrs import constraints
    >>> constraints.get("non_neg")([-1.0]).tolist()
    [0.0]
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return serialization.lookup(identifier, _BY_NAME, "constraint")()
    if callable(identifier):
        return identifier() if isinstance(identifier, type) else identifier
    raise ValueError(f"constraint: expected a name, an object or a callable, received {identifier!r}")
