"""Dense networks (Huang, Liu, van der Maaten and Weinberger 2017, table 1), as Keras builds them."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import Top, classifier, network
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.ops.spatial import only_channels_last

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

_TOP = Top(classifier("avg_pool"), "avg_pool", "max_pool")

_GROWTH = 32


def _norm_relu(x: Any, norm: str, relu: str) -> Any:
    x = layers.BatchNormalization(axis=3, epsilon=1.001e-5, name=norm)(x)
    return layers.Activation("relu", name=relu)(x)


def _conv_block(x: Any, name: str) -> Any:
    """1 x 1 and 3 x 3 convolutions, whose result stands beside the input's channels."""
    y = _norm_relu(x, f"{name}_0_bn", f"{name}_0_relu")
    y = layers.Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(y)
    y = _norm_relu(y, f"{name}_1_bn", f"{name}_1_relu")
    y = layers.Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(y)
    return layers.Concatenate(axis=3, name=f"{name}_concat")([x, y])


def _transition(x: Any, name: str) -> Any:
    """Half the channels, and half the height and width."""
    x = _norm_relu(x, f"{name}_bn", f"{name}_relu")
    x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def _densenet(x: Any, *depths: int) -> Any:
    only_channels_last("DenseNet")
    x = layers.ZeroPadding2D(3)(x)
    x = layers.Conv2D(64, 7, 2, use_bias=False, name="conv1_conv")(x)
    x = _norm_relu(x, "conv1_bn", "conv1_relu")
    # Behind a ReLU zeros are as good as nothing: they never exceed the largest element.
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    for stage, depth in enumerate(depths, 2):
        if stage > 2:
            x = _transition(x, f"pool{stage - 1}")
        for block in range(1, depth + 1):
            x = _conv_block(x, f"conv{stage}_block{block}")
    return _norm_relu(x, "bn", "relu")


@network(_TOP)
def DenseNet121(x: Any) -> Any:
    """DenseNet-121 (Huang, Liu, van der Maaten and Weinberger 2017, table 1)."""
    return _densenet(x, 6, 12, 24, 16)


@network(_TOP)
def DenseNet169(x: Any) -> Any:
    """DenseNet-169 (Huang, Liu, van der Maaten and Weinberger 2017, table 1)."""
    return _densenet(x, 6, 12, 32, 32)


@network(_TOP)
def DenseNet201(x: Any) -> Any:
    """DenseNet-201 (Huang, Liu, van der Maaten and Weinberger 2017, table 1)."""
    return _densenet(x, 6, 12, 48, 32)


preprocess_input = preprocessing("DenseNet121")
