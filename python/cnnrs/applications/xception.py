"""Xception (Chollet 2017, figure 5)."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import Top, channel_axis, classifier, network
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["Xception", "decode_predictions", "preprocess_input"]


def _norm(x: Any, name: str | None = None) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), name=name)(x)


def _relu(x: Any, name: str) -> Any:
    return layers.Activation("relu", name=name)(x)


def _conv(x: Any, filters: int, name: str, strides: tuple[int, int] = (1, 1)) -> Any:
    x = layers.Conv2D(filters, (3, 3), strides=strides, use_bias=False, name=name)(x)
    return _relu(_norm(x, f"{name}_bn"), f"{name}_act")


def _separable(x: Any, filters: int, name: str) -> Any:
    x = layers.SeparableConv2D(filters, (3, 3), padding="same", use_bias=False, name=name)(x)
    return _norm(x, f"{name}_bn")


def _halving(x: Any, filters: tuple[int, int], block: int, relu_first: bool = True) -> Any:
    """Two separable convolutions and pooling, beside a projection; both take every other row and column."""
    shortcut = layers.Conv2D(filters[1], (1, 1), strides=(2, 2), padding="same", use_bias=False)(x)
    shortcut = _norm(shortcut)
    for number, count in enumerate(filters, 1):
        if number > 1 or relu_first:
            x = _relu(x, f"block{block}_sepconv{number}_act")
        x = _separable(x, count, f"block{block}_sepconv{number}")
    x = layers.MaxPooling2D((3, 3), strides=(2, 2), padding="same", name=f"block{block}_pool")(x)
    return layers.add([x, shortcut])


@network(Top(classifier("avg_pool")))
def Xception(x: Any) -> Any:
    """Xception: separable convolutions in blocks with shortcuts (Chollet 2017, figure 5)."""
    x = _conv(_conv(x, 32, "block1_conv1", (2, 2)), 64, "block1_conv2")
    x = _halving(x, (128, 128), 2, relu_first=False)
    x = _halving(x, (256, 256), 3)
    x = _halving(x, (728, 728), 4)
    for block in range(5, 13):
        shortcut = x
        for number in range(1, 4):
            name = f"block{block}_sepconv{number}"
            x = _separable(_relu(x, f"{name}_act"), 728, name)
        x = layers.add([x, shortcut])
    x = _halving(x, (728, 1024), 13)
    for number, filters in enumerate((1536, 2048), 1):
        name = f"block14_sepconv{number}"
        x = _relu(_separable(x, filters, name), f"{name}_act")
    return x


preprocess_input = preprocessing("Xception")
