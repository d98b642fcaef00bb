"""The architecture of a functional model as plain data, in Keras's form, and back."""

from __future__ import annotations

from typing import Any

from cnnrs import dtype_policies, losses, metrics, ops, serialization, tree
from cnnrs.layers.base import Layer
from cnnrs.symbolic import KerasTensor, Node, Operation, OpFunction

__all__ = ["from_config", "to_config"]

_TENSOR = "__keras_tensor__"


def to_config(model: Any) -> dict[str, Any]:
    """Name, operations with the nodes that the model uses, inputs and outputs."""
    graph = model._graph
    # Nodes of an operation that belong to this model, in order: their indices in the config.
    kept: dict[int, int] = {}
    for operation in graph.operations:
        own = [node for node in operation._inbound_nodes if _uses(graph, node)]
        kept.update({id(node): place for place, node in enumerate(own)})

    def place(x: KerasTensor) -> list[Any]:
        assert x._keras_history is not None
        operation, index, position = x._keras_history
        node = operation._inbound_nodes[index]
        if id(node) not in kept:
            raise ValueError(
                f"{model.name}: a model that starts inside of another one has no config of its own"
            )
        return [operation.name, kept[id(node)], position]

    layers = []
    for operation in graph.operations:
        if isinstance(operation, OpFunction):
            entry: dict[str, Any] = {
                "module": _module_of(operation.function),
                "class_name": operation.function.__name__,
                "config": {"name": operation.name},
                "registered_name": None,
            }
        else:
            entry = serialization.serialize_keras_object(operation)
        entry["name"] = operation.name
        entry["inbound_nodes"] = [
            _node_config(node, place) for node in operation._inbound_nodes if id(node) in kept and node.inputs
        ]
        layers.append(entry)
    return {
        "name": model.name,
        "trainable": model.trainable,
        "dtype": dtype_policies.serialize(model.dtype_policy),
        "layers": layers,
        "input_layers": _map(place, graph.inputs_structure),
        "output_layers": _map(place, graph.outputs_structure),
    }


