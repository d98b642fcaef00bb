"""Classes and functions by name: what users register, and what a scope adds for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from cnnrs.base import naming
from cnnrs.serialization.modules import PUBLIC, home, name_of

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "own_registered_name",
    "refer",
    "references",
    "refers",
    "register_keras_serializable",
    "registered_by_own_name",
]

_GLOBAL_OBJECTS: dict[str, Any] = {}
_GLOBAL_NAMES: dict[Any, str] = {}


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.stack: list[dict[str, Any]] = []
        self.references: list[dict[str, Any]] = []


_SCOPES = _Scopes()


class references:
    """Context manager: what is serialised inside goes to this process, or to a pickle, not to a file.

    The user's classes and functions, lambdas too, then stand for themselves by names in a table.

    >>> from cnnrs import saving
    >>> with references() as table:
    ...     data = saving.serialize_keras_object(lambda x: 3 * x)
    >>> saving.deserialize_keras_object(data, custom_objects=table)(2)
    6
    """

    def __enter__(self) -> dict[str, Any]:
        table: dict[str, Any] = {}
        _SCOPES.references.append(table)
        return table

    def __exit__(self, *exception: object) -> None:
        _SCOPES.references.pop()


def refers() -> bool:
    """Whether what is serialised goes to this process, or to a pickle: see `references`."""
    return bool(_SCOPES.references)


def refer(target: Any, name: str) -> str:
    """What serialised data calls a class or function: within `references`, an entry of the table."""
    if not _SCOPES.references or home(target) in PUBLIC:
        return name
    table = _SCOPES.references[-1]
    for known, value in table.items():
        if value is target:
            return known
    # A name that no class of cnnrs has, whatever the user calls his.
    name = naming.unique(f"user:{name}", table)
    table[name] = target
    return name


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """Decorator that makes a class or function known to files by `package>name`.

    >>> from cnnrs import saving
    >>> @saving.register_keras_serializable("demo")
    ... def double(x):
    ...     return x * 2
    >>> saving.get_registered_name(double)
    'demo>double'
    """

    def register(target: Any) -> Any:
        if isinstance(target, type) and not hasattr(target, "get_config"):
            raise ValueError(f"register_keras_serializable: {target.__name__} has no get_config()")
        registered = f"{package}>{name or target.__name__}"
        _GLOBAL_OBJECTS[registered] = target
        _GLOBAL_NAMES[target] = registered
        return target

    return register


def get_registered_name(obj: Any) -> str:
    """The name under which a class or function is registered, else its own name.

    >>> from cnnrs import layers, saving
    >>> saving.get_registered_name(layers.Dense)
    'Dense'
    """
    try:
        return _GLOBAL_NAMES.get(obj) or name_of(obj)
    except TypeError:
        return name_of(obj)


def own_registered_name(target: Any) -> str | None:
    """The name under which a class or function is registered, if it is.

    >>> own_registered_name(int) is None
    True
    """
    return _GLOBAL_NAMES.get(target)


def get_registered_object(name: str, custom_objects: Any = None, module_objects: Any = None) -> Any:
    """What is registered under a name, here or in `custom_objects`; None if nothing is.

    The name is the whole one: "Dense" is not what a package has registered as "package>Dense".

    >>> from cnnrs import saving
    >>> saving.get_registered_object("unknown") is None
    True
    """
    for table in (*reversed(_SCOPES.stack), custom_objects or {}, _GLOBAL_OBJECTS, module_objects or {}):
        if name in table:
            return table[name]
    return None


def registered_by_own_name(name: str, custom_objects: Any = None) -> Any:
    """What is registered in any package under a name; None if nothing is.

    Files of what was not registered when they were written give no package. A name with a package is looked
    for without it in `custom_objects` alone: what another package registered is something else.
    """
    own = name.rpartition(">")[2]
    for table in (*reversed(_SCOPES.stack), custom_objects or {}):
        if own in table:
            return table[own]
    for table in (*reversed(_SCOPES.stack), custom_objects or {}, _GLOBAL_OBJECTS):
        for key, value in table.items():
            if own == name and key.rpartition(">")[2] == name:
                return value
    return None


def get_custom_objects() -> dict[str, Any]:
    """All registered objects, by name.

    >>> from cnnrs import saving
    >>> isinstance(saving.get_custom_objects(), dict)
    True
    """
    return _GLOBAL_OBJECTS


class CustomObjectScope:
    """Context manager: objects by name that are known inside.

    Args:
        custom_objects: Classes and functions by name.

    >>> from cnnrs import activations, saving
    >>> with saving.CustomObjectScope({"triple": lambda x: 3 * x}):
    ...     activations.get("triple")(2)
    6
    """

    def __init__(self, custom_objects: dict[str, Any]):
        self.custom_objects = dict(custom_objects)

    def __enter__(self) -> CustomObjectScope:
        _SCOPES.stack.append(self.custom_objects)
        return self

    def __exit__(self, *exception: object) -> None:
        _SCOPES.stack.pop()


custom_object_scope = CustomObjectScope
