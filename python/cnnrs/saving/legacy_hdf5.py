"""Legacy `.h5` files of whole models, and of weights by the layers of a model, as Keras 1 to 3 wrote them."""

from __future__ import annotations

import json
import reprlib
from typing import Any, NamedTuple

import numpy as np

from cnnrs.base.consent import permitting, writing_code
from cnnrs.base.user_warnings import warn_user
from cnnrs.saving.generators import GROUP, generators_of, restore_generators
from cnnrs.saving.keras_archive import KERAS_VERSION
from cnnrs.saving.keras_config import from_keras, to_keras
from cnnrs.saving.reading import reading, unique_keys
from cnnrs.saving.weights import is_model
from cnnrs.serialization import CustomObjectScope, deserialize_keras_object, hdf5, serialize_keras_object
from cnnrs.serialization.hdf5 import Group

__all__ = ["Content", "content", "load_model", "load_weights", "load_weights_by_name"]

# Attributes lie in headers of objects, which hold no more; longer lists are cut.
_LARGEST_ATTRIBUTE = 64512
_TOP = "top_level_model_weights"
# Entries of descriptions that legacy files have not.
# Classes that Keras knows there under their own name only.
_CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}
_NOT_LEGACY = ("module", "registered_name", "build_config", "compile_config", "shared_object_id")


class Content(NamedTuple):
    """What a file holds."""

    root: Group

    def write(self, path: str) -> None:
        """Writes a file, atomically."""
        hdf5.write(path, self.root)


def content(model: Any, include_optimizer: bool = True) -> Content:
    """What a file of a model holds."""
    with writing_code():
        data = to_keras(serialize_keras_object(model))
    compiled = data.get("compile_config")
    config = {
        "class_name": data.get("registered_name") or data["class_name"],
        "config": _legacy(data["config"]),
    }
    if not isinstance(data["config"].get("layers"), list) and "build_config" in data:
        # Keras looks past it; without it a subclassed model would have no weights to load.
        config["build_config"] = data["build_config"]
    if "image_preprocessing" in data:
        config["image_preprocessing"] = data["image_preprocessing"]
    root = Group(
        attrs={"keras_version": KERAS_VERSION, "backend": "tensorflow", "model_config": json.dumps(config)}
    )
    for layer in model._flatten_layers():
        for method in ("save_own_variables", "save_assets"):
            defined = getattr(type(layer), method, None)
            if defined is not None and not defined.__module__.startswith("cnnrs."):
                name = type(layer).__name__
                warn_user(
                    f"{layer.name}: legacy HDF5 holds variables alone, so what {name}.{method} stores is "
                    "left out; save the model to a .keras file"
                )
    root.groups["model_weights"] = _weights_group(model)
    optimizer = model.optimizer if include_optimizer and compiled else None
    if optimizer is not None:
        training = {key: value for key, value in compiled.items() if key != "optimizer"}
        described = compiled["optimizer"]
        training["optimizer_config"] = {
            "class_name": described.get("registered_name") or described["class_name"],
            "config": described["config"],
        }
        root.attrs["training_config"] = json.dumps(training)
        root.groups["optimizer_weights"] = _optimizer_group(optimizer)
    generators = generators_of(model)
    if generators is not None:
        root.groups[GROUP] = generators
    return Content(root)


