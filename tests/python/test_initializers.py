"""Initializers: their distributions, seeds and configs; regularizers and constraints beside them."""

from __future__ import annotations

import inspect
import json
import math

import numpy as np
import pytest

import cnnrs
from cnnrs import constraints, initializers, layers, random, regularizers, utils
from cnnrs.initializers.draws import weights_follow

SHAPE = (3, 3, 40, 60)
FAN_IN, FAN_OUT = 9 * 40, 9 * 60


def draw(initializer, shape=SHAPE):
    return np.asarray(initializer(shape)).astype(np.float64)


VARIANCES = {
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "he_uniform": 2 / FAN_IN,
    "he_normal": 2 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_variance_and_support(name):
    sample = draw(initializers.get(name))
    deviation = math.sqrt(VARIANCES[name])
    assert sample.mean() == pytest.approx(0, abs=5 * deviation / math.sqrt(sample.size))
    assert sample.std() == pytest.approx(deviation, rel=0.01)
    bound = math.sqrt(3) * deviation if "uniform" in name else 2 * deviation / 0.87962566103423978
    assert 0.98 * bound < np.abs(sample).max() <= bound * (1 + 1e-6)


def test_truncated_normal_is_not_rescaled_on_its_own():
    sample = draw(initializers.TruncatedNormal(mean=1.0, stddev=2.0, seed=1))
    assert np.abs(sample - 1.0).max() <= 4.0
    assert sample.std() == pytest.approx(2 * 0.87962566, rel=0.01)


def test_axes_that_count_inputs_and_outputs():
    initializer = initializers.VarianceScaling(input_axes=0, output_axes=(1, 2), mode="fan_out", seed=1)
    assert draw(initializer, (10, 30, 40)).std() == pytest.approx(math.sqrt(1 / 1200), rel=0.02)
    with pytest.raises(ValueError, match="input_axes.*7"):
        initializers.HeNormal(input_axes=7)((3, 3))
    with pytest.raises(ValueError, match="no axis in both"):
        initializers.HeNormal(input_axes=0, output_axes=0)((3, 3))


@pytest.mark.parametrize("shape", [(8, 8), (3, 20), (20, 3), (3, 3, 4, 8)])
def test_orthogonal(shape):
    matrix = draw(initializers.Orthogonal(gain=2.0, seed=1), shape).reshape(-1, shape[-1])
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


@pytest.mark.parametrize("name", ["GlorotUniform", "RandomNormal", "TruncatedNormal", "Orthogonal"])
def test_seeds(name):
    cls = getattr(initializers, name)
    seeded = cls(seed=3)
    np.testing.assert_array_equal(draw(seeded, (4, 5)), draw(seeded, (4, 5)))
    np.testing.assert_array_equal(draw(seeded, (4, 5)), draw(cls.from_config(seeded.get_config()), (4, 5)))
    assert (draw(cls(), (4, 5)) != draw(cls(), (4, 5))).any()
    # A seed that was drawn does not travel with the config.
    fresh = cls()
    assert fresh.get_config()["seed"] is None
    assert (draw(fresh, (4, 5)) != draw(cls.from_config(fresh.get_config()), (4, 5))).any()


def _seeded() -> list[str]:
    classes = {n: getattr(initializers, n) for n in initializers.__all__}
    return [
        n
        for n, c in classes.items()
        if inspect.isclass(c) and "seed" in inspect.signature(c.__init__).parameters
    ]


@pytest.mark.parametrize("name", _seeded())
def test_a_seed_generator_gives_new_values_each_time(name):
    cls = getattr(initializers, name)
    made = [cls(seed=random.SeedGenerator(1)) for _ in range(2)]
    first, again = ([draw(i, (4, 5)) for _ in range(3)] for i in made)
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any() and (first[1] != first[2]).any()
    # One generator serves several initializers, each with draws of its own.
    shared = random.SeedGenerator(1)
    pair = [draw(cls(seed=shared), (4, 5)) for _ in range(2)]
    np.testing.assert_array_equal(pair, first[:2])
    # The config has the generator, as new.
    for copy in (cls.from_config(made[0].get_config()), made[0].clone()):
        assert isinstance(copy.seed, random.SeedGenerator)
        np.testing.assert_array_equal(draw(copy, (4, 5)), first[0])
    layer = layers.Dense(3, kernel_initializer=made[0])
    restored = layers.Dense.from_config(json.loads(json.dumps(layer.get_config())))
    assert isinstance(restored.kernel_initializer.seed, random.SeedGenerator)
    with pytest.raises(TypeError, match="seed: expected an integer, a SeedGenerator or None, received 'one'"):
        cls(seed="one")


def test_layers_that_share_an_initializer_get_values_of_their_own():
    shared = initializers.HeNormal()
    first, second = (layers.Dense(4, kernel_initializer=shared) for _ in range(2))
    x = np.ones((1, 3), np.float32)
    first(x), second(x)
    assert (first.get_weights()[0] != second.get_weights()[0]).any()


def test_set_random_seed_fixes_the_weights():
    def weights():
        utils.set_random_seed(5)
        model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3), layers.Dense(3)])
        return model.get_weights()

    a, b = weights(), weights()
    for left, right in zip(a, b, strict=True):
        np.testing.assert_array_equal(left, right)
    assert (a[0][:3] != a[2]).any()


