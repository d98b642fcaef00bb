"""ConvNeXt (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, section 2), as Keras builds it.

Pixels from 0 to 255 go in.
"""

from __future__ import annotations

from typing import Any

from cnnrs import initializers, layers, ops, random
from cnnrs.applications.arguments import scaling_second
from cnnrs.applications.building import Top, network_of
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.layers.dropping import keep_branches
from cnnrs.models import Sequential
from cnnrs.ops.spatial import only_channels_last

__all__ = [
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "decode_predictions",
    "preprocess_input",
]

_MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
_VARIANCE = [(0.229 * 255) ** 2, (0.224 * 255) ** 2, (0.225 * 255) ** 2]
_EPSILON = 1e-6


class StochasticDepth(layers.Layer):
    """In training, leaves out a random part of the images and scales the rest by `1 / (1 - drop_path_rate)`
    (Huang, Sun, Liu, Sedra and Weinberger 2016).

    Args:
        drop_path_rate: The part, from 0 to below 1.

    >>> import numpy as np
    >>> from cnnrs.applications.convnext import StochasticDepth
    >>> StochasticDepth(0.5)(np.ones((1, 2))).tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, drop_path_rate: float, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(drop_path_rate, (int, float)) or not 0 <= drop_path_rate < 1:
            raise ValueError(
                f"{self.name}: drop_path_rate: expected a number from 0 to below 1, "
                f"received {drop_path_rate!r}"
            )
        self.drop_path_rate = drop_path_rate

    def call(self, inputs: Any, training: Any = None) -> Any:
        if not training:
            return inputs
        shape = (ops.shape(inputs)[0],) + (1,) * (inputs.ndim - 1)
        return keep_branches(inputs, random.uniform(shape), 1.0 - self.drop_path_rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "drop_path_rate": self.drop_path_rate}


class LayerScale(layers.Layer):
    """Multiplies each channel by a weight (Touvron, Cord, Sablayrolles, Synnaeve and Jégou 2021, section 2).

    Args:
        init_values: What the weights are at first.
        projection_dim: Number of channels.

    >>> import numpy as np
    >>> from cnnrs.applications.convnext import LayerScale
    >>> LayerScale(0.5, 2)(np.ones((1, 2))).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = projection_dim

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight(
            shape=(self.projection_dim,), initializer=initializers.Constant(self.init_values)
        )

    def call(self, inputs: Any) -> Any:
        return inputs * self.gamma

    def get_config(self) -> dict[str, Any]:
        own = {"init_values": self.init_values, "projection_dim": self.projection_dim}
        return {**super().get_config(), **own}


def _norm(name: str | None = None) -> Any:
    return layers.LayerNormalization(epsilon=_EPSILON, name=name)


def _block(inputs: Any, channels: int, name: str) -> Any:
    """A convolution of each channel and two of 1 x 1, which widen the channels and narrow them."""
    x = layers.Conv2D(channels, 7, padding="same", groups=channels, name=f"{name}_depthwise_conv")(inputs)
    x = _norm(f"{name}_layernorm")(x)
    x = layers.Dense(4 * channels, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(channels, name=f"{name}_pointwise_conv_2")(x)
    x = LayerScale(1e-6, channels, name=f"{name}_layer_scale")(x)
    # Where the published networks have StochasticDepth in training.
    x = layers.Activation("linear", name=f"{name}_identity")(x)
    return inputs + x


def _convnext(
    x: Any, include_preprocessing: bool, name: str, depths: tuple[int, ...], channels: tuple[int, ...]
) -> Any:
    only_channels_last("ConvNeXt")
    if include_preprocessing and x.shape[-1] == 3:
        x = layers.Normalization(mean=_MEAN, variance=_VARIANCE, name=f"{name}_prestem_normalization")(x)
    stem = [layers.Conv2D(channels[0], 4, 4, name=f"{name}_stem_conv"), _norm(f"{name}_stem_layernorm")]
    narrowings = [Sequential(stem, name=f"{name}_stem")]
    for number, filters in enumerate(channels[1:]):
        parts = [
            _norm(f"{name}_downsampling_layernorm_{number}"),
            layers.Conv2D(filters, 2, 2, name=f"{name}_downsampling_conv_{number}"),
        ]
        narrowings.append(Sequential(parts, name=f"{name}_downsampling_block_{number}"))
    for stage, (narrow, depth) in enumerate(zip(narrowings, depths, strict=True)):
        x = narrow(x)
        for block in range(depth):
            x = _block(x, channels[stage], f"{name}_stage_{stage}_block_{block}")
    return x


def _top(name: str) -> Top:
    def classify(x: Any, classes: int, activation: Any) -> Any:
        x = layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
        x = _norm(f"{name}_head_layernorm")(x)
        return layers.Dense(classes, activation=activation, name=f"{name}_head_dense")(x)

    return Top(classify, finish=lambda x: _norm()(x))


@network_of(scaling_second, _top)
def ConvNeXtTiny(x: Any, include_preprocessing: bool, name: str) -> Any:
    """ConvNeXt-Tiny (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, section 3)."""
    return _convnext(x, include_preprocessing, name, (3, 3, 9, 3), (96, 192, 384, 768))


@network_of(scaling_second, _top)
def ConvNeXtSmall(x: Any, include_preprocessing: bool, name: str) -> Any:
    """ConvNeXt-Small (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, section 3)."""
    return _convnext(x, include_preprocessing, name, (3, 3, 27, 3), (96, 192, 384, 768))


@network_of(scaling_second, _top)
def ConvNeXtBase(x: Any, include_preprocessing: bool, name: str) -> Any:
    """ConvNeXt-Base (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, section 3)."""
    return _convnext(x, include_preprocessing, name, (3, 3, 27, 3), (128, 256, 512, 1024))


@network_of(scaling_second, _top)
def ConvNeXtLarge(x: Any, include_preprocessing: bool, name: str) -> Any:
    """ConvNeXt-Large (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, section 3)."""
    return _convnext(x, include_preprocessing, name, (3, 3, 27, 3), (192, 384, 768, 1536))


@network_of(scaling_second, _top)
def ConvNeXtXLarge(x: Any, include_preprocessing: bool, name: str) -> Any:
    """ConvNeXt-XLarge (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, section 3)."""
    return _convnext(x, include_preprocessing, name, (3, 3, 27, 3), (256, 512, 1024, 2048))


preprocess_input = preprocessing("ConvNeXtTiny")
