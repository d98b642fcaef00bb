"""What `lr_find` suggests: on curves that are clean, noisy, flat, too short, and that diverge at once."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, optimizers
from cnnrs.training.loss_curve import LEAST_BATCHES, LossCurve
from cnnrs.training.lr_find import LearningRates, moderated


def rates(count: int) -> np.ndarray:
    """As `lr_find` tests them by default."""
    return 10.0 ** np.linspace(-6, 1, count)


def curve(count: int, depth: float = 1.0, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Losses of a test that begins at 2.3, falls by `depth` around 1e-3 and diverges from 0.3 on."""
    tested = rates(count)
    fall = depth / (1.0 + np.exp(-(np.log10(tested) + 3) / 0.3))
    losses = 2.3 - fall + 30 * np.maximum(0.0, tested / 0.3 - 1.0)
    losses = losses + noise * np.random.default_rng(seed).normal(size=count)
    # The test stops where the loss is four times the least one.
    diverged = np.flatnonzero(losses > 4 * 2.3)
    return losses[: diverged[0] + 1] if len(diverged) else losses


def found(losses: np.ndarray, count: int, **options: Any) -> LearningRates:
    return LearningRates.of(rates(count)[: len(losses)], losses, **options)


@pytest.mark.parametrize("count", [20, 30, 50, 100, 300])
def test_a_clean_curve(count: int) -> None:
    result = found(curve(count), count)
    assert result.problem == "" and result.fallback is None
    assert 3e-4 < result.steepest < 4e-3
    assert 1e-3 < result.minimum_over_ten < 0.1
    assert result.suggestion == min(result.steepest, result.minimum_over_ten)


@pytest.mark.parametrize("count", [20, 30, 50, 100, 300])
@pytest.mark.parametrize("noise", [0.05, 0.1, 0.2, 0.4])
def test_a_noisy_curve_gives_a_usable_rate_or_says_that_it_does_not(count: int, noise: float) -> None:
    """A rate is usable from a tenth of the steepest place on, up to where the loss diverges."""
    results = [found(curve(count, 1.0, noise, seed), count, fallback=0.01) for seed in range(100)]
    told = [r for r in results if not r.problem]
    usable = [5e-5 <= r.suggestion < 0.1 for r in told]
    assert sum(usable) >= 0.95 * len(told)
    assert all(r.suggestion == 0.01 for r in results if r.problem)
    if noise <= 0.1 or count >= 30 and noise <= 0.2 or count >= 50:
        assert len(told) >= 90


@pytest.mark.parametrize("count", [12, 20, 50, 100])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.3])
def test_losses_that_only_scatter_have_no_rate(count: int, noise: float) -> None:
    random = np.random.default_rng(1)
    results = [found(2.3 + noise * random.normal(size=count), count, fallback=0.02) for _ in range(200)]
    assert sum(r.problem != "" for r in results) >= (176 if count == 12 else 184 if count == 20 else 194)
    flat = next(r for r in results if r.problem)
    assert flat.steepest is flat.minimum_over_ten is None and flat.suggestion == 0.02
    assert flat.problem.startswith("the loss does not fall by more than it scatters")
    assert flat.problem.endswith("0.02 is the rate that the optimizer has") and flat.problem in repr(flat)
    alone = LearningRates.of(flat.learning_rates, flat.losses)
    assert alone.suggestion == pytest.approx(10**-2.5) and "geometric mean" in alone.problem


@pytest.mark.parametrize("last", [[], [float("inf")], [float("nan")]])
def test_losses_that_diverge_at_once(last: list[float]) -> None:
    losses = [2.3, 2.4, 9.0, 80.0, 3000.0, *last]
    result = LearningRates.of(rates(100)[: len(losses)], losses, fallback=0.01)
    start = rates(100)[2]
    assert result.suggestion == pytest.approx(start / 10) and result.steepest is None
    assert f"the loss rises from a rate of {start:.2g} on and does not fall before" in result.problem
    assert result.problem.endswith("a tenth of the rate from which on it rises")
    # A rate of the optimizer that is below stays.
    assert LearningRates.of(rates(100)[: len(losses)], losses, fallback=1e-9).suggestion == 1e-9


