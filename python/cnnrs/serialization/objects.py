"""Objects as data: `{"module", "class_name", "config", "registered_name"}`, Keras's form, without code."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base import suggest
from cnnrs.base.consent import code_written, permitting, writing_code
from cnnrs.base.user_warnings import warn_user
from cnnrs.serialization import lambdas
from cnnrs.serialization.modules import find, home, name_of
from cnnrs.serialization.registry import (
    CustomObjectScope,
    get_registered_name,
    get_registered_object,
    own_registered_name,
    refer,
    refers,
    registered_by_own_name,
)

__all__ = [
    "UnknownObjectError",
    "deserialize_keras_object",
    "plain_array",
    "serialize_keras_object",
    "sharing",
    "without_single_numbers",
]


class _Shared(threading.local):
    def __init__(self) -> None:
        # Within `sharing`, what was written by identity, and what was read by number.
        self.written: dict[int, tuple[Any, int]] | None = None
        self.read: dict[int, Any] | None = None


_SHARED = _Shared()


@contextlib.contextmanager
def sharing() -> Iterator[None]:
    """Within it, an object that occurs twice in what is written or read is one object afterwards.

    >>> from cnnrs import layers
    >>> layer = layers.Dense(2)
    >>> with sharing():
    ...     data = serialize_keras_object([layer, layer])
    >>> with sharing():
    ...     first, second = deserialize_keras_object(data)
    >>> first is second
    True
    """
    before = _SHARED.written, _SHARED.read
    _SHARED.written, _SHARED.read = {}, {}
    try:
        yield
    finally:
        _SHARED.written, _SHARED.read = before


def _note_written(obj: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Gives the descriptions of one object the same number."""
    if _SHARED.written is not None:
        _, number = _SHARED.written.setdefault(id(obj), (obj, len(_SHARED.written)))
        data["shared_object_id"] = number
    return data


def without_single_numbers(data: Any) -> Any:
    """A description without the numbers that `sharing` gave to objects which occur once in it."""
    counts: Counter[int] = Counter()

    def count(part: Any) -> None:
        if isinstance(part, dict) and "shared_object_id" in part:
            counts[part["shared_object_id"]] += 1
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            count(inner)

    def strip(part: Any) -> Any:
        if isinstance(part, list):
            return [strip(inner) for inner in part]
        if not isinstance(part, dict):
            return part
        single = counts[part.get("shared_object_id", -1)] == 1
        return {k: strip(v) for k, v in part.items() if not (single and k == "shared_object_id")}

    count(data)
    return strip(data)


class UnknownObjectError(TypeError):
    """Serialised data names a class or function that is not known here."""


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
    if isinstance(obj, (_core.Tensor, _core.Variable)):
        array = obj.numpy()
        return {"class_name": "__tensor__", "config": {"value": array.tolist(), "dtype": str(array.dtype)}}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("latin-1")}}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, slice):
        parts = {"start": obj.start, "stop": obj.stop, "step": obj.step}
        return {"class_name": "__slice__", "config": {k: serialize_keras_object(v) for k, v in parts.items()}}
    if isinstance(obj, tuple):
        return {"class_name": "__tuple__", "items": [serialize_keras_object(v) for v in obj]}
    if isinstance(obj, list):
        return [serialize_keras_object(v) for v in obj]
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, type) or not hasattr(obj, "get_config"):
        if not callable(obj):
            raise TypeError(f"cannot serialize a {type(obj).__name__}: it has no get_config()")
        if getattr(obj, "__name__", "<lambda>") == "<lambda>" and not refers():
            if code_written() and hasattr(obj, "__code__"):
                warn_user(
                    "the file holds a lambda, that is code: whoever loads it must pass safe_mode=False. A "
                    "named function, registered with saving.register_keras_serializable, is loaded by anybody"
                )
                return lambdas.dump(obj)
            raise ValueError(
                "a lambda cannot be saved; files hold no code. Register a named function instead"
            )
        return {
            "module": home(obj),
            "class_name": "function",
            "config": refer(obj, name_of(obj)),
            "registered_name": refer(obj, get_registered_name(obj)),
        }
    cls = type(obj)
    data = {
        "module": home(cls),
        "class_name": refer(cls, cls.__name__),
        "config": {key: serialize_keras_object(value) for key, value in obj.get_config().items()},
        "registered_name": own_registered_name(cls),
    }
    if hasattr(obj, "get_build_config"):
        build = obj.get_build_config()
        if build is not None:
            data["build_config"] = serialize_keras_object(build)
    if hasattr(obj, "get_compile_config") and getattr(obj, "compiled", False):
        compiled = _compile_config(obj)
        if compiled is not None:
            data["compile_config"] = compiled
    preprocessing = getattr(obj, "_image_preprocessing", None)
    if preprocessing is not None:
        # Keras looks past the entry.
        data["image_preprocessing"] = preprocessing.get_config()
    return _note_written(obj, data)


