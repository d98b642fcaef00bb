"""Calls of functional models, which are recorded at the second call and then replayed as one node."""

import numpy as np
import pytest

import cnnrs as keras
from cnnrs import layers, ops

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (4, 8, 8, 2)).astype(np.float32)


def sequential(*further):
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            *further,
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )


def several_outputs():
    inputs = keras.Input((8, 8, 2))
    features = sequential()(inputs)
    x = layers.GlobalAveragePooling2D()(inputs * 2.0 + 1.0)
    return keras.Model(inputs, {"a": features, "b": [layers.Dense(2)(x), ops.sigmoid(x)]})


def in_python(model, x, **arguments):
    """What the layers compute, without what the model remembers."""
    return keras.layers.Layer.__call__(model, x, **arguments)


@pytest.mark.parametrize("make", [sequential, several_outputs])
@pytest.mark.parametrize("training", [None, False])
def test_replayed_calls_give_the_same(make, training):
    model = make()
    expected = keras.tree.flatten(in_python(model, X, training=training))
    for x in (X, X, X, ops.convert_to_tensor(X)):
        results = keras.tree.flatten(model(x, training=training))
        for result, value in zip(results, expected, strict=True):
            np.testing.assert_allclose(result, value, rtol=1e-6, atol=1e-7)
    results = model(X)
    keras.tree.map_structure(lambda a, b: None, results, in_python(model, X))
    model.set_weights([w * 0.5 for w in model.get_weights()])
    for result, value in zip(
        keras.tree.flatten(model(X)), keras.tree.flatten(in_python(model, X)), strict=True
    ):
        np.testing.assert_allclose(result, value, rtol=1e-6, atol=1e-7)


def test_gradients_flow_through_replayed_calls():
    model = several_outputs()
    weights = model.trainable_weights

    def gradients(call, x):
        with keras.GradientTape() as outer:
            outer.watch(x)
            with keras.GradientTape() as inner:
                inner.watch(x)
                outputs = call(x)
                total = sum(ops.sum(ops.square(leaf)) for leaf in keras.tree.flatten(outputs))
            first = inner.gradient(total, x)
        return [*outer.gradient(ops.sum(ops.square(first)) + total, [x, *weights])]

    x = ops.convert_to_tensor(X)
    for _ in range(3):
        pairs = zip(gradients(model, x), gradients(lambda x: in_python(model, x), x), strict=True)
        for ours, expected in pairs:
            np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    model.trainable_weights[0].assign(np.zeros(model.trainable_weights[0].shape))
    loss = ops.sum(model(x)["a"])
    loss.backward()
    assert model.trainable_weights[0].value.grad is not None


def test_probabilities_keep_their_logits():
    model = sequential()
    model.get_layer("head").set_weights(
        [np.zeros((144, 3), np.float32), np.array([0, 200, -200], np.float32)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy()
    losses = [float(loss(np.full(4, 2), model(X))) for _ in range(4)]
    assert losses == [400.0] * 4


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.layers[0], "activation", keras.activations.tanh),
        lambda model: setattr(model.get_layer("head"), "activation", keras.activations.sigmoid),
        lambda model: setattr(model.layers[1], "epsilon", 0.5),
        lambda model: setattr(model.get_layer("head"), "dtype_policy", "mixed_float16"),
        lambda model: model.pop(),
        lambda model: model.add(layers.Dense(2)),
        lambda model: setattr(model.layers[0], "kernel", model.layers[0].kernel * 2.0),
    ],
)
def test_changes_of_layers_count(change):
    model = sequential()
    for _ in range(3):
        before = model(X).numpy()
    change(model)
    for _ in range(3):
        after = model(X).numpy()
        np.testing.assert_allclose(after, in_python(model, X), rtol=1e-6)
        changed = after.shape != before.shape or after.dtype != before.dtype
        assert changed or np.abs(after - before).max() > 1e-6


def test_a_frozen_normalisation_counts_too():
    model = sequential()
    norm = model.layers[1]
    for trainable in (True, False, True):
        norm.trainable = trainable
        for _ in range(3):
            moving = norm.moving_mean.numpy()
            model(X, training=True)
            assert (norm.moving_mean.numpy() != moving).any() == trainable


