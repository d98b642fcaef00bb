"""Architectures as Keras writes them, and as cnnrs does: names of modules, ops, arguments that one lacks.

Both describe an object by module, class, config and registered name. What differs is translated here, and
nowhere else: `from_keras` before objects are made, `to_keras` after they were described.
"""

from __future__ import annotations

import inspect
from typing import Any

from cnnrs import ops
from cnnrs.saving import keras_2
from cnnrs.serialization.keras_operations import OPERATIONS
from cnnrs.serialization.modules import classes
from cnnrs.serialization.registry import get_registered_object

__all__ = ["from_keras", "to_keras"]

_TENSOR = "__keras_tensor__"

# Arguments that Keras writes and layers here do not have, with the values that change nothing.
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "quantization_config": (None,),
    "quantization_mode": (None,),
    "lora_rank": (None,),
    "lora_alpha": (None,),
    "synchronization": ("auto", None),
    "jit_compile": (None, "auto", True, False),
    "flash_attention": (None, False),
}
# Arguments of layers here that Keras's have not.
_OWN_ARGUMENTS = {"has_input_vocabulary", "auto_scale_loss", "autocast"}

_OPTIMIZERS = {
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion",
    "LossScaleOptimizer", "Muon", "Nadam", "RMSprop", "SGD",
}  # fmt: skip
_SCHEDULES = {
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay",
    "PolynomialDecay",
}  # fmt: skip

# The op of each class.
_OF_CLASS = {(module, name): op for op, (module, name, _, _) in OPERATIONS.items()}

# Ops that have two names, of which files of Keras hold the other.
_SYNONYMS = {"abs": "absolute", "conj": "conjugate", "hard_swish": "hard_silu", "swish": "silu"}

# Public modules whose classes Keras offers under another name.
_MODULES = {"cnnrs.models": "keras"}


def from_keras(data: Any) -> Any:
    """A description by Keras, as cnnrs would have written it.

    Args:
        data: What `serialize_keras_object` of Keras gave, or Keras 2's `get_config`.

    Returns:
        The same for cnnrs; the argument is left as it is.

    Raises:
        ValueError: It needs what no layer here can do.

    >>> from_keras({"module": "keras.layers", "class_name": "Dense", "registered_name": None,
    ...             "config": {"units": 2, "quantization_config": None}})["config"]
    {'units': 2}
    """
    if isinstance(data, list):
        return [from_keras(item) for item in data]
    if not isinstance(data, dict):
        return data
    if "class_name" not in data or not isinstance(data.get("config"), dict):
        return {key: from_keras(value) for key, value in data.items()}
    if data["class_name"] in (_TENSOR, "__lambda__"):
        return data
    if data["class_name"] == "__tensor__":
        return {**data, "class_name": "__numpy__"}
    if data["class_name"] == "__typespec__":
        raise ValueError("a specification of a type of TensorFlow: only layers, losses and the like are read")
    data = keras_2.modern(data)
    operation = _operation_of(data)
    if operation is not None:
        return _op_from_keras(data, operation)
    config = {key: from_keras(value) for key, value in data["config"].items()}
    if _is_builtin(data):
        config = _known(config, str(data["class_name"]))
    config = keras_2.renumbered(_renumbered(config, -1))
    return {**{key: from_keras(value) for key, value in data.items() if key != "config"}, "config": config}


def _renumbered(config: dict[str, Any], by: int) -> dict[str, Any]:
    """The config of a functional model with other numbers of calls in its inputs and outputs.

    There Keras 3 counts the calls of functional models inside from 1, elsewhere from 0.
    """
    if not isinstance(config.get("layers"), list) or "output_layers" not in config:
        return config
    inside = {
        entry.get("name")
        for entry in config["layers"]
        if isinstance(entry, dict)
        and isinstance(entry.get("config"), dict)
        and "input_layers" in entry["config"]
        and all(isinstance(node, dict) for node in entry.get("inbound_nodes", []))
    }

    def moved(places: Any) -> Any:
        if isinstance(places, dict):
            return {key: moved(value) for key, value in places.items()}
        if not isinstance(places, (list, tuple)):
            return places
        if len(places) == 3 and isinstance(places[0], str):
            return [places[0], places[1] + by if places[0] in inside else places[1], places[2]]
        return type(places)(moved(place) for place in places)

    ends: dict[str, Any] = {
        key: moved(config[key]) for key in ("input_layers", "output_layers") if key in config
    }
    return {**config, **ends}


