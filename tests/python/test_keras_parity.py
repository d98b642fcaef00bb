"""What Keras computes from the same weights, inputs and arguments (fixtures made by `make fixtures`)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs

FIXTURES = Path(__file__).parents[1] / "fixtures"
CASES = json.loads((FIXTURES / "keras_cases.json").read_text())
with np.load(FIXTURES / "keras_arrays.npz") as _file:
    ARRAYS = dict(_file)

# Rounding of sums in another order, relative to the largest magnitude of a result.
TOLERANCE = 2e-6


def host(value: Any) -> np.ndarray:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def assert_close(actual: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
    """Same shape, and no element further away than `tolerance` times the largest magnitude."""
    actual, expected = host(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


def identify(case: dict[str, Any]) -> str:
    parts = [case.get("name"), case.get("class"), *map(str, case.get("arguments", {}).values())]
    return "-".join(str(part) for part in parts if part)


def each(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", CASES[kind], ids=identify)


def build_layer(case: dict[str, Any]) -> tuple[Any, Any]:
    """The layer with Keras's weights, and its input or list of inputs."""
    layer = getattr(cnnrs.layers, case["class"])(**case["arguments"])
    inputs = [ARRAYS[name] for name in case["inputs"]]
    given = inputs if len(inputs) > 1 else inputs[0]
    layer(given)
    layer.set_weights([ARRAYS[name] for name in case["weights"]])
    return layer, given


@each("layers")
def test_layer_computes_what_keras_computes(case):
    layer, given = build_layer(case)
    assert_close(layer(given, training=False), ARRAYS[case["output"]])
    assert layer.count_params() == case["count_params"]
    assert [w.name for w in layer.weights] == case["weight_names"]
    assert [w.trainable for w in layer.weights] == case["trainable"]


@pytest.mark.parametrize("case", [c for c in CASES["layers"] if "weights_after" in c], ids=identify)
def test_batch_norm_trains_as_in_keras(case):
    layer, given = build_layer(case)
    assert_close(layer(given, training=True), ARRAYS[case["training_output"]], 1e-5)
    for actual, name in zip(layer.get_weights(), case["weights_after"], strict=True):
        assert_close(actual, ARRAYS[name])


@each("layers")
def test_layer_survives_its_config(case):
    layer, given = build_layer(case)
    again = type(layer).from_config(layer.get_config())
    again(given)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(host(again(given, training=False)), host(layer(given, training=False)))


@each("layers")
def test_symbolic_shape_is_the_computed_shape(case):
    layer = getattr(cnnrs.layers, case["class"])(**case["arguments"])
    inputs = [cnnrs.Input(ARRAYS[name].shape[1:]) for name in case["inputs"]]
    output = layer(inputs if len(inputs) > 1 else inputs[0])
    assert tuple(output.shape) == (None, *ARRAYS[case["output"]].shape[1:])


@each("activations")
def test_activation(case):
    function = getattr(cnnrs.activations, case["name"])
    assert_close(function(cnnrs.ops.convert_to_tensor(ARRAYS[case["input"]])), ARRAYS[case["output"]])


@each("initializers")
def test_initial_distribution(case):
    """Mean and spread within five standard errors; extremes within the same bounds."""
    kind = getattr(cnnrs.initializers, case["class"])
    fixed = case["class"] in ("Zeros", "Ones", "Constant")
    seed = {} if fixed else {"seed": 3}
    sample = host(kind(**case["arguments"], **seed)(tuple(case["shape"]))).astype(np.float64)
    assert sample.shape == tuple(case["shape"])
    error = 5 * case["std"] / np.sqrt(sample.size)
    assert sample.mean() == pytest.approx(case["mean"], abs=2 * error + 1e-12)
    assert sample.std() == pytest.approx(case["std"], abs=2 * error + 1e-12)
    spread = case["max"] - case["min"]
    # Extremes of unbounded distributions vary by themselves; those of bounded ones hardly do.
    unbounded = "Random" in case["class"] and "Normal" in case["class"]
    unbounded |= case["arguments"].get("distribution") == "untruncated_normal"
    slack = spread * (0.25 if unbounded else 0.01) + 1e-12
    assert sample.min() == pytest.approx(case["min"], abs=slack)
    assert sample.max() == pytest.approx(case["max"], abs=slack)


