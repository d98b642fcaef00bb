"""Layers one after another, as one layer."""

from __future__ import annotations

import inspect
from typing import Any

from cnnrs import serialization
from cnnrs.layers.base import Layer
from cnnrs.layers.preprocessing.normalization import Normalization
from cnnrs.layers.preprocessing.rescaling import Rescaling

__all__ = ["Pipeline"]

# Layers that take no dict.
_OF_ARRAYS = (Normalization, Rescaling)


class Pipeline(Layer):
    """Applies layers of preparation one after another, to whatever structure of data they take.

    Of a dict with "images", boxes, key points and masks, `Rescaling` and `Normalization` get the images.

    Args:
        layers: The layers.
        name: Name.

    Example:

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> prepare = layers.Pipeline([layers.CenterCrop(2, 2), layers.Rescaling(0.5)])
    >>> prepare(np.ones((1, 4, 4, 1))).numpy().ravel().tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    def __init__(self, layers: Any, name: str | None = None):
        super().__init__(name=name)
        wrong = [layer for layer in layers if not isinstance(layer, Layer)]
        if wrong:
            raise TypeError(f"{self.name}: layers: expected layers, received {wrong[0]!r}")
        self._pipeline_layers = list(layers)
        self._build_at_init()

    @property
    def layers(self) -> list[Layer]:
        """The layers in their order."""
        return list(self._pipeline_layers)

    def call(self, inputs: Any, training: bool = True, mask: Any = None) -> Any:
        for layer in self._pipeline_layers:
            if isinstance(layer, _OF_ARRAYS) and isinstance(inputs, dict) and "images" in inputs:
                # A sample with boxes and the like, of which layers of augmentation take all.
                inputs = {**inputs, "images": layer(inputs["images"], training=training)}
                continue
            takes_mask = mask is not None and "mask" in inspect.signature(layer.call).parameters
            outputs = layer(inputs, training=training, **({"mask": mask} if takes_mask else {}))
            if takes_mask:
                mask = layer.compute_mask(inputs, mask)
            inputs = outputs
        return inputs

    def get_config(self) -> dict[str, Any]:
        layers = [serialization.serialize_keras_object(layer) for layer in self._pipeline_layers]
        return {"layers": layers, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        layers = config.get("layers")
        if not isinstance(layers, (list, tuple)):
            raise ValueError(
                f"Pipeline.from_config: expected a list of layers under 'layers', received {layers!r}"
            )
        return cls(**{**config, "layers": [serialization.deserialize_keras_object(c) for c in layers]})