def _operation_of(data: dict[str, Any]) -> str | None:
    """The op that a description stands for, if it does."""
    module, name = data.get("module"), str(data["class_name"])
    if get_registered_object(name) is not None:
        return None
    if module is not None:
        return _OF_CLASS.get((str(module), name))
    # Legacy files name no module. The config of a layer says whether it is trained, that of an op does not.
    if "inbound_nodes" not in data or (name in classes("cnnrs.layers") and "trainable" in data["config"]):
        return None
    return next((op for (_, cls), op in _OF_CLASS.items() if cls == name), None)


def _is_builtin(data: dict[str, Any]) -> bool:
    module = data.get("module")
    if module is None:
        return get_registered_object(str(data["class_name"])) is None
    return str(module).split(".")[0] == "keras"


def _known(config: dict[str, Any], owner: str) -> dict[str, Any]:
    """A config without arguments that have no effect.

    Raises:
        ValueError: One has a value that would have an effect.
    """
    known = {}
    for key, value in config.items():
        if key not in _WITHOUT_EFFECT or (owner == "Model" and key == "jit_compile"):
            known[key] = value
        elif value not in _WITHOUT_EFFECT[key]:
            raise ValueError(
                f"{owner}: {key}: expected {_WITHOUT_EFFECT[key][0]!r}, for layers compute in float types; "
                f"received {value!r}"
            )
    return known


def _op_from_keras(data: dict[str, Any], operation: str) -> dict[str, Any]:
    """An op in a functional model: its arguments but the tensors lie in its config, here in its nodes."""
    made = OPERATIONS[operation][3]
    config = {
        key: value
        for key, value in data["config"].items()
        # Each of Keras's ops may have a policy; that of types that the op gives is another matter.
        if key != "name" and (key != "dtype" or (key in made and not isinstance(value, dict)))
    }
    path = operation.split(".")
    nodes = []
    for node in data.get("inbound_nodes", []):
        if not isinstance(node, dict):
            raise ValueError(f"{operation}: expected a node with args and kwargs, received {node!r}")
        kwargs = {key: from_keras(value) for key, value in node.get("kwargs", {}).items()}
        extra = {key: from_keras(value) for key, value in config.items()}
        args = from_keras(node.get("args", []))
        if operation == "get_item" and len(args) == 2 and isinstance(args[1], list):
            # JSON has no tuples, and Keras takes each list there for one.
            args[1] = {"class_name": "__tuple__", "items": args[1]}
        args, extra = _in_order(operation, args, extra)
        nodes.append({"args": args, "kwargs": {**extra, **kwargs}})
    return {
        **data,
        "module": "cnnrs.ops.image" if path[0] == "image" else "cnnrs.ops",
        "class_name": path[-1],
        "config": {"name": data["config"].get("name", data.get("name"))},
        "registered_name": None,
        "inbound_nodes": nodes,
    }


def _function(operation: str) -> Any:
    image, _, name = operation.rpartition(".")
    return getattr(ops.image if image else ops, name)


