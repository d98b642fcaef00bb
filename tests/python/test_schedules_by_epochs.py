"""Schedules that rise first, and that `fit` tells how long epochs are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import optimizers
from cnnrs.optimizers import schedules

X, Y = np.ones((40, 2), "float32"), np.ones((40, 1), "float32")


def rates(schedule: Any, steps: int) -> list[float]:
    return [float(schedule(step)) for step in range(steps)]


class Told(cnnrs.callbacks.Callback):
    """The learning rate before each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.rates.append(float(np.asarray(self.model.optimizer.learning_rate)))


def fitted(schedule: Any, **kwargs: Any) -> list[float]:
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    model.compile(optimizers.SGD(schedule), "mse")
    told = Told()
    model.fit(X, Y, verbose=0, callbacks=[told], **{"batch_size": 10, **kwargs})
    return told.rates


def cosine(step: float, peak: float, total: float, warmup: float, least: float = 0.0) -> float:
    if step < warmup:
        return peak * step / warmup
    return least + (peak - least) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def test_warmup_cosine_takes_epochs_and_steps_from_fit() -> None:
    expected = [cosine(t, 0.2, 20, 4, 0.01) for t in range(20)]
    bound = fitted(schedules.WarmupCosine(0.2, warmup_epochs=1, eta_min=0.01), epochs=5)
    np.testing.assert_allclose(bound, expected, rtol=1e-5, atol=1e-7)
    given = schedules.WarmupCosine(0.2, 5, 1, 0.01, steps_per_epoch=4)
    np.testing.assert_allclose(rates(given, 20), expected, rtol=1e-5, atol=1e-7)
    assert float(given(99)) == pytest.approx(0.01)


def test_fit_on_other_data_binds_again() -> None:
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    model.compile(optimizers.SGD(schedules.WarmupCosine(0.2)), "mse")
    for batch_size, steps in ((10, 4), (20, 2)):
        told = Told()
        model.optimizer.iterations.assign(0)
        model.fit(X, Y, batch_size=batch_size, epochs=3, verbose=0, callbacks=[told])
        expected = [cosine(t, 0.2, 3 * steps, 0) for t in range(3 * steps)]
        np.testing.assert_allclose(told.rates, expected, rtol=1e-5, atol=1e-7)


def test_a_bound_schedule_moves_the_weights_of_a_recorded_step() -> None:
    w = []
    for schedule in (schedules.WarmupCosine(0.1), schedules.WarmupCosine(0.1, 3, steps_per_epoch=4)):
        cnnrs.utils.set_random_seed(0)
        model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
        model.compile(optimizers.SGD(schedule), "mse")
        model.fit(X, Y, batch_size=10, epochs=3, verbose=0)
        w.append(model.get_weights())
    np.testing.assert_array_equal(w[0][0], w[1][0])


def test_accumulated_gradients_count_updates() -> None:
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    model.compile(optimizers.SGD(schedules.WarmupCosine(0.2), gradient_accumulation_steps=2), "mse")
    model.fit(X, Y, batch_size=10, epochs=3, verbose=0)
    assert int(model.optimizer.iterations) == 6
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0, abs=1e-8)


# What torch.optim.lr_scheduler.OneCycleLR of PyTorch 2 gives with a highest rate of 2 in 12 steps.
ONE_CYCLE = [
    (
        {},
        "0.08 0.6995793 1.7585703 1.9888309 1.8660259 1.6234913 1.294758 0.9252742 0.566122 0.2669551 "
        "0.069134 8e-06",
    ),
    (
        {"three_phase": True},
        "0.08 0.6995793 1.7585703 1.8900378 0.9242848 0.1078959 0.0763034 0.0624492 0.0421693 0.0212695 "
        "0.0057331 8e-06",
    ),
    (
        {"anneal": "linear", "pct_start": 0.4, "div_factor": 10, "final_div_factor": 100},
        "0.2 0.6736842 1.1473684 1.6210526 1.9445 1.667 1.3895 1.112 0.8345 0.557 0.2795 0.002",
    ),
]


@pytest.mark.parametrize(("arguments", "expected"), ONE_CYCLE)
def test_one_cycle_has_the_rates_of_pytorch(arguments: Any, expected: str) -> None:
    values = [float(v) for v in expected.split()]
    found = rates(schedules.OneCycle(2.0, total_steps=12, **arguments), 12)
    np.testing.assert_allclose(found, values, rtol=1e-5, atol=2e-7)
    by_epochs = fitted(schedules.OneCycle(2.0, **arguments), epochs=3)
    np.testing.assert_allclose(by_epochs, values, rtol=1e-5, atol=2e-7)


