"""Activations with weights against formulas in float64, and the comparison of activations."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from layer_checks import host

import cnnrs
from cnnrs import activations, layers


def images(shape=(2, 6, 5, 4), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_the_funnel_compares_with_the_neighbourhood():
    x = images()
    layer = layers.FReLU(epsilon=1e-3)
    layer(x)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.uniform(0.5, 1.5, size=w.shape) for w in layer.weights])
    kernel, gamma, beta, mean, variance = (w.astype(np.float64) for w in layer.get_weights())
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    around = sum(padded[:, i : i + 6, j : j + 5] * kernel[i, j, :, 0] for i in range(3) for j in range(3))
    normal = (around - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(layer(x), np.maximum(x, normal), atol=1e-5)
    # Nine weights of a filter and four of the normalisation for each channel, as in the paper.
    assert layer.count_params() == 13 * 4


def test_the_funnel_is_one_step_behind_a_convolution():
    model = cnnrs.Sequential([layers.Input((9, 9, 4)), layers.Conv2D(8, 3, name="c"), layers.FReLU(name="f")])
    explanation = cnnrs.utils.explain(model)
    assert explanation.num_steps == 2
    moved = host(layers.FReLU()(images(), training=True))
    assert (moved >= images()).all()


def test_the_adaptive_form_is_prelu_with_the_other_sign():
    x, slopes = images(), images((1, 1, 4), 3)
    adaptive, plain = layers.AdaptivePReLU(shared_axes=[1, 2]), layers.PReLU(shared_axes=[1, 2])
    adaptive(x), plain(x)
    adaptive.set_weights([slopes])
    plain.set_weights([-slopes])
    np.testing.assert_array_equal(adaptive(x), plain(x))
    np.testing.assert_allclose(adaptive(x), np.maximum(x, 0) + slopes * np.maximum(-x, 0), atol=1e-6)


def test_maxout():
    x = images()
    np.testing.assert_array_equal(layers.Maxout(2)(x), x.reshape(2, 6, 5, 2, 2).max(-1))
    np.testing.assert_array_equal(layers.Maxout(pieces=3, axis=1)(x), x.reshape(2, 2, 3, 5, 4).max(2))
    for make, message in (
        (lambda: layers.Maxout(), "expected units, pieces or both, received neither"),
        (
            lambda: layers.Maxout(3)(x),
            "units 3, pieces None: expected numbers whose product is .* 4 channels",
        ),
        (lambda: layers.Maxout(2, 4)(x), "units 2, pieces 4"),
        (lambda: layers.Maxout(pieces=8)(x), "units None, pieces 8"),
        (lambda: layers.Maxout(0), "units: expected an integer >= 1, received 0"),
        (lambda: layers.Maxout(2, axis=0)(x), "axis: expected an axis of channels"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_swish():
    x, beta = images(), np.array([0.0, 1.0, -2.0, 50.0])
    layer = layers.Swish()
    layer(x)
    layer.set_weights([beta])
    np.testing.assert_allclose(layer(x), x / (1 + np.exp(-beta * x.astype(np.float64))), atol=1e-5)
    with pytest.raises(ValueError, match="shared_axes: expected axes from 1 to 3, received 4"):
        layers.Swish(shared_axes=[4])(x)
    inputs = cnnrs.Input((None, None, 3))
    assert layers.Swish()(inputs).shape == (None, None, None, 3)
    for layer in (layers.Swish(shared_axes=[1]), layers.PReLU(shared_axes=[1])):
        with pytest.raises(
            ValueError, match=r"shared_axes: expected axes of unknown extent, \[2\], among .* \[1\]"
        ):
            layer(inputs)
    with pytest.raises(
        ValueError, match=r"shared_axes: expected axes of unknown extent, \[1, 2\].* received \[\]"
    ):
        layers.AdaptivePReLU()(inputs)
    with pytest.raises(ValueError, match="shared_axes: expected axes from 1 to 3, received 0"):
        layers.PReLU(shared_axes=[0])(x)


def dying(units=8, dead=3):
    """A model of which some units of the first layer never see anything but what is far below 0."""
    model = cnnrs.Sequential(
        [
            layers.Input((5,)),
            layers.Dense(units, activation="relu", name="first"),
            layers.Dense(4, name="second"),
            layers.LeakyReLU(name="leaky"),
            layers.Dense(2, activation="softmax", name="classes"),
        ]
    )
    kernel, bias = model.layers[0].get_weights()
    bias[:dead] = -100.0
    bias[dead:] = 100.0
    model.layers[0].set_weights([kernel, bias])
    return model


def test_dead_units_are_found_and_the_model_stays_as_it_was():
    model, x = dying(), images((100, 5))
    before = model.predict(x, verbose=0)
    calls = [model(x).numpy() for _ in range(3)]
    found = activations.compare(["relu", "leaky_relu", "elu"], model=model, data=x, elements=64)
    assert found.dead_by_layer["relu"]["first"] == 3 / 8
    assert set(found.dead_by_layer["relu"]) == {"first", "leaky"}
    # elu's gradient at -100 is e^-100; that of a leaky one is never 0.
    assert found.dead_by_layer["elu"]["first"] == 3 / 8 and found.dead["leaky_relu"] == 0
    assert found.dead["relu"] == pytest.approx((3 + 4 * found.dead_by_layer["relu"]["leaky"]) / 12)
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
    np.testing.assert_array_equal(model(x), calls[-1])
    assert model.layers[0].activation is activations.relu and "call" not in vars(model.layers[2])


def test_units_lie_on_the_axis_of_the_channels():
    def first(data_format):
        conv = layers.Conv2D(3, 1, activation="relu", data_format=data_format, kernel_initializer="zeros")
        model = cnnrs.Sequential([layers.Input((4, 4, 4)), conv])
        conv.set_weights([conv.get_weights()[0], [-1.0, 1.0, 1.0]])
        return activations.compare("relu", model=model, data=images((2, 4, 4, 4)), elements=64).dead["relu"]

    assert first("channels_first") == first("channels_last") == pytest.approx(1 / 3)


def test_activations_inside_of_blocks_are_listened_to():
    inner = cnnrs.Sequential([layers.Input((8, 8, 4)), layers.ConvBlock(4, name="deep")], name="inner")
    parts = [
        layers.ConvBlock(4, name="stem"),
        layers.BasicBlock(4, norm=None, name="block"),
        layers.BasicBlock(4, activation=layers.PReLU(shared_axes=[1, 2]), name="learnt"),
        inner,
    ]
    model = cnnrs.Sequential([layers.Input((8, 8, 3)), *parts])
    x = images((5, 8, 8, 3))
    before = model.predict(x, verbose=0)
    found = activations.compare("relu", model=model, data=x, elements=8)
    names = ["stem", "block/activation1", "block/activation2", "learnt/activation1", "learnt/activation2"]
    assert list(found.dead_by_layer["relu"]) == [*names, "inner/deep"]
    bias = next(w for w in model.get_layer("block").weights if w.path.endswith("conv1/bias"))
    bias.assign(np.array([-100.0, 0.0, -100.0, 0.0]))
    found = activations.compare("relu", model=model, data=x, elements=8)
    assert found.dead_by_layer["relu"]["block/activation1"] == 0.5
    bias.assign(np.zeros(4))
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)


def test_curves_are_those_of_the_functions():
    names = ["relu", "tanh", "silu", lambda x: x * x]
    found = activations.compare(names, (-2.0, 2.0), 9, elements=64)
    x = np.linspace(-2, 2, 9)
    sigmoid = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(found.x, x)
    np.testing.assert_allclose(found.outputs, [np.maximum(x, 0), np.tanh(x), x * sigmoid, x * x], atol=1e-6)
    slopes = [x > 0, 1 - np.tanh(x) ** 2, sigmoid * (1 + x * (1 - sigmoid)), 2 * x]
    np.testing.assert_allclose(found.gradients, slopes, atol=1e-6)
    assert found.seconds.shape == (4, 2) and (found.seconds > 0).all() and found.dead is None
    lines = str(found).splitlines()
    assert lines[0].split()[:3] == ["activation", "least", "largest"] and lines[2].split()[0] == "relu"
    assert len(lines) == 7 and "64 elements" in lines[-1]


def test_functions_of_one_name_are_apart():
    found = activations.compare(["relu", lambda x: x, lambda x: 2 * x, "relu"], (0.0, 1.0), 2, elements=8)
    assert found.names == ["relu", "<lambda>", "<lambda>_1"]
    assert found.outputs[:, 1].tolist() == [1.0, 1.0, 2.0]


def test_bad_arguments_name_what_was_received_and_expected():
    none = cnnrs.Sequential([layers.Input((3,)), layers.Dense(2)])
    for given, message in (
        ({"names": "rellu"}, "did you mean 'relu'"),
        ({"names": []}, "names: expected at least one activation, received none"),
        ({"names": "softmax"}, "expected activations that compute element by element, received 'softmax'"),
        (
            {"names": layers.FReLU(name="funnel")},
            "compare: names: .* received 'funnel': funnel: expected an input",
        ),
        ({"x_range": (1, 0)}, r"x_range: expected two numbers, the first the less, received \(1, 0\)"),
        ({"x_range": 3}, "x_range: expected two numbers"),
        ({"n": 1}, "n: expected an integer >= 2, received 1"),
        ({"elements": 0}, "elements: expected an integer >= 1, received 0"),
        ({"model": none}, "data: expected model and data together"),
        ({"data": np.zeros((1, 3))}, "model: expected model and data together"),
        ({"model": none, "data": np.zeros((1, 3))}, "expected layers with activations, received"),
        ({"model": none, "data": np.zeros((0, 3))}, "data: expected an array of samples, received none"),
    ):
        with pytest.raises(ValueError, match=message):
            activations.compare(**{"names": "relu", "elements": 64, **given})


def test_a_comparison_is_drawn():
    pytest.importorskip("matplotlib").use("Agg")
    found = activations.compare(["relu", "elu"], model=dying(), data=images((10, 5)), elements=64)
    figure = found.plot()
    curves, slopes, bars = figure.axes
    assert [line.get_label() for line in curves.lines] == ["relu", "elu"] and len(slopes.lines) == 2
    assert [bar.get_width() for bar in bars.patches] == [found.dead["relu"], found.dead["elu"]]
    plain = activations.compare("relu", elements=64).plot()
    assert len(plain.axes) == 2
    for each in (figure, plain):
        each.clear()


def test_the_comparison_is_loaded_when_it_is_used():
    code = (
        "import sys; from cnnrs import activations; activations.get('relu')\n"
        "assert 'cnnrs.activations.comparing' not in sys.modules\n"
        "activations.compare('relu', elements=8); assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
