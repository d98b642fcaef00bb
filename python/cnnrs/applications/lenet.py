"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, figure 2)."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.base.arguments import named
from cnnrs.models import Sequential

__all__ = ["LeNet5"]


@named
def LeNet5(
    input_shape: Any = (28, 28, 1),
    classes: int = 10,
    variant: str = "relu",
    classifier_activation: Any = "softmax",
    name: str = "lenet5",
) -> Sequential:
    """LeNet-5: two convolutions with pooling, three dense layers.

    Args:
        input_shape: Height, width and channels, at least 28 x 28.
        classes: Number of classes.
        variant: "classic" for tanh and average pooling, as published; "relu" for ReLU and max pooling.
        classifier_activation: Activation of the last layer; None for logits.
        name: Name.

    Both variants take the published 32 x 32 field as a 28 x 28 image with padding, and connect all maps of
    the third layer, so that they have 61,706 parameters for one channel and ten classes.

    >>> from cnnrs.applications import LeNet5
    >>> LeNet5().count_params()
    61706
    >>> LeNet5(variant="classic").output_shape
    (None, 10)
    """
    if variant not in ("classic", "relu"):
        raise ValueError(f"LeNet5: variant: expected 'classic' or 'relu', received {variant!r}")
    activation = "tanh" if variant == "classic" else "relu"
    pooling = layers.AveragePooling2D if variant == "classic" else layers.MaxPooling2D
    return Sequential(
        [
            layers.Input(input_shape),
            layers.Conv2D(6, 5, padding="same", activation=activation, name="conv1"),
            pooling(2, name="pool1"),
            layers.Conv2D(16, 5, activation=activation, name="conv2"),
            pooling(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation=activation, name="fc1"),
            layers.Dense(84, activation=activation, name="fc2"),
            layers.Dense(classes, activation=classifier_activation, name="predictions"),
        ],
        name=name,
    )
