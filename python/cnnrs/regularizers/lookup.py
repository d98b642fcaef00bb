"""Regularizers by name, and as plain data."""

from __future__ import annotations

from typing import Any

from cnnrs import serialization
from cnnrs.regularizers.classes import L1, L1L2, L2, OrthogonalRegularizer

__all__ = ["deserialize", "get", "serialize"]

_CLASSES = (L1, L2, L1L2, OrthogonalRegularizer)
_BY_NAME = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{"l1": L1, "l2": L2, "l1_l2": L1L2, "l1l2": L1L2, "orthogonal_regularizer": OrthogonalRegularizer},
}


def serialize(regularizer: Any) -> Any:
    """The config of a regularizer.

    >>> from cnnrs import regularizers
    >>> regularizers.serialize(regularizers.L2(0.5))["config"]
    {'l2': 0.5}
    """
    return serialization.serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The regularizer of a config.

    >>> from cnnrs import regularizers
    >>> regularizers.deserialize(regularizers.serialize(regularizers.L2(0.5))).get_config()
    {'l2': 0.5}
    """
    return serialization.deserialize(config, _BY_NAME, "regularizer", custom_objects)


def get(identifier: Any) -> Any:
    """The regularizer that a name, config or callable stands for.

    >>> from cnnrs import regularizers
    >>> regularizers.get("l2").get_config()
    {'l2': 0.01}
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return serialization.lookup(identifier, _BY_NAME, "regularizer")()
    if callable(identifier):
        return identifier() if isinstance(identifier, type) else identifier
    raise ValueError(f"regularizer: expected a name, an object or a callable, received {identifier!r}")
