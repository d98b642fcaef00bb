"""VGG: what all depths share, and those that Keras has not (Simonyan and Zisserman, Very deep convolutional
networks for large-scale image recognition, ICLR 2015, arXiv 1409.1556).

The networks with batch normalisation are later than the paper; torchvision has them.
"""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import Top
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.variants import variant

__all__ = [
    "TOP",
    "VGG11",
    "VGG11BN",
    "VGG13",
    "VGG13BN",
    "VGG16BN",
    "VGG19BN",
    "decode_predictions",
    "preprocess_input",
    "vgg",
]

# Convolutions of each stage: columns A, B, D and E of table 1.
_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(x: Any, depth: int, make: Builder | None = None, norm: bool = False) -> Any:
    """Stages of 3 x 3 convolutions, each of which ends with pooling.

    Args:
        x: Images, symbolic.
        depth: Number of convolutions and dense layers.
        make: What names the layers, and normalises.
        norm: Whether a batch normalisation stands behind each convolution.
    """
    make = make or Builder(KERAS)
    place = 0
    for stage, (count, filters) in enumerate(zip(_DEPTHS[depth], (64, 128, 256, 512, 512), strict=True), 1):
        for number in range(1, count + 1):
            name = make.name((f"features.{place}", f"block{stage}_conv{number}"))
            activation = None if norm else "relu"
            x = layers.Conv2D(filters, (3, 3), activation=activation, padding="same", name=name)(x)
            if norm:
                x = make.norm(x, (f"features.{place + 1}", f"block{stage}_bn{number}"))
                x = make.act(x, (f"features.{place + 2}", f"block{stage}_relu{number}"))
            place += 3 if norm else 2
        name = make.name((f"features.{place}", f"block{stage}_pool"))
        x = layers.MaxPooling2D((2, 2), strides=(2, 2), name=name)(x)
        place += 1
    return x


def _classify(x: Any, classes: int, activation: Any) -> Any:
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return layers.Dense(classes, activation=activation, name="predictions")(x)


TOP = Top(_classify)


def _network(depth: int, norm: bool) -> Any:
    with_norm = ", with batch normalisation behind each convolution" if norm else ""
    column = {11: "A", 13: "B", 16: "D", 19: "E"}[depth]
    return variant(
        f"VGG{depth}BN" if norm else f"VGG{depth}",
        f"VGG{depth}: {depth - 3} convolutions and 3 dense layers (Simonyan and Zisserman 2015, table 1, "
        f"column "
        f"{column}){with_norm}.",
        lambda x: vgg(x, depth, norm=norm),
        TOP,
        __name__,
    )


VGG11 = _network(11, False)
VGG13 = _network(13, False)
VGG11BN = _network(11, True)
VGG13BN = _network(13, True)
VGG16BN = _network(16, True)
VGG19BN = _network(19, True)

preprocess_input = preprocessing("VGG11")
