"""Initializers by name, and as plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import _core, serialization
from cnnrs.base import naming
from cnnrs.initializers.constants import Constant, Identity, Ones, Values, Zeros
from cnnrs.initializers.draws import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from cnnrs.initializers.initializer import Initializer
from cnnrs.initializers.spectral import STFT

__all__ = ["deserialize", "get", "serialize"]

_CLASSES = {
    cls.__name__: cls
    for cls in (
        Zeros,
        Ones,
        Constant,
        Values,
        Identity,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
        GlorotUniform,
        GlorotNormal,
        HeNormal,
        HeUniform,
        LecunNormal,
        LecunUniform,
        Orthogonal,
        STFT,
    )
}
_ALIASES = {"normal": RandomNormal, "uniform": RandomUniform, "zero": Zeros, "one": Ones, "stft": STFT}
_ALIASES |= {"IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal, "STFTInitializer": STFT}
_BY_NAME = {**{naming.to_snake_case(name): cls for name, cls in _CLASSES.items()}, **_ALIASES, **_CLASSES}


def serialize(initializer: Any) -> Any:
    """The config of an initializer.

    >>> from cnnrs import initializers
    >>> initializers.serialize(initializers.Zeros())["class_name"]
    'Zeros'
    """
    return serialization.serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The initializer of a config.

    >>> from cnnrs import initializers
    >>> initializers.deserialize(initializers.serialize(initializers.Constant(2.0)))
    Constant(value=2.0)
    """
    return serialization.deserialize(config, _BY_NAME, "initializer", custom_objects)


def get(identifier: Any) -> Callable[..., Any] | None:
    """The initializer that a name, config, class, callable or array stands for.

    >>> from cnnrs import initializers
    >>> initializers.get("zeros")
    Zeros()
    """
    if identifier is None:
        return None
    if isinstance(identifier, Initializer):
        # Weights that share an object get values of their own unless it has a seed, as in Keras.
        return identifier.clone()
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return serialization.lookup(identifier, _BY_NAME, "initializer")()
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    if isinstance(identifier, (int, float)):
        return Constant(identifier)
    if isinstance(identifier, (np.ndarray, np.generic, _core.Tensor, _core.Variable)):
        return Values(identifier)
    raise ValueError(f"initializer: expected a name, an object or a callable, received {identifier!r}")
