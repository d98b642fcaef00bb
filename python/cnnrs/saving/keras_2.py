"""Configs as Keras 2 wrote them, in the form of Keras 3: classes, shapes of inputs, TensorFlow's ops."""

from __future__ import annotations

from typing import Any

__all__ = ["modern", "renumbered"]

# Arguments of Keras 2 that Keras 3 has no more, with the values that change nothing; None for any value.
_GONE: dict[str, tuple[Any, ...] | None] = {
    "implementation": None,
    "time_major": (False,),
    "renorm": (False,),
    "virtual_batch_size": (None,),
    "fused": None,
    "input_length": None,
    "schedule_decay": None,
    "decay": (0.0, 0, None),
    "is_legacy_optimizer": None,
    "jit_compile": None,
    "fn": None,
}
# Classes under the names of modules that Keras 3 has no more.
_CLASSES = {"Model": "Functional", "LSTMV1": "LSTM", "GRUV1": "GRU", "CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
# Ops of TensorFlow in functional models, and the arguments of theirs that have another name here.
_TF_OPS = {
    "math.add": "add",
    "__operators__.add": "add",
    "math.subtract": "subtract",
    "math.multiply": "multiply",
    "math.truediv": "true_divide",
    "math.divide": "divide",
    "math.pow": "power",
    "math.abs": "absolute",
    "math.exp": "exp",
    "math.log": "log",
    "math.sqrt": "sqrt",
    "math.square": "square",
    "math.negative": "negative",
    "math.maximum": "maximum",
    "math.minimum": "minimum",
    "math.sigmoid": "sigmoid",
    "math.tanh": "tanh",
    "math.reduce_mean": "mean",
    "math.reduce_sum": "sum",
    "math.reduce_max": "max",
    "math.reduce_min": "min",
    "linalg.matmul": "matmul",
    "nn.relu": "relu",
    "nn.softmax": "softmax",
    "nn.sigmoid": "sigmoid",
    "nn.tanh": "tanh",
    "nn.silu": "silu",
    "nn.gelu": "gelu",
    "nn.relu6": "relu6",
    "reshape": "reshape",
    "transpose": "transpose",
    "expand_dims": "expand_dims",
    "squeeze": "squeeze",
    "concat": "concatenate",
    "stack": "stack",
    "cast": "cast",
    "clip_by_value": "clip",
    "tile": "tile",
}
_TF_ARGUMENTS = {
    "y": "x2",
    "b": "x2",
    "shape": "newshape",
    "perm": "axes",
    "keepdims": "keepdims",
    "clip_value_min": "x_min",
    "clip_value_max": "x_max",
    "multiples": "repeats",
}


def modern(data: dict[str, Any]) -> dict[str, Any]:
    """A description of an object; unchanged if Keras 3 wrote it.

    Args:
        data: With class name and config.

    Raises:
        ValueError: It is an op of TensorFlow that has no counterpart, or an argument with an effect that
            Keras 3 has not.

    >>> modern({"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3]}})["config"]
    {'batch_shape': [None, 3]}
    """
    if data.get("module") is not None or not isinstance(data["config"], dict):
        return data
    name = str(data["class_name"])
    if name in ("TFOpLambda", "SlicingOpLambda"):
        return _op(data)
    config: dict[str, Any] = {}
    given = _lambda(data["config"]) if name == "Lambda" else data["config"]
    for key, value in given.items():
        if key == "batch_input_shape":
            if name == "InputLayer":
                config["batch_shape"] = value
            elif value is not None:
                config["input_shape"] = value[1:]
        elif key == "axis" and isinstance(value, list) and len(value) == 1 and name != "Normalization":
            config[key] = value[0]
        elif key == "lr":
            config["learning_rate"] = value
        elif key in _GONE and _is_gone(name, key, data["config"]):
            if value not in (_GONE[key] or (value,)):
                raise ValueError(
                    f"{config.get('name', name)}: {key}: Keras 3 has no such argument; received {value!r}"
                )
        else:
            config[key] = value
    modernized = {**data, "class_name": _CLASSES.get(name, name), "config": config}
    if name == "Model" and "input_layers" not in config:
        modernized["class_name"] = name
    return modernized


def _lambda(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a `Lambda`: code as a list of three, or the name of a function."""
    kept = {k: v for k, v in config.items() if not k.endswith(("_type", "_module")) and k != "module"}
    function = config.get("function")
    if config.get("function_type") == "lambda" or isinstance(function, list):
        kept["function"] = {"class_name": "__lambda__", "config": {"value": function}}
    elif isinstance(function, str):
        kept["function"] = {"class_name": "function", "config": function, "registered_name": function}
    return kept


def _is_gone(name: str, key: str, config: dict[str, Any]) -> bool:
    """Whether a class has lost an argument; others may have one of this name."""
    if key == "fn":
        return "reduction" in config
    if key in ("decay", "schedule_decay", "is_legacy_optimizer", "jit_compile"):
        return "learning_rate" in config or "lr" in config
    if key == "input_length":
        return name == "Embedding"
    return True


def renumbered(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a functional model of Keras 2 with the calls of models inside counted from 0, not from 1.

    Args:
        config: The config; what Keras 3 wrote is given back.
    """
    layers = config.get("layers")
    if not isinstance(layers, list) or "output_layers" not in config:
        return config
    nodes = [
        node
        for entry in layers
        for node in (entry.get("inbound_nodes") or [] if isinstance(entry, dict) else [])
    ]
    if not nodes or not all(isinstance(node, list) for node in nodes):
        return config
    inside = {
        entry.get("name")
        for entry in layers
        if isinstance(entry.get("config"), dict) and "layers" in entry["config"]
    }
    numbers: dict[str, list[int]] = {}

    def places(part: Any) -> Any:
        if isinstance(part, dict):
            part = list(part.values())
        if not isinstance(part, (list, tuple)):
            return
        if len(part) >= 3 and isinstance(part[0], str) and isinstance(part[1], int):
            numbers.setdefault(part[0], []).append(part[1])
        for inner in part:
            places(inner)

    def moved(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: moved(value) for key, value in part.items()}
        if not isinstance(part, (list, tuple)):
            return part
        if len(part) >= 3 and isinstance(part[0], str) and isinstance(part[1], int) and part[0] in first:
            return [part[0], part[1] - 1, *map(moved, part[2:])]
        return [moved(inner) for inner in part]

    places([nodes, config["output_layers"]])
    first = {name for name in inside if name in numbers and min(numbers[name]) > 0}
    changed = [
        {**entry, "inbound_nodes": moved(entry["inbound_nodes"])} if "inbound_nodes" in entry else entry
        for entry in layers
    ]
    return {**config, "layers": changed, "output_layers": moved(config["output_layers"])}


def _op(data: dict[str, Any]) -> dict[str, Any]:
    function = str(data["config"].get("function"))
    label = data["config"].get("name", data.get("name"))
    if data["class_name"] == "SlicingOpLambda" or function not in _TF_OPS:
        raise ValueError(
            f"{label}: the model calls tf.{function}, which has no counterpart in the files of Keras 3; "
            "build the model here with cnnrs.ops in its place, and call load_weights on this file"
        )
    nodes = []
    for node in data.get("inbound_nodes", []):
        if isinstance(node, dict) or not node:
            raise ValueError(f"{label}: expected a node as Keras 2 wrote it, received {node!r}")
        first = node if isinstance(node[0], list) else [node]
        tensors = [_tensor(part) for part in first]
        kwargs = first[0][3] if len(first[0]) > 3 and isinstance(first[0][3], dict) else {}
        named = {
            _TF_ARGUMENTS.get(k, k): _value(v) for k, v in kwargs.items() if k != "name" and v is not None
        }
        args = [tensors] if len(tensors) > 1 or _TF_OPS[function] in ("concatenate", "stack") else tensors
        nodes.append({"args": args, "kwargs": named})
    return {
        **data,
        "module": "cnnrs.ops",
        "class_name": _TF_OPS[function],
        "config": {"name": str(label).replace("/", "_")},
        "inbound_nodes": nodes,
    }


def _tensor(part: list[Any]) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": list(part[:3])}}


def _value(value: Any) -> Any:
    """An argument: in Keras 2 a list of a name and two numbers is a tensor."""
    is_tensor = isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)
    return _tensor(value) if is_tensor and all(isinstance(i, int) for i in value[1:3]) else value
