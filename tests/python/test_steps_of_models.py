"""What a user may replace or set of the steps of a model, and how batches are grouped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnnrs import Input, Model, Sequential, callbacks, layers

X = np.ones((10, 2), np.float32)
Y = np.ones((10, 1), np.float32)


def zeros(**compiled: Any) -> Sequential:
    model = Sequential([Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
    return model


class Hooks(callbacks.Callback):
    """Notes the numbers of batches that hooks are told."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_") and name.endswith(("_batch_begin", "_batch_end")):
            return lambda batch, logs=None: self.seen.append((name[3:].replace("_batch", ""), batch))
        return super().__getattribute__(name)

    def on_train_batch_begin(self, batch, logs=None):
        """Says that batches are looked at."""


@pytest.mark.parametrize("mode", ["recorded", "eagerly", "generator"])
@pytest.mark.parametrize("kind", ["train", "test", "predict"])
def test_hooks_are_called_around_groups_of_batches(kind, mode):
    model, hooks = zeros(steps_per_execution=2, run_eagerly=mode == "eagerly"), Hooks()
    data: tuple[Any, ...] = (X,) if kind == "predict" else (X, Y)
    if mode == "generator":
        data = ([tuple(part[i : i + 2] for part in data) for i in range(0, 10, 2)],)
    call = {"train": model.fit, "test": model.evaluate, "predict": model.predict}[kind]
    given = {} if mode == "generator" else {"batch_size": 2}
    result = call(*data, **given, verbose=0, callbacks=[hooks])
    numbers = [(0, 1), (2, 3), (4, 4)]
    wanted = [(f"{kind}_{e}", n) for pair in numbers for e, n in zip(("begin", "end"), pair, strict=True)]
    assert [entry for entry in hooks.seen if entry[0].startswith(kind)] == wanted
    if kind == "predict":
        assert result.shape == (10, 1)


def test_outputs_of_a_group_come_together():
    shapes = []
    hook = callbacks.LambdaCallback(
        on_predict_batch_end=lambda batch, logs: shapes.append(logs["outputs"].shape)
    )
    zeros(steps_per_execution=3).predict(X, batch_size=3, verbose=0, callbacks=[hook])
    assert shapes == [(9, 1), (1, 1)]


@pytest.mark.parametrize("with_training", [False, True])
def test_compute_loss_may_be_defined_without_training(with_training):
    seen = []

    class Own(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, kernel_initializer="zeros")

        def call(self, x):
            return self.dense(x)

        if with_training:

            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
                seen.append(training)
                return 3.0 * super().compute_loss(x, y, y_pred, sample_weight, training)

        else:

            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
                return 3.0 * super().compute_loss(x, y, y_pred, sample_weight)

    model = Own()
    model.compile("sgd", "mse")
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(3.0)
    assert model.fit(X, Y, verbose=0).history["loss"] == pytest.approx([3.0])
    assert seen == ([False, True] if with_training else [])


def test_how_a_model_runs_may_be_set_without_compile():
    calls = []

    class Own(Model):
        def call(self, x):
            calls.append(x.shape[0])
            return x * 2.0

    model = Own()
    model.jit_compile = True
    assert model.predict(X, batch_size=5, verbose=0).shape == (10, 2)
    recorded = len(calls)
    model.predict(X, batch_size=5, verbose=0)
    assert len(calls) == recorded
    model.run_eagerly = True
    model.predict(X, batch_size=5, verbose=0)
    assert len(calls) == recorded + 2
    assert model.run_eagerly is True and model.jit_compile is True
    with pytest.raises(ValueError, match="jit_compile: expected 'auto', True or False, received 3"):
        model.jit_compile = 3


