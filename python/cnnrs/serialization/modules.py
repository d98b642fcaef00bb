"""The public modules by name: which of them has a class or function, and what a file may take from them.

A file names modules, and any of their classes may be in it. Therefore this module imports them by name, when
an object is written or read. No other module imports by name, apart from packages that load their own
submodules when these are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["PUBLIC", "classes", "find", "home", "name_of", "public"]

# The public modules whose classes a file may name.
PUBLIC = (
    "cnnrs.activations",
    "cnnrs.applications",
    "cnnrs.applications.convnext",
    "cnnrs.applications.inception_resnet_v2",
    "cnnrs.callbacks",
    "cnnrs.constraints",
    "cnnrs.detection",
    "cnnrs.distillation",
    "cnnrs.dtype_policies",
    "cnnrs.initializers",
    "cnnrs.layers",
    "cnnrs.losses",
    "cnnrs.metrics",
    "cnnrs.models",
    "cnnrs.ops",
    "cnnrs.ops.image",
    "cnnrs.optimizers",
    "cnnrs.optimizers.schedules",
    "cnnrs.random",
    "cnnrs.regularizers",
)

# Those of them that have functions which are arguments of layers or of `compile`.
_WITH_FUNCTIONS = (
    "cnnrs.activations",
    "cnnrs.losses",
    "cnnrs.metrics",
    "cnnrs.random",
    "cnnrs.ops",
    "cnnrs.ops.image",
)


def name_of(target: Any) -> str:
    """What a class or function is called; for another object its class.

    >>> name_of(int), name_of(3)
    ('int', 'int')
    """
    return getattr(target, "__name__", type(target).__name__)


def public(module: str) -> Any:
    """A public module, imported now: names of initializers, say, are looked up below the module of them.

    >>> public("cnnrs.initializers").get("ones").get_config()
    {}
    """
    if module not in PUBLIC:
        raise ValueError(f"expected one of {PUBLIC}, received {module!r}")
    return importlib.import_module(module)


def home(target: Any) -> str | None:
    """The public module that has a class or function, or None for the user's own.

    >>> from cnnrs import losses
    >>> home(losses.Huber)
    'cnnrs.losses'
    """
    if not getattr(target, "__module__", "").startswith("cnnrs"):
        return None
    # A module that merely imports it for its own use does not offer it.
    for module in PUBLIC:
        public = importlib.import_module(module)
        if getattr(public, name_of(target), None) is target and _is_own(public, target):
            return module
    return target.__module__


def find(module: str, name: str, is_function: bool) -> Any:
    """What a public module offers to files under `name`.

    Args:
        module: Name of the module; Keras's name of it will do.
        name: Name of the class or function.
        is_function: Whether a function is meant, else a class.

    Returns:
        The class or function; None if the module is not public, or has nothing of that kind and name.

    >>> find("keras.losses", "Huber", is_function=False).__name__
    'Huber'
    >>> find("os", "system", is_function=True) is None
    True
    """
    for candidate in _candidates(module, is_function):
        found = _offered(candidate, name, is_function)
        if found is not None:
            return found
    return None


def _candidates(module: str, is_function: bool) -> tuple[str, ...]:
    """The public modules that may be meant by the name of a module."""
    allowed = _WITH_FUNCTIONS if is_function else PUBLIC
    # Keras 2 named none, and Keras 3 says "builtins" of its own functions and "keras" of its models.
    if module in ("", "builtins", "keras", "cnnrs") or module.startswith("keras.src."):
        path = f"cnnrs.{module.removeprefix('keras.src.')}."
        return tuple(name for name in reversed(allowed) if path.startswith(f"{name}.")) or allowed
    if module not in PUBLIC and not module.startswith("keras."):
        return ()
    module = "cnnrs." + module.split(".", 1)[1]
    return (module,) if module in allowed else ()


def _offered(module: str, name: str, is_function: bool) -> Any:
    """What a public module offers to files under `name`; None if nothing of that kind."""
    public = importlib.import_module(module)
    found = None if name.startswith("_") else getattr(public, name, None)
    if module.startswith("cnnrs.ops") and not getattr(found, "is_cnnrs_op", False):
        return None
    if isinstance(found, type) == is_function:
        return None
    listed = name in getattr(public, "__all__", ())
    return found if listed or (_is_own(public, found) and module != "cnnrs.random") else None


def _is_own(public: Any, found: Any) -> bool:
    """Whether a module lists a class or function, or it was made there: losses list no functions."""
    if name_of(found) in getattr(public, "__all__", ()):
        return True
    return f"{getattr(found, '__module__', '')}.".startswith(f"{public.__name__}.")


def classes(*modules: str) -> dict[str, type]:
    """The classes that public modules list, by name.

    >>> classes("cnnrs.layers")["Dense"].__name__
    'Dense'
    """
    found = {}
    for module in map(importlib.import_module, modules):
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type):
                found[name] = value
    return found
