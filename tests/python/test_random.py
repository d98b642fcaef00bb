"""Random draws: their distributions, keys and seeds."""

from __future__ import annotations

import os
import random as python_random
import statistics
import subprocess
import sys

import numpy as np
import pytest

import cnnrs
from cnnrs import ops, random, utils
from cnnrs.base import context

N = 40000


def test_uniform_and_normal():
    unit = random.uniform((N,), seed=1).numpy()
    assert 0 <= unit.min() and unit.max() < 1
    assert unit.mean() == pytest.approx(0.5, abs=0.01) and unit.var() == pytest.approx(1 / 12, abs=0.005)
    wide = random.uniform((N,), -3.0, 5.0, seed=1).numpy()
    np.testing.assert_allclose(wide, unit * 8 - 3, rtol=1e-5, atol=1e-5)
    normal = random.normal((N,), mean=2.0, stddev=3.0, seed=1).numpy()
    assert normal.mean() == pytest.approx(2.0, abs=0.08) and normal.std() == pytest.approx(3.0, rel=0.02)
    within = (np.abs(normal - 2) < 3).mean()
    assert within == pytest.approx(0.6827, abs=0.01)


def test_truncated_normal_is_the_inverse_distribution():
    values = np.sort(random.truncated_normal((N,), mean=1.0, stddev=0.5, seed=3).numpy().astype(float))
    assert np.abs(values - 1.0).max() <= 1.0
    assert values.std() == pytest.approx(0.5 * 0.87962566, rel=0.02)
    normal = statistics.NormalDist()
    low = normal.cdf(-2.0)
    for part in (0.01, 0.2, 0.5, 0.9, 0.999):
        expected = 1.0 + 0.5 * normal.inv_cdf(low + part * (1 - 2 * low))
        assert values[int(part * N)] == pytest.approx(expected, abs=0.02)


def test_integers_and_classes():
    drawn = random.randint((N,), -2, 3, seed=1).numpy()
    assert drawn.dtype == np.int32 and sorted(set(drawn)) == [-2, -1, 0, 1, 2]
    assert np.bincount(drawn + 2).min() > N / 5 * 0.9
    chances = np.array([0.1, 0.2, 0.7])
    classes = random.categorical(np.log(chances)[None], N, seed=1).numpy()
    assert classes.shape == (1, N)
    np.testing.assert_allclose(np.bincount(classes[0], minlength=3) / N, chances, atol=0.01)


def test_dropout():
    x = np.ones((200, 100), np.float32)
    dropped = random.dropout(x, 0.25, seed=1).numpy()
    kept = dropped != 0
    assert kept.mean() == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(dropped[kept], 1 / 0.75, rtol=1e-6)
    rows = random.dropout(x, 0.25, noise_shape=(200, 1), seed=1).numpy()
    assert (rows == rows[:, :1]).all() and 0.5 < (rows[:, 0] != 0).mean() < 0.95


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dropout_of_whole_rows_keeps_the_type(dtype):
    x = ops.ones((50, 3), dtype=dtype)
    dropped, whole = (random.dropout(x, 0.25, noise_shape=shape, seed=1) for shape in ((50, 1), None))
    assert dropped.dtype == whole.dtype == dtype
    assert set(dropped.tolist()[0] + dropped.tolist()[1]) <= set(whole.reshape((-1,)).tolist())


def test_shuffle():
    x = np.arange(50).reshape(25, 2)
    mixed = random.shuffle(x, seed=1).numpy()
    assert (mixed != x).any()
    np.testing.assert_array_equal(mixed[np.argsort(mixed[:, 0])], x)
    np.testing.assert_array_equal(mixed, random.shuffle(x, seed=1).numpy())


def test_keys():
    def draw(seed):
        return random.uniform((4,), seed=seed).tolist()

    assert draw(7) == draw(7) != draw(8)
    a, b = random.SeedGenerator(7), random.SeedGenerator(7)
    first, second = draw(a), draw(a)
    assert first != second
    assert [draw(b), draw(b)] == [first, second]
    assert draw(None) != draw(None)
    state = a.state
    assert tuple(state.shape) == (2,) and state.dtype == "int32" and not state.trainable
    assert random.SeedGenerator.from_config(a.get_config()).initial_seed == 7


def test_generators_move_on_in_recorded_functions():
    generator = random.SeedGenerator(3)
    reference = random.SeedGenerator(3)
    expected = [random.normal((3,), seed=reference).tolist() for _ in range(3)]
    with context.trace() as recorder:
        step = recorder.compile([random.normal((3,), seed=generator)])
    assert generator.state.numpy().tolist() == [3, 0]
    assert [step()[0].tolist() for _ in range(3)] == expected


def test_two_equal_draws_never_merge():
    @cnnrs.function
    def pair(x):
        generator_draws = [random.uniform((8,), seed=GENERATOR) for _ in range(2)]
        return generator_draws[0] + x * 0, generator_draws[1] + x * 0

    first, second = pair(np.float32(0.0))
    assert (first.numpy() != second.numpy()).any()


GENERATOR = random.SeedGenerator(1)


def test_global_seed():
    def draws():
        utils.set_random_seed(42)
        layer = random.SeedGenerator()
        return (
            random.normal((3,)).tolist(),
            layer.initial_seed,
            np.random.rand(),  # noqa: NPY002 - the legacy generator is seeded too
            python_random.random(),
        )

    assert draws() == draws()
    assert random.current_seed() == 42


def test_seed_from_the_environment():
    code = "from cnnrs import random; print(random.uniform((3,)).tolist())"
    outputs = []
    for seed in ("3", "3", "4", "x"):
        environment = {**os.environ, "CNNRS_SEED": seed}
        result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        outputs.append(result.stdout or result.stderr)
    assert outputs[0] == outputs[1] != outputs[2]
    assert "CNNRS_SEED" in outputs[3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: utils.set_random_seed(-1), "seed.*-1"),
        (lambda: utils.set_random_seed(2**32), "seed"),
        (lambda: random.SeedGenerator("a"), "seed.*'a'"),
        (lambda: random.dropout(np.ones(3), 1.5), "rate.*1"),
        (lambda: random.randint((2,), 3, 3), "randint.*3"),
        (lambda: random.categorical(np.ones(3), 2), "logits"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_draws_of_types_that_no_tensor_holds_are_refused():
    with pytest.raises(TypeError, match="complex64"):
        random.uniform((2,), dtype="complex64")
