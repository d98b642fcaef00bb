"""EfficientNetV2 (Tan and Le 2021, table 4), as Keras builds it."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnrs import initializers, layers
from cnnrs.applications.arguments import scaling_last
from cnnrs.applications.building import Top, channel_axis, network_of
from cnnrs.applications.efficientnet_blocks import (
    conv,
    depth,
    depthwise,
    drop_rate,
    excited,
    last,
    norm,
    residual,
    top,
)
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = [
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "decode_predictions",
    "preprocess_input",
]

_MOMENTUM = 0.9


def _top(name: str) -> Top:
    return top(0.2, initializers.Constant(0.0))


class _Stage(NamedTuple):
    """Blocks of 3 x 3 convolutions at one resolution: the first has the strides, the others keep the size.

    A fused block has one convolution for the expansion and that of each channel, and no excitation.
    """

    fused: bool
    repeats: int
    filters_in: int
    filters_out: int
    expand_ratio: int
    strides: int


_STAGES_B = (
    _Stage(True, 1, 32, 16, 1, 1),
    _Stage(True, 2, 16, 32, 4, 2),
    _Stage(True, 2, 32, 48, 4, 2),
    _Stage(False, 3, 48, 96, 4, 2),
    _Stage(False, 5, 96, 112, 6, 1),
    _Stage(False, 8, 112, 192, 6, 2),
)
_STAGES_S = (
    _Stage(True, 2, 24, 24, 1, 1),
    _Stage(True, 4, 24, 48, 4, 2),
    _Stage(True, 4, 48, 64, 4, 2),
    _Stage(False, 6, 64, 128, 4, 2),
    _Stage(False, 9, 128, 160, 6, 1),
    _Stage(False, 15, 160, 256, 6, 2),
)
_STAGES_M = (
    _Stage(True, 3, 24, 24, 1, 1),
    _Stage(True, 5, 24, 48, 4, 2),
    _Stage(True, 5, 48, 80, 4, 2),
    _Stage(False, 7, 80, 160, 4, 2),
    _Stage(False, 14, 160, 176, 6, 1),
    _Stage(False, 18, 176, 304, 6, 2),
    _Stage(False, 5, 304, 512, 6, 1),
)
_STAGES_L = (
    _Stage(True, 4, 32, 32, 1, 1),
    _Stage(True, 7, 32, 64, 4, 2),
    _Stage(True, 7, 64, 96, 4, 2),
    _Stage(False, 10, 96, 192, 4, 2),
    _Stage(False, 19, 192, 224, 6, 1),
    _Stage(False, 25, 224, 384, 6, 2),
    _Stage(False, 7, 384, 640, 6, 1),
)


def _channels(filters: int, width: float) -> int:
    """The multiple of 8 next to `width * filters`."""
    return max(8, int(filters * width + 4) // 8 * 8)


def _block(inputs: Any, stage: _Stage, rate: float, prefix: str) -> Any:
    """An inverted residual block, fused or not."""
    x = inputs
    # A fused block without expansion has one convolution, the last.
    whole = stage.fused and stage.expand_ratio == 1
    if stage.expand_ratio != 1:
        size, strides = (3, stage.strides) if stage.fused else (1, 1)
        x = conv(x, stage.filters_in * stage.expand_ratio, f"{prefix}expand_conv", size, strides)
        x = norm(x, _MOMENTUM, f"{prefix}expand_bn", f"{prefix}expand_activation")
    if not stage.fused:
        x = depthwise(x, 3, stage.strides, "same", f"{prefix}dwconv2")
        x = norm(x, _MOMENTUM, f"{prefix}bn", f"{prefix}activation")
        x = excited(x, max(1, stage.filters_in // 4), prefix)
    size, strides = (3, stage.strides) if whole else (1, 1)
    x = conv(x, stage.filters_out, f"{prefix}project_conv", size, strides)
    x = norm(x, _MOMENTUM, f"{prefix}project_bn", f"{prefix}project_activation" if whole else None)
    if stage.strides == 1 and stage.filters_in == stage.filters_out:
        x = residual(x, inputs, rate, prefix)
    return x


def _scaled(x: Any, per_channel: bool) -> Any:
    """Pixels from 0 to 255, scaled: by mean and deviation of ImageNet, or to -1 to 1."""
    if per_channel and x.shape[channel_axis()] == 3:
        x = layers.Rescaling(1.0 / 255)(x)
        variance = [0.229**2, 0.224**2, 0.225**2]
        make = layers.Normalization(mean=[0.485, 0.456, 0.406], variance=variance, axis=channel_axis(3))
        return make(x)
    return layers.Rescaling(1.0 / 128.0, -1)(x)


def _efficientnet(x: Any, stages: tuple[_Stage, ...], width: float = 1.0, deep: float = 1.0) -> Any:
    """The network with `width` times the channels and `deep` times the blocks of a table of stages."""
    x = conv(x, _channels(stages[0].filters_in, width), "stem_conv", 3, 2)
    x = norm(x, _MOMENTUM, "stem_bn", "stem_activation")
    # As in Keras: blocks that `deep` adds do not count.
    blocks = sum(stage.repeats for stage in stages)
    number = 0
    for row, stage in enumerate(stages, 1):
        filters_in, filters_out = (_channels(n, width) for n in (stage.filters_in, stage.filters_out))
        first = stage._replace(filters_in=filters_in, filters_out=filters_out)
        others = first._replace(filters_in=filters_out, strides=1)
        for block in range(depth(stage.repeats, deep)):
            prefix = f"block{row}{chr(ord('a') + block)}_"
            x = _block(x, others if block else first, drop_rate(number, blocks), prefix)
            number += 1
    return last(x, _channels(1280, width), _MOMENTUM)


def _small(x: Any, include_preprocessing: bool, width: float, deep: float) -> Any:
    """A network of the series B, which scales images as EfficientNet does."""
    return _efficientnet(_scaled(x, True) if include_preprocessing else x, _STAGES_B, width, deep)


def _large(x: Any, include_preprocessing: bool, stages: tuple[_Stage, ...]) -> Any:
    return _efficientnet(_scaled(x, False) if include_preprocessing else x, stages)


@network_of(scaling_last, _top)
def EfficientNetV2B0(x: Any, include_preprocessing: bool) -> Any:
    """EfficientNetV2-B0 (Tan and Le 2021)."""
    return _small(x, include_preprocessing, 1.0, 1.0)


@network_of(scaling_last, _top)
def EfficientNetV2B1(x: Any, include_preprocessing: bool) -> Any:
    """EfficientNetV2-B1 (Tan and Le 2021)."""
    return _small(x, include_preprocessing, 1.0, 1.1)


@network_of(scaling_last, _top)
def EfficientNetV2B2(x: Any, include_preprocessing: bool) -> Any:
    """EfficientNetV2-B2 (Tan and Le 2021)."""
    return _small(x, include_preprocessing, 1.1, 1.2)


@network_of(scaling_last, _top)
def EfficientNetV2B3(x: Any, include_preprocessing: bool) -> Any:
    """EfficientNetV2-B3 (Tan and Le 2021)."""
    return _small(x, include_preprocessing, 1.2, 1.4)


@network_of(scaling_last, _top)
def EfficientNetV2S(x: Any, include_preprocessing: bool) -> Any:
    """EfficientNetV2-S (Tan and Le 2021, table 4)."""
    return _large(x, include_preprocessing, _STAGES_S)


@network_of(scaling_last, _top)
def EfficientNetV2M(x: Any, include_preprocessing: bool) -> Any:
    """EfficientNetV2-M (Tan and Le 2021, table 4)."""
    return _large(x, include_preprocessing, _STAGES_M)


@network_of(scaling_last, _top)
def EfficientNetV2L(x: Any, include_preprocessing: bool) -> Any:
    """EfficientNetV2-L (Tan and Le 2021, table 4)."""
    return _large(x, include_preprocessing, _STAGES_L)


preprocess_input = preprocessing("EfficientNetV2B0")
