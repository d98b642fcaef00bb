"""Copies of models with fresh weights."""

from __future__ import annotations

import json
import reprlib
from typing import Any

from cnnrs import serialization, tree
from cnnrs.base.arguments import named, reject
from cnnrs.base.user_warnings import warn_user
from cnnrs.layers.base import Layer
from cnnrs.layers.input_layer import Input
from cnnrs.models.model import Model
from cnnrs.models.sequential import Sequential
from cnnrs.serialization.registry import references
from cnnrs.symbolic import OpFunction

__all__ = ["clone_model", "model_from_json"]


@named
def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Any = None,
    call_function: Any = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A model of the same architecture with weights of its own, compiled as the model is.

    Args:
        model: A model; of a subclass without a graph, `from_config(get_config())` is the clone.
        input_tensors: Symbolic tensors to start from instead of fresh inputs.
        clone_function: Makes the new layer from the old one; by default from its config.
        call_function: Called as `call_function(layer, *args, **kwargs)` instead of the layer.
        recursive: Whether to clone models inside of the model with the same functions.

    >>> from cnnrs import Input, Sequential, layers, models
    >>> model = Sequential([Input((4,)), layers.Dense(3)])
    >>> models.clone_model(model).count_params()
    15
    """
    reject(clone_model, kwargs)
    if not isinstance(model, Model):
        raise ValueError(f"clone_model: expected a model, received {model!r}")
    made = _clone(model, input_tensors, clone_function, call_function, recursive)
    if model.compiled and not made.compiled:
        _compile_as(model, made)
    made._keep_image_preprocessing(model._image_preprocessing)
    return made


def _compile_as(model: Any, clone: Any) -> None:
    """Compiles a clone as the model was, with an optimizer and metrics of its own."""
    try:
        with references() as table:
            config = model.get_compile_config()
    except (TypeError, ValueError) as error:
        warn_user(f"{model.name}: the clone is not compiled; call compile(): {error}")
        return
    with serialization.CustomObjectScope(table):
        clone.compile_from_config(config)


def _again(layer: Any) -> Any:
    """A layer with the same config; lambdas and classes of the user in it stay what they are."""
    with references() as table:
        config = layer.get_config()
    with serialization.CustomObjectScope(table):
        return type(layer).from_config(config)


def _clone(model: Any, input_tensors: Any, clone_function: Any, call_function: Any, recursive: bool) -> Any:
    if model._graph is None and not isinstance(model, Sequential):
        for argument, given in (
            ("input_tensors", input_tensors),
            ("clone_function", clone_function),
            ("call_function", call_function),
        ):
            if given is not None:
                raise ValueError(
                    f"clone_model: {argument}: expected None for a subclass of Model without a graph, "
                    f"{model.name!r}, received {given!r}"
                )
        return _again(model)

    def clone(layer: Layer) -> Layer:
        if recursive and isinstance(layer, Model):
            return _clone(layer, None, clone_function, call_function, True)
        if clone_function is not None:
            return clone_function(layer)
        return _again(layer)

    if isinstance(model, Sequential) and call_function is None:
        clones = {id(layer): layer for layer in model.layers}
        clones = {key: clone(layer) for key, layer in clones.items()}
        chain: list[Any] = [clones[id(layer)] for layer in model.layers]
        if model._graph is not None:
            entry = model.inputs[0]
            given = None if input_tensors is None else tree.flatten(input_tensors)[0]
            chain.insert(0, given if given is not None else Input(batch_shape=entry.shape, dtype=entry.dtype))
        return Sequential(chain, name=model.name)
    keyed = isinstance(model.input, dict) if model._graph is not None else False
    if input_tensors is not None and isinstance(input_tensors, dict) != keyed:
        raise ValueError(
            f"clone_model: input_tensors: expected the structure of the model's inputs, "
            f"{model.input}, received {input_tensors!r}"
        )
    return _clone_graph(model, input_tensors, clone, call_function)


def _clone_graph(model: Any, input_tensors: Any, clone: Any, call_function: Any) -> Any:
    graph = model._graph
    if input_tensors is None:
        inputs = [Input(batch_shape=x.shape, dtype=x.dtype, name=x.name) for x in graph.inputs]
    else:
        inputs = tree.flatten(input_tensors)
    outputs = _recorded(graph, inputs, clone, call_function)
    structure = tree.pack_sequence_as(graph.inputs_structure, inputs)
    return Model(structure, outputs, name=model.name)


def layers_on(model: Any, inputs: list[Any]) -> Any:
    """What the layers of a functional model give for other symbolic inputs, with no model around them.

    >>> from cnnrs import Input, Model, layers
    >>> x = Input((4,))
    >>> model = Model(x, layers.Dense(3)(x))
    >>> layers_on(model, [layers.Dense(4)(Input((2,)))]).shape
    (None, 3)
    """
    return _recorded(model._graph, inputs, lambda layer: layer, None)


def _recorded(graph: Any, inputs: list[Any], clone: Any, call_function: Any) -> Any:
    """The outputs of a graph on other inputs, of the layers that `clone` makes of its own."""
    values = {id(x): new for x, new in zip(graph.inputs, inputs, strict=True)}
    made: dict[int, Any] = {}
    for node in graph.nodes:
        if id(node.outputs[0]) in values:
            continue
        operation = node.operation
        args, kwargs = node.fill(values)
        if isinstance(operation, OpFunction):
            outputs = operation.function(*args, **kwargs)
        else:
            if id(operation) not in made:
                made[id(operation)] = clone(operation)
            layer = made[id(operation)]
            outputs = call_function(layer, *args, **kwargs) if call_function else layer(*args, **kwargs)
        for x, new in zip(node.outputs, tree.flatten(outputs), strict=True):
            values[id(x)] = new
    return tree.map_structure(lambda x: values[id(x)], graph.outputs_structure)


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """The model that `model.to_json()` describes, with fresh weights.

    Raises:
        ValueError: The text is no JSON, describes no model, or is damaged.
        TypeError: It names a class or function that is not known here.
    """
    try:
        data = json.loads(json_string)
    except (RecursionError, ValueError) as error:
        raise ValueError(f"model_from_json: expected what to_json() gave: {error}") from error
    model = serialization.deserialize_keras_object(data, custom_objects=custom_objects)
    if not isinstance(model, Model):
        raise ValueError(f"model_from_json: expected a model, received {reprlib.repr(model)}")
    return model
