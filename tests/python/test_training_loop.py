"""The parts of training by themselves: what `compile` resolves, and the loop over the batches of an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import callbacks, layers
from cnnrs.training.batches import Batches
from cnnrs.training.compiled import Compiled
from cnnrs.training.data_adapter import ArrayData, make_data
from cnnrs.training.loop import BatchHooks, run_epoch
from cnnrs.training.step import RecordedStep


class FakeRunner:
    """Gives the sums of batches, and notes how it was called.

    Args:
        at_most: Batches that one call runs; 0 if it runs none.
    """

    def __init__(self, at_most: int):
        self.at_most = at_most
        self.calls: list[Any] = []

    def group(self, batches: Any) -> float:
        for samples in batches:
            self.calls.append(("one", samples[0].shape))
        return float(samples[0].sum())

    def many(self, head: Any) -> Any:
        self.calls.append(("many", head[0].shape))
        return self if self.at_most else None

    def run_batches(self, arrays, order, batch_size, first, last, seconds) -> Any:
        last = min(last, first + self.at_most)
        self.calls.append((first, last))
        rows = order[(last - 1) * batch_size : last * batch_size]
        return last, float(arrays[0][rows].sum())

    def logs(self, outcome: Any) -> dict[str, Any]:
        return outcome if isinstance(outcome, dict) else {"sum": outcome}


X = np.arange(10, dtype=np.float32).reshape(10, 1)


def epochs(data: Any, steps: int | None = None) -> Batches:
    return Batches(data, steps, False, None)


def watching(calls: list[Any]) -> Any:
    return callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: calls.append(("begin", batch)),
        on_train_batch_end=lambda batch, logs: calls.append(("end", batch, logs)),
    )


def quiet(bar: bool = False) -> BatchHooks:
    return BatchHooks(callbacks.CallbackList(), "train", bar=bar)


def test_full_batches_run_in_one_call_and_the_short_one_by_itself():
    runner = FakeRunner(at_most=100)
    assert run_epoch(epochs(make_data(X, None, None, 4)), runner, quiet()) == {"sum": 8.0 + 9.0}
    assert runner.calls == [("many", (4, 1)), (0, 2), ("one", (2, 1))]


def test_what_a_call_left_is_run_by_the_next_one():
    runner = FakeRunner(at_most=2)
    assert run_epoch(epochs(make_data(X, None, None, 2)), runner, quiet()) == {"sum": 17.0}
    assert runner.calls == [("many", (2, 1)), (0, 2), (2, 4), (4, 5)]


def test_batches_run_one_by_one_where_nothing_is_recorded():
    runner = FakeRunner(at_most=0)
    assert run_epoch(epochs(make_data(X, None, None, 4)), runner, quiet()) == {"sum": 17.0}
    assert runner.calls == [("many", (4, 1)), ("one", (4, 1)), ("one", (4, 1)), ("one", (2, 1))]
    runner = FakeRunner(at_most=100)
    batches = epochs(make_data(iter([X[:1], X[1:4]])))
    assert run_epoch(batches, runner, quiet()) == {"sum": 6.0}
    assert runner.calls == [("one", (1, 1)), ("one", (3, 1))]


@pytest.mark.parametrize("at_once", [1, 2])
def test_hooks_are_called_every_so_many_batches(at_once):
    runner, calls = FakeRunner(at_most=100), []
    hooks = BatchHooks(callbacks.CallbackList(watching(calls)), "train", bar=False, at_once=at_once)
    run_epoch(epochs(make_data(X, None, None, 2)), runner, hooks)
    sums = [1.0, 5.0, 9.0, 13.0, 17.0]
    ends = list(range(5)) if at_once == 1 else [1, 3, 4]
    begins = list(range(5)) if at_once == 1 else [0, 2, 4]
    assert [call for call in calls if call[0] == "begin"] == [("begin", batch) for batch in begins]
    assert [call for call in calls if call[0] == "end"] == [("end", b, {"sum": sums[b]}) for b in ends]
    assert [call[0] for call in calls] == ["begin", "end"] * len(ends)


@pytest.mark.parametrize("at_most", [0, 1])
def test_the_rest_is_left_out_when_asked_to_stop(at_most):
    runner, calls = FakeRunner(at_most), []
    hooks = BatchHooks(callbacks.CallbackList(watching(calls)), "train", bar=False)
    logs = run_epoch(epochs(make_data(X, None, None, 2)), runner, hooks, lambda: len(calls) >= 4)
    assert logs == {"sum": 5.0}
    assert [call[:2] for call in calls] == [("begin", 0), ("end", 0), ("begin", 1), ("end", 1)]


def test_an_epoch_goes_on_where_the_one_before_stopped():
    batches = epochs(make_data(X, None, None, 2), steps=2)
    sums = [run_epoch(batches, FakeRunner(100), quiet())["sum"] for _ in range(2)]
    assert sums == [2.0 + 3.0, 6.0 + 7.0]


def test_an_epoch_needs_a_batch():
    with pytest.raises(ValueError, match="x: expected at least one batch, received none"):
        run_epoch(epochs(make_data(iter([]))), FakeRunner(100), quiet())


def test_without_hooks_an_epoch_is_one_call_into_the_core(monkeypatch):
    spans = []
    original = RecordedStep.run_batches

    def run_batches(self, arrays, order, batch_size, first, last, seconds):
        # A machine that pauses between two batches must not end the call.
        following, outcome = original(self, arrays, order, batch_size, first, last, 1e9)
        spans.append((first, following))
        return following, outcome

    monkeypatch.setattr(RecordedStep, "run_batches", run_batches)
    model = cnnrs.Sequential([cnnrs.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, X, batch_size=2, epochs=2, verbose=0)
    model.evaluate(X, X, batch_size=5, verbose=0)
    assert spans == [(0, 5), (0, 5), (0, 2)]
    spans.clear()
    model.fit(X, X, batch_size=2, verbose=0, callbacks=[watching([])])
    assert spans == [(batch, batch + 1) for batch in range(5)]


def test_what_compile_resolves():
    config = {"loss": "mse", "metrics": ["mae"], "jit_compile": True}
    compiled = Compiled.of(config, None)
    assert compiled.config is config
    assert [metric.name for metric in compiled.all_metrics] == ["loss", "compile_metrics"]
    assert (compiled.run_eagerly, compiled.jit_compile) == (False, True)
    bare = Compiled.of({}, None)
    assert bare.loss is None and bare.metrics is None
    assert bare.loss_tracker is not compiled.loss_tracker


@pytest.mark.parametrize(
    "wrong", [{"loss": "mze"}, {"metrics": ["mxe"]}, {"jit_compile": 3}, {"steps_per_execution": 0}]
)
def test_a_compile_that_fails_leaves_the_model_as_it_was(wrong):
    model = cnnrs.Sequential([cnnrs.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    before = vars(model).copy()
    with pytest.raises(ValueError):
        model.compile("adam", **wrong)
    assert vars(model) == before


def test_x_without_an_array_is_refused():
    with pytest.raises(ValueError, match="x: expected arrays, received None"):
        ArrayData(None, X, None, None)
