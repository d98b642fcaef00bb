"""Blocks that networks are made of, each a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cnnrs.base import suggest
from cnnrs.base.late import late, names_of

_LATE: Mapping[str, str] = {
    "aspp": "ASPP",
    "conv_block": "AttentionConvBlock ConvBlock RegularizedConvBlock",
    "convnext": "ConvNeXtBlock",
    "dense": "DenseBlock TransitionBlock",
    "fire": "FireBlock",
    "inception": "InceptionBlock",
    "inverted_residual": "FusedMBConv InvertedResidual MBConv",
    "pyramid": "FPN",
    "residual": "BasicBlock BottleneckBlock",
    "shuffle": "ChannelShuffle ShuffleBlock",
    "unet": "UNetDown UNetUp",
}

if TYPE_CHECKING:
    from cnnrs.layers.blocks.aspp import ASPP
    from cnnrs.layers.blocks.conv_block import AttentionConvBlock, ConvBlock, RegularizedConvBlock
    from cnnrs.layers.blocks.convnext import ConvNeXtBlock
    from cnnrs.layers.blocks.dense import DenseBlock, TransitionBlock
    from cnnrs.layers.blocks.fire import FireBlock
    from cnnrs.layers.blocks.inception import InceptionBlock
    from cnnrs.layers.blocks.inverted_residual import FusedMBConv, InvertedResidual, MBConv
    from cnnrs.layers.blocks.pyramid import FPN
    from cnnrs.layers.blocks.residual import BasicBlock, BottleneckBlock
    from cnnrs.layers.blocks.shuffle import ChannelShuffle, ShuffleBlock
    from cnnrs.layers.blocks.unet import UNetDown, UNetUp

__all__ = names_of(_LATE)

__getattr__ = late("cnnrs.layers.blocks", _LATE, suggest.without("cnnrs.layers.blocks", {}, __all__))
