"""cnnrs's own files, safetensors: tensors by name, architecture as JSON in the metadata.

A file of a model holds, besides its weights, the optimizer's state and the states of random
generators, so that training goes on with the same bits as one that was never interrupted. Files
hold no code and are written atomically.
"""

from __future__ import annotations

import json
import reprlib
from typing import Any, NamedTuple

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.base.dtypes import fits
from cnnrs.base.user_warnings import warn_user
from cnnrs.saving.reading import reading, unique_keys
from cnnrs.saving.weights import is_model, named_variables, own_states, pair, stores_of, write_stores
from cnnrs.serialization import (
    CustomObjectScope,
    deserialize_keras_object,
    serialize_keras_object,
)
from cnnrs.serialization.copies import restore_training, training_state
from cnnrs.serialization.formats import check_readable, format_of

__all__ = ["Content", "content", "load_model", "load_weights", "weights_content"]

# Raised when files of this version could not be read by older releases. 2: files have a checksum.
FORMAT_VERSION = 2

_FORMAT = "cnnrs_format"
# Names of the weights in the order of the model that wrote them.
_ORDER = "weights"
# The stores of layers that keep their own state; absent if there is none.
_OWN = "own_state"
# What the names of the optimizer's state begin with, and the name of the state of shuffling.
_OPTIMIZER = "optimizer/"
_SHUFFLE = "training/shuffle"


def _snapshot(variable: Any) -> Any:
    """The value that a variable has now: an array, or a tensor of what numpy has no type for."""
    return variable.value if variable.dtype == "bfloat16" else np.asarray(variable.numpy())


class Content(NamedTuple):
    """What a file holds. Its numbers stay as they are if training goes on before they are written."""

    tensors: dict[str, Any]
    metadata: dict[str, str]

    def write(self, path: str) -> None:
        """Writes a file, atomically."""
        metadata = {"format": "pt", _FORMAT: str(FORMAT_VERSION), **self.metadata}
        format_of(path).write(path, self.tensors, metadata)


def weights_content(model: Any) -> Content:
    """What files of weights and files of models hold of a model."""
    tensors = {name: _snapshot(variable) for name, variable in named_variables(model).items()}
    metadata = {_ORDER: json.dumps(list(tensors))}
    own = write_stores(model)
    for name in tensors.keys() & own.tensors.keys():
        raise ValueError(
            f"{model.name}: the file needs the name of the weight {name!r} for the own state of a layer; "
            "give that another name"
        )
    if own.stores:
        metadata[_OWN] = json.dumps(own.stores)
    return Content(tensors | own.tensors, metadata)


def content(model: Any, include_optimizer: bool = True) -> Content:
    """What a file of a built model holds."""
    tensors, metadata = weights_content(model)
    metadata["model"] = json.dumps(serialize_keras_object(model))
    optimizer, shuffle, state = training_state(model)
    if not include_optimizer:
        optimizer = None
    further = {f"{_OPTIMIZER}{key}": value for key, value in (optimizer or {}).items()} | {_SHUFFLE: state}
    for name in tensors.keys() & further.keys():
        raise ValueError(
            f"{model.name}: the file needs the name of the weight {name!r} for the state of training; "
            "give its layer another name"
        )
    metadata["shuffle"] = json.dumps(shuffle)
    return Content(tensors | further, metadata)


def _read(path: str, kind: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    check_readable(path)
    format = format_of(path)
    tensors, metadata, has_checksum = format.read(path)
    if _FORMAT not in metadata:
        raise ValueError(
            f"{path!r} is a {format.suffix[1:]} file, but not one of cnnrs: its metadata lacks {_FORMAT!r}"
        )
    version = _entry(metadata, _FORMAT, path, int)
    if version < 1:
        raise ValueError(f"{path!r}: metadata {_FORMAT!r}: expected a version >= 1, received {version}")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path!r} has format version {version}; this release reads up to {FORMAT_VERSION}. "
            "Install a newer cnnrs"
        )
    if version >= 2 and not has_checksum:
        raise ValueError(
            f"{path!r} is damaged: files of format version {version} have a checksum, this has none"
        )
    if kind == "model" and "model" not in metadata:
        raise ValueError(f"{path!r} holds weights alone; build the model and use load_weights")
    return tensors, metadata


def _entry(metadata: dict[str, str], key: str, path: str, kind: type) -> Any:
    """What an entry of the metadata holds as JSON.

    Raises:
        ValueError: It is absent, no JSON, or of another kind.
    """
    names = {dict: "an object", list: "a list", int: "an integer"}
    if key not in metadata:
        raise ValueError(f"{path!r}: the metadata lacks {key!r}, {names[kind]}")
    text = metadata[key]
    try:
        value = json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path!r}: metadata {key!r} is damaged: expected {names[kind]} as JSON, "
            f"received {reprlib.repr(text)}: {error}"
        ) from error
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise ValueError(f"{path!r}: metadata {key!r} is damaged: its text is no Unicode: {error}") from error
    if type(value) is not kind:
        raise ValueError(
            f"{path!r}: metadata {key!r} is damaged: expected {names[kind]}, received {reprlib.repr(text)}"
        )
    return value


