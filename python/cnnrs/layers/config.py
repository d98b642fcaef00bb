"""Layers as plain data."""

from __future__ import annotations

from typing import Any

from cnnrs import identifiers

__all__ = ["deserialize", "serialize"]


def serialize(layer: Any) -> dict[str, Any]:
    """The config of a layer, without its weights.

    >>> from cnnrs import layers
    >>> layers.serialize(layers.Dense(4))["class_name"]
    'Dense'
    """
    from cnnrs import saving

    return saving.serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The layer of a config, with fresh weights.

    >>> from cnnrs import layers
    >>> layers.deserialize({"class_name": "Dense", "config": {"units": 4}}).units
    4
    """
    from cnnrs import layers, models

    table = {name: getattr(home, name) for home in (layers, models) for name in home.__all__}
    classes = {name: value for name, value in table.items() if isinstance(value, type)}
    return identifiers.deserialize(config, classes, "layer", custom_objects)