def _legacy(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a model, whose layers are described without modules; objects inside stay whole."""
    if not isinstance(config.get("layers"), list):
        return config
    layers = []
    for entry in config["layers"]:
        kept = {key: value for key, value in entry.items() if key not in _NOT_LEGACY}
        kept["class_name"] = entry.get("registered_name") or _CLASSES.get(
            entry["class_name"], entry["class_name"]
        )
        layers.append({**kept, "config": _legacy(entry["config"])})
    return {**config, "layers": layers}


def _layer_weights(layer: Any) -> list[Any]:
    """The weights of a layer in the order of these files: those that training changes first."""
    return layer.trainable_weights + layer.non_trainable_weights


def _weights_group(model: Any) -> Group:
    group = Group(attrs={"backend": "tensorflow", "keras_version": KERAS_VERSION})
    layers = _layers(model)
    _set_names(group, "layer_names", [layer.name for layer in layers])
    for layer in sorted(layers, key=lambda layer: layer.name):
        group.groups[layer.name] = _named(_layer_weights(layer))
    group.groups[_TOP] = _named(_top_level(model))
    return group


def _layers(model: Any) -> list[Any]:
    return list(model.layers)


def _top_level(model: Any) -> list[Any]:
    """The weights that belong to the model itself and to no layer inside."""
    return [variable for variable, _ in model._ordered_own()]


def _optimizer_group(optimizer: Any) -> Group:
    variables = optimizer.variables
    paths = [
        variables[place].path if isinstance(place, int) else f"{optimizer.name}/placeholder"
        for place in optimizer.keras_order()
    ]
    return _arrays(list(zip(paths, optimizer.save_for_keras().values(), strict=True)))


def _named(variables: list[Any]) -> Group:
    """A group of variables by their paths."""
    values = [
        variable.value if variable.dtype == "bfloat16" else np.asarray(variable.numpy())
        for variable in variables
    ]
    return _arrays([(variable.path, value) for variable, value in zip(variables, values, strict=True)])


def _arrays(pairs: list[tuple[str, Any]]) -> Group:
    """A group of arrays by names, which are made unique, and a list of these."""
    group, names = Group(), []
    for path, value in pairs:
        name, count = path, 0
        while name in names:
            count += 1
            name = f"{path}_{count}"
        names.append(name)
        *folders, last = name.split("/")
        group.group("/".join(folders)).arrays[last] = value
    _set_names(group, "weight_names", names)
    return group


def _set_names(group: Group, key: str, names: list[str]) -> None:
    # As arrays of strings of one length, of which a header holds so many.
    width = max((len(name.encode()) for name in names), default=1)
    most = max(_LARGEST_ATTRIBUTE // width, 1)
    if len(names) <= most:
        group.attrs[key] = names
        return
    for number, first in enumerate(range(0, len(names), most)):
        group.attrs[f"{key}{number}"] = names[first : first + most]


def _names(group: Group, key: str) -> list[str]:
    """A list of strings, which may be cut into several attributes."""
    if key in group.attrs:
        found = group.attrs[key]
        parts = [found]
    else:
        parts = []
        while f"{key}{len(parts)}" in group.attrs:
            parts.append(group.attrs[f"{key}{len(parts)}"])
    names: list[str] = []
    for part in parts:
        part = [] if isinstance(part, np.ndarray) and not part.size else part
        for name in [part] if isinstance(part, str) else part:
            if not isinstance(name, str):
                raise ValueError(f"attribute {key!r}: expected names, received {reprlib.repr(part)}")
            names.append(name)
    return names


def _values(group: Group) -> list[np.ndarray]:
    """The arrays that `weight_names` lists."""
    found = []
    for name in _names(group, "weight_names"):
        *folders, last = name.split("/")
        inner = group.get("/".join(folders))
        if inner is None or last not in inner.arrays:
            raise ValueError(f"'weight_names' lists {name!r}, which the file does not hold")
        found.append(inner.arrays[last])
    return found


def load_model(root: Group, path: str, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    """The model of a file, with weights, and the state of its optimizer.

    Args:
        root: The root group of the file.
        path: What errors call the file.
        custom_objects: Classes and functions by name.
        compile: Whether loss, optimizer and metrics are restored.
        safe_mode: Whether code in the file is refused.
    """
    if "model_config" not in root.attrs or "model_weights" not in root.groups:
        raise ValueError(f"{path!r} holds weights alone; build the model and use load_weights")
    with reading("model_config", path):
        data = from_keras(_json(root.attrs["model_config"]))
        with CustomObjectScope(custom_objects or {}):
            model = deserialize_keras_object(data, custom_objects, safe_mode)
        if not is_model(model):
            raise TypeError(f"expected a model, received {reprlib.repr(model)}")
    if not model.built:
        raise ValueError(
            f"{path!r} does not say how {type(model).__name__} is built, so it has no weights to load: make "
            "the model, call it on data, and use load_weights"
        )
    load_weights(model, root.groups["model_weights"], path)
    if compile:
        if "training_config" not in root.attrs:
            warn_user(f"{path!r} says nothing about training: the model is not compiled")
        else:
            scope = CustomObjectScope(custom_objects or {})
            with reading("training_config", path), permitting(not safe_mode), scope:
                _compile(model, from_keras(_json(root.attrs["training_config"])))
            _load_optimizer(model, root, path)
    restore_generators(model, root.groups.get(GROUP))
    return model


def _json(text: Any) -> dict[str, Any]:
    if not isinstance(text, (str, bytes)):
        raise ValueError(f"expected JSON, received {reprlib.repr(text)}")
    data = json.loads(text, object_pairs_hook=unique_keys)
    if not isinstance(data, dict):
        raise ValueError(f"expected an object as JSON, received {reprlib.repr(data)}")
    return data


def _compile(model: Any, training: dict[str, Any]) -> None:
    from cnnrs import optimizers

    described = training["optimizer_config"]
    config = {key: value for key, value in described["config"].items()}
    arguments = {
        "optimizer": optimizers.deserialize({"class_name": described["class_name"], "config": config}),
        "loss": _deserialized(training.get("loss")),
        "loss_weights": training.get("loss_weights"),
        "metrics": _deserialized(training.get("metrics")),
        "weighted_metrics": _deserialized(training.get("weighted_metrics")),
    }
    model.compile(**arguments)
    if model.built:
        model.optimizer.build(model.trainable_variables)


def _deserialized(config: Any) -> Any:
    if isinstance(config, list):
        return [_deserialized(part) for part in config]
    if isinstance(config, dict) and "class_name" in config:
        if config["class_name"] == "MeanMetricWrapper" and isinstance(config["config"].get("fn"), str):
            return config["config"]["fn"]
        return deserialize_keras_object(config)
    if isinstance(config, dict):
        return {key: _deserialized(part) for key, part in config.items()}
    return config


def _load_optimizer(model: Any, root: Group, path: str) -> None:
    if "optimizer_weights" not in root.groups or not model.optimizer.built:
        return
    try:
        values = _values(root.groups["optimizer_weights"])
        model.optimizer.load_from_keras({str(i): value for i, value in enumerate(values)})
    except ValueError as error:
        # As Keras: another version of an optimizer has another state.
        warn_user(f"{path!r}: the optimizer starts afresh, for its state does not fit: {error}")


def load_weights(model: Any, group: Group, path: str, skip_mismatch: bool = False) -> None:
    """Hands layers the weights of a file in its order; layers without weights do not count.

    Args:
        model: A built model.
        group: The group of weights.
        path: What errors call the file.
        skip_mismatch: Whether weights of another shape are left as they are, with a warning.

    Raises:
        ValueError: Numbers or shapes differ; then the model is as before.
    """
    layers = [layer for layer in _layers(model) if _layer_weights(layer)]
    with reading("'layer_names'", path):
        names = [name for name in _names(group, "layer_names") if _weight_names(group, name)]
        if len(names) != len(layers):
            raise ValueError(
                f"expected {len(layers)} layers with weights, as {model.name} has, received {len(names)}: "
                f"{reprlib.repr(names)}"
            )
    _assign(model, group, list(zip(layers, names, strict=True)), path, skip_mismatch)


def load_weights_by_name(model: Any, group: Group, path: str, skip_mismatch: bool = False) -> None:
    """Hands layers the weights of layers of the same name in a file; others stay as they are."""
    layers = {layer.name: layer for layer in _layers(model)}
    names = [name for name in _names(group, "layer_names") if name in layers and _weight_names(group, name)]
    _assign(model, group, [(layers[name], name) for name in names], path, skip_mismatch)


def _weight_names(group: Group, layer: str) -> list[str]:
    inner = group.get(layer)
    if inner is None:
        raise ValueError(f"'layer_names' lists {layer!r}, which the file does not hold")
    return _names(inner, "weight_names")


def _assign(model: Any, group: Group, pairs: list[tuple[Any, str]], path: str, skip_mismatch: bool) -> None:
    todo: list[tuple[Any, np.ndarray]] = []
    parts = [(layer.name, name, _layer_weights(layer), group.get(name)) for layer, name in pairs]
    if _TOP in group.groups and _names(group.groups[_TOP], "weight_names"):
        parts.append((model.name, _TOP, _top_level(model), group.groups[_TOP]))
    for layer, name, variables, found in parts:
        assert found is not None
        values = _values(found)
        problem = ""
        if len(values) != len(variables):
            problem = f"expected {len(variables)} weights, received {len(values)}"
            values = []
        for variable, value in zip(variables, values, strict=bool(values)):
            if tuple(value.shape) == tuple(variable.shape):
                todo.append((variable, value))
            else:
                problem = problem or (
                    f"{variable.path}: expected shape {tuple(variable.shape)}, received {tuple(value.shape)}"
                )
        if problem and not skip_mismatch:
            raise ValueError(f"{path!r}: layer {layer!r} ({name!r} in the file): {problem}")
        if problem:
            warn_user(f"{path!r}: layer {layer!r} ({name!r} in the file) is not loaded: {problem}")
    for variable, value in todo:
        variable.assign(value)
