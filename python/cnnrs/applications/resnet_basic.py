"""Residual networks of basic blocks (He, Zhang, Ren and Sun 2016, table 1)."""

from __future__ import annotations

from typing import Any

from cnnrs.applications import residual
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import assemble
from cnnrs.base.arguments import named
from cnnrs.layers.arguments import positive
from cnnrs.models import Model

__all__ = ["ResNet18", "ResNet34"]

_SHAPES = {"cifar": (32, 32, 3), "imagenet": (224, 224, 3)}
_CLASSES = {"cifar": 10, "imagenet": 1000}
_MAKE = Builder(KERAS, initializer="he_normal")
_TOP = residual.top(_MAKE)


def _resnet(
    depth: int, stem: str, input_shape: Any, classes: int | None, include_top: Any, name: str, **shared: Any
) -> Model:
    if stem not in _SHAPES:
        raise ValueError(f"{name}: stem: expected 'cifar' or 'imagenet', received {stem!r}")
    if classes is None:
        classes = _CLASSES[stem]
    if input_shape is None and shared["input_tensor"] is None and include_top:
        input_shape = _SHAPES[stem]
    return assemble(
        f"ResNet{depth}",
        lambda x: residual.resnet(_MAKE, x, residual.Design(depth), small=stem == "cifar"),
        _TOP,
        include_top=include_top,
        input_shape=input_shape,
        classes=positive(classes, name, "classes"),
        name=name,
        static=False,
        **shared,
    )


@named
def ResNet18(
    stem: str = "imagenet",
    input_shape: Any = None,
    classes: int | None = None,
    classifier_activation: Any = "softmax",
    name: str = "resnet18",
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    pooling: Any = None,
) -> Model:
    """ResNet-18 (He, Zhang, Ren and Sun 2016, table 1, arXiv 1512.03385).

    Args:
        stem: "imagenet" for a 7 x 7 convolution and pooling, which make 56 x 56 of 224 x 224; "cifar" for a
            3 x 3 convolution that keeps the size of 32 x 32 images.
        input_shape: Height, width and channels; by default those of the stem. Height and width may be None,
        and are by
            default without the classifier.
        classes: Number of classes, by default 1000 or 10.
        classifier_activation: Activation of the last layer; None for logits.
        name: Name.
        include_top: Whether the classifier stands at the end.
        weights: None for random weights, or the path of a file for `load_weights`.
        input_tensor: A symbolic tensor to build on, as a result of `Input`; by default a new one.
        pooling: Without the classifier: None for features of shape (batch, height, width, 512), "avg" or
        "max" for
            (batch, 512).

    Returns:
        The model.

    Raises:
        ValueError: An argument does not fit, or there is no such file.

    >>> from cnnrs.applications import ResNet18
    >>> model = ResNet18("cifar")
    >>> sum(w.value.ndim == 4 for w in model.trainable_weights), model.output_shape
    (20, (None, 10))
    """
    return _resnet(
        18,
        stem,
        input_shape,
        classes,
        include_top,
        name,
        classifier_activation=classifier_activation,
        weights=weights,
        input_tensor=input_tensor,
        pooling=pooling,
    )


@named
def ResNet34(
    stem: str = "imagenet",
    input_shape: Any = None,
    classes: int | None = None,
    classifier_activation: Any = "softmax",
    name: str = "resnet34",
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    pooling: Any = None,
) -> Model:
    """ResNet-34: `ResNet18` with 3, 4, 6 and 3 blocks per stage. Arguments are the same."""
    return _resnet(
        34,
        stem,
        input_shape,
        classes,
        include_top,
        name,
        classifier_activation=classifier_activation,
        weights=weights,
        input_tensor=input_tensor,
        pooling=pooling,
    )
