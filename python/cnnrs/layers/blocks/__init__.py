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
    from cnnrs.layers.blocks.aspp import ASPP as ASPP
    from cnnrs.layers.blocks.conv_block import (
        AttentionConvBlock as AttentionConvBlock,
    )
    from cnnrs.layers.blocks.conv_block import (
        ConvBlock as ConvBlock,
    )
    from cnnrs.layers.blocks.conv_block import (
        RegularizedConvBlock as RegularizedConvBlock,
    )
    from cnnrs.layers.blocks.convnext import ConvNeXtBlock as ConvNeXtBlock
    from cnnrs.layers.blocks.dense import DenseBlock as DenseBlock
    from cnnrs.layers.blocks.dense import TransitionBlock as TransitionBlock
    from cnnrs.layers.blocks.fire import FireBlock as FireBlock
    from cnnrs.layers.blocks.inception import InceptionBlock as InceptionBlock
    from cnnrs.layers.blocks.inverted_residual import (
        FusedMBConv as FusedMBConv,
    )
    from cnnrs.layers.blocks.inverted_residual import (
        InvertedResidual as InvertedResidual,
    )
    from cnnrs.layers.blocks.inverted_residual import (
        MBConv as MBConv,
    )
    from cnnrs.layers.blocks.pyramid import FPN as FPN
    from cnnrs.layers.blocks.residual import BasicBlock as BasicBlock
    from cnnrs.layers.blocks.residual import BottleneckBlock as BottleneckBlock
    from cnnrs.layers.blocks.shuffle import ChannelShuffle as ChannelShuffle
    from cnnrs.layers.blocks.shuffle import ShuffleBlock as ShuffleBlock
    from cnnrs.layers.blocks.unet import UNetDown as UNetDown
    from cnnrs.layers.blocks.unet import UNetUp as UNetUp

__all__ = names_of(_LATE)

__getattr__, __dir__ = late("cnnrs.layers.blocks", _LATE, suggest.without("cnnrs.layers.blocks", {}, __all__))
