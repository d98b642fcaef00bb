"""Gradients where derivatives are infinite, ambiguous or belong to a branch that was not taken."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cnnrs
from cnnrs import _core, layers, losses, ops

INF, NAN = math.inf, math.nan


def gradients(function, *arrays):
    """The gradients of the sum of a function's results, eagerly and as a recorded function."""
    given = [np.asarray(a, np.float32) for a in arrays]

    def compute(*xs):
        with cnnrs.GradientTape() as tape:
            tape.watch(list(xs))
            total = ops.sum(function(*xs))
        return tape.gradient(total, list(xs))

    eager = [np.asarray(g) for g in compute(*map(ops.array, given))]
    recorded = [np.asarray(g) for g in cnnrs.function(compute)(*given)]
    for a, b in zip(eager, recorded, strict=True):
        np.testing.assert_array_equal(a, b)
    return eager


# A function, its derivative, and numbers at which it or its derivative is not finite.
_STEEP = {
    "log": (ops.log, lambda x: 1 / x, [0.0, -1.0, NAN]),
    "log1p": (ops.log1p, lambda x: 1 / (1 + x), [-1.0, -2.0]),
    "log2": (ops.log2, lambda x: 1 / (x * math.log(2)), [0.0, -1.0]),
    "log10": (ops.log10, lambda x: 1 / (x * math.log(10)), [0.0, -1.0]),
    "sqrt": (ops.sqrt, lambda x: 0.5 / math.sqrt(x), [0.0, -1.0]),
    "rsqrt": (ops.rsqrt, lambda x: -0.5 * x**-1.5, [0.0, -1.0]),
    "reciprocal": (ops.reciprocal, lambda x: -1 / x**2, [0.0]),
    "1 / x": (lambda x: 1.0 / x, lambda x: -1 / x**2, [0.0]),
    "x / x": (lambda x: x / x, lambda x: 0.0, [0.0, INF]),
    "exp": (ops.exp, math.exp, [100.0, INF]),
    "expm1": (ops.expm1, math.exp, [100.0, INF]),
    "exp2": (ops.exp2, lambda x: math.log(2) * 2**x, [200.0]),
    "x ** 0.5": (lambda x: x**0.5, lambda x: 0.5 / math.sqrt(x), [0.0, -1.0]),
    "x ** -1": (lambda x: x**-1.0, lambda x: -1 / x**2, [0.0]),
    "0 ** x": (lambda x: ops.power(x, x), lambda x: x**x * (math.log(x) + 1), [-0.5]),
    "x log x": (lambda x: x * ops.log(x), lambda x: math.log(x) + 1, [0.0, -1.0]),
    "square": (lambda x: ops.square(x * 2.0), lambda x: 8 * x, [INF, NAN]),
    "x * x": (lambda x: x * x, lambda x: 2 * x, [INF, -INF, NAN]),
    "sin": (ops.sin, math.cos, [INF]),
    "cos": (ops.cos, lambda x: -math.sin(x), [INF]),
    "tan": (ops.tan, lambda x: 1 + math.tan(x) ** 2, [INF]),
    "logistic": (
        lambda x: ops.exp(x) / (1.0 + ops.exp(x)),
        lambda x: math.exp(x) / (1 + math.exp(x)) ** 2,
        [99.0],
    ),
    "chain": (
        lambda x: ops.log(ops.sqrt(x) / 2.0) * 3.0,
        lambda x: 1.5 / x,
        [0.0, -1.0],
    ),
    "rows": (
        lambda x: ops.log(ops.expand_dims(x, 1) * np.ones((1, 3), np.float32)),
        lambda x: 3 / x,
        [0.0, -1.0],
    ),
}


@pytest.mark.parametrize("name", _STEEP)
@pytest.mark.parametrize("taken", ["first", "second"])
def test_the_branch_that_is_not_taken_has_no_gradient(name, taken):
    function, derivative, bad = _STEEP[name]
    good = [0.5, 1.5, 2.0]
    x = np.array([*good, *bad], np.float32)
    is_good = np.array([True] * len(good) + [False] * len(bad))

    def guarded(v):
        y = function(v)
        condition = is_good if len(y.shape) == 1 else is_good[:, None]
        return ops.where(condition, y, 0.0) if taken == "first" else ops.where(~condition, 0.0, y)

    (gradient,) = gradients(guarded, x)
    expected = [derivative(v) for v in good] + [0.0] * len(bad)
    np.testing.assert_allclose(gradient, expected, rtol=2e-5, atol=1e-6)


def test_what_broadcasts_into_a_branch():
    x = np.array([[1.0, 0.0], [4.0, 2.0]])
    (gradient,) = gradients(lambda s: ops.where(x > 0, s / x.astype(np.float32), 0.0), 2.0)
    assert gradient == 1.75
    denominator = np.array([0.0, 2.0])
    (gradient,) = gradients(lambda d: ops.where(d != 0.0, ops.ones((3, 1)) / d, 0.0), denominator)
    np.testing.assert_allclose(gradient, [0.0, -0.75])


