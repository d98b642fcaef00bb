"""Objects as data: `{"module", "class_name", "config", "registered_name"}`, Keras's form, without code."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import naming
from cnnrs.user_warnings import warn_user

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


def _refer(target: Any, name: str) -> str:
    """What serialised data calls a class or function: within `references`, an entry of the table."""
    if not _SCOPES.references or _public_module(target) in _public_modules():
        return name
    table = _SCOPES.references[-1]
    for known, value in table.items():
        if value is target:
            return known
    # A name that no class of cnnrs has, whatever the user calls his.
    name = naming.unique(f"user:{name}", table)
    table[name] = target
    return name


def _public_modules() -> set[str]:
    return {f"cnnrs.{name}" for name in _MODULES}


class UnknownObjectError(TypeError):
    """Serialised data names a class or function that is not known here."""


# The public modules whose classes a file may name.
_MODULES = (
    "activations",
    "applications",
    "callbacks",
    "constraints",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "optimizers.schedules",
    "random",
    "regularizers",
)


# Those of them that have functions which are arguments of layers or of `compile`.
_FUNCTION_MODULES = ("activations", "losses", "metrics", "random")


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
        return _GLOBAL_NAMES.get(obj) or _name(obj)
    except TypeError:
        return _name(obj)


def _name(target: Any) -> str:
    return getattr(target, "__name__", type(target).__name__)


def get_registered_object(name: str, custom_objects: Any = None, module_objects: Any = None) -> Any:
    """What is registered under a name, here or in `custom_objects`; None if nothing is.

    >>> from cnnrs import saving
    >>> saving.get_registered_object("unknown") is None
    True
    """
    for table in (*reversed(_SCOPES.stack), custom_objects or {}, _GLOBAL_OBJECTS, module_objects or {}):
        if name in table:
            return table[name]
        for key, value in table.items():
            if key.split(">")[-1] == name:
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


def serialize_keras_object(obj: Any) -> Any:
    """Plain data (dict, list, number, string, None) for an object with `get_config()`, or a value.

    >>> from cnnrs import regularizers, saving
    >>> saving.serialize_keras_object(regularizers.L2(0.1))["class_name"]
    'L2'
    """
    if obj is None or isinstance(obj, (str, bool, int, float)):
        return obj
    if isinstance(obj, (np.integer, np.floating)):
        return obj.item()
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}}
    if isinstance(obj, tuple):
        return {"class_name": "__tuple__", "items": [serialize_keras_object(v) for v in obj]}
    if isinstance(obj, list):
        return [serialize_keras_object(v) for v in obj]
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, type) or not hasattr(obj, "get_config"):
        if not callable(obj):
            raise TypeError(f"cannot serialize a {type(obj).__name__}: it has no get_config()")
        if getattr(obj, "__name__", "<lambda>") == "<lambda>" and not _SCOPES.references:
            raise ValueError(
                "a lambda cannot be saved; files hold no code. Register a named function instead"
            )
        return {
            "module": _public_module(obj),
            "class_name": "function",
            "config": _refer(obj, _name(obj)),
            "registered_name": _refer(obj, get_registered_name(obj)),
        }
    cls = type(obj)
    data = {
        "module": _public_module(cls),
        "class_name": _refer(cls, cls.__name__),
        "config": {key: serialize_keras_object(value) for key, value in obj.get_config().items()},
        "registered_name": _GLOBAL_NAMES.get(cls),
    }
    if hasattr(obj, "get_build_config"):
        build = obj.get_build_config()
        if build is not None:
            data["build_config"] = serialize_keras_object(build)
    if hasattr(obj, "get_compile_config") and getattr(obj, "compiled", False):
        compiled = _compile_config(obj)
        if compiled is not None:
            data["compile_config"] = compiled
    return data


def _compile_config(model: Any) -> Any:
    """What `compile` was given, or None with a warning: a lambda there must not cost the weights."""
    try:
        return model.get_compile_config()
    except (TypeError, ValueError) as error:
        warn_user(
            f"{model.name}: loss, optimizer and metrics are left out; call compile() after loading: {error}"
        )
        return None


def _public_module(target: Any) -> str | None:
    """The public module that has a class or function, or None for the user's own."""
    if not getattr(target, "__module__", "").startswith("cnnrs"):
        return None
    for name in _MODULES:
        module = importlib.import_module(f"cnnrs.{name}")
        if getattr(module, _name(target), None) is target:
            return f"cnnrs.{name}"
    return target.__module__


def _find(data: dict[str, Any], custom_objects: Any, module_objects: Any) -> Any:
    """The class or function that serialised data names. Only cnnrs's own modules are ever imported."""
    is_function = data["class_name"] == "function"
    name = data["config"] if is_function else data["class_name"]
    registered, module = data.get("registered_name"), data.get("module") or ""
    for key, value in (("name", name), ("registered_name", registered or ""), ("module", module)):
        if not isinstance(value, str):
            raise ValueError(f"the {key} of a class or function: expected a string, received {value!r}")
    for candidate in (registered, name):
        if candidate:
            found = get_registered_object(candidate, custom_objects)
            if found is not None:
                return _of_kind(found, candidate, is_function)
    if module in _public_modules() or module.startswith("keras."):
        module = "cnnrs." + module.split(".", 1)[1]
        offers = _FUNCTION_MODULES if is_function else _MODULES
        if module in {f"cnnrs.{name}" for name in offers}:
            found = _public(importlib.import_module(module), name, is_function)
            if found is not None:
                return found
    if module_objects and name in module_objects:
        return _of_kind(module_objects[name], name, is_function)
    close = naming.did_you_mean(name, module_objects) if module_objects else ""
    raise UnknownObjectError(
        f"cannot find {'function' if is_function else 'class'} {name!r}; register it with "
        f"@cnnrs.saving.register_keras_serializable() or pass custom_objects{close}"
    )


