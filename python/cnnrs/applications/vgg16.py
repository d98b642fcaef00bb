"""VGG16 (Simonyan and Zisserman 2015, table 1, column D)."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import Top, network
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]


def vgg(x: Any, depths: tuple[int, ...]) -> Any:
    """Stages of 3 x 3 convolutions, each of which ends with pooling."""
    for stage, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512, 512), strict=True), 1):
        for number in range(1, depth + 1):
            name = f"block{stage}_conv{number}"
            x = layers.Conv2D(filters, (3, 3), activation="relu", padding="same", name=name)(x)
        x = layers.MaxPooling2D((2, 2), strides=(2, 2), name=f"block{stage}_pool")(x)
    return x


def _classify(x: Any, classes: int, activation: Any) -> Any:
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return layers.Dense(classes, activation=activation, name="predictions")(x)


TOP = Top(_classify)


@network(TOP)
def VGG16(x: Any) -> Any:
    """VGG16: 13 convolutions and 3 dense layers (Simonyan and Zisserman 2015, table 1, column D)."""
    return vgg(x, (2, 2, 3, 3, 3))


preprocess_input = preprocessing("VGG16")
