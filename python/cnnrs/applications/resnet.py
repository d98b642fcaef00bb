"""Residual networks of bottleneck blocks (He, Zhang, Ren and Sun 2016, table 1), as Keras builds them."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import Top, channel_axis, classifier, network
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.resnet_basic import ResNet18, ResNet34

__all__ = [
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "decode_predictions",
    "preprocess_input",
]

TOP = Top(classifier("avg_pool"), "avg_pool", "max_pool")


def norm(x: Any, name: str, relu: str | None = None) -> Any:
    """Batch normalization, and a ReLU called `relu` behind it."""
    x = layers.BatchNormalization(axis=channel_axis(3), epsilon=1.001e-5, name=name)(x)
    return x if relu is None else layers.Activation("relu", name=relu)(x)


def conv(x: Any, filters: int, kernel_size: int, name: str, strides: int = 1, **options: Any) -> Any:
    """A convolution."""
    return layers.Conv2D(filters, kernel_size, strides=strides, name=name, **options)(x)


def pool(x: Any) -> Any:
    """The first pooling. Zeros around what a ReLU made never exceed the largest element."""
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
    return layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)


def _block(x: Any, filters: int, strides: int, project: bool, name: str) -> Any:
    """1 x 1, 3 x 3 and 1 x 1 convolutions, the last to four times the channels, and a shortcut.

    The first one strides, as published; later designs move the stride to the 3 x 3 convolution.
    """
    shortcut = x
    if project:
        shortcut = norm(conv(x, 4 * filters, 1, f"{name}_0_conv", strides), f"{name}_0_bn")
    y = norm(conv(x, filters, 1, f"{name}_1_conv", strides), f"{name}_1_bn", f"{name}_1_relu")
    y = norm(conv(y, filters, 3, f"{name}_2_conv", padding="same"), f"{name}_2_bn", f"{name}_2_relu")
    y = norm(conv(y, 4 * filters, 1, f"{name}_3_conv"), f"{name}_3_bn")
    return layers.Activation("relu", name=f"{name}_out")(layers.Add(name=f"{name}_add")([shortcut, y]))


def _resnet(x: Any, *depths: int) -> Any:
    x = layers.ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(x)
    x = pool(norm(conv(x, 64, 7, "conv1_conv", 2), "conv1_bn", "conv1_relu"))
    for stage, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512), strict=True), 2):
        for block in range(1, depth + 1):
            strides = 2 if block == 1 and stage > 2 else 1
            x = _block(x, filters, strides, block == 1, f"conv{stage}_block{block}")
    return x


@network(TOP)
def ResNet50(x: Any) -> Any:
    """ResNet-50, version 1 (He, Zhang, Ren and Sun 2016, table 1)."""
    return _resnet(x, 3, 4, 6, 3)


@network(TOP)
def ResNet101(x: Any) -> Any:
    """ResNet-101, version 1 (He, Zhang, Ren and Sun 2016, table 1)."""
    return _resnet(x, 3, 4, 23, 3)


@network(TOP)
def ResNet152(x: Any) -> Any:
    """ResNet-152, version 1 (He, Zhang, Ren and Sun 2016, table 1)."""
    return _resnet(x, 3, 8, 36, 3)


preprocess_input = preprocessing("ResNet50")