def _of_kind(found: Any, name: str, is_function: bool) -> Any:
    """What has been found, if it is a function or a class as the data says."""
    if is_function and (isinstance(found, type) or not callable(found)):
        raise ValueError(f"{name!r}: expected a function, received {found!r}")
    if not is_function and not hasattr(found, "from_config"):
        raise ValueError(f"{name!r}: expected a class with from_config(), received {found!r}")
    return found


def _public(module: Any, name: str, is_function: bool) -> Any:
    """What `module` offers under `name` of the kind that is meant; None if that is nothing."""
    found = None if name.startswith("_") else getattr(module, name, None)
    if isinstance(found, type) == is_function:
        return None
    if name in getattr(module, "__all__", ()):
        return found
    # Functions of other modules are listed, those of losses, say, are not.
    own = f"{getattr(found, '__module__', '')}.".startswith(f"{module.__name__}.")
    return found if own and module.__name__ != "cnnrs.random" else None


@contextlib.contextmanager
def _damage(config: Any) -> Iterator[None]:
    """What code raises when a config lacks a part or has one of another kind becomes a ValueError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        name = config.get("class_name") if isinstance(config, dict) else None
        raise ValueError(f"the config of {name!r} is damaged: {text}") from error


def deserialize_keras_object(
    config: Any, custom_objects: Any = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """The object that `serialize_keras_object` described.

    Args:
        config: Plain data; what is no description of an object is given back.
        custom_objects: Classes and functions by name, for those that are not registered.
        safe_mode: True; data holds no code.
        **kwargs: `module_objects`: classes and functions by name, for data that names no module.

    Raises:
        TypeError: A class or function is not known here.
        ValueError: The data is damaged: a part is missing, or of another kind.

    >>> from cnnrs import layers, saving
    >>> saving.deserialize_keras_object(saving.serialize_keras_object(layers.Dense(4, name="head"))).units
    4
    """
    module_objects = kwargs.pop("module_objects", None)
    if kwargs:
        raise TypeError(f"deserialize_keras_object: unexpected argument {next(iter(kwargs))!r}")
    with _damage(config):
        return _deserialize(config, custom_objects, safe_mode, module_objects)


def _deserialize(config: Any, custom_objects: Any, safe_mode: bool, module_objects: Any) -> Any:
    inner = lambda value: deserialize_keras_object(value, custom_objects, safe_mode)  # noqa: E731
    if isinstance(config, list):
        return [inner(value) for value in config]
    if not isinstance(config, dict):
        return config
    name = config.get("class_name")
    if name is None or not ("config" in config or "items" in config):
        return {key: inner(value) for key, value in config.items()}
    if name == "__tuple__":
        return tuple(inner(value) for value in config["items"])
    if name == "__numpy__":
        return plain_array(config["config"]["value"], config["config"]["dtype"])
    target = _find(config, custom_objects, module_objects)
    if name == "function":
        return target
    if not isinstance(config["config"], dict):
        raise ValueError(f"{name!r}: config: expected a dict, received {config['config']!r}")
    with CustomObjectScope(custom_objects or {}):
        obj = target.from_config(_plain(config["config"], custom_objects, safe_mode))
        build = config.get("build_config")
        if build and hasattr(obj, "build_from_config"):
            obj.build_from_config(inner(build))
        compiled = config.get("compile_config")
        if compiled and hasattr(obj, "compile_from_config"):
            obj.compile_from_config(compiled)
    return obj


_ARRAY_DTYPES = ["bool", "float16", "float32", "float64"]
_ARRAY_DTYPES += [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]


def plain_array(value: Any, dtype: Any) -> np.ndarray:
    """An array of numbers or truth values that serialised data holds.

    Raises:
        ValueError: It is none; text and objects of Python are not stored as arrays.
    """
    if dtype not in _ARRAY_DTYPES:
        raise ValueError(f"an array: expected a dtype of numbers, received {dtype!r}")
    return np.array(value, dtype)


def _plain(config: Any, custom_objects: Any, safe_mode: bool) -> Any:
    """A config with tuples and arrays restored; objects inside stay data, `from_config` makes them."""
    if isinstance(config, list):
        return [_plain(value, custom_objects, safe_mode) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "__tuple__":
        return tuple(_plain(value, custom_objects, safe_mode) for value in config["items"])
    if config.get("class_name") == "__numpy__" and "config" in config:
        return deserialize_keras_object(config, custom_objects, safe_mode)
    return {key: _plain(value, custom_objects, safe_mode) for key, value in config.items()}