def _map(place: Any, structure: Any) -> Any:
    if isinstance(structure, dict):
        return {key: _map(place, value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        places = [_map(place, value) for value in structure]
        return tuple(places) if isinstance(structure, tuple) else places
    return place(structure)


def _uses(graph: Any, node: Node) -> bool:
    ids = {id(n) for n in graph.nodes}
    return id(node) in ids or any(x is y for x in node.outputs for y in graph.inputs)


def _node_config(node: Node, place: Any) -> dict[str, Any]:
    def leaf(value: Any) -> Any:
        if isinstance(value, KerasTensor):
            config = {"shape": list(value.shape), "dtype": value.dtype, "keras_history": place(value)}
            return {"class_name": _TENSOR, "config": config}
        return _plain(value)

    args, kwargs = node.arguments
    return {"args": [_walk(leaf, a) for a in args], "kwargs": {k: _walk(leaf, v) for k, v in kwargs.items()}}


def _walk(function: Any, structure: Any) -> Any:
    if isinstance(structure, dict):
        return {key: _walk(function, value) for key, value in structure.items()}
    if isinstance(structure, tuple):
        return {"class_name": "__tuple__", "items": [_walk(function, value) for value in structure]}
    if isinstance(structure, list):
        return [_walk(function, value) for value in structure]
    return function(structure)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, slice):
        return {"class_name": "__slice__", "items": [value.start, value.stop, value.step]}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__"}
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        array = value.numpy() if hasattr(value, "numpy") else value
        return {"class_name": "__numpy__", "items": array.tolist(), "dtype": str(array.dtype)}
    if callable(value):
        return serialization.serialize_keras_object(value)
    raise TypeError(f"an argument of type {type(value).__name__} cannot be written to a config")


def from_config(cls: Any, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """A model of class `cls` with fresh weights."""
    operations: dict[str, Operation] = {}
    pending: list[tuple[Operation, int, dict[str, Any]]] = []
    for entry in config["layers"]:
        operation = _operation(entry, custom_objects)
        operations[entry.get("name", operation.name)] = operation
        nodes = [_of_keras_2(n) if isinstance(n, list) else n for n in entry.get("inbound_nodes", [])]
        pending += [(operation, i, node) for i, node in enumerate(nodes)]
    made: dict[tuple[int, int], Any] = {}
    for operation in operations.values():
        if operation._inbound_nodes:
            made[(id(operation), 0)] = operation._inbound_nodes[0].outputs

    def tensor(history: Any) -> Any:
        name, node, position = history
        return made[(id(operations[name]), node)][position]

    while pending:
        waiting = []
        for operation, index, node in pending:
            try:
                args = [_restore(tensor, a) for a in node["args"]]
                kwargs = {k: _restore(tensor, v) for k, v in node["kwargs"].items()}
            except KeyError as error:
                missing = error.args[0]
                if isinstance(missing, str):
                    raise ValueError(
                        f"{config.get('name')}: {operation.name}: expected the name of a layer there, "
                        f"received {missing!r}"
                    ) from error
                waiting.append((operation, index, node))
                continue
            outputs = (
                operation(*args, **kwargs)
                if isinstance(operation, Layer)
                else (operation.symbolic_call(*args, **kwargs))
            )
            made[(id(operation), index)] = tree.flatten(outputs)
        if len(waiting) == len(pending):
            names = sorted({operation.name for operation, _, _ in waiting})
            raise ValueError(
                f"{config.get('name')}: expected nodes without a loop; those of {names} wait for each other, "
                "or for nodes that are not there"
            )
        pending = waiting
    inputs = _tensors(config["input_layers"], tensor)
    outputs = _tensors(config["output_layers"], tensor)
    model = cls(inputs, outputs, name=config.get("name"), trainable=config.get("trainable", True))
    model._restore_policy(config)
    return model


_OP_MODULES = {
    "cnnrs.ops": ops,
    "cnnrs.ops.image": ops.image,
    "cnnrs.losses": losses,
    "cnnrs.metrics": metrics,
}


def _module_of(function: Any) -> str:
    """The public module of an op."""
    for module in ("cnnrs.ops.image", "cnnrs.losses", "cnnrs.metrics"):
        if f"{function.__module__}.".startswith(f"{module}."):
            return module
    return "cnnrs.ops"


def _of_keras_2(node: list[Any]) -> dict[str, Any]:
    """A node as Keras 2 wrote it: a list of `[layer, node, tensor, arguments]`, one for each input."""
    tensors = [{"class_name": _TENSOR, "config": {"keras_history": list(part[:3])}} for part in node]
    kwargs = node[0][3] if node and len(node[0]) > 3 else {}
    return {"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": kwargs}


def _operation(entry: dict[str, Any], custom_objects: dict[str, Any] | None) -> Operation:
    if entry.get("module") in _OP_MODULES:
        function: Any = getattr(_OP_MODULES[entry["module"]], str(entry["class_name"]), None)
        if not getattr(function, "is_cnnrs_op", False):
            raise ValueError(f"expected the name of an op, received {entry['class_name']!r}")
        return OpFunction(function, entry["config"]["name"])
    layer = serialization.deserialize_keras_object(entry, custom_objects=custom_objects)
    if not isinstance(layer, Operation):
        raise TypeError(f"expected a layer, received {type(layer).__name__}")
    return layer


def _restore(tensor: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_restore(tensor, item) for item in value]
    if isinstance(value, tuple):
        return tuple(_restore(tensor, item) for item in value)
    if not isinstance(value, dict):
        return value
    kind = value.get("class_name")
    if kind == _TENSOR:
        return tensor(value["config"]["keras_history"])
    if kind == "__tuple__":
        return tuple(_restore(tensor, item) for item in value["items"])
    if kind == "__slice__" and "items" in value:
        return slice(*value["items"])
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__numpy__" and "items" in value:
        return serialization.plain_array(value["items"], value["dtype"])
    if kind is not None and "config" in value:
        return serialization.deserialize_keras_object(value)
    return {key: _restore(tensor, item) for key, item in value.items()}


def _tensors(places: Any, tensor: Any) -> Any:
    if isinstance(places, dict):
        return {key: _tensors(value, tensor) for key, value in places.items()}
    if len(places) == 3 and isinstance(places[0], str):
        return tensor(places)
    found = [_tensors(value, tensor) for value in places]
    return tuple(found) if isinstance(places, tuple) else found
