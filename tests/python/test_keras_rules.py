"""Losses, metrics, and ten steps of every optimizer: Keras's numbers (fixtures made by `make fixtures`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs

RULES = json.loads((Path(__file__).parents[1] / "fixtures" / "keras_rules.json").read_text())
DATA = {kind: [np.asarray(y) for y in pair] for kind, pair in RULES["data"].items()}


def each(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", RULES[kind], ids=lambda c: f"{c['class']}-{c['arguments']}")


def close(actual: Any, expected: Any, tolerance: float) -> None:
    expected = np.asarray(expected)
    assert tuple(actual.shape) == expected.shape
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=tolerance, atol=tolerance)


@each("losses")
def test_loss(case):
    loss = getattr(cnnrs.losses, case["class"])(**case["arguments"])
    close(loss(*DATA[case["data"]]), case["value"], 1e-5)


@each("metrics")
def test_metric(case):
    metric = getattr(cnnrs.metrics, case["class"])(**case["arguments"])
    y, p = DATA[case["data"]]
    metric.update_state(y[:5], p[:5])
    metric.update_state(y[5:], p[5:])
    close(metric.result(), case["value"], 1e-5)


def made(case: dict[str, Any]) -> tuple[Any, list[Any]]:
    optimizer = getattr(cnnrs.optimizers, case["class"])(learning_rate=0.05, **case["arguments"])
    names = ("kernel", "bias")
    start = [np.asarray(value, np.float32) for value in RULES["start"]]
    return optimizer, [cnnrs.Variable(value, name=name) for name, value in zip(names, start, strict=True)]


@each("optimizers")
def test_ten_steps(case):
    optimizer, variables = made(case)
    for gradients in RULES["gradients"]:
        optimizer.apply([np.asarray(g, np.float32) for g in gradients], variables)
    for variable, expected in zip(variables, case["after"], strict=True):
        close(variable, expected, 2e-5)
    optimizer.finalize_variable_values(variables)
    for variable, expected in zip(variables, case.get("end", case["after"]), strict=True):
        close(variable, expected, 2e-5)


@each("optimizers")
def test_steps_go_on_from_a_config_and_a_state(case):
    """Five steps, then an optimizer of the config with the state; and without state by `stateless_apply`."""
    optimizer, variables = made(case)
    half = RULES["gradients"][:5]
    for gradients in half:
        optimizer.apply([np.asarray(g, np.float32) for g in gradients], variables)
    again = type(optimizer).from_config(optimizer.get_config())
    again.build(variables)
    store: dict[str, Any] = {}
    optimizer.save_own_variables(store)
    again.load_own_variables(store)
    assert again.get_config() == optimizer.get_config()
    own, weights = [v.value for v in again.variables], [v.value for v in variables]
    before = [v.numpy() for v in [*again.variables, *variables]]
    for gradients in RULES["gradients"][5:]:
        gradients = [np.asarray(g, np.float32) for g in gradients]
        weights, own = again.stateless_apply(own, gradients, weights)
    for variable, value in zip([*again.variables, *variables], before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    for value, expected in zip(weights, case["after"], strict=True):
        close(value, expected, 2e-5)
