"""DenseNet (Huang, Liu, van der Maaten and Weinberger 2017, arXiv 1608.06993) with torchvision's names."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.builder import Builder
from cnnrs.applications.building import channel_axis
from cnnrs.applications.torchvision.making import MAKE, made, network

__all__ = ["densenet121", "densenet161", "densenet169", "densenet201"]


def _norm_relu(make: Builder, x: Any, number: int | str) -> Any:
    return make.act(make.norm(x, f"norm{number}"), f"relu{number}")


def _layer(make: Builder, x: Any, growth: int) -> Any:
    """1 x 1 and 3 x 3 convolutions, whose result stands beside the input's channels."""
    y = make.conv(_norm_relu(make, x, 1), 4 * growth, 1, "conv1")
    y = make.conv(_norm_relu(make, y, 2), growth, 3, "conv2")
    return make.concatenate([x, y], "concat")


def _transition(make: Builder, x: Any) -> Any:
    """Half the channels, and half the height and width."""
    x = make.conv(_norm_relu(make, x, ""), x.shape[channel_axis()] // 2, 1, "conv")
    return layers.AveragePooling2D(2, name=make.name("pool"))(x)


def _densenet(x: Any, depths: tuple[int, ...], growth: int) -> Any:
    make = MAKE.under("features")
    x = make.conv_norm(x, 2 * growth, 7, ("conv0", "norm0", "relu0"), strides=2)
    x = make.max_pool(x, 3, "pool0", padding=1)
    for block, depth in enumerate(depths, 1):
        if block > 1:
            x = _transition(make.under(f"transition{block - 1}"), x)
        for number in range(1, depth + 1):
            x = _layer(make.under(f"denseblock{block}.denselayer{number}"), x, growth)
    return _norm_relu(make, x, 5)


def _classify(x: Any, classes: int, activation: Any) -> Any:
    return MAKE.dense(MAKE.average(x), classes, "classifier", activation)


def _network(title: str, depths: tuple[int, ...], growth: int = 32) -> Any:
    summary = (
        f"DenseNet-{title[8:]} (Huang, Liu, van der Maaten and Weinberger 2017, table 1, arXiv 1608.06993)."
    )
    return network(title, summary, lambda x: _densenet(x, depths, growth), made(_classify), __name__)


densenet121 = _network("densenet121", (6, 12, 24, 16))
densenet161 = _network("densenet161", (6, 12, 36, 24), 48)
densenet169 = _network("densenet169", (6, 12, 32, 32))
densenet201 = _network("densenet201", (6, 12, 48, 32))
