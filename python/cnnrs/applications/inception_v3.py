"""InceptionV3 (Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2016), as Keras builds it.

A module of the network is several branches beside each other, whose channels are put together. A branch is
written as a list of convolutions, `(filters, (height, width))` each, the last one strided in modules that
halve the image.
"""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import Top, channel_axis, classifier, network
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

_Convolution = tuple[int, tuple[int, int]]


def _conv(x: Any, filters: int, kernel_size: tuple[int, int], strides: int = 1, padding: str = "same") -> Any:
    x = layers.Conv2D(filters, kernel_size, strides=(strides, strides), padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization(axis=channel_axis(3), scale=False)(x)
    return layers.Activation("relu")(x)


def _branch(x: Any, convolutions: tuple[_Convolution, ...], halve: bool = False) -> Any:
    for number, (filters, kernel_size) in enumerate(convolutions, 1):
        last = halve and number == len(convolutions)
        x = _conv(x, filters, kernel_size, *((2, "valid") if last else ()))
    return x


def _together(branches: list[Any], name: str | None = None) -> Any:
    return layers.concatenate(branches, axis=channel_axis(3), name=name)


def _averaged(x: Any, filters: int) -> Any:
    """The branch with an average of neighbours."""
    x = layers.AveragePooling2D((3, 3), strides=(1, 1), padding="same")(x)
    return _conv(x, filters, (1, 1))


def _module(x: Any, name: str, pooled: int, *branches: tuple[_Convolution, ...]) -> Any:
    made = [_branch(x, branch) for branch in branches]
    return _together([*made, _averaged(x, pooled)], name)


def _halving(x: Any, name: str, *branches: tuple[_Convolution, ...]) -> Any:
    made = [_branch(x, branch, halve=True) for branch in branches]
    return _together([*made, layers.MaxPooling2D((3, 3), strides=(2, 2))(x)], name)


def _stem(x: Any) -> Any:
    x = _conv(x, 32, (3, 3), 2, "valid")
    x = _conv(x, 32, (3, 3), 1, "valid")
    x = _conv(x, 64, (3, 3))
    x = layers.MaxPooling2D((3, 3), strides=(2, 2))(x)
    x = _conv(x, 80, (1, 1), 1, "valid")
    x = _conv(x, 192, (3, 3), 1, "valid")
    return layers.MaxPooling2D((3, 3), strides=(2, 2))(x)


def _factorized(x: Any, name: str, filters: int) -> Any:
    """A module whose 7 x 7 windows are pairs of 1 x 7 and 7 x 1."""
    one, row, column = (1, 1), (1, 7), (7, 1)
    return _module(
        x,
        name,
        192,
        ((192, one),),
        ((filters, one), (filters, row), (192, column)),
        ((filters, one), (filters, column), (filters, row), (filters, column), (192, row)),
    )


def _split(x: Any, filters: int, name: str | None = None) -> Any:
    """Rows beside columns."""
    return _together([_conv(x, filters, (1, 3)), _conv(x, filters, (3, 1))], name)


def _widest(x: Any, number: int) -> Any:
    """A module on the smallest images, whose branches split once more."""
    one = _conv(x, 320, (1, 1))
    three = _split(_conv(x, 384, (1, 1)), 384, f"mixed9_{number}")
    double = _split(_conv(_conv(x, 448, (1, 1)), 384, (3, 3)), 384)
    return _together([one, three, double, _averaged(x, 192)], f"mixed{9 + number}")


@network(Top(classifier("avg_pool")))
def InceptionV3(x: Any) -> Any:
    """InceptionV3 (Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2016, table 1)."""
    one, three, five = (1, 1), (3, 3), (5, 5)
    x = _stem(x)
    for number, pooled in enumerate((32, 64, 64)):
        double = ((64, one), (96, three), (96, three))
        x = _module(x, f"mixed{number}", pooled, ((64, one),), ((48, one), (64, five)), double)
    x = _halving(x, "mixed3", ((384, three),), ((64, one), (96, three), (96, three)))
    for number, filters in enumerate((128, 160, 160, 192), 4):
        x = _factorized(x, f"mixed{number}", filters)
    factorized = ((192, one), (192, (1, 7)), (192, (7, 1)), (192, three))
    x = _halving(x, "mixed8", ((192, one), (320, three)), factorized)
    return _widest(_widest(x, 0), 1)


preprocess_input = preprocessing("InceptionV3")