@each("losses")
def test_loss(case):
    loss = getattr(cnnrs.losses, case["class"])(**case["arguments"])
    y_true, y_pred = ARRAYS[case["y_true"]], ARRAYS[case["y_pred"]]
    assert_close(loss(y_true, y_pred), ARRAYS[case["value"]], 5e-6)
    weighted = loss(y_true, y_pred, ARRAYS[case["sample_weight"]])
    assert_close(weighted, ARRAYS[case["weighted"]], 5e-6)


@pytest.mark.parametrize("case", [c for c in CASES["metrics"] if "y_true" in c], ids=identify)
def test_metric(case):
    metric = getattr(cnnrs.metrics, case["class"])(**case["arguments"])
    # Automatic names are numbered by what the process has made before.
    assert re.sub(r"_\d+$", "", metric.name) == re.sub(r"_\d+$", "", case["name"])
    y_true, y_pred = ARRAYS[case["y_true"]], ARRAYS[case["y_pred"]]
    metric.update_state(y_true, y_pred)
    assert_close(metric.result(), case["first"], 5e-6)
    weight = np.array([0.5, 1, 2, 0, 1, 0.25], np.float32)
    metric.update_state(y_true, y_pred, sample_weight=weight)
    assert_close(metric.result(), case["second"], 5e-6)
    metric.reset_state()
    metric.update_state(y_true, y_pred)
    assert_close(metric.result(), case["first"], 5e-6)


@pytest.mark.parametrize("case", [c for c in CASES["metrics"] if "y_true" not in c], ids=identify)
def test_plain_metric(case):
    metric = getattr(cnnrs.metrics, case["class"])()
    metric.update_state([1.0, 3.0, 5.0])
    assert_close(metric.result(), case["first"])
    metric.update_state([2.0, 4.0], sample_weight=[1.0, 3.0])
    assert_close(metric.result(), case["second"])


def training_model() -> Any:
    layers = cnnrs.layers
    return cnnrs.Sequential(
        [
            cnnrs.Input((6, 6, 2)),
            layers.Conv2D(3, 3, padding="same", kernel_regularizer=cnnrs.regularizers.L2(0.01)),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def build_schedule(value: Any) -> Any:
    if isinstance(value, dict):
        return getattr(cnnrs.optimizers.schedules, value["schedule"])(**value["arguments"])
    return value


@pytest.mark.parametrize("case", CASES["training"]["cases"], ids=identify)
def test_three_training_steps(case):
    """Weights, moving statistics, losses and accuracies after three steps from Keras's start."""
    training = CASES["training"]
    model = training_model()
    assert model.count_params() == training["count_params"]
    model.set_weights([ARRAYS[name] for name in training["start"]])
    arguments = {name: build_schedule(value) for name, value in case["arguments"].items()}
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(getattr(cnnrs.optimizers, case["class"])(**arguments), loss, metrics=["accuracy"])
    x, y = ARRAYS[training["x"]], ARRAYS[training["y"]]
    for step, expected in enumerate(case["logs"]):
        rows = slice(8 * step, 8 * step + 8)
        assert_close(model.train_on_batch(x[rows], y[rows]), expected, 2e-5)
    for weight, name in zip(model.weights, case["after"], strict=True):
        # The bias in front of a batch norm has no gradient but rounding, which Adam scales up to a step of
        # its own; the moving mean follows it.
        drifts = ("conv2d" in weight.path and weight.name == "bias") or weight.name == "moving_mean"
        assert_close(weight, ARRAYS[name], 5e-3 if drifts and "Adam" in case["class"] else 5e-5)


@each("schedules")
def test_schedule(case):
    made = getattr(cnnrs.optimizers.schedules, case["class"])(**case["arguments"])
    assert_close([float(made(step)) for step in range(len(case["values"]))], case["values"], 1e-6)
