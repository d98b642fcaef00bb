"""Attention: of queries to values, and of feature maps to their own channels and places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cnnrs.base import suggest
from cnnrs.base.late import late, names_of
from cnnrs.layers.attention.dot_product import AdditiveAttention, Attention
from cnnrs.layers.attention.multi_head import GroupQueryAttention, MultiHeadAttention

# Loaded when they are first used: `cnnrs.layers` needs the modules above only.
_LATE: Mapping[str, str] = {
    "cbam": "CBAM",
    "channel": "ChannelAttention SqueezeExcitation",
    "efficient_channel": "ECA",
    "non_local": "NonLocal",
    "spatial": "SpatialAttention",
}

if TYPE_CHECKING:
    from cnnrs.layers.attention.cbam import CBAM as CBAM
    from cnnrs.layers.attention.channel import (
        ChannelAttention as ChannelAttention,
    )
    from cnnrs.layers.attention.channel import (
        SqueezeExcitation as SqueezeExcitation,
    )
    from cnnrs.layers.attention.efficient_channel import ECA as ECA
    from cnnrs.layers.attention.non_local import NonLocal as NonLocal
    from cnnrs.layers.attention.spatial import SpatialAttention as SpatialAttention

__all__ = [
    *names_of(_LATE),
    "AdditiveAttention",
    "Attention",
    "GroupQueryAttention",
    "MultiHeadAttention",
]

__getattr__, __dir__ = late(
    "cnnrs.layers.attention", _LATE, suggest.without("cnnrs.layers.attention", {}, __all__)
)
