"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018, table 2), as Keras builds it."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import (
    Top,
    assemble,
    channel_axis,
    classifier,
    correct_pad,
    divisible,
)
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.sizes import Sizes
from cnnrs.base.arguments import named
from cnnrs.models import Model

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

# Channels, blocks and the first block's stride of each stage; all but the first stage expand six times.
_STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))

_SIZES = Sizes("MobileNetV2", (96, 128, 160, 192, 224), (0.35, 0.5, 0.75, 1.0, 1.3, 1.4))


def _norm(x: Any, name: str, relu: str | None = None) -> Any:
    x = layers.BatchNormalization(axis=channel_axis(), epsilon=1e-3, momentum=0.999, name=name)(x)
    return x if relu is None else layers.ReLU(6.0, name=relu)(x)


def _block(x: Any, filters: int, expansion: int, strides: int, name: str) -> Any:
    """Expansion, a convolution of each channel, projection; a shortcut where the shape stays."""
    channels = x.shape[channel_axis()]
    y = x
    if expansion > 1:
        wide = layers.Conv2D(expansion * channels, 1, padding="same", use_bias=False, name=f"{name}expand")
        y = _norm(wide(y), f"{name}expand_BN", f"{name}expand_relu")
    if strides == 2:
        y = layers.ZeroPadding2D(correct_pad(y, 3), name=f"{name}pad")(y)
    padding = "valid" if strides == 2 else "same"
    y = layers.DepthwiseConv2D(3, strides, padding, use_bias=False, name=f"{name}depthwise")(y)
    y = _norm(y, f"{name}depthwise_BN", f"{name}depthwise_relu")
    narrow = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")
    y = _norm(narrow(y), f"{name}project_BN")
    if strides == 1 and channels == filters:
        y = layers.Add(name=f"{name}add")([x, y])
    return y


def _features(x: Any, alpha: float) -> Any:
    first = layers.Conv2D(divisible(32 * alpha), 3, 2, "same", use_bias=False, name="Conv1")
    x = _norm(first(x), "bn_Conv1", "Conv1_relu")
    number = 0
    for filters, depth, strides in _STAGES:
        for block in range(depth):
            name = f"block_{number}_" if number else "expanded_conv_"
            wide = divisible(int(filters * alpha))
            x = _block(x, wide, 6 if number else 1, strides if block == 0 else 1, name)
            number += 1
    # Narrow networks keep the width of the last features.
    last = layers.Conv2D(divisible(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")
    return _norm(last(x), "Conv_1_bn", "out_relu")


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
) -> Model:
    """MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018, table 2).

    Args:
        input_shape: Height and width of at least 32, and channels; by default (224, 224, 3). Without the
            classifier height and width may be None, and are by default. Channels stand first where
            `config.image_data_format()` says so.
        alpha: Factor of the channels of every layer; with "imagenet" 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4.
        include_top: Whether the classifier stands at the end.
        weights: "imagenet" for weights trained on ImageNet, which are fetched once: with images of that size,
            if height and width are equal and 96, 128, 160, 192 or 224, otherwise with 224 x 224. None for
            random ones; or the path of a file for `load_weights`.
        input_tensor: A symbolic tensor to build on, as a result of `Input`; by default a new one.
        pooling: Without the classifier: None for features of shape (batch, height, width, channels), "avg" or
            "max" for (batch, channels).
        classes: Number of classes; 1000 with the classifier of "imagenet".
        classifier_activation: Activation of the classifier; None for logits.
        name: Name of the model; by default made of alpha and height.

    Returns:
        The model. Images go in as `cnnrs.applications.mobilenet_v2.preprocess_input` makes them.

    Raises:
        ValueError: An argument does not fit, or there is no such file.
        OSError: Weights cannot be fetched; the message has the address, and where to put the file.

    >>> from cnnrs.applications import MobileNetV2
    >>> MobileNetV2(weights=None).count_params()
    3538984
    >>> MobileNetV2((96, 96, 3), alpha=0.35, include_top=False, weights=None, pooling="avg").output_shape
    (None, 1280)
    """
    choice = _SIZES.choose(input_shape, input_tensor, alpha, weights, include_top)
    stem = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{choice.height}"
    return assemble(
        "MobileNetV2",
        lambda x: _features(x, alpha),
        Top(classifier(None)),
        include_top=include_top,
        weights=weights,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=f"mobilenetv2_{alpha:0.2f}_{choice.height}" if name is None else name,
        size=choice.size,
        files=choice.files(stem),
    )


preprocess_input = preprocessing("MobileNetV2")
