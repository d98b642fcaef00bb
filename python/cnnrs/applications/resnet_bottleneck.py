"""Residual networks of bottleneck blocks (He, Zhang, Ren and Sun 2016, table 1), as Keras builds them."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.head import head, input_of, model_of
from cnnrs.base.arguments import named

__all__ = ["ResNet50", "ResNet101", "ResNet152"]


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1.001e-5, name=name)(x)


def _block(x: Any, filters: int, strides: int, project: bool, name: str) -> Any:
    """1 x 1, 3 x 3 and 1 x 1 convolutions, the last to four times the channels, and a shortcut.

    The first one strides, as published; later designs move the stride to the 3 x 3 convolution.
    """
    shortcut = x
    if project:
        shortcut = layers.Conv2D(4 * filters, 1, strides, name=f"{name}_0_conv")(x)
        shortcut = _norm(shortcut, f"{name}_0_bn")
    y = layers.Conv2D(filters, 1, strides, name=f"{name}_1_conv")(x)
    y = layers.ReLU(name=f"{name}_1_relu")(_norm(y, f"{name}_1_bn"))
    y = layers.Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(y)
    y = layers.ReLU(name=f"{name}_2_relu")(_norm(y, f"{name}_2_bn"))
    y = _norm(layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(y), f"{name}_3_bn")
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([shortcut, y]))


def _resnet(
    depths: tuple[int, int, int, int],
    include_top: bool,
    weights: Any,
    input_tensor: Any,
    input_shape: Any,
    pooling: Any,
    classes: int,
    classifier_activation: Any,
    name: str,
) -> Any:
    inputs = input_of(name, weights, input_tensor, input_shape, pooling, include_top)
    x = layers.ZeroPadding2D(3, name="conv1_pad")(inputs)
    x = layers.Conv2D(64, 7, 2, name="conv1_conv")(x)
    x = layers.ReLU(name="conv1_relu")(_norm(x, "conv1_bn"))
    # Behind a ReLU zeros are as good as nothing: they never exceed the largest element.
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)
    for stage, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512), strict=True), 2):
        for block in range(1, depth + 1):
            strides = 2 if block == 1 and stage > 2 else 1
            x = _block(x, filters, strides, block == 1, f"conv{stage}_block{block}")
    outputs = head(x, include_top, pooling, classes, classifier_activation, "avg_pool")
    return model_of(inputs, outputs, name, weights)


@named
def ResNet50(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet50",
) -> Any:
    """ResNet-50, version 1, with Keras's layers, names and arguments.

    Args:
        include_top: Whether pooling and the classifier stand at the end.
        weights: None for random initial weights, or the path of a file for `load_weights`. The default is
            Keras's, trained weights, which cnnrs does not ship: it is an error that says so.
        input_tensor: A result of `Input` to build on; by default a new one.
        input_shape: Height and width of at least 32, and channels; by default (224, 224, 3). Without the
            classifier height and width may be None, and are by default.
        pooling: Without the top: None for features of shape (batch, height, width, 2048), "avg" or "max" for
            (batch, 2048).
        classes: Number of classes.
        classifier_activation: Activation of the last layer; None for logits.
        name: Name.

    Raises:
        ValueError: There are no such weights, or an argument does not fit.

    >>> from cnnrs.applications import ResNet50
    >>> ResNet50(weights=None).count_params()
    25636712
    >>> ResNet50(False, None, pooling="avg", input_shape=(64, 64, 3)).output_shape
    (None, 2048)
    """
    depths = (3, 4, 6, 3)
    return _resnet(
        depths, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
    )


@named
def ResNet101(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet101",
) -> Any:
    """ResNet-101: `ResNet50` with 3, 4, 23 and 3 blocks per stage. Arguments are the same."""
    depths = (3, 4, 23, 3)
    return _resnet(
        depths, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
    )


@named
def ResNet152(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet152",
) -> Any:
    """ResNet-152: `ResNet50` with 3, 8, 36 and 3 blocks per stage. Arguments are the same."""
    depths = (3, 8, 36, 3)
    return _resnet(
        depths, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
    )
