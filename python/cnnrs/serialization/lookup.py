"""Names that stand for objects: one look-up with suggestions for misspelt ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnrs.base import suggest
from cnnrs.serialization.objects import deserialize_keras_object
from cnnrs.serialization.registry import CustomObjectScope, get_registered_object

__all__ = ["deserialize", "lookup"]


def deserialize(config: Any, table: Mapping[str, Any], kind: str, custom_objects: Any = None) -> Any:
    """The object of a config, `{"class_name": ..., "config": {...}}`, or what a name stands for.

    Args:
        config: The config, or a name.
        table: Classes and functions by the names that need no module.
        kind: What errors call it.
        custom_objects: Further classes and functions by name.

    Raises:
        TypeError: The class is not known.
        ValueError: It is neither a config nor a known name.
    """
    if isinstance(config, str):
        with CustomObjectScope(custom_objects or {}):
            return lookup(config, table, kind)
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(
            f"{kind}: expected a name or a dict with 'class_name' and 'config', received {config!r}"
        )
    whole = {"config": {}, **config}
    return deserialize_keras_object(whole, custom_objects=custom_objects, module_objects=table)


def lookup(identifier: str, table: Mapping[str, Any], kind: str) -> Any:
    """The entry of `table` for a name; registered objects count too.

    Raises:
        ValueError: Nothing of that name is known; suggests the closest.
    """
    if identifier in table:
        return table[identifier]
    registered = get_registered_object(identifier)
    if registered is not None:
        return registered
    raise ValueError(f"{kind}: nothing is called {identifier!r}{suggest.did_you_mean(identifier, table)}")
