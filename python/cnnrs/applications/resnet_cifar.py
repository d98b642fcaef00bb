"""The residual networks for images of 32 x 32 (He, Zhang, Ren and Sun, Deep residual learning for image
recognition, CVPR 2016, arXiv 1512.03385, section 4.2)."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications import residual
from cnnrs.applications.arguments import small_images
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import channel_axis
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.variants import variant

__all__ = [
    "ResNet20",
    "ResNet32",
    "ResNet44",
    "ResNet56",
    "ResNet110",
    "decode_predictions",
    "preprocess_input",
]

_MAKE = Builder(KERAS)


def _identity(make: Builder, x: Any, filters: int, strides: int) -> Any:
    """The shortcut without weights (option A): every other pixel, and channels of zeros behind the others."""
    added = filters - x.shape[channel_axis()]
    if strides > 1:
        x = layers.MaxPooling2D(1, strides, name=make.name("0_pool"))(x)
    if added:
        # Padding of two axes, one of which is that of the channels, which the other order of axes calls
        # spatial.
        first = channel_axis() == 1
        padding = ((0, added), (0, 0)) if first else ((0, 0), (0, added))
        order = "channels_last" if first else "channels_first"
        x = layers.ZeroPadding2D(padding, data_format=order, name=make.name("0_pad"))(x)
    return x


def _block(make: Builder, x: Any, filters: int, strides: int) -> Any:
    y = make.conv_norm(x, filters, 3, ("1_conv", "1_bn", "1_relu"), strides=strides)
    y = make.conv_norm(y, filters, 3, ("2_conv", "2_bn"))
    return make.act(make.add([_identity(make, x, filters, strides), y], "add"), "out")


def _resnet(x: Any, blocks: int) -> Any:
    x = _MAKE.conv_norm(x, 16, 3, ("conv1_conv", "conv1_bn", "conv1_relu"))
    for stage, filters in enumerate((16, 32, 64), 2):
        for block in range(1, blocks + 1):
            strides = 2 if block == 1 and stage > 2 else 1
            x = _block(_MAKE.under(f"conv{stage}_block{block}"), x, filters, strides)
    return x


def _network(depth: int) -> Any:
    blocks = (depth - 2) // 6
    return variant(
        f"ResNet{depth}",
        f"ResNet-{depth} for images of 32 x 32 (He, Zhang, Ren and Sun 2016, section 4.2): three stages "
        f"of {blocks} "
        "blocks,\n    whose shortcuts have no weights.",
        lambda x: _resnet(x, blocks),
        residual.top(_MAKE),
        __name__,
        small_images,
    )


ResNet20 = _network(20)
ResNet32 = _network(32)
ResNet44 = _network(44)
ResNet56 = _network(56)
ResNet110 = _network(110)

preprocess_input = preprocessing("ResNet20")
