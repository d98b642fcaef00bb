"""Rows of `test_layers.CASES` for attention to channels and places, and for blocks."""

from __future__ import annotations

from layer_checks import Case

from cnnrs import layers

MAPS = (4, 6, 5, 8)
FIRST = (4, 8, 6, 5)
Shapes = list[tuple[int, ...]]


def conv(size: int, channels: int, filters: int, bias: bool = False) -> Shapes:
    """Shapes of the weights of a convolution."""
    return [(size, size, channels, filters), *([(filters,)] if bias else [])]


def dense(units: int, outputs: int) -> Shapes:
    """Shapes of the weights of a dense layer."""
    return [(units, outputs), (outputs,)]


def norm(channels: int) -> Shapes:
    """Shapes of the weights of batch normalisation."""
    return [(channels,)] * 4


def unit(size: int, channels: int, filters: int) -> Shapes:
    """Shapes of the weights of a convolution and its norm."""
    return [*conv(size, channels, filters), *norm(filters)]


SE = [*dense(8, 4), *dense(4, 8)]

ATTENTION: list[Case] = [
    (layers.SqueezeExcitation, {"reduction": 2}, MAPS, MAPS, SE, {}),
    (
        layers.SqueezeExcitation,
        {"squeeze_filters": 3, "activation": "silu", "gate": "hard_sigmoid", "data_format": "channels_first"},
        FIRST,
        FIRST,
        [*dense(8, 3), *dense(3, 8)],
        {},
    ),
    (layers.ChannelAttention, {"reduction": 2}, MAPS, MAPS, SE, {}),
    (layers.ChannelAttention, {"reduction": 16, "use_bias": False}, MAPS, MAPS, [(8, 1), (1, 8)], {}),
    (layers.SpatialAttention, {"kernel_size": 3}, MAPS, MAPS, [(3, 3, 2, 1)], {}),
    (layers.SpatialAttention, {"data_format": "channels_first"}, FIRST, FIRST, [(7, 7, 2, 1)], {}),
    (layers.CBAM, {"reduction": 2, "kernel_size": 3}, MAPS, MAPS, [*SE, (3, 3, 2, 1)], {}),
    (layers.ECA, {}, MAPS, MAPS, [(3, 1, 1)], {}),
    (layers.ECA, {"kernel_size": 5, "data_format": "channels_first"}, FIRST, FIRST, [(5, 1, 1)], {}),
]

HALF = [*conv(1, 8, 4, True), *conv(1, 8, 4, True), *conv(1, 8, 4, True)]

NON_LOCAL: list[Case] = [
    (layers.NonLocal, {}, MAPS, MAPS, [*HALF, *norm(8), *conv(1, 4, 8, True)], {"frozen": 2}),
    (
        layers.NonLocal,
        {"mode": "gaussian", "filters": 3, "sub_sample": True},
        MAPS,
        MAPS,
        [*conv(1, 8, 3, True), *norm(8), *conv(1, 3, 8, True)],
        {"frozen": 2},
    ),
    (
        layers.NonLocal,
        {"mode": "dot_product", "norm": None},
        MAPS,
        MAPS,
        [*HALF, *conv(1, 4, 8, True)],
        {},
    ),
    (
        layers.NonLocal,
        {"mode": "concatenation", "norm": None, "data_format": "channels_first"},
        FIRST,
        FIRST,
        [(4, 2), *HALF, *conv(1, 4, 8, True)],
        {},
    ),
]

HALVED = (4, 3, 3, 12)

