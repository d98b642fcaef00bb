"""The residual networks on which torchvision's segmentation stands: no biases, and strides in the 3 x 3."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.models import Model

__all__ = ["resnet_v1_5"]


def _conv(x: Any, filters: int, kernel_size: int, strides: int, name: str) -> Any:
    if kernel_size > 1:
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    conv = layers.Conv2D(filters, kernel_size, strides, use_bias=False, name=f"{name}_conv")
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(conv(x))


def _block(x: Any, filters: int, strides: int, project: bool, name: str) -> Any:
    shortcut = _conv(x, 4 * filters, 1, strides, f"{name}_0") if project else x
    y = layers.ReLU(name=f"{name}_1_relu")(_conv(x, filters, 1, 1, f"{name}_1"))
    y = layers.ReLU(name=f"{name}_2_relu")(_conv(y, filters, 3, strides, f"{name}_2"))
    y = _conv(y, 4 * filters, 1, 1, f"{name}_3")
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([shortcut, y]))


def resnet_v1_5(input_shape: Any, depths: tuple[int, ...], name: str) -> Model:
    """Features of a ResNet of bottleneck blocks, version 1.5.

    Args:
        input_shape: Height, width and channels.
        depths: Blocks of the four stages.
        name: Name.
    """
    inputs = layers.Input(input_shape)
    x = layers.ReLU(name="conv1_relu")(_conv(inputs, 64, 7, 2, "conv1"))
    # Behind a ReLU zeros never exceed the largest element.
    x = layers.MaxPooling2D(3, 2, name="pool1")(layers.ZeroPadding2D(1, name="pool1_pad")(x))
    for stage, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512), strict=True), 2):
        for block in range(1, depth + 1):
            strides = 2 if block == 1 and stage > 2 else 1
            x = _block(x, filters, strides, block == 1, f"conv{stage}_block{block}")
    return Model(inputs, x, name=name)
