"""Objects as plain data: `get`, `serialize` and `deserialize` of each module."""

from __future__ import annotations

import pytest

import cnnrs
from cnnrs import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
)
from cnnrs.optimizers import schedules

MODULES = {
    activations: ("ReLU", None),
    constraints: ("MaxNorm", {"max_value": 3.0}),
    initializers: ("RandomNormal", {"stddev": 0.5}),
    layers: ("Dense", {"units": 3}),
    losses: ("Huber", {"delta": 2.0}),
    metrics: ("BinaryAccuracy", {"threshold": 0.25}),
    optimizers: ("Adam", {"beta_1": 0.5}),
    regularizers: ("L2", {"l2": 0.5}),
    schedules: ("ExponentialDecay", {"initial_learning_rate": 0.5, "decay_steps": 3, "decay_rate": 0.5}),
}
WITH_OBJECTS = [module for module, (_, config) in MODULES.items() if config is not None]
name_of = lambda module: module.__name__  # noqa: E731


@pytest.mark.parametrize("module", WITH_OBJECTS, ids=name_of)
def test_a_class_is_found_by_its_name_alone(module):
    """Keras's short form: no module, as people write it by hand."""
    class_name, config = MODULES[module]
    made = [module.deserialize({"class_name": class_name, "config": config})]
    if hasattr(module, "get"):
        made.append(module.get({"class_name": class_name, "config": config}))
    for obj in made:
        assert type(obj).__name__ == class_name
        assert config.items() <= obj.get_config().items()


@pytest.mark.parametrize("module", WITH_OBJECTS, ids=name_of)
def test_objects_survive_their_config(module):
    class_name, config = MODULES[module]
    obj = module.deserialize({"class_name": class_name, "config": config})
    again = module.deserialize(module.serialize(obj))
    assert type(again) is type(obj) and again.get_config() == obj.get_config()


@pytest.mark.parametrize("module", list(MODULES), ids=name_of)
def test_unknown_classes_are_refused_with_a_suggestion(module):
    class_name = MODULES[module][0]
    with pytest.raises(TypeError, match=rf"{class_name}x.*(custom_objects|did you mean)"):
        module.deserialize({"class_name": f"{class_name}x", "config": {}})
    with pytest.raises(ValueError, match="expected a name or a dict with 'class_name'"):
        module.deserialize({"config": {}})


def test_functions_by_name():
    for module, name in ((activations, "relu"), (losses, "mse"), (metrics, "binary_accuracy")):
        assert module.deserialize(name) is module.get(name) or module is metrics
    config = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "relu"}
    assert activations.get(config) is activations.relu
    with pytest.raises(ValueError, match="deserialize"):
        activations.get("deserialize")


def test_arguments_of_layers_by_the_name_of_the_class_alone():
    layer = layers.Dense(
        3,
        kernel_initializer={"class_name": "HeNormal", "config": {"seed": 1}},
        kernel_regularizer={"class_name": "L1", "config": {"l1": 0.5}},
        bias_constraint={"class_name": "NonNeg", "config": {}},
    )
    assert isinstance(layer.kernel_initializer, initializers.HeNormal)
    assert layer.kernel_regularizer.l1 == 0.5
    assert isinstance(layer.bias_constraint, constraints.NonNeg)
    rate = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.5, "decay_steps": 3}}
    optimizer = optimizers.get({"class_name": "sgd", "config": {"learning_rate": rate}})
    assert float(optimizer.learning_rate) == 0.5


def test_models_are_layers_of_a_config():
    chain = [{"class_name": "Dense", "module": "cnnrs.layers", "config": {"units": 3}}]
    model = layers.deserialize({"class_name": "Sequential", "config": {"name": "s", "layers": chain}})
    assert isinstance(model, cnnrs.Sequential) and model.layers[0].units == 3