def load_model(path: str, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    """The model of a file: it predicts and trains on with the same bits."""
    tensors, metadata = _read(path, "model")
    data = _entry(metadata, "model", path, dict)
    compiled = data.pop("compile_config", None)
    with reading("metadata 'model'", path):
        model = deserialize_keras_object(data, custom_objects, safe_mode)
        if not is_model(model):
            raise TypeError(f"expected a model, received {reprlib.repr(model)}")
    _assign(model, tensors, metadata, path, skip_mismatch=False)
    if compile and compiled is not None:
        with reading("metadata 'model'", path), CustomObjectScope(custom_objects or {}):
            model.compile_from_config(compiled)
        weights = set(_order(metadata, tensors, path))
        optimizer = {
            name.removeprefix(_OPTIMIZER): value
            for name, value in tensors.items()
            if name.startswith(_OPTIMIZER) and name not in weights
        }
        with reading("the state of the optimizer", path):
            restore_training(model, optimizer)
        if _SHUFFLE in tensors:
            with reading("metadata 'shuffle'", path):
                restore_training(model, None, _shuffle(metadata, path), tensors[_SHUFFLE])
    return model


def _shuffle(metadata: dict[str, str], path: str) -> dict[str, Any]:
    """The config of the generator of orders."""
    config = _entry(metadata, "shuffle", path, dict)
    if config.keys() != {"seed", "name"}:
        raise ValueError(f"expected a seed and a name, received {reprlib.repr(config)}")
    integer(config["seed"], "SeedGenerator", "seed", least=0)
    if not isinstance(config["name"], str):
        raise ValueError(f"SeedGenerator: name: expected text, received {config['name']!r}")
    return config


def _order(metadata: dict[str, str], tensors: dict[str, np.ndarray], path: str) -> list[str]:
    """The names of the weights in the file, each once, in the order of the model that wrote them."""
    order = _entry(metadata, _ORDER, path, list)
    if not all(isinstance(name, str) for name in order):
        raise ValueError(f"{path!r}: metadata {_ORDER!r} is damaged: expected the names of weights")
    weights: set[str] = set()
    for name in order:
        if name in weights:
            raise ValueError(f"{path!r}: metadata {_ORDER!r} is damaged: {name!r} occurs twice")
        if name not in tensors:
            raise ValueError(f"{path!r}: metadata {_ORDER!r} names {name!r}, which the file does not hold")
        weights.add(name)
    for name in tensors:
        if name not in weights and name != _SHUFFLE and not name.startswith(_OPTIMIZER):
            raise ValueError(f"{path!r}: metadata {_ORDER!r} lacks {name!r}, which the file holds")
    return order


def _assign(
    model: Any, tensors: dict[str, np.ndarray], metadata: dict[str, str], path: str, skip_mismatch: bool
) -> None:
    stores = None
    if _OWN in metadata:
        with reading(f"metadata {_OWN!r}", path):
            stores = stores_of(tensors, metadata[_OWN])
    order = _order(metadata, tensors, path)
    named = named_variables(model, with_own_state=stores is None)
    weights = {name: tensors[name] for name in order}
    pairs = pair(named, weights, skip_mismatch)
    if len(weights) != len(named) and not skip_mismatch:
        raise ValueError(f"{path!r} holds {len(weights)} weights, {model.name} has {len(named)}")
    fitting, left = [], []
    for name, value in pairs.items():
        variable = named[name]
        if value is None:
            message = f"there is no weight {name!r}"
        elif tuple(value.shape) == tuple(variable.shape) and fits(value.dtype.name, variable.dtype):
            fitting.append((variable, value))
            continue
        else:
            message = (
                f"weight {name!r}: expected shape {tuple(variable.shape)} {variable.dtype}, "
                f"received {tuple(value.shape)} {value.dtype.name}"
            )
        if not skip_mismatch:
            raise ValueError(f"{path!r}: {message}")
        left.append(message)
    if stores is not None:
        left += _load_stores(model, stores, path, skip_mismatch)
    with reading("the weights", path):
        for variable, value in fitting:
            variable.assign(value)
    if left:
        warn_user(
            f"{model.name}: {len(left)} of {len(named)} weights are left as they were, {len(fitting)} were "
            f"read from {path!r}: {'; '.join(left)}"
        )


def _load_stores(
    model: Any, stores: dict[str, dict[str, np.ndarray]], path: str, skip_mismatch: bool
) -> list[str]:
    """Hands layers that keep their own state what they stored: by name, or by order where names differ.

    Returns:
        What was not loaded, and why.
    """
    layers = own_states(model)
    if len(stores) == len(layers) and layers.keys() != stores.keys():
        stores = dict(zip(layers, stores.values(), strict=True))
    problems = [f"there is no own state of the layer {name!r}" for name in layers if name not in stores]
    problems += [f"no layer {name!r} keeps its own state" for name in stores if name not in layers]
    if problems and not skip_mismatch:
        raise ValueError(f"{path!r}: {problems[0]}")
    for name, layer in layers.items():
        if name not in stores:
            continue
        try:
            layer.load_own_variables(stores[name])
        except (KeyError, ValueError) as error:
            if not skip_mismatch:
                raise
            problems.append(f"the own state of the layer {name!r}: {type(error).__name__}: {error}")
    return problems


def load_weights(model: Any, path: str, skip_mismatch: bool) -> None:
    """Reads weights from a file of weights or of a model: by name, or by order where names differ."""
    tensors, metadata = _read(path, "weights")
    _assign(model, tensors, metadata, path, skip_mismatch)
