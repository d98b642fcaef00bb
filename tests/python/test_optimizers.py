"""Optimizers and schedules against numpy re-statements of Keras's update rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import optimizers
from cnnrs.optimizers import schedules

RANDOM = np.random.default_rng(3)
START = [RANDOM.normal(size=(3, 4)), RANDOM.normal(size=(4,))]
GRADIENTS = [[RANDOM.normal(size=w.shape) for w in START] for _ in range(6)]
Rule = Callable[[np.ndarray, np.ndarray, dict[str, Any], int, float], np.ndarray]


def run(optimizer: Any, gradients: Any = GRADIENTS, start: Any = START) -> list[np.ndarray]:
    variables = [cnnrs.Variable(w.astype(np.float32)) for w in start]
    for step in gradients:
        optimizer.apply([g.astype(np.float32) for g in step], variables)
    return [v.numpy() for v in variables]


def restate(rule: Rule, rate: Any, gradients: Any = GRADIENTS, start: Any = START, decay: float = 0.0) -> Any:
    """`rule(w, g, slots, t, rate)` gives the new weight; slots of 0 are made when first read."""
    weights = [w.copy() for w in start]
    slots: list[Any] = [Slots() for _ in weights]
    for t, step in enumerate(gradients, 1):
        eta = rate(t - 1) if callable(rate) else rate
        for i, g in enumerate(step):
            w = weights[i] - weights[i] * decay * eta
            weights[i] = rule(w, g, slots[i], t, eta)
    return weights


class Slots(dict):
    def __missing__(self, key: str) -> float:
        return 0.0


def sgd(momentum: float = 0.0, nesterov: bool = False) -> Rule:
    def rule(w, g, s, t, rate):
        s["m"] = momentum * s["m"] - rate * g
        return w + (momentum * s["m"] - rate * g if nesterov else s["m"])

    return rule


def adam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-7, amsgrad: bool = False) -> Rule:
    def rule(w, g, s, t, rate):
        s["m"] = s["m"] + (g - s["m"]) * (1 - b1)
        s["v"] = s["v"] + (g * g - s["v"]) * (1 - b2)
        second = s["v"]
        if amsgrad:
            second = s["h"] = np.maximum(s["h"], s["v"])
        alpha = rate * math.sqrt(1 - b2**t) / (1 - b1**t)
        return w - alpha * s["m"] / (np.sqrt(second) + eps)

    return rule


def rmsprop(rho: float = 0.9, momentum: float = 0.0, eps: float = 1e-7, centered: bool = False) -> Rule:
    def rule(w, g, s, t, rate):
        s["v"] = rho * s["v"] + (1 - rho) * g * g
        scale = s["v"]
        if centered:
            s["a"] = rho * s["a"] + (1 - rho) * g
            scale = scale - s["a"] ** 2
        s["m"] = momentum * s["m"] + rate * g / np.sqrt(scale + eps)
        return w - s["m"]

    return rule


def adagrad(w, g, s, t, rate):
    s["a"] = (s["a"] if t > 1 else 0.1) + g * g
    return w - rate * g / np.sqrt(s["a"] + 1e-7)


def adadelta(w, g, s, t, rate):
    s["a"] = 0.95 * s["a"] + 0.05 * g * g
    delta = -np.sqrt(s["d"] + 1e-7) * g / np.sqrt(s["a"] + 1e-7)
    s["d"] = 0.95 * s["d"] + 0.05 * delta * delta
    return w + rate * delta


def adamax(w, g, s, t, rate):
    s["m"] = s["m"] + (g - s["m"]) * 0.1
    s["u"] = np.maximum(0.999 * s["u"], np.abs(g))
    return w - rate * s["m"] / ((1 - 0.9**t) * (s["u"] + 1e-7))


def nadam(w, g, s, t, rate):
    u = 0.9 * (1 - 0.5 * 0.96**t)
    u_next = 0.9 * (1 - 0.5 * 0.96 ** (t + 1))
    s["p"] = (s["p"] if t > 1 else 1.0) * u
    s["m"] = s["m"] + (g - s["m"]) * 0.1
    s["v"] = s["v"] + (g * g - s["v"]) * 0.001
    m_hat = u_next * s["m"] / (1 - s["p"] * u_next) + (1 - u) * g / (1 - s["p"])
    return w - rate * m_hat / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-7)


def lion(w, g, s, t, rate):
    w = w - rate * np.sign(0.9 * s["m"] + 0.1 * g)
    s["m"] = 0.99 * s["m"] + 0.01 * g
    return w


CASES = [
    ("SGD", {}, sgd(), 0.0),
    ("SGD", {"momentum": 0.9}, sgd(0.9), 0.0),
    ("SGD", {"momentum": 0.9, "nesterov": True}, sgd(0.9, True), 0.0),
    ("SGD", {"momentum": 0.5, "weight_decay": 0.1}, sgd(0.5), 0.1),
    ("Adam", {}, adam(), 0.0),
    ("Adam", {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 0.1}, adam(0.8, 0.9, 0.1), 0.0),
    ("Adam", {"amsgrad": True, "beta_2": 0.5}, adam(b2=0.5, amsgrad=True), 0.0),
    ("Adam", {"weight_decay": 0.2}, adam(), 0.2),
    ("AdamW", {}, adam(), 0.004),
    ("RMSprop", {}, rmsprop(), 0.0),
    ("RMSprop", {"rho": 0.7, "momentum": 0.6}, rmsprop(0.7, 0.6), 0.0),
    ("RMSprop", {"centered": True}, rmsprop(centered=True), 0.0),
    ("Adagrad", {}, adagrad, 0.0),
    ("Adadelta", {}, adadelta, 0.0),
    ("Adamax", {}, adamax, 0.0),
    ("Nadam", {}, nadam, 0.0),
    ("Lion", {}, lion, 0.0),
]


@pytest.mark.parametrize(("name", "arguments", "rule", "decay"), CASES)
def test_update_rule(name, arguments, rule, decay):
    optimizer = getattr(optimizers, name)(0.05, **arguments)
    for actual, expected in zip(run(optimizer), restate(rule, 0.05, decay=decay), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6)
    assert int(optimizer.iterations) == len(GRADIENTS)
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()
    for a, b in zip(run(again), run(getattr(optimizers, name)(0.05, **arguments)), strict=True):
        np.testing.assert_array_equal(a, b)


def clipped(kind: str, limit: float) -> Any:
    def norm(arrays):
        return math.sqrt(sum(float((a**2).sum()) for a in arrays))

    steps = []
    for step in GRADIENTS:
        if kind == "clipvalue":
            steps.append([np.clip(g, -limit, limit) for g in step])
        elif kind == "clipnorm":
            steps.append([g * min(1.0, limit / norm([g])) for g in step])
        else:
            steps.append([g * min(1.0, limit / norm(step)) for g in step])
    return steps


@pytest.mark.parametrize("kind", ["clipvalue", "clipnorm", "global_clipnorm"])
@pytest.mark.parametrize("limit", [0.3, 100.0])
def test_clipping(kind, limit):
    actual = run(optimizers.SGD(0.1, momentum=0.9, **{kind: limit}))
    for a, b in zip(actual, restate(sgd(0.9), 0.1, clipped(kind, limit)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_accumulated_gradients_are_averaged(name):
    rule = {"SGD": sgd(0.9), "Adam": adam()}[name]
    arguments = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(optimizers, name)(0.1, gradient_accumulation_steps=2, **arguments)
    means = [
        [(a + b) / 2 for a, b in zip(*pair, strict=True)]
        for pair in zip(GRADIENTS[::2], GRADIENTS[1::2], strict=True)
    ]
    for a, b in zip(run(optimizer), restate(rule, 0.1, means), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    between = run(getattr(optimizers, name)(0.1, gradient_accumulation_steps=2, **arguments), GRADIENTS[:3])
    for a, b in zip(between, restate(rule, 0.1, means[:1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_accumulation_counts_updates_for_schedules():
    """A schedule sees updates, not batches, as in Keras."""
    rate = schedules.ExponentialDecay(0.1, 1, 0.5)
    optimizer = optimizers.SGD(rate, gradient_accumulation_steps=2)
    means = [
        [(a + b) / 2 for a, b in zip(*pair, strict=True)]
        for pair in zip(GRADIENTS[::2], GRADIENTS[1::2], strict=True)
    ]
    for a, b in zip(run(optimizer), restate(sgd(), lambda t: 0.1 * 0.5**t, means), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_moving_average_of_weights():
    optimizer = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8)
    variables = [cnnrs.Variable(w.astype(np.float32)) for w in START]
    weights, averages = [w.copy() for w in START], [None, None]
    for step in GRADIENTS:
        optimizer.apply([g.astype(np.float32) for g in step], variables)
        for i, g in enumerate(step):
            weights[i] = weights[i] - 0.1 * g
            old = averages[i]
            averages[i] = weights[i] if old is None else 0.8 * old + 0.2 * weights[i]
    for v, w in zip(variables, weights, strict=True):
        np.testing.assert_allclose(v.numpy(), w, rtol=1e-5, atol=1e-6)
    optimizer.finalize_variable_values(variables)
    for v, a in zip(variables, averages, strict=True):
        np.testing.assert_allclose(v.numpy(), a, rtol=1e-5, atol=1e-6)


def test_weight_decay_spares_what_is_excluded():
    optimizer = optimizers.SGD(0.1, weight_decay=0.5)
    kernel, bias = cnnrs.Variable(np.ones(2), name="kernel"), cnnrs.Variable(np.ones(2), name="bias")
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([np.zeros(2), np.zeros(2)], [kernel, bias])
    assert kernel.numpy().tolist() == pytest.approx([0.95, 0.95])
    assert bias.numpy().tolist() == [1.0, 1.0]


def test_constraints_are_applied_after_the_update():
    variable = cnnrs.Variable(np.array([0.5, 2.0]))
    variable.constraint = cnnrs.constraints.NonNeg()
    optimizers.SGD(1.0).apply([np.array([1.0, 1.0])], [variable])
    assert variable.numpy().tolist() == [0.0, 1.0]


def test_rate_changes_without_a_new_plan():
    optimizer = optimizers.SGD(0.1)
    variable = cnnrs.Variable(np.zeros(1))

    @cnnrs.function
    def step(g):
        optimizer.apply([g], [variable])
        return variable.value

    optimizer.build([variable])
    assert float(step(np.ones(1))[0]) == pytest.approx(-0.1)
    optimizer.learning_rate = 1.0
    assert float(step(np.ones(1))[0]) == pytest.approx(-1.1)
    assert step.traces == 1


def test_a_variable_without_a_gradient_stays():
    a, b = cnnrs.Variable(np.ones(1)), cnnrs.Variable(np.ones(1))
    optimizers.SGD(1.0).apply_gradients([(None, a), (np.ones(1), b)])
    assert (float(a[0]), float(b[0])) == (1.0, 0.0)


def test_no_subnormal_moments_remain():
    # They are slow to compute with.
    optimizer = optimizers.Adam(beta_2=0.5)
    variable = cnnrs.Variable(np.ones(64, np.float32))
    optimizer.apply([np.linspace(-1, 1, 64, dtype=np.float32)], [variable])
    moments = [v for v in optimizer.variables if v.shape == (64,)]
    assert len(moments) == 2 and all(np.any(m.numpy()) for m in moments)
    for _ in range(900):
        optimizer.apply([np.zeros(64, np.float32)], [variable])
    for moment in moments:
        size = np.abs(moment.numpy())
        assert size.max() < 1e-36
        assert np.all((size == 0) | (size >= np.finfo(np.float32).tiny))


def test_state_survives_saving():
    first, second = optimizers.Adam(0.1), optimizers.Adam(0.1)
    run(first)
    store: dict[str, np.ndarray] = {}
    first.save_own_variables(store)
    second.build([cnnrs.Variable(w.astype(np.float32)) for w in START])
    second.load_own_variables(store)
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


SCHEDULES: list[tuple[Any, Callable[[int], float]]] = [
    (schedules.ExponentialDecay(0.1, 5, 0.5), lambda t: 0.1 * 0.5 ** (t / 5)),
    (schedules.ExponentialDecay(0.1, 5, 0.5, staircase=True), lambda t: 0.1 * 0.5 ** (t // 5)),
    (schedules.InverseTimeDecay(0.1, 5, 0.5), lambda t: 0.1 / (1 + 0.5 * t / 5)),
    (
        schedules.PiecewiseConstantDecay([3, 7], [1.0, 0.5, 0.1]),
        lambda t: 1.0 if t <= 3 else 0.5 if t <= 7 else 0.1,
    ),
    (
        schedules.PolynomialDecay(0.1, 8, 0.01, 2.0),
        lambda t: (0.1 - 0.01) * (1 - min(t, 8) / 8) ** 2 + 0.01,
    ),
    (
        schedules.CosineDecay(0.1, 8, 0.1),
        lambda t: 0.1 * (0.9 * 0.5 * (1 + math.cos(math.pi * min(t, 8) / 8)) + 0.1),
    ),
    (
        schedules.CosineDecay(0.0, 8, warmup_target=0.2, warmup_steps=4),
        lambda t: 0.2 * t / 4 if t < 4 else 0.1 * (1 + math.cos(math.pi * min(t - 4, 8) / 8)),
    ),
]


@pytest.mark.parametrize(("schedule", "expected"), SCHEDULES)
def test_schedule(schedule, expected):
    for step in range(15):
        assert float(schedule(step)) == pytest.approx(expected(step), rel=1e-5, abs=1e-8)
    again = schedules.deserialize(schedules.serialize(schedule))
    assert again.get_config() == schedule.get_config()
    for a, b in zip(run(optimizers.SGD(schedule)), restate(sgd(), expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optimizers.get("adm"), ValueError, "did you mean 'adam'"),
        (lambda: optimizers.Adam(lr=0.1), TypeError, "lr.*did you mean|'lr'"),
        (lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0), ValueError, "one of clipnorm"),
        (lambda: optimizers.SGD(clipnorm=-1.0), ValueError, "clipnorm.*-1"),
        (lambda: optimizers.SGD(loss_scale_factor=0.0), ValueError, "loss_scale_factor.*0.0"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), ValueError, "gradient_accumulation_steps"),
        (lambda: optimizers.SGD(momentum=1.5), ValueError, "momentum.*1.5"),
        (lambda: optimizers.SGD().apply([None], [cnnrs.Variable(1.0)]), ValueError, "gradient"),
        (
            lambda: optimizers.SGD().apply([1.0, 2.0], [cnnrs.Variable(1.0)]),
            ValueError,
            "expected 1.*received 2",
        ),
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), ValueError, "decay_steps"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_scheduled_rate_cannot_be_set():
    optimizer = optimizers.SGD(schedules.ExponentialDecay(0.1, 5, 0.5))
    with pytest.raises(TypeError, match="schedule"):
        optimizer.learning_rate = 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(0.1, momentum=0.9),
        lambda: optimizers.Adam(0.1, amsgrad=True, use_ema=True),
        lambda: optimizers.RMSprop(0.1, momentum=0.5, centered=True, gradient_accumulation_steps=2),
        lambda: optimizers.Nadam(0.1),
        lambda: optimizers.Adadelta(0.1),
        lambda: optimizers.Adagrad(0.1),
        lambda: Twice(0.1),
    ],
)
def test_a_build_that_is_interrupted_can_be_repeated(make, monkeypatch):
    expected = make()
    result = run(expected)
    for n in range(1, 30):
        optimizer = make()
        left = [n]
        track = optimizers.Optimizer._track

        def interrupt(self, variable, left=left, track=track):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return track(self, variable)

        with monkeypatch.context() as patch:
            patch.setattr(optimizers.Optimizer, "_track", interrupt)
            try:
                run(optimizer)
            except KeyboardInterrupt:
                pass
            else:
                break
        assert not optimizer.built and len(optimizer.variables) == 2
        for again, once in zip(run(optimizer), result, strict=True):
            np.testing.assert_array_equal(again, once)
        assert [v.shape for v in optimizer.variables] == [v.shape for v in expected.variables]
    assert n == len(expected.variables) - 2 + 1


class Twice(optimizers.Adam):
    """A subclass of a subclass, written as Keras's are."""

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.seconds = self.add_optimizer_variables(variables, "second")


def test_build_happens_once():
    optimizer = Twice(0.1)
    variables = [cnnrs.Variable(w.astype(np.float32)) for w in START]
    optimizer.build(variables)
    count = len(optimizer.variables)
    optimizer.build(variables)
    assert optimizer.built and len(optimizer.variables) == count == 2 + 3 * 2
