"""Objects as plain data: `get`, `serialize` and `deserialize` of each module."""

from __future__ import annotations

import types

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
    saving,
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


RELU = {"module": "cnnrs.activations", "class_name": "function", "config": "relu", "registered_name": "relu"}
DENSE = {"module": "cnnrs.layers", "class_name": "Dense", "config": {"units": 3}, "registered_name": None}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("cnnrs.models", "load_model"),
        ("cnnrs.models", "save_model"),
        ("cnnrs.applications", "ResNet18"),
        ("cnnrs.random", "seed_everything"),
        ("cnnrs.initializers", "compute_fans"),
        ("cnnrs.losses", "MeanSquaredError"),
        ("cnnrs.losses", "np"),
        ("keras.random", "draw_seed"),
    ],
)
def test_functions_of_files_are_public_functions_that_arguments_may_be(module, name):
    data = {"module": module, "class_name": "function", "config": name, "registered_name": None}
    with pytest.raises(TypeError, match="cannot find function"):
        saving.deserialize_keras_object(data)


def test_every_function_that_can_be_saved_can_be_loaded():
    for module in (activations, losses, metrics):
        for name in dir(module):
            function = getattr(module, name)
            public = not name.startswith("_") and isinstance(function, types.FunctionType)
            if not public or name in ("get", "serialize", "deserialize"):
                continue
            data = saving.serialize_keras_object(function)
            if data["module"] == module.__name__ and data["config"] == name:
                assert saving.deserialize_keras_object(data) is function, name


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**DENSE, "class_name": "relu", "module": "cnnrs.activations"}, "cannot find class 'relu'"),
        ({**DENSE, "class_name": ["Dense"]}, "name of a class or function: expected a string"),
        ({**DENSE, "module": 3}, "module of a class or function: expected a string"),
        ({**DENSE, "registered_name": {}}, "registered|config"),
        ({**DENSE, "registered_name": {"a": 1}}, "registered_name of a class or function"),
        ({**DENSE, "config": None}, "'Dense': config: expected a dict"),
        (
            {**DENSE, "class_name": "Sequential", "module": "cnnrs.models"},
            "Sequential: expected the keys 'name' and 'layers'",
        ),
        ({"class_name": "__numpy__", "config": {"value": [1]}}, "'__numpy__' is damaged: no 'dtype'"),
        ({"class_name": "__numpy__", "config": {"value": [1], "dtype": "U99999999"}}, "dtype of numbers"),
        ({"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}}, "dtype of numbers"),
        ({**RELU, "config": 3}, "expected a string, received 3"),
        ({"class_name": "__tuple__", "config": {}}, "'__tuple__' is damaged: no 'items'"),
    ],
)
def test_damaged_data_is_an_error_that_names_it(config, message):
    if config.get("registered_name") == {}:
        # What is empty counts as left out.
        assert saving.deserialize_keras_object(config).units == 3
        return
    with pytest.raises((TypeError, ValueError), match=message):
        saving.deserialize_keras_object(config)


def test_data_that_is_nested_without_end_is_an_error():
    config: dict = {**DENSE}
    for _ in range(100_000):
        config = {"class_name": "Sequential", "module": "cnnrs.models", "config": {"layers": [config]}}
    with pytest.raises(ValueError, match="RecursionError"):
        saving.deserialize_keras_object(config)
    # Freed from the outside in, which needs no depth.
    while "layers" in config.get("config", {}):
        config = config["config"]["layers"].pop()


def test_objects_of_another_kind_than_the_data_says():
    with pytest.raises(ValueError, match="'make': expected a class with from_config"):
        saving.deserialize_keras_object({"class_name": "make", "config": {}}, {"make": lambda: None})
    with pytest.raises(ValueError, match="'Dense': expected a function"):
        saving.deserialize_keras_object(
            {"class_name": "function", "config": "Dense"}, {"Dense": layers.Dense}
        )


def test_names_that_are_no_text_are_refused_at_once():
    for make in (
        lambda: layers.Dense(2, name="\ud800"),
        lambda: cnnrs.Input((2,), name="a\udfff"),
        lambda: cnnrs.Sequential(name="\ud800"),
        lambda: cnnrs.name_scope("\ud800"),
    ):
        with pytest.raises(ValueError, match="text"):
            make()


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "3", "{}", '{"class_name": "Dense", "module": "cnnrs.layers"}']
)
def test_json_that_is_no_model(text):
    with pytest.raises(ValueError, match="model_from_json: expected"):
        cnnrs.models.model_from_json(text)


def test_objects_are_at_home_where_they_are_offered():
    # ConvNeXt's module imports Sequential for its own use.
    inner = cnnrs.Sequential([layers.Dense(2)], name="inner")
    model = cnnrs.Model(inputs := cnnrs.Input((3,)), inner(inputs))
    assert model.get_config()["layers"][1]["module"] == "cnnrs.models"
    network = cnnrs.applications.ConvNeXtTiny(False, weights=None, input_shape=(32, 32, 3))
    modules = {entry["module"] for entry in network.get_config()["layers"]}
    assert modules == {"cnnrs.applications.convnext", "cnnrs.layers", "cnnrs.models", "cnnrs.ops"}
    again = cnnrs.Model.from_config(network.get_config())
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in network.layers]