def test_warmup_around_a_schedule() -> None:
    inner = schedules.ExponentialDecay(0.1, 10, 0.5)
    around = schedules.LinearWarmup(inner, warmup_steps=5, warmup_start=0.05)
    expected = [0.05 + 0.05 * t / 5 for t in range(5)] + [0.1 * 0.5 ** (t / 10) for t in range(10)]
    np.testing.assert_allclose(rates(around, 15), expected, rtol=1e-5)
    left = fitted(schedules.LinearWarmup(schedules.WarmupCosine(0.1), warmup_epochs=2), epochs=5)
    expected = [0.1 * t / 8 for t in range(8)] + [cosine(t, 0.1, 12, 0) for t in range(12)]
    np.testing.assert_allclose(left, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(rates(schedules.LinearWarmup(0.2, warmup_steps=2), 4), [0.0, 0.1, 0.2, 0.2])


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.WarmupCosine(0.1, warmup_epochs=1),
        schedules.WarmupCosine(0.1, 7, 2, 0.01, 0.02, 30),
        schedules.OneCycle(1.0, 4, pct_start=0.2, anneal="linear"),
        schedules.LinearWarmup(schedules.CosineDecay(0.1, 9), warmup_epochs=0.5, steps_per_epoch=8),
        schedules.LinearWarmup(0.3, warmup_steps=4),
    ],
)
def test_configs(schedule: Any) -> None:
    again = schedules.deserialize(schedules.serialize(schedule))
    assert again.get_config() == schedule.get_config()
    optimizer = optimizers.deserialize(optimizers.serialize(optimizers.Adam(schedule)))
    assert optimizer._schedule.get_config() == schedule.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.WarmupCosine(0.1, 5, 5), "warmup_epochs.*ends before it begins.*received 5"),
        (lambda: schedules.WarmupCosine(0.1, 5, 1, eta_min=0.2), "eta_min"),
        (lambda: fitted(schedules.WarmupCosine(0.1, warmup_epochs=3), epochs=3), "less than the 3 epochs"),
        (lambda: schedules.WarmupCosine(0.1)(0), "steps_per_epoch|epochs: expected a number, received None"),
        (lambda: schedules.OneCycle(1.0, total_steps=3), "ends before it begins"),
        (lambda: fitted(schedules.OneCycle(1.0), epochs=1, batch_size=40), "ends before it begins"),
        (lambda: schedules.OneCycle(1.0, 2, total_steps=3), "expected total_steps, or epochs"),
        (lambda: schedules.OneCycle(1.0, anneal="cos"), "anneal"),
        (lambda: schedules.OneCycle(1.0, pct_start=0.7, three_phase=True), "pct_start"),
        (lambda: schedules.LinearWarmup(0.1), "expected one of warmup_steps and warmup_epochs"),
        (lambda: schedules.LinearWarmup("fast", warmup_steps=1), "schedule"),
        (lambda: schedules.CosineDecay(0.1, 0), "decay_steps"),
        (lambda: schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=-1), "warmup_steps"),
        (lambda: schedules.PiecewiseConstantDecay([5, 5], [1.0, 0.5, 0.1]), "boundaries"),
    ],
)
def test_schedules_that_end_before_they_begin(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_data_of_unknown_length_need_steps() -> None:
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    model.compile(optimizers.SGD(schedules.WarmupCosine(0.1)), "mse")
    batches = ((X, Y) for _ in range(3))
    with pytest.raises(ValueError, match="steps_per_epoch: expected a number"):
        model.fit(batches, verbose=0)


@pytest.mark.parametrize("wrap", [lambda o: o, optimizers.Lookahead, optimizers.SAM])
def test_each_fit_begins_a_schedule_anew(wrap: Any) -> None:
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    model.compile(wrap(optimizers.SGD(schedules.WarmupCosine(0.2))), "mse")
    expected = [cosine(t, 0.2, 12, 0) for t in range(12)]
    for epochs in ((0, 3), (0, 3), (0, 2), (2, 3)):
        told = Told()
        model.fit(X, Y, 10, initial_epoch=epochs[0], epochs=epochs[1], verbose=0, callbacks=[told])
        if epochs[1] == 2:
            np.testing.assert_allclose(told.rates, [cosine(t, 0.2, 8, 0) for t in range(8)], atol=1e-7)
        else:
            np.testing.assert_allclose(told.rates, expected[4 * epochs[0] :], rtol=1e-5, atol=1e-7)


def test_each_fit_moves_the_weights_and_begins_schedules_of_groups() -> None:
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    group = optimizers.ParameterGroup("kernel", learning_rate=schedules.OneCycle(0.05))
    model.compile(optimizers.SGD(schedules.OneCycle(0.05), parameter_groups=[group]), "mse")
    for target in (1.0, 2.0, 3.0):
        before = model.get_weights()
        model.fit(X, target * Y, batch_size=10, epochs=5, verbose=0)
        assert all(abs(a - b).max() > 0.01 for a, b in zip(before, model.get_weights(), strict=True))


def test_a_schedule_that_says_its_length_goes_on() -> None:
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    model.compile(optimizers.SGD(schedules.WarmupCosine(0.2, 3, steps_per_epoch=4)), "mse")
    for first in (0, 8):
        told = Told()
        model.fit(X, Y, batch_size=10, epochs=2, verbose=0, callbacks=[told])
        expected = [cosine(min(first + t, 12), 0.2, 12, 0) for t in range(8)]
        np.testing.assert_allclose(told.rates, expected, rtol=1e-5, atol=1e-7)


class Stop(cnnrs.callbacks.Callback):
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == (1, 2):
            raise KeyboardInterrupt


@pytest.mark.parametrize("other_process", [False, True])
@pytest.mark.parametrize("save_freq", ["epoch", 2])
def test_a_second_fit_that_is_interrupted_goes_on(tmp_path: Any, other_process: bool, save_freq: Any) -> None:
    def made() -> Any:
        cnnrs.utils.set_random_seed(0)
        model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
        model.compile(optimizers.SGD(schedules.OneCycle(0.05)), "mse")
        return model

    def fit(model: Any, *others: Any) -> None:
        model.fit(X, 2 * Y, batch_size=10, epochs=3, verbose=0, callbacks=[*others])

    def backup() -> Any:
        return cnnrs.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=save_freq)

    whole, first = made(), made()
    for model in (whole, first):
        model.fit(X, Y, batch_size=10, epochs=3, verbose=0)
    fit(whole)
    with pytest.raises(KeyboardInterrupt):
        fit(first, backup(), Stop())
    second = made() if other_process else first
    fit(second, backup())
    for a, b in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("suffix", ["keras", "safetensors", "h5"])
