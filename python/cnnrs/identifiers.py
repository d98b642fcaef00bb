"""Names that stand for objects: one look-up with suggestions for misspelt ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cnnrs import naming


def without(module: str, absent: Mapping[str, str], known: Iterable[str]) -> Callable[[str], Any]:
    """A module's `__getattr__`: names that Keras has and this module lacks, each with what to do instead.

    Args:
        module: Name of the module.
        absent: Reasons by names; several names are separated by spaces.
        known: What the module has, for suggestions.
    """
    reasons = {name: reason for names, reason in absent.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        if name in reasons:
            raise AttributeError(f"{module} has no {name!r}, which Keras has: {reasons[name]}")
        hint = "" if name.startswith("_") else naming.did_you_mean(name, known)
        raise AttributeError(f"{module} has no {name!r}{hint}")

    return __getattr__


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
    from cnnrs import saving

    if isinstance(config, str):
        with saving.CustomObjectScope(custom_objects or {}):
            return lookup(config, table, kind)
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(
            f"{kind}: expected a name or a dict with 'class_name' and 'config', received {config!r}"
        )
    whole = {"config": {}, **config}
    return saving.deserialize_keras_object(whole, custom_objects=custom_objects, module_objects=table)


def lookup(identifier: str, table: Mapping[str, Any], kind: str) -> Any:
    """The entry of `table` for a name; registered objects count too.

    Raises:
        ValueError: Nothing of that name is known; suggests the closest.
    """
    if identifier in table:
        return table[identifier]
    from cnnrs import saving

    registered = saving.get_registered_object(identifier)
    if registered is not None:
        return registered
    raise ValueError(f"{kind}: nothing is called {identifier!r}{naming.did_you_mean(identifier, table)}")
