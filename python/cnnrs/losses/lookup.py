"""Losses by name, and as plain data."""

from __future__ import annotations

from typing import Any

from cnnrs import serialization
from cnnrs.losses import (
    categorical,
    classes,
    functions,
    margins,
    overlap,
    pairs,
    sequences,
    similarity,
    teachers,
    triplets,
)
from cnnrs.losses.loss import Loss

__all__ = ["deserialize", "get", "serialize"]

# As in Keras, names of classes give objects, and names in snake case and abbreviations give functions.
_MODULES = (
    classes,
    functions,
    categorical,
    overlap,
    sequences,
    similarity,
    pairs,
    triplets,
    margins,
    teachers,
)
_BY_NAME: dict[str, Any] = {name: getattr(module, name) for module in _MODULES for name in module.__all__}
for _short, _function in {
    "bce": functions.binary_crossentropy,
    "kld": functions.kl_divergence,
    "mae": functions.mean_absolute_error,
    "mape": functions.mean_absolute_percentage_error,
    "mse": functions.mean_squared_error,
    "msle": functions.mean_squared_logarithmic_error,
}.items():
    _BY_NAME[_short] = _BY_NAME[_short.upper()] = _function
_BY_NAME["logcosh"] = functions.log_cosh


def serialize(loss: Any) -> Any:
    """The config of a loss.

    >>> from cnnrs import losses
    >>> losses.serialize(losses.Huber(delta=2.0))["config"]["delta"]
    2.0
    """
    return serialization.serialize_keras_object(loss)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The loss of a config.

    >>> from cnnrs import losses
    >>> losses.deserialize(losses.serialize(losses.Huber())).name
    'huber_loss'
    """
    return serialization.deserialize(config, _BY_NAME, "loss", custom_objects)


def get(identifier: Any) -> Any:
    """The loss that a name, config, class or function stands for.

    Returns:
        An object for the name of a class, a config or a class; a function for the name of a function, in
        snake case or abbreviated.

    >>> from cnnrs import losses
    >>> losses.get("mse").__name__
    'mean_squared_error'
    >>> losses.get("MeanSquaredError").name
    'mean_squared_error'
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        found = serialization.lookup(identifier, _BY_NAME, "loss")
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"loss: expected a name, an object or a function, received {identifier!r}")
