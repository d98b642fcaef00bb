"""What the two generations of EfficientNet share."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import initializers, layers
from cnnrs.applications.building import Top, channel_axis

__all__ = ["conv", "depth", "depthwise", "drop_rate", "excited", "last", "norm", "residual", "top"]


def depth(repeats: int, factor: float) -> int:
    """The number of blocks of a stage."""
    return math.ceil(factor * repeats)


def _initializer() -> initializers.VarianceScaling:
    """The initializer of filters: one for each layer, as it draws the same values again."""
    return initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")


def conv(
    x: Any,
    filters: int,
    name: str,
    kernel_size: int = 1,
    strides: int = 1,
    padding: str = "same",
    activation: Any = None,
    use_bias: bool = False,
) -> Any:
    """A convolution."""
    make = layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding,
        activation=activation,
        use_bias=use_bias,
        kernel_initializer=_initializer(),
        name=name,
    )
    return make(x)


def depthwise(x: Any, kernel_size: int, strides: int, padding: str, name: str) -> Any:
    """A convolution of each channel."""
    make = layers.DepthwiseConv2D(
        kernel_size, strides, padding, use_bias=False, depthwise_initializer=_initializer(), name=name
    )
    return make(x)


def norm(x: Any, momentum: float, name: str, activation: str | None = None) -> Any:
    """Batch normalization, and swish called `activation` behind it."""
    x = layers.BatchNormalization(axis=channel_axis(3), momentum=momentum, name=name)(x)
    return x if activation is None else layers.Activation("swish", name=activation)(x)


def excited(x: Any, filters: int, prefix: str) -> Any:
    """Squeeze and excitation (Hu, Shen and Sun 2018): each channel times a factor that all channels make.

    Args:
        x: Features.
        filters: Channels between.
        prefix: What names of layers begin with.
    """
    channels = x.shape[channel_axis()]
    shape = (channels, 1, 1) if channel_axis() == 1 else (1, 1, channels)
    factor = layers.GlobalAveragePooling2D(name=f"{prefix}se_squeeze")(x)
    factor = layers.Reshape(shape, name=f"{prefix}se_reshape")(factor)
    factor = conv(factor, filters, f"{prefix}se_reduce", activation="swish", use_bias=True)
    factor = conv(factor, channels, f"{prefix}se_expand", activation="sigmoid", use_bias=True)
    return layers.multiply([x, factor], name=f"{prefix}se_excite")


def drop_rate(number: int, blocks: int) -> float:
    """The part of the images for which training leaves out a block: 0 for the first, towards 0.2."""
    return 0.2 * number / blocks


def residual(x: Any, inputs: Any, rate: float, prefix: str) -> Any:
    """The block's input beside its output, which training leaves out for a part of the images.

    Args:
        x: The block's output.
        inputs: The block's input.
        rate: The part.
        prefix: What names of layers begin with.
    """
    if rate > 0:
        x = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{prefix}drop")(x)
    return layers.add([x, inputs], name=f"{prefix}add")


def last(x: Any, filters: int, momentum: float) -> Any:
    """The features that the classifier reads."""
    return norm(conv(x, filters, "top_conv"), momentum, "top_bn", "top_activation")


def top(dropout: float, bias_initializer: Any = "zeros") -> Top:
    """Average pooling, dropout and the classes."""

    def classify(x: Any, classes: int, activation: Any) -> Any:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dropout(dropout, name="top_dropout")(x)
        make = layers.Dense(
            classes,
            activation=activation,
            kernel_initializer=initializers.VarianceScaling(1.0 / 3.0, "fan_out", "uniform"),
            bias_initializer=bias_initializer,
            name="predictions",
        )
        return make(x)

    return Top(classify, "avg_pool", "max_pool")
