"""Where channels and places lie in the inputs of normalisations, and statistics of several groups."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.dispatch import standardize_axis

__all__ = ["channels_along", "pooled_statistics", "spatial_axes", "with_channels"]


def channels_along(layer: Any, input_shape: Any, axis: int, min_ndim: int) -> int:
    """The extent of the axis of channels, which the layer demands of its inputs from then on.

    Raises:
        ValueError: There is no such axis, it is that of the batch, or its extent is not known.
    """
    position = standardize_axis(axis, len(input_shape), f"{layer.name}: axis")
    if position == 0:
        raise ValueError(
            f"{layer.name}: axis: expected an axis of channels, received {axis}, that of the batch"
        )
    channels = input_shape[position]
    if channels is None:
        raise ValueError(f"{layer.name}: expected a known number of channels, received shape {input_shape}")
    # Counted from the end where the user does: places may be more or fewer.
    layer.input_spec = InputSpec(min_ndim=min_ndim, axes={axis: channels})
    return channels


def spatial_axes(ndim: int, axis: int) -> list[int]:
    """All axes but the batch's and the channels'."""
    channels = standardize_axis(axis, ndim)
    return [a for a in range(1, ndim) if a != channels]


def with_channels(weights: Any, ndim: int, axis: int) -> Any:
    """Weights of shape (channels,) as they broadcast with inputs of `ndim` axes."""
    channels = standardize_axis(axis, ndim)
    return weights if channels == ndim - 1 else ops.reshape(weights, (-1, *[1] * (ndim - 1 - channels)))


def pooled_statistics(mean: Any, variance: Any, axis: int) -> tuple[Any, Any]:
    """Mean and variance of equally large groups along an axis together, from those of each."""
    common = ops.mean(mean, axis, keepdims=True)
    between = ops.mean(ops.square(mean - common), axis, keepdims=True)
    return common, ops.mean(variance, axis, keepdims=True) + between
