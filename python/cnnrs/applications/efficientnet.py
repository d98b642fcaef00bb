"""EfficientNet (Tan and Le 2019, table 1), as Keras builds it: it scales pixels from 0 to 255 itself."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from cnnrs import layers
from cnnrs.applications.building import channel_axis, correct_pad, divisible, network
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
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "decode_predictions",
    "preprocess_input",
]

_MOMENTUM = 0.99
_STDDEV = (0.229, 0.224, 0.225)


class _Stage(NamedTuple):
    """Blocks of one resolution: the first has the strides, the others keep the size."""

    kernel_size: int
    repeats: int
    filters_in: int
    filters_out: int
    expand_ratio: int
    strides: int


_STAGES = (
    _Stage(3, 1, 32, 16, 1, 1),
    _Stage(3, 2, 16, 24, 6, 2),
    _Stage(5, 2, 24, 40, 6, 2),
    _Stage(3, 3, 40, 80, 6, 2),
    _Stage(5, 3, 80, 112, 6, 1),
    _Stage(5, 4, 112, 192, 6, 2),
    _Stage(3, 1, 192, 320, 6, 1),
)


def _block(inputs: Any, stage: _Stage, rate: float, prefix: str) -> Any:
    """An inverted residual block: expansion, a convolution of each channel, excitation, projection."""
    x = inputs
    if stage.expand_ratio != 1:
        x = conv(x, stage.filters_in * stage.expand_ratio, f"{prefix}expand_conv")
        x = norm(x, _MOMENTUM, f"{prefix}expand_bn", f"{prefix}expand_activation")
    padding = "same"
    if stage.strides == 2:
        border = correct_pad(x, stage.kernel_size)
        x = layers.ZeroPadding2D(border, name=f"{prefix}dwconv_pad")(x)
        padding = "valid"
    x = depthwise(x, stage.kernel_size, stage.strides, padding, f"{prefix}dwconv")
    x = norm(x, _MOMENTUM, f"{prefix}bn", f"{prefix}activation")
    x = excited(x, max(1, stage.filters_in // 4), prefix)
    x = norm(conv(x, stage.filters_out, f"{prefix}project_conv"), _MOMENTUM, f"{prefix}project_bn")
    if stage.strides == 1 and stage.filters_in == stage.filters_out:
        x = residual(x, inputs, rate, prefix)
    return x


def _efficientnet(x: Any, weights: Any, width: float, deep: float) -> Any:
    """The network with `width` times the channels and `deep` times the blocks of the smallest one."""
    x = layers.Rescaling(1.0 / 255.0)(x)
    x = layers.Normalization(axis=channel_axis(3))(x)
    if weights == "imagenet":
        # These were trained on pixels divided by the variance; Normalization divides by its square root.
        x = layers.Rescaling([1.0 / math.sqrt(stddev) for stddev in _STDDEV])(x)
    x = layers.ZeroPadding2D(correct_pad(x, 3), name="stem_conv_pad")(x)
    x = conv(x, divisible(32 * width), "stem_conv", 3, 2, "valid")
    x = norm(x, _MOMENTUM, "stem_bn", "stem_activation")
    blocks = sum(depth(stage.repeats, deep) for stage in _STAGES)
    number = 0
    for row, stage in enumerate(_STAGES, 1):
        filters_in, filters_out = (divisible(n * width) for n in (stage.filters_in, stage.filters_out))
        first = stage._replace(filters_in=filters_in, filters_out=filters_out)
        others = first._replace(filters_in=filters_out, strides=1)
        for block in range(depth(stage.repeats, deep)):
            prefix = f"block{row}{chr(ord('a') + block)}_"
            x = _block(x, others if block else first, drop_rate(number, blocks), prefix)
            number += 1
    return last(x, divisible(1280 * width), _MOMENTUM)


@network(top(0.2))
def EfficientNetB0(x: Any, weights: Any) -> Any:
    """EfficientNet-B0 (Tan and Le 2019)."""
    return _efficientnet(x, weights, 1.0, 1.0)


@network(top(0.2))
def EfficientNetB1(x: Any, weights: Any) -> Any:
    """EfficientNet-B1 (Tan and Le 2019)."""
    return _efficientnet(x, weights, 1.0, 1.1)


@network(top(0.3))
def EfficientNetB2(x: Any, weights: Any) -> Any:
    """EfficientNet-B2 (Tan and Le 2019)."""
    return _efficientnet(x, weights, 1.1, 1.2)


@network(top(0.3))
def EfficientNetB3(x: Any, weights: Any) -> Any:
    """EfficientNet-B3 (Tan and Le 2019)."""
    return _efficientnet(x, weights, 1.2, 1.4)


@network(top(0.4))
def EfficientNetB4(x: Any, weights: Any) -> Any:
    """EfficientNet-B4 (Tan and Le 2019)."""
    return _efficientnet(x, weights, 1.4, 1.8)


@network(top(0.4))
def EfficientNetB5(x: Any, weights: Any) -> Any:
    """EfficientNet-B5 (Tan and Le 2019)."""
    return _efficientnet(x, weights, 1.6, 2.2)


@network(top(0.5))
def EfficientNetB6(x: Any, weights: Any) -> Any:
    """EfficientNet-B6 (Tan and Le 2019)."""
    return _efficientnet(x, weights, 1.8, 2.6)


@network(top(0.5))
def EfficientNetB7(x: Any, weights: Any) -> Any:
    """EfficientNet-B7 (Tan and Le 2019)."""
    return _efficientnet(x, weights, 2.0, 3.1)


preprocess_input = preprocessing("EfficientNetB0")
