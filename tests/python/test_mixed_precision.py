"""Training in 16 bits: the loss scale, the steps of Keras, memory, overflow."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from halves import EPSILON, HALVES

import cnnrs
from cnnrs import (
    config,
    layers,
    losses,
    models,
    ops,
    optimizers,
    utils,
)

pytestmark = pytest.mark.usefixtures("plain_policy")


# ---- the loss scale


def scaled(inner=None, **kwargs):
    weight = cnnrs.Variable([1.0, -2.0], name="w")
    optimizer = optimizers.LossScaleOptimizer(inner or optimizers.SGD(0.5, momentum=0.9), **kwargs)
    optimizer.build([weight])
    return optimizer, weight


def state(optimizer):
    return float(optimizer.dynamic_scale), int(optimizer.step_counter), int(optimizer.iterations)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("traced", [False, True])
def test_a_step_with_bad_gradients_changes_the_scale_alone(bad, traced):
    optimizer, weight = scaled(optimizers.Adam(0.1), initial_scale=1024.0, dynamic_growth_steps=3)
    apply = lambda g: optimizer.apply([g], [weight])  # noqa: E731
    apply = cnnrs.function(apply) if traced else apply
    good = np.float32([1024.0, 2048.0])
    apply(good)
    assert state(optimizer) == (1024.0, 1, 1)
    before = [v.numpy().copy() for v in [weight, *optimizer.inner_optimizer.variables]]
    apply(np.float32([1024.0, bad]))
    assert state(optimizer) == (512.0, 0, 1)
    for variable, old in zip([weight, *optimizer.inner_optimizer.variables], before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)
    apply(good)
    assert state(optimizer) == (512.0, 1, 2) and (weight.numpy() != before[0]).all()


def test_the_scale_doubles_after_enough_good_steps():
    optimizer, weight = scaled(initial_scale=2.0, dynamic_growth_steps=3)
    found = []
    for _ in range(7):
        optimizer.apply([np.float32([2.0, 2.0])], [weight])
        found.append(state(optimizer)[:2])
    assert found == [(2.0, 1), (2.0, 2), (4.0, 0), (4.0, 1), (4.0, 2), (8.0, 0), (8.0, 1)]
    assert int(optimizer.iterations) == 7


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(0.5, momentum=0.9, global_clipnorm=1.0),
        lambda: optimizers.Adam(0.1, weight_decay=0.01, clipvalue=0.5),
        lambda: optimizers.SGD(0.5, use_ema=True, gradient_accumulation_steps=2),
    ],
)
def test_scaled_gradients_make_the_steps_of_the_inner_optimizer(make):
    optimizer, weight = scaled(make(), initial_scale=4.0, dynamic_growth_steps=2)
    plain, other = make(), cnnrs.Variable([1.0, -2.0])
    rng = np.random.default_rng(0)
    for step in range(8):
        gradient = rng.normal(size=2).astype("float32")
        if step == 3:
            optimizer.apply([gradient * np.nan], [weight])
            continue
        loss_scale = float(optimizer.scale_loss(1.0))
        optimizer.apply([gradient * loss_scale], [weight])
        plain.apply([gradient], [other])
        # The scale is a power of two.
        np.testing.assert_array_equal(weight.numpy(), other.numpy())
    assert int(optimizer.iterations) == int(plain.iterations)


def test_the_loss_scale_is_an_optimizer():
    optimizer, weight = scaled(optimizers.Adam(0.25), initial_scale=8.0)
    optimizer.learning_rate = 0.125
    assert float(optimizer.learning_rate) == float(optimizer.inner_optimizer.learning_rate) == 0.125
    names = [v.name for v in optimizer.variables]
    assert names[:4] == ["iteration", "learning_rate", "step_counter", "dynamic_scale"]
    assert names[4:] == [v.name for v in optimizer.inner_optimizer.variables]
    optimizer.apply([np.float32([np.inf, 0.0])], [weight])
    store: dict = {}
    optimizer.save_own_variables(store)
    assert len(store) == len(names)
    again, _ = scaled(optimizers.Adam(0.25), initial_scale=8.0)
    again.load_own_variables(store)
    assert state(again) == (4.0, 0, 0)
    again.set_weights(v.numpy() for v in scaled(optimizers.Adam(0.25), initial_scale=2.0)[0].variables)
    assert state(again) == (2.0, 0, 0)
    config = optimizer.get_config()
    assert set(config) == {"name", "inner_optimizer", "initial_scale", "dynamic_growth_steps"}
    copy = optimizers.deserialize(optimizers.serialize(optimizer))
    assert type(copy.inner_optimizer) is optimizers.Adam and copy.initial_scale == 8.0
    for copied in (deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        copied.build([weight])
        assert state(copied) == state(optimizer)
    assert optimizers.LossScaleOptimizer("adam").scale_loss(2.0) == 65536.0
    # What older versions of Keras wrote.
    assert optimizers.LossScaleOptimizer("sgd", ema_momentum=0.99, clipnorm=None).initial_scale == 32768.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"initial_scale": 0.0}, ValueError, "initial_scale.*> 0.*0.0"),
        ({"dynamic_growth_steps": 0}, ValueError, "dynamic_growth_steps.*>= 1.*0"),
        ({"dynamic": False}, ValueError, "dynamic: expected True"),
        ({"clipnorm": 1.0}, ValueError, "clipnorm: give it to the inner optimizer, received 1.0"),
        ({"momentum": 1.0}, ValueError, "momentum"),
    ],
)
def test_wrong_arguments_of_the_loss_scale(arguments, error, message):
    with pytest.raises(error, match=message):
        optimizers.LossScaleOptimizer(optimizers.SGD(), **arguments)
    with pytest.raises(ValueError, match="inner_optimizer"):
        optimizers.LossScaleOptimizer(optimizers.LossScaleOptimizer("sgd"))


def test_fixed_loss_scales_cancel():
    for factor in (None, 4.0):
        optimizer, weight = optimizers.SGD(0.5, loss_scale_factor=factor), cnnrs.Variable([1.0])
        assert float(optimizer.scale_loss(ops.array(3.0))) == 3.0 * (factor or 1.0)
        optimizer.apply([np.float32([factor or 1.0])], [weight])
        assert weight.numpy() == 0.5
        assert type(optimizer).from_config(optimizer.get_config()).loss_scale_factor == factor
    assert (
        optimizers.LossScaleOptimizer(optimizers.SGD(loss_scale_factor=4.0)).inner_optimizer.loss_scale_factor
        is None
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16", "float16"])
@pytest.mark.parametrize("auto", [True, False])
def test_compile_scales_the_loss_of_models_in_float16(policy, auto):
    config.set_dtype_policy(policy)
    model = models.Sequential([cnnrs.Input((2,)), layers.Dense(1)])
    given = optimizers.SGD(0.5)
    model.compile(given, "mse", auto_scale_loss=auto)
    if policy == "mixed_float16" and auto:
        assert model.optimizer.inner_optimizer is given and model.optimizer.name == "loss_scale_optimizer"
        own = model.optimizer
        model.compile(own, "mse")
        assert model.optimizer is own
    else:
        assert model.optimizer is given


# ---- training


def test_the_scale_stays_where_float32_can_hold_scaled_numbers():
    optimizer, weight = scaled(dynamic_growth_steps=1)
    for _ in range(200):
        optimizer.apply([[0.0, 0.0]], [weight])
    assert float(optimizer.dynamic_scale) == 2.0**24 and int(optimizer.iterations) == 200
    for _ in range(200):
        optimizer.apply([[np.inf, 0.0]], [weight])
    assert float(optimizer.dynamic_scale) == 1.0 and int(optimizer.iterations) == 200
    optimizer.apply([[0.0, 0.0]], [weight])
    assert np.isfinite(weight.numpy()).all() and int(optimizer.iterations) == 201
    # A gradient that overflows when it is divided counts as one that is not finite.
    optimizer, weight = scaled(initial_scale=0.25)
    optimizer.apply([[3e38, 0.0]], [weight])
    assert (float(optimizer.dynamic_scale), int(optimizer.iterations)) == (0.25, 0)
    assert weight.numpy().tolist() == [1.0, -2.0]


def test_what_gradients_overwrite_is_not_divided_by_the_scale():
    weight, statistic = cnnrs.Variable([1.0]), cnnrs.Variable([1.0])
    statistic.overwrite_with_gradient = True
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(1.0), initial_scale=4.0)
    optimizer.build([weight, statistic])
    optimizer.apply([[2.0], [8.0]], [weight, statistic])
    assert (weight.numpy().tolist(), statistic.numpy().tolist()) == ([0.5], [8.0])


def block_net(policy, channels=20):
    """A small network of which a step with 64 images keeps more than caches hold, on some 20 channels."""
    config.set_dtype_policy(policy)
    cnnrs.utils.set_random_seed(3)
    x = inputs = cnnrs.Input((28, 28, 1))
    for _ in range(3):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(2)(x))
    outputs = layers.Dense(10, activation="softmax", dtype="float32")(x)
    model = models.Model(inputs, outputs)
    model.compile(optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def digits(count):
    (x, y), _ = cnnrs.datasets.mnist.load_data()
    return x[:count, ..., None].astype("float32") / 255, y[:count].astype("int32")


def test_training_reaches_the_loss_of_float32():
    x, y = digits(1536)
    reached, shapes = {}, set()
    for policy in ("float32", *HALVES):
        model = block_net(policy)
        history = model.fit(x, y, batch_size=128, epochs=2, shuffle=False, verbose=0).history
        reached[policy] = history["loss"][-1]
        shapes.add(tuple(w.dtype for w in model.weights))
        assert model.predict(x[:2], verbose=0).dtype == np.float32
    assert len(shapes) == 1 and reached["float32"] < 2.2
    for policy, half in HALVES.items():
        assert reached[policy] == pytest.approx(reached["float32"], rel=0.03 if half == "bfloat16" else 0.01)
        # Something was rounded.
        assert reached[policy] != reached["float32"]


def test_what_gradients_keep_takes_half_the_memory():
    peak = {
        policy: utils.explain(block_net(policy), batch_size=128, training=True).peak_bytes
        for policy in ("float32", *HALVES)
    }
    assert peak["mixed_float16"] == pytest.approx(peak["mixed_bfloat16"], rel=0.01)
    assert peak["mixed_bfloat16"] < 0.8 * peak["float32"]


@pytest.mark.parametrize("policy", HALVES)
def test_gradients_are_those_of_float32_but_for_roundings(policy):
    x, y = digits(64)
    grads = {}
    for name in ("float32", policy):
        model = block_net(name)
        with cnnrs.GradientTape() as tape:
            loss = losses.SparseCategoricalCrossentropy()(y, model(x, training=True))
        grads[name] = [g.numpy() for g in tape.gradient(loss, model.trainable_weights)]
        assert {g.dtype for g in grads[name]} == {np.dtype("float32")}
    for ours, exact in zip(grads[policy], grads["float32"], strict=True):
        scale = np.abs(exact).max()
        np.testing.assert_allclose(ours, exact, rtol=0, atol=24 * EPSILON[HALVES[policy]] * scale)


def test_sums_and_products_add_up_in_float32():
    large = ops.cast(np.full((1, 300), 6e4), "float16")
    signs = np.resize([1.0, 1.0, -1.0, -1.0], (300, 1))
    layer = layers.Dense(1, use_bias=False, dtype="mixed_float16")
    layer.build((None, 300))
    layer.set_weights([signs])
    assert layer(large).numpy().tolist() == [[0.0]]
    ones = ops.ones((1, 400, 250, 1), "float16")
    assert layers.GlobalAveragePooling2D(dtype="mixed_float16")(ones).numpy().tolist() == [[1.0]]
    normed = layers.LayerNormalization(axis=[1, 2, 3], dtype="mixed_float16")(ones * 200.0)
    assert np.abs(normed.numpy()).max() == 0.0
    # What does not fit overflows where it is stored.
    assert np.isinf(ops.sum(ones).numpy()) and np.isinf((large * 2.0).numpy()).all()


def test_a_bad_batch_of_fit_changes_no_weight():
    x, y = digits(64)
    model = block_net("mixed_float16", channels=4)
    model.fit(x, y, batch_size=64, verbose=0)
    assert state(model.optimizer) == (32768.0, 1, 1)
    before = [w.numpy().copy() for w in model.trainable_weights]
    slots = [v.numpy().copy() for v in model.optimizer.inner_optimizer.variables]
    broken = x.copy()
    broken[3, 5, 5] = np.inf
    with pytest.warns(RuntimeWarning, match="NaN"):
        model.fit(broken, y, batch_size=64, verbose=0)
    assert state(model.optimizer) == (16384.0, 0, 1)
    for variable, old in zip(model.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)
    for variable, old in zip(model.optimizer.inner_optimizer.variables, slots, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)


def test_casts_of_a_program_round_inside_of_layers_too():
    class Quantized(layers.Layer):
        def call(self, x):
            return ops.cast(ops.cast(ops.cast(x, "float32") + 2.0**-9, "bfloat16"), "float32")

    y = Quantized(dtype="mixed_float16")(np.ones((1, 2)))
    assert y.dtype == "float32" and y.numpy().tolist() == [[1.0, 1.0]]


def test_a_cross_entropy_of_rounded_probabilities_reads_their_logits():
    logits = np.float32([[0.0, 20.0]])
    softmax = layers.Softmax(dtype="mixed_float16")
    loss = losses.SparseCategoricalCrossentropy()
    assert float(loss([0], softmax(logits))) == pytest.approx(20.0, abs=0.01)
    # A conversion to another float type keeps them.
    assert float(loss([0], ops.cast(ops.softmax(logits), "bfloat16"))) == pytest.approx(20.0, abs=0.1)


# ---- Keras's figures

KERAS = json.loads((Path(__file__).parents[1] / "fixtures" / "keras_precision.json").read_text())


@pytest.mark.parametrize("case", KERAS["training"], ids=lambda case: case["policy"])
def test_steps_are_those_of_keras(case):
    config.set_dtype_policy(case["policy"])
    dense = layers.Dense(3, dtype="float32")
    model = models.Sequential(
        [cnnrs.Input((6, 6, 1)), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()]
        + [layers.Flatten(), dense]
    )
    model.set_weights([np.float32(w) for w in case["start"]])
    optimizer = optimizers.SGD(0.0625, momentum=0.5)
    if case["policy"] == "mixed_float16":
        optimizer = optimizers.LossScaleOptimizer(optimizer, initial_scale=256.0, dynamic_growth_steps=3)
    model.compile(optimizer, losses.SparseCategoricalCrossentropy(from_logits=True))
    tolerance = {"float32": 1e-5, "mixed_float16": 5e-3, "mixed_bfloat16": 4e-2}[case["policy"]]
    for step, expected in enumerate(case["steps"]):
        x = np.random.default_rng(10 + step).standard_normal((8, 6, 6, 1))
        x = (np.round(x * 16) / 16).astype("float32")
        bad = expected["loss"] is None
        statistics = [w.numpy().copy() for w in model.non_trainable_weights]
        if bad:
            x[0, 0, 0] = np.inf
        loss = model.train_on_batch(x, np.arange(8) % 3)
        model.reset_metrics()
        if bad:
            for variable, value in zip(model.non_trainable_weights, statistics, strict=True):
                variable.assign(value)
        else:
            assert float(loss) == pytest.approx(expected["loss"], rel=tolerance)
        if "state" in expected:
            assert list(state(model.optimizer)) == expected["state"]
    for weight, end in zip(model.weights, case["end"], strict=True):
        distance = np.abs(weight.numpy() - np.float32(end)) / max(1.0, np.abs(end).max())
        # A rounding that moves one number across the kink of ReLU shows in the weights of its channel.
        assert np.median(distance) <= tolerance / 4 and distance.max() <= 8 * tolerance
    named = [name if "momentum" not in name else "momentum" for name in case["optimizer"]]
    own = [v.name if "momentum" not in v.name else "momentum" for v in model.optimizer.variables]
    assert [name.removesuffix("s") for name in own] == named