@pytest.mark.parametrize("name", ["zeros", "Ones", "constant", "identity", "uniform", "normal", "orthogonal"])
def test_names_and_configs(name):
    initializer = initializers.get(name)
    again = initializers.deserialize(initializers.serialize(initializer))
    assert type(again) is type(initializer)
    assert np.asarray(again((4, 4))).shape == (4, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.get("glorot_unifrm"), "did you mean 'glorot_uniform'"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode.*'fan'"),
        (lambda: initializers.VarianceScaling(scale=0), "scale.*0"),
        (lambda: initializers.Identity()((2, 2, 2)), "Identity"),
        (lambda: initializers.Orthogonal()((2,)), "Orthogonal"),
        (lambda: regularizers.get("l3"), "l3"),
        (lambda: regularizers.L2(-1.0), "l2"),
        (lambda: constraints.get("max_nrm"), "did you mean 'max_norm'"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


X = np.array([[1.0, -2.0], [3.0, 0.5]], np.float32)
PENALTIES = {
    "l1": (regularizers.L1(0.1), 0.1 * np.abs(X).sum()),
    "l2": (regularizers.L2(0.1), 0.1 * (X**2).sum()),
    "both": (regularizers.L1L2(0.1, 0.2), 0.1 * np.abs(X).sum() + 0.2 * (X**2).sum()),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties(name):
    regularizer, expected = PENALTIES[name]
    assert float(regularizer(X)) == pytest.approx(expected, rel=1e-6)
    again = regularizers.deserialize(regularizers.serialize(regularizer))
    assert again.get_config() == regularizer.get_config()


def test_penalties_of_a_layer_reach_the_loss():
    model = cnnrs.Sequential(
        [cnnrs.Input((2,)), layers.Dense(2, kernel_regularizer=regularizers.L2(0.5), use_bias=False)]
    )
    model.compile("sgd", "mse")
    y = model.predict(X, verbose=0)
    (kernel,) = model.get_weights()
    assert model.evaluate(X, y, verbose=0) == pytest.approx(0.5 * (kernel**2).sum(), rel=1e-5)


def norms(w):
    return np.sqrt((w**2).sum(0, keepdims=True))


CONSTRAINTS = [
    (constraints.MaxNorm(2.0), lambda: X * np.minimum(norms(X), 2.0) / norms(X)),
    (constraints.UnitNorm(), lambda: X / norms(X)),
    (constraints.NonNeg(), lambda: np.maximum(X, 0)),
    (
        constraints.MinMaxNorm(2.5, 3.0, rate=0.5),
        lambda: X * (0.5 * np.clip(norms(X), 2.5, 3.0) + 0.5 * norms(X)) / norms(X),
    ),
]


@pytest.mark.parametrize(("constraint", "expected"), CONSTRAINTS)
def test_constraints(constraint, expected):
    np.testing.assert_allclose(np.asarray(constraint(X)), expected(), rtol=1e-5)
    again = constraints.deserialize(constraints.serialize(constraint))
    assert again.get_config() == constraint.get_config()


def test_training_keeps_a_constraint():
    model = cnnrs.Sequential(
        [cnnrs.Input((2,)), layers.Dense(3, kernel_constraint=constraints.MaxNorm(0.1), use_bias=False)]
    )
    model.compile("sgd", "mse")
    model.train_on_batch(X, np.ones((2, 3)))
    assert norms(model.get_weights()[0]).max() <= 0.1 + 1e-6


@pytest.mark.parametrize("shape", [(), (0, 3), (3, 5), (100, 3, 100), (8192,), (2, 8193)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_values_do_not_depend_on_how_many_are_drawn_at_a_time(shape, dtype):
    generator = np.random.Generator(np.random.Philox(key=7))
    values = generator.standard_normal(shape)
    while (beyond := np.abs(values) > 2).any():
        values[beyond] = generator.standard_normal(int(beyond.sum()))
    drawn = initializers.TruncatedNormal(1.0, 0.5, seed=7)(shape, dtype)
    np.testing.assert_array_equal(drawn, (1.0 + 0.5 * values).astype(dtype))
    values = np.random.Generator(np.random.Philox(key=7)).uniform(-2.0, 3.0, shape)
    np.testing.assert_array_equal(initializers.RandomUniform(-2, 3, 7)(shape, dtype), values.astype(dtype))


DRAWN = ["TruncatedNormal", "RandomNormal", "RandomUniform", "GlorotUniform", "HeNormal"]


@pytest.mark.parametrize("name", DRAWN)
def test_weights_that_a_file_gives_are_not_drawn(name):
    initializer = getattr(initializers, name)(seed=3)
    drawn = draw(initializer, (4, 5))
    with weights_follow():
        with pytest.raises(RuntimeError), weights_follow():
            raise RuntimeError
        for dtype in ("float16", "float32"):
            zeros = initializer((4, 5), dtype)
            assert zeros.dtype == dtype and zeros.shape == (4, 5) and not zeros.any()
    np.testing.assert_array_equal(draw(initializer, (4, 5)), drawn)
