"""ConvNeXt (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, arXiv 2201.03545) with torchvision's names."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.builder import Builder
from cnnrs.applications.convnext import LayerScale
from cnnrs.applications.torchvision.making import MAKE, made, network
from cnnrs.ops.spatial import only_channels_last

__all__ = ["convnext_base", "convnext_large", "convnext_small", "convnext_tiny"]


def _norm(make: Builder, x: Any, name: str) -> Any:
    return layers.LayerNormalization(epsilon=1e-6, name=make.name(name))(x)


def _block(make: Builder, x: Any, rate: float) -> Any:
    """A convolution of each channel and two dense layers, which widen the channels and narrow them."""
    channels = x.shape[-1]
    y = make.conv(x, channels, 7, "block.0", groups=channels, use_bias=True)
    y = _norm(make, y, "block.2")
    y = make.dense(y, 4 * channels, "block.3", "gelu")
    y = make.dense(y, channels, "block.5")
    y = LayerScale(1e-6, channels, name=make.name("layer_scale"))(y)
    return make.add([make.survive(y, rate, "stochastic_depth"), x], "add")


def _convnext(x: Any, depths: tuple[int, ...], widths: tuple[int, ...], dropped: float) -> Any:
    only_channels_last("ConvNeXt")
    make = MAKE.under("features")
    number, blocks = 0, sum(depths)
    for stage, (depth, channels) in enumerate(zip(depths, widths, strict=True)):
        if stage == 0:
            x = make.conv(x, channels, 4, "0.0", strides=4, padding=0, use_bias=True)
            x = _norm(make, x, "0.1")
        else:
            x = _norm(make, x, f"{2 * stage}.0")
            x = make.conv(x, channels, 2, f"{2 * stage}.1", strides=2, padding=0, use_bias=True)
        for block in range(depth):
            x = _block(make.under(f"{2 * stage + 1}.{block}"), x, dropped * number / (blocks - 1))
            number += 1
    return x


def _classify(x: Any, classes: int, activation: Any) -> Any:
    x = _norm(MAKE, MAKE.average(x), "classifier.0")
    return MAKE.dense(x, classes, "classifier.2", activation)


def _network(title: str, depths: tuple[int, ...], width: int, dropped: float) -> Any:
    widths = tuple(width * 2**stage for stage in range(4))
    summary = (
        f"ConvNeXt of {width} channels at first (Liu, Mao, Wu and others 2022, section 3, arXiv 2201.03545)."
    )
    return network(title, summary, lambda x: _convnext(x, depths, widths, dropped), made(_classify), __name__)


convnext_tiny = _network("convnext_tiny", (3, 3, 9, 3), 96, 0.1)
convnext_small = _network("convnext_small", (3, 3, 27, 3), 96, 0.4)
convnext_base = _network("convnext_base", (3, 3, 27, 3), 128, 0.5)
convnext_large = _network("convnext_large", (3, 3, 27, 3), 192, 0.5)