def _in_order(operation: str, args: Any, config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What an op takes by place and by name, if Keras calls it with `args` and made it with `config`."""
    ordered: list[Any] = []
    rest, config = list(args), dict(config)
    for parameter in inspect.signature(_function(operation)).parameters.values():
        if not rest:
            break
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return [*ordered, *rest], config
        if parameter.name in config:
            ordered.append(config.pop(parameter.name))
        elif parameter.name in OPERATIONS[operation][3]:
            break
        else:
            ordered.append(rest.pop(0))
    called = OPERATIONS[operation][2]
    return ordered, {**config, **dict(zip(called[len(called) - len(rest) :], rest, strict=False))}


def to_keras(data: Any) -> Any:
    """A description by cnnrs, as Keras would have written it.

    Args:
        data: What `serialize_keras_object` gave.

    Raises:
        ValueError: It has an op or an argument that Keras has not.

    >>> from cnnrs import layers, saving
    >>> to_keras(saving.serialize_keras_object(layers.ReLU()))["module"]
    'keras.layers'
    """
    if isinstance(data, (list, tuple)):
        return [to_keras(item) for item in data]
    if not isinstance(data, dict):
        return data
    kind = data.get("class_name")
    if kind == "__tuple__":
        return [to_keras(item) for item in data["items"]]
    if kind == "__slice__" and "items" in data:
        return {
            "class_name": kind,
            "config": dict(zip(("start", "stop", "step"), data["items"], strict=True)),
        }
    if kind == "__ellipsis__":
        return {"class_name": kind, "config": {}}
    if kind == "__numpy__" and "items" in data:
        return {"class_name": kind, "config": {"value": data["items"], "dtype": data["dtype"]}}
    if kind == "__bytes__":
        text = str(data["config"]["value"]).encode("latin-1").decode("utf-8", "replace")
        return {"class_name": kind, "config": {"value": text}}
    if kind == _TENSOR or kind is None or "config" not in data:
        return {key: to_keras(value) for key, value in data.items()}
    module = data.get("module")
    if module in ("cnnrs.ops", "cnnrs.ops.image") and kind != "function":
        return _op_to_keras(data, str(kind), "image." if module.endswith("image") else "")
    if not isinstance(module, str) or not module.startswith("cnnrs."):
        if kind == "function":
            # Keras looks for a function of the user by this alone.
            name = data.get("registered_name") or data["config"]
            return {**data, "module": "builtins", "config": name, "registered_name": "function"}
        translated = {key: to_keras(value) for key, value in data.items()}
        if module is None and data.get("registered_name", "") is None:
            # What is not registered Keras finds by this in custom_objects.
            translated["registered_name"] = kind
        return translated
    translated = {key: to_keras(value) for key, value in data.items() if key != "config"}
    config = data["config"]
    if isinstance(config, dict):
        config = {key: to_keras(value) for key, value in config.items() if key not in _OWN_ARGUMENTS}
    if isinstance(config, dict):
        config = _renumbered(config, 1)
    if module.startswith("cnnrs.applications."):
        # Keras offers the layers that its networks bring along under no public name.
        translated["module"] = "keras.src." + module.split(".", 1)[1]
        translated["registered_name"] = kind
        return {**translated, "config": config}
    translated["module"] = _MODULES.get(module, "keras." + module.split(".", 1)[1])
    if kind == "Functional":
        translated["module"] = "keras.src.models.functional"
    elif kind == "function":
        translated["registered_name"] = data["config"]
    if isinstance(translated.get("compile_config"), dict):
        compiled = translated["compile_config"]
        translated["compile_config"] = {k: v for k, v in compiled.items() if k not in _OWN_ARGUMENTS}
    return {**translated, "config": config}


def keras_has_optimizer(optimizer: Any) -> bool:
    """Whether Keras has an optimizer, with its schedule and its arguments, and so can read a file with it.

    >>> from cnnrs import optimizers
    >>> keras_has_optimizer(optimizers.Adam(1e-3))
    True
    >>> keras_has_optimizer(optimizers.Adam(optimizers.schedules.WarmupCosine(1e-3, 5)))
    False
    """
    config = optimizer.get_config()
    inner, rate = getattr(optimizer, "inner_optimizer", None), config.get("learning_rate")
    schedule = rate.get("class_name") if isinstance(rate, dict) else type(rate).__name__
    is_number = isinstance(rate, (int, float)) or rate is None
    return (
        type(optimizer).__name__ in _OPTIMIZERS
        and not config.get("parameter_groups")
        and (is_number or schedule in _SCHEDULES)
        and (inner is None or keras_has_optimizer(inner))
    )


def _op_to_keras(data: dict[str, Any], name: str, prefix: str) -> dict[str, Any]:
    name = _SYNONYMS.get(name, name)
    if prefix + name not in OPERATIONS:
        raise ValueError(
            f"ops.{prefix}{name}: files of Keras hold no such op; write a .safetensors file, or put the "
            "computation into a layer of your own"
        )
    module, cls, called, made = OPERATIONS[prefix + name]
    signature = inspect.signature(_function(prefix + name))
    config: dict[str, Any] = {"name": data["config"]["name"]}
    nodes = []
    for node in data.get("inbound_nodes", []):
        bound = signature.bind(*node["args"], **node["kwargs"])
        args, kwargs = [], {}
        for key, value in bound.arguments.items():
            kind = signature.parameters[key].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                args += [to_keras(item) for item in value]
            elif key in called:
                kwargs[key] = to_keras(value)
            elif key in made:
                config[key] = to_keras(value)
            elif value != signature.parameters[key].default:
                raise ValueError(
                    f"ops.{prefix}{name}: {key}: files of Keras have no such argument; received {value!r}"
                )
        # Keras finds tensors among positional arguments first.
        while called and len(args) < len(called) and called[len(args)] in kwargs:
            args.append(kwargs.pop(called[len(args)]))
        nodes.append({"args": args, "kwargs": kwargs})
    return {
        **data,
        "module": module,
        "class_name": cls,
        "config": config,
        "registered_name": cls,
        "inbound_nodes": nodes,
    }