RESIDUAL: list[Case] = [
    (layers.BasicBlock, {"filters": 8}, MAPS, MAPS, unit(3, 8, 8) * 2, {"frozen": 4}),
    (
        layers.BasicBlock,
        {"filters": 12, "strides": 2, "attention": "se", "norm": "group"},
        MAPS,
        HALVED,
        [
            *conv(3, 8, 12),
            (12,),
            (12,),
            *conv(3, 12, 12),
            (12,),
            (12,),
            *dense(12, 1),
            *dense(1, 12),
            *conv(1, 8, 12),
            (12,),
            (12,),
        ],
        {},
    ),
    (
        layers.BasicBlock,
        {"filters": 12, "strides": 2, "version": 2, "shortcut": "A", "norm": None, "activation": "silu"},
        MAPS,
        HALVED,
        [*conv(3, 8, 12, True), *conv(3, 12, 12, True)],
        {},
    ),
    (
        layers.BottleneckBlock,
        {"filters": 4, "strides": 2, "expansion": 3, "groups": 2, "base_width": 64, "attention": "eca"},
        MAPS,
        HALVED,
        [
            *unit(1, 8, 8),
            (3, 3, 4, 8),
            *norm(8),
            *unit(1, 8, 12),
            (3, 1, 1),
            *unit(1, 8, 12),
        ],
        {"frozen": 8},
    ),
    (
        layers.BottleneckBlock,
        {"filters": 4, "version": 2, "expansion": 2, "norm": "layer", "data_format": "channels_first"},
        FIRST,
        FIRST,
        [*conv(1, 8, 4), (8,), (8,), *conv(3, 4, 4), (4,), (4,), *conv(1, 4, 8), (4,), (4,)],
        {},
    ),
]

CONV: list[Case] = [
    (
        layers.ConvBlock,
        {"filters": 6, "strides": 2, "norm": "instance", "activation": "silu"},
        MAPS,
        (4, 3, 3, 6),
        [*conv(3, 8, 6), (6,), (6,)],
        {},
    ),
    (
        layers.AttentionConvBlock,
        {"filters": 6, "residual": True},
        MAPS,
        (4, 6, 5, 6),
        [*unit(3, 8, 6), *dense(6, 1), *dense(1, 6), (7, 7, 2, 1), *unit(1, 8, 6)],
        {"frozen": 4},
    ),
    (
        layers.RegularizedConvBlock,
        {"filters": 8, "dropout": 0.3, "residual": True, "seed": 1},
        MAPS,
        MAPS,
        unit(3, 8, 8),
        {"frozen": 2, "random": True},
    ),
]

