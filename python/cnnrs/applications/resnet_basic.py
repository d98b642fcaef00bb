"""Residual networks of basic blocks (He, Zhang, Ren and Sun 2016, table 1)."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.base.arguments import named
from cnnrs.layers.arguments import positive
from cnnrs.models import Model

__all__ = ["ResNet18", "ResNet34"]

_SHAPES = {"cifar": (32, 32, 3), "imagenet": (224, 224, 3)}


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def _conv(x: Any, filters: int, kernel_size: int, strides: int, name: str) -> Any:
    # The published networks pad by half of the window on both sides, which "same" does only at stride 1.
    if strides > 1 and kernel_size > 1:
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    padding = "valid" if strides > 1 else "same"
    make = layers.Conv2D(
        filters, kernel_size, strides, padding, use_bias=False, kernel_initializer="he_normal", name=name
    )
    return make(x)


def _block(x: Any, filters: int, strides: int, name: str) -> Any:
    """Two 3 x 3 convolutions and a shortcut, projected where the shape changes."""
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        shortcut = _norm(_conv(x, filters, 1, strides, f"{name}_0_conv"), f"{name}_0_bn")
    y = layers.ReLU(name=f"{name}_1_relu")(
        _norm(_conv(x, filters, 3, strides, f"{name}_1_conv"), f"{name}_1_bn")
    )
    y = _norm(_conv(y, filters, 3, 1, f"{name}_2_conv"), f"{name}_2_bn")
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([shortcut, y]))


def _stem(x: Any, stem: str) -> Any:
    if stem == "cifar":
        return layers.ReLU(name="conv1_relu")(_norm(_conv(x, 64, 3, 1, "conv1_conv"), "conv1_bn"))
    x = layers.ReLU(name="conv1_relu")(_norm(_conv(x, 64, 7, 2, "conv1_conv"), "conv1_bn"))
    # Behind a ReLU zeros are as good as nothing: they never exceed the largest element.
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    return layers.MaxPooling2D(3, 2, name="pool1_pool")(x)


def _resnet(
    depths: tuple[int, ...],
    stem: str,
    input_shape: Any,
    classes: int | None,
    classifier_activation: Any,
    name: str,
) -> Any:
    if stem not in _SHAPES:
        raise ValueError(f"{name}: stem: expected 'cifar' or 'imagenet', received {stem!r}")
    if classes is None:
        classes = 10 if stem == "cifar" else 1000
    positive(classes, name, "classes")
    inputs = layers.Input(_SHAPES[stem] if input_shape is None else input_shape)
    x = _stem(inputs, stem)
    for stage, (depth, filters) in enumerate(zip(depths, (64, 128, 256, 512), strict=True), 2):
        for block in range(1, depth + 1):
            strides = 2 if block == 1 and stage > 2 else 1
            x = _block(x, filters, strides, f"conv{stage}_block{block}")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    outputs = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    return Model(inputs, outputs, name=name)


@named
def ResNet18(
    stem: str = "imagenet",
    input_shape: Any = None,
    classes: int | None = None,
    classifier_activation: Any = "softmax",
    name: str = "resnet18",
) -> Any:
    """ResNet-18.

    Args:
        stem: "imagenet" for a 7 x 7 convolution and pooling, which make 56 x 56 of 224 x 224; "cifar" for a
            3 x 3 convolution that keeps the size of 32 x 32 images.
        input_shape: Height, width and channels; by default those of the stem.
        classes: Number of classes, by default 1000 or 10.
        classifier_activation: Activation of the last layer; None for logits.
        name: Name.

    >>> from cnnrs.applications import ResNet18
    >>> model = ResNet18("cifar")
    >>> sum(w.value.ndim == 4 for w in model.trainable_weights), model.output_shape
    (20, (None, 10))
    """
    return _resnet((2, 2, 2, 2), stem, input_shape, classes, classifier_activation, name)


@named
def ResNet34(
    stem: str = "imagenet",
    input_shape: Any = None,
    classes: int | None = None,
    classifier_activation: Any = "softmax",
    name: str = "resnet34",
) -> Any:
    """ResNet-34: `ResNet18` with 3, 4, 6 and 3 blocks per stage. Arguments are the same."""
    return _resnet((3, 4, 6, 3), stem, input_shape, classes, classifier_activation, name)