@pytest.mark.parametrize("of_layer", [True, False])
def test_a_call_that_is_put_on_an_object_runs_each_time(of_layer):
    model = sequential()
    for _ in range(3):
        model(X)
    patched = model.get_layer("head") if of_layer else model
    call, noted = patched.call, []

    def noting(*args, **kwargs):
        noted.append(1)
        return call(*args, **kwargs)

    patched.call = noting
    for _ in range(4):
        model(X)
    assert len(noted) == 4


def test_debugging_sees_replayed_calls():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, name="culprit")])
    x = np.ones((1, 2), np.float32)
    for _ in range(3):
        model(x)
    model.set_weights([np.float32([[np.inf], [-np.inf]]), np.zeros(1)])
    keras.config.set_debug(True)
    try:
        with pytest.raises(RuntimeError, match="culprit.*NaN"):
            model(x)
    finally:
        keras.config.set_debug(False)


def test_what_is_recorded_while_a_layer_changes_is_not_kept(monkeypatch):
    from cnnrs.models import replay

    model = sequential()
    model(X)
    record = replay._record

    def slow(*args):
        recording = record(*args)
        # Another thread, just now.
        model.layers[0].activation = keras.activations.tanh
        return recording

    monkeypatch.setattr(replay, "_record", slow)
    for _ in range(3):
        model(X)
    monkeypatch.undo()
    for _ in range(3):
        np.testing.assert_allclose(model(X), in_python(model, X), rtol=1e-6)


def test_what_is_more_than_a_function_runs_each_time():
    dropped = sequential(layers.Dropout(0.5))
    draws = [dropped(X, training=True).numpy() for _ in range(5)]
    assert all((a != b).any() for a, b in zip(draws, draws[1:], strict=False))
    noted = []

    class Noting(layers.Layer):
        def call(self, x):
            noted.append("layer")
            return x

    def note(x):
        noted.append("function")
        return x * 1.0

    model = sequential(Noting(), layers.Lambda(note), layers.Activation(note))
    model.predict(X, verbose=0)
    noted.clear()
    for _ in range(4):
        model(X)
    assert noted == ["layer", "function", "function"] * 4
    inputs = keras.Input(batch_shape=(4, 3))
    mapped = keras.Model(inputs, ops.map(note, inputs))
    noted.clear()
    counts = []
    for _ in range(5):
        mapped(X[:, 0, 0, :1] * np.ones(3, np.float32))
        counts.append(len(noted))
    assert (np.diff(counts) == counts[0]).all() and counts[0] > 0
    penalised = sequential(layers.Activation("linear", activity_regularizer="l2"))
    for _ in range(4):
        penalised(X)
        assert len(penalised.losses) == 1


def test_errors_are_those_of_a_call():
    model = sequential()
    for _ in range(3):
        model(X)
    for wrong in (X[:, :5], X[..., :1], X[0, 0]):
        with pytest.raises(ValueError, match="expected"):
            model(wrong)
    with pytest.raises(TypeError):
        model(X, unknown=3)
    assert model(X[:0]).shape == (0, 3)


def test_a_call_in_a_recorded_function_or_model_is_part_of_it():
    model = sequential()
    for _ in range(3):
        expected = model(X).numpy()
    np.testing.assert_allclose(keras.function(lambda x: model(x))(X), expected, rtol=1e-6)
    inputs = keras.Input((8, 8, 2))
    np.testing.assert_allclose(keras.Model(inputs, model(inputs))(X), expected, rtol=1e-6)
    with keras.no_grad():
        assert not model(X).requires_grad


@pytest.mark.parametrize(
    "make", [lambda: layers.Dense(3, activation="relu"), lambda: layers.Conv2D(2, 3, activation="relu")]
)
def test_an_activation_may_be_set_to_none(make):
    """As Grad-CAM does with the last layer."""
    layer = make()
    x = X[:, 0] if isinstance(layer, layers.Dense) else X
    rectified = layer(x).numpy()
    layer.activation = None
    np.testing.assert_allclose(np.maximum(layer(x), 0), rectified, rtol=1e-6)
    assert layer.get_config()["activation"] in (None, "linear")
