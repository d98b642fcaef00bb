"""Normalisations by name."""

from __future__ import annotations

import math
from typing import Any

from cnnrs.layers.base import Layer
from cnnrs.layers.batch_normalization import BatchNormalization
from cnnrs.layers.composed import copy_of, layer_argument
from cnnrs.layers.normalization import GroupNormalization, LayerNormalization

__all__ = ["NORMS", "make_norm", "norm_argument"]

NORMS = ("batch", "layer", "group", "instance")


def norm_argument(norm: Any, owner: str, argument: str = "norm") -> str | Layer | None:
    """An argument that says how something is normalised, checked: a name, a pattern of a layer, or None.

    Raises:
        ValueError: It is none of these, nor a function that makes a layer.
    """
    return layer_argument(norm, dict.fromkeys(NORMS), owner, argument)


def make_norm(norm: Any, channels: int, axis: int = -1, **options: Any) -> Layer | None:
    """A normalisation of feature maps.

    Args:
        norm: "batch" for `BatchNormalization`; "layer" for `LayerNormalization` over the channels of each
            place; "group" for `GroupNormalization` of 32 groups, or of the most groups up to 32 that divide
            `channels` and 32; "instance" for one group per channel; a layer, of which a copy is made; a
            function or class that makes a layer when it is called without arguments; None for none.
        channels: Number of channels.
        axis: The axis of the channels.
        **options: Arguments of the layer that is made, as `name`, `dtype` and `epsilon`. By name, layers
            have the defaults of Keras otherwise.

    Returns:
        The layer, or None.

    Raises:
        ValueError: `norm` is none of these.

    >>> make_norm("group", 48).groups, make_norm("layer", 48, axis=1).axis, make_norm(None, 48)
    (16, 1, None)
    """
    norm = norm_argument(norm, "make_norm")
    if norm is None:
        return None
    if isinstance(norm, Layer):
        return copy_of(norm, **options)
    if norm == "batch":
        return BatchNormalization(axis=axis, **options)
    if norm == "layer":
        return LayerNormalization(axis=axis, **options)
    groups = math.gcd(channels, 32) if norm == "group" else channels
    return GroupNormalization(groups=groups, axis=axis, **options)
