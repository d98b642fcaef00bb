"""AlexNet (Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks,
NIPS 2012): the network of the paper, with two groups where its halves lay on two GPUs.

The one of torchvision follows Krizhevsky's later paper, One weird trick for parallelizing convolutional
neural networks, 2014, arXiv 1404.5997.
"""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.arguments import untrained
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import Top, network_of
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["AlexNet", "decode_predictions", "preprocess_input"]

_MAKE = Builder(KERAS)
_OPTIONS: dict[str, Any] = {"use_bias": True, "activation": "relu"}


def _normalized_pool(x: Any, number: int) -> Any:
    x = layers.LocalResponseNormalization(name=f"norm{number}")(x)
    return _MAKE.max_pool(x, 3, f"pool{number}")


def _classify(x: Any, classes: int, activation: Any) -> Any:
    x = layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = _MAKE.dense(x, 4096, f"fc{number}", "relu")
        x = _MAKE.dropout(x, 0.5, f"drop{number}")
    return _MAKE.dense(x, classes, activation=activation)


@network_of(untrained, lambda name: Top(_classify, "avg_pool", "max_pool"))
def AlexNet(x: Any) -> Any:
    """AlexNet (Krizhevsky, Sutskever and Hinton 2012, section 3.5): five convolutions and three dense layers.

    Images have 227 x 227 pixels, with which the paper's sizes of maps come out; it says 224 x 224."""
    x = _MAKE.conv(x, 96, 11, "conv1", strides=4, padding=0, **_OPTIONS)
    x = _MAKE.conv(_normalized_pool(x, 1), 256, 5, "conv2", groups=2, **_OPTIONS)
    x = _MAKE.conv(_normalized_pool(x, 2), 384, 3, "conv3", **_OPTIONS)
    x = _MAKE.conv(x, 384, 3, "conv4", groups=2, **_OPTIONS)
    x = _MAKE.conv(x, 256, 3, "conv5", groups=2, **_OPTIONS)
    return _MAKE.max_pool(x, 3, "pool5")


preprocess_input = preprocessing("AlexNet")