def _compile_config(model: Any) -> Any:
    """What `compile` was given, or None with a warning: a lambda there must not cost the weights."""
    try:
        with writing_code(False):
            # What a class of a user gives may hold objects.
            return serialize_keras_object(model.get_compile_config())
    except (TypeError, ValueError) as error:
        warn_user(
            f"{model.name}: loss, optimizer and metrics are left out; call compile() after loading: {error}"
        )
        return None


def _find(data: dict[str, Any], custom_objects: Any, module_objects: Any) -> Any:
    """The class or function that serialised data names. Only cnnrs's own modules are ever imported."""
    is_function = data["class_name"] == "function"
    name = data["config"] if is_function else data["class_name"]
    registered, module = data.get("registered_name"), data.get("module") or ""
    for key, value in (("name", name), ("registered_name", registered or ""), ("module", module)):
        if not isinstance(value, str):
            raise TypeError(f"the {key} of a class or function: expected a string, received {value!r}")
    if is_function and registered == "function":
        # So Keras writes the user's functions; their name has the package.
        registered = None
    for candidate in (registered, name):
        if candidate:
            found = get_registered_object(candidate, custom_objects)
            if found is not None:
                return _of_kind(found, candidate, is_function)
    found = find(module, name, is_function)
    if found is not None:
        if registered and registered not in (name, data["class_name"]):
            raise ValueError(
                f"{name!r} of {module!r} is one of the package's own, which have no registered name; "
                f"received {registered!r}, of which nothing is known here"
            )
        return found
    if module_objects and name in module_objects:
        return _of_kind(module_objects[name], name, is_function)
    own = module.split(".")[0] in ("cnnrs", "keras")
    found = None if own else registered_by_own_name(registered or name, custom_objects)
    if found is not None:
        return _of_kind(found, name, is_function)
    close = suggest.did_you_mean(name, module_objects) if module_objects else ""
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
        safe_mode: Whether code, that is a lambda, is refused.
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
    with _damage(config), permitting(not safe_mode):
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
    if name == "__tensor__":
        return _core.tensor(plain_array(config["config"]["value"], config["config"]["dtype"]))
    if name == "__bytes__":
        return str(config["config"]["value"]).encode("latin-1")
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__lambda__":
        return lambdas.load(config["config"])
    if name == "__slice__":
        parts = config["config"]
        return slice(inner(parts["start"]), inner(parts["stop"]), inner(parts["step"]))
    number = config.get("shared_object_id")
    if number is not None and _SHARED.read is not None and number in _SHARED.read:
        return _SHARED.read[number]
    target = _find(config, custom_objects, module_objects)
    if name == "function":
        return target
    if not isinstance(config["config"], dict):
        raise TypeError(f"{name!r}: config: expected a dict, received {config['config']!r}")
    with CustomObjectScope(custom_objects or {}):
        obj = target.from_config(_plain(config["config"], custom_objects, safe_mode))
        build = config.get("build_config")
        if build and hasattr(obj, "build_from_config"):
            obj.build_from_config(inner(build))
        compiled = config.get("compile_config")
        if compiled and hasattr(obj, "compile_from_config"):
            obj.compile_from_config(compiled)
        preprocessing = config.get("image_preprocessing")
        if preprocessing is not None and hasattr(obj, "_keep_image_preprocessing"):
            obj._keep_image_preprocessing(preprocessing)
    if number is not None and _SHARED.read is not None:
        _SHARED.read[number] = obj
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
