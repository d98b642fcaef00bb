"""Residual networks that normalize before they convolve (He, Zhang, Ren and Sun 2016, identity mappings)."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import network
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.resnet import TOP, conv, norm, pool

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]


def _block(x: Any, filters: int, strides: int, project: bool, name: str) -> Any:
    """Normalization, then 1 x 1, 3 x 3 and 1 x 1 convolutions, and a shortcut.

    A shortcut that is projected starts behind the normalization, others before it.
    """
    before = norm(x, f"{name}_preact_bn", f"{name}_preact_relu")
    if project:
        shortcut = conv(before, 4 * filters, 1, f"{name}_0_conv", strides)
    else:
        shortcut = layers.MaxPooling2D(1, strides=strides)(x) if strides > 1 else x
    y = conv(before, filters, 1, f"{name}_1_conv", use_bias=False)
    y = norm(y, f"{name}_1_bn", f"{name}_1_relu")
    y = layers.ZeroPadding2D(((1, 1), (1, 1)), name=f"{name}_2_pad")(y)
    y = conv(y, filters, 3, f"{name}_2_conv", strides, use_bias=False)
    y = norm(y, f"{name}_2_bn", f"{name}_2_relu")
    y = conv(y, 4 * filters, 1, f"{name}_3_conv")
    return layers.Add(name=f"{name}_out")([shortcut, y])


def _resnet(x: Any, *depths: int) -> Any:
    """The last block of each stage but the last strides."""
    x = layers.ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(x)
    x = pool(conv(x, 64, 7, "conv1_conv", 2))
    for stage, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512), strict=True), 2):
        for block in range(1, depth + 1):
            strides = 2 if block == depth and stage < 5 else 1
            x = _block(x, filters, strides, block == 1, f"conv{stage}_block{block}")
    return norm(x, "post_bn", "post_relu")


@network(TOP)
def ResNet50V2(x: Any) -> Any:
    """ResNet-50, version 2 (He, Zhang, Ren and Sun 2016, identity mappings)."""
    return _resnet(x, 3, 4, 6, 3)


@network(TOP)
def ResNet101V2(x: Any) -> Any:
    """ResNet-101, version 2 (He, Zhang, Ren and Sun 2016, identity mappings)."""
    return _resnet(x, 3, 4, 23, 3)


@network(TOP)
def ResNet152V2(x: Any) -> Any:
    """ResNet-152, version 2 (He, Zhang, Ren and Sun 2016, identity mappings)."""
    return _resnet(x, 3, 8, 36, 3)


preprocess_input = preprocessing("ResNet50V2")
