"""MobileNet (Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto and Adam 2017, table 1)."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import Top, assemble, channel_axis
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.sizes import Sizes
from cnnrs.base.arguments import integer, named
from cnnrs.models import Model

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

# Channels and stride of each block.
_BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)

_SIZES = Sizes("MobileNet", (128, 160, 192, 224), (0.25, 0.5, 0.75, 1.0))


def _norm(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(axis=channel_axis(), name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _block(x: Any, filters: int, strides: int, depth_multiplier: int, number: int) -> Any:
    """A convolution of each channel, and one of all channels pixel by pixel."""
    if strides > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    by_channel = layers.DepthwiseConv2D(
        (3, 3),
        strides=(strides, strides),
        padding="valid" if strides > 1 else "same",
        depth_multiplier=depth_multiplier,
        use_bias=False,
        name=f"conv_dw_{number}",
    )
    x = _norm(by_channel(x), f"conv_dw_{number}")
    pointwise = layers.Conv2D(filters, (1, 1), padding="same", use_bias=False, name=f"conv_pw_{number}")
    return _norm(pointwise(x), f"conv_pw_{number}")


def _features(x: Any, alpha: float, depth_multiplier: int) -> Any:
    first = layers.Conv2D(
        int(32 * alpha), (3, 3), strides=(2, 2), padding="same", use_bias=False, name="conv1"
    )
    x = _norm(first(x), "conv1")
    for number, (filters, strides) in enumerate(_BLOCKS, 1):
        x = _block(x, int(filters * alpha), strides, depth_multiplier, number)
    return x


def _top(dropout: float) -> Top:
    def classify(x: Any, classes: int, activation: Any) -> Any:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, (1, 1), padding="same", name="conv_preds")(x)
        x = layers.Reshape((classes,), name="reshape_2")(x)
        return layers.Activation(activation, name="predictions")(x)

    return Top(classify)


@named
def MobileNet(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """MobileNet (Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto and Adam 2017, table 1).

    Args:
        input_shape: Height and width of at least 32, and channels; by default (224, 224, 3). Without the
            classifier height and width may be None, and are by default. Channels stand first where
            `config.image_data_format()` says so.
        alpha: Factor of the channels of every layer; with "imagenet" 0.25, 0.5, 0.75 or 1.0.
        depth_multiplier: Channels that a channel gives in convolutions of single channels; with "imagenet" 1.
        dropout: Rate of the dropout before the classifier.
        include_top: Whether the classifier stands at the end.
        weights: "imagenet" for weights trained on ImageNet, which are fetched once: with images of that size,
            if height and width are equal and 128, 160, 192 or 224, otherwise with 224 x 224. None for random
            ones; or the path of a file for `load_weights`.
        input_tensor: A symbolic tensor to build on, as a result of `Input`; by default a new one.
        pooling: Without the classifier: None for features of shape (batch, height, width, channels), "avg" or
            "max" for (batch, channels).
        classes: Number of classes; 1000 with the classifier of "imagenet".
        classifier_activation: Activation of the classifier; None for logits.
        name: Name of the model; by default made of alpha and height.

    Returns:
        The model. Images go in as `cnnrs.applications.mobilenet.preprocess_input` makes them.

    Raises:
        ValueError: An argument does not fit, or there is no such file.
        OSError: Weights cannot be fetched; the message has the address, and where to put the file.

    >>> from cnnrs.applications import MobileNet
    >>> MobileNet(weights=None).count_params()
    4253864
    >>> MobileNet((128, 128, 3), alpha=0.25, include_top=False, weights=None, pooling="avg").output_shape
    (None, 256)
    """
    integer(depth_multiplier, "MobileNet", "depth_multiplier", least=1)
    if weights == "imagenet" and depth_multiplier != 1:
        raise ValueError(
            f"MobileNet: depth_multiplier: expected 1 with weights='imagenet', received {depth_multiplier!r}"
        )
    choice = _SIZES.choose(input_shape, input_tensor, alpha, weights, include_top)
    text = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5"}.get(alpha, "1_0")
    return assemble(
        "MobileNet",
        lambda x: _features(x, alpha, depth_multiplier),
        _top(dropout),
        include_top=include_top,
        weights=weights,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=f"mobilenet_{alpha:0.2f}_{choice.height}" if name is None else name,
        size=choice.size,
        files=choice.files(f"mobilenet_{text}_{choice.height}_tf"),
    )


preprocess_input = preprocessing("MobileNet")
