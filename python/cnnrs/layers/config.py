"""Layers as plain data."""

from __future__ import annotations

from typing import Any

from cnnrs import serialization
from cnnrs.serialization.modules import classes

__all__ = ["deserialize", "serialize"]


def serialize(layer: Any) -> dict[str, Any]:
    """The config of a layer, without its weights.

    >>> from cnnrs import layers
    >>> layers.serialize(layers.Dense(4))["class_name"]
    'Dense'
    """
    return serialization.serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The layer of a config, with fresh weights.

    >>> from cnnrs import layers
    >>> layers.deserialize({"class_name": "Dense", "config": {"units": 4}}).units
    4
    """
    table = classes("cnnrs.layers", "cnnrs.models")
    return serialization.deserialize(config, table, "layer", custom_objects)