def test_infinite_derivatives_of_the_branch_that_is_taken_stay():
    (gradient,) = gradients(lambda x: ops.where(x >= 0.0, ops.sqrt(x), 0.0), [0.0, 4.0])
    np.testing.assert_array_equal(gradient, [INF, 0.25])
    (gradient,) = gradients(lambda x: ops.where(x > -9.0, ops.log(x), 0.0), [-1.0, NAN])
    assert gradient[0] == -1.0 and gradient[1] == 0.0


def steps_of_gradients(loss):
    """The steps of the gradient of a small network's loss with respect to its input."""
    cnnrs.utils.set_random_seed(1)
    hidden = [layers.Dense(8), layers.Dropout(0.5), layers.ELU(), layers.Dense(1)]
    model = cnnrs.Sequential([cnnrs.Input((4,)), *hidden])
    with _core.Trace() as trace:
        x, y = trace.placeholder([2, 4], "float32"), trace.placeholder([2, 1], "float32")
        with cnnrs.GradientTape() as tape:
            tape.watch(x)
            total = loss(y, model(ops.sin(x) * x, training=True))
        return trace.compile([tape.gradient(total, x)]).describe()


def test_losses_and_layers_put_no_network_into_a_branch():
    """The guard costs four ops for each product: networks pay for a `where` of their program's own alone."""
    for loss in (losses.Huber(), losses.MeanSquaredError(), losses.BinaryCrossentropy(from_logits=True)):
        assert "isfinite" not in steps_of_gradients(loss), loss.name
        weighted = type(loss)(reduction="mean_with_sample_weight")
        told = steps_of_gradients(lambda y, p, f=weighted: f(y, p, sample_weight=ops.ones((2,))))
        assert "isfinite" not in told, loss.name
    told = steps_of_gradients(lambda y, p: ops.sum(ops.where(y > 0, ops.square(p), 0.0)))
    assert "isfinite" in told


def test_second_derivatives_where_the_first_are_zero():
    """A gradient that happens to be 0 is no branch that was not taken: d² log(x)² at 1 is 2."""
    for function in (
        lambda x: ops.square(ops.log(x)),
        lambda x: ops.where(x > 0.0, ops.square(ops.log(x)), 0.0),
    ):
        (second,) = gradients(
            lambda x, f=function: cnnrs.grad(lambda v: ops.sum(f(v)))(x), np.array([1.0, 2.0])
        )
        np.testing.assert_allclose(second, [2.0, (2 - 2 * math.log(2)) / 4], rtol=1e-5)


_ORDERS = [None, 0.5, 1, 2, 3, -1, INF, -INF]


@pytest.mark.parametrize("order", _ORDERS)
def test_gradients_of_norms(order):
    rows = np.array([[0.0, 0.0, 0.0], [0.0, 3.0, -4.0], [1.0, -2.0, 2.5]])
    (gradient,) = gradients(lambda x: ops.norm(x, order, axis=1), rows)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[0], [0.0, 0.0, 0.0])
    exact = np.zeros(3)
    for i in range(3):
        # Central differences, of a row that has no 0.
        step = np.zeros(3)
        step[i] = 1e-6
        exact[i] = (np.linalg.norm(rows[2] + step, order) - np.linalg.norm(rows[2] - step, order)) / 2e-6
    np.testing.assert_allclose(gradient[2], exact, rtol=1e-4, atol=1e-6)
    if order in (None, 2, 3):
        p = order or 2
        size = np.linalg.norm(rows[1], p)
        np.testing.assert_allclose(
            gradient[1], np.sign(rows[1]) * (np.abs(rows[1]) / size) ** (p - 1), rtol=1e-5
        )


_OF_ZERO = {
    "norm": lambda x: ops.norm(x),
    "frobenius": lambda x: ops.norm(ops.reshape(x, (2, 2)), "fro"),
    "clipped": lambda x: ops.minimum(ops.norm(x), 1.0),
    "std": lambda x: ops.std(x),
    "std of equals": lambda x: ops.std(x + 3.0),
    "hypot": lambda x: ops.hypot(x, x),
    "normalize": lambda x: ops.sum(ops.normalize(x)) * 0.0,
    "normalize of order 3": lambda x: ops.normalize(x, order=3) * 0.0,
    "unit norm": lambda x: layers.UnitNormalization()(ops.reshape(x, (1, 4))) * 0.0,
    "abs": ops.abs,
    "layer norm": lambda x: ops.sum(layers.LayerNormalization()(ops.reshape(x, (1, 4)))),
    "cosine": lambda x: losses.cosine_similarity(np.ones((1, 4)), ops.reshape(x, (1, 4))) * 0.0,
}


@pytest.mark.parametrize("name", _OF_ZERO)
def test_at_zero_nothing_is_nan(name):
    (gradient,) = gradients(_OF_ZERO[name], np.zeros(4))
    np.testing.assert_array_equal(gradient, np.zeros(4))