def test_a_flat_curve_that_diverges_bounds_the_optimizers_rate() -> None:
    losses = curve(60, depth=0.0, noise=0.02)
    result = found(losses, 60, fallback=5.0)
    assert 0.01 < result.suggestion < 0.06 and "rises from a rate of" in result.problem
    assert found(losses, 60, fallback=1e-3).suggestion == 1e-3


def test_a_few_batches_tell_nothing() -> None:
    few = LEAST_BATCHES - 1
    result = LearningRates.of(rates(few), np.linspace(3, 1, few), fallback=0.01)
    assert "9 batches are too few to tell a curve from noise, expected 10" in result.problem
    assert result.suggestion == 0.01


def test_the_first_and_the_last_batches_are_skipped() -> None:
    losses = curve(100)
    outliers = losses.copy()
    outliers[:4] = [9.0, 6.0, 0.1, 4.0]
    assert found(outliers, 100).suggestion == pytest.approx(found(losses, 100).suggestion, rel=0.5)
    falling = 3.0 - np.arange(100) / 100.0
    dip = falling.copy()
    dip[-3:] = -5.0
    assert LossCurve(rates(100), dip, is_exact=True).descent().lowest == 94


def test_the_moving_mean_takes_in_a_fifth_at_most() -> None:
    assert moderated(0.9, 100) == 0.9 and moderated(0.9, 20) == 0.75 and moderated(0.9, 4) == 0.0
    assert moderated(0.98, 100) == 0.95 and moderated(0.0, 100) == 0.0
    means = LearningRates.of([1.0, 2.0], [4.0, 2.0], smoothing=0.5).smoothed
    assert means == [4.0, 2.0]
    losses = np.arange(20.0)
    weights = 0.75 ** np.arange(20)[::-1]
    assert found(losses, 20).smoothed[-1] == pytest.approx(weights @ losses / weights.sum())


def model(optimizer: Any) -> Any:
    cnnrs.utils.set_random_seed(0)
    made = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3, activation="softmax")])
    made.compile(optimizer, "sparse_categorical_crossentropy")
    return made


X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
NOISE = np.random.default_rng(1).integers(0, 3, 64)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (lambda: optimizers.SGD(0.03), 0.03),
        (lambda: optimizers.SAM(optimizers.Lookahead(optimizers.SGD(0.03))), 0.03),
        (lambda: optimizers.SGD(optimizers.schedules.CosineDecay(0.03, 100)), 1e-6),
        (lambda: optimizers.SGD(0.0), 1e-6),
    ],
)
def test_a_model_that_learns_nothing_keeps_its_rate(optimizer: Any, expected: float) -> None:
    """Losses of so small rates only scatter. Without a number of the optimizer, the rates' mean is taken."""
    made = model(optimizer())
    with pytest.warns(UserWarning, match="lr_find: the loss does not fall by more .*; more steps, larger"):
        result = made.lr_find(
            X, NOISE, batch_size=8, steps=20, start_learning_rate=1e-7, end_learning_rate=1e-5
        )
    assert result.suggestion == pytest.approx(expected)


def test_the_command_says_that_there_is_no_rate(tmp_path: Any, capsys: Any) -> None:
    import photos

    from cnnrs import cli

    data = str(photos.write(tmp_path / "photos", size=24))
    flat = ["lr-find", data, "--model", "lenet5", "--steps", "12", "--start", "1e-9", "--end", "1e-8"]
    assert cli.main(flat) == 0
    said = capsys.readouterr()
    assert "the test found no rate: the loss does not fall" in said.out and "warning" not in said.err
    assert cli.main([*flat, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["steepest"] is None and facts["suggestion"] > 0 and facts["problem"]
