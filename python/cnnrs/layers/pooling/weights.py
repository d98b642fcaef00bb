"""What poolings with weights share: how many channels there are, and where their weights lie."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.input_spec import InputSpec

__all__ = ["channel_weights", "channels_of"]


def channels_of(layer: Any, input_shape: Any) -> int:
    """How many channels images of a shape have, which the layer demands of its inputs from then on.

    Raises:
        ValueError: The number is not known.
    """
    axis = -1 if layer.data_format == "channels_last" else 1
    channels = input_shape[axis]
    if channels is None:
        raise ValueError(f"{layer.name}: expected a known number of channels, received shape {input_shape}")
    layer.input_spec = InputSpec(ndim=len(input_shape), axes={axis: channels})
    return channels


def channel_weights(weights: Any, data_format: str) -> Any:
    """Weights of shape (channels,) or (1,) as they broadcast with images."""
    return weights if data_format == "channels_last" else ops.reshape(weights, (-1, 1, 1))
