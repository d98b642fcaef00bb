"""What Keras's application models share: their arguments, what follows features, and weights."""

from __future__ import annotations

import os
from typing import Any

from cnnrs import layers, symbolic
from cnnrs.models import Model

__all__ = ["head", "input_of", "model_of"]

_LEAST_SIZE = 32


def input_of(
    name: str, weights: Any, input_tensor: Any, input_shape: Any, pooling: Any, include_top: bool
) -> Any:
    """The input of a model called `name`: the one given, or one of the shape given, or 224 x 224 x 3.

    Without the classifier height and width may be unknown, and are by default.

    Raises:
        ValueError: `weights` is neither None nor the path of a file, or an argument does not fit.
    """
    if weights is not None and not (isinstance(weights, (str, os.PathLike)) and os.path.exists(weights)):
        raise ValueError(
            f"{name}: weights: received {weights!r}, but cnnrs ships no trained weights and downloads none; "
            "pass weights=None for random initial weights, or the path of a file for load_weights"
        )
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"{name}: pooling: expected None, 'avg' or 'max', received {pooling!r}")
    if input_tensor is not None:
        if not symbolic.any_symbolic([input_tensor], {}):
            raise ValueError(f"{name}: input_tensor: expected a result of Input, received {input_tensor!r}")
        if input_shape is not None and tuple(input_shape) != tuple(input_tensor.shape[1:]):
            raise ValueError(
                f"{name}: input_shape: expected {input_tensor.shape[1:]} as input_tensor has, received "
                f"{input_shape!r}"
            )
        input_shape = input_tensor.shape[1:]
    default = (224, 224, 3) if include_top else (None, None, 3)
    shape = default if input_shape is None else tuple(input_shape)
    known = shape if include_top else tuple(n for n in shape[:2] if n is not None) + shape[2:]
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in known)
    if len(shape) != 3 or not whole or min((*known[:-1], _LEAST_SIZE)) < _LEAST_SIZE or shape[2] < 1:
        raise ValueError(
            f"{name}: input_shape: expected height and width of at least {_LEAST_SIZE} and channels, "
            f"received {input_shape!r}"
        )
    return layers.Input(shape) if input_tensor is None else input_tensor


def head(
    x: Any, include_top: bool, pooling: Any, classes: int, classifier_activation: Any, pool: str | None
) -> Any:
    """The classifier behind the features `x`, or without it their pooling, if any.

    Args:
        x: Features, (batch, height, width, channels).
        include_top: Whether to classify.
        pooling: Without the classifier: None for the features, "avg" or "max" for one value a channel.
        classes: Number of classes.
        classifier_activation: Activation of the classifier; None for logits.
        pool: Name of the average pooling; None for an automatic one.
    """
    if include_top:
        x = layers.GlobalAveragePooling2D(name=pool)(x)
        return layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name=pool)(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name="max_pool")(x)
    return x


def model_of(inputs: Any, outputs: Any, name: str, weights: Any) -> Model:
    """The model, with the weights of a file unless `weights` is None."""
    model = Model(inputs, outputs, name=name)
    if weights is not None:
        model.load_weights(weights)
    return model
