"""Columns of a table for `FeatureSpace`: the layer that prepares each, and which are crossed."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import integer
from cnnrs.serialization import (
    deserialize_keras_object,
    register_keras_serializable,
    serialize_keras_object,
)

__all__ = ["Cross", "Feature"]

_MODES = ("int", "one_hot", "float")


@register_keras_serializable(package="cnnrs")
class Cross:
    """Features that are crossed; `FeatureSpace.cross` makes it.

    Args:
        feature_names: Their names.
        crossing_dim: How many bins there are.
        output_mode: "one_hot" or "int".
    """

    def __init__(self, feature_names: Any, crossing_dim: int, output_mode: str = "one_hot"):
        if output_mode not in ("int", "one_hot"):
            raise ValueError(f"Cross: output_mode: expected 'int' or 'one_hot', received {output_mode!r}")
        self.feature_names = tuple(feature_names)
        if len(self.feature_names) < 2:
            raise ValueError(f"Cross: feature_names: expected two or more, received {feature_names!r}")
        self.crossing_dim = integer(crossing_dim, "Cross", "crossing_dim", least=1)
        self.output_mode = output_mode

    @property
    def name(self) -> str:
        """The names with `_X_` between them."""
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("feature_names", "crossing_dim", "output_mode")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Cross:
        """A cross of a configuration."""
        return cls(**config)


@register_keras_serializable(package="cnnrs")
class Feature:
    """A column and the layer that prepares it; the class methods of `FeatureSpace` make it.

    Args:
        dtype: "float32", "int32", "int64" or "string".
        preprocessor: The layer.
        output_mode: "float" for numbers, "int" for indices, "one_hot" for vectors of them.
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str):
        if output_mode not in _MODES:
            raise ValueError(
                f"Feature: output_mode: expected one of {', '.join(_MODES)}, received {output_mode!r}"
            )
        self.dtype, self.output_mode = dtype, output_mode
        self.preprocessor = (
            deserialize_keras_object(preprocessor) if isinstance(preprocessor, dict) else preprocessor
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments, the layer as data."""
        layer = serialize_keras_object(self.preprocessor)
        return {"dtype": self.dtype, "preprocessor": layer, "output_mode": self.output_mode}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Feature:
        """A feature of a configuration."""
        return cls(**config)
