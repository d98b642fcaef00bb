"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018, table 2), as Keras builds it."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.head import head, input_of, model_of
from cnnrs.base import absent, suggest
from cnnrs.base.arguments import named

__all__ = ["MobileNetV2"]

# Channels, blocks and the first block's stride of each stage; all but the first stage expand six times.
_STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))


def _channels(filters: float) -> int:
    """The multiple of 8 next to `filters`, but no less than nine tenths of it."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.999, epsilon=1e-3, name=name)(x)


def _pointwise(x: Any, filters: int, name: str) -> Any:
    return layers.Conv2D(filters, 1, padding="same", use_bias=False, name=name)(x)


def _relu6(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=name)(x)


def _block(x: Any, filters: int, expansion: int, strides: int, name: str) -> Any:
    """Expansion, a convolution of each channel, projection; a shortcut where the shape stays."""
    channels = x.shape[-1]
    y = x
    if expansion > 1:
        y = _norm(_pointwise(y, expansion * channels, f"{name}expand"), f"{name}expand_BN")
        y = _relu6(y, f"{name}expand_relu")
    if strides == 2:
        # As "same" pads odd extents; even ones get nothing before.
        # Unknown extents count as even, as in Keras.
        border = tuple(((n or 0) % 2, 1) for n in y.shape[1:3])
        y = layers.ZeroPadding2D(border, name=f"{name}pad")(y)
    padding = "valid" if strides == 2 else "same"
    y = layers.DepthwiseConv2D(3, strides, padding, use_bias=False, name=f"{name}depthwise")(y)
    y = _relu6(_norm(y, f"{name}depthwise_BN"), f"{name}depthwise_relu")
    y = _norm(_pointwise(y, filters, f"{name}project"), f"{name}project_BN")
    if strides == 1 and channels == filters:
        y = layers.Add(name=f"{name}add")([x, y])
    return y


@named
def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Any:
    """MobileNetV2 with Keras's layers, names and arguments.

    Args:
        input_shape: Height and width of at least 32, and channels; by default (224, 224, 3). Without the
            classifier height and width may be None, and are by default.
        alpha: Factor of the channels of every layer.
        include_top: Whether pooling and the classifier stand at the end.
        weights: None for random initial weights, or the path of a file for `load_weights`. The default is
            Keras's, trained weights, which cnnrs does not ship: it is an error that says so.
        input_tensor: A result of `Input` to build on; by default a new one.
        pooling: Without the top: None for features of shape (batch, height, width, channels), "avg" or "max"
            for (batch, channels).
        classes: Number of classes.
        classifier_activation: Activation of the last layer; None for logits.
        name: Name; by default made of alpha and height.

    Raises:
        ValueError: There are no such weights, or an argument does not fit.

    >>> from cnnrs.applications import MobileNetV2
    >>> MobileNetV2(weights=None).count_params()
    3538984
    >>> MobileNetV2((96, 96, 3), alpha=0.35, include_top=False, weights=None, pooling="avg").output_shape
    (None, 1280)
    """
    inputs = input_of("MobileNetV2", weights, input_tensor, input_shape, pooling, include_top)
    if not alpha > 0:
        raise ValueError(f"MobileNetV2: alpha: expected a positive number, received {alpha!r}")
    x = layers.Conv2D(_channels(32 * alpha), 3, 2, "same", use_bias=False, name="Conv1")(inputs)
    x = _relu6(_norm(x, "bn_Conv1"), "Conv1_relu")
    number = 0
    for filters, depth, strides in _STAGES:
        for block in range(depth):
            prefix = f"block_{number}_" if number else "expanded_conv_"
            x = _block(
                x, _channels(filters * alpha), 6 if number else 1, strides if block == 0 else 1, prefix
            )
            number += 1
    # Narrow networks keep the width of the last features.
    x = _norm(_pointwise(x, _channels(1280 * max(alpha, 1.0)), "Conv_1"), "Conv_1_bn")
    x = _relu6(x, "out_relu")
    outputs = head(x, include_top, pooling, classes, classifier_activation, None)
    return model_of(inputs, outputs, name or f"mobilenetv2_{alpha:0.2f}_{inputs.shape[1]}", weights)


__getattr__ = suggest.without("cnnrs.applications.mobilenet_v2", absent.OF_NETWORKS, __all__)
