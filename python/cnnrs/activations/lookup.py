"""Activations by name, and as plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs import serialization
from cnnrs.activations import functions

__all__ = ["deserialize", "get", "serialize"]

# Second names of functions; configs have the first, as Keras's do.
_SECOND_NAMES = {"hard_swish": "hard_silu", "swish": "silu"}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(functions, _SECOND_NAMES.get(name, name)) for name in functions.__all__
}


def get(identifier: Any) -> Callable[..., Any]:
    """The function that `identifier` means.

    Args:
        identifier: A name, a function, the form that `serialize` gives, or None for `linear`.

    Raises:
        ValueError: There is no activation of that name.
        TypeError: It is none of these.
    """
    if identifier is None:
        return functions.linear
    if callable(identifier):
        return identifier
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    raise TypeError(f"activation: expected a name or a function, received {identifier!r}")


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Callable[..., Any]:
    """The function from its name, or from the form that `serialize` gives."""
    return serialization.deserialize(config, _FUNCTIONS, "activation", custom_objects)


def serialize(activation: Callable[..., Any]) -> Any:
    """The name of a function of this module; a dict for a registered function or layer."""
    name = getattr(activation, "__name__", None)
    if name is not None and getattr(functions, name, None) is activation and name in _FUNCTIONS:
        return _SECOND_NAMES.get(name, name)
    return serialization.serialize_keras_object(activation)