@pytest.mark.parametrize("kind", ["train", "test", "predict"])
@pytest.mark.parametrize("how", ["override", "assign"])
def test_the_function_that_runs_steps_may_be_replaced(kind, how):
    calls = []

    def function(iterator):
        batches = list(iterator)
        calls.append([batch[0].shape for batch in batches])
        return batches[0][0] * 7.0 if kind == "predict" else {"own": len(calls)}

    def make(self, force=False):
        setattr(self, f"{kind}_function", function)
        return function

    methods = {f"make_{kind}_function": make} if how == "override" else {}
    model = type("Own", (Sequential,), methods)([Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=2)
    if how == "assign":
        setattr(model, f"{kind}_function", function)
    data = (X,) if kind == "predict" else (X, Y)
    run = {"train": model.fit, "test": model.evaluate, "predict": model.predict}[kind]
    result = run(*data, batch_size=4, verbose=0)
    assert calls == [[(4, 2), (4, 2)], [(2, 2)]]
    if kind == "train":
        assert result.history == {"own": [2]}
    elif kind == "test":
        assert result == 2
    else:
        np.testing.assert_array_equal(result[:4], 7.0)
    model.compile("sgd", "mse")
    assert getattr(model, f"{kind}_function") is None


@pytest.mark.parametrize("kind", ["train", "test", "predict"])
def test_the_function_that_runs_steps_may_be_called(kind):
    model = zeros(steps_per_execution=2)
    function = getattr(model, f"make_{kind}_function")()
    assert getattr(model, f"make_{kind}_function")() is function
    assert getattr(model, f"make_{kind}_function")(force=True) is not function
    batches = iter([(X, Y), (X, Y), (X, Y)])
    outcome = function(batches)
    assert len(list(batches)) == 1
    if kind == "predict":
        assert outcome.shape == (10, 1)
    else:
        assert float(outcome["loss"]) <= 1.0
    with pytest.raises(StopIteration):
        function(iter([]))


def test_a_model_without_an_optimizer_is_evaluated():
    model = zeros(optimizer=None, metrics=["mae"])
    assert model.evaluate(X, Y, verbose=0) == pytest.approx([1.0, 1.0])
    assert model.get_compile_config()["optimizer"] is None
    with pytest.raises(ValueError, match=r"expected compile\(optimizer=\.\.\.\)"):
        model.fit(X, Y, verbose=0)
    model.trainable = False
    assert model.fit(X, Y, verbose=0).history["loss"] == pytest.approx([1.0])


class TestLosses:
    """Losses as lists and structures; the numbers are Keras's but where its total leaves losses out."""

    def outputs(self) -> tuple[Any, list[Any]]:
        x = Input((2,))
        return x, [layers.Dense(1, kernel_initializer="ones", name=name)(x) for name in "abc"]

    def logs(self, outputs: Any, loss: Any, y: Any, **compiled: Any) -> dict[str, float]:
        model = Model(*outputs)
        model.compile("sgd", loss, **compiled)
        return model.evaluate(X, y, verbose=0, return_dict=True)

    def test_a_list_for_an_output(self):
        x, (a, b, _) = self.outputs()
        zero = np.zeros((10, 1))
        assert self.logs((x, [a, b]), ["mse", ["mae"]], [zero, zero]) == pytest.approx(
            {"loss": 6.0, "a_loss": 4.0, "b_loss": 2.0}
        )
        found = self.logs((x, [a, b]), ["mse", ["mse", "mae"]], [zero, zero], loss_weights=[1, [2, 3]])
        assert found == pytest.approx({"loss": 4 + 2 * 4 + 3 * 2, "a_loss": 4.0, "b_loss": 6.0})
        assert self.logs((x, {"a": a, "b": b}), {"b": ["mae"]}, {"a": zero, "b": zero}) == {"loss": 2.0}
        assert self.logs((x, a), ["mse", "mae"], zero) == pytest.approx({"loss": 6.0, "a_loss": 6.0})

    def test_nested_outputs(self):
        x, (a, b, c) = self.outputs()
        zero = np.zeros((10, 1))
        found = self.logs((x, [a, (b, c)]), ["mse", ("mae", "mse")], [zero, (zero + 1, zero + 2)])
        assert found == pytest.approx({"loss": 5.0, "a_loss": 4.0, "1/b_loss": 1.0, "1/c_loss": 0.0})
        found = self.logs(
            (x, {"p": a, "q": {"r": b, "s": c}}),
            {"q": {"s": "mse"}},
            {"p": zero, "q": {"r": zero, "s": zero}},
        )
        assert found == {"loss": 4.0}

    def test_a_loss_of_the_whole_structure(self):
        x, (a, b, _) = self.outputs()

        def distance(y_true, y_pred):
            return abs(y_true["p"] - y_pred["p"]) + abs(y_true["q"] - y_pred["q"])

        y = {"p": np.zeros((10, 1)), "q": np.ones((10, 1))}
        found = self.logs((x, {"p": a, "q": b}), [distance, {"p": "mse", "q": "mae"}], y)
        assert found == pytest.approx({"loss": 3 + 4 + 1, "p_q_loss": 3.0, "p_loss": 4.0, "q_loss": 1.0})

    @pytest.mark.parametrize(
        ("loss", "weights", "message"),
        [
            (["mse"] * 3, None, "loss: expected 2 entries, one per output, received 3"),
            (
                ["mse", ["mae", "mse"]],
                [1, 2, 3, 4],
                "loss_weights: expected 3 entries, one per loss, received 4",
            ),
            ({"a": "mse", "z": "mse"}, None, "expected the names of outputs .* as keys, received 'z'"),
        ],
    )
    def test_structures_that_do_not_fit(self, loss, weights, message):
        x, (a, b, _) = self.outputs()
        with pytest.raises(ValueError, match=message):
            self.logs((x, [a, b]), loss, [Y, Y], loss_weights=weights)
