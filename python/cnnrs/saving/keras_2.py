"""Configs as Keras 2 wrote them, in the form of Keras 3: names of classes, shapes of inputs, TensorFlow's ops."""

from __future__ import annotations

from typing import Any

__all__ = ["modern"]

# Arguments of Keras 2 that Keras 3 has under another name, or not any more: of None the value changes nothing.
_RENAMED = {"batch_input_shape": "batch_shape"}
_GONE = {
    "implementation": None,
    "time_major": (False,),
    "noise_shape_": None,
    "renorm": (False,),
    "virtual_batch_size": (None,),
    "fused": None,
    "interpolation_": None,
    "input_length": None,
    "schedule_decay": None,
    "decay": (0.0, 0, None),
    "is_legacy_optimizer": None,
    "jit_compile": None,
    "fn": None,
    "ragged_": None,
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

    >>> modern({"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "name": "x"}})["config"]
    {'name': 'x', 'batch_shape': [None, 3]}
    """
    if data.get("module") is not None or not isinstance(data["config"], dict):
        return data
    name = str(data["class_name"])
    if name in ("TFOpLambda", "SlicingOpLambda"):
        return _op(data)
    config: dict[str, Any] = {}
    for key, value in data["config"].items():
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
            if _GONE[key] is not None and value not in _GONE[key]:
                raise ValueError(
                    f"{config.get('name', name)}: {key}: Keras 3 has no such argument; received {value!r}"
                )
        else:
            config[key] = value
    modernized = {**data, "class_name": _CLASSES.get(name, name), "config": config}
    if name == "Model" and "input_layers" not in config:
        modernized["class_name"] = name
    return modernized


def _is_gone(name: str, key: str, config: dict[str, Any]) -> bool:
    """Whether a class has lost an argument; others may have one of this name."""
    if key == "fn":
        return "reduction" in config
    if key in ("decay", "schedule_decay", "is_legacy_optimizer", "jit_compile"):
        return "learning_rate" in config or "lr" in config
    if key == "input_length":
        return name == "Embedding"
    return True


def _op(data: dict[str, Any]) -> dict[str, Any]:
    function = str(data["config"].get("function"))
    label = data["config"].get("name", data.get("name"))
    if data["class_name"] == "SlicingOpLambda" or function not in _TF_OPS:
        raise ValueError(
            f"{label}: the model calls tf.{function}, which has no counterpart in the files of Keras 3; build "
            "the model here with cnnrs.ops in its place, and call load_weights on this file"
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
