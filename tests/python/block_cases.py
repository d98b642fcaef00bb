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

RESIDUAL: list[Case] = [
    (layers.BasicBlock, {"filters": 8}, MAPS, MAPS, unit(3, 8, 8) * 2, {"frozen": 4}),
]

CASES: list[Case] = [*ATTENTION, *RESIDUAL]