FROM_PAPERS: list[Case] = [
    (
        layers.InceptionBlock,
        {
            "filters_1x1": 4,
            "filters_3x3_reduce": 3,
            "filters_3x3": 5,
            "filters_5x5_reduce": 2,
            "filters_5x5": 3,
            "filters_pool": 4,
            "activation": "silu",
        },
        # Few places, so that few maxima of the pooling are close to others.
        (2, 3, 3, 8),
        (2, 3, 3, 16),
        [
            *conv(1, 8, 4, True),
            *conv(1, 8, 3, True),
            *conv(3, 3, 5, True),
            *conv(1, 8, 2, True),
            *conv(5, 2, 3, True),
            *conv(1, 8, 4, True),
        ],
        {},
    ),
    (
        layers.DenseBlock,
        {"num_layers": 2, "growth_rate": 3, "bottleneck": 2},
        MAPS,
        (4, 6, 5, 14),
        [
            *norm(8),
            *conv(1, 8, 6),
            *norm(6),
            *conv(3, 6, 3),
            *norm(11),
            *conv(1, 11, 6),
            *norm(6),
            *conv(3, 6, 3),
        ],
        {"frozen": 8},
    ),
    (
        layers.DenseBlock,
        {"num_layers": 1, "growth_rate": 3, "bottleneck": None, "data_format": "channels_first"},
        FIRST,
        (4, 11, 6, 5),
        [*norm(8), *conv(3, 8, 3)],
        {"frozen": 2},
    ),
    (layers.TransitionBlock, {}, MAPS, (4, 3, 2, 4), [*norm(8), *conv(1, 8, 4)], {"frozen": 2}),
    (
        layers.FireBlock,
        {"squeeze": 3, "expand_1x1": 4, "expand_3x3": 5},
        MAPS,
        (4, 6, 5, 9),
        [*conv(1, 8, 3, True), *conv(1, 3, 4, True), *conv(3, 3, 5, True)],
        {},
    ),
    (layers.ChannelShuffle, {"groups": 4}, MAPS, MAPS, [], {}),
    (layers.ChannelShuffle, {"groups": 2, "data_format": "channels_first"}, FIRST, FIRST, [], {}),
    (
        layers.ShuffleBlock,
        {"filters": 8, "activation": "silu"},
        MAPS,
        MAPS,
        [*unit(1, 4, 4), (3, 3, 4, 1), *norm(4), *unit(1, 4, 4)],
        {"frozen": 6},
    ),
    (
        layers.ShuffleBlock,
        {"filters": 12, "strides": 2},
        MAPS,
        HALVED,
        [
            (3, 3, 8, 1),
            *norm(8),
            *unit(1, 8, 6),
            *unit(1, 8, 6),
            (3, 3, 6, 1),
            *norm(6),
            *unit(1, 6, 6),
        ],
        {"frozen": 10},
    ),
    (
        layers.InvertedResidual,
        {"filters": 8, "expansion": 2},
        MAPS,
        MAPS,
        [*unit(1, 8, 16), (3, 3, 16, 1), *norm(16), *unit(1, 16, 8)],
        {"frozen": 6},
    ),
    (
        layers.MBConv,
        {"filters": 12, "strides": 2, "expansion": 1, "kernel_size": 5},
        MAPS,
        HALVED,
        [(5, 5, 8, 1), *norm(8), *dense(8, 2), *dense(2, 8), *unit(1, 8, 12)],
        {"frozen": 4},
    ),
    (
        layers.FusedMBConv,
        {"filters": 8, "expansion": 2},
        MAPS,
        MAPS,
        [*unit(3, 8, 16), *unit(1, 16, 8)],
        {"frozen": 4},
    ),
    (layers.FusedMBConv, {"filters": 8, "expansion": 1}, MAPS, MAPS, unit(3, 8, 8), {"frozen": 2}),
    (
        layers.ConvNeXtBlock,
        {"kernel_size": 3, "expansion": 2, "layer_scale": 0.5, "data_format": "channels_first"},
        FIRST,
        FIRST,
        [(8,), (3, 3, 8, 1), (8,), (8,), (8,), *conv(1, 8, 16, True), *conv(1, 16, 8, True)],
        {},
    ),
    (
        layers.ASPP,
        {"filters": 4, "dilation_rates": (1, 2)},
        MAPS,
        (4, 6, 5, 4),
        [*unit(1, 8, 4), *unit(3, 8, 4), *unit(3, 8, 4), *unit(1, 8, 4), *unit(1, 16, 4)],
        {"frozen": 10},
    ),
]

UNET: list[Case] = [
    (layers.UNetDown, {"filters": 6}, MAPS, (4, 3, 2, 6), [*unit(3, 8, 6), *unit(3, 6, 6)], {"frozen": 4}),
    (
        layers.UNetDown,
        {"filters": 6, "pool": "conv", "norm": None, "num_convs": 1},
        MAPS,
        (4, 3, 3, 6),
        conv(3, 8, 6, True),
        {},
    ),
    (
        layers.UNetUp,
        {"filters": 4, "norm": None},
        [(4, 3, 3, 8), (4, 6, 5, 4)],
        (4, 6, 5, 4),
        [(2, 2, 4, 8), (4,), *conv(3, 8, 4, True), *conv(3, 4, 4, True)],
        {},
    ),
    (
        layers.UNetUp,
        {"filters": 4, "up": "bilinear", "padding": "valid", "num_convs": 1, "norm": None},
        [(4, 3, 3, 8), (4, 8, 9, 2)],
        (4, 4, 4, 4),
        [*conv(2, 8, 4, True), *conv(3, 6, 4, True)],
        {},
    ),
]

CASES: list[Case] = [*ATTENTION, *NON_LOCAL, *RESIDUAL, *CONV, *FROM_PAPERS, *UNET]