@pytest.mark.parametrize("wrap", [lambda inner: inner, optimizers.Lookahead, optimizers.LossScaleOptimizer])
def test_files_know_when_a_schedule_began(suffix: str, wrap: Any, tmp_path: Path) -> None:
    def train(model: Any, **kwargs: Any) -> list[float]:
        told = Told()
        model.fit(X, Y, batch_size=10, verbose=0, shuffle=False, callbacks=[told], **kwargs)
        return told.rates

    cnnrs.utils.set_random_seed(0)
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    schedule = schedules.WarmupCosine(0.1, warmup_epochs=1)
    model.compile(wrap(optimizers.Adam(schedule)), "mse")
    train(model, epochs=2)
    # The second training begins at update 8, and stops in its middle.
    first = train(model, epochs=2)
    np.testing.assert_allclose(first, [cosine(t, 0.1, 8, 4) for t in range(8)], rtol=1e-5, atol=1e-7)
    model.save(tmp_path / f"model.{suffix}")
    loaded = cnnrs.models.load_model(tmp_path / f"model.{suffix}")
    assert loaded.optimizer.began() == model.optimizer.began() == [8]
    again = train(loaded, epochs=4, initial_epoch=2)
    assert again == train(model, epochs=4, initial_epoch=2)
    np.testing.assert_allclose(again, [cosine(t, 0.1, 16, 4) for t in range(8, 16)], rtol=1e-5, atol=1e-7)
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_schedules_that_fit_fills_in_keep_their_beginning() -> None:
    def names(optimizer: Any) -> list[str]:
        return [variable.name for variable in optimizer.variables]

    whole = schedules.WarmupCosine(0.1, 3, steps_per_epoch=4)
    assert names(optimizers.SGD(0.1)) == ["iteration", "learning_rate"]
    assert names(optimizers.SGD(whole)) == ["iteration"]
    optimizer = optimizers.SGD(schedules.WarmupCosine(0.1))
    assert names(optimizer) == ["iteration", "schedule_start"]
    optimizer.fix_rate()
    assert names(optimizer) == ["iteration", "learning_rate"]
    optimizer.learning_rate = schedules.WarmupCosine(0.1)
    assert names(optimizer) == ["iteration", "schedule_start"]
    optimizer.learning_rate = whole
    assert names(optimizer) == ["iteration"]
