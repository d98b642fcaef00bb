"""State as a nested dict, what is refused, and names that Keras 2 had."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from cnnrs import Input, Model, Sequential, layers
from cnnrs.layers import former_names


def trained() -> Sequential:
    model = Sequential(
        [
            Input((2,)),
            layers.Dense(3, name="d"),
            layers.BatchNormalization(name="b"),
            layers.Dense(1, name="e"),
        ],
        name="m",
    )
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    return model


def test_a_state_is_given_and_taken():
    model = trained()
    state = model.get_state_tree("numpy_array")
    assert set(state) == {
        "trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables",
    }  # fmt: skip
    assert set(state["trainable_variables"]["m"]["b"]) == {"gamma", "beta"}
    assert set(state["non_trainable_variables"]["m"]["b"]) == {"moving_mean", "moving_variance"}
    (optimizer,) = state["optimizer_variables"].values()
    assert int(optimizer["iteration"]) == 1 and "m_d_kernel_momentum" in optimizer
    assert float(state["metrics_variables"]["loss"]["count"]) > 0
    np.testing.assert_array_equal(
        model.get_state_tree()["trainable_variables"]["m"]["d"]["kernel"],
        state["trainable_variables"]["m"]["d"]["kernel"],
    )
    other = trained()
    state["optimizer_variables"] = {other.optimizer.name: optimizer}
    other.set_state_tree(state)
    for mine, theirs in zip(other.variables, model.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    other.set_state_tree({"trainable_variables": {"m": {"d": {"bias": [5.0, 6.0, 7.0]}}}})
    assert other.get_layer("d").bias.numpy().tolist() == [5.0, 6.0, 7.0]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weights": {}}, "expected the keys"),
        ({"trainable_variables": {"m": {"z": {"bias": 1.0}}}}, "received 'm/z/bias'"),
        ({"trainable_variables": {"m": {"d": {"bias": [1.0]}}}}, r"m/d/bias: expected shape \(3,\)"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, message):
    model = trained()
    before = model.get_weights()
    good = {"trainable_variables": {"m": {"d": {"bias": [5.0, 6.0, 7.0]}}}}
    with pytest.raises(ValueError, match=message):
        model.set_state_tree(good | state if "weights" in state else state)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_paths_that_occur_twice():
    x = Input((2,))
    one, two = (layers.Dense(2, name=name) for name in ("a", "b"))
    model = Model(x, two(one(x)))
    with pytest.raises(ValueError, match="value_format: expected"):
        model.get_state_tree("list")
    two.bias._path = "a/bias"
    with pytest.raises(ValueError, match="received two 'a/bias'"):
        model.get_state_tree()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("stateless_compute_loss", ([], [], [])),
        ("export", ("file",)),
        ("get_quantization_layer_structure", ()),
    ],
)
def test_what_is_refused_says_what_to_use(method, arguments):
    with pytest.raises(NotImplementedError, match=f"{method}.*(GradientTape|save|bfloat16)"):
        getattr(trained(), method)(*arguments)


def test_names_of_keras_2():
    model, layer = trained(), layers.Dense(1)
    for name, hint in former_names._OF_LAYERS.items():
        for owner in (model, layer):
            with pytest.raises(AttributeError) as error:
                getattr(owner, name)
            assert name in str(error.value) and hint in str(error.value)
    for name in former_names._OF_MODELS:
        with pytest.raises(AttributeError, match=f"{name}', which Keras 2 had: "):
            getattr(model, name)
        assert not hasattr(layer, name)
    for name, hint in former_names._SHAPES.items():
        with pytest.raises(AttributeError, match=f"{name}', which Keras 2 had: {hint}"):
            getattr(layer, name)
        assert isinstance(getattr(model, name), tuple)
    with pytest.raises(AttributeError, match="'Dense' object has no attribute 'unit'$"):
        layer.unit  # noqa: B018
    assert copy.deepcopy(layer).units == 1
