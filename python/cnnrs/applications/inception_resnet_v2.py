"""Inception-ResNet-v2 (Szegedy, Ioffe, Vanhoucke and Alemi 2017), as Keras builds it."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import Top, channel_axis, classifier, network
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.base.arguments import number

__all__ = ["CustomScaleLayer", "InceptionResNetV2", "decode_predictions", "preprocess_input"]

# A convolution of a branch: filters and window.
_Convolution = tuple[int, Any]


class CustomScaleLayer(layers.Layer):
    """The sum of its first input and `scale` times its second, as files of Keras call it.

    Args:
        scale: Factor of the second input.

    >>> import numpy as np
    >>> from cnnrs.applications.inception_resnet_v2 import CustomScaleLayer
    >>> CustomScaleLayer(0.5)([np.ones(2), np.ones(2)]).numpy()
    array([1.5, 1.5], dtype=float32)
    """

    def __init__(self, scale: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = number(scale, self, "scale")

    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1] * self.scale

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


def _conv(
    x: Any,
    filters: int,
    kernel_size: Any,
    strides: int = 1,
    padding: str = "same",
    name: str | None = None,
) -> Any:
    norm, relu = (None, None) if name is None else (f"{name}_bn", f"{name}_ac")
    x = layers.Conv2D(filters, kernel_size, strides=strides, padding=padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(axis=channel_axis(3), scale=False, name=norm)(x)
    return layers.Activation("relu", name=relu)(x)


def _branch(x: Any, convolutions: tuple[_Convolution, ...], halve: bool = False) -> Any:
    """Convolutions one behind the other, the last one strided where the image is halved."""
    for count, (filters, kernel_size) in enumerate(convolutions, 1):
        last = halve and count == len(convolutions)
        x = _conv(x, filters, kernel_size, *((2, "valid") if last else ()))
    return x


def _together(branches: list[Any], name: str) -> Any:
    return layers.Concatenate(axis=channel_axis(3), name=name)(branches)


def _halving(x: Any, name: str, *branches: tuple[_Convolution, ...]) -> Any:
    made = [_branch(x, branch, halve=True) for branch in branches]
    return _together([*made, layers.MaxPooling2D(3, strides=2, padding="valid")(x)], name)


def _residual(x: Any, name: str, scale: float, relu: bool, *branches: tuple[_Convolution, ...]) -> Any:
    """The input, and `scale` times a projection of branches beside each other."""
    mixed = _together([_branch(x, branch) for branch in branches], f"{name}_mixed")
    up = layers.Conv2D(x.shape[channel_axis(3)], 1, padding="same", name=f"{name}_conv")(mixed)
    x = CustomScaleLayer(scale)([x, up])
    return layers.Activation("relu", name=f"{name}_ac")(x) if relu else x


def _stem(x: Any) -> Any:
    x = _conv(x, 32, 3, 2, "valid")
    x = _conv(x, 32, 3, 1, "valid")
    x = layers.MaxPooling2D(3, strides=2)(_conv(x, 64, 3))
    x = _conv(x, 80, 1, 1, "valid")
    x = layers.MaxPooling2D(3, strides=2)(_conv(x, 192, 3, 1, "valid"))
    made = [_branch(x, branch) for branch in (((96, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3)))]
    pooled = _conv(layers.AveragePooling2D(3, strides=1, padding="same")(x), 64, 1)
    return _together([*made, pooled], "mixed_5b")


@network(Top(classifier("avg_pool")))
def InceptionResNetV2(x: Any) -> Any:
    """Inception-ResNet-v2 (Szegedy, Ioffe, Vanhoucke and Alemi 2017, figure 15)."""
    x = _stem(x)
    for block in range(1, 11):
        large = ((32, 1), (48, 3), (64, 3))
        x = _residual(x, f"block35_{block}", 0.17, True, ((32, 1),), ((32, 1), (32, 3)), large)
    x = _halving(x, "mixed_6a", ((384, 3),), ((256, 1), (256, 3), (384, 3)))
    for block in range(1, 21):
        factorized = ((128, 1), (160, [1, 7]), (192, [7, 1]))
        x = _residual(x, f"block17_{block}", 0.1, True, ((192, 1),), factorized)
    x = _halving(x, "mixed_7a", ((256, 1), (384, 3)), ((256, 1), (288, 3)), ((256, 1), (288, 3), (320, 3)))
    for block in range(1, 11):
        factorized = ((192, 1), (224, [1, 3]), (256, [3, 1]))
        last = block == 10
        x = _residual(x, f"block8_{block}", 1.0 if last else 0.2, not last, ((192, 1),), factorized)
    return _conv(x, 1536, 1, name="conv_7b")


preprocess_input = preprocessing("InceptionResNetV2")
