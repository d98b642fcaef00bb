"""Copies and pickles of layers, models and optimizers: config, weights and state of training, as in files.

The classes and functions of cnnrs are named, as in files; those of the user are referred to, so that a
pickle finds them where pickle looks for classes, and a copy in this process may use lambdas.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnrs.serialization.objects import deserialize_keras_object, serialize_keras_object
from cnnrs.serialization.registry import CustomObjectScope, references

__all__ = ["reduce_layer", "reduce_optimizer", "restore_training", "training_state"]


class _LayerState(NamedTuple):
    """A layer or model as data.

    Attributes:
        data: What `serialize_keras_object` gives.
        objects: The user's classes and functions, by the names that `data` has for them.
        built: For the layer and each one inside, whether it is built, and its build config.
        layers: Name and `trainable` of the same.
        variables: Path, `trainable` and value of each variable.
        own: What `save_own_variables` stores, of each layer whose class defines it, by its place in `layers`.
        training: What `training_state` gives, of a compiled model.
    """

    data: dict[str, Any]
    objects: dict[str, Any]
    built: list[tuple[bool, Any]]
    layers: list[tuple[str, bool]]
    variables: list[tuple[str, bool, np.ndarray]]
    own: list[tuple[int, dict[str, Any]]]
    training: Any


def training_state(model: Any) -> tuple[dict[str, np.ndarray] | None, dict[str, Any], np.ndarray]:
    """What training needs to go on with the same bits, besides weights.

    Returns:
        The optimizer's variables, None before it is built; config and state of the generator of orders.
    """
    store: dict[str, np.ndarray] | None = None
    if model.optimizer is not None and model.optimizer.built:
        store = {}
        model.optimizer.save_own_variables(store)
    return store, model._shuffle_seed.get_config(), model._shuffle_seed.state.numpy()


def restore_training(
    model: Any,
    optimizer: dict[str, np.ndarray] | None,
    shuffle: dict[str, Any] | None = None,
    state: np.ndarray | None = None,
) -> None:
    """Sets what `training_state` gave; None is left alone."""
    if optimizer and model.optimizer is not None:
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        model.optimizer.load_own_variables(optimizer)
    if shuffle is not None:
        generator = type(model._shuffle_seed).from_config(shuffle)
        generator.state.assign(state)
        model._shuffle_seed = generator


def reduce_layer(layer: Any) -> tuple[Any, ...]:
    """`__reduce__` of a layer or model."""
    with references() as objects:
        data = serialize_keras_object(layer)
    owners = layer._flatten_layers()
    own: list[tuple[int, dict[str, Any]]] = []
    for index, owner in enumerate(owners):
        if owner._keeps_own_state():
            own.append((index, {}))
            owner.save_own_variables(own[-1][1])
    return _restore_layer, (
        _LayerState(
            data,
            objects,
            [(owner.built, owner.get_build_config()) for owner in owners],
            [(owner.name, owner._trainable) for owner in owners],
            [(variable.path, variable.trainable, variable.numpy()) for variable in layer.variables],
            own,
            training_state(layer) if getattr(layer, "compiled", False) else None,
        ),
    )


def _restore_layer(state: _LayerState) -> Any:
    compiled = state.data.get("compile_config")
    data = {key: value for key, value in state.data.items() if key != "compile_config"}
    with CustomObjectScope(state.objects):
        layer = deserialize_keras_object(data)
        for index, (built, config) in enumerate(state.built):
            # What a layer makes in its build is in the list after it.
            owner = layer._flatten_layers()[index]
            if built and not owner.built:
                owner.build_from_config(config)
                owner.built = True
        for owner, (name, trainable) in zip(layer._flatten_layers(), state.layers, strict=True):
            owner.name, owner._trainable = name, trainable
        for variable, (path, trainable, value) in zip(layer.variables, state.variables, strict=True):
            variable._path, variable.trainable = path, trainable
            variable.assign(value)
        owners = layer._flatten_layers()
        for index, store in state.own:
            owners[index].load_own_variables(store)
        if compiled is not None:
            layer.compile_from_config(compiled)
            restore_training(layer, *state.training)
    return layer


def reduce_optimizer(optimizer: Any) -> tuple[Any, ...]:
    """`__reduce__` of an optimizer."""
    with references() as objects:
        data = serialize_keras_object(optimizer)
    store: dict[str, np.ndarray] = {}
    optimizer.save_own_variables(store)
    return _restore_optimizer, (data, objects, store if optimizer.built else optimizer.restored_slots)


def _restore_optimizer(data: dict[str, Any], objects: dict[str, Any], store: Any) -> Any:
    with CustomObjectScope(objects):
        optimizer = deserialize_keras_object(data)
    # Slots are made when the optimizer meets variables, those of a copied model perhaps; its own state is
    # there, before that of optimizers inside of it.
    optimizer.restored_slots = store
    for index, variable in enumerate(optimizer._variables if store is not None else ()):
        variable.assign(store[str(index)])
    return optimizer