def test_powers_of_zero_and_to_the_zero():
    base = np.array([0.0, 0.0, 0.0, 0.0, 2.0, -2.0, -2.0, INF])
    exponent = np.array([0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 3.0, 0.0])
    by_base, by_exponent = gradients(ops.power, base, exponent)
    np.testing.assert_array_equal(by_base, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 12.0, 0.0])
    np.testing.assert_allclose(by_exponent[:7], [0.0, 0.0, 0.0, 0.0, math.log(2), 0.0, 0.0], rtol=1e-6)
    for number, expected in ((0, 0.0), (0.0, 0.0), (1, 1.0), (2, 0.0), (0.5, INF)):
        (gradient,) = gradients(lambda x, n=number: x**n, [0.0])
        assert gradient[0] == expected
    (gradient,) = gradients(lambda x: 0.0**x, [0.0, 1.0])
    np.testing.assert_array_equal(gradient, [0.0, 0.0])


_PAIRS = [(0.0, 0.0), (3.0, 3.0), (1e30, 1e30), (-INF, -INF), (INF, INF), (-INF, 1.0), (1.0, INF), (2.0, 1.0)]


@pytest.mark.parametrize("a, b", _PAIRS)
def test_what_is_equal_shares_the_gradient(a, b):
    first, second = (g[0] for g in gradients(ops.logaddexp, [a], [b]))
    share = 0.5 if a == b else 1 / (1 + math.exp(b - a))
    assert first == pytest.approx(share, rel=1e-6) and second == pytest.approx(1 - share, rel=1e-6, abs=1e-7)
    value = float(ops.logaddexp(a, b))
    assert value == pytest.approx(np.logaddexp(np.float32(a), np.float32(b)), rel=1e-6)


@pytest.mark.parametrize(
    "row", [[0.0, 0.0, 0.0], [-INF, -INF, -INF], [-INF, 2.0, 2.0], [1e30, 1e30, -1e30]], ids=str
)
def test_logsumexp_shares_the_gradient(row):
    (gradient,) = gradients(lambda x: ops.logsumexp(x, axis=-1), [row])
    top = np.equal(row, max(row))
    np.testing.assert_allclose(gradient[0], top / top.sum(), rtol=1e-6)
    (gradient,) = gradients(lambda x: ops.max(x, axis=-1), [row])
    np.testing.assert_allclose(gradient[0], top / top.sum(), rtol=1e-6)


SUBNORMAL = np.float32(1e-40)


def test_all_functions_agree_on_what_counts_as_zero():
    """Subnormal numbers are 0, wherever numbers are looked at: see docs/keras.md."""
    x = ops.array(np.array([SUBNORMAL, -SUBNORMAL, 0.0], np.float32))
    zero = np.zeros(3)
    for result, expected in (
        (x == 0.0, [True] * 3),
        (x != 0.0, [False] * 3),
        (x > 0.0, [False] * 3),
        (x < 0.0, [False] * 3),
        (x >= 0.0, [True] * 3),
        (ops.sign(x), zero),
        (ops.relu(x), zero),
        (ops.cast(x, "bool"), [False] * 3),
        (ops.logical_not(x), [True] * 3),
        (ops.logical_or(x, x), [False] * 3),
        (ops.where(x, 1.0, 0.0), zero),
        (ops.isclose(x, 0.0, rtol=0.0, atol=0.0), [True] * 3),
        (ops.divide_no_nan(1.0, x), zero),
    ):
        np.testing.assert_array_equal(result.numpy(), expected)
    assert int(ops.count_nonzero(x)) == 0 and not bool(ops.any(x))
    for row in ([0.0, SUBNORMAL], [SUBNORMAL, 0.0], [-SUBNORMAL, SUBNORMAL]):
        # Ties go to the first.
        assert int(ops.argmax(np.array(row, np.float32))) == int(ops.argmin(np.array(row, np.float32))) == 0
    least = np.finfo(np.float32).tiny
    assert int(ops.argmax(np.array([0.0, least], np.float32))) == 1 and bool(ops.array(least) > 0.0)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_has_the_gradient_of_a_step_at_huge_numbers(approximate):
    x = np.array([9.9, 10.0, 10.1, 40.0, 1e10, 1e30, 3e38], np.float32)
    (high,) = gradients(lambda x: ops.gelu(x, approximate=approximate), x)
    (low,) = gradients(lambda x: ops.gelu(x, approximate=approximate), -x)
    np.testing.assert_allclose(high, 1, rtol=1e-6)
    np.testing.assert_allclose(low, 0, atol=1e-12)


def test_gelu_by_tanh_keeps_its_values_and_derivatives():
    x = np.linspace(-12, 12, 2001)
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    value = 0.5 * x * (1 + np.tanh(u))
    derivative = 0.5 * (1 + np.tanh(u)) + 0.5 * x * slope / np.cosh(u) ** 2
    np.testing.assert_allclose(ops.gelu(x.astype(np.float32), approximate=True), value, rtol=1e-5, atol=2e-6)
    (got,) = gradients(lambda x: ops.gelu(x, approximate=True), x)
    np.testing.assert_allclose(got, derivative, rtol=1e-5, atol=2e-6)
    assert np.isnan(np.asarray(ops.gelu(np.array([NAN], np.float32), approximate=True))).all()
