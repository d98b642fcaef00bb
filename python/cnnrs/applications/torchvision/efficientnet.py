"""EfficientNet (Tan and Le 2019, arXiv 1905.11946) and EfficientNetV2 (Tan and Le 2021, arXiv 2104.00298)
with torchvision's names."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from cnnrs.applications.builder import TORCHVISION, Builder
from cnnrs.applications.building import channel_axis, divisible
from cnnrs.applications.torchvision.inverted import conv_norm_act, shortcut
from cnnrs.applications.torchvision.making import dropout_top, network

__all__ = [
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
]

# The part of the images for which training leaves out the last block.
_DROPPED = 0.2


class _Stage(NamedTuple):
    """A stage: expansion, size of windows, stride, channels, blocks, and whether the expansion and the
    convolution of each channel are one convolution."""

    expansion: int
    kernel_size: int
    strides: int
    filters: int
    depth: int
    fused: bool = False


# Table 1 of the first paper.
_B0 = (
    _Stage(1, 3, 1, 16, 1),
    _Stage(6, 3, 2, 24, 2),
    _Stage(6, 5, 2, 40, 2),
    _Stage(6, 3, 2, 80, 3),
    _Stage(6, 5, 1, 112, 3),
    _Stage(6, 5, 2, 192, 4),
    _Stage(6, 3, 1, 320, 1),
)
# Table 4 of the second, as its authors' code has it.
_V2_S = (
    _Stage(1, 3, 1, 24, 2, True),
    _Stage(4, 3, 2, 48, 4, True),
    _Stage(4, 3, 2, 64, 4, True),
    _Stage(4, 3, 2, 128, 6),
    _Stage(6, 3, 1, 160, 9),
    _Stage(6, 3, 2, 256, 15),
)
_V2_M = (
    _Stage(1, 3, 1, 24, 3, True),
    _Stage(4, 3, 2, 48, 5, True),
    _Stage(4, 3, 2, 80, 5, True),
    _Stage(4, 3, 2, 160, 7),
    _Stage(6, 3, 1, 176, 14),
    _Stage(6, 3, 2, 304, 18),
    _Stage(6, 3, 1, 512, 5),
)
_V2_L = (
    _Stage(1, 3, 1, 32, 4, True),
    _Stage(4, 3, 2, 64, 7, True),
    _Stage(4, 3, 2, 96, 7, True),
    _Stage(4, 3, 2, 192, 10),
    _Stage(6, 3, 1, 224, 19),
    _Stage(6, 3, 2, 384, 25),
    _Stage(6, 3, 1, 640, 7),
)


def _fused(make: Builder, x: Any, stage: _Stage, strides: int, rate: float) -> Any:
    """A 3 x 3 convolution that expands, and a 1 x 1 one that narrows; one alone where nothing is expanded."""
    inner = make.under("block")
    wide = stage.expansion * x.shape[channel_axis()]
    if stage.expansion == 1:
        y = conv_norm_act(inner, x, stage.filters, stage.kernel_size, "0", strides=strides)
    else:
        y = conv_norm_act(inner, x, wide, stage.kernel_size, "0", strides=strides)
        y = conv_norm_act(inner, y, stage.filters, 1, "1", active=False)
    return shortcut(make, x, y, strides, rate)


def _inverted(make: Builder, x: Any, stage: _Stage, strides: int, rate: float) -> Any:
    """Expansion, a convolution of each channel, weighed channels, and narrowing."""
    inner = make.under("block")
    channels = x.shape[channel_axis()]
    wide, place, y = divisible(stage.expansion * channels), 0, x
    if wide != channels:
        y = conv_norm_act(inner, y, wide, 1, "0")
        place = 1
    y = conv_norm_act(inner, y, wide, stage.kernel_size, f"{place}", strides=strides, groups=wide)
    y = inner.excite(y, max(1, channels // 4), f"{place + 1}", activation="silu")
    y = conv_norm_act(inner, y, stage.filters, 1, f"{place + 2}", active=False)
    return shortcut(make, x, y, strides, rate)


def _efficientnet(make: Builder, x: Any, stages: tuple[_Stage, ...], first: int, last: int) -> Any:
    x = conv_norm_act(make, x, first, 3, "features.0", strides=2)
    number, blocks = 0, sum(stage.depth for stage in stages)
    for place, stage in enumerate(stages, 1):
        for block in range(stage.depth):
            part = make.under(f"features.{place}.{block}")
            build = _fused if stage.fused else _inverted
            x = build(part, x, stage, stage.strides if block == 0 else 1, _DROPPED * number / blocks)
            number += 1
    return conv_norm_act(make, x, last, 1, f"features.{len(stages) + 1}")


def _b(number: int, width: float, depth: float, dropout: float) -> Any:
    """A network of the first paper: B0 with factors of its channels and of the blocks of its stages."""
    # The larger ones keep the constants of the authors' code.
    large = number > 4
    make = Builder(TORCHVISION, 1e-3 if large else 1e-5, 0.99 if large else 0.9, "silu")
    stages = tuple(
        stage._replace(filters=divisible(width * stage.filters), depth=math.ceil(depth * stage.depth))
        for stage in _B0
    )
    return network(
        f"efficientnet_b{number}",
        f"EfficientNet-B{number} (Tan and Le 2019, section 4, arXiv 1905.11946).",
        lambda x: _efficientnet(make, x, stages, divisible(32 * width), 4 * stages[-1].filters),
        dropout_top(dropout),
        __name__,
    )


def _v2(letter: str, stages: tuple[_Stage, ...], dropout: float) -> Any:
    make = Builder(TORCHVISION, 1e-3, 0.9, "silu")
    return network(
        f"efficientnet_v2_{letter}",
        f"EfficientNetV2-{letter.upper()} (Tan and Le 2021, section 3.3, arXiv 2104.00298).",
        lambda x: _efficientnet(make, x, stages, stages[0].filters, 1280),
        dropout_top(dropout),
        __name__,
    )


efficientnet_b0 = _b(0, 1.0, 1.0, 0.2)
efficientnet_b1 = _b(1, 1.0, 1.1, 0.2)
efficientnet_b2 = _b(2, 1.1, 1.2, 0.3)
efficientnet_b3 = _b(3, 1.2, 1.4, 0.3)
efficientnet_b4 = _b(4, 1.4, 1.8, 0.4)
efficientnet_b5 = _b(5, 1.6, 2.2, 0.4)
efficientnet_b6 = _b(6, 1.8, 2.6, 0.5)
efficientnet_b7 = _b(7, 2.0, 3.1, 0.5)
efficientnet_v2_s = _v2("s", _V2_S, 0.2)
efficientnet_v2_m = _v2("m", _V2_M, 0.3)
efficientnet_v2_l = _v2("l", _V2_L, 0.4)
